"""Verdicts are counted: what survives, what is the same rows again, and what nobody asked for."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trading_dag.frames import frame_of_records
from trading_dag.quality import conform
from trading_dag.reporting.multiplicity_page import multiplicity_page, survivors_in_words
from trading_dag.schemas import METRICS, MULTIPLICITY
from trading_dag.validation.verdicts.multiplicity import adjusted, counted, multiplicity

INDEX_OF = {"SPY": "VIX", "QQQ": "VXN", "IWM": "VIX"}


def by_hand(p_values: list[float], *, penalty: float = 1.0) -> list[float]:
    """Benjamini and Hochberg, step by step: the smallest rate at which the k smallest of m may be rejected."""
    m = len(p_values)
    return [
        min(1.0, min(p * m * penalty / sum(q <= p for q in p_values) for p in p_values if p >= own)) for own in p_values
    ]


def pair(ticker: str, horizon: str, task: str = "direction", **given: Any) -> list[dict[str, Any]]:
    """The row of a score and the row of its test."""
    metric, baseline = ("brier_sign", "climatology") if task == "direction" else ("rps", "markov")
    number = 100 * ord(ticker[0]) + int(horizon.rstrip("h"))
    row = {
        "ticker": ticker, "horizon": horizon, "task": task, "model": "logistic", "is_served": True, "metric": metric,
        "value": 0.2 - number * 1e-6, "baseline": baseline, "baseline_value": 0.25, "difference": 0.05 + number * 1e-6,
        "difference_ci_low": 0.01, "difference_ci_high": 0.09, "p_bootstrap": 0.001, "verdict": "skilled", "n": 900,
        "n_ambiguous": 0,
    } | {name: value for name, value in given.items() if name != "p"}  # fmt: skip
    test = row | {"metric": f"diebold_mariano_p_{row['metric']}", "value": given.get("p", 0.001)}
    return [row, test]


def table_of(*pairs: list[dict[str, Any]]) -> pd.DataFrame:
    found = multiplicity(frame_of_records(METRICS, [row for rows in pairs for row in rows]), index_of=INDEX_OF)
    conform(found.sort_values(list(MULTIPLICITY.key), ignore_index=True), MULTIPLICITY, slice_key="all")
    return found.set_index(["ticker", "horizon"])


@pytest.mark.parametrize("seed", range(3))
def test_adjusted_p_values_are_those_of_the_definition(seed: int) -> None:
    p_values = np.random.default_rng(seed).uniform(0, 0.2, 12)
    harmonic = sum(1 / k for k in range(1, 13))
    assert adjusted(p_values) == pytest.approx(by_hand(list(p_values)))
    assert adjusted(p_values, any_dependence=True) == pytest.approx(by_hand(list(p_values), penalty=harmonic))


def test_one_lucky_verdict_among_many_does_not_survive_and_would_have_alone() -> None:
    lucky = pair("SPY", "24h", p=0.02, p_bootstrap=0.02)
    others = [
        pair(ticker, horizon, p=0.5, p_bootstrap=0.4, verdict="admissible")
        for ticker, horizon in product(("QQQ", "IWM"), ("24h", "48h", "72h"))
    ]
    assert table_of(lucky).loc[("SPY", "24h"), "survives"]
    among = table_of(lucky, *others)
    assert among.loc[("SPY", "24h"), "q_value"] == pytest.approx(0.02 * 7)
    assert not among["survives"].any()
    assert (among["family"] == 7).all()


def test_both_tests_have_to_agree() -> None:
    row = table_of(pair("SPY", "24h", p=0.001, p_bootstrap=0.2)).loc[("SPY", "24h")]
    assert row["p_value"] == 0.2
    assert not row["survives"]


def test_the_same_rows_count_once_and_the_copy_takes_the_answer_over() -> None:
    same = {"value": 0.05, "baseline_value": 0.06, "difference": 0.01, "task": "volatility"}
    found = table_of(
        pair("SPY", "12h", p=0.01, **same), pair("SPY", "24h", p=0.01, **same), pair("QQQ", "24h", "volatility", p=0.04)
    )
    assert found.loc[("SPY", "12h"), "repeats"] == "SPY 24h"
    assert pd.isna(found.loc[("SPY", "24h"), "repeats"])
    assert (found["family"] == 2).all()
    assert found["q_value"].to_dict() == pytest.approx(
        {("SPY", "12h"): 0.02, ("SPY", "24h"): 0.02, ("QQQ", "24h"): 0.04}
    )
    assert counted(found.reset_index()).iloc[0][["verdicts", "survive", "repeated"]].tolist() == [2, 2, 1]


def test_tickers_with_one_index_are_named_where_the_index_is_what_is_forecast() -> None:
    found = table_of(pair("SPY", "24h", "volatility"), pair("IWM", "24h", "volatility"), pair("QQQ", "24h"))
    assert found.loc[("IWM", "24h"), "shares_outcomes_with"] == "SPY"
    assert pd.isna(found.loc[("QQQ", "24h"), "shares_outcomes_with"])


def test_comparisons_nobody_asks_for_and_those_without_a_verdict_are_no_members_of_a_family() -> None:
    strawman = pair("SPY", "24h", metric="brier_conditional", baseline="class_prior")
    hard_call = pair("SPY", "48h", verdict="no_verdict")
    assert list(table_of(strawman, hard_call, pair("SPY", "72h")).index) == [("SPY", "72h")]


def test_what_cannot_be_tested_is_told_and_survives_nothing() -> None:
    found = table_of(
        pair("SPY", "24h", p=float("nan"), p_bootstrap=float("nan"), verdict="insufficient_data"), pair("SPY", "48h")
    )
    assert not found.loc[("SPY", "24h"), "survives"]
    assert found.loc[("SPY", "48h"), "family"] == 1
    assert counted(found.reset_index()).iloc[0]["untested"] == 1


def test_questions_are_families_of_their_own_and_all_together_are_one_more() -> None:
    found = table_of(pair("SPY", "24h", p=0.03), *(pair("SPY", horizon, "volatility") for horizon in ("24h", "48h")))
    direction = found[found["task"] == "direction"].iloc[0]
    assert (direction["q_value"], direction["family"]) == (0.03, 1)
    assert direction["q_value_of_all"] == 0.03
    assert found[found["task"] == "volatility"]["q_value_of_all"].tolist() == pytest.approx([0.0015, 0.0015])


def test_nothing_scored_gives_an_empty_table_and_a_page_that_says_so() -> None:
    nothing = multiplicity(frame_of_records(METRICS, []), index_of={})
    assert list(nothing.columns) == list(MULTIPLICITY.column_names)
    assert "No verdict can be counted yet" in multiplicity_page(nothing)


def test_the_page_counts_and_names_what_survives() -> None:
    found = table_of(
        pair("SPY", "24h"), pair("QQQ", "24h", p=0.3, p_bootstrap=0.01), pair("IWM", "12h", "volatility", p=0.9)
    ).reset_index()
    assert survivors_in_words(found).startswith("1 of 3 verdicts survive their number (3 look skilled alone)")
    page = multiplicity_page(found)
    assert "| direction | brier_sign | climatology | 2 | 2 | 1 |" in page
    assert "| SPY 24h | logistic (served) | brier_sign | climatology | +0.05" in page


def test_noise_is_called_skilled_at_most_as_often_as_promised() -> None:
    """Of families in which nothing is true, at most one in twenty has a survivor."""
    generator = np.random.default_rng(3)
    families = [adjusted(generator.uniform(size=40)).min() <= 0.05 for _ in range(2_000)]
    assert np.mean(families) == pytest.approx(0.05, abs=0.015)
