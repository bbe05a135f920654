"""What would be said if the session that is under way closed now. Replaced each time, never kept, never learnt from."""

from __future__ import annotations

from typing import Final

from trading_dag.schemas.opportunities import OPPORTUNITIES
from trading_dag.schemas.signals import RECOMMENDATION
from trading_dag.schemas.table import HORIZON, TICKER, Column, Table, number, price

_AS_OF: Final = (
    Column("session", "date", "session that is under way; no row of it is final", nullable=False),
    Column("is_provisional", "bool", "always true: the session has not closed", nullable=False),
    Column("as_of", "timestamp", "when the last bar ended that the row rests on", nullable=False),
    Column("computed_at", "timestamp", "when the row was made", nullable=False),
    number("delay_minutes", "from as_of to computed_at: how old the vendor's data were", minimum=0.0, nullable=False),
)

PROVISIONAL: Final = Table(
    "signals", "provisional", "ticker", ("ticker", "horizon", "rule"),
    (
        TICKER, HORIZON, RECOMMENDATION.column("rule"), *_AS_OF,
        Column("bars", "int64", "hours of the session that had ended", minimum=1, nullable=False),
        price("spot", "close of the last of them"),
        Column("chain_as_of", "timestamp", "when the options were quoted; NULL where no chain of the session is to be "
               "had and the surface of the last close prices them"),
        Column("features_so_far", "int64", "features computed from the closes so far", minimum=0, nullable=False),
        Column("features_of_range", "int64", "of those, what reads the high or low, which may still widen", minimum=0,
               nullable=False),
        Column("features_at_last_close", "int64", "features that keep the value of the last close", minimum=0,
               nullable=False),
        Column("features_missing", "int64", "features that have neither", minimum=0, nullable=False),
        number("probability_up", "of a close above the spot at the target; NULL without a forecast", minimum=0.0,
               maximum=1.0),
        number("forecast_price", "of the served forecast of the price, USD", minimum=0.0),
        number("quantile_05", "5 % quantile of its distribution, USD", minimum=0.0),
        number("quantile_95", "95 % quantile, USD", minimum=0.0),
        *(column for column in RECOMMENDATION.columns
          if column.name not in ("ticker", "horizon", "session", "rule")),
    ),
    "Forecast and recommendation of the session under way, from its hours so far: provisional, replaced each time.",
    session_column=None, may_be_empty=True,
)  # fmt: skip

PROVISIONAL_OPPORTUNITIES: Final = Table(
    "signals", "provisional_opportunities", "ticker",
    tuple(name for name in OPPORTUNITIES.key if name != "session"),
    (
        TICKER, HORIZON, *_AS_OF,
        *(column for column in OPPORTUNITIES.columns if column.name not in ("ticker", "horizon", "session")),
    ),
    "Every structure valued as if the session under way closed now: provisional, replaced each time.",
    session_column=None, may_be_empty=True,
)  # fmt: skip
