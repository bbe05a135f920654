"""Rules for option chains: quotes that do not belong to the underlying's price, volatilities that contradict parity.

Rules about quotes of single contracts are ``options.chain_cleaning``'s, which refuses the quote and keeps the chain.
Here a whole session's chain is judged. All rules warn: a chain of last trades strays on honest days, and everything
that is computed from chains refits volatilities from prices, so that a vendor's wrong ones do little harm. What no
honest chain is near is refused by ``chain_refusal_rules``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from trading_dag.day_count import DAYS_PER_YEAR
from trading_dag.options.chains.forward import NEAR_YEARS, spot_gaps
from trading_dag.quality.chain_refusal_rules import chain_refusal_checks
from trading_dag.quality.rules import Check, Examined, Finding, Rule

# Median over the expirations of 1 to 20 days of forward · exp(−rate · years), against the stored spot. Measured on
# SPY, QQQ and IWM on 32 sessions each (last trades, which stray by minutes): median 0.03 to 0.06 %, at most 0.60 %
# (IWM, which pays 0.3 % dividends a quarter); SPX of 2024-11-11, with bid and ask, −0.09 %. A chain of the session
# before stands out where the underlying moved by more than the difference.
_SPOT_TOLERANCE: Final = 0.01

# The expiration of up to 20 days that is nearest to the stored spot, where all lie on one side of it. On the same
# chains more than 0.25 % away on 2 of 96 (SPY and IWM of 2026-06-26, whose last trades are of another minute), and at
# most 0.19 % on the others, dividends included.
_GAP_TOLERANCE: Final = 0.0025

# Strikes within 5 % of spot at 7 to 110 days at which the vendor gives both rights a volatility. On the same chains
# a median of 3 % of the pairs is further apart than the tolerance, and more than half of them on 7 of 96 (5, 24 and 26
# June 2026), where all pairs of a chain lie apart by the same 5 to 12 points: the vendor's spot is of another minute
# than its last trades. A missing dividend yield costs SPY about 1 point (2015-01-05, 2 % of the pairs).
_MONEYNESS: Final = 0.05
_VENDOR_DAYS: Final = (7, 110)
_VENDOR_TOLERANCE: Final = 0.05
_LEAST_PAIRS: Final = 20
_DENSITY_AT_ZERO: Final = float(np.sqrt(0.5 / np.pi))


def chain_analytics_checks() -> tuple[Check, ...]:
    """Return the checks of ``options.chain_analytics`` beyond its schema."""
    return (
        Check(
            Rule(
                "parity_agrees_with_spot",
                "The price of the underlying that near expirations imply by parity is within 1 % of the stored one.",
                severity="warn",
                is_blocking=False,
            ),
            _parity_agrees_with_spot,
            needs=("session", "years", "rate", "spot", "forward"),
        ),
        Check(
            Rule(
                "short_dividend_yields_are_possible",
                "Not every expiration of up to 20 days implies a spot more than 0.25 % away on one side: that is a "
                "stale spot, not a dividend yield.",
                severity="warn",
                is_blocking=False,
            ),
            _short_dividend_yields_are_possible,
            needs=("session", "years", "rate", "spot", "forward"),
        ),
    )


def option_chain_checks() -> tuple[Check, ...]:
    """Return the checks of ``raw.option_chain`` beyond its schema."""
    return (
        *chain_refusal_checks(),
        Check(
            Rule(
                "vendor_volatility_keeps_parity",
                "At most strikes near the money the vendor's volatilities of call and put agree within 5 points and "
                "their spreads.",
                severity="warn",
                is_blocking=False,
            ),
            _vendor_volatility_keeps_parity,
            needs=(
                "quote_date", "ticker", "underlying_price", "expiration", "strike", "option_right", "bid", "ask",
                "implied_volatility",
            ),
        ),
    )  # fmt: skip


def _parity_agrees_with_spot(examined: Examined) -> Finding:
    """Find near expirations of sessions whose median parity-implied spot differs from the stored one: a stale chain."""
    rows = examined.frame.reset_index(drop=True)
    near = (rows["years"] > 0.0) & (rows["years"] <= NEAR_YEARS) & rows["forward"].notna() & (rows["spot"] > 0.0)
    if not near.any():
        return examined.not_examined("no forward of a near expiration")
    chosen = rows[near]
    away = chosen["forward"] * np.exp(-chosen["rate"] * chosen["years"]) / chosen["spot"] - 1.0
    middle = away.groupby(chosen["session"]).transform("median")
    flags = np.zeros(len(rows), dtype=bool)
    flags[chosen.index[(middle.abs() > _SPOT_TOLERANCE).to_numpy()]] = True
    if not flags.any():
        return examined.nothing()
    bad = chosen.assign(away=middle)[flags[chosen.index]]
    worst = bad.iloc[int(bad["away"].abs().argmax())]
    days = bad["session"].drop_duplicates()
    return Finding(
        flags,
        count=len(days),
        detail=f"parity implies a spot {worst['away']:+.1%} away on {worst['session']:%Y-%m-%d}",
        examples=tuple(f"session={day:%Y-%m-%d}" for day in days),
    )


def _short_dividend_yields_are_possible(examined: Examined) -> Finding:
    """Find near expirations of sessions whose spot every one of them contradicts in the same direction."""
    rows = examined.frame.reset_index(drop=True)
    forwards = rows[["years", "rate", "spot", "forward"]].assign(ticker="", quote_date=rows["session"])
    gaps = spot_gaps(forwards)
    if gaps.empty:
        return examined.not_examined("no session with two forwards of near expirations")
    stale = gaps[gaps["gap"].abs() > _GAP_TOLERANCE]
    near = (rows["years"] > 0.0) & (rows["years"] <= NEAR_YEARS) & rows["forward"].notna()
    flags = (rows["session"].isin(stale["quote_date"]) & near).to_numpy()
    if not flags.any():
        return examined.nothing()
    worst = stale.iloc[int(stale["gap"].abs().argmax())]
    return Finding(
        flags,
        count=len(stale),
        detail=f"the spot of {worst['quote_date']:%Y-%m-%d} is {-worst['gap']:+.2%} from what its chain implies: "
        f"{worst['shortest_years'] * DAYS_PER_YEAR:.0f} days yield {worst['shortest_yield']:+.0%} of dividends",
        examples=tuple(f"session={day:%Y-%m-%d}" for day in stale["quote_date"]),
    )


def _vendor_volatility_keeps_parity(examined: Examined) -> Finding:
    """Find pairs of call and put whose vendor's volatilities contradict each other, where most pairs of a chain do."""
    rows = examined.frame.reset_index(drop=True)
    pairs = _vendor_pairs(rows)
    if pairs.empty:
        return examined.not_examined("no strike near the money with two volatilities")
    apart = (pairs["implied_volatility_call"] - pairs["implied_volatility_put"]).abs() > pairs["tolerance"]
    chains = [pairs["ticker"], pairs["quote_date"]]
    is_judged = apart.groupby(chains).transform("size") >= _LEAST_PAIRS
    broken = pairs[apart & is_judged & (apart.groupby(chains).transform("mean") > 0.5)]
    flags = np.zeros(len(rows), dtype=bool)
    flags[broken[["row_call", "row_put"]].to_numpy(dtype=np.int64).ravel()] = True
    return Finding.of_rows(flags, "the vendor's volatilities of call and put contradict each other at most strikes")


def _vendor_pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """Return calls and puts of one strike near the money that both have a volatility, and how far those may lie
    apart."""
    days = (rows["expiration"] - rows["quote_date"]).dt.days
    spot = rows["underlying_price"]
    near = (rows["strike"] / spot - 1.0).abs() <= _MONEYNESS
    near &= days.between(*_VENDOR_DAYS) & (rows["implied_volatility"] > 0.0)
    root_years = np.sqrt(days.clip(lower=0) / DAYS_PER_YEAR)
    chosen = rows.loc[near, ["quote_date", "ticker", "expiration", "strike", "option_right", "implied_volatility"]]
    # A last trade has no spread; vega is that at the money, the greatest, so that the allowance is the least.
    half = (0.5 * (rows["ask"] - rows["bid"])).fillna(0.0).clip(lower=0.0)
    chosen = chosen.assign(row=chosen.index, allowance=(half / (spot * _DENSITY_AT_ZERO * root_years))[near])
    key = ["quote_date", "ticker", "expiration", "strike"]
    calls, puts = (chosen[chosen["option_right"] == right].drop(columns="option_right") for right in ("C", "P"))
    pairs = calls.merge(puts, on=key, suffixes=("_call", "_put"))
    return pairs.assign(tolerance=_VENDOR_TOLERANCE + pairs["allowance_call"] + pairs["allowance_put"])
