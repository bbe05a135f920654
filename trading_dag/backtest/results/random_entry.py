"""Would the same structures have earned as much on random days? The p-value against random entry.

The null hypothesis is that the timing carries nothing. One run keeps the trades of the backtest (how
many trades of which structure at which size, and how they crowd together) and moves it to other
sessions: those on which both forecasts were there and every structure of them could be entered
and left. The calendar of these sessions is closed to a ring, turned by a random number of sessions, cut
into blocks of 21 sessions on average, and the blocks are shuffled. Entry, exit, strikes, sizing, spreads
and fees are the backtest's own; only the capital limit is not applied. The statistic is the summed
profit after fees.

**Blocks, because signals come in runs and trades of several sessions overlap.** Trades dealt out one by
one would be far less dependent than the real ones and their sums would spread too little: at 168h a
strategy without skill whose signals come in runs would get p ≤ 0.05 in 15 to 20 % of cases, not in 5 %.

References
----------
Politis & Romano, "A circular block-resampling procedure for stationary data", in: Exploring the Limits of
Bootstrap, Wiley 1992, 263–270, for blocks on a ring; here they are permuted, so that none is drawn twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from trading_dag.arrays import FloatArray, IntArray

MEAN_BLOCK_SESSIONS: Final = 21
BAND: Final = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class RandomEntry:
    """Holds the results of random entry.

    Attributes
    ----------
    p_value : (1 + runs at least as good) / (1 + runs); NaN without trades or without sessions to draw from.
    mean_usd : mean total profit of the runs.
    sessions : sessions that could be drawn.
    is_with_replacement : True where some of the trades share a drawn session: there are fewer such
        sessions than trades, or the backtest traded on one that cannot be drawn.
    totals_usd : (runs,) total profit of each run, USD; empty without trades or sessions to draw from.
    drawn : (drawn,) which of the sessions could be drawn; empty where the band was not asked for.
    band_usd : (3, drawn) the 5 %, 50 % and 95 % quantile over the runs, at each session that could be drawn, of the
        profit after fees of all trades entered until then, USD.
    """

    p_value: float
    mean_usd: float
    sessions: int
    is_with_replacement: bool
    totals_usd: FloatArray = field(default_factory=lambda: np.empty(0), repr=False, compare=False)
    drawn: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64), repr=False, compare=False)
    band_usd: FloatArray = field(default_factory=lambda: np.empty((len(BAND), 0)), repr=False, compare=False)


NO_RANDOM_ENTRY: Final = RandomEntry(math.nan, math.nan, 0, is_with_replacement=False)


def random_entry_test(
    profits: FloatArray,
    *,
    kind: IntArray,
    at: IntArray,
    total_usd: float,
    runs: int,
    seed: int,
    with_band: bool = False,
) -> RandomEntry:
    """Hold a total profit against random entry.

    Parameters
    ----------
    profits : (kinds, sessions) after fees, USD; NaN where the trade cannot be entered or is not closed.
    kind, at : (trades,) which kind each trade of the backtest was, and on which of the sessions. A trade
        on a session that cannot be drawn takes the place of the next one that can.
    total_usd : what the backtest earned with these trades.
    with_band : whether to follow every run through time as well.
    """
    can_be_drawn = np.flatnonzero(np.isfinite(profits).all(axis=0))
    trades, sessions = len(kind), len(can_be_drawn)
    if not trades or not sessions:
        return RandomEntry(math.nan, math.nan, sessions, is_with_replacement=False)
    pool = profits[:, can_be_drawn]
    place = np.minimum(np.searchsorted(can_be_drawn, at), sessions - 1)
    generator = np.random.default_rng(seed)
    totals = np.empty(runs)
    earned = np.empty((runs if with_band else 0, sessions))
    for run in range(runs):
        dealt = _shuffled_places(sessions, generator)[place]
        profit = pool[kind, dealt]
        totals[run] = profit.sum()
        if with_band:
            earned[run] = np.bincount(dealt, weights=profit, minlength=sessions).cumsum()
    # A run that deals the very same trades must count as "at least as good" whatever the order of its sum.
    tolerance = 1e-9 * max(1.0, abs(total_usd))
    as_good = int((totals >= total_usd - tolerance).sum())
    return RandomEntry(
        (1 + as_good) / (1 + runs),
        float(totals.mean()),
        sessions,
        is_with_replacement=len(np.unique(place)) < trades,
        totals_usd=totals,
        drawn=can_be_drawn if with_band else np.empty(0, dtype=np.int64),
        band_usd=np.quantile(earned, BAND, axis=0, overwrite_input=True) if with_band else np.empty((len(BAND), 0)),
    )


def _shuffled_places(sessions: int, generator: np.random.Generator) -> IntArray:
    """Where each of so many places on a ring goes when it is turned, cut into blocks and the blocks are shuffled."""
    turn = int(generator.integers(sessions))
    blocks = max(sessions // MEAN_BLOCK_SESSIONS, 1)
    starts = np.concatenate([[0], np.sort(generator.permutation(sessions - 1)[: blocks - 1] + 1)])
    lengths = np.diff(starts, append=sessions)
    order = generator.permutation(blocks)
    dealt = lengths[order]
    # The places in the order in which they are dealt: each block runs on from its start.
    dealt_at = np.arange(sessions)
    turned = dealt_at + np.repeat(starts[order] - (np.cumsum(dealt) - dealt) - turn, dealt)
    moved = np.empty(sessions, dtype=np.int64)
    moved[np.where(turned < 0, turned + sessions, turned)] = dealt_at
    return moved
