"""Prices of European options and variance swaps in the same model that makes the paths.

Two independent parts, the market's times β and the underlying's own, each with square-root variance and normal jumps,
and announcements at known times: the characteristic function is their product. Chains are made of it in ``chain``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from trading_dag.arrays import FloatArray
from trading_dag.simulation.parameters import JumpProcess, Underlying, VarianceProcess, market_jumps, market_variance

ComplexArray = npt.NDArray[np.complex128]

# Beyond these the characteristic function, and what lies in the tails of the density, are too small to matter.
_DAMPED_DEVIATIONS: Final = 7.0
_RANGE_DEVIATIONS: Final = 16.0
_JUMP_DEVIATIONS: Final = 7.0
_MOST_TERMS: Final = 4096


@dataclass(frozen=True)
class PricedState:
    """Holds everything about an underlying that its options depend on, at one moment.

    Attributes
    ----------
    variances : process and current variance of each part, both on the underlying's scale.
    jumps : of each part, on the underlying's scale, under the pricing measure (mean, deviation, rate a year).
    earnings_variance : of the log price at one announcement.
    """

    variances: tuple[tuple[VarianceProcess, float], ...]
    jumps: tuple[tuple[float, float, float], ...]
    earnings_variance: float


def priced_state(underlying: Underlying, *, market_now: float, own_now: float, fair: bool) -> PricedState:
    """Return the state in which options are priced when the two variances are these (annual, of the factors)."""
    beta = underlying.beta
    variances = [(_scaled(market_variance(fair=fair), beta), beta**2 * market_now)]
    if underlying.variance is not None:
        variances.append((underlying.variance, own_now))
    jumps = [_priced(market_jumps(fair=fair), beta)]
    if underlying.jumps is not None:
        jumps.append(_priced(underlying.jumps, 1.0))
    return PricedState(tuple(variances), tuple(jumps), underlying.earnings_deviation**2)


def expected_variance(state: PricedState, *, years: FloatArray, announcements: FloatArray) -> FloatArray:
    """Return the expected quadratic variation of the log price under the pricing measure, (n,).

    Parameters
    ----------
    years : of 252 sessions, (n,), positive.
    announcements : earnings announcements within them, (n,).
    """
    total = announcements * (state.earnings_variance + 0.25 * state.earnings_variance**2)
    for process, now in state.variances:
        level, speed = process.priced_level, process.priced_reversion
        total = total + level * years - (now - level) * np.expm1(-speed * years) / speed
    for mean, deviation, rate in state.jumps:
        total = total + rate * years * (mean**2 + deviation**2)
    return np.asarray(total, dtype=np.float64)


def put_prices(
    state: PricedState, *, forward: float, strikes: FloatArray, years: float, announcements: int
) -> FloatArray:
    """Return undiscounted European puts of one expiration by a cosine expansion of the density, USD, (n,).

    The error is below 1e-7 of the forward on this module's own parameters (tested against QuantLib and Black–Scholes).

    Parameters
    ----------
    state : as ``priced_state`` gives it.
    forward : of the expiration, USD.
    strikes : USD, (n,).
    years : to expiration in years of 252 sessions, positive.
    announcements : earnings announcements until then.

    References
    ----------
    Fang and Oosterlee, A novel pricing method for European options based on Fourier-cosine series expansions, SIAM
    Journal on Scientific Computing 31 (2008), 826-848.
    """
    total = float(expected_variance(state, years=np.array([years]), announcements=np.array([announcements]))[0])
    smooth = sum(_least_diffusion(process, now, years) for process, now in state.variances)
    reach = max(abs(mean) + _JUMP_DEVIATIONS * deviation for mean, deviation, _ in (*state.jumps, (0.0, 0.0, 0.0)))
    half = _RANGE_DEVIATIONS * np.sqrt(total) + reach
    low, width = -half, 2.0 * half
    terms = int(np.clip(_DAMPED_DEVIATIONS / np.sqrt(smooth) * width / np.pi, 64, _MOST_TERMS))
    frequency = np.arange(terms) * np.pi / width
    density = (
        2.0
        / width
        * np.real(
            characteristic_function(state, frequency, years=years, announcements=announcements)
            * np.exp(-1j * frequency * low)
        )
    )
    density[0] *= 0.5
    edge = np.clip(np.log(strikes / forward), low, -low)
    phase = np.outer(edge - low, frequency)
    sine, cosine = np.sin(phase), np.cos(phase)
    with np.errstate(invalid="ignore", divide="ignore"):
        below = sine / frequency
    below[:, 0] = edge - low
    weighed = (np.exp(edge)[:, np.newaxis] * (cosine + frequency * sine) - np.exp(low)) / (1.0 + frequency**2)
    values: FloatArray = strikes * (below @ density) - forward * (weighed @ density)
    return np.maximum(values, np.maximum(strikes - forward, 0.0))


def characteristic_function(
    state: PricedState, frequency: FloatArray, *, years: float, announcements: int
) -> ComplexArray:
    """Return E[exp(iuX)] of X = ln(price at expiration / forward), (n,).

    References
    ----------
    Heston, Review of Financial Studies 6 (1993), 327-343, in the form without branch cuts of Albrecher, Mayer,
    Schoutens and Tistaert, The little Heston trap, Wilmott (2007); Merton, Journal of Financial Economics 3 (1976).
    """
    u = frequency.astype(np.complex128)
    exponent = -0.5 * announcements * state.earnings_variance * (u**2 + 1j * u)
    for process, now in state.variances:
        exponent = exponent + _square_root_exponent(u, process, now, years)
    for mean, deviation, rate in state.jumps:
        compensator = np.expm1(mean + 0.5 * deviation**2)
        exponent = exponent + rate * years * (
            np.expm1(1j * u * mean - 0.5 * (deviation * u) ** 2) - 1j * u * compensator
        )
    return np.asarray(np.exp(exponent), dtype=np.complex128)


def _square_root_exponent(u: ComplexArray, process: VarianceProcess, now: float, years: float) -> ComplexArray:
    speed, volatility = process.priced_reversion, process.volatility
    pull = speed - process.correlation * volatility * 1j * u
    root = np.sqrt(pull**2 + volatility**2 * (1j * u + u**2))
    ratio = (pull - root) / (pull + root)
    decay = np.exp(-root * years)
    start = (pull - root) / volatility**2 * (1.0 - decay) / (1.0 - ratio * decay)
    level = (pull - root) * years - 2.0 * np.log((1.0 - ratio * decay) / (1.0 - ratio))
    exponent: ComplexArray = start * now + speed * process.priced_level / volatility**2 * level
    return exponent


def _least_diffusion(process: VarianceProcess, now: float, years: float) -> float:
    """Return a practical lower bound of the diffusion's variance, which decides how fast the transform decays."""
    expected = process.priced_level + (now - process.priced_level) * np.exp(-process.priced_reversion * years)
    return 0.3 * min(now, float(expected)) * years


def _scaled(process: VarianceProcess, beta: float) -> VarianceProcess:
    """Return the process of β² times the variance, as seen by a price with β times the diffusion."""
    return VarianceProcess(
        process.reversion, beta**2 * process.level, beta * process.volatility, process.correlation,
        process.priced_reversion,
    )  # fmt: skip


def _priced(jumps: JumpProcess, beta: float) -> tuple[float, float, float]:
    return beta * jumps.priced_mean, beta * jumps.deviation, jumps.priced_rate
