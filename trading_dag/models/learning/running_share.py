"""The share of an event among the last outcomes that are known at a session: learnt on with each of them.

Here belongs the counting. What a direction forecast makes of the share stands in ``direction_classifier``, whether a
fold follows it in ``inner_search``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from trading_dag.arrays import BoolArray, FloatArray

# Ten years. A share of so many sessions, of which five overlap, has a standard error of .022; that of five years is
# beyond the .03 within which probabilities ought to be calibrated.
SHARE_SESSIONS: Final = 2_520
Dates = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class KnownOutcomes:
    """Holds the outcomes of sessions in the order in which they became known.

    Attributes
    ----------
    ends : the session at whose close each was known, ascending.
    totals : (outcomes + 1,), how often the event happened among the first so many.
    """

    ends: Dates
    totals: FloatArray

    @classmethod
    def of(cls, happened: FloatArray, ends: Dates, *, counts: BoolArray) -> KnownOutcomes:
        """Return the outcomes of sessions.

        Parameters
        ----------
        happened : 1 where the event happened, else 0.
        ends : target session of each, ascending; missing where the future is not there.
        counts : which of them have an outcome.
        """
        known = counts & ~np.isnat(ends)
        return cls(ends[known], np.concatenate([[0.0], np.cumsum(happened[known])]))

    def running_share(self, sessions: Dates, *, over: int = SHARE_SESSIONS) -> tuple[FloatArray, Dates]:
        """Return the event's share among the last outcomes known at each session, and when the last was known.

        Parameters
        ----------
        sessions : none before the first outcome was known.
        over : how many outcomes count at most.
        """
        known = np.searchsorted(self.ends, sessions, side="right")
        first = np.maximum(known - over, 0)
        share: FloatArray = (self.totals[known] - self.totals[first]) / (known - first)
        return share, self.ends[known - 1]
