"""American prices against published values, a binomial tree written here, and what no arbitrage demands."""

from __future__ import annotations

import math

import numpy as np
import pytest
import QuantLib
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.errors import OptionPricingError
from trading_dag.options.pricing.american import american_price, dividends_within
from trading_dag.options.pricing.black_scholes import price as european_price


def tree_price(
    spot: float, strike: float, *, years: float, rate: float, volatility: float, is_call: bool, steps: int,
    dividends: tuple[tuple[float, float], ...] = (),
) -> float:  # fmt: skip
    """Cox–Ross–Rubinstein on the spot less the present value of dividends to come (Hull, section 21.3)."""
    step = years / steps
    up, growth = math.exp(volatility * math.sqrt(step)), math.exp(rate * step)
    chance, sign = (growth - 1 / up) / (up - 1 / up), 1.0 if is_call else -1.0
    to_come = [
        sum(amount * math.exp(-rate * (when - at * step)) for when, amount in dividends if when > at * step)
        for at in range(steps + 1)
    ]
    start = spot - to_come[0]
    value = np.maximum(sign * (start * up ** np.arange(-steps, steps + 1, 2.0) - strike), 0.0)
    for at in range(steps - 1, -1, -1):
        share = start * up ** np.arange(-at, at + 1, 2.0) + to_come[at]
        held = (chance * value[1:] + (1 - chance) * value[:-1]) / growth
        value = np.maximum(held, sign * (share - strike))
    return float(value[0])


def test_the_tree_of_these_tests_is_that_of_hulls_examples() -> None:
    # Hull, Options, Futures, and Other Derivatives, 9th edition: examples 21.1 (page 455) and 21.5 (page 463).
    put = {"strike": 50.0, "years": 5 / 12, "rate": 0.10, "volatility": 0.40, "is_call": False, "steps": 5}
    assert tree_price(50.0, **put) == pytest.approx(4.49, abs=0.005)
    assert tree_price(52.0, dividends=((3.5 / 12, 2.06),), **put) == pytest.approx(4.44, abs=0.005)


def test_a_put_is_that_of_hulls_tree_with_five_hundred_steps() -> None:
    # Hull, 9th edition, page 457: 4.263, 4.272, 4.278 and 4.283 with 30, 50, 100 and 500 steps.
    value = american_price(50.0, 50.0, years=5 / 12, rate=0.10, volatility=0.40, is_call=False)
    assert value == pytest.approx([4.283], abs=0.0025)


def test_a_call_with_one_dividend_is_that_of_roll_geske_and_whaley() -> None:
    # Haug, The Complete Guide to Option Pricing Formulas, 1998, page 21: 4.3860; without exercise 3.5107.
    arguments = {"years": 1 / 3, "rate": 0.06, "volatility": 0.30, "is_call": True}
    value = american_price(80.0, 82.0, ex_years=[0.25], dividends=[4.0], **arguments)
    assert value == pytest.approx([4.3860], abs=0.001)
    escrowed = 80.0 - dividends_within([0.25], [4.0], years=1 / 3, rate=0.06)
    held = european_price(spot=escrowed, strike=82.0, dividend_yield=0.0, **arguments)
    assert held == pytest.approx([3.5107], abs=0.00005)


# Haug 1998, page 24: Barone-Adesi and Whaley's approximation for calls on futures, strike 100, rate 10 %.
BARONE_ADESI_WHALEY = [
    (0.1, 0.15, (0.0206, 1.8771, 10.0089)),
    (0.1, 0.25, (0.3159, 3.1280, 10.3919)),
    (0.1, 0.35, (0.9495, 4.3777, 11.1679)),
    (0.5, 0.15, (0.8208, 4.0842, 10.8087)),
    (0.5, 0.25, (2.7437, 6.8015, 13.0170)),
    (0.5, 0.35, (5.0063, 9.5106, 15.5689)),
]


@pytest.mark.parametrize(("years", "volatility", "published"), BARONE_ADESI_WHALEY)
def test_calls_on_futures_are_within_the_error_of_the_published_approximation(years, volatility, published) -> None:
    # The approximation is known to be too high by up to four cents in these rows.
    value = american_price(
        [90.0, 100.0, 110.0], 100.0, years=years, rate=0.10, dividend_yield=0.10, volatility=volatility, is_call=True
    )
    assert value == pytest.approx(published, abs=0.04)


# Longstaff & Schwartz, "Valuing American options by simulation", Review of Financial Studies 14, 2001, table 1,
# page 127: puts by finite differences, strike 40, rate 6 %, exercise on 50 dates a year (which costs up to a cent).
@pytest.mark.parametrize(
    ("spot", "published"),
    [
        (36.0, (4.478, 4.840, 7.101, 8.508)),
        (40.0, (2.314, 2.885, 5.312, 6.920)),
        (44.0, (1.110, 1.690, 3.948, 5.647)),
    ],
)
def test_puts_are_those_of_a_published_table_of_finite_differences(spot, published) -> None:
    value = american_price(spot, 40.0, years=[1, 2, 1, 2], rate=0.06, volatility=[0.2, 0.2, 0.4, 0.4], is_call=False)
    assert value == pytest.approx(published, abs=0.012)
    # Below it only by the grid's own error, 0.01 % of the strike.
    assert (value > np.array(published) - 0.004).all()


@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize("strike", [90.0, 100.0, 110.0])
def test_with_two_dividends_it_is_the_limit_of_a_tree(strike: float, is_call: bool) -> None:
    paid = ((0.1, 1.5), (0.35, 1.5))
    arguments = {"years": 0.5, "rate": 0.05, "volatility": 0.25, "is_call": is_call}
    value = american_price(100.0, strike, ex_years=[0.1, 0.35], dividends=[1.5, 1.5], **arguments)
    fine = 0.5 * sum(tree_price(100.0, strike, steps=steps, dividends=paid, **arguments) for steps in (1500, 1501))
    assert value == pytest.approx([fine], abs=0.01)


DOMAIN = {
    "spot": st.floats(60.0, 150.0), "years": st.floats(0.01, 1.0), "rate": st.floats(0.0, 0.10),
    "volatility": st.floats(0.05, 0.80), "is_call": st.booleans(),
}  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(**DOMAIN, when=st.floats(0.001, 1.0), amount=st.floats(0.0, 3.0))
def test_it_is_worth_exercise_and_the_european_price_and_no_more_than_share_or_strike(
    spot, years, rate, volatility, is_call, when, amount
) -> None:
    arguments = {"years": years, "rate": rate, "volatility": volatility, "is_call": is_call}
    value = float(american_price(spot, 100.0, ex_years=[when], dividends=[amount], **arguments)[0])
    escrowed = spot - dividends_within([when], [amount], years=years, rate=rate)
    held = float(european_price(spot=escrowed, strike=100.0, dividend_yield=0.0, **arguments)[0])
    assert value >= max(held, spot - 100.0 if is_call else 100.0 - spot, 0.0)
    assert value <= (spot if is_call else 100.0) + 1e-9


@settings(max_examples=60, deadline=None)
@given(**DOMAIN)
def test_a_call_without_dividends_and_a_put_without_interest_are_european(
    spot, years, rate, volatility, is_call
) -> None:
    arguments = {"years": years, "rate": rate if is_call else 0.0, "volatility": volatility, "is_call": is_call}
    value = american_price(spot, 100.0, ex_years=[2.0, 0.0], dividends=[5.0, 5.0], **arguments)
    held = european_price(spot=[spot], strike=100.0, dividend_yield=0.0, **arguments)
    intrinsic = spot - 100.0 if is_call else 100.0 - spot
    assert value == pytest.approx(np.maximum(held, intrinsic), abs=1e-12)


def test_equal_contracts_have_equal_prices_and_shapes_broadcast() -> None:
    value = american_price([95.0, 90.0, 95.0], [100.0], years=0.2, rate=0.05, volatility=0.2, is_call=[False] * 3)
    assert value.shape == (3,)
    assert value[0] == value[2] < value[1]


def test_outside_the_domain_it_is_missing_and_without_time_it_is_exercise() -> None:
    arguments = {"rate": 0.05, "is_call": False}
    missing = american_price([np.nan, 100.0, -1.0], 110.0, years=0.1, volatility=[0.2, np.nan, 0.2], **arguments)
    assert np.isnan(missing).all()
    assert american_price(100.0, 110.0, years=0.0, volatility=0.2, **arguments).tolist() == [10.0]
    assert american_price(100.0, 110.0, years=0.5, volatility=0.0, **arguments).tolist() == [10.0]
    # Exercise before the dividend would bring more, but not now: without volatility it is not looked for.
    arguments = {"rate": 0.05, "is_call": True, "ex_years": [0.25], "dividends": [5.0]}
    assert american_price(100.0, 90.0, years=0.5, volatility=0.0, **arguments).tolist() == [10.0]
    worthless = american_price(
        1.0, 110.0, years=0.5, volatility=0.2, ex_years=[0.1], dividends=[2.0], rate=0.0, is_call=False
    )
    assert np.isnan(worthless).all()


def test_as_many_dividends_as_dates_are_demanded() -> None:
    with pytest.raises(OptionPricingError, match="2 ex-dates for 1"):
        american_price(
            1.0, 1.0, years=1.0, rate=0.0, volatility=0.2, is_call=True, ex_years=[0.1, 0.2], dividends=[1.0]
        )


def test_the_librarys_own_date_is_left_as_it_was() -> None:
    before = QuantLib.Date(3, 3, 2023)
    with QuantLib.SavedSettings():
        QuantLib.Settings.instance().evaluationDate = before
        american_price(95.0, 100.0, years=0.2, rate=0.05, volatility=0.2, is_call=False)
        assert QuantLib.Settings.instance().evaluationDate == before
