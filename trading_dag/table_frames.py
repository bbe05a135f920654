"""Frames in the exact shape of a table: typed, ordered, and possibly empty. Checks of values are elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_dag.errors import SchemaError
from trading_dag.features.input_rules import require_sessions
from trading_dag.schemas import ColumnType, Table

FloatArray = NDArray[np.float64]
PANDAS_DTYPES: Final[dict[ColumnType, str]] = {
    "string": "str",
    "date": "datetime64[us]",
    "timestamp": "datetime64[us, UTC]",
    "float64": "float64",
    "int64": "int64",
    "bool": "bool",
}


def table_frame(table: Table, values: Mapping[str, Any], *, rows: int) -> pd.DataFrame:
    """A frame of the table's columns in stored order, with a plain index.

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


def values_at_sessions(frame: pd.DataFrame, sessions: pd.DatetimeIndex, *, column: str, table: str) -> FloatArray:
    """A numeric column of one ticker's frame at each wanted session, NaN where the frame has no such row.

    Raises
    ------
    SchemaError : for a missing column, or sessions that repeat or do not ascend.
    """
    index = require_sessions(frame, (column,), table=table)
    series = pd.Series(frame[column].to_numpy(dtype=np.float64, na_value=np.nan), index=index)
    found: FloatArray = series.reindex(sessions).to_numpy(dtype=np.float64)
    return found


def require_columns(frame: pd.DataFrame, table: str, *, columns: Iterable[str]) -> None:
    """Demand that a frame, of any number of tickers and models, has the columns that are read from it.

    Raises
    ------
    SchemaError : naming the table and what is missing.
    """
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise SchemaError(table=table, key=", ".join(missing), rule="column is missing")
