"""Answers of vendors on disk: one file per request, written by rename, read while it is young.

What may be kept is decided by the caller, who has checked it first. Files hold the request (without secrets),
the moment and the body as it came; nothing in them is ever executed.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from time import time
from typing import Final

_SUFFIX: Final = ".answer"
_UNFINISHED: Final = ".tmp"


class ResponseCache:
    """Bodies by request.

    Parameters
    ----------
    folder : where the files lie.
    maximum_age_seconds : age at which an answer is no longer used; 0 keeps nothing.
    clock : seconds since the epoch.
    """

    def __init__(self, folder: Path, *, maximum_age_seconds: float, clock: Callable[[], float] = time) -> None:
        self._folder = folder
        self._maximum_age = maximum_age_seconds
        self._clock = clock

    def get(self, key: str) -> bytes | None:
        """The body that was kept for a request, None where there is none or it is too old."""
        if not self._maximum_age:
            return None
        try:
            head, _, body = self._path(key).read_bytes().partition(b"\n")
            kept = json.loads(head)
        except (FileNotFoundError, ValueError):
            return None
        is_young = kept.get("request") == key and 0 <= self._clock() - kept.get("fetched_at", 0) < self._maximum_age
        return body if is_young else None

    def put(self, key: str, body: bytes) -> None:
        """Keep a body, and remove those that are too old to be used."""
        if not self._maximum_age:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        head = json.dumps({"request": key, "fetched_at": self._clock()}).encode()
        descriptor, name = tempfile.mkstemp(dir=self._folder, suffix=_UNFINISHED)
        with os.fdopen(descriptor, "wb") as file:
            file.write(head + b"\n" + body)
        Path(name).replace(self._path(key))
        self._remove_old()

    def _remove_old(self) -> None:
        oldest = time() - max(self._maximum_age, 1.0)
        for path in self._folder.iterdir():
            try:
                if path.suffix in (_SUFFIX, _UNFINISHED) and path.stat().st_mtime < oldest:
                    path.unlink()
            except FileNotFoundError:
                continue

    def _path(self, key: str) -> Path:
        return self._folder / f"{sha256(key.encode()).hexdigest()}{_SUFFIX}"
