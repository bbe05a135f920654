"""Rules that every table has, derived from its schema. Rules about one market or one table stand elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.quality.rules import POINT_IN_TIME, SCHEMA, Check, Examine, Examined, Finding, Rule
from trading_dag.schemas import Column, Table
from trading_dag.sessions import all_sessions

_GROUPS_WITH_ROWS = ("raw", "features", "labels")


@lru_cache(maxsize=64)
def schema_checks(table: Table) -> tuple[Check, ...]:
    """Return the checks that follow from the columns, the key and the slice of a table."""
    fits = Rule("columns_and_types", "Has exactly the columns of the schema, in types that fit.", check=SCHEMA)
    checks = [Check(fits, _columns, is_of_empty=True)]
    if table.group in _GROUPS_WITH_ROWS:
        has_rows = Rule("not_empty", "Has rows, unless its source is switched off.", check=SCHEMA)
        checks.append(Check(has_rows, _not_empty, is_of_empty=True))
    key = table.key
    checks.append(_schema_check("keys_unique", f"No two rows share {', '.join(key)}.", _keys_unique, needs=key))
    checks.append(_schema_check("sorted_by_key", f"Rows ascend by {', '.join(key)}.", _sorted, needs=key))
    if table.slice != "none":
        partition = table.slice_columns
        single = f"Holds a single {' and '.join(partition)}."
        checks.append(_schema_check("one_slice_only", single, _one_slice, needs=partition))
    checks.append(
        _schema_check("no_nulls_in_required", "Required columns have a value in every row.", _no_nulls_in_required)
    )
    checks.append(
        _schema_check("values_in_bounds", "Numbers are finite and within the bounds of the schema.", _values_in_bounds)
    )
    if any(column.allowed for column in table.columns):
        checks.append(
            _schema_check("values_in_set", "Closed text columns hold only values of their list.", _values_in_set)
        )
    if table.session_column is not None:
        future = Rule("no_future_sessions", "No row belongs to a session that has not closed yet.", check=POINT_IN_TIME)
        calendar = Rule("sessions_on_calendar", "Every row belongs to a session of the exchange.", check=POINT_IN_TIME)
        needs = (table.session_column,)
        checks += [Check(future, _future, needs), Check(calendar, _on_calendar, needs)]
    return tuple(checks)


def _schema_check(name: str, description: str, examine: Examine, *, needs: tuple[str, ...] = ()) -> Check:
    return Check(Rule(name, description, check=SCHEMA), examine, needs)


def describe_key(frame: pd.DataFrame, key: tuple[str, ...], position: int) -> str:
    """Return the key of one row as text, such as ``ticker=SPY, session=2024-11-15``; its number where the key is
    unknown.
    """
    row = frame.iloc[position]
    if any(pd.isna(row[name]) for name in key):
        return f"row {position}"
    return ", ".join(f"{name}={_text(row[name])}" for name in key)


def _text(value: object) -> str:
    return f"{value:%Y-%m-%d}" if isinstance(value, pd.Timestamp) else str(value)


def _columns(examined: Examined) -> Finding:
    if not examined.problems:
        return examined.nothing()
    detail = "; ".join(f"{name} {problem}" for name, problem in sorted(examined.problems.items()))
    return Finding(
        np.ones(len(examined.frame), dtype=bool),
        count=len(examined.problems),
        detail=detail,
        examples=tuple(f"column {name}" for name in sorted(examined.problems)),
    )


def _not_empty(examined: Examined) -> Finding:
    if examined.is_source_off:
        return examined.not_examined("the source is switched off")
    if len(examined.frame) or examined.table.may_be_empty:
        return examined.nothing()
    return Finding(np.zeros(0, dtype=bool), count=1, detail="no rows")


def _keys_unique(examined: Examined) -> Finding:
    key = list(examined.table.key)
    mask = examined.frame.duplicated(key, keep="first").to_numpy()
    return Finding.of_rows(mask, f"a second row for the same {', '.join(key)}")


def is_sorted(frame: pd.DataFrame, key: tuple[str, ...]) -> bool:
    """Return whether the rows ascend by the key."""
    return not bool(_descents(frame, key).any())


def _descents(frame: pd.DataFrame, key: tuple[str, ...]) -> BoolArray:
    """Return rows whose key is smaller than that of the previous row; NULLs are not compared."""
    after = np.zeros(max(len(frame) - 1, 0), dtype=bool)
    tied = np.ones_like(after)
    for name in key:
        values = frame[name].array
        before, now = values[:-1], values[1:]
        after |= tied & np.asarray(pd.Series(now < before).fillna(False), dtype=bool)
        tied &= np.asarray(pd.Series(now == before).fillna(False), dtype=bool)
    return np.concatenate([np.zeros(min(len(frame), 1), dtype=bool), after])


def _sorted(examined: Examined) -> Finding:
    return Finding.of_rows(_descents(examined.frame, examined.table.key), "a row precedes the one before it")


def _one_slice(examined: Examined) -> Finding:
    mask = np.zeros(len(examined.frame), dtype=bool)
    for name in examined.table.slice_columns:
        values = examined.frame[name]
        if len(values):
            mask |= (values.notna() & (values != values.mode().get(0))).to_numpy(dtype=bool)
    return Finding.of_rows(mask, "rows of another slice")


def null_violations(frame: pd.DataFrame, columns: list[Column]) -> tuple[BoolArray, list[str]]:
    """Return rows with a NULL where none is allowed, and one phrase per column."""
    mask = np.zeros(len(frame), dtype=bool)
    phrases = []
    for column in columns:
        missing = frame[column.name].isna().to_numpy()
        if missing.any():
            mask |= missing
            phrases.append(f"{column.name}: {int(missing.sum())} NULL")
    return mask, phrases


def bound_violations(frame: pd.DataFrame, columns: list[Column]) -> tuple[BoolArray, list[str]]:
    """Return rows with an infinite or out-of-bounds number, and one phrase per column and kind. NULL is no
    violation."""
    if not columns or not len(frame):
        return np.zeros(len(frame), dtype=bool), []
    values = _matrix(frame, [column.name for column in columns])
    low = np.array([-np.inf if column.minimum is None else column.minimum for column in columns])
    high = np.array([np.inf if column.maximum is None else column.maximum for column in columns])
    infinite = np.isinf(values)
    below, above = (values < low) & ~infinite, (values > high) & ~infinite
    phrases: list[str] = []
    kinds: tuple[tuple[BoolArray, Callable[[int], str]], ...] = (
        (infinite, lambda _: "infinite"),
        (below, lambda position: f"below {low[position]:g}"),
        (above, lambda position: f"above {high[position]:g}"),
    )
    for matrix, phrase in kinds:
        phrases.extend(
            f"{columns[position].name}: {int(matrix[:, position].sum())} {phrase(int(position))}"
            for position in np.flatnonzero(matrix.any(axis=0))
        )
    return np.asarray((infinite | below | above).any(axis=1), dtype=bool), phrases


def _matrix(frame: pd.DataFrame, names: list[str]) -> FloatArray:
    return frame[names].to_numpy(dtype="float64", na_value=np.nan)


def set_violations(frame: pd.DataFrame, columns: list[Column]) -> tuple[BoolArray, list[str]]:
    """Return rows with a text outside its closed list, and one phrase per column. NULL is no violation."""
    mask = np.zeros(len(frame), dtype=bool)
    phrases = []
    for column in columns:
        values = frame[column.name]
        stranger = (values.notna() & ~values.isin(column.allowed)).to_numpy()
        if stranger.any():
            mask |= stranger
            examples = ", ".join(repr(value) for value in sorted(set(values[stranger]))[:3])
            phrases.append(f"{column.name}: {examples} not in {', '.join(column.allowed)}")
    return mask, phrases


def required_columns(table: Table) -> list[Column]:
    """Return the columns in which no NULL is allowed."""
    return [column for column in table.columns if not column.nullable]


def number_columns(table: Table) -> list[Column]:
    """Return the columns that hold numbers."""
    return [column for column in table.columns if column.type in ("float64", "int64")]


def closed_columns(table: Table) -> list[Column]:
    """Return the text columns with a closed list of values."""
    return [column for column in table.columns if column.allowed]


def _of_columns(
    examined: Examined,
    columns: list[Column],
    violations: Callable[[pd.DataFrame, list[Column]], tuple[BoolArray, list[str]]],
) -> Finding:
    sound = [column for column in columns if column.name not in examined.problems]
    mask, phrases = violations(examined.frame, sound)
    return Finding.of_rows(mask, "; ".join(phrases))


def _no_nulls_in_required(examined: Examined) -> Finding:
    return _of_columns(examined, required_columns(examined.table), null_violations)


def _values_in_bounds(examined: Examined) -> Finding:
    return _of_columns(examined, number_columns(examined.table), bound_violations)


def _values_in_set(examined: Examined) -> Finding:
    return _of_columns(examined, closed_columns(examined.table), set_violations)


def _future(examined: Examined) -> Finding:
    days = examined.frame[str(examined.table.session_column)]
    return Finding.of_rows(
        (days > examined.context.now_session).to_numpy(), f"after {examined.context.now_session:%Y-%m-%d}"
    )


def _on_calendar(examined: Examined) -> Finding:
    days = examined.frame[str(examined.table.session_column)]
    known = (days <= examined.context.now_session) & (days >= all_sessions()[0])
    return Finding.of_rows((known & ~days.isin(all_sessions())).to_numpy(), "not a session of XNYS")
