"""Sequences that end at a session: the last rows of a table up to it, filled and scaled by a training part's values.

Here belongs what a network reads. Nothing here knows labels or folds; whoever hands over the rows that scales are
learnt from decides what a fold may see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from trading_dag.arrays import FloatArray, IntArray

SequenceArray = npt.NDArray[np.float32]
# A value so many deviations off is as far off as a network is shown: one it never met would move everything.
FARTHEST: Final = 5.0


@dataclass(frozen=True, eq=False)
class Scale:
    """Centre and deviation of each column, learnt from one training part.

    Attributes
    ----------
    mean, deviation : (columns,); the deviation of a constant column is 1.
    """

    mean: FloatArray
    deviation: FloatArray

    def apply(self, values: FloatArray) -> SequenceArray:
        """Return the values in deviations from the centre, at most ``FARTHEST``; a missing one lies at the centre."""
        scaled = np.clip((values - self.mean) / self.deviation, -FARTHEST, FARTHEST)
        return np.nan_to_num(scaled, nan=0.0).astype(np.float32)


def learn_scale(values: FloatArray) -> Scale:
    """Return the scale of training rows, (rows, columns); each column has some that are not NaN."""
    mean, deviation = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    return Scale(mean, np.where(deviation > 0, deviation, 1.0))


def ends_of_sequences(rows: int, *, steps: int) -> IntArray:
    """Return the positions at which a sequence of so many steps can end: nothing stands for what is not there."""
    return np.arange(steps - 1, rows, dtype=np.int64)


def sequences_at(scaled: SequenceArray, ends: IntArray, *, steps: int) -> SequenceArray:
    """Return the sequences that end at the positions, (ends, steps, columns), oldest step first.

    Position t is the last that a sequence ending there holds.
    """
    sequences: SequenceArray = scaled[ends[:, None] + np.arange(1 - steps, 1)]
    return sequences
