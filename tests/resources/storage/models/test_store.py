"""Model store: what comes back is what was saved, a killed save changes nothing, strangers are refused."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.naive_bayes import GaussianNB

from resources.storage.models.store import ModelStore
from trading_dag.errors import (
    ModelNotFoundError,
    StorageError,
    UnknownHorizonError,
    UnknownTickerError,
    UntrustedModelError,
)
from trading_dag.frames import table_frame
from trading_dag.models.direction import direction_classifier
from trading_dag.models.learning.fitted import FittedModel, fold_spec
from trading_dag.models.volatility import volatility_forecaster
from trading_dag.schemas import FEATURE_TABLE, IV_REGIMES, TARGETS
from trading_dag.sessions import sessions_between, target_sessions
from trading_dag.setting_groups import WalkForwardSettings
from trading_dag.slices import horizon_of

HORIZON = horizon_of("24h")
SLICE = {"ticker": "SPY", "horizon": "24h"}
NAME = "direction_classifier"
ROWS = 420


def _frames() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    generator = np.random.default_rng(0)
    sessions = sessions_between("2015-01-02", "2024-12-31")[:ROWS]
    names = FEATURE_TABLE.column_names[2:]
    values = {name: generator.normal(size=ROWS) for name in names}
    for name in names[::7]:
        values[name][generator.random(ROWS) < 0.05] = np.nan
    values["iv_rank"] = generator.uniform(0, 100, ROWS)
    features = table_frame(FEATURE_TABLE, {"ticker": "SPY", "session": sessions, **values}, rows=ROWS)
    # the first fold has no DOWN, so that one fold is stored without an estimator
    direction = np.where(np.arange(ROWS) < 80, "UP", generator.choice(["UP", "DOWN", "AMBIGUOUS"], ROWS))
    targets = table_frame(
        TARGETS,
        {
            **SLICE,
            "session": sessions,
            "target_session": target_sessions(sessions, HORIZON),
            "target_price": 100.0,
            # told by one feature, so that trees are grown and stored
            "forward_return": generator.normal(0, 0.01, ROWS) + 0.03 * np.nan_to_num(values["rsi_14"]),
            "direction": direction,
            "iv_regime": generator.choice(IV_REGIMES, ROWS),
        },
        rows=ROWS,
    )
    return features, targets, pd.DataFrame({"session": sessions, "open": 100.0, "close": 100.0})


FEATURES, LABELS, PRICES = _frames()


@pytest.fixture(scope="module")
def fitted() -> FittedModel:
    model = direction_classifier.fit(
        FEATURES, LABELS, horizon=HORIZON, settings=WalkForwardSettings(evidence_sessions=30)
    )
    assert {fold.status for fold in model.folds} == {"fitted", "insufficient_data"}
    return model


@pytest.fixture(scope="module")
def forecaster() -> FittedModel:
    return volatility_forecaster.fit(FEATURES, LABELS, horizon=HORIZON, settings=WalkForwardSettings())


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """A store whose clock goes on by a second at each save."""
    moments = iter(dt.datetime(2024, 12, 31, 21, 30, second, tzinfo=dt.UTC) for second in range(60))
    return ModelStore(tmp_path / "models", clock=lambda: next(moments))


def _folder(store: ModelStore) -> Path:
    return store.root / NAME / "ticker=SPY" / "horizon=24h"


def test_a_loaded_model_predicts_bit_by_bit_what_the_saved_one_did(
    store: ModelStore, fitted: FittedModel, forecaster: FittedModel
) -> None:
    for model, predict in (
        (fitted, lambda m: direction_classifier.predict(m, FEATURES, LABELS, horizon=HORIZON, prices=PRICES)),
        (forecaster, lambda m: volatility_forecaster.predict(m, FEATURES, LABELS, horizon=HORIZON)),
    ):
        version = store.save(model)
        loaded = store.load(model.name, **SLICE)
        assert len(predict(model)) > 0
        pd.testing.assert_frame_equal(predict(loaded), predict(model), check_exact=True)
        assert loaded.content_hash() == model.content_hash()
        pd.testing.assert_frame_equal(loaded.registry(version), model.registry(version), check_exact=True)
        pd.testing.assert_frame_equal(loaded.input_table(), model.input_table(), check_exact=True)
        for before, after in zip(model.folds, loaded.folds, strict=True):
            assert fold_spec(before) == fold_spec(after)
            assert before.fitted_through == after.fitted_through


def test_the_record_of_augmented_rows_comes_back_and_only_where_there_is_one(
    store: ModelStore, forecaster: FittedModel
) -> None:
    record = {"paths": 2, "seed": 42, "weight": 0.5, "mean_block": 17, "rows": 310, "drawn_through": "2016-08-29"}
    marked = replace(forecaster, folds=(replace(forecaster.folds[0], augmentation=record), *forecaster.folds[1:]))
    assert marked.content_hash() != forecaster.content_hash()
    version = store.save(marked)
    loaded = store.load(marked.name, **SLICE)
    assert loaded.folds[0].augmentation == record
    assert loaded.folds[1].augmentation == {}
    folder = store.root / marked.name / "ticker=SPY" / "horizon=24h" / version
    folds = json.loads((folder / "spec.json").read_text())["folds"]
    assert ["augmentation" in fold for fold in folds] == [True] + [False] * (len(folds) - 1)


def test_a_model_from_before_features_were_judged_by_their_last_years_still_forecasts(
    store: ModelStore, fitted: FittedModel
) -> None:
    folder = _folder(store) / store.save(fitted)
    selection = json.loads((folder / "selection.json").read_bytes())
    for columns in selection.values():
        del columns["known_fraction"], columns["begins_late"]
    content = json.dumps(selection).encode()
    (folder / "selection.json").write_bytes(content)
    spec = json.loads((folder / "spec.json").read_bytes())
    spec["files"]["selection.json"] = hashlib.sha256(content).hexdigest()
    (folder / "spec.json").write_text(json.dumps(spec))
    loaded = store.load("direction_classifier", **SLICE)
    assert [fold.steady_features for fold in loaded.folds] == [fold.steady_features for fold in fitted.folds]
    assert loaded.content_hash() == fitted.content_hash()


def test_the_spec_says_what_was_fitted_on_what_and_nothing_is_pickled(store: ModelStore, fitted: FittedModel) -> None:
    version = store.save(replace(fitted, inputs={"features.feature_table": "abc"}))
    folder = _folder(store) / version
    spec = json.loads((folder / "spec.json").read_text())
    assert spec["libraries"]["scikit-learn"]
    assert spec["inputs"] == {"features.feature_table": "abc"}
    assert spec["folds"][5]["features"]
    assert spec["folds"][5]["threshold"] == fitted.folds[5].threshold
    assert "inner_auc" in spec["folds"][5]["metrics"]
    assert store.inputs(NAME, **SLICE) == {"features.feature_table": "abc"}
    with zipfile.ZipFile(folder / "direction_logistic.skops") as archive:
        assert {Path(name).suffix for name in archive.namelist()} == {".json", ".npy"}
        for name in archive.namelist():
            if name.endswith(".npy"):
                np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
    kinds = {path.suffix for path in folder.iterdir()}
    assert kinds == {".json", ".skops", ".ubj"}


def test_versions_are_ordered_in_time_named_by_content_and_never_rewritten(
    store: ModelStore, fitted: FittedModel
) -> None:
    first = store.save(fitted)
    content = {path: path.read_bytes() for path in (_folder(store) / first).iterdir()}
    second = store.save(fitted)
    assert store.versions(NAME, **SLICE) == (first, second)
    assert store.latest_version(NAME, **SLICE) == second
    assert first.startswith("20241231T213000000000Z-")
    assert first.split("-")[1] == second.split("-")[1] == fitted.content_hash()[:8]
    assert content == {path: path.read_bytes() for path in (_folder(store) / first).iterdir()}
    assert store.load(NAME, **SLICE, version=first).content_hash() == fitted.content_hash()


def test_a_challenger_waits_and_a_promotion_goes_both_ways(store: ModelStore, fitted: FittedModel) -> None:
    champion = store.save(fitted)
    challenger = store.save(replace(fitted, inputs={"features": "newer"}), make_latest=False)
    assert store.latest_version(NAME, **SLICE) == champion
    store.promote(NAME, **SLICE, version=challenger)
    assert store.load(NAME, **SLICE).inputs == {"features": "newer"}
    store.promote(NAME, **SLICE, version=champion)
    assert store.latest_version(NAME, **SLICE) == champion
    with pytest.raises(ModelNotFoundError):
        store.promote(NAME, **SLICE, version="20200101T000000000000Z-00000000")


class _Killed(BaseException):
    """Ends a save as a kill would: nothing catches it."""


def _kill_at(monkeypatch: pytest.MonkeyPatch, step: int) -> Callable[[], int]:
    """Let the process die just before its ``step``-th flush, rename or replacement; returns the count of steps."""
    done = 0

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal done
            done += 1
            if done == step:
                raise _Killed
            return original(*args, **kwargs)

        return call

    monkeypatch.setattr(os, "fsync", counted(os.fsync))
    monkeypatch.setattr(Path, "rename", counted(Path.rename))
    monkeypatch.setattr(Path, "replace", counted(Path.replace))
    return lambda: done


def test_a_save_killed_at_any_step_leaves_a_latest_version_that_loads(store: ModelStore, fitted: FittedModel) -> None:
    small = replace(fitted, folds=fitted.folds[:3])
    before = store.save(small)
    newer = replace(small, inputs={"features": "newer"})
    for step in range(1, 100):
        with pytest.MonkeyPatch.context() as patch:
            steps = _kill_at(patch, step)
            try:
                store.save(newer)
            except _Killed:
                pass
            else:
                break
        latest = store.latest_version(NAME, **SLICE)
        assert latest is not None
        loaded = store.load(NAME, **SLICE)
        assert loaded.inputs == (small.inputs if latest == before else newer.inputs)
        assert all(not name.startswith(".") for name in store.versions(NAME, **SLICE))
        for version in store.versions(NAME, **SLICE):
            store.load(NAME, **SLICE, version=version)
    assert step >= 8, "too few steps were interrupted for this test to mean anything"
    assert steps() >= 8
    assert store.load(NAME, **SLICE).inputs == {"features": "newer"}
    assert not list(_folder(store).glob(".partial-*"))


def test_what_a_killed_save_left_behind_is_ignored_and_swept_by_the_next(
    store: ModelStore, fitted: FittedModel
) -> None:
    version = store.save(fitted)
    litter = _folder(store) / ".partial-0123"
    litter.mkdir()
    (litter / "spec.json").write_text("{")
    (_folder(store) / ".partial-4567").write_text("half a pointer")
    assert store.versions(NAME, **SLICE) == (version,)
    assert store.latest_version(NAME, **SLICE) == version
    store.save(fitted)
    assert not list(_folder(store).glob(".partial-*"))


def _replace_file(folder: Path, name: str, content: bytes) -> None:
    """Swap a stored file and make the spec agree with it, as somebody with write access could."""
    (folder / name).write_bytes(content)
    spec = json.loads((folder / "spec.json").read_text())
    spec["files"][name] = hashlib.sha256(content).hexdigest()
    (folder / "spec.json").write_text(json.dumps(spec))


def test_a_file_that_was_altered_is_refused(store: ModelStore, fitted: FittedModel) -> None:
    folder = _folder(store) / store.save(fitted)
    path = folder / "direction_xgboost-6.ubj"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UntrustedModelError, match=r"direction_xgboost-6\.ubj"):
        store.load(NAME, **SLICE)


def test_a_spec_that_was_altered_is_refused(store: ModelStore, fitted: FittedModel) -> None:
    path = _folder(store) / store.save(fitted) / "spec.json"
    spec = json.loads(path.read_text())
    spec["folds"][5]["threshold"] = 0.123
    path.write_text(json.dumps(spec))
    with pytest.raises(UntrustedModelError, match="hash"):
        store.load(NAME, **SLICE)


def test_a_type_that_nobody_allowed_is_refused_even_if_scikit_learn_made_it(
    store: ModelStore, fitted: FittedModel
) -> None:
    folder = _folder(store) / store.save(fitted)
    forest = RandomForestClassifier(n_estimators=2, random_state=0).fit(np.eye(4), [0, 1, 0, 1])
    _replace_file(folder, "direction_logistic.skops", skops.io.dumps([forest] * 5))
    with pytest.raises(UntrustedModelError, match=r"RandomForestClassifier|sklearn\.tree"):
        store.load(NAME, **SLICE)


def test_a_function_in_a_stored_model_is_refused_before_it_is_built(store: ModelStore, fitted: FittedModel) -> None:
    folder = _folder(store) / store.save(fitted)
    _replace_file(folder, "direction_logistic.skops", skops.io.dumps([np.sum]))
    with pytest.raises(UntrustedModelError, match="not allowed"):
        store.load(NAME, **SLICE)


@pytest.mark.parametrize(
    ("classifier", "reason"),
    [
        (RandomForestClassifier(n_estimators=2, random_state=0), "keeps what it learnt in estimator_"),
        (GaussianNB(), "_Stepped .*ESTIMATOR_TYPES"),
    ],
)
def test_an_estimator_that_could_not_be_loaded_is_not_saved(
    store: ModelStore, fitted: FittedModel, classifier: Any, reason: str
) -> None:
    odd = replace(fitted.folds_of("direction_logistic")[5], estimator=_Stepped(classifier.fit(np.eye(4), [0, 1, 0, 1])))
    with pytest.raises(UntrustedModelError, match=reason):
        store.save(replace(fitted, folds=(odd,)))
    assert store.latest_version(NAME, **SLICE) is None


class _Stepped:
    """An estimator of a foreign type that looks like a pipeline."""

    def __init__(self, inner: Any) -> None:
        self.steps = [("inner", inner)]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"format": 1}', b'{"format": 2}'])
def test_a_damaged_spec_is_a_storage_error(store: ModelStore, fitted: FittedModel, damage: bytes) -> None:
    folder = _folder(store) / store.save(fitted)
    (folder / "spec.json").write_bytes(damage)
    with pytest.raises(StorageError):
        store.load(NAME, **SLICE)


def test_a_missing_file_is_a_storage_error(store: ModelStore, fitted: FittedModel) -> None:
    folder = _folder(store) / store.save(fitted)
    (folder / "selection.json").unlink()
    with pytest.raises(StorageError, match=r"selection\.json"):
        store.load(NAME, **SLICE)


def test_what_was_never_fitted_is_not_found(store: ModelStore, fitted: FittedModel) -> None:
    assert store.latest_version(NAME, **SLICE) is None
    assert store.inputs(NAME, **SLICE) is None
    assert store.versions(NAME, **SLICE) == ()
    for version in ("latest", None, "20200101T000000000000Z-00000000", "../../etc"):
        with pytest.raises(ModelNotFoundError):
            store.load(NAME, **SLICE, version=version)
    store.save(fitted)
    with pytest.raises(ModelNotFoundError):
        store.load(NAME, ticker="QQQ", horizon="24h")


@pytest.mark.parametrize("held", [b"../../elsewhere\n", b"\xff\xfe\x00latest", b"", b"\x00" * 5_000])
def test_a_pointer_to_nothing_is_an_error_that_says_what_to_do(
    store: ModelStore, fitted: FittedModel, held: bytes
) -> None:
    store.save(fitted)
    (_folder(store) / "latest").write_bytes(held)
    with pytest.raises(StorageError, match="`trading-dag train --tickers SPY --horizons 24h`") as refused:
        store.load(NAME, **SLICE)
    assert len(str(refused.value)) < 900
    version = store.save(fitted)
    assert store.latest_version(NAME, **SLICE) == version


def test_names_that_may_not_stand_in_a_path_are_refused(store: ModelStore, fitted: FittedModel) -> None:
    with pytest.raises(StorageError):
        store.load("../direction", **SLICE)
    with pytest.raises(UnknownTickerError):
        store.load(NAME, ticker="../x", horizon="24h")
    with pytest.raises(UnknownHorizonError):
        store.load(NAME, ticker="SPY", horizon="../x")
    with pytest.raises(UnknownTickerError):
        store.save(replace(fitted, ticker="../x"))
    assert not store.root.exists()


def test_a_version_moved_to_another_slice_is_not_taken_for_it(store: ModelStore, fitted: FittedModel) -> None:
    store.save(fitted)
    other = store.root / NAME / "ticker=QQQ"
    (store.root / NAME / "ticker=SPY").rename(other)
    with pytest.raises(StorageError, match="holds direction_classifier of SPY"):
        store.load(NAME, ticker="QQQ", horizon="24h")
