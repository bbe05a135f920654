"""Forecasts made out of sample."""

from __future__ import annotations

from typing import Final

from trading_dag.schemas.feature_names import MARKET_STATES
from trading_dag.schemas.table import HORIZON, SESSION, TICKER, Column, Table, number, text
from trading_dag.schemas.vocabulary import DIRECTIONS, IV_REGIMES

_PREDICTION_HEAD: Final = (
    TICKER, HORIZON, SESSION,
    Column("target_session", "date", "session at which the horizon ends", nullable=False),
    text("model", "model or baseline name", nullable=False),
    Column("fold", "int64", "fold whose model made the forecast; 6 is the live model", nullable=False, minimum=1),
    Column("fitted_through", "date", "last target session the forecasting model had seen; not after session",
           nullable=False),
)  # fmt: skip
_PREDICTION_TAIL: Final = (
    Column("is_baseline", "bool", "whether the row belongs to a naive baseline", nullable=False),
    Column("is_out_of_sample", "bool", "True by construction: fitted_through is not after session", nullable=False),
    text("model_version", "model of the forecast, as in models.registry; NULL for a baseline"),
)
_PREDICTION_KEY: Final = ("ticker", "horizon", "session", "model")

PREDICTIONS_DIRECTION: Final = Table(
    "predictions", "direction", "ticker_horizon", _PREDICTION_KEY,
    (
        *_PREDICTION_HEAD,
        text("y_true", "UP, DOWN or AMBIGUOUS; NULL while the future is not there", allowed=DIRECTIONS),
        number("forward_return", "return to the target; NULL while the future is not there"),
        text("y_pred", "UP or DOWN", allowed=("UP", "DOWN"), nullable=False),
        number("probability_up", "P(UP | clear move)", minimum=0.0, maximum=1.0, nullable=False),
        number("threshold", "probability above which UP is called", minimum=0.0, maximum=1.0, nullable=False),
        number("confidence", "probability of the called direction", minimum=0.0, maximum=1.0, nullable=False),
        *_PREDICTION_TAIL,
    ),
    "Out-of-sample direction forecasts of the models and their baselines.",
)  # fmt: skip

PREDICTIONS_VOLATILITY: Final = Table(
    "predictions", "volatility", "ticker_horizon", _PREDICTION_KEY,
    (
        *_PREDICTION_HEAD,
        text("y_true", "IV regime at the target; NULL while the future is not there", allowed=IV_REGIMES),
        text("current_regime", "IV regime at the session itself", allowed=IV_REGIMES, nullable=False),
        text("y_pred", "forecast regime", allowed=IV_REGIMES, nullable=False),
        *(
            number(f"probability_{name.lower()}", f"P({name})", minimum=0.0, maximum=1.0, nullable=False)
            for name in IV_REGIMES
        ),
        number("confidence", "probability of the forecast regime", minimum=0.0, maximum=1.0, nullable=False),
        text("expected_change", "forecast regime against the current one", nullable=False,
              allowed=("EXPANDING", "CONTRACTING", "STABLE")),
        *_PREDICTION_TAIL,
    ),
    "Out-of-sample IV-regime forecasts of the models and their baselines.",
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
