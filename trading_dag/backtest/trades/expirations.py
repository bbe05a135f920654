"""Which listed expiration each leg has, and which session settles it.

Strikes and prices are ``positions``' business. The front is the expiration that all legs have, or the earlier of two.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, IntArray
from trading_dag.backtest.markets.chain_market import ChainMarket
from trading_dag.backtest.markets.modelled_market import ModelledMarket
from trading_dag.backtest.plans.trade_plan import ExpirationChoice
from trading_dag.options.chains.contracts import is_morning_settled, last_trading_day_numbers
from trading_dag.options.structures.structure import BackExpiryRule, Structure

_LEAST_ROOM_DAYS: Final = 7
_DAY_BITS: Final = 16


def choose_expiration_days(market: ChainMarket, entry: IntArray, *, choice: ExpirationChoice) -> IntArray:
    """Return the listed expiration whose days are nearest to the target, in days since 1970-01-01; 0 for none in
    bounds."""
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


def leg_expiration_days(market: ChainMarket, structure: Structure, *, entry: IntArray, front_day: IntArray) -> IntArray:
    """Return the expiration of every leg, (n, legs) in days since 1970-01-01; 0 for none listed.

    A leg of a ``BackExpiryRule`` has the first listed expiration at least so many days after the front, and no more
    than twice as many (or a week more).
    """
    columns = [
        _later_expiration_days(market, entry, front_day, days_after=leg.expiry_rule.days_after_front)
        if isinstance(leg.expiry_rule, BackExpiryRule)
        else front_day
        for leg in structure.legs
    ]
    return np.column_stack(columns).astype(np.int64)


def _later_expiration_days(market: ChainMarket, entry: IntArray, front_day: IntArray, *, days_after: int) -> IntArray:
    session, expiration_day = market.listed_expirations
    place = np.searchsorted(session << _DAY_BITS | expiration_day, entry << _DAY_BITS | (front_day + days_after))
    found = np.minimum(place, len(session) - 1)
    longest = front_day + max(2 * days_after, days_after + _LEAST_ROOM_DAYS)
    is_listed = (place < len(session)) & (session[found] == entry) & (expiration_day[found] <= longest)
    return np.where(is_listed & (front_day > 0), expiration_day[found], 0)


def front_leg(structure: Structure) -> int:
    """Place of the first leg at the front expiration; every structure has one."""
    return next(place for place, leg in enumerate(structure.legs) if leg.expiry_rule == "weekly")


def settlement_positions(market: ChainMarket | ModelledMarket, expiration_day: IntArray) -> tuple[IntArray, BoolArray]:
    """Session whose price settles each expiration (any shape), and whether there is one or the data ends first.

    It is the contract's last trading day (``contracts.last_trading_days``): the expiration date, or the session before
    where that is none (a Saturday, a Good Friday). The data has that very session, or a hole: then no price settles,
    for the day before is not the price that was.
    """
    last_day = last_trading_day_numbers(expiration_day)
    is_beyond = last_day > market.days[-1]
    settlement = np.maximum(market.days.searchsorted(last_day, side="right").astype(np.int64) - 1, 0)
    has_price = is_beyond | ((market.days[settlement] == last_day) & np.isfinite(market.spot[settlement]))
    # Settled on the opening prices of a day after its last trading: end-of-day quotes do not have that price.
    has_price &= ~_is_settled_in_the_morning(market, expiration_day)
    return np.where(is_beyond, len(market), settlement), has_price


def _is_settled_in_the_morning(market: ChainMarket | ModelledMarket, expiration_day: IntArray) -> BoolArray:
    if market.terms.morning_settled == "never":
        return np.zeros(expiration_day.shape, dtype=np.bool_)
    expirations = pd.Series(expiration_day.ravel().astype("datetime64[D]").astype("datetime64[us]"))
    is_morning = is_morning_settled(pd.Series(market.ticker, index=expirations.index), expirations)
    return np.asarray(is_morning.reshape(expiration_day.shape), dtype=np.bool_)
