"""The rate at which options are discounted, session by session, from the stored macro series. No curve is built."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.frames import values_at_sessions
from trading_dag.options.chains.forward import RateCurve
from trading_dag.options.surfaces.modelled import continuous_rate
from trading_dag.schemas import MACRO_TABLE


def rates_at_sessions(macro: pd.DataFrame, sessions: pd.DatetimeIndex, *, fallback: float) -> FloatArray:
    """Return the three-month bill as known at each session's close, (sessions,), continuously compounded fraction.

    Parameters
    ----------
    macro : session and treasury_3m in percent, as ``features.macro`` has them; may have no rows.
    fallback : for sessions without a bill (``SurfaceSettings.risk_free_rate``).

    Raises
    ------
    SchemaError : for a missing column, or sessions that repeat or do not ascend.
    """
    bills = values_at_sessions(macro, sessions, column="treasury_3m", table=MACRO_TABLE.qualified_name)
    return continuous_rate(bills, fallback=fallback)


def rates_of_quotes(macro: pd.DataFrame, *, fallback: float) -> RateCurve:
    """Return a function that gives the same rates by quote date, whatever the maturity, for
    ``forward.implied_forwards``.

    Parameters
    ----------
    macro, fallback : as ``rates_at_sessions`` takes them.
    """

    def rates(quote_dates: pd.Series, _: FloatArray) -> FloatArray:
        codes, distinct = pd.factorize(quote_dates, sort=True)
        return rates_at_sessions(macro, pd.DatetimeIndex(distinct).as_unit("us"), fallback=fallback)[np.asarray(codes)]

    return rates
