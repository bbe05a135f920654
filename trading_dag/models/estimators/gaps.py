"""How gaps reach an estimator: as gaps where it reads them, otherwise filled, beside a column that says so.

A source that begins late (news, chains) leaves its features empty in all rows before. An estimator that cannot read
gaps gets the training part's medians there, and one indicator for each group of features that begins late: without it
the past would look as if the group had always said the usual.

Here belongs what those indicators are and how they are computed from a row. That medians are taken from the training
part stands in ``learners``; what begins late is judged by ``features.selection``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from trading_dag.arrays import FloatArray
from trading_dag.schemas import GROUP_OF_FEATURE

INDICATOR_PREFIX: Final = "missing_"


def indicators_of(late_features: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Returns the features that each indicator stands for, by the indicator's name, such as ``missing_sentiment``.

    Parameters
    ----------
    late_features : features that begin late and are read. A name of no group is a group of its own.
    """
    groups: dict[str, tuple[str, ...]] = {}
    for name in late_features:
        indicator = INDICATOR_PREFIX + GROUP_OF_FEATURE.get(name, name)
        groups[indicator] = (*groups.get(indicator, ()), name)
    return groups


def with_indicators(
    values: FloatArray, names: tuple[str, ...], indicators: Mapping[str, tuple[str, ...]]
) -> FloatArray:
    """Returns the values with a column for each indicator behind them: 1 where none of its features is known, else 0.

    Parameters
    ----------
    values, names : rows × features, NaN where not known, and what they are called.
    indicators : of ``indicators_of``; without any, the values are returned as they are.
    """
    if not indicators:
        return values
    columns = [
        np.isnan(values[:, [names.index(name) for name in features]]).all(axis=1).astype(np.float64)
        for features in indicators.values()
    ]
    return np.column_stack([values, *columns])
