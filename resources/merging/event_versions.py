"""What a calendar says now against what it said: a row that changes is closed, and the new one stands beside it.

Announcements of earnings and days of the economic calendar. A session has to go on seeing what the calendar said at its
close, so nothing is overwritten that an earlier session has seen: a *version* is what was known from ``known_at`` until
``cancelled_at``. Comparison of frames only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from resources.merging.restatement import differs, restatements_of
from trading_dag.arrays import BoolArray
from trading_dag.features.earnings import announcement_known_at, figures_known_at
from trading_dag.features.economic_calendar import event_known_at
from trading_dag.features.event_distances import first_session_from
from trading_dag.quality.casting import pandas_type
from trading_dag.schemas import EARNINGS, ECONOMIC_CALENDAR, Table
from trading_dag.sessions import NEW_YORK, all_sessions, session_bounds

KNOWN_AT: Final = "known_at"
CANCELLED_AT: Final = "cancelled_at"
_DAY: Final[dict[str, str]] = {EARNINGS.name: "report_date", ECONOMIC_CALENDAR.name: "event_date"}
_ESTIMATES: Final = ("eps_estimate", "revenue_estimate")
_FIGURES: Final = ("eps_estimate", "eps_actual", "revenue_estimate", "revenue_actual")
_SAME_DAY: Final = ("BMO", "DMH")
_AFTER_MIDNIGHT: Final = pd.Timedelta(microseconds=1)


@dataclass(frozen=True)
class Asked:
    """Says when and for what the vendor was asked.

    Attributes
    ----------
    at : the moment, UTC.
    before : when the stored rows were last asked for, UTC; None for a source whose rows say themselves when they were
        known, such as a folder of files.
    since : first day that was asked for; None for everything.
    """

    at: pd.Timestamp
    before: pd.Timestamp | None
    since: pd.Timestamp | None


@dataclass(frozen=True)
class VersionMerge:
    """Tells what a merge changed.

    Attributes
    ----------
    frame : all versions, in any order.
    appended : rows of which nothing was stored.
    completed : values that were NULL and are known now.
    restated : one row per changed value: the table's key, ``column``, ``old``, ``new``.
    is_taken : for each of them, whether the new value stands now; otherwise the first one stays.
    withdrawn : rows that the vendor has taken back.
    """

    frame: pd.DataFrame
    appended: int
    completed: int
    restated: pd.DataFrame
    is_taken: BoolArray
    withdrawn: int


def merge_versions(stored: pd.DataFrame, fresh: pd.DataFrame, *, table: Table, asked: Asked) -> VersionMerge:
    """Merge what a calendar says now into every version of what it said.

    Parameters
    ----------
    stored : versions with unique keys.
    fresh : one row for each announcement or day.

    What is kept
    ------------
    A date that the vendor took back is ``cancelled_at`` the moment of asking, one that it gives again begins anew.
    Where the timing moves the session that can react, the old row is closed and a new one begins. Estimates follow the
    vendor until the report day begins and then stay, and what was announced stays as first said. A figure that was
    missing is filled in, in a new version where sessions had passed without it. A basis stays.
    """
    identity = [name for name in table.key if name != KNOWN_AT]
    in_order = stored.sort_values([*identity, KNOWN_AT], na_position="first", ignore_index=True)
    is_current = ~in_order.duplicated(identity, keep="last")
    old, new = in_order[is_current].set_index(identity), fresh.set_index(identity)
    is_given, is_stored = old.index.isin(new.index), new.index.isin(old.index)
    before = old[is_given].reset_index()
    after = new.reindex(old.index[is_given]).reset_index()
    rest, added = old[~is_given].reset_index(), new[~is_stored].reset_index()
    update = _updated(before, after, table, asked)
    rest, withdrawn = _taken_back(rest, new, table, asked)
    if asked.before is not None and len(added):
        known_names = old.index.get_level_values(identity[-2])
        added = _not_known_before(added, known_names, table, asked_at=asked.at, asked_before=asked.before)
    columns = list(table.column_names)
    parts = [part[columns] for part in (in_order[~is_current], update.closed, update.current, rest, added) if len(part)]
    frame = pd.concat(parts, ignore_index=True) if parts else fresh[columns]
    return VersionMerge(
        frame, len(added), update.completed, update.restated, update.is_taken, update.withdrawn + withdrawn
    )


@dataclass(frozen=True)
class _Changes:
    """Where the vendor says something else than what is stored: frames of flags, a column a value, a row a version.

    Attributes
    ----------
    says : it says another value.
    fills : it says one where there was none.
    taken : its value stands from now on.
    """

    says: pd.DataFrame
    fills: pd.DataFrame
    taken: pd.DataFrame

    @classmethod
    def between(cls, before: pd.DataFrame, after: pd.DataFrame, table: Table, asked: Asked) -> _Changes:
        """Return the changes from the stored rows to what the vendor says of the same ones."""
        names = [name for name in table.column_names if name not in (*table.key, CANCELLED_AT)]
        others = {name: differs(before[name], after[name]) & after[name].notna().to_numpy() for name in names}
        says = pd.DataFrame(others, index=before.index)
        fills = says & before[names].isna()
        follows = pd.DataFrame({name: _follows(before, name, asked) for name in names}, index=before.index)
        return cls(says, fills, fills | (says & follows))


@dataclass(frozen=True)
class _Update:
    """What becomes of the stored rows that the vendor gives again; the other attributes are ``VersionMerge``'s.

    Attributes
    ----------
    closed, current : versions that have ended, and those that stand now.
    """

    closed: pd.DataFrame
    current: pd.DataFrame
    completed: int
    restated: pd.DataFrame
    is_taken: BoolArray
    withdrawn: int


def _updated(before: pd.DataFrame, after: pd.DataFrame, table: Table, asked: Asked) -> _Update:
    """Return the update of the stored rows by what the vendor says of them; both frames have the same rows in order."""
    changes = _Changes.between(before, after, table, asked)
    merged = before.copy()
    for name in changes.taken:
        merged[name] = merged[name].where(~changes.taken[name], after[name])
    is_back = (before[CANCELLED_AT].notna() & after[CANCELLED_AT].isna()).to_numpy()
    is_off = (before[CANCELLED_AT].isna() & after[CANCELLED_AT].notna()).to_numpy()
    off_at = _not_before(after[CANCELLED_AT], asked.before)
    merged[CANCELLED_AT] = before[CANCELLED_AT].where(~is_off, off_at).where(~is_back)
    moment = pd.Series(pd.NaT, index=before.index, dtype=pandas_type(table.column(KNOWN_AT)))
    if table.name == EARNINGS.name:
        moment = _visible_again_at(before, merged, changes, asked)
    closed, current = _split(before, merged, moment.where(~is_back, asked.at))
    changed = (changes.says & ~changes.fills).assign(**{CANCELLED_AT: is_back})
    taken = changes.taken.assign(**{CANCELLED_AT: is_back})
    return _Update(
        closed,
        current,
        completed=int(changes.fills.to_numpy().sum()),
        restated=restatements_of(before, after, changed, table),
        is_taken=taken.to_numpy()[changed.to_numpy()],
        withdrawn=int(is_off.sum()),
    )


def _split(before: pd.DataFrame, merged: pd.DataFrame, moment: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the versions that end at their moment, and the current ones, which begin there; NaT is no new version.

    A version that began no earlier was seen by no session in between: it is corrected where it stands.
    """
    is_split = (moment.notna() & ~(before[KNOWN_AT] >= moment)).to_numpy()
    ended = before[CANCELLED_AT].where(before[CANCELLED_AT].notna(), moment)
    current = merged.assign(known_at=before[KNOWN_AT].where(~is_split, moment))
    return before.assign(cancelled_at=ended)[is_split], current


def _follows(before: pd.DataFrame, name: str, asked: Asked) -> BoolArray:
    """Return where another value replaces the stored one."""
    if name in _ESTIMATES:
        begins = before["report_date"].dt.tz_localize(NEW_YORK)
        return np.asarray(begins > asked.at, dtype=bool)
    return np.full(len(before), name == "timing")


def _visible_again_at(before: pd.DataFrame, merged: pd.DataFrame, changes: _Changes, asked: Asked) -> pd.Series:
    """Return from when on a changed announcement is a version of its own; NaT where no session saw what it said
    before.
    """
    old, new = (rows["timing"].isin(_SAME_DAY).to_numpy() for rows in (before, merged))
    moment = pd.Series(pd.NaT, index=before.index, dtype=before[KNOWN_AT].dtype)
    if asked.before is not None:
        is_filled = changes.fills[list(_FIGURES)].any(axis=1)
        moment = moment.where(~(is_filled & (figures_known_at(before) <= asked.before)), asked.before)
    moment = moment.where(old == new, asked.at)
    return _past_the_day(moment, merged["report_date"], public=figures_known_at(merged))


def _past_the_day(moment: pd.Series, day: pd.Series, *, public: pd.Series) -> pd.Series:
    """Return the moment, but not before the day is over where the session at whose close the event is public has
    closed.

    What is known on the day itself counts as public; what came after that close must not, or the session would see it.
    """
    over = (day + pd.Timedelta(days=1)).dt.tz_localize(NEW_YORK).dt.tz_convert("UTC") + _AFTER_MIDNIGHT
    is_public = (public <= moment) & (moment < over)
    return moment.where(~is_public, over).astype(moment.dtype)


def _taken_back(rest: pd.DataFrame, new: pd.DataFrame, table: Table, asked: Asked) -> tuple[pd.DataFrame, int]:
    """Return the stored rows that the vendor does not give, and how many of them it has taken back now."""
    is_open = rest[CANCELLED_AT].isna()
    if table.name == EARNINGS.name:
        answered = rest["company"].isin(new.index.get_level_values("company"))
        was_asked = answered & (asked.since is None or rest["report_date"] >= asked.since)
        is_off = is_open & was_asked & rest[["eps_actual", "revenue_actual"]].isna().all(axis=1)
    else:
        published = new.index.get_level_values("event")[(new["basis"] == "published").to_numpy()]
        to_come = rest["event_date"].dt.tz_localize(NEW_YORK) > asked.at
        gives_way = (rest["basis"] == "rule") & rest["event"].isin(published)
        is_off = is_open & (gives_way | ((rest["basis"] == "published") & to_come))
    return rest.assign(cancelled_at=rest[CANCELLED_AT].where(~is_off, asked.at)), int(is_off.sum())


def _not_known_before(
    added: pd.DataFrame, known_names: pd.Index, table: Table, *, asked_at: pd.Timestamp, asked_before: pd.Timestamp
) -> pd.DataFrame:
    """Return new rows with the moment from which they were known: not when the vendor was asked before and had none."""
    known = added[KNOWN_AT]
    floor = pd.Series(asked_before, index=added.index, dtype=known.dtype)
    if table.name == EARNINGS.name:
        # Another company than before is a choice of the user, not a fact that the vendor kept back.
        is_late = added["company"].isin(known_names)
        is_late &= announcement_known_at(added) <= asked_before
        day, public = added["report_date"], figures_known_at(added)
    else:
        day, is_rule = added["event_date"], added["basis"] == "rule"
        to_come = day.dt.tz_localize(NEW_YORK) > asked_at
        floor = floor.where(is_rule | ~to_come, asked_at)
        is_late = (event_known_at(added) <= floor) & ~(to_come & known.isna() & ~is_rule)
        _, closes = session_bounds(all_sessions())
        public = pd.Series(closes[first_session_from(pd.DatetimeIndex(day))], index=day.index)
    return added.assign(known_at=known.where(~is_late, _past_the_day(floor, day, public=public)))


def _not_before(moments: pd.Series, first: pd.Timestamp | None) -> pd.Series:
    return moments if first is None else moments.where(~(moments < first), first)
