"""A restore puts back all or nothing, believes nothing of what an archive says, and survives a kill at any moment."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import signal
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pytest

from resources.backup import restore as module
from resources.backup.archive import is_safe
from resources.backup.back_up import back_up
from resources.backup.contents import holds_state, state_files
from resources.backup.restore import finish_restore, restore
from resources.storage.parquet_store import ParquetStore
from tests.resources.backup.small_home import SPY, STATE, make_home, recorded, write
from trading_dag.errors import BackupError
from trading_dag.schemas import PRICES_DAILY

NOW = dt.datetime(2026, 1, 5, 22, 0, tzinfo=dt.UTC)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return back_up(make_home(tmp_path / "origin"), tmp_path / "backup.tar.zst", now=NOW).file


def close_of(home: Path) -> float:
    return float(ParquetStore(home).read(PRICES_DAILY, SPY)["close"].iloc[0])


def test_a_backup_restores_into_an_empty_home_byte_for_byte(tmp_path: Path, archive: Path) -> None:
    done = restore(tmp_path / "new", archive, now=NOW)
    assert list(state_files(tmp_path / "new")) == STATE
    for path in STATE[1:]:
        assert (tmp_path / "new" / path).read_bytes() == (tmp_path / "origin" / path).read_bytes()
    assert recorded(tmp_path / "new") == ["first", "second"]
    assert done.replaced is None
    assert done.manifest.made_at == "2026-01-05T22:00:00+00:00"


def test_a_home_with_a_state_is_refused_and_moved_aside_only_when_told(tmp_path: Path, archive: Path) -> None:
    home = make_home(tmp_path / "home", close=50.0)
    with pytest.raises(BackupError, match="--replace"):
        restore(home, archive, now=NOW)
    assert close_of(home) == 50.0
    done = restore(home, archive, now=NOW, replace=True)
    assert close_of(home) == 100.0
    assert done.replaced == home / "replaced-20260105T220000Z"
    assert close_of(done.replaced) == 50.0
    assert not (home / "warehouse.duckdb").exists(), "views of the old state"
    assert (home / ".env").read_text() == "left out"


def test_a_folder_that_the_backup_lacks_does_not_stay_beside_what_was_restored(tmp_path: Path) -> None:
    import shutil

    origin = make_home(tmp_path / "origin")
    shutil.rmtree(origin / "tuning")
    file = back_up(origin, tmp_path / "backup.tar.zst", now=NOW).file
    home = make_home(tmp_path / "home")
    done = restore(home, file, now=NOW, replace=True)
    assert not (home / "tuning").exists()
    assert done.replaced is not None
    assert (done.replaced / "tuning").is_dir()


@pytest.mark.parametrize("had_state", [False, True])
def test_a_kill_at_any_rename_leaves_the_old_state_or_one_that_the_next_command_completes(
    tmp_path: Path, archive: Path, had_state: bool
) -> None:
    """The process kills itself just before and just after each rename and removal, one after the other."""
    moments, ended = 0, False
    while not ended:
        home = tmp_path / f"home-{moments}"
        home.mkdir()
        if had_state:
            make_home(home, close=50.0)
        child = os.fork()
        if child == 0:
            _kill_self_at(moments)
            restore(home, archive, now=NOW, replace=had_state)
            os._exit(0)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        is_switching = any(home.glob(".restore-*/ready"))
        if not is_switching and not ended and holds_state(home):
            assert close_of(home) in ({50.0, 100.0} if had_state else {100.0})
        finish_restore(home)
        finish_restore(home)
        if is_switching or ended:
            assert list(state_files(home)) == STATE
            assert close_of(home) == 100.0
            assert had_state == any(close_of(aside) == 50.0 for aside in home.glob("replaced-*"))
        restore(home, archive, now=NOW, replace=True)
        assert list(state_files(home)) == STATE
        moments += 1
    assert moments > 20


def _kill_self_at(moment: int) -> None:
    """Kill this process before or after the renames and removals that follow, at the given one."""
    left = iter(range(moment, -2, -1))

    def counted(work: Callable) -> Callable:
        def done(*arguments, **named):
            for now in ("before", "after"):
                if next(left, -1) == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                if now == "before":
                    result = work(*arguments, **named)
            return result

        return done

    for name in ("rename", "unlink", "replace"):
        setattr(Path, name, counted(getattr(Path, name)))
    module.shutil.rmtree = counted(module.shutil.rmtree)


def packed(path: Path, members: list[tuple[tarfile.TarInfo | str, bytes]], listing: object = None) -> Path:
    """An archive as a stranger might make it; without a listing, the right one of its members."""
    if listing is None:
        listing = listing_of(*[(name, content) for name, content in members if isinstance(name, str)])
    whole = [("MANIFEST.json", listing if isinstance(listing, bytes) else json.dumps(listing).encode()), *members]
    with (
        pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "zstd") as stream,
        tarfile.open(fileobj=stream, mode="w|") as archive,
    ):
        for name, content in whole:
            header = tarfile.TarInfo(name) if isinstance(name, str) else name
            header.size = len(content) if header.isreg() else 0
            archive.addfile(header, io.BytesIO(content))
    return path


def listing_of(*members: tuple[str, bytes], **other: object) -> dict[str, object]:
    entries = [{"path": name, "bytes": len(text), "sha256": sha256(text).hexdigest()} for name, text in members]
    return {"format": 1, "made_at": "x", "version": "1", "damaged": {}, "members": entries, **other}


GOOD = ("data/raw/macro/note", b"content")


def link(kind: bytes, name: str = "data/raw/macro/link", target: str = "/etc/passwd") -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, target
    return header


HOSTILE_NAMES = [
    "../outside", "data/../../outside", "/etc/outside", "data//x", "data/./x", "data", "", "outside/x", ".env",
    "data\\..\\x", "data/a\nb", "data/\x00", "data/x\u202ey", ".dagster/dagster.yaml", ".dagster/typing_extensions.py",
    ".dagster/pandas/__init__.py", ".dagster/native.so", ".dagster/processes/mark", ".dagster/claims/SPY.lock",
    "models/x/.partial-1/spec.json", "data/" + "x" * 400,
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_that_leaves_the_state_or_is_code_is_refused_before_anything_is_written(
    tmp_path: Path, name: str
) -> None:
    assert not is_safe(name)
    listing = listing_of(GOOD, (name, b"evil"))
    file = packed(tmp_path / "file", [GOOD], listing)
    with pytest.raises(BackupError, match="may not be written"):
        restore(tmp_path / "home", file, now=NOW)
    assert_untouched(tmp_path)


HOSTILE_ARCHIVES = {
    "a symbolic link": lambda path: packed(path, [GOOD, (link(tarfile.SYMTYPE), b"")]),
    "a hard link": lambda path: packed(path, [GOOD, (link(tarfile.LNKTYPE), b"")]),
    "a device": lambda path: packed(path, [GOOD, (link(tarfile.CHRTYPE), b"")]),
    "a pipe": lambda path: packed(path, [GOOD, (link(tarfile.FIFOTYPE), b"")]),
    "a folder": lambda path: packed(path, [GOOD, (link(tarfile.DIRTYPE), b"")]),
    "a member that is not listed": lambda path: packed(path, [GOOD, ("data/other", b"x")], listing_of(GOOD)),
    "a member twice": lambda path: packed(path, [GOOD, GOOD], listing_of(GOOD)),
    "a member listed twice": lambda path: packed(path, [GOOD], listing_of(GOOD, GOOD)),
    "a member that is missing": lambda path: packed(path, [GOOD], listing_of(GOOD, ("data/other", b"x"))),
    "another content": lambda path: packed(path, [(GOOD[0], b"contenT")], listing_of(GOOD)),
    "a longer content": lambda path: packed(path, [(GOOD[0], b"content" + b"0" * 9_000_000)], listing_of(GOOD)),
    "a file that is a folder too": lambda path: packed(path, [("data/a", b"x"), ("data/a/b", b"y")]),
    "more than any disk holds": lambda path: packed(
        path, [GOOD], {**listing_of(), "members": [{"path": "data/x", "bytes": 1 << 60, "sha256": ""}]}
    ),
    "a negative size": lambda path: packed(
        path, [GOOD], {**listing_of(), "members": [{"path": "data/x", "bytes": -1, "sha256": ""}]}
    ),
    "a size that is no number": lambda path: packed(
        path, [GOOD], {**listing_of(), "members": [{"path": "data/x", "bytes": True, "sha256": ""}]}
    ),
    "a list that is none": lambda path: packed(path, [GOOD], b"[1"),
    "a list of other things": lambda path: packed(path, [GOOD], [1, 2]),
    "a list nested too deep": lambda path: packed(path, [GOOD], b"[" * 100_000),
    "a list of another format": lambda path: packed(path, [GOOD], {**listing_of(GOOD), "format": 99}),
    "a text that is none": lambda path: packed(path, [GOOD], listing_of(GOOD, damaged={"a": 1})),
    "no list": lambda path: packed(path, [], None).rename(path) and _without_listing(path),
    "nothing": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"garbage" * 100),
    "a damaged slice with the right hash": lambda path: packed(
        path, [("data/raw/prices_daily/ticker=SPY/data.parquet", b"no parquet")]
    ),
    "a damaged database with the right hash": lambda path: packed(
        path, [(".dagster/history/runs.db", b"SQLite format 3\x00" + b"x" * 4_000)]
    ),
}


def _without_listing(path: Path) -> None:
    with (
        pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "zstd") as stream,
        tarfile.open(fileobj=stream, mode="w|") as archive,
    ):
        header = tarfile.TarInfo(GOOD[0])
        header.size = len(GOOD[1])
        archive.addfile(header, io.BytesIO(GOOD[1]))


@pytest.mark.parametrize("what", HOSTILE_ARCHIVES)
def test_an_archive_that_is_none_or_lies_is_refused_and_the_home_stays_empty(tmp_path: Path, what: str) -> None:
    HOSTILE_ARCHIVES[what](tmp_path / "file")
    with pytest.raises(BackupError, match=r"."):
        restore(tmp_path / "home", tmp_path / "file", now=NOW)
    assert_untouched(tmp_path)


def assert_untouched(tmp_path: Path) -> None:
    assert not holds_state(tmp_path / "home")
    assert {path.name for path in (tmp_path / "home").iterdir()} <= {".restore.lock"}
    assert {path.name for path in tmp_path.iterdir()} == {"home", "file"}


def test_a_flip_of_any_byte_of_an_archive_is_noticed_or_changes_nothing(tmp_path: Path, archive: Path) -> None:
    content = archive.read_bytes()
    noticed = 0
    for place in range(0, len(content), max(len(content) // 40, 1)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << (place % 8)
        write(tmp_path / "flipped", "")
        (tmp_path / "flipped").write_bytes(flipped)
        home = tmp_path / f"home-{place}"
        try:
            restore(home, tmp_path / "flipped", now=NOW)
        except BackupError:
            noticed += 1
            assert not holds_state(home)
        else:
            assert list(state_files(home)) == STATE
            assert close_of(home) == 100.0
    assert noticed > 30


def test_an_archive_that_ends_early_is_refused(tmp_path: Path, archive: Path) -> None:
    content = archive.read_bytes()
    for length in (10, len(content) // 2, len(content) - 5):
        (tmp_path / "short").write_bytes(content[:length])
        with pytest.raises(BackupError):
            restore(tmp_path / "home", tmp_path / "short", now=NOW)
        assert not holds_state(tmp_path / "home")


def test_a_listing_that_unpacks_to_more_than_any_listing_is_never_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resources.backup import archive as of_archive

    monkeypatch.setattr(of_archive, "LARGEST_LISTING", 1 << 20)
    packed(tmp_path / "file", [GOOD], b" " * (8 << 20))
    assert (tmp_path / "file").stat().st_size < 10_000
    with pytest.raises(BackupError, match="more than its list"):
        restore(tmp_path / "home", tmp_path / "file", now=NOW)
    assert_untouched(tmp_path)
