"""The recommended structure over the forecast: what is drawn is what the tables say."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from trading_dag.dashboard.payoffs import (
    breakeven_points,
    forecast_at_expiration,
    payoff_data,
    payoff_figure,
    recommended,
    value_by_forecast,
)
from trading_dag.options.pricing.forecast_distribution import ForecastDistribution
from trading_dag.options.structures.structure import STRUCTURES
from trading_dag.schemas import QUANTILE_COLUMNS, QUANTILE_LEVELS
from trading_dag.setting_groups import BacktestSettings

BOOK = BacktestSettings(fee_per_leg_contract_usd=1.0)
SESSION, EXPIRATION = pd.Timestamp("2024-06-03"), pd.Timestamp("2024-06-21")
# A bull put spread sold for 1.50: 95/90 on a spot of 100.
ROW = {
    "strategy": "bull_put_spread",
    "legs": json.dumps([{"strike": 95.0}, {"strike": 90.0}]),
    "net_premium_usd": -150.0,
    "session": SESSION,
    "expiration": EXPIRATION,
}


def lognormal(spot: float, deviation: float) -> np.ndarray:
    from scipy.special import ndtri

    return spot * np.exp(deviation * ndtri(np.array(QUANTILE_LEVELS)))


@pytest.fixture
def legs():  # type: ignore[no-untyped-def]
    found = recommended(ROW, spot=100.0, menu=STRUCTURES, settings=BOOK)
    assert found is not None
    return found


def test_the_payoff_is_what_a_spread_pays(legs) -> None:  # type: ignore[no-untyped-def]
    data = payoff_data(legs, None, multiplier=100)
    at = np.interp([85.0, 92.5, 97.0], data["price_usd"], data["profit_usd"])
    assert at == pytest.approx([-350.0, -100.0, 150.0], abs=8.0)  # between two points of the grid
    assert (data["profit_usd"].min(), data["profit_usd"].max()) == (-350.0, 150.0)
    assert breakeven_points(legs) == [93.5]
    assert data["chance_percent"].isna().all()


def test_the_figure_draws_the_data_and_marks_spot_and_breakeven(legs) -> None:  # type: ignore[no-untyped-def]
    forecast = ForecastDistribution(lognormal(100.0, 0.04)[np.newaxis])
    data = payoff_data(legs, forecast, multiplier=100)
    figure = payoff_figure(data, spot=100.0, breakevens=[93.5], expiration=EXPIRATION)
    drawn = {trace.name: trace for trace in figure.data}
    np.testing.assert_array_equal(drawn["at expiration"].y, data["profit_usd"])
    np.testing.assert_array_equal(drawn["forecast of the price"].y, data["chance_percent"])
    assert {shape.x0 for shape in figure.layout.shapes if shape.x0 == shape.x1} == {100.0, 93.5}


def test_the_chance_of_a_price_is_that_of_the_lognormal(legs) -> None:  # type: ignore[no-untyped-def]
    from scipy.special import ndtr

    data = payoff_data(legs, ForecastDistribution(lognormal(100.0, 0.04)[np.newaxis]), multiplier=100)
    at_spot = np.interp(100.0, data["price_usd"], data["chance_percent"])
    assert at_spot == pytest.approx(100 * (ndtr(np.log(1.005) / 0.04) - ndtr(np.log(0.995) / 0.04)), rel=1e-3)


def test_the_expected_value_is_after_fees_both_ways(legs) -> None:  # type: ignore[no-untyped-def]
    """A price that surely stays above both strikes: the premium less four fees of a dollar."""
    chance, mean = value_by_forecast(legs, ForecastDistribution(lognormal(120.0, 1e-4)[np.newaxis]), BOOK)
    assert (chance, mean) == (pytest.approx(1.0), pytest.approx(146.0))


def test_a_row_without_a_structure_draws_nothing() -> None:
    for other in ({"strategy": "no_trade"}, {"legs": None}, {"strategy": "somebody's own"}):
        assert recommended({**ROW, **other}, spot=100.0, menu=STRUCTURES, settings=BOOK) is None


def test_beyond_the_furthest_forecast_nothing_is_said(legs) -> None:  # type: ignore[no-untyped-def]
    quantiles = dict(zip(QUANTILE_COLUMNS, lognormal(100.0, 0.03), strict=True))
    rows = [
        {"session": SESSION, "model": "price_distribution", "sessions_ahead": ahead, "close": 100.0, **quantiles}
        for ahead in (5, 10)
    ]
    price = pd.DataFrame(rows)
    assert forecast_at_expiration(price, legs) is None  # 13 sessions ahead
    told = forecast_at_expiration(price.assign(sessions_ahead=[5, 21]), legs)
    assert told is not None
    assert told.quantiles[0] == pytest.approx(lognormal(100.0, 0.03))
