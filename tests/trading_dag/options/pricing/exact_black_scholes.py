"""Black–Scholes–Merton to fifty digits, and contracts drawn over the whole domain: the oracle of the pricing tests."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
from numpy.typing import NDArray

from trading_dag.arrays import FloatArray

EPSILON = mp.mpf(2) ** -52
DIGITS = 50


def exact(value: Any) -> Any:
    """The double itself, to fifty digits; numbers that already are pass."""
    return value if isinstance(value, mp.mpf) else mp.mpf(float(value))


def exact_price(contract: dict[str, Any], **changed: Any) -> Any:
    """Price from the textbook formula, evaluated to fifty digits."""
    with mp.workdps(DIGITS):
        s, k, t, r, q, sigma = (
            exact({**contract, **changed}[name])
            for name in ("spot", "strike", "years", "rate", "dividend_yield", "volatility")
        )
        sign = 1 if contract["is_call"] else -1
        deviation = sigma * mp.sqrt(t)
        d1 = (mp.log(s / k) + (r - q) * t) / deviation + deviation / 2
        d2 = d1 - deviation
        return sign * (s * mp.exp(-q * t) * _below(sign * d1) - k * mp.exp(-r * t) * _below(sign * d2))


def exact_bounds(contract: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Lower and upper arbitrage bound, and the larger of the discounted spot and strike."""
    with mp.workdps(DIGITS):
        s, k, t, r, q = (exact(contract[name]) for name in ("spot", "strike", "years", "rate", "dividend_yield"))
        present_spot, present_strike = s * mp.exp(-q * t), k * mp.exp(-r * t)
        if not contract["is_call"]:
            return max(present_strike - present_spot, mp.mpf(0)), present_strike, max(present_spot, present_strike)
        return max(present_spot - present_strike, mp.mpf(0)), present_spot, max(present_spot, present_strike)


def exact_vega(contract: dict[str, Any], volatility: Any) -> Any:
    """Derivative of the price in the volatility, from its textbook formula."""
    with mp.workdps(DIGITS):
        s, k, t, r, q = (exact(contract[name]) for name in ("spot", "strike", "years", "rate", "dividend_yield"))
        deviation = exact(volatility) * mp.sqrt(t)
        d1 = (mp.log(s / k) + (r - q) * t) / deviation + deviation / 2
        return s * mp.exp(-q * t) * mp.npdf(d1) * mp.sqrt(t)


def exact_volatility(contract: dict[str, Any], price: float, *, near: float) -> Any:
    """The root of the exact price by Newton's method to thirty digits; ``near`` is where it starts."""
    with mp.workdps(DIGITS):
        root = exact(near)
        for _ in range(60):
            step = (exact_price(contract, volatility=root) - exact(price)) / exact_vega(contract, root)
            step = max(min(step, root / 2), -root)
            root -= step
            if abs(step) < mp.mpf(10) ** -30 * root:
                return root
    raise AssertionError(f"no root for {contract} at {price}")


def _below(argument: Any) -> Any:
    return mp.erfc(-argument / mp.sqrt(2)) / 2


def drawn_contracts(count: int, *, seed: int, moneyness_deviations: float | None = None) -> dict[str, NDArray[Any]]:
    """Contracts over the domain: strikes 20–500 % of spot, a day to three years, volatility 1–300 %, log-uniform.

    With ``moneyness_deviations`` the strike is normal around the spot, in multiples of volatility × √years.
    """
    generator = np.random.default_rng(seed)

    def log_uniform(low: float, high: float) -> FloatArray:
        return np.exp(generator.uniform(np.log(low), np.log(high), count))

    spot, years, volatility = log_uniform(1.0, 5000.0), log_uniform(1.0 / 365.0, 3.0), log_uniform(0.01, 3.0)
    ratio = log_uniform(0.2, 5.0)
    if moneyness_deviations is not None:
        scale = moneyness_deviations * volatility * np.sqrt(years)
        ratio = np.clip(np.exp(generator.normal(0.0, 1.0, count) * scale), 0.2, 5.0)
    return {
        "spot": spot,
        "strike": spot * ratio,
        "years": years,
        "rate": generator.uniform(-0.02, 0.12, count),
        "dividend_yield": generator.uniform(0.0, 0.08, count),
        "volatility": volatility,
        "is_call": generator.random(count) < 0.5,
    }


def contract_at(contracts: dict[str, NDArray[Any]], row: int) -> dict[str, Any]:
    """One contract of many, as scalars."""
    return {name: values[row] for name, values in contracts.items()}
