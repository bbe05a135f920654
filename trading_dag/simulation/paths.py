"""Simulated paths: the market factor, and each underlying's log price through the night and the hours.

Variance is held through a session and moves at its end, correlated with what the session did. Rounded bars are made
in ``bars``, option prices in ``transform_pricing``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.day_count import DAYS_PER_YEAR, SESSIONS_PER_YEAR
from trading_dag.sessions import all_sessions
from trading_dag.simulation.earnings import announcements
from trading_dag.simulation.parameters import (
    EQUITY_PREMIUM,
    JumpProcess,
    Underlying,
    VarianceProcess,
    market_jumps,
    market_variance,
)
from trading_dag.simulation.rates import Rates, simulate_rates
from trading_dag.simulation.simulation_settings import SimulationSettings
from trading_dag.simulation.streams import stream
from trading_dag.simulation.timeline import Timeline, ex_dividend_sessions, flags_at

_YEARS: Final = 1.0 / SESSIONS_PER_YEAR
_LEAST_VARIANCE: Final = 1e-5


@dataclass(frozen=True)
class Factor:
    """Holds one source of risk along a timeline of n sessions.

    Attributes
    ----------
    variance : annual, in force during each session and, last, after all of them, (n + 1,); element s + 1 is known
        at the close of session s.
    diffusion, jumps : log-price increments overnight and of each bar, without drift, (n, 8).
    """

    variance: FloatArray
    diffusion: FloatArray
    jumps: FloatArray


@dataclass(frozen=True)
class SimulatedMarket:
    """Holds what all underlyings share: sessions, rates and the market factor."""

    settings: SimulationSettings
    times: Timeline
    rates: Rates
    factor: Factor


@dataclass(frozen=True)
class Path:
    """Holds one underlying along the market's sessions.

    Attributes
    ----------
    underlying : whose path it is.
    start : log price before each session, (n,), split-adjusted.
    levels : log price after the night (column 0, the open) and after each bar, (n, 8); flat where there is no bar.
    own : the factor of its own; variance 0 where it has none.
    scales : standard deviation of the diffusion overnight and on each bar, (n, 8).
    dividends : fraction of the price that goes with a dividend overnight, (n,).
    announced : places in the exchange calendar of the sessions that open with earnings news, ascending; they reach
        more than a year beyond the last session.
    """

    underlying: Underlying
    start: FloatArray
    levels: FloatArray
    own: Factor
    scales: FloatArray
    dividends: FloatArray
    announced: IntArray

    @property
    def closes(self) -> FloatArray:
        """Return the price after each session, unrounded, USD, (n,)."""
        return np.exp(self.levels[:, -1])


def simulate_market(settings: SimulationSettings, times: Timeline) -> SimulatedMarket:
    """Return the market factor and the rates of a world; every underlying is built on the same one."""
    factor = _simulate_factor(
        settings, times, "market", variance=market_variance(fair=settings.fair), jumps=market_jumps(fair=settings.fair)
    )
    return SimulatedMarket(settings, times, simulate_rates(settings, times), factor)


def simulate_path(market: SimulatedMarket, underlying: Underlying) -> Path:
    """Return one underlying's path. Discounted and with dividends reinvested, it is a martingale plus the premium for
    β.

    Parameters
    ----------
    market : of the same settings.
    underlying : of the same settings' seed.

    Returns
    -------
    Path : session s depends on nothing after s.
    """
    settings, times = market.settings, market.times
    n = len(times)
    if underlying.variance is not None:
        own = _simulate_factor(settings, times, underlying.ticker, variance=underlying.variance, jumps=underlying.jumps)
    else:
        own = Factor(np.zeros(n + 1), np.zeros((n, 8)), np.zeros((n, 8)))
    beta, shared = underlying.beta, market.factor
    total = beta**2 * shared.variance[:n] + own.variance[:n]
    premium = 0.0 if settings.fair else EQUITY_PREMIUM * beta
    compensator = _jump_compensator(market_jumps(fair=settings.fair), scale=beta)
    if underlying.jumps is not None:
        compensator += _jump_compensator(underlying.jumps, scale=1.0)
    drift = (premium - 0.5 * total - compensator) * _YEARS + _carry(market)
    steps = beta * (shared.diffusion + shared.jumps) + own.diffusion + own.jumps + drift[:, np.newaxis] * times.shares
    dividends = underlying.quarterly_yield * flags_at(
        times.sessions, ex_dividend_sessions(underlying, times.sessions[0], times.sessions[-1])
    )
    overnight, announced = _earnings_jumps(market, underlying)
    steps[:, 0] += np.log1p(-dividends) + overnight
    levels = np.log(underlying.first_price) + np.cumsum(steps.ravel()).reshape(steps.shape)
    start = np.concatenate([[np.log(underlying.first_price)], levels[:-1, -1]])
    scales: FloatArray = np.sqrt(total[:, np.newaxis] * times.shares * _YEARS)
    return Path(underlying, start, levels, own, scales, np.asarray(dividends, dtype=np.float64), announced)


def _carry(market: SimulatedMarket) -> FloatArray:
    """Return the interest from the previous close to each session's own, by calendar days at the rate known before,
    (n,)."""
    sessions = market.times.sessions
    day = np.timedelta64(1, "D")
    days = np.diff(sessions.to_numpy(), prepend=sessions[:1].to_numpy() - day) / day
    rate = market.rates.continuous
    known = np.concatenate([rate[:1], rate[:-1]])
    carried: FloatArray = known * days / DAYS_PER_YEAR
    return carried


def _earnings_jumps(market: SimulatedMarket, underlying: Underlying) -> tuple[FloatArray, IntArray]:
    """Return the announcements' log changes of the price by session, (n,), and where all of them stand in the
    calendar.
    """
    sessions = market.times.sessions
    if not underlying.pays_earnings:
        return np.zeros(len(sessions)), np.array([], dtype=np.int64)
    events = announcements(market.settings, underlying, last=sessions[-1])
    jumps = pd.Series(events["jump"].to_numpy(), index=pd.DatetimeIndex(events["effective"]))
    places = np.asarray(all_sessions().get_indexer(pd.DatetimeIndex(events["effective"])), dtype=np.int64)
    return np.asarray(jumps.reindex(sessions).fillna(0.0), dtype=np.float64), places


def _jump_compensator(jumps: JumpProcess, *, scale: float) -> float:
    """Return the drift a year that keeps the expected price where it would be without the jumps."""
    return jumps.rate * float(np.expm1(scale * jumps.mean + 0.5 * (scale * jumps.deviation) ** 2))


def _simulate_factor(
    settings: SimulationSettings, times: Timeline, name: str, *, variance: VarianceProcess, jumps: JumpProcess | None
) -> Factor:
    n = len(times)
    roots = np.sqrt(times.shares)
    normals = stream(settings.seed, name, "diffusion").standard_normal((n, roots.shape[1]))
    unit = roots * normals
    # Rows of shares sum to 1, so each session's sum is a standard normal.
    shocks = variance.correlation * unit.sum(axis=1) + np.sqrt(1.0 - variance.correlation**2) * stream(
        settings.seed, name, "variance"
    ).standard_normal(n)
    start = variance.level * (0.6 + 0.8 * float(stream(settings.seed, name, "start").random()))
    path = _variance_path(variance, start=start, shocks=shocks)
    diffusion = np.sqrt(path[:n] * _YEARS)[:, np.newaxis] * unit
    return Factor(path, diffusion, _simulate_jumps(settings, times, name, jumps=jumps))


def _variance_path(variance: VarianceProcess, *, start: float, shocks: FloatArray) -> FloatArray:
    """Return the square-root process by exact conditional mean and, up to the level, deviation a session ahead, (n +
    1,)."""
    decay = float(np.exp(-variance.reversion * _YEARS))
    # Variance of the process after one session is v·a + θ·b; see the reference, equations 4 and 5 of section 3.1.
    from_now = variance.volatility**2 * decay * (1.0 - decay) / variance.reversion
    from_level = variance.level * variance.volatility**2 * (1.0 - decay) ** 2 / (2.0 * variance.reversion)
    values = [start]
    current = start
    for shock in shocks.tolist():
        mean = variance.level + (current - variance.level) * decay
        current = max(mean + (current * from_now + from_level) ** 0.5 * shock, _LEAST_VARIANCE)
        values.append(current)
    return np.array(values)


def _simulate_jumps(
    settings: SimulationSettings, times: Timeline, name: str, *, jumps: JumpProcess | None
) -> FloatArray:
    """Return jumps placed where the session's variance is: overnight or on a bar, (n, 8)."""
    n = len(times)
    placed = np.zeros(times.shares.shape)
    if jumps is None:
        return placed
    # Column by column, each row a session: a longer history repeats the shorter one.
    uniforms = stream(settings.seed, name, "jumps").random((n, 2))
    normals = stream(settings.seed, name, "jump sizes").standard_normal(n)
    expected = jumps.rate * _YEARS
    counts = np.searchsorted(_poisson_steps(expected), uniforms[:, 0], side="right")
    at = np.minimum((uniforms[:, 1:] > np.cumsum(times.shares, axis=1)).sum(axis=1), times.bars)
    placed[np.arange(n), at] = counts * jumps.mean + np.sqrt(counts) * jumps.deviation * normals
    return placed


def _poisson_steps(expected: float) -> FloatArray:
    """Return the distribution function of a Poisson count at 0, 1, … 4: a fifth jump in a session is left out."""
    terms = np.exp(-expected) * np.cumprod([1.0, *(expected / k for k in range(1, 5))])
    return np.asarray(np.cumsum(terms), dtype=np.float64)
