"""Whether a kind of data can be had from a source, as ``doctor`` prints it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SourceStatus:
    """Whether one kind of data can be had, for ``doctor``.

    Attributes
    ----------
    kind : table name, such as ``macro``.
    state : ``on``; ``off`` where the source does not offer it, or nobody has switched this extra on; ``missing`` where
        what everything rests on could be had; ``wrong`` where what is there cannot be read. ``doctor`` fails on
        the last two.
    detail : what is read from where, without keys.
    remedy : what the user can do, empty where there is nothing to do.
    """

    kind: str
    state: Literal["on", "off", "missing", "wrong"]
    detail: str
    remedy: str = ""
