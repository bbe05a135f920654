"""The card of a model: its scores beside each baseline, in words where there is no skill."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.trading_dag.models.conftest import make_slice
from trading_dag.frames import frame_of_records
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.learning.versions import ServingEvent
from trading_dag.models.volatility import volatility_forecaster
from trading_dag.reporting.model_card import model_card
from trading_dag.schemas import METRICS
from trading_dag.served_models import SERVED_VOLATILITY
from trading_dag.setting_groups import WalkForwardSettings
from trading_dag.validation.scores.tasks import task_of

VERSION = "20250101T210000000000Z-a1b2c3d4"


@pytest.fixture(scope="module")
def fitted() -> FittedModel:
    research = make_slice(500)
    return volatility_forecaster.fit(
        research.features, research.targets, horizon=research.horizon, settings=WalkForwardSettings()
    )


def scores(*verdicts: tuple[str, str, float]) -> pd.DataFrame:
    common = {
        "ticker": "SPY", "horizon": "72h", "task": "volatility", "model": SERVED_VOLATILITY, "is_served": True,
        "metric": "rps", "value": 0.06, "baseline_value": 0.07, "difference_ci_low": -0.001,
        "difference_ci_high": 0.02, "n": 800, "n_ambiguous": 0,
    }  # fmt: skip
    rows = [
        {**common, "baseline": baseline, "verdict": verdict, "difference": difference}
        for baseline, verdict, difference in verdicts
    ]
    return frame_of_records(METRICS, rows)


def card(fitted: FittedModel, table: pd.DataFrame | None, *events: ServingEvent) -> str:
    return model_card(fitted, version=VERSION, events=events, task=task_of("volatility"), scores=table)


def test_each_score_stands_beside_its_baseline_with_an_interval_and_a_verdict_in_words(fitted: FittedModel) -> None:
    text = card(fitted, scores(("markov", "skilled", 0.01), ("class_prior", "unskilled", -0.02)))
    assert (
        f"| **{SERVED_VOLATILITY}** | rps | 0.06000 | markov | 0.07000 | +0.01000 [-0.00100, +0.02000] | 800 |" in text
    )
    assert "**no skill**" in text
    assert "Against class_prior it shows no certain skill." in text


def test_where_every_baseline_is_beaten_no_lack_of_skill_is_told(fitted: FittedModel) -> None:
    text = card(fitted, scores(("markov", "skilled", 0.01)))
    assert "no certain skill" not in text
    assert "**no skill**" not in text


def test_what_is_not_known_is_a_dash_and_not_a_number(fitted: FittedModel) -> None:
    text = card(fitted, scores(("markov", "insufficient_data", float("nan"))))
    assert "| – | 800 | too few rows to say |" in text
    assert "nan" not in text


def test_without_scores_the_card_says_where_they_are(fitted: FittedModel) -> None:
    assert "trading-dag models card volatility_forecaster SPY 72h" in card(fitted, None)


def test_how_often_versions_were_compared_is_told_because_it_flatters(fitted: FittedModel) -> None:
    events = [
        ServingEvent("2025-01-01T21:00:00Z", "fitted", VERSION, VERSION, None, "first", "the first version"),
        ServingEvent("2025-01-02T21:00:00Z", "fitted", "other", VERSION, VERSION, "worse", "worse"),
    ]
    text = card(fitted, None, *events)
    assert "- 2025-01-01 21:00 UTC, fitted: the first version" in text
    assert "compared 1 times" in text
    assert "compared" not in card(fitted, None, events[0])


def test_every_fold_and_every_feature_of_the_live_model_is_named(fitted: FittedModel) -> None:
    text = card(fitted, None)
    for fold in fitted.folds:
        assert f"| {fold.model} | {fold.fold}" in text
    for name in fitted.folds_of(SERVED_VOLATILITY)[-1].features:
        assert f"`{name}`" in text
