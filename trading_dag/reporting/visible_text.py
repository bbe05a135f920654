"""Data as text on a terminal: nothing in it can act as a terminal command, a colour or a picture."""

from __future__ import annotations

import unicodedata
from typing import Any


def visible(value: Any, *, keep: str = "") -> str:
    r"""Return the value as text in which control characters, also those that reorder text, are shown, as ``\x1b`` is.

    Parameters
    ----------
    keep : characters that stay as they are, such as a line's end in a text of the project's own.
    """
    text = str(value)
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in keep or _is_space(character) else _escaped(character)
        for character in text
    )


def _is_space(character: str) -> bool:
    return unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
