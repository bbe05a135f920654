"""Chains for tests: small ones whose every quote is written down, and fair ones along simulated paths."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import pandas as pd

from trading_dag.backtest.markets.chain_market import ChainMarket, chain_market
from trading_dag.backtest.plans.trade_plan import FillAssumptions

EXACT = FillAssumptions(half_spread_fraction=0.0, half_spread_minimum_usd=0.0)
KEY = ["quote_date", "expiration", "option_right", "strike"]
Quote = tuple[float, float, float]


def chain_frame(
    sessions: Mapping[str, tuple[float, Mapping[tuple[str, float], Quote]]], *, expiration: str | None = None
) -> pd.DataFrame:
    """Rows of ``raw.option_chain`` with delta, from {session: (spot, {(right, strike): (bid, ask, delta)})}.

    Keys of quotes may also be (right, strike, expiration).
    """
    rows = [
        (session, spot, key[2] if len(key) > 2 else expiration, key[1], key[0], *quote)
        for session, (spot, quotes) in sessions.items()
        for key, quote in quotes.items()
    ]
    names = ["quote_date", "underlying_price", "expiration", "strike", "option_right", "bid", "ask", "delta"]
    frame = pd.DataFrame(rows, columns=names)
    frame["quote_date"] = pd.to_datetime(frame["quote_date"])
    frame["expiration"] = pd.to_datetime(frame["expiration"])
    return frame.sort_values(KEY, ignore_index=True)


def small_market(frame: pd.DataFrame, fills: FillAssumptions = EXACT) -> ChainMarket:
    return chain_market(frame, ticker="TEST", fills=fills)


def put_price(spot: np.ndarray, strike: np.ndarray, *, years: np.ndarray, volatility: float) -> np.ndarray:
    """Black–Scholes without carry, written here on its own."""
    from scipy.special import ndtr

    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = volatility * np.sqrt(years)
        d1 = np.log(spot / strike) / deviation + 0.5 * deviation
        value = strike * ndtr(deviation - d1) - spot * ndtr(-d1)
    return np.where(years > 0, value, np.maximum(strike - spot, 0.0))


def put_delta(spot: np.ndarray, strike: np.ndarray, *, years: np.ndarray, volatility: float) -> np.ndarray:
    from scipy.special import ndtr

    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = volatility * np.sqrt(years)
        return ndtr(np.log(spot / strike) / deviation + 0.5 * deviation) - 1.0


@lru_cache(maxsize=8)
def _listed_fridays(first: str, sessions: int, lives: int) -> tuple[np.ndarray, pd.DatetimeIndex]:
    """Place of the session and date, for every Friday that a session lists."""
    listed = [
        (at, friday)
        for at, day in enumerate(pd.bdate_range(first, periods=sessions))
        for friday in pd.date_range(day, periods=lives + 7, freq="D")
        if friday.day_of_week == 4
    ]
    return np.array([pair[0] for pair in listed]), pd.DatetimeIndex([pair[1] for pair in listed])


def fair_chain(
    spots: np.ndarray, *, first: str = "2024-01-02", lives: int = 21, volatility: float = 0.2, half_spread: float = 0.02
) -> pd.DataFrame:
    """Quotes around Black–Scholes without carry along one path of closes, calls and puts, one expiration a week.

    Expirations are listed up to ``lives`` + 7 calendar days ahead; 21 strikes from 80 % to 120 % of the first
    close. Middles are exact: nothing is rounded, so a bid may be negative and is then no quote.
    """
    days = pd.bdate_range(first, periods=len(spots))
    at, fridays = _listed_fridays(first, len(spots), lives)
    strike = (spots[0] * np.linspace(0.80, 1.20, 21))[np.newaxis, np.newaxis, :]
    spot = spots[at][:, np.newaxis, np.newaxis]
    years = np.asarray((fridays - days[at]).days)[:, np.newaxis, np.newaxis] / 365.0
    put = put_price(spot, strike, years=years, volatility=volatility)
    slope = put_delta(spot, strike, years=years, volatility=volatility)
    middle = np.concatenate([put + spot - strike, put], axis=1)
    shape = middle.shape
    return pd.DataFrame({
        "quote_date": np.repeat(days[at], shape[1] * shape[2]),
        "underlying_price": np.broadcast_to(spot, shape).ravel(),
        "expiration": np.repeat(fridays, shape[1] * shape[2]),
        "strike": np.broadcast_to(strike, shape).ravel(),
        "option_right": np.broadcast_to(np.array(["C", "P"])[np.newaxis, :, np.newaxis], shape).ravel(),
        "bid": (middle - half_spread).ravel(),
        "ask": (middle + half_spread).ravel(),
        "delta": np.concatenate([slope + 1.0, slope], axis=1).ravel(),
    })  # fmt: skip
