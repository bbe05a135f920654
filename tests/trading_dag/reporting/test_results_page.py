"""The tables of results say what is stored, for whatever tasks are stored, and leave other words of a page alone."""

from __future__ import annotations

from typing import Any

import pytest

from trading_dag.errors import ConfigurationError
from trading_dag.frames import frame_of_records
from trading_dag.reporting.results_page import BEGIN, END, results_page, with_results
from trading_dag.schemas import HULL_SCORES, METRICS, MULTIPLICITY
from trading_dag.validation.scores.tasks import TASKS

NOTHING = frame_of_records(MULTIPLICITY, [])
NO_HULL = frame_of_records(HULL_SCORES, [])


def row(task: str, model: str, metric: str, baseline: str, value: float, **given: Any) -> dict[str, Any]:
    gain = {"difference": value, "difference_ci_low": value / 2, "difference_ci_high": 3 * value}
    against = {} if baseline == "none" else {"baseline_value": 2 * value} | gain
    return {
        "ticker": "SPY", "horizon": "24h", "task": task, "model": model, "is_served": model == "served",
        "metric": metric, "baseline": baseline, "value": value, "verdict": "skilled", "n": 100, "n_ambiguous": 0,
    } | against | given  # fmt: skip


def page_of(*rows: dict[str, Any]) -> str:
    return results_page(frame_of_records(METRICS, list(rows)), NOTHING, NO_HULL)


def test_a_gain_stands_with_its_interval_in_the_scale_of_its_heading() -> None:
    page = page_of(row("direction", "served", "brier_sign", "climatology", 0.0002))
    assert "| SPY 24h | **served** | – | 0.0004 | +2.0 [+1.0, +6.0] |" in page


def test_the_served_model_comes_first_and_is_bold_and_horizons_go_by_length() -> None:
    page = page_of(
        row("direction", "other", "brier_sign", "climatology", 0.1),
        row("direction", "served", "brier_sign", "climatology", 0.1),
        row("direction", "served", "brier_sign", "climatology", 0.1, horizon="168h"),
        row("direction", "served", "brier_sign", "climatology", 0.1, horizon="12h"),
    )
    lines = [line[: line.index("|", 12)].strip("| ") for line in page.splitlines() if line.startswith("| SPY")]
    assert [line.split(" | ")[0] for line in lines] == ["SPY 12h", "SPY 24h", "SPY 24h", "SPY 168h"]
    assert page.index("**served**") < page.index("| other |")


def test_an_error_of_prices_stands_as_a_ratio_to_the_random_walks() -> None:
    page = page_of(
        row("price", "served", "mae", "none", 1.5),
        row("price", "served", "mae", "random_walk", 1.5),
        row("price", "served", "mae_percent", "random_walk", 0.4),
    )
    assert "| SPY 24h | **served** | 1.50 | 0.5000 |" in page


def test_tasks_that_are_not_stored_have_no_section() -> None:
    page = page_of(row("volatility", "served", "rps", "markov", 0.01))
    assert "### IV regime" in page
    assert "### Direction" not in page
    assert "### Price" not in page
    assert "### Allocation on the Hull data" not in page


def test_scores_on_the_hull_days_have_a_section_where_they_are_stored() -> None:
    hull = frame_of_records(
        HULL_SCORES,
        [
            {"model": "ensemble", "metric": "adjusted_sharpe", "value": 0.5, "baseline": "buy_and_hold",
             "baseline_value": 0.4, "difference": 0.1, "difference_ci_low": -0.1, "difference_ci_high": 0.3,
             "verdict": "admissible", "n": 900}
        ],
    )  # fmt: skip
    page = results_page(frame_of_records(METRICS, []), NOTHING, hull)
    line = "| ensemble | adjusted_sharpe | buy_and_hold | 0.500 | +0.100 [-0.100, +0.300] | admissible |"
    assert line in page


def test_what_stands_between_the_marks_is_replaced_and_nothing_else() -> None:
    document = f"# Results\n\nWords.\n\n{BEGIN}\nold\n{END}\n\nMore words.\n"
    once = with_results(document, "new table")
    assert once == f"# Results\n\nWords.\n\n{BEGIN}\n\nnew table\n\n{END}\n\nMore words.\n"
    assert with_results(once, "new table") == once


@pytest.mark.parametrize("document", ["no marks", f"{END}\n{BEGIN}", f"{BEGIN}\n{BEGIN}\n{END}"])
def test_a_document_without_both_marks_in_order_is_refused(document: str) -> None:
    with pytest.raises(ConfigurationError, match="scores: begin"):
        with_results(document, "page")


def test_a_score_without_a_value_is_a_dash() -> None:
    missing = row("direction", "served", "hit_rate", "none", float("nan"))
    page = page_of(row("direction", "served", "brier_sign", "climatology", 0.1), missing)
    assert "| – | – |" in page
    assert "nan" not in page


def test_every_task_has_its_section_where_it_is_stored() -> None:
    rows = [
        row(task.name, "served", metric, baseline, 0.1)
        for task in TASKS
        for metric, baseline in task.questions or ((task.block_losses[0], "class_prior"),)
    ]
    page = page_of(*rows)
    for task in TASKS:
        assert page_of(*(one for one in rows if one["task"] == task.name)).count("| SPY 24h |") >= 1, task.name
    assert page.count("| SPY 24h |") >= len(TASKS)
