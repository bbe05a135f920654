"""The modelled surface says what its formula says, and admits no obvious arbitrage."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from trading_dag.options.structures.quotes import modelled_quotes
from trading_dag.options.surfaces.modelled import ModelledSurface, continuous_rate
from trading_dag.setting_groups import BacktestSettings, SurfaceSettings

SHAPE = SurfaceSettings(atm_ratio=0.9, term_slope=0.05, skew=-0.2, curvature=0.04, minimum_volatility=0.05)


def test_the_volatility_is_the_documented_formula_worked_by_hand():
    surface = ModelledSurface(20.0, 0.04, 0.01, SHAPE)
    years = 60 / 365
    atm = 0.9 * 0.20 * (1 + 0.05 * math.log(2.0))
    forward = 100.0 * math.exp(0.03 * years)
    x = math.log(95.0 / forward) / (atm * math.sqrt(years))
    expected = atm * (1 - 0.2 * x + 0.04 * x * x)
    assert float(surface.implied_volatility(100.0, 95.0, years)) == pytest.approx(expected, rel=1e-13)
    assert float(surface.implied_volatility(100.0, forward, years)) == pytest.approx(atm, rel=1e-12)


def test_moneyness_is_cut_at_three_deviations_and_volatility_is_floored():
    surface = ModelledSurface(20.0, 0.0, 0.0, SHAPE)
    atm = 0.18
    far = surface.implied_volatility(100.0, [1.0, 2.0], 30 / 365)
    assert far == pytest.approx(atm * (1 + 0.6 + 0.36))
    tiny = ModelledSurface(1.0, 0.0, 0.0, SHAPE).implied_volatility(100.0, 100.0, 30 / 365)
    assert float(tiny) == 0.05


def test_less_than_a_day_uses_the_term_of_one_day_and_expiration_itself_has_a_finite_volatility():
    surface = ModelledSurface(20.0, 0.0, 0.0, SHAPE)
    assert float(surface.atm_volatility(0.1 / 365)) == float(surface.atm_volatility(1 / 365))
    assert np.isfinite(surface.implied_volatility(100.0, [90.0, 100.0, 110.0], 0.0)).all()
    assert surface.price(100.0, [90.0, 110.0], years=0.0, is_call=True).tolist() == [10.0, 0.0]


def test_a_missing_index_level_or_spot_gives_nan_and_no_warning():
    surface = ModelledSurface(np.array([20.0, np.nan, 20.0]), 0.0, 0.0, SHAPE)
    assert np.isnan(surface.implied_volatility(np.array([100.0, 100.0, np.nan]), 100.0, 0.1)).tolist() == [
        False, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize("index", [10.0, 20.0, 40.0, 80.0])
@pytest.mark.parametrize("days", [7, 21, 60])
def test_default_prices_fall_and_are_convex_in_the_strike(index, days):
    surface = ModelledSurface(index, 0.03, 0.015, SurfaceSettings())
    deviation = index / 100 * math.sqrt(days / 365)
    strikes = 100.0 * np.exp(np.linspace(-2.0, 2.0, 81) * deviation * 0.86)
    strikes = np.linspace(strikes[0], strikes[-1], 161)
    calls = surface.price(100.0, strikes, years=days / 365, is_call=True)
    assert (np.diff(calls) < 0).all()
    assert (np.diff(calls, n=2) > -1e-10).all()


def test_a_bill_yield_becomes_a_continuous_rate_and_a_missing_one_the_fallback():
    assert continuous_rate([5.0, np.nan, 0.0], fallback=0.03) == pytest.approx([0.048790164169432, 0.03, 0.0])


def test_quotes_stand_half_a_spread_from_the_middle_and_round_against_the_trader():
    surface = ModelledSurface(20.0, 0.0, 0.0, SurfaceSettings(atm_ratio=1, term_slope=0, skew=0, curvature=0))
    book = BacktestSettings(half_spread_fraction=0.02, half_spread_minimum_usd=0.01, price_tick_usd=0.01)
    quotes = modelled_quotes(surface, 100.0, strike=[100.0, 130.0, 160.0], years=30 / 365, is_call=True, settings=book)
    middle = float(surface.price(100.0, 100.0, years=30 / 365, is_call=True))
    assert quotes.bid[0] == pytest.approx(math.floor(0.98 * middle * 100) / 100)
    assert quotes.ask[0] == pytest.approx(math.ceil(1.02 * middle * 100) / 100)
    # A worthless option is bid at zero, never below, and still costs the least half spread to buy.
    assert quotes.bid[2] == 0.0
    assert quotes.ask[2] == pytest.approx(0.02, abs=0.0101)
    assert (quotes.natural([1.0, -1.0, 1.0]) == [quotes.ask[0], quotes.bid[1], quotes.ask[2]]).all()


@pytest.mark.files_data
def test_the_default_shape_is_within_two_volatility_points_of_the_real_smiles_of_2026(real_data):
    # Shape only: each slice's own at-the-money volatility is taken as given, because no index level covers 2026.
    chain = pd.read_parquet(real_data / "option_chain_eod.parquet", filters=[("ticker", "==", "SPY")])
    days = (pd.to_datetime(chain["expiration"]) - pd.to_datetime(chain["quote_date"])).dt.days
    is_call = chain["right"] == "C"
    out_of_the_money = is_call == (chain["strike"] >= chain["underlying_price"])
    wanted = days.between(14, 35) & (chain["implied_volatility"] > 0.02) & (chain["volume"] > 0) & out_of_the_money
    chain, days = chain[wanted], days[wanted]
    years = days / 365
    log_moneyness = np.log(chain["strike"] / (chain["underlying_price"] * np.exp(0.025 * years)))
    group = [chain["quote_date"], chain["expiration"]]
    near = chain["implied_volatility"].where(log_moneyness.abs() < 0.004)
    atm = near.groupby(group).transform("median")
    x = log_moneyness / (atm * np.sqrt(years))
    kept = atm.notna() & x.between(-2.0, 1.5)
    shape = SurfaceSettings()
    modelled = atm * (1 + shape.skew * x + shape.curvature * x**2)
    error = 100 * (modelled - chain["implied_volatility"])[kept]
    assert len(error) > 5_000
    assert float(np.sqrt((error**2).mean())) < 2.0
    assert abs(float(error.mean())) < 0.75


@pytest.mark.parametrize("years", [7 / 365, 24 / 365, 0.25])
def test_the_probability_above_a_strike_is_minus_the_slope_of_the_surfaces_own_call_prices(years):
    surface = ModelledSurface(18.0, 0.04, 0.015, SurfaceSettings())
    strikes = np.arange(400.0, 601.0, 12.5)
    step = 1e-3
    prices = [surface.price(500.0, strikes + move, years=years, is_call=True) for move in (-step, step)]
    expected = np.exp(0.04 * years) * (prices[0] - prices[1]) / (2 * step)
    assert surface.probability_above(500.0, strikes, years) == pytest.approx(expected, abs=1e-6)


def test_the_probability_above_a_strike_beyond_the_surfaces_limits_has_no_slope():
    """Beyond three deviations, and where the floor holds, the volatility is constant: N(d2) is exact."""
    from scipy.stats import norm

    far = ModelledSurface(18.0, 0.0, 0.0, SurfaceSettings())
    floored = ModelledSurface(1.0, 0.0, 0.0, SurfaceSettings())
    for surface, strike in ((far, 300.0), (far, 800.0), (floored, 500.0), (floored, 505.0)):
        volatility = float(surface.implied_volatility(500.0, strike, 0.1))
        d2 = np.log(500.0 / strike) / (volatility * np.sqrt(0.1)) - 0.5 * volatility * np.sqrt(0.1)
        assert float(surface.probability_above(500.0, strike, 0.1)) == pytest.approx(norm.cdf(d2), abs=1e-12)
