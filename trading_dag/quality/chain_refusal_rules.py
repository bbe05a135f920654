"""Rules that refuse a session's chain: a copy of the session before, no quotes, other units than it should have.

Each finds what no honest chain comes near, so it may block; limits lie far from what was measured. What strays on
honest days is only warned of, in ``chain_rules``; quotes of single contracts are ``options.chain_cleaning``'s.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.day_count import DAYS_PER_YEAR
from trading_dag.quality.rules import Check, Examined, Finding, Rule

# Of the contracts traded in a session on SPY, QQQ and IWM (93 pairs of sessions) at most 0.34 % repeat volume and last
# trade of the session before.
_MOST_REPEATED: Final = 0.5
# Of the contracts of SPY on 2015-01-05 and 2020-10-05 0.9 and 0.6 % have a bid and an ask of zero, of SPX on 2024-11-11
# 2.7 %.
_MOST_WITHOUT_QUOTE: Final = 0.5
# Of fewer contracts nothing is said.
_LEAST_CONTRACTS: Final = 20

# At the money, where call and put are worth the same, their sum is close to √(2/π) · S · σ · √T. Percents are 100 times
# that volatility; the vendors' honest ones are 0.97 to 1.08 times on the 96 sessions of SPY, QQQ and IWM.
_STRADDLE: Final = float(np.sqrt(2.0 / np.pi))
_LARGEST_RATIO: Final = 10.0
# Without prices: no stock's median contract is at 500 %, and no percentage is below 5 but that of short bonds.
_LARGEST_MEDIAN: Final = 5.0
# Dividends and rates of a month are 1 %; on the same sessions, of last trades, the stored spot is −1.2 to +0.4 % away.
_SPOT_TOLERANCE: Final = 0.05
_NEAR_DAYS: Final = (1, 35)  # of monthly expirations one is always that near
_STRIKES: Final = 5
_LEAST_PAIRS: Final = 5

_KEY: Final = ("ticker", "expiration", "strike", "option_right")
_PRICES: Final = ("quote_date", *_KEY, "bid", "ask", "last", "volume")
CHECK: Final = "believable_chain"


def chain_refusal_checks() -> tuple[Check, ...]:
    """Return the checks of ``raw.option_chain`` that may not be broken by what is stored."""
    return (
        Check(
            Rule(
                "no_copy_of_session_before",
                "At most half of the contracts that traded repeat volume and last trade of the session before.",
                check=CHECK,
            ),
            _no_copy_of_session_before,
            needs=("quote_date", *_KEY, "last", "volume"),
        ),
        Check(
            Rule(
                "quotes_are_not_all_zero",
                "At most half of the quoted contracts have a bid and an ask of zero.",
                check=CHECK,
            ),
            _quotes_are_not_all_zero,
            needs=("quote_date", "ticker", "bid", "ask"),
        ),
        Check(
            Rule(
                "volatility_is_a_fraction",
                "The vendor's volatilities are less than ten times those of the prices at the money: no percents.",
                check=CHECK,
            ),
            _volatility_is_a_fraction,
            needs=(*_PRICES, "implied_volatility"),
        ),
        Check(
            Rule(
                "parity_is_near_spot",
                "The price of the underlying that near expirations imply by parity is within 5 % of the stored one.",
                check=CHECK,
            ),
            _parity_is_near_spot,
            needs=(*_PRICES, "underlying_price"),
        ),
    )


def _no_copy_of_session_before(examined: Examined) -> Finding:
    """Find chains whose traded contracts repeat those of the ticker's previous quote date.

    That date is the one before among the rows; for the first one it is that of ``QualityContext.chain_before``.
    """
    frame, before = examined.frame, examined.context.chain_before
    columns = ["quote_date", *_KEY, "last", "volume"]
    known = frame[columns] if before is None or before.empty else pd.concat([before[columns], frame[columns]])
    own = np.arange(len(known)) >= len(known) - len(frame)
    traded = (known["volume"] > 0.0).to_numpy()
    rows, place = known[traded], np.flatnonzero(own)[0] if own.any() else 0
    if rows.empty:
        return examined.not_examined("no contract has a volume")
    repeated = _repeats(rows)
    chain, days = _chains(rows)
    counted = np.bincount(chain, minlength=len(days))
    share = np.bincount(chain, weights=repeated, minlength=len(days)) / counted
    is_copy = (share > _MOST_REPEATED) & (counted >= _LEAST_CONTRACTS)
    flags = np.zeros(len(frame), dtype=bool)
    evidence = np.flatnonzero(traded)[repeated & is_copy[chain]] - place
    flags[evidence[evidence >= 0]] = True
    if not flags.any():
        return examined.nothing()
    text = f"{share[is_copy].max():.0%} of the contracts that traded repeat volume and last trade of the session before"
    return _finding(examined, flags, text)


def _repeats(rows: pd.DataFrame) -> BoolArray:
    """Return whether a row has volume and last trade of its contract on the ticker's quote date before."""
    ticker = pd.factorize(rows["ticker"])[0]
    day, strike = rows["quote_date"].to_numpy(), rows["strike"].to_numpy(dtype=float)
    keys = (ticker, rows["expiration"].to_numpy(), strike, (rows["option_right"] == "C").to_numpy())
    order = np.lexsort((day, *keys))
    is_same = np.ones(max(len(rows) - 1, 0), dtype=bool)
    for values in (*keys, rows["volume"].to_numpy(dtype=float), rows["last"].to_numpy(dtype=float)):
        ordered = values[order]
        is_same &= ordered[1:] == ordered[:-1]
    chain, _ = _chains(rows)
    # Chains are numbered by ticker, then date: that of the date before has the number before.
    is_same &= np.diff(chain[order]) == 1
    repeated = np.zeros(len(rows), dtype=bool)
    repeated[order[1:]] = is_same
    return repeated


def _quotes_are_not_all_zero(examined: Examined) -> Finding:
    rows = examined.frame
    quoted = (rows["bid"].notna() & rows["ask"].notna()).to_numpy()
    if not quoted.any():
        return examined.not_examined("no contract has a bid and an ask")
    chain, days = _chains(rows)
    is_zero = quoted & (rows["bid"] == 0.0).to_numpy() & (rows["ask"] == 0.0).to_numpy()
    counted = np.bincount(chain[quoted], minlength=len(days))
    share = np.bincount(chain[is_zero], minlength=len(days)) / np.maximum(counted, 1)
    bad = (share > _MOST_WITHOUT_QUOTE) & (counted >= _LEAST_CONTRACTS)
    return _finding(examined, is_zero & bad[chain], "bid and ask are 0 for most contracts")


def _volatility_is_a_fraction(examined: Examined) -> Finding:
    rows = examined.frame.reset_index(drop=True)
    has_one = (rows["implied_volatility"] > 0.0).to_numpy()
    if not has_one.any():
        return examined.not_examined("no contract has a volatility")
    chain, days = _chains(rows)
    middle = _median(rows["implied_volatility"].to_numpy(dtype=float)[has_one], chain[has_one], len(days))
    pairs = _at_the_money(rows)
    worth = (pairs["call"] + pairs["put"]).to_numpy()
    straddle = worth / (_STRADDLE * pairs["strike"] * np.sqrt(pairs["days"] / DAYS_PER_YEAR)).to_numpy()
    given = _mean_of_two(rows["implied_volatility"], pairs)
    known = (given > 0.0) & (straddle > 0.0)
    of_pair = chain[pairs["row_call"]][known]
    ratio = _median(given[known] / straddle[known], of_pair, len(days))
    enough = np.bincount(of_pair, minlength=len(days)) >= _LEAST_PAIRS
    many = np.bincount(chain[has_one], minlength=len(days)) >= _LEAST_CONTRACTS
    bad = np.where(enough, ratio > _LARGEST_RATIO, many & (middle > _LARGEST_MEDIAN))
    return _finding(examined, has_one & bad[chain], "volatilities are no fractions of prices: perhaps percents")


def _parity_is_near_spot(examined: Examined) -> Finding:
    rows = examined.frame.reset_index(drop=True)
    pairs = _at_the_money(rows)
    spot = rows["underlying_price"].to_numpy(dtype=float)[pairs["row_call"]]
    known = spot > 0.0
    if not known.any():
        return examined.not_examined("no pair of a call and a put of a near expiration, or no spot")
    chain, days = _chains(rows)
    of_pair = chain[pairs["row_call"]][known]
    implied = (pairs["strike"] + pairs["call"] - pairs["put"]).to_numpy()[known]
    away = _median(spot[known] / implied - 1.0, of_pair, len(days))
    enough = np.bincount(of_pair, minlength=len(days)) >= _LEAST_PAIRS
    bad = enough & (np.abs(away) > _SPOT_TOLERANCE)
    worst = float(away[bad][np.abs(away[bad]).argmax()]) if bad.any() else 0.0
    text = f"the stored price of the underlying is {worst:+.1%} away from the one that calls and puts imply"
    return _finding(examined, bad[chain], text)


def _at_the_money(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the strikes of each near expiration at which call and put are worth the most alike, whatever the spot
    says.

    Returns
    -------
    pd.DataFrame : strike, days (to expiration), call, put (USD), row_call, row_put (places in ``rows``).
    """
    days = (rows["expiration"] - rows["quote_date"]).dt.days
    bid, ask, last = (rows[name].to_numpy(dtype=float) for name in ("bid", "ask", "last"))
    has_quote = (ask > 0.0) & (ask >= bid)
    traded = np.where((last > 0.0) & (rows["volume"] > 0.0).to_numpy(), last, np.nan)
    price = np.where(has_quote, 0.5 * (bid + ask), traded)
    near = (days.between(*_NEAR_DAYS) & np.isfinite(price)).to_numpy()
    chosen = rows.loc[near, ["quote_date", "ticker", "expiration", "strike", "option_right"]]
    chosen = chosen.assign(days=days[near], price=price[near], row=np.flatnonzero(near))
    key = ["quote_date", "ticker", "expiration", "strike"]
    calls = chosen[chosen["option_right"] == "C"].rename(columns={"price": "call", "row": "row_call"})
    puts = chosen[chosen["option_right"] == "P"].rename(columns={"price": "put", "row": "row_put"})
    pairs = calls.merge(puts[[*key, "put", "row_put"]], on=key)
    nearest = (pairs["call"] - pairs["put"]).abs().sort_values(kind="stable").index
    nearest_pairs = pairs.loc[nearest].groupby(["quote_date", "ticker", "expiration"], sort=False).head(_STRIKES)
    return nearest_pairs[["strike", "days", "call", "put", "row_call", "row_put"]].reset_index(drop=True)


def _mean_of_two(values: pd.Series, pairs: pd.DataFrame) -> FloatArray:
    """Return the mean over call and put, or the value of one alone where the other has none."""
    of_right = values.to_numpy(dtype=float)[pairs[["row_call", "row_put"]].to_numpy(dtype=np.int64)]
    counted = np.isfinite(of_right).sum(axis=1)
    return np.asarray(np.where(counted, np.nansum(of_right, axis=1) / np.maximum(counted, 1), np.nan))


def _chains(rows: pd.DataFrame) -> tuple[IntArray, pd.DataFrame]:
    """Return the number of each row's chain, ascending by ticker and then quote date, and the chains."""
    ticker, tickers = pd.factorize(rows["ticker"], sort=True, use_na_sentinel=False)
    day, dates = pd.factorize(rows["quote_date"], sort=True, use_na_sentinel=False)
    used, chain = np.unique(ticker.astype(np.int64) * len(dates) + day, return_inverse=True)
    named = {"ticker": tickers[used // len(dates)], "quote_date": dates[used % len(dates)]} if len(used) else {}
    return chain.astype(np.int64), pd.DataFrame(named)


def _median(values: FloatArray, chain: IntArray, chains: int) -> FloatArray:
    """Return the median of the values of each chain, NaN without any, (chains,)."""
    middle = pd.Series(values).groupby(chain).median().reindex(range(chains))
    return np.asarray(middle, dtype=np.float64)


def _finding(examined: Examined, flags: BoolArray, detail: str) -> Finding:
    """Return the rows of refused chains as a finding that names the chains."""
    if not flags.any():
        return examined.nothing()
    days = sorted(examined.frame.loc[flags, "quote_date"].unique())
    named = tuple(f"quote_date={day:%Y-%m-%d}" for day in days)
    return Finding(flags, count=int(flags.sum()), detail=detail, examples=named)
