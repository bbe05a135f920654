"""Trees of LightGBM come back as the text that they were saved as, and forecast the same."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from resources.storage.models.store import ModelStore
from tests.resources.storage.models.one_fold import model_of_one_fold
from trading_dag.errors import StorageError, UntrustedModelError
from trading_dag.models.allocation.return_learners import boosted_by_lightgbm
from trading_dag.models.estimators.light_trees import LightTrees
from trading_dag.models.estimators.real_learners import forecasts_of

model_of = partial(model_of_one_fold, name="some_lightgbm")
SLICE = {"ticker": "SPY", "horizon": "24h"}
VALUES = np.random.default_rng(0).normal(size=(400, 3))
VALUES[::7, 1] = np.nan


@pytest.fixture(scope="module")
def trees() -> LightTrees:
    fitted = boosted_by_lightgbm(seed=1).fit(VALUES, VALUES[:, 0] + 0.1)
    assert isinstance(fitted, LightTrees)
    return fitted


def test_what_comes_back_forecasts_bit_for_bit_the_same(trees: LightTrees, tmp_path: Path) -> None:
    store, model = ModelStore(tmp_path), model_of(trees)
    store.save(model)
    loaded = store.load("direction_classifier", **SLICE)
    assert loaded.content_hash() == model.content_hash()
    again = loaded.folds[0].estimator
    assert again.text == trees.text
    assert np.array_equal(forecasts_of(again, VALUES), forecasts_of(trees, VALUES))
    assert np.ptp(forecasts_of(trees, VALUES)) > 0.1


def test_the_content_hash_sees_the_trees(trees: LightTrees) -> None:
    other = LightTrees(trees.text.replace("leaf_value=", "leaf_value=0", 1))
    assert model_of(other).content_hash() != model_of(trees).content_hash()


def test_a_file_that_was_altered_is_refused(trees: LightTrees, tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    version = store.save(model_of(trees))
    path = tmp_path / "direction_classifier" / "ticker=SPY" / "horizon=24h" / version / "some_lightgbm-1.lgb"
    path.write_text(path.read_text().replace("leaf_value=", "leaf_value=0", 1))
    with pytest.raises(UntrustedModelError, match="is not the file that was saved"):
        store.load("direction_classifier", **SLICE)


def test_a_text_that_is_no_model_is_a_storage_error() -> None:
    with pytest.raises(StorageError, match="LightGBM cannot read"):
        LightTrees("nothing of the kind").forecast(VALUES)
