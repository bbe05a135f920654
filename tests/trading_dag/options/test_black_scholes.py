"""Prices and Greeks against published values, parity, bounds and finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.options.black_scholes import price
from trading_dag.options.greeks import greeks

# Haug, Option Pricing Formulas, McGraw-Hill 1998, pages 2-8: call?, K, S, q, r, T, volatility, value.
HAUG_PRICES = [
    (True, 65.0, 60.0, 0.00, 0.08, 0.25, 0.30, 2.1334),
    (False, 95.0, 100.0, 0.05, 0.10, 0.50, 0.20, 2.4648),
    (False, 19.0, 19.0, 0.10, 0.10, 0.75, 0.28, 1.7011),
    (True, 19.0, 19.0, 0.10, 0.10, 0.75, 0.28, 1.7011),
    (True, 1.60, 1.56, 0.08, 0.06, 0.50, 0.12, 0.0291),
    (False, 70.0, 75.0, 0.05, 0.10, 0.50, 0.35, 4.0870),
    # page 24
    (True, 100.0, 90.0, 0.10, 0.10, 0.10, 0.15, 0.0205),
    (True, 100.0, 100.0, 0.10, 0.10, 0.10, 0.15, 1.8734),
    (True, 100.0, 110.0, 0.10, 0.10, 0.10, 0.15, 9.9413),
]
# The same book, pages 11-16: Greek, call?, K, S, q, r, T, volatility, value.
HAUG_GREEKS = [
    ("delta", True, 100.0, 105.0, 0.10, 0.10, 0.5, 0.36, 0.5946),
    ("delta", False, 100.0, 105.0, 0.10, 0.10, 0.5, 0.36, -0.3566),
    ("gamma", True, 60.0, 55.0, 0.00, 0.10, 0.75, 0.30, 0.0278),
    ("gamma", False, 60.0, 55.0, 0.00, 0.10, 0.75, 0.30, 0.0278),
    ("vega", True, 60.0, 55.0, 0.00, 0.10, 0.75, 0.30, 18.9358),
    ("vega", False, 60.0, 55.0, 0.00, 0.10, 0.75, 0.30, 18.9358),
    ("theta", False, 405.0, 430.0, 0.05, 0.07, 1.0 / 12.0, 0.20, -31.1924),
]
CONTRACTS = st.fixed_dictionaries(
    {
        "spot": st.floats(1.0, 1000.0),
        "strike": st.floats(1.0, 1000.0),
        "years": st.floats(1.0 / 365.0, 3.0),
        "rate": st.floats(-0.02, 0.12),
        "dividend_yield": st.floats(0.0, 0.08),
        "volatility": st.floats(0.01, 3.0),
    }
)


@pytest.mark.parametrize(("is_call", "k", "s", "q", "r", "t", "v", "value"), HAUG_PRICES)
def test_the_price_is_the_one_that_haug_prints(is_call, k, s, q, r, t, v, value):
    ours = price(spot=s, strike=k, years=t, rate=r, dividend_yield=q, volatility=v, is_call=is_call)
    # The table's last digit is not always rounded to nearest.
    assert float(ours) == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize(("greek", "is_call", "k", "s", "q", "r", "t", "v", "value"), HAUG_GREEKS)
def test_the_greek_is_the_one_that_haug_prints(greek, is_call, k, s, q, r, t, v, value):
    ours = greeks(spot=s, strike=k, years=t, rate=r, dividend_yield=q, volatility=v, is_call=is_call)
    assert float(getattr(ours, greek)) == pytest.approx(value, abs=5.1e-5)


def test_hulls_example_15_6_gives_476_and_081():
    # Hull, Options, Futures, and Other Derivatives, Example 15.6: S 42, K 40, r 10 %, volatility 20 %, six months.
    both = price(spot=42.0, strike=40.0, years=0.5, rate=0.1, dividend_yield=0.0, volatility=0.2, is_call=[True, False])
    assert both == pytest.approx([4.76, 0.81], abs=0.005)


@settings(deadline=None, max_examples=200)
@given(contract=CONTRACTS)
def test_put_call_parity_and_the_arbitrage_bounds_hold_everywhere(contract):
    call = float(price(**contract, is_call=True))
    put = float(price(**contract, is_call=False))
    forward_spot = contract["spot"] * math.exp(-contract["dividend_yield"] * contract["years"])
    present_strike = contract["strike"] * math.exp(-contract["rate"] * contract["years"])
    scale = max(forward_spot, present_strike)
    assert call - put == pytest.approx(forward_spot - present_strike, abs=1e-12 * scale)
    ulp = 2.0**-52 * scale  # math.exp and numpy's may round the bounds themselves differently
    assert max(forward_spot - present_strike, 0.0) - 2 * ulp <= call <= forward_spot + 2 * ulp
    assert max(present_strike - forward_spot, 0.0) - 2 * ulp <= put <= present_strike + 2 * ulp


@settings(deadline=None, max_examples=150)
@given(contract=CONTRACTS, is_call=st.booleans())
def test_the_greeks_are_the_derivatives_of_the_price(contract, is_call):
    # Far wings in units of deviations have derivatives below the rounding of the difference quotient.
    contract["strike"] = contract["spot"] * min(max(contract["strike"] / contract["spot"], 0.7), 1.4)
    contract["volatility"] = max(contract["volatility"], 0.1)
    contract["years"] = max(contract["years"], 0.05)
    ours = greeks(**contract, is_call=is_call)

    def value(**changed):
        return float(price(**{**contract, **changed}, is_call=is_call))

    s, v, t = contract["spot"], contract["volatility"], contract["years"]
    h = 1e-4 * s
    scale = max(s, contract["strike"])
    assert (value(spot=s + h) - value(spot=s - h)) / (2 * h) == pytest.approx(float(ours.delta), abs=2e-6)
    second = (value(spot=s + h) - 2 * value(spot=s) + value(spot=s - h)) / h**2
    assert second * s == pytest.approx(float(ours.gamma) * s, rel=1e-3, abs=1e-4)
    assert (value(volatility=v + 1e-5) - value(volatility=v - 1e-5)) / 2e-5 == pytest.approx(
        float(ours.vega), rel=1e-5, abs=1e-8 * scale
    )
    assert -(value(years=t + 1e-6) - value(years=t - 1e-6)) / 2e-6 == pytest.approx(
        float(ours.theta), rel=1e-4, abs=1e-6 * scale
    )
    assert float(ours.price) == value()


@pytest.mark.parametrize(("years", "volatility"), [(0.0, 0.2), (0.5, 0.0), (0.0, 0.0)])
def test_without_time_or_volatility_the_price_is_the_intrinsic_value_of_the_discounted_forward(years, volatility):
    spot, strike = np.array([80.0, 100.0, 130.0]), 100.0
    forward_spot = spot * math.exp(-0.02 * years)
    present_strike = strike * math.exp(-0.05 * years)
    arguments = {
        "spot": spot, "strike": strike, "years": years, "rate": 0.05, "dividend_yield": 0.02, "volatility": volatility,
    }  # fmt: skip
    assert price(**arguments, is_call=True) == pytest.approx(np.maximum(forward_spot - present_strike, 0.0), abs=1e-12)
    assert price(**arguments, is_call=False) == pytest.approx(np.maximum(present_strike - forward_spot, 0.0), abs=1e-12)


def test_degenerate_greeks_are_limits_and_never_nan():
    ours = greeks(
        spot=[80.0, 100.0, 120.0], strike=100.0, years=0.0, rate=0.03, dividend_yield=0.0, volatility=0.2, is_call=True
    )
    assert ours.delta.tolist() == [0.0, 0.5, 1.0]
    assert ours.gamma[[0, 2]].tolist() == [0.0, 0.0]
    assert np.isposinf(ours.gamma[1])
    assert ours.vega.tolist() == [0.0, 0.0, 0.0]
    assert ours.theta[[0, 2]].tolist() == pytest.approx([0.0, -3.0])


@pytest.mark.parametrize(
    ("name", "value"),
    [("spot", 0.0), ("spot", -1.0), ("strike", 0.0), ("years", -0.1), ("volatility", -0.1), ("rate", np.nan),
     ("spot", np.inf), ("dividend_yield", np.nan), ("volatility", np.inf)],
)  # fmt: skip
def test_only_inputs_outside_the_domain_give_nan(name, value):
    inside = {
        "spot": 100.0, "strike": 90.0, "years": 0.3, "rate": 0.01, "dividend_yield": 0.0, "volatility": 0.2,
    }  # fmt: skip
    outside = {**inside, name: np.array([inside[name], value])}
    for is_call in (True, False):
        assert np.isnan(price(**outside, is_call=is_call)).tolist() == [False, True]
        assert np.isnan(greeks(**outside, is_call=is_call).theta).tolist() == [False, True]


def test_inputs_broadcast_to_float64():
    ours = price(
        spot=100, strike=[[90], [110]], years=1, rate=0, dividend_yield=0, volatility=[0.1, 0.2, 0.3], is_call=True
    )
    assert ours.shape == (2, 3)
    assert ours.dtype == np.float64
    assert price(spot=[], strike=1, years=1, rate=0, dividend_yield=0, volatility=0.1, is_call=True).shape == (0,)
