"""What the hidden Markov model of market states observes, and what of its answer is a feature.

Fitting and filtering are ``models.regime_hmm``'s.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.frames import require_sessions, table_frame
from trading_dag.schemas import MARKET_STATES, PREDICTIONS_REGIME, REGIME, REGIME_INPUTS, TECHNICAL

# By what is observed: the feature that it comes from, and whether its logarithm is taken.
_SOURCES: Final = {
    "log_return_5d": ("log_return_5d", False),
    "log_return_20d": ("log_return_20d", False),
    "log_hv_20": ("hv_20", True),
    "price_to_sma_50": ("price_to_sma_50", False),
    "log_volume_ratio": ("volume_ratio", True),
}
TECHNICAL_INPUTS: Final = tuple(feature for feature, _ in _SOURCES.values())


def build_regime_inputs(
    technical: pd.DataFrame, *, names: tuple[str, ...] = REGIME_INPUTS, start: date | None = None
) -> pd.DataFrame:
    """Return the observations of one ticker.

    Parameters
    ----------
    technical : ``features.technical`` of one ticker, or session and the columns that the names come from:
        log_return_5d, log_return_20d, hv_20, price_to_sma_50, volume_ratio.
    names : what is observed, of ``REGIME_INPUT_CHOICES``.
    start : sessions before are left out; None for none.

    Returns
    -------
    pd.DataFrame : the columns named, float64, indexed by session; of volatility and of volume over its 20-session mean
    the logarithm. Sessions on which one of them is missing or infinite (the first ones, and those without any movement
    or volume) are left out.

    When it is known
    ----------------
    At the close of the session.

    Raises
    ------
    SchemaError : for missing columns, more than one ticker, sessions that do not ascend.
    """
    needed = [_SOURCES[name][0] for name in names]
    sessions = require_sessions(technical, needed, table=TECHNICAL.qualified_name)
    columns = technical[needed].to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    logarithmic = [_SOURCES[name][1] for name in names]
    with np.errstate(divide="ignore", invalid="ignore"):
        columns[:, logarithmic] = np.log(columns[:, logarithmic])
    is_observed = np.isfinite(columns).all(axis=1)
    if start is not None:
        is_observed &= np.asarray(sessions >= pd.Timestamp(start))
    inputs = pd.DataFrame(columns, index=sessions, columns=list(names))
    observed: pd.DataFrame = inputs[pd.Series(is_observed, index=sessions)]
    return observed


def build_regime(regime: pd.DataFrame) -> pd.DataFrame:
    """``features.regime``: the state as its place among the five (0 to 4), and the five probabilities.

    Parameters
    ----------
    regime : ``predictions.regime`` of one ticker.

    When it is known
    ----------------
    At the close of the session; the parameters are of the years before.

    NaN policy
    ----------
    No row where there is no prediction; no value is missing.

    Raises
    ------
    SchemaError : for missing columns, more than one ticker, sessions that do not ascend.
    """
    probabilities = {f"probability_{state}": f"regime_probability_{state}" for state in MARKET_STATES}
    sessions = require_sessions(regime, ("state", *probabilities), table=PREDICTIONS_REGIME.qualified_name)
    place = {state: float(number) for number, state in enumerate(MARKET_STATES)}
    values = {
        "ticker": regime["ticker"].to_numpy(),
        "session": sessions,
        "regime_state": regime["state"].map(place).to_numpy(dtype=np.float64),
        **{feature: regime[column].to_numpy(dtype=np.float64) for column, feature in probabilities.items()},
    }
    return table_frame(REGIME, values, rows=len(regime))
