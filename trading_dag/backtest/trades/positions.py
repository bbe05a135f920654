"""Which contracts each entry opens, at what price, and what they are worth at every later session.

One opening and one gathering of paths serve every set of exit rules: rows are positions, columns are
sessions since the entry, and the last axis is the legs. When a position is left is ``exits``' business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trading_dag.arrays import BoolArray, FloatArray, IntArray, TextArray
from trading_dag.backtest.markets.chain_market import ChainMarket
from trading_dag.backtest.plans.trade_plan import FillAssumptions, TargetDelta, TradePlan
from trading_dag.backtest.trades.entries import Entries
from trading_dag.backtest.trades.expirations import (
    at_front_expiration,
    choose_expiration_days,
    front_leg,
    leg_expiration_days,
    settlement_positions,
)
from trading_dag.options.structures.payoff import PayoffBounds, payoff_bounds
from trading_dag.options.structures.structure import Leg, Structure

NO_EXPIRATION: Final = "no_expiration"
MISSING_LEG: Final = "missing_leg"
OUTSIDE_DELTA_RANGE: Final = "outside_delta_range"
NO_ENTRY_PRICE: Final = "no_entry_price"
NO_UNDERLYING_PRICE: Final = "no_underlying_price"
NO_POSSIBLE_PROFIT: Final = "no_possible_profit"
NO_SETTLEMENT_PRICE: Final = "no_settlement_price"
SETTLES_AT_ENTRY: Final = "settles_at_entry"
SPLIT_WHILE_HELD: Final = "split_while_held"
COSTS_NOTHING: Final = "costs_nothing"


@dataclass(frozen=True)
class OpenedPositions:
    """Holds one structure opened once for each entry, at that entry's own quotes; not yet sized.

    Attributes
    ----------
    plan : structure, strikes and expiration are those of it.
    entries : what asked for them, row by row.
    entry : (n,) position of the session; 0 where the entry was skipped.
    expiration_day : (n,) of the front, at which the position ends; days since 1970-01-01; 0 where there is none.
    leg_expiration_day : (n, legs) of each leg; 0 where there is none.
    leg_settlement : (n, legs) position of the session whose price settles the leg; ``len(market)`` beyond the data.
    strikes, leg_prices, leg_marks : (n, legs) in the order of the legs; prices are what was paid or received.
    is_last : (n,) some leg's price is made from a last trade.
    entry_spot : (n,) USD.
    premium : (n,) USD a share, positive where paid; shares of the underlying included, at its price.
    least_payoff, greatest_payoff : (n,) arbitrage bounds of the value at the front expiration, USD a share; infinite
        where unlimited. A bought leg that lives on counts at what exercise pays, and above it has no bound here.
    contract_limit : (n,) structures that the volume and open-interest shares allow; infinite without them.
    skip_reason : (n,) empty where the position can be opened.
    ticker : name of the underlying.
    """

    plan: TradePlan
    entries: Entries
    entry: IntArray
    expiration_day: IntArray
    leg_expiration_day: IntArray
    leg_settlement: IntArray
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
    ticker: str = ""

    @property
    def can_open(self) -> BoolArray:
        """Return which positions have no reason to be skipped."""
        return np.asarray(self.skip_reason == "", dtype=np.bool_)

    @property
    def settlement(self) -> IntArray:
        """Return the position of the session whose price settles the front legs; ``len(market)`` beyond the data."""
        return self.leg_settlement[:, front_leg(self.plan.structure)]

    @property
    def maximum_loss(self) -> FloatArray:
        """Return the loss at the front expiration, USD a share, positive; infinite where unlimited.

        That of a calendar is its debit, and no guarantee: the bought leg may be sold below what exercise pays.
        """
        return self.premium - self.least_payoff

    @property
    def maximum_profit(self) -> FloatArray:
        """Return the profit at expiration, USD a share; infinite where unlimited."""
        return self.greatest_payoff - self.premium


def open_positions(market: ChainMarket, plan: TradePlan, *, entries: Entries) -> OpenedPositions:
    """Choose expiration and strikes among the entry session's own quotes and price every leg there.

    All legs are quoted on that one date, or the entry is skipped: ``no_expiration`` (none listed within the
    bounds), ``outside_delta_range`` (no quoted strike of a leg lies within its bounds), ``missing_leg`` (no quoted
    strike near the one that was asked), ``no_entry_price`` (a leg to be sold has no bid), ``no_possible_profit`` (it
    costs at least what it can ever pay), ``costs_nothing`` (a bought leg outlives a sold one and costs no more than
    it: no such quotes can stand), ``settles_at_entry`` (the front legs are dated on a holiday or a Saturday, and this
    is their last trading day), ``no_settlement_price`` (the data has no session of their last trading day),
    ``split_while_held: 10 for 1 on 2024-06-10`` (the underlying is split before the last leg expires, which makes
    other contracts of these; that is known at the entry, for splits are announced).
    """
    structure = plan.structure
    tried = entries.skip_reason == ""
    entry = np.where(tried, entries.entry, 0)
    expiration_day = np.where(tried, choose_expiration_days(market, entry, choice=plan.expiration), 0)
    leg_days = leg_expiration_days(market, structure, entry=entry, front_day=expiration_day)
    row = np.full(leg_days.shape, -1, dtype=np.int64)
    strikes = np.full(row.shape, np.nan)
    for position in range(len(structure.legs)):
        row[:, position] = _choose_rows(
            market, plan, position=position, entry=entry, expiration_day=leg_days[:, position], strikes=strikes
        )
        strikes[:, position] = np.where(row[:, position] >= 0, _taken(market.strike, row[:, position]), np.nan)
    has_legs: BoolArray = np.all(row >= 0, axis=1)
    is_sold = structure.signed_ratios < 0
    leg_prices = np.where(is_sold, market.sell_price(row), market.buy_price(row))
    spot = market.spot[entry]
    premium = leg_prices @ structure.signed_ratios + structure.underlying_ratio * spot
    bounds = _bounds_at_front(structure, np.where(has_legs[:, np.newaxis], strikes, np.nan))
    settlement, has_settlement = settlement_positions(market, leg_days)
    split = market.actions.within(market.days[entry], leg_days.max(axis=1)).astype(str)
    reason = np.select(
        [
            ~tried,
            np.isnan(spot),
            (leg_days == 0).any(axis=1),
            _misses_bounds(plan, row),
            ~has_legs,
            split != "",
            ~(leg_prices > 0.0).all(axis=1),
            ~(bounds.greatest - premium > 0.0),
            ~(premium - bounds.least > 0.0) & (not structure.expires_together),
            ~has_settlement[:, front_leg(structure)],
            settlement[:, front_leg(structure)] <= entry,
        ],
        [
            entries.skip_reason.astype(str), NO_UNDERLYING_PRICE, NO_EXPIRATION, OUTSIDE_DELTA_RANGE,
            MISSING_LEG,
            np.char.add(f"{SPLIT_WHILE_HELD}: ", split), NO_ENTRY_PRICE, NO_POSSIBLE_PROFIT, COSTS_NOTHING,
            NO_SETTLEMENT_PRICE, SETTLES_AT_ENTRY,
        ],
        "",
    ).astype(object)  # fmt: skip
    return OpenedPositions(
        plan=plan,
        entries=entries,
        entry=entry,
        expiration_day=expiration_day,
        leg_expiration_day=leg_days,
        # A later leg that no session of the data settles is held until a quote lets it go.
        leg_settlement=np.where(has_settlement, settlement, len(market)),
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
        ticker=market.ticker,
    )


def _bounds_at_front(structure: Structure, strikes: FloatArray) -> PayoffBounds:
    bounds = payoff_bounds(at_front_expiration(structure), strikes)
    if structure.expires_together:
        return bounds
    return PayoffBounds(least=bounds.least, greatest=np.where(np.isnan(bounds.greatest), np.nan, np.inf))


def _choose_rows(
    market: ChainMarket,
    plan: TradePlan,
    *,
    position: int,
    entry: IntArray,
    expiration_day: IntArray,
    strikes: FloatArray,
) -> IntArray:
    """Row of the chain for one leg of every entry; −1 where no quoted strike is near enough."""
    leg, choice = plan.structure.legs[position], plan.strikes[position]
    first, after = market.slice_of(entry, expiration_day, is_call=leg.option_right == "C")
    after = np.where(expiration_day > 0, after, first)
    count = after - first
    group = np.repeat(np.arange(len(entry)), count)
    candidate = np.arange(len(group)) - np.repeat(np.cumsum(count) - count, count) + first[group]
    strike = market.strike[candidate]
    allowed = market.may_open[candidate]
    if isinstance(choice, TargetDelta):
        miss = np.abs(np.abs(market.delta[candidate]) - choice.absolute_delta)
        limit = np.full(len(entry), choice.tolerance if choice.bounds is None else 1.0)
        if choice.bounds is not None:
            size = np.abs(market.delta[candidate])
            allowed = allowed & (size >= choice.bounds[0]) & (size <= choice.bounds[1])
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


def _misses_bounds(plan: TradePlan, row: IntArray) -> BoolArray:
    """Entries of which a leg whose delta has bounds found no strike."""
    bounded = [isinstance(choice, TargetDelta) and choice.bounds is not None for choice in plan.strikes]
    return np.asarray((row[:, bounded] < 0).any(axis=1), dtype=np.bool_)


def _is_apart(leg: Leg, strike: FloatArray, other: FloatArray) -> BoolArray:
    """Strikes further up (calls) or down (puts) than the other leg's."""
    return np.asarray(strike > other if leg.option_right == "C" else strike < other, dtype=np.bool_)


def _contract_limit(market: ChainMarket, row: IntArray, *, ratios: FloatArray, fills: FillAssumptions) -> FloatArray:
    """Structures that the shares of volume and open interest allow, rounded down; infinite where unlimited.

    NaN where a share of what is unknown is asked.
    """
    limit = np.full(len(row), np.inf)
    for values, share in ((market.volume, fills.volume_share), (market.open_interest, fills.open_interest_share)):
        if values is not None and share is not None:
            limit = np.minimum(limit, np.floor((share * _taken(values, row) / ratios).min(axis=1) + 1e-9))
    return limit


def _taken(values: NDArray[Any], row: IntArray) -> NDArray[Any]:
    """Values at these rows; of row −1 something that the caller masks."""
    return values[np.maximum(row, 0)]
