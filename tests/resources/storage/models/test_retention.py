"""Old versions of models go; what is in use, recent or named by anything stored never does."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest
from filelock import FileLock

from resources.storage.models.history import HISTORY, append_event
from resources.storage.models.retention import named_digits, remove_versions, superfluous_versions
from resources.storage.models.store import ModelStore
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.resources.storage.test_parquet_store import bars
from trading_dag.errors import SliceBusyError, StorageError
from trading_dag.frames import table_frame
from trading_dag.models.learning.versions import ServingEvent
from trading_dag.schemas import PREDICTIONS_DIRECTION, PRICES_DAILY, RECOMMENDATION, Column, Table

AT = {"ticker": "SPY", "horizon": "24h"}
NAME = "direction_classifier"
KEY = SliceKey("SPY", "24h")
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
VERSIONS = [
    f"2025010{day}T210000000000Z-{digits}"
    for day, digits in enumerate(("a1b2c3d4", "11111111", "0badc0de", "deadbeef", "cafe0123"), 1)
]
FIRST, SECOND, THIRD, FOURTH, FIFTH = VERSIONS


@pytest.fixture
def models(tmp_path: Path) -> ModelStore:
    """Five versions, of which the fifth has been in use for a day."""
    models = ModelStore(tmp_path / "models")
    folder = models.root / NAME / "ticker=SPY" / "horizon=24h"
    for version in VERSIONS:
        (folder / version).mkdir(parents=True)
        (folder / version / "spec.json").write_text("{}")
    use(models, FIFTH, hours=24)
    return models


@pytest.fixture
def store(tmp_path: Path) -> ParquetStore:
    return ParquetStore(tmp_path)


def use(models: ModelStore, version: str, *, hours: float) -> None:
    pointer = models.root / NAME / "ticker=SPY" / "horizon=24h" / "latest"
    pointer.write_text(version + "\n")
    moment = (NOW - dt.timedelta(hours=hours)).timestamp()
    os.utime(pointer, (moment, moment))


def going(models: ModelStore, store: ParquetStore, *, keep: int = 1) -> list[str]:
    return [entry.version for entry in superfluous_versions(models, store, keep=keep, now=NOW)]


def row(table: Table, **values: object) -> object:
    filled = {"int64": 1, "float64": 0.5, "string": "none", "bool": False, "date": "2025-06-02"}

    def of(column: Column) -> object:
        return column.allowed[0] if column.allowed else filled[column.type]

    given = {column.name: of(column) for column in table.columns if not column.nullable}
    import pandas as pd

    dates = {column.name: pd.Timestamp("2025-06-02").as_unit("us") for column in table.columns if column.type == "date"}
    return table_frame(table, {**given, **{k: v for k, v in dates.items() if k in given}, **AT, **values}, rows=1)


def test_all_but_the_newest_and_what_a_rollback_goes_back_to_may_go(models: ModelStore, store: ParquetStore) -> None:
    assert going(models, store) == [FIRST, SECOND, THIRD]
    assert going(models, store, keep=3) == [FIRST, SECOND]
    assert going(models, store, keep=9) == []
    remove_versions(models, superfluous_versions(models, store, keep=3, now=NOW))
    assert models.versions(NAME, **AT) == (THIRD, FOURTH, FIFTH)
    assert not list((models.root / NAME / "ticker=SPY" / "horizon=24h").glob(".partial-*"))


def test_the_version_in_use_and_newer_ones_stay(models: ModelStore, store: ParquetStore) -> None:
    use(models, THIRD, hours=24)
    assert going(models, store) == [FIRST]


def test_newer_versions_that_were_refused_go_like_older_ones(models: ModelStore, store: ParquetStore) -> None:
    use(models, SECOND, hours=24)
    folder = models.root / NAME / "ticker=SPY" / "horizon=24h"
    for version, served in ((SECOND, FIRST), (THIRD, SECOND), (FOURTH, SECOND)):
        kind = "no_worse" if version == SECOND else "worse"
        serves = version if kind == "no_worse" else SECOND
        append_event(folder / HISTORY, ServingEvent("2025-01-05", "fitted", version, serves, served, kind, "compared"))
    assert going(models, store) == [THIRD, FOURTH]
    assert going(models, store, keep=2) == [THIRD]


def test_nothing_goes_within_an_hour_of_a_new_version(models: ModelStore, store: ParquetStore) -> None:
    fresh = f"{NOW - dt.timedelta(minutes=30):%Y%m%dT%H%M%S%fZ}-feedf00d"
    (models.root / NAME / "ticker=SPY" / "horizon=24h" / fresh).mkdir()
    (models.root / NAME / "ticker=SPY" / "horizon=24h" / fresh / "spec.json").write_text("{}")
    assert going(models, store) == []


def test_nothing_goes_within_an_hour_of_a_change(models: ModelStore, store: ParquetStore) -> None:
    use(models, FIFTH, hours=0.9)
    assert going(models, store) == []


def test_what_a_forecast_a_signal_or_an_input_names_stays(models: ModelStore, store: ParquetStore) -> None:
    store.write(PREDICTIONS_DIRECTION, KEY, row(PREDICTIONS_DIRECTION, model_version="a1b2c3d4"))
    assert going(models, store) == [SECOND, THIRD]
    store.write(RECOMMENDATION, KEY, row(RECOMMENDATION, evidence='{"direction": "0badc0de, no edge"}'))
    assert going(models, store) == [SECOND]
    store.write(PRICES_DAILY, SliceKey("SPY"), bars(), inputs={"models.direction_classifier": FOURTH})
    assert going(models, store) == [SECOND]


def test_a_slice_that_cannot_be_read_stops_the_cleaning(models: ModelStore, store: ParquetStore) -> None:
    store.write(PREDICTIONS_DIRECTION, KEY, row(PREDICTIONS_DIRECTION, model_version="a1b2c3d4"))
    store.path(PREDICTIONS_DIRECTION, KEY).write_bytes(b"torn")
    with pytest.raises(StorageError, match=r"predictions\.direction"):
        named_digits(store)


def test_the_version_in_use_cannot_be_removed(models: ModelStore) -> None:
    with pytest.raises(StorageError, match="in use"):
        models.remove(NAME, version=FIFTH, **AT)


def test_nothing_is_removed_while_a_model_is_being_saved(models: ModelStore) -> None:
    with FileLock(models.root / NAME / "ticker=SPY" / "horizon=24h" / ".lock"), pytest.raises(SliceBusyError):
        models.remove(NAME, version=FIRST, **AT)
    assert FIRST in models.versions(NAME, **AT)


def test_folders_of_other_names_are_no_models(models: ModelStore) -> None:
    for stranger in ("Mine", f"{NAME}.bak"):
        (models.root / stranger / "ticker=SPY" / "horizon=24h").mkdir(parents=True)
    (models.root / NAME / "ticker=SPY.bak" / "horizon=24h").mkdir(parents=True)
    (models.root / NAME / "ticker=SPY" / "horizon=25h").mkdir(parents=True)
    assert models.slices() == [(NAME, "SPY", "24h")]
