"""The modelled surface as a market: every contract has a quote at every open and every close, priced when asked for.

Positions of this market are marks, two a session: the open at an even place, the close after it. What happens between
two marks is not invented. Prices are an assumption (``options.surfaces.modelled``). Contracts are European and settle
in cash at the close of their expiration; weekly expirations and the strike grid are taken as listed in every year.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import BoolArray, DateArray, FloatArray, IntArray
from trading_dag.backtest.markets.contract_quotes import ContractQuotes
from trading_dag.backtest.markets.corporate_actions import NO_ACTIONS, CorporateActions
from trading_dag.backtest.markets.market import Market, carried_forward
from trading_dag.backtest.plans.trade_plan import FillAssumptions
from trading_dag.day_count import DAYS_PER_YEAR
from trading_dag.options.chains.contracts import ContractTerms
from trading_dag.options.structures.quotes import modelled_quotes
from trading_dag.options.structures.strike_selection import SESSION_HOURS, weekly_expirations
from trading_dag.options.surfaces.modelled import ModelledSurface

MODELLED: Final = "modelled"
_MARKS: Final = 2
_OPEN_YEARS: Final = SESSION_HOURS / 24.0
_TERMS: Final = ContractTerms("cash", "European")


@dataclass(frozen=True)
class ModelledMarket:
    """Quotes every contract on one underlying from its prices, its volatility index and the settings of the surface.

    Attributes
    ----------
    ticker : name of the underlying.
    history : opens, closes, index levels and rates by session, and the settings.

    The index's open prices an open; where it has none, its close of the session before. The rate of an open is the one
    known at the close before, so the first open of the data has no quote.
    """

    ticker: str
    history: Market

    def __len__(self) -> int:
        return _MARKS * len(self.history)

    @property
    def terms(self) -> ContractTerms:
        """Return the terms of the contracts."""
        return _TERMS

    @property
    def quote_source(self) -> str:
        """Return what a trade is said to be priced from."""
        return MODELLED

    @property
    def fills(self) -> FillAssumptions:
        """Return how quotes are made of the surface's prices."""
        book = self.history.settings.backtest
        return FillAssumptions(
            half_spread_fraction=book.half_spread_fraction,
            half_spread_minimum_usd=book.half_spread_minimum_usd,
            slippage_fraction=book.slippage_fraction,
            price_tick_usd=book.price_tick_usd,
        )

    @property
    def has_open_marks(self) -> bool:
        """Return whether a session has a mark at its open."""
        return True

    @property
    def actions(self) -> CorporateActions:
        """Return the splits that change contracts: none, for prices are adjusted and strikes are listed around them."""
        return NO_ACTIONS

    @cached_property
    def days(self) -> IntArray:
        """Session of each mark, days since 1970-01-01."""
        return np.repeat(_days(self.history.sessions.to_numpy()), _MARKS)

    @property
    def sessions(self) -> DateArray:
        """Session of each mark."""
        return self.days.astype("datetime64[D]")

    @cached_property
    def is_close(self) -> BoolArray:
        """Which marks are closes."""
        return np.tile([False, True], len(self.history))

    @cached_property
    def spot(self) -> FloatArray:
        """Underlying price at each mark, USD; NaN where unknown."""
        return _interleaved(self.history.open, self.history.close)

    @cached_property
    def level(self) -> FloatArray:
        """Volatility index that quotes each mark, points; NaN where there is none."""
        before = _shifted(self.history.index_close)
        at_open = np.where(np.isnan(self.history.index_open), before, self.history.index_open)
        at_open[:1] = np.nan
        return _interleaved(at_open, self.history.index_close)

    @cached_property
    def rate(self) -> FloatArray:
        """Rate that quotes each mark, continuously compounded fraction."""
        return _interleaved(_shifted(self.history.rate), self.history.rate)

    def by_session(self, values: ArrayLike) -> FloatArray:
        """Return one number for every mark, or one each, as (marks,)."""
        return np.broadcast_to(np.asarray(values, dtype=np.float64), (len(self),))

    def close_positions(self, days: IntArray) -> IntArray:
        """Return the first close at or after each day; ``len`` where the data ends first."""
        return np.minimum(self.days.searchsorted(days) + 1, len(self)).astype(np.int64)

    def surely_quoted_from(self, positions: IntArray) -> IntArray:
        """Return the first close from each position on with a price and an index level; ``len`` for none."""
        is_quoted = self.is_close & np.isfinite(self.spot) & np.isfinite(self.level)
        place = np.where(is_quoted, np.arange(len(self)), len(self))
        following = np.append(np.minimum.accumulate(place[::-1])[::-1], len(self))
        return np.asarray(following[np.minimum(positions, len(self))], dtype=np.int64)

    def years_to(self, expiration_day: IntArray, at: IntArray) -> FloatArray:
        """Return calendar time from each mark to the close of the expiration, years of 365 days, at least 0."""
        days = expiration_day - self.days[at]
        return np.maximum((days + np.where(self.is_close[at], 0.0, _OPEN_YEARS)) / DAYS_PER_YEAR, 0.0)

    def surface_at(self, at: IntArray) -> ModelledSurface:
        """Return the surface at each mark."""
        return self._surface(self.level[at], self.rate[at])

    def bound_discount(self, at: IntArray, expiration_day: IntArray) -> FloatArray:
        """Return what one dollar at the expiration is worth at each mark."""
        return np.asarray(np.exp(-self.rate[at] * self.years_to(expiration_day, at)), dtype=np.float64)

    def quotes_of(
        self,
        at: IntArray,
        expiration_day: IntArray,
        *,
        is_call: BoolArray,
        strike: FloatArray,
        is_bought: BoolArray,
        with_delta: bool = True,
    ) -> ContractQuotes:
        """Return the quotes of contracts at marks; the arguments broadcast.

        A mark without an index level has no quote; what is held there is worth its price at the last level and the last
        underlying price known by then.
        """
        settings, years, spot = self.history.settings.backtest, self.years_to(expiration_day, at), self.spot[at]
        surface = self.surface_at(at)
        quoted = modelled_quotes(surface, spot, strike=strike, years=years, is_call=is_call, settings=settings)
        delta = np.full(quoted.middle.shape, np.nan)
        if with_delta:
            from trading_dag.options.pricing.greeks import greeks

            delta = greeks(
                spot=spot, strike=strike, years=years, rate=surface.rate, dividend_yield=surface.dividend_yield,
                volatility=quoted.implied_volatility, is_call=is_call,
            ).delta  # fmt: skip
        return ContractQuotes(
            price=quoted.natural(np.where(is_bought, 1.0, -1.0)),
            mark=self._marked(quoted.middle, at, strike=strike, years=years, is_call=is_call),
            delta=delta,
            volatility=quoted.implied_volatility,
            is_last=np.zeros(quoted.middle.shape, dtype=np.bool_),
        )

    def front_expirations(self, at: IntArray, *, target: int, least: int, most: int) -> IntArray:
        """Return the weekly expiration whose calendar days are nearest to the target within the bounds; 0 for none."""
        weekly, day = _weekly_days(), self.days[at]
        after = weekly.searchsorted(day + target)
        chosen, miss = np.zeros(len(day), dtype=np.int64), np.full(len(day), np.inf)
        # The earlier first: of two equally near ones it stays.
        for place in (after - 1, after):
            candidate = weekly[np.clip(place, 0, len(weekly) - 1)]
            days = candidate - day
            distance = np.where((days >= least) & (days <= most), np.abs(days - target), np.inf)
            chosen, miss = np.where(distance < miss, candidate, chosen), np.minimum(miss, distance)
        return chosen

    def later_expirations(self, front_day: IntArray, *, days_after: int) -> IntArray:
        """Return the first weekly expiration at least so many days after the front; 0 for none."""
        weekly = _weekly_days()
        place = weekly.searchsorted(front_day + days_after)
        is_listed = (place < len(weekly)) & (front_day > 0)
        return np.where(is_listed, weekly[np.minimum(place, len(weekly) - 1)], 0)

    def _marked(
        self, middle: FloatArray, at: IntArray, *, strike: FloatArray, years: FloatArray, is_call: BoolArray
    ) -> FloatArray:
        """The middle, or the price at what was last known where the mark has no quote."""
        is_missing = np.isnan(middle) & ~np.isnan(strike)
        if not is_missing.any():
            return middle
        where = np.broadcast_to(at, middle.shape)[is_missing]
        known_level, known_spot = carried_forward(self.level), carried_forward(self.spot)
        marked = middle.copy()
        marked[is_missing] = self._surface(known_level[where], self.rate[where]).price(
            known_spot[where], np.broadcast_to(strike, middle.shape)[is_missing],
            years=np.broadcast_to(years, middle.shape)[is_missing],
            is_call=np.broadcast_to(is_call, middle.shape)[is_missing],
        )  # fmt: skip
        return marked

    def _surface(self, level: FloatArray, rate: FloatArray) -> ModelledSurface:
        surface = self.history.settings.surface
        return ModelledSurface(level, rate, surface.dividend_yield, surface)


def _interleaved(at_open: FloatArray, at_close: FloatArray) -> FloatArray:
    """Opens and closes in the order of time."""
    return np.column_stack([at_open, at_close]).ravel()


def _shifted(values: FloatArray) -> FloatArray:
    """Values of the session before; NaN at the first."""
    return np.append(np.nan, values[:-1]) if len(values) else values.copy()


def _days(dates: DateArray) -> IntArray:
    return np.asarray(dates.astype("datetime64[D]").astype(np.int64), dtype=np.int64)


def _weekly_days() -> IntArray:
    return _days(weekly_expirations().to_numpy())
