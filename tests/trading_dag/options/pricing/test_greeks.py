"""Greeks against published values, derivatives to fifty digits, finite differences, parity, limits and a vendor's."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading_dag.options.pricing.exact_black_scholes import (
    DIGITS,
    contract_at,
    drawn_contracts,
    exact,
    exact_price,
)
from trading_dag.errors import OptionPricingError
from trading_dag.options.pricing.black_scholes import price
from trading_dag.options.pricing.blocks import BLOCK_LENGTH
from trading_dag.options.pricing.greeks import Greeks, greeks

# Haug, Option Pricing Formulas, McGraw-Hill 1998, pages 11-16: Greek, call?, K, S, q, r, T, volatility, value.
HAUG_GREEKS = [
    ("delta", True, 100.0, 105.0, 0.10, 0.10, 0.5, 0.36, 0.5946),
    ("delta", False, 100.0, 105.0, 0.10, 0.10, 0.5, 0.36, -0.3566),
    ("gamma", True, 60.0, 55.0, 0.00, 0.10, 0.75, 0.30, 0.0278),
    ("gamma", False, 60.0, 55.0, 0.00, 0.10, 0.75, 0.30, 0.0278),
    ("vega", True, 60.0, 55.0, 0.00, 0.10, 0.75, 0.30, 18.9358),
    ("vega", False, 60.0, 55.0, 0.00, 0.10, 0.75, 0.30, 18.9358),
    ("theta", False, 405.0, 430.0, 0.05, 0.07, 1.0 / 12.0, 0.20, -31.1924),
    ("rho", True, 75.0, 72.0, 0.00, 0.09, 1.0, 0.19, 38.7325),
]
# Hull, Options, Futures, and Other Derivatives, 9th edition, chapter 19: S 49, K 50, r 5 %, volatility 20 %, 20 weeks;
# Examples 19.1, 19.4, 19.6, 19.2 and 19.7, as printed.
HULL_GREEKS = [("delta", 0.522, 5e-4), ("gamma", 0.066, 5e-4), ("vega", 12.1, 0.05), ("theta", -4.31, 5e-3),
               ("rho", 8.91, 5e-3)]  # fmt: skip
# Greek: order of the derivative of the price in spot, years, rate and volatility, and its sign.
DERIVATIVES = {
    "delta": ((1, 0, 0, 0), 1), "gamma": ((2, 0, 0, 0), 1), "vega": ((0, 0, 0, 1), 1), "theta": ((0, 1, 0, 0), -1),
    "rho": ((0, 0, 1, 0), 1), "vanna": ((1, 0, 0, 1), 1), "charm": ((1, 1, 0, 0), -1), "volga": ((0, 0, 0, 2), 1),
}  # fmt: skip
NEAR_THE_MONEY = st.fixed_dictionaries(
    {
        "spot": st.floats(1.0, 1000.0),
        "strike": st.floats(0.7, 1.4),
        "years": st.floats(0.05, 3.0),
        "rate": st.floats(-0.02, 0.12),
        "dividend_yield": st.floats(0.0, 0.08),
        "volatility": st.floats(0.1, 3.0),
    }
).map(lambda contract: {**contract, "strike": contract["strike"] * contract["spot"]})
NAMES = [field.name for field in fields(Greeks)]
INPUTS = ["spot", "strike", "years", "rate", "dividend_yield", "volatility"]


@pytest.mark.parametrize(("greek", "is_call", "k", "s", "q", "r", "t", "v", "value"), HAUG_GREEKS)
def test_the_greek_is_the_one_that_haug_prints(greek, is_call, k, s, q, r, t, v, value):
    ours = greeks(spot=s, strike=k, years=t, rate=r, dividend_yield=q, volatility=v, is_call=is_call)
    assert float(getattr(ours, greek)) == pytest.approx(value, abs=5.1e-5)


@pytest.mark.parametrize(("greek", "value", "half_digit"), HULL_GREEKS)
def test_the_greek_is_the_one_of_hulls_hedged_call(greek, value, half_digit):
    ours = greeks(
        spot=49.0, strike=50.0, years=20.0 / 52.0, rate=0.05, dividend_yield=0.0, volatility=0.2, is_call=True
    )
    assert float(getattr(ours, greek)) == pytest.approx(value, abs=half_digit)


def exact_greek(contract: dict[str, Any], greek: str) -> Any:
    """The derivative of the fifty-digit price, by differences at a working precision that hides their error."""
    orders, sign = DERIVATIVES[greek]

    def value(s: Any, t: Any, r: Any, sigma: Any) -> Any:
        return exact_price(contract, spot=s, years=t, rate=r, volatility=sigma)

    with mp.workdps(DIGITS):
        at = tuple(exact(contract[name]) for name in ("spot", "years", "rate", "volatility"))
        # A step of 1e-12 of each input: the error of a central difference is its square, 1e-24 or so.
        total = mp.mpf(0)
        steps = [x * mp.mpf(10) ** -12 if x else mp.mpf(10) ** -12 for x in at]
        stencils = {0: [(0, 1)], 1: [(1, mp.mpf(1) / 2), (-1, -mp.mpf(1) / 2)], 2: [(1, 1), (0, -2), (-1, 1)]}
        for i, wi in stencils[orders[0]]:
            for j, wj in stencils[orders[1]]:
                for m, wm in stencils[orders[2]]:
                    for n, wn in stencils[orders[3]]:
                        moved = (x + move * step for x, move, step in zip(at, (i, j, m, n), steps, strict=True))
                        total += wi * wj * wm * wn * value(*moved)
        for order, step in zip(orders, steps, strict=True):
            total /= step**order
        return sign * total


@pytest.mark.parametrize("greek", list(DERIVATIVES))
def test_the_greek_is_the_derivative_of_the_fifty_digit_price(greek):
    contracts = drawn_contracts(150, seed=21, moneyness_deviations=2.0)
    ours = getattr(greeks(**contracts), greek)
    for row, value in enumerate(ours):
        contract = contract_at(contracts, row)
        true = float(exact_greek(contract, greek))
        assert value == pytest.approx(true, rel=1e-11, abs=1e-11 * scale_of(greek, contract)), contract


def scale_of(greek: str, contract: dict[str, Any]) -> float:
    """Sum of the magnitudes of the terms that the Greek is made of, where it stands."""
    s, k, t, r, q, sigma = (
        float(contract[name]) for name in ("spot", "strike", "years", "rate", "dividend_yield", "volatility")
    )
    deviation = sigma * math.sqrt(t)
    d1 = (math.log(s / k) + (r - q) * t) / deviation + deviation / 2
    d2 = d1 - deviation
    density = s * math.exp(-q * t - d1 * d1 / 2) / math.sqrt(2 * math.pi)
    return {
        "delta": 1.0,
        "gamma": 0.0,
        "vega": 0.0,
        "theta": density * sigma / math.sqrt(t) / 2 + abs(q) * s + abs(r) * k,
        "rho": t * k,
        "vanna": density / s * (abs(d1) + deviation) / sigma,
        "charm": density / s * (abs(r - q) / deviation + abs(d2) / t) + abs(q),
        "volga": density * math.sqrt(t) * (abs(d1) + deviation) * (abs(d2) + deviation) / sigma,
    }[greek]


@settings(deadline=None, max_examples=150)
@given(contract=NEAR_THE_MONEY, is_call=st.booleans())
def test_the_greeks_are_the_difference_quotients_of_the_price_and_of_each_other(contract, is_call):
    ours = greeks(**contract, is_call=is_call)

    def quotient(of: str, name: str, step: float) -> float:
        up, down = (greeks(**{**contract, name: contract[name] + move}, is_call=is_call) for move in (step, -step))
        return float((getattr(up, of) - getattr(down, of)) / (2.0 * step))

    s = contract["spot"]
    scale = max(s, contract["strike"])
    assert quotient("price", "spot", 1e-4 * s) == pytest.approx(float(ours.delta), abs=2e-6)
    assert quotient("delta", "spot", 1e-5 * s) * s == pytest.approx(float(ours.gamma) * s, rel=1e-5, abs=1e-6)
    assert quotient("price", "volatility", 1e-5) == pytest.approx(float(ours.vega), rel=1e-5, abs=1e-8 * scale)
    assert -quotient("price", "years", 1e-6) == pytest.approx(float(ours.theta), rel=1e-4, abs=1e-6 * scale)
    assert quotient("price", "rate", 1e-5) == pytest.approx(float(ours.rho), rel=1e-5, abs=1e-7 * scale)
    assert quotient("delta", "volatility", 1e-5) == pytest.approx(float(ours.vanna), rel=1e-5, abs=1e-6)
    assert -quotient("delta", "years", 1e-6) == pytest.approx(float(ours.charm), rel=1e-4, abs=1e-6)
    assert quotient("vega", "volatility", 1e-5) == pytest.approx(float(ours.volga), rel=1e-5, abs=1e-6 * scale)
    assert float(ours.price) == float(price(**contract, is_call=is_call))


@settings(deadline=None, max_examples=150)
@given(contract=NEAR_THE_MONEY)
def test_calls_and_puts_differ_by_the_greeks_of_the_forward(contract):
    call, put = greeks(**contract, is_call=True), greeks(**contract, is_call=False)
    present_spot = contract["spot"] * math.exp(-contract["dividend_yield"] * contract["years"])
    present_strike = contract["strike"] * math.exp(-contract["rate"] * contract["years"])
    carried = contract["dividend_yield"] * present_spot - contract["rate"] * present_strike
    close = {"rel": 1e-13, "abs": 1e-13}
    assert float(call.delta - put.delta) == pytest.approx(present_spot / contract["spot"], **close)
    assert float(call.theta - put.theta) == pytest.approx(carried, rel=1e-11, abs=1e-11 * contract["spot"])
    assert float(call.rho - put.rho) == pytest.approx(contract["years"] * present_strike, **close)
    assert float(call.charm - put.charm) == pytest.approx(
        contract["dividend_yield"] * present_spot / contract["spot"], rel=1e-11, abs=1e-11
    )
    for name in ("gamma", "vega", "vanna", "volga"):
        assert float(getattr(call, name)) == float(getattr(put, name))


def test_with_no_time_left_the_greeks_are_limits_and_never_nan():
    ours = greeks(
        spot=[80.0, 100.0, 120.0], strike=100.0, years=0.0, rate=0.03, dividend_yield=0.01, volatility=0.2, is_call=True
    )
    assert ours.delta == pytest.approx([0.0, 0.5, 1.0], abs=2e-16)
    assert ours.gamma.tolist() == [0.0, math.inf, 0.0]
    assert ours.theta[[0, 2]].tolist() == pytest.approx([0.0, 0.01 * 120.0 - 0.03 * 100.0])
    assert ours.theta[1] == -math.inf
    # At the money delta is N((r − q + σ²/2)·√T/σ), which falls to one half at infinite speed as T runs out.
    assert ours.charm.tolist() == pytest.approx([0.0, -math.inf, 0.01])
    for name in ("vega", "vanna", "volga", "rho"):
        assert getattr(ours, name).tolist() == [0.0, 0.0, 0.0]


def test_without_volatility_the_greeks_are_limits_and_never_nan():
    # Rate and yield are equal, so that the forward is at the strike exactly.
    ours = greeks(
        spot=[80.0, 100.0, 120.0], strike=100.0, years=0.5, rate=0.04, dividend_yield=0.04, volatility=0.0, is_call=True
    )
    present = math.exp(-0.02)
    vega = 100.0 * present * math.sqrt(0.5 / (2.0 * math.pi))
    assert ours.delta == pytest.approx([0.0, 0.5 * present, present])
    assert ours.gamma.tolist() == [0.0, math.inf, 0.0]
    assert ours.vega == pytest.approx([0.0, vega, 0.0])
    # d2 = −σ√T/2 at the strike, so −φ·d2/σ tends to φ·√T/2.
    assert ours.vanna == pytest.approx([0.0, 0.5 * vega / 100.0, 0.0])
    assert ours.volga.tolist() == [0.0, 0.0, 0.0]
    assert ours.theta == pytest.approx([0.0, 0.0, 0.04 * present * 20.0], abs=1e-14)
    assert ours.charm == pytest.approx([0.0, 0.02 * present, 0.04 * present])
    assert ours.rho == pytest.approx([0.0, 0.25 * present * 100.0, 0.5 * present * 100.0])


def test_the_limit_without_volatility_is_what_small_volatilities_tend_to():
    arguments = {"spot": [80.0, 100.0, 120.0], "strike": 100.0, "years": 0.5, "rate": 0.04, "dividend_yield": 0.04}
    for is_call in (True, False):
        limit, near = (greeks(**arguments, volatility=v, is_call=is_call) for v in (0.0, 1e-9))
        for name in set(NAMES) - {"gamma"}:
            assert getattr(near, name) == pytest.approx(getattr(limit, name), rel=1e-6, abs=1e-6), name


@pytest.mark.parametrize(
    ("name", "value"),
    [("spot", 0.0), ("spot", -1.0), ("strike", 0.0), ("years", -0.1), ("volatility", -0.1), ("rate", np.nan),
     ("spot", np.inf), ("dividend_yield", np.nan), ("volatility", np.inf), ("years", np.inf)],
)  # fmt: skip
def test_every_field_is_nan_exactly_where_an_input_is_outside_the_domain(name, value):
    inside = {"spot": 100.0, "strike": 90.0, "years": 0.3, "rate": 0.01, "dividend_yield": 0.0, "volatility": 0.2}
    for is_call in (True, False):
        ours = greeks(**{**inside, name: np.array([inside[name], value])}, is_call=is_call)
        for field in NAMES:
            assert np.isnan(getattr(ours, field)).tolist() == [False, True], field


def test_a_long_array_gives_what_its_rows_give_alone():
    contracts = drawn_contracts(3 * BLOCK_LENGTH + 5, seed=4)
    ours = greeks(**contracts)
    for row in (0, BLOCK_LENGTH, 3 * BLOCK_LENGTH + 4):
        alone = greeks(**contract_at(contracts, row))
        for name in NAMES:
            assert float(getattr(alone, name)) == getattr(ours, name)[row], name


@settings(deadline=None, max_examples=60)
@given(
    odd=st.fixed_dictionaries(
        {name: st.sampled_from([0.0, -1.0, 1e-320, 1e308, math.inf, -math.inf, math.nan, 1.0]) for name in INPUTS}
    ),
    is_call=st.booleans(),
)
def test_a_contract_at_or_beyond_the_edge_of_the_domain_changes_nothing_beside_it(odd, is_call):
    contracts = drawn_contracts(64, seed=9, moneyness_deviations=2.0)
    among = {name: np.append(contracts[name], odd[name]) for name in INPUTS}
    alone, beside = greeks(**contracts), greeks(**among, is_call=np.append(contracts["is_call"], is_call))
    for name in NAMES:
        assert getattr(beside, name)[:-1].tolist() == getattr(alone, name).tolist(), name


def test_a_call_that_is_worthless_beside_a_discounted_strike_that_overflows_is_zero_and_not_nan():
    ours = greeks(spot=100.0, strike=90.0, years=1.0, rate=-1000.0, dividend_yield=0.0, volatility=0.2, is_call=True)
    assert [float(value) for value in (ours.price, ours.delta, ours.gamma, ours.vega)] == [0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("chosen", ["spot", "strike", "years", "rate", "dividend_yield", "volatility", "is_call"])
def test_one_column_among_scalars_gives_what_full_columns_give(chosen):
    contracts = drawn_contracts(50, seed=12, moneyness_deviations=1.0)
    first = contract_at(contracts, 0)
    scalars = {name: values if name == chosen else first[name] for name, values in contracts.items()}
    full = {name: np.broadcast_to(values, 50).copy() for name, values in scalars.items()}
    for name in NAMES:
        assert getattr(greeks(**scalars), name).tolist() == getattr(greeks(**full), name).tolist(), name


def test_shapes_without_a_common_one_are_a_typed_error():
    with pytest.raises(OptionPricingError, match="do not broadcast"):
        greeks(
            spot=[1.0, 2.0], strike=[1.0, 2.0, 3.0], years=1.0, rate=0.0, dividend_yield=0.0, volatility=0.2,
            is_call=True,
        )  # fmt: skip


def test_the_conventions_are_those_of_the_vendor_of_spy_2015_01_05(real_data):
    """Vendor volatility in, r = 0.25 %, q = 0, act/365: a test of conventions, not of truth."""
    chain = pd.read_parquet(real_data / "option_chain_snapshots.parquet")
    chain = chain[(chain["ticker"] == "SPY") & (chain["quote_date"].astype(str) == "2015-01-05")]
    days = (pd.to_datetime(chain["expiration"]) - pd.to_datetime(chain["quote_date"])).dt.days
    is_used = (days > 0) & (chain["implied_volatility"] > 0) & chain["delta"].abs().between(0.05, 0.95)
    chain, days = chain[is_used], days[is_used]
    assert len(chain) > 1_000
    ours = greeks(
        spot=chain["underlying_price"], strike=chain["strike"], years=days / 365.0, rate=0.0025, dividend_yield=0.0,
        volatility=chain["implied_volatility"], is_call=chain["right"] == "C",
    )  # fmt: skip
    assert float(np.median(np.abs(ours.delta - chain["delta"]))) <= 0.003
    assert float(np.median(ours.gamma / chain["gamma"])) == pytest.approx(1.0, abs=0.01)
    assert float(np.median(ours.vega / 100.0 / chain["vega"])) == pytest.approx(1.0, abs=0.01)
    # The vendor's theta is USD per calendar day; its convention for carry is not known.
    assert float(np.median(ours.theta / 365.0 / chain["theta"])) == pytest.approx(1.0, abs=0.02)
