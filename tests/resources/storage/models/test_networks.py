"""A network comes back as it was saved; a file that was altered, or made elsewhere, is refused and runs nothing."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resources.storage.models.networks import read_network, write_network
from resources.storage.models.store import ModelStore
from tests.resources.storage.models.one_fold import model_of_one_fold
from trading_dag.errors import StorageError, UntrustedModelError
from trading_dag.models.deep.network_estimator import NetworkEstimator
from trading_dag.models.deep.price_network import PriceNetworkSettings, fit_price_network

torch = pytest.importorskip("torch", reason="torch is not installed: make torch")
model_of = partial(model_of_one_fold, name="direction_lstm")
SLICE = {"ticker": "SPY", "horizon": "24h"}
SEQUENCES = np.random.default_rng(0).normal(size=(200, 5, 2))


@pytest.fixture(scope="module")
def network() -> NetworkEstimator:
    return fit_price_network(SEQUENCES, SEQUENCES[:, -1, 0], PriceNetworkSettings(units=4, epochs=1))


def test_what_comes_back_forecasts_bit_for_bit_the_same(network: NetworkEstimator, tmp_path: Path) -> None:
    store, model = ModelStore(tmp_path), model_of(network)
    version = store.save(model)
    loaded = store.load("direction_classifier", **SLICE)
    assert loaded.content_hash() == model.content_hash()
    again = loaded.folds[0].estimator
    assert again.spec == network.spec
    assert np.array_equal(again.predict(SEQUENCES), network.predict(SEQUENCES))
    folder = tmp_path / "direction_classifier" / "ticker=SPY" / "horizon=24h" / version
    assert (folder / "direction_lstm-1.pt").is_file()


@pytest.mark.parametrize("name", ["network.lstm.weight_hh_l0", "network.output.bias", "scale.mean", "outcome.mean"])
def test_the_content_hash_sees_every_number(network: NetworkEstimator, name: str) -> None:
    moved = dict(network.arrays)
    moved[name] = moved[name] + np.float32(1e-3)
    other = NetworkEstimator(network.kind, network.layers, moved, network.steps, network.history)
    assert model_of(other).content_hash() != model_of(network).content_hash()


class _Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (os.environ["TRAP"],))


def foreign(tmp_path: Path, network: NetworkEstimator, content: bytes) -> ModelStore:
    """A store in which somebody has replaced the network's file and made the spec fit."""
    store = ModelStore(tmp_path / "models")
    version = store.save(model_of(network))
    folder = tmp_path / "models" / "direction_classifier" / "ticker=SPY" / "horizon=24h" / version
    (folder / "direction_lstm-1.pt").write_bytes(content)
    spec = json.loads((folder / "spec.json").read_text())
    spec["files"]["direction_lstm-1.pt"] = hashlib.sha256(content).hexdigest()
    (folder / "spec.json").write_text(json.dumps(spec))
    return store


def test_a_file_that_would_execute_something_is_refused_and_does_not(
    network: NetworkEstimator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trap"
    monkeypatch.setenv("TRAP", str(trap))
    torch.save({"spec": _Malicious()}, tmp_path / "foreign.pt")
    store = foreign(tmp_path, network, (tmp_path / "foreign.pt").read_bytes())
    with pytest.raises(UntrustedModelError, match=r"direction_lstm-1.pt is no file of tensors"):
        store.load("direction_classifier", **SLICE)
    assert not trap.exists()
    torch.load(tmp_path / "foreign.pt", weights_only=False)
    assert trap.exists(), "the file was not dangerous, so this test shows nothing"


def test_a_changed_byte_is_refused_by_its_digest(network: NetworkEstimator, tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    version = store.save(model_of(network))
    path = tmp_path / "direction_classifier" / "ticker=SPY" / "horizon=24h" / version / "direction_lstm-1.pt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UntrustedModelError, match="not the file that was saved"):
        store.load("direction_classifier", **SLICE)


def test_a_network_with_other_weights_is_refused_by_the_content_hash(network: NetworkEstimator, tmp_path: Path) -> None:
    moved = {name: array + array.dtype.type(1) for name, array in network.arrays.items()}
    other = NetworkEstimator(network.kind, network.layers, moved, network.steps, network.history)
    store = foreign(tmp_path, network, write_network(other))
    with pytest.raises(UntrustedModelError, match="differs from the hash"):
        store.load("direction_classifier", **SLICE)


def test_what_is_no_network_is_said(network: NetworkEstimator) -> None:
    with pytest.raises(UntrustedModelError, match="no file of tensors"):
        read_network(b"PK nothing", "x.pt")
    from trading_dag.models.deep.training_loop import save_tensors

    with pytest.raises(UntrustedModelError, match="holds a list"):
        read_network(save_tensors([1, 2]), "x.pt")  # type: ignore[arg-type]
    with pytest.raises(StorageError, match="describes no network"):
        read_network(save_tensors({"weights": torch.zeros(1)}), "x.pt")


def test_a_model_of_all_horizons_of_a_ticker_lies_beside_none_of_them(
    network: NetworkEstimator, tmp_path: Path
) -> None:
    store, model = (
        ModelStore(tmp_path),
        replace(model_of(network), name="spread_trunk", horizon=""),
    )
    version = store.save(model)
    assert (tmp_path / "spread_trunk" / "ticker=SPY" / version / "spec.json").is_file()
    assert store.load("spread_trunk", ticker="SPY", horizon="").content_hash() == model.content_hash()
    store.save(model_of(network))
    assert store.slices() == [("direction_classifier", "SPY", "24h"), ("spread_trunk", "SPY", "")]
