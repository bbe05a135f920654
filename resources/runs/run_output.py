"""What the process of a run prints, kept below the state folder, where the UI shows it as stdout and stderr.

Dagster's own manager starts four helper processes for each capture, to go on showing in a terminal what it keeps. A run
of the daemon has no terminal, so here its two streams are turned to the files, and nothing is started. A run that a
command executes in its own process prints to whoever gave the command, and is not kept.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from resources.runs.dagster_private import CapturedLogContext, LocalComputeLogManager
from resources.runs.process_marks import KEEPS_OUTPUT

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from resources.runs.dagster_private import ConfigurableClassData

OUTPUT_FOLDER: Final = "output"
_STREAMS: Final = (1, 2)


class RunOutput(LocalComputeLogManager):
    """Keeps what runs of the service print, one folder a run."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> RunOutput:
        """Return the manager of ``dagster.yaml``: ``base_dir`` is the state folder."""
        folder = str(Path(config_value["base_dir"]) / OUTPUT_FOLDER)
        return cls(base_dir=folder, inst_data=inst_data)

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        """Turn what this process prints to the files of a run until the block ends; of a command, nothing."""
        if KEEPS_OUTPUT not in os.environ:
            yield CapturedLogContext(log_key)
            return
        paths = [self.get_captured_local_path(log_key, ending) for ending in ("out", "err")]
        Path(paths[0]).parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as turned:
            for number, path in zip(_STREAMS, paths, strict=True):
                turned.enter_context(_turned_to(number, path))
            yield CapturedLogContext(log_key)
        Path(self.get_captured_local_path(log_key, "complete")).touch()  # by which the UI sees that nothing more comes


@contextmanager
def _turned_to(number: int, path: str) -> Iterator[None]:
    """Turn a stream of this process to the end of a file."""
    before, opened = os.dup(number), os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    _flush()
    os.dup2(opened, number)
    os.close(opened)
    try:
        yield
    finally:
        _flush()
        os.dup2(before, number)
        os.close(before)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


def remove_output(state: Path, *, before: dt.datetime) -> int:
    """Remove what runs have printed that wrote last before a moment, and return of how many runs."""
    removed = 0
    for folder in sorted((state / OUTPUT_FOLDER).glob("*/")):
        written = max((path.stat().st_mtime for path in folder.rglob("*")), default=folder.stat().st_mtime)
        if written < before.timestamp():
            shutil.rmtree(folder)
            removed += 1
    return removed
