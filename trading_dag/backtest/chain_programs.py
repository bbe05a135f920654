"""Programs on a chain, from entries to results, and what random entry would have given.

Programs that differ only in exits and account share one opening and one gathering of paths. The single
steps are ``positions``, ``paths``, ``exits`` and ``account``; modelled quotes are ``engine``'s backtest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from trading_dag.backtest.account import account_history, admit_positions, profit_usd, size_positions
from trading_dag.backtest.chain_market import ChainMarket, IntegerArray
from trading_dag.backtest.entries import Entries, entries_every_session
from trading_dag.backtest.exits import Dividends, leave_positions
from trading_dag.backtest.paths import PositionPaths, gather_paths
from trading_dag.backtest.positions import open_positions
from trading_dag.backtest.program_results import ProgramResult
from trading_dag.backtest.programs import Program
from trading_dag.options.black_scholes import FloatArray

if TYPE_CHECKING:
    from trading_dag.backtest.random_entry import RandomEntry


def run_program(
    market: ChainMarket, program: Program, *, entries: Entries, dividends: Dividends | None = None
) -> ProgramResult:
    """Open, leave and account for one program.

    Parameters
    ----------
    entries : when it would enter; a skipped signal keeps its row and its reason.
    dividends : for early assignment of sold calls; None for none.
    """
    return run_programs(market, [program], entries=entries, dividends=dividends)[0]


def run_programs(
    market: ChainMarket, programs: Sequence[Program], *, entries: Entries, dividends: Dividends | None = None
) -> list[ProgramResult]:
    """Run several programs on the same entries, in their order; each distinct choice of contracts is gathered once."""
    owed = None if dividends is None else dividends.owed_after(market.days)
    unrolled = np.full(len(entries), -1, dtype=np.int64)
    shared: dict[object, PositionPaths] = {}
    results = []
    for program in programs:
        if program.exits.rolls:
            with_rolls, rolled_from = _entries_with_rolls(market, program, entries, dividend_owed=owed)
            paths = gather_paths(market, open_positions(market, program, entries=with_rolls))
        else:
            contracts = (program.structure, program.strikes, program.expiration)
            if contracts not in shared:
                shared[contracts] = gather_paths(market, open_positions(market, program, entries=entries))
            paths, rolled_from = shared[contracts], unrolled
        results.append(_result(market, program, paths, rolled_from=rolled_from, dividend_owed=owed))
    return results


def profit_by_session(market: ChainMarket, program: Program, *, dividends: Dividends | None = None) -> FloatArray:
    """Profit after fees of the program entered at each session of the market, (1, sessions), USD.

    Sized by the risk budget alone. NaN where the position cannot be opened, exceeds the budget, or is still
    open at the end of the data. Rolls end the trade.
    """
    entries = entries_every_session(market)
    paths = gather_paths(market, open_positions(market, program, entries=entries))
    owed = None if dividends is None else dividends.owed_after(market.days)
    exits = leave_positions(paths, program.exits, dividend_owed=owed)
    contracts = size_positions(paths.positions, program.account).contracts
    profit = profit_usd(paths.positions, exits, contracts=contracts, account=program.account)
    return np.where((contracts > 0) & (exits.exit >= 0), profit, np.nan)[np.newaxis]


def random_entry_runs(
    market: ChainMarket, result: ProgramResult, *, runs: int, seed: int, dividends: Dividends | None = None
) -> RandomEntry:
    """Hold a program's profit against as many trades entered on random sessions (``random_entry``).

    Contracts, sizes, exits, fills and fees are the program's own; the capital limit is not applied, so the
    trades are those that were closed.
    """
    from trading_dag.backtest.random_entry import random_entry_test

    profits = profit_by_session(market, result.program, dividends=dividends)
    at = result.paths.positions.entry[result.is_closed]
    return random_entry_test(
        profits, kind=np.zeros(len(at), dtype=np.int64), at=at, total_usd=result.total_profit_usd, runs=runs, seed=seed
    )


def _result(
    market: ChainMarket,
    program: Program,
    paths: PositionPaths,
    *,
    rolled_from: IntegerArray,
    dividend_owed: FloatArray | None,
) -> ProgramResult:
    positions = paths.positions
    exits = leave_positions(paths, program.exits, dividend_owed=dividend_owed)
    sized = size_positions(positions, program.account)
    contracts, reason = admit_positions(positions, exits, sized=sized, account=program.account, rolled_from=rolled_from)
    return ProgramResult(
        program=program,
        market=market,
        paths=paths,
        exits=exits,
        contracts=contracts,
        skip_reason=reason,
        margin_usd=sized.margin_usd,
        rolled_from=rolled_from,
        history=account_history(market, paths, exits, contracts=contracts, account=program.account),
    )


def _entries_with_rolls(
    market: ChainMarket, program: Program, entries: Entries, *, dividend_owed: FloatArray | None
) -> tuple[Entries, IntegerArray]:
    """The entries and every entry that rolling would add, by session, and the row each one replaces.

    A roll closes and opens on one quote date. What rolls inherits the signal's target, flip and size.
    """
    generations, parents = [entries], [np.full(len(entries), -1, dtype=np.int64)]
    offset = 0
    while len(generations[-1]):
        newest = generations[-1]
        paths = gather_paths(market, open_positions(market, program, entries=newest))
        exits = leave_positions(paths, program.exits, dividend_owed=dividend_owed)
        rolled = np.flatnonzero(exits.is_roll)
        generations.append(replace(_rows_of(newest, rolled), entry=exits.exit[rolled]))
        parents.append(offset + rolled)
        offset += len(newest)
    merged = _joined(generations)
    order = np.argsort(merged.entry, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    parent = np.concatenate(parents)[order]
    return _rows_of(merged, order), np.where(parent >= 0, place[parent], -1)


def _rows_of(entries: Entries, rows: IntegerArray) -> Entries:
    return Entries(
        signal=entries.signal[rows],
        entry=entries.entry[rows],
        horizon=entries.horizon[rows],
        flip=entries.flip[rows],
        size=entries.size[rows],
        skip_reason=entries.skip_reason[rows],
    )


def _joined(parts: Sequence[Entries]) -> Entries:
    return Entries(
        signal=np.concatenate([part.signal for part in parts]),
        entry=np.concatenate([part.entry for part in parts]),
        horizon=np.concatenate([part.horizon for part in parts]),
        flip=np.concatenate([part.flip for part in parts]),
        size=np.concatenate([part.size for part in parts]),
        skip_reason=np.concatenate([part.skip_reason for part in parts]),
    )
