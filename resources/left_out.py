"""Records of a vendor that were left out: how many, why and where, said in the log and carried by the frame.

One bad record costs itself and no other, so somebody has to count it. The sentence made here is the attribute
``LEFT_OUT`` of the frame and becomes metadata of the slice. Which record is bad is decided by each client.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import pandas as pd

# Attribute of a frame, and name of the metadata.
LEFT_OUT: Final = "left_out"
_REASONS_SHOWN: Final = 5
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BadRecord:
    """Describes a record that cannot be used: its place in the answer, and why."""

    place: str
    reason: str


class LeftOut:
    """Counts what is left out of one frame.

    Parameters
    ----------
    source : the vendor.
    what : what the records are, in the plural, such as ``articles about SPY``.
    """

    def __init__(self, source: str, what: str) -> None:
        self._source = source
        self._what = what
        self._records: list[BadRecord] = []

    def add(self, records: Iterable[BadRecord]) -> None:
        """Count some more."""
        self._records += records

    def __str__(self) -> str:
        if not self._records:
            return ""
        counts = Counter(record.reason for record in self._records)
        first = {record.reason: record.place for record in reversed(self._records)}
        reasons = [f"{reason} ({count}, first: {first[reason]})" for reason, count in counts.most_common()]
        more = [f"and {len(reasons) - _REASONS_SHOWN} more reasons"] if len(reasons) > _REASONS_SHOWN else []
        text = "; ".join([*reasons[:_REASONS_SHOWN], *more])
        return f"{len(self._records)} {self._what} were left out: {text}"

    def noted_on(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame with the count as its attribute, and say it in the log."""
        if self._records:
            _logger.warning("%s: %s", self._source, self)
            frame.attrs[LEFT_OUT] = with_note(frame.attrs.get(LEFT_OUT), str(self))
        return frame


def with_note(*notes: object) -> str:
    """Return several sentences about what was left out as one text, each once and on a line of its own."""
    return "\n".join(dict.fromkeys(str(note) for note in notes if note))


def joined(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return frames below one another, with what was left out of any; those without rows give only their note."""
    frames = list(parts)
    whole = pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)
    whole.attrs = {}
    note = with_note(*(frame.attrs.get(LEFT_OUT) for frame in frames))
    if note:
        whole.attrs[LEFT_OUT] = note
    return whole
