"""Merging what a vendor says now about events into what is stored: nothing that cannot be asked again is lost.

Articles, snapshots of mentions, announcements and days of the calendar. They differ from a price history, which
``restatement.py`` merges: a fetch need not overlap the one before it, the first moment at which a row was seen stays,
and figures come later than the row. Comparison of frames only; fetching, locking and storing do not belong here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pandas as pd

from resources.raw_frames import SOURCE_ATTRIBUTE
from trading_dag.errors import SchemaError, SourceMismatchError
from trading_dag.quality.casting import pandas_type
from trading_dag.schemas import EARNINGS, ECONOMIC_CALENDAR, NEWS, PRICES_HOURLY, SOCIAL_MENTIONS, Table

KNOWN_AT: Final = "known_at"
# Vendors add articles of yesterday, and figures to announcements of the last quarter (which the calendar showed a
# hundred days ahead).
_OVERLAP: Final[dict[str, tuple[str, pd.Timedelta]]] = {
    NEWS.name: ("published_at", pd.Timedelta(days=3)),
    EARNINGS.name: ("report_date", pd.Timedelta(days=220)),
    PRICES_HOURLY.name: ("ts", pd.Timedelta(days=7)),
}
_AGES_BY: Final[dict[str, str]] = {NEWS.name: "published_at", SOCIAL_MENTIONS.name: KNOWN_AT}


@dataclass(frozen=True)
class EventMerge:
    """What came of a merge.

    Attributes
    ----------
    frame : the merged slice, sorted by key; ``attrs`` are those of the fresh frame.
    appended : rows that were not stored.
    completed : values that were NULL and are known now.
    restated : values that were another one before, ``known_at`` apart.
    withdrawn : rows that the vendor has taken back: announcements are left out, days of the calendar are
        ``cancelled_at``.
    """

    frame: pd.DataFrame
    appended: int
    completed: int
    restated: int
    withdrawn: int


def fetch_start(stored: pd.DataFrame, table: Table) -> pd.Timestamp | None:
    """Day from which to fetch, so that late articles and figures are seen; None to fetch everything.

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
    since: pd.Timestamp | None = None,
) -> EventMerge:
    """Merge fresh events into stored ones on the table's key. Merging the same rows again changes nothing.

    Where both have a row, the fresh values stand, except that a NULL takes no value away and the earlier ``known_at``
    stays. Stored rows that the vendor does not give stay, with two exceptions, where absence says something: an
    announcement without figures on a day that was asked for, of a company that was answered for, was moved and is left
    out; a day of the calendar to come was called off now, and a day by rule makes room for published ones. A
    day of the calendar that was not there when it was first fetched was not known before now.

    Parameters
    ----------
    stored, fresh : rows of one slice with the table's columns; ``attrs["source"]`` says where they come from.
    asked_at : when the fresh rows were asked for, UTC.
    since : first day that was asked for; None for everything.

    Raises
    ------
    SourceMismatchError : where there are stored rows and the fresh frame comes from another source.
    SchemaError : where a frame lacks a column or repeats a key.
    """
    for name, frame in (("stored", stored), ("fresh", fresh)):
        _require_shape(frame, table, name)
    if stored.empty:
        return EventMerge(_sorted(fresh, fresh, table), len(fresh), 0, 0, 0)
    _require_same_source(stored, fresh, table)
    key = list(table.key)
    old, new = stored.set_index(key), fresh.set_index(key)
    both = old.index.intersection(new.index, sort=False)
    added = new.loc[new.index.difference(old.index, sort=False)]
    if table.name == ECONOMIC_CALENDAR.name:
        added = added.assign(known_at=added[KNOWN_AT].where(~(added[KNOWN_AT] < asked_at), asked_at))
    before, after = old.loc[both], new.loc[both]
    merged = after.where(after.notna(), before)
    if KNOWN_AT in merged:
        is_earlier = before[KNOWN_AT].isna() | ~(before[KNOWN_AT] > after[KNOWN_AT])
        merged[KNOWN_AT] = before[KNOWN_AT].where(is_earlier, after[KNOWN_AT])
    values = [name for name in merged.columns if name != KNOWN_AT]
    completed = int((before[values].isna() & merged[values].notna()).sum().sum())
    restated = int((before[values].notna() & (before[values] != merged[values])).sum().sum())
    rest, withdrawn = _not_given(old.loc[old.index.difference(new.index, sort=False)], new, table, asked_at, since)
    parts = [part.reset_index() for part in (rest, merged, added) if len(part)]
    frame = _sorted(pd.concat(parts, ignore_index=True) if parts else fresh, fresh, table)
    return EventMerge(frame, len(added), completed, restated, withdrawn)


def keep_recent(frame: pd.DataFrame, table: Table, *, days: int | None, now: pd.Timestamp) -> pd.DataFrame:
    """Without articles and snapshots that are older than so many days; everything where ``days`` is None."""
    column = _AGES_BY.get(table.name)
    if days is None or column is None:
        return frame
    return frame[frame[column] >= now - pd.Timedelta(days=days)].reset_index(drop=True)


def _not_given(
    rest: pd.DataFrame, new: pd.DataFrame, table: Table, asked_at: pd.Timestamp, since: pd.Timestamp | None
) -> tuple[pd.DataFrame, int]:
    """Stored rows that the vendor does not give: which of them stay, and how many were taken back."""
    if rest.empty:
        return rest, 0
    if table.name == EARNINGS.name:
        answered = rest.index.get_level_values("company").isin(new.index.get_level_values("company"))
        days = rest.index.get_level_values("report_date")
        was_asked = answered & (days >= (since if since is not None else days.min()))
        is_moved = was_asked & rest[["eps_actual", "revenue_actual"]].isna().all(axis=1).to_numpy()
        return rest[~is_moved], int(is_moved.sum())
    if table.name == ECONOMIC_CALENDAR.name:
        events = rest.index.get_level_values("event")
        published = new.index.get_level_values("event")[(new["basis"] == "published").to_numpy()]
        gives_way = (rest["basis"] == "rule").to_numpy() & events.isin(published)
        days = pd.DatetimeIndex(rest.index.get_level_values("event_date")).tz_localize("America/New_York")
        is_off = (rest["basis"] == "published").to_numpy() & (days > asked_at) & rest["cancelled_at"].isna().to_numpy()
        kept = rest.assign(cancelled_at=rest["cancelled_at"].where(~is_off, asked_at))
        return kept[~gives_way], int((gives_way | is_off).sum())
    return rest, 0


def _sorted(frame: pd.DataFrame, fresh: pd.DataFrame, table: Table) -> pd.DataFrame:
    typed = frame[list(table.column_names)].astype({column.name: pandas_type(column) for column in table.columns})
    result = typed.sort_values(list(table.key), ignore_index=True)
    result.attrs = dict(fresh.attrs)
    return result


def _require_shape(frame: pd.DataFrame, table: Table, name: str) -> None:
    missing = [column for column in table.column_names if column not in frame.columns]
    if missing:
        raise SchemaError(table=table.qualified_name, key=f"{name} rows", rule=f"columns are missing: {missing}")
    if frame.duplicated(list(table.key)).any():
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
