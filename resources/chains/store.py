"""Option chains on disk: one file a ticker and year, sorted, in row groups that a date range can skip.

Merging rows into a slice and reading the part of it that is asked for belong here. Formats of other people's files are
``importing.files``', a whole import with its record is ``importing.importer``'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd

from resources.chains.filter import ChainFilter, as_day, within
from resources.chains.merge import OUTCOMES, MergeCounts, MergedPieces, merge_pieces
from resources.chains.one_kind import require_one_kind
from resources.chains.year_file import (
    BY_TICKER,
    ChainPart,
    chain_key_of,
    day_digests,
    overlapping_groups,
    read_groups,
    whole_digest,
    with_digests,
)
from resources.storage.column_upgrade import ensure_schema_file
from resources.storage.parquet_store import ParquetStore
from resources.storage.slices.format import (
    check_columns,
    check_owner,
    open_parquet,
    provenance_of,
    readable,
    to_arrow,
    to_pandas,
)
from resources.storage.slices.paths import FILE_NAME, slice_parts
from resources.storage.slices.record import SliceKey
from trading_dag.errors import SliceNotFoundError, StorageError
from trading_dag.options.chains.rows import repeated_rows
from trading_dag.quality import empty_frame
from trading_dag.schemas import OPTION_CHAIN
from trading_dag.slices import validate_ticker

if TYPE_CHECKING:
    import pyarrow.parquet as pq
    from filelock import BaseFileLock

    from resources.chains.verdicts import ChainJudge
    from resources.storage.parquet_store import Provenance

ROW_GROUP_ROWS: Final = 131_072
IMPORTS_FOLDER: Final = ".imports"
_YEAR_FOLDER: Final = "year="

# A chain that is older than that is no session before.
DAYS_BEFORE: Final = pd.Timedelta(days=10)


class ChainStore:
    """Keeps chains below ``root/data/raw/option_chain/ticker=SPY/year=2015/data.parquet``.

    Rows ascend by quote date, expiration, right and strike, in zstd row groups of about 131 thousand. Files are
    replaced at once or not at all, as every slice is; writers of one ticker wait for each other.
    """

    def __init__(self, root: Path) -> None:
        self._slices = ParquetStore(root)
        self.folder = self._slices.table_folder(OPTION_CHAIN)
        # Beside the tables, so that no view takes what is being staged for rows.
        self.imports = self._slices.data / IMPORTS_FOLDER

    def path(self, ticker: str, year: int) -> Path:
        """Return the file of one ticker and year, whether or not it exists.

        Raises
        ------
        UnknownTickerError : for a ticker that may not stand in a path.
        """
        return self.folder / str(SliceKey(validate_ticker(ticker))) / f"{_YEAR_FOLDER}{int(year)}" / FILE_NAME

    def tickers(self) -> list[str]:
        """Return the tickers with any stored chain, sorted."""
        self._slices.refresh(OPTION_CHAIN)
        return sorted({parts["ticker"] for parts in slice_parts(OPTION_CHAIN, self.folder)})

    def years(self, ticker: str) -> list[int]:
        """Return the years with stored chains of a ticker, ascending."""
        self._refresh(ticker)
        parts = slice_parts(OPTION_CHAIN, self.folder)
        return sorted(int(part["year"]) for part in parts if part["ticker"] == ticker)

    def provenance(self, ticker: str, year: int) -> Provenance | None:
        """Return the provenance of one file; None where there is none.

        Raises
        ------
        StorageError : where the file cannot be read, or was not written here.
        """
        path = self.path(ticker, year)
        self._refresh(ticker)
        try:
            file = self._open(path)
        except FileNotFoundError:
            return None
        return provenance_of(file.schema_arrow, BY_TICKER, SliceKey(ticker), path)

    def sources(self, ticker: str) -> tuple[str, ...]:
        """Return the names of the sources of a ticker's stored chains, of whatever year, each once."""
        records = (self.provenance(ticker, year) for year in self.years(ticker))
        names = (name for record in records if record for name in (record.source or "").split("+"))
        return tuple(dict.fromkeys(names))

    def merge(self, ticker: str, year: int, fresh: pd.DataFrame, *, source: str) -> MergeCounts:
        """Merge rows of one source into the slice of a ticker and year, as ``merge_all`` does with several."""
        return self.merge_all(ticker, year, [(fresh, source)])[0]

    def merge_all(
        self,
        ticker: str,
        year: int,
        pieces: Sequence[tuple[pd.DataFrame, str]],
        *,
        judge: ChainJudge | None = None,
    ) -> list[MergeCounts]:
        """Merge pieces into the slice of a ticker and year, one after the other, and write the file once.

        Where a key is stored already, what the fresh row says replaces what is stored; what it does not say (NULL)
        erases nothing. Merging the same rows again changes nothing, not even the file.

        Parameters
        ----------
        pieces : rows of ``raw.option_chain`` of that ticker and year, in any order, and what they came from. Of
            repeated keys in a piece equal rows count once, and differing ones not at all. The source is for the
            provenance: that of a piece which changed anything is joined by ``+`` to what is there.
        judge : looks at each session as it would be stored; one that it objects to stays as it is stored. None where
            the rows have been judged.

        Returns
        -------
        What came of each piece, given those before it.

        Raises
        ------
        SchemaError : where the rows break the schema or belong to another ticker; what is stored stays.
        StorageError : for rows of another year, or a stored file that cannot be read.
        SourceMismatchError : for last trades of daily bars beside quotes, whichever of them is stored.
        """
        for fresh, _ in pieces:
            strangers = fresh.loc[fresh["quote_date"].dt.year != year, "quote_date"]
            if len(strangers):
                raise StorageError(
                    f"{BY_TICKER.qualified_name} of {year} was handed rows of {strangers.iloc[0]:%Y-%m-%d}"
                )
        repeated = [repeated_rows(fresh) for fresh, _ in pieces]
        unique = [fresh[~(copies | other)] for (fresh, _), (copies, other) in zip(pieces, repeated, strict=True)]
        refused: dict[pd.Timestamp, tuple[str, ...]] = {}
        with self.lock(ticker):
            named = [source for fresh, source in pieces if len(fresh)]
            require_one_kind(ticker, stored=self.sources(ticker), fresh=named)
            before = self.provenance(ticker, year)
            days = pd.concat([fresh["quote_date"] for fresh in unique]) if unique else pd.Series(dtype="datetime64[us]")
            part = None if before is None or days.empty else self._part(ticker, year, days.min(), days.max())
            stored = empty_frame(OPTION_CHAIN) if part is None else part.frame()
            merged = merge_pieces(stored, unique)
            while judge is not None and (objections := self._objections(judge, ticker, merged)):
                refused |= objections
                merged = merge_pieces(stored, [fresh[~fresh["quote_date"].isin(list(refused))] for fresh in unique])
            if any(merged.changed):
                known = (before.source or "").split("+") if before is not None else []
                given = [source for (_, source), days in zip(pieces, merged.changed, strict=True) if days]
                sources = "+".join(name for name in dict.fromkeys([*known, *given]) if name)
                self._put(ticker, year, merged.frame, source=sources, part=part)
        return [
            MergeCounts(
                **dict(zip(OUTCOMES, row.tolist(), strict=True)),
                duplicate=int(copies.sum()),
                conflicting_duplicate=int(conflicts.sum()),
                changed_sessions=changed,
                refused_sessions={day: refused[day] for day in sorted(refused) if (fresh["quote_date"] == day).any()},
                failed_check=int(fresh["quote_date"].isin(list(refused)).sum()),
            )
            for row, changed, fresh, (copies, conflicts) in zip(
                merged.counts, merged.changed, unique, repeated, strict=True
            )
        ]

    def _objections(self, judge: ChainJudge, ticker: str, merged: MergedPieces) -> dict[pd.Timestamp, tuple[str, ...]]:
        """Return what speaks against the sessions that a merge would change."""
        days = sorted({day for changed in merged.changed for day in changed})
        if not days:
            return {}
        of_row = merged.frame["quote_date"]
        begin, end = int(of_row.searchsorted(days[0], "left")), int(of_row.searchsorted(days[-1], "right"))
        before = self.read_before(ticker, days[0])
        return judge.objections(merged.frame.iloc[begin:end].reset_index(drop=True), days=days, before=before)

    def read_before(self, ticker: str, session: pd.Timestamp) -> pd.DataFrame | None:
        """Return the rows of the quote date before a session, stored or not; None where none is stored of the ten
        days before.
        """
        if not self.years(ticker):
            return None
        rows = self.read(ticker, first=session - DAYS_BEFORE, last=session - pd.Timedelta(days=1))
        return None if rows.empty else rows[rows["quote_date"] == rows["quote_date"].max()].reset_index(drop=True)

    def forget(self, ticker: str, *, keep_days: int) -> int:
        """Drop sessions quoted more than so many days before the ticker's last stored one; how many quote dates.

        The last session always stays, also where no chain has come for years. A year that is dropped whole is a
        file less; of another one the file is replaced at once.

        Raises
        ------
        StorageError : for less than a day, or a stored file that cannot be read; what is stored stays.
        """
        if keep_days < 1:
            raise StorageError(f"chains are kept for at least a day, not for {keep_days}")
        dropped = 0
        with self.lock(ticker):
            years = self.years(ticker)
            if not years:
                return 0
            newest = self.read(ticker, columns=["quote_date"], first=f"{years[-1]}-01-01")["quote_date"].max()
            first = newest - pd.Timedelta(days=keep_days)
            for year in [year for year in years if year <= first.year]:
                days = self.read(ticker, columns=["quote_date"], first=f"{year}-01-01", last=f"{year}-12-31")[
                    "quote_date"
                ]
                old = days[days < first].nunique()
                dropped += old
                if old == days.nunique():
                    self._slices.home_files.remove(self.path(ticker, year))
                elif old:
                    before = self.provenance(ticker, year)
                    part = self._part(ticker, year, days.min(), first - pd.Timedelta(days=1))
                    rows = part.frame()
                    source = "" if before is None else before.source or ""
                    later_rows = rows[rows["quote_date"] >= first].reset_index(drop=True)
                    self._put(ticker, year, later_rows, source=source, part=part)
        return dropped

    def lock(self, ticker: str) -> BaseFileLock:
        """Lock of a ticker's chains, held across read, merge and write. Reentrant."""
        return self._slices.lock(BY_TICKER, SliceKey(ticker))

    def read(
        self,
        ticker: str,
        *,
        columns: Sequence[str] | None = None,
        first: pd.Timestamp | str | None = None,
        last: pd.Timestamp | str | None = None,
        where: ChainFilter | None = None,
    ) -> pd.DataFrame:
        """Return the stored rows of a ticker, ascending by quote date, expiration, right and strike.

        Parameters
        ----------
        columns : of ``raw.option_chain``; None for all.
        first, last : quote dates, inclusive. Row groups that lie outside are not touched.
        where : which contracts.

        Returns
        -------
        pd.DataFrame on a plain index, without rows where nothing fits.

        Raises
        ------
        SliceNotFoundError : for a ticker without any stored chain.
        StorageError : for a file that cannot be read, or a column that the table does not have.
        """
        pieces = list(self._read(ticker, columns=columns, first=first, last=last, where=where, whole_files=True))
        names = list(OPTION_CHAIN.column_names if columns is None else columns)
        return pd.concat(pieces, ignore_index=True) if pieces else empty_frame(OPTION_CHAIN)[names]

    def batches(
        self,
        ticker: str,
        *,
        columns: Sequence[str] | None = None,
        first: pd.Timestamp | str | None = None,
        last: pd.Timestamp | str | None = None,
        where: ChainFilter | None = None,
    ) -> Iterator[pd.DataFrame]:
        """Return the rows of ``read`` one row group at a time; a quote date may begin in one and end in the next."""
        return self._read(ticker, columns=columns, first=first, last=last, where=where, whole_files=False)

    def _touched(
        self, ticker: str, low: pd.Timestamp | None, high: pd.Timestamp | None
    ) -> Iterator[tuple[Path, pq.ParquetFile, list[int]]]:
        """Yield the files with the row groups to read. Each is opened once: the handle outlives a replacement of the
        file.
        """
        years = self.years(ticker)
        if not years:
            raise SliceNotFoundError(
                f"{OPTION_CHAIN.qualified_name} [ticker={ticker}] is not there yet: "
                "trading-dag import-chains PATH brings it in"
            )
        for year in years:
            if (low is not None and year < low.year) or (high is not None and year > high.year):
                continue
            path = self.path(ticker, year)
            try:
                file = self._open(path)
            except FileNotFoundError:
                continue  # a year that was dropped between the look at the folder and this one
            groups = overlapping_groups(file, low, high)
            if groups:
                yield path, file, groups

    def _read(
        self,
        ticker: str,
        *,
        columns: Sequence[str] | None,
        first: pd.Timestamp | str | None,
        last: pd.Timestamp | str | None,
        where: ChainFilter | None,
        whole_files: bool,
    ) -> Iterator[pd.DataFrame]:
        names = list(OPTION_CHAIN.column_names if columns is None else columns)
        unknown = [name for name in names if name not in OPTION_CHAIN.column_names]
        if unknown:
            raise StorageError(f"{OPTION_CHAIN.qualified_name} has no column {', '.join(unknown)}")
        low, high = as_day(first), as_day(last)
        is_bounded = low is not None or high is not None
        seen = {*names, *(where.columns if where is not None else ()), *(("quote_date",) if is_bounded else ())}
        ordered = [name for name in OPTION_CHAIN.column_names if name in seen]
        for path, file, groups in self._touched(ticker, low, high):
            for wanted in [groups] if whole_files else [[group] for group in groups]:
                frame = _rows(path, file, wanted, ordered)
                passes = within(frame["quote_date"], low, high) if is_bounded else None
                if where is not None:
                    chosen = where.mask(frame)
                    passes = chosen if passes is None else passes & chosen
                wanted_rows = frame if passes is None or bool(passes.all()) else frame[passes]
                yield wanted_rows[names].reset_index(drop=True)

    def _part(self, ticker: str, year: int, first: pd.Timestamp, last: pd.Timestamp) -> ChainPart:
        """Return the row groups of a stored file that rows of these quote dates go into."""
        path = self.path(ticker, year)
        return ChainPart.of(self._open(path), path, first=first, last=last, full=ROW_GROUP_ROWS)

    def _refresh(self, ticker: str) -> None:
        """Bring a ticker's years up to date; under its lock they are what they were when that was taken."""
        folder = self.folder / str(SliceKey(validate_ticker(ticker)))
        if self._slices.home_files.when_locked(folder) and not self.lock(ticker).is_locked:
            self._slices.home_files.refresh_folder(folder)

    def _open(self, path: Path) -> pq.ParquetFile:
        key = chain_key_of(path)
        with readable(BY_TICKER, key, path):
            file = open_parquet(path)
            check_columns(file.schema_arrow, BY_TICKER, key, path)
            check_owner(file, BY_TICKER, key, path)
        return file

    def _put(self, ticker: str, year: int, frame: pd.DataFrame, *, source: str, part: ChainPart | None) -> None:
        """Replace a file: the rows of a part by a frame, the row groups beside it as they are."""
        import pyarrow.parquet as pq

        prepared = self._slices.prepare(BY_TICKER, SliceKey(ticker), frame, source=source)
        digests = day_digests(prepared.frame) if part is None else part.digests(prepared.frame)
        provenance = replace(
            prepared.provenance,
            content_hash=whole_digest(digests),
            rows=len(prepared.frame) + (0 if part is None else part.rows_beside),
            first_session=min(digests, default=None),
            last_session=max(digests, default=None),
        )
        arrow = with_digests(to_arrow(prepared.frame, OPTION_CHAIN, provenance), digests)
        ensure_schema_file(self._slices, OPTION_CHAIN)
        path = self.path(ticker, year)
        path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in path.parent.glob(f".{FILE_NAME}.*.tmp"):
            leftover.unlink(missing_ok=True)

        def write(target: Path) -> None:
            with pq.ParquetWriter(target, arrow.schema, compression="zstd", write_page_checksum=True) as writer:
                for group in () if part is None else part.before():
                    writer.write_table(group.cast(arrow.schema))
                if len(arrow):
                    writer.write_table(arrow, row_group_size=ROW_GROUP_ROWS)
                for group in () if part is None else part.after():
                    writer.write_table(group.cast(arrow.schema))

        self._slices.home_files.replace(path, write)


def _rows(path: Path, file: pq.ParquetFile, groups: list[int], columns: list[str]) -> pd.DataFrame:
    return to_pandas(read_groups(path, file, groups, columns=columns), OPTION_CHAIN)
