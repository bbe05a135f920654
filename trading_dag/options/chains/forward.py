"""Forwards that a chain itself implies, by put-call parity, and the dividend yield that is left over.

One number an expiration belongs here. The rate comes from outside; volatilities are ``chains.volatilities``'.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.day_count import DAYS_PER_YEAR
from trading_dag.errors import OptionPricingError
from trading_dag.frames import require_columns
from trading_dag.options.chains.contracts import is_morning_settled, years_to_settlement
from trading_dag.options.chains.rows import CHAIN_TABLE, combined, combined_codes, marks, row_codes

RateCurve = Callable[[pd.Series, FloatArray], FloatArray]
SLICE_KEY: Final = ["ticker", "quote_date", "expiration"]
FORWARD_COLUMNS: Final = (
    *SLICE_KEY, "spot", "years", "rate", "pairs", "forward", "forward_deviation", "dividend_yield",
)  # fmt: skip
NEAR_YEARS: Final = 20.0 / DAYS_PER_YEAR
_LEAST_NEAR: Final = 2
_ROUNDING: Final = 1e-12  # a strike at exactly the fraction counts
_CHAIN_COLUMNS: Final = ("underlying_price", "strike", "option_right", "bid", "ask", "last", *SLICE_KEY)


def implied_forwards(
    chain: pd.DataFrame, *, rate: float | RateCurve, moneyness_fraction: float = 0.02, minimum_pairs: int = 1
) -> pd.DataFrame:
    """Return forward and residual dividend yield of every expiration, by the median of put-call parity near the money.

    Each strike at which both call and put have a price gives K + (C − P)·exp(rT). That is exact for European
    options. American ones near the money miss it by little, because what early exercise is worth there nearly
    cancels between call and put; the median over strikes also ignores a stale last trade.

    Parameters
    ----------
    chain : clean rows of ``raw.option_chain``.
    rate : continuously compounded, as a fraction a year: one number, or a function of quote dates and years to
        settlement that returns as many rates. It must be known at the quote dates; that is the caller's duty.
    moneyness_fraction : strikes within this fraction of spot count.
    minimum_pairs : with fewer such strikes there is no forward.

    Returns
    -------
    pd.DataFrame : one row for each ticker, quote date and expiration of the chain, ascending. ``spot`` USD (median of
        the rows), ``years`` to settlement, ``rate``, ``pairs`` (strikes that counted), ``forward`` USD,
        ``forward_deviation`` USD (median distance of the strikes from it), ``dividend_yield`` = r − ln(F/S)/T. The
        last three are NaN with too few pairs or after settlement, the yield also at settlement itself. Known at the
        close of the quote date.

    Raises
    ------
    SchemaError : for a missing column.
    OptionPricingError : for a moneyness fraction that is not positive, or a rate that is not finite.

    References
    ----------
    Hull, *Options, Futures, and Other Derivatives*, 9th ed., 2015, section 11.4 and equation 17.3.
    """
    require_columns(chain, CHAIN_TABLE, columns=_CHAIN_COLUMNS)
    if not moneyness_fraction > 0:
        raise OptionPricingError(f"moneyness_fraction must be positive, not {moneyness_fraction}")
    code = combined_codes([chain[name] for name in SLICE_KEY])
    _, first, number = np.unique(code, return_index=True, return_inverse=True)
    slices = chain[SLICE_KEY].iloc[first].reset_index(drop=True)
    spot = chain["underlying_price"].to_numpy(dtype=np.float64)
    slices["spot"] = _medians(spot, number, groups=len(slices))
    is_morning = is_morning_settled(slices["ticker"], slices["expiration"])
    slices["years"] = years_to_settlement(slices["quote_date"], slices["expiration"], is_morning=is_morning)
    slices["rate"] = _rates(slices, rate)
    place, implied = _parity(chain, slices, number, moneyness_fraction)
    pairs = np.bincount(place, minlength=len(slices))
    middle = _medians(implied, place, groups=len(slices))
    deviation = _medians(np.abs(implied - middle[place]), place, groups=len(slices))
    slices["pairs"] = pairs
    is_enough = (pairs >= max(minimum_pairs, 1)) & (slices["years"].to_numpy() >= 0.0)
    slices["forward"] = np.where(is_enough, middle, np.nan)
    slices["forward_deviation"] = np.where(is_enough, deviation, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.log(slices["forward"] / slices["spot"]) / slices["years"]
    slices["dividend_yield"] = (slices["rate"] - growth).where(slices["years"] > 0.0)
    return slices[list(FORWARD_COLUMNS)]


def of_slices(chain: pd.DataFrame, forwards: pd.DataFrame, *, columns: Sequence[str]) -> dict[str, FloatArray]:
    """Return columns of ``implied_forwards`` for each row of a chain, (n,) each; NaN where its expiration has no row.

    Parameters
    ----------
    forwards : one row a ticker, quote date and expiration.
    """
    count = len(forwards)
    both = combined([row_codes(pd.concat([forwards[name], chain[name]])) for name in SLICE_KEY])
    order = np.argsort(both[:count], kind="stable")
    own = both[:count][order]
    place = np.searchsorted(own, both[count:])
    is_known = place < count
    is_known[is_known] = own[place[is_known]] == both[count:][is_known]
    rows = np.where(is_known, np.append(order, -1)[np.minimum(place, count)], count)
    return {name: np.append(forwards[name].to_numpy(dtype=np.float64), np.nan)[rows] for name in columns}


def spot_gaps(forwards: pd.DataFrame) -> pd.DataFrame:
    """Return how far each session's spot lies from what every short expiration implies, where all agree on the side.

    A spot that is stale by 0.4 % makes a dividend yield of 0.4 % · 365/T of each expiration: 28 % at five days. A
    dividend does so only of those after its ex-date, so the expiration that is nearest to the spot tells.

    Parameters
    ----------
    forwards : ``spot``, ``years``, ``rate`` and ``forward`` by expiration, with ``ticker`` and ``quote_date``; as
        ``implied_forwards`` gives them.

    Returns
    -------
    pd.DataFrame : one row a ticker and quote date with at least two forwards of up to 20 calendar days, ascending.
        ``expirations`` of them; ``gap``, the fraction by which the nearest of them implies another spot, 0 where they
        do not all lie on one side; ``shortest_years`` and ``shortest_yield``, the implied dividend yield of the first.
    """
    is_near = (forwards["years"] > 0.0) & (forwards["years"] <= NEAR_YEARS) & forwards["forward"].notna()
    near = forwards[is_near & (forwards["spot"] > 0.0)].sort_values([*SLICE_KEY[:2], "years"], kind="stable")
    log_gap = np.log(near["forward"] / near["spot"]) - near["rate"] * near["years"]
    sessions = near.assign(away=np.expm1(log_gap), yields=-log_gap / near["years"]).groupby(SLICE_KEY[:2])
    lowest, highest = sessions["away"].min(), sessions["away"].max()
    gaps = pd.DataFrame({
        "expirations": sessions.size(),
        "gap": lowest.clip(lower=0.0) + highest.clip(upper=0.0),
        "shortest_years": sessions["years"].first(),
        "shortest_yield": sessions["yields"].first(),
    })  # fmt: skip
    return gaps[gaps["expirations"] >= _LEAST_NEAR].reset_index()


def _rates(slices: pd.DataFrame, rate: float | RateCurve) -> FloatArray:
    years = slices["years"].to_numpy(dtype=np.float64)
    given = rate(slices["quote_date"], years) if callable(rate) else rate
    rates: FloatArray = np.broadcast_to(np.asarray(given, dtype=np.float64), years.shape).copy()
    if not np.isfinite(rates).all():
        day = slices["quote_date"].iloc[int(np.argmin(np.isfinite(rates)))]
        raise OptionPricingError(f"the rate of quote date {day:%Y-%m-%d} is not finite")
    return rates


def _parity(
    chain: pd.DataFrame, slices: pd.DataFrame, number: IntArray, moneyness_fraction: float
) -> tuple[IntArray, FloatArray]:
    """Return of each strike near the money with a call and a put the row of ``slices`` (of each row of the chain it is
    given by ``number``), and the forward that it implies.
    """
    price = marks(chain).price
    strike, spot = (chain[name].to_numpy(dtype=np.float64) for name in ("strike", "underlying_price"))
    is_near = np.abs(strike - spot) <= moneyness_fraction * spot * (1.0 + _ROUNDING)
    right = chain["option_right"]
    near = np.flatnonzero(is_near & ~np.isnan(price))
    distinct, level = np.unique(strike[near], return_inverse=True)
    of_strike = number[near] * max(len(distinct), 1) + level
    is_call, is_put = (np.asarray(right == name, dtype=np.bool_)[near] for name in ("C", "P"))
    calls, puts = near[is_call], near[is_put]
    _, of_calls, of_puts = np.intersect1d(of_strike[is_call], of_strike[is_put], return_indices=True)
    call, put = calls[of_calls], puts[of_puts]
    growth = np.exp((slices["rate"] * slices["years"]).to_numpy(dtype=np.float64))[number[call]]
    return number[call], strike[call] + (price[call] - price[put]) * growth


def _medians(values: FloatArray, group: IntArray, *, groups: int) -> FloatArray:
    """Return the median of the values of each group that are not NaN, (groups,); NaN where there is none."""
    known = ~np.isnan(values)
    values, group = values[known], group[known]
    values = values[np.lexsort((values, group))]
    counts = np.bincount(group, minlength=groups)
    begins = np.cumsum(counts) - counts
    filled = counts > 0
    medians = np.full(groups, np.nan)
    lower, upper = (begins + (counts - 1) // 2)[filled], (begins + counts // 2)[filled]
    medians[filled] = np.where(lower == upper, values[lower], (values[lower] + values[upper]) / 2.0)
    return medians
