"""What the forecasts recommend."""

from __future__ import annotations

from typing import Final

from trading_dag.schemas.table import HORIZON, SESSION, TICKER, Column, Table, number, text
from trading_dag.schemas.vocabulary import IV_DIRECTIONS, IV_REGIMES, IV_SOURCES, SIGNAL_RULES, SPREAD_CLASSES

RECOMMENDATION: Final = Table(
    "signals", "recommendation", "ticker_horizon", ("ticker", "horizon", "session", "rule"),
    (
        TICKER, HORIZON, SESSION,
        text("rule", "matrix: the designs' table of direction, IV regime and confidence; expected_value: the best "
             "opportunity that clears the margin", nullable=False, allowed=SIGNAL_RULES),
        Column("is_served", "bool", "whether the settings serve this rule: its row is logged and shown first",
               nullable=False),
        Column("target_session", "date", "session at which the horizon ends", nullable=False),
        text("strategy", "what the selector chose: the name of a structure, or no_trade", nullable=False),
        text("design_size", "FULL, HALF or NONE by confidence alone, whatever the edge", nullable=False,
              allowed=("FULL", "HALF", "NONE")),
        text("edge", "verdict on outcomes known by this session, of the models that the row rests on; of the rule "
             "expected_value, on the profit of what it chose before", nullable=False,
              allowed=("skilled", "admissible", "no_edge", "insufficient_data")),
        number("position_size", "what the gate leaves of the design size: 1 FULL, 0.5 HALF, else 0",
                minimum=0.0, maximum=1.0, nullable=False),
        text("direction", "forecast direction", allowed=("UP", "DOWN")),
        text("iv_regime", "forecast IV regime", allowed=IV_REGIMES),
        number("direction_confidence", "probability of the forecast direction", minimum=0.0, maximum=1.0),
        number("iv_confidence", "probability of the forecast regime", minimum=0.0, maximum=1.0),
        number("overall_confidence", "0.6 direction + 0.4 IV: a score, no probability", minimum=0.0, maximum=1.0),
        text("expected_iv_direction", "forecast of the volatility index at the target", allowed=IV_DIRECTIONS),
        number("expected_iv_change", "forecast mean of the index at the target over its level, less 1"),
        text("iv_source", "whose options tell the IV rank: the ticker's own (index, chain) or another's (proxy_index)",
             allowed=IV_SOURCES),
        number("own_iv_rank", "IV rank of the ticker's own options at the close; NULL where only a proxy speaks"),
        number("chain_iv_rank", "IV rank of the ticker's chain, against the sessions that have one"),
        text("spread_opinion", "credit spread that the spread model calls; NULL where it has no forecast",
             allowed=SPREAD_CLASSES),
        number("underlying_position", "position in the underlying by the allocation ensemble, in accounts",
               minimum=0.0),
        text("legs", "JSON list of legs: option_right, side, ratio, strike, expiration"),
        text("strikes", "strikes as text, low to high"),
        Column("expiration", "date", "expiration of the legs"),
        Column("contracts", "int64", "structures to trade at the account size of the settings", minimum=0),
        number("net_premium_usd", "per structure at the modelled surface; positive is paid"),
        number("max_loss_usd", "defined risk per structure, positive", minimum=0.0),
        number("max_profit_usd", "per structure; NULL where unlimited", minimum=0.0),
        text("breakevens", "underlying prices at expiration without profit or loss, as text"),
        number("probability_of_profit", "risk-neutral, at expiration, on the modelled surface", minimum=0.0,
                maximum=1.0),
        number("forecast_probability_of_profit", "under the forecast of the price: at expiration, of rule "
               "expected_value at the target; NULL where no forecast reaches so far", minimum=0.0, maximum=1.0),
        number("expected_profit_usd", "mean profit of one structure then, under that forecast, fees both ways paid"),
        number("profit_target_usd", "per structure", minimum=0.0),
        number("stop_loss_fraction", "adverse move of the underlying that closes the trade", minimum=0.0),
        text("reasoning", "one sentence", nullable=False),
        text("evidence", "JSON: each model with its version and score against its baseline, and why it was selected",
             nullable=False),
        text("model_version", "model of the direction forecast, as in models.registry (direction_classifier)"),
        text("volatility_model_version", "model of the regime forecast, as in models.registry (volatility_forecaster)"),
    ),
    "The structure that the forecasts select at each session, sized, priced and explained.",
)  # fmt: skip
