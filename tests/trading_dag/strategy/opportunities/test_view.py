"""What is drawn of an opportunity agrees with its row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from trading_dag.options.structures.structure import STRUCTURES
from trading_dag.plots import to_png
from trading_dag.plots.opportunities import opportunity_figure
from trading_dag.settings import Settings
from trading_dag.slices import horizon_of
from trading_dag.strategy.opportunities.build import build_opportunities
from trading_dag.strategy.opportunities.view import view

World = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("name", ["bull_put_spread", "calendar", "covered_call"])
def test_the_profit_over_the_forecast_has_the_mean_of_the_row(world: World, free: Settings, name: str) -> None:
    inputs = world(centre=0.003)
    first = [inputs[part] for part in ("price", "level", "prices", "volatility_index")]
    horizon = horizon_of("168h")
    table = build_opportunities(
        *first, rates=inputs["rates"], horizon=horizon, settings=free, menu={name: STRUCTURES[name]}
    ).table
    row = table.iloc[-1]
    seen = view(row.to_dict(), {**inputs, "smiles": None}, horizon=horizon, settings=free, menu=STRUCTURES)
    middle = 0.5 * (seen.edges[:-1] + seen.edges[1:])
    mean = (np.interp(middle, seen.prices, seen.profit_at_exit) * seen.forecast).sum() / seen.forecast.sum()
    assert mean == pytest.approx(row["expected_profit_usd"], abs=0.02 * row["profit_standard_deviation_usd"])
    assert (len(seen.profit_at_expiration) == 0) == (name == "calendar")
    assert seen.forecast.sum() == pytest.approx(0.9973, abs=0.001)
    assert (seen.market >= 0).all()
    assert to_png(opportunity_figure(seen, row, title="SPY")).startswith(b"\x89PNG")
