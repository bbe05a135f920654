"""Entries that rolling adds: each position that the account really took and that rolled is entered anew.

A roll closes and opens on one quote date and inherits the signal's target, flip and size. Positions are admitted in
the order of time, and only what was admitted rolls, so that the work grows with the trades and not with what might
have been. What an account admits is ``account``'s rule; nothing else of a plan's result is made here.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import IntArray
from trading_dag.backtest.markets.dividends import Dividends
from trading_dag.backtest.plans.trade_plan import AccountRules, TradePlan
from trading_dag.backtest.trades.account import AccountBook, CapitalNeed, capital_needs, size_positions
from trading_dag.backtest.trades.contract_choice import QuotedMarket
from trading_dag.backtest.trades.entries import Entries
from trading_dag.backtest.trades.exits import leave_positions
from trading_dag.backtest.trades.paths import PositionPaths, gather_paths
from trading_dag.backtest.trades.positions import open_positions

# Session, how many rolls it is from its entry, plan, row of that entry, row among all: the order of admission.
_Place = tuple[int, int, int, int, int]
_Waiting = tuple[_Place, CapitalNeed, bool]


@dataclass(frozen=True)
class EntriesWithRolls:
    """Holds the entries of one plan and those that its rolls add, by session.

    Attributes
    ----------
    entries : every entry and roll.
    rolled_from : (n,) row that each one replaces; −1 for none.
    generation : (n,) rolls from the entry.
    """

    entries: Entries
    rolled_from: IntArray
    generation: IntArray


@dataclass
class _Candidates:
    """Every entry and roll of one plan so far, one a row."""

    number: int
    plan: TradePlan
    first_entries: Entries
    generation: list[int] = field(default_factory=list)
    origin: list[int] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)
    session: list[int] = field(default_factory=list)

    def add(
        self,
        paths: PositionPaths,
        *,
        generations: list[int],
        origins: list[int],
        parents: list[int],
        book: AccountBook,
    ) -> list[_Waiting]:
        """Keep the candidates of these paths; those that have a size wait to be admitted."""
        positions, first = paths.positions, len(self.origin)
        exits = leave_positions(paths, self.plan.exits)
        sized = size_positions(positions, self.plan.account)
        book.learn(self.number, paths, contracts=sized.contracts, multiplier=self.plan.account.multiplier)
        self.generation += generations
        self.origin += origins
        self.parent += parents
        self.session += positions.entries.entry.tolist()
        rolls = exits.is_roll.tolist()
        return [
            (
                (need.entry, generations[need.row], self.number, origins[need.row], first + need.row),
                need,
                rolls[need.row],
            )
            for need in capital_needs(positions, exits, sized=sized, account=self.plan.account)
        ]

    def sorted(self) -> EntriesWithRolls:
        """Every candidate in the order of the sessions."""
        order = np.lexsort((self.origin, self.generation, self.session))
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        parent = np.array(self.parent, dtype=np.int64)[order]
        every = rows_of(self.first_entries, np.array(self.origin, dtype=np.int64)[order])
        session = np.array(self.session, dtype=np.int64)[order]
        generation = np.array(self.generation, dtype=np.int64)[order]
        named = None if every.named is None else every.named.except_where(generation > 0)
        return EntriesWithRolls(
            replace(every, entry=session, named=named),
            np.where(parent >= 0, place[parent], -1),
            generation,
        )


def entries_with_rolls(
    market: QuotedMarket,
    paths: Sequence[PositionPaths],
    plans: Sequence[TradePlan],
    *,
    account: AccountRules,
    dividends: Dividends | None = None,
    rate: ArrayLike = 0.0,
) -> list[EntriesWithRolls]:
    """Return for each plan of one account its entries and those that rolls add.

    On one session entries come before rolls, and what has rolled less often comes first.

    Parameters
    ----------
    paths : of the entries of each plan, gathered with the same dividends and rate.
    plans : with the exits of each; its contracts are those of its paths.
    """
    book, waiting = AccountBook(account, market=market, plans=len(plans)), list[_Waiting]()
    candidates = [
        _Candidates(number, plan, path.positions.entries)
        for number, (plan, path) in enumerate(zip(plans, paths, strict=True))
    ]
    for of_plan, path in zip(candidates, paths, strict=True):
        count = len(of_plan.first_entries)
        waiting += of_plan.add(
            path, generations=[0] * count, origins=list(range(count)), parents=[-1] * count, book=book
        )
    heapq.heapify(waiting)
    while waiting:
        rolling: list[_Place] = []
        # What is due before the first roll that is not priced yet can be decided: nothing unknown precedes it.
        while waiting and (not rolling or waiting[0][0] < rolling[0]):
            (_, generation, number, origin, row), need, rolls = heapq.heappop(waiting)
            if not book.refusal(number, row, need=need) and rolls:
                heapq.heappush(rolling, (need.exit, generation + 1, number, origin, row))
        for number in sorted({place[2] for place in rolling}):
            of_plan = candidates[number]
            due = sorted(place for place in rolling if place[2] == number)
            sessions, generations, _, origins, parents = (list(column) for column in zip(*due, strict=True))
            # A roll is recentred: its contracts are the plan's choice, whatever the signal had named.
            anew = replace(
                rows_of(of_plan.first_entries, np.array(origins)),
                entry=np.array(sessions, dtype=np.int64),
                named=None,
            )
            opened = open_positions(market, of_plan.plan, entries=anew)
            opened_paths = gather_paths(market, opened, dividends=dividends, rate=rate)
            for candidate in of_plan.add(
                opened_paths, generations=generations, origins=origins, parents=parents, book=book
            ):
                heapq.heappush(waiting, candidate)
    return [of_plan.sorted() for of_plan in candidates]


def rows_of(entries: Entries, rows: IntArray) -> Entries:
    """Return these rows of the entries."""
    return Entries(
        signal=entries.signal[rows],
        entry=entries.entry[rows],
        horizon=entries.horizon[rows],
        flip=entries.flip[rows],
        size=entries.size[rows],
        skip_reason=entries.skip_reason[rows],
        named=None if entries.named is None else entries.named.rows(rows),
    )
