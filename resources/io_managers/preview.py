"""The first and last rows of a stored table, as the UI shows them."""

from __future__ import annotations

from typing import Any, Final

import dagster as dg
import pandas as pd

from trading_dag.reporting.text import cell_text, days_or_values

EDGE_ROWS: Final = 3
# Every materialization keeps its preview in the event log for as long as it is recorded.
MOST_COLUMNS: Final = 12
LONGEST_TEXT: Final = 60


def preview_of(frame: pd.DataFrame) -> dg.TableMetadataValue:
    """Return the first and the last three rows of a table, of its first twelve columns, as texts.

    A wider table says in a last column how many columns are left out. Of no more than six rows all are shown.
    """
    if len(frame) > 2 * EDGE_ROWS:
        rows = pd.concat([frame.head(EDGE_ROWS), frame.tail(EDGE_ROWS)])
        places = [*range(EDGE_ROWS), *range(len(frame) - EDGE_ROWS, len(frame))]
    else:
        rows, places = frame, list(range(len(frame)))
    shown = rows.iloc[:, :MOST_COLUMNS]
    columns = [days_or_values(shown.iloc[:, place]) for place in range(shown.shape[1])]
    left_out = frame.shape[1] - shown.shape[1]
    names = ["row", *map(str, shown.columns), *([f"and {left_out} more columns"] if left_out else [])]
    records = [
        dg.TableRecord(dict(zip(names, [f"{place:,}", *map(_short, values), *([""] if left_out else [])], strict=True)))
        for place, *values in zip(places, *columns, strict=True)
    ]
    schema = dg.TableSchema(columns=[dg.TableColumn(name, type="string") for name in names])
    return dg.MetadataValue.table(records=records, schema=schema)


def rows_as_table(frame: pd.DataFrame) -> dg.TableMetadataValue:
    """Return all rows of a short frame as texts."""
    columns = [days_or_values(frame.iloc[:, place]) for place in range(frame.shape[1])]
    names = [str(name) for name in frame.columns]
    records = [
        dg.TableRecord(dict(zip(names, map(_short, values), strict=True))) for values in zip(*columns, strict=True)
    ]
    schema = dg.TableSchema(columns=[dg.TableColumn(name, type="string") for name in names])
    return dg.MetadataValue.table(records=records, schema=schema)


def _short(value: Any) -> str:
    text = cell_text(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
