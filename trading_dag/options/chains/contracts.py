"""What the rules of the exchanges say about a listed contract: settlement, exercise, multiplier, and its clock.

Terms by underlying, adjusted contracts and the time to settlement belong here. Quotes and prices do not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.day_count import DAYS_PER_YEAR
from trading_dag.sessions import REGULAR_CLOSE_HOUR, TIME_UNIT, all_sessions, close_hours

Delivery = Literal["cash", "physical"]
ExerciseStyle = Literal["American", "European"]
MorningSettled = Literal["never", "monthly", "always"]
_FRIDAY: Final = 4
_ONE_DAY: Final = np.timedelta64(1, "D")
_THIRD_WEEK: Final = (15, 21)
OPEN_HOUR: Final = 9.5


@dataclass(frozen=True)
class ContractTerms:
    """Holds the terms of the options on one underlying.

    Attributes
    ----------
    delivery : cash, or shares of the underlying.
    exercise : when the holder may exercise.
    multiplier : shares, or USD an index point, for one contract.
    morning_settled : which expirations settle on the opening prices (AM) instead of the close (PM).
    margin_share : of the underlying's price, that a sold option without cover needs under Regulation T.
    """

    delivery: Delivery = "physical"
    exercise: ExerciseStyle = "American"
    multiplier: int = 100
    morning_settled: MorningSettled = "never"
    margin_share: float = 0.20


EQUITY_TERMS: Final = ContractTerms()
_BROAD_INDEX_SHARE: Final = 0.15
_CASH_MONTHLY_AM: Final = ContractTerms("cash", "European", morning_settled="monthly", margin_share=_BROAD_INDEX_SHARE)
_CASH_PM: Final = ContractTerms("cash", "European", margin_share=_BROAD_INDEX_SHARE)
INDEX_TERMS: Final[dict[str, ContractTerms]] = {
    "SPX": _CASH_MONTHLY_AM, "NDX": _CASH_MONTHLY_AM, "RUT": _CASH_MONTHLY_AM,
    "SPXW": _CASH_PM, "NDXP": _CASH_PM, "RUTW": _CASH_PM, "XSP": _CASH_PM,
    "VIX": ContractTerms("cash", "European", morning_settled="always"),
}  # fmt: skip


def terms_of(ticker: str) -> ContractTerms:
    """Return the terms of the options on a ticker: those of the cash index, otherwise of a share or fund.

    References
    ----------
    Cboe, specifications of SPX, XSP, NDX, RUT and VIX options; OCC, Characteristics and Risks of Standardized Options.
    """
    return INDEX_TERMS.get(ticker, EQUITY_TERMS)


def is_adjusted_root(roots: pd.Series) -> pd.Series:
    """Return whether an option root names an adjusted contract: the OCC appends a digit (SPY1) after a corporate
    action.

    Such a contract delivers something else than 100 shares, so its price fits no formula of the standard ones.
    """
    unique = pd.Series(roots.unique(), dtype="object")
    adjusted = unique[[isinstance(root, str) and root[-1:].isdigit() for root in unique]]
    return roots.isin(list(adjusted))


def last_trading_days(expirations: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return the last session up to each expiration date; until January 2015 monthly options were dated on a Saturday.

    Beyond the exchange calendar, which ends a year from today, only weekends are taken off.
    """
    days = pd.DatetimeIndex(expirations).to_numpy().astype("datetime64[D]")
    last = last_trading_day_numbers(days.astype(np.int64)).astype("datetime64[D]")
    return pd.DatetimeIndex(np.where(np.isnat(days), days, last)).as_unit(TIME_UNIT)


def last_trading_day_numbers(days: IntArray) -> IntArray:
    """Return what ``last_trading_days`` does, all dates as days since 1970-01-01, of any shape."""
    sessions = _session_days()
    # 1970-01-01 was a Thursday; Monday is 0.
    weekdays = days - np.maximum((days + 3) % 7 - _FRIDAY, 0)
    place = sessions.searchsorted(days, side="right") - 1
    is_known = (place >= 0) & (days <= sessions[-1])
    last: IntArray = np.where(is_known, sessions[np.maximum(place, 0)], weekdays)
    return last


@lru_cache(maxsize=1)
def _session_days() -> IntArray:
    days: IntArray = all_sessions().to_numpy().astype("datetime64[D]").astype(np.int64)
    return days


def is_monthly(expirations: pd.DatetimeIndex) -> BoolArray:
    """Return whether each expiration is the standard monthly one: the third Friday, or the session before if that is
    none."""
    days = last_trading_days(expirations)
    is_weekday = np.asarray(days.day_of_week <= _FRIDAY)
    fridays = days + pd.to_timedelta(np.where(is_weekday, _FRIDAY - days.day_of_week, 0), unit="D")
    is_third = (fridays.day >= _THIRD_WEEK[0]) & (fridays.day <= _THIRD_WEEK[1])
    monthly: BoolArray = np.asarray(is_third & (last_trading_days(pd.DatetimeIndex(fridays)) == days), dtype=np.bool_)
    return monthly


def is_morning_settled(tickers: pd.Series, expirations: pd.Series) -> BoolArray:
    """Return whether each contract settles on the opening prices of its last day; by ticker and expiration, (n,)."""
    if all(terms_of(ticker).morning_settled == "never" for ticker in tickers.dropna().unique()):
        return np.zeros(len(tickers), dtype=np.bool_)
    when = tickers.map({ticker: terms_of(ticker).morning_settled for ticker in tickers.dropna().unique()})
    codes, distinct = pd.factorize(expirations)
    monthly = np.append(is_monthly(pd.DatetimeIndex(distinct)), False)[codes]
    result: BoolArray = np.asarray((when == "always") | ((when == "monthly") & monthly), dtype=np.bool_)
    return result


def years_to_settlement(quote_dates: pd.Series, expirations: pd.Series, *, is_morning: ArrayLike) -> FloatArray:
    """Return the calendar time from the close of the quote date to settlement, in years of 365 days, (n,).

    Settlement is at the close of the last trading day, or at 09:30 where it is settled in the morning. Either close
    is that of the session: 13:00 on a half day, 16:00 otherwise, and also on a quote date that is no session and
    beyond the exchange calendar. Negative where the contract has settled; NaN where a date is missing.
    """
    quoted, quote_hour = _days_and_close_hours(quote_dates, pd.DatetimeIndex)
    last, close_hour = _days_and_close_hours(expirations, last_trading_days)
    settlement_hour = np.where(np.asarray(is_morning), OPEN_HOUR, close_hour)
    days = (last - quoted) / _ONE_DAY
    years: FloatArray = (days + (settlement_hour - quote_hour) / 24.0) / DAYS_PER_YEAR
    return years


def _days_and_close_hours(
    dates: pd.Series, days_of: Callable[[pd.DatetimeIndex], pd.DatetimeIndex]
) -> tuple[NDArray[np.datetime64], FloatArray]:
    """Return the days made of dates, and the hour at which each closes; each distinct date is looked up once."""
    codes, distinct = pd.factorize(dates)
    days = pd.DatetimeIndex(days_of(pd.DatetimeIndex(distinct))).as_unit(TIME_UNIT)
    # factorize gives a missing date the code -1, which is the last place of the array: NaT.
    known = np.append(days.to_numpy(), np.datetime64("NaT"))
    return known[codes], np.append(close_hours(days), REGULAR_CLOSE_HOUR)[codes]
