"""A backup holds the whole state of one moment, while others write, and nothing else."""

from __future__ import annotations

import datetime as dt
import os
import resource
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from resources.backup.archive import read_manifest
from resources.backup.back_up import back_up
from resources.backup.snapshot import catch
from resources.storage.slices.format import replace_file
from tests.resources.backup.small_home import STATE, make_home, record, recorded, write
from trading_dag.errors import BackupError, SliceBusyError, StorageError

NOW = dt.datetime(2026, 1, 5, 22, 0, tzinfo=dt.UTC)


@contextmanager
def forked(work) -> Iterator[None]:
    """Another process that works until this one kills it."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_backup_holds_the_state_and_leaves_out_keys_locks_caches_and_what_is_half_written(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    done = back_up(home, tmp_path, now=NOW)
    assert done.file == tmp_path / "trading-dag-20260105T220000Z.tar.zst"
    assert sorted(member.path for member in read_manifest(done.file).members) == sorted(STATE)
    assert done.manifest.damaged == {}
    assert done.file.stat().st_mode & 0o077 == 0
    assert not list(home.glob(".backup-*"))


def test_the_moment_that_is_caught_is_one_that_was_although_files_are_replaced_all_the_time(tmp_path: Path) -> None:
    """The writer replaces the last file first and the first one last, and then pauses: whoever reads them once, in
    their order, would see a late one beside an early one."""
    home = tmp_path / "home"
    names = [f"data/raw/t{number}/data.parquet" for number in range(4)]

    def write_all(count: int) -> None:
        for name in reversed(names):
            replace_file(home / name, lambda path: path.write_text(str(count)))

    for name in names:
        write(home / name, "0")

    def work() -> None:
        for count in range(1, 1_000_000):
            write_all(count)
            time.sleep(0.5)

    with forked(work):
        for number in range(6):
            root = tmp_path / f"caught-{number}"
            catch(home, root)
            counts = [int((root / name).read_text()) for name in names]
            assert counts == sorted(counts), counts
            assert counts[-1] - counts[0] <= 1, counts
            time.sleep(0.2)


def test_what_is_appended_to_after_the_moment_does_not_change_the_backup(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    caught = catch(home, tmp_path / "caught")
    for path in ("models/direction_classifier/ticker=SPY/horizon=24h/history.jsonl",
                 "tuning/ticker=SPY/horizon=24h/logistic/all-1.journal"):  # fmt: skip
        before = (caught.root / path).read_text()
        with (home / path).open("a") as handle:
            handle.write("more\n")
        assert (caught.root / path).read_text() == before


def test_a_home_that_is_never_still_is_given_up_and_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = make_home(tmp_path / "home")
    real = os.link
    count = iter(range(1_000_000))

    def change_and_link(source: Path, target: Path) -> None:
        real(source, target)
        write(home / "data" / "accepted_bars.json", f"[{next(count)}]")
        write(home / "data" / "raw" / "one" / "data.parquet", f"{next(count)}")

    monkeypatch.setattr(os, "link", change_and_link)
    with pytest.raises(SliceBusyError, match="changed at each of"):
        catch(home, tmp_path / "caught", patience=0.3)


def test_runs_that_are_not_yet_in_the_database_file_itself_are_in_the_backup(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    open_one = sqlite3.connect(home / ".dagster" / "history" / "runs.db")
    open_one.execute("SELECT count(*) FROM runs").fetchone()  # so that the log beside the file stays
    record(home, "third")
    assert (home / ".dagster" / "history" / "runs.db-wal").stat().st_size > 0
    caught = catch(home, tmp_path / "caught")
    open_one.close()
    assert recorded(caught.root) == ["first", "second", "third"]


def test_a_slice_that_is_damaged_already_is_backed_up_and_named(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    path = home / "data" / "raw" / "prices_daily" / "ticker=SPY" / "data.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:40] + bytes(40) + content[80:])
    done = back_up(home, tmp_path, now=NOW)
    assert list(done.manifest.damaged) == ["data/raw/prices_daily/ticker=SPY/data.parquet"]
    assert ".backup-" not in str(done.manifest.damaged)


def test_a_backup_replaces_no_file_lies_in_no_folder_of_the_state_and_needs_a_state(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    write(tmp_path / "there", "mine")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(BackupError, match="replaces none"):
        back_up(home, tmp_path / "there", now=NOW)
    with pytest.raises(BackupError, match="is backed up itself"):
        back_up(home, home / "data" / "backup", now=NOW)
    with pytest.raises(BackupError, match="no folder"):
        back_up(home, tmp_path / "none" / "file", now=NOW)
    with pytest.raises(BackupError, match="no state"):
        back_up(empty, tmp_path, now=NOW)
    assert (tmp_path / "there").read_text() == "mine"


def test_a_link_among_the_state_is_refused_instead_of_left_out(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    (home / "data" / "elsewhere").symlink_to(tmp_path)
    with pytest.raises(StorageError, match="elsewhere is a link"):
        back_up(home, tmp_path, now=NOW)


def test_a_full_disk_leaves_no_half_backup(tmp_path: Path) -> None:
    """A limit on the size of files does what a full disk does: a write fails."""
    home = make_home(tmp_path / "home")
    write(home / "data" / "noise.bin", os.urandom(3_000_000).hex())
    before, answer = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            back_up(home, tmp_path / "backup", now=NOW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, answer)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]
    assert not list(home.glob(".backup-*"))
