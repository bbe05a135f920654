"""The index against hand calculation and brute force, and its limit on real and planted windows."""

from __future__ import annotations

import itertools
import math
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from trading_dag.drift.psi import bin_edges, drift_report, population_stability_index
from trading_dag.features.technical import build_technical
from trading_dag.quality import conform
from trading_dag.schemas import DRIFT, SAFE_FEATURES
from trading_dag.sessions import all_sessions
from trading_dag.setting_groups import DriftSettings

SETTINGS = DriftSettings()


def frame_of(values: np.ndarray, name: str = "returns_1d") -> pd.DataFrame:
    return pd.DataFrame({"session": all_sessions()[1_000 : 1_000 + len(values)], name: values})


def test_two_bins_by_hand() -> None:
    """10 and 10 against 3 and 7, and an empty bin above; each bin counts half an observation more.

    Shares 10.5, 10.5, 0.5 of 21.5 and 3.5, 7.5, 0.5 of 11.5:
    −.18402 · ln .62319 + .16380 · ln 1.33541 + .02022 · ln 1.86957 = .08702 + .04738 + .01265.
    """
    reference, recent = np.repeat([0.0, 1.0], 10), np.repeat([0.0, 1.0], [3, 7])
    assert population_stability_index(reference, recent) == pytest.approx(0.14705, abs=1e-5)


def test_ten_ranges_by_hand() -> None:
    """Shares in percent in the shape of a scorecard's stability report. (p − q) ln(p / q), range by range:
    .00134 + .00446 + .00503 + .01471 + 0 + .00095 + .00105 + .00365 + 0 + .02209 = .0533.
    """
    expected = [8, 10, 9, 13, 11, 10, 9, 10, 11, 9]
    actual = [7, 8, 7, 9, 11, 11, 10, 12, 11, 14]
    assert sum(expected) == sum(actual) == 100
    ranges = np.arange(10.0)
    index = population_stability_index(
        np.repeat(ranges, np.multiply(expected, 10_000)), np.repeat(ranges, np.multiply(actual, 10_000))
    )
    assert index == pytest.approx(0.0533, abs=5e-5)


def test_it_is_the_textbook_index_where_samples_are_large() -> None:
    """Siddiqi's formula without smoothing, bins counted by a loop."""
    generator = np.random.default_rng(1)
    reference, recent = generator.normal(size=200_000), generator.normal(0.3, 1.2, size=100_000)
    deciles = [-math.inf, *np.quantile(reference, np.arange(0.1, 0.95, 0.1)), math.inf]
    expected = 0.0
    for low, high in itertools.pairwise(deciles):
        q = ((reference > low) & (reference <= high)).mean()
        p = ((recent > low) & (recent <= high)).mean()
        expected += (p - q) * math.log(p / q)
    assert population_stability_index(reference, recent) == pytest.approx(expected, rel=1e-3)


@given(
    reference=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80),
    recent=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80),
)
@examples(max_examples=80, deadline=None)
def test_it_is_finite_and_never_negative_and_zero_against_itself(reference: list[float], recent: list[float]) -> None:
    index = population_stability_index(reference, recent)
    assert math.isfinite(index)
    assert index >= 0
    assert population_stability_index(reference, reference) == pytest.approx(0.0, abs=1e-12)


def test_it_does_not_know_units() -> None:
    generator = np.random.default_rng(2)
    reference, recent = generator.normal(size=500), generator.normal(0.5, 1, size=60)
    assert population_stability_index(np.exp(reference), np.exp(recent)) == pytest.approx(
        population_stability_index(reference, recent), rel=1e-12
    )


def test_missing_values_are_left_out_and_nothing_gives_nan() -> None:
    reference, recent = np.arange(100.0), np.arange(0.0, 50.0)
    holes = np.insert(recent, 10, np.nan)
    assert population_stability_index(reference, holes) == population_stability_index(reference, recent)
    assert math.isnan(population_stability_index([], recent))
    assert math.isnan(population_stability_index(reference, [np.nan]))


def test_a_flag_has_a_bin_per_value_and_one_for_values_never_seen() -> None:
    assert bin_edges(np.array([0.0, 1.0, 1.0, 1.0]), bins=10).tolist() == [0.0, 1.0]
    never_seen = population_stability_index(np.zeros(500), np.ones(60))
    assert never_seen > 5


def test_a_tie_at_either_end_has_a_bin_of_its_own() -> None:
    spread = np.arange(20.0)
    assert bin_edges(np.append(spread, np.full(400, 99.0)), bins=10).tolist() == [19.0]
    assert bin_edges(np.append(spread, np.full(400, -1.0)), bins=10).tolist() == [-1.0]
    mostly_top = np.append(spread, np.full(400, 99.0))
    assert population_stability_index(mostly_top, spread) > 1


def test_the_report_agrees_with_a_loop_over_windows() -> None:
    generator = np.random.default_rng(5)
    values = np.cumsum(generator.normal(size=700)) * 0.1 + generator.normal(size=700)
    values[::37] = np.nan
    settings = DriftSettings(window_sessions=60, bins=10, quantile=0.95)
    frame = frame_of(values)
    report = drift_report(frame, fitted_through=frame["session"].iloc[619], settings=settings)
    reference, recent = values[:620], values[640:]
    edges = bin_edges(reference[~np.isnan(reference)], bins=10)

    def counts(sample: np.ndarray) -> np.ndarray:
        held = [0.0] * (len(edges) + 1)
        for value in sample:
            if not np.isnan(value):
                held[next((i for i, edge in enumerate(edges) if value <= edge), len(edges))] += 1
        return np.array(held)

    def index(first: np.ndarray, second: np.ndarray) -> float:
        q, p = (first + 0.5) / (first + 0.5).sum(), (second + 0.5) / (second + 0.5).sum()
        return float(np.sum((p - q) * np.log(p / q)))

    windows = [counts(reference[end - 60 : end]) for end in range(620, 59, -15)]
    whole = counts(reference)
    rests = [(whole - window) * whole.sum() / (whole - window).sum() for window in windows]
    limit = np.quantile([index(rest, window) for rest, window in zip(rests, windows, strict=True)], 0.95)
    row = report.iloc[0]
    assert row["psi"] == pytest.approx(index(counts(reference), counts(recent)), rel=1e-12)
    assert row["psi_limit"] == pytest.approx(limit, rel=1e-12)
    assert (row["n_recent"], row["n_reference"]) == (60, 620)


def test_the_recent_window_is_never_part_of_the_reference() -> None:
    frame = frame_of(np.random.default_rng(6).normal(size=500))
    report = drift_report(frame, fitted_through=frame["session"].iloc[-1], settings=SETTINGS)
    assert report["n_reference"].tolist() == [440]


def test_a_feature_that_is_mostly_missing_is_left_out_and_a_short_history_says_nothing() -> None:
    values = np.random.default_rng(7).normal(size=500)
    frame = frame_of(values).assign(vix_trend=np.where(np.arange(500) < 300, np.nan, values), fed_pivot_cut=0.0)
    report = drift_report(frame, fitted_through=frame["session"].iloc[430], settings=SETTINGS)
    assert set(report["feature"]) == {"returns_1d", "fed_pivot_cut"}
    short = drift_report(frame[:299], fitted_through=frame["session"].iloc[238], settings=SETTINGS)
    assert len(short) == 0
    assert len(drift_report(frame[:0], fitted_through=frame["session"].iloc[0], settings=SETTINGS)) == 0


@pytest.mark.parametrize("rows", [500, 6_000])
def test_what_never_changes_is_never_beyond_its_limit(rows: int) -> None:
    frame = frame_of(np.zeros(rows), "fed_pivot_cut")
    for fitted_through in (rows - 61, rows - 1):
        through = frame["session"].iloc[fitted_through]
        assert not drift_report(frame, fitted_through=through, settings=SETTINGS)["is_breached"].any()


def test_the_report_is_a_slice_of_the_table() -> None:
    frame = frame_of(np.random.default_rng(8).normal(size=500))
    for features in (frame, frame[:0]):
        report = drift_report(features, fitted_through=frame["session"].iloc[430], settings=SETTINGS)
        stored = report.assign(ticker="SPY", horizon="24h")[list(DRIFT.column_names)]
        pd.testing.assert_frame_equal(conform(stored, DRIFT, slice_key="24h|SPY"), stored)


def test_a_report_of_a_whole_feature_table_takes_a_fraction_of_a_second() -> None:
    generator = np.random.default_rng(9)
    frame = pd.DataFrame(generator.normal(size=(6_500, len(SAFE_FEATURES))), columns=list(SAFE_FEATURES))
    frame.insert(0, "session", all_sessions()[1_000:7_500])
    started = time.process_time()
    report = drift_report(frame, fitted_through=frame["session"].iloc[-61], settings=SETTINGS)
    assert time.process_time() - started < 1.5
    assert len(report) == len(SAFE_FEATURES)
    assert 0.0 <= report["is_breached"].mean() < 0.2


@pytest.fixture(scope="module")
def spy_prices(real_data: Path) -> pd.DataFrame:
    prices = pd.read_parquet(real_data / "prices_daily.parquet").query("ticker == 'SPY'")
    prices["session"] = pd.to_datetime(prices["session"]).astype("datetime64[us]")
    prices = prices.assign(split_factor=np.nan, dividend=np.nan, volume=prices["volume"].astype("float64"))
    return prices.sort_values("session", ignore_index=True)


@pytest.mark.files_data
def test_ordinary_windows_of_spy_breach_about_as_often_as_the_quantile_says(spy_prices: pd.DataFrame) -> None:
    """Sixty sessions of each year 2006–2024 against everything before: about 5 % of features, a fixed 0.2 most."""
    features = build_technical(spy_prices)
    reports = []
    for year in range(2006, 2025):
        through = features["session"][features["session"] < f"{year}-01-01"].iloc[-1]
        seen = features[features["session"] <= f"{year}-07-15"]
        reports.append(drift_report(seen, fitted_through=through, settings=SETTINGS))
    pooled = pd.concat(reports)
    assert 0.01 < pooled["is_breached"].mean() < 0.10
    assert (pooled["psi"] > 0.2).mean() > 0.6


@pytest.mark.files_data
def test_a_market_that_becomes_eight_times_as_volatile_is_breached(spy_prices: pd.DataFrame) -> None:
    calm = spy_prices[spy_prices["session"] <= "2013-06-28"].copy()
    through = calm["session"].iloc[-121]
    before = drift_report(build_technical(calm), fitted_through=through, settings=SETTINGS)
    factor = np.ones(len(calm))
    factor[-120:] = 8.0
    path = np.exp((np.log(calm["close"]).diff().fillna(0.0) * factor).cumsum()) * calm["close"].iloc[0]
    for column in ("open", "high", "low", "adj_close", "close"):
        calm[column] = calm[column] / spy_prices["close"].loc[calm.index] * path
    after = drift_report(build_technical(calm), fitted_through=through, settings=SETTINGS)
    assert before["is_breached"].mean() < SETTINGS.breached_share
    assert after["is_breached"].mean() > SETTINGS.breached_share
    assert {"hv_20", "returns_1d"} <= set(after.loc[after["is_breached"], "feature"])
