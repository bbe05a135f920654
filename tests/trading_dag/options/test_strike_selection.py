"""Strikes by delta against a brute-force search, and expirations against the calendar."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.options.greeks import greeks
from trading_dag.options.strike_selection import (
    choose_expirations,
    choose_strikes,
    strike_at_delta,
    strike_step,
    years_to_expiration,
)
from trading_dag.options.structures import DeltaRule, Leg, OffsetRule, Structure, structure_of
from trading_dag.options.surface import ModelledSurface
from trading_dag.settings import BacktestSettings, SurfaceSettings


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
