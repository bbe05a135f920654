"""The ``files`` source: a folder of Parquet or CSV files that the user owns, one file per kind.

Each kind has its file, as ``.parquet`` or ``.csv``; a missing file switches its kind off. ``dividends`` is optional
and fills the dividend column for the tickers it covers. Reading only the rows asked for, checking the shape and
deriving what the files do not say belong here; importers of other people's formats do not. The shapes of
``prices_hourly``, ``news_headlines``, ``apewisdom``, ``news_sentiment``, ``earnings`` and ``fomc_dates`` are in
``event_files.py``, that of ``hull_train`` is in ``hull.py``.

==================  ===================================================================================
file                columns (others are ignored)
==================  ===================================================================================
prices_daily        ticker, session, open, high, low, close, adj_close, volume [, split_factor, dividend]
volatility_index    symbol, session, open, high, low, close
macro               series_id, observation_date, value
dividends           ticker, ex_dividend_date, cash_amount [, currency]
==================  ===================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import pandas as pd

from resources.column_files import ColumnFile, FileShape, KeyFilter
from resources.file_events import FILE_OF_KIND, FileEvents
from resources.hull import NAMES_IN_FOLDER, HullFile
from resources.raw_frames import (
    IMPORT_CHAINS,
    THREE_MONTH_INDEX,
    on_sessions,
    require_rows,
    since_session,
    switched_off,
    table_frame,
    with_index_columns,
)
from resources.source import SourceStatus
from trading_dag.economic_schedule import SERIES_OF_EVENT
from trading_dag.errors import SourceFormatError, SourceOffError
from trading_dag.publication_lags import known_on
from trading_dag.schemas import HULL_MARKET, MACRO, MACRO_SERIES, OPTION_CHAIN, PRICES_DAILY, VOLATILITY_INDEX, Table
from trading_dag.sessions import all_sessions, last_closed_session
from trading_dag.slices import validate_ticker
from trading_dag.underlyings import FALLBACK_VOLATILITY_INDEX, usual_volatility_index

NAME: Final = "files"
CHAIN_FILES: Final = "option_chain*.parquet"
FOLDER_VARIABLE: Final = "TRADING_DAG_FILES"
_PRICE_COLUMNS: Final = ("open", "high", "low", "close")
SHAPES: Final = {
    PRICES_DAILY.name: FileShape(
        "ticker", "session", (*_PRICE_COLUMNS, "adj_close", "volume"), optional_numbers=("split_factor", "dividend")
    ),
    VOLATILITY_INDEX.name: FileShape("symbol", "session", _PRICE_COLUMNS),
    MACRO.name: FileShape("series_id", "observation_date", ("value",)),
}
DAILY_TABLES: Final = (PRICES_DAILY, VOLATILITY_INDEX, MACRO)
DIVIDENDS_SHAPE: Final = FileShape("ticker", "ex_dividend_date", ("cash_amount",), optional_texts=("currency",))


class FilesSource:
    """Raw tables from a folder.

    Parameters
    ----------
    folder : the user's folder; None where it is not configured, which every fetch answers with an error.
    companies_of : whose earnings count for a ticker.
    index_of : the volatility index of a ticker.
    hull_file : the file of the Hull Tactical competition, where it is not the folder's.
    """

    name = NAME
    has_earlier_chains = True

    def __init__(
        self,
        folder: Path | None,
        *,
        companies_of: Callable[[str], tuple[str, ...]] = lambda ticker: (ticker,),
        index_of: Callable[[str], str] = usual_volatility_index,
        hull_file: Path | None = None,
    ) -> None:
        self.folder = folder
        self._index_of = index_of
        self.hull = HullFile(hull_file, source=NAME, find=lambda: self._one_of(NAMES_IN_FOLDER, kind=HULL_MARKET.name))
        self._events = FileEvents(self._only, companies_of=companies_of, source=NAME)

    def tickers(self) -> frozenset[str]:
        """Every ticker that the folder has daily bars of.

        Raises
        ------
        SourceOffError, SourceFormatError : as for prices; without their file it is off.
        """
        file = self._file(PRICES_DAILY)
        if file is None:
            raise SourceOffError(
                source=NAME,
                request=PRICES_DAILY.name,
                problem=str(self._off(PRICES_DAILY).attrs["source_off"]),
                remedy="Add the file.",
            )
        return file.keys()

    def prices_daily(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Bars of one ticker. ``split_factor`` and ``dividend`` are NULL where no file says them.

        Raises
        ------
        SourceOffError : where no folder is configured, or it is not there.
        SourceFormatError : for a file in another shape, doubled or future sessions.
        EmptySourceError : for a ticker that the file does not have.
        """
        validate_ticker(ticker)
        file = self._file(PRICES_DAILY)
        if file is None:
            return self._off(PRICES_DAILY)
        bars = file.read(KeyFilter((ticker,), since))
        bars = on_sessions(_no_future(bars, file, "session"), source=NAME, what=f"{ticker} in {file.path.name}")
        bars = require_rows(
            bars,
            source=NAME,
            request=f"{file.path.name}: ticker={ticker}{_since_text(since)}",
            problem="the file has no such rows",
            remedy="Add them to the file, or ask for a ticker and a period that it has.",
        )
        if "dividend" not in bars.columns:
            bars = bars.assign(dividend=self._dividends(ticker, bars["session"]))
        return table_frame(bars, PRICES_DAILY, source=NAME)

    def volatility_index(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """The ticker's index, or VIX (and ``symbol`` says so) where the file does not have it.

        Rows on days that are no exchange session, which VIX has, are left out. Open, high and low may be NULL.

        Raises
        ------
        SourceOffError, SourceFormatError, EmptySourceError : as for prices.
        """
        own = self._index_of(validate_ticker(ticker))
        file = self._file(VOLATILITY_INDEX)
        if file is None:
            return self._off(VOLATILITY_INDEX)
        wanted = dict.fromkeys((own, FALLBACK_VOLATILITY_INDEX, THREE_MONTH_INDEX))
        rows = file.read(KeyFilter(tuple(wanted), None)).dropna(subset=["close"])
        rows = _no_future(rows, file, "session")
        rows = rows[rows["session"].isin(all_sessions())]
        symbol = own if (rows["symbol"] == own).any() else FALLBACK_VOLATILITY_INDEX
        index = require_rows(
            since_session(rows[rows["symbol"] == symbol], since),
            source=NAME,
            request=f"{file.path.name}: symbol={symbol}{_since_text(since)}",
            problem="the file has no such rows",
            remedy=f"Add rows of {own} or of {FALLBACK_VOLATILITY_INDEX} to the file.",
        )
        three_month = rows[rows["symbol"] == THREE_MONTH_INDEX]
        named = with_index_columns(index, three_month, ticker=ticker, symbol=symbol)
        return table_frame(named, VOLATILITY_INDEX, source=NAME)

    def macro(self, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Observations with a documented publication lag (``latest_vintage``: revisions stay in).

        Series that the project does not use are left out, and so are missing values (holidays).

        Raises
        ------
        SourceOffError, SourceFormatError, EmptySourceError : as for prices.
        """
        file = self._file(MACRO)
        if file is None:
            return self._off(MACRO)
        rows = file.read(KeyFilter(MACRO_SERIES, since)).dropna(subset=["value"])
        rows = require_rows(
            _no_future(rows, file, "observation_date"),
            source=NAME,
            request=f"{file.path.name}: {', '.join(MACRO_SERIES)}{_since_text(since)}",
            problem="the file has no such rows",
            remedy="Add observations of these series to the file, or remove it to switch macro data off.",
        )
        return table_frame(with_documented_lags(rows), MACRO, source=NAME)

    def option_chain(self, ticker: str, *, session: pd.Timestamp) -> pd.DataFrame:
        """One session's chain from the files ``option_chain*.parquet`` of the folder, whose rows are taken together.

        Raises
        ------
        SourceOffError : where no folder is configured, or it is not there.
        SourceFormatError : for a file in another shape.
        EmptySourceError : where the files have no quotes of that ticker and session.
        """
        from resources.chain_files import open_chain_file
        from trading_dag.options.chain import repeated_rows

        validate_ticker(ticker)
        paths = sorted(self._existing_folder().glob(CHAIN_FILES))
        if not paths:
            return switched_off(OPTION_CHAIN, source=NAME, reason=f"{CHAIN_FILES} is not in {self.folder}")
        pieces = [
            rows[(rows["ticker"] == ticker) & (rows["quote_date"] == session)]
            for path in paths
            for rows in (sifted.kept for sifted in open_chain_file(path).batches())
        ]
        found = require_rows(
            pd.concat([piece for piece in pieces if len(piece)] or pieces[:1], ignore_index=True),
            source=NAME,
            request=f"{CHAIN_FILES}: ticker={ticker}, quote_date={session:%Y-%m-%d}",
            problem="the files have no such rows",
            remedy="Add them to a file, or ask for a session that they have.",
        )
        copies, conflicts = repeated_rows(found)
        chain = found[~(copies | conflicts)].sort_values(list(OPTION_CHAIN.key), ignore_index=True)
        chain.attrs["source"] = NAME
        return chain

    def present_chain_session(self, ticker: str, *, now: pd.Timestamp) -> pd.Timestamp | None:  # noqa: ARG002
        """None: chains of a folder come in by ``trading-dag import-chains``, all sessions at once."""
        return None

    def prices_hourly(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Bars of one ticker, see ``FileEvents.prices_hourly``."""
        return self._events.prices_hourly(validate_ticker(ticker), since=since)

    def news(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """The market's headlines, see ``FileEvents.news``."""
        return self._events.news(validate_ticker(ticker), since=since)

    def social_mentions(self, ticker: str) -> pd.DataFrame:
        """Every snapshot of the file, see ``FileEvents.social_mentions``."""
        return self._events.social_mentions(validate_ticker(ticker))

    def news_sentiment(self, ticker: str) -> pd.DataFrame:
        """Every snapshot of the file, see ``FileEvents.news_sentiment``."""
        return self._events.news_sentiment(validate_ticker(ticker))

    def earnings(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Days of announcements, see ``FileEvents.earnings``."""
        return self._events.earnings(validate_ticker(ticker), since=since)

    def economic_calendar(self, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Decisions as on file, releases as listed or by rule, see ``FileEvents.economic_calendar``."""
        file = self._file(MACRO)
        values = file.read(KeyFilter(tuple(SERIES_OF_EVENT.values()), None)) if file else None
        return self._events.economic_calendar(values, since=since)

    def describe(self) -> list[SourceStatus]:
        """Which files are there."""
        daily = [self._status(table.name, table.name, if_absent="missing") for table in DAILY_TABLES]
        events = [self._status(kind, file, if_absent="off") for kind, file in FILE_OF_KIND.items()]
        return [*daily, self._chain_status(), *events, self.hull.describe()]

    def _status(self, kind: str, file: str, *, if_absent: Literal["off", "missing"]) -> SourceStatus:
        wanted = f"{file}.parquet or {file}.csv"
        if self.folder is None or not self.folder.is_dir():
            detail = "no folder is configured" if self.folder is None else f"{self.folder} is no folder"
            return SourceStatus(kind, "missing", detail, f"set {FOLDER_VARIABLE} to your data folder")
        found = self._candidates(file)
        if len(found) == 1:
            return SourceStatus(kind, "on", str(found[0]))
        if found:
            return SourceStatus(kind, "missing", f"two files in {self.folder}", f"keep one: {wanted}")
        return SourceStatus(kind, if_absent, f"not in {self.folder}", f"add {wanted}")

    def _chain_status(self) -> SourceStatus:
        paths = [] if self.folder is None else sorted(self.folder.glob(CHAIN_FILES))
        if paths:
            return SourceStatus(OPTION_CHAIN.name, "on", ", ".join(str(path) for path in paths))
        return SourceStatus(OPTION_CHAIN.name, "off", f"no {CHAIN_FILES} in {self.folder}", IMPORT_CHAINS)

    def _candidates(self, name: str) -> list[Path]:
        return self._present((f"{name}.parquet", f"{name}.csv"))

    def _present(self, names: tuple[str, ...]) -> list[Path]:
        folder = self._existing_folder()
        return [path for path in (folder / name for name in names) if path.is_file()]

    def _existing_folder(self) -> Path:
        if self.folder is None or not self.folder.is_dir():
            raise SourceOffError(
                source=NAME,
                request="any file",
                problem="no data folder is configured" if self.folder is None else f"{self.folder} is no folder",
                remedy=f"Set {FOLDER_VARIABLE} to the folder with your Parquet or CSV files.",
            )
        return self.folder

    def _file(self, table: Table) -> ColumnFile | None:
        return self._column_file(table.name, SHAPES[table.name])

    def _column_file(self, name: str, shape: FileShape) -> ColumnFile | None:
        path = self._only(name)
        return ColumnFile(path, shape, source=NAME) if path else None

    def _only(self, name: str) -> Path | None:
        return self._one_of((f"{name}.parquet", f"{name}.csv"), kind=name)

    def _one_of(self, names: tuple[str, ...], *, kind: str) -> Path | None:
        found = self._present(names)
        if len(found) > 1:
            raise SourceFormatError(
                source=NAME,
                request=kind,
                problem=f"there are two files of one kind: {found[0].name} and {found[1].name}",
                remedy="Keep one of them.",
            )
        return found[0] if found else None

    def _off(self, table: Table) -> pd.DataFrame:
        return switched_off(
            table, source=NAME, reason=f"{table.name}.parquet or {table.name}.csv is not in {self.folder}"
        )

    def _dividends(self, ticker: str, sessions: pd.Series) -> pd.Series:
        """Cash per share by session: known from the first to the last ex-date on file, NaN outside."""
        file = self._column_file("dividends", DIVIDENDS_SHAPE)
        unknown = pd.Series(float("nan"), index=sessions.index)
        if file is None:
            return unknown
        paid = file.read(KeyFilter((ticker,), None), is_key_unique=False)
        if "currency" in paid.columns:
            paid = paid[paid["currency"].isna() | (paid["currency"] == "USD")]
        if paid.empty:
            return unknown
        amounts = paid.groupby("ex_dividend_date")["cash_amount"].sum()
        is_covered = sessions.between(amounts.index.min(), amounts.index.max())
        return sessions.map(amounts).fillna(0.0).where(is_covered)


def with_documented_lags(observations: pd.DataFrame) -> pd.DataFrame:
    """Add ``known_on`` by documented lag and the vintage tag that goes with it.

    Parameters
    ----------
    observations : columns series_id, observation_date, value; at least one row.
    """
    parts = [
        part.assign(known_on=known_on(str(series_id), pd.DatetimeIndex(part["observation_date"])))
        for series_id, part in observations.groupby("series_id", sort=True)
    ]
    return pd.concat(parts).assign(vintage="latest_vintage")


def _no_future(rows: pd.DataFrame, file: ColumnFile, column: str) -> pd.DataFrame:
    late = rows.loc[rows[column] > last_closed_session(), column]
    if len(late):
        raise file.format_error(f"{len(late)} rows lie in the future, the first on {late.min():%Y-%m-%d}", column)
    return rows


def _since_text(since: pd.Timestamp | None) -> str:
    return "" if since is None else f" since {since:%Y-%m-%d}"
