"""The competition's data as assets: read when the file is another, left alone when it is not, never in the way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from assets.run.execution import Mode, Outcome, SliceRunner, WorkItem
from resources.storage.parquet_store import ParquetStore, SliceKey
from trading_dag.definitions import build_definitions
from trading_dag.schemas import HULL_MARKET, HULL_MARKET_TABLE, MACRO
from trading_dag.settings import Settings

ALL = SliceKey()
NAMES = {"raw.hull_market", "features.hull_market"}


def write(path: Path, days: int, *, first_e1: float = 0.25) -> None:
    generator = np.random.default_rng(3)
    columns = {name: generator.normal(size=days) for name in HULL_MARKET.column_names}
    frame = pd.DataFrame({**columns, "date_id": range(days)})
    frame.loc[: days // 2, "E7"] = np.nan
    frame.loc[0, "E1"] = first_e1
    frame.to_csv(path, index=False)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as ephemeral:
        yield ephemeral


def bring_up_to_date(settings: Settings, instance: dg.DagsterInstance, mode: Mode = "refresh") -> Outcome:
    """The unpartitioned slice, as the command line works on it."""
    runner = SliceRunner(build_definitions(settings), instance, settings)
    return runner.bring_up_to_date(WorkItem("none", ALL, mode))


def metadata_of(instance: dg.DagsterInstance, name: str) -> dict[str, object]:
    event = instance.get_latest_materialization_event(dg.AssetKey(name.split(".")))
    assert event is not None
    assert event.asset_materialization is not None
    return {key: value.value for key, value in event.asset_materialization.metadata.items()}


def test_a_named_file_serves_any_source_and_is_read_again_only_when_it_is_another(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    file = tmp_path / "train.csv"
    write(file, 60)
    settings = Settings(_env_file=None, home=tmp_path, source="sample", hull_file=file)
    store = ParquetStore(tmp_path)

    first = bring_up_to_date(settings, instance)
    assert first.is_success, first.errors
    assert set(first.materialized) >= NAMES
    provenance = store.provenance(HULL_MARKET, ALL)
    assert provenance is not None
    assert (provenance.source, provenance.source_off, provenance.rows) == ("hull_file", None, 60)
    described = metadata_of(instance, "raw.hull_market")
    assert (described["rows"], described["first day"], described["last day"]) == (60, 0, 59)
    assert "data:image/png;base64," in str(described["missing data"])
    # 31 of 60 days of one of the twenty features of the letter E.
    assert "0.0258" in str(described["missing by family"])
    features = store.read(HULL_MARKET_TABLE, ALL)
    assert len(features) == 60
    assert features["E7"].isna().sum() == 31

    again = bring_up_to_date(settings, instance)
    assert NAMES.isdisjoint(again.materialized)

    write(file, 62, first_e1=0.5)
    third = bring_up_to_date(settings, instance)
    assert set(third.materialized) >= NAMES
    described = metadata_of(instance, "raw.hull_market")
    assert described["appended rows"] == 2
    assert store.read(HULL_MARKET, ALL)["E1"].iloc[0] == 0.5

    forced = bring_up_to_date(settings, instance, "force")
    assert set(forced.materialized) >= NAMES
    described = metadata_of(instance, "raw.hull_market")
    assert described["rows"] == 62
    assert "missing data" not in described  # nothing is another than when it was drawn


def test_a_file_of_the_same_size_that_was_written_since_is_read_and_its_restated_value_counted(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    file = tmp_path / "train.csv"
    write(file, 40, first_e1=0.25)
    settings = Settings(_env_file=None, home=tmp_path, source="sample", hull_file=file)
    bring_up_to_date(settings, instance)
    before = file.stat()
    write(file, 40, first_e1=0.75)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert file.stat().st_size == before.st_size
    assert "raw.hull_market" in bring_up_to_date(settings, instance).materialized
    assert metadata_of(instance, "raw.hull_market")["restated values"] == 1


def test_without_a_file_the_tables_are_empty_say_why_and_are_not_asked_about_again(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings = Settings(_env_file=None, home=tmp_path, source="sample")
    first = bring_up_to_date(settings, instance)
    assert first.is_success, first.errors
    store = ParquetStore(tmp_path)
    for table in (HULL_MARKET, HULL_MARKET_TABLE):
        provenance = store.provenance(table, ALL)
        assert provenance is not None
        assert provenance.rows == 0
        assert "TRADING_DAG_HULL_FILE" in (provenance.source_off or "")
        assert tuple(store.read(table, ALL).columns) == table.column_names
    assert NAMES.isdisjoint(bring_up_to_date(settings, instance).materialized)


def test_what_was_read_stays_when_the_file_is_no_longer_named(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    file = tmp_path / "train.csv"
    write(file, 30)
    settings = Settings(_env_file=None, home=tmp_path, source="sample", hull_file=file)
    bring_up_to_date(settings, instance)
    outcome = bring_up_to_date(settings.model_copy(update={"hull_file": None}), instance)
    assert outcome.is_success
    provenance = ParquetStore(tmp_path).provenance(HULL_MARKET, ALL)
    assert provenance is not None
    assert (provenance.source, provenance.rows) == ("hull_file", 30)
    assert "features.hull_market" not in outcome.materialized


def test_a_file_that_breaks_later_fails_by_name_and_stops_nothing_else(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    file = tmp_path / "train.csv"
    write(file, 30)
    settings = Settings(_env_file=None, home=tmp_path, source="sample", hull_file=file)
    bring_up_to_date(settings, instance)
    file.write_text("date_id,D1\n0,1\n")
    outcome = bring_up_to_date(settings, instance)
    assert outcome.is_usable
    assert [line for line in outcome.errors if "raw.hull_market" in line and "column" in line]
    assert MACRO.qualified_name in outcome.materialized
    file.unlink()
    assert any("cannot be read" in line for line in bring_up_to_date(settings, instance).errors)
    assert ParquetStore(tmp_path).read(HULL_MARKET, ALL)["date_id"].tolist() == list(range(30))
