"""One import of chain files into the store: each file once, resumable, with what became of every row.

Every file is read piece by piece into the staging folder; then every slice is merged once, with the rows of all
files; a file is recorded as soon as its last slice is stored. A process killed at any moment leaves the store whole:
files that were read whole are not read again, slices that were merged are merged again, which changes nothing, and a
record is only ever written of what is stored.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

import pandas as pd

from resources.chain_files import ChainFile, find_chain_files, open_chain_file
from resources.chain_merge import OUTCOMES, MergeCounts
from resources.chain_staging import PREFIX, SliceName, StagedFile, stage, sweep
from resources.chain_store import ChainStore
from resources.slice_format import replace_file
from trading_dag.errors import SliceBusyError, TradingDagError

LOCK_TIMEOUT_SECONDS: Final = 5.0
_READ_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class ImportProgress:
    """How far an import is.

    Attributes
    ----------
    path : the file being worked on.
    files_done, files : files finished, and in all.
    rows : contract rows read from this file so far.
    file_rows : rows of this file, None where that is not known before it is read.
    slices_done, slices : slices merged, and to merge; 0 while files are being read.
    slice_name : the slice being merged, such as ``SPY/2015``; empty while files are being read.
    """

    path: Path
    files_done: int
    files: int
    rows: int
    file_rows: int | None
    slices_done: int = 0
    slices: int = 0
    slice_name: str = ""


@dataclass(frozen=True)
class FileImport:
    """What became of one file.

    Attributes
    ----------
    path, layout : what was read, as what.
    is_new : False where the file, by name, size and digest, was imported before; the numbers are then those of that
        time.
    rows : contract rows read.
    refused : rows not stored, by reason.
    appended, restated, completed, unchanged : stored rows, as ``MergeCounts`` has them.
    slices : ``SPY/2015`` of every slice that has rows of the file.
    sessions : ``SPY/2015-01-05`` of every session of which the import changed anything; of all that the file holds,
        where an ended import may have changed them already.
    identity : by which the file is known again.
    """

    path: Path
    layout: str
    is_new: bool
    rows: int
    refused: dict[str, int] = field(default_factory=dict)
    appended: int = 0
    restated: int = 0
    completed: int = 0
    unchanged: int = 0
    slices: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    identity: str = ""


@dataclass(frozen=True)
class ChainImport:
    """What became of an import.

    Attributes
    ----------
    files : one a chain file, in order.
    skipped : data files that hold no chain, and why.
    """

    files: tuple[FileImport, ...]
    skipped: dict[Path, str]


def import_chains(
    store: ChainStore,
    path: Path,
    *,
    ticker: str | None = None,
    closes: pd.DataFrame | None = None,
    progress: Callable[[ImportProgress], None] | None = None,
) -> ChainImport:
    """Import a file, or every chain file of a folder.

    Parameters
    ----------
    path, ticker, closes : as ``find_chain_files`` and ``open_chain_file`` take them.
    progress : called after every piece and every file, and before and after every slice.

    Raises
    ------
    SourceFormatError : for a file that cannot be read; files before it are imported.
    SchemaError, StorageError, UnknownTickerError : as the store raises them.
    SliceBusyError : where another import is running.
    """
    from filelock import FileLock, Timeout

    paths, skipped = find_chain_files(path)
    store.imports.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(store.imports / ".lock", timeout=LOCK_TIMEOUT_SECONDS):
            sweep(store.imports, also_whole=False)
            run = _Run(store, len(paths), progress or (lambda _: None))
            try:
                for each in paths:
                    run.read(open_chain_file(each, ticker=ticker, closes=closes))
            except TradingDagError:
                run.merge()
                raise
            run.merge()
            sweep(store.imports, also_whole=True)
    except Timeout:
        raise SliceBusyError("another import of option chains is running; wait for it to end") from None
    return ChainImport(tuple(run.done.values()), skipped)


class _Run:
    """Reads files into the staging folder, then merges slice by slice."""

    def __init__(self, store: ChainStore, files: int, tell: Callable[[ImportProgress], None]) -> None:
        self.done: dict[Path, FileImport] = {}
        self._staged: dict[Path, StagedFile] = {}
        self._first: dict[str, Path] = {}
        self._copies: dict[Path, Path] = {}
        self._store, self._files, self._tell = store, files, tell

    def read(self, file: ChainFile) -> None:
        """Stage a file, unless it was imported before."""
        at = ImportProgress(file.path, len(self.done), self._files, rows=0, file_rows=file.rows)
        identity = _identity(file)
        record = self._store.imports / f"{identity}.json"
        known = _recorded(self._store, record, file)
        if known is None and identity in self._first:
            self._copies[file.path] = self._first[identity]
            known = replace(self.done[self._first[identity]], path=file.path, is_new=False)
        if known is None:
            self._first[identity] = file.path
            rows = 0

            def read(more: int) -> None:
                nonlocal rows
                rows += more
                self._tell(replace(at, rows=rows))

            staged = stage(file, self._store.imports / f"{PREFIX}{identity}", read=read)
            self._staged[file.path] = staged
            known = FileImport(
                file.path, file.layout.name, is_new=True, rows=staged.rows, refused=staged.refused,
                slices=tuple(f"{name}/{year}" for name, year in staged.slices), identity=identity,
            )  # fmt: skip
        self.done[file.path] = known
        self._tell(replace(at, rows=known.rows if known.is_new else 0, files_done=len(self.done)))

    def merge(self) -> None:
        """Merge each slice once, with the rows of all files; record a file as soon as its last slice is stored."""
        holders: dict[SliceName, list[Path]] = {}
        for path, staged in self._staged.items():
            for name in staged.slices:
                holders.setdefault(name, []).append(path)
        left = {path: set(staged.slices) for path, staged in self._staged.items()}
        self._record([path for path, names in left.items() if not names])
        for number, (ticker, year) in enumerate(sorted(holders)):
            paths = holders[ticker, year]
            at = ImportProgress(
                paths[0], len(self.done), self._files, rows=0, file_rows=None, slices_done=number,
                slices=len(holders), slice_name=f"{ticker}/{year}",
            )  # fmt: skip
            self._tell(at)
            pieces = [(self._staged[path].rows_of(ticker, year), self.done[path].layout) for path in paths]
            merged = self._store.merge_all(ticker, year, pieces)
            for path, counts, (rows, _) in zip(paths, merged, pieces, strict=True):
                days = rows["quote_date"].unique() if self._staged[path].is_left_over else counts.changed_sessions
                self.done[path] = _with_counts(self.done[path], counts, [f"{ticker}/{day:%Y-%m-%d}" for day in days])
                left[path].discard((ticker, year))
            self._record([path for path in paths if not left[path]])
            self._tell(replace(at, slices_done=number + 1))
        for copy, first in self._copies.items():
            self.done[copy] = replace(self.done[first], path=copy, is_new=False)

    def _record(self, paths: list[Path]) -> None:
        """Say that files are imported; from then on what is staged of them is not needed."""
        for path in paths:
            done = self.done[path]
            content = json.dumps({**asdict(done), "path": str(path)}, indent=1)
            _reported(self._store, done).unlink(missing_ok=True)
            record = self._store.imports / f"{done.identity}.json"
            replace_file(record, lambda target, text=content: target.write_text(text, encoding="utf-8"))
            self._staged[path].discard()


def unreported(store: ChainStore, imported: ChainImport) -> list[FileImport]:
    """Files of an import whose changes nobody has been told of yet: new ones, and those of an ended import."""
    return [file for file in imported.files if file.identity and not _reported(store, file).is_file()]


def mark_reported(store: ChainStore, files: Iterable[FileImport]) -> None:
    """Remember that whoever has to know of what these files changed has been told."""
    for file in files:
        _reported(store, file).touch()


def _reported(store: ChainStore, file: FileImport) -> Path:
    return store.imports / f"{file.identity}.reported"


def _with_counts(done: FileImport, counts: MergeCounts, sessions: list[str]) -> FileImport:
    """What became of a file, with one more of its slices."""
    refused = Counter(done.refused)
    refused.update(duplicate=counts.duplicate, conflicting_duplicate=counts.conflicting_duplicate)
    return replace(
        done,
        refused={reason: count for reason, count in refused.most_common() if count},
        sessions=(*done.sessions, *sorted(sessions)),
        **{name: getattr(done, name) + getattr(counts, name) for name in OUTCOMES},
    )


def _identity(file: ChainFile) -> str:
    """What must be equal for a file to count as imported: name, size, digest, and what was added to it."""
    digest = hashlib.sha256()
    with file.path.open("rb") as content:
        while piece := content.read(_READ_BYTES):
            digest.update(piece)
    closes = "" if file.closes is None else hashlib.sha256(_closes_bytes(file.closes)).hexdigest()
    parts = [file.path.name, file.path.stat().st_size, digest.hexdigest(), file.ticker, closes]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _closes_bytes(closes: pd.DataFrame) -> bytes:
    return pd.util.hash_pandas_object(closes, index=False).to_numpy().tobytes()


def _recorded(store: ChainStore, record: Path, file: ChainFile) -> FileImport | None:
    """What the record says; None where there is none, it is torn, or a slice it speaks of has been taken away."""
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
        listed = {name: tuple(known.get(name, ())) for name in ("slices", "sessions")}
        done = FileImport(**{**known, **listed, "path": file.path, "is_new": False})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    pairs = (name.rsplit("/", 1) for name in done.slices)
    return done if all(store.path(ticker, int(year)).is_file() for ticker, year in pairs) else None
