"""Frozen trees say what scikit-learn's own ensembles say."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor

from trading_dag.models.estimators.frozen_trees import constant, freeze_boosting, freeze_forest


def data(n: int = 500) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(n, 5))
    return values, values[:, 0] + np.where(values[:, 1] > 0, 1.0, -1.0) + generator.normal(size=n)


@pytest.mark.parametrize("depth", [1, 3, None])
def test_a_frozen_forest_says_what_the_forest_says(depth: int | None) -> None:
    values, outcomes = data()
    forest = RandomForestRegressor(n_estimators=7, max_depth=depth, random_state=1).fit(values, outcomes)
    frozen = freeze_forest(forest, fill=np.zeros(5))
    unseen = np.random.default_rng(1).normal(size=(300, 5))
    np.testing.assert_allclose(frozen.forecast(unseen), forest.predict(unseen), rtol=1e-12, atol=1e-12)
    # On a threshold itself, too.
    np.testing.assert_allclose(frozen.forecast(values), forest.predict(values), rtol=1e-12, atol=1e-12)


def test_frozen_boosting_says_what_the_boosting_says() -> None:
    values, outcomes = data()
    boosting = GradientBoostingRegressor(n_estimators=20, max_depth=2, random_state=1).fit(values, outcomes + 5)
    frozen = freeze_boosting(boosting, fill=np.zeros(5))
    np.testing.assert_allclose(frozen.forecast(values), boosting.predict(values), rtol=1e-12)


def test_a_gap_is_filled_with_what_it_was_filled_with_in_training() -> None:
    values, outcomes = data()
    forest = RandomForestRegressor(n_estimators=5, random_state=1).fit(values, outcomes)
    frozen = freeze_forest(forest, fill=np.array([0.3, -1.0, 0.0, 0.0, 0.0]))
    filled = values.copy()
    filled[:, :2] = [0.3, -1.0]
    with_gaps = values.copy()
    with_gaps[:, :2] = np.nan
    np.testing.assert_allclose(frozen.forecast(with_gaps), forest.predict(filled), rtol=1e-12)


def test_a_constant_has_no_trees_and_says_one_thing() -> None:
    np.testing.assert_array_equal(constant(0.25, columns=3).forecast(np.full((4, 3), np.nan)), np.full(4, 0.25))


def test_nodes_that_point_at_themselves_do_not_hang() -> None:
    values, outcomes = data(50)
    frozen = freeze_forest(
        RandomForestRegressor(n_estimators=1, random_state=1).fit(values, outcomes), fill=np.zeros(5)
    )
    frozen.left = frozen.right = np.zeros_like(frozen.left)
    assert frozen.forecast(values).shape == (50,)
