"""Prices agree with QuantLib, with published values, and with Black–Scholes where the model comes down to it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import QuantLib
from scipy.stats import norm, poisson

from trading_dag.simulation.parameters import VarianceProcess, underlying_of
from trading_dag.simulation.transform_pricing import (
    PricedState,
    characteristic_function,
    expected_variance,
    priced_state,
    put_prices,
)

# Nearly constant variance: its own deviation is too small to matter.
STILL = VarianceProcess(reversion=1.0, level=0.04, volatility=1e-4, correlation=0.0, priced_reversion=1.0)
STRIKES = np.array([70.0, 85.0, 95.0, 100.0, 105.0, 115.0, 130.0])


def black_put(forward: float, strike: np.ndarray, deviation: float) -> np.ndarray:
    d1 = np.log(forward / strike) / deviation + 0.5 * deviation
    return strike * norm.cdf(deviation - d1) - forward * norm.cdf(-d1)


def bates_put(state: PricedState, strike: float, *, days: int) -> float:
    """QuantLib's Bates engine, forward 100, no rate, time in years of 252 days."""
    process, now = state.variances[0]
    mean, deviation, rate = state.jumps[0]
    today = QuantLib.Date(1, 1, 2024)
    QuantLib.Settings.instance().evaluationDate = today
    # A calendar of 360 days a year: the expiration is placed so that its year fraction is days / 252.
    count = QuantLib.Business252(QuantLib.NullCalendar())
    flat = QuantLib.YieldTermStructureHandle(QuantLib.FlatForward(today, 0.0, count))
    spot = QuantLib.QuoteHandle(QuantLib.SimpleQuote(100.0))
    bates = QuantLib.BatesProcess(
        flat, flat, spot, now, process.priced_reversion, process.priced_level, process.volatility,
        process.correlation, rate, mean, deviation,
    )  # fmt: skip
    option = QuantLib.VanillaOption(
        QuantLib.PlainVanillaPayoff(QuantLib.Option.Put, strike), QuantLib.EuropeanExercise(today + days)
    )
    option.setPricingEngine(QuantLib.BatesEngine(QuantLib.BatesModel(bates), 1e-12, 1_000_000))
    return float(option.NPV())


@pytest.mark.parametrize("market_now", [0.004, 0.028, 0.12])
@pytest.mark.parametrize("days", [1, 5, 21, 252])
def test_the_market_itself_is_a_bates_model_and_priced_as_quantlib_prices_it(market_now: float, days: int) -> None:
    state = priced_state(underlying_of(1, "SPY", fair=False), market_now=market_now, own_now=0.0, fair=False)
    ours = put_prices(state, forward=100.0, strikes=STRIKES, years=days / 252, announcements=0)
    theirs = [bates_put(state, float(strike), days=days) for strike in STRIKES]
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_fang_and_oosterlees_heston_call_is_met() -> None:
    """Their table 4: 5.785155450 for these parameters and one year, with a slowly falling transform."""
    process = VarianceProcess(1.5768, 0.0398, 0.5751, -0.5711, 1.5768)
    state = PricedState(((process, 0.0175),), (), 0.0)
    put = put_prices(state, forward=100.0, strikes=np.array([100.0]), years=1.0, announcements=0)
    assert put[0] == pytest.approx(5.785155450, abs=2e-6)


def test_without_randomness_of_variance_it_is_black_scholes() -> None:
    state = PricedState(((STILL, 0.04),), (), 0.0)
    ours = put_prices(state, forward=100.0, strikes=STRIKES, years=0.5, announcements=0)
    np.testing.assert_allclose(ours, black_put(100.0, STRIKES, 0.2 * math.sqrt(0.5)), atol=2e-6)


def test_an_announcement_adds_its_variance_once() -> None:
    state = PricedState(((STILL, 0.04),), (), 0.05**2)
    ours = put_prices(state, forward=100.0, strikes=STRIKES, years=0.1, announcements=2)
    np.testing.assert_allclose(ours, black_put(100.0, STRIKES, math.sqrt(0.004 + 2 * 0.0025)), atol=2e-6)


def test_jumps_give_mertons_series() -> None:
    mean, deviation, rate, years = -0.05, 0.08, 3.0, 0.25
    state = PricedState(((STILL, 0.04),), ((mean, deviation, rate),), 0.0)
    compensator = rate * years * math.expm1(mean + 0.5 * deviation**2)
    expected = np.zeros(len(STRIKES))
    for count in range(30):
        forward = 100.0 * math.exp(-compensator + count * (mean + 0.5 * deviation**2))
        total = math.sqrt(0.04 * years + count * deviation**2)
        expected += poisson.pmf(count, rate * years) * black_put(forward, STRIKES, total)
    ours = put_prices(state, forward=100.0, strikes=STRIKES, years=years, announcements=0)
    np.testing.assert_allclose(ours, expected, atol=2e-6)


def test_two_parts_are_priced_as_the_mean_over_the_second_of_the_first() -> None:
    """A share in a world where its own part is one normal number: integrate it out by hand."""
    first = priced_state(underlying_of(1, "SPY", fair=True), market_now=0.03, own_now=0.0, fair=True)
    both = PricedState((*first.variances, (STILL, 0.04)), first.jumps, 0.0)
    years = 21 / 252
    deviation = 0.2 * math.sqrt(years)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    expected = sum(
        weight / math.sqrt(2.0 * math.pi)
        * put_prices(
            first, forward=100.0 * math.exp(deviation * node - 0.5 * deviation**2), strikes=STRIKES, years=years,
            announcements=0,
        )
        for node, weight in zip(nodes, weights, strict=True)
    )  # fmt: skip
    ours = put_prices(both, forward=100.0, strikes=STRIKES, years=years, announcements=0)
    np.testing.assert_allclose(ours, expected, atol=5e-6)


def test_beta_scales_the_log_price_of_the_market() -> None:
    """The characteristic function of β times a martingale part, less its own compensator."""
    beta = underlying_of(1, "QQQ", fair=True).beta
    market = priced_state(underlying_of(1, "SPY", fair=True), market_now=0.03, own_now=0.0, fair=True)
    scaled = priced_state(underlying_of(1, "QQQ", fair=True), market_now=0.03, own_now=0.0, fair=True)
    only_beta = PricedState(scaled.variances[:1], scaled.jumps, 0.0)
    total = expected_variance(market, years=np.array([0.1]), announcements=np.array([0.0]))
    ours = expected_variance(only_beta, years=np.array([0.1]), announcements=np.array([0.0]))
    np.testing.assert_allclose(ours, beta**2 * total, rtol=1e-12)


def test_expected_variance_is_twice_the_loss_of_the_log_price_without_jumps() -> None:
    """E[X] = −½ of the quadratic variation for a diffusion, read off the characteristic function at zero."""
    process = VarianceProcess(5.0, 0.028, 0.42, -0.75, 4.0)
    state = PricedState(((process, 0.05),), (), 0.0)
    step = 1e-5
    mean = float(np.imag(characteristic_function(state, np.array([step]), years=0.25, announcements=0)[0])) / step
    total = expected_variance(state, years=np.array([0.25]), announcements=np.array([0.0]))
    assert total[0] == pytest.approx(-2.0 * mean, rel=1e-6)
    # By hand: priced level 5·0.028/4 = 0.035.
    assert total[0] == pytest.approx(0.035 * 0.25 + 0.015 * (1.0 - math.exp(-1.0)) / 4.0, rel=1e-12)
