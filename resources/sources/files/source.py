"""The ``files`` source: a folder of Parquet or text files that the user owns, one file a kind or one a ticker.

A missing file switches its kind off. ``dividends`` is optional and fills the dividend column of the tickers it covers.
The meaning of the columns, and deriving what the files do not say, belong here; importers of foreign formats do not.
``files.folder`` finds the files, ``text_files.column_file`` reads them. The shapes of files of
events are in ``files.event_shapes.py``, that of ``hull_train`` is in ``hull.py``.

==================  ===================================================================================
file                columns (others are ignored), or as ``column_names`` knows them
==================  ===================================================================================
prices_daily        ticker, session, open, high, low, close, adj_close, volume [, split_factor, dividend]
GLD                 the same without ticker, of the ticker that the file's name says
volatility_index    symbol, session, open, high, low, close
VIX, ^VIX           the same without symbol
macro               series_id, observation_date, value
dividends           ticker, ex_dividend_date, cash_amount [, currency]
==================  ===================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from resources.left_out import LEFT_OUT, with_note
from resources.raw_frames import (
    THREE_MONTH_INDEX,
    on_sessions,
    raw_frame,
    require_rows,
    since_session,
    switched_off,
    with_index_columns,
    with_notes,
)
from resources.sources.files.by_kind import FilesByKind
from resources.sources.files.events import FileEvents
from resources.sources.files.folder import NAME, PRICES
from resources.sources.files.status import folder_statuses
from resources.sources.hull_file import NAMES_IN_FOLDER, HullFile
from resources.sources.running_session import hours_that_ended, no_chain_so_far
from resources.sources.status import SourceStatus
from resources.text_files.column_file import (
    ColumnFile,
    FileRows,
    ReadingRules,
    canonical_key,
    names_in_words,
)
from trading_dag.errors import SourceFormatError, SourceOffError
from trading_dag.releases.publication_lags import known_on
from trading_dag.releases.schedule import SERIES_OF_EVENT
from trading_dag.schemas import HULL_MARKET, MACRO, MACRO_SERIES, OPTION_CHAIN, PRICES_DAILY, VOLATILITY_INDEX, Table
from trading_dag.sessions import all_sessions, last_closed_session
from trading_dag.slices import validate_ticker
from trading_dag.underlyings import FALLBACK_VOLATILITY_INDEX, usual_volatility_index

CHAIN_FILES: Final = "option_chain*.parquet"
# yfinance writes 0 where there is no split; everywhere else 1 means none.
_YFINANCE_SPLITS: Final = "Stock Splits"


class FilesSource:
    """Reads raw tables from a user's folder.

    Parameters
    ----------
    folder : the user's folder; None where it is not configured, which every fetch answers with an error.
    companies_of : whose earnings count for a ticker.
    index_of : the volatility index of a ticker.
    hull_file : the file of the Hull Tactical competition, where it is not the folder's.
    rules : what the user says about columns, time zones and dates.

    Raises
    ------
    ConfigurationError : for columns of a file or a kind that does not exist.
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
        rules: ReadingRules | None = None,
    ) -> None:
        self.folder = folder
        self._index_of = index_of
        self._kinds = FilesByKind(folder, rules or ReadingRules())
        self.hull = HullFile(
            hull_file, source=NAME, find=lambda: self._kinds.files.exact(NAMES_IN_FOLDER, kind=HULL_MARKET.name)
        )
        self._events = FileEvents(self._kinds.file_of, companies_of=companies_of, source=NAME)

    def tickers(self) -> frozenset[str]:
        """Return every ticker for which the folder has daily bars.

        Raises
        ------
        SourceOffError, SourceFormatError : as for prices; without a file of prices the source is off.
        """
        common = self._kinds.file_of(PRICES)
        if common is None and not self._kinds.files.tickers:
            raise SourceOffError(
                source=NAME, request=PRICES, problem=self._kinds.absence(PRICES), remedy="Add one of these files."
            )
        written = [] if common is None else [name for name in common.rows_by_key() if name]
        return frozenset((*written, *map(canonical_key, written), *self._kinds.files.tickers))

    def prices_daily(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return the bars of one ticker, from its own file or the file of all. ``split_factor`` and ``dividend`` are
        NULL where no file gives them.

        Raises
        ------
        SourceOffError : where no folder is configured, or it is not there.
        SourceFormatError : for a file in another shape, doubled or future sessions, or two files with the ticker.
        EmptySourceError : for a ticker that the file does not have.
        """
        file = self._price_file(validate_ticker(ticker))
        if file is None:
            return self._off(PRICES_DAILY)
        rows = file.read([ticker], since=since)
        rows = _known_splits(_no_future(rows, file, "session"), file)
        bars = on_sessions(with_notes(rows.frame, rows.notes), source=NAME, what=f"{ticker} in {file.path.name}")
        bars = require_rows(
            bars.assign(ticker=ticker),
            source=NAME,
            request=f"{file.path.name}: ticker={ticker}{_since_text(since)}",
            problem=f"the file has no such rows{_what_it_has(rows, ticker)}",
            remedy=_how_to_ask(rows, ticker),
        )
        if "dividend" not in bars.columns:
            dividends, notes = self._dividends(ticker, bars["session"])
            bars = with_notes(bars.assign(dividend=dividends), notes)
        return raw_frame(bars, PRICES_DAILY, source=NAME)

    def volatility_index(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return the ticker's index, or VIX (as ``symbol`` then says) where no file has it.

        Rows on days without an exchange session, which VIX has, and rows without a close are left out and counted.
        Open, high and low may be NULL.

        Raises
        ------
        SourceOffError, SourceFormatError, EmptySourceError : as for prices.
        """
        own = self._index_of(validate_ticker(ticker))
        wanted = tuple(dict.fromkeys((own, FALLBACK_VOLATILITY_INDEX, THREE_MONTH_INDEX)))
        indices = [self._index_rows(file, wanted) for file in self._index_files(wanted)]
        if not indices:
            return self._off(VOLATILITY_INDEX)
        rows = pd.concat([one.frame for one in indices], ignore_index=True)
        notes = [note for one in indices for note in one.notes]
        symbol = own if (rows["symbol"] == own).any() else FALLBACK_VOLATILITY_INDEX
        if symbol != own:
            notes.append(f"{own}, the index of {ticker}, is in no file: {symbol} stands in for it")
        index = require_rows(
            since_session(rows[rows["symbol"] == symbol], since),
            source=NAME,
            request=f"{VOLATILITY_INDEX.name}: symbol={symbol}{_since_text(since)}",
            problem=f"no file has such rows{''.join(_what_it_has(one, symbol) for one in indices[:1])}",
            remedy=f"Add rows of {' or of '.join(dict.fromkeys((own, FALLBACK_VOLATILITY_INDEX)))}.",
        )
        three_month = rows[rows["symbol"] == THREE_MONTH_INDEX]
        named = with_index_columns(index, three_month, ticker=ticker, symbol=symbol)
        return with_notes(raw_frame(named, VOLATILITY_INDEX, source=NAME), notes)

    def macro(self, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return observations with a documented publication lag (``latest_vintage``: revisions stay in).

        Series that the project does not use are left out, and so are missing values (holidays); both are counted.

        Raises
        ------
        SourceOffError, SourceFormatError, EmptySourceError : as for prices.
        """
        file = self._kinds.file_of(MACRO.name)
        if file is None:
            return self._off(MACRO)
        rows = _no_future(file.read(MACRO_SERIES, since=since), file, "observation_date")
        unused = {name: count for name, count in rows.keys.items() if canonical_key(name) not in MACRO_SERIES}
        note = (
            f"{file.path.name}: {sum(unused.values()):,} rows of other series ({names_in_words(unused)}) are not used"
        )
        rows = _with_values(rows.where(np.ones(len(rows.frame), dtype=bool), note if unused else ""), file, "value")
        observed = require_rows(
            rows.frame,
            source=NAME,
            request=f"{file.path.name}: {', '.join(MACRO_SERIES)}{_since_text(since)}",
            problem=f"the file has no such rows; it has {names_in_words(rows.keys) or 'none'}",
            remedy="Add observations of these series to the file, or remove it to switch macro data off.",
        )
        return with_notes(raw_frame(with_documented_lags(observed), MACRO, source=NAME), rows.notes)

    def option_chain(self, ticker: str, *, session: pd.Timestamp) -> pd.DataFrame:
        """Return one session's chain from the files ``option_chain*.parquet`` of the folder, read together.

        Raises
        ------
        SourceOffError : where no folder is configured, or it is not there.
        SourceFormatError : for a file in another shape.
        EmptySourceError : where the files have no quotes of that ticker and session.
        """
        from resources.chains.importing.files import open_chain_file
        from trading_dag.options.chains.rows import repeated_rows

        validate_ticker(ticker)
        paths = sorted(self._kinds.files.existing.glob(CHAIN_FILES))
        if not paths:
            return switched_off(OPTION_CHAIN, source=NAME, reason=f"{CHAIN_FILES} is not in {self.folder}")
        pieces, notes = [], []
        for path in paths:
            for rows in open_chain_file(path).batches():
                is_wanted = (rows.kept["ticker"] == ticker) & (rows.kept["quote_date"] == session)
                pieces.append(rows.kept[is_wanted])
                notes += [f"{path.name}: {remark}" for remark in rows.left_out]
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
        if conflicts.any():
            notes.append(f"{conflicts.sum()} rows of one contract contradict each other, so none of them counts")
        if notes:
            chain.attrs[LEFT_OUT] = with_note(*notes)
        return chain

    def present_chain_session(self, ticker: str, *, now: pd.Timestamp) -> pd.Timestamp | None:  # noqa: ARG002
        """Return None: chains in a folder come in through ``trading-dag import-chains``, all sessions at once."""
        return None

    def prices_hourly(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return the bars of one ticker, see ``FileEvents.prices_hourly``."""
        return self._events.prices_hourly(validate_ticker(ticker), since=since)

    def hours_so_far(self, ticker: str, *, now: pd.Timestamp) -> pd.DataFrame:
        """Return the bars of the session under way, where somebody keeps adding them to the file."""
        return hours_that_ended(lambda session: self.prices_hourly(ticker, since=session), source=NAME, now=now)

    def chain_so_far(self, ticker: str, *, now: pd.Timestamp) -> pd.DataFrame:  # noqa: ARG002
        """Return no rows: files hold end-of-day chains."""
        return no_chain_so_far(NAME, "files of chains hold end-of-day quotes")

    def news(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return the market's headlines, see ``FileEvents.news``."""
        return self._events.news(validate_ticker(ticker), since=since)

    def social_mentions(self, ticker: str) -> pd.DataFrame:
        """Return every snapshot of the file, see ``FileEvents.social_mentions``."""
        return self._events.social_mentions(validate_ticker(ticker))

    def news_sentiment(self, ticker: str) -> pd.DataFrame:
        """Return every snapshot of the file, see ``FileEvents.news_sentiment``."""
        return self._events.news_sentiment(validate_ticker(ticker))

    def earnings(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return the days of announcements, see ``FileEvents.earnings``."""
        return self._events.earnings(validate_ticker(ticker), since=since)

    def economic_calendar(self, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return decisions as on file, releases as listed or by rule, see ``FileEvents.economic_calendar``."""
        file = self._kinds.file_of(MACRO.name)
        values = file.read(SERIES_OF_EVENT.values()).frame if file else None
        return self._events.economic_calendar(values, since=since)

    def describe(self) -> list[SourceStatus]:
        """Return which files are there, and whether their columns and first rows can be read."""
        return [*folder_statuses(self._kinds, chains=CHAIN_FILES), self.hull.describe()]

    def _price_file(self, ticker: str) -> ColumnFile | None:
        own, common = self._kinds.file_of_ticker(ticker), self._kinds.file_of(PRICES)
        if own is None or common is None:
            return own or common
        if common.has_key(ticker):
            raise SourceFormatError(
                source=NAME,
                request=f"prices of {ticker}",
                problem=f"{own.path.name} and {common.path.name} both have {ticker}",
                remedy="Keep it in one of them.",
            )
        return own

    def _index_files(self, symbols: tuple[str, ...]) -> list[ColumnFile]:
        """Return the file of all indices and those of the wanted ones."""
        common = self._kinds.file_of(VOLATILITY_INDEX.name)
        single = self._kinds.index_files(symbols)
        for file in single if common is not None else []:
            if common is not None and common.has_key(file.owner or ""):
                raise SourceFormatError(
                    source=NAME,
                    request=f"index {file.owner}",
                    problem=f"{file.path.name} and {common.path.name} both have {file.owner}",
                    remedy="Keep it in one of them.",
                )
        return [*([common] if common else []), *single]

    @staticmethod
    def _index_rows(file: ColumnFile, symbols: tuple[str, ...]) -> FileRows:
        rows = _no_future(_with_values(file.read(symbols), file, "close"), file, "session")
        is_session = rows.frame["session"].isin(all_sessions()).to_numpy()
        strange = rows.frame.loc[~is_session, "session"]
        if strange.empty:
            return rows
        return rows.where(
            is_session,
            f"{file.path.name}: {len(strange):,} rows on days without a session (first {strange.min():%Y-%m-%d}) are "
            "left out",
        )

    def _off(self, table: Table) -> pd.DataFrame:
        return switched_off(table, source=NAME, reason=self._kinds.absence(table.name))

    def _dividends(self, ticker: str, sessions: pd.Series) -> tuple[pd.Series, list[str]]:
        """Return the cash per share by session: known from the first to the last ex-date on file, NaN outside."""
        file = self._kinds.file_of("dividends")
        unknown = pd.Series(float("nan"), index=sessions.index)
        if file is None:
            return unknown, []
        rows = file.read([ticker])
        if "currency" in rows.frame.columns:
            is_usd = (rows.frame["currency"].isna() | (rows.frame["currency"] == "USD")).to_numpy()
            others = int((~is_usd).sum())
            note = f"{file.path.name}: {others:,} dividends of {ticker} in another currency than USD are left out"
            rows = rows.where(is_usd, note if others else "")
        dividends = rows.frame
        if dividends.empty:
            return unknown, list(rows.notes)
        file.require(dividends["cash_amount"].notna(), rows, "cash_amount", "expected the cash of each share")
        amounts = dividends.groupby("ex_dividend_date")["cash_amount"].sum()
        is_covered = sessions.between(amounts.index.min(), amounts.index.max())
        return sessions.map(amounts).fillna(0.0).where(is_covered), list(rows.notes)


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


def _no_future(rows: FileRows, file: ColumnFile, column: str) -> FileRows:
    late = np.flatnonzero((rows.frame[column] > last_closed_session()).to_numpy())
    if len(late):
        first = rows.frame[column].iloc[late[0]]
        raise file.format_error(
            f"{len(late):,} rows lie in the future, the first on {first:%Y-%m-%d} {file.place(rows, int(late[0]))}",
            column,
        )
    return rows


def _with_values(rows: FileRows, file: ColumnFile, column: str) -> FileRows:
    """Return the rows that have a value in the column; the others are counted."""
    is_there = rows.frame[column].notna().to_numpy()
    missing = int((~is_there).sum())
    return rows.where(is_there, f"{file.path.name}: {missing:,} rows without {column} are left out" if missing else "")


def _known_splits(rows: FileRows, file: ColumnFile) -> FileRows:
    """Return the rows with a split factor of 1 where there is no split; 0 is refused, except in yfinance's own
    column."""
    if "split_factor" not in rows.frame.columns:
        return rows
    factors = rows.frame["split_factor"]
    if file.columns["split_factor"] == _YFINANCE_SPLITS:
        rows = rows.where(np.ones(len(factors), dtype=bool))
        return FileRows(
            rows.frame.assign(split_factor=factors.where(factors != 0.0, 1.0)), rows.lines, rows.notes, rows.keys
        )
    file.require(factors.isna() | (factors > 0.0), rows, "split_factor", "expected new shares per old one, 1 for none")
    return rows


def _what_it_has(rows: FileRows, wanted: str) -> str:
    """Return which keys the file has, if the wanted one is not among them."""
    if not rows.keys or any(canonical_key(name) == canonical_key(wanted) for name in rows.keys):
        return ""
    return f"; it has {names_in_words(rows.keys)}"


def _how_to_ask(rows: FileRows, ticker: str) -> str:
    names = [name for name in rows.keys if canonical_key(name) == name]
    if not names or ticker in names:
        return "Add them to the file, or ask for a ticker and a period that it has."
    return (
        f"Add them to the file, or ask for what it has: --tickers {names[0]}, and where that is not in the universe "
        f"TRADING_DAG_UNIVERSE={names[0]}."
    )


def _since_text(since: pd.Timestamp | None) -> str:
    return "" if since is None else f" since {since:%Y-%m-%d}"
