"""A position follows its forecast and its volatility, within bounds, and without a jump."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trading_dag.models.allocation.positions import scaled_positions, smoothed_positions
from trading_dag.setting_groups import AllocationSettings

SETTINGS = AllocationSettings()


def positions(beyond_mean: float, volatility: float, *, mean: float = 0.001) -> float:
    return float(
        scaled_positions(
            np.array([beyond_mean]), np.array([volatility]), mean_return=np.array([mean]),
            mean_volatility=np.array([0.01]), settings=SETTINGS,
        )[0]
    )  # fmt: skip


def test_the_mean_forecast_at_the_mean_volatility_is_the_market() -> None:
    assert positions(0.0, 0.01) == pytest.approx(1.0)


@pytest.mark.parametrize("mean", [0.001, 0.00001, 0.0, -0.002])
def test_a_forecast_that_says_no_more_than_the_mean_leaves_volatility_scaling_whatever_the_mean_was(
    mean: float,
) -> None:
    assert positions(0.0, 0.02, mean=mean) == pytest.approx(0.25)
    assert positions(0.0, 0.008, mean=mean) == pytest.approx(1.5625)


def test_twice_the_volatility_is_a_quarter_of_the_position_and_twice_the_forecast_twice() -> None:
    assert positions(0.0, 0.02) == pytest.approx(0.25)
    assert positions(0.001, 0.01) == pytest.approx(2.0)


def test_a_position_stays_within_its_bounds() -> None:
    assert positions(0.01, 0.01) == 2.0
    assert positions(-0.01, 0.01) == 0.0


def test_a_training_part_that_lost_does_not_turn_forecasts_around() -> None:
    least = SETTINGS.least_mean_return
    assert positions(least / 4, 0.01, mean=-0.002) == pytest.approx(1.25)
    assert positions(-least / 4, 0.01, mean=-0.002) == pytest.approx(0.75)


def test_without_a_forecast_or_a_volatility_there_is_no_position() -> None:
    assert np.isnan(positions(np.nan, 0.01))
    assert np.isnan(positions(0.001, np.nan))
    assert np.isnan(positions(0.001, 0.0))


def test_smoothing_is_the_mean_that_pandas_computes_and_passes_over_gaps() -> None:
    raw = np.array([1.0, 2.0, np.nan, 0.0, 1.5, 0.3])
    smooth = smoothed_positions(raw, sessions=5)
    known = pd.Series(raw).dropna().ewm(span=5, adjust=False).mean()
    assert smooth[np.isfinite(raw)] == pytest.approx(known.to_numpy(), rel=1e-14)
    assert np.isnan(smooth[2])


def test_a_later_position_changes_no_earlier_one() -> None:
    raw = np.linspace(0.0, 2.0, 30)
    changed = raw.copy()
    changed[20:] = 0.0
    assert (smoothed_positions(raw, sessions=5)[:20] == smoothed_positions(changed, sessions=5)[:20]).all()
