"""Whether a kind of data is available from a source, as ``doctor`` prints it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SourceStatus:
    """Tells whether one kind of data is available, for ``doctor``.

    Attributes
    ----------
    kind : table name, such as ``macro``.
    state : ``on``; ``off`` where the source does not offer it, or it is optional and not switched on; ``missing`` where
        data that everything rests on are not there; ``wrong`` where what is there cannot be read. ``doctor`` fails on
        the last two.
    detail : what is read from where; never a key.
    remedy : what the user can do, empty where there is nothing to do.
    """

    kind: str
    state: Literal["on", "off", "missing", "wrong"]
    detail: str
    remedy: str = ""
