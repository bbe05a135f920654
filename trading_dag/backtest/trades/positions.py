"""Which contracts each entry opens, at what price, and what they are worth at every later session.

One opening and one gathering of paths serve every set of exit rules: rows are positions, columns are
sessions since the entry, and the last axis is the legs. When a position is left is ``exits``' business.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trading_dag.arrays import BoolArray, FloatArray, IntArray, TextArray
from trading_dag.backtest.markets.modelled_market import ModelledMarket
from trading_dag.backtest.plans.outcomes import (
    COSTS_NOTHING,
    MISSING_LEG,
    NO_ENTRY_PRICE,
    NO_EXPIRATION,
    NO_POSSIBLE_PROFIT,
    NO_SETTLEMENT_PRICE,
    NO_UNDERLYING_PRICE,
    NO_VOLATILITY_INDEX,
    OUTSIDE_DELTA_RANGE,
    SETTLES_AT_ENTRY,
    SPLIT_WHILE_HELD,
)
from trading_dag.backtest.plans.trade_plan import TargetDelta, TradePlan
from trading_dag.backtest.trades.contract_choice import QuotedMarket, choose_contracts
from trading_dag.backtest.trades.entries import Entries
from trading_dag.backtest.trades.expirations import front_leg, settlement_positions
from trading_dag.options.structures.payoff import PayoffBounds, payoff_bounds
from trading_dag.options.structures.structure import Structure, at_front_expiration


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
    leg_volatilities : (n, legs) implied, fraction; NaN where the market does not say.
    is_last : (n,) some leg's price is made from a last trade.
    entry_spot : (n,) USD.
    premium : (n,) USD a share, positive where paid; shares of the underlying included, at its price.
    least_payoff, greatest_payoff : (n,) arbitrage bounds of the value at the front expiration, USD a share; infinite
        where unlimited. A bought leg that lives on counts at what exercise pays, and above it has no bound here.
    contract_limit : (n,) structures that the volume and open-interest shares allow; infinite without them.
    skip_reason : (n,) empty where the position can be opened.
    ticker : name of the underlying.
    entry_day : (n,) of the entry, days since 1970-01-01.
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
    leg_volatilities: FloatArray
    is_last: BoolArray
    entry_spot: FloatArray
    premium: FloatArray
    least_payoff: FloatArray
    greatest_payoff: FloatArray
    contract_limit: FloatArray
    skip_reason: TextArray
    ticker: str
    entry_day: IntArray

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


def open_positions(market: QuotedMarket, plan: TradePlan, *, entries: Entries) -> OpenedPositions:
    """Choose expiration and strikes among the quotes of the entry's own mark and price every leg there.

    All legs are quoted on that one mark, or the entry is skipped with a word of ``outcomes``, the first that applies.
    That a split in a ratio that nobody knows makes other contracts of these before the last leg expires is known at the
    entry, for splits are announced: ``split_while_held: looks like 1 for 8 on 2024-06-10``. One whose terms are known
    changes nothing here, see ``adjusted_contracts``.
    """
    structure = plan.structure
    tried = entries.skip_reason == ""
    entry = np.where(tried, entries.entry, 0)
    chosen = choose_contracts(market, plan, entry=entry, tried=tried, named=entries.named)
    leg_days, strikes, leg_prices = chosen.leg_expiration_day, chosen.strikes, chosen.quotes.price
    has_legs: BoolArray = np.all(np.isfinite(strikes), axis=1)
    spot = market.spot[entry]
    premium = leg_prices @ structure.signed_ratios + structure.underlying_ratio * spot
    bounds = _bounds_at_front(structure, np.where(has_legs[:, np.newaxis], strikes, np.nan))
    settlement, has_settlement = settlement_positions(market, leg_days)
    split = market.actions.unknown.within(market.days[entry], leg_days.max(axis=1)).astype(str)
    reason = np.select(
        [
            ~tried,
            np.isnan(spot),
            _has_no_level(market, entry),
            (leg_days == 0).any(axis=1),
            _misses_bounds(plan, strikes),
            ~has_legs,
            split != "",
            ~(leg_prices > 0.0).all(axis=1),
            ~(bounds.greatest - premium > 0.0),
            ~(premium - bounds.least > 0.0) & (not structure.expires_together),
            ~has_settlement[:, front_leg(structure)],
            settlement[:, front_leg(structure)] <= entry,
        ],
        [
            entries.skip_reason.astype(str), NO_UNDERLYING_PRICE, NO_VOLATILITY_INDEX, NO_EXPIRATION,
            OUTSIDE_DELTA_RANGE, MISSING_LEG, np.char.add(f"{SPLIT_WHILE_HELD}: ", split), NO_ENTRY_PRICE,
            NO_POSSIBLE_PROFIT, COSTS_NOTHING, NO_SETTLEMENT_PRICE, SETTLES_AT_ENTRY,
        ],
        "",
    ).astype(object)  # fmt: skip
    return OpenedPositions(
        plan=plan,
        entries=entries,
        entry=entry,
        expiration_day=chosen.expiration_day,
        leg_expiration_day=leg_days,
        # A later leg that no session of the data settles is held until a quote lets it go.
        leg_settlement=np.where(has_settlement, settlement, len(market)),
        strikes=strikes,
        leg_prices=leg_prices,
        leg_marks=chosen.quotes.mark,
        leg_volatilities=chosen.quotes.volatility,
        is_last=np.any(chosen.quotes.is_last, axis=1),
        entry_spot=spot,
        premium=premium,
        least_payoff=bounds.least,
        greatest_payoff=bounds.greatest,
        contract_limit=chosen.contract_limit,
        skip_reason=reason,
        ticker=market.ticker,
        entry_day=np.asarray(market.days, dtype=np.int64)[entry],
    )


def held_positions(
    market: QuotedMarket,
    plan: TradePlan,
    *,
    entries: Entries,
    leg_expiration_day: IntArray,
    strikes: FloatArray,
    leg_prices: FloatArray,
    entry_spot: FloatArray,
) -> OpenedPositions:
    """Return positions that were filled before, in the contracts and at the prices of their fills.

    What follows from the fills is computed as ``open_positions`` does; nothing is chosen, quoted or skipped. Marks and
    volatilities of the entry are unknown (NaN).

    Parameters
    ----------
    entries : when each was filled, its target and its flip.
    leg_expiration_day, strikes, leg_prices : (n, legs) in the order of the legs.
    entry_spot : (n,) underlying at the fill, USD.
    """
    structure = plan.structure
    bounds = _bounds_at_front(structure, strikes)
    settlement, _ = settlement_positions(market, leg_expiration_day)
    rows = len(entries)
    return OpenedPositions(
        plan=plan,
        entries=entries,
        entry=entries.entry,
        expiration_day=leg_expiration_day[:, front_leg(structure)],
        leg_expiration_day=leg_expiration_day,
        leg_settlement=settlement,
        strikes=strikes,
        leg_prices=leg_prices,
        leg_marks=np.full(strikes.shape, np.nan),
        leg_volatilities=np.full(strikes.shape, np.nan),
        is_last=np.zeros(rows, dtype=np.bool_),
        entry_spot=entry_spot,
        premium=leg_prices @ structure.signed_ratios + structure.underlying_ratio * entry_spot,
        least_payoff=bounds.least,
        greatest_payoff=bounds.greatest,
        contract_limit=np.full(rows, np.inf),
        skip_reason=np.full(rows, "", dtype=object),
        ticker=market.ticker,
        entry_day=np.asarray(market.days, dtype=np.int64)[entries.entry],
    )


def _misses_bounds(plan: TradePlan, strikes: FloatArray) -> BoolArray:
    """Entries of which a leg whose delta has bounds found no strike."""
    bounded = [isinstance(choice, TargetDelta) and choice.bounds is not None for choice in plan.strikes]
    return np.asarray(np.isnan(strikes[:, bounded]).any(axis=1), dtype=np.bool_)


def _has_no_level(market: QuotedMarket, entry: IntArray) -> BoolArray:
    """A modelled market has no index level there; a chain needs none."""
    if isinstance(market, ModelledMarket):
        return np.isnan(market.level[entry])
    return np.zeros(len(entry), dtype=np.bool_)


def _bounds_at_front(structure: Structure, strikes: FloatArray) -> PayoffBounds:
    bounds = payoff_bounds(at_front_expiration(structure), strikes)
    if structure.expires_together:
        return bounds
    return PayoffBounds(least=bounds.least, greatest=np.where(np.isnan(bounds.greatest), np.nan, np.inf))
