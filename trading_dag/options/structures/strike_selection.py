"""Which contracts: strikes by the legs' rules on a grid, and weekly expirations, front and back.

Reads a spot, a surface and the exchange calendar, all known at the quote. It sees no chain and no account.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from trading_dag.arrays import FloatArray
from trading_dag.day_count import DAYS_PER_YEAR
from trading_dag.options.structures.structure import (
    AtTheMoneyRule,
    BackExpiryRule,
    DeltaRule,
    ExpiryRule,
    Leg,
    OffsetRule,
    SameStrikeRule,
    Structure,
    TargetDeltaRule,
    WidthRule,
)
from trading_dag.options.surfaces.modelled import VolatilitySurface
from trading_dag.sessions import all_sessions
from trading_dag.setting_groups import BacktestSettings

QuoteTime = Literal["open", "close"]
DeltaKey = tuple[str, float, ExpiryRule]
SESSION_HOURS: Final = 6.5
STRIKE_TICKS_USD: Final = (0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0)
_FRIDAY: Final = 4
_BRACKET: Final = 8.0
# 8 · 2**-24 standard deviations: far finer than the grid, on which the nearer of two strikes is taken anyway.
_BISECTIONS: Final = 24
_DIVIDES_EVENLY: Final = 1e-9


def strike_step(spot: ArrayLike, *, fraction: float) -> FloatArray:
    """Return the distance of neighbouring strikes: the greatest usual tick up to ``fraction`` of spot, at least 0.50
    USD."""
    raw = np.asarray(spot, dtype=np.float64) * fraction
    position = np.searchsorted(STRIKE_TICKS_USD, raw * (1.0 + _DIVIDES_EVENLY), side="right") - 1
    step: FloatArray = np.where(np.isfinite(raw), np.asarray(STRIKE_TICKS_USD)[np.maximum(position, 0)], np.nan)
    return step


def strike_at_delta(
    surface: VolatilitySurface,
    spot: ArrayLike,
    *,
    years: ArrayLike,
    is_call: bool,
    absolute_delta: float,
    step: ArrayLike,
) -> FloatArray:
    """Return the strike on the grid (multiples of ``step``) whose absolute delta is nearest to the target, (n,).

    Deltas are Black–Scholes–Merton at the strike's own volatility on the surface. Of two equally near
    strikes the lower is taken. NaN where spot, index or step is NaN.
    """
    from scipy.special import ndtr, ndtri

    price, term, grid = (np.asarray(value, dtype=np.float64) for value in (spot, years, step))
    carry_factor = surface.dividend_factor(term)
    above = np.clip(absolute_delta / carry_factor, 1e-12, 1.0 - 1e-12)
    target_d1 = ndtri(above if is_call else 1.0 - above)
    forward = surface.forward(price, term)
    atm_deviation = surface.atm_volatility(term) * np.sqrt(term)

    # d1 falls as the strike rises, so bisection over standardised log-moneyness cannot miss.
    shape = np.broadcast_shapes(price.shape, term.shape, atm_deviation.shape, np.shape(target_d1))
    low, high = np.full(shape, -_BRACKET), np.full(shape, _BRACKET)
    smile, root = surface.smile(term), np.sqrt(term)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        deviation = smile(middle) * root
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


def strike_at_the_money(spot: ArrayLike, *, step: ArrayLike) -> FloatArray:
    """Return the grid strike nearest to spot, the lower of two equally near, at least one step; NaN where spot is."""
    grid = np.asarray(step, dtype=np.float64)
    steps = np.ceil(np.asarray(spot, dtype=np.float64) / grid - 0.5)
    strike: FloatArray = np.maximum(steps, 1.0) * grid
    return strike


def _strike_beside(
    rule: OffsetRule | WidthRule, other: FloatArray, *, spot: FloatArray, step: FloatArray
) -> FloatArray:
    """Return the strike of a rule that counts from another leg's; a width is rounded to the grid and is at least one
    step.
    """
    if isinstance(rule, OffsetRule):
        return other + rule.steps * step
    usd = abs(rule.width) * (spot if rule.unit == "spot_fraction" else 1.0)
    steps = np.maximum(np.round(usd / step), 1.0)
    beside: FloatArray = other + np.sign(rule.width) * steps * step
    return beside


def choose_strikes(
    structure: Structure,
    surface: VolatilitySurface,
    *,
    spot: ArrayLike,
    years: ArrayLike,
    settings: BacktestSettings,
    known_strikes: dict[DeltaKey, FloatArray] | None = None,
) -> FloatArray:
    """Return the strikes of every leg, (n, legs), in the order of the legs; NaN rows where spot or index is NaN.

    Legs that must stay apart are moved out by as many steps of the grid as that needs.

    Parameters
    ----------
    spot : (n,) USD.
    years : (n,) time to the one expiration, or (n, legs) where legs expire at different dates.
    known_strikes : strikes by right, delta and expiration that were found before for the same arguments, and are not
        searched again; what is found is added. None where each structure is asked for once.
    """
    known = {} if known_strikes is None else known_strikes
    price = np.atleast_1d(np.asarray(spot, dtype=np.float64))
    term = np.asarray(years, dtype=np.float64)
    terms = np.broadcast_to(term if term.ndim == 2 else term[..., np.newaxis], (len(price), len(structure.legs)))
    step = strike_step(price, fraction=settings.strike_step_fraction)
    strikes: list[FloatArray] = []
    for leg, leg_years in zip(structure.legs, terms.T, strict=True):
        strike = _strike_by_rule(
            leg, surface, spot=price, years=leg_years, step=step, earlier=strikes, settings=settings, known=known
        )
        if leg.apart_from is not None:
            other = strikes[leg.apart_from]
            is_call = leg.option_right == "C"
            strike = np.maximum(strike, other + step) if is_call else np.minimum(strike, other - step)
        strikes.append(np.where(strike > 0, strike, np.nan))
    is_known = np.isfinite(price) & surface.is_known
    return np.where(is_known[:, np.newaxis], np.column_stack(strikes), np.nan)


def _strike_by_rule(
    leg: Leg,
    surface: VolatilitySurface,
    *,
    spot: FloatArray,
    years: FloatArray,
    step: FloatArray,
    earlier: list[FloatArray],
    settings: BacktestSettings,
    known: dict[DeltaKey, FloatArray],
) -> FloatArray:
    """Return what the leg's strike rule says, (n,), before legs are moved apart."""
    rule = leg.strike_rule
    if isinstance(rule, AtTheMoneyRule):
        return strike_at_the_money(spot, step=step)
    if isinstance(rule, SameStrikeRule):
        return earlier[rule.leg]
    if isinstance(rule, DeltaRule | TargetDeltaRule):
        delta = _absolute_delta(rule, settings=settings)
        key = (leg.option_right, delta, leg.expiry_rule)
        if key not in known:
            known[key] = strike_at_delta(
                surface, spot, years=years, is_call=leg.option_right == "C", absolute_delta=delta, step=step
            )
        return known[key]
    return _strike_beside(rule, earlier[rule.leg], spot=spot, step=step)


def _absolute_delta(rule: DeltaRule | TargetDeltaRule, *, settings: BacktestSettings) -> float:
    if isinstance(rule, TargetDeltaRule):
        return rule.absolute_delta
    deltas = {
        "long_leg": settings.long_leg_delta,
        "short_leg": settings.short_leg_delta,
        "wing": settings.wing_delta,
    }
    return deltas[rule.role]


@lru_cache(maxsize=1)
def weekly_expirations() -> pd.DatetimeIndex:
    """Return the last session of each week up to its Friday: Friday, or the session before a Friday holiday."""
    sessions = all_sessions()
    fridays = sessions + pd.to_timedelta((_FRIDAY - sessions.day_of_week) % 7, unit="D").as_unit("us")
    last = pd.Series(sessions, index=fridays).groupby(level=0).last()
    # The calendar's last week may be cut off before its Friday.
    return pd.DatetimeIndex(last[last.index <= sessions[-1]])


def choose_expirations(sessions: pd.DatetimeIndex, *, days_to_expiration: int) -> pd.DatetimeIndex:
    """Return the first weekly expiration at least so many calendar days after each session; NaT beyond the calendar."""
    expirations = weekly_expirations()
    wanted = pd.DatetimeIndex(sessions).as_unit("us") + pd.Timedelta(days=days_to_expiration)
    position = expirations.searchsorted(wanted)
    inside = position < len(expirations)
    chosen = pd.Series(expirations[np.minimum(position, len(expirations) - 1)])
    return pd.DatetimeIndex(chosen.where(inside))


def choose_leg_expirations(
    structure: Structure, sessions: pd.DatetimeIndex, *, days_to_expiration: int
) -> tuple[pd.DatetimeIndex, ...]:
    """Return the expiration of every leg, one index over the sessions a leg; NaT beyond the calendar.

    The front is the first weekly expiration at least ``days_to_expiration`` calendar days after the session, a
    back one the first at least ``days_after_front`` days after that front, so it is always later.
    """
    front = choose_expirations(sessions, days_to_expiration=days_to_expiration)
    return tuple(
        choose_expirations(front, days_to_expiration=leg.expiry_rule.days_after_front)
        if isinstance(leg.expiry_rule, BackExpiryRule)
        else front
        for leg in structure.legs
    )


def years_to_expiration(
    sessions: pd.DatetimeIndex, expirations: pd.DatetimeIndex, *, quoted_at: QuoteTime
) -> FloatArray:
    """Return the calendar time to the close of the expiration, in years of 365 days; an open is 6.5 hours earlier."""
    days = np.asarray((expirations - sessions) / pd.Timedelta(days=1), dtype=np.float64)
    years: FloatArray = (days + (SESSION_HOURS / 24.0 if quoted_at == "open" else 0.0)) / DAYS_PER_YEAR
    return years
