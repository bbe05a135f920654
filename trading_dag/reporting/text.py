"""How the short tables of the command line look: title, heads, numbers as text. ``tables`` decides what they show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from rich.table import Table


def new_table(title: str, columns: tuple[str, ...]) -> Table:
    """Return a table without rows."""
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", caption_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column)
    return table


def number_text(value: Any, form: str) -> str:
    """Return the number in that form, such as ``{:+.2f}``; a dash for a missing one."""
    return "–" if pd.isna(value) else form.format(value)
