"""Whether probabilities are right: how often things came that were given a probability, in bins of equal width."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from trading_dag.arrays import FloatArray

BINS: Final = 10
_NORMAL_QUANTILE: Final = 1.96


def bin_of(probability: FloatArray) -> npt.NDArray[np.intp]:
    """Return which of the ten equally wide bins each probability falls into."""
    return np.minimum((probability * BINS).astype(np.intp), BINS - 1)


def reliability(probability: FloatArray, came: FloatArray) -> pd.DataFrame:
    """Return by bin the mean probability and how often it came, bins without a forecast left out.

    Parameters
    ----------
    probability : (n,) forecasts, none missing.
    came : (n,) 1 where it came, 0 elsewhere.

    Returns
    -------
    forecast (mean probability), share (of forecasts that came true), low and high (95 % interval of the share, after
    Wilson), n.

    References
    ----------
    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
    """
    bins = bin_of(probability)
    count = np.bincount(bins, minlength=BINS).astype("float64")
    is_filled = count > 0
    count = count[is_filled]
    forecast = np.bincount(bins, weights=probability, minlength=BINS)[is_filled] / count
    share = np.bincount(bins, weights=came, minlength=BINS)[is_filled] / count
    squared = _NORMAL_QUANTILE**2
    centre = (share + squared / (2 * count)) / (1 + squared / count)
    reach = _NORMAL_QUANTILE / (1 + squared / count) * np.sqrt(share * (1 - share) / count + squared / (4 * count**2))
    return pd.DataFrame(
        {
            "forecast": forecast,
            "share": share,
            "low": centre - reach,
            "high": centre + reach,
            "n": count.astype("int64"),
        }
    )
