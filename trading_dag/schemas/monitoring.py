"""How far data and accuracy have moved."""

from __future__ import annotations

from typing import Final

from trading_dag.schemas.table import HORIZON, TICKER, Column, Table, number, text

DRIFT: Final = Table(
    "monitoring", "drift", "ticker_horizon", ("ticker", "horizon", "as_of_session", "feature"),
    (
        TICKER, HORIZON,
        Column("as_of_session", "date", "last session of the recent window", nullable=False),
        text("feature", "feature name", nullable=False),
        number("psi", "population stability index of the recent window against the training window", minimum=0.0),
        number("psi_limit", "95 % quantile of the same statistic on blocks of the training window", minimum=0.0),
        Column("is_breached", "bool", "psi above its limit", nullable=False),
        Column("n_recent", "int64", "sessions in the recent window", nullable=False, minimum=0),
        Column("n_reference", "int64", "sessions in the training window", nullable=False, minimum=0),
    ),
    "How far each safe feature has moved from the window the model was trained on.",
    session_column="as_of_session",
)  # fmt: skip
