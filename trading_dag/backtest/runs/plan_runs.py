"""Trade plans on a chain, from entries to results, and what random entry would have given.

Trade plans that differ only in exits and account share one opening and one gathering of paths. The single
steps are ``positions``, ``paths``, ``exits``, ``rolls`` and ``account``; modelled quotes are ``engine``'s backtest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.backtest.markets.chain_market import ChainMarket
from trading_dag.backtest.markets.dividends import Dividends
from trading_dag.backtest.plans.trade_plan import TradePlan
from trading_dag.backtest.results.plan_results import PlanResult
from trading_dag.backtest.trades.account import account_history, admit_positions, profit_usd, size_positions
from trading_dag.backtest.trades.entries import Entries, EntryTerms, entries_every_session, terms_of_entries
from trading_dag.backtest.trades.exits import leave_positions
from trading_dag.backtest.trades.paths import PositionPaths, gather_paths
from trading_dag.backtest.trades.positions import open_positions
from trading_dag.backtest.trades.rolls import entries_with_rolls, rows_of

if TYPE_CHECKING:
    from trading_dag.backtest.results.random_entry import RandomEntry

Gathered = dict[object, PositionPaths]


def run_plan(
    market: ChainMarket,
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
    market: ChainMarket,
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
    unrolled = np.full(len(entries), -1, dtype=np.int64)
    shared: Gathered = {} if gathered is None else gathered
    results = []
    for plan in plans:
        contracts = (plan.structure, plan.strikes, plan.expiration)
        if contracts not in shared:
            opened = open_positions(market, plan, entries=entries)
            shared[contracts] = gather_paths(market, opened, dividends=dividends, rate=rate)
        paths, rolled_from = shared[contracts], unrolled
        if plan.exits.rolls:
            every, rolled_from = entries_with_rolls(
                market, plan, entries, paths=paths, dividends=dividends, rate=rate
            )  # fmt: skip
            if len(every) > len(entries):
                opened = open_positions(market, plan, entries=every)
                paths = gather_paths(market, opened, dividends=dividends, rate=rate)
            else:
                rolled_from = unrolled
        results.append(_result(market, plan, paths, rolled_from=rolled_from))
    return results


def random_entry_runs(
    market: ChainMarket,
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


def _profits_on_terms(market: ChainMarket, paths: PositionPaths, *, terms: EntryTerms) -> FloatArray:
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


def _result(market: ChainMarket, plan: TradePlan, paths: PositionPaths, *, rolled_from: IntArray) -> PlanResult:
    positions = paths.positions
    exits = leave_positions(paths, plan.exits)
    sized = size_positions(positions, plan.account)
    contracts, reason = admit_positions(positions, exits, sized=sized, account=plan.account)
    return PlanResult(
        plan=plan,
        market=market,
        paths=paths,
        exits=exits,
        contracts=contracts,
        skip_reason=reason,
        margin_usd=sized.margin_usd,
        rolled_from=rolled_from,
        history=account_history(market, paths, exits, contracts=contracts, account=plan.account),
    )
