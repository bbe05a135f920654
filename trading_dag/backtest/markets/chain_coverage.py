"""Which sessions of the exchange a chain has, and where it has holes. What follows from it, reports say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from trading_dag.sessions import all_sessions


@dataclass(frozen=True)
class Hole:
    """Describes consecutive sessions of the exchange that are missing.

    Attributes
    ----------
    after : place, among the sessions that are there, of the last one before the hole.
    first, last, sessions : of what is missing.
    """

    after: int
    first: pd.Timestamp
    last: pd.Timestamp
    sessions: int


@dataclass(frozen=True)
class ChainCoverage:
    """Says how many of the exchange's sessions, from the first present one to the last, are present.

    Attributes
    ----------
    sessions : that are there.
    exchange_sessions : that the exchange had.
    holes : in their order.
    """

    sessions: int
    exchange_sessions: int
    holes: tuple[Hole, ...]

    @property
    def longest(self) -> Hole | None:
        """Return the hole with the most sessions; None without holes."""
        return max(self.holes, key=lambda hole: hole.sessions, default=None)


def coverage_of(sessions: pd.DatetimeIndex) -> ChainCoverage:
    """Hold the sessions, ascending, against the exchange's; days outside its calendar miss nothing between them."""
    calendar = all_sessions()
    place = calendar.searchsorted(sessions)
    # Between two sessions lie as many others of the exchange as their places differ, less one where the former is one.
    is_known = np.isin(sessions.to_numpy(), calendar.to_numpy())
    missing = np.diff(place) - is_known[:-1]
    holes = tuple(
        Hole(int(at), calendar[place[at + 1] - int(missing[at])], calendar[place[at + 1] - 1], int(missing[at]))
        for at in np.flatnonzero(missing > 0)
    )
    return ChainCoverage(len(sessions), len(sessions) + int(np.maximum(missing, 0).sum()), holes)
