"""Forecasts of a price at the target: points, and the distribution around them."""

from __future__ import annotations

from typing import Final

from trading_dag.schemas.table import HORIZON, SESSION, TICKER, Column, Table, number, price, text
from trading_dag.schemas.vocabulary import SCALE_SOURCES, VOLATILITY_THIRDS

# 19 quantiles in steps of 5 %: nineteen twentieths of the distribution are said, the tails beyond are not.
QUANTILE_LEVELS: Final = tuple(percent / 100 for percent in range(5, 100, 5))
QUANTILE_COLUMNS: Final = tuple(f"quantile_{percent:02d}" for percent in range(5, 100, 5))
# What is held to an expiration two weeks or a month away; rows of the 168h slice, no slices of their own.
FAR_SESSIONS: Final = (10, 21)

PREDICTIONS_PRICE: Final = Table(
    "predictions", "price", "ticker_horizon", ("ticker", "horizon", "session", "model", "sessions_ahead"),
    (
        TICKER, HORIZON, SESSION,
        Column("target_session", "date", "session at which the forecast ends: at its open (12h) or its close",
               nullable=False),
        Column("sessions_ahead", "int64", "exchange sessions from session to target_session; 1 for 12h (the next open) "
               "and 24h (the next close); 10 and 21 stand in the slice 168h", nullable=False, minimum=1),
        text("model", "model or baseline name", nullable=False),
        Column("fold", "int64", "fold whose model made the forecast; 0 where every session's is computed anew from all "
               "outcomes known by then", nullable=False, minimum=0),
        Column("fitted_through", "date", "last target session whose outcome was used; not after session",
               nullable=False),
        price("close", "close of the session, split-adjusted"),
        price("y_true", "price at the target, split-adjusted; NULL while the future is not there", nullable=True),
        number("forward_return", "y_true over close, minus 1; NULL while the future is not there"),
        price("y_pred", "forecast price: the median where there is a distribution", nullable=True),
        *(
            price(name, f"price that is not exceeded with probability {level:.0%}; NULL for a point without a "
                  "distribution", nullable=True)
            for name, level in zip(QUANTILE_COLUMNS, QUANTILE_LEVELS, strict=True)
        ),
        price("interval_low", "lower end of the 90 % interval", nullable=True),
        price("interval_high", "upper end of the 90 % interval", nullable=True),
        text("scale_source", "what the width follows: index and realised volatility, the index of another's options "
             "and realised volatility, realised volatility alone, or nothing; NULL for a point", allowed=SCALE_SOURCES),
        text("volatility_third", "third of the past that the session's volatility lies in: of the index, or of hv_20 "
             "where the index has no 250 sessions yet; NULL before", allowed=VOLATILITY_THIRDS),
        Column("is_baseline", "bool", "whether the row belongs to a naive baseline", nullable=False),
        Column("is_out_of_sample", "bool", "True by construction: fitted_through is not after session", nullable=False),
        text("model_version", "model of the forecast, as in models.registry; NULL for a baseline, and where every "
             "session's forecast is computed anew"),
    ),
    "Out-of-sample forecasts of the price at the target: points, distributions and their baselines.",
    may_be_empty=True,
)  # fmt: skip
