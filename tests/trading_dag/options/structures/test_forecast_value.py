"""What a structure is worth by a forecast is what it pays on average over prices drawn from it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from trading_dag.errors import OptionPricingError
from trading_dag.options.pricing.forecast_distribution import ForecastDistribution
from trading_dag.options.structures.forecast_value import expected_profit, forecast_probability_of_profit
from trading_dag.options.structures.payoff import payoff
from trading_dag.options.structures.structure import STRUCTURES, structure_of
from trading_dag.schemas import QUANTILE_LEVELS

DEVIATION = 0.06
FORECAST = ForecastDistribution(100 * np.exp(0.01 + DEVIATION * norm.ppf(QUANTILE_LEVELS))[None, :])
DRAWS = 100 * np.exp(0.01 + DEVIATION * np.random.default_rng(1).standard_normal(400_000))


@pytest.mark.parametrize("name", [name for name, structure in STRUCTURES.items() if structure.expires_together])
def test_probability_and_profit_are_those_of_drawn_prices(name: str) -> None:
    structure = structure_of(name)
    strikes = 100.0 + 3.0 * (np.arange(len(structure.is_call)) - (len(structure.is_call) - 1) / 2)[None, :]
    paid = payoff(structure, strikes, spot=DRAWS[None, :])[0]
    premium = float(np.quantile(paid, 0.4)) + 0.37
    profit = paid - premium
    error = 4 * profit.std() / np.sqrt(len(profit))
    assert expected_profit(structure, strikes, premium=premium, forecast=FORECAST)[0] == pytest.approx(
        profit.mean(), abs=error + 1e-9
    )
    found = forecast_probability_of_profit(structure, strikes, premium=premium, forecast=FORECAST)[0]
    assert found == pytest.approx((profit >= 0).mean(), abs=4 * np.sqrt(0.25 / len(profit)))


def test_a_missing_strike_gives_nothing_and_legs_of_two_dates_are_refused() -> None:
    spread = structure_of("bull_call_spread")
    found = forecast_probability_of_profit(spread, [[95.0, np.nan]], premium=1.0, forecast=FORECAST)
    assert np.isnan(found).all()
    assert np.isnan(expected_profit(spread, [[95.0, np.nan]], premium=1.0, forecast=FORECAST)).all()
    for ask in (forecast_probability_of_profit, expected_profit):
        with pytest.raises(OptionPricingError, match="different dates"):
            ask(structure_of("calendar"), [[100.0, 100.0]], premium=1.0, forecast=FORECAST)
