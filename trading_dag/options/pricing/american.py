"""Prices of American options with discrete cash dividends.

What early exercise adds to ``black_scholes``, and for which contracts it adds nothing, belongs here. Where American
prices are used, and where European ones are enough, ``docs/options-exercise.md`` says.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.day_count import DAYS_PER_YEAR
from trading_dag.errors import OptionPricingError
from trading_dag.options.pricing.black_scholes import price as european_price

# The grid of the finite differences: within 0.01 % of the strike of a grid eight times finer.
TIME_STEPS: Final = 200
PRICE_STEPS: Final = 200
# Days of the calendar that the library counts a contract's life in, whatever that life is.
_LIFE_DAYS: Final = 3_650


def dividends_within(ex_years: ArrayLike, amounts: ArrayLike, *, years: ArrayLike, rate: ArrayLike) -> FloatArray:
    """Return the present value of dividends that go ex after the quote and by the expiration, (n,) USD a share.

    Parameters
    ----------
    ex_years : (n, m) or (m,) time from the quote to each ex-date, in years; dividends outside the life count nothing.
    amounts : (n, m) or (m,) USD a share.
    years, rate : (n,) time to expiration; continuously compounded.
    """
    when, cash = np.asarray(ex_years, dtype=np.float64), np.asarray(amounts, dtype=np.float64)
    term, interest = np.atleast_1d(years).astype(np.float64), np.atleast_1d(rate).astype(np.float64)
    is_within = (when > 0.0) & (when <= term[:, np.newaxis])
    discounted = np.where(is_within, cash, 0.0) * np.exp(-interest[:, np.newaxis] * np.where(is_within, when, 0.0))
    return np.asarray(discounted.sum(axis=1), dtype=np.float64)


def american_price(
    spot: ArrayLike,
    strike: ArrayLike,
    *,
    years: ArrayLike,
    rate: ArrayLike,
    volatility: ArrayLike,
    is_call: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    ex_years: ArrayLike = (),
    dividends: ArrayLike = (),
) -> FloatArray:
    """Return the price of American options, USD a share, (n,).

    Parameters
    ----------
    spot, strike : (n,) USD a share; the spot with every dividend that has not gone ex.
    years, rate, volatility, dividend_yield, is_call : (n,) as in ``black_scholes.price``; all of these broadcast.
    ex_years, dividends : (m,) or (n, m) cash dividends: years from the quote to the ex-date, and USD a share. Those at
        or before the quote or after the expiration count nothing.

    Returns
    -------
    float64 array; never below the European price nor below what exercise pays now. NaN where an input is outside the
    domain of ``black_scholes.price``, or the dividends are worth more than the share. Without time or volatility,
    the greater of European price and exercise.

    Raises
    ------
    OptionPricingError : an input is no number, ``is_call`` is no boolean, or the shapes do not broadcast.

    Notes
    -----
    Known as soon as its inputs are. Dividends are escrowed: what diffuses with the volatility is the spot less the
    present value of the dividends within the contract's life, as where a European price with cash dividends is
    Black–Scholes–Merton's on that spot. Calls without dividends and with no negative rate, and puts with no positive
    rate, are never worth exercising: they cost one European price. The others are priced one by one by finite
    differences (a few milliseconds each), equal ones once in a process.

    References
    ----------
    Hull, *Options, Futures, and Other Derivatives*, chapters 15.12 (early exercise before dividends) and 21.3
    (known dollar dividends); Merton, "Theory of rational option pricing", Bell Journal of Economics 4, 1973.
    """
    inputs = np.broadcast_arrays(*(np.atleast_1d(v) for v in (spot, strike, years, rate, dividend_yield, volatility)))
    s, k, term, r, q, sigma = (np.array(values, dtype=np.float64) for values in inputs)
    calls = np.broadcast_to(np.asarray(is_call), s.shape)
    when = np.broadcast_to(np.asarray(ex_years, dtype=np.float64), (len(s), np.shape(ex_years)[-1]))
    cash = np.broadcast_to(np.asarray(dividends, dtype=np.float64), (len(s), np.shape(dividends)[-1]))
    if when.shape != cash.shape:
        raise OptionPricingError(f"{when.shape[1]} ex-dates for {cash.shape[1]} dividends")
    escrowed = s - dividends_within(when, cash, years=term, rate=r)
    european = european_price(
        spot=escrowed, strike=k, years=term, rate=r, dividend_yield=q, volatility=sigma, is_call=calls
    )
    value = np.maximum(european, np.where(calls, s - k, k - s))
    early = _may_be_exercised_early(escrowed < s, rate=r, dividend_yield=q, is_call=calls)
    rows = np.flatnonzero(early & np.isfinite(value) & (term > 0.0) & (sigma > 0.0))
    if len(rows):
        table = np.column_stack([s, k, term, r, q, sigma, calls, when, cash])[rows]
        distinct, place = np.unique(table, axis=0, return_inverse=True)
        distinct_values = np.array(
            [_by_finite_differences(tuple(row), dividends=when.shape[1]) for row in distinct.tolist()]
        )
        value[rows] = np.maximum(value[rows], distinct_values[place.ravel()])
    return np.asarray(value, dtype=np.float64)


def _may_be_exercised_early(
    has_dividends: BoolArray, *, rate: FloatArray, dividend_yield: FloatArray, is_call: BoolArray
) -> BoolArray:
    """Return where waiting may cost something: a call's holder misses dividends, a put's holder interest on the
    strike.
    """
    for_call = has_dividends | (dividend_yield > 0.0) | (rate < 0.0)
    for_put = (rate > 0.0) | (dividend_yield < 0.0)
    return np.asarray(np.where(is_call, for_call, for_put), dtype=np.bool_)


# Structures and sets of exits on one chain ask for the same contracts again and again.
@lru_cache(maxsize=1 << 16)
def _by_finite_differences(row: tuple[float, ...], *, dividends: int) -> float:
    """Return one price; the row is spot, strike, years, rate, dividend yield, volatility, is_call, ex-dates,
    dividends.

    The library counts whole days, so a life of any length is stretched to a fixed number of them: rates fall and
    the variance a year with them, and the price is the same.
    """
    import QuantLib

    spot, strike, years, rate, dividend_yield, volatility, is_call = row[:7]
    stretch = years * DAYS_PER_YEAR / _LIFE_DAYS
    today, count = QuantLib.Date(1, 1, 2000), QuantLib.Actual365Fixed()

    def curve(level: float) -> Any:
        return QuantLib.YieldTermStructureHandle(QuantLib.FlatForward(today, level * stretch, count))

    schedule = [
        (today + max(round(when / years * _LIFE_DAYS), 1), amount)
        for when, amount in zip(row[7 : 7 + dividends], row[7 + dividends :], strict=True)
        if 0.0 < when <= years and amount > 0.0
    ]
    # The evaluation date is the library's global state: it is put back afterwards.
    with QuantLib.SavedSettings():
        QuantLib.Settings.instance().evaluationDate = today
        deviation = QuantLib.BlackConstantVol(today, QuantLib.NullCalendar(), volatility * stretch**0.5, count)
        process = QuantLib.BlackScholesMertonProcess(
            QuantLib.QuoteHandle(QuantLib.SimpleQuote(spot)), curve(dividend_yield), curve(rate),
            QuantLib.BlackVolTermStructureHandle(deviation),
        )  # fmt: skip
        option = QuantLib.VanillaOption(
            QuantLib.PlainVanillaPayoff(QuantLib.Option.Call if is_call else QuantLib.Option.Put, strike),
            QuantLib.AmericanExercise(today, today + _LIFE_DAYS),
        )
        option.setPricingEngine(QuantLib.FdBlackScholesVanillaEngine(
            process, QuantLib.DividendVector([date for date, _ in schedule], [amount for _, amount in schedule]),
            TIME_STEPS, PRICE_STEPS, 0, QuantLib.FdmSchemeDesc.Douglas(), False, -1.0,
            QuantLib.FdBlackScholesVanillaEngine.Escrowed,
        ))  # fmt: skip
        return float(option.NPV())
