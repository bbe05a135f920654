"""Entries that rolling adds: each position that the account really took and that rolled is entered anew.

A roll closes and opens on one quote date and inherits the signal's target, flip and size. Positions are admitted in
the order of time, and only what was admitted rolls, so that the work grows with the trades and not with what might
have been. What an account admits is ``account``'s rule; nothing else of a plan's result is made here.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import IntArray
from trading_dag.backtest.markets.chain_market import ChainMarket
from trading_dag.backtest.markets.dividends import Dividends
from trading_dag.backtest.plans.trade_plan import TradePlan
from trading_dag.backtest.trades.account import CapitalBook, CapitalNeed, capital_needs, size_positions
from trading_dag.backtest.trades.entries import Entries
from trading_dag.backtest.trades.exits import leave_positions
from trading_dag.backtest.trades.paths import PositionPaths, gather_paths
from trading_dag.backtest.trades.positions import open_positions

# Session, how many rolls it is from its entry, row of that entry, row among all: the order of admission.
_Place = tuple[int, int, int, int]


@dataclass
class _Candidates:
    """Every entry and roll so far, one a row, and those that wait to be admitted, the next one first."""

    generation: list[int] = field(default_factory=list)
    origin: list[int] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)
    session: list[int] = field(default_factory=list)
    waiting: list[tuple[_Place, CapitalNeed, bool]] = field(default_factory=list)

    def add(
        self,
        paths: PositionPaths,
        plan: TradePlan,
        *,
        generations: list[int],
        origins: list[int],
        parents: list[int],
    ) -> None:
        """Candidates of these paths; what has no size keeps its row and never waits."""
        positions, first = paths.positions, len(self.origin)
        exits = leave_positions(paths, plan.exits)
        sized = size_positions(positions, plan.account)
        self.generation += generations
        self.origin += origins
        self.parent += parents
        self.session += positions.entries.entry.tolist()
        rolls = exits.is_roll.tolist()
        for need in capital_needs(positions, exits, sized=sized, account=plan.account):
            place = (need.entry, generations[need.row], origins[need.row], first + need.row)
            heapq.heappush(self.waiting, (place, need, rolls[need.row]))


def entries_with_rolls(
    market: ChainMarket,
    plan: TradePlan,
    entries: Entries,
    *,
    paths: PositionPaths,
    dividends: Dividends | None = None,
    rate: ArrayLike = 0.0,
) -> tuple[Entries, IntArray]:
    """Return the entries and those that rolls add, by session, and the row that each one replaces; −1 for none.

    On one session entries come before rolls, and what has rolled less often comes first.

    Parameters
    ----------
    paths : of ``entries``, gathered with the same dividends and rate.
    """
    candidates, book = _Candidates(), CapitalBook(plan.account)
    count = len(entries)
    candidates.add(paths, plan, generations=[0] * count, origins=list(range(count)), parents=[-1] * count)
    while candidates.waiting:
        rolling: list[_Place] = []
        # What is due before the first roll that is not priced yet can be decided: nothing unknown precedes it.
        while candidates.waiting and (not rolling or candidates.waiting[0][0] < rolling[0]):
            (_, generation, origin, row), need, rolls = heapq.heappop(candidates.waiting)
            if not book.refusal(need) and rolls:
                heapq.heappush(rolling, (need.exit, generation + 1, origin, row))
        if rolling:
            sessions, generations, origins, parents = (list(column) for column in zip(*sorted(rolling), strict=True))
            anew = replace(rows_of(entries, np.array(origins)), entry=np.array(sessions, dtype=np.int64))
            opened = gather_paths(market, open_positions(market, plan, entries=anew), dividends=dividends, rate=rate)
            candidates.add(opened, plan, generations=generations, origins=origins, parents=parents)
    order = np.lexsort((candidates.origin, candidates.generation, candidates.session))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    parent = np.array(candidates.parent, dtype=np.int64)[order]
    every = rows_of(entries, np.array(candidates.origin, dtype=np.int64)[order])
    session = np.array(candidates.session, dtype=np.int64)[order]
    return replace(every, entry=session), np.where(parent >= 0, place[parent], -1)


def rows_of(entries: Entries, rows: IntArray) -> Entries:
    """Return these rows of the entries."""
    return Entries(
        signal=entries.signal[rows],
        entry=entries.entry[rows],
        horizon=entries.horizon[rows],
        flip=entries.flip[rows],
        size=entries.size[rows],
        skip_reason=entries.skip_reason[rows],
    )
