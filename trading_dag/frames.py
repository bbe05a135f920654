"""Frames in the exact shape of a table, and what every builder demands of the frames that it is given.

Only the rules without which a result would be silently wrong: the columns are there, the rows are one ticker in
ascending, unique sessions. Bounds and rules across tables are checked where slices are stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.errors import SchemaError
from trading_dag.schemas import ColumnType, Table
from trading_dag.sessions import TIME_UNIT

PANDAS_DTYPES: Final[dict[ColumnType, str]] = {
    "string": "str",
    "date": "datetime64[us]",
    "timestamp": "datetime64[us, UTC]",
    "float64": "float64",
    "int64": "int64",
    "bool": "bool",
}


def table_frame(table: Table, values: Mapping[str, Any], *, rows: int) -> pd.DataFrame:
    """Return a frame of the table's columns in stored order, with a plain index.

    Parameters
    ----------
    values : column → scalar or array of ``rows`` entries; a column that is left out is NULL.

    Raises
    ------
    SchemaError : for a value that belongs to no column, or a column that may not be NULL and is left out.
    """
    strangers = [name for name in values if name not in table.column_names]
    missing = [column.name for column in table.columns if not column.nullable and column.name not in values]
    if strangers or (missing and rows):
        raise SchemaError(
            table=table.qualified_name,
            key=", ".join(strangers or missing),
            rule="not a column of the table" if strangers else "column may not be NULL",
        )
    index = pd.RangeIndex(rows)
    columns = {}
    for column in table.columns:
        dtype = PANDAS_DTYPES[column.type]
        value = values.get(column.name)
        if value is None:
            value = pd.NaT if column.type in ("date", "timestamp") else (None if column.type == "string" else np.nan)
        if column.type in ("int64", "bool") and not rows:
            value = np.empty(0)
        if isinstance(value, pd.Series):
            value = value.to_numpy()
        columns[column.name] = pd.Series(value, index=index, dtype=dtype)
    return pd.DataFrame(columns, index=index)


def frame_of_records(table: Table, records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return records as rows of a table, in their order; what a record does not have is NULL.

    Raises
    ------
    SchemaError : as for ``table_frame``.
    """
    if not records:
        return table_frame(table, {}, rows=0)
    values = {name: [record.get(name) for record in records] for name in table.column_names}
    return table_frame(table, values, rows=len(records))


def values_at_sessions(frame: pd.DataFrame, sessions: pd.DatetimeIndex, *, column: str, table: str) -> FloatArray:
    """Return a numeric column of one ticker's frame at each wanted session, NaN where the frame has no such row.

    Raises
    ------
    SchemaError : for a missing column, or sessions that repeat or do not ascend.
    """
    index = require_sessions(frame, (column,), table=table)
    series = pd.Series(frame[column].to_numpy(dtype=np.float64, na_value=np.nan), index=index)
    values: FloatArray = series.reindex(sessions).to_numpy(dtype=np.float64)
    return values


def rows_at(frame: pd.DataFrame, positions: IntArray, *, columns: Iterable[str]) -> pd.DataFrame:
    """Return some rows of some columns, with a plain index: of a wide frame faster than to take its rows whole."""
    taken = {name: frame[name].array.take(positions) for name in columns}
    return pd.DataFrame(taken, index=pd.RangeIndex(len(positions)), copy=False)


def require_columns(frame: pd.DataFrame, table: str, *, columns: Iterable[str]) -> None:
    """Demand that a frame, of any number of tickers and models, has the columns that are read from it.

    Raises
    ------
    SchemaError : naming the table and what is missing.
    """
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise SchemaError(table=table, key=", ".join(missing), rule="column is missing")


def require_sessions(frame: pd.DataFrame, columns: Iterable[str], *, table: str) -> pd.DatetimeIndex:
    """Check one ticker's frame and return its sessions.

    Parameters
    ----------
    frame : rows of one ticker, one per session.
    columns : columns the caller is going to read, beyond ``session``.
    table : qualified name, for the message.

    Returns
    -------
    pd.DatetimeIndex : the sessions, ``datetime64[us]``, strictly ascending.

    Raises
    ------
    SchemaError : where a column is missing, a session is missing, repeated or out of order, or the
        frame holds more than one ticker.
    """
    missing = [name for name in ("session", *columns) if name not in frame.columns]
    if missing:
        raise SchemaError(table=table, key="columns", rule=f"missing: {', '.join(missing)}")
    if "ticker" in frame.columns and frame["ticker"].nunique(dropna=False) > 1:
        tickers = sorted(frame["ticker"].astype(str).unique())
        raise SchemaError(table=table, key=f"ticker={', '.join(tickers[:3])}", rule="one ticker at a time")
    sessions = pd.DatetimeIndex(frame["session"]).as_unit(TIME_UNIT)
    if sessions.hasnans:
        raise SchemaError(table=table, key="session=NaT", rule="every row names its session")
    if not sessions.is_monotonic_increasing or not sessions.is_unique:
        steps = pd.Series(sessions).diff()
        position = int((steps <= pd.Timedelta(0)).to_numpy().argmax())
        raise SchemaError(
            table=table,
            key=f"session={sessions[position]:%Y-%m-%d}",
            rule="sessions ascend and none is repeated",
        )
    return sessions


def require_prices(frame: pd.DataFrame, columns: Iterable[str], *, table: str) -> None:
    """Check that price columns hold positive finite numbers.

    Raises
    ------
    SchemaError : with the first session that breaks the rule.
    """
    for name in columns:
        values = frame[name].to_numpy(dtype="float64", na_value=float("nan"))
        bad = ~((values > 0) & (values < float("inf")))
        if bad.any():
            day = pd.Timestamp(frame["session"].iloc[int(bad.argmax())])
            raise SchemaError(table=table, key=f"session={day:%Y-%m-%d}", rule=f"{name} is a positive, finite price")


def ticker_of(frame: pd.DataFrame) -> str:
    """Return the ticker of a frame that holds one; empty where it has no rows."""
    return "" if frame.empty else str(frame["ticker"].iloc[0])
