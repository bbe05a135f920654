"""Which contracts each entry opens, at what price, and what they are worth at every later session.

One opening and one gathering of paths serve every set of exit rules: rows are positions, columns are
sessions since the entry, and the last axis is the legs. When a position is left is ``exits``' business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trading_dag.backtest.chain_market import ChainMarket, IntegerArray
from trading_dag.backtest.entries import Entries, TextArray
from trading_dag.backtest.programs import ExpirationChoice, FillAssumptions, Program, TargetDelta
from trading_dag.options.black_scholes import BoolArray, FloatArray
from trading_dag.options.contracts import is_morning_settled, terms_of
from trading_dag.options.structures import Leg, payoff_bounds

NO_EXPIRATION: Final = "no_expiration"
MISSING_LEG: Final = "missing_leg"
NO_ENTRY_PRICE: Final = "no_entry_price"
NO_UNDERLYING_PRICE: Final = "no_underlying_price"
NO_POSSIBLE_PROFIT: Final = "no_possible_profit"
NO_SETTLEMENT_PRICE: Final = "no_settlement_price"
# 1970-01-01, day 0, was a Thursday; weeks begin on Monday, 0.
_THURSDAY: Final = 3
_FRIDAY: Final = 4
_DAYS_BACK_FROM_WEEKEND: Final = 3


@dataclass(frozen=True)
class OpenedPositions:
    """One structure opened once for each entry, at that entry's own quotes; not yet sized.

    Attributes
    ----------
    program : structure, strikes and expiration are those of it.
    entries : what asked for them, row by row.
    entry : (n,) position of the session; 0 where the entry was skipped.
    expiration_day : (n,) days since 1970-01-01; 0 where there is none.
    settlement : (n,) position of the session whose price settles the legs; ``len(market)`` beyond the data.
    strikes, leg_prices, leg_marks : (n, legs) in the order of the legs; prices are what was paid or received.
    is_last : (n,) some leg's price is made from a last trade.
    entry_spot : (n,) USD.
    premium : (n,) USD a share, positive where paid; shares of the underlying included, at its price.
    least_payoff, greatest_payoff : (n,) arbitrage bounds, USD a share; infinite where unlimited.
    contract_limit : (n,) structures that the volume and open-interest shares allow; infinite without them.
    skip_reason : (n,) empty where the position can be opened.
    """

    program: Program
    entries: Entries
    entry: IntegerArray
    expiration_day: IntegerArray
    settlement: IntegerArray
    strikes: FloatArray
    leg_prices: FloatArray
    leg_marks: FloatArray
    is_last: BoolArray
    entry_spot: FloatArray
    premium: FloatArray
    least_payoff: FloatArray
    greatest_payoff: FloatArray
    contract_limit: FloatArray
    skip_reason: TextArray

    @property
    def can_open(self) -> BoolArray:
        """Positions without a reason to skip them."""
        return np.asarray(self.skip_reason == "", dtype=np.bool_)

    @property
    def maximum_loss(self) -> FloatArray:
        """Loss at expiration, USD a share, positive; infinite where unlimited."""
        return self.premium - self.least_payoff

    @property
    def maximum_profit(self) -> FloatArray:
        """Profit at expiration, USD a share; infinite where unlimited."""
        return self.greatest_payoff - self.premium


def open_positions(market: ChainMarket, program: Program, *, entries: Entries) -> OpenedPositions:
    """Choose expiration and strikes among the entry session's own quotes and price every leg there.

    All legs are quoted on that one date, or the entry is skipped: ``no_expiration`` (none listed within the
    bounds), ``missing_leg`` (no quoted strike near the one that was asked), ``no_entry_price`` (a leg to be sold
    has no bid), ``no_possible_profit`` (it costs at least what it can ever pay), ``no_settlement_price`` (the
    legs expire on a weekday for which the data has no session).
    """
    structure = program.structure
    tried = entries.skip_reason == ""
    entry = np.where(tried, entries.entry, 0)
    expiration_day = np.where(tried, choose_expiration_days(market, entry, choice=program.expiration), 0)
    row = np.full((len(entry), len(structure.legs)), -1, dtype=np.int64)
    strikes = np.full(row.shape, np.nan)
    for position in range(len(structure.legs)):
        row[:, position] = _choose_rows(
            market, program, position=position, entry=entry, expiration_day=expiration_day, strikes=strikes
        )
        strikes[:, position] = np.where(row[:, position] >= 0, _taken(market.strike, row[:, position]), np.nan)
    has_legs: BoolArray = np.all(row >= 0, axis=1)
    is_sold = structure.signed_ratios < 0
    leg_prices = np.where(is_sold, market.sell_price(row), market.buy_price(row))
    spot = market.spot[entry]
    premium = leg_prices @ structure.signed_ratios + structure.underlying_ratio * spot
    bounds = payoff_bounds(structure, np.where(has_legs[:, np.newaxis], strikes, np.nan))
    settlement, has_settlement = settlement_positions(market, expiration_day)
    reason = np.select(
        [
            ~tried,
            np.isnan(spot),
            expiration_day == 0,
            ~has_legs,
            ~(leg_prices > 0.0).all(axis=1),
            ~(bounds.greatest - premium > 0.0),
            ~has_settlement,
        ],
        [
            entries.skip_reason.astype(str), NO_UNDERLYING_PRICE, NO_EXPIRATION, MISSING_LEG, NO_ENTRY_PRICE,
            NO_POSSIBLE_PROFIT, NO_SETTLEMENT_PRICE,
        ],
        "",
    ).astype(object)  # fmt: skip
    return OpenedPositions(
        program=program,
        entries=entries,
        entry=entry,
        expiration_day=expiration_day,
        settlement=settlement,
        strikes=strikes,
        leg_prices=leg_prices,
        leg_marks=market.mark(row),
        is_last=np.any(market.made_from_last(row), axis=1),
        entry_spot=spot,
        premium=premium,
        least_payoff=bounds.least,
        greatest_payoff=bounds.greatest,
        contract_limit=_contract_limit(market, row, ratios=np.abs(structure.signed_ratios), fills=market.fills),
        skip_reason=reason,
    )


def choose_expiration_days(market: ChainMarket, entry: IntegerArray, *, choice: ExpirationChoice) -> IntegerArray:
    """The listed expiration whose days are nearest to the target, in days since 1970-01-01; 0 for none in bounds."""
    session, expiration_day = market.listed_expirations
    days = expiration_day - market.days[session]
    fits = (days >= choice.minimum_days) & (days <= choice.maximum_days)
    session, expiration_day, days = session[fits], expiration_day[fits], days[fits]
    # By session, then by distance, then by date: the first of each session is the one.
    order = np.lexsort((expiration_day, np.abs(days - choice.target_days), session))
    nearest = order[np.flatnonzero(np.diff(session[order], prepend=-1))]
    of_session = np.zeros(len(market), dtype=np.int64)
    of_session[session[nearest]] = expiration_day[nearest]
    return of_session[entry]


def settlement_positions(market: ChainMarket, expiration_day: IntegerArray) -> tuple[IntegerArray, BoolArray]:
    """Session whose price settles each expiration, and whether there is one or the data ends first.

    Expirations on a Saturday or Sunday settle at the last session of that week. On any other day the data
    has that very session, or a hole: then no price settles, for the day before is not the price that was.
    """
    after = market.days.searchsorted(expiration_day, side="right").astype(np.int64)
    weekday = (expiration_day + _THURSDAY) % 7
    is_beyond = expiration_day - np.maximum(weekday - _FRIDAY, 0) > market.days[-1]
    settlement = np.maximum(after - 1, 0)
    days_back = expiration_day - market.days[settlement]
    has_price = is_beyond | (days_back == 0) | ((weekday > _FRIDAY) & (days_back <= _DAYS_BACK_FROM_WEEKEND))
    has_price &= is_beyond | np.isfinite(market.spot[settlement])
    # Settled on the opening prices of a day after its last trading: end-of-day quotes do not have that price.
    has_price &= ~_is_settled_in_the_morning(market, expiration_day)
    return np.where(is_beyond, len(market), settlement), has_price


def _is_settled_in_the_morning(market: ChainMarket, expiration_day: IntegerArray) -> BoolArray:
    if terms_of(market.ticker).morning_settled == "never":
        return np.zeros(len(expiration_day), dtype=np.bool_)
    import pandas as pd

    expirations = pd.Series(expiration_day.astype("datetime64[D]").astype("datetime64[us]"))
    return is_morning_settled(pd.Series(market.ticker, index=expirations.index), expirations)


def _choose_rows(
    market: ChainMarket,
    program: Program,
    *,
    position: int,
    entry: IntegerArray,
    expiration_day: IntegerArray,
    strikes: FloatArray,
) -> IntegerArray:
    """Row of the chain for one leg of every entry; −1 where no quoted strike is near enough."""
    leg, choice = program.structure.legs[position], program.strikes[position]
    first, after = market.slice_of(entry, expiration_day, is_call=leg.option_right == "C")
    after = np.where(expiration_day > 0, after, first)
    count = after - first
    group = np.repeat(np.arange(len(entry)), count)
    candidate = np.arange(len(group)) - np.repeat(np.cumsum(count) - count, count) + first[group]
    strike = market.strike[candidate]
    allowed = market.may_open[candidate]
    if isinstance(choice, TargetDelta):
        miss = np.abs(np.abs(market.delta[candidate]) - choice.absolute_delta)
        limit = np.full(len(entry), choice.tolerance)
    else:
        sign = 1.0 if leg.option_right == "C" else -1.0
        unit = market.spot[entry] if choice.unit == "spot_fraction" else np.ones(len(entry))
        distance = choice.distance * unit
        miss = np.abs(strike - (strikes[:, choice.from_leg] + sign * distance)[group])
        limit = 0.5 * np.abs(distance)
        if choice.distance != 0:
            allowed = allowed & (sign * choice.distance * (strike - strikes[group, choice.from_leg]) > 0)
    if leg.apart_from is not None:
        allowed = allowed & _is_apart(leg, strike, strikes[group, leg.apart_from])
    miss = np.where(allowed & (miss <= limit[group] + 1e-9), miss, np.inf)
    chosen = np.full(len(entry), -1, dtype=np.int64)
    filled = np.flatnonzero(count)
    if not len(filled):
        return chosen
    least = np.minimum.reduceat(miss, (np.cumsum(count) - count)[filled])
    least_of_row = np.full(len(entry), np.inf)
    least_of_row[filled] = least
    is_nearest = np.isfinite(miss) & (miss <= least_of_row[group] + 1e-9)
    # Written from the last to the first, so that of equally near strikes the lowest stays.
    nearest = np.flatnonzero(is_nearest)[::-1]
    chosen[group[nearest]] = candidate[nearest]
    return chosen


def _is_apart(leg: Leg, strike: FloatArray, other: FloatArray) -> BoolArray:
    """Strikes further up (calls) or down (puts) than the other leg's."""
    return np.asarray(strike > other if leg.option_right == "C" else strike < other, dtype=np.bool_)


def _contract_limit(
    market: ChainMarket, row: IntegerArray, *, ratios: FloatArray, fills: FillAssumptions
) -> FloatArray:
    """Structures that the shares of volume and open interest allow, rounded down; infinite where unlimited.

    NaN where a share of what is unknown is asked.
    """
    limit = np.full(len(row), np.inf)
    for values, share in ((market.volume, fills.volume_share), (market.open_interest, fills.open_interest_share)):
        if values is not None and share is not None:
            limit = np.minimum(limit, np.floor((share * _taken(values, row) / ratios).min(axis=1) + 1e-9))
    return limit


def _taken(values: NDArray[Any], row: IntegerArray) -> NDArray[Any]:
    """Values at these rows; of row −1 something that the caller masks."""
    return values[np.maximum(row, 0)]
