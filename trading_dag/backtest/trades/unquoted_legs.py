"""What a leg in the money is worth where the chain has no usable quote of it: a model's mark, never a fill.

Deep in the money nobody trades, so the last trade is missing, stale or below intrinsic value just where a leg is
worth most. The option of the other right at the same strike is out of the money and usually quoted on that very
session: its volatility prices the missing leg, American where the contract is. Only marks and the assignment of
sold calls read this.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.backtest.markets.dividends import Dividends
from trading_dag.backtest.trades.adjusted_contracts import AdjustedContracts
from trading_dag.backtest.trades.contract_choice import QuotedMarket
from trading_dag.backtest.trades.positions import OpenedPositions
from trading_dag.day_count import DAYS_PER_YEAR


def fill_unquoted_marks(
    market: QuotedMarket,
    positions: OpenedPositions,
    *,
    at: IntArray,
    marks: FloatArray,
    is_alive: BoolArray,
    dividends: Dividends | None,
    contracts: AdjustedContracts,
    rate: FloatArray,
) -> FloatArray:
    """The marks with those of unquoted legs in the money put in, (n, sessions, legs), USD a share of the entry.

    Parameters
    ----------
    at : (n, sessions) position in the market.
    marks : (n, sessions, legs) of quotes, USD a share of each session; NaN where there is none.
    is_alive : (n, sessions, legs) the leg is held and has not expired.
    dividends : of the underlying; None for none. A mark knows one from the session before its ex-date on.
    contracts : what the contracts have become by then.
    rate : (sessions of the market,) continuously compounded, as known at each session's close.

    A leg stays NaN where it is not in the money. So it does where the other right at its strike is not quoted either,
    unless exercise pays more than its last mark: then that is proven wrong, and exercise is the least it is worth.
    """
    structure, spot = positions.plan.structure, market.spot[at][:, :, np.newaxis]
    depth = np.where(structure.is_call, 1.0, -1.0) * (spot - contracts.listed)
    holder, column, leg = np.nonzero(is_alive & np.isnan(marks) & (depth > 0.0))
    if not len(holder):
        return contracts.in_shares_of_entry(marks)
    filled = marks.copy()
    filled[holder, column, leg] = _marks_by_the_other_right(
        market,
        session=at[holder, column],
        expiration_day=positions.leg_expiration_day[holder, leg],
        is_call=structure.is_call[leg],
        strike=contracts.listed[holder, column, leg],
        dividends=dividends,
        rate=rate[at[holder, column]],
    )
    filled = contracts.in_shares_of_entry(filled)
    if market.terms.exercise == "American":
        last = carried_forward(filled)[holder, column, leg]
        exercise = contracts.in_shares_of_entry(depth)[holder, column, leg]
        is_proven_wrong = np.isnan(filled[holder, column, leg]) & (exercise > last)
        filled[holder[is_proven_wrong], column[is_proven_wrong], leg[is_proven_wrong]] = exercise[is_proven_wrong]
    return filled


def carried_forward(values: FloatArray) -> FloatArray:
    """Return the values with NaNs replaced by the last value before them along the second axis."""
    steps = np.arange(values.shape[1]).reshape(-1, *(1,) * (values.ndim - 2))
    column = np.where(np.isnan(values), 0, steps)
    np.maximum.accumulate(column, axis=1, out=column)
    return np.asarray(np.take_along_axis(values, column, axis=1), dtype=np.float64)


def _marks_by_the_other_right(
    market: QuotedMarket,
    *,
    session: IntArray,
    expiration_day: IntArray,
    is_call: BoolArray,
    strike: FloatArray,
    dividends: Dividends | None,
    rate: FloatArray,
) -> FloatArray:
    """Price of contracts in the money at the volatility of the other right's mark; NaN where that implies none."""
    from trading_dag.options.pricing.american import american_price, dividends_within
    from trading_dag.options.pricing.black_scholes import price
    from trading_dag.options.pricing.implied_volatility import implied_volatility

    other = market.quotes_of(
        session, expiration_day, is_call=~is_call, strike=strike, is_bought=is_call, with_delta=False
    ).mark
    day, spot = market.days[session], market.spot[session]
    years = (expiration_day - day) / DAYS_PER_YEAR
    following = np.append(market.days[1:], market.days[-1])[session]
    ex_years, amounts = _dividends_ahead(dividends, day, np.minimum(expiration_day, following))
    escrowed = spot - dividends_within(ex_years, amounts, years=years, rate=rate)
    terms: dict[str, Any] = {"strike": strike, "years": years, "rate": rate}
    volatility = implied_volatility(
        price=other, spot=escrowed, dividend_yield=0.0, is_call=~is_call, **terms
    )  # fmt: skip
    if market.terms.exercise == "European":
        return price(spot=escrowed, dividend_yield=0.0, volatility=volatility, is_call=is_call, **terms)
    return american_price(
        spot, volatility=volatility, is_call=is_call, ex_years=ex_years, dividends=amounts, **terms
    )  # fmt: skip


def _dividends_ahead(dividends: Dividends | None, day: IntArray, through: IntArray) -> tuple[FloatArray, FloatArray]:
    """Years to the ex-dates after ``day`` until ``through`` and their amounts, (n, most of any row); 0 where fewer."""
    if dividends is None or not len(dividends.ex_days):
        return np.zeros((len(day), 0)), np.zeros((len(day), 0))
    ex_days, amounts = dividends.ex_days, np.asarray(dividends.amounts, dtype=np.float64)
    first, after = (np.searchsorted(ex_days, bound, side="right") for bound in (day, through))
    place = first[:, np.newaxis] + np.arange(int((after - first).max(initial=0)))
    is_ahead = place < after[:, np.newaxis]
    known = np.minimum(place, len(ex_days) - 1)
    years = (ex_days[known] - day[:, np.newaxis]) / DAYS_PER_YEAR
    return np.where(is_ahead, years, 0.0), np.where(is_ahead, amounts[known], 0.0)
