"""Importers of option chains: the formats people have, recognised by their columns, read piece by piece.

Finding and streaming files belong here, Parquet and text alike, with a remark for whatever is left out or assumed. The
formats are ``importing.layouts``', how text is read ``text_files.reader``'. What rows mean is decided in
``trading_dag.options.chains.rows``; what is stored, in ``chains.store``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from resources.chains.importing.layouts import (
    SOURCE,
    Layout,
    expected_columns,
    format_error,
    kind_of,
    layout_of,
    normalised_name,
    ticker_in_name,
)
from resources.chains.importing.pieces import ChainRows, chain_rows
from resources.text_files.columns import Column, Remark, typed_column
from resources.text_files.reader import TextFile, TextRows, open_text_file
from resources.text_files.values import DateOrder
from trading_dag.arrays import IntArray
from trading_dag.errors import SchemaError, SourceFormatError
from trading_dag.sessions import TIME_UNIT
from trading_dag.slices import validate_ticker

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS: Final = 500_000
UNDERLYING_FILE: Final = "underlying.parquet"
CLOSES_COLUMNS: Final = ("ticker", "session", "close")
_PARQUET: Final = ".parquet"
_TEXT_ENDINGS: Final = (".txt", ".csv", ".tsv", ".txt.gz", ".csv.gz", ".tsv.gz")
_PACKED_ENDINGS: Final = (".zip", ".7z", ".rar", ".xlsx", ".xls", ".bz2", ".xz", ".zst")
_REASONS_SHOWN: Final = 5


@dataclass(frozen=True)
class ChainFile:
    """Reads a file of a recognised layout.

    Attributes
    ----------
    path, layout : where and what.
    columns : the file's own names of the columns to read, by plain name.
    ticker : the underlying where no column says it.
    closes : ``CLOSES_COLUMNS``; fill the underlying's price where the file has none.
    text : how a text file is read; None for Parquet.
    date_order : of day and month in 01/02/2024, where the user says it.
    """

    path: Path
    layout: Layout
    columns: dict[str, str]
    ticker: str | None = None
    closes: pd.DataFrame | None = None
    text: TextFile | None = None
    date_order: DateOrder | None = None

    @property
    def rows(self) -> int | None:
        """Rows of the file, where that is known before it is read."""
        import pyarrow.parquet as pq

        return int(pq.read_metadata(self.path).num_rows) if self.text is None else None

    def batches(self, *, rows: int = BATCH_ROWS) -> Iterator[ChainRows]:
        """Yield rows of ``raw.option_chain`` with what was refused, about ``rows`` rows of the file at a time.

        Raises
        ------
        SourceFormatError : for a file that cannot be read, or a column of a type that fits nothing.
        """
        plain = {own: name for name, own in self.columns.items()}
        try:
            for piece in self._pieces(rows):
                renamed = {plain[own]: mask for own, mask in piece.unreadable_in.items()}
                named = replace(piece, frame=piece.frame.rename(columns=plain), unreadable_in=renamed)
                yield chain_rows(named, self.layout, ticker=self.ticker, closes=self.closes)
        except SchemaError as error:
            raise format_error(self.path, str(error), expected=self.layout) from error
        except (OSError, ValueError) as error:
            # Arrow's own errors are ValueError or OSError.
            raise format_error(self.path, f"cannot be read: {error}", expected=self.layout) from error

    def _pieces(self, rows: int) -> Iterator[TextRows]:
        if self.text is not None:
            yield from self.text.pieces({own: kind_of(name) for name, own in self.columns.items()}, rows=rows)
            return
        import pyarrow.parquet as pq

        seen = 0
        for batch in pq.ParquetFile(self.path).iter_batches(batch_size=rows, columns=list(self.columns.values())):
            lines = np.arange(seen + 1, seen + 1 + len(batch))
            seen += len(batch)
            yield self._typed(batch, lines)

    def _typed(self, batch: pa.RecordBatch, lines: IntArray) -> TextRows:
        """Return a batch of a Parquet file, whose texts are read as those of a text file are."""
        import pyarrow as pa

        columns, unreadable = {}, {}
        remarks: list[Remark] = []
        for plain, own in self.columns.items():
            values = batch.column(own)
            if pa.types.is_dictionary(values.type):
                values = values.dictionary_decode()
            is_text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
            is_text |= pa.types.is_string_view(values.type)
            if not is_text or kind_of(plain) == "text":
                columns[own] = values.to_pandas(date_as_object=False)
                continue
            texts = pa.chunked_array([values.cast(pa.string()).fill_null("")])
            typed = typed_column(texts, Column(own, kind_of(plain), order=self.date_order), lines=lines)
            columns[own] = typed.values
            remarks += typed.remarks
            if typed.unreadable.any():
                unreadable[own] = typed.unreadable
        return TextRows(pd.DataFrame(columns), lines, unreadable, tuple(remarks))


def open_chain_file(
    path: Path,
    *,
    ticker: str | None = None,
    closes: pd.DataFrame | None = None,
    date_order: DateOrder | None = None,
    with_delta: bool = False,
) -> ChainFile:
    """Recognise a file by its columns.

    Parameters
    ----------
    path : Parquet or text.
    ticker : the underlying, where neither a column nor the file's name says it.
    closes : ``CLOSES_COLUMNS`` as traded, adjusted neither for dividends nor for later splits, one row a ticker and
        session; for layouts without the underlying's price. ``underlying.parquet`` beside the file comes first.
    date_order : of day and month in 01/02/2024.
    with_delta : read the vendor's delta too, where there is one.

    Raises
    ------
    SourceFormatError : naming the file, the columns found and the columns expected; where nothing says the ticker; or
        where the file's name says another one.
    UnknownTickerError : for a given ticker that is none.
    """
    text = None if _is_parquet(path) else open_text_file(
        path, source=SOURCE, remedy=expected_columns(), date_order=date_order
    )  # fmt: skip
    names = list(text.names) if text is not None else _parquet_names(path)
    layout = layout_of(names)
    if layout is None:
        raise format_error(path, f"no known layout: the columns are {', '.join(names) or 'none'}")
    try:
        columns = layout.columns(names, with_delta=with_delta)
    except ValueError as error:
        raise format_error(path, str(error), expected=layout) from error
    file = ChainFile(path, layout, columns, text=text, date_order=date_order)
    if layout.name == "optionsdx":
        return replace(file, ticker=_ticker_of(path, ticker))
    if layout.name == "contract_id":
        beside = _closes_beside(path)
        return replace(file, closes=closes if beside is None else beside)
    return file


def find_chain_files(path: Path) -> tuple[list[Path], dict[Path, str]]:
    """Return the chain files at a path, sorted, and the data files there that are none, with the reason.

    Hidden files and folders are passed over. A path that is a file is one chain file, whatever its columns, so that
    opening it says what is wrong.

    Raises
    ------
    SourceFormatError : where there is nothing at the path, or no chain file below it; names what is there instead.
    """
    if path.is_file():
        return [path], {}
    if not path.is_dir():
        raise format_error(path, "there is no such file or folder")
    files, others = [], {}
    for candidate in sorted(path.rglob("*")):
        is_hidden = any(part.startswith(".") for part in candidate.relative_to(path).parts)
        name = candidate.name.lower()
        if is_hidden or not candidate.is_file() or candidate.name == UNDERLYING_FILE:
            continue
        if name.endswith(_PACKED_ENDINGS):
            others[candidate] = "is packed or a workbook; unpack it, or save it as CSV"
        if not name.endswith((_PARQUET, *_TEXT_ENDINGS)):
            continue
        try:
            names = _names(candidate)
        except SourceFormatError as error:
            others[candidate] = error.problem
            continue
        if layout_of(names) is not None:
            files.append(candidate)
        else:
            others[candidate] = f"no known layout: the columns are {', '.join(names)}"
    if not files:
        reasons = [f"{other.name}: {reason}" for other, reason in list(others.items())[:_REASONS_SHOWN]]
        more = f" and {len(others) - _REASONS_SHOWN} more files" if len(others) > _REASONS_SHOWN else ""
        raise format_error(path, f"no option chains are there ({'; '.join(reasons) or 'no data files'}{more})")
    return files, others


def _is_parquet(path: Path) -> bool:
    return path.name.lower().endswith(_PARQUET)


def _names(path: Path) -> list[str]:
    if _is_parquet(path):
        return _parquet_names(path)
    return list(open_text_file(path, source=SOURCE, remedy=expected_columns()).names)


def _parquet_names(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise format_error(path, f"cannot be read: {error}") from error


def _ticker_of(path: Path, given: str | None) -> str:
    named = ticker_in_name(path)
    asked = None if given is None else validate_ticker(given)
    if asked is None and named is None:
        raise format_error(path, "neither a column nor the file name (such as spy_eod_202301.txt) says the ticker")
    if asked is not None and named is not None and asked != named:
        raise format_error(path, f"the file's name says {named}, --ticker says {asked}: leave one of them out")
    return str(named or asked)


def _closes_beside(path: Path) -> pd.DataFrame | None:
    """Return the closes of ``underlying.parquet`` in the same folder; None where it is not there or has no rows."""
    beside = path.with_name(UNDERLYING_FILE)
    if not beside.is_file():
        return None
    names = {normalised_name(own): own for own in _parquet_names(beside)}
    missing = [name for name in ("symbol", "date", "close") if name not in names]
    if missing:
        raise format_error(beside, f"columns are missing: {', '.join(missing)} (of symbol, date, close)")
    try:
        frame = pd.read_parquet(beside, columns=[names[name] for name in ("symbol", "date", "close")])
        frame.columns = pd.Index(CLOSES_COLUMNS)
        closes = pd.DataFrame(
            {
                "ticker": frame["ticker"].astype("str"),
                "session": pd.to_datetime(frame["session"]).dt.as_unit(TIME_UNIT),
                "close": pd.to_numeric(frame["close"]).astype("float64"),
            }
        ).drop_duplicates()
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise format_error(beside, f"cannot be read as symbol, date and close: {error}") from error
    repeated = closes[closes.duplicated(["ticker", "session"])]
    if len(repeated):
        first = repeated.iloc[0]
        raise format_error(beside, f"several closes of {first['ticker']} on {first['session']:%Y-%m-%d}")
    return None if closes.empty else closes
