"""Two runs from nothing say the same to the last bit: forecasts, networks included, and what follows from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.storage.parquet_store import ParquetStore, SliceKey, content_hash
from tests.conftest import Workspace
from trading_dag.models.deep.torch_library import why_deep_models_are_off
from trading_dag.schemas import TABLES

RUN = ("run", "--tickers", "SPX", "--horizons", "24h")
WITH_NETWORKS = (
    ("TRADING_DAG_DEEP__ENABLED", "true"),
    ("TRADING_DAG_DEEP__EPOCHS", "1"),
    ("TRADING_DAG_PRICE_STACK__LSTM", "true"),
    ("TRADING_DAG_PRICE_STACK__LSTM_EPOCHS", "1"),
)
# Columns that say when, which is not the same twice.
OF_THE_CLOCK = {
    "models.registry": ["version"],
    "models.versions": ["version", "fitted_at", "last_event_at"],
    "predictions.log": ["recorded_at"],
}


def said(home: Path) -> dict[str, str]:
    """The content hash of every stored slice but raw ones, by table and slice."""
    store = ParquetStore(home)
    return {
        f"{name} {key}": content_hash(store.read(table, key).drop(columns=OF_THE_CLOCK.get(name, [])))
        for name, table in TABLES.items()
        if table.group != "raw"
        for key in store.slices(table)
    }


@pytest.mark.long
@pytest.mark.skipif(why_deep_models_are_off() is not None, reason="torch is not installed")
def test_two_runs_from_nothing_store_the_same_bits_networks_included(tmp_path: Path) -> None:
    contents = []
    for name in ("first", "second"):
        place = Workspace(tmp_path / name, WITH_NETWORKS)
        place.home.mkdir()
        done = place.run_process(*RUN)
        assert done.returncode == 0, done.stdout + done.stderr
        contents.append(said(place.home))
    first, second = contents
    assert any(name.startswith("predictions.spread") for name in first)
    assert str(SliceKey("SPX", "24h")) in " ".join(first)
    assert {name for name in first | second if first.get(name) != second.get(name)} == set()
