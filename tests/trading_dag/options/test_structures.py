"""Structures pay at expiration what a hand calculation and a brute-force grid say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.errors import OptionPricingError
from trading_dag.options.structures import (
    STRUCTURES,
    DeltaRule,
    Leg,
    OffsetRule,
    Structure,
    breakevens,
    maximum_loss,
    maximum_profit,
    payoff,
    payoff_bounds,
    probability_of_profit,
    structure_of,
)
from trading_dag.options.surface import ModelledSurface
from trading_dag.settings import SurfaceSettings

# structure, strikes in leg order, premium, maximum loss, maximum profit, breakevens: by hand.
BY_HAND = [
    ("long_call", [100.0], 3.0, 3.0, np.inf, [103.0]),
    ("long_put", [100.0], 3.0, 3.0, 97.0, [97.0]),
    ("bull_call_spread", [100.0, 105.0], 2.0, 2.0, 3.0, [102.0]),
    ("bear_put_spread", [100.0, 95.0], 2.0, 2.0, 3.0, [98.0]),
    ("bull_put_spread", [95.0, 90.0], -1.5, 3.5, 1.5, [93.5]),
    ("bear_call_spread", [105.0, 110.0], -1.5, 3.5, 1.5, [106.5]),
    ("iron_condor", [95.0, 90.0, 105.0, 110.0], -2.0, 3.0, 2.0, [93.0, 107.0]),
]
FLAT = SurfaceSettings(atm_ratio=1, term_slope=0, skew=0, curvature=0)


@pytest.mark.parametrize(("name", "strikes", "premium", "loss", "profit", "points"), BY_HAND)
def test_risk_reward_and_breakevens_are_those_of_a_hand_calculation(name, strikes, premium, loss, profit, points):
    structure, k = structure_of(name), np.array([strikes])
    assert maximum_loss(structure, k, premium=premium).tolist() == [loss]
    assert maximum_profit(structure, k, premium=premium).tolist() == [profit]
    found = breakevens(structure, k, premium=premium)[0]
    assert found[np.isfinite(found)].tolist() == pytest.approx(points)


def test_the_condor_pays_by_hand_at_seven_prices():
    structure, strikes = structure_of("iron_condor"), [[95.0, 90.0, 105.0, 110.0]]
    prices = np.array([[80.0, 90.0, 92.0, 100.0, 107.0, 110.0, 130.0]])
    assert payoff(structure, strikes, spot=prices)[0].tolist() == [-5.0, -5.0, -3.0, 0.0, -2.0, -5.0, -5.0]


@settings(deadline=None, max_examples=100)
@given(
    name=st.sampled_from(sorted(STRUCTURES)),
    steps=st.lists(st.integers(1, 12), min_size=4, max_size=4),
    premium=st.floats(-4.0, 8.0),
)
def test_bounds_and_breakevens_agree_with_a_brute_force_grid(name, steps, premium):
    structure = structure_of(name)
    ascending = 80.0 + np.cumsum(steps)
    order = {
        "bull_call_spread": [0, 1], "bear_call_spread": [0, 1], "bear_put_spread": [1, 0], "bull_put_spread": [1, 0],
        "iron_condor": [1, 0, 2, 3],
    }.get(name, [0])  # fmt: skip
    strikes = ascending[order][np.newaxis, :]
    grid = np.arange(0.0, 400.0, 0.25)[np.newaxis, :]
    paid = payoff(structure, strikes, spot=grid)[0]
    bounds = payoff_bounds(structure, strikes)
    assert paid.min() == bounds.least[0]
    assert paid.max() == bounds.greatest[0] or (np.isposinf(bounds.greatest[0]) and paid.max() == paid[-1])
    found = breakevens(structure, strikes, premium=premium)[0]
    for point in found[np.isfinite(found)]:
        assert payoff(structure, strikes, spot=np.array([point]))[0] == pytest.approx(premium, abs=1e-9)
    crossings = int((np.diff((paid - premium < 0).astype(int)) != 0).sum())
    inside = found[np.isfinite(found) & (found < grid[0, -1])]
    assert len(inside) == crossings


@pytest.mark.parametrize(("name", "strikes", "premium", "loss", "profit", "points"), BY_HAND)
def test_the_probability_of_profit_is_the_lognormal_mass_where_it_profits(name, strikes, premium, loss, profit, points):
    structure = structure_of(name)
    years, rate, dividend_yield, volatility = 0.1, 0.04, 0.01, 0.25
    surface = ModelledSurface(np.array([25.0]), rate, dividend_yield, FLAT)
    ours = probability_of_profit(
        structure, [strikes], premium=premium, spot=np.array([100.0]), years=np.array([years]), surface=surface
    )
    mean = np.log(100.0) + (rate - dividend_yield - 0.5 * volatility**2) * years
    generator = np.random.default_rng(3)
    drawn = np.exp(mean + volatility * np.sqrt(years) * generator.standard_normal(400_000))
    simulated = float(
        (payoff(structure, np.repeat([strikes], 1, axis=0), spot=drawn[np.newaxis, :])[0] > premium).mean()
    )
    assert float(ours[0]) == pytest.approx(simulated, abs=4 * 0.5 / np.sqrt(400_000))


def test_a_structure_that_always_or_never_profits_has_probability_one_or_zero():
    structure, surface = (
        structure_of("bull_call_spread"),
        ModelledSurface(np.array([20.0, 20.0, np.nan]), 0.0, 0.0, FLAT),
    )
    ours = probability_of_profit(
        structure, [[100.0, 105.0]] * 3, premium=[-1.0, 6.0, np.nan], spot=[100.0] * 3, years=[0.1] * 3, surface=surface
    )
    assert ours[:2].tolist() == [1.0, 0.0]
    assert np.isnan(ours[2])


def test_impossible_structures_are_refused_with_a_typed_error():
    with pytest.raises(OptionPricingError, match="no legs"):
        Structure("empty", ())
    with pytest.raises(OptionPricingError, match="ratio"):
        Structure("zero", (Leg("C", "buy", DeltaRule("long_leg"), ratio=0),))
    with pytest.raises(OptionPricingError, match="not before it"):
        Structure("forward", (Leg("C", "buy", OffsetRule(leg=1, steps=1)), Leg("C", "sell", DeltaRule("short_leg"))))
    with pytest.raises(OptionPricingError, match="unknown structure"):
        structure_of("iron_albatross")
