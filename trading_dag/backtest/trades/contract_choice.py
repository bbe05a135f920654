"""Which contracts each entry opens, and their quotes there: chosen among a chain's rows, or on a modelled grid.

The one place that knows the two kinds of market apart. What is paid for them and what follows is ``positions``'.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.backtest.markets.chain_market import ChainMarket
from trading_dag.backtest.markets.contract_quotes import ContractQuotes
from trading_dag.backtest.markets.modelled_market import ModelledMarket
from trading_dag.backtest.plans.trade_plan import FillAssumptions, OwnRule, TargetDelta, TradePlan, Width
from trading_dag.backtest.trades.entries import NamedContracts
from trading_dag.backtest.trades.expirations import choose_expiration_days, leg_expiration_days
from trading_dag.errors import ConfigurationError
from trading_dag.options.structures.strike_selection import choose_strikes
from trading_dag.options.structures.structure import (
    Leg,
    SameStrikeRule,
    Structure,
    TargetDeltaRule,
    WidthRule,
)

QuotedMarket = ChainMarket | ModelledMarket
"""What a trade plan runs on."""


@dataclass(frozen=True)
class ChosenContracts:
    """Holds the contracts of every entry.

    Attributes
    ----------
    expiration_day : (n,) of the front, days since 1970-01-01; 0 for none.
    leg_expiration_day : (n, legs) of each leg; 0 for none.
    strikes : (n, legs) NaN where no strike is near enough.
    quotes : (n, legs) of opening each leg.
    contract_limit : (n,) structures that the volume and open-interest shares allow; infinite without them.
    """

    expiration_day: IntArray
    leg_expiration_day: IntArray
    strikes: FloatArray
    quotes: ContractQuotes
    contract_limit: FloatArray


def choose_contracts(
    market: QuotedMarket,
    plan: TradePlan,
    *,
    entry: IntArray,
    tried: BoolArray,
    named: NamedContracts | None = None,
) -> ChosenContracts:
    """Return expiration, strikes and quotes of every entry, from the quotes of its own mark.

    Parameters
    ----------
    entry : (n,) positions in the market.
    tried : (n,) which of them are looked at.
    named : contracts that are opened as they are, on a modelled market.
    """
    if isinstance(market, ModelledMarket):
        return _on_grid(market, plan, entry=entry, tried=tried, named=named)
    return _among_rows(market, plan, entry=entry, tried=tried)


def _on_grid(
    market: ModelledMarket,
    plan: TradePlan,
    *,
    entry: IntArray,
    tried: BoolArray,
    named: NamedContracts | None,
) -> ChosenContracts:
    """Strikes of a modelled market lie on the grid of its settings."""
    wanted = plan.expiration
    front = market.front_expirations(
        entry, target=wanted.target_days, least=wanted.minimum_days, most=wanted.maximum_days
    )
    if named is not None:
        front = np.where(named.expiration_day > 0, named.expiration_day, front)
    front = np.where(tried, front, 0)
    leg_days = np.column_stack(
        [
            front
            if leg.expiry_rule == "weekly"
            else market.later_expirations(front, days_after=leg.expiry_rule.days_after_front)
            for leg in plan.structure.legs
        ]
    ).astype(np.int64)
    has_expirations: BoolArray = np.all(leg_days > 0, axis=1)
    years = np.where(has_expirations[:, np.newaxis], market.years_to(leg_days, entry[:, np.newaxis]), np.nan)
    strikes = choose_strikes(
        _structure_on_grid(plan), market.surface_at(entry), spot=market.spot[entry], years=years,
        settings=market.history.settings.backtest,
    )  # fmt: skip
    if named is not None:
        is_named = (named.expiration_day > 0)[:, np.newaxis] & market.surface_at(entry).is_known[:, np.newaxis]
        strikes = np.where(is_named, named.strikes, strikes)
    strikes = np.where(has_expirations[:, np.newaxis], strikes, np.nan)
    has_targets = any(isinstance(choice, TargetDelta) for choice in plan.strikes)
    quotes = market.quotes_of(
        entry[:, np.newaxis], leg_days, is_call=plan.structure.is_call, strike=strikes,
        is_bought=plan.structure.signed_ratios > 0, with_delta=has_targets,
    )  # fmt: skip
    if has_targets:
        strikes = np.where(_is_too_far(plan, np.abs(quotes.delta)), np.nan, strikes)
    return ChosenContracts(front, leg_days, strikes, quotes, np.full(len(entry), np.inf))


def _is_too_far(plan: TradePlan, absolute_delta: FloatArray) -> BoolArray:
    """Legs whose delta on the grid is beyond the tolerance or the bounds of the choice, (n, legs)."""
    too_far = np.zeros(absolute_delta.shape, dtype=np.bool_)
    for leg, choice in enumerate(plan.strikes):
        if isinstance(choice, TargetDelta):
            target, room = choice.absolute_delta, choice.tolerance
            least, most = choice.bounds if choice.bounds is not None else (target - room - 1e-9, target + room + 1e-9)
            too_far[:, leg] = (absolute_delta[:, leg] < least) | (absolute_delta[:, leg] > most)
    return too_far


def _structure_on_grid(plan: TradePlan) -> Structure:
    """The structure with the plan's choices as strike rules of its legs."""
    legs = []
    for leg, choice in zip(plan.structure.legs, plan.strikes, strict=True):
        rule: Any = leg.strike_rule
        if isinstance(choice, TargetDelta):
            rule = TargetDeltaRule(choice.absolute_delta)
        elif isinstance(choice, Width):
            outward = 1.0 if leg.option_right == "C" else -1.0
            width = WidthRule(choice.from_leg, outward * choice.distance, choice.unit)
            rule = width if choice.distance else SameStrikeRule(choice.from_leg)
        legs.append(replace(leg, strike_rule=rule))
    return replace(plan.structure, legs=tuple(legs))


def _among_rows(market: ChainMarket, plan: TradePlan, *, entry: IntArray, tried: BoolArray) -> ChosenContracts:
    """Strikes of a chain are those that the entry's session quotes."""
    structure = plan.structure
    expiration_day = np.where(tried, choose_expiration_days(market, entry, choice=plan.expiration), 0)
    leg_days = leg_expiration_days(market, structure, entry=entry, front_day=expiration_day)
    row = np.full(leg_days.shape, -1, dtype=np.int64)
    strikes = np.full(row.shape, np.nan)
    for position in range(len(structure.legs)):
        row[:, position] = _choose_rows(
            market, plan, position=position, entry=entry, expiration_day=leg_days[:, position], strikes=strikes
        )
        strikes[:, position] = np.where(row[:, position] >= 0, _taken(market.strike, row[:, position]), np.nan)
    ratios = structure.signed_ratios
    return ChosenContracts(
        expiration_day=expiration_day,
        leg_expiration_day=leg_days,
        strikes=strikes,
        quotes=market.quotes_at_rows(row, is_bought=ratios > 0),
        contract_limit=_contract_limit(market, row, ratios=np.abs(ratios), fills=market.fills),
    )


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
    elif isinstance(choice, OwnRule):
        raise ConfigurationError(
            f"trade plan {plan.name!r}, leg {position}: the rule of the leg needs a strike grid, and a chain has none"
        )
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
