"""What a portfolio margin would ask for a position, beside Regulation T's: its worst loss over moves of the underlying.

A figure to compare with, in the manner of the exchange's rule. It sizes nothing, and sets nothing off between
positions, as a broker's would.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import FloatArray
from trading_dag.backtest.trades.positions import OpenedPositions
from trading_dag.day_count import DAYS_PER_YEAR
from trading_dag.options.chains.contracts import terms_of

LEAST_PER_CONTRACT: Final = 0.375
POINTS_EACH_WAY: Final = 5
# Down and up. Funds move as the index that they follow.
_LARGE: Final = (0.08, 0.06)
_SMALL: Final = (0.10, 0.10)
_OTHERS: Final = (0.15, 0.15)
_MOVES: Final = {
    **dict.fromkeys(("SPX", "SPXW", "XSP", "SPY", "NDX", "NDXP", "QQQ", "DIA"), _LARGE),
    **dict.fromkeys(("RUT", "RUTW", "IWM"), _SMALL),
}


def valuation_moves(ticker: str) -> FloatArray:
    """Return the ten moves of the underlying at which a position is valued, five equal steps each way, fractions.

    8 % down and 6 % up of a broad index of large companies and of funds on it, 10 % either way of one of small
    companies, 15 % of all others.
    """
    down, up = _MOVES.get(ticker, _OTHERS)
    steps = np.arange(1, POINTS_EACH_WAY + 1) / POINTS_EACH_WAY
    return np.concatenate([-down * steps[::-1], up * steps])


def portfolio_margin(positions: OpenedPositions, *, rate: ArrayLike, dividend_yield: float = 0.0) -> FloatArray:
    """Return the worst loss of one structure at the moves, from its marks at the entry, (n,) USD a share.

    Volatilities and time stay as they are: each leg has the volatility that its mark implies (Black–Scholes–Merton,
    and at least what exercise pays where it may be exercised). At least 0.375 a share for every option contract,
    which is 37.50 USD. NaN where a mark implies no volatility or the position could not be opened.

    Parameters
    ----------
    rate : continuously compounded, (n,) as known at each entry, or one.
    dividend_yield : continuously compounded.

    References
    ----------
    Cboe Rule 10.4 (formerly 12.4), portfolio margin: ten equidistant points, ranges by product group, minimum.
    """
    from trading_dag.options.pricing.black_scholes import price
    from trading_dag.options.pricing.implied_volatility import implied_volatility

    structure, spot = positions.plan.structure, positions.entry_spot[:, np.newaxis]
    day = positions.leg_expiration_day - np.asarray(positions.entry_day)[:, np.newaxis]
    terms: dict[str, Any] = {
        "strike": positions.strikes,
        "years": day / DAYS_PER_YEAR,
        "rate": np.broadcast_to(np.asarray(rate, dtype=np.float64), positions.entry.shape)[:, np.newaxis],
        "dividend_yield": dividend_yield,
        "is_call": structure.is_call,
    }
    volatility = implied_volatility(price=positions.leg_marks, spot=spot, **terms)
    sign = np.where(structure.is_call, 1.0, -1.0)
    is_american = terms_of(positions.ticker).exercise == "American"
    worst = np.full(len(positions.entry), np.inf)
    for move in valuation_moves(positions.ticker):
        moved = spot * (1.0 + move)
        value = price(spot=moved, volatility=volatility, **terms)
        if is_american:
            value = np.maximum(value, sign * (moved - positions.strikes))
        change = (value - positions.leg_marks) @ structure.signed_ratios
        worst = np.minimum(worst, change + structure.underlying_ratio * move * positions.entry_spot)
    required = np.maximum(-worst, LEAST_PER_CONTRACT * structure.contracts_per_structure)
    return np.where(positions.can_open & np.isfinite(worst), required, np.nan)
