"""Prices against published values, QuantLib, fifty digits, parity, bounds and monotonicity."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import QuantLib
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading_dag.options.pricing.exact_black_scholes import (
    EPSILON,
    contract_at,
    drawn_contracts,
    exact,
    exact_bounds,
    exact_price,
)
from trading_dag.errors import OptionPricingError
from trading_dag.options.pricing.black_scholes import black_scholes_terms, price
from trading_dag.options.pricing.blocks import BLOCK_LENGTH

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
INSIDE = {"spot": 100.0, "strike": 90.0, "years": 0.3, "rate": 0.01, "dividend_yield": 0.0, "volatility": 0.2}
OUTSIDE = [
    ("spot", 0.0), ("spot", -1.0), ("spot", np.nan), ("spot", np.inf), ("strike", 0.0), ("strike", -5.0),
    ("strike", np.nan), ("strike", np.inf), ("years", -0.1), ("years", np.nan), ("years", np.inf),
    ("volatility", -0.1), ("volatility", np.nan), ("volatility", np.inf), ("rate", np.nan), ("rate", -np.inf),
    ("dividend_yield", np.nan), ("dividend_yield", np.inf),
]  # fmt: skip


@pytest.mark.parametrize(("is_call", "k", "s", "q", "r", "t", "v", "value"), HAUG_PRICES)
def test_the_price_is_the_one_that_haug_prints(is_call, k, s, q, r, t, v, value):
    ours = price(spot=s, strike=k, years=t, rate=r, dividend_yield=q, volatility=v, is_call=is_call)
    # The table's last digit is not always rounded to nearest.
    assert float(ours) == pytest.approx(value, abs=1e-4)


def test_hulls_example_15_6_gives_476_and_081():
    # Hull, Options, Futures, and Other Derivatives, Example 15.6: S 42, K 40, r 10 %, volatility 20 %, six months.
    both = price(spot=42.0, strike=40.0, years=0.5, rate=0.1, dividend_yield=0.0, volatility=0.2, is_call=[True, False])
    assert both == pytest.approx([4.76, 0.81], abs=0.005)


@pytest.mark.parametrize("moneyness_deviations", [None, 2.0])
def test_quantlib_gives_the_same_price_to_1e_13_of_the_larger_of_spot_and_strike(moneyness_deviations):
    contracts = drawn_contracts(2_000, seed=11, moneyness_deviations=moneyness_deviations)
    ours = price(**contracts)
    for row, value in enumerate(ours):
        c = contract_at(contracts, row)
        forward = c["spot"] * math.exp((c["rate"] - c["dividend_yield"]) * c["years"])
        theirs = QuantLib.blackFormula(
            QuantLib.Option.Call if c["is_call"] else QuantLib.Option.Put,
            float(c["strike"]),
            forward,
            float(c["volatility"] * math.sqrt(c["years"])),
            math.exp(-c["rate"] * c["years"]),
        )
        assert abs(value - theirs) <= 1e-13 * max(c["spot"], c["strike"]), c


@pytest.mark.parametrize("moneyness_deviations", [None, 1.0, 8.0])
def test_the_price_is_within_its_stated_accuracy_of_fifty_digits_and_the_tail_keeps_its_digits(moneyness_deviations):
    contracts = drawn_contracts(1_000, seed=5, moneyness_deviations=moneyness_deviations)
    ours = price(**contracts)
    tails = 0
    for row, value in enumerate(ours):
        contract = contract_at(contracts, row)
        true, (lower, _, larger) = exact_price(contract), exact_bounds(contract)
        assert abs(exact(value) - true) <= 8 * EPSILON * larger, contract
        if lower == 0 and true > 1e-100 * larger:
            tails += 1
            assert abs(exact(value) / true - 1) <= 1e-10, contract
    assert tails > 200


@settings(deadline=None, max_examples=200)
@given(contract=CONTRACTS)
def test_put_call_parity_and_the_arbitrage_bounds_hold_everywhere(contract):
    call = float(price(**contract, is_call=True))
    put = float(price(**contract, is_call=False))
    present_spot = contract["spot"] * math.exp(-contract["dividend_yield"] * contract["years"])
    present_strike = contract["strike"] * math.exp(-contract["rate"] * contract["years"])
    scale = max(present_spot, present_strike)
    assert call - put == pytest.approx(present_spot - present_strike, abs=2e-15 * scale)
    # NumPy's exponential and the C library's may differ in the last digit.
    slack = 4 * 2.0**-52 * scale
    assert max(present_spot - present_strike, 0.0) - slack <= call <= present_spot + slack
    assert max(present_strike - present_spot, 0.0) - slack <= put <= present_strike + slack


@settings(deadline=None, max_examples=200)
@given(contract=CONTRACTS, factor=st.floats(1.0, 1.5), name=st.sampled_from(["spot", "strike", "volatility"]))
def test_the_price_never_falls_where_it_should_rise(contract, factor, name):
    higher = {**contract, name: contract[name] * factor}
    slack = 1e-14 * max(higher["spot"], higher["strike"]) * math.exp(0.06)
    call_change = float(price(**higher, is_call=True) - price(**contract, is_call=True))
    put_change = float(price(**higher, is_call=False) - price(**contract, is_call=False))
    assert call_change * (-1.0 if name == "strike" else 1.0) >= -slack
    assert put_change * (-1.0 if name == "spot" else 1.0) >= -slack


@settings(deadline=None, max_examples=100)
@given(contract=CONTRACTS, is_call=st.booleans(), exponent=st.integers(-20, 20))
def test_a_change_of_currency_unit_scales_the_price_and_changes_nothing_else(contract, is_call, exponent):
    unit = 2.0**exponent
    scaled = {**contract, "spot": contract["spot"] * unit, "strike": contract["strike"] * unit}
    assert float(price(**scaled, is_call=is_call)) == float(price(**contract, is_call=is_call)) * unit


@pytest.mark.parametrize(("years", "volatility"), [(0.0, 0.2), (0.5, 0.0), (0.0, 0.0)])
def test_without_time_or_volatility_the_price_is_the_intrinsic_value_of_the_discounted_forward(years, volatility):
    spot, strike = np.array([80.0, 100.0, 130.0]), 100.0
    present_spot = spot * math.exp(-0.02 * years)
    present_strike = strike * math.exp(-0.05 * years)
    arguments = {
        "spot": spot, "strike": strike, "years": years, "rate": 0.05, "dividend_yield": 0.02, "volatility": volatility,
    }  # fmt: skip
    assert price(**arguments, is_call=True) == pytest.approx(np.maximum(present_spot - present_strike, 0.0), abs=1e-12)
    assert price(**arguments, is_call=False) == pytest.approx(np.maximum(present_strike - present_spot, 0.0), abs=1e-12)


def test_without_end_of_volatility_the_price_reaches_its_upper_bound():
    both = price(
        spot=80.0, strike=100.0, years=2.0, rate=0.05, dividend_yield=0.02, volatility=1e6, is_call=[True, False]
    )
    assert both == pytest.approx([80.0 * math.exp(-0.04), 100.0 * math.exp(-0.1)], rel=1e-15)


@pytest.mark.parametrize(("name", "value"), OUTSIDE)
@pytest.mark.parametrize("is_call", [True, False])
def test_the_price_is_nan_exactly_where_an_input_is_outside_the_domain(name, value, is_call):
    ours = price(**{**INSIDE, name: np.array([INSIDE[name], value])}, is_call=is_call)
    assert np.isnan(ours).tolist() == [False, True]


def test_inputs_broadcast_to_float64():
    ours = price(
        spot=100, strike=[[90], [110]], years=1, rate=0, dividend_yield=0, volatility=[0.1, 0.2, 0.3], is_call=True
    )
    assert ours.shape == (2, 3)
    assert ours.dtype == np.float64
    assert price(spot=[], strike=1, years=1, rate=0, dividend_yield=0, volatility=0.1, is_call=True).shape == (0,)
    assert price(**INSIDE, is_call=True).shape == ()


def test_a_long_array_gives_what_its_rows_give_alone():
    contracts = drawn_contracts(5 * BLOCK_LENGTH + 7, seed=2)
    ours = price(**contracts)
    for row in (0, BLOCK_LENGTH - 1, BLOCK_LENGTH, 3 * BLOCK_LENGTH + 1, ours.size - 1):
        assert float(price(**contract_at(contracts, row))) == ours[row]


@settings(deadline=None, max_examples=60)
@given(contract=CONTRACTS, is_call=st.booleans())
def test_the_price_never_leaves_the_bounds_made_of_the_terms_themselves(contract, is_call):
    terms = black_scholes_terms(**contract, is_call=is_call)
    ours = price(**contract, is_call=is_call)
    present_spot, present_strike = terms.discounted_spot, terms.discounted_strike
    lower = max(present_spot - present_strike if is_call else present_strike - present_spot, 0.0)
    assert lower <= ours <= (present_spot if is_call else present_strike)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"is_call": ["C", "P"]}, "is_call must be booleans"),
        ({"is_call": np.nan}, "is_call must be booleans"),
        ({"is_call": [2, 0]}, "is_call must be booleans, not int64 values such as \\[2\\]"),
        ({"is_call": pd.array([True, None], dtype="boolean")}, "is_call must be booleans"),
        ({"is_call": np.array(["C", True], dtype=object)}, "is_call must be booleans"),
        ({"spot": "a hundred"}, "not numbers"),
        ({"spot": [1.0, 2.0], "strike": [1.0, 2.0, 3.0]}, "do not broadcast"),
    ],
)
@pytest.mark.parametrize("function", [price, black_scholes_terms])
def test_what_is_no_number_no_flag_or_of_no_common_shape_is_a_typed_error(function, changed, message):
    with pytest.raises(OptionPricingError, match=message):
        function(**{**INSIDE, "is_call": True, **changed})


@pytest.mark.parametrize(
    "flags", [[1, 0], [1.0, 0.0], pd.Series([True, False]), pd.array([True, False], dtype="boolean")]
)
def test_flags_may_be_zeros_and_ones_or_columns_of_a_frame(flags):
    assert price(**INSIDE, is_call=flags).tolist() == price(**INSIDE, is_call=[True, False]).tolist()
