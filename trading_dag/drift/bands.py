"""What a mean over a window of forecasts may be by chance, judged from the forecasts before that window.

Here belong the two bands of ``monitoring.accuracy``; which forecasts are in the window stands in ``accuracy``.

References
----------
Newey, W. and West, K. (1987), Econometrica 55, p. 704, equation 5: weights of the autocovariances.
Newey, W. and West, K. (1994), Review of Economic Studies 61, p. 637: how many of them, 4 (n / 100)^(2/9).
Christoffersen, P. (1998), International Economic Review 39, p. 844: an interval is judged by its indicator of hits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from trading_dag.arrays import FloatArray, IntArray

MINIMUM_WINDOWS: Final = 4


@dataclass(frozen=True)
class Band:
    """Holds, for each of some windows, what the evaluation period before it lets expect.

    Attributes
    ----------
    n_reference : forecasts before each window.
    expected : their mean; NaN without any.
    low, high : ends of the band; NaN where fewer than four windows lie before.
    """

    n_reference: IntArray
    expected: FloatArray
    low: FloatArray
    high: FloatArray


def rolling_mean(values: FloatArray, *, window: int) -> FloatArray:
    """Return the mean of each window, by its last row; the first ``window - 1`` rows have none and are left out."""
    return np.asarray(np.lib.stride_tricks.sliding_window_view(values, window).mean(axis=1), dtype=np.float64)


def band_of_scores(reference: FloatArray, n_reference: IntArray, *, window: int, quantile: float) -> Band:
    """Return between which quantiles the means of earlier windows lie.

    Parameters
    ----------
    reference : gain per forecast of the evaluation period, in session order.
    n_reference : for each window that is judged, how many of them lie before it.
    window : length of a window. All windows of that length count, also where they overlap.
    quantile : the upper end; the lower is 1 less it.
    """
    import pandas as pd

    low, high = (np.full(len(n_reference), np.nan) for _ in range(2))
    enough = n_reference >= MINIMUM_WINDOWS * window
    if enough.any():
        means = pd.Series(rolling_mean(reference, window=window))
        last = n_reference[enough] - window
        low[enough] = means.expanding().quantile(1.0 - quantile).to_numpy()[last]
        high[enough] = means.expanding().quantile(quantile).to_numpy()[last]
    return Band(n_reference, _mean_before(reference, n_reference), low, high)


def band_of_coverage(
    hits: FloatArray, n_reference: IntArray, *, window: int, quantile: float, nominal: float, overlap: int
) -> Band:
    """Return between which shares of hits a right interval stays, given how hits follow each other.

    A window of ``window`` hits that depend on each other tells as much as a smaller number of independent ones: that
    number over the variance ratio, the long-run variance of the hits before the window over their variance, at least 1.
    The ends are quantiles of the beta distribution with the mean and variance of a binomial share of that many trials,
    which has no steps where the number is no whole one. Where nothing but hits is more probable than 1 − ``quantile``,
    no share is too high. Expected is the nominal share.

    Parameters
    ----------
    hits : 1 where the outcome was inside, else 0, of the evaluation period in session order.
    n_reference : for each window that is judged, how many of them lie before it.
    overlap : how many neighbouring forecasts share a part of their horizon, in sessions: 1 where none do. At least
        twice as many autocovariances count, because each counts less than the one before.
    """
    from scipy.stats import beta

    low, high = (np.full(len(n_reference), np.nan) for _ in range(2))
    enough = n_reference >= MINIMUM_WINDOWS * window
    if enough.any():
        ratio = variance_ratio(hits, n_reference[enough], overlap=overlap)
        trials = window / ratio
        spread = np.maximum(trials - 1.0, 1.0)
        below, above = (
            beta.ppf(level, nominal * spread, (1.0 - nominal) * spread) for level in (1.0 - quantile, quantile)
        )
        low[enough], high[enough] = below, np.where(nominal**trials > 1.0 - quantile, 1.0, above)
    return Band(n_reference, np.full(len(n_reference), nominal), low, high)


def variance_ratio(values: FloatArray, lengths: IntArray, *, overlap: int) -> FloatArray:
    """Return, for each of some beginnings of a series, its long-run variance over its variance; never below 1.

    Parameters
    ----------
    values : the series.
    lengths : how long each beginning is.
    overlap : half the least number of autocovariances that count; see ``band_of_coverage``.
    """
    counts = lengths.astype(np.float64)
    lags = np.maximum(2 * overlap, np.floor(4.0 * (counts / 100.0) ** (2.0 / 9.0)))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    mean = sums[lengths] / counts
    variance = np.concatenate([[0.0], np.cumsum(values**2)])[lengths] / counts - mean**2
    total = variance.copy()
    for lag in range(1, int(lags.max()) + 1):
        products = np.concatenate([np.zeros(lag + 1), np.cumsum(values[lag:] * values[:-lag])])[lengths]
        ends = (sums[lengths] - sums[lag]) + sums[np.maximum(lengths - lag, 0)]
        covariance = (products - mean * ends + (counts - lag) * mean**2) / counts
        total += 2.0 * np.clip(1.0 - lag / (lags + 1.0), 0.0, None) * covariance
    ratio = np.divide(total, variance, out=np.ones_like(total), where=variance > 1e-12)
    return np.asarray(np.maximum(ratio, 1.0), dtype=np.float64)


def _mean_before(values: FloatArray, counts: IntArray) -> FloatArray:
    sums = np.concatenate([[0.0], np.cumsum(values)])[counts]
    means = np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    return np.asarray(means, dtype=np.float64)
