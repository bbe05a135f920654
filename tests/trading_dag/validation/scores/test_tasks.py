"""A task is one entry: its table, its rows, its losses. What evaluation makes of one that nobody knew before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from trading_dag.arrays import FloatArray
from trading_dag.errors import SchemaError
from trading_dag.schemas import METRICS, PREDICTIONS_DIRECTION, TABLES
from trading_dag.schemas.vocabulary import TASKS as NAMES
from trading_dag.served_models import SERVED_MODELS
from trading_dag.sessions import sessions_between
from trading_dag.setting_groups import BootstrapSettings
from trading_dag.slices import Horizon, horizon_of
from trading_dag.validation.scores import metrics
from trading_dag.validation.scores.scoring import ScoredRows
from trading_dag.validation.scores.task_parts import Part
from trading_dag.validation.scores.tasks import TASKS, Nesting, Task, task_of
from trading_dag.validation.verdicts.evaluation import evaluate

DAY = horizon_of("24h")
SETTINGS = BootstrapSettings(draws=200)
N = 400


@dataclass(frozen=True)
class PointRows(ScoredRows):
    """Point forecasts with an interval of ±1."""

    forecast: FloatArray
    outcome: FloatArray

    @classmethod
    def of(cls, frame: pd.DataFrame) -> PointRows:
        return cls(frame["forecast"].to_numpy(), frame["outcome"].to_numpy())

    @property
    def losses(self) -> dict[str, FloatArray]:
        error = self.outcome - self.forecast
        return {"mae": np.abs(error), "winkler_90": 2.0 + 20.0 * np.maximum(np.abs(error) - 1.0, 0.0)}

    def rows_of(self, metric: str) -> int:
        return len(self.outcome)

    def scores(self, weights: metrics.Weights) -> dict[str, FloatArray]:
        held = metrics.total_weights(weights)
        by_row = self.losses | {
            "coverage_90": (np.abs(self.outcome - self.forecast) <= 1.0).astype(float),
            "width_90": np.full(len(self.outcome), 2.0),
        }
        return {name: metrics.mean_of(weights, values, totals=held) for name, values in by_row.items()}


class WithoutInterval(PointRows):
    """Point forecasts alone."""

    @property
    def losses(self) -> dict[str, FloatArray]:
        return {"mae": np.abs(self.outcome - self.forecast)}

    def scores(self, weights: metrics.Weights) -> dict[str, FloatArray]:
        return {"mae": metrics.mean_of(weights, self.losses["mae"], totals=metrics.total_weights(weights))}


def _ahead(frame: pd.DataFrame, horizon: Horizon) -> Iterator[Part]:
    for steps, rows in frame.groupby("steps"):
        suffix = "" if steps == horizon.gap_sessions else f"_{steps}_sessions"
        yield Part(suffix, int(steps), rows)


TABLE = replace(PREDICTIONS_DIRECTION, name="price", columns=())
PRICE = Task(
    "price", TABLE, PointRows.of, block_losses=("mae",), outcome="outcome", hard_calls=frozenset({"persistence"}),
    nesting=Nesting(("random_walk",), "mae", lambda rows: (rows.outcome, rows.forecast)), parts=_ahead,
)  # fmt: skip


def forecasts(*, steps: int = 1, n: int = N, unknown: int = 3) -> pd.DataFrame:
    generator = np.random.default_rng(steps)
    outcome = generator.normal(size=n)
    given = {"price_stack": 0.5 * outcome, "random_walk": np.zeros(n), "persistence": np.roll(outcome, 1)}
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "ticker": "SPY",
                    "session": sessions_between("2015-01-02", "2019-12-31")[:n],
                    "model": name,
                    "is_baseline": name != "price_stack",
                    "steps": steps,
                    "forecast": values,
                    "outcome": np.where(np.arange(n) < n - unknown, outcome, np.nan),
                }
            )
            for name, values in given.items()
        ],
        ignore_index=True,
    )


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    both = pd.concat([forecasts(), forecasts(steps=10)], ignore_index=True)
    return evaluate({"price": both}, horizon=DAY, settings=SETTINGS, tasks=(PRICE,))


def value(scores: pd.DataFrame, metric: str, baseline: str, model: str = "price_stack") -> pd.Series:
    found = scores[(scores["metric"] == metric) & (scores["baseline"] == baseline) & (scores["model"] == model)]
    assert len(found) == 1
    return found.iloc[0]


def test_every_task_has_a_name_of_the_vocabulary_and_a_table_with_the_columns_it_needs() -> None:
    for task in TASKS:
        assert task.name in NAMES
        assert TABLES[task.predictions.qualified_name] is task.predictions
        assert {"session", "model", "is_baseline", task.outcome} <= set(task.predictions.column_names)
    assert len({task.name for task in TASKS}) == len(TASKS)
    assert set(SERVED_MODELS) <= set(NAMES)


def test_scores_are_means_over_the_rows_whose_outcome_is_known(scores: pd.DataFrame) -> None:
    known = forecasts().dropna(subset=["outcome"])
    own = known[known["model"] == "price_stack"]
    error = (own["outcome"] - own["forecast"]).abs()
    row = value(scores, "mae", "random_walk")
    assert row["n"] == N - 3
    assert row["value"] == pytest.approx(error.mean(), rel=1e-12)
    assert row["baseline_value"] == pytest.approx(own["outcome"].abs().mean(), rel=1e-12)
    assert row["difference"] == pytest.approx(row["baseline_value"] - row["value"], rel=1e-12)
    assert row["verdict"] == "skilled"
    assert value(scores, "coverage_90", "none")["value"] == (error <= 1.0).mean()


def test_the_gain_of_a_coverage_is_the_distance_from_nominal_that_it_saves(scores: pd.DataFrame) -> None:
    row = value(scores, "coverage_90", "random_walk")
    assert row["difference"] == pytest.approx(abs(row["baseline_value"] - 0.9) - abs(row["value"] - 0.9))
    assert row["difference_ci_low"] <= row["difference"] <= row["difference_ci_high"]


def test_rows_that_look_further_ahead_are_scored_apart_under_names_that_say_so(scores: pd.DataFrame) -> None:
    near = set(scores.loc[~scores["metric"].str.endswith("_10_sessions"), "metric"])
    far = set(scores.loc[scores["metric"].str.endswith("_10_sessions"), "metric"])
    assert far == {f"{name}_10_sessions" for name in near}
    alone = evaluate({"price": forecasts()}, horizon=DAY, settings=SETTINGS, tasks=(PRICE,))
    kept = scores[scores["metric"].isin(near)].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, alone, check_exact=True)


def test_both_losses_are_tested_and_clark_west_stands_beside_what_the_model_contains(scores: pd.DataFrame) -> None:
    tests = scores[scores["metric"].str.contains("_p_") & ~scores["metric"].str.endswith("_10_sessions")]
    assert set(zip(tests["metric"], tests["baseline"], strict=True)) == {
        ("diebold_mariano_p_mae", "random_walk"), ("diebold_mariano_p_winkler_90", "random_walk"),
        ("diebold_mariano_p_mae", "persistence"), ("diebold_mariano_p_winkler_90", "persistence"),
        ("clark_west_p_mae", "random_walk"),
    }  # fmt: skip
    assert (tests["value"] < 0.01).all()


def test_a_width_and_a_score_of_probabilities_against_a_hard_call_give_no_verdict(scores: pd.DataFrame) -> None:
    assert value(scores, "width_90", "random_walk")["verdict"] == "no_verdict"
    assert value(scores, "winkler_90", "persistence")["verdict"] == "no_verdict"
    assert value(scores, "diebold_mariano_p_winkler_90", "persistence")["verdict"] == "no_verdict"
    assert value(scores, "winkler_90", "random_walk")["verdict"] == "skilled"
    assert value(scores, "mae", "persistence")["verdict"] == "skilled"


def test_a_model_without_intervals_is_held_against_baselines_by_what_both_have() -> None:
    def of(frame: pd.DataFrame) -> ScoredRows:
        rows = PointRows.of(frame)
        return WithoutInterval(rows.forecast, rows.outcome) if (frame["model"] == "price_stack").all() else rows

    task = replace(PRICE, scored=of, block_losses=("mae", "winkler_90"))
    scores = evaluate({"price": forecasts()}, horizon=DAY, settings=SETTINGS, tasks=(task,))
    against = scores[scores["baseline"] == "random_walk"]
    assert set(against["metric"]) == {"mae", "diebold_mariano_p_mae", "clark_west_p_mae"}
    assert value(scores, "winkler_90", "none", model="random_walk")["value"] > 0


def test_fewer_rows_than_a_class_needs_give_no_value_and_the_reason() -> None:
    few = evaluate({"price": forecasts(n=20)}, horizon=DAY, settings=SETTINGS, tasks=(PRICE,))
    assert set(few["verdict"]) == {"insufficient_data"}
    assert set(few["reason"]) == {"fewer than 30 rows: 17"}
    assert few["value"].isna().all()


def test_a_task_that_nobody_knows_is_refused_by_name() -> None:
    with pytest.raises(SchemaError, match="task weather"):
        task_of("weather")
    with pytest.raises(SchemaError, match=r"evaluation\.metrics"):
        evaluate({"weather": pd.DataFrame()}, horizon=DAY, settings=SETTINGS)


def test_only_the_rows_of_the_served_model_are_served() -> None:
    assert (
        SERVED_MODELS.get("allocation") == Task("allocation", METRICS, PointRows.of, block_losses=("mae",)).served_model
    )
    assert task_of("direction").served_model == SERVED_MODELS["direction"]
