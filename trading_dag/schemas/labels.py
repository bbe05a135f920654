"""What models learn to forecast."""

from __future__ import annotations

from typing import Final

from trading_dag.schemas.table import HORIZON, SESSION, TICKER, Column, Table, number, price, text
from trading_dag.schemas.vocabulary import DIRECTIONS, INDEX_SOURCES, IV_REGIMES, SPREAD_CLASSES

TARGETS: Final = Table(
    "labels", "targets", "ticker_horizon", ("ticker", "horizon", "session"),
    (
        TICKER, HORIZON, SESSION,
        Column("target_session", "date", "session at which the horizon ends", nullable=False),
        price("target_price", "split-adjusted open (12h) or close (others) of the target session"),
        number("forward_return", "target price over the close of the session, minus 1", minimum=-0.95, maximum=10.0,
                nullable=False),
        text("direction", "UP, DOWN, or AMBIGUOUS within the dead band", allowed=DIRECTIONS, nullable=False),
        text(
            "iv_regime",
            "iv_rank at the target session's close: LOW below 30, NORMAL below 60, else HIGH; NULL without an index",
            allowed=IV_REGIMES,
        ),
        text("iv_source", "whose options that iv_rank is of: index of the ticker's own, proxy_index of another's",
             allowed=INDEX_SOURCES),
        text("spread_class", "which credit spread the move would have paid", allowed=SPREAD_CLASSES),
    ),
    "What happened after each session. Absent where the future is not there yet.",
)  # fmt: skip
