"""Modelled quotes: bid and ask around the surface's price, and whole positions built on them.

One construction serves the indicative recommendation and the backtest, so that both choose the same
contracts from the same kind of quote. Who trades, how many and when is decided elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.options.structures.payoff import maximum_loss, maximum_profit
from trading_dag.options.structures.strike_selection import (
    QuoteTime,
    choose_expirations,
    choose_strikes,
    years_to_expiration,
)
from trading_dag.options.structures.structure import Structure
from trading_dag.options.surfaces.modelled import VolatilitySurface
from trading_dag.setting_groups import BacktestSettings

_TICK_TOLERANCE: Final = 1e-7


@dataclass(frozen=True)
class Quotes:
    """Holds bid, middle and ask, USD a share, and the volatility behind them; arrays of one shape."""

    bid: FloatArray
    middle: FloatArray
    ask: FloatArray
    implied_volatility: FloatArray

    def natural(self, signed_ratios: ArrayLike) -> FloatArray:
        """Return the price at which each leg trades: the ask where bought (positive ratio), the bid where sold."""
        chosen: FloatArray = np.where(np.asarray(signed_ratios) > 0, self.ask, self.bid)
        return chosen


def modelled_quotes(
    surface: VolatilitySurface,
    spot: ArrayLike,
    *,
    strike: ArrayLike,
    years: ArrayLike,
    is_call: ArrayLike,
    settings: BacktestSettings,
) -> Quotes:
    """Return quotes of contracts on the surface; NaN where spot, strike or index is NaN.

    The half spread is ``half_spread_fraction`` of the middle and at least ``half_spread_minimum_usd``.
    ``slippage_fraction`` of each is taken off the bid and put onto the ask. Bids are rounded down and asks up to
    the price tick, and no bid is below zero. Nothing else is clipped: a natural price may lie outside the
    arbitrage bounds of its structure.
    """
    volatility = surface.implied_volatility(spot, strike, years)
    middle = surface.price(spot, strike, years=years, is_call=is_call)
    half_spread = np.maximum(settings.half_spread_fraction * middle, settings.half_spread_minimum_usd)
    tick, slippage = settings.price_tick_usd, settings.slippage_fraction
    bid = np.maximum(np.floor((middle - half_spread) * (1.0 - slippage) / tick + _TICK_TOLERANCE), 0.0) * tick
    ask = np.ceil((middle + half_spread) * (1.0 + slippage) / tick - _TICK_TOLERANCE) * tick
    return Quotes(bid=bid, middle=middle, ask=ask, implied_volatility=volatility)


@dataclass(frozen=True)
class Positions:
    """Holds one structure opened once for each row at that row's own quotes.

    Attributes
    ----------
    structure : the structure.
    expirations : (n,) sessions; NaT where the calendar ends first.
    years : (n,) time to expiration at the quote.
    strikes, leg_prices, leg_volatilities : (n, legs) in the order of the legs; prices are natural.
    premium : (n,) USD a share, positive where paid; the shares of a covered call belong to it, at spot.
    maximum_loss, maximum_profit : (n,) USD a share at expiration, fees not counted.
    is_quoted : (n,) every leg has a strike and a price.
    """

    structure: Structure
    expirations: pd.DatetimeIndex
    years: FloatArray
    strikes: FloatArray
    leg_prices: FloatArray
    leg_volatilities: FloatArray
    premium: FloatArray
    maximum_loss: FloatArray
    maximum_profit: FloatArray
    is_quoted: BoolArray


def construct_positions(
    structure: Structure,
    surface: VolatilitySurface,
    *,
    sessions: pd.DatetimeIndex,
    spot: FloatArray,
    quoted_at: QuoteTime,
    settings: BacktestSettings,
) -> Positions:
    """Choose expiration and strikes at each row's quote and price the structure at its natural price.

    Parameters
    ----------
    surface : index level and rate by row, known at the quote.
    sessions, spot : (n,) session and underlying price of the quote, which is at its open or its close.
    """
    expirations = choose_expirations(sessions, days_to_expiration=settings.days_to_expiration)
    years = years_to_expiration(sessions, expirations, quoted_at=quoted_at)
    strikes = choose_strikes(structure, surface, spot=spot, years=years, settings=settings)
    quotes = modelled_quotes(
        surface.columns(), spot[:, np.newaxis], strike=strikes, years=years[:, np.newaxis],
        is_call=structure.is_call, settings=settings,
    )  # fmt: skip
    leg_prices = quotes.natural(structure.signed_ratios)
    premium = leg_prices @ structure.signed_ratios
    if structure.underlying_ratio:
        premium = premium + structure.underlying_ratio * spot
    return Positions(
        structure=structure,
        expirations=expirations,
        years=years,
        strikes=strikes,
        leg_prices=leg_prices,
        leg_volatilities=quotes.implied_volatility,
        premium=premium,
        maximum_loss=maximum_loss(structure, strikes, premium=premium),
        maximum_profit=maximum_profit(structure, strikes, premium=premium),
        is_quoted=np.isfinite(premium) & np.isfinite(strikes).all(axis=1),
    )
