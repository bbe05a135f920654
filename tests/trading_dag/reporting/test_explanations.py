"""What ``trading-dag explain`` says comes from the definitions, and covers every name of its kinds."""

from __future__ import annotations

import pytest

from tests.conftest import REPOSITORY
from trading_dag.errors import UnknownNameError
from trading_dag.options.structures.structure import STRUCTURES
from trading_dag.reporting.explanations import explain, explanations
from trading_dag.reporting.metric_docs import better, metric_reference
from trading_dag.schemas import TABLES
from trading_dag.validation.scores.metric_names import METRICS, meaning_of_metric


def test_everything_that_has_a_name_has_words() -> None:
    assert [f"{one.kind} {one.name}" for one in explanations() if not one.meaning.strip()] == []


def test_every_table_and_structure_is_explained() -> None:
    names = {(one.kind, one.name) for one in explanations()}
    assert {("table", name) for name in TABLES} <= names
    assert {("structure", name) for name in STRUCTURES} <= names


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("iv_rank", {"feature", "column"}),
        ("features.implied_volatility.iv_rank", {"feature"}),
        ("backtests.summary.sharpe", {"column"}),
        ("Brier-Sign", {"metric"}),
        ("profit_target", {"exit"}),
        ("markov", {"baseline"}),
        ("TRADING_DAG_BACKTEST__ACCOUNT_USD", {"setting"}),
        ("backtest.account_usd", {"setting"}),
        ("FRED_API_KEY", {"setting"}),
        ("diebold_mariano_p_winkler_90_10_sessions", {"metric"}),
    ],
)
def test_a_name_is_found_as_people_write_it(name: str, kinds: set[str]) -> None:
    assert {one.kind for one in explain(name)} == kinds


def test_a_metric_of_parts_says_all_of_them() -> None:
    (found,) = explain("diebold_mariano_p_winkler_90_10_sessions")
    assert "Diebold" in found.meaning
    assert "width of the 90 % interval" in found.meaning
    assert "ten sessions ahead" in found.meaning
    assert found.details["better"] == "lower"


def test_a_score_of_one_class_names_the_class() -> None:
    metric = meaning_of_metric("recall_down_conditional")
    assert metric is not None
    assert metric.meaning.startswith(METRICS["recall"].meaning)
    assert "DOWN" in metric.meaning
    assert "clear rows" in metric.meaning


@pytest.mark.parametrize("name", ["recall_sideways", "diebold_mariano_p_", "brier_of_all", ""])
def test_what_is_no_metric_has_no_meaning(name: str) -> None:
    assert meaning_of_metric(name) is None


def test_an_unknown_name_is_refused_with_what_is_spelled_alike() -> None:
    with pytest.raises(UnknownNameError, match="iv_rank") as caught:
        explain("iv_rnk")
    assert "iv_rank" in caught.value.alike


def test_a_name_unlike_any_other_says_how_to_list_them() -> None:
    with pytest.raises(UnknownNameError, match="trading-dag explain"):
        explain("qqqqzzzz")


def test_a_secret_s_setting_shows_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRED_API_KEY", "0123456789abcdef0123456789abcdef")
    (found,) = explain("FRED_API_KEY")
    assert "0123456789abcdef" not in str(found.record)


@pytest.mark.parametrize(
    ("metric", "way"),
    [("brier_sign", "lower"), ("coverage_90", "near 0.90"), ("width_90", "no verdict"), ("hit_rate", "higher")],
)
def test_which_way_a_metric_is_better_is_said(metric: str, way: str) -> None:
    assert better(metric) == way


def test_the_page_of_metrics_is_up_to_date() -> None:
    assert (REPOSITORY / "docs" / "metrics.md").read_text(encoding="utf-8") == metric_reference()
