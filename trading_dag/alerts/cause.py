"""A cause of an alert: what is the case, or what has happened, with the words that tell it.

How it came about is decided in the module of its kind; when it is told, in ``book``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trading_dag.alert_settings import AlertKind
from trading_dag.reporting.visible_text import visible

LONGEST_TITLE: Final = 150
LONGEST_LINE: Final = 400
MOST_LINES: Final = 60
# What happened once (a signal, an order) cannot end; everything else lasts until it is over.
EVENT_KINDS: Final[frozenset[AlertKind]] = frozenset({"signal", "cannot_signal", "paper_order"})


@dataclass(frozen=True)
class Cause:
    """Holds one cause.

    Attributes
    ----------
    kind, key : what it is; two causes with the same kind and key are one.
    title : one line, for the subject of a mail.
    lines : the message, line by line. Whatever others wrote in it is made harmless here.
    path : of the page of the UI that shows it, such as ``/assets/raw/prices_daily``; None for none.
    """

    kind: AlertKind
    key: str
    title: str
    lines: tuple[str, ...] = ()
    path: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", one_line(self.title, longest=LONGEST_TITLE))
        kept = [one_line(line, longest=LONGEST_LINE) for line in self.lines[:MOST_LINES]]
        more = len(self.lines) - len(kept)
        object.__setattr__(self, "lines", (*kept, *([f"… and {more} more lines"] if more else [])))

    @property
    def name(self) -> str:
        """Return the kind and the key as one text, by which the book knows the cause."""
        return f"{self.kind}|{self.key}"

    @property
    def is_event(self) -> bool:
        """Return whether it is something that happened once, and cannot end."""
        return self.kind in EVENT_KINDS


def one_line(text: str, *, longest: int) -> str:
    """Return a text as one line that cannot act as anything else: no line breaks, no control characters, not longer."""
    line = visible(" ".join(str(text).split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
