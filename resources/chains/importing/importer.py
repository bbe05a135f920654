"""One import of chain files into the store: each file once, resumable, with what became of every row.

Every file is read piece by piece into the staging folder; then every slice is merged once, with the rows of all files.
A session that would break a blocking rule as it would be stored is not stored. A file is recorded as soon as its last
slice is stored, where something of it is and none of its sessions was refused; any other is read again by the next
import. A process killed at any moment leaves the store whole: files that were read whole are not read again, slices
that were merged are merged again, which changes nothing, and a record is only ever written of what is stored.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import pandas as pd

from resources.chains.importing.files import ChainFile, find_chain_files, open_chain_file
from resources.chains.importing.layouts import ticker_in_name
from resources.chains.importing.staging import LINE, PREFIX, SliceName, StagedFile, stage, sweep
from resources.chains.merge import OUTCOMES, MergeCounts
from resources.chains.store import ChainStore
from resources.chains.verdicts import ChainJudge, SessionWarning
from resources.storage.slices.format import replace_file
from resources.text_files.columns import Remark, merged_remarks
from resources.text_files.values import DateOrder
from trading_dag.errors import SliceBusyError, SourceError
from trading_dag.options.chains.rows import repeated_rows
from trading_dag.sessions import last_closed_session
from trading_dag.slices import validate_ticker

LOCK_TIMEOUT_SECONDS: Final = 5.0
FAILED_CHECK: Final = "failed_check"
_READ_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class ImportProgress:
    """Tells how far an import is.

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
    """Tells what became of one file.

    Attributes
    ----------
    path, layout : what was read, as what.
    is_new : False where the file, by name, size and digest, was imported before; the numbers are then those of that
        time.
    rows : contract rows read.
    refused : rows not stored, by reason.
    left_out : what was left out or assumed, with column, line, value and number of the first.
    refused_sessions : ``SPY/2015-01-05`` of every session that was not stored, and each blocking rule that it breaks.
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
    left_out: tuple[Remark, ...] = ()
    refused_sessions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    appended: int = 0
    restated: int = 0
    completed: int = 0
    unchanged: int = 0
    slices: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    identity: str = ""

    @property
    def stored(self) -> int:
        """Return how many rows of the file are stored."""
        return self.appended + self.restated + self.completed + self.unchanged

    @property
    def is_imported(self) -> bool:
        """Return whether something of the file is stored and none of its sessions was refused."""
        return self.stored > 0 and not self.refused_sessions

    @property
    def state(self) -> Literal["imported", "imported before", "imported in part", "nothing stored"]:
        """Return what became of the file, in words."""
        if not self.stored:
            return "nothing stored"
        if self.refused_sessions:
            return "imported in part"
        return "imported" if self.is_new else "imported before"


@dataclass(frozen=True)
class ChainImport:
    """Tells what became of an import.

    Attributes
    ----------
    files : one a chain file, in order.
    skipped : data files that hold no chain, and why.
    failed : chain files that could not be read, and why.
    warnings : rules that only warn, broken by stored sessions.
    """

    files: tuple[FileImport, ...]
    skipped: dict[Path, str]
    failed: dict[Path, str] = field(default_factory=dict)
    warnings: tuple[SessionWarning, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Return whether every file was read, something of each is stored, and no session was refused."""
        return not self.failed and all(file.is_imported for file in self.files)

    @property
    def tickers(self) -> list[str]:
        """Return the underlyings for which the import has stored sessions, sorted."""
        return sorted({name.split("/")[0] for file in self.files if file.stored for name in file.slices})


def import_chains(
    store: ChainStore,
    path: Path,
    *,
    ticker: str | None = None,
    closes: pd.DataFrame | None = None,
    date_order: DateOrder | None = None,
    progress: Callable[[ImportProgress], None] | None = None,
) -> ChainImport:
    """Import a file, or every chain file of a folder.

    Parameters
    ----------
    path, closes, date_order : as ``find_chain_files`` and ``open_chain_file`` take them.
    ticker : the underlying where neither a column nor the file's name says it.
    progress : called after every piece and every file, and before and after every slice.

    Raises
    ------
    SourceFormatError : for a single file that cannot be read, or whose name says another ticker. In a folder such a
        file is among ``failed``, and the others are imported.
    StorageError, UnknownTickerError : as the store raises them.
    SliceBusyError : where another import is running.
    """
    from filelock import FileLock, Timeout

    asked = None if ticker is None else validate_ticker(ticker)
    paths, skipped = find_chain_files(path)
    store.imports.mkdir(parents=True, exist_ok=True)
    judge = ChainJudge(last_closed_session())
    failed: dict[Path, str] = {}
    try:
        with FileLock(store.imports / ".lock", timeout=LOCK_TIMEOUT_SECONDS):
            sweep(store.imports, also_whole=False)
            run = _Run(store, len(paths), progress or (lambda _: None), judge)
            for each in paths:
                own = asked if path.is_file() or ticker_in_name(each) is None else None
                try:
                    run.read(open_chain_file(each, ticker=own, closes=closes, date_order=date_order))
                except SourceError as error:
                    if path.is_file():
                        raise
                    failed[each] = error.problem
            run.merge()
            sweep(store.imports, also_whole=True)
    except Timeout:
        raise SliceBusyError("another import of option chains is running; wait for it to end") from None
    return ChainImport(tuple(run.done.values()), skipped, failed, judge.warnings)


class _Run:
    """Reads files into the staging folder, then merges slice by slice."""

    def __init__(
        self, store: ChainStore, files: int, tell: Callable[[ImportProgress], None], judge: ChainJudge
    ) -> None:
        self.done: dict[Path, FileImport] = {}
        self._staged: dict[Path, StagedFile] = {}
        self._first: dict[str, Path] = {}
        self._copies: dict[Path, Path] = {}
        self._store, self._files, self._tell, self._judge = store, files, tell, judge

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
                left_out=staged.left_out, slices=tuple(f"{name}/{year}" for name, year in staged.slices),
                identity=identity,
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
            merged = self._store.merge_all(ticker, year, pieces, judge=self._judge)
            for path, counts, (rows, _) in zip(paths, merged, pieces, strict=True):
                days = rows["quote_date"].unique() if self._staged[path].is_left_over else counts.changed_sessions
                self.done[path] = _with_counts(self.done[path], counts, rows, ticker=ticker, days=days)
                left[path].discard((ticker, year))
            self._record([path for path in paths if not left[path]])
            self._tell(replace(at, slices_done=number + 1))
        for copy, first in self._copies.items():
            self.done[copy] = replace(self.done[first], path=copy, is_new=False)

    def _record(self, paths: list[Path]) -> None:
        """Say that files are imported; from then on what is staged of them is not needed."""
        for path in paths:
            done = self.done[path]
            _reported(self._store, done).unlink(missing_ok=True)
            if done.is_imported:
                content = json.dumps({**asdict(done), "path": str(path)}, indent=1)
                record = self._store.imports / f"{done.identity}.json"
                replace_file(record, lambda target, text=content: target.write_text(text, encoding="utf-8"))
            self._staged[path].discard()


def unreported(store: ChainStore, imported: ChainImport) -> list[FileImport]:
    """Return the files whose changes nobody has been told of yet: new ones, and those of an ended import."""
    return [file for file in imported.files if file.identity and not _reported(store, file).is_file()]


def mark_reported(store: ChainStore, files: Iterable[FileImport]) -> None:
    """Remember that whoever has to know of what these files changed has been told."""
    for file in files:
        _reported(store, file).touch()


def _reported(store: ChainStore, file: FileImport) -> Path:
    return store.imports / f"{file.identity}.reported"


def _with_counts(
    done: FileImport, counts: MergeCounts, rows: pd.DataFrame, *, ticker: str, days: Iterable[pd.Timestamp]
) -> FileImport:
    """Return what became of a file, with one more of its slices, whose staged rows these are."""
    refused = Counter(done.refused)
    taken_out = {
        "duplicate": counts.duplicate,
        "conflicting_duplicate": counts.conflicting_duplicate,
        FAILED_CHECK: counts.failed_check,
    }
    refused.update(taken_out)
    not_stored = {f"{ticker}/{day:%Y-%m-%d}": rules for day, rules in counts.refused_sessions.items()}
    return replace(
        done,
        refused={reason: count for reason, count in refused.most_common() if count},
        left_out=merged_remarks((*done.left_out, *_repeated(rows, counts))),
        refused_sessions={**done.refused_sessions, **not_stored},
        sessions=(*done.sessions, *sorted(f"{ticker}/{day:%Y-%m-%d}" for day in days)),
        **{name: getattr(done, name) + getattr(counts, name) for name in OUTCOMES},
    )


def _repeated(rows: pd.DataFrame, counts: MergeCounts) -> Iterator[Remark]:
    """Return where the first rows of repeated keys stand, if there are any."""
    if not counts.duplicate + counts.conflicting_duplicate:
        return
    for reason, mask in zip(("duplicate", "conflicting_duplicate"), repeated_rows(rows), strict=True):
        if mask.any():
            first = rows[mask].iloc[0]
            contract = f"{first['expiration']:%Y-%m-%d} {first['strike']:g} {first['option_right']}"
            yield Remark(reason, int(mask.sum()), int(first[LINE]), contract, detail="of one contract and quote date")


def _identity(file: ChainFile) -> str:
    """Return what must be equal for a file to count as imported: name, size, digest, and what was added to it."""
    digest = hashlib.sha256()
    with file.path.open("rb") as content:
        while piece := content.read(_READ_BYTES):
            digest.update(piece)
    closes = "" if file.closes is None else hashlib.sha256(_closes_bytes(file.closes)).hexdigest()
    parts = [file.path.name, file.path.stat().st_size, digest.hexdigest(), file.ticker, closes]
    if file.date_order is not None:
        parts.append(file.date_order)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _closes_bytes(closes: pd.DataFrame) -> bytes:
    return pd.util.hash_pandas_object(closes, index=False).to_numpy().tobytes()


def _recorded(store: ChainStore, record: Path, file: ChainFile) -> FileImport | None:
    """Return what the record says; None where there is none, it is torn, or a slice it speaks of has been taken
    away.
    """
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
        listed: dict[str, tuple[Any, ...]] = {name: tuple(known.get(name, ())) for name in ("slices", "sessions")}
        listed["left_out"] = tuple(Remark(**remark) for remark in known["left_out"])
        done = FileImport(**{**known, **listed, "path": file.path, "is_new": False})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    pairs = (name.rsplit("/", 1) for name in done.slices)
    return done if all(int(year) in store.years(ticker) for ticker, year in pairs) else None
