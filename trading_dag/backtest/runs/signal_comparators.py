"""What the same structures would have earned without the signals: on random sessions, and on every session.

Both enter at the opens after the sessions on which a signal was possible, at the same quotes, exits, sizes and fees.
Where the signals name their contracts, a session's are those of its own best candidate of the structure.
The statistics of random entry are ``random_entry``'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.backtest.markets.modelled_market import ModelledMarket
from trading_dag.backtest.plans.trade_plan import TradePlan
from trading_dag.backtest.results.account_results import AccountResult
from trading_dag.backtest.results.random_entry import RandomEntry, random_entry_test
from trading_dag.backtest.results.signal_tables import Always
from trading_dag.backtest.runs.named_contracts import offered_contracts
from trading_dag.backtest.runs.plan_runs import Gathered, PlannedEntries, run_account
from trading_dag.backtest.trades.account import profit_usd, size_positions
from trading_dag.backtest.trades.entries import Entries, EntryTerms, entries_at, terms_of_entries
from trading_dag.backtest.trades.exits import leave_positions
from trading_dag.backtest.trades.paths import PositionPaths, gather_paths
from trading_dag.backtest.trades.positions import open_positions
from trading_dag.backtest.trades.rolls import rows_of
from trading_dag.options.structures.structure import Structure
from trading_dag.schemas.backtests import RANDOM_ENTRY_COLUMNS
from trading_dag.setting_groups import BacktestSettings

NOTHING_ALWAYS: Final = Always("", 0, float("nan"))


@dataclass(frozen=True)
class Pool:
    """Holds the entries after every session on which a signal was possible, and the paths from there that were needed.

    Attributes
    ----------
    signal : (n,) positions of those sessions in the market's history, ascending, each before the last.
    target_offset : sessions from a signal's to the one at whose close its horizon ends.
    opportunities : ``signals.opportunities``, where the signals choose among them; None where strikes follow from the
        entry's quotes. A session that offers no candidate of a structure is none on which it could be traded.
    """

    market: ModelledMarket
    signal: IntArray
    target_offset: int
    opportunities: pd.DataFrame | None = None
    _paths: dict[object, PositionPaths] = field(default_factory=dict, compare=False, repr=False)

    @property
    def entry(self) -> IntArray:
        """Return the mark of each entry: the open after the signal's session."""
        return 2 * (self.signal + 1)

    def entries(self, structure: Structure) -> Entries:
        """Return the entries, each with the horizon of its signal, at full size, or at none without a candidate."""
        horizon = np.minimum(2 * (self.signal + self.target_offset) + 1, len(self.market))
        entries = replace(entries_at(self.market, self.entry), horizon=horizon)
        if self.opportunities is None:
            return entries
        named = offered_contracts(structure, self.opportunities, self.market.history.sessions[self.signal])
        return replace(entries, named=named, size=np.where(named.expiration_day > 0, entries.size, 0.0))

    def paths(self, plan: TradePlan) -> PositionPaths:
        """Return the paths of a plan's contracts from every entry to its horizon, gathered once."""
        key = plan.contracts_key
        if key not in self._paths:
            opened = open_positions(self.market, plan, entries=self.entries(plan.structure))
            self._paths[key] = gather_paths(self.market, opened)
        return self._paths[key]

    def profits(self, plan: TradePlan, terms: EntryTerms) -> FloatArray:
        """Return the profit after fees of each of the terms from each entry, (kinds, entries), USD.

        NaN where the trade cannot be entered, exceeds the risk budget, or is still open at the end of data.
        """
        paths = self.paths(plan)
        profits = np.full((len(terms), len(self.signal)), np.nan)
        for kind in range(len(terms)):
            entries, flip = paths.positions.entries, int(terms.flip_sessions[kind])
            target = int(terms.target_sessions[kind])
            entries = replace(
                entries,
                # A roll keeps the target of its signal, so it has less time to it; no trade has more.
                horizon=np.minimum(entries.horizon, entries.entry + target) if target >= 0 else entries.horizon,
                flip=np.where(flip >= 0, entries.entry + flip, len(self.market)),
                size=np.where(entries.size > 0, terms.size[kind], 0.0),
            )
            positions = replace(paths.positions, entries=entries)
            exits = leave_positions(replace(paths, positions=positions), plan.exits)
            contracts = size_positions(positions, plan.account).contracts
            profit = profit_usd(positions, exits, contracts=contracts, account=plan.account)
            profits[kind] = np.where((contracts > 0) & (exits.exit >= 0), profit, np.nan)
        return profits


def random_entry(account: AccountResult, pool: Pool, *, settings: BacktestSettings) -> RandomEntry:
    """Hold the total profit of the closed trades against the same trades on random sessions of the pool.

    Every trade keeps its structure, size and distance to its target and flip; the capital limit is not applied.
    """
    profits: list[FloatArray] = []
    kinds: list[IntArray] = []
    at: list[IntArray] = []
    for result in account.results:
        closed = np.flatnonzero(result.is_closed)
        if not len(closed):
            continue
        own = rows_of(result.paths.positions.entries, closed)
        if not result.plan.exits.on_signal_flip:
            own = replace(own, flip=np.full(len(own), len(pool.market), dtype=np.int64))
        terms, kind = terms_of_entries(pool.market, own, longest=len(pool.market))
        kinds.append(kind + sum(len(block) for block in profits))
        profits.append(pool.profits(result.plan, terms))
        at.append(np.searchsorted(pool.entry, own.entry))
    return random_entry_test(
        np.concatenate(profits),
        kind=np.concatenate(kinds),
        at=np.concatenate(at),
        total_usd=account.total_profit_usd,
        runs=settings.random_entry_runs,
        seed=settings.seed,
        with_band=True,
    )


def with_random_entry(equity: pd.DataFrame, luck: RandomEntry, pool: Pool) -> pd.DataFrame:
    """Return ``backtests.equity`` with the band that random entry keeps to, from the same starting cash.

    The band moves when trades are entered, so it leads the account by the sessions for which a trade is held.
    """
    if not luck.band_usd.shape[1]:
        return equity
    entered = pool.market.history.sessions[pool.entry[luck.drawn] // 2]
    place = entered.searchsorted(pd.DatetimeIndex(equity["session"]), side="right")
    from_cash = np.hstack([np.zeros((len(luck.band_usd), 1)), luck.band_usd]) + float(
        pool.market.history.settings.backtest.account_usd
    )
    return equity.assign(**dict(zip(RANDOM_ENTRY_COLUMNS, from_cash[:, place], strict=True)))


def always_trading(account: AccountResult, pool: Pool) -> Always:
    """Return what the structure that was traded most would have earned if it had been entered after every session.

    In an account of its own with the same limits, at the size at which it was traded most often.
    """
    most = max(account.results, key=lambda result: int(result.is_taken.sum()))
    sizes, counts = np.unique(most.paths.positions.entries.size[most.is_taken], return_counts=True)
    known = pool.paths(most.plan)
    entries = known.positions.entries
    entries = replace(entries, size=np.where(entries.size > 0, sizes[counts.argmax()], 0.0))
    paths = replace(known, positions=replace(known.positions, entries=entries))
    plan = most.plan
    gathered: Gathered = {plan.contracts_key: paths}
    whole = run_account(pool.market, [PlannedEntries(plan, entries)], account=account.account, gathered=gathered)
    result = whole.results[0]
    return Always(plan.name, int(result.is_closed.sum()), result.total_profit_usd)
