"""One order and one held position on a market of quotes, by the engine that runs the backtests.

Here an order becomes an entry of that engine and a held position one of its rows; prices, sizes, exits and marks are
the engine's. Whose account it is does not belong here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.backtest.markets.dividends import Dividends
from trading_dag.backtest.plans.exit_rules import EXIT_ORDER, SIGNAL_FLIP_EXIT, ExitRules
from trading_dag.backtest.plans.outcomes import ENTRY_AFTER_DATA
from trading_dag.backtest.plans.trade_plan import TradePlan
from trading_dag.backtest.trades.account import fees_one_way_usd, size_positions
from trading_dag.backtest.trades.contract_choice import QuotedMarket
from trading_dag.backtest.trades.entries import Entries, NamedContracts, entries_from_signals
from trading_dag.backtest.trades.exits import Exits, leave_positions
from trading_dag.backtest.trades.paths import PositionPaths, gather_paths, withheld
from trading_dag.backtest.trades.positions import OpenedPositions, held_positions, open_positions
from trading_dag.errors import PriceBaseError
from trading_dag.options.structures.structure import Structure
from trading_dag.paper.orders import Fill, LegFill, Order, OrderLeg, PlanKey, Quote, Right, Side

_LARGEST_CORRECTION: Final = 0.02
_RIGHTS: Final[Mapping[str, Right]] = {"C": "call", "P": "put"}
_SIDES: Final[Mapping[str, Side]] = {"buy": "buy", "sell": "sell"}


@dataclass(frozen=True)
class TickerView:
    """Shows what is known of one ticker's quotes now, and how its structures are traded.

    Attributes
    ----------
    market : its marks as far as they are known.
    plans : the trade plan of each structure by name.
    splits : (k,) split factors after the first session, by session; prices of before are restated by them.
    dividends, rate : as ``gather_paths`` takes them.
    """

    market: QuotedMarket
    plans: Mapping[str, TradePlan]
    splits: pd.Series = field(default_factory=lambda: pd.Series(dtype="float64", index=pd.DatetimeIndex([])))
    dividends: Dividends | None = None
    rate: float = 0.0

    @cached_property
    def newest(self) -> Quote | None:
        """Return the last quote that is known; None where there is none."""
        return self.quote(len(self.market) - 1) if len(self.market) else None

    def quote(self, place: int) -> Quote:
        """Return the name of a mark of the market."""
        session = pd.Timestamp(self.market.sessions[place]).as_unit("us")
        return Quote(session, bool(self.market.is_close[place]))

    def place(self, quote: Quote) -> int:
        """Return the first mark at or after a quote; ``len`` where the data ends first."""
        day = np.datetime64(quote.session, "D").astype(np.int64)
        side = int(self.market.days.searchsorted(day))
        while side < len(self.market) and self.market.days[side] == day and not self.market.is_close[side]:
            if not quote.is_close:
                break
            side += 1
        return side

    def base_since(self, session: pd.Timestamp) -> float:
        """Return by how much prices of a session have been divided since, because of splits after it."""
        later = self.splits[self.splits.index > session].dropna()
        return float(later[later > 0.0].to_numpy(dtype=np.float64).prod()) if self.market.has_open_marks else 1.0


@dataclass(frozen=True)
class Held:
    """Holds a position as it was filled, and what it waits for.

    Attributes
    ----------
    fill : of the entry.
    size : share of the risk budget it was opened with, which a roll takes over.
    target_session : at whose close it is left at the latest.
    flip_session : session of the first opposite signal; None for none so far.
    past : the last quote that was worked on before: an order that is sent now is not filled there; None for none.
    """

    key: PlanKey
    structure: str
    fill: Fill
    size: float
    target_session: pd.Timestamp
    flip_session: pd.Timestamp | None = None
    past: Quote | None = None


@dataclass(frozen=True)
class Opening:
    """Says what became of an entry: a fill, a reason why there is none, or, with neither, that its quote is to come."""

    fill: Fill | None = None
    reason: str = ""


@dataclass(frozen=True)
class Mark:
    """Holds what a position is worth at a session's close, all contracts, USD, and the underlying's price."""

    session: pd.Timestamp
    value_usd: float
    spot: float
    days_left: int


@dataclass(frozen=True)
class Course:
    """Says how a position has gone since its entry.

    Attributes
    ----------
    reason : why it ends; empty while it is held.
    fill : at which it ends; None while it is held.
    marks : at every close from the entry on over which it is held.
    """

    reason: str
    fill: Fill | None
    marks: tuple[Mark, ...]


def entry_quote(view: TickerView, order: Order) -> Quote | None:
    """Return the quote at which an order would be filled; None where it is not known yet."""
    if not len(view.market):
        return None
    entries = _entry_of(view, order)
    if entries.skip_reason[0] == ENTRY_AFTER_DATA:
        return None
    # What is skipped is so from the first quote after its session on.
    day = np.datetime64(order.key.session, "D").astype(np.int64)
    first = int(view.market.days.searchsorted(day, side="right"))
    place = int(entries.entry[0])
    return view.quote(place if place >= 0 else min(first, len(view.market) - 1))


def open_one(view: TickerView, order: Order) -> Opening:
    """Fill an opening order at its quote: contracts, prices and size as the backtest would."""
    if not len(view.market):
        return Opening()
    entries = _entry_of(view, order)
    if entries.skip_reason[0] == ENTRY_AFTER_DATA:
        return Opening()
    plan = view.plans[order.structure]
    positions = open_positions(view.market, plan, entries=entries)
    sized = size_positions(positions, plan.account)
    contracts = int(sized.contracts[0])
    if contracts < 1:
        return Opening(reason=str(sized.skip_reason[0]))
    multiplier = plan.account.multiplier
    return Opening(
        Fill(
            quote=view.quote(int(positions.entry[0])),
            legs=_legs(plan.structure, positions.strikes[0], positions.leg_expiration_day[0], positions.leg_prices[0]),
            contracts=contracts,
            cash_usd=cents(-contracts * multiplier * float(positions.premium[0])),
            fees_usd=cents(contracts * fees_one_way_usd(positions, plan.account)),
            spot=float(positions.entry_spot[0]),
            max_loss_usd=contracts * multiplier * float(positions.maximum_loss[0]),
            margin_usd=contracts * float(sized.margin_usd[0]),
            quote_source=view.market.quote_source,
        )
    )


def course_of(view: TickerView, held: Held) -> Course:
    """Follow a position to the last quote that is known, by the exits of its plan, its target and its flip.

    Raises
    ------
    PriceBaseError : where the stored price of the entry is another, and no split explains it.
    """
    market, flip = view.market, len(view.market)
    target = np.array([np.datetime64(held.target_session, "D").astype(np.int64)])
    if held.flip_session is not None:
        day = np.datetime64(held.flip_session, "D").astype(np.int64)
        flip = int(market.days.searchsorted(day, side="right"))
    horizon = market.close_positions(target)
    if held.past is not None:
        # Where its target went by unused, it is due at the next close.
        horizon = np.maximum(horizon, view.place(held.past) + 1)
    return _course(view, held, view.plans[held.structure].exits, horizon=horizon, flip=flip)


def settled_course(view: TickerView, held: Held) -> Course:
    """Follow a position for which nobody sends an order: it ends by expiration or assignment alone."""
    return _course(view, held, ExitRules(), horizon=np.array([-1]), flip=len(view.market))


def close_at(view: TickerView, held: Held, due: Quote) -> Fill | None:
    """Close a position at a quote; None where it has not come, or a leg cannot be closed there or after it."""
    rules = ExitRules(on_signal_flip=True)
    course = _course(view, held, rules, horizon=np.array([-1]), flip=view.place(due))
    return course.fill if course.reason == SIGNAL_FLIP_EXIT else None


def _course(view: TickerView, held: Held, rules: ExitRules, *, horizon: IntArray, flip: int) -> Course:
    """The course of a position under rules; horizon and flip are places in the market."""
    plan = view.plans[held.structure]
    base = _base(view, held)
    entries = Entries(
        signal=np.array([held.key.session.to_datetime64()], dtype="datetime64[D]"),
        entry=np.array([view.place(held.fill.quote)], dtype=np.int64),
        horizon=np.asarray(horizon, dtype=np.int64),
        flip=np.array([flip], dtype=np.int64),
        size=np.array([held.size]),
        skip_reason=np.array([""], dtype=object),
    )
    positions = _as_opened(view, plan, held, entries=entries, base=base)
    paths = gather_paths(view.market, positions, dividends=view.dividends, rate=view.rate)
    if held.past is not None:
        paths = withheld(paths, before=np.array([view.place(held.past) + 1]))
    exits = leave_positions(paths, rules)
    usd = held.fill.contracts * plan.account.multiplier * base
    marks = _marks(view, paths, exits, usd=usd)
    if exits.reason[0] < 0:
        return Course("", None, marks)
    shares_become = float(exits.contracts[0]) * max(base, 1.0)
    fill = Fill(
        quote=view.quote(int(exits.exit[0])),
        legs=_legs(plan.structure, positions.strikes[0], positions.leg_expiration_day[0], exits.leg_prices[0]),
        contracts=held.fill.contracts,
        cash_usd=cents(usd * float(exits.value[0])),
        fees_usd=cents(held.fill.contracts * fees_one_way_usd(positions, plan.account) * shares_become),
        spot=float(exits.spot[0]),
        max_loss_usd=held.fill.max_loss_usd,
        margin_usd=held.fill.margin_usd,
        quote_source=view.market.quote_source,
        dividends_usd=cents(usd * float(exits.dividend_received[0])),
    )
    return Course(EXIT_ORDER[int(exits.reason[0])], fill, marks)


def cents(amount_usd: float) -> float:
    """Return an amount in whole cents."""
    return round(amount_usd, 2) + 0.0


def _entry_of(view: TickerView, order: Order) -> Entries:
    """The order as the one entry that it is."""
    market = view.market
    day = np.array([order.key.session.to_datetime64()], dtype="datetime64[D]")
    entries = entries_from_signals(
        market,
        day,
        targets=np.array([order.target_session.to_datetime64()], dtype="datetime64[D]"),
        sizes=[order.size],
    )
    named = _named(order) if order.names_contracts else None
    if order.due is None:
        return _changed(entries, named=named)
    place = view.place(order.due)
    reason = ENTRY_AFTER_DATA if place >= len(market) else ""
    return _changed(entries, entry=-1 if reason else place, reason=reason, named=named)


def _changed(
    entries: Entries, *, named: NamedContracts | None, entry: int | None = None, reason: str | None = None
) -> Entries:
    return Entries(
        signal=entries.signal,
        entry=entries.entry if entry is None else np.array([entry], dtype=np.int64),
        horizon=entries.horizon,
        flip=entries.flip,
        size=entries.size,
        skip_reason=entries.skip_reason if reason is None else np.array([reason], dtype=object),
        named=named,
    )


def _named(order: Order) -> NamedContracts:
    days = [int(np.datetime64(leg.expiration, "D").astype(np.int64)) for leg in order.legs]
    return NamedContracts(np.array([min(days)]), np.array([[leg.strike for leg in order.legs]]))


def _as_opened(view: TickerView, plan: TradePlan, held: Held, *, entries: Entries, base: float) -> OpenedPositions:
    legs = held.fill.legs
    days = [int(np.datetime64(one.leg.expiration, "D").astype(np.int64)) for one in legs]
    return held_positions(
        view.market,
        plan,
        entries=entries,
        leg_expiration_day=np.array([days], dtype=np.int64),
        strikes=np.array([[one.leg.strike for one in legs]]) / base,
        leg_prices=np.array([[one.price for one in legs]]) / base,
        entry_spot=np.array([held.fill.spot]) / base,
    )


def _base(view: TickerView, held: Held) -> float:
    """By how much the market's prices of the entry were divided since it was filled."""
    base, place = view.base_since(held.fill.quote.session), view.place(held.fill.quote)
    if place >= len(view.market):
        rule = f"the session {held.fill.quote.session:%Y-%m-%d}, at which it was filled, is not among the prices"
        raise PriceBaseError(table="raw.prices_daily", key=held.key.position_id, rule=rule)
    now = float(view.market.spot[place]) * base
    if abs(now / held.fill.spot - 1.0) > _LARGEST_CORRECTION:
        rule = (
            f"the price at its entry was {held.fill.spot:g} and is {now:g} now, after splits by {base:g} since; "
            "a split that is not among the prices would explain it"
        )
        raise PriceBaseError(table="raw.prices_daily", key=held.key.position_id, rule=rule)
    return base


def _marks(view: TickerView, paths: PositionPaths, exits: Exits, *, usd: float) -> tuple[Mark, ...]:
    last = int(exits.column[0]) if exits.reason[0] >= 0 else paths.at.shape[1]
    wanted = np.flatnonzero(paths.is_held[0] & paths.is_close[0] & (np.arange(paths.at.shape[1]) < last))
    value = usd * (paths.mark[0] + paths.dividends_received[0])
    return tuple(
        Mark(
            view.quote(int(paths.at[0, column])).session,
            cents(float(value[column])),
            float(paths.spot[0, column]),
            int(paths.days_left[0, column]),
        )
        for column in wanted
    )


def _legs(
    structure: Structure, strikes: FloatArray, expiration_days: IntArray, prices: FloatArray
) -> tuple[LegFill, ...]:
    return tuple(
        LegFill(
            OrderLeg(
                _SIDES[leg.side],
                _RIGHTS[leg.option_right],
                float(strike),
                pd.Timestamp(np.datetime64(int(day), "D")).as_unit("us"),
                leg.ratio,
            ),
            float(price),
        )
        for leg, strike, day, price in zip(structure.legs, strikes, expiration_days, prices, strict=True)
    )
