"""One structure as the market moves: values from parity and from the definition of each Greek."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trading_dag.dashboard.scenario import Moves, at_one_price, days_left, exposures, scenario_data, scenario_figure
from trading_dag.options.pricing.black_scholes import price
from trading_dag.options.structures.indication import Indication
from trading_dag.options.structures.structure import STRUCTURES

CARRY = {"rate": 0.04, "dividend_yield": 0.01}


def straddle() -> Indication:
    session, expiration = pd.Timestamp("2024-06-03"), pd.Timestamp("2024-06-28")
    volatilities = np.array([0.2, 0.2])
    legs = price(
        spot=100.0, strike=np.array([100.0, 100.0]), years=25 / 365, volatility=volatilities,
        is_call=np.array([True, False]), **CARRY,
    )  # fmt: skip
    return Indication(
        STRUCTURES["long_straddle"], "SPY", session, 100.0, expiration, np.array([100.0, 100.0]), legs, volatilities,
        float(legs.sum()), float(legs.sum()), np.inf, np.array([]), 0.4, 100,
    )  # fmt: skip


def test_without_a_move_the_profit_is_nothing() -> None:
    now, then = at_one_price(straddle(), moves=Moves(), **CARRY)
    assert days_left(straddle()) == pytest.approx(25.0)
    assert now["profit_usd"] == pytest.approx(0.0, abs=1e-6)
    assert then.equals(now)


def test_at_expiration_a_straddle_pays_the_distance_less_its_price() -> None:
    held = straddle()
    _, then = at_one_price(held, moves=Moves(spot_percent=10.0, days=25), **CARRY)
    assert then["profit_usd"] == pytest.approx((10.0 - held.premium) * 100)


@pytest.mark.parametrize(
    ("column", "moved", "step"),
    [
        ("delta_shares", Moves(spot_percent=0.01), 0.01),
        ("vega_usd_per_point", Moves(volatility_points=0.01), 0.01),
        ("theta_usd_per_day", Moves(days=0.01), 0.01),
    ],
)
def test_a_greek_is_the_profit_of_a_small_move_over_the_move(column: str, moved: Moves, step: float) -> None:
    now, then = at_one_price(straddle(), moves=moved, **CARRY)
    slope = (then["profit_usd"] - now["profit_usd"]) / step
    assert slope == pytest.approx(now[column], rel=5e-3, abs=0.2)


def test_each_slider_moves_the_curve_that_is_drawn() -> None:
    still = scenario_data(straddle(), moves=Moves(), **CARRY)
    for moves in (Moves(days=10), Moves(volatility_points=5)):
        moved = scenario_data(straddle(), moves=moves, **CARRY)
        assert (moved["profit_usd"] - still["profit_usd"]).abs().max() > 20
        np.testing.assert_array_equal(moved["profit_today_usd"], still["profit_usd"])
    figure = scenario_figure(moved, spot=100.0, moved_spot=105.0)
    drawn = {trace.name: trace.y for trace in figure.data}
    np.testing.assert_array_equal(drawn["after the moves"], moved["profit_usd"])
    assert {shape.x0 for shape in figure.layout.shapes if shape.x0 == shape.x1} == {100.0, 105.0}


def test_shares_count_in_delta_and_profit() -> None:
    covered = straddle()
    legs = np.array([1.0])
    held = Indication(
        STRUCTURES["covered_call"], "SPY", covered.session, 100.0, covered.expiration, np.array([300.0]), legs,
        np.array([0.2]), 100.0, 100.0, 0.0, np.array([]), 0.5, 100,
    )  # fmt: skip
    found = exposures(held, np.array([100.0, 101.0]), moves=Moves(), **CARRY)
    assert found["delta_shares"].iloc[0] == pytest.approx(100.0)
    assert found["profit_usd"].diff().iloc[1] == pytest.approx(100.0)
