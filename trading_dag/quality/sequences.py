"""One sound series of bars from a frame in any condition, for rules that compare a session with its neighbours.

Rows with a NULL, non-positive or infinite value, off the calendar, in the future or doubled are other rules'
business and are left out here, so that one defect raises one rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.quality.rules import Examined, Finding
from trading_dag.sessions import all_sessions, sessions_between


@dataclass(frozen=True)
class SoundBars:
    """Holds sound rows in session order.

    Attributes
    ----------
    rows : the rows, plain RangeIndex, ascending unique sessions.
    positions : position of each row in the original frame.
    size : number of rows of that frame.
    """

    rows: pd.DataFrame
    positions: np.ndarray[tuple[int], np.dtype[np.int64]]
    size: int

    @classmethod
    def of(cls, rows: pd.DataFrame) -> SoundBars:
        """Return rows that are already sound and in order."""
        return cls(rows.reset_index(drop=True), np.arange(len(rows)), len(rows))

    @cached_property
    def scale(self) -> pd.Series:
        """Return ``local_scale`` of the closes."""
        return local_scale(self.rows["close"])

    def finding(self, flags: BoolArray, detail: str) -> Finding:
        """Return flags of the sound rows as a finding on the original frame."""
        mask = np.zeros(self.size, dtype=bool)
        mask[self.positions[flags]] = True
        return Finding.of_rows(mask, detail)


def sound_bars(examined: Examined, *, positive: tuple[str, ...]) -> SoundBars:
    """Return the rows whose session and positive columns are sound, in session order."""
    frame = examined.frame
    days = frame["session"]
    sound = (days.isin(all_sessions()) & (days <= examined.context.now_session)).to_numpy()
    values = frame[list(positive)].to_numpy(dtype="float64")
    sound = sound & (np.isfinite(values) & (values > 0)).all(axis=1)
    positions = np.flatnonzero(sound)
    sessions = days.to_numpy()[positions]
    order = np.argsort(sessions, kind="stable")
    first = np.ones(len(order), dtype=bool)
    first[1:] = sessions[order][1:] != sessions[order][:-1]
    positions = positions[order[first]]
    return SoundBars(frame.iloc[positions].reset_index(drop=True), positions, len(frame))


def missing_sessions(bars: SoundBars) -> tuple[pd.DatetimeIndex, BoolArray]:
    """Return the exchange sessions between first and last bar that have no bar, and the bars after a hole."""
    sessions = pd.DatetimeIndex(bars.rows["session"])
    if len(sessions) == 0:
        return sessions, np.zeros(0, dtype=bool)
    missing = sessions_between(sessions[0], sessions[-1]).difference(sessions)
    after_hole = np.zeros(len(sessions), dtype=bool)
    after_hole[np.unique(sessions.searchsorted(missing))] = True
    return missing, after_hole


def frozen_tail(values: pd.Series, least: int) -> BoolArray:
    """Return flags of the run of identical values at the end, if it is at least ``least`` long."""
    flags = np.zeros(len(values), dtype=bool)
    if len(values) == 0:
        return flags
    changed = np.flatnonzero(np.diff(values.to_numpy()) != 0)
    start = int(changed[-1]) + 1 if len(changed) else 0
    flags[start:] = len(values) - start >= least
    return flags


def local_scale(values: pd.Series, window: int = 31) -> pd.Series:
    """Return the median absolute log change of positive levels around each session: one bad tick cannot move this
    scale."""
    size = pd.Series(np.abs(np.diff(np.log(values.to_numpy(dtype="float64")), prepend=np.nan)))
    return size.rolling(window, center=True, min_periods=10).median().fillna(size.median()).fillna(0.0)


def reverting_sizes(values: pd.Series, *, most_net: float) -> FloatArray:
    """Return each value's distance from both its neighbours, if on one side of both: the lesser of the two log changes.

    Parameters
    ----------
    values : positive levels in session order.
    most_net : share of the jump that may remain at most one session later.

    Returns
    -------
    One size per value, 0 where it does not stand alone or where the neighbours disagree.
    """
    changes = np.diff(np.log(values.to_numpy(dtype="float64")), prepend=np.nan)
    back = np.append(changes[1:], np.nan)[: len(changes)]  # how it goes on: this looks for defects, no feature sees it
    size = np.minimum(np.abs(changes), np.abs(back))
    is_alone = (changes * back < 0) & (np.abs(changes + back) <= most_net * size)
    return np.where(is_alone, size, 0.0)
