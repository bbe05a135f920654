"""Trade plans on a market, from entries to results, alone or several in one account, and what random entry would give.

The one engine: the market is a stored chain or the modelled surface, and entries are signals, a calendar's or random.
Trade plans that differ only in exits and account share one opening and one gathering of paths. The single
steps are ``positions``, ``paths``, ``exits``, ``rolls`` and ``account``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import FloatArray
from trading_dag.backtest.markets.dividends import Dividends
from trading_dag.backtest.plans.trade_plan import AccountRules, TradePlan
from trading_dag.backtest.results.account_results import AccountResult
from trading_dag.backtest.results.plan_results import PlanResult
from trading_dag.backtest.trades.account import (
    Part,
    account_history,
    admit_positions,
    profit_usd,
    size_positions,
)
from trading_dag.backtest.trades.contract_choice import QuotedMarket
from trading_dag.backtest.trades.entries import Entries, EntryTerms, entries_every_session, terms_of_entries
from trading_dag.backtest.trades.exits import leave_positions
from trading_dag.backtest.trades.paths import PositionPaths, gather_paths
from trading_dag.backtest.trades.positions import open_positions
from trading_dag.backtest.trades.rolls import EntriesWithRolls, entries_with_rolls, rows_of

if TYPE_CHECKING:
    from trading_dag.backtest.results.random_entry import RandomEntry

Gathered = dict[object, PositionPaths]


def run_plan(
    market: QuotedMarket,
    plan: TradePlan,
    *,
    entries: Entries,
    dividends: Dividends | None = None,
    rate: ArrayLike = 0.0,
) -> PlanResult:
    """Open, leave and account for one plan.

    Parameters
    ----------
    entries : when it would enter; a skipped signal keeps its row and its reason.
    dividends : of the underlying: received on shares, and why sold calls are assigned early; None for none.
    rate : continuously compounded, for marks of legs in the money that the chain does not quote: one, or
        (sessions,) as known at each session's close.
    """
    return run_plans(market, [plan], entries=entries, dividends=dividends, rate=rate)[0]


def run_plans(
    market: QuotedMarket,
    plans: Sequence[TradePlan],
    *,
    entries: Entries,
    dividends: Dividends | None = None,
    rate: ArrayLike = 0.0,
    gathered: Gathered | None = None,
) -> list[PlanResult]:
    """Run several plans on the same entries, in their order; each distinct choice of contracts is gathered once.

    What rolls adds its own positions to that; see ``run_plan`` for the parameters.

    Parameters
    ----------
    gathered : what earlier calls with the same market, entries, dividends and rate have gathered; added to.
    """
    shared: Gathered = {} if gathered is None else gathered
    return [
        run_account(
            market, [PlannedEntries(plan, entries)], account=plan.account, dividends=dividends, rate=rate,
            gathered=shared,
        ).results[0]
        for plan in plans
    ]  # fmt: skip


@dataclass(frozen=True)
class PlannedEntries:
    """Holds one plan and when it would enter; its entries' sizes are multiplied by the weight."""

    plan: TradePlan
    entries: Entries
    weight: float = 1.0

    def weighted(self) -> Entries:
        """Return the entries at their weight."""
        return self.entries if self.weight == 1.0 else replace(self.entries, size=self.entries.size * self.weight)


def run_account(
    market: QuotedMarket,
    planned: Sequence[PlannedEntries],
    *,
    account: AccountRules,
    dividends: Dividends | None = None,
    rate: ArrayLike = 0.0,
    gathered: Gathered | None = None,
) -> AccountResult:
    """Run several plans in one account, whose capital and number of positions they share in the order of time.

    Parameters
    ----------
    planned : plans with their entries; fees, multiplier and risk budget are each plan's own.
    account : starting cash, positions at once and interest of the whole.
    dividends, rate : as in ``run_plan``.
    gathered : paths of earlier calls with the same market, entries, dividends and rate; added to. Plans that
        differ only in exits and account share theirs.
    """
    plans = [part.plan for part in planned]
    paths = [_gathered_paths(market, part, dividends=dividends, rate=rate, shared=gathered) for part in planned]
    rolls: list[EntriesWithRolls | None] = [None] * len(plans)
    if any(plan.exits.rolls for plan in plans):
        rolls = [*entries_with_rolls(market, paths, plans, account=account, dividends=dividends, rate=rate)]
        for number, (plan, rolled) in enumerate(zip(plans, rolls, strict=True)):
            if rolled is not None and len(rolled.entries) > len(paths[number].positions.entries):
                opened = open_positions(market, plan, entries=rolled.entries)
                paths[number] = gather_paths(market, opened, dividends=dividends, rate=rate)
            else:
                rolls[number] = None
    parts = [
        Part(
            path,
            leave_positions(path, plan.exits),
            size_positions(path.positions, plan.account),
            plan.account,
            None if rolled is None else rolled.generation,
        )
        for plan, path, rolled in zip(plans, paths, rolls, strict=True)
    ]
    admitted = admit_positions(parts, account, market=market)
    history = account_history(
        market,
        parts,
        contracts=[contracts for contracts, _ in admitted],
        account=account,
    )
    results = [
        PlanResult(
            plan=plan,
            market=market,
            paths=part.paths,
            exits=part.exits,
            contracts=contracts,
            skip_reason=reason,
            margin_usd=part.sized.margin_usd,
            rolled_from=np.full(len(contracts), -1, dtype=np.int64) if rolled is None else rolled.rolled_from,
            history=history,
        )
        for plan, part, (contracts, reason), rolled in zip(plans, parts, admitted, rolls, strict=True)
    ]
    return AccountResult(results, account, history)


def _gathered_paths(
    market: QuotedMarket,
    part: PlannedEntries,
    *,
    dividends: Dividends | None,
    rate: ArrayLike,
    shared: Gathered | None,
) -> PositionPaths:
    """Paths of the plan's contracts; those that were gathered before for the very same entries."""
    plan = part.plan
    contracts = plan.contracts_key
    if shared is not None and contracts in shared and shared[contracts].positions.entries is part.entries:
        return shared[contracts]
    opened = open_positions(market, plan, entries=part.weighted())
    paths = gather_paths(market, opened, dividends=dividends, rate=rate)
    if shared is not None:
        shared[contracts] = paths
    return paths


def random_entry_runs(
    market: QuotedMarket,
    result: PlanResult,
    *,
    runs: int,
    seed: int,
    dividends: Dividends | None = None,
    rate: ArrayLike = 0.0,
) -> RandomEntry:
    """Hold a plan's profit against as many trades entered on random sessions (``random_entry``).

    Strikes, exits, fills and fees are the plan's own, and every trade keeps its own size and its distance in
    sessions to the signal's target and flip; the capital limit is not applied, so the trades are those that were
    closed.
    """
    from trading_dag.backtest.results.random_entry import random_entry_test

    closed = np.flatnonzero(result.is_closed)
    opened = open_positions(market, result.plan, entries=entries_every_session(market))
    paths = gather_paths(market, opened, dividends=dividends, rate=rate)
    own = rows_of(result.paths.positions.entries, closed)
    if not result.plan.exits.on_signal_flip:
        own = replace(own, flip=np.full(len(own), len(market), dtype=np.int64))
    terms, kind = terms_of_entries(market, own, longest=paths.at.shape[1])
    profits = _profits_on_terms(market, paths, terms=terms)
    return random_entry_test(profits, kind=kind, at=own.entry, total_usd=result.total_profit_usd, runs=runs, seed=seed)


def _profits_on_terms(market: QuotedMarket, paths: PositionPaths, *, terms: EntryTerms) -> FloatArray:
    """Profit of these paths, which enter at every session, on each of the terms, (kinds, sessions), USD."""
    plan = paths.positions.plan
    profits = np.full((len(terms), len(market)), np.nan)
    for kind in range(len(terms)):
        # Only size, target and flip differ, and neither contracts nor quotes depend on them.
        positions = replace(paths.positions, entries=terms.at_every_session(market, kind))
        exits = leave_positions(replace(paths, positions=positions), plan.exits)
        contracts = size_positions(positions, plan.account).contracts
        profit = profit_usd(positions, exits, contracts=contracts, account=plan.account)
        profits[kind] = np.where((contracts > 0) & (exits.exit >= 0), profit, np.nan)
    return profits
