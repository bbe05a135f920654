"""Frames of raw tables: types, sessions and the columns that every source has to fill alike.

What is the same for all sources belongs here. Where the values come from does not.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

import pandas as pd

from resources.left_out import LEFT_OUT, with_note
from trading_dag.errors import EmptySourceError
from trading_dag.quality.casting import empty_frame, pandas_type
from trading_dag.schemas import Table
from trading_dag.sessions import all_sessions

SOURCE_ATTRIBUTE: Final = "source"
SOURCE_OFF_ATTRIBUTE: Final = "source_off"
IMPORT_CHAINS: Final = "trading-dag import-chains PATH brings in files of them"
THREE_MONTH_INDEX: Final = "VIX3M"
_logger = logging.getLogger(__name__)


def switched_off(table: Table, *, source: str, reason: str) -> pd.DataFrame:
    """Return a typed frame without rows that says why there are none."""
    frame = empty_frame(table)
    frame.attrs = {SOURCE_ATTRIBUTE: source, SOURCE_OFF_ATTRIBUTE: reason}
    return frame


def raw_frame(frame: pd.DataFrame, table: Table, *, source: str) -> pd.DataFrame:
    """Return the frame in the table's columns, order and types, sorted by key; columns that are missing are NULL.

    What was left out of the frame, or assumed, stays its attribute.

    Raises
    ------
    KeyError : where a column that must not be NULL is missing, which is a defect of the calling source.
    """
    columns = {}
    for column in table.columns:
        if column.name in frame.columns:
            values = frame[column.name]
        elif column.nullable:
            values = pd.Series(float("nan"), index=frame.index, dtype="float64")
        else:
            raise KeyError(f"{table.qualified_name}.{column.name}")
        columns[column.name] = values.astype(pandas_type(column))  # type: ignore[call-overload]
    result = pd.DataFrame(columns).sort_values(list(table.key), ignore_index=True)
    result.attrs = {SOURCE_ATTRIBUTE: source}
    if frame.attrs.get(LEFT_OUT):
        result.attrs[LEFT_OUT] = frame.attrs[LEFT_OUT]
    return result


def with_notes(frame: pd.DataFrame, notes: Iterable[str]) -> pd.DataFrame:
    """Return the frame with what was left out of it or assumed, each in words with its count, for who reads it.

    The log has them too, so that they are heard where nobody looks at a frame's attributes.
    """
    known = notes_of(frame)
    new = [note for note in dict.fromkeys(notes) if note not in known]
    for note in new:
        _logger.warning("%s", note)
    if new:
        frame.attrs[LEFT_OUT] = with_note(*known, *new)
    return frame


def notes_of(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return what was left out of a frame or assumed, as ``with_notes`` and ``LeftOut`` recorded it."""
    return tuple(str(frame.attrs.get(LEFT_OUT, "")).splitlines())


def on_sessions(frame: pd.DataFrame, *, source: str, what: str) -> pd.DataFrame:
    """Return the rows whose ``session`` is an exchange session, with a note on the others, which are left out."""
    is_session = frame["session"].isin(all_sessions())
    dropped = frame.loc[~is_session, "session"]
    if dropped.empty:
        return frame
    note = (
        f"{source}: {len(dropped):,} rows of {what} are on days that are no exchange session "
        f"(first {dropped.min():%Y-%m-%d}) and were left out"
    )
    return with_notes(frame[is_session], [note])


def since_session(frame: pd.DataFrame, since: pd.Timestamp | None) -> pd.DataFrame:
    """Return the rows from ``since`` on."""
    return frame if since is None else frame[frame["session"] >= since]


def with_index_columns(
    index: pd.DataFrame, three_month: pd.DataFrame | None, *, ticker: str, symbol: str
) -> pd.DataFrame:
    """Return the rows of an index with ticker, symbol and the three-month index's close of the same session.

    Parameters
    ----------
    index, three_month : columns ``session`` and ``close`` at least, one row per session.

    Returns
    -------
    pd.DataFrame : ``vix3m_close`` is NaN where the three-month index has no row, or is None.
    """
    named = index.assign(ticker=ticker, symbol=symbol)
    if three_month is None:
        return named.assign(vix3m_close=float("nan"))
    note = with_note(index.attrs.get(LEFT_OUT), three_month.attrs.get(LEFT_OUT))
    named.attrs.update({LEFT_OUT: note} if note else {})
    closes = three_month.set_index("session")["close"]
    return named.assign(vix3m_close=named["session"].map(closes))


def require_rows(frame: pd.DataFrame, *, source: str, request: str, problem: str, remedy: str) -> pd.DataFrame:
    """Return the frame, if it has rows.

    Raises
    ------
    EmptySourceError : where it has none.
    """
    if frame.empty:
        raise EmptySourceError(source=source, request=request, problem=problem, remedy=remedy)
    return frame
