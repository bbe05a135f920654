"""The files of a user's folder by the kind of data that they hold, each opened in the shape of its kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from resources.sources.files.event_shapes import SHAPES as EVENT_SHAPES
from resources.sources.files.folder import INDEX_SYMBOLS, PRICES, FolderFiles
from resources.text_files.column_file import ColumnFile, FileShape, ReadingRules
from resources.text_files.column_names import COLUMNS_VARIABLE
from trading_dag.errors import ConfigurationError
from trading_dag.schemas import MACRO, VOLATILITY_INDEX

_PRICE_COLUMNS: Final = ("open", "high", "low", "close")
# What follows where an optional kind is off.
COSTS: Final = {
    VOLATILITY_INDEX.name: "without it there are no IV features, no IV regime and so no option structure to trade",
    MACRO.name: "without it macro features are NULL and options are discounted at a fixed rate",
}
SHAPES: Final[dict[str, FileShape]] = {
    PRICES: FileShape(
        {"ticker": "text", "session": "date", **dict.fromkeys((*_PRICE_COLUMNS, "adj_close", "volume"), "number")},
        time="session", key="ticker", is_key_unique=True,
        optional=dict.fromkeys(("split_factor", "dividend"), "number"),
    ),
    VOLATILITY_INDEX.name: FileShape(
        {"symbol": "text", "session": "date", **dict.fromkeys(_PRICE_COLUMNS, "number")},
        time="session", key="symbol", is_key_unique=True,
    ),
    MACRO.name: FileShape(
        {"series_id": "text", "observation_date": "date", "value": "number"},
        time="observation_date", key="series_id", is_key_unique=True,
    ),
    "dividends": FileShape(
        {"ticker": "text", "ex_dividend_date": "date", "cash_amount": "number"},
        time="ex_dividend_date", key="ticker", optional={"currency": "text"},
    ),
    **EVENT_SHAPES,
}  # fmt: skip


class FilesByKind:
    """Finds which file of the folder holds which kind of data.

    Parameters
    ----------
    folder : the user's folder; None where it is not configured, which every question for a file answers with an error.
    rules : what the user says about columns, time zones and dates.

    Raises
    ------
    ConfigurationError : for columns of a file or a kind that does not exist.
    """

    def __init__(self, folder: Path | None, rules: ReadingRules) -> None:
        self.folder = folder
        self.files = FolderFiles(folder)
        self.rules = rules
        require_known_columns(rules.columns)

    def file_of(self, kind: str) -> ColumnFile | None:
        """Return the one file of a kind; None where there is none.

        Raises
        ------
        SourceOffError : where there is no folder.
        SourceFormatError : where there are two.
        """
        path = self.files.only((kind,), kind=kind)
        return None if path is None else ColumnFile(path, kind, SHAPES[kind], self.rules)

    def file_of_ticker(self, ticker: str) -> ColumnFile | None:
        """Return the ticker's own file of daily prices; None where there is none.

        Raises
        ------
        SourceOffError, SourceFormatError : as ``file_of``.
        """
        path = self.files.of_ticker(ticker)
        return None if path is None else ColumnFile(path, PRICES, SHAPES[PRICES], self.rules, owner=ticker)

    def file_exists(self, kind: str) -> bool:
        """Return whether at least one file of the kind is there."""
        return kind in self.files.paths

    @property
    def known_names(self) -> tuple[str, ...]:
        """Return the names, without suffix, under which a file is recognized."""
        return tuple(SHAPES)

    def index_files(self, symbols: Iterable[str] = INDEX_SYMBOLS) -> list[ColumnFile]:
        """Return the files that hold one volatility index each, for those of the indices that have one."""
        shape, kind = SHAPES[VOLATILITY_INDEX.name], VOLATILITY_INDEX.name
        own = {symbol: self.files.of_symbol(symbol) for symbol in sorted(symbols)}
        return [ColumnFile(path, kind, shape, self.rules, owner=symbol) for symbol, path in own.items() if path]

    def absence(self, kind: str, file: str = "") -> str:
        """Return why a kind is off, which file would switch it on, and what its absence costs."""
        own = {PRICES: ", nor a file of a ticker such as GLD.csv", VOLATILITY_INDEX.name: ", nor VIX.csv"}.get(kind, "")
        cost = f"; {COSTS[kind]}" if kind in COSTS else ""
        name = file or kind
        return f"{name}.parquet or {name}.csv is not in {self.folder}{own}{cost}"


def require_known_columns(columns: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse a setting about a file or a column that is never read.

    Raises
    ------
    ConfigurationError : naming it and the known ones.
    """
    for kind, names in columns.items():
        if kind not in SHAPES:
            raise ConfigurationError(f"{COLUMNS_VARIABLE} names {kind!r}, which is not one of {', '.join(SHAPES)}")
        for name in names:
            if name not in SHAPES[kind].kinds:
                raise ConfigurationError(
                    f"{COLUMNS_VARIABLE} names {name!r} of {kind}, which has {', '.join(SHAPES[kind].kinds)}"
                )
