"""Answers of vendors on disk: one file per request, written by rename, read while it is young.

What may be kept is decided by the caller, who has checked it first. Files hold the request (without secrets), the
moment, the body as it came and its digest, so that a torn or altered file is no answer; nothing in them is ever
executed. A cache that cannot be read or written costs a request and no data: the log says so.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from time import time
from typing import Final

_SUFFIX: Final = ".answer"
_UNFINISHED: Final = ".tmp"
_logger = logging.getLogger(__name__)


class ResponseCache:
    """Stores bodies by request.

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
        """Return the body that was kept for a request, None where there is none, or it is too old or damaged."""
        if not self._maximum_age:
            return None
        try:
            head, _, body = self._path(key).read_bytes().partition(b"\n")
            entry = json.loads(head)
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(entry, dict) or entry.get("request") != key or entry.get("sha256") != _digest(body):
            return None
        fetched_at = entry.get("fetched_at")
        is_young = isinstance(fetched_at, float) and 0.0 <= self._clock() - fetched_at < self._maximum_age
        return body if is_young else None

    def put(self, key: str, body: bytes) -> None:
        """Keep a body, and remove those that are too old to be used."""
        if not self._maximum_age:
            return
        head = json.dumps({"request": key, "fetched_at": float(self._clock()), "sha256": _digest(body)}).encode()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self._folder, suffix=_UNFINISHED)
            with os.fdopen(descriptor, "wb") as file:
                file.write(head + b"\n" + body)
            Path(name).replace(self._path(key))
            self._remove_old()
        except OSError as error:
            _logger.warning("an answer is not kept in %s: %s", self._folder, error.strerror or type(error).__name__)

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


def _digest(body: bytes) -> str:
    return sha256(body).hexdigest()
