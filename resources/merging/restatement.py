"""Merging fresh rows into stored history: what is new, what the vendor changed, and whether its base moved.

Incremental loading as pure comparison of two frames belongs here. Fetching, locking and storing do not.

A restatement is taken, and recorded. A *rebase* is another matter: a dividend or a split makes the vendor divide
everything before it by one factor, and fresh rows on the new base must never stand beside stored rows on the
old one. It shows in the earliest row that both frames have: if that one has moved, so has all before it. Another
volatility index in the place of the stored one, or first releases in the place of the latest vintage (a FRED key
was added), are the same kind of change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from resources.raw_frames import SOURCE_ATTRIBUTE
from trading_dag.arrays import BoolArray
from trading_dag.errors import SchemaError, SourceMismatchError
from trading_dag.quality.casting import pandas_type
from trading_dag.schemas import Table
from trading_dag.sessions import shift_sessions

FLOAT_TOLERANCE: Final = 1e-6
RATIO_TOLERANCE: Final = 1e-5
# Seasonal factors of the CPI and the annual update of GDP change five years of published values.
OBSERVATION_OVERLAP_DAYS: Final = 6 * 366
OBSERVATION_DATE: Final = "observation_date"
_PRICES: Final = ("open", "high", "low", "close")
# What a row is about, and not what it says: where this changes, no value is a correction of the one before.
_IDENTITIES: Final = ("symbol", "vintage")
_RESTATED_VALUES: Final = ("column", "old", "new")

Matrix = BoolArray


@dataclass(frozen=True)
class MergeResult:
    """Tells what merging fresh rows into stored ones changed.

    Attributes
    ----------
    frame : the merged slice, sorted by key; ``stored`` itself where ``rebased`` and older rows would be left on
        the old base. ``attrs`` are those of the fresh frame.
    appended : keys that were not stored.
    restated : one row per changed value: the table's key, ``column``, ``old``, ``new`` (as the values are, of type
        object). The values that a rebase explains count once, as the first of them.
    rebased : the vendor's base moved, the rows are about something else, or no row is in both frames, so that the
        caller has to fetch the whole slice and store that.
    """

    frame: pd.DataFrame
    appended: int
    restated: pd.DataFrame
    rebased: bool


def merge_history(stored: pd.DataFrame, fresh: pd.DataFrame, *, table: Table) -> MergeResult:
    """Merge fresh rows into stored ones on the table's key. Merging the same rows again changes nothing.

    Values that differ by less than 1e-6 relatively are the same value, and the stored one stays. Stored rows that
    the vendor no longer gives stay.

    Parameters
    ----------
    stored, fresh : rows of one slice with the table's columns; ``attrs["source"]`` says where they come from.

    Raises
    ------
    SourceMismatchError : where there are stored rows and the fresh frame comes from another source, or either does
        not say where it comes from.
    SchemaError : where a frame lacks a column or repeats a key.
    """
    columns, key = list(table.column_names), list(table.key)
    for name, frame in (("stored", stored), ("fresh", fresh)):
        _require_shape(frame, table, name)
    if stored.empty:
        merged = fresh[columns].sort_values(key, ignore_index=True)
        return _result(merged, fresh, appended=len(fresh), restated=no_restatements(table))
    _require_same_source(stored, fresh, table)

    stored, fresh_rows = (frame[columns].sort_values(key, ignore_index=True) for frame in (stored, fresh))
    pairs = _common_rows(stored, fresh_rows, key)
    is_new = ~fresh_rows.index.isin(pairs["fresh"])
    if len(fresh_rows) and pairs.empty:
        # Without a row in common nobody can say whether both are on one base.
        return _result(stored, fresh, appended=0, restated=no_restatements(table), rebased=True)
    before = stored.take(pairs["stored"].to_numpy()).reset_index(drop=True)
    after = fresh_rows.take(pairs["fresh"].to_numpy()).reset_index(drop=True)
    values = [name for name in columns if name not in key]
    changed = pd.DataFrame({name: differs(before[name], after[name]) for name in values}, index=before.index)

    explained = _explained_by_rebase(before, after, changed, table)
    rebased = bool(explained.any(axis=None))
    restated = restatements_of(before, after, changed & ~explained, table)
    if rebased:
        moved = restatements_of(before, after, _first_explained(explained), table)
        restated = pd.concat([moved, restated], ignore_index=True) if len(restated) else moved
        if len(pairs) < len(stored):
            return _result(stored, fresh, appended=0, restated=restated, rebased=True)

    updated = stored.copy()
    for name in changed.columns[changed.any()]:
        rows = changed[name].to_numpy()
        updated.loc[pairs["stored"].to_numpy()[rows], name] = after.loc[rows, name].to_numpy()
    parts = [part for part in (updated, fresh_rows[is_new]) if len(part)]
    merged = pd.concat(parts).sort_values(key, ignore_index=True)
    types: dict[str, Any] = {column.name: pandas_type(column) for column in table.columns}
    return _result(merged.astype(types), fresh, appended=int(is_new.sum()), restated=restated, rebased=rebased)


def overlap_start(stored: pd.DataFrame, *, table: Table, overlap_sessions: int) -> pd.Timestamp | None:
    """Return where the next fetch has to begin, so that it overlaps what is stored; None to fetch everything.

    ``overlap_sessions`` sessions before the last stored one. For a table without sessions (macro): six years
    before the last observation date, because revisions reach back five.
    """
    if stored.empty:
        return None
    if table.session_column is None:
        return pd.Timestamp(stored[OBSERVATION_DATE].max()) - pd.Timedelta(days=OBSERVATION_OVERLAP_DAYS)
    last = pd.DatetimeIndex([stored[table.session_column].max()])
    start = shift_sessions(last, -overlap_sessions)[0]
    return None if pd.isna(start) else pd.Timestamp(start)


def _common_rows(stored: pd.DataFrame, fresh: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Return the positions ``stored`` and ``fresh`` of the keys that both have, in the order of the stored rows."""
    return (
        stored[key].assign(stored=stored.index).merge(fresh[key].assign(fresh=fresh.index), on=key)[["stored", "fresh"]]
    )


def _explained_by_rebase(
    before: pd.DataFrame, after: pd.DataFrame, changed: pd.DataFrame, table: Table
) -> pd.DataFrame:
    """Return which changed values follow from a moved base; all False where the earliest common row has not moved."""
    explained = pd.DataFrame(False, index=changed.index, columns=changed.columns)
    if changed.empty:
        return explained
    if any(changed[name].iloc[0] for name in _IDENTITIES if name in changed.columns):
        return changed.copy()
    if table.session_column is None or "adj_close" not in changed.columns:
        return explained
    ratios = after[[*_PRICES, "adj_close"]] / before[[*_PRICES, "adj_close"]]
    prices, adjusted = ratios[list(_PRICES)].iloc[0], float(ratios["adj_close"].iloc[0])
    split = float(prices["close"])
    is_split = bool(changed[list(_PRICES)].iloc[0].all() and _close_to(prices, split).all())
    is_dividend = bool(changed["adj_close"].iloc[0] and not changed["close"].iloc[0])
    if is_split:
        for name in _PRICES:
            explained[name] = changed[name] & _close_to(ratios[name], split)
        explained["volume"] = changed["volume"] & explained["close"]
    if is_split or is_dividend:
        explained["adj_close"] = changed["adj_close"] & _close_to(ratios["adj_close"], adjusted)
    return explained


def _first_explained(explained: pd.DataFrame) -> pd.DataFrame:
    """Return the one value that stands for all that a rebase explains: the earliest, of the telling column."""
    name = next(name for name in (*_IDENTITIES, "close", "adj_close") if explained.get(name, pd.Series()).any())
    first = pd.DataFrame(False, index=explained.index, columns=explained.columns)
    first.loc[first.index[0], name] = True
    return first


def _close_to(values: pd.Series, expected: float) -> pd.Series:
    return (values / expected - 1.0).abs() <= RATIO_TOLERANCE


def differs(before: pd.Series, after: pd.Series) -> Matrix:
    """Return whether two aligned columns hold different values; NaN equals NaN, float noise is no difference."""
    if before.dtype.kind == "f":
        old, new = before.to_numpy(dtype="float64"), after.to_numpy(dtype="float64")
        is_same: Matrix = np.isclose(new, old, rtol=FLOAT_TOLERANCE, atol=FLOAT_TOLERANCE * 1e-3, equal_nan=True)
        return ~is_same
    both_missing = before.isna() & after.isna()
    different: Matrix = ((before != after).fillna(True) & ~both_missing).to_numpy(dtype=bool)
    return different


def restatements_of(before: pd.DataFrame, after: pd.DataFrame, changed: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return one row per changed value: the table's key, ``column``, ``old``, ``new``.

    Parameters
    ----------
    before, after : rows on one index, before with the columns of the key.
    changed : bool, the columns that are compared, on that index.
    """
    mask = changed.to_numpy()
    rows, positions = np.nonzero(mask)
    if not len(rows):
        return no_restatements(table)
    names = list(changed.columns.take(positions.tolist()))
    pairs = list(zip(rows, names, strict=True))
    return (
        before[list(table.key)]
        .take(rows.tolist())
        .reset_index(drop=True)
        .assign(
            column=pd.Series(names, dtype="str"),
            old=pd.Series([before[name].iloc[row] for row, name in pairs], dtype="object"),
            new=pd.Series([after[name].iloc[row] for row, name in pairs], dtype="object"),
        )
    )


def no_restatements(table: Table) -> pd.DataFrame:
    """Return the frame of ``restatements_of`` without rows."""
    types = {name: pandas_type(table.column(name)) for name in table.key} | {"column": "str", "old": "object"}
    return pd.DataFrame({name: pd.Series(dtype=types.get(name, "object")) for name in (*table.key, *_RESTATED_VALUES)})


def _result(
    merged: pd.DataFrame, fresh: pd.DataFrame, *, appended: int, restated: pd.DataFrame, rebased: bool = False
) -> MergeResult:
    merged.attrs = dict(fresh.attrs)
    return MergeResult(merged, appended, restated, rebased)


def _require_shape(frame: pd.DataFrame, table: Table, name: str) -> None:
    missing = [column for column in table.column_names if column not in frame.columns]
    if missing:
        raise SchemaError(table=table.qualified_name, key=f"{name} rows", rule=f"columns are missing: {missing}")
    repeated = frame.duplicated(list(table.key))
    if repeated.any():
        first = frame.loc[repeated, list(table.key)].iloc[0].to_dict()
        raise SchemaError(
            table=table.qualified_name,
            key=", ".join(f"{k}={v}" for k, v in first.items()),
            rule=f"{name} rows repeat it",
        )


def _require_same_source(stored: pd.DataFrame, fresh: pd.DataFrame, table: Table) -> None:
    old, new = stored.attrs.get(SOURCE_ATTRIBUTE), fresh.attrs.get(SOURCE_ATTRIBUTE)
    if old == new and old is not None:
        return
    slice_name = ", ".join(f"{name}={stored[name].iloc[0]}" for name in ("ticker", "horizon") if name in stored.columns)
    raise SourceMismatchError(
        table=table.qualified_name,
        key=slice_name or "the whole table",
        rule=f"rows of source {new or 'unknown'} cannot be merged into rows of source {old or 'unknown'}: "
        "use another TRADING_DAG_HOME for another source",
    )
