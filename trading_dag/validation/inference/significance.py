"""Tests of equal forecast accuracy: Diebold–Mariano and Clark–West.

Here belongs a test statistic of two forecast error series and its p-value. Which series are
compared is decided in ``evaluation``. Both tests ask whether the model beats the baseline, so
both p-values are one-sided: small means better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from trading_dag.arrays import FloatArray

# Beyond it lies a 95 % interval that does not hold 0: the verdict ``skilled``.
SHOWN_IN_ERRORS: Final = 1.96
_ROUNDING: Final = 1e-12


@dataclass(frozen=True)
class AccuracyTest:
    """Outcome of a test of equal accuracy.

    Attributes
    ----------
    statistic : positive where the model did better; NaN where the test is undefined.
    p_value : probability of a statistic at least as large if neither were better; NaN likewise.
    n : sessions compared.
    """

    statistic: float
    p_value: float
    n: int


def long_run_variance(series: FloatArray, *, lag: int) -> float:
    """Return the variance of √n × the mean of a dependent series, from its autocovariances up to ``lag``.

    Bartlett's weights fall to 0 beyond the lag; their sum is never negative. A series that is constant up to rounding
    has variance 0.

    References
    ----------
    Newey and West, Econometrica 55 (1987), 703–708.
    """
    n = len(series)
    if np.ptp(series) <= _ROUNDING * max(1.0, float(np.abs(series).max())):
        return 0.0
    centred = series - series.mean()
    covariances = np.array([centred[k:] @ centred[: n - k] / n for k in range(min(lag, n - 1) + 1)])
    bartlett = 1.0 - np.arange(1, len(covariances)) / len(covariances)
    return float(covariances[0] + 2.0 * (bartlett * covariances[1:]).sum())


def long_run_variances_to_date(series: FloatArray, *, steps: int) -> FloatArray:
    """Return ``long_run_variance`` of the first 1, 2, … n values, each with the lag that its own length asks for, (n,).

    Parameters
    ----------
    series : in order.
    steps : sessions the forecast looks ahead, as of ``truncation_lag``.
    """
    n = np.arange(1, len(series) + 1)
    # truncation_lag of every length at once.
    lags = np.minimum(np.maximum(steps - 1, np.floor(np.round(np.cbrt(n), 9)).astype(np.int64)), n - 1)
    # The variance does not move with the level; near zero the sums of squares lose no digits.
    level = series - series[:1]
    sums = np.concatenate([[0.0], np.cumsum(level)])
    mean = sums[n] / n
    variance = np.zeros(len(series))
    for k in range(int(lags.max(initial=-1)) + 1):
        products = np.concatenate([np.zeros(k), np.cumsum(level[k:] * level[: len(level) - k])])
        ends = sums[np.maximum(n - k, 0)] + sums[n] - sums[np.minimum(k, n)]
        covariance = (products - mean * ends + np.maximum(n - k, 0) * mean**2) / n
        weight = np.where(k <= lags, 1.0 - k / (lags + 1.0), 0.0) * (1.0 if k == 0 else 2.0)
        variance += weight * covariance
    return np.maximum(variance, 0.0)


def truncation_lag(n: int, *, steps: int) -> int:
    """Return how many autocovariances of a loss difference count: max(h − 1, n^⅓), whole.

    Errors of optimal forecasts depend on each other up to lag h − 1; those of real ones for longer.
    """
    return max(steps - 1, math.floor(round(math.cbrt(n), 9)))


def diebold_mariano(baseline_losses: FloatArray, model_losses: FloatArray, *, steps: int) -> AccuracyTest:
    """Return the Diebold–Mariano test with the correction of Harvey, Leybourne and Newbold.

    Parameters
    ----------
    baseline_losses, model_losses : loss per session, in order, on the same sessions.
    steps : sessions the forecast looks ahead, h ≥ 1. Autocovariances up to ``truncation_lag`` are used.

    Returns
    -------
    Statistic and one-sided p-value from Student's t with n − 1 degrees of freedom. Undefined
    (NaN) for fewer than two sessions, for n too short for h, and where the losses never differ.

    References
    ----------
    Harvey, Leybourne and Newbold, International Journal of Forecasting 13 (1997), p. 283, equation 9.
    """
    from scipy.stats import t as student

    difference = np.asarray(baseline_losses, dtype=np.float64) - np.asarray(model_losses, dtype=np.float64)
    n = len(difference)
    if n < 2:
        return AccuracyTest(math.nan, math.nan, n)
    correction = (n + 1 - 2 * steps + steps * (steps - 1) / n) / n
    variance = long_run_variance(difference, lag=truncation_lag(n, steps=steps))
    if variance <= 0 or correction <= 0:
        return AccuracyTest(math.nan, math.nan, n)
    statistic = math.sqrt(correction) * float(difference.mean()) / math.sqrt(variance / n)
    return AccuracyTest(statistic, float(student.sf(statistic, n - 1)), n)


def clark_west(outcome: FloatArray, baseline: FloatArray, model: FloatArray, *, steps: int) -> AccuracyTest:
    """Return the Clark–West test for a model that contains the baseline.

    A larger model pays for estimating coefficients that may be zero, so its squared error is
    larger under the null; the test takes that part, (baseline − model)², out of the comparison.

    Parameters
    ----------
    outcome, baseline, model : what happened and the two forecasts of it, per session in order.
    steps : sessions the forecast looks ahead; the variance uses autocovariances up to ``truncation_lag``.

    Returns
    -------
    Statistic and one-sided p-value from the normal distribution.

    References
    ----------
    Clark and West, Journal of Econometrics 138 (2007), p. 294, equations 2.1 to 2.3.
    """
    from scipy.stats import norm

    n = len(outcome)
    if n < 2:
        return AccuracyTest(math.nan, math.nan, n)
    adjusted = (outcome - baseline) ** 2 - ((outcome - model) ** 2 - (baseline - model) ** 2)
    variance = long_run_variance(adjusted, lag=truncation_lag(n, steps=steps))
    if variance <= 0:
        return AccuracyTest(math.nan, math.nan, n)
    statistic = float(adjusted.mean()) / math.sqrt(variance / n)
    return AccuracyTest(statistic, float(norm.sf(statistic)), n)
