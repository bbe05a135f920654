"""The part of a stored year of chains that fresh rows go into, and what stays beside it as it is.

A year of a large chain has millions of rows, of which a session touches the last thousands. Only the row groups whose
dates are concerned become frames; the others go over as they are, and a digest for each quote date spares reading
them for the content hash. Merging is ``chains.merge``'s, files and locks are ``chains.store``'s.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from resources.storage.slices.format import readable, to_pandas
from resources.storage.slices.record import SliceKey, content_hash
from trading_dag.quality import empty_frame
from trading_dag.schemas import OPTION_CHAIN

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# Validation and locks are those of a ticker's slice; only the folder below it knows the year.
BY_TICKER: Final = replace(OPTION_CHAIN, slice="ticker")
DIGESTS_KEY: Final = b"trading_dag_days"
_COLUMNS: Final = list(OPTION_CHAIN.column_names)


@dataclass(frozen=True)
class ChainPart:
    """Holds row groups of one open file, which outlives a replacement of the file.

    Attributes
    ----------
    file, path : what is open, and where it was.
    first, last : the part is row groups ``first`` to ``last``, without ``last``. It may be empty: then rows go between.
        A quote date at its edge may go on beside it.
    """

    file: pq.ParquetFile
    path: Path
    first: int
    last: int

    @classmethod
    def of(cls, file: pq.ParquetFile, path: Path, *, first: pd.Timestamp, last: pd.Timestamp, full: int) -> ChainPart:
        """Return the part that rows of these quote dates go into.

        Parameters
        ----------
        full : rows of a full row group. One before the part that is not full is part of it, so that sessions that are
            added one by one do not leave a small group each.
        """
        spans = [_span(file, group) for group in range(file.num_row_groups)]
        begin = sum(high < first for _, high in spans)
        end = max(begin, sum(low <= last for low, _ in spans))
        if begin > 0 and file.metadata.row_group(begin - 1).num_rows < full:
            begin -= 1
        return cls(file, path, begin, end)

    @property
    def rows_beside(self) -> int:
        """Return the number of rows that stay as they are."""
        return sum(self.file.metadata.row_group(group).num_rows for group in self._beside)

    @property
    def _beside(self) -> list[int]:
        return [*range(self.first), *range(self.last, self.file.num_row_groups)]

    def frame(self) -> pd.DataFrame:
        """Return the rows of the part."""
        return self._rows(range(self.first, self.last))

    def before(self) -> Iterator[pa.Table]:
        """Yield the row groups before the part, one after the other."""
        return (self._group(group) for group in range(self.first))

    def after(self) -> Iterator[pa.Table]:
        """Yield the row groups after the part, one after the other."""
        return (self._group(group) for group in range(self.last, self.file.num_row_groups))

    def digests(self, frame: pd.DataFrame) -> dict[str, str]:
        """Return the digest of each quote date of the whole file, once a conformed frame stands in the place of the
        part.

        Those of dates beside it are read off the rows where the file does not record them.
        """
        spans = [_span(self.file, group) for group in range(self.file.num_row_groups)]
        edges = [
            *(spans[self.first][:1] if 0 < self.first < self.last else ()),
            *(spans[self.last - 1][1:] if self.first < self.last < len(spans) else ()),
        ]
        beside = [group for group in self._beside if any(spans[group][0] <= day <= spans[group][1] for day in edges)]
        inside = [f"{day:%Y-%m-%d}" for group in range(self.first, self.last) for day in spans[group]]
        recorded = (self.file.schema_arrow.metadata or {}).get(DIGESTS_KEY)
        if recorded is None:
            outside = day_digests(self._rows(self._beside))
        else:
            outside = {
                day: digest
                for day, digest in json.loads(recorded).items()
                if not (inside and min(inside) <= day <= max(inside))
            }
        rows = self._rows(beside)
        at_edges = pd.concat([rows[rows["quote_date"].isin(edges)], frame[frame["quote_date"].isin(edges)]])
        in_order = at_edges.sort_values(list(OPTION_CHAIN.key), ignore_index=True)
        return {**outside, **day_digests(frame), **day_digests(in_order)}

    def _rows(self, groups: Sequence[int]) -> pd.DataFrame:
        if not groups:
            return empty_frame(OPTION_CHAIN)
        return to_pandas(read_groups(self.path, self.file, groups, columns=_COLUMNS), OPTION_CHAIN)

    def _group(self, group: int) -> pa.Table:
        return read_groups(self.path, self.file, [group], columns=_COLUMNS)


def day_digests(frame: pd.DataFrame) -> dict[str, str]:
    """Return the digest of the rows of each quote date, by the date, of conformed rows in the order of the key."""
    if frame.empty:
        return {}
    days = frame["quote_date"].to_numpy()
    begins = np.flatnonzero(np.append(True, days[1:] != days[:-1]))
    ends = np.append(begins[1:], len(days))
    return {
        f"{pd.Timestamp(days[begin]):%Y-%m-%d}": content_hash(frame.iloc[begin:end].reset_index(drop=True))
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
    }


def whole_digest(digests: Mapping[str, str]) -> str:
    """Return one hash for all quote dates; the same for the same rows, whatever way they came together."""
    return hashlib.sha256("\n".join(f"{day} {digest}" for day, digest in sorted(digests.items())).encode()).hexdigest()


def with_digests(arrow: pa.Table, digests: Mapping[str, str]) -> pa.Table:
    """Return the table with the digests in its metadata."""
    recorded = {DIGESTS_KEY: json.dumps(dict(digests), sort_keys=True).encode()}
    return arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), **recorded})


def read_groups(path: Path, file: pq.ParquetFile, groups: Sequence[int], *, columns: Sequence[str]) -> pa.Table:
    """Return the row groups of an open file, in these columns.

    Raises
    ------
    StorageError : where they cannot be read.
    """
    with readable(BY_TICKER, chain_key_of(path), path):
        return file.read_row_groups(list(groups), columns=list(columns)).select(list(columns))


def overlapping_groups(file: pq.ParquetFile, low: pd.Timestamp | None, high: pd.Timestamp | None) -> list[int]:
    """Return the row groups whose quote dates may lie within the bounds, by the statistics in the footer."""
    groups = []
    for group in range(file.num_row_groups):
        first, last = _span(file, group)
        if not (low is not None and last < low) and not (high is not None and first > high):
            groups.append(group)
    return groups


def chain_key_of(path: Path) -> SliceKey:
    """Return whose chain a file holds, by its path."""
    return SliceKey(path.parent.parent.name.partition("=")[2])


def _span(file: pq.ParquetFile, group: int) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return the first and last quote date of a row group; everything where the footer does not say."""
    column = file.schema_arrow.get_field_index("quote_date")
    statistics = file.metadata.row_group(group).column(column).statistics
    if statistics is None or not statistics.has_min_max:
        return pd.Timestamp.min, pd.Timestamp.max
    return pd.Timestamp(statistics.min), pd.Timestamp(statistics.max)
