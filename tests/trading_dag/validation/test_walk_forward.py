"""Folds: no overlap, the gap kept, expanding; and the service rule."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import TimeSeriesSplit

from trading_dag.sessions import sessions_between, target_sessions
from trading_dag.slices import HORIZONS
from trading_dag.validation.walk_forward import fold_in_service, walk_forward_folds


@settings(max_examples=80, deadline=None)
@given(n_rows=st.integers(0, 400), folds=st.integers(2, 8), gap=st.integers(1, 5))
def test_folds_never_overlap_keep_the_gap_and_expand(n_rows: int, folds: int, gap: int) -> None:
    splits = walk_forward_folds(n_rows, folds=folds, gap=gap)
    assert len(splits) in (0, folds)
    tests = [position for fold in splits for position in fold.test]
    assert tests == list(range(n_rows - len(tests), n_rows))
    for number, fold in enumerate(splits, start=1):
        assert fold.number == number
        assert fold.train[0] == 0
        assert np.array_equal(fold.train, np.arange(len(fold.train)))
        assert fold.test[0] - fold.train[-1] == gap + 1
    for earlier, later in pairwise(splits):
        assert set(earlier.train) < set(later.train)


@settings(max_examples=80, deadline=None)
@given(n_rows=st.integers(1, 60), folds=st.integers(2, 8), gap=st.integers(1, 5))
def test_there_are_folds_exactly_where_time_series_split_can_make_them(n_rows: int, folds: int, gap: int) -> None:
    try:
        expected = list(TimeSeriesSplit(n_splits=folds, gap=gap).split(np.zeros(n_rows)))
    except ValueError:
        expected = []
    made = walk_forward_folds(n_rows, folds=folds, gap=gap)
    assert len(made) == len(expected)
    for fold, (train, test) in zip(made, expected, strict=True):
        assert np.array_equal(fold.train, train)
        assert np.array_equal(fold.test, test)


def test_no_training_label_looks_into_the_test_part_at_any_horizon() -> None:
    sessions = sessions_between("2015-01-01", "2019-12-31")
    for horizon in HORIZONS.values():
        ends = target_sessions(sessions, horizon)
        for fold in walk_forward_folds(len(sessions), folds=5, gap=horizon.gap_sessions):
            assert ends[fold.train].max() < sessions[fold.test[0]]


def test_a_session_is_served_by_the_newest_fold_in_service() -> None:
    starts = pd.DatetimeIndex(["2020-01-06", "2020-02-03", "2020-03-02"])
    sessions = pd.DatetimeIndex(["2020-01-03", "2020-01-06", "2020-01-31", "2020-02-03", "2021-01-04"])
    assert fold_in_service(sessions, starts).tolist() == [0, 1, 1, 2, 3]
