"""One import of chain files into the store: each file once, resumable, with what became of every row.

A file is read piece by piece into a staging folder, one part a piece, ticker and year; then every slice is merged;
then the import is recorded. A process killed at any moment leaves the store whole: the record is written last, so that
file is imported again, and merging what is there already changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import pandas as pd

from resources.chain_files import ChainFile, find_chain_files, open_chain_file
from resources.chain_store import ChainStore
from resources.parquet_store import replace_file
from trading_dag.errors import SliceBusyError, UnknownTickerError
from trading_dag.options.chain import REASON, SiftedChain, sift
from trading_dag.sessions import all_sessions, last_closed_session
from trading_dag.slices import validate_ticker

LOCK_TIMEOUT_SECONDS: Final = 5.0
_STAGING: Final = "staging-"
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
    """

    path: Path
    files_done: int
    files: int
    rows: int
    file_rows: int | None


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
    progress : called after every piece and every file.

    Raises
    ------
    SourceFormatError : for a file that cannot be read; files before it are imported.
    SchemaError, StorageError, UnknownTickerError : as the store raises them.
    SliceBusyError : where another import is running.
    """
    from filelock import FileLock, Timeout

    paths, skipped = find_chain_files(path)
    folder = store.imports
    folder.mkdir(parents=True, exist_ok=True)
    done: list[FileImport] = []
    try:
        with FileLock(folder / ".lock", timeout=LOCK_TIMEOUT_SECONDS):
            for leftover in folder.glob(f"{_STAGING}*"):
                shutil.rmtree(leftover)
            for each in paths:
                file = open_chain_file(each, ticker=ticker, closes=closes)
                report = _Reporter(progress, path=each, files_done=len(done), files=len(paths), file_rows=file.rows)
                done.append(_import_file(store, file, report))
                report.finished()
    except Timeout:
        raise SliceBusyError("another import of option chains is running; wait for it to end") from None
    return ChainImport(tuple(done), skipped)


class _Reporter:
    """Counts rows of one file and tells the caller."""

    def __init__(
        self,
        progress: Callable[[ImportProgress], None] | None,
        *,
        path: Path,
        files_done: int,
        files: int,
        file_rows: int | None,
    ) -> None:
        self._tell = progress or (lambda _: None)
        self._state = (path, files_done, files, file_rows)
        self.rows = 0

    def read(self, rows: int) -> None:
        self.rows += rows
        path, files_done, files, file_rows = self._state
        self._tell(ImportProgress(path, files_done, files, self.rows, file_rows))

    def finished(self) -> None:
        path, files_done, files, file_rows = self._state
        self._tell(ImportProgress(path, files_done + 1, files, self.rows, file_rows))


def _import_file(store: ChainStore, file: ChainFile, report: _Reporter) -> FileImport:
    folder = store.imports
    identity = _identity(file)
    record = folder / f"{identity}.json"
    known = _recorded(store, record, file)
    if known is not None:
        return known
    staging = folder / f"{_STAGING}{identity}"
    refused = _stage(file, staging, report)
    totals: Counter[str] = Counter()
    slices = []
    for part_folder in sorted(staging.glob("*/*")):
        ticker, year = part_folder.parent.name, int(part_folder.name)
        fresh = pd.concat([pd.read_parquet(part) for part in sorted(part_folder.iterdir())], ignore_index=True)
        counts = asdict(store.merge(ticker, year, fresh, source=file.layout.name))
        for reason in ("duplicate", "conflicting_duplicate"):
            refused[reason] += counts.pop(reason)
        totals.update(counts)
        slices.append(f"{ticker}/{year}")
    done = FileImport(
        file.path, file.layout.name, is_new=True, rows=report.rows,
        refused={reason: count for reason, count in refused.most_common() if count}, slices=tuple(slices),
        **{name: totals[name] for name in ("appended", "restated", "completed", "unchanged")},
    )  # fmt: skip
    content = json.dumps({**asdict(done), "path": str(file.path)}, indent=1)
    replace_file(record, lambda target: target.write_text(content, encoding="utf-8"))
    shutil.rmtree(staging, ignore_errors=True)
    return done


def _stage(file: ChainFile, staging: Path, report: _Reporter) -> Counter[str]:
    """Write the file's rows by ticker and year; return the refused rows by reason."""
    refused: Counter[str] = Counter()
    staging.mkdir(parents=True)
    for number, sifted in enumerate(file.batches()):
        refused.update(str(reason) for reason in sifted.refused[REASON])
        dated = _that_can_be_stored(sifted.kept)
        refused.update(dated.counts)
        for (ticker, year), rows in _by_slice(dated.kept):
            part = staging / validate_ticker(ticker) / str(year) / f"part-{number:06d}.parquet"
            part.parent.mkdir(parents=True, exist_ok=True)
            rows.to_parquet(part, index=False)
        report.read(len(sifted.kept) + len(sifted.refused))
    return refused


def _that_can_be_stored(rows: pd.DataFrame) -> SiftedChain:
    """Without quotes of what is no ticker, of days without a session, or of sessions that are not over yet."""
    days = rows["quote_date"]
    strange = [ticker for ticker in rows["ticker"].unique() if not _is_ticker(str(ticker))]
    return sift(
        rows,
        [
            ("not_a_ticker", rows["ticker"].isin(strange).to_numpy()),
            ("future_session", (days > last_closed_session()).to_numpy()),
            ("not_a_session", ~days.isin(all_sessions()).to_numpy()),
        ],
    )


def _is_ticker(text: str) -> bool:
    try:
        validate_ticker(text)
    except UnknownTickerError:
        return False
    return True


def _by_slice(rows: pd.DataFrame) -> Iterable[tuple[tuple[str, int], pd.DataFrame]]:
    years = rows["quote_date"].dt.year
    for year in years.unique():
        of_year = rows[years == year]
        for ticker, part in of_year.groupby("ticker"):
            yield (str(ticker), int(year)), part


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
        done = FileImport(**{**known, "path": file.path, "is_new": False, "slices": tuple(known["slices"])})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    pairs = (name.rsplit("/", 1) for name in done.slices)
    return done if all(store.path(ticker, int(year)).is_file() for ticker, year in pairs) else None
