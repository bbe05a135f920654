"""Quotes of one underlying in columns, and their look-up by contract and session.

A row is one contract at one session's close, sorted by session, expiration, right and strike, so that a
contract is found by bisection on one packed integer. What a row is worth here: what a seller gets, what a
buyer pays, the mark, and whether it may open a position. Which contracts a plan wants is ``entries``'
and ``positions``' work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trading_dag.arrays import BoolArray, DateArray, FloatArray, IntArray
from trading_dag.backtest.markets.contract_quotes import ContractQuotes
from trading_dag.backtest.markets.corporate_actions import NO_ACTIONS, CorporateActions, actions_of_chain
from trading_dag.backtest.markets.quote_columns import (
    TABLE,
    days_of,
    floats_of,
    is_call_of,
    optional_floats,
    require_ascending,
    require_days,
    require_one_price,
    require_quote_columns,
    require_strikes,
)
from trading_dag.day_count import DAYS_PER_YEAR
from trading_dag.errors import SchemaError
from trading_dag.options.chains.contracts import ContractTerms, terms_of

if TYPE_CHECKING:
    from trading_dag.backtest.plans.trade_plan import FillAssumptions

_STRIKE_BITS: Final = 30
_DAY_BITS: Final = 16
_STRIKE_UNITS: Final = 1_000
_BLOCK_ROWS: Final = 1 << 17
_TICK_TOLERANCE: Final = 1e-7


@dataclass(frozen=True)
class ChainMarket:
    """Everything a plan may read of one underlying's chain.

    Attributes
    ----------
    ticker : name of the underlying.
    fills : how prices were made of quotes.
    days : (sessions,) quote dates in days since 1970-01-01, ascending, without repetition.
    spot : (sessions,) underlying price at the quote, USD; NaN where unknown.
    first_row : (sessions + 1,) the rows of session i are ``first_row[i]:first_row[i + 1]``.
    key : (rows,) packed session, expiration, right and strike, strictly ascending.
    expiration_day : (rows,) days since 1970-01-01.
    strike : (rows,) USD.
    bid, ask : (rows,) USD a share, both the last trade where ``is_last``; NaN where the row is no quote.
    delta : (rows,) NaN where unknown.
    may_open : (rows,) a quote with as much volume and open interest as an entry demands.
    is_last : (rows,) the prices are made from the last trade.
    volume, open_interest : (rows,) contracts; NaN where unknown. Known after the session's close.
    actions : splits and special dividends of the underlying, by which its contracts become others.
    """

    ticker: str
    fills: FillAssumptions
    days: IntArray
    spot: FloatArray
    first_row: IntArray
    key: IntArray
    expiration_day: NDArray[np.integer[Any]]
    strike: FloatArray
    bid: FloatArray
    ask: FloatArray
    delta: FloatArray
    may_open: BoolArray
    is_last: BoolArray
    volume: FloatArray | None
    open_interest: FloatArray | None
    actions: CorporateActions = NO_ACTIONS

    def __len__(self) -> int:
        return len(self.days)

    @property
    def sessions(self) -> DateArray:
        """Quote dates."""
        return self.days.astype("datetime64[D]")

    def by_session(self, values: ArrayLike) -> FloatArray:
        """Return one number for every session, or one each, as (sessions,)."""
        return np.broadcast_to(np.asarray(values, dtype=np.float64), (len(self),))

    @property
    def terms(self) -> ContractTerms:
        """Return the terms of the contracts."""
        return terms_of(self.ticker)

    @property
    def quote_source(self) -> str:
        """Return what a trade is said to be priced from."""
        return "chain"

    @property
    def has_open_marks(self) -> bool:
        """Return whether a session has a mark at its open; every one of a chain is a close."""
        return False

    @property
    def is_close(self) -> BoolArray:
        """Return which marks are closes."""
        return np.ones(len(self), dtype=np.bool_)

    def close_positions(self, days: IntArray) -> IntArray:
        """Return the first close at or after each day; ``len`` where the data ends first."""
        return self.days.searchsorted(days).astype(np.int64)

    def surely_quoted_from(self, positions: IntArray) -> IntArray:
        """Return the first position from each on at which every contract is quoted; ``len`` where nobody knows."""
        return np.full(len(positions), len(self), dtype=np.int64)

    def bound_discount(self, at: IntArray, expiration_day: IntArray) -> FloatArray:
        """Return what a payoff at the expiration is worth at each mark, as a share: all of it, if exercise may pay
        now."""
        return np.ones(np.broadcast_shapes(at.shape, expiration_day.shape))

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
        """Return the quotes of contracts at marks; NaN where the chain has none."""
        rows = self.rows_of(at, expiration_day, is_call=is_call, strike=strike)
        return self.quotes_at_rows(rows, is_bought=is_bought, with_delta=with_delta)

    def quotes_at_rows(self, rows: IntArray, *, is_bought: BoolArray, with_delta: bool = True) -> ContractQuotes:
        """Return the quotes of these rows; NaN for row −1."""
        return ContractQuotes(
            price=np.where(is_bought, self.buy_price(rows), self.sell_price(rows)),
            mark=self.mark(rows),
            delta=_values_at(self.delta, rows) if with_delta else np.full(rows.shape, np.nan),
            volatility=np.full(rows.shape, np.nan),
            is_last=self.made_from_last(rows),
        )

    def sell_price(self, rows: IntArray) -> FloatArray:
        """Return what a seller gets, slippage taken off, rounded down to the tick and not below zero; NaN for row
        −1."""
        bid = _values_at(self.bid, rows)
        received = np.where(_flags_at(self.is_last, rows), bid - half_spread_of(bid, self.fills), bid)
        if self.fills.spread_share < 1.0:
            # Where nobody bids, nothing is sold at the middle either.
            received = np.where(bid > 0.0, self._towards_middle(received, rows), received)
        tick = self.fills.price_tick_usd
        steps = np.floor(received * ((1.0 - self.fills.slippage_fraction) / tick) + _TICK_TOLERANCE)
        return np.asarray(np.maximum(steps, 0.0) * tick, dtype=np.float64)

    def buy_price(self, rows: IntArray) -> FloatArray:
        """Return what a buyer pays, slippage added, rounded up to the tick; NaN for row −1."""
        ask = _values_at(self.ask, rows)
        price = np.where(_flags_at(self.is_last, rows), ask + half_spread_of(ask, self.fills), ask)
        if self.fills.spread_share < 1.0:
            price = self._towards_middle(price, rows)
        tick = self.fills.price_tick_usd
        steps = np.ceil(price * ((1.0 + self.fills.slippage_fraction) / tick) - _TICK_TOLERANCE)
        return np.asarray(steps * tick, dtype=np.float64)

    def _towards_middle(self, price: FloatArray, rows: IntArray) -> FloatArray:
        """Natural prices with only the share of the half spread that the liquidity of each row leaves to pay."""
        volume, open_interest = (
            None if values is None else _values_at(values, rows) for values in (self.volume, self.open_interest)
        )
        middle = self.mark(rows)
        share = spread_share_paid(volume, open_interest, fills=self.fills)
        return np.asarray(middle + share * (price - middle), dtype=np.float64)

    def mark(self, rows: IntArray) -> FloatArray:
        """Return the middle, or the last trade; NaN for row −1."""
        return np.asarray(0.5 * (_values_at(self.bid, rows) + _values_at(self.ask, rows)), dtype=np.float64)

    def made_from_last(self, rows: IntArray) -> BoolArray:
        """Return where the prices are made from a last trade; False for row −1."""
        return _flags_at(self.is_last, rows)

    @cached_property
    def listed_expirations(self) -> tuple[IntArray, IntArray]:
        """Return session and expiration (days since 1970-01-01) of every expiration that a session lists, in order."""
        changes = np.diff(self.expiration_day, prepend=self.expiration_day[:1] - 1) != 0
        changes[self.first_row[:-1]] = True
        first = np.flatnonzero(changes)
        session = np.searchsorted(self.first_row, first, side="right") - 1
        return session.astype(np.int64), self.expiration_day[first].astype(np.int64)

    def rows_of(
        self, session: IntArray, expiration_day: IntArray, *, is_call: BoolArray, strike: FloatArray
    ) -> IntArray:
        """Return the row of each contract at each session; −1 where the chain has none."""
        wanted = packed_key(self.days[session], expiration_day, is_call=is_call, strike=strike)
        row = np.searchsorted(self.key, wanted)
        is_quoted = self.key[np.minimum(row, len(self.key) - 1)] == wanted
        return np.where(is_quoted, row, -1)

    def slice_of(self, session: IntArray, expiration_day: IntArray, *, is_call: bool) -> tuple[IntArray, IntArray]:
        """Return the first row and the row after the last of one right of one expiration at each session."""
        head = (self.days[session] << _DAY_BITS | expiration_day) << 1 | int(not is_call)
        first = np.searchsorted(self.key, head << _STRIKE_BITS)
        after = np.searchsorted(self.key, (head + 1) << _STRIKE_BITS)
        return first.astype(np.int64), after.astype(np.int64)


def packed_key(quote_day: IntArray, expiration_day: IntArray, *, is_call: BoolArray, strike: FloatArray) -> IntArray:
    """Quote day (16 bits), expiration (16), right (calls first) and strike in 0.001 USD (30) in one integer.

    It orders as the rows are sorted. A NaN strike gives the key of strike 0, which no contract has.
    """
    thousandths = np.rint(np.where(np.isnan(strike), 0.0, strike) * _STRIKE_UNITS).astype(np.int64)
    head = (quote_day << _DAY_BITS | expiration_day) << 1 | ~np.asarray(is_call, dtype=bool)
    return np.asarray(head << _STRIKE_BITS | thousandths, dtype=np.int64)


def chain_market(
    quotes: Mapping[str, Any], *, ticker: str, fills: FillAssumptions, splits: CorporateActions = NO_ACTIONS
) -> ChainMarket:
    """Index the quotes of one underlying.

    Parameters
    ----------
    quotes : columns of ``raw.option_chain`` for this ticker (a frame or a dict of arrays), sorted by
        quote_date, expiration, option_right, strike. Dates may be integers (days since 1970-01-01) and
        option_right may be a boolean array, true for calls. Needed: quote_date, expiration, strike,
        option_right, underlying_price, and bid and ask, or last. ``delta`` is used as it is; where the
        column is absent the Black–Scholes delta of implied_volatility is taken (no rate, no dividend).
    fills : how prices are made of quotes.
    splits : and special dividends that are recorded (``corporate_actions.actions_of_prices``); splits that only the
        chain shows are added.

    A row is a quote where bid and ask are given, not crossed and the ask is positive; otherwise, where the
    last trade is positive, not below intrinsic value by more than half a spread, and the volume of the session is not
    0. A contract
    whose implied volatility is given as 0 or missing has no delta.

    Raises
    ------
    SchemaError : a column is missing, there is no row, a date is missing or not within 1970 to 2149, a strike
        is not positive, a key is repeated or out of order, or a session has two underlying prices.
    """
    require_quote_columns(quotes)
    quote_day, expiration_day = days_of(quotes["quote_date"]), days_of(quotes["expiration"])
    require_days(quote_day, "quote_date")
    require_days(expiration_day, "expiration")
    strike = floats_of(quotes, "strike")
    is_call = is_call_of(quotes["option_right"])
    if not len(strike):
        raise SchemaError(table=TABLE, key=ticker, rule="at least one row")
    require_strikes(strike)
    key = _keys(quote_day, expiration_day, is_call=is_call, strike=strike)
    require_ascending(key)

    starts = np.flatnonzero(np.diff(quote_day, prepend=quote_day[:1] - 1))
    underlying = floats_of(quotes, "underlying_price")
    days, spot = quote_day[starts].astype(np.int64), underlying[starts]
    require_one_price(underlying, spot, starts=starts, quote_day=quote_day, ticker=ticker)
    bid, ask, is_last = _prices(quotes, is_call=is_call, strike=strike, underlying=underlying, fills=fills)
    volume, open_interest = optional_floats(quotes, "volume"), optional_floats(quotes, "open_interest")
    _require_what_is_capped(fills, volume=volume, open_interest=open_interest)
    may_open = np.isfinite(ask)
    if fills.minimum_volume > 0 and volume is not None:
        may_open &= volume >= fills.minimum_volume
    if fills.minimum_open_interest > 0 and open_interest is not None:
        may_open &= open_interest >= fills.minimum_open_interest
    spot = np.where((spot > 0) & np.isfinite(spot), spot, np.nan)
    first_row = np.append(starts, len(key)).astype(np.int64)
    return ChainMarket(
        ticker=ticker,
        fills=fills,
        days=days,
        spot=spot,
        first_row=first_row,
        key=key,
        expiration_day=expiration_day,
        strike=strike,
        bid=bid,
        ask=ask,
        delta=_deltas(quotes, quote_day, expiration_day, is_call=is_call, strike=strike, underlying=underlying),
        may_open=may_open,
        is_last=is_last,
        volume=volume,
        open_interest=open_interest,
        actions=actions_of_chain(splits, days, spot, first_row=first_row, key=key),
    )


def _require_what_is_capped(
    fills: FillAssumptions, *, volume: FloatArray | None, open_interest: FloatArray | None
) -> None:
    for name, values, limits in (
        ("volume", volume, (fills.minimum_volume > 0, fills.volume_share is not None)),
        ("open_interest", open_interest, (fills.minimum_open_interest > 0, fills.open_interest_share is not None)),
    ):
        if values is None and any(limits):
            raise SchemaError(table=TABLE, key=name, rule="a limit is set on it, so the column is needed")
    if fills.spread_share < 1.0 and volume is None and open_interest is None:
        rule = "spread_share is below 1, so one of the columns is needed"
        raise SchemaError(table=TABLE, key="volume, open_interest", rule=rule)


def _prices(
    quotes: Mapping[str, Any],
    *,
    is_call: BoolArray,
    strike: FloatArray,
    underlying: FloatArray,
    fills: FillAssumptions,
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Bid, ask, and where both are the last trade; NaN where the row is no quote."""
    bid, ask, last = (optional_floats(quotes, name) for name in ("bid", "ask", "last"))
    volume = optional_floats(quotes, "volume")
    shape = strike.shape
    if bid is None or ask is None:
        bid = ask = np.full(shape, np.nan)
    has_both = (bid >= 0.0) & (ask > 0.0) & (ask >= bid) & np.isfinite(ask)
    if has_both.all():
        return bid, ask, np.zeros(shape, dtype=np.bool_)
    bid, ask = np.where(has_both, bid, np.nan), np.where(has_both, ask, np.nan)
    if last is None:
        return bid, ask, np.zeros(shape, dtype=np.bool_)
    intrinsic = np.maximum(np.where(is_call, underlying - strike, strike - underlying), 0.0)
    # A trade of some minutes before the close is often a little below what exercise pays at the close. Refusing it
    # would keep short legs from being bought back just when they lose. At half a spread more a buyer pays exercise.
    tolerance = half_spread_of(last, fills) + _TICK_TOLERANCE
    is_last = ~has_both & (last > 0.0) & (last >= intrinsic - tolerance) & np.isfinite(last)
    if volume is not None:
        is_last &= volume > 0.0
    return np.where(is_last, last, bid), np.where(is_last, last, ask), is_last


def half_spread_of(last: FloatArray, fills: FillAssumptions) -> FloatArray:
    """Return half the spread that is assumed around a last trade, USD a share."""
    return np.maximum(fills.half_spread_fraction * last, fills.half_spread_minimum_usd)


def spread_share_paid(
    volume: FloatArray | None, open_interest: FloatArray | None, *, fills: FillAssumptions
) -> FloatArray:
    """Return which share of the half spread a fill pays, by the contract's volume and open interest of the session.

    ``spread_share`` where both reach what is liquid, all of it where one of them is zero, linear in the lesser of the
    two ratios between. A number that is missing counts as zero, a column that is missing not at all. Both are known
    after the session's close, as the closing quotes are.

    References
    ----------
    Muravyev and Pearson (2020), Options Trading Costs Are Lower than You Think, Review of Financial Studies 33(11):
    who times the execution pays less than half of the quoted spread in liquid options; Cao and Wei (2010), Option
    Market Liquidity, Journal of Financial Markets 13(1): spreads fall with volume and open interest. That the share is
    linear between is an assumption.
    """
    ratios = [
        np.nan_to_num(values / least, nan=0.0)
        for values, least in ((volume, fills.liquid_volume), (open_interest, fills.liquid_open_interest))
        if values is not None
    ]
    liquidity = np.minimum(np.minimum.reduce(ratios), 1.0) if ratios else np.zeros(())
    return np.asarray(1.0 - (1.0 - fills.spread_share) * liquidity, dtype=np.float64)


def _values_at(values: FloatArray, rows: IntArray) -> FloatArray:
    """Values of these rows, NaN for row −1."""
    return np.where(rows >= 0, values[np.maximum(rows, 0)], np.nan)


def _flags_at(flags: BoolArray, rows: IntArray) -> BoolArray:
    return np.asarray(flags[np.maximum(rows, 0)] & (rows >= 0), dtype=np.bool_)


def _deltas(
    quotes: Mapping[str, Any],
    quote_day: NDArray[np.integer[Any]],
    expiration_day: NDArray[np.integer[Any]],
    *,
    is_call: BoolArray,
    strike: FloatArray,
    underlying: FloatArray,
) -> FloatArray:
    """The vendor's delta, or the one of the implied volatility; NaN where there is neither."""
    delta, volatility = optional_floats(quotes, "delta"), optional_floats(quotes, "implied_volatility")
    if delta is None:
        if volatility is None:
            return np.full(strike.shape, np.nan)
        from trading_dag.options.pricing.greeks import greeks

        delta = greeks(
            spot=underlying, strike=strike, years=np.maximum(expiration_day - quote_day, 0) / DAYS_PER_YEAR, rate=0.0,
            dividend_yield=0.0, volatility=volatility, is_call=is_call,
        ).delta  # fmt: skip
    if volatility is not None:
        delta = np.where(volatility > 0.0, delta, np.nan)
    return delta


def _keys(
    quote_day: NDArray[np.integer[Any]],
    expiration_day: NDArray[np.integer[Any]],
    *,
    is_call: BoolArray,
    strike: FloatArray,
) -> IntArray:
    """The packed key of every row, block by block so that temporary arrays stay in cache."""
    key = np.empty(len(strike), dtype=np.int64)
    for start in range(0, len(strike), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        key[block] = packed_key(
            quote_day[block].astype(np.int64), expiration_day[block].astype(np.int64),
            is_call=is_call[block], strike=strike[block],
        )  # fmt: skip
    return key
