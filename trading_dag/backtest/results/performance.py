"""What an equity curve earned and whether luck explains it. Pure arithmetic on arrays; no trades, no quotes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from trading_dag.arrays import FloatArray
from trading_dag.day_count import DAYS_PER_CALENDAR_YEAR, DAYS_PER_YEAR, SESSIONS_PER_YEAR
from trading_dag.sessions import all_sessions

_NORMAL: Final = NormalDist()
_NO_SPREAD: Final = 1e-12


@dataclass(frozen=True)
class EquityStatistics:
    """Holds statistics of a curve; NaN where it is too short, constant, or has reached zero.

    Attributes
    ----------
    cagr : compound annual growth over calendar time, fraction; −1 where the last value is not positive.
    sharpe, sortino : of simple returns from one session to the next over the risk-free rate, annualised with
        √sessions_per_year.
    max_drawdown : greatest fall below an earlier high, fraction.
    calmar : cagr over max_drawdown.
    sessions_per_year : 252, or so much less as the curve lacks sessions of the exchange: 32 returns of eleven years
        are three a year, not 252.
    """

    cagr: float
    sharpe: float
    sortino: float
    calmar: float
    max_drawdown: float
    sessions_per_year: float


def excess_returns(
    equity: ArrayLike, sessions: pd.DatetimeIndex, *, rate: ArrayLike, start: float | None = None
) -> FloatArray:
    """Return the simple return of each session over what the risk-free rate of the session before earned, (n − 1,).

    Parameters
    ----------
    rate : continuously compounded, known at each session's close; calendar days accrue.
    start : value before anything was traded at the first session, where fills of that session are in its equity
        already. The first session then has a return too, (n,), over which no rate accrues.
    """
    values = np.asarray(equity, dtype=np.float64)
    days = np.diff(sessions.to_numpy()) / np.timedelta64(1, "D")
    risk_free = np.expm1(np.asarray(rate, dtype=np.float64)[:-1] * days / DAYS_PER_YEAR)
    if start is not None:
        values, risk_free = np.append(start, values), np.append(0.0, risk_free)
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = values[1:] / values[:-1] - 1.0
    if (values <= 0).any():
        return np.full(len(returns), np.nan)
    excess: FloatArray = returns - risk_free
    return excess


def drawdowns(equity: ArrayLike) -> FloatArray:
    """Return the fraction below the highest value so far, at each session."""
    values = np.asarray(equity, dtype=np.float64)
    if not len(values):
        return np.empty(0)
    fallen: FloatArray = np.maximum(1.0 - values / np.maximum.accumulate(values), 0.0)
    return fallen


def sharpe_ratio(excess: FloatArray) -> float:
    """Mean over sample standard deviation (ddof 1) of one period; NaN under two periods or without spread."""
    if len(excess) < 2:
        return math.nan
    deviation = float(np.std(excess, ddof=1))
    return float(np.mean(excess)) / deviation if deviation > _NO_SPREAD else math.nan


def sortino_ratio(excess: FloatArray) -> float:
    """Mean over the root mean square of the negative returns of one period; NaN where there is none."""
    if len(excess) < 2:
        return math.nan
    downside = float(np.sqrt(np.mean(np.minimum(excess, 0.0) ** 2)))
    return float(np.mean(excess)) / downside if downside > _NO_SPREAD else math.nan


def sessions_per_year(sessions: pd.DatetimeIndex) -> float:
    """Return how many returns a year a curve on these sessions has: 252 times the share of exchange sessions present.

    Parameters
    ----------
    sessions : ascending. NaN for fewer than two; 252 where one lies outside the exchange calendar.
    """
    if len(sessions) < 2:
        return math.nan
    calendar = all_sessions()
    if sessions[0] < calendar[0] or sessions[-1] > calendar[-1]:
        return float(SESSIONS_PER_YEAR)
    steps = int(np.diff(calendar.searchsorted(sessions[[0, -1]])).item())
    return SESSIONS_PER_YEAR * min((len(sessions) - 1) / max(steps, 1), 1.0)


def equity_statistics(
    equity: ArrayLike, sessions: pd.DatetimeIndex, *, rate: ArrayLike, start: float | None = None
) -> EquityStatistics:
    """Return the statistics of an equity curve, one value per session, USD.

    A curve begins before its first cash flow. Where the first session's equity is after one (an entry at its close),
    ``start`` is the value before it, and every statistic is of the curve from there.
    """
    values = np.asarray(equity, dtype=np.float64)
    a_year = sessions_per_year(sessions)
    if len(values) < 2 or np.isnan(values).any():
        return EquityStatistics(math.nan, math.nan, math.nan, math.nan, math.nan, a_year)
    excess = excess_returns(values, sessions, rate=rate, start=start)
    if start is not None:
        values = np.append(start, values)
    years = (sessions[-1] - sessions[0]) / pd.Timedelta(days=DAYS_PER_CALENDAR_YEAR)
    cagr = float((values[-1] / values[0]) ** (1.0 / years) - 1.0) if values[-1] > 0 else -1.0
    deepest = float(drawdowns(values).max())
    annual = math.sqrt(a_year)
    return EquityStatistics(
        cagr=cagr,
        sharpe=sharpe_ratio(excess) * annual,
        sortino=sortino_ratio(excess) * annual,
        calmar=cagr / deepest if deepest > 0 else math.nan,
        max_drawdown=deepest,
        sessions_per_year=a_year,
    )


def expected_maximum_sharpe(*, trials: int, variance: float) -> float:
    """Return the expected greatest Sharpe ratio of so many trials without skill whose Sharpe ratios have this variance.

    References
    ----------
    Bailey & López de Prado, "The Deflated Sharpe Ratio", Journal of Portfolio Management 40(5), 2014,
    page 97 (equation for SR₀). One trial has nothing to be deflated by: 0.
    """
    if trials < 2:
        return 0.0
    quantile = _NORMAL.inv_cdf
    return math.sqrt(variance) * float(
        (1.0 - np.euler_gamma) * quantile(1.0 - 1.0 / trials) + np.euler_gamma * quantile(1.0 - 1.0 / (trials * math.e))
    )


def probabilistic_sharpe(
    sharpe: float, benchmark: float, *, observations: int, skewness: float, kurtosis: float
) -> float:
    """Return the probability that the true Sharpe ratio exceeds the benchmark; ratios of one period, kurtosis 3 if
    normal."""
    spread = 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    if observations < 2 or not spread > 0:
        return math.nan
    return _NORMAL.cdf((sharpe - benchmark) * math.sqrt(observations - 1) / math.sqrt(spread))


def deflated_sharpe(excess: FloatArray, *, trials: int) -> float:
    """Probability that the Sharpe ratio exceeds what the best of ``trials`` would show by luck alone.

    The variance of the trials' Sharpe ratios is not observed; it is taken as that of an estimate
    without skill, 1/(n − 1). NaN where the Sharpe ratio is.
    """
    sharpe = sharpe_ratio(excess)
    if math.isnan(sharpe):
        return math.nan
    centred = excess - excess.mean()
    second = float(np.mean(centred**2))
    return probabilistic_sharpe(
        sharpe,
        expected_maximum_sharpe(trials=trials, variance=1.0 / (len(excess) - 1)),
        observations=len(excess),
        skewness=float(np.mean(centred**3)) / second**1.5,
        kurtosis=float(np.mean(centred**4)) / second**2,
    )
