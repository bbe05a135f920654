"""Which contracts: strikes by delta on a grid, and the weekly expiration.

Reads a spot, a surface and the exchange calendar, all known at the quote. It sees no chain and no account.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from trading_dag.options.black_scholes import FloatArray
from trading_dag.options.structures import DeltaRule, Structure
from trading_dag.options.surface import DAYS_PER_YEAR, ModelledSurface
from trading_dag.sessions import all_sessions
from trading_dag.settings import BacktestSettings

QuoteTime = Literal["open", "close"]
SESSION_HOURS: Final = 6.5
STRIKE_TICKS_USD: Final = (0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0)
_FRIDAY: Final = 4
_BISECTIONS: Final = 48
_BRACKET: Final = 8.0
_DIVIDES_EVENLY: Final = 1e-9


def strike_step(spot: ArrayLike, *, fraction: float) -> FloatArray:
    """Distance of neighbouring strikes: the greatest usual tick not above ``fraction`` of spot, at least 0.50 USD."""
    raw = np.asarray(spot, dtype=np.float64) * fraction
    position = np.searchsorted(STRIKE_TICKS_USD, raw * (1.0 + _DIVIDES_EVENLY), side="right") - 1
    step: FloatArray = np.where(np.isfinite(raw), np.asarray(STRIKE_TICKS_USD)[np.maximum(position, 0)], np.nan)
    return step


def strike_at_delta(
    surface: ModelledSurface,
    spot: ArrayLike,
    *,
    years: ArrayLike,
    is_call: bool,
    absolute_delta: float,
    step: ArrayLike,
) -> FloatArray:
    """The strike on the grid (multiples of ``step``) whose absolute delta is nearest to the target, (n,).

    Deltas are Black–Scholes–Merton at the strike's own volatility on the surface. Of two equally near
    strikes the lower is taken. NaN where spot, index or step is NaN.
    """
    from scipy.special import ndtr, ndtri

    price, term, grid = (np.asarray(value, dtype=np.float64) for value in (spot, years, step))
    carry_factor = np.exp(-np.asarray(surface.dividend_yield, dtype=np.float64) * term)
    above = np.clip(absolute_delta / carry_factor, 1e-12, 1.0 - 1e-12)
    target_d1 = ndtri(above if is_call else 1.0 - above)
    forward = surface.forward(price, term)
    atm_deviation = surface.atm_volatility(term) * np.sqrt(term)

    # d1 falls as the strike rises, so bisection over standardised log-moneyness cannot miss.
    shape = np.broadcast_shapes(price.shape, term.shape, atm_deviation.shape, np.shape(target_d1))
    low, high = np.full(shape, -_BRACKET), np.full(shape, _BRACKET)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        deviation = surface.volatility_at_moneyness(middle, term) * np.sqrt(term)
        is_below = -middle * atm_deviation / deviation + 0.5 * deviation > target_d1
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    exact = forward * np.exp(0.5 * (low + high) * atm_deviation)

    lower = np.maximum(np.floor(exact / grid), 1.0) * grid
    upper = lower + grid
    target = absolute_delta if is_call else absolute_delta - carry_factor

    def miss(strike: FloatArray) -> FloatArray:
        deviation = surface.implied_volatility(price, strike, term) * np.sqrt(term)
        d1 = np.log(forward / strike) / deviation + 0.5 * deviation
        distance: FloatArray = np.abs(carry_factor * ndtr(d1) - np.abs(target))
        return distance

    chosen: FloatArray = np.where(miss(upper) < miss(lower), upper, lower)
    return np.where(np.isfinite(exact), chosen, np.nan)


def choose_strikes(
    structure: Structure,
    surface: ModelledSurface,
    *,
    spot: ArrayLike,
    years: ArrayLike,
    settings: BacktestSettings,
) -> FloatArray:
    """Strikes of every leg, (n, legs), in the order of the legs; NaN rows where spot or index is NaN.

    Legs that must stay apart are moved out by as many steps of the grid as that needs.
    """
    price = np.atleast_1d(np.asarray(spot, dtype=np.float64))
    step = strike_step(price, fraction=settings.strike_step_fraction)
    deltas = {
        "long_leg": settings.long_leg_delta,
        "short_leg": settings.short_leg_delta,
        "wing": settings.wing_delta,
    }
    strikes: list[FloatArray] = []
    for leg in structure.legs:
        is_call = leg.option_right == "C"
        if isinstance(leg.strike_rule, DeltaRule):
            strike = strike_at_delta(
                surface, price, years=years, is_call=is_call, absolute_delta=deltas[leg.strike_rule.role], step=step
            )
        else:
            strike = strikes[leg.strike_rule.leg] + leg.strike_rule.steps * step
        if leg.apart_from is not None:
            other = strikes[leg.apart_from]
            strike = np.maximum(strike, other + step) if is_call else np.minimum(strike, other - step)
        strikes.append(np.where(strike > 0, strike, np.nan))
    return np.column_stack(strikes)


@lru_cache(maxsize=1)
def weekly_expirations() -> pd.DatetimeIndex:
    """The last session of each week up to its Friday: Friday, or the session before a Friday holiday."""
    sessions = all_sessions()
    fridays = sessions + pd.to_timedelta((_FRIDAY - sessions.day_of_week) % 7, unit="D").as_unit("us")
    last = pd.Series(sessions, index=fridays).groupby(level=0).last()
    # The calendar's last week may be cut off before its Friday.
    return pd.DatetimeIndex(last[last.index <= sessions[-1]])


def choose_expirations(sessions: pd.DatetimeIndex, *, days_to_expiration: int) -> pd.DatetimeIndex:
    """The first weekly expiration at least so many calendar days after each session; NaT beyond the calendar."""
    expirations = weekly_expirations()
    wanted = pd.DatetimeIndex(sessions).as_unit("us") + pd.Timedelta(days=days_to_expiration)
    position = expirations.searchsorted(wanted)
    inside = position < len(expirations)
    chosen = pd.Series(expirations[np.minimum(position, len(expirations) - 1)])
    return pd.DatetimeIndex(chosen.where(inside))


def years_to_expiration(
    sessions: pd.DatetimeIndex, expirations: pd.DatetimeIndex, *, quoted_at: QuoteTime
) -> FloatArray:
    """Calendar time to the close of the expiration, in years of 365 days; an open is 6.5 hours earlier."""
    days = np.asarray((expirations - sessions) / pd.Timedelta(days=1), dtype=np.float64)
    years: FloatArray = (days + (SESSION_HOURS / 24.0 if quoted_at == "open" else 0.0)) / DAYS_PER_YEAR
    return years
