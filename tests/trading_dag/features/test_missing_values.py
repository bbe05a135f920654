"""Forward fill, then training medians: by hand, for any data, and never from a later row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_dag.errors import InsufficientDataError, SchemaError
from trading_dag.features.missing_values import fill_missing, fit_medians, presence_by_block

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
