"""Drift of what the served models say, whatever the features do."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.trading_dag.drift.forecasts import SESSIONS, forecasts
from trading_dag.drift.forecast_drift import forecast_drift_report
from trading_dag.drift.psi import population_stability_index
from trading_dag.quality import conform
from trading_dag.schemas import DRIFT
from trading_dag.setting_groups import DriftSettings
from trading_dag.slices import horizon_of

SETTINGS = DriftSettings()
ROWS = 420


def in_order(report: pd.DataFrame) -> pd.DataFrame:
    stored = report.assign(ticker="SPY", horizon="24h")[list(DRIFT.column_names)]
    return stored.sort_values("feature", ignore_index=True)


def report_of(made: dict[str, pd.DataFrame], *, as_of: int = ROWS - 1) -> pd.DataFrame:
    return forecast_drift_report(
        made["direction"], made["volatility"], made["price"], horizon=horizon_of("24h"), as_of=SESSIONS[as_of],
        fitted_through=SESSIONS[350], settings=SETTINGS,
    )  # fmt: skip


def test_probabilities_and_the_width_of_the_interval_are_reported_for_the_served_models_alone() -> None:
    made = forecasts(ROWS)
    report = report_of(made).set_index("feature")
    assert set(report.index) == {
        "direction.probability_up", "volatility.probability_low", "volatility.probability_normal",
        "volatility.probability_high", "price.interval_width",
    }  # fmt: skip
    assert set(report["kind"]) == {"prediction"}
    said = made["direction"].query("model == 'direction_shrunk'").sort_values("session")["probability_up"].to_numpy()
    index = report.loc["direction.probability_up"]
    assert index["psi"] == pytest.approx(population_stability_index(said[:351], said[-60:]), rel=1e-12)
    assert (index["n_recent"], index["n_reference"]) == (60, 351)
    assert report.loc["price.interval_width", "psi"] == pytest.approx(
        population_stability_index([1.0] * 351, [1.0] * 60), rel=1e-12
    )


@pytest.mark.parametrize(
    ("task", "column", "name"),
    [
        ("direction", "probability_up", "direction.probability_up"),
        ("volatility", "probability_high", "volatility.probability_high"),
        ("price", "interval_high", "price.interval_width"),
    ],
)
def test_a_forecast_that_moves_is_beyond_its_limit_and_the_others_are_not(task: str, column: str, name: str) -> None:
    made = forecasts(ROWS, seed=2)
    assert not report_of(made)["is_breached"].any()
    late = made[task]["session"] >= SESSIONS[ROWS - 60]
    made[task].loc[late, column] *= 1.05 if task == "price" else 0.5
    report = report_of(made).set_index("feature")
    assert report.index[report["is_breached"]].tolist() == [name]


def test_a_table_without_a_forecast_of_that_session_says_nothing_and_the_report_is_a_slice_of_the_table() -> None:
    made = forecasts(ROWS)
    made["price"] = made["price"].iloc[:-1]
    report = report_of(made)
    assert not report["feature"].str.startswith("price").any()
    for frame in (report, report_of(made, as_of=ROWS + 5)):
        pd.testing.assert_frame_equal(conform(in_order(frame), DRIFT, slice_key="24h|SPY"), in_order(frame))
