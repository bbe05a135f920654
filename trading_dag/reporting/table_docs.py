"""Writes ``docs/tables.md`` from ``schemas``: every table, its columns with types and bounds, its rules.

``python -m trading_dag.reporting.table_docs`` writes the file, ``--check`` only says whether it is up to date.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from trading_dag.quality import rules_of
from trading_dag.schemas import TABLES, Column, Table

TABLES_DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "tables.md"
_SLICES: Final = {
    "none": "one slice",
    "ticker": "one slice per ticker",
    "ticker_horizon": "one slice per ticker and horizon",
    "ticker_year": "one slice per ticker and year",
}
_ROUNDING: Final = 1e-5
_HEAD: Final = """\
# Tables

Written from `trading_dag/schemas/` by `python -m trading_dag.reporting.table_docs`; do not edit by hand.

Each table is a Dagster asset, a folder of Parquet slices and a view in `warehouse.duckdb`, under the same name.
A row of a table with `session` holds what was known at that session's close. Prices are in USD, volatilities in
annualised percent points, returns are fractions. NULL means "not known", never zero. Formulas of the features stand
in [features.md](features.md).
"""


def render_tables() -> str:
    """Return the whole document."""
    contents = "\n".join(f"- [`{name}`](#{_anchor(name)}): {table.description}" for name, table in TABLES.items())
    sections = "\n".join(_section(table) for table in TABLES.values())
    return f"{_HEAD}\n{contents}\n\n{sections}"


def _anchor(qualified_name: str) -> str:
    """Return the anchor that GitHub makes of a heading: dots vanish."""
    return qualified_name.replace(".", "")


def _section(table: Table) -> str:
    rows = "\n".join(_row(column, table) for column in table.columns)
    rules = "\n".join(
        f"- `{rule.name}`{'' if rule.is_blocking else ' (warns)'}: {rule.description}" for rule in rules_of(table)
    )
    return f"""\
## {table.qualified_name}

{table.description}
Stored as {_SLICES[table.slice]}; key: {", ".join(f"`{name}`" for name in table.key)}.

| column | type | NULL | values | meaning |
|---|---|---|---|---|
{rows}

Rules; a slice that breaks one is not stored, except those that only warn:

{rules}
"""


def _row(column: Column, table: Table) -> str:
    null = "yes" if column.nullable else "no"
    name = f"**{column.name}**" if column.name in table.key else column.name
    return (
        f"| {name} | {column.type} | {null} | {values_of(column)} | {column.description.replace('|', chr(92) + '|')} |"
    )


def values_of(column: Column) -> str:
    """Return the values that a column takes, as text: the closed set, or its bounds; empty where anything goes."""
    if column.allowed:
        return " ".join(f"`{value}`" for value in column.allowed)
    low, high = _bound(column.minimum), _bound(column.maximum)
    if low and high:
        return f"{low} to {high}"
    if low:
        return "> 0" if 0 < (column.minimum or 0) < _ROUNDING else f"≥ {low}"
    return f"≤ {high}" if high else ""


def _bound(value: float | None) -> str:
    """Return a bound as text, without the rounding tolerance that bounded features are given."""
    if value is None:
        return ""
    return f"{round(value):d}" if abs(value - round(value)) < _ROUNDING else f"{value:g}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the document, or compare it with ``--check``; return 1 where it is out of date."""
    parser = argparse.ArgumentParser(
        prog="python -m trading_dag.reporting.table_docs", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--check", action="store_true", help="write nothing, fail if the document is out of date")
    parser.add_argument("--path", type=Path, default=TABLES_DOCUMENT, help="where the document is")
    options = parser.parse_args(arguments)
    document = render_tables()
    if options.check:
        is_current = options.path.is_file() and options.path.read_text(encoding="utf-8") == document
        if not is_current:
            sys.stderr.write(f"{options.path} is out of date: run python -m trading_dag.reporting.table_docs\n")
        return 0 if is_current else 1
    options.path.parent.mkdir(parents=True, exist_ok=True)
    options.path.write_text(document, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
