"""Quotes of one underlying straight from a file, without storing them: every layout that an import knows.

The layouts and the rules of rows are ``importing``'s; what becomes a quote is ``backtest.markets.quote_frame``'s.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from resources.chains.importing.files import open_chain_file
from resources.text_files.columns import Remark, merged_remarks
from trading_dag.backtest.markets.quote_frame import counts_by_reason, one_underlying, require_prices
from trading_dag.errors import InsufficientDataError

if TYPE_CHECKING:
    from resources.text_files.values import DateOrder


@dataclass(frozen=True)
class FileQuotes:
    """Holds what a file has of one underlying.

    Attributes
    ----------
    ticker, rows : the underlying and its rows of ``raw.option_chain``, with a delta where the file has one.
    refused : rows left out while reading, by reason.
    remarks : what was assumed, or could not be read, with the place of the first.
    """

    ticker: str
    rows: pd.DataFrame
    refused: dict[str, int]
    remarks: tuple[Remark, ...]


def read_quote_file(
    path: Path,
    *,
    ticker: str | None = None,
    first: pd.Timestamp | None = None,
    last: pd.Timestamp | None = None,
    date_order: DateOrder | None = None,
) -> FileQuotes:
    """Return the quotes of one underlying in a Parquet or text file.

    Parameters
    ----------
    ticker : which underlying, where the file has several or names none.
    first, last : quote dates, inclusive; None for all. Rows of others are not counted.
    date_order : of day and month in 01/02/2024.

    Raises
    ------
    SourceFormatError : for a file that cannot be read, or lacks a column; it names file and column.
    SchemaError : where the file has several underlyings and none is chosen, or no price.
    InsufficientDataError : where it has no row within the period.
    """
    file = open_chain_file(path, ticker=ticker, date_order=date_order, with_delta=True)
    kept, refused = [], []
    remarks: list[Remark] = []
    lost: Counter[str] = Counter()
    for piece in file.batches():
        kept.append(piece.kept)
        refused.append(piece.refused)
        remarks += piece.left_out
        lost.update(piece.lines_lost)
    every = pd.concat(kept, ignore_index=True) if len(kept) > 1 else kept[0]
    rows, left_out = one_underlying(every, pd.concat(refused, ignore_index=True), ticker=ticker)
    if first is not None or last is not None:
        rows, left_out = (_between(frame, first, last) for frame in (rows, left_out))
        if rows.empty:
            start, end = (
                other if day is None else f"{day:%Y-%m-%d}" for day, other in ((first, "the start"), (last, "the end"))
            )
            raise InsufficientDataError(f"{path.name} has no quotes from {start} to {end}")
    require_prices(rows, list(file.columns.values()))
    lost.update(counts_by_reason(left_out))
    told = tuple(remark for remark in merged_remarks(remarks) if remark.reason not in lost)
    return FileQuotes(str(rows["ticker"].iloc[0]), rows, dict(lost), told)


def _between(rows: pd.DataFrame, first: pd.Timestamp | None, last: pd.Timestamp | None) -> pd.DataFrame:
    days = rows["quote_date"]
    is_kept = pd.Series(True, index=rows.index)
    if first is not None:
        is_kept &= ~(days < first)
    if last is not None:
        is_kept &= ~(days > last)
    return rows[is_kept].reset_index(drop=True)
