"""Would the same structures have earned as much on random days? The p-value against random entry.

The null hypothesis is that the timing carries nothing. One run keeps the program of the backtest (how
many trades of which structure at which size) and deals it out to sessions drawn at random, without
replacement, from the sessions that had a signal row and on which every structure of the program could
be entered and left. Entry, exit, strikes, sizing, spreads and fees are the backtest's own; only the
capital limit is not applied. The statistic is the summed profit after fees.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from trading_dag.backtest.fills import make_round_trips
from trading_dag.backtest.market import Market, PositionArray
from trading_dag.options.black_scholes import FloatArray
from trading_dag.options.structures import structure_of

_RUNS_AT_ONCE: Final = 100


@dataclass(frozen=True)
class RandomEntry:
    """What random entry gave.

    Attributes
    ----------
    p_value : (1 + runs at least as good) / (1 + runs); NaN without trades or without sessions to draw from.
    mean_usd : mean total profit of the runs.
    sessions : sessions that could be drawn.
    is_with_replacement : True where there are fewer such sessions than trades.
    """

    p_value: float
    mean_usd: float
    sessions: int
    is_with_replacement: bool


def profit_by_session(
    market: Market, *, program: Sequence[tuple[str, float]], signal: PositionArray, holding_sessions: int
) -> FloatArray:
    """Profit after fees of each kind of trade entered after each signal session, (kinds, sessions), USD.

    ``program`` names the kinds: structure and size (1 full, 0.5 half). NaN where the trade cannot be
    entered, exceeds the risk budget, or is still open at the end of data.
    """
    book = market.settings.backtest
    profits = np.full((len(program), len(signal)), np.nan)
    trips = {
        name: make_round_trips(structure_of(name), market, signal=signal, holding_sessions=holding_sessions)
        for name in dict.fromkeys(name for name, _ in program)
    }
    for row, (name, size) in enumerate(program):
        contracts = trips[name].contracts(size, book)
        profits[row] = np.where(contracts > 0, contracts * trips[name].profit_usd(book), np.nan)
    return profits


def random_entry_test(
    profits: FloatArray, *, kind: PositionArray, total_usd: float, runs: int, seed: int
) -> RandomEntry:
    """Hold a total profit against random entry.

    Parameters
    ----------
    profits : (kinds, sessions) from ``profit_by_session``.
    kind : (trades,) which kind each trade of the backtest was.
    total_usd : what the backtest earned with these trades.
    """
    pool = profits[:, np.isfinite(profits).all(axis=0)]
    trades, sessions = len(kind), pool.shape[1]
    if not trades or not sessions:
        return RandomEntry(math.nan, math.nan, sessions, is_with_replacement=False)
    generator = np.random.default_rng(seed)
    is_with_replacement = sessions < trades
    totals = np.empty(runs)
    for start in range(0, runs, _RUNS_AT_ONCE):
        count = min(_RUNS_AT_ONCE, runs - start)
        if is_with_replacement:
            drawn = generator.integers(0, sessions, size=(count, trades))
        else:
            every = np.broadcast_to(np.arange(sessions, dtype=np.int32), (count, sessions))
            drawn = generator.permuted(every, axis=1)[:, :trades]
        totals[start : start + count] = pool[kind, drawn].sum(axis=1)
    # A run that deals the very same trades must count as "at least as good" whatever the order of its sum.
    tolerance = 1e-9 * max(1.0, abs(total_usd))
    as_good = int((totals >= total_usd - tolerance).sum())
    return RandomEntry((1 + as_good) / (1 + runs), float(totals.mean()), sessions, is_with_replacement)
