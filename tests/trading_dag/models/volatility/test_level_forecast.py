"""The level of the index: its inputs, its distribution, and the window through which it becomes a regime."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.trading_dag.models.volatility.simulated_index import NOISE, index_slice, simulate_logs
from trading_dag.models.volatility.level_forecast import LevelForecaster, regime_limits
from trading_dag.models.volatility.level_inputs import LEVEL_INPUTS, level_inputs, levels_at_target
from trading_dag.slices import HORIZONS, Horizon, horizon_of

WINDOW = [LEVEL_INPUTS.index("window_low"), LEVEL_INPUTS.index("window_high")]


def rows_of(seed: int, *, horizon: str = "72h", n: int = 2_400) -> tuple[np.ndarray, np.ndarray]:
    """Complete input rows and what happened."""
    features, targets = index_slice(n, seed=seed, horizon=horizon)
    values = level_inputs(features, horizon=horizon_of(horizon)).to_numpy()[: len(targets)]
    happened = levels_at_target(features, targets)
    usable = ~np.isnan(values).any(axis=1) & ~np.isnan(happened)
    return values[usable], happened[usable]


def regime_by_hand(closes: list[float]) -> int:
    """LOW, NORMAL or HIGH of the last of 252 closes, as 0, 1, 2."""
    assert len(closes) == 252
    rank = (closes[-1] - min(closes)) / (max(closes) - min(closes)) * 100
    return 0 if rank < 30 else 1 if rank < 60 else 2


@pytest.mark.parametrize("horizon", HORIZONS.values(), ids=HORIZONS)
def test_a_level_becomes_the_regime_that_its_rank_has_in_the_window_at_the_target(horizon: Horizon) -> None:
    features, _ = index_slice(700, seed=3, horizon=horizon.key)
    values = level_inputs(features, horizon=horizon).to_numpy()
    closes = features["vix_close"].to_list()
    generator = np.random.default_rng(1)
    for day in range(300, 700, 23):
        reached = closes[day] * np.exp(generator.normal(0.0, 0.4, size=40))
        expected = []
        for level in reached:
            # The sessions in between lie on the way from today's close to the level.
            way = np.linspace(closes[day], level, horizon.target_offset + 1)[1:].tolist()
            expected.append(regime_by_hand((closes[: day + 1] + way)[-252:]))
        found = np.digitize(reached, regime_limits(values[[day]][:, WINDOW])[0])
        np.testing.assert_array_equal(found, expected)


def test_the_probabilities_are_the_shares_of_the_drawn_levels_in_each_regime() -> None:
    values, happened = rows_of(7)
    fitted = LevelForecaster().fit(values, happened)
    asked = values[::37]
    draws, limits = fitted.draws(asked), regime_limits(asked[:, WINDOW])
    below_low, below_high = ((draws < limits[:, [place]]).mean(axis=1) for place in (0, 1))
    expected = np.column_stack([below_low, below_high - below_low, 1.0 - below_high])
    # A draw that lies on a limit to the last bit may fall on either side of it.
    np.testing.assert_allclose(fitted.predict_proba(asked), expected, atol=1 / 400 + 1e-12)
    assert (np.abs(fitted.predict_proba(asked) - expected) < 1e-12).mean() > 0.99


def test_one_session_ahead_the_level_that_came_is_the_regime_that_was_labelled() -> None:
    features, targets = index_slice(1_500, seed=2, horizon="24h")
    values = level_inputs(features, horizon=horizon_of("24h")).to_numpy()[: len(targets)]
    happened = levels_at_target(features, targets)
    usable = ~np.isnan(values).any(axis=1)
    limits = regime_limits(values[usable][:, WINDOW])
    found = (happened[usable][:, np.newaxis] >= limits).sum(axis=1)
    codes = pd.Index(("LOW", "NORMAL", "HIGH")).get_indexer(pd.Index(targets["iv_regime"], dtype="object"))
    np.testing.assert_array_equal(found, codes[usable])
    assert len(np.unique(codes[usable])) == 3


def test_the_inputs_are_those_of_a_loop_over_the_closes() -> None:
    features, _ = index_slice(420, seed=5)
    found = level_inputs(features, horizon=horizon_of("168h"))
    closes = features["vix_close"].to_numpy(dtype="float64")
    for day in (300, 351, 419):
        row, logs = found.iloc[day], np.log(closes[: day + 1])
        assert row["index_level"] == closes[day]
        for window in (5, 22, 60):
            assert row[f"index_mean_{window}"] == pytest.approx(logs[-window:].mean() - logs[-1], abs=1e-12)
        assert row["index_volatility_20"] == pytest.approx(np.diff(logs)[-20:].std(ddof=1), abs=1e-9)
        known = closes[day - (252 - 5) + 1 : day + 1]
        assert (row["window_low"], row["window_high"]) == (known.min(), known.max())


def test_a_row_has_all_inputs_or_none_and_none_before_the_window_is_full() -> None:
    features, _ = index_slice(600, seed=5)
    features.loc[400, "vix_close"] = np.nan
    found = level_inputs(features, horizon=horizon_of("24h"))
    known = found.notna()
    assert (known.all(axis=1) | ~known.any(axis=1)).all()
    assert not known.iloc[:251].any(axis=None)
    assert known.iloc[251:400].all(axis=None)
    assert not known.iloc[400].any()


def test_no_input_reads_a_close_after_its_session() -> None:
    features, _ = index_slice(500, seed=6)
    before = level_inputs(features, horizon=horizon_of("168h"))
    for day in (310, 401):
        changed = features.copy()
        changed.loc[day + 1 :, "vix_close"] *= 3.0
        after = level_inputs(changed, horizon=horizon_of("168h"))
        pd.testing.assert_frame_equal(after.iloc[: day + 1], before.iloc[: day + 1])
        # Cut off after the day, the row is the same: it needs nothing that comes later.
        pd.testing.assert_frame_equal(
            level_inputs(features.iloc[: day + 1], horizon=horizon_of("168h")), before.iloc[: day + 1]
        )


def test_a_close_that_the_next_one_disproves_is_in_its_own_row_and_in_no_later_window() -> None:
    closes = np.exp(simulate_logs(500, generator=np.random.default_rng(8)))
    wrong = closes.copy()
    wrong[400] = 3.0 * closes.max()
    features, _ = index_slice(closes=wrong)
    found = level_inputs(features, horizon=horizon_of("24h"))
    assert found["window_high"].iloc[400] == wrong[400]
    assert found["window_high"].iloc[402] <= closes.max()


def test_what_was_filled_in_or_disproved_is_no_outcome() -> None:
    features, targets = index_slice(500, seed=1)
    targets.loc[350, "iv_regime"] = None
    happened = levels_at_target(features, targets)
    assert np.isnan(happened[350])
    assert happened[351] == features["vix_close"].iloc[354]


@pytest.mark.parametrize("horizon", ["24h", "168h"])
def test_its_intervals_cover_what_they_say_on_a_process_of_its_kind(horizon: str) -> None:
    inside, below = [], []
    for seed in range(6):
        values, happened = rows_of(seed, horizon=horizon, n=3_000)
        half = len(values) // 2
        draws = LevelForecaster().fit(values[:half], happened[:half]).draws(values[half:])
        low, high = np.quantile(draws, [0.05, 0.95], axis=1)
        inside.append(((happened[half:] >= low) & (happened[half:] <= high)).mean())
        below.append((happened[half:] < np.median(draws, axis=1)).mean())
    # Standard errors of the mean over six histories of 1,300 overlapping sessions.
    assert np.mean(inside) == pytest.approx(0.9, abs=4 * np.std(inside, ddof=1) / np.sqrt(6))
    assert np.mean(inside) == pytest.approx(0.9, abs=0.03)
    assert np.mean(below) == pytest.approx(0.5, abs=4 * np.std(below, ddof=1) / np.sqrt(6))


def test_it_finds_the_pull_towards_the_means_and_the_size_of_the_noise() -> None:
    values, happened = rows_of(11, horizon="24h", n=6_000)
    fitted = LevelForecaster().fit(values, happened)
    change = np.log(happened / values[:, 0])
    forecast = np.log(fitted.draws(values)).mean(axis=1) - np.log(values[:, 0])
    assert np.corrcoef(forecast, change)[0, 1] > 0.1
    left = change - forecast
    assert left.std() == pytest.approx(NOISE, rel=0.25)


def test_the_coefficients_are_those_of_scikit_learns_ridge() -> None:
    from sklearn.linear_model import Ridge

    values, happened = rows_of(4)
    fitted = LevelForecaster().fit(values, happened)
    standard = (values[:, 1:4] - values[:, 1:4].mean(axis=0)) / values[:, 1:4].std(axis=0)
    other = Ridge(alpha=1.0).fit(standard, np.log(happened / values[:, 0]))
    np.testing.assert_allclose(fitted.coef_[0], other.coef_, rtol=1e-9)
    np.testing.assert_allclose(fitted.intercept_[0], other.intercept_, rtol=1e-9)


def test_the_distribution_is_wider_after_restless_days_and_moves_with_the_level() -> None:
    values, happened = rows_of(4)
    fitted = LevelForecaster().fit(values, happened)
    row = values[[500]]
    restless = row.copy()
    restless[0, LEVEL_INPUTS.index("index_volatility_20")] *= 3.0
    assert np.ptp(np.log(fitted.draws(restless))) > 1.5 * np.ptp(np.log(fitted.draws(row)))
    doubled = row.copy()
    doubled[0, 0] *= 2.0
    np.testing.assert_allclose(fitted.draws(doubled), 2.0 * fitted.draws(row))
