"""Where a training under way keeps its state: one file a name in a folder of its own, replaced in one step."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

_PARTIAL: Final = ".partial-"


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
