"""Forward fill, then training medians: by hand, for any data, and never from a later row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_dag.errors import InsufficientDataError, SchemaError
from trading_dag.features.missing_values import fill_missing, fit_medians, presence_by_block, presence_by_group
from trading_dag.validation.walk_forward import walk_forward_folds

nan = float("nan")
VALUES = st.one_of(st.just(nan), st.floats(-1e6, 1e6))


@st.composite
def frames(draw: st.DrawFn) -> tuple[pd.DataFrame, int]:
    """A frame with holes, and how many of its first rows are for training."""
    rows, columns = draw(st.integers(2, 15)), draw(st.integers(1, 4))
    values = draw(st.lists(st.lists(VALUES, min_size=columns, max_size=columns), min_size=rows, max_size=rows))
    frame = pd.DataFrame(values, columns=[f"E{number}" for number in range(columns)], index=np.arange(rows) * 3)
    return frame, draw(st.integers(1, rows - 1))


def test_a_hole_takes_the_last_value_and_a_beginning_the_median_of_the_training_rows() -> None:
    """Median of 1, 5 and 3 is 3; the 9 of the test rows is no part of it."""
    features = pd.DataFrame({"E1": [nan, 1.0, nan, 5.0, 3.0, nan, 9.0, nan]})
    filled = fill_missing(features, fit_medians(features.iloc[:5]))
    assert list(filled["E1"]) == [3.0, 1.0, 1.0, 5.0, 3.0, 3.0, 9.0, 9.0]


def test_a_value_that_was_carried_forward_counts_once_in_the_median() -> None:
    training = pd.DataFrame({"E1": [1.0, nan, nan, nan, 7.0, 9.0]})
    assert fit_medians(training).medians["E1"] == 7.0


def test_infinity_is_missing() -> None:
    features = pd.DataFrame({"E1": [2.0, np.inf, -np.inf, 4.0]})
    assert list(fill_missing(features, fit_medians(features))["E1"]) == [2.0, 2.0, 2.0, 4.0]


def test_a_column_that_training_never_saw_is_named_and_stays_missing_until_its_first_value() -> None:
    features = pd.DataFrame({"E1": [1.0, 2.0, 3.0], "E2": [nan, nan, 8.0]})
    fitted = fit_medians(features.iloc[:2])
    assert fitted.unknown == ("E2",)
    assert fill_missing(features, fitted)["E2"].isna().tolist() == [True, True, False]


@given(frames())
def test_what_is_there_is_unchanged_and_nothing_else_is_missing_than_what_training_never_saw(
    drawn: tuple[pd.DataFrame, int],
) -> None:
    features, rows = drawn
    fitted = fit_medians(features.iloc[:rows])
    filled = fill_missing(features, fitted)
    there = features.notna()
    assert filled.where(there).equals(features.where(there))
    known = [name for name in features.columns if name not in fitted.unknown]
    assert filled[known].notna().all(axis=None)
    pd.testing.assert_frame_equal(fill_missing(filled, fitted), filled)


@given(frames(), st.randoms(use_true_random=False))
def test_no_row_changes_when_later_rows_do(drawn: tuple[pd.DataFrame, int], random: object) -> None:
    features, rows = drawn
    fitted = fit_medians(features.iloc[:rows])
    changed = features.copy()
    changed.iloc[rows:] = [[random.choice([nan, 1e9]) for _ in features.columns] for _ in range(len(features) - rows)]  # type: ignore[attr-defined]
    refitted = fit_medians(changed.iloc[:rows])
    pd.testing.assert_series_equal(refitted.medians, fitted.medians)
    before, after = fill_missing(features, fitted), fill_missing(changed, refitted)
    pd.testing.assert_frame_equal(before.iloc[:rows], after.iloc[:rows])
    pd.testing.assert_frame_equal(fill_missing(features.iloc[:rows], fitted), before.iloc[:rows])


def test_no_training_rows_are_refused() -> None:
    with pytest.raises(InsufficientDataError):
        fit_medians(pd.DataFrame({"E1": []}))


@pytest.mark.parametrize("index", [[1, 0], [0, 0]])
def test_rows_that_do_not_ascend_are_refused(index: list[int]) -> None:
    features = pd.DataFrame({"E1": [1.0, 2.0]}, index=index)
    with pytest.raises(SchemaError, match="ascend"):
        fill_missing(features, fit_medians(features))
    with pytest.raises(SchemaError, match="ascend"):
        presence_by_block(features)


@pytest.mark.parametrize("columns", [["E2"], ["E1", "E2"], []])
def test_other_columns_than_the_fitted_ones_are_refused(columns: list[str]) -> None:
    fitted = fit_medians(pd.DataFrame({"E1": [1.0]}))
    with pytest.raises(SchemaError, match="fitted on"):
        fill_missing(pd.DataFrame(1.0, index=[0, 1], columns=columns), fitted)


def test_presence_is_the_share_of_a_blocks_rows() -> None:
    features = pd.DataFrame({"E1": [nan, 1.0, 1.0, 1.0, nan, np.inf], "E2": 0.0}, index=[10, 11, 12, 13, 14, 15])
    presence = presence_by_block(features, blocks=3)
    assert list(presence.index) == [10, 12, 14]
    assert list(presence["E1"]) == [0.5, 1.0, 0.0]
    assert list(presence["E2"]) == [1.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="at least 1"):
        presence_by_block(features, blocks=0)
    assert presence_by_block(features.iloc[:0]).empty


@given(frames(), st.integers(1, 20))
def test_blocks_cover_every_row_once_and_differ_by_one_row_at_most(
    drawn: tuple[pd.DataFrame, int], blocks: int
) -> None:
    features, _ = drawn
    presence = presence_by_block(features, blocks=blocks)
    assert len(presence) == min(blocks, len(features))
    ends = [*features.index.get_indexer(presence.index), len(features)]
    lengths = np.diff(ends)
    assert ends[0] == 0
    assert lengths.max() - lengths.min() <= 1
    totals = presence.mul(lengths, axis=0).sum()
    np.testing.assert_allclose(totals, features.notna().sum())


def test_columns_of_a_group_that_come_and_go_together_are_one_and_those_of_two_groups_are_not() -> None:
    late = [nan] * 20 + [1.0] * 20
    features = pd.DataFrame({"a": late, "b": 1.0, "c": late, "d": late, "e": [nan] * 19 + [1.0] * 21})
    presence = presence_by_group(features, {"first": ("a", "b", "c"), "second": ("d",), "third": ("e",)}, blocks=2)
    assert list(presence.columns) == ["first: a … (2)", "first: b", "second: d", "third: e"]
    assert list(presence.index) == [0, 20]
    assert presence["first: a … (2)"].tolist() == [0.0, 1.0]
    assert presence["third: e"].tolist() == pytest.approx([0.05, 1.0])


def test_a_difference_of_a_twentieth_of_a_block_divides_no_columns_and_their_share_is_the_mean() -> None:
    features = pd.DataFrame({"a": [nan] * 8 + [1.0] * 92, "b": [nan] * 6 + [1.0] * 94, "c": [nan] * 30 + [1.0] * 70})
    presence = presence_by_group(features, {"x": ("a", "b", "c")}, blocks=1)
    assert presence.iloc[0].to_dict() == {"x: a … (2)": pytest.approx(0.93), "x: c": pytest.approx(0.7)}


@given(frames(), st.integers(1, 5))
def test_every_column_is_in_one_set_of_its_group_and_the_mean_over_columns_stays(
    drawn: tuple[pd.DataFrame, int], blocks: int
) -> None:
    features, _ = drawn
    together = presence_by_group(features, {"x": tuple(features.columns)}, blocks=blocks)
    sizes = [int(name.split("(")[1].rstrip(")")) if "(" in name else 1 for name in together.columns]
    assert sum(sizes) == len(features.columns)
    expected = presence_by_block(features, blocks=blocks).mean(axis=1)
    np.testing.assert_allclose(together.mul(sizes).sum(axis=1) / sum(sizes), expected)


def filled_fold(features: pd.DataFrame, train: np.ndarray, test: np.ndarray) -> pd.DataFrame:
    """What a fold's model is given, as a model of the allocation data fills it."""
    upto_test = features.iloc[: test[-1] + 1]
    return fill_missing(upto_test, fit_medians(features.iloc[train])).iloc[np.concatenate([train, test])]


@given(seed=st.integers(0, 2**16), gap=st.integers(0, 5))
def test_in_a_walk_forward_no_row_is_filled_from_a_later_one_and_no_median_knows_a_test_row(
    seed: int, gap: int
) -> None:
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(60, 4))
    values[generator.random(values.shape) < 0.4] = nan
    features = pd.DataFrame(values, columns=["E1", "I2", "M11", "V1"])
    for fold in walk_forward_folds(60, folds=5, gap=gap):
        filled = filled_fold(features, fold.train, fold.test)
        cut = int(generator.choice(fold.test))
        perturbed = features.copy()
        perturbed.iloc[cut:] = generator.normal(50.0, 10.0, size=(60 - cut, 4))
        got = filled_fold(perturbed, fold.train, fold.test)
        before = filled.index < cut
        pd.testing.assert_frame_equal(got[before], filled[before])


def test_medians_of_all_rows_would_be_caught_by_that_perturbation() -> None:
    features = pd.DataFrame({"E1": [nan, 1.0, 2.0, 3.0, 4.0, 5.0]})
    later = features.copy()
    later.iloc[3:] = 100.0
    leaking = [fill_missing(frame, fit_medians(frame))["E1"].iloc[0] for frame in (features, later)]
    honest = [fill_missing(frame, fit_medians(frame.iloc[:3]))["E1"].iloc[0] for frame in (features, later)]
    assert leaking == [3.0, 100.0]
    assert honest == [1.5, 1.5]
