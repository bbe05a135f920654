"""What is put in the place of missing values, fitted on training rows only, and where values are missing.

For models that need every value (the allocation data): the last value seen, and where there is none yet the median of
the training rows. Tables of features keep their NULLs; nothing here is stored in one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from trading_dag.errors import InsufficientDataError, SchemaError


@dataclass(frozen=True)
class TrainingMedians:
    """Medians of training rows.

    Attributes
    ----------
    medians : one value per column, in the order of the training frame; NaN for a column without any value.
    rows : training rows.
    """

    medians: pd.Series
    rows: int

    @property
    def unknown(self) -> tuple[str, ...]:
        """Columns without a value in the training rows: nothing can be put in their place."""
        return tuple(str(name) for name in self.medians.index[self.medians.isna()])


def fit_medians(training: pd.DataFrame) -> TrainingMedians:
    """Medians of the values that are there, before anything is filled: a value that stands for long counts once.

    Parameters
    ----------
    training : (rows, columns) numbers, the training part of a fold and nothing else. Every later row in it would leak
        into the medians.

    Raises
    ------
    InsufficientDataError : for no rows.
    """
    if training.empty:
        raise InsufficientDataError("no training rows to take medians from")
    medians = training.astype("float64").replace([np.inf, -np.inf], np.nan).median()
    return TrainingMedians(medians, len(training))


def fill_missing(features: pd.DataFrame, fitted: TrainingMedians) -> pd.DataFrame:
    """Forward fill in time, then the training medians. Infinity counts as missing.

    Parameters
    ----------
    features : rows ascending in time, by their index. To carry values from the training part into the test part,
        give both together; a row takes from itself and earlier rows only.
    fitted : medians of the training rows, for the same columns.

    Returns
    -------
    pd.DataFrame : same index and columns, float64. Values that are there are unchanged. NaN stays only in columns of
        ``fitted.unknown``, before their first value.

    Raises
    ------
    SchemaError : for other columns than the fitted ones, or an index that does not ascend strictly.
    """
    _require_ascending(features)
    if list(features.columns) != list(fitted.medians.index):
        raise SchemaError(table="features", key="columns", rule="are not those that the medians were fitted on")
    values = features.astype("float64").replace([np.inf, -np.inf], np.nan)
    return values.ffill().fillna(fitted.medians)


def presence_by_block(features: pd.DataFrame, *, blocks: int = 60) -> pd.DataFrame:
    """Return how much of each column is there, over time.

    Parameters
    ----------
    features : rows ascending in time, by their index.
    blocks : into how many runs of consecutive rows of about one length the time is cut; fewer where there are fewer
        rows.

    Returns
    -------
    pd.DataFrame : (blocks, columns) share of rows with a finite value, 0 to 1; index: the first row's label.

    Raises
    ------
    SchemaError : for an index that does not ascend strictly.
    ValueError : for fewer than one block.
    """
    if blocks < 1:
        raise ValueError(f"blocks must be at least 1, not {blocks}")
    _require_ascending(features)
    if features.empty:
        return pd.DataFrame(columns=features.columns, index=features.index, dtype="float64")
    is_there = features.astype("float64").replace([np.inf, -np.inf], np.nan).notna()
    count = min(blocks, len(features))
    block_of_row = np.arange(len(features)) * count // len(features)
    first_rows = np.flatnonzero(np.diff(block_of_row, prepend=-1))
    presence = is_there.groupby(block_of_row).mean()
    return presence.set_axis(features.index[first_rows])


def presence_by_group(features: pd.DataFrame, groups: Mapping[str, Sequence[str]], *, blocks: int = 60) -> pd.DataFrame:
    """Return how much is there over time, where columns of a group that come and go together are one.

    Two columns go together where their shares of every block are the same in tenths: a hundred columns with the same
    history say no more than one.

    Parameters
    ----------
    features : rows ascending in time, by their index.
    groups : columns by group; the groups and the columns within them keep their order.
    blocks : as for ``presence_by_block``.

    Returns
    -------
    pd.DataFrame : (blocks, sets of columns) mean share, 0 to 1; a set is named by its group and its first column, and
        says how many there are: ``technical: sma_20 … (61)``. Index: the first row's label.

    Raises
    ------
    SchemaError, ValueError : as for ``presence_by_block``.
    """
    presence = presence_by_block(features, blocks=blocks)
    shares = presence.to_numpy(dtype=np.float64)
    position = {str(name): number for number, name in enumerate(presence.columns)}
    sets: dict[tuple[str, bytes], list[str]] = {}
    for group, names in groups.items():
        for name in names:
            tenths = np.round(shares[:, position[name]] * 10.0).astype(np.int8)
            sets.setdefault((group, tenths.tobytes()), []).append(name)
    columns = {
        f"{group}: {names[0]}" + (f" … ({len(names)})" if len(names) > 1 else ""): presence[names].mean(axis=1)
        for (group, _), names in sets.items()
    }
    return pd.DataFrame(columns, index=presence.index, dtype="float64")


def _require_ascending(features: pd.DataFrame) -> None:
    if not (features.index.is_monotonic_increasing and features.index.is_unique):
        raise SchemaError(table="features", key="index", rule="rows must ascend strictly in time")
