"""What every home promises, whether it holds its data itself or is a working copy of an object store: one suite.

Two stores stand for two processes: of one folder, or of two homes (two machines) that share nothing but the bucket.
"""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from resources.backup.back_up import back_up
from resources.backup.restore import restore
from resources.chains.store import ChainStore
from resources.storage.accepted_bars import AcceptedBars
from resources.storage.append_only import COPY_NAME, files_set_aside
from resources.storage.models.serving import history_of, inputs_of_last_fit
from resources.storage.models.store import ModelStore
from resources.storage.objects.marker import MARKER, attach
from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.versioned_reader import VersionedReader
from resources.storage.warehouse import Warehouse
from tests.resources.chains.test_store import chain_of
from tests.resources.storage.models.one_fold import model_of_one_fold
from tests.resources.storage.test_append_only import KEY as LOG_KEY
from tests.resources.storage.test_append_only import append, flip_a_bit
from tests.resources.storage.test_parquet_store import SPY, bars
from trading_dag.errors import (
    BackupError,
    ConfigurationError,
    ModelNotFoundError,
    SchemaError,
    SliceBusyError,
    SliceNotFoundError,
    StorageError,
)
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.quality.acceptance import AcceptedBar
from trading_dag.schemas import PREDICTIONS_LOG, PRICES_DAILY

AT = {"ticker": "SPY", "horizon": "24h"}
NAME = "direction_classifier"


@dataclass(frozen=True)
class Homes:
    """Two processes' homes, and whether they are working copies."""

    here: Path
    there: Path
    are_copies: bool


@pytest.fixture(params=["folder", "object store"])
def homes(request: pytest.FixtureRequest, tmp_path: Path) -> Homes:
    if request.param == "folder":
        return Homes(tmp_path, tmp_path, are_copies=False)
    url = request.getfixturevalue("bucket_url")
    for name in ("here", "there"):
        attach(tmp_path / name, url)
    return Homes(tmp_path / "here", tmp_path / "there", are_copies=True)


def model(learner: str) -> FittedModel:
    """A model whose only fold could not be fitted."""
    fitted = model_of_one_fold(None, name=learner)
    return replace(fitted, folds=(replace(fitted.folds[0], status="skipped", reason="too few rows"),))


@pytest.fixture
def copies(bucket_url: str, tmp_path: Path) -> Homes:
    for name in ("here", "there"):
        attach(tmp_path / name, bucket_url)
    return Homes(tmp_path / "here", tmp_path / "there", are_copies=True)


def test_what_one_process_writes_every_other_one_reads_at_once(homes: Homes) -> None:
    here, there = ParquetStore(homes.here), ParquetStore(homes.there)
    with pytest.raises(SliceNotFoundError):
        there.read(PRICES_DAILY, SPY)
    for rows in (3, 5, 4):
        written = here.write(PRICES_DAILY, SPY, bars(rows), source="sample")
        assert there.read(PRICES_DAILY, SPY)["close"].tolist() == [100.0] * rows
        assert there.provenance(PRICES_DAILY, SPY) == written
        there.write(PRICES_DAILY, SPY, bars(rows, close=101.0), source="sample")
        assert here.read(PRICES_DAILY, SPY)["close"].tolist() == [101.0] * rows
    assert there.slices(PRICES_DAILY) == [SPY]
    assert "close" in there.present_columns(PRICES_DAILY, SPY)


def test_who_looks_whether_a_slice_has_changed_sees_what_was_written_elsewhere(homes: Homes) -> None:
    here, there = ParquetStore(homes.here), ParquetStore(homes.there)
    assert there.stamp(PRICES_DAILY, SPY) is None
    stamps = []
    for rows in (3, 5):
        here.write(PRICES_DAILY, SPY, bars(rows), source="sample")
        stamps += [there.stamp(PRICES_DAILY, SPY), there.stamp(PRICES_DAILY, SPY)]
    assert None not in stamps
    assert stamps[0] == stamps[1] != stamps[2] == stamps[3]


def test_a_slice_that_breaks_its_schema_replaces_nothing(homes: Homes) -> None:
    here, there = ParquetStore(homes.here), ParquetStore(homes.there)
    here.write(PRICES_DAILY, SPY, bars(3))
    with pytest.raises(SchemaError):
        here.write(PRICES_DAILY, SPY, bars(3).assign(close="many"))
    assert len(there.read(PRICES_DAILY, SPY)) == 3


def test_views_and_kept_answers_show_what_was_written_elsewhere(homes: Homes) -> None:
    here, there = ParquetStore(homes.here), ParquetStore(homes.there)
    reader = VersionedReader(there)
    count = "SELECT count(*) AS n FROM raw.prices_daily"
    for rows in (2, 4):
        here.write(PRICES_DAILY, SPY, bars(rows), source="sample")
        for verify in (True, False):
            assert Warehouse(there).query(count, verify=verify)["n"].tolist() == [rows]
        assert reader.query(count)["n"].tolist() == [rows]
        assert reader.slices()["row_count"].tolist() == [rows]


def test_a_damaged_slice_is_set_aside_and_counts_as_never_written(homes: Homes) -> None:
    here, there = ParquetStore(homes.here), ParquetStore(homes.there)
    here.write(PRICES_DAILY, SPY, bars(3))
    path = here.path(PRICES_DAILY, SPY)
    here.home_files.replace(path, lambda new: new.write_bytes(b"no Parquet file"))
    with pytest.raises(StorageError, match="no readable Parquet file"):
        there.read(PRICES_DAILY, SPY)
    there.set_aside(PRICES_DAILY, SPY)
    assert not here.exists(PRICES_DAILY, SPY)
    assert [path.read_bytes() for path in files_set_aside(there, PRICES_DAILY, SPY)] == [b"no Parquet file"]
    here.write(PRICES_DAILY, SPY, bars(2))
    assert len(there.read(PRICES_DAILY, SPY)) == 2


def test_recorded_rows_stay_and_a_damaged_log_is_mended_from_its_copy(homes: Homes) -> None:
    here, there = ParquetStore(homes.here), ParquetStore(homes.there)
    append(here, 2)
    stored = append(there, 3)
    with pytest.raises(StorageError, match="append-only"):
        here.write(PREDICTIONS_LOG, LOG_KEY, stored.iloc[1:].reset_index(drop=True))
    here.home_files.replace(here.path(PREDICTIONS_LOG, LOG_KEY), lambda new: new.write_bytes(b"damaged"))
    mended = append(there, 4)
    pd.testing.assert_frame_equal(mended.iloc[:2], stored)
    pd.testing.assert_frame_equal(here.read(PREDICTIONS_LOG, LOG_KEY), mended)
    assert here.path(PREDICTIONS_LOG, LOG_KEY).with_name(COPY_NAME).is_file()


def test_versions_of_a_model_their_record_and_which_one_serves_are_known_everywhere(homes: Homes) -> None:
    here, there = (ModelStore(home / "models") for home in (homes.here, homes.there))
    models = [model("direction_logistic"), model("direction_xgboost")]
    first = here.save(models[0], decision={"kind": "first", "reason": "the first"})
    assert there.load(NAME, **AT).content_hash() == models[0].content_hash()
    second = there.save(models[1], make_latest=False, decision={"kind": "worse", "reason": "worse"}, champion=first)
    assert here.versions(NAME, **AT) == (first, second)
    assert here.latest_version(NAME, **AT) == first
    here.promote(NAME, **AT, version=second, reason="by hand")
    assert there.latest_version(NAME, **AT) == second
    assert [event.event for event in history_of(there, NAME, **AT)] == ["fitted", "fitted", "promoted"]
    assert inputs_of_last_fit(there, NAME, **AT) == {}
    assert there.slices() == [(NAME, "SPY", "24h")]
    there.remove(NAME, **AT, version=first)
    assert here.versions(NAME, **AT) == (second,)
    with pytest.raises(ModelNotFoundError):
        here.load(NAME, **AT, version=first)


def test_a_model_that_was_judged_against_another_champion_does_not_serve(homes: Homes) -> None:
    here, there = (ModelStore(home / "models") for home in (homes.here, homes.there))
    first = here.save(model("direction_logistic"))
    second = there.save(model("direction_xgboost"))
    decided = {"kind": "better", "reason": "better"}
    with pytest.raises(StorageError, match=f"{second} came into use"):
        here.save(model("direction_forest"), decision=decided, champion=first)
    assert there.latest_version(NAME, **AT) == second


def test_chains_are_merged_read_and_forgotten_by_whoever_comes(homes: Homes) -> None:
    here, there = ChainStore(homes.here), ChainStore(homes.there)
    here.merge("SPY", 2024, chain_of("2024-01-02", "2024-01-03"), source="files")
    counts = there.merge("SPY", 2024, chain_of("2024-01-02", "2024-01-05"), source="files")
    assert (counts.appended, counts.unchanged) == (40, 40)
    there.merge("SPY", 2023, chain_of("2023-12-28", "2023-12-29"), source="files")
    assert here.tickers() == ["SPY"]
    assert here.years("SPY") == [2023, 2024]
    assert len(here.read("SPY")) == 120
    assert here.forget("SPY", keep_days=2) == 3
    assert there.years("SPY") == [2024]
    assert there.sources("SPY") == ("files",)
    whole = chain_of("2024-01-02", "2024-01-05")
    kept = whole[whole["quote_date"] >= "2024-01-03"].reset_index(drop=True)
    pd.testing.assert_frame_equal(there.read("SPY"), kept)


def test_accepted_bars_travel_with_the_data(homes: Homes) -> None:
    here, there = (AcceptedBars(home / "data") for home in (homes.here, homes.there))
    bar = AcceptedBar("SPY", "2024-01-02", 1.0, 1.0, 1.0, 1.0, None, "seen on the tape", "2024-01-03T00:00:00+00:00")
    here.accept(bar)
    assert there.all() == [bar]
    assert there.withdraw("SPY", "2024-01-02")
    assert here.all() == []


def test_what_is_merged_on_rows_that_another_machine_has_replaced_since_is_refused(copies: Homes) -> None:
    here, there = ParquetStore(copies.here), ParquetStore(copies.there)
    here.write(PRICES_DAILY, SPY, bars(3))
    with here.lock(PRICES_DAILY, SPY):
        read = here.read(PRICES_DAILY, SPY)
        there.write(PRICES_DAILY, SPY, bars(5))
        assert len(here.read(PRICES_DAILY, SPY)) == len(read)  # as it was when the lock was taken
        with pytest.raises(SliceBusyError, match="written from elsewhere"):
            here.write(PRICES_DAILY, SPY, bars(4))
    assert len(here.read(PRICES_DAILY, SPY)) == len(there.read(PRICES_DAILY, SPY)) == 5


def test_a_copy_that_rots_is_fetched_again_where_its_object_is_good(copies: Homes) -> None:
    here = ParquetStore(copies.here)
    here.write(PRICES_DAILY, SPY, bars(3))
    path = here.path(PRICES_DAILY, SPY)
    found = path.stat()
    closes = pq.ParquetFile(path).metadata.row_group(0).column(PRICES_DAILY.column_names.index("close"))
    # The last byte of a column is one of its values; before them stand statistics, which have no checksum.
    flip_a_bit(path, at=(closes.dictionary_page_offset + closes.total_compressed_size - 1) / found.st_size)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    with pytest.raises(StorageError):
        here.read(PRICES_DAILY, SPY)
    here.set_aside(PRICES_DAILY, SPY)
    assert len(here.read(PRICES_DAILY, SPY)) == 3


def test_a_file_that_somebody_put_among_the_copies_is_no_slice_and_is_not_deleted(copies: Homes) -> None:
    here = ParquetStore(copies.here)
    here.write(PRICES_DAILY, SPY, bars(3))
    own = here.path(PRICES_DAILY, SliceKey("QQQ"))
    own.parent.mkdir()
    own.write_bytes(here.path(PRICES_DAILY, SPY).read_bytes())
    assert here.slices(PRICES_DAILY) == [SPY]
    (aside,) = own.parent.glob("data.parquet.set-aside-*")
    assert aside.read_bytes() == here.path(PRICES_DAILY, SPY).read_bytes()


def test_a_version_whose_spec_is_not_there_yet_does_not_count(copies: Homes, bucket_url: str) -> None:
    from resources.storage.objects.bucket import Bucket

    there = ModelStore(copies.there / "models")
    half = "models/direction_classifier/ticker=SPY/horizon=24h/20250101T210000000000Z-a1b2c3d4/selection.json"
    Bucket(bucket_url).replace(half, b"{}", seen=None)
    assert there.versions(NAME, **AT) == ()
    with pytest.raises(ModelNotFoundError):
        there.load(NAME, **AT)


def test_a_backup_of_a_working_copy_holds_what_others_wrote_and_is_restored_beside_it(copies: Homes) -> None:
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    ParquetStore(copies.there).write(PRICES_DAILY, SPY, bars(3))
    archive = back_up(copies.here, copies.here.parent / "backup.tar.zst", now=now).file
    with pytest.raises(BackupError, match="is a working copy of s3://"):
        restore(copies.here, archive, now=now, replace=True)
    own = copies.here.parent / "own"
    restore(own, archive, now=now)
    assert len(ParquetStore(own).read(PRICES_DAILY, SPY)) == 3


def test_a_home_with_data_of_its_own_or_of_another_bucket_becomes_no_working_copy(tmp_path: Path) -> None:
    ParquetStore(tmp_path / "own").write(PRICES_DAILY, SPY, bars(3))
    with pytest.raises(ConfigurationError, match="holds data of its own"):
        attach(tmp_path / "own", "s3://bucket/desk")
    attach(tmp_path / "copy", "s3://bucket/desk")
    attach(tmp_path / "copy", "s3://bucket/desk")
    for other in ("s3://bucket/other", None):
        with pytest.raises(ConfigurationError, match="is a working copy of s3://bucket/desk"):
            attach(tmp_path / "copy", other)
    (tmp_path / "copy" / MARKER).write_text("[]")
    with pytest.raises(ConfigurationError, match="does not say"):
        ParquetStore(tmp_path / "copy")
