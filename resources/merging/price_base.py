"""Whether stored bars and fresh ones are on one price base, and putting stored ones on the base of the fresh.

A split makes a vendor divide every price before it by one factor. Older bars than the vendor still gives cannot be
fetched anew, so they are divided here. Daily bars are fetched anew instead: ``restatement``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from trading_dag.errors import PriceBaseError
from trading_dag.schemas import Table

PRICES: Final = ("open", "high", "low", "close")
# Vendors keep single precision and round what they divide; the smallest split in use is of some percent.
BASE_TOLERANCE: Final = 1e-4
# A vendor corrects single bars. More than this is no correction but other prices.
LARGEST_CORRECTED_SHARE: Final = 0.2


def base_factor(stored: pd.DataFrame, fresh: pd.DataFrame, *, table: Table) -> float:
    """Return the factor that brings the stored prices to the base of the fresh ones; 1.0 on one base.

    Parameters
    ----------
    stored, fresh : open, high, low and close of the bars that both have, in the same order.
    table : for the error.

    Returns
    -------
    float : the factor that explains at least four bars of five; 1.0 without a bar in common.

    Raises
    ------
    PriceBaseError : where no one factor explains them.
    """
    if stored.empty:
        return 1.0
    ratios = fresh[list(PRICES)].to_numpy(dtype=float) / stored[list(PRICES)].to_numpy(dtype=float)
    of_bar = np.median(ratios, axis=1)
    factor = float(np.median(of_bar))
    is_explained = np.abs(of_bar / factor - 1.0) <= BASE_TOLERANCE
    if is_explained.mean() < 1.0 - LARGEST_CORRECTED_SHARE:
        raise PriceBaseError(
            table=table.qualified_name,
            key=f"ticker={stored['ticker'].iloc[0]}, ts={stored['ts'].iloc[int(np.argmin(is_explained))]}",
            rule=f"{int((~is_explained).sum())} of {len(stored)} stored bars differ from the vendor's by other factors "
            f"than {factor:.6g}, so no one split explains it: nothing was merged. If the stored bars are wrong, move "
            "the slice's folder away and fetch it again",
        )
    return 1.0 if abs(factor - 1.0) <= BASE_TOLERANCE else factor


def on_base(bars: pd.DataFrame, factor: float) -> pd.DataFrame:
    """Return the bars with prices multiplied and volumes divided by the factor."""
    prices = {name: bars[name] * factor for name in PRICES}
    return bars.assign(**prices, volume=bars["volume"] / factor)
