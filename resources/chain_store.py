"""Option chains on disk: one file a ticker and year, sorted, in row groups that a date range can skip.

Merging rows into a slice and reading the part of it that is asked for belong here. Formats of other people's files are
``chain_files``', a whole import with its record is ``chain_import``'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from resources.chain_filter import ChainFilter, as_day, within
from resources.chain_merge import OUTCOMES, UNCHANGED, MergeCounts, merge_chains, rounds
from resources.parquet_store import (
    FILE_NAME,
    ParquetStore,
    SliceKey,
    provenance_of,
    replace_file,
    to_arrow,
    to_pandas,
    unreadable,
)
from trading_dag.errors import SliceNotFoundError, StorageError
from trading_dag.options.chain import repeated_rows
from trading_dag.quality import empty_frame
from trading_dag.schemas import OPTION_CHAIN
from trading_dag.slices import validate_ticker

if TYPE_CHECKING:
    import pyarrow.parquet as pq
    from filelock import BaseFileLock

    from resources.parquet_store import Provenance

ROW_GROUP_ROWS: Final = 131_072
# Validation and locks are those of a ticker's slice; only the folder below it knows the year.
_BY_TICKER: Final = replace(OPTION_CHAIN, slice="ticker")
IMPORTS_FOLDER: Final = ".imports"
_YEAR_FOLDER: Final = "year="


class ChainStore:
    """Chains below ``root/data/raw/option_chain/ticker=SPY/year=2015/data.parquet``.

    Rows ascend by quote date, expiration, right and strike, in zstd row groups of about 131 thousand. Files are
    replaced at once or not at all, as every slice is; writers of one ticker wait for each other.
    """

    def __init__(self, root: Path) -> None:
        self._slices = ParquetStore(root)
        self.folder = self._slices.table_folder(OPTION_CHAIN)
        # Beside the tables, so that no view takes what is being staged for rows.
        self.imports = self._slices.data / IMPORTS_FOLDER

    def path(self, ticker: str, year: int) -> Path:
        """File of one ticker and year, whether or not it exists.

        Raises
        ------
        UnknownTickerError : for a ticker that may not stand in a path.
        """
        return self.folder / str(SliceKey(validate_ticker(ticker))) / f"{_YEAR_FOLDER}{int(year)}" / FILE_NAME

    def tickers(self) -> list[str]:
        """Tickers with any stored chain, sorted."""
        return sorted(
            {path.parent.parent.name.partition("=")[2] for path in self.folder.glob(f"ticker=*/*/{FILE_NAME}")}
        )

    def years(self, ticker: str) -> list[int]:
        """Years with stored chains of a ticker, ascending."""
        folder = self.folder / str(SliceKey(validate_ticker(ticker)))
        return sorted(int(path.parent.name.removeprefix(_YEAR_FOLDER)) for path in folder.glob(f"*/{FILE_NAME}"))

    def provenance(self, ticker: str, year: int) -> Provenance | None:
        """Provenance of one file; None where there is none.

        Raises
        ------
        StorageError : where the file cannot be read, or was not written here.
        """
        path = self.path(ticker, year)
        if not path.is_file():
            return None
        return provenance_of(self._open(path).schema_arrow, _BY_TICKER, SliceKey(ticker))

    def merge(self, ticker: str, year: int, fresh: pd.DataFrame, *, source: str) -> MergeCounts:
        """Merge rows of one source into the slice of a ticker and year, as ``merge_all`` does with several."""
        return self.merge_all(ticker, year, [(fresh, source)])[0]

    def merge_all(self, ticker: str, year: int, pieces: Sequence[tuple[pd.DataFrame, str]]) -> list[MergeCounts]:
        """Merge pieces into the slice of a ticker and year, one after the other, and write the file once.

        Where a key is stored already, what the fresh row says replaces what is stored; what it does not say (NULL)
        erases nothing. Merging the same rows again changes nothing, not even the file.

        Parameters
        ----------
        pieces : rows of ``raw.option_chain`` of that ticker and year, in any order, and what they came from. Of
            repeated keys in a piece equal rows count once, and differing ones not at all. The source is for the
            provenance: that of a piece which changed anything is joined by ``+`` to what is there.

        Returns
        -------
        What came of each piece, given those before it.

        Raises
        ------
        SchemaError : where the rows break the schema or belong to another ticker; what is stored stays.
        StorageError : for rows of another year, or a stored file that cannot be read.
        """
        for fresh, _ in pieces:
            strangers = fresh.loc[fresh["quote_date"].dt.year != year, "quote_date"]
            if len(strangers):
                raise StorageError(
                    f"{_BY_TICKER.qualified_name} of {year} was handed rows of {strangers.iloc[0]:%Y-%m-%d}"
                )
        repeated = [repeated_rows(fresh) for fresh, _ in pieces]
        unique = [fresh[~(copies | other)] for (fresh, _), (copies, other) in zip(pieces, repeated, strict=True)]
        counts = np.zeros((len(pieces), len(OUTCOMES)), dtype=np.int64)
        changed: list[tuple[pd.Timestamp, ...]] = [()] * len(pieces)
        with self.lock(ticker):
            before = self.provenance(ticker, year)
            frame = empty_frame(OPTION_CHAIN) if before is None else self._whole(ticker, year)
            for places in rounds(unique):
                fresh = pd.concat([unique[place] for place in places], ignore_index=True)
                merged = merge_chains(frame, fresh)
                frame, owner = merged.frame, np.repeat(places, [len(unique[place]) for place in places])
                counts += np.bincount(owner * len(OUTCOMES) + merged.outcomes, minlength=counts.size).reshape(
                    counts.shape
                )
                news = fresh["quote_date"][merged.outcomes != UNCHANGED]
                for place, days in news.groupby(owner[merged.outcomes != UNCHANGED]):
                    changed[int(str(place))] = tuple(sorted(days.unique()))
            if any(changed):
                known = (before.source or "").split("+") if before is not None else []
                given = [source for (_, source), days in zip(pieces, changed, strict=True) if days]
                sources = "+".join(name for name in dict.fromkeys([*known, *given]) if name)
                self._put(ticker, year, frame, source=sources)
        return [
            MergeCounts(
                **dict(zip(OUTCOMES, row.tolist(), strict=True)),
                duplicate=int(copies.sum()),
                conflicting_duplicate=int(conflicts.sum()),
                changed_sessions=days,
            )
            for row, days, (copies, conflicts) in zip(counts, changed, repeated, strict=True)
        ]

    def lock(self, ticker: str) -> BaseFileLock:
        """Lock of a ticker's chains, held across read, merge and write. Reentrant."""
        return self._slices.lock(_BY_TICKER, SliceKey(ticker))

    def read(
        self,
        ticker: str,
        *,
        columns: Sequence[str] | None = None,
        first: pd.Timestamp | str | None = None,
        last: pd.Timestamp | str | None = None,
        where: ChainFilter | None = None,
    ) -> pd.DataFrame:
        """Stored rows of a ticker, ascending by quote date, expiration, right and strike.

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
        """The rows of ``read`` one row group at a time; a quote date may begin in one and end in the next."""
        return self._read(ticker, columns=columns, first=first, last=last, where=where, whole_files=False)

    def row_groups(
        self, ticker: str, *, first: pd.Timestamp | str | None = None, last: pd.Timestamp | str | None = None
    ) -> dict[Path, list[int]]:
        """Row groups that a read of these quote dates touches, by file, oldest first.

        Raises
        ------
        SliceNotFoundError, StorageError : as for a read.
        """
        return {path: groups for path, _, groups in self._touched(ticker, as_day(first), as_day(last))}

    def _touched(
        self, ticker: str, low: pd.Timestamp | None, high: pd.Timestamp | None
    ) -> Iterator[tuple[Path, pq.ParquetFile, list[int]]]:
        """Files with the row groups to read. Each is opened once: the handle outlives a replacement of the file."""
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
            file = self._open(path)
            groups = _overlapping(file, low, high)
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
                kept = frame if passes is None or bool(passes.all()) else frame[passes]
                yield kept[names].reset_index(drop=True)

    def _whole(self, ticker: str, year: int) -> pd.DataFrame:
        path = self.path(ticker, year)
        file = self._open(path)
        return _rows(path, file, list(range(file.num_row_groups)), list(OPTION_CHAIN.column_names))

    def _open(self, path: Path) -> pq.ParquetFile:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.ParquetFile(path, page_checksum_verification=True)
        except (pa.ArrowException, OSError) as error:
            raise unreadable(_BY_TICKER, _key_of(path), path, error) from error

    def _put(self, ticker: str, year: int, frame: pd.DataFrame, *, source: str) -> None:
        import pyarrow.parquet as pq

        prepared = self._slices.prepare(_BY_TICKER, SliceKey(ticker), frame, source=source)
        arrow = to_arrow(prepared.frame, OPTION_CHAIN, prepared.provenance)
        self._slices.ensure_schema_file(OPTION_CHAIN)
        path = self.path(ticker, year)
        path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in path.parent.glob(f".{FILE_NAME}.*.tmp"):
            leftover.unlink(missing_ok=True)
        replace_file(
            path,
            lambda target: pq.write_table(
                arrow, target, compression="zstd", row_group_size=ROW_GROUP_ROWS, write_page_checksum=True
            ),
        )


def _rows(path: Path, file: pq.ParquetFile, groups: list[int], columns: list[str]) -> pd.DataFrame:
    import pyarrow as pa

    try:
        arrow = file.read_row_groups(groups, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(_BY_TICKER, _key_of(path), path, error) from error
    return to_pandas(arrow.select(columns), OPTION_CHAIN)


def _overlapping(file: pq.ParquetFile, low: pd.Timestamp | None, high: pd.Timestamp | None) -> list[int]:
    """Row groups whose quote dates may lie within the bounds, by the statistics in the footer."""
    column = file.schema_arrow.get_field_index("quote_date")
    groups = []
    for group in range(file.num_row_groups):
        statistics = file.metadata.row_group(group).column(column).statistics
        is_known = statistics is not None and statistics.has_min_max
        is_before = is_known and low is not None and pd.Timestamp(statistics.max) < low
        is_after = is_known and high is not None and pd.Timestamp(statistics.min) > high
        if not is_before and not is_after:
            groups.append(group)
    return groups


def _key_of(path: Path) -> SliceKey:
    return SliceKey(path.parent.parent.name.partition("=")[2])
