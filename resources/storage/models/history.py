"""What happened to the versions of one slice: an append-only file beside them, a line of JSON an event.

Here belongs how the file is written and read. What an event means stands in ``models.versions``; which version is in
use says the pointer ``latest`` alone. An event is written before the pointer follows it, under the lock of the slice,
so a process killed in between leaves a last event that the pointer contradicts: what it tells did not take effect.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from trading_dag.errors import StorageError
from trading_dag.models.learning.versions import ServingEvent

HISTORY: Final = "history.jsonl"
_FIELDS: Final = {entry.name for entry in fields(ServingEvent)}


def append_event(path: Path, event: ServingEvent) -> None:
    """Append an event to a record, flushed to disk; half a line that a killed process left at the end goes first."""
    line = json.dumps(asdict(event), ensure_ascii=False, allow_nan=False).encode() + b"\n"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        with os.fdopen(descriptor, "r+b", closefd=False) as handle:
            content = handle.read()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                os.ftruncate(descriptor, whole)
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_events(folder: Path) -> tuple[ServingEvent, ...]:
    """Return the events, oldest first; none where nothing was recorded. Half a line at the end is none.

    Raises
    ------
    StorageError : for a file that is unreadable, or a line that is no event.
    """
    path = folder / HISTORY
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as problem:
        raise StorageError(f"{path} is unreadable: {problem}") from problem
    lines = content[: content.rfind(b"\n") + 1].splitlines()
    return tuple(_event(path, number, line) for number, line in enumerate(lines, 1))


def _event(path: Path, number: int, line: bytes) -> ServingEvent:
    problem = f"{path}, line {number}, is no event of a model's versions"
    try:
        given: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{problem}: {error}") from error
    if not isinstance(given, dict) or set(given) != _FIELDS:
        raise StorageError(f"{problem}: expected an object of {', '.join(sorted(_FIELDS))}")
    for name in _FIELDS - {"comparison", "served_before"}:
        if not isinstance(given[name], str):
            raise StorageError(f"{problem}: {name} is no text")
    if not isinstance(given["served_before"], str | None) or not isinstance(given["comparison"], dict | None):
        raise StorageError(f"{problem}: served_before is no text, or comparison no object")
    return ServingEvent(**given)
