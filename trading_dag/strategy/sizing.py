"""How many structures an account may hold. It knows no prices beyond the risk of one structure."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.settings import Settings

CASH_INDICES: Final = frozenset({"SPX", "COMP"})
DESIGN_SIZES: Final[dict[str, float]] = {"FULL": 1.0, "HALF": 0.5, "NONE": 0.0}


def settings_for_contract(ticker: str, settings: Settings) -> Settings:
    """Return the settings with the multiplier of the ticker's contracts: ``index_multiplier`` for a cash index.

    One full-size index structure risks more than a retail account's budget, so that nothing would trade.
    """
    if ticker not in CASH_INDICES:
        return settings
    book = settings.backtest.model_copy(update={"multiplier": settings.backtest.index_multiplier})
    return settings.model_copy(update={"backtest": book})


def design_sizes(design_size: ArrayLike) -> FloatArray:
    """Return the share of a full-size trade of each design size: 1 for FULL, 0.5 for HALF, 0 for NONE.

    Raises
    ------
    KeyError : for any other word.
    """
    words, positions = np.unique(np.asarray(design_size, dtype=object).astype(str), return_inverse=True)
    sizes: FloatArray = np.array([DESIGN_SIZES[word] for word in words], dtype=np.float64)
    return sizes[positions] if len(sizes) else np.empty(0)


def contracts_for_risk(
    *,
    account_usd: float,
    risk_fraction: float,
    size: ArrayLike,
    maximum_loss_usd: ArrayLike,
    round_trip_fees_usd: ArrayLike,
) -> IntArray:
    """Return how many structures can be traded with risk and fees within ``account · risk_fraction · size``.

    Rounded down, so 0 where not even one fits. 0 where the risk is NaN, infinite or not positive: such
    a structure has no defined risk to size by.
    """
    risk = np.asarray(maximum_loss_usd, dtype=np.float64)
    one = risk + np.asarray(round_trip_fees_usd, dtype=np.float64)
    budget = account_usd * risk_fraction * np.asarray(size, dtype=np.float64)
    is_sizable = np.isfinite(one) & (risk > 0)
    fits = np.floor(budget / np.where(is_sizable, one, 1.0) + 1e-9)
    return np.where(is_sizable, fits, 0.0).astype(np.int64)
