"""How the short tables of the command line look: title, heads, numbers as text. ``tables`` decides what they show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from trading_dag.reporting.visible_text import visible
from trading_dag.simulation.simulation_settings import NO_MARKET_DATA, is_simulated

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


def days_or_values(column: pd.Series) -> list[Any]:
    """Return the values of a column; days where none of its moments has an hour, as DuckDB's DATE comes to pandas."""
    if not pd.api.types.is_datetime64_dtype(column):
        return column.to_list()
    known = column.dropna()
    return (column.dt.date if (known == known.dt.normalize()).all() else column).to_list()


def cell_text(value: Any) -> str:
    """Return the value of a cell as text that a terminal can show; a dash for a missing one."""
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else visible(value)


def titled(title: str, source: str | None) -> str:
    """Return a picture's title, which says so if the picture shows simulated data."""
    return f"{title} ({NO_MARKET_DATA})" if is_simulated(source) else title
