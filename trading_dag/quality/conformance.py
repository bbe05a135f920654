"""The last line of defence before a slice is stored: the schema, in plain pandas, fast, and by exception."""

from __future__ import annotations

import re
from typing import Final, NoReturn

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray
from trading_dag.errors import SchemaError
from trading_dag.quality.casting import cast_frame, pandas_type
from trading_dag.quality.schema_rules import (
    bound_violations,
    closed_columns,
    describe_key,
    is_sorted,
    null_violations,
    number_columns,
    required_columns,
    set_violations,
)
from trading_dag.schemas import Table

_SLICE_WORDS: Final = re.compile(r"[^A-Za-z0-9.\-]+")


def conform(frame: pd.DataFrame, table: Table, *, slice_key: str) -> pd.DataFrame:
    """Return the frame in the form in which it is stored: the schema's columns in order, in its types, sorted by key.

    Parameters
    ----------
    frame : rows of one slice, in any order of rows and columns.
    table : the schema.
    slice_key : the slice as text, such as ``SPY``, ``24h|SPY`` or ``ticker=SPY, horizon=24h``; the frame's ticker and
        horizon must occur in it, and errors name it.

    Returns
    -------
    A new frame on a plain RangeIndex. Conforming it again changes nothing. ``attrs`` are kept.

    Raises
    ------
    SchemaError : for missing or extra columns, values that do not fit their type, infinities, NULL in a required
        column, doubled keys, rows of another slice, numbers out of bounds and text outside its list.
    """
    cast, problems = cast_frame(frame, table)
    if problems:
        phrases = "; ".join(f"{name} {problem}" for name, problem in sorted(problems.items()))
        raise SchemaError(table=table.qualified_name, key=slice_key, rule=f"columns and types: {phrases}")

    for columns, violations in (
        (required_columns(table), null_violations),
        (number_columns(table), bound_violations),
        (closed_columns(table), set_violations),
    ):
        mask, phrases_found = violations(cast, columns)
        if phrases_found:
            _refuse(cast, table, slice_key, mask=mask, rule="; ".join(phrases_found))
    _refuse_other_slices(cast, table, slice_key)

    key = list(table.key)
    doubled = cast.duplicated(key).to_numpy()
    if doubled.any():
        _refuse(cast, table, slice_key, mask=doubled, rule=f"{int(doubled.sum())} rows repeat a key")
    if not is_sorted(cast, table.key):
        cast = cast.sort_values(key, ignore_index=True)

    wrong = [column for column in table.columns if str(cast[column.name].dtype) != pandas_type(column)]
    for column in wrong:
        cast[column.name] = cast[column.name].astype(pandas_type(column))  # type: ignore[call-overload]
    cast.attrs = dict(frame.attrs)
    return cast


def _refuse(cast: pd.DataFrame, table: Table, slice_key: str, *, mask: BoolArray, rule: str) -> NoReturn:
    first = describe_key(cast, table.key, int(np.flatnonzero(mask)[0]))
    raise SchemaError(table=table.qualified_name, key=f"{slice_key}: {first}", rule=rule)


def _refuse_other_slices(cast: pd.DataFrame, table: Table, slice_key: str) -> None:
    words = set(_SLICE_WORDS.split(slice_key))
    for name in table.slice_columns:
        keys = cast[name].unique()
        if len(keys) > 1 or (len(keys) == 1 and keys[0] not in words):
            mask = (~cast[name].isin(words) | (cast[name] != keys[0])).to_numpy()
            _refuse(cast, table, slice_key, mask=mask, rule=f"rows of another slice: {name} {', '.join(keys[:3])}")
