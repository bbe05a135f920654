"""From rows as a chain file has them to rows of ``raw.option_chain``: both sides of a line, times of quotes, closes.

What the rows mean is decided in ``trading_dag.options.chains.rows``; reading them is ``importing.files``'.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from resources.chains.importing.layouts import SIDES, TIME_OF_QUOTE, Layout
from resources.text_files.columns import ASSUMED, FEWER_FIELDS, MORE_FIELDS, Remark, merged_remarks
from resources.text_files.reader import TextRows
from trading_dag.arrays import BoolArray, IntArray
from trading_dag.options.chains.rows import ALIASES, normalise_chain
from trading_dag.options.chains.sifting import REASON, SiftedChain
from trading_dag.sessions import REGULAR_CLOSE_HOUR, close_hours

NOT_END_OF_DAY: Final = "not_end_of_day"


@dataclass(frozen=True)
class ChainRows:
    """Holds what some rows of a file were converted to.

    Attributes
    ----------
    kept : rows of ``raw.option_chain``, with the vendor's delta where the file was opened for it.
    refused : the same columns and ``reason``.
    lines : of the file that each kept row stands on, (n,); of a Parquet file the row, from 1.
    left_out : what was left out or assumed, with the place of the first.
    lines_lost : contract rows of lines that have not the header's fields, by reason.
    """

    kept: pd.DataFrame
    refused: pd.DataFrame
    lines: IntArray
    left_out: tuple[Remark, ...]
    lines_lost: dict[str, int]


def chain_rows(piece: TextRows, layout: Layout, *, ticker: str | None, closes: pd.DataFrame | None) -> ChainRows:
    """Return rows of a file, read by plain names, as rows of ``raw.option_chain``.

    Parameters
    ----------
    ticker : the underlying where no column says it.
    closes : ticker, session, close; fill the underlying's price where the file has none.

    Raises
    ------
    SchemaError : for a column of a type that fits nothing.
    """
    lost = {one.reason: one.count for one in piece.remarks if one.reason in (FEWER_FIELDS, MORE_FIELDS)}
    if layout.name != "optionsdx":
        rows, remarks = _without_carets(piece)
        sifted = normalise_chain(rows.frame, ticker=ticker, unreadable=piece.unreadable, with_delta=True)
        done = _chain_rows(sifted, piece.lines)
    else:
        remarks = ()
        lost = {reason: count * len(SIDES) for reason, count in lost.items()}
        in_time, late = _end_of_day(piece)
        done = _chain_rows(*_both_sides(in_time, ticker))
        off, _ = _both_sides(late, ticker)
        if len(late.lines):
            done = _with_late(done, off, late)
    kept = _with_closes(done.kept, closes)
    told = (*piece.remarks, *remarks, *done.left_out, *_filled(done.kept, kept, done.lines))
    return replace(done, kept=kept, left_out=merged_remarks(told), lines_lost=lost)


def _without_carets(piece: TextRows) -> tuple[TextRows, tuple[Remark, ...]]:
    """Return the rows with indices that vendors mark by a caret (^SPX) under their plain ticker, and a remark that
    this was assumed.
    """
    name = next((name for name in piece.frame if str(name) in ("ticker", *ALIASES["ticker"])), None)
    if name is None or piece.frame[name].dtype.kind in "iufbmM":
        return piece, ()
    codes, distinct = pd.factorize(piece.frame[name].astype("str"))
    marked = np.array([str(ticker).startswith("^") for ticker in distinct], dtype=np.bool_)
    if not marked.any():
        return piece, ()
    plain = np.array([str(ticker).removeprefix("^") for ticker in distinct], dtype=object)
    rows = np.flatnonzero(np.append(marked, False)[codes])
    tickers = pd.Series(plain, dtype="str").reindex(codes).reset_index(drop=True)
    first = str(distinct[codes[rows[0]]])
    remark = Remark(
        ASSUMED, len(rows), int(piece.lines[rows[0]]), first, column=str(name), detail="an index without its caret"
    )
    return replace(piece, frame=piece.frame.assign(**{str(name): tickers})), (remark,)


def _chain_rows(sifted: SiftedChain, lines: IntArray) -> ChainRows:
    """Return what was sifted, with the lines of the file; what the reader could not read it has said itself."""
    remarks = tuple(
        Remark(reason, sifted.counts[reason], int(lines[fault.position]), fault.value, column=fault.column)
        for reason, fault in sifted.faults.items()
        if reason != "unreadable" or fault.column
    )
    return ChainRows(sifted.kept, sifted.refused, lines[sifted.kept_at], remarks, {})


def _with_late(done: ChainRows, off: SiftedChain, late: TextRows) -> ChainRows:
    """Return the rows with those that were quoted before the close among the refused ones."""
    refused = pd.concat([off.kept, off.refused], ignore_index=True).assign(**{REASON: NOT_END_OF_DAY})
    value = f"{late.frame[TIME_OF_QUOTE].iloc[0]:g}"
    remark = Remark(NOT_END_OF_DAY, len(refused), int(late.lines[0]), value, column=TIME_OF_QUOTE)
    return replace(
        done, refused=pd.concat([done.refused, refused], ignore_index=True), left_out=(*done.left_out, remark)
    )


def _end_of_day(piece: TextRows) -> tuple[TextRows, TextRows]:
    """Return the rows quoted at 16:00, or at the close of a half day, and the others. Without a time all are taken
    as such.
    """
    if TIME_OF_QUOTE not in piece.frame:
        return piece, _chosen(piece, np.zeros(len(piece.lines), dtype=np.bool_))
    hours = piece.frame[TIME_OF_QUOTE].to_numpy(dtype=np.float64)
    early = hours != REGULAR_CLOSE_HOUR
    days = pd.DatetimeIndex(pd.to_datetime(piece.frame["quote_date"])[early])
    early[early] = hours[early] != close_hours(days)
    return _chosen(piece, ~early), _chosen(piece, early)


def _chosen(piece: TextRows, rows: BoolArray) -> TextRows:
    unreadable = {name: mask[rows] for name, mask in piece.unreadable_in.items()}
    return TextRows(piece.frame[rows].reset_index(drop=True), piece.lines[rows], unreadable)


def _both_sides(piece: TextRows, ticker: str | None) -> tuple[SiftedChain, IntArray]:
    """Return two contract rows for each row that has call and put side by side, sifted, with their lines."""
    prefixes = tuple(SIDES.values())
    shared = [str(name) for name in piece.frame.columns if not str(name).startswith(prefixes)]
    sides, unreadable = [], []
    for right, prefix in SIDES.items():
        own = {str(name): str(name).removeprefix(prefix) for name in piece.frame if str(name).startswith(prefix)}
        sides.append(piece.frame[[*shared, *own]].rename(columns=own).assign(option_right=right))
        masks = [mask for name, mask in piece.unreadable_in.items() if name in own or name in shared]
        unreadable.append(np.logical_or.reduce([np.zeros(len(piece.lines), dtype=np.bool_), *masks]))
    rows = pd.concat(sides, ignore_index=True).drop(columns=TIME_OF_QUOTE, errors="ignore")
    sifted = normalise_chain(rows, ticker=ticker, unreadable=np.concatenate(unreadable), with_delta=True)
    return sifted, np.concatenate([piece.lines] * len(SIDES))


def _filled(before: pd.DataFrame, after: pd.DataFrame, lines: IntArray) -> tuple[Remark, ...]:
    """Return a remark that underlying prices were taken from elsewhere."""
    rows = np.flatnonzero(before["underlying_price"].isna() & after["underlying_price"].notna())
    if not len(rows):
        return ()
    value, line = f"{after['underlying_price'].iloc[rows[0]]:g}", int(lines[rows[0]])
    detail = "the close of its session, from beside the file"
    return (Remark(ASSUMED, len(rows), line, value, column="underlying_price", detail=detail),)


def _with_closes(chain: pd.DataFrame, closes: pd.DataFrame | None) -> pd.DataFrame:
    """Return the rows with missing underlying prices filled in by ticker and quote date; NULL stays where no close
    is known.
    """
    missing = chain["underlying_price"].isna()
    if closes is None or not missing.any():
        return chain
    known = closes.drop_duplicates(["ticker", "session"]).set_index(["ticker", "session"])["close"].astype("float64")
    wanted = pd.MultiIndex.from_frame(chain.loc[missing, ["ticker", "quote_date"]])
    prices = chain["underlying_price"].to_numpy(dtype=np.float64, copy=True)
    prices[missing.to_numpy()] = known.reindex(wanted).to_numpy()
    return chain.assign(underlying_price=prices)
