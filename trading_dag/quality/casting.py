"""How a frame is cast to the types of its schema: which pandas type each column type has, and what may be cast to it.

Nothing is guessed: text that looks like a number or a date stays an error.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.schemas import Column, Table
from trading_dag.sessions import TIME_UNIT

_DATE: Final = f"datetime64[{TIME_UNIT}]"
_TIMESTAMP: Final = f"datetime64[{TIME_UNIT}, UTC]"


def pandas_type(column: Column) -> str:
    """Return the pandas type in which a column of the schema is held in memory."""
    if column.type == "int64":
        return "Int64" if column.nullable else "int64"
    if column.type == "bool":
        return "boolean" if column.nullable else "bool"
    return {"string": "str", "date": _DATE, "timestamp": _TIMESTAMP, "float64": "float64"}[column.type]


_MICROSECONDS_A_DAY: Final = 86_400_000_000


def empty_frame(table: Table) -> pd.DataFrame:
    """Return a frame of zero rows with the columns and types of the table."""
    return pd.DataFrame({column.name: pd.Series([], dtype=pandas_type(column)) for column in table.columns})


def cast_frame(frame: pd.DataFrame, table: Table) -> tuple[pd.DataFrame, dict[str, str]]:
    """Cast a frame to the columns and types of a table, without ever raising.

    Parameters
    ----------
    frame : anything that claims to be rows of the table.
    table : the schema.

    Returns
    -------
    The columns of the schema in order on a plain RangeIndex, and the problems by column: missing,
    unexpected, doubled, or of a type that does not fit. A column with a problem is NULL throughout.
    """
    names = list(frame.columns)
    problems = {str(name): "is not a column of the table" for name in names if name not in table.column_names}
    columns: dict[str, Any] = {}
    for column in table.columns:
        if column.name not in names:
            problems[column.name] = "is missing"
        elif names.count(column.name) > 1:
            problems[column.name] = "occurs more than once"
        else:
            cast, problem = _cast(frame[column.name], column)
            columns[column.name] = cast.array
            if problem:
                problems[column.name] = problem
        if column.name in problems:
            columns[column.name] = pd.array([None] * len(frame), dtype="object")
    return pd.DataFrame(columns, index=pd.RangeIndex(len(frame))), problems


def _cast(values: pd.Series, column: Column) -> tuple[pd.Series, str]:
    target = pandas_type(column)
    if str(values.dtype) == target and column.type != "date":
        return values, ""
    if len(values) == 0 or bool(values.isna().all()):
        return _nulls(values, column)
    return {
        "string": _cast_text,
        "float64": _cast_number,
        "int64": _cast_integer,
        "bool": _cast_flag,
        "date": _cast_date,
        "timestamp": _cast_timestamp,
    }[column.type](values, target)


def _nulls(values: pd.Series, column: Column) -> tuple[pd.Series, str]:
    """Cast an all-NULL column, which fits every type that has a NULL; whether it may be NULL is another rule."""
    target = {"int64": "Int64", "bool": "boolean"}.get(column.type, pandas_type(column))
    return pd.Series([None] * len(values), dtype="object").astype(target), ""  # type: ignore[call-overload]


def _wrong(values: pd.Series, expected: str) -> tuple[pd.Series, str]:
    return values, f"is {values.dtype}, expected {expected}"


def _cast_text(values: pd.Series, target: str) -> tuple[pd.Series, str]:
    if str(values.dtype) == "category":
        values = values.astype(values.cat.categories.dtype)
    if not isinstance(values.dtype, pd.StringDtype) and not _all_instances(values, str):
        return _wrong(values, "text")
    return values.astype("object").where(values.notna(), np.nan).astype(target), ""  # type: ignore[call-overload]


def _cast_number(values: pd.Series, target: str) -> tuple[pd.Series, str]:
    if pd.api.types.is_bool_dtype(values.dtype):
        return _wrong(values, "a number")
    if not pd.api.types.is_numeric_dtype(values.dtype) and not _all_instances(values, (int, float, np.number)):
        return _wrong(values, "a number")
    if pd.api.types.is_complex_dtype(values.dtype):
        return _wrong(values, "a number")
    return pd.Series(values.to_numpy(dtype=target, na_value=np.nan)), ""


def _cast_integer(values: pd.Series, target: str) -> tuple[pd.Series, str]:
    numbers, problem = _cast_number(values, "float64")
    if problem:
        return _wrong(values, "an integer")
    present = numbers.dropna()
    if not np.isfinite(present).all() or (present != present.round()).any():
        return values, "holds numbers that are not integers"
    exact = pd.Series(values.array).astype("Int64")
    return (exact if exact.isna().any() else exact.astype(target)), ""  # type: ignore[call-overload]


def _cast_flag(values: pd.Series, target: str) -> tuple[pd.Series, str]:
    if not pd.api.types.is_bool_dtype(values.dtype) and not _all_instances(values, (bool, np.bool_)):
        return _wrong(values, "a flag")
    flags = pd.Series(values.array).astype("boolean")
    return (flags if flags.isna().any() else flags.astype(target)), ""  # type: ignore[call-overload]


def _cast_date(values: pd.Series, target: str) -> tuple[pd.Series, str]:
    if not isinstance(values.dtype, np.dtype) or values.dtype.kind != "M":
        if not _all_instances(values, dt.date) or not all(
            getattr(day, "tzinfo", None) is None for day in values.dropna()
        ):
            return _wrong(values, "a date")
        values = pd.to_datetime(pd.Series(values.array), errors="coerce")
    days = values.astype(target)  # type: ignore[call-overload]
    present = days.to_numpy()
    if (present[~np.isnat(present)].view("int64") % _MICROSECONDS_A_DAY).any():
        return values, "holds times of day, expected dates"
    return days, ""


def _cast_timestamp(values: pd.Series, target: str) -> tuple[pd.Series, str]:
    if not isinstance(values.dtype, pd.DatetimeTZDtype):
        return _wrong(values, "a moment with a time zone")
    return values.dt.tz_convert("UTC").astype(target), ""


def _all_instances(values: pd.Series, kinds: type | tuple[type, ...]) -> bool:
    if values.dtype != object:
        return False
    present = values.dropna()
    wants_numbers = isinstance(kinds, tuple) and float in kinds
    return all(isinstance(value, kinds) and not (wants_numbers and isinstance(value, bool)) for value in present)
