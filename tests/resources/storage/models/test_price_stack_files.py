"""The price stack on disk: trees as arrays come back bit by bit, and a foreign or altered file runs nothing."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from resources.storage.models.store import ModelStore
from trading_dag.errors import UntrustedModelError
from trading_dag.frames import table_frame
from trading_dag.models.estimators.learners import MOVED_MODULES
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.price import price_stack
from trading_dag.models.price.price_stack_forecasts import predict
from trading_dag.schemas import FEATURE_TABLE, TARGETS
from trading_dag.sessions import sessions_between, target_sessions
from trading_dag.setting_groups import PriceStackSettings, WalkForwardSettings
from trading_dag.slices import horizon_of

ROWS = 600
HORIZON = horizon_of("24h")
SLICE = {"ticker": "SPY", "horizon": "24h"}


def _frames() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    generator = np.random.default_rng(0)
    sessions = sessions_between("2015-01-02", "2019-12-31")[:ROWS]
    values = {name: generator.normal(20, 2, ROWS) for name in price_stack.PRICE_STACK_FEATURES}
    values["returns_1d"][:50] = np.nan
    features = table_frame(FEATURE_TABLE, {"ticker": "SPY", "session": sessions, **values}, rows=ROWS)
    returns = generator.normal(0, 0.01, ROWS)
    returns[np.isfinite(values["returns_1d"])] += 0.003 * (values["returns_1d"] - 20)[np.isfinite(values["returns_1d"])]
    targets = table_frame(
        TARGETS,
        {
            "ticker": "SPY", "horizon": "24h", "session": sessions,
            "target_session": target_sessions(sessions, HORIZON), "target_price": 100 * (1 + returns),
            "forward_return": returns, "direction": "UP",
        },
        rows=ROWS,
    )  # fmt: skip
    return features, targets, pd.DataFrame({"session": sessions, "open": 100.0, "close": 100.0})


FEATURES, LABELS, PRICES = _frames()


@pytest.fixture(scope="module")
def fitted() -> FittedModel:
    model = price_stack.fit(
        FEATURES, LABELS, horizon=HORIZON, settings=WalkForwardSettings(),
        stack=PriceStackSettings(trees=10, minimum_rows=150),
    )  # fmt: skip
    assert {fold.status for fold in model.folds} == {"fitted", "insufficient_data"}
    return model


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


def folder_of(store: ModelStore, version: str) -> Path:
    return store.root / "price_stack" / "ticker=SPY" / "horizon=24h" / version


def with_schema(content: bytes, change: Any) -> bytes:
    """A skops file with its schema altered."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as read, zipfile.ZipFile(buffer, "w") as written:
        for name in read.namelist():
            entry = read.read(name)
            written.writestr(name, change(entry) if name == "schema.json" else entry)
    return buffer.getvalue()


def replace_file(folder: Path, name: str, content: bytes) -> None:
    """Exchange a file together with its digest, as somebody would who may write both."""
    (folder / name).write_bytes(content)
    spec = json.loads((folder / "spec.json").read_bytes())
    spec["files"][name] = hashlib.sha256(content).hexdigest()
    (folder / "spec.json").write_text(json.dumps(spec))


def test_a_loaded_stack_forecasts_bit_by_bit_what_the_saved_one_did(store: ModelStore, fitted: FittedModel) -> None:
    version = store.save(fitted)
    loaded = store.load("price_stack", **SLICE)
    before, after = (predict(model, FEATURES, LABELS, horizon=HORIZON, prices=PRICES) for model in (fitted, loaded))
    assert before["model"].nunique() == 6
    pd.testing.assert_frame_equal(after, before, check_exact=True)
    assert loaded.content_hash() == fitted.content_hash()
    pd.testing.assert_frame_equal(loaded.registry(version), fitted.registry(version), check_exact=True)
    pd.testing.assert_frame_equal(loaded.input_table(), fitted.input_table(), check_exact=True)


@pytest.mark.parametrize("model", ["price_random_forest", "price_gradient_boosting", "price_stack"])
def test_an_altered_file_is_refused(store: ModelStore, fitted: FittedModel, model: str) -> None:
    folder = folder_of(store, store.save(fitted))
    path = folder / f"{model}.skops"
    path.write_bytes(path.read_bytes() + b"0")
    with pytest.raises(UntrustedModelError, match="not the file that was saved"):
        store.load("price_stack", **SLICE)


def test_a_file_that_names_a_foreign_type_is_refused_and_nothing_of_it_is_built(
    store: ModelStore, fitted: FittedModel
) -> None:
    folder = folder_of(store, store.save(fitted))
    name = "price_random_forest.skops"

    def foreign(schema: bytes) -> bytes:
        return schema.replace(b'"FrozenTrees"', b'"Popen"').replace(
            b'"trading_dag.models.estimators.frozen_trees"', b'"subprocess"'
        )

    content = with_schema((folder / name).read_bytes(), foreign)
    assert b"Popen" in zipfile.ZipFile(io.BytesIO(content)).read("schema.json")
    replace_file(folder, name, content)
    with pytest.raises(UntrustedModelError, match=r"subprocess\.Popen"):
        store.load("price_stack", **SLICE)


def test_a_version_that_was_stored_before_modules_moved_is_read_as_ever(store: ModelStore, fitted: FittedModel) -> None:
    folder = folder_of(store, store.save(fitted))
    renamed = 0
    for name in sorted(path.name for path in folder.glob("*.skops")):
        content = (folder / name).read_bytes()
        for before, today in MOVED_MODULES.items():
            if f'"{today}"'.encode() in zipfile.ZipFile(io.BytesIO(content)).read("schema.json"):
                content = with_schema(content, partial(_renamed, today=today, before=before))
                renamed += 1
        replace_file(folder, name, content)
    assert renamed == 5  # two kinds of trees and the drift as FrozenTrees, the blend, the adaptive weights
    loaded = store.load("price_stack", **SLICE)
    assert loaded.content_hash() == fitted.content_hash()


def _renamed(schema: bytes, *, today: str, before: str) -> bytes:
    return schema.replace(f'"{today}"'.encode(), f'"{before}"'.encode())


def test_other_numbers_under_a_right_digest_differ_from_the_content_hash(
    store: ModelStore, fitted: FittedModel
) -> None:
    """One leaf of one tree of another model, with the digest of its file made to fit."""
    folder = folder_of(store, store.save(fitted))
    trees = fitted.folds_of("price_random_forest")[-1].estimator.steps[0][1]
    kept = trees.value[-1]
    trees.value[-1] += 1e-9
    try:
        other = folder_of(store, store.save(fitted, make_latest=False))
    finally:
        trees.value[-1] = kept
    name = "price_random_forest.skops"
    replace_file(folder, name, (other / name).read_bytes())
    with pytest.raises(UntrustedModelError, match="content differs from the hash"):
        store.load("price_stack", **SLICE)
