"""Greeks of positions along their paths, each leg at the volatility that its own mark implies.

Reports and the account's limits read the same ones. What is added up over positions is theirs to decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.backtest.trades.contract_choice import QuotedMarket
from trading_dag.backtest.trades.paths import PositionPaths
from trading_dag.day_count import DAYS_PER_YEAR


@dataclass(frozen=True)
class LegGreeks:
    """Holds Greeks of the legs of positions at marks, (n, legs), a share of one contract; NaN where a mark implies no
    volatility. Units as in ``options.pricing.greeks``."""

    volatility: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray


def leg_greeks(
    market: QuotedMarket,
    paths: PositionPaths,
    *,
    rows: IntArray,
    column: IntArray,
    rate: ArrayLike = 0.0,
    dividend_yield: float = 0.0,
) -> LegGreeks:
    """Return the Greeks of these positions at these columns of their paths.

    Parameters
    ----------
    rate : continuously compounded: one, or (sessions,) as known at each session's close.
    dividend_yield : continuously compounded, for every session.
    """
    from trading_dag.options.pricing.greeks import greeks
    from trading_dag.options.pricing.implied_volatility import implied_volatility

    arguments: dict[str, Any] = {
        "spot": paths.spot[rows, column][:, np.newaxis],
        "strike": paths.contracts.strikes[rows, column],
        "years": years_left(market, paths, rows=rows, column=column),
        "rate": market.by_session(rate)[paths.at[rows, column]][:, np.newaxis],
        "dividend_yield": dividend_yield,
        "is_call": paths.positions.plan.structure.is_call,
    }
    implied = implied_volatility(price=_leg_marks(market, paths, rows=rows, column=column), **arguments)
    found = greeks(volatility=implied, **arguments)
    return LegGreeks(implied, found.delta, found.gamma, found.vega, found.theta)


def years_left(market: QuotedMarket, paths: PositionPaths, *, rows: IntArray, column: IntArray) -> FloatArray:
    """Return the time to each leg's expiration of these positions at these columns, (positions, legs)."""
    day = market.days[paths.at[rows, column]]
    return np.asarray((paths.positions.leg_expiration_day[rows] - day[:, np.newaxis]) / DAYS_PER_YEAR, dtype=np.float64)


def _leg_marks(market: QuotedMarket, paths: PositionPaths, *, rows: IntArray, column: IntArray) -> FloatArray:
    """Marks of the legs of these positions at these columns, NaN where a leg is not quoted."""
    structure = paths.positions.plan.structure
    quotes = market.quotes_of(
        paths.at[rows, column][:, np.newaxis],
        paths.positions.leg_expiration_day[rows],
        is_call=structure.is_call,
        strike=paths.contracts.listed[rows, column],
        is_bought=structure.signed_ratios < 0,
        with_delta=False,
    )
    return quotes.mark * paths.contracts.shares[rows, column][:, np.newaxis]
