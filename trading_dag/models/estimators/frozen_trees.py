"""Forests and boosted trees as plain arrays of numbers: what scikit-learn has learnt, without its objects.

Here belongs how trees are taken out of a fitted scikit-learn ensemble and evaluated. A stored array of numbers cannot
run anything when it is read, and a hash of the arrays sees everything that was learnt.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from trading_dag.arrays import FloatArray, IntArray

_LEAF = -1


class FrozenTrees:
    """Is a sum of decision trees.

    Attributes
    ----------
    offset : (1,) what is said before any tree; the whole forecast where there are no trees.
    fill : (columns,) what stands in for a missing value.
    roots : (trees,) the node at which each tree begins.
    column : (nodes,) the column that a node asks for; −1 for a leaf.
    threshold : (nodes,) a value up to it goes left.
    left, right : (nodes,) the next node.
    value : (nodes,) what a leaf adds to the forecast.
    """

    def __init__(
        self,
        *,
        offset: FloatArray,
        fill: FloatArray,
        roots: IntArray,
        column: IntArray,
        threshold: FloatArray,
        left: IntArray,
        right: IntArray,
        value: FloatArray,
    ) -> None:
        self.offset, self.fill, self.roots = offset, fill, roots
        self.column, self.threshold, self.left, self.right, self.value = column, threshold, left, right, value

    def forecast(self, values: FloatArray) -> FloatArray:
        """Return the sum of the trees for each row.

        Parameters
        ----------
        values : (rows, columns), NaN where not known.
        """
        # scikit-learn compares single-precision values with double-precision thresholds.
        filled = np.where(np.isnan(values), self.fill, values).astype(np.float32)
        node = np.tile(self.roots, (len(values), 1))
        rows = np.arange(len(values))[:, np.newaxis]
        for _ in range(len(self.column)):  # no path is longer than there are nodes
            asked = self.column[node]
            if (asked == _LEAF).all():
                break
            goes_left = filled[rows, np.maximum(asked, 0)] <= self.threshold[node]
            node = np.where(asked == _LEAF, node, np.where(goes_left, self.left[node], self.right[node]))
        forecasts: FloatArray = self.offset[0] + self.value[node].sum(axis=1)
        return forecasts


def constant(value: float, *, columns: int) -> FrozenTrees:
    """Return what says the same of every row."""
    return _frozen([], weight=0.0, offset=value, fill=np.zeros(columns))


def freeze_forest(forest: Any, *, fill: FloatArray) -> FrozenTrees:
    """Return the mean of the trees of a fitted ``RandomForestRegressor``.

    Parameters
    ----------
    fill : (columns,) what missing values were filled with before it was fitted.
    """
    trees = [entry.tree_ for entry in forest.estimators_]
    return _frozen(trees, weight=1.0 / len(trees), offset=0.0, fill=fill)


def freeze_boosting(boosting: Any, *, fill: FloatArray) -> FrozenTrees:
    """Return the trees of a fitted ``GradientBoostingRegressor`` of squared errors, and the mean that it begins with.

    Parameters
    ----------
    fill : as for ``freeze_forest``.
    """
    trees = [entry.tree_ for entry in boosting.estimators_[:, 0]]
    offset = float(boosting.init_.constant_.ravel()[0])
    return _frozen(trees, weight=boosting.learning_rate, offset=offset, fill=fill)


def _frozen(trees: list[Any], *, weight: float, offset: float, fill: FloatArray) -> FrozenTrees:
    starts = np.cumsum([0, *(tree.node_count for tree in trees)]).astype(np.int64)

    def nodes(name: str, kind: type, *, shifted: bool = False) -> Any:
        parts = [getattr(tree, name).ravel().astype(kind) for tree in trees]
        if shifted:
            parts = [part + start for part, start in zip(parts, starts, strict=False)]
        return np.concatenate([np.empty(0, dtype=kind), *parts])

    is_leaf = nodes("children_left", np.int64) < 0
    return FrozenTrees(
        offset=np.array([offset]),
        fill=np.asarray(fill, dtype=np.float64),
        roots=starts[:-1],
        column=np.where(is_leaf, _LEAF, nodes("feature", np.int64)),
        threshold=nodes("threshold", np.float64),
        left=np.where(is_leaf, 0, nodes("children_left", np.int64, shifted=True)),
        right=np.where(is_leaf, 0, nodes("children_right", np.int64, shifted=True)),
        value=np.where(is_leaf, nodes("value", np.float64) * weight, 0.0),
    )
