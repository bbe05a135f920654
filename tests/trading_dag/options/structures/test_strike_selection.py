"""Strikes by delta against a brute-force search, and expirations against the calendar."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.options.pricing.greeks import greeks
from trading_dag.options.structures.strike_selection import (
    choose_expirations,
    choose_leg_expirations,
    choose_strikes,
    strike_at_delta,
    strike_at_the_money,
    strike_step,
    years_to_expiration,
)
from trading_dag.options.structures.structure import (
    STRUCTURES,
    AtTheMoneyRule,
    BackExpiryRule,
    DeltaRule,
    Leg,
    OffsetRule,
    SameStrikeRule,
    Structure,
    TargetDeltaRule,
    WidthRule,
    structure_of,
)
from trading_dag.options.surfaces.modelled import ModelledSurface
from trading_dag.setting_groups import BacktestSettings, SurfaceSettings


@settings(deadline=None, max_examples=60)
@given(
    spot=st.floats(20.0, 6000.0),
    index=st.floats(9.0, 85.0),
    days=st.integers(8, 60),
    target=st.sampled_from([0.10, 0.15, 0.30, 0.45, 0.60]),
    is_call=st.booleans(),
)
def test_the_strike_is_the_nearest_in_delta_of_all_strikes_on_the_grid(spot, index, days, target, is_call):
    surface = ModelledSurface(np.array([index]), 0.03, 0.015, SurfaceSettings())
    step = float(strike_step(spot, fraction=0.0025))
    chosen = float(
        strike_at_delta(
            surface, np.array([spot]), years=np.array([days / 365]), is_call=is_call, absolute_delta=target, step=step
        )[0]
    )
    every = np.arange(1, math.ceil(4 * spot / step)) * step
    deltas = np.abs(
        greeks(
            spot=spot, strike=every, years=days / 365, rate=0.03, dividend_yield=0.015,
            volatility=surface.implied_volatility(spot, every, days / 365), is_call=is_call,
        ).delta
    )  # fmt: skip
    ours = deltas[round(chosen / step) - 1]
    assert abs(ours - target) == pytest.approx(np.abs(deltas - target).min(), abs=1e-9)


@pytest.mark.parametrize("is_call", [True, False])
def test_a_delta_that_dividends_put_out_of_reach_is_met_by_a_strike_deep_in_the_money(is_call):
    # No call or put of a year has more than exp(−0.05) = 0.951 of delta.
    surface = ModelledSurface(
        np.array([20.0]), 0.03, 0.05, SurfaceSettings(atm_ratio=1, term_slope=0, skew=0, curvature=0)
    )
    strike = strike_at_delta(
        surface, np.array([100.0]), years=np.array([1.0]), is_call=is_call, absolute_delta=0.97, step=0.5
    )
    delta = greeks(
        spot=100.0, strike=strike, years=1.0, rate=0.03, dividend_yield=0.05, volatility=0.2, is_call=is_call
    ).delta
    assert np.abs(delta) == pytest.approx(math.exp(-0.05), abs=1e-6)


@pytest.mark.parametrize(
    ("spot", "tick"),
    [(1_000.0, 2.5), (9_999.0, 10.0), (10_000.0, 25.0), (20_000.0, 50.0), (40_000.0, 100.0), (100_000.0, 250.0),
     (200_000.0, 500.0), (1e6, 500.0), (0.01, 0.5)],
)  # fmt: skip
def test_every_usual_tick_is_taken_from_the_price_on_of_which_it_is_a_quarter_percent(spot, tick):
    assert strike_step([spot], fraction=0.0025).tolist() == [tick]


def test_the_grid_is_the_greatest_usual_tick_within_the_fraction():
    assert strike_step([40.0, 100.0, 399.0, 400.0, 585.0, 5_800.0, np.nan], fraction=0.0025)[:-1].tolist() == [
        0.5, 0.5, 0.5, 1.0, 1.0, 10.0,
    ]  # fmt: skip
    assert np.isnan(strike_step([np.nan], fraction=0.0025)).all()


@pytest.mark.parametrize("spot", [5.0, 30.0, 120.0, 600.0])
def test_legs_never_share_a_strike_even_where_the_grid_is_coarse(spot):
    surface = ModelledSurface(np.array([9.0]), 0.0, 0.0, SurfaceSettings())
    settings_ = BacktestSettings()
    put_short, put_long, call_short, call_long = choose_strikes(
        structure_of("iron_condor"), surface, spot=[spot], years=[21 / 365], settings=settings_
    )[0]
    assert put_long < put_short < call_short < call_long


def test_an_offset_rule_counts_steps_of_the_grid_from_its_leg():
    structure = Structure("narrow", (Leg("C", "buy", DeltaRule("long_leg")), Leg("C", "sell", OffsetRule(0, 4))))
    surface = ModelledSurface(np.array([20.0]), 0.0, 0.0, SurfaceSettings())
    bought, sold = choose_strikes(structure, surface, spot=[580.0], years=[21 / 365], settings=BacktestSettings())[0]
    assert sold - bought == 4.0


@settings(deadline=None, max_examples=200)
@given(spot=st.floats(0.3, 9_000.0), step=st.sampled_from([0.5, 1.0, 2.5, 5.0]))
def test_the_strike_at_the_money_is_the_nearest_on_the_grid(spot, step):
    grid = np.arange(1, math.ceil(spot / step) + 3) * step
    nearest = grid[np.abs(grid - spot).argmin()]
    assert float(strike_at_the_money(spot, step=step)) == nearest


def test_of_two_strikes_equally_near_to_spot_the_lower_is_at_the_money():
    assert strike_at_the_money([100.5, 101.5, np.nan], step=1.0)[:2].tolist() == [100.0, 101.0]
    assert np.isnan(strike_at_the_money([np.nan], step=1.0)).all()


def _strikes(*legs: Leg, spot: float = 580.0) -> list[float]:
    surface = ModelledSurface(np.array([20.0]), 0.0, 0.0, SurfaceSettings())
    chosen = choose_strikes(Structure("s", legs), surface, spot=[spot], years=[21 / 365], settings=BacktestSettings())
    return chosen[0].tolist()


def test_widths_count_from_their_leg_round_to_the_grid_and_are_never_nothing():
    body = Leg("C", "sell", AtTheMoneyRule())
    assert _strikes(body, Leg("C", "buy", WidthRule(0, 5.0))) == [580.0, 585.0]
    assert _strikes(body, Leg("P", "buy", WidthRule(0, -7.4))) == [580.0, 573.0]
    # 3 % of 580 is 17.4, on a grid of 1 it is 17.
    assert _strikes(body, Leg("C", "buy", WidthRule(0, 0.03, "spot_fraction"))) == [580.0, 597.0]
    assert _strikes(body, Leg("C", "buy", WidthRule(0, 0.01))) == [580.0, 581.0]
    assert _strikes(body, Leg("P", "sell", SameStrikeRule(0)), Leg("P", "buy", OffsetRule(1, -2))) == [
        580.0,
        580.0,
        578.0,
    ]


def test_an_explicit_delta_chooses_what_the_setting_of_that_delta_chooses():
    role = _strikes(Leg("P", "sell", DeltaRule("short_leg")))
    assert _strikes(Leg("P", "sell", TargetDeltaRule(BacktestSettings().short_leg_delta))) == role


@settings(deadline=None, max_examples=40)
@given(name=st.sampled_from(sorted(STRUCTURES)), spot=st.floats(20.0, 6_000.0), index=st.floats(9.0, 80.0))
def test_every_structure_has_strikes_in_the_order_that_makes_it(name, spot, index):
    structure = STRUCTURES[name]
    surface = ModelledSurface(np.array([index]), 0.03, 0.015, SurfaceSettings())
    k = choose_strikes(structure, surface, spot=[spot], years=[21 / 365], settings=BacktestSettings())[0]
    expected = {
        "bull_call_spread": k[0] < k[-1], "bear_put_spread": k[0] > k[-1], "bull_put_spread": k[0] > k[-1],
        "bear_call_spread": k[0] < k[-1], "long_straddle": k[0] == k[-1], "short_straddle": k[0] == k[-1],
        "long_strangle": k[0] < k[-1], "short_strangle": k[0] < k[-1], "calendar": k[0] == k[-1],
        "put_calendar": k[0] == k[-1],
    }  # fmt: skip
    if name == "iron_condor":
        assert k[1] < k[0] < k[2] < k[3]
    elif name == "iron_butterfly":
        assert k[0] == k[2]
        assert k[0] - k[1] == pytest.approx(k[3] - k[0])
        assert k[1] < k[0]
    elif name.endswith("_butterfly"):
        assert k[0] - k[1] == pytest.approx(k[2] - k[0])
        assert k[1] < k[0]
    else:
        assert expected.get(name, len(k) == 1)


def test_each_leg_of_a_calendar_is_chosen_at_its_own_time():
    legs = (Leg("C", "sell", TargetDeltaRule(0.3)), Leg("C", "buy", TargetDeltaRule(0.3), expiry_rule=BackExpiryRule()))
    surface = ModelledSurface(np.array([20.0]), 0.0, 0.0, SurfaceSettings())
    near, far = (
        choose_strikes(Structure("s", legs[:1]), surface, spot=[580.0], years=[t], settings=BacktestSettings())[0, 0]
        for t in (21 / 365, 49 / 365)
    )
    both = choose_strikes(
        Structure("diagonal", legs), surface, spot=[580.0], years=[[21 / 365, 49 / 365]], settings=BacktestSettings()
    )
    assert both[0].tolist() == [near, far]
    assert near < far


def test_the_back_expiration_is_the_first_weekly_one_after_its_days():
    sessions = pd.DatetimeIndex(["2024-11-15", "2024-03-05"])
    front, back = choose_leg_expirations(structure_of("calendar"), sessions, days_to_expiration=21)
    assert front.tolist() == [pd.Timestamp("2024-12-06"), pd.Timestamp("2024-03-28")]
    # 28 days after Friday 2024-12-06; after Thursday 2024-03-28 (Good Friday is closed) they end on a Thursday.
    assert back.tolist() == [pd.Timestamp("2025-01-03"), pd.Timestamp("2024-04-26")]


def test_a_back_expiration_beyond_the_calendar_does_not_exist():
    _, back = choose_leg_expirations(structure_of("calendar"), pd.DatetimeIndex(["2200-01-03"]), days_to_expiration=21)
    assert back.isna().all()


def test_a_row_without_an_index_level_has_no_strikes_even_at_the_money():
    surface = ModelledSurface(np.array([20.0, np.nan]), 0.0, 0.0, SurfaceSettings())
    strikes = choose_strikes(
        structure_of("long_straddle"), surface, spot=[100.0, 100.0], years=[0.06, 0.06], settings=BacktestSettings()
    )
    assert strikes[0].tolist() == [100.0, 100.0]
    assert np.isnan(strikes[1]).all()


def test_a_row_without_an_index_level_has_no_strikes():
    surface = ModelledSurface(np.array([20.0, np.nan]), 0.0, 0.0, SurfaceSettings())
    strikes = choose_strikes(
        structure_of("iron_condor"), surface, spot=[100.0, 100.0], years=[0.06, 0.06], settings=BacktestSettings()
    )
    assert np.isfinite(strikes[0]).all()
    assert np.isnan(strikes[1]).all()


@pytest.mark.parametrize(
    ("entry", "expiration"),
    [
        ("2024-11-15", "2024-12-06"),  # a Friday, exactly 21 days on
        ("2024-11-18", "2024-12-13"),  # a Monday: the third Friday is only 18 days on
        ("2024-03-05", "2024-03-28"),  # Good Friday 2024-03-29 is a holiday
        ("2024-03-08", "2024-04-05"),  # that Thursday is only 20 days on, so the next week's
        ("2023-03-15", "2023-04-06"),  # Good Friday 2023-04-07 is a holiday
    ],
)
def test_the_expiration_is_the_first_weekly_friday_or_the_session_before_its_holiday(entry, expiration):
    chosen = choose_expirations(pd.DatetimeIndex([entry]), days_to_expiration=21)
    assert chosen[0] == pd.Timestamp(expiration)


def test_beyond_the_calendar_there_is_no_expiration():
    assert choose_expirations(pd.DatetimeIndex(["2200-01-03"]), days_to_expiration=21).isna().all()


def test_an_open_is_six_and_a_half_hours_further_from_expiration_than_a_close():
    sessions, expirations = pd.DatetimeIndex(["2024-11-15"]), pd.DatetimeIndex(["2024-12-06"])
    assert years_to_expiration(sessions, expirations, quoted_at="close")[0] == pytest.approx(21 / 365)
    assert years_to_expiration(sessions, expirations, quoted_at="open")[0] == pytest.approx((21 + 6.5 / 24) / 365)
