"""Option quotes of one underlying from one Parquet file, as columns: only what a program needs of it.

The file is read one row group at a time, so that memory holds the rows that are kept and little else. What
the rows mean is ``backtest.markets.chain_market``'s business; tables of the warehouse are ``parquet_store``'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.errors import SchemaError, StorageError

if TYPE_CHECKING:
    import pyarrow as pa

TABLE: Final = "raw.option_chain"
KEY_COLUMNS: Final = ("quote_date", "expiration", "option_right", "strike", "underlying_price")
VALUE_COLUMNS: Final = ("bid", "ask", "last", "volume", "open_interest", "implied_volatility", "delta")
_OTHER_NAMES: Final = {"option_right": "right"}
_TYPES: Final[dict[str, type[np.generic]]] = {
    "quote_date": np.int32,
    "expiration": np.int32,
    "option_right": np.bool_,
}
_DECIDING: Final = frozenset({"quote_date", "expiration", "option_right", "ticker"})
_THREADS: Final = 2


@dataclass(frozen=True)
class QuoteFilter:
    """Rows that are kept.

    Attributes
    ----------
    ticker : rows of this underlying; None for all of a file that has one.
    option_rights : C, P or both.
    maximum_days : at most so many calendar days to expiration; None for any.
    """

    ticker: str | None = None
    option_rights: tuple[str, ...] = ("C", "P")
    maximum_days: int | None = None


def read_chain_quotes(
    path: Path, *, keep: QuoteFilter | None = None, columns: Iterable[str] = VALUE_COLUMNS
) -> dict[str, NDArray[Any]]:
    """Columns of ``raw.option_chain``, in the order of the file.

    Parameters
    ----------
    columns : beside the keys and the underlying price; those that the file does not have are left out.

    Returns
    -------
    Dates are days since 1970-01-01, ``option_right`` is true for calls, missing numbers are NaN.

    Raises
    ------
    StorageError : no readable Parquet file is there.
    SchemaError : a key column is missing, or a ticker is wanted of a file that has none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = keep if keep is not None else QuoteFilter()
    try:
        metadata = pq.read_metadata(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise StorageError(f"{path} is no readable Parquet file: {error}") from error
    stored = _stored_names(metadata.schema.names, columns, needs_ticker=wanted.ticker is not None)
    groups = np.arange(metadata.num_row_groups)
    shares = np.array_split(groups, _THREADS)
    with ThreadPoolExecutor(_THREADS) as pool:
        kept = [rows for share in pool.map(lambda own: _kept_rows(path, own, stored, wanted), shares) for rows in share]
        end = np.cumsum([len(rows) for rows in kept], dtype=np.int64)
        # Filled in place: pieces joined at the end would hold every row twice.
        result = {
            name: np.empty(int(end[-1]) if len(end) else 0, dtype=_TYPES.get(name, np.float64))
            for name in stored
            if name != "ticker"
        }
        list(pool.map(lambda own: _fill(path, own, stored, kept=kept, end=end, into=result), shares))
    return result


def _stored_names(present: list[str], columns: Iterable[str], *, needs_ticker: bool) -> dict[str, str]:
    """Name in the file of every column to read."""
    stored = {}
    for name in [*KEY_COLUMNS, *columns, *(["ticker"] if needs_ticker else [])]:
        other = _OTHER_NAMES.get(name, name)
        if name in present or other in present:
            stored[name] = name if name in present else other
        elif name in KEY_COLUMNS or name == "ticker":
            raise SchemaError(table=TABLE, key=name, rule="column is missing")
    return stored


def _kept_rows(path: Path, groups: IntArray, stored: dict[str, str], keep: QuoteFilter) -> list[NDArray[np.int32]]:
    """Rows of each row group that are kept, from the columns that decide it."""
    deciding: list[str] = [name for name in stored if name in _DECIDING]
    return [
        np.flatnonzero(_kept(table, stored, keep)).astype(np.int32)
        for table in _tables(path, groups, stored, names=deciding)
    ]


def _fill(
    path: Path,
    groups: IntArray,
    stored: dict[str, str],
    *,
    kept: list[NDArray[np.int32]],
    end: IntArray,
    into: dict[str, NDArray[Any]],
) -> None:
    """Copy the kept rows of some row groups to their places; groups without any are not read."""
    needed = np.array([group for group in groups if len(kept[group])], dtype=np.int64)
    for group, table in zip(needed, _tables(path, needed, stored, names=list(into)), strict=True):
        rows, after = kept[group], int(end[group])
        for name, target in into.items():
            target[after - len(rows) : after] = _column(table, name, stored[name])[rows]


def _tables(path: Path, groups: IntArray, stored: dict[str, str], *, names: list[str]) -> Iterator[pa.Table]:
    """Some columns of each row group, words as dictionaries."""
    import pyarrow.parquet as pq

    words = [stored[name] for name in ("option_right", "ticker") if name in stored]
    with pq.ParquetFile(path, read_dictionary=words) as file:
        # Row groups are read side by side; where there is one only, its columns are.
        is_alone = file.metadata.num_row_groups == 1
        for group in groups:
            yield file.read_row_group(int(group), columns=[stored[name] for name in names], use_threads=is_alone)


def _kept(table: pa.Table, stored: dict[str, str], keep: QuoteFilter) -> BoolArray:
    kept = np.ones(table.num_rows, dtype=np.bool_)
    if set(keep.option_rights) != {"C", "P"}:
        kept &= _is_word(table, stored["option_right"], keep.option_rights)
    if keep.ticker is not None:
        kept &= _is_word(table, stored["ticker"], (keep.ticker,))
    if keep.maximum_days is not None:
        days = _column(table, "expiration", stored["expiration"]) - _column(table, "quote_date", stored["quote_date"])
        kept &= days <= keep.maximum_days
    return kept


def _is_word(table: pa.Table, stored_name: str, words: tuple[str, ...]) -> BoolArray:
    """Where a dictionary column has one of these words."""
    flags = []
    for chunk in table.column(stored_name).chunks:
        is_wanted = np.array([word in words for word in chunk.dictionary.to_pylist()], dtype=np.bool_)
        places = _buffer(chunk.indices, np.dtype(np.int32))
        flags.append(is_wanted[places] if len(is_wanted) else np.zeros(len(chunk), dtype=np.bool_))
    return np.concatenate(flags) if flags else np.empty(0, dtype=np.bool_)


def _column(table: pa.Table, name: str, stored_name: str) -> NDArray[Any]:
    """One column of a row group: flags for rights, days for dates, floating-point numbers for the rest."""
    if name == "option_right":
        return _is_word(table, stored_name, ("C",))
    read = _days if name in ("quote_date", "expiration") else _numbers
    parts = [read(chunk) for chunk in table.column(stored_name).chunks]
    return np.concatenate(parts) if len(parts) != 1 else parts[0]


def _days(chunk: pa.Array) -> NDArray[np.int32]:
    """Days since 1970-01-01 of dates or time stamps."""
    if str(chunk.type) == "date32[day]":
        return _buffer(chunk, np.dtype(np.int32))
    stamps = _buffer(chunk, np.dtype(np.int64)).view(f"datetime64[{chunk.type.unit}]")
    return stamps.astype("datetime64[D]").astype(np.int32)


def _numbers(chunk: pa.Array) -> FloatArray:
    """Numbers, NaN where missing. Read from the buffers, because Arrow's own conversion imports pandas first."""
    names = {"double": "float64", "float": "float32"}
    values = _buffer(chunk, np.dtype(names.get(str(chunk.type), str(chunk.type)))).astype(np.float64)
    if chunk.null_count:
        bits = np.unpackbits(np.frombuffer(chunk.buffers()[0], dtype=np.uint8), bitorder="little")
        values[bits[chunk.offset : chunk.offset + len(chunk)] == 0] = np.nan
    return values


def _buffer(chunk: pa.Array, dtype: np.dtype[Any]) -> NDArray[Any]:
    if not len(chunk):
        return np.empty(0, dtype=dtype)
    return np.frombuffer(chunk.buffers()[1], dtype=dtype)[chunk.offset : chunk.offset + len(chunk)]
