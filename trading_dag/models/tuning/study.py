"""A search by name: which learner, which rows, which folds. Two searches with one name have the same trials.

Here belongs what makes a search the same search, and which rows it may see. How a trial is scored stands in
``classifiers``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.models.estimators.tuned import ALL_ROWS, BEFORE_TESTS
from trading_dag.models.learning.rows import LabelledRows
from trading_dag.models.tuning.space import Space
from trading_dag.training_start import TrainingStart

_NAME_DIGITS: Final = 16


@dataclass(frozen=True)
class StudyRows:
    """The rows that a search sees.

    Attributes
    ----------
    window : ``before_tests`` or ``all_rows``.
    first, last : their first and last session.
    last_target : the last session at which one of their labels was known.
    count : how many they are.
    content_hash : SHA-256 of sessions, features, labels and outcomes.
    """

    window: str
    first: pd.Timestamp
    last: pd.Timestamp
    last_target: pd.Timestamp
    count: int
    content_hash: str


@dataclass(frozen=True)
class StudyName:
    """Everything that decides which trials a search has, given its number of trials.

    Attributes
    ----------
    family : the learner that is tuned.
    ticker, horizon : the slice.
    rows : what the search sees.
    space_version, score : what is searched, and by which score (less is better).
    settings : of the inner folds and of what they read, in JSON types; the seed is one of them.
    """

    family: str
    ticker: str
    horizon: str
    rows: StudyRows
    space_version: str
    score: str
    settings: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """Return 16 digits of the hash of all but the rows: what two searches share of which one has seen more."""
        parts = [
            self.family, self.ticker, self.horizon, self.rows.window, self.space_version, self.score,
            dict(self.settings),
        ]  # fmt: skip
        return _digits(parts)

    @property
    def identifier(self) -> str:
        """Return 16 digits of the hash of all of it, which stand for the search in files and tables."""
        return _digits([self.kind, self.rows.content_hash])


class Study(Protocol):
    """Describes what a search needs of a learner: its name, its space, and the score of a trial on each inner fold."""

    @property
    def name(self) -> StudyName:
        """Return what makes it this search."""
        ...

    @property
    def space(self) -> Space:
        """Return what is searched."""
        ...

    @property
    def folds(self) -> int:
        """Return how many inner folds there are.

        Raises
        ------
        InsufficientDataError : where they cannot be made, with the reason.
        """
        ...

    @property
    def reference(self) -> float | None:
        """Return the score of a forecast without features on the same rows; None where there is none."""
        ...

    def score(self, parameters: Mapping[str, Any], fold: int) -> float:
        """Return the score of parameters on one inner fold, 0 to ``folds`` - 1; less is better."""
        ...


def rows_of_window(rows: LabelledRows, window: str, *, folds: int, gap: int, start: TrainingStart) -> IntArray:
    """Return the positions of the rows that a search may see.

    ``before_tests`` ends ``gap`` rows before the earliest session that any walk-forward over these rows **or over more
    of them** can be tested on: with n rows and k test parts, no test part begins before row n // (k + 1), and that
    number never falls when rows are added. So what was found stays unseen by every test score.

    Parameters
    ----------
    rows : every labelled row, from ``start`` on.
    folds, gap : of the walk-forward, in test parts and rows.
    start : since when a model learns.
    """
    count = len(rows.sessions)
    if window == ALL_ROWS:
        train = np.arange(count, dtype=np.int64)
    elif window == BEFORE_TESTS:
        train = np.arange(max(count // (folds + 1) - gap, 0), dtype=np.int64)
    else:
        raise ValueError(f"{window!r} is no window of rows")
    return train[start.keeps(rows.sessions[train])]


def describe_rows(rows: LabelledRows, positions: IntArray, *, window: str, outcomes: FloatArray) -> StudyRows:
    """Return what names the rows of a search.

    Parameters
    ----------
    positions : of the rows; at least one.
    outcomes : what a trial is scored by besides the labels, (rows,).
    """
    sessions, targets = rows.sessions[positions], rows.target_sessions[positions]
    digest = hashlib.sha256(json.dumps(rows.names).encode())
    parts = (
        sessions.to_numpy(),
        targets.to_numpy(),
        rows.values[positions],
        rows.codes[positions],
        outcomes[positions],
    )
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes())
    return StudyRows(window, sessions[0], sessions[-1], targets.max(), len(positions), digest.hexdigest())


def rows_between(rows: LabelledRows, first: pd.Timestamp, last: pd.Timestamp) -> IntArray:
    """Return the positions of the rows from one session to another, both included."""
    begins, ends = rows.sessions.searchsorted(first), rows.sessions.searchsorted(last, side="right")
    return np.arange(int(begins), int(ends), dtype=np.int64)


def _digits(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:_NAME_DIGITS]
