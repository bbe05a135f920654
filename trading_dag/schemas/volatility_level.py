"""Forecasts of a volatility index at the target: its distribution, and which way it is expected to go."""

from __future__ import annotations

from typing import Final

from trading_dag.schemas.price import QUANTILE_COLUMNS, QUANTILE_LEVELS
from trading_dag.schemas.table import HORIZON, SESSION, TICKER, Column, Table, number, text
from trading_dag.schemas.vocabulary import INDEX_SOURCES, IV_DIRECTIONS

_PERCENT: Final = "annualised percent points"


def _level(name: str, description: str, *, nullable: bool = False) -> Column:
    return number(name, f"{description}, {_PERCENT}", minimum=1e-6, nullable=nullable)


PREDICTIONS_VOLATILITY_LEVEL: Final = Table(
    "predictions", "volatility_level", "ticker_horizon", ("ticker", "horizon", "session", "model"),
    (
        TICKER, HORIZON, SESSION,
        Column("target_session", "date", "session at whose close the forecast ends; of 12h and 24h the next one",
               nullable=False),
        text("model", "model or baseline name", nullable=False),
        Column("fold", "int64", "fold whose model made the forecast; 6 is the live model. Of a baseline: beside whose "
               "model it stands", nullable=False, minimum=1),
        Column("fitted_through", "date", "last target session whose outcome was used; not after session",
               nullable=False),
        _level("index_level", "the ticker's volatility index at the session's close"),
        _level("y_true", "the index at the target; NULL while the future is not there, and where the index was not "
               "published then or a later close disproves it", nullable=True),
        text("iv_source", "whose options the index at the target is of: the ticker's own, or another's; NULL where "
             "y_true is, or nobody says", allowed=INDEX_SOURCES),
        _level("y_pred", "forecast of the index: the median"),
        _level("expected_level", "mean of the distribution"),
        *(
            _level(name, f"level that is not exceeded with probability {level:.0%}")
            for name, level in zip(QUANTILE_COLUMNS, QUANTILE_LEVELS, strict=True)
        ),
        number("probability_rise", "P(index at the target above index_level)", minimum=0.0, maximum=1.0,
               nullable=False),
        text("expected_iv_direction", "EXPANDING where probability_rise is 0.6 or more, CONTRACTING where it is 0.4 or "
             "less, else STABLE", nullable=False, allowed=IV_DIRECTIONS),
        Column("is_baseline", "bool", "whether the row belongs to a naive baseline", nullable=False),
        Column("is_out_of_sample", "bool", "True by construction: fitted_through is not after session", nullable=False),
        text("model_version", "model of the forecast, as in models.registry; NULL for a baseline"),
    ),
    "Out-of-sample distributions of the volatility index at the target, beside a random walk.",
    may_be_empty=True,
)  # fmt: skip
