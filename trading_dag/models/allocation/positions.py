"""How much of the account the underlying itself should hold: from a forecast of its return and its known volatility.

Here belongs the way from a forecast to a position, for a ticker and for the days of the Hull competition alike. What
forecasts the return is ``allocation_ensemble``; how positions are scored, ``validation.scores.allocation_score``.
"""

from __future__ import annotations

import numpy as np

from trading_dag.arrays import FloatArray
from trading_dag.setting_groups import AllocationSettings


def scaled_positions(
    beyond_mean: FloatArray,
    volatility: FloatArray,
    *,
    mean_return: FloatArray,
    mean_volatility: FloatArray,
    settings: AllocationSettings,
    sessions: float = 1.0,
) -> FloatArray:
    """Return the share of the account that each session's forecast asks for, before it is smoothed, within the bounds.

    The share is that of a mean–variance investor for whom holding exactly the underlying was right on the average of
    the training part: ((mean return + what the forecast says beyond it) / mean return) · (mean volatility /
    volatility)². A forecast that says no more than the mean leaves a position that is scaled by volatility alone,
    whatever the mean is.

    Parameters
    ----------
    beyond_mean : by how much the return over the horizon, a fraction, is forecast to exceed what is usual at the
        session's volatility; known at each session's close. 0 for a forecast of the mean.
    volatility : standard deviation of the same return, known then; positive.
    mean_return, mean_volatility : both on the average of the training part of the fold that forecasts; the return less
        the interest of cash. A mean below ``settings.least_mean_return`` counts as that: it is an estimate with a
        standard error of its own size, and nobody is paid for a risk by losing.
    settings : bounds.
    sessions : how many sessions the returns are of; ``least_mean_return`` is that of one.

    Returns
    -------
    A position a session, NaN where the forecast or the volatility is not known.

    References
    ----------
    Merton, Review of Economics and Statistics 51 (1969), 247–257, for the share; Moreira and Muir, Journal of Finance
    72 (2017), 1611–1644, for scaling by variance.
    """
    usual = np.maximum(mean_return, settings.least_mean_return * sessions)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (usual + beyond_mean) / usual * (mean_volatility / volatility) ** 2
    position: FloatArray = np.clip(share, settings.least_position, settings.greatest_position)
    return np.where(np.isfinite(share), position, np.nan)


def smoothed_positions(positions: FloatArray, *, sessions: int) -> FloatArray:
    """Return the exponentially weighted mean of the positions so far, so that a day's whim is not traded.

    Parameters
    ----------
    positions : in the order of the sessions; NaN where there is none, which changes nothing.
    sessions : span; the newest position has weight 2 / (span + 1), and 1 leaves every position as it is.

    Returns
    -------
    NaN where there is no position.
    """
    weight = 2.0 / (sessions + 1.0)
    smooth = np.full(len(positions), np.nan)
    held = np.nan
    for place in np.flatnonzero(np.isfinite(positions)):
        held = positions[place] if np.isnan(held) else held + weight * (positions[place] - held)
        smooth[place] = held
    return smooth
