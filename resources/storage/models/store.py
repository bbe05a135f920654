"""Where fitted models live: immutable versions on disk, without pickle, and a pointer to the latest.

Where versions lie, how they are made and which one is in use belongs here; what the files of
one version hold stands in ``models.files``. Layout::

    <root>/direction_classifier/ticker=SPY/horizon=24h/
        latest                                   name of the version in use
        history.jsonl                            which version came when, whether it serves, and why
        20241231T213000123456Z-1a2b3c4d/         one immutable version
    <root>/spread_trunk/ticker=SPY/              a model of all horizons of a ticker: horizon ""

A version is written under a temporary name, flushed, and renamed; then the event is recorded, and ``latest`` is
replaced where the version is to serve. A process killed at any moment leaves the previous latest version usable; what
it left half written is ignored and swept away by the next save.
"""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from uuid import uuid4

from filelock import FileLock, Timeout

from resources.storage.durable import flush_folder
from resources.storage.models.files import SPEC_FILE, read_inputs, read_model, write_model
from resources.storage.models.history import HISTORY, append_event
from resources.storage.objects.working_copy import HomeFiles, files_of
from trading_dag.errors import ConfigurationError, ModelNotFoundError, SliceBusyError, StorageError
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.learning.versions import ServingEvent
from trading_dag.slices import horizon_of, validate_ticker

LATEST: Final = "latest"
LOCK_TIMEOUT_SECONDS: Final = 600.0
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_VERSION: Final = re.compile(r"\d{8}T\d{12}Z-[0-9a-f]{8}")
_PARTIAL: Final = ".partial-"


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class ModelStore:
    """Keeps versions of fitted models below one folder.

    Attributes
    ----------
    root : the folder; made when the first model is saved.
    clock : returns the UTC time after which a version is named.
    """

    root: Path
    clock: Callable[[], dt.datetime] = _utc_now

    def save(
        self,
        fitted: FittedModel,
        *,
        make_latest: bool = True,
        version: str | None = None,
        decision: Mapping[str, Any] | None = None,
        champion: str | None = None,
    ) -> str:
        """Store a new immutable version.

        Parameters
        ----------
        version : from ``new_version``; by default made now.
        make_latest : whether it becomes the version in use; a challenger waits for ``promote``.
        decision : why it serves or does not, as ``validation.gates.champion`` records it; None leaves no record.
        champion : the version in use that the decision was made about.

        Returns
        -------
        The version: UTC time, and the first 8 digits of the content hash.

        Raises
        ------
        StorageError : where the model has a name or slice that may not stand in a path, or where another version than
            ``champion`` came into use while it was decided; the new one is kept and does not serve.
        SliceBusyError : where another process keeps saving the same slice.
        """
        at = {"ticker": fitted.ticker, "horizon": fitted.horizon}
        folder = self.folder(fitted.name, **at)
        folder.mkdir(parents=True, exist_ok=True)
        files = self.home_files
        with self._locked(folder, f"{fitted.name} of {fitted.ticker} {fitted.horizon}", timeout=LOCK_TIMEOUT_SECONDS):
            _sweep(folder)
            version = version or new_version(fitted, at=self.clock())
            files.refresh_folder(folder)
            if not (folder / version / SPEC_FILE).exists():
                partial = folder / f"{_PARTIAL}{uuid4().hex}"
                partial.mkdir()
                write_model(fitted, partial)
                flush_folder(partial)
                files.put_folder(partial, folder / version, last=SPEC_FILE)
                flush_folder(folder)
            if decision is not None:
                serves = self.version_in_use(fitted.name, **at)
                if serves != champion:
                    raise StorageError(
                        f"{fitted.name} of {fitted.ticker} {fitted.horizon}: {serves} came into use while {version} "
                        "was held against another version; it is stored and does not serve. Train again"
                    )
                self._record(folder, "fitted", version, champion, decision, takes_over=make_latest)
            if make_latest:
                self._point(folder, version)
        return version

    def promote(
        self,
        name: str,
        *,
        ticker: str,
        horizon: str,
        version: str,
        reason: str = "",
        event: Literal["promoted", "rolled_back"] = "promoted",
    ) -> None:
        """Make an existing version the one in use, and record it; it may be newer or older than the present one.

        Raises
        ------
        ModelNotFoundError : where there is no such version.
        UntrustedModelError : where a file of it differs from what was saved; what is in use stays.
        SliceBusyError : where another process is saving the same slice.
        """
        folder = self.folder(name, ticker=ticker, horizon=horizon)
        self.load(name, ticker=ticker, horizon=horizon, version=version)
        with self._locked(folder, f"{name} of {ticker} {horizon}", timeout=0):
            if version not in self.versions(name, ticker=ticker, horizon=horizon):
                raise ModelNotFoundError(f"{name} of {ticker} {horizon} has no version {version}")
            before = self.version_in_use(name, ticker=ticker, horizon=horizon)
            self._record(folder, event, version, before, {"kind": "person", "reason": reason}, takes_over=True)
            self._point(folder, version)

    def load(self, name: str, *, ticker: str, horizon: str, version: str | None = LATEST) -> FittedModel:
        """Return a stored model that predicts exactly as it did when it was saved.

        Parameters
        ----------
        version : a version, or ``latest``. None (which ``latest_version`` returns if there is no version) is not found.

        Raises
        ------
        ModelNotFoundError : where the model or the version does not exist.
        UntrustedModelError : where a file differs from its spec or holds a type that is not allowed.
        StorageError : where a file is unreadable.
        """
        chosen = self.latest_version(name, ticker=ticker, horizon=horizon) if version == LATEST else version
        if chosen is None:
            raise ModelNotFoundError(f"{name} of {ticker} {horizon} was never fitted; `trading-dag train` fits it")
        folder = self._refreshed(name, ticker=ticker, horizon=horizon)
        if not _VERSION.fullmatch(chosen) or not (folder / chosen / SPEC_FILE).is_file():
            raise ModelNotFoundError(f"{name} of {ticker} {horizon} has no version {chosen!r}")
        fitted = read_model(folder / chosen)
        if (fitted.name, fitted.ticker, fitted.horizon) != (name, ticker, horizon):
            raise StorageError(f"{folder / chosen} holds {fitted.name} of {fitted.ticker} {fitted.horizon}")
        return fitted

    def versions(self, name: str, *, ticker: str, horizon: str) -> tuple[str, ...]:
        """Return every complete version, oldest first; an empty tuple where the model was never fitted."""
        folder = self._refreshed(name, ticker=ticker, horizon=horizon)
        if not folder.is_dir():
            return ()
        return tuple(sorted(path.name for path in folder.iterdir() if _is_version(path)))

    def latest_version(self, name: str, *, ticker: str, horizon: str) -> str | None:
        """Return the version in use; None where the model was never fitted.

        Raises
        ------
        StorageError : where the pointer names no version that exists.
        """
        pointer = self._refreshed(name, ticker=ticker, horizon=horizon) / LATEST
        try:
            version = pointer.read_bytes().decode(errors="backslashreplace").strip()
        except FileNotFoundError:
            return None
        if not _is_version(pointer.parent / version):
            raise StorageError(
                f"{pointer} names {version[:80]!r}, which does not exist; `trading-dag train --tickers {ticker} "
                f"--horizons {horizon}` fits and names a new one"
            )
        return version

    def version_in_use(self, name: str, *, ticker: str, horizon: str) -> str | None:
        """Return the version in use; None also where the pointer names none that exists, which a new one mends."""
        pointer = self._refreshed(name, ticker=ticker, horizon=horizon) / LATEST
        text = pointer.read_bytes().decode(errors="backslashreplace").strip() if pointer.is_file() else ""
        return text if _is_version(pointer.parent / text) else None

    def inputs(self, name: str, *, ticker: str, horizon: str) -> dict[str, str] | None:
        """Return the content hash of each input of the version in use; None where the model was never fitted."""
        version = self.latest_version(name, ticker=ticker, horizon=horizon)
        if version is None:
            return None
        return read_inputs(self.folder(name, ticker=ticker, horizon=horizon) / version)

    def slices(self) -> list[tuple[str, str, str]]:
        """Return name, ticker and horizon of everything that was ever fitted, sorted; folders of other names are left
        out. The horizon is empty where a model is of all horizons of a ticker."""
        slices = []
        self.home_files.refresh_folder(self.root)
        of_horizons = [
            (*folder.parts[-3:-1], folder.parts[-1][8:]) for folder in self.root.glob("*/ticker=*/horizon=*")
        ]
        of_tickers = [(*pointer.parts[-3:-1], "") for pointer in self.root.glob(f"*/ticker=*/{LATEST}")]
        for name, folder, horizon in of_horizons + of_tickers:
            ticker = folder[len("ticker=") :]
            try:
                self.folder(name, ticker=ticker, horizon=horizon)
            except (StorageError, ConfigurationError):
                continue
            slices.append((name, ticker, horizon))
        return sorted(slices)

    def size(self, name: str, *, ticker: str, horizon: str, version: str) -> int:
        """Return the bytes of a version's files."""
        folder = self.folder(name, ticker=ticker, horizon=horizon) / version
        return sum(path.stat().st_size for path in folder.iterdir() if not path.name.startswith("."))

    def latest_changed_at(self, name: str, *, ticker: str, horizon: str) -> dt.datetime | None:
        """Return the UTC time at which the version in use last changed; None where there never was one."""
        pointer = self._refreshed(name, ticker=ticker, horizon=horizon) / LATEST
        return dt.datetime.fromtimestamp(pointer.stat().st_mtime, dt.UTC) if pointer.is_file() else None

    def remove(self, name: str, *, ticker: str, horizon: str, version: str) -> None:
        """Remove a version that is not in use: it disappears at once, then its files are deleted one by one.

        Raises
        ------
        ModelNotFoundError : where there is no such version.
        StorageError : for the version in use.
        SliceBusyError : where another process is saving the same slice.
        """
        folder = self.folder(name, ticker=ticker, horizon=horizon)
        with self._locked(folder, f"{name} of {ticker} {horizon}", timeout=0):
            if version not in self.versions(name, ticker=ticker, horizon=horizon):
                raise ModelNotFoundError(f"{name} of {ticker} {horizon} has no version {version}")
            if version == self.latest_version(name, ticker=ticker, horizon=horizon):
                raise StorageError(f"{name} of {ticker} {horizon}: version {version} is the one in use")
            self.home_files.withdraw(folder / version, first=SPEC_FILE)
            (folder / version).rename(folder / f"{_PARTIAL}{uuid4().hex}")
            flush_folder(folder)
            _sweep(folder)

    def _record(
        self,
        folder: Path,
        event: str,
        version: str,
        before: str | None,
        decision: Mapping[str, Any],
        *,
        takes_over: bool,
    ) -> None:
        """Append what is about to take effect; the slice is locked."""
        entry = ServingEvent(
            at=f"{self.clock():%Y-%m-%dT%H:%M:%S.%fZ}",
            event=event,
            version=version,
            serves=version if takes_over or before is None else before,
            served_before=before,
            kind=str(decision["kind"]),
            reason=str(decision["reason"]),
            comparison=decision.get("comparison"),
        )
        self.home_files.change(folder / HISTORY, lambda path: append_event(path, entry))

    def _point(self, folder: Path, version: str) -> None:
        """Replace the pointer in one step."""
        self.home_files.replace(folder / LATEST, lambda path: path.write_text(f"{version}\n", encoding="utf-8"))

    @property
    def home_files(self) -> HomeFiles:
        """Return how the files are kept: in the folder alone, or as copies of objects."""
        return files_of(self.root.parent)

    def _refreshed(self, name: str, *, ticker: str, horizon: str) -> Path:
        """Return the folder of a slice's versions, brought up to date."""
        folder = self.folder(name, ticker=ticker, horizon=horizon)
        self.home_files.refresh_folder(folder)
        return folder

    @contextmanager
    def _locked(self, folder: Path, what: str, *, timeout: float) -> Iterator[None]:
        """Hold the lock of a slice's versions.

        Raises
        ------
        SliceBusyError : where another process holds it for longer.
        """
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=timeout)
        except Timeout:
            raise SliceBusyError(f"{what} is being saved elsewhere") from None
        try:
            yield
        finally:
            lock.release()

    def folder(self, name: str, *, ticker: str, horizon: str) -> Path:
        """Return where the versions of one slice lie; every part is checked before it becomes a path.

        Raises
        ------
        StorageError : for a name that may not stand in a path.
        UnknownTickerError, UnknownHorizonError : for such a slice.
        """
        if not _NAME.fullmatch(name):
            raise StorageError(f"{name!r} is no model name: expected small letters, digits and underscores")
        of_ticker = self.root / name / f"ticker={validate_ticker(ticker)}"
        return of_ticker / f"horizon={horizon_of(horizon).key}" if horizon else of_ticker


def new_version(fitted: FittedModel, *, at: dt.datetime | None = None) -> str:
    """Return the version of a model fitted at a moment, by default now: UTC time, and the name that forecasts use for
    it."""
    return f"{at or _utc_now():%Y%m%dT%H%M%S%fZ}-{fitted.model_version}"


def _sweep(folder: Path) -> None:
    """Remove what a killed save left behind. The slice is locked, so nobody is writing there."""
    for leftover in folder.glob(f"{_PARTIAL}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def _is_version(folder: Path) -> bool:
    """Return whether a folder is a complete version: its spec was written last."""
    return bool(_VERSION.fullmatch(folder.name)) and (folder / SPEC_FILE).is_file()
