"""Simulated option chains: the model value of each listed contract, and the quote around it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.day_count import DAYS_PER_YEAR, SESSIONS_PER_YEAR
from trading_dag.options.chains.contracts import is_morning_settled, terms_of, years_to_settlement
from trading_dag.options.pricing.implied_volatility import implied_volatility
from trading_dag.sessions import all_sessions
from trading_dag.simulation.listing import listed_expirations, listed_strikes, strike_grid
from trading_dag.simulation.paths import Factor, Path, SimulatedMarket
from trading_dag.simulation.streams import stream, uniform_of
from trading_dag.simulation.timeline import OVERNIGHT_SHARE, ex_dividend_sessions, split_session
from trading_dag.simulation.transform_pricing import priced_state, put_prices

_RIGHTS: Final = ("C", "P")
_PENNY_TICKERS: Final = ("SPY", "QQQ", "IWM")
# Contracts at the money grow with the shares traded; an index counts no shares, so it is taken for the largest fund.
_MOST_SHARES: Final = 8e7
_SHARES_PER_CONTRACT: Final = 5_000.0


@dataclass(frozen=True)
class FairBook:
    """Holds the value of every listed contract of a session: m expirations, k strikes.

    Attributes
    ----------
    session, spot : the session and its close, USD.
    expirations, strikes : ascending, (m,) and (k,).
    years, forwards : calendar time to settlement, and the forward in USD, of each expiration, (m,).
    rate : continuously compounded fraction a year, the same for all expirations.
    european, american : value of calls and puts, USD, (2, m, k).
    listed : which strikes each expiration has, (m, k).
    """

    session: pd.Timestamp
    spot: float
    expirations: pd.DatetimeIndex
    strikes: FloatArray
    years: FloatArray
    rate: float
    forwards: FloatArray
    european: FloatArray
    american: FloatArray
    listed: BoolArray


def fair_book(market: SimulatedMarket, path: Path, position: int) -> FairBook:
    """Return the values of all contracts at the close of a session.

    Dividends are a known fraction of the price on known days, so forwards are exact. An American option is worth at
    least what the best of the listed expirations, or exercise at once, would bring; that value is taken: it is
    convex in the strike, rises with time, and equals the European one near the money.

    Parameters
    ----------
    market, path : through that session at least; nothing after it is looked at.
    position : of the session in the timeline.
    """
    session = market.times.sessions[position]
    underlying = path.underlying
    closes = np.round(path.closes[: position + 1], 2)
    spot, rate = float(closes[-1]), float(market.rates.continuous[position])
    expirations = listed_expirations(underlying, session)
    strikes = strike_grid(underlying, closes)
    morning = is_morning_settled(pd.Series(underlying.ticker, index=range(len(expirations))), pd.Series(expirations))
    years = years_to_settlement(
        pd.Series(session, index=range(len(expirations))), pd.Series(expirations), is_morning=morning
    )
    here = all_sessions().get_indexer(pd.DatetimeIndex([session]))[0]
    there = np.asarray(all_sessions().get_indexer(expirations))
    trading_years = (there - here - np.where(morning, 1.0 - OVERNIGHT_SHARE, 0.0)) / SESSIONS_PER_YEAR
    ex_days = ex_dividend_sessions(underlying, session + pd.Timedelta(days=1), expirations[-1])
    dividends = np.asarray(ex_days.searchsorted(expirations, side="right"))
    forwards = spot * np.exp(rate * years) * (1.0 - underlying.quarterly_yield) ** dividends
    events = path.announced
    announced = np.searchsorted(events, there, side="right") - np.searchsorted(events, here, side="right")
    state = priced_state(
        underlying,
        market_now=float(market.factor.variance[position + 1]),
        own_now=float(path.own.variance[position + 1]),
        fair=market.settings.fair,
    )
    puts = np.stack([
        np.exp(-rate * years[at]) * put_prices(
            state, forward=forwards[at], strikes=strikes, years=trading_years[at], announcements=int(announced[at])
        )
        for at in range(len(expirations))
    ])  # fmt: skip
    discounted = np.exp(-rate * years)[:, np.newaxis] * (forwards[:, np.newaxis] - strikes)
    european = np.stack([np.maximum(puts + discounted, 0.0), puts])
    exercised = np.stack([np.maximum(spot - strikes, 0.0), np.maximum(strikes - spot, 0.0)])[:, np.newaxis, :]
    american = np.maximum(np.maximum.accumulate(european, axis=1), exercised)
    listed = listed_strikes(underlying, market.times.sessions[: position + 1], expirations, closes=closes, grid=strikes)
    return FairBook(session, spot, expirations, strikes, years, rate, forwards, european, american, listed)


def session_chain(market: SimulatedMarket, path: Path, position: int) -> pd.DataFrame:
    """Return the chain of one session: quotes on the tick around the model's value.

    Returns
    -------
    pd.DataFrame : columns of ``raw.option_chain``. ``last`` is NaN where nothing traded in the session,
        ``implied_volatility`` (of the European value, calendar time) where there is no bid. Known at the close.
    """
    ticker = path.underlying.ticker
    book = fair_book(market, path, position)
    values = book.american if terms_of(ticker).exercise == "American" else book.european
    side, expiry, strike = np.nonzero(np.broadcast_to(book.listed, values.shape))
    value = values[side, expiry, strike]
    draws = stream(market.settings.seed, ticker, "quotes", f"{book.session:%Y-%m-%d}").random((len(value), 3))
    bid, ask = _quotes(ticker, value, width=0.5 + draws[:, 0], is_fund=path.underlying.is_fund)
    volume, interest = _activity(market, path, book, (side, expiry, strike), draws=draws[:, 1])
    middle = 0.5 * (bid + ask)
    traded = np.round(middle + (draws[:, 2] - 0.5) * (ask - bid), 2)
    return pd.DataFrame({
        "quote_date": book.session,
        "ticker": ticker,
        "underlying_price": book.spot,
        "expiration": book.expirations[expiry],
        "strike": book.strikes[strike],
        "option_right": np.array(_RIGHTS)[side],
        "bid": bid,
        "ask": ask,
        "last": np.where((volume > 0) & (bid > 0.0), np.clip(traded, bid, ask), np.nan),
        "volume": volume,
        "open_interest": interest,
        "implied_volatility": np.where(bid > 0.0, _volatilities(book)[expiry, strike], np.nan),
    })  # fmt: skip


def quoted_chain(market: SimulatedMarket, path: Path, position: int) -> pd.DataFrame:
    """Return the chain of one session in the quotes of that day: ``session_chain`` without the adjustment for later
    splits.

    Exchanges multiply strikes when shares are merged and divide them when they are split, and nobody restates a chain
    of the past. Before a split of k for one, dollars are k times those of the bars, and contracts a k-th of them.
    """
    rows = session_chain(market, path, position)
    split = split_session(path.underlying, market.settings)
    ends = market.times.sessions[-1]
    if split is None or not market.times.sessions[position] < split <= ends:
        return rows
    ratio = path.underlying.split_ratio
    dollars = {name: rows[name] * ratio for name in ("underlying_price", "strike", "bid", "ask", "last")}
    contracts = {name: (rows[name] / ratio).round() for name in ("volume", "open_interest")}
    return rows.assign(**dollars, **contracts)


def chain_so_far(market: SimulatedMarket, path: Path, position: int, *, bars: int) -> pd.DataFrame:
    """Return the chain of a session under way, as quoted after so many of its bars: nothing after them is looked at.

    Variance is the one in force during the session, time to settlement that of the session's close. Volumes are the
    share of the session's that falls on these bars.
    """
    levels = path.levels.copy()
    levels[position, bars:] = levels[position, bars]
    early_path = replace(path, levels=levels, own=_in_force(path.own, position))
    early_market = replace(market, factor=_in_force(market.factor, position))
    rows = quoted_chain(early_market, early_path, position)
    shares = market.times.shares[position, 1:]
    volume = np.floor(rows["volume"] * shares[:bars].sum() / shares.sum())
    return rows.assign(volume=volume, last=rows["last"].where(volume > 0))


def _in_force(factor: Factor, position: int) -> Factor:
    """Return a factor whose variance after a session is the one during it."""
    variance = factor.variance.copy()
    variance[position + 1] = variance[position]
    return replace(factor, variance=variance)


def _volatilities(book: FairBook) -> FloatArray:
    """Return the Black–Scholes volatility of each strike, from the out-of-the-money side, (m, k); NaN where there is
    none."""
    is_call = book.strikes >= book.forwards[:, np.newaxis]
    volatility = implied_volatility(
        price=np.where(is_call, book.european[0], book.european[1]),
        spot=book.spot,
        strike=book.strikes,
        years=book.years[:, np.newaxis],
        rate=book.rate,
        dividend_yield=(book.rate - np.log(book.forwards / book.spot) / book.years)[:, np.newaxis],
        is_call=is_call,
    )
    return np.where(volatility > 0.0, np.round(volatility, 6), np.nan)


def _quotes(ticker: str, value: FloatArray, *, width: FloatArray, is_fund: bool) -> tuple[FloatArray, FloatArray]:
    """Return bid below and ask above the value, on the tick: a cent, or 5 and 10 cents at 3 USD and above."""
    fine, coarse = (0.01, 0.01) if ticker in _PENNY_TICKERS else (0.05, 0.10) if is_fund else (0.01, 0.05)
    tick = np.where(value < 3.0, fine, coarse)
    half = width * np.maximum(0.5 * tick, (0.004 if is_fund else 0.015) * value + 0.005)
    bid = np.maximum(np.floor((value - half) / tick + 1e-9), 0.0) * tick
    ask = np.maximum(np.ceil((value + half) / tick - 1e-9), 1.0) * tick
    return np.round(bid, 2), np.round(ask, 2)


def _activity(
    market: SimulatedMarket,
    path: Path,
    book: FairBook,
    at: tuple[np.ndarray, np.ndarray, np.ndarray],
    *,
    draws: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return contracts traded and open: most near the money, at round strikes and near expirations; puts below, calls
    above.

    How much more interest than its neighbours a contract draws is its own trait and does not change between sessions.
    """
    side, expiry, strike = at
    strikes, days = book.strikes[strike], DAYS_PER_YEAR * book.years[expiry]
    distance = np.log(strikes / book.spot) + np.where(side == 1, 0.03, -0.02)
    is_round = np.abs(strikes / 5.0 - np.round(strikes / 5.0)) < 1e-6
    spread = 0.02 + 0.12 * np.sqrt(np.minimum(days, DAYS_PER_YEAR) / DAYS_PER_YEAR)
    pull = np.exp(-0.5 * (distance / spread) ** 2) * np.where(is_round, 2.5, 1.0) / (1.0 + days / 20.0)
    contract = (
        np.round(strikes * 100.0).astype(np.uint64) * np.uint64(200_003)
        + book.expirations.to_numpy().astype("datetime64[D]").astype(np.uint64)[expiry] * np.uint64(2)
        + side.astype(np.uint64)
    )
    size = min(path.underlying.daily_volume, _MOST_SHARES) / _SHARES_PER_CONTRACT
    own = 0.4 + 1.2 * uniform_of(contract, salt=market.settings.seed)
    volume = np.floor(size * pull * own * -np.log1p(-draws))
    wide = np.exp(-0.5 * (distance / (spread + 0.04)) ** 2) * np.where(is_round, 2.5, 1.0) / (1.0 + days / 90.0)
    interest = np.floor(2.0 * size * own * wide)
    return volume, interest
