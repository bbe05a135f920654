"""Whether a trade keeps the account's delta and vega within its limits, asked before each in the order of time.

The Greeks of what is held are those of its marks at the session of the entry; where a mark implies none, the last known
ones count. Capital is ``account``'s business.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.backtest.plans.outcomes import DELTA_LIMIT, UNKNOWN_GREEKS, VEGA_LIMIT
from trading_dag.backtest.plans.trade_plan import AccountRules
from trading_dag.backtest.trades.contract_choice import QuotedMarket
from trading_dag.backtest.trades.path_greeks import leg_greeks
from trading_dag.backtest.trades.paths import PositionPaths
from trading_dag.backtest.trades.unquoted_legs import carried_forward

_POINTS: Final = 100.0
_TOLERANCE: Final = 1e-9


class Exposure(NamedTuple):
    """Holds what one sized position adds to the account's Greeks along its path, (sessions since entry).

    ``at`` is the position in the market, ``delta`` in USD per USD of the underlying, ``vega`` in USD a volatility
    point; the last known values where a mark implies none, NaN before the first.
    """

    at: IntArray
    delta: FloatArray
    vega: FloatArray

    def on(self, session: int) -> FloatArray:
        """Return delta and vega at a session while the position is held."""
        column = int(np.searchsorted(self.at, session))
        return np.array([self.delta[column], self.vega[column]])


def path_exposures(
    market: QuotedMarket, paths: PositionPaths, *, contracts: IntArray, multiplier: int
) -> list[Exposure]:
    """Return the exposure of so many structures of each position, one a row, at the rate that the paths have."""
    structure = paths.positions.plan.structure
    rows, column = np.nonzero(paths.is_held & (contracts > 0)[:, np.newaxis])
    found = leg_greeks(market, paths, rows=rows, column=column, rate=paths.rate)
    size = (contracts * float(multiplier))[rows]
    delta, vega = np.full(paths.at.shape, np.nan), np.full(paths.at.shape, np.nan)
    delta[rows, column] = size * (found.delta @ structure.signed_ratios + structure.underlying_ratio)
    vega[rows, column] = size * (found.vega @ structure.signed_ratios) / _POINTS
    return [Exposure(*path) for path in zip(paths.at, carried_forward(delta), carried_forward(vega), strict=True)]


class _Held(NamedTuple):
    exposure: Exposure
    exit: int


class GreekBook:
    """Keeps the exposure of what an account holds; it is asked in the order of the entries.

    A trade is refused where the account's delta or vega would afterwards lie beyond its limit, unless it brings that
    closer to zero; and where its own are unknown, because then nobody can say so.
    """

    def __init__(self, account: AccountRules) -> None:
        self._limits = np.array(
            [np.inf if limit is None else limit for limit in (account.maximum_delta, account.maximum_vega_usd)]
        )
        self._held: list[_Held] = []

    def refusal(self, exposure: Exposure, *, entry: int) -> str:
        """Return why the position may not be taken; empty where it may."""
        self._held = [held for held in self._held if held.exit < 0 or held.exit > entry]
        own = exposure.on(entry)
        if np.isnan(own).any():
            return UNKNOWN_GREEKS
        before = sum((held.exposure.on(entry) for held in self._held), np.zeros(2))
        after = before + own
        is_beyond = (np.abs(after) > self._limits + _TOLERANCE) & (np.abs(after) > np.abs(before))
        return DELTA_LIMIT if is_beyond[0] else VEGA_LIMIT if is_beyond[1] else ""

    def take(self, exposure: Exposure, *, exit_position: int) -> None:
        """Hold the position from now on, until its exit (−1 for none within the data)."""
        self._held.append(_Held(exposure, exit_position))
