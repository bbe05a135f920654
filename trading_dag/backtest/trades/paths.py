"""What opened positions are worth at every session until they expire: gathered once, shared by all exit rules.

Matrices have one row a position and one column a session since its entry (column 0 is the entry itself).
Shares of a covered call count at the underlying's price, and what they are paid in dividends is kept apart.
Nothing is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.backtest.markets.dividends import Dividends
from trading_dag.backtest.trades.adjusted_contracts import AdjustedContracts, adjusted_contracts
from trading_dag.backtest.trades.contract_choice import QuotedMarket
from trading_dag.backtest.trades.positions import OpenedPositions
from trading_dag.backtest.trades.unquoted_legs import carried_forward, fill_unquoted_marks


@dataclass(frozen=True)
class PositionPaths:
    """Holds values of positions, USD a share of one structure, (n, sessions since entry).

    Attributes
    ----------
    positions : what was opened.
    marks_per_session : of the market.
    at : position of the session in the market; the last one repeated where the path has ended.
    is_held : the session lies within data and not after the settlement of the last leg.
    is_close : the mark is a close.
    days_left : calendar days to the front expiration.
    spot : underlying price.
    leg_prices : (n, sessions, legs) what closing each leg pays or costs, NaN where it is not quoted or has expired.
    leg_marks : (n, sessions, legs) the same at the marks; where a leg in the money is not quoted, its model price;
        what it settled at once it has expired before the others.
    settled_values : (n, legs) intrinsic value of each leg at its settlement; NaN beyond the data.
    closing_value : signed value of closing every leg at those prices, NaN where a leg is not quoted.
    mark : value at the marks of the legs, within the structure's arbitrage bounds; where a leg has none,
        the value of the session before. Fills are never bounded.
    contracts : what the contracts have become by splits and special dividends. Everything else here is in shares of
        the entry.
    rate : (sessions of the market,) as it was gathered with.
    dividends_received : paid since the entry on shares held over the ex-dates; negative on shares sold short.
    dividend_owed : (sessions of the market,) of a share assigned at that session's close: it goes ex before the next
        one. None where nothing can be assigned early (no dividends known, or contracts of European exercise).
    short_delta : greatest absolute delta of the sold legs, NaN where unknown.
    is_last : some leg's price is made from a last trade.
    """

    positions: OpenedPositions
    marks_per_session: int
    at: IntArray
    is_held: BoolArray
    is_close: BoolArray
    days_left: IntArray
    spot: FloatArray
    leg_prices: FloatArray
    leg_marks: FloatArray
    settled_values: FloatArray
    closing_value: FloatArray
    mark: FloatArray
    contracts: AdjustedContracts
    rate: FloatArray
    dividends_received: FloatArray
    dividend_owed: FloatArray | None
    short_delta: FloatArray
    is_last: BoolArray

    @cached_property
    def may_be_left(self) -> BoolArray:
        """Return the later sessions of the holding, up to the front expiration."""
        later = self.is_held & (self.at <= self.positions.settlement[:, np.newaxis])
        later[:, :1] = False
        return later

    @cached_property
    def can_close(self) -> BoolArray:
        """Return which of those sessions allow every leg to be closed."""
        return self.may_be_left & np.isfinite(self.closing_value)

    @cached_property
    def portfolio_margin(self) -> FloatArray:
        """Return what a portfolio margin would ask for one structure at its entry, (n,) USD a share, without dividends
        (``portfolio_margin``); looked up once for all rules that share these paths."""
        from trading_dag.backtest.trades.portfolio_margin import portfolio_margin

        return portfolio_margin(self.positions, rate=self.rate[self.positions.entry])

    @cached_property
    def can_settle(self) -> BoolArray:
        """Sessions from the front expiration on whose every leg has settled or can be closed."""
        has_expired = self.is_held & (self.at >= self.positions.settlement[:, np.newaxis])
        if self.positions.plan.structure.expires_together:
            return has_expired
        has_settled = self.at[:, :, np.newaxis] >= self.positions.leg_settlement[:, np.newaxis, :]
        return np.asarray(has_expired & (has_settled | np.isfinite(self.leg_prices)).all(axis=2), dtype=np.bool_)


def gather_paths(
    market: QuotedMarket, positions: OpenedPositions, *, dividends: Dividends | None = None, rate: ArrayLike = 0.0
) -> PositionPaths:
    """Look up every leg of every position at each session until it settles or the data ends.

    Parameters
    ----------
    dividends : cash dividends of the underlying; None for none.
    rate : continuously compounded, for the marks of legs in the money that are not quoted: one, or (sessions,) as
        known at each session's close.
    """
    structure = positions.plan.structure
    last = len(market) - 1
    opened = positions.can_open
    end = np.where(opened, np.minimum(positions.leg_settlement.max(axis=1), last), positions.entry)
    horizon = positions.entries.horizon
    if (horizon >= 0).any():
        # A signal's target always ends a position, so nothing is asked of later quotes.
        end = np.where(horizon >= 0, np.minimum(end, market.surely_quoted_from(np.maximum(horizon, 0))), end)
    columns = int((end - positions.entry).max(initial=0)) + 1
    wanted = positions.entry[:, np.newaxis] + np.arange(columns)
    is_held = (wanted <= end[:, np.newaxis]) & opened[:, np.newaxis]
    at = np.minimum(wanted, last)
    contracts = adjusted_contracts(
        market.actions, market.days, entry=positions.entry, at=at, strikes=positions.strikes
    )  # fmt: skip
    is_sold = structure.signed_ratios < 0
    holder, _ = np.nonzero(is_held)
    quotes = market.quotes_of(
        at[is_held][:, np.newaxis],
        positions.leg_expiration_day[holder],
        is_call=structure.is_call,
        strike=contracts.listed[is_held],
        is_bought=is_sold,
        with_delta=positions.plan.exits.roll_short_delta is not None,
    )
    leg_prices, marks, delta = (
        _spread(values, is_held, fill=np.nan) for values in (quotes.price, quotes.mark, np.abs(quotes.delta))
    )
    settled = _settled_values(market, positions)
    is_alive = is_held[:, :, np.newaxis] & (wanted[:, :, np.newaxis] <= positions.leg_settlement[:, np.newaxis, :])
    marks = fill_unquoted_marks(
        market,
        positions,
        at=at,
        marks=marks,
        is_alive=is_alive,
        dividends=dividends,
        contracts=contracts,
        rate=market.by_session(rate),
    )
    leg_prices = contracts.in_shares_of_entry(leg_prices)
    if not structure.expires_together:
        has_settled = is_held[:, :, np.newaxis] & ~is_alive
        marks = np.where(has_settled, settled[:, np.newaxis, :], marks)
    spot = np.where(is_held, contracts.in_shares_of_entry(market.spot[at]), np.nan)
    shares = structure.underlying_ratio * spot
    value = marks @ structure.signed_ratios + shares
    is_american = market.terms.exercise == "American"
    # That a later leg is worth at least its exercise is an arbitrage bound only where it may be exercised.
    least = positions.least_payoff if is_american or structure.expires_together else np.full(len(opened), -np.inf)
    discount = market.bound_discount(at, positions.expiration_day[:, np.newaxis])
    bounded = np.clip(value, least[:, np.newaxis] * discount, positions.greatest_payoff[:, np.newaxis] * discount)
    received = _dividends_received(market, positions, at=at, contracts=contracts, dividends=dividends)
    return PositionPaths(
        positions=positions,
        marks_per_session=2 if market.has_open_marks else 1,
        at=at,
        is_held=is_held,
        is_close=market.is_close[at],
        days_left=positions.expiration_day[:, np.newaxis] - market.days[at],
        spot=spot,
        leg_prices=leg_prices,
        leg_marks=marks,
        settled_values=settled,
        closing_value=leg_prices @ structure.signed_ratios + shares,
        mark=carried_forward(bounded),
        contracts=contracts,
        rate=market.by_session(rate),
        dividends_received=received,
        dividend_owed=dividends.owed_after(market.days) if dividends is not None and is_american else None,
        short_delta=np.fmax.reduce(np.where(is_sold, delta, np.nan), axis=2),
        is_last=np.any(_spread(quotes.is_last, is_held, fill=False), axis=2),
    )


def withheld(paths: PositionPaths, *, before: IntArray) -> PositionPaths:
    """Return the paths of positions that nobody could close before a place in the market, (n,): no order was sent.

    What they are worth there, and how they settle, stays as it is.
    """
    is_withheld = paths.at < before[:, np.newaxis]
    return replace(paths, closing_value=np.where(is_withheld, np.nan, paths.closing_value))


def _spread(values: NDArray[Any], where: BoolArray, *, fill: float | bool) -> NDArray[Any]:
    """Values of the marked cells, (n, sessions, legs), the fill elsewhere."""
    matrix = np.full((*where.shape, values.shape[1]), fill, dtype=values.dtype)
    matrix[where] = values
    return matrix


def _settled_values(market: QuotedMarket, positions: OpenedPositions) -> FloatArray:
    is_within_data = positions.leg_settlement < len(market)
    at = np.where(is_within_data, positions.leg_settlement, positions.entry[:, np.newaxis])
    terms = adjusted_contracts(
        market.actions, market.days, entry=positions.entry, at=at, strikes=positions.strikes
    )  # fmt: skip
    leg = np.arange(at.shape[1])
    spot = np.where(is_within_data, terms.in_shares_of_entry(market.spot[at]), np.nan)
    sign = np.where(positions.plan.structure.is_call, 1.0, -1.0)
    return np.maximum(sign * (spot - terms.strikes[:, leg, leg]), 0.0)


def _dividends_received(
    market: QuotedMarket,
    positions: OpenedPositions,
    *,
    at: IntArray,
    contracts: AdjustedContracts,
    dividends: Dividends | None,
) -> FloatArray:
    """What the shares of a structure were paid since the entry along each path; paid on shares sold short."""
    lots = positions.plan.structure.underlying_ratio
    if dividends is None or not lots:
        return np.zeros(at.shape)
    paid = dividends.going_ex(market.days)[at] * contracts.shares
    # The entry's own dividend went to whoever held before, and a path that has ended repeats its last session.
    paid[:, :1] = 0.0
    paid[:, 1:][np.diff(at, axis=1) == 0] = 0.0
    return np.asarray(lots * np.cumsum(paid, axis=1), dtype=np.float64)
