"""Naive forecasts that every model has to beat.

Here belongs a forecast that needs no fitting beyond counting. Scoring is in ``metrics``, the
comparison in ``evaluation``. None of these functions looks at what a model did: a baseline's
forecast depends on labels, prices or the IV rank handed to it and on nothing else.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.labels import iv_regime_of
from trading_dag.sessions import shift_sessions
from trading_dag.slices import Horizon

ObjectArray = npt.NDArray[np.object_]

CLASS_PRIOR: Final = "class_prior"
PREVIOUS_DIRECTION: Final = "previous_direction"
PERSISTENCE: Final = "persistence"
BUY_AND_HOLD: Final = "buy_and_hold"
VOLATILITY_MANAGED: Final = "volatility_managed"
CLIMATOLOGY: Final = "climatology"
RUNNING_CLIMATOLOGY: Final = "running_climatology"  # learns on between retrains, as an online model does
MARKOV: Final = "markov"
RANDOM_WALK: Final = "random_walk"
ROLLING_QUANTILE: Final = "rolling_quantile_250"
# Probability 1 or 0: whoever hedges beats their proper scores, so none of those against them is a verdict.
HARD_CALLS: Final = frozenset({PREVIOUS_DIRECTION, PERSISTENCE})


def class_prior(labels: ObjectArray, *, classes: tuple[str, ...]) -> dict[str, float]:
    """Return the share of each class among training labels; labels outside ``classes`` do not count.

    NaN for every class where there are no labels. Known at the last target session of the labels.
    """
    counts = np.array([(labels == name).sum() for name in classes], dtype=np.float64)
    total = counts.sum()
    return {name: float(count / total) if total else float("nan") for name, count in zip(classes, counts, strict=True)}


def climatology(forward_returns: FloatArray) -> float:
    """Return the share of rises among the returns of training sessions, all of them; NaN without any.

    It is the strongest naive forecast of a direction. A return of exactly 0 is no rise. Known at the last target
    session of the returns.
    """
    known = forward_returns[np.isfinite(forward_returns)]
    return float((known > 0).mean()) if len(known) else float("nan")


def markov_transitions(now: IntArray, later: IntArray, *, classes: int) -> FloatArray:
    """Return how often each class followed each class over the horizon: classes now × classes later, rows sum to 1.

    It is the strongest naive forecast of a regime that lasts. The class shares of all later labels count as one
    further transition from each class, so that none has probability 0 for want of an example and a class that never
    occurred is followed by the shares. Known at the last target session of the labels.

    Parameters
    ----------
    now, later : (n,) class codes of training sessions and of their targets; −1 where not known, which does not count.

    Returns
    -------
    NaN throughout where nothing is known.
    """
    known = (now >= 0) & (later >= 0)
    counts = np.zeros((classes, classes))
    np.add.at(counts, (now[known], later[known]), 1.0)
    total = counts.sum()
    if not total:
        return np.full((classes, classes), np.nan)
    counts += counts.sum(axis=0) / total
    transitions: FloatArray = counts / counts.sum(axis=1, keepdims=True)
    return transitions


def previous_returns(prices: pd.DataFrame, *, horizon: Horizon) -> pd.Series:
    """Return over the horizon's length that **ends** at each session, a fraction.

    For close-to-close horizons of h sessions: close of t over the close h sessions before. For
    12h: open of t over the close of the session before. Known at t's close (12h: at its open).
    Shifting the label by one row instead would use prices after t and is a leak.

    Parameters
    ----------
    prices : session, open, close; split-adjusted.

    Returns
    -------
    Float series indexed by session; NaN where the earlier session is not in ``prices``.
    """
    sessions = pd.DatetimeIndex(prices["session"])
    closes = pd.Series(prices["close"].to_numpy(dtype=np.float64), index=sessions)
    earlier = closes.reindex(shift_sessions(sessions, -horizon.target_offset)).to_numpy()
    latest = prices[horizon.target_field].to_numpy(dtype=np.float64)
    return pd.Series(latest / earlier - 1.0, index=sessions, name="previous_return")


def previous_direction(returns: FloatArray) -> FloatArray:
    """Return the hard call P(UP) = 1 after a rise and 0 after a fall; 0.5 where there was neither or it is not
    known.
    """
    return np.where(returns > 0, 1.0, np.where(returns < 0, 0.0, 0.5))


def persistence(iv_rank: FloatArray) -> pd.Series:
    """Return the IV regime of each session, as the forecast for its target session; missing where the rank is not
    known.

    Known at the session's close. Over a few sessions this is hard to beat: a regime lasts for weeks.
    """
    return iv_regime_of(iv_rank)
