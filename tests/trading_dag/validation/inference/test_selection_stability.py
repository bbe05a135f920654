"""How far folds agree on their features: the published index, and one row a candidate."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_dag.errors import SchemaError
from trading_dag.plots.selection import selection_by_fold
from trading_dag.schemas import SELECTION_STABILITY
from trading_dag.validation.inference.selection_stability import selection_stability, stability_index


def test_the_index_of_three_choices_is_that_calculated_by_hand() -> None:
    # p = 1, 2/3, 1/3, 0; spread = 1.5·(2/9 + 2/9)/4 = 1/6; k/d = 1/2, so 1 − (1/6)/(1/4) = 1/3
    chosen = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0]], dtype=bool)
    assert stability_index(chosen) == pytest.approx(1 / 3)


def test_equal_choices_have_one_and_choices_at_random_about_zero() -> None:
    same = np.tile(np.arange(50) < 10, (5, 1))
    assert stability_index(same) == pytest.approx(1.0)
    generator = np.random.default_rng(5)
    at_random = [
        stability_index(np.array([generator.permutation(np.arange(50) < 10) for _ in range(5)])) for _ in range(200)
    ]
    assert abs(np.mean(at_random)) < 4 * np.std(at_random) / np.sqrt(200)


@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=2, max_size=6), st.randoms())
def test_the_index_is_at_most_one_and_knows_no_order(choices: list[list[bool]], random) -> None:
    chosen = np.array(choices)
    index = stability_index(chosen)
    shuffled = list(range(6))
    random.shuffle(shuffled)
    np.testing.assert_allclose(stability_index(chosen[::-1, shuffled]), index, rtol=1e-12, atol=1e-12)
    assert np.isnan(index) or index <= 1.0 + 1e-12


@pytest.mark.parametrize("chosen", [np.ones((3, 4), bool), np.zeros((3, 4), bool), np.ones((1, 4), bool)])
def test_nothing_can_be_said_of_one_choice_or_of_all_or_of_none(chosen) -> None:
    assert np.isnan(stability_index(chosen))


def selection() -> pd.DataFrame:
    rows = [
        ("direction_logistic", fold, feature, chosen, score)
        for fold, choice in ((1, "ab"), (2, "ab"), (3, "ac"), (4, "cd"))
        for feature, score in (("a", 0.04), ("b", 0.03), ("c", 0.02 + fold / 1000), ("d", np.nan))
        for chosen in (feature in choice,)
    ]
    frame = pd.DataFrame(rows, columns=["model", "fold", "feature", "is_used", "score"])
    return frame.assign(ticker="SPY", horizon="24h", reason="used", presence_fraction=1.0)


def test_the_live_model_is_no_fold_and_rows_come_most_chosen_first() -> None:
    found = selection_stability(selection(), live_fold=4)
    assert list(found.columns) == list(SELECTION_STABILITY.column_names)
    assert found["feature"].tolist() == ["a", "b", "c", "d"]
    assert found["selected_folds"].tolist() == [3, 2, 1, 0]
    assert found["folds"].unique().tolist() == [3]
    assert found["mean_score"].iloc[2] == pytest.approx(0.022)
    assert found["score_deviation"].iloc[2] == pytest.approx(0.001)
    assert found["stability"].to_numpy() == pytest.approx(np.full(4, 1 / 3))


def test_without_folds_there_are_no_rows_and_missing_columns_are_named() -> None:
    assert selection_stability(selection().iloc[:0], live_fold=6).empty
    with pytest.raises(SchemaError, match=r"models\.inputs.*score"):
        selection_stability(selection().drop(columns="score"), live_fold=6)


def test_the_picture_dots_what_each_fold_chose() -> None:
    rows = selection()
    stability = selection_stability(rows, live_fold=4)
    figure = selection_by_fold(rows, stability, model="direction_logistic", live_fold=4)
    axes = figure.axes[0]
    assert {text.get_position()[1]: text.get_text() for text in axes.texts} == {0: "a", 1: "b", 2: "c", 3: "d"}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3", "live"]
    dots = set(zip(*(values.tolist() for values in axes.lines[0].get_data()), strict=True))
    assert dots == {(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 2), (3, 2), (3, 3)}
    assert any("stability 0.33" in text.get_text() for text in figure.texts)
