"""Where a training under way keeps its state: one file a name in a folder of its own, replaced in one step."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from trading_dag.settings import Settings
from trading_dag.slices import validate_ticker

_PARTIAL: Final = ".partial-"
FORMAT: Final = 1


@dataclass(frozen=True)
class FolderCheckpoints:
    """Keeps what a training saves after each epoch, so that one that was killed goes on.

    Attributes
    ----------
    folder : of this training and no other; made when the first checkpoint is saved.
    """

    folder: Path

    def load(self, name: str) -> bytes | None:
        """Return what was saved last under a name; None where nothing was."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def save(self, name: str, content: bytes) -> None:
        """Replace what is kept under a name: a reader, or whoever comes after a kill, sees the old one or the new."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"{_PARTIAL}{uuid4().hex}"
        with partial.open("wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        partial.replace(self.folder / name)

    def remove(self) -> None:
        """Remove everything that was kept."""
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def checkpoints_of(
    home: Path, model: str, *, ticker: str, inputs: dict[str, str], settings: Settings
) -> Iterator[FolderCheckpoints]:
    """Yield the checkpoints of one training; they are removed when it is done, and stay where it fails or is killed.

    Parameters
    ----------
    home, model, ticker : whose training it is.
    inputs, settings : content hashes of what is learnt from, and how. Checkpoints of a training on other data or with
        other settings are not gone on with; they are removed.
    """
    decisive = settings.model_dump(mode="json", include={"walk_forward", "deep", "training", "features"})
    told = json.dumps([inputs, decisive, FORMAT], sort_keys=True)
    folder = home / "training" / model / f"ticker={validate_ticker(ticker)}"
    own = folder / hashlib.sha256(told.encode()).hexdigest()[:16]
    for other in folder.iterdir() if folder.is_dir() else ():
        if other != own:
            FolderCheckpoints(other).remove()
    checkpoints = FolderCheckpoints(own)
    yield checkpoints
    checkpoints.remove()
