"""The regime's blend, learnt on between retrains: each outcome the day it is known.

Here belongs how the level's regression and the ordered one are brought up to date. What they are stands in
``level_forecast`` and ``ordered_logit``; how they are blended, in ``regime_forecaster``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.models.volatility.level_forecast import LevelForecaster, fitted_on_first
from trading_dag.models.volatility.ordered_logit import OrderedLogit, OrderedState
from trading_dag.models.volatility.regime_forecaster import RegimeForecaster
from trading_dag.schemas import IV_REGIMES

Dates = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class KnownLevels:
    """Holds labelled sessions in the order in which their outcomes became known.

    Attributes
    ----------
    values : rows × ``LEVEL_INPUTS``, none of them missing.
    levels, codes : index and regime at the target.
    ends : the session at whose close each was known, ascending.
    """

    values: FloatArray
    levels: FloatArray
    codes: IntArray
    ends: Dates

    @classmethod
    def of(
        cls, values: FloatArray, levels: FloatArray, codes: IntArray, ends: Dates, *, counts: BoolArray
    ) -> KnownLevels:
        """Return the sessions that have all inputs and an outcome, of those that count."""
        known = counts & np.isfinite(values).all(axis=1) & np.isfinite(levels) & (codes >= 0) & ~np.isnat(ends)
        return cls(values[known], levels[known], codes[known], ends[known])


def online_probabilities(
    estimator: RegimeForecaster,
    values: FloatArray,
    sessions: Dates,
    *,
    known: KnownLevels,
    fitted_through: np.datetime64,
) -> tuple[FloatArray, Dates]:
    """Return P(LOW), P(NORMAL), P(HIGH) as the mean of parts that know every outcome up to each session, rows × 3, and
    when the last of them was known.

    Parameters
    ----------
    estimator : as a fold has fitted it.
    values, sessions : rows × ``LEVEL_INPUTS``, none of them missing, and their sessions, ascending.
    known : labelled sessions since the fold's first, later ones included; a row counts from its end on.
    fitted_through : the session at which the last outcome was known that the fold has learnt.
    """
    counts = np.searchsorted(known.ends, sessions, side="right")
    total = np.zeros((len(values), len(IV_REGIMES)))
    for _, part in estimator.steps:
        if isinstance(part, LevelForecaster):
            total += _level_online(part, values, counts, known)
        else:
            learnt = int(np.searchsorted(known.ends, fitted_through, side="right"))
            total[:, part.classes_] += _ordered_online(part, values, counts, known, learnt=learnt)
    probabilities: FloatArray = total / len(estimator.steps)
    return probabilities, known.ends[counts - 1]


def _level_online(part: LevelForecaster, values: FloatArray, counts: IntArray, known: KnownLevels) -> FloatArray:
    """Return the shares of levels that mean each regime, the regression fitted anew at each session, rows × 3.

    Sums over the known rows stand for them, so a fit costs no more than its four unknowns. Scale and usual volatility
    stay the fold's. What is left is that of every known row by the newest fit.
    """
    columns, change = part.standard(known.values), np.log(known.levels) - part.log_level(known.values)
    intercepts, slopes = fitted_on_first(columns, change, counts)
    means = intercepts + (part.standard(values) * slopes).sum(axis=1)
    width = part.width(known.values)
    needed = (part.log_limits(values) - means[:, np.newaxis]) / part.width(values)[:, np.newaxis]
    below = np.empty_like(needed)
    for row, count in enumerate(counts.tolist()):
        left = (change[:count] - intercepts[row] - columns[:count] @ slopes[row]) / width[:count]
        below[row] = (left < needed[row, 0]).mean(), (left < needed[row, 1]).mean()
    shares: FloatArray = np.column_stack([below[:, 0], below[:, 1] - below[:, 0], 1.0 - below[:, 1]])
    return shares


def _ordered_online(
    part: OrderedLogit, values: FloatArray, counts: IntArray, known: KnownLevels, *, learnt: int
) -> FloatArray:
    """Return the probabilities of the ordered regression, rows × its classes.

    A new outcome moves the parameters by its slope over the curvature of all outcomes so far, one Newton step a row,
    which is the fit of all of them to first order. Outcomes of a class that the fold was never shown are passed over:
    there is no threshold to move.
    """
    state = OrderedState.of(part, known.values[:learnt], known.codes[:learnt])
    columns = part.standard(values)
    known_columns = part.standard(known.values[learnt:])
    places = part.places(known.codes[learnt:])
    probabilities = np.empty((len(values), len(part.classes_)))
    taken = 0
    for row, count in enumerate(counts.tolist()):
        for place in range(taken, count - learnt):
            if places[place] >= 0:
                state.learn(known_columns[place : place + 1], places[place : place + 1])
        taken = max(taken, count - learnt)
        probabilities[row] = state.probabilities(columns[row : row + 1])[0]
    return probabilities
