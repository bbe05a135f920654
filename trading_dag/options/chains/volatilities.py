"""Volatilities and deltas of a chain's contracts, and what each expiration's smile comes down to.

What is fitted contract by contract or read off one smile belongs here. Forwards come from ``forward``, arbitrage is
``arbitrage``'s, a surface through the smiles is ``research/surface_fit.py``'s.

Everything is European: the volatility of an out-of-the-money American option differs from the European one by less
than its spread, that of an in-the-money one does not, so in-the-money contracts carry the volatility of the
out-of-the-money contract at their strike. In-the-money American marks and early exercise are not priced here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.errors import OptionPricingError
from trading_dag.frames import require_columns
from trading_dag.options.chains.cleaning import clean_chain
from trading_dag.options.chains.forward import SLICE_KEY, RateCurve, implied_forwards, of_slices
from trading_dag.options.chains.rows import CHAIN_TABLE, combined_codes, marks

MAXIMUM_VOLATILITY_ERROR: Final = 0.05
TICK_USD: Final = 0.01
SMILE_COLUMNS: Final = (
    *SLICE_KEY, "years", "forward", "dividend_yield", "contracts", "atm_volatility", "put_25_delta_volatility",
    "call_25_delta_volatility", "skew_25_delta",
)  # fmt: skip
VOLATILITY_REASONS: Final = (
    "no_forward", "no_time_left", "no_price", "in_the_money", "at_lower_bound", "outside_bounds", "imprecise",
)  # fmt: skip
_WING_DELTA: Final = 0.25
_FROM_CHAIN: Final = ("underlying_price", "strike", "option_right", "bid", "ask", "last")
_FROM_FORWARDS: Final = ["years", "rate", "forward", "dividend_yield"]


def contract_analytics(
    chain: pd.DataFrame,
    forwards: pd.DataFrame,
    *,
    tick: float = TICK_USD,
    maximum_error: float = MAXIMUM_VOLATILITY_ERROR,
) -> pd.DataFrame:
    """Return the chain with each contract's implied volatility, or the reason why it has none, and its delta and vega.

    Parameters
    ----------
    chain : clean rows of ``raw.option_chain``.
    forwards : as ``implied_forwards`` gives them for that chain.
    tick : USD; half the spread of a last trade, of which only the price is known.
    maximum_error : volatility error, a fraction, above which a volatility is no measurement.

    Returns
    -------
    pd.DataFrame : the rows in the order of ``chain`` on a plain index, with years, rate, forward and dividend
        yield of their expiration. ``mark``: the price used, USD. ``fitted_volatility``: a fraction, of out-of-the-money
        contracts (calls from the forward up, puts below it); otherwise NaN and ``volatility_reason`` says why, which is
        empty where there is one. ``volatility_error``: half the spread over vega. ``smile_volatility``: the fitted one,
        in the money that of the other right at the same strike. ``delta`` and ``vega`` (USD per 1.00 of volatility) are
        Black–Scholes–Merton at the smile volatility. Known at the close of the quote date.

    Raises
    ------
    SchemaError : for a missing column.
    OptionPricingError : for a tick or an error that is not positive.
    """
    from trading_dag.options.pricing.greeks import greeks

    if not (tick > 0 and maximum_error > 0):
        raise OptionPricingError(f"tick and maximum_error must be positive, not {tick} and {maximum_error}")
    require_columns(chain, CHAIN_TABLE, columns=(*SLICE_KEY, *_FROM_CHAIN))
    require_columns(forwards, "implied forwards", columns=(*SLICE_KEY, *_FROM_FORWARDS))
    known = of_slices(chain, forwards, columns=_FROM_FORWARDS)
    priced = marks(chain)
    contracts = _Contracts.of(chain, known, priced.price)
    volatility = _implied(contracts)
    reason = _reasons(contracts, volatility)
    half_spread = np.where(priced.is_two_sided, priced.half_spread, tick)
    measured = np.flatnonzero(reason == "")
    own = greeks(**contracts.inputs(measured), volatility=volatility[measured])
    error, delta, vega = (np.full(len(chain), np.nan) for _ in range(3))
    with np.errstate(divide="ignore", invalid="ignore"):
        error[measured] = half_spread[measured] / own.vega
    is_precise = error[measured] <= maximum_error
    reason[measured[~is_precise]] = "imprecise"
    fitted = measured[is_precise]
    delta[fitted], vega[fitted] = own.delta[is_precise], own.vega[is_precise]
    fitted_volatility = np.full(len(chain), np.nan)
    fitted_volatility[fitted] = volatility[fitted]
    smile, twins = _with_twins(chain, fitted_volatility, reason)
    of_twins = greeks(**contracts.inputs(twins), volatility=smile[twins])
    delta[twins], vega[twins] = of_twins.delta, of_twins.vega
    return pd.DataFrame({
        **{name: chain[name].array for name in chain.columns},
        **known,
        "mark": priced.price,
        "fitted_volatility": fitted_volatility,
        "volatility_error": error,
        "volatility_reason": pd.Series(reason, dtype="str"),
        "smile_volatility": smile,
        "delta": delta,
        "vega": vega,
    })  # fmt: skip


def with_fitted_volatilities(chain: pd.DataFrame, *, rate: float | RateCurve) -> pd.DataFrame:
    """Return the chain with a fitted implied volatility wherever the vendor has none and the quote is credible.

    Parameters
    ----------
    chain : rows of ``raw.option_chain``, of any number of tickers and dates.
    rate : continuously compounded, as ``implied_forwards`` takes it.

    Returns
    -------
    pd.DataFrame : the same rows; ``implied_volatility`` stays NULL where no quote says one. Each row uses quotes of
        its own and earlier dates only.
    """
    missing = chain["implied_volatility"].isna()
    if not missing.any():
        return chain
    clean = clean_chain(chain).kept
    fitted = contract_analytics(clean, implied_forwards(clean, rate=rate))
    key = [*SLICE_KEY, "option_right", "strike"]
    known = chain[key].merge(fitted[[*key, "smile_volatility"]], on=key, how="left")["smile_volatility"]
    return chain.assign(implied_volatility=chain["implied_volatility"].where(~missing, known.to_numpy()))


def smile_summary(analytics: pd.DataFrame) -> pd.DataFrame:
    """Return at-the-money volatility and 25-delta skew of every expiration, interpolated on out-of-the-money contracts.

    Parameters
    ----------
    analytics : as ``contract_analytics`` gives it.

    Returns
    -------
    pd.DataFrame : ``SMILE_COLUMNS``, one row a ticker, quote date and expiration that has a fitted volatility,
        ascending. ``atm_volatility`` is linear in log-strike at the forward, the wings are linear in delta; NaN
        where the fitted strikes do not reach on both sides. ``skew_25_delta`` = put − call, a fraction.
        Known at the close of the quote date.
    """
    fitted = np.flatnonzero(~np.isnan(analytics["fitted_volatility"].to_numpy(dtype=np.float64)))
    code = combined_codes([analytics[name] for name in SLICE_KEY])[fitted]
    _, first, number, contracts = np.unique(code, return_index=True, return_inverse=True, return_counts=True)
    smiles = analytics[[*SLICE_KEY, "years", "forward", "dividend_yield"]].iloc[fitted[first]].reset_index(drop=True)
    strike, forward, delta, volatility = (
        analytics[name].to_numpy(dtype=np.float64)[fitted]
        for name in ("strike", "forward", "delta", "fitted_volatility")
    )
    log_moneyness, is_call = np.log(strike / forward), _is_call(analytics)[fitted]
    points = {
        name: _interpolated(where, number[rows], places=places[rows], values=volatility[rows], groups=len(smiles))
        for name, where, places, rows in (
            ("atm_volatility", 0.0, log_moneyness, np.ones(len(fitted), dtype=np.bool_)),
            ("put_25_delta_volatility", -_WING_DELTA, delta, ~is_call),
            ("call_25_delta_volatility", _WING_DELTA, delta, is_call),
        )
    }
    points["skew_25_delta"] = points["put_25_delta_volatility"] - points["call_25_delta_volatility"]
    return smiles.assign(contracts=contracts, **points)[list(SMILE_COLUMNS)]


def _interpolated(where: float, number: IntArray, *, places: FloatArray, values: FloatArray, groups: int) -> FloatArray:
    """Return the linear interpolation at one place in every group, (groups,); NaN where a group lies on one side of
    it."""
    order = np.lexsort((places, number))
    number, places, values = number[order], places[order], values[order]
    spans = (number[:-1] == number[1:]) & (places[:-1] <= where) & (places[1:] >= where)
    left = np.flatnonzero(spans)
    width = places[left + 1] - places[left]
    share = np.divide(where - places[left], width, out=np.zeros(len(left)), where=width > 0)
    interpolated = np.full(groups, np.nan)
    interpolated[number[left]] = values[left] + share * (values[left + 1] - values[left])
    return interpolated


def _is_call(rows: pd.DataFrame) -> BoolArray:
    return np.asarray(rows["option_right"] == "C", dtype=np.bool_)


@dataclass(frozen=True)
class _Contracts:
    """Holds what a contract is priced with, (n,) each; the yield is that of the fitted forward."""

    spot: FloatArray
    strike: FloatArray
    years: FloatArray
    rate: FloatArray
    dividend_yield: FloatArray
    forward: FloatArray
    is_call: BoolArray
    mark: FloatArray

    @classmethod
    def of(cls, chain: pd.DataFrame, known: dict[str, FloatArray], mark: FloatArray) -> Self:
        spot, strike = (chain[name].to_numpy(dtype=np.float64) for name in ("underlying_price", "strike"))
        # The residual yield carries what the rate does not, so that the forward is the fitted one.
        with np.errstate(divide="ignore", invalid="ignore"):
            growth = np.log(known["forward"] / spot) / known["years"]
        years, rate = known["years"], known["rate"]
        return cls(spot, strike, years, rate, rate - growth, known["forward"], _is_call(chain), mark)

    @property
    def is_out_of_the_money(self) -> BoolArray:
        above = self.strike >= self.forward
        out: BoolArray = np.where(self.is_call, above, ~above) & ~np.isnan(self.forward)
        return out

    def inputs(self, rows: IntArray) -> dict[str, NDArray[Any]]:
        """Return pricing inputs of some rows."""
        names = ("spot", "strike", "years", "rate", "dividend_yield", "is_call")
        return {name: getattr(self, name)[rows] for name in names}


def _implied(contracts: _Contracts) -> FloatArray:
    """Return the implied volatility of the out-of-the-money rows that can have one; NaN elsewhere."""
    from trading_dag.options.pricing.implied_volatility import implied_volatility

    volatility: FloatArray = np.full(len(contracts.mark), np.nan)
    may = np.flatnonzero(contracts.is_out_of_the_money & (contracts.years > 0.0) & ~np.isnan(contracts.mark))
    if len(may):
        volatility[may] = implied_volatility(price=contracts.mark[may], **contracts.inputs(may))
    return volatility


def _reasons(contracts: _Contracts, volatility: FloatArray) -> NDArray[np.object_]:
    """Return why a row has no volatility, the first of ``VOLATILITY_REASONS``; empty where it has one."""
    conditions = [
        np.isnan(contracts.forward),
        ~(contracts.years > 0.0),
        np.isnan(contracts.mark),
        ~contracts.is_out_of_the_money,
        volatility == 0.0,
        np.isnan(volatility),
    ]
    reasons: NDArray[np.object_] = np.select(
        conditions, np.array(VOLATILITY_REASONS[: len(conditions)], dtype=object), default=""
    )
    return reasons


def _with_twins(chain: pd.DataFrame, fitted: FloatArray, reason: NDArray[np.object_]) -> tuple[FloatArray, IntArray]:
    """Return the fitted volatilities, in the money those of the other right at the same strike, and which rows have one
    of another."""
    strike = combined_codes([chain[name] for name in (*SLICE_KEY, "strike")])
    number = np.unique(strike, return_inverse=True)[1]
    has_own = np.flatnonzero(~np.isnan(fitted))
    # At most one of call and put at a strike is out of the money, so that one it is.
    shared = np.full(int(number.max(initial=-1)) + 1, np.nan)
    shared[number[has_own]] = fitted[has_own]
    in_the_money = np.flatnonzero(reason == "in_the_money")
    smile = fitted.copy()
    smile[in_the_money] = shared[number[in_the_money]]
    return smile, in_the_money[~np.isnan(smile[in_the_money])]
