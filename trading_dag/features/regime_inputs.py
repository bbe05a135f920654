"""What the hidden Markov model of market states observes, and what of its answer is a feature.

Fitting and filtering are ``models.regime_hmm``'s.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from trading_dag.frames import require_sessions, table_frame
from trading_dag.schemas import MARKET_STATES, PREDICTIONS_REGIME, REGIME, REGIME_INPUTS, TECHNICAL

TECHNICAL_INPUTS = ("log_return_5d", "log_return_20d", "hv_20")


def build_regime_inputs(technical: pd.DataFrame) -> pd.DataFrame:
    """Return the observations of one ticker.

    Parameters
    ----------
    technical : ``features.technical`` of one ticker, or its columns session, log_return_5d, log_return_20d, hv_20.

    Returns
    -------
    pd.DataFrame : log_return_5d, log_return_20d and ln(hv_20), float64, indexed by session. Sessions on which one of
    them is missing or infinite (the first 20, and those without any movement) are left out.

    When it is known
    ----------------
    At the close of the session.

    Raises
    ------
    SchemaError : for missing columns, more than one ticker, sessions that do not ascend.
    """
    sessions = require_sessions(technical, TECHNICAL_INPUTS, table=TECHNICAL.qualified_name)
    columns = technical[list(TECHNICAL_INPUTS)].to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        columns[:, 2] = np.log(columns[:, 2])
    inputs = pd.DataFrame(columns, index=sessions, columns=list(REGIME_INPUTS))
    is_observed = pd.Series(np.isfinite(columns).all(axis=1), index=sessions)
    return inputs[is_observed]


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
