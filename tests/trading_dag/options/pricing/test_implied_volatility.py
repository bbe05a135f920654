"""Implied volatility against a book, fifty digits, its own price, and its law at and beyond the arbitrage bounds."""

from __future__ import annotations

import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading_dag.options.pricing.exact_black_scholes import (
    EPSILON,
    contract_at,
    drawn_contracts,
    exact,
    exact_bounds,
    exact_price,
    exact_vega,
    exact_volatility,
)
from trading_dag.errors import OptionPricingError
from trading_dag.options.pricing.black_scholes import price
from trading_dag.options.pricing.blocks import BLOCK_LENGTH
from trading_dag.options.pricing.implied_volatility import implied_volatility

# A = S = 128 and B = K = 64 exactly: M = 128, and 4εM = 2⁻⁴³ is a whole number of units in the last place of 64.
CALL = {"spot": 128.0, "strike": 64.0, "years": 0.5, "rate": 0.0, "dividend_yield": 0.0, "is_call": True}
FLOOR = 2.0**-43


def assert_law(contract: dict[str, Any], value: float, found: float) -> None:
    """The accuracy law of the solver, with fifty digits as the judge; zero and NaN only where they are due."""
    lower, upper, larger = exact_bounds(contract)
    unit = EPSILON * larger
    if math.isnan(found):
        assert exact(value) > upper - 2 * unit or exact(value) < lower - 2 * unit, contract
    elif found == 0.0:
        # The bound itself rounds by up to two units.
        assert abs(exact(value) - lower) <= 6 * unit, contract
    else:
        assert abs(exact_price(contract, volatility=found) - exact(value)) <= 8 * unit, contract
        true = exact_volatility(contract, value, near=found)
        allowed = max(mp.mpf("1e-8"), 8 * unit / exact_vega(contract, true))
        assert abs(exact(found) - true) <= allowed, contract


def solved(contracts: dict[str, Any], values: Any) -> Any:
    """Implied volatilities of contracts that also have a volatility."""
    return implied_volatility(
        price=values, **{name: column for name, column in contracts.items() if name != "volatility"}
    )


def test_hulls_call_at_1_875_implies_a_volatility_of_23_5_percent():
    # Hull, Options, Futures, and Other Derivatives, 9th edition, section 15.11: S 21, K 20, r 10 %, three months.
    ours = implied_volatility(
        price=1.875, spot=21.0, strike=20.0, years=0.25, rate=0.1, dividend_yield=0.0, is_call=True
    )
    assert float(ours) == pytest.approx(0.235, abs=5e-4)


@pytest.mark.parametrize("moneyness_deviations", [None, 0.3, 1.0, 3.0])
def test_the_law_holds_over_the_domain(moneyness_deviations):
    contracts = drawn_contracts(500, seed=31, moneyness_deviations=moneyness_deviations)
    values = price(**contracts)
    found = solved(contracts, values)
    assert not np.isnan(found).any()
    assert (found > 0).sum() > 150
    for row, volatility in enumerate(found):
        assert_law(contract_at(contracts, row), values[row], volatility)


def test_the_law_holds_far_beyond_the_domain():
    generator = np.random.default_rng(8)
    count = 1_500
    contracts = drawn_contracts(count, seed=9)
    contracts["strike"] = contracts["spot"] * np.exp(generator.uniform(-12.0, 12.0, count))
    contracts["years"] = np.exp(generator.uniform(math.log(1e-5), math.log(40.0), count))
    contracts["volatility"] = np.exp(generator.uniform(math.log(1e-3), math.log(10.0), count))
    values = price(**contracts)
    found = solved(contracts, values)
    assert (found > 0).sum() > 200
    for row, volatility in enumerate(found):
        assert_law(contract_at(contracts, row), values[row], volatility)


@pytest.mark.parametrize("is_call", [True, False])
def test_the_law_holds_at_the_money_from_the_smallest_price_to_the_largest(is_call):
    contract = {"spot": 100.0, "strike": 100.0, "years": 0.25, "rate": 0.03, "dividend_yield": 0.03, "is_call": is_call}
    upper = 100.0 * math.exp(-0.0075)
    values = np.concatenate([np.geomspace(2e-13, 50.0, 120), upper - np.geomspace(1e-12, 50.0, 80)])
    found = implied_volatility(price=values, **contract)
    assert (found > 0).all()
    for value, volatility in zip(values, found, strict=True):
        assert_law(contract, value, volatility)


@settings(deadline=None, max_examples=300)
@given(
    spot=st.floats(1.0, 1000.0),
    ratio=st.floats(0.05, 20.0),
    years=st.floats(1e-4, 5.0),
    rate=st.floats(-0.05, 0.15),
    dividend_yield=st.floats(0.0, 0.1),
    fraction=st.floats(0.0, 1.0),
    is_call=st.booleans(),
)
def test_any_price_between_the_bounds_has_a_volatility_that_gives_it_back(
    spot, ratio, years, rate, dividend_yield, fraction, is_call
):
    contract = {"spot": spot, "strike": spot * ratio, "years": years, "rate": rate, "dividend_yield": dividend_yield,
                "is_call": is_call}  # fmt: skip
    lower, upper, _ = (float(bound) for bound in exact_bounds(contract))
    value = lower + fraction * (upper - lower)
    assert_law(contract, value, float(implied_volatility(price=value, **contract)))


@settings(deadline=None, max_examples=200)
@given(values=st.lists(st.floats(64.0, 128.0, exclude_max=True), min_size=2, max_size=2).map(sorted))
def test_a_higher_price_never_has_a_lower_volatility(values):
    lower, higher = implied_volatility(price=values, **CALL)
    # Where vega is small, neighbouring prices may change places by a rounding error of the price.
    spacing = 8 * 2.0**-52 * 128.0
    assert higher >= lower or values[1] - values[0] <= 2 * spacing


def test_within_four_epsilons_of_the_lower_bound_the_volatility_is_zero_and_further_below_it_is_nan():
    offsets = np.array([0.0, 1.0, -1.0, 1.25, 2.0, -1.25, -8.0])
    found = implied_volatility(price=64.0 + offsets * FLOOR, **CALL)
    assert found[:3].tolist() == [0.0, 0.0, 0.0]
    assert (found[3:5] > 0.0).all()
    assert np.isnan(found[5:]).all()


def test_out_of_the_money_the_lower_bound_is_zero():
    put = {**CALL, "is_call": False}
    found = implied_volatility(price=np.array([0.0, FLOOR, -FLOOR, 1.25 * FLOOR, -1.25 * FLOOR, -1.0]), **put)
    assert found[:3].tolist() == [0.0, 0.0, 0.0]
    assert found[3] > 0.0
    assert np.isnan(found[4:]).all()


@pytest.mark.parametrize(("is_call", "upper"), [(True, 128.0), (False, 64.0)])
def test_at_the_upper_bound_the_volatility_is_nan_and_one_step_below_it_is_a_number(is_call, upper):
    contract = {**CALL, "is_call": is_call}
    below = math.nextafter(upper, 0.0)
    found = implied_volatility(price=[upper, math.nextafter(upper, 1e3), 1e9, below], **contract)
    assert np.isnan(found[:3]).all()
    assert found[3] > 10.0
    assert_law(contract, below, float(found[3]))


def test_without_time_only_the_intrinsic_value_has_a_volatility_and_it_is_zero():
    expired = {**CALL, "years": 0.0}
    found = implied_volatility(price=[64.0, 65.0, 63.0], **expired)
    assert found[0] == 0.0
    assert np.isnan(found[1:]).all()


def test_deep_out_of_the_money_prices_of_a_hundredth_of_a_cent_and_less_are_inverted_to_the_last_digits():
    # Where a solver on the raw price stops at its starting value: vega is 1e-9 and less.
    contract = {"spot": 100.0, "years": 1.0 / 52.0, "rate": 0.02, "dividend_yield": 0.0, "volatility": 0.2}
    for strike, is_call in ((85.0, False), (82.0, False), (118.0, True), (121.0, True)):
        one = {**contract, "strike": strike, "is_call": is_call}
        value = price(**one)
        assert float(solved(one, value)) == pytest.approx(0.2, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "value"),
    [("price", np.nan), ("price", np.inf), ("price", -np.inf), ("spot", 0.0), ("spot", -128.0), ("spot", np.nan),
     ("spot", np.inf), ("strike", 0.0), ("strike", -64.0), ("strike", np.inf), ("years", -0.5), ("years", np.nan),
     ("years", np.inf), ("rate", np.nan), ("rate", np.inf), ("rate", -np.inf), ("dividend_yield", np.nan),
     ("dividend_yield", np.inf), ("dividend_yield", -np.inf)],
)  # fmt: skip
@pytest.mark.parametrize("is_call", [True, False])
def test_the_volatility_is_nan_where_an_input_is_outside_the_domain(name, value, is_call):
    inside = {**CALL, "strike": 120.0, "price": 20.0, "is_call": is_call}
    found = implied_volatility(**{**inside, name: np.array([inside[name], value])})
    assert np.isnan(found).tolist() == [False, True]


def test_both_spot_and_strike_negative_is_still_outside_the_domain():
    assert np.isnan(implied_volatility(**{**CALL, "price": 70.0, "spot": -128.0, "strike": -64.0}))


def test_inputs_broadcast_and_shapes_are_kept():
    found = implied_volatility(**{**CALL, "price": [[66.0], [70.0]], "is_call": [True, True, True]})
    assert found.shape == (2, 3)
    assert found.dtype == np.float64
    assert implied_volatility(price=70.0, **CALL).shape == ()
    assert implied_volatility(price=[], **CALL).shape == (0,)


def test_a_long_array_gives_what_its_rows_give_alone():
    contracts = drawn_contracts(4 * BLOCK_LENGTH + 3, seed=6, moneyness_deviations=1.0)
    values = price(**contracts)
    found = solved(contracts, values)
    for row in (0, BLOCK_LENGTH - 1, BLOCK_LENGTH, 2 * BLOCK_LENGTH + 5, 4 * BLOCK_LENGTH + 2):
        assert float(solved(contract_at(contracts, row), values[row])) == found[row]


@pytest.mark.parametrize("changed", [{"is_call": "C"}, {"price": "x"}, {"spot": [1.0, 2.0], "strike": [1.0] * 3}])
def test_what_is_no_number_no_flag_or_of_no_common_shape_is_a_typed_error(changed):
    with pytest.raises(OptionPricingError):
        implied_volatility(**{**CALL, "price": 70.0, **changed})
