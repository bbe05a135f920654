"""Feature selection: mutual information against counting by hand, and the reasons for leaving columns out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.features.selection import (
    PresenceRule,
    judge_presence,
    mutual_information,
    rows_with_presence,
    select_features,
)


def test_mutual_information_of_a_flag_is_the_hand_counted_one_less_the_miller_madow_term() -> None:
    # joint counts  class0 class1
    #      flag 0     30     10
    #      flag 1     20     40
    flag = np.repeat([0.0, 0.0, 1.0, 1.0], [30, 10, 20, 40])
    codes = np.repeat([0, 1, 0, 1], [30, 10, 20, 40])
    by_hand = (
        0.30 * math.log(0.30 / (0.40 * 0.50))
        + 0.10 * math.log(0.10 / (0.40 * 0.50))
        + 0.20 * math.log(0.20 / (0.60 * 0.50))
        + 0.40 * math.log(0.40 / (0.60 * 0.50))
    )
    assert mutual_information(flag[:, None], codes)[0] == pytest.approx(by_hand - 1 / 200, abs=1e-12)


def test_a_column_that_tells_the_class_carries_its_whole_entropy() -> None:
    codes = np.arange(1_000) % 2
    column = codes + np.linspace(0, 0.4, 1_000)
    # ten bins, two classes: the correction is (10 − 1)(2 − 1) / (2 · 1000)
    assert mutual_information(column[:, None], codes)[0] == pytest.approx(math.log(2) - 9 / 2_000, abs=1e-12)


def test_a_non_monotone_relation_is_seen_and_noise_is_not() -> None:
    generator = np.random.default_rng(1)
    values = generator.normal(size=(4_000, 2))
    codes = (np.abs(values[:, 0]) > 0.67).astype(np.int64)
    related, noise = mutual_information(values, codes)
    assert related > 0.4
    assert noise < 0.005


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_an_increasing_transformation_changes_nothing_and_the_score_is_within_its_bounds(seed: int) -> None:
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(300, 3))
    values[generator.random((300, 3)) < 0.1] = np.nan
    codes = generator.integers(0, 3, 300)
    scores = mutual_information(values, codes)
    assert ((scores >= 0) & (scores <= math.log(3))).all()
    np.testing.assert_array_equal(scores, mutual_information(np.exp(values) * 7 + 1, codes))


@settings(max_examples=200, deadline=None)
@given(
    column=st.lists(
        st.one_of(st.sampled_from([-1.0, 0.0, 0.0, 0.0, 0.0, 2.0, math.nan]), st.floats(-5, 5)),
        min_size=2,
        max_size=80,
    ),
    seed=st.integers(0, 1_000),
    bins=st.integers(2, 11),
)
def test_turning_a_column_round_changes_nothing(column: list[float], seed: int, bins: int) -> None:
    values = np.array(column)[:, None]
    codes = np.random.default_rng(seed).integers(0, 3, len(column))
    turned = mutual_information(-values, codes, bins=bins)
    np.testing.assert_allclose(mutual_information(values, codes, bins=bins), turned, rtol=1e-12, atol=1e-14)


@settings(max_examples=50, deadline=None)
@given(rows=st.integers(40, 400), share=st.floats(0.005, 0.995), seed=st.integers(0, 1_000))
def test_a_flag_has_two_bins_however_seldom_it_is_set(rows: int, share: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    flag = (np.arange(rows) < max(1, round(share * rows))).astype(float)
    codes = np.where(generator.random(rows) < 0.7, flag, 1 - flag).astype(np.int64)
    by_hand = 0.0
    for value in (0.0, 1.0):
        for code in (0, 1):
            both = np.mean((flag == value) & (codes == code))
            if both > 0:
                by_hand += both * math.log(both / (np.mean(flag == value) * np.mean(codes == code)))
    freedom = (len(set(flag)) - 1) * (len(set(codes)) - 1)
    expected = max(by_hand - freedom / (2 * rows), 0.0)
    assert mutual_information(flag[:, None], codes)[0] == pytest.approx(expected, abs=1e-12)


def test_a_flag_of_two_percent_that_is_the_label_carries_the_labels_entropy() -> None:
    flag = np.repeat([0.0, 1.0], [2_940, 60])
    entropy = -0.98 * math.log(0.98) - 0.02 * math.log(0.02)
    scores = mutual_information(np.column_stack([flag, 1 - flag]), flag.astype(np.int64))
    assert scores == pytest.approx([entropy - 1 / 6_000] * 2, abs=1e-12)


def test_distinct_values_fill_the_bins_evenly() -> None:
    """Each tenth of the rows tells its own class: the column carries the whole entropy of ten equal classes."""
    column = np.random.default_rng(4).permutation(1_000).astype(float)
    codes = (column // 100).astype(np.int64)
    # ten bins, ten classes: the correction is 9 · 9 / (2 · 1000)
    assert mutual_information(column[:, None], codes)[0] == pytest.approx(math.log(10) - 81 / 2_000, abs=1e-12)


def test_gaps_are_left_out_of_a_columns_score() -> None:
    generator = np.random.default_rng(3)
    column, codes = generator.normal(size=500), generator.integers(0, 2, 500)
    codes[column > 0.5] = 1
    with_gaps = np.concatenate([column, np.full(200, np.nan)])[:, None]
    longer = np.concatenate([codes, generator.integers(0, 2, 200)])
    assert mutual_information(with_gaps, longer)[0] == mutual_information(column[:, None], codes)[0]


def test_each_candidate_is_given_the_reason_for_its_fate() -> None:
    generator = np.random.default_rng(0)
    codes = np.arange(400) % 2
    strong, weak = codes + generator.normal(0, 0.3, 400), codes + generator.normal(0, 3.0, 400)
    sparse = np.where(generator.random(400) < 0.7, codes, np.nan)
    values = np.column_stack([weak, strong, np.ones(400), sparse])
    chosen = select_features(
        values, codes, names=("weak", "strong", "flat", "sparse"), presence=PresenceRule(0.8), top_features=1
    )
    assert dict(zip(chosen["feature"], chosen["reason"], strict=True)) == {
        "weak": "below_top_k",
        "strong": "selected",
        "flat": "constant",
        "sparse": "below_presence",
    }
    assert chosen["selected"].tolist() == [False, True, False, False]
    assert chosen["score"].isna().tolist() == [False, False, True, True]
    assert chosen["presence_fraction"].iloc[3] == pytest.approx(1 - np.isnan(sparse).mean())


def test_rows_outside_the_classes_count_for_presence_and_not_for_the_score() -> None:
    codes = np.array([0, 1] * 100 + [-1] * 100)
    column = np.concatenate([np.tile([0.0, 1.0], 100), np.full(100, np.nan)])
    kept = select_features(column[:, None], codes, names=("x",), presence=PresenceRule(0.6), top_features=None)
    dropped = select_features(column[:, None], codes, names=("x",), presence=PresenceRule(0.7), top_features=None)
    assert kept["reason"].tolist() == ["selected"]
    assert kept["score"].iloc[0] == pytest.approx(math.log(2) - 1 / 400, abs=1e-12)
    assert dropped["reason"].tolist() == ["below_presence"]


def test_equal_scores_go_to_the_column_that_stands_first() -> None:
    codes = np.arange(100) % 2
    same = np.column_stack([codes.astype(float)] * 3)
    chosen = select_features(same, codes, names=("a", "b", "c"), presence=PresenceRule(0.8), top_features=2)
    assert chosen["selected"].tolist() == [True, True, False]


def test_a_row_needs_the_share_of_columns_it_is_asked_for() -> None:
    gap = np.nan
    values = np.array([[1.0, 1, 1, 1, 1], [gap, 1, 1, 1, 1], [gap, gap, 1, 1, 1]])
    assert rows_with_presence(values, minimum_presence=0.8).tolist() == [True, True, False]
    assert rows_with_presence(values[:, :0], minimum_presence=0.8).tolist() == [False, False, False]


def test_presence_is_judged_over_the_last_rows_or_from_a_late_beginning_on() -> None:
    nan = math.nan
    columns = {
        "steady": [1.0] * 10,
        "ended": [1.0] * 6 + [nan] * 4,
        "late": [nan] * 2 + [1.0] * 8,
        "late_within": [nan] * 7 + [1.0] * 3,
        "too_young": [nan] * 8 + [1.0] * 2,
        "late_with_a_hole": [nan] * 6 + [1.0, nan, nan, 1.0],
        "never": [nan] * 10,
    }
    values = np.array(list(columns.values())).T
    found = judge_presence(values, PresenceRule(0.9, recent_rows=5, late_rows=3))
    judged = dict(zip(columns, found.judged, strict=True))
    assert judged == {
        "steady": 1.0, "ended": pytest.approx(0.2), "late": 1.0, "late_within": 1.0, "too_young": pytest.approx(0.4),
        "late_with_a_hole": pytest.approx(0.5), "never": 0.0,
    }  # fmt: skip
    assert dict(zip(columns, found.known, strict=True))["late"] == pytest.approx(0.8)
    names = np.array(list(columns))
    assert names[found.is_present].tolist() == ["steady", "late", "late_within"]
    assert names[found.begins_late].tolist() == ["late", "late_within"]
    assert names[found.is_steady].tolist() == ["steady"]


def test_over_all_rows_nothing_begins_late() -> None:
    values = np.array([[1.0, math.nan], [2.0, math.nan], [3.0, 1.0], [4.0, 2.0]])
    found = judge_presence(values, PresenceRule(0.5))
    assert found.is_present.tolist() == [True, True]
    assert not found.begins_late.any()


def test_a_column_that_begins_late_is_scored_by_what_it_tells_of_an_average_row() -> None:
    codes = np.arange(1_000) % 2
    late = np.where(np.arange(1_000) < 750, np.nan, codes + np.linspace(0, 0.4, 1_000))
    values = np.column_stack([np.linspace(0, 1, 1_000), late])
    chosen = select_features(
        values, codes, names=("steady", "late"), presence=PresenceRule(0.8, 200, 100), top_features=1
    ).set_index("feature")
    # ln 2 over a quarter of the rows, less the Miller–Madow term of these 250.
    assert chosen.loc["late", "score"] == pytest.approx(0.25 * (math.log(2) - 9 / 500), abs=1e-12)
    assert chosen.loc["late", ["selected", "begins_late"]].tolist() == [True, True]
    assert chosen.loc["late", ["presence_fraction", "known_fraction"]].tolist() == [1.0, 0.25]


def test_columns_of_noise_are_not_chosen_for_their_short_past() -> None:
    generator = np.random.default_rng(3)
    codes = generator.integers(0, 2, 4_000)
    values = generator.normal(size=(4_000, 40))
    values[:3_600, 20:] = np.nan
    chosen = select_features(
        values, codes, names=tuple(f"f{n}" for n in range(40)), presence=PresenceRule(0.8, 300), top_features=10
    )
    assert 2 <= chosen["selected"].to_numpy()[20:].sum() <= 8
