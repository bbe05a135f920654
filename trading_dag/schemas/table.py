"""What describes a table: columns, types, units, keys, bounds.

No pandas here, so that reading a schema costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

ColumnType = Literal["string", "date", "timestamp", "float64", "int64", "bool"]
SliceKind = Literal["none", "ticker", "ticker_horizon", "ticker_year"]


@dataclass(frozen=True)
class Column:
    """Describes one column of a table.

    Attributes
    ----------
    name, type : the column's name and its Arrow-like type (``timestamp`` is UTC, microseconds).
    description : what it means, with its unit.
    nullable : whether NULL is allowed.
    minimum, maximum : inclusive bounds, None for none.
    allowed : the closed set of values of a string column, empty for any.
    """

    name: str
    type: ColumnType
    description: str
    nullable: bool = True
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Describes one table, which is one asset.

    Attributes
    ----------
    group, name : schema in the warehouse (= asset group) and table name.
    slice : what one stored file holds.
    key : columns that identify a row.
    columns : every column, in stored order.
    description : one sentence for the UI and the docs.
    session_column : the column that says which session a row belongs to, None if there is none.
    may_be_empty : whether no rows are in order, as of news that nobody wrote, or of a model that a history is too
        short for.
    is_append_only : whether a stored row stays as it is for good. The store takes no slice that lacks one of them.
    """

    group: str
    name: str
    slice: SliceKind
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    description: str
    session_column: str | None = "session"
    may_be_empty: bool = False
    is_append_only: bool = False
    _by_name: dict[str, Column] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {column.name: column for column in self.columns})

    @property
    def qualified_name(self) -> str:
        """Return ``group.name``, as it is written in SQL."""
        return f"{self.group}.{self.name}"

    @property
    def column_names(self) -> tuple[str, ...]:
        """Return the names of the columns in stored order."""
        return tuple(self._by_name)

    @property
    def slice_columns(self) -> tuple[str, ...]:
        """Return the columns that have one value in every row of a slice."""
        return {"none": (), "ticker": ("ticker",), "ticker_year": ("ticker",), "ticker_horizon": ("ticker", "horizon")}[
            self.slice
        ]

    def column(self, name: str) -> Column:
        """Return the column of that name (KeyError if there is none)."""
        return self._by_name[name]


HORIZON_KEYS: Final = ("12h", "24h", "48h", "72h", "96h", "168h")
TICKER: Final = Column("ticker", "string", "underlying", nullable=False)
HORIZON: Final = Column("horizon", "string", "forecast horizon", nullable=False, allowed=HORIZON_KEYS)
SESSION: Final = Column(
    "session", "date", "exchange session; the row holds what was known at its close", nullable=False
)


def number(
    name: str,
    description: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    nullable: bool = True,
) -> Column:
    return Column(name, "float64", description, nullable=nullable, minimum=minimum, maximum=maximum)


def text(name: str, description: str, *, allowed: tuple[str, ...] = (), nullable: bool = True) -> Column:
    return Column(name, "string", description, nullable=nullable, allowed=allowed)


def price(name: str, description: str, *, nullable: bool = False) -> Column:
    return number(name, f"{description}, USD", minimum=1e-6, nullable=nullable)
