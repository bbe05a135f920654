"""Volatilities and deltas of a chain's contracts, and what each expiration's smile comes down to.

What is fitted contract by contract or read off one smile belongs here. Forwards come from ``forward``, arbitrage is
``arbitrage``'s, a surface through the smiles is ``research/surface_fit.py``'s.

Everything is European: the volatility of an out-of-the-money American option differs from the European one by less
than its spread, that of an in-the-money one does not, so in-the-money contracts carry the volatility of the
out-of-the-money contract at their strike. In-the-money American marks and early exercise are not priced here.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.errors import OptionPricingError
from trading_dag.frames import require_columns
from trading_dag.options.chains.cleaning import clean_chain
from trading_dag.options.chains.forward import SLICE_KEY, RateCurve, implied_forwards
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
    rows: pd.DataFrame = chain.reset_index(drop=True).merge(
        forwards[[*SLICE_KEY, *_FROM_FORWARDS]], on=SLICE_KEY, how="left"
    )
    priced = marks(chain)
    rows["mark"] = priced.price
    volatility = _implied(rows)
    reason = _reasons(rows, volatility)
    smile = np.where(reason == "", volatility, np.nan)
    half_spread = np.where(priced.is_two_sided, priced.half_spread, tick)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = half_spread / greeks(**_inputs(rows), volatility=smile).vega
    reason = np.where((reason == "") & ~(error <= maximum_error), "imprecise", reason)
    rows["fitted_volatility"] = np.where(reason == "", volatility, np.nan)
    rows["volatility_error"] = error
    rows["volatility_reason"] = pd.Series(reason, index=rows.index, dtype="str")
    rows["smile_volatility"] = _with_twins(rows)
    sensitivities = greeks(**_inputs(rows), volatility=rows["smile_volatility"].to_numpy())
    rows["delta"], rows["vega"] = sensitivities.delta, sensitivities.vega
    return rows


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
    fitted = analytics[analytics["fitted_volatility"].notna()]
    code = combined_codes([fitted[name] for name in SLICE_KEY])
    _, first, number, contracts = np.unique(code, return_index=True, return_inverse=True, return_counts=True)
    smiles = fitted[[*SLICE_KEY, "years", "forward", "dividend_yield"]].iloc[first].reset_index(drop=True)
    smiles["contracts"] = contracts
    delta, volatility = (fitted[name].to_numpy(dtype=np.float64) for name in ("delta", "fitted_volatility"))
    log_moneyness = np.log((fitted["strike"] / fitted["forward"]).to_numpy(dtype=np.float64))
    is_call = _is_call(fitted)
    for name, where, places, rows in (
        ("atm_volatility", 0.0, log_moneyness, np.ones(len(fitted), dtype=np.bool_)),
        ("put_25_delta_volatility", -_WING_DELTA, delta, ~is_call),
        ("call_25_delta_volatility", _WING_DELTA, delta, is_call),
    ):
        smiles[name] = _interpolated(
            where, number[rows], places=places[rows], values=volatility[rows], groups=len(smiles)
        )
    smiles["skew_25_delta"] = smiles["put_25_delta_volatility"] - smiles["call_25_delta_volatility"]
    return smiles[list(SMILE_COLUMNS)]


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


def _inputs(rows: pd.DataFrame) -> dict[str, FloatArray | BoolArray]:
    """Return pricing inputs whose forward is the fitted one: the residual yield carries what the rate does not."""
    inputs: dict[str, FloatArray | BoolArray] = {
        name: rows[column].to_numpy(dtype=np.float64)
        for name, column in (("spot", "underlying_price"), ("strike", "strike"), ("years", "years"), ("rate", "rate"))
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.log(rows["forward"].to_numpy(dtype=np.float64) / inputs["spot"]) / inputs["years"]
    inputs["dividend_yield"] = inputs["rate"] - growth
    inputs["is_call"] = _is_call(rows)
    return inputs


def _is_out_of_the_money(rows: pd.DataFrame) -> BoolArray:
    above = (rows["strike"] >= rows["forward"]).to_numpy()
    out: BoolArray = np.where(_is_call(rows), above, ~above) & rows["forward"].notna().to_numpy()
    return out


def _implied(rows: pd.DataFrame) -> FloatArray:
    """Return the implied volatility of the out-of-the-money rows that can have one; NaN elsewhere."""
    from trading_dag.options.pricing.implied_volatility import implied_volatility

    volatility: FloatArray = np.full(len(rows), np.nan)
    may = _is_out_of_the_money(rows) & (rows["years"] > 0.0).to_numpy() & rows["mark"].notna().to_numpy()
    if may.any():
        chosen = rows[may]
        volatility[may] = implied_volatility(price=chosen["mark"].to_numpy(), **_inputs(chosen))
    return volatility


def _reasons(rows: pd.DataFrame, volatility: FloatArray) -> NDArray[np.object_]:
    """Return why a row has no volatility, the first of ``VOLATILITY_REASONS``; empty where it has one."""
    conditions = [
        rows["forward"].isna().to_numpy(),
        ~(rows["years"] > 0.0).to_numpy(),
        rows["mark"].isna().to_numpy(),
        ~_is_out_of_the_money(rows),
        volatility == 0.0,
        np.isnan(volatility),
    ]
    reasons: NDArray[np.object_] = np.select(
        conditions, np.array(VOLATILITY_REASONS[: len(conditions)], dtype=object), default=""
    )
    return reasons


def _with_twins(rows: pd.DataFrame) -> FloatArray:
    """Return the fitted volatilities, and in the money that of the other right at the same strike."""
    own = rows["fitted_volatility"]
    # At most one of call and put at a strike is out of the money, so the mean is that one.
    strike = combined_codes([rows[name] for name in (*SLICE_KEY, "strike")])
    shared = own.groupby(np.unique(strike, return_inverse=True)[1]).transform("mean")
    smile: FloatArray = own.where(rows["volatility_reason"] != "in_the_money", shared).to_numpy(dtype=np.float64)
    return smile
