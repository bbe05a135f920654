"""Forecasts made out of sample, and the log of what was said on the day."""

from __future__ import annotations

from typing import Final

from trading_dag.schemas.feature_names import MARKET_STATES
from trading_dag.schemas.table import HORIZON, SESSION, TICKER, Column, Table, number, text
from trading_dag.schemas.vocabulary import (
    DIRECTIONS,
    IV_DIRECTIONS,
    IV_REGIMES,
    IV_SOURCES,
    RISE,
    SIGNAL_RULES,
    SPREAD_CLASSES,
    TIMINGS,
    UP_IF_CLEAR,
)

PREDICTION_HEAD: Final = (
    TICKER, HORIZON, SESSION,
    Column("target_session", "date", "session at which the horizon ends", nullable=False),
    text("model", "model or baseline name", nullable=False),
    Column("fold", "int64", "fold whose model made the forecast; 6 is the live model", nullable=False, minimum=1),
    Column("fitted_through", "date", "last target session the forecasting model had seen; not after session",
           nullable=False),
)  # fmt: skip
PREDICTION_TAIL: Final = (
    Column("is_baseline", "bool", "whether the row belongs to a naive baseline", nullable=False),
    Column("is_out_of_sample", "bool", "True by construction: fitted_through is not after session", nullable=False),
    text("model_version", "model of the forecast, as in models.registry; NULL for a baseline"),
)
PREDICTION_KEY: Final = ("ticker", "horizon", "session", "model")

PREDICTIONS_DIRECTION: Final = Table(
    "predictions", "direction", "ticker_horizon", PREDICTION_KEY,
    (
        *PREDICTION_HEAD,
        text("y_true", "UP, DOWN or AMBIGUOUS; NULL while the future is not there", allowed=DIRECTIONS),
        number("forward_return", "return to the target; NULL while the future is not there"),
        text("y_pred", "UP or DOWN", allowed=("UP", "DOWN"), nullable=False),
        number("probability_up", "probability of what probability_event says", minimum=0.0, maximum=1.0,
               nullable=False),
        text("probability_event", "rise: the price at the target is above that of the session (all sessions count); "
             "up_if_clear: it is, given that the move leaves the dead band", allowed=(RISE, UP_IF_CLEAR),
             nullable=False),
        number("uncalibrated_probability_up", "what the model's estimator says before it is drawn towards the share of "
               "rises; NULL where nothing is drawn", minimum=0.0, maximum=1.0),
        number("threshold", "probability above which UP is called", minimum=0.0, maximum=1.0, nullable=False),
        number("confidence", "probability of the called direction", minimum=0.0, maximum=1.0, nullable=False),
        *PREDICTION_TAIL,
    ),
    "Out-of-sample direction forecasts of the models and their baselines.",
)  # fmt: skip

PREDICTIONS_VOLATILITY: Final = Table(
    "predictions", "volatility", "ticker_horizon", PREDICTION_KEY,
    (
        *PREDICTION_HEAD,
        text("y_true", "IV regime at the target; NULL while the future is not there", allowed=IV_REGIMES),
        text("current_regime", "IV regime at the session itself", allowed=IV_REGIMES, nullable=False),
        text("y_pred", "forecast regime", allowed=IV_REGIMES, nullable=False),
        *(
            number(f"probability_{name.lower()}", f"P({name})", minimum=0.0, maximum=1.0, nullable=False)
            for name in IV_REGIMES
        ),
        number("confidence", "probability of the forecast regime", minimum=0.0, maximum=1.0, nullable=False),
        text("expected_change", "forecast regime against the current one; which way the index itself is expected to go "
             "stands in predictions.volatility_level", nullable=False, allowed=IV_DIRECTIONS),
        *PREDICTION_TAIL,
    ),
    "Out-of-sample IV-regime forecasts of the models and their baselines.",
)  # fmt: skip

PREDICTIONS_SPREAD: Final = Table(
    "predictions", "spread", "ticker_horizon", PREDICTION_KEY,
    (
        *PREDICTION_HEAD,
        text("y_true", "which credit spread the move paid, as in labels.targets; NULL while the future is not there",
             allowed=SPREAD_CLASSES),
        text("y_pred", "forecast class", allowed=SPREAD_CLASSES, nullable=False),
        *(
            number(f"probability_{name.lower()}", f"P({name})", minimum=0.0, maximum=1.0, nullable=False)
            for name in SPREAD_CLASSES
        ),
        number("confidence", "probability of the forecast class", minimum=0.0, maximum=1.0, nullable=False),
        *PREDICTION_TAIL,
    ),
    "Out-of-sample forecasts of the credit spread that a move pays, by the networks, a logistic and their baselines.",
    may_be_empty=True,
)  # fmt: skip

PREDICTIONS_REGIME: Final = Table(
    "predictions", "regime", "ticker", ("ticker", "session"),
    (
        TICKER, SESSION,
        text("state", "most probable market state", allowed=MARKET_STATES, nullable=False),
        *(
            number(f"probability_{state}", "P(state | everything up to the session's close)", minimum=0.0, maximum=1.0,
                   nullable=False)
            for state in MARKET_STATES
        ),
        Column("fitted_through", "date", "last session that the parameters had seen; before session", nullable=False),
    ),
    "Filtered probabilities of the market states: of today from the past alone.",
)  # fmt: skip

PREDICTIONS_LOG: Final = Table(
    "predictions", "log", "ticker_horizon",
    ("ticker", "horizon", "source", "session", "model_version", "volatility_model_version"),
    (
        TICKER, HORIZON, SESSION,
        Column("target_session", "date", "session at which the horizon ends", nullable=False),
        Column("recorded_at", "timestamp", "when this was recorded, by the clock of the machine, UTC", nullable=False),
        text("source", "where the data come from; rows of different sources are never scored together",
             nullable=False),
        text("timing", "before_next_open: before the next session opened; before_target: later, before the target; "
             "after_target: when the outcome could be known; clock_unsure: by a clock that showed a time before the "
             "session's close, or before an earlier record", allowed=TIMINGS, nullable=False),
        Column("is_live", "bool", "recorded before the outcome could be known; never of sample or simulated data, "
               "whose outcomes are there already. Only these rows are scored", nullable=False),
        text("direction_model", "model of the direction forecast", nullable=False),
        text("model_version", "its version, as in models.registry (direction_classifier)", nullable=False),
        Column("fitted_through", "date", "last target session it had seen", nullable=False),
        text("direction", "UP or DOWN", allowed=("UP", "DOWN"), nullable=False),
        number("probability_up", "P(rise) by a model of all moves, P(UP | clear move) by direction_logistic",
               minimum=0.0, maximum=1.0, nullable=False),
        number("threshold", "probability above which UP is called", minimum=0.0, maximum=1.0, nullable=False),
        number("direction_confidence", "probability of the called direction", minimum=0.0, maximum=1.0, nullable=False),
        number("usual_probability_up", "share of rises in the training; beside direction_logistic, that of UP "
               "among its clear moves",
               minimum=0.0, maximum=1.0),
        text("volatility_model", "model of the regime forecast; NULL where there is none"),
        text("volatility_model_version", "its version, as in models.registry (volatility_forecaster); none where there "
             "is no forecast", nullable=False),
        text("iv_regime", "forecast IV regime at the target", allowed=IV_REGIMES),
        *(number(f"probability_{name.lower()}", f"P({name})", minimum=0.0, maximum=1.0) for name in IV_REGIMES),
        text("current_regime", "IV regime at the session itself: what persistence forecasts", allowed=IV_REGIMES),
        *(
            number(f"usual_probability_{name.lower()}", f"share of {name} in training", minimum=0.0, maximum=1.0)
            for name in IV_REGIMES
        ),
        number("iv_rank", "IV rank at the session's close", minimum=0.0, maximum=100.0),
        text("iv_source", "whose options tell the IV rank: the ticker's own (index, chain) or another's (proxy_index)",
             allowed=IV_SOURCES),
        number("own_iv_rank", "IV rank of the ticker's own options; NULL where only a proxy speaks"),
        number("chain_iv_rank", "IV rank of the ticker's chain, against the sessions that have one"),
        number("iv_hv_spread", "implied less 20-session realised volatility, annualised percent points"),
        text("structure", "what was recommended: the name of a structure, or no_trade", nullable=False),
        text("design_size", "FULL, HALF or NONE by confidence alone; NULL in rows that have conviction",
             allowed=("FULL", "HALF", "NONE")),
        text("conviction", "of rows recorded before design_size: FULL, HALF or NONE by confidence, NONE without an "
             "edge; NULL since", allowed=("FULL", "HALF", "NONE")),
        text("rule", "rule that was served; NULL in rows recorded before there were two: matrix", allowed=SIGNAL_RULES),
        text("edge", "verdict of the models on outcomes known by this session", nullable=False,
             allowed=("skilled", "admissible", "no_edge", "insufficient_data")),
        number("position_size", "share of a full-size trade: what the edge gate left of the design size", minimum=0.0,
               maximum=1.0, nullable=False),
        Column("contracts", "int64", "structures to trade at the account size of the settings", minimum=0),
        text("legs", "JSON list of legs: option_right, side, ratio, strike, expiration"),
        Column("expiration", "date", "expiration of the legs"),
        number("max_loss_usd", "defined risk per structure, positive", minimum=0.0),
        number("forecast_probability_of_profit", "as in signals.recommendation", minimum=0.0, maximum=1.0),
        number("expected_profit_usd", "as in signals.recommendation"),
        text("spread_opinion", "as in signals.recommendation", allowed=SPREAD_CLASSES),
        number("underlying_position", "as in signals.recommendation", minimum=0.0),
        text("reasoning", "one sentence", nullable=False),
    ),
    "What was said on the day, appended and never rewritten: one row a session, source and pair of model versions.",
    may_be_empty=True, is_append_only=True,
)  # fmt: skip
