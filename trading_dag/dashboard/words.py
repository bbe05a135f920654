"""Data as words on a page: numbers with their unit, and texts that stay texts.

Names and headlines come from outside. Streamlit reads Markdown, plotly reads some HTML: what is shown through them
goes through ``plain`` or ``in_chart`` first.
"""

from __future__ import annotations

import html
import string
from typing import Any, Final

import pandas as pd

from trading_dag.reporting.text import number_text
from trading_dag.reporting.visible_text import visible

NONE: Final = "–"
_PUNCTUATION: Final = {ord(character): f"\\{character}" for character in string.punctuation}


def plain(value: Any) -> str:
    """Return the value as Markdown that reads as the very same text: no link, picture, formula, colour or icon."""
    return " ".join(visible(value).split()).translate(_PUNCTUATION)


def in_chart(value: Any) -> str:
    """Return the value as text of a plotly figure: no link and no tag."""
    return html.escape(visible(value), quote=True)


def usd(value: float | None, *, signed: bool = False, digits: int = 0) -> str:
    """Return an amount such as ``1,234 USD``; a dash where there is none."""
    return number_text(value, f"{{:{'+' if signed else ''},.{digits}f}} USD") if _is_known(value) else NONE


def percent(value: float | None, *, digits: int = 0, signed: bool = False) -> str:
    """Return a fraction as percent, such as ``57%``; a dash where there is none."""
    return number_text(value, f"{{:{'+' if signed else ''}.{digits}%}}") if _is_known(value) else NONE


def day(value: Any) -> str:
    """Return a date in ISO form; a dash where there is none."""
    return NONE if value is None or pd.isna(value) else f"{pd.Timestamp(value):%Y-%m-%d}"


def named(value: Any) -> str:
    """Return the name of a structure, a rule or a model with spaces; a dash where there is none."""
    return NONE if value is None or pd.isna(value) else str(value).replace("_", " ")


def _is_known(value: float | None) -> bool:
    return value is not None and not pd.isna(value)
