"""A chain of modelled quotes, where none is stored: the contracts that weekly entries of a menu may want, no others.

The trade plans of ``plan_runs`` run on it as on a stored chain. Prices are the surface's (``options.surface``), so
whatever is found on them is an assumption; at which sessions a plan enters is ``entries``' business.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.backtest.markets.chain_market import ChainMarket, chain_market, packed_key
from trading_dag.backtest.markets.corporate_actions import NO_ACTIONS
from trading_dag.backtest.markets.market import Market
from trading_dag.backtest.plans.trade_plan import FillAssumptions
from trading_dag.day_count import DAYS_PER_YEAR
from trading_dag.errors import InsufficientDataError
from trading_dag.options.pricing.greeks import greeks
from trading_dag.options.structures.quotes import modelled_quotes
from trading_dag.options.structures.strike_selection import choose_leg_expirations, choose_strikes
from trading_dag.options.structures.structure import Leg, Structure

MODELLED: Final = "modelled"
_MONDAY_OFFSET: Final = 3


def modelled_chain(
    market: Market,
    menu: Iterable[Structure],
    *,
    days_to_expiration: int,
    first: int,
) -> ChainMarket:
    """Return quotes at every close, for the contracts that a weekly entry into any structure of the menu chooses.

    Parameters
    ----------
    market : closes, index levels and rates; its settings hold the surface, the spread and the strike grid.
    menu : structures whose strikes are listed, calls and puts at each of them.
    days_to_expiration : the front expiration is the first weekly one at least so many calendar days after the entry.
    first : position of the first session in the market.

    Returns
    -------
    A market of consecutive sessions, named ``modelled``: its contracts settle at the close of their expiration,
    whatever the listed ones of that ticker do. A contract is quoted from the first entry that chooses it to the session
    before it expires. Its delta is known on sessions of entries only. Each quote uses the index level and the rate of
    its own close; where the index has none, there is no quote.

    Raises
    ------
    InsufficientDataError : where no entry has a quote.
    """
    entry = weekly_positions(market, first=first)
    start, expiration_day, strike = _wanted_contracts(market, menu, entry=entry, days_to_expiration=days_to_expiration)
    count = np.maximum(_days(market.sessions).searchsorted(expiration_day) - start, 0)
    if not count.sum():
        raise InsufficientDataError("no entry has both a close and a volatility index")
    contract = np.repeat(np.arange(len(count)), count)
    at = start[contract] + np.arange(len(contract)) - np.repeat(np.cumsum(count) - count, count)
    quotes = _quotes(
        market, at=at, expiration_day=expiration_day[contract], strike=strike[contract],
        has_delta=np.isin(np.arange(len(market)), entry),
    )  # fmt: skip
    # Spread and slippage are in the quotes already, and a model has no volume to be limited by.
    fills = FillAssumptions(price_tick_usd=market.settings.backtest.price_tick_usd)
    # Prices are adjusted for splits, and strikes are listed anew around every one of them.
    return replace(chain_market(quotes, ticker=MODELLED, fills=fills), actions=NO_ACTIONS)


def weekly_positions(market: Market, *, first: int) -> IntArray:
    """Return the first session of each week, which begins on Monday, from a position of the market on."""
    week = (_days(market.sessions)[first:] + _MONDAY_OFFSET) // 7
    return np.asarray(first + np.flatnonzero(np.diff(week, prepend=-1)), dtype=np.int64)


def first_quoted_position(market: Market, *, years: float) -> int:
    """Return the first position with a close and an index level, at most so many years before the last session.

    Raises
    ------
    InsufficientDataError : where there is none.
    """
    is_quoted = np.isfinite(market.close) & np.isfinite(market.index_close)
    if len(market):
        earliest = market.sessions[-1] - pd.Timedelta(days=years * DAYS_PER_YEAR)
        is_quoted &= np.asarray(market.sessions >= earliest)
    if not is_quoted.any():
        raise InsufficientDataError("no session has both a close and a volatility index")
    return int(is_quoted.argmax())


def _wanted_contracts(
    market: Market, menu: Iterable[Structure], *, entry: IntArray, days_to_expiration: int
) -> tuple[IntArray, IntArray, FloatArray]:
    """Position of the first entry that wants it, expiration (days since 1970-01-01) and strike of each contract."""
    everything = Structure("menu", _distinct_legs(menu))
    sessions = market.sessions[entry]
    expirations = choose_leg_expirations(everything, sessions, days_to_expiration=days_to_expiration)
    has_expiration = np.column_stack([dates.notna() for dates in expirations])
    expiration_day = np.where(has_expiration, np.column_stack([_days(dates) for dates in expirations]), 0)
    years = (expiration_day - _days(sessions)[:, np.newaxis]) / DAYS_PER_YEAR
    strike = choose_strikes(
        everything, market.close_surface(entry), spot=market.close[entry],
        years=np.where(has_expiration, years, np.nan), settings=market.settings.backtest,
    )  # fmt: skip
    is_listed = has_expiration & np.isfinite(strike)
    start = np.broadcast_to(entry[:, np.newaxis], strike.shape)[is_listed]
    wanted, of_strike = expiration_day[is_listed], strike[is_listed]
    # Entries come in the order of their sessions, so the first of equal contracts is the earliest.
    _, kept = np.unique(
        packed_key(np.zeros_like(wanted), wanted, is_call=np.ones(len(wanted), dtype=np.bool_), strike=of_strike),
        return_index=True,
    )
    return start[kept], wanted[kept], of_strike[kept]


def _distinct_legs(menu: Iterable[Structure]) -> tuple[Leg, ...]:
    """Every leg of the menu once, as a bought one, with its references to other legs kept right."""
    legs: list[Leg] = []
    for structure in menu:
        place: list[int] = []
        for leg in structure.legs:
            rule: Any = leg.strike_rule
            if hasattr(rule, "leg"):
                rule = replace(rule, leg=place[rule.leg])
            apart_from = None if leg.apart_from is None else place[leg.apart_from]
            wanted = replace(leg, side="buy", ratio=1, strike_rule=rule, apart_from=apart_from)
            if wanted not in legs:
                legs.append(wanted)
            place.append(legs.index(wanted))
    return tuple(legs)


def _quotes(
    market: Market, *, at: IntArray, expiration_day: IntArray, strike: FloatArray, has_delta: BoolArray
) -> dict[str, Any]:
    """Columns of a chain, the call and the put of each row given, sorted as chains are."""
    days = _days(market.sessions)
    is_call = np.repeat([True, False], len(at))
    at, expiration_day, strike = np.tile(at, 2), np.tile(expiration_day, 2), np.tile(strike, 2)
    order = np.argsort(packed_key(days[at], expiration_day, is_call=is_call, strike=strike))
    at, expiration_day, strike, is_call = at[order], expiration_day[order], strike[order], is_call[order]
    years = (expiration_day - days[at]) / DAYS_PER_YEAR
    spot = market.close[at]
    quoted = modelled_quotes(
        market.close_surface(at), spot, strike=strike, years=years, is_call=is_call, settings=market.settings.backtest
    )
    delta = np.full(len(at), np.nan)
    chosen_from = np.flatnonzero(has_delta[at])
    delta[chosen_from] = greeks(
        spot=spot[chosen_from], strike=strike[chosen_from], years=years[chosen_from],
        rate=market.rate[at[chosen_from]], dividend_yield=market.settings.surface.dividend_yield,
        volatility=quoted.implied_volatility[chosen_from], is_call=is_call[chosen_from],
    ).delta  # fmt: skip
    return {
        "quote_date": days[at],
        "expiration": expiration_day,
        "strike": strike,
        "option_right": is_call,
        "underlying_price": spot,
        "bid": quoted.bid,
        "ask": quoted.ask,
        "delta": delta,
    }


def _days(dates: pd.DatetimeIndex) -> IntArray:
    """Days since 1970-01-01."""
    return np.asarray(dates.to_numpy().astype("datetime64[D]").astype(np.int64), dtype=np.int64)
