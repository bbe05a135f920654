"""One sound series of bars out of a frame of any condition, for rules that compare a session with its neighbours.

Rows with a NULL, non-positive or infinite value, off the calendar, in the future or doubled are other rules'
business and are left out here, so that one defect raises one rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from trading_dag.quality.rules import Examined, Finding, Mask
from trading_dag.sessions import all_sessions, sessions_between


@dataclass(frozen=True)
class Bars:
    """Sound rows in session order.

    Attributes
    ----------
    rows : the rows, plain RangeIndex, ascending unique sessions.
    positions : where each row stands in the frame as it was given.
    size : number of rows of that frame.
    """

    rows: pd.DataFrame
    positions: np.ndarray[tuple[int], np.dtype[np.int64]]
    size: int

    def finding(self, flags: Mask, detail: str) -> Finding:
        """Flags of the sound rows as a finding on the frame as it was given."""
        mask = np.zeros(self.size, dtype=bool)
        mask[self.positions[flags]] = True
        return Finding.of_rows(mask, detail)


def sound_bars(examined: Examined, *, positive: tuple[str, ...]) -> Bars:
    """The rows whose session and positive columns are sound, in session order."""
    frame = examined.frame
    days = frame["session"]
    sound = (days.isin(all_sessions()) & (days <= examined.context.now_session)).to_numpy()
    values = frame[list(positive)].to_numpy(dtype="float64")
    sound = sound & (np.isfinite(values) & (values > 0)).all(axis=1)
    positions = np.flatnonzero(sound)
    held = days.to_numpy()[positions]
    order = np.argsort(held, kind="stable")
    first = np.ones(len(order), dtype=bool)
    first[1:] = held[order][1:] != held[order][:-1]
    positions = positions[order[first]]
    return Bars(frame.iloc[positions].reset_index(drop=True), positions, len(frame))


def missing_sessions(bars: Bars) -> tuple[pd.DatetimeIndex, Mask]:
    """Exchange sessions between the first and the last bar that have no bar, and the bars after a hole."""
    held = pd.DatetimeIndex(bars.rows["session"])
    if len(held) == 0:
        return held, np.zeros(0, dtype=bool)
    missing = sessions_between(held[0], held[-1]).difference(held)
    after_hole = np.zeros(len(held), dtype=bool)
    after_hole[np.unique(held.searchsorted(missing))] = True
    return missing, after_hole


def frozen_tail(values: pd.Series, least: int) -> Mask:
    """The run of identical values at the end, where it is at least ``least`` long."""
    flags = np.zeros(len(values), dtype=bool)
    if len(values) == 0:
        return flags
    changed = np.flatnonzero(np.diff(values.to_numpy()) != 0)
    start = int(changed[-1]) + 1 if len(changed) else 0
    flags[start:] = len(values) - start >= least
    return flags


def local_scale(values: pd.Series, window: int = 31) -> pd.Series:
    """Median absolute log change of positive levels around each session: a scale that one bad tick cannot move."""
    size = pd.Series(np.abs(np.diff(np.log(values.to_numpy(dtype="float64")), prepend=np.nan)))
    return size.rolling(window, center=True, min_periods=10).median().fillna(size.median()).fillna(0.0)


def reverting_spikes(
    values: pd.Series, scale: pd.Series, *, least_scales: float, least_size: float, most_net: float
) -> Mask:
    """Values that stand alone: far from both neighbours on the same side, and the neighbours agree.

    Parameters
    ----------
    values : positive levels in session order.
    scale : their ``local_scale``.
    least_scales : least jump, in scales.
    least_size : least jump, log change.
    most_net : most that remains of the jump a session later, as a share of it.
    """
    changes = pd.Series(np.log(values.to_numpy(dtype="float64"))).diff()
    back = changes.shift(-1)  # how the value goes on: this looks for defects, no feature sees it
    size = np.minimum(changes.abs(), back.abs())
    limit = np.maximum(least_scales * scale, least_size)
    is_spike = (changes * back < 0) & ((changes + back).abs() <= most_net * size) & (size > limit)
    return is_spike.to_numpy(dtype=bool)
