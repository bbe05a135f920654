"""A recorded row stays: no writer replaces it, and damage costs none that was stored."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from resources.storage import parquet_store
from resources.storage.append_only import COPY_NAME, files_set_aside, mend
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.trading_dag.strategy.forecasts import SESSIONS, forecasts, no_log
from trading_dag.errors import StorageError
from trading_dag.schemas import PREDICTIONS_LOG, Table
from trading_dag.slices import horizon_of
from trading_dag.strategy.prediction_log import with_newest

KEY = SliceKey("SPY", "24h")
NOW = pd.Timestamp("2024-03-20 12:00", tz="UTC")
REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def store(tmp_path: Path) -> ParquetStore:
    return ParquetStore(tmp_path)


def append(store: ParquetStore, through: int, **given) -> pd.DataFrame:
    """One row more, as the asset does it."""
    horizon = horizon_of("24h")
    with store.lock(PREDICTIONS_LOG, KEY):
        mend(store, PREDICTIONS_LOG, KEY)
        log = with_newest(
            store.read_or_empty(PREDICTIONS_LOG, KEY), **forecasts(horizon, through=through, **given),
            source="live", horizon=horizon, recorded_at=NOW + pd.Timedelta(minutes=through),
        )  # fmt: skip
        store.write(PREDICTIONS_LOG, KEY, log)
    return store.read(PREDICTIONS_LOG, KEY)


def test_rows_are_added_to_those_that_are_stored(store: ParquetStore) -> None:
    first = append(store, 2)
    both = append(store, 3)
    assert both["session"].tolist() == SESSIONS[1:3].tolist()
    pd.testing.assert_frame_equal(both.iloc[:1], first)


@pytest.mark.parametrize(
    ("what", "altered"),
    [
        ("1 of 2 recorded rows are missing", lambda log: log.iloc[1:]),
        ("2 of 2 recorded rows are missing", lambda _: no_log()),
        ("read otherwise in probability_up", lambda log: log.assign(probability_up=0.99)),
        ("read otherwise in recorded_at", lambda log: log.assign(recorded_at=NOW)),
        ("read otherwise in reasoning", lambda log: log.assign(reasoning="Down.")),
    ],
)
def test_whoever_would_lose_or_alter_a_row_is_refused_and_nothing_is_stored(store: ParquetStore, what, altered) -> None:
    append(store, 2)
    stored = append(store, 3)
    with pytest.raises(StorageError, match=rf"append-only: .*{what}"):
        store.write(PREDICTIONS_LOG, KEY, altered(stored).reset_index(drop=True))
    pd.testing.assert_frame_equal(store.read(PREDICTIONS_LOG, KEY), stored)


def flip_a_bit(path: Path, *, at: float = 0.2) -> bytes:
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 4
    path.write_bytes(content)
    return bytes(content)


def test_a_damaged_log_is_set_aside_and_its_rows_come_back_from_the_copy(store: ParquetStore) -> None:
    append(store, 2)
    stored = append(store, 3)
    damaged = flip_a_bit(store.path(PREDICTIONS_LOG, KEY))
    told = mend(store, PREDICTIONS_LOG, KEY)
    assert "set aside" in told[0]
    assert "2 rows were put back from its copy" in told[1]
    pd.testing.assert_frame_equal(store.read(PREDICTIONS_LOG, KEY), stored)
    [aside] = files_set_aside(store, PREDICTIONS_LOG, KEY)
    assert aside.read_bytes() == damaged
    assert mend(store, PREDICTIONS_LOG, KEY) == []


def test_no_writer_replaces_a_damaged_log_before_it_is_mended(store: ParquetStore) -> None:
    stored = append(store, 2)
    damaged = flip_a_bit(store.path(PREDICTIONS_LOG, KEY))
    with pytest.raises(StorageError):
        store.write(PREDICTIONS_LOG, KEY, stored)
    assert store.path(PREDICTIONS_LOG, KEY).read_bytes() == damaged


@pytest.mark.parametrize("at", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_wherever_the_log_is_damaged_the_next_row_is_appended_to_all_earlier_ones(store: ParquetStore, at) -> None:
    append(store, 2)
    stored = append(store, 3)
    flip_a_bit(store.path(PREDICTIONS_LOG, KEY), at=at)
    after = append(store, 4)
    pd.testing.assert_frame_equal(after.iloc[:2], stored)
    assert len(after) == 3


def test_a_log_that_was_taken_away_comes_back(store: ParquetStore) -> None:
    stored = append(store, 2)
    store.path(PREDICTIONS_LOG, KEY).unlink()
    pd.testing.assert_frame_equal(append(store, 3).iloc[:1], stored)


def test_where_the_copy_is_damaged_too_both_lie_beside_the_new_log(store: ParquetStore) -> None:
    append(store, 2)
    path = store.path(PREDICTIONS_LOG, KEY)
    kept = {flip_a_bit(path), flip_a_bit(path.with_name(COPY_NAME))}
    told = mend(store, PREDICTIONS_LOG, KEY)
    assert "a new log begins" in told[-1]
    assert not store.exists(PREDICTIONS_LOG, KEY)
    assert {file.read_bytes() for file in files_set_aside(store, PREDICTIONS_LOG, KEY)} == kept
    assert len(append(store, 3)) == 1


def test_a_log_of_a_later_version_with_more_columns_is_left_as_it_is(store: ParquetStore) -> None:
    append(store, 2)
    path = store.path(PREDICTIONS_LOG, KEY)
    later = pq.read_table(path)
    pq.write_table(later.append_column("price_target", [[1.0]]), path, write_page_checksum=True)
    content = path.read_bytes()
    with pytest.raises(StorageError, match="column 'price_target' does not belong to the table"):
        append(store, 3)
    assert path.read_bytes() == content


def test_a_column_that_the_log_gets_later_leaves_its_rows_as_they_were(store: ParquetStore, monkeypatch) -> None:
    fewer = tuple(column for column in PREDICTIONS_LOG.columns if column.name != "max_loss_usd")
    older: Table = replace(PREDICTIONS_LOG, columns=fewer)
    log = with_newest(
        no_log(), **forecasts(horizon_of("24h"), through=2), source="live", horizon=horizon_of("24h"), recorded_at=NOW
    )
    store.write(older, KEY, log.drop(columns="max_loss_usd"))
    after = append(store, 3)
    pd.testing.assert_frame_equal(after.drop(columns="max_loss_usd").iloc[:1], log.drop(columns="max_loss_usd"),
                                  check_dtype=False)  # fmt: skip
    assert after["max_loss_usd"].isna().tolist() == [True, False]


def test_a_log_of_before_the_design_size_is_read_and_keeps_what_it_said(store: ParquetStore) -> None:
    """Its conviction was NONE without an edge: another meaning, so it is carried under its own name."""
    without = tuple(column for column in PREDICTIONS_LOG.columns if column.name not in {"design_size", "rule"})
    log = with_newest(
        no_log(), **forecasts(horizon_of("24h"), through=2), source="live", horizon=horizon_of("24h"), recorded_at=NOW
    )
    before = log[[column.name for column in without]].assign(conviction="NONE")
    store.write(replace(PREDICTIONS_LOG, columns=without), KEY, before)
    after = append(store, 3)
    assert after["conviction"].iloc[0] == "NONE"
    assert after["conviction"].isna().tolist() == [False, True]
    assert after["design_size"].isna().tolist() == [True, False]


def test_every_column_beyond_the_first_version_may_be_null() -> None:
    """A required one would make every log that is stored unreadable."""
    first = {
        "ticker", "horizon", "session", "target_session", "recorded_at", "source", "timing", "is_live",
        "direction_model", "model_version", "fitted_through", "direction", "probability_up", "threshold",
        "direction_confidence", "volatility_model_version", "structure", "conviction", "edge", "position_size",
        "reasoning",
    }  # fmt: skip
    assert {column.name for column in PREDICTIONS_LOG.columns if not column.nullable} <= first


def test_a_failure_between_file_and_copy_costs_no_row(store: ParquetStore, monkeypatch) -> None:
    stored = append(store, 2)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(parquet_store, "keep_copy", fail)
        with pytest.raises(OSError, match="No space"):
            append(store, 3)
    flip_a_bit(store.path(PREDICTIONS_LOG, KEY).with_name(COPY_NAME))
    pd.testing.assert_frame_equal(append(store, 4).iloc[:1], stored)


WRITER = """
import sys
from pathlib import Path
from resources.storage.parquet_store import ParquetStore
from tests.resources.storage.test_append_only import append
store = ParquetStore(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    append(store, 1 + number % 8, version=f"{sys.argv[2]}{number:04d}")
    print(number, flush=True)
"""


def writer(home: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(home), name, str(count)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, start_new_session=True)


def test_two_writers_at_once_lose_no_row_of_each_other(store: ParquetStore, tmp_path: Path) -> None:
    both = [writer(tmp_path, name, 12) for name in ("aaaa", "bbbb")]
    assert [process.wait(timeout=600) for process in both] == [0, 0]
    for process in both:
        process.stdout.close()
    versions = store.read(PREDICTIONS_LOG, KEY)["model_version"]
    assert sorted(versions) == sorted(f"{name}{number:04d}" for name in ("aaaa", "bbbb") for number in range(12))


def test_a_writer_killed_at_any_moment_loses_no_row_that_it_had_stored(store: ParquetStore, tmp_path: Path) -> None:
    done, earlier = 0, no_log()
    for attempt in range(4):
        process = writer(tmp_path, f"k{attempt}", 1_000)
        process.stdout.readline()
        time.sleep(0.05 + 0.13 * attempt)
        os.kill(process.pid, signal.SIGKILL)
        told = process.stdout.read().splitlines()
        process.stdout.close()
        process.wait()
        done += 1 + len([line for line in told if line.isdecimal()])
        log = store.read(PREDICTIONS_LOG, KEY)
        key = list(PREDICTIONS_LOG.key)
        if len(earlier):
            pd.testing.assert_frame_equal(log.merge(earlier[key], on=key)[list(log.columns)], earlier)
        assert len(log) >= done
        done, earlier = len(log), log
    assert json.loads(pq.read_schema(store.path(PREDICTIONS_LOG, KEY)).metadata[b"trading_dag"])["rows"] == done
