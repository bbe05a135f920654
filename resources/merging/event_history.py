"""Merging what a vendor says now about events into what is stored: nothing that cannot be asked again is lost.

Articles, snapshots of mentions, announcements, days of the calendar and hourly bars. They differ from a price history,
which ``restatement.py`` merges: a fetch need not overlap the one before it, and no row of a session that has been seen
may change. How a calendar's rows keep what they said before is in ``event_versions.py``. Comparison of frames only;
fetching, locking and storing do not belong here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from resources.merging.event_versions import KNOWN_AT, Asked, VersionMerge, merge_versions
from resources.merging.price_base import PRICES, base_factor, on_base
from resources.merging.restatement import differs, no_restatements, restatements_of
from resources.raw_frames import SOURCE_ATTRIBUTE
from trading_dag.errors import SchemaError, SourceMismatchError
from trading_dag.quality.casting import pandas_type
from trading_dag.schemas import (
    EARNINGS,
    ECONOMIC_CALENDAR,
    NEWS,
    NEWS_SENTIMENT,
    PRICES_HOURLY,
    SOCIAL_MENTIONS,
    Table,
)

# Vendors add articles of yesterday, and figures to announcements of the last quarter (which the calendar showed a
# hundred days ahead).
_OVERLAP: Final[dict[str, tuple[str, pd.Timedelta]]] = {
    NEWS.name: ("published_at", pd.Timedelta(days=3)),
    EARNINGS.name: ("report_date", pd.Timedelta(days=220)),
    PRICES_HOURLY.name: ("ts", pd.Timedelta(days=7)),
}
_AGES_BY: Final[dict[str, str]] = {
    NEWS.name: "published_at",
    SOCIAL_MENTIONS.name: KNOWN_AT,
    NEWS_SENTIMENT.name: KNOWN_AT,
}
_VERSIONED: Final = (EARNINGS.name, ECONOMIC_CALENDAR.name)
# What features read of a row, which belongs to one session for ever: here the first value stays, NULL included.
_FIRST_STAYS: Final[dict[str, tuple[str, ...]]] = {
    NEWS.name: ("published_at", "scope", "headline", "sentiment"),
    SOCIAL_MENTIONS.name: ("mentions", "mentions_24h_ago"),
    NEWS_SENTIMENT.name: ("company_score", "sector_score", "buzz", "articles_last_week"),
    PRICES_HOURLY.name: PRICES,
}
TAKEN: Final = "taken"
FIRST_STAYS: Final = "the first value stays"


@dataclass(frozen=True)
class EventMerge:
    """Tells what a merge changed.

    Attributes
    ----------
    frame : the merged slice, sorted by key; ``attrs`` are those of the fresh frame.
    appended : rows that were not stored.
    completed : values that were NULL and are known now.
    restated : one row per value that the vendor gives otherwise than before, ``known_at`` apart: the table's key,
        ``column``, ``old``, ``new`` and ``outcome``, which is ``taken`` or ``the first value stays``.
    withdrawn : rows that the vendor has taken back: they are ``cancelled_at`` now.
    base_factor : what stored prices were multiplied by, because the vendor's base has moved; 1.0 where it has not.
    """

    frame: pd.DataFrame
    appended: int
    completed: int
    restated: pd.DataFrame
    withdrawn: int = 0
    base_factor: float = 1.0


def fetch_start(stored: pd.DataFrame, table: Table) -> pd.Timestamp | None:
    """Return the day from which to fetch, so that late articles and figures are seen; None to fetch everything.

    News overlap by three days, hourly bars by seven, announcements by 220 (a hundred ahead, a quarter back). The
    calendar is fetched whole.
    """
    if stored.empty or table.name not in _OVERLAP:
        return None
    column, overlap = _OVERLAP[table.name]
    last = pd.Timestamp(stored[column].max())
    return (last.tz_localize(None) - overlap).normalize()


def merge_events(
    stored: pd.DataFrame,
    fresh: pd.DataFrame,
    *,
    table: Table,
    asked_at: pd.Timestamp,
    asked_before: pd.Timestamp | None = None,
    since: pd.Timestamp | None = None,
) -> EventMerge:
    """Merge fresh events into stored ones. Merging the same rows again changes nothing.

    The rule: rows of features of sessions that closed when the vendor was asked before stay as they were. So the first
    ``known_at`` stays, a value that a feature reads stays as first said and the other one is recorded, and a row that
    the vendor did not have then was not known before. Values that no feature reads follow the vendor, and a NULL takes
    no value away. Stored rows that the vendor does not give stay; where absence says something, which is in
    announcements and in days of the calendar, they are closed (``event_versions``). Hourly bars are put on the
    vendor's new base where a split has moved it (``price_base``); a bar that was missing is filled in.

    Parameters
    ----------
    stored, fresh : rows of one slice with the table's columns; ``attrs["source"]`` says where they come from. What is
        fresh has one row for each announcement and day.
    asked_at : when the fresh rows were asked for, UTC.
    asked_before : when the stored rows were last asked for; None for a source whose rows say themselves when they were
        known.
    since : first day that was asked for; None for everything.

    Raises
    ------
    SourceMismatchError : where there are stored rows and the fresh frame comes from another source.
    SchemaError : where a frame lacks a column or repeats a key.
    PriceBaseError : where hourly bars differ from the stored ones by more than one factor.
    """
    is_versioned = table.name in _VERSIONED
    one_row = tuple(name for name in table.key if not (is_versioned and name == KNOWN_AT))
    for name, frame, key in (("stored", stored, table.key), ("fresh", fresh, one_row)):
        _require_shape(frame, table, name, key=key)
    if stored.empty:
        return EventMerge(_sorted(fresh, fresh, table), len(fresh), 0, _with_outcome(no_restatements(table), []))
    _require_same_source(stored, fresh, table)
    asked = Asked(asked_at, asked_before, since)
    factor = 1.0
    if is_versioned:
        merged = merge_versions(stored, fresh, table=table, asked=asked)
    else:
        if table.name == PRICES_HOURLY.name:
            pairs = stored.merge(fresh, on=list(table.key), suffixes=("", " "))
            renamed = {f"{name} ": name for name in PRICES}
            factor = base_factor(pairs, pairs[list(renamed)].rename(columns=renamed), table=table)
        merged = _merged_rows(on_base(stored, factor) if factor != 1.0 else stored, fresh, table, asked)
    restated = _with_outcome(merged.restated, [TAKEN if taken else FIRST_STAYS for taken in merged.is_taken])
    if factor != 1.0:
        restated = pd.concat([_moved_base(stored, factor, table), restated], ignore_index=True)
    return EventMerge(
        frame=_sorted(merged.frame, fresh, table),
        appended=merged.appended,
        completed=merged.completed,
        restated=restated,
        withdrawn=merged.withdrawn,
        base_factor=factor,
    )


def keep_recent(frame: pd.DataFrame, table: Table, *, days: int | None, now: pd.Timestamp) -> pd.DataFrame:
    """Return the rows without articles and snapshots that are older than so many days; everything where ``days`` is
    None.
    """
    column = _AGES_BY.get(table.name)
    if days is None or column is None:
        return frame
    return frame[frame[column] >= now - pd.Timedelta(days=days)].reset_index(drop=True)


def _merged_rows(stored: pd.DataFrame, fresh: pd.DataFrame, table: Table, asked: Asked) -> VersionMerge:
    """Merge rows that happened once and are not taken back."""
    key = list(table.key)
    old, new = stored.set_index(key), fresh.set_index(key)
    is_given, is_stored = old.index.isin(new.index), new.index.isin(old.index)
    before = old[is_given].reset_index()
    after = new.reindex(old.index[is_given]).reset_index()
    rest, added = old[~is_given].reset_index(), new[~is_stored].reset_index()
    if table.name == NEWS.name and asked.before is not None:
        added[KNOWN_AT] = added[KNOWN_AT].where(~(added[KNOWN_AT] < asked.before), asked.before)
    merged, says, is_free = before.copy(), {}, {}
    completed = 0
    for name in (name for name in table.column_names if name not in (*key, KNOWN_AT)):
        was_null = before[name].isna().to_numpy()
        is_other = differs(before[name], after[name]) & after[name].notna().to_numpy()
        is_free[name] = np.full(len(before), name not in _FIRST_STAYS[table.name])
        merged[name] = before[name].where(~(is_other & is_free[name]), after[name])
        completed += int((is_other & was_null & is_free[name]).sum())
        says[name] = is_other & ~(was_null & is_free[name])
    changed = pd.DataFrame(says, index=before.index)
    parts = [part for part in (rest, merged, added) if len(part)]
    return VersionMerge(
        frame=pd.concat(parts, ignore_index=True) if parts else fresh,
        appended=len(added),
        completed=completed,
        restated=restatements_of(before, after, changed, table),
        is_taken=pd.DataFrame(is_free, index=before.index).to_numpy()[changed.to_numpy()],
        withdrawn=0,
    )


def _moved_base(stored: pd.DataFrame, factor: float, table: Table) -> pd.DataFrame:
    """Return one row for all prices that a split has moved: the first close before and after."""
    first = stored.sort_values(list(table.key)).head(1)[list(table.key)].reset_index(drop=True)
    close = float(stored.sort_values(list(table.key))["close"].iloc[0])
    moved = first.assign(
        column="close", old=pd.Series([close], dtype="object"), new=pd.Series([close * factor], dtype="object")
    )
    return _with_outcome(moved, ["base moved"])


def _with_outcome(restated: pd.DataFrame, outcomes: list[str]) -> pd.DataFrame:
    return restated.assign(outcome=pd.Series(outcomes, index=restated.index, dtype="str"))


def _sorted(frame: pd.DataFrame, fresh: pd.DataFrame, table: Table) -> pd.DataFrame:
    typed = frame[list(table.column_names)].astype({column.name: pandas_type(column) for column in table.columns})
    result = typed.sort_values(list(table.key), ignore_index=True)
    result.attrs = dict(fresh.attrs)
    return result


def _require_shape(frame: pd.DataFrame, table: Table, name: str, *, key: tuple[str, ...]) -> None:
    missing = [column for column in table.column_names if column not in frame.columns]
    if missing:
        raise SchemaError(table=table.qualified_name, key=f"{name} rows", rule=f"columns are missing: {missing}")
    if frame.duplicated(list(key)).any():
        raise SchemaError(table=table.qualified_name, key=f"{name} rows", rule="a key comes twice")


def _require_same_source(stored: pd.DataFrame, fresh: pd.DataFrame, table: Table) -> None:
    old, new = stored.attrs.get(SOURCE_ATTRIBUTE), fresh.attrs.get(SOURCE_ATTRIBUTE)
    if old != new or old is None:
        raise SourceMismatchError(
            table=table.qualified_name,
            key="the slice",
            rule=f"rows of source {new or 'unknown'} cannot be merged into rows of source {old or 'unknown'}: "
            "use another TRADING_DAG_HOME for another source",
        )
