"""Expanding walk-forward folds with a gap, and which fold's model is in service at a session.

Here belongs what decides which rows a fold may learn from and which it is judged on. Nothing
here fits or scores. A row is a session; rows are always in session order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, IntArray
from trading_dag.errors import AugmentedTestError


@dataclass(frozen=True)
class Fold:
    """One split of ordered rows.

    Attributes
    ----------
    number : 1, 2, …, in time order.
    train, test : row positions, ascending; every training row lies more than ``gap`` rows before every test row.
    """

    number: int
    train: IntArray
    test: IntArray


def walk_forward_folds(n_rows: int, *, folds: int, gap: int, is_augmented: BoolArray | None = None) -> tuple[Fold, ...]:
    """Return expanding folds over ``n_rows`` rows in session order.

    The test parts are equally long, adjacent and at the end; each training part is everything
    before its test part less the ``gap`` last rows. **The gap is what keeps labels apart**: the
    label of a training row looks ``gap`` sessions ahead, so without it the last training labels
    would be made of test-part prices. Rows may skip sessions, which only widens the distance.

    Parameters
    ----------
    n_rows : how many rows there are.
    folds : how many test parts.
    gap : rows left out between a training part and its test part.
    is_augmented : which rows are made up from others (``simulation.bootstrap``), (n_rows,); None where none is.
        They stand before the real ones: they may be learnt from, never judged on.

    Returns
    -------
    ``folds`` folds, or none where the rows are too few for them.

    Raises
    ------
    AugmentedTestError : where a test part would hold an augmented row.

    References
    ----------
    scikit-learn ``TimeSeriesSplit``; López de Prado, Advances in Financial Machine Learning (2018), section 7.4.
    """
    from sklearn.model_selection import TimeSeriesSplit

    test_size = n_rows // (folds + 1)
    if test_size < 1 or n_rows - gap - folds * test_size <= 0:
        return ()
    splits = TimeSeriesSplit(n_splits=folds, gap=gap).split(np.zeros(n_rows))
    found = tuple(
        Fold(number, train.astype(np.int64), test.astype(np.int64))
        for number, (train, test) in enumerate(splits, start=1)
    )
    if is_augmented is not None:
        refuse_augmented_tests(found, is_augmented=is_augmented)
    return found


def refuse_augmented_tests(folds: tuple[Fold, ...], *, is_augmented: BoolArray) -> None:
    """Refuse folds whose test part holds a row that never happened.

    Raises
    ------
    AugmentedTestError : names the first such fold and row.
    """
    for fold in folds:
        strangers = fold.test[is_augmented[fold.test]]
        if len(strangers):
            raise AugmentedTestError(
                table="walk-forward folds",
                key=f"fold {fold.number}, row {strangers[0]}",
                rule=f"{len(strangers)} of {len(fold.test)} test rows are augmented: models are judged on real rows",
            )


def fold_in_service(sessions: pd.DatetimeIndex, serves_from: pd.DatetimeIndex) -> IntArray:
    """Return the number of the fold whose model forecasts each session: the newest that is in service by then.

    Parameters
    ----------
    sessions : sessions to forecast.
    serves_from : first session that folds 1, 2, … may forecast, ascending.

    Returns
    -------
    A fold number per session; 0 where no fold is in service yet.
    """
    positions: IntArray = np.searchsorted(serves_from.to_numpy(), sessions.to_numpy(), side="right").astype(np.int64)
    return positions
