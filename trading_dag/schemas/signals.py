"""What the forecasts recommend."""

from __future__ import annotations

from typing import Final

from trading_dag.schemas.table import HORIZON, SESSION, TICKER, Column, Table, number, text
from trading_dag.schemas.vocabulary import IV_REGIMES

RECOMMENDATION: Final = Table(
    "signals", "recommendation", "ticker_horizon", ("ticker", "horizon", "session"),
    (
        TICKER, HORIZON, SESSION,
        Column("target_session", "date", "session at which the horizon ends", nullable=False),
        text("strategy", "what the selector chose: the name of a structure, or no_trade", nullable=False),
        text("design_size", "FULL, HALF or NONE by confidence alone, whatever the edge", nullable=False,
              allowed=("FULL", "HALF", "NONE")),
        text("edge", "verdict of the models on outcomes known by this session", nullable=False,
              allowed=("skilled", "admissible", "no_edge", "insufficient_data")),
        number("position_size", "what the edge gate leaves of the design size: 1 FULL, 0.5 HALF, else 0",
                minimum=0.0, maximum=1.0, nullable=False),
        text("direction", "forecast direction", allowed=("UP", "DOWN")),
        text("iv_regime", "forecast IV regime", allowed=IV_REGIMES),
        number("direction_confidence", "probability of the forecast direction", minimum=0.0, maximum=1.0),
        number("iv_confidence", "probability of the forecast regime", minimum=0.0, maximum=1.0),
        number("overall_confidence", "0.6 direction + 0.4 IV: a score, no probability", minimum=0.0, maximum=1.0),
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
        number("profit_target_usd", "per structure", minimum=0.0),
        number("stop_loss_fraction", "adverse move of the underlying that closes the trade", minimum=0.0),
        text("reasoning", "one sentence", nullable=False),
        text("evidence", "JSON: model folds and their difference against the baseline", nullable=False),
        text("model_version", "model of the direction forecast, as in models.registry (direction_classifier)"),
        text("volatility_model_version", "model of the regime forecast, as in models.registry (volatility_forecaster)"),
    ),
    "The structure that the forecasts select at each session, sized, priced and explained.",
)  # fmt: skip
