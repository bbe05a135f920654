"""What commands print: a report of what is stored, as a table or as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

from trading_dag.cli.exits import WORK_FAILED
from trading_dag.cli.workplace import Workplace

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table


def show(place: Workplace, query: str, table: Any, *, as_json: bool, is_current: bool = True) -> None:
    from trading_dag.reports import records

    frame = place.query(query)
    if as_json:
        print_json(records(frame))
    elif frame.empty:
        place.console.print("Nothing is stored for these slices yet: trading-dag run makes it.")
    else:
        shown: Table = table(frame)
        place.console.print(shown)
    if frame.empty or not is_current:
        raise typer.Exit(WORK_FAILED)


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))


def progress_bar(place: Workplace, *, quiet: bool) -> Progress:
    """The bar of long work: what is done, of how many, and for how long; nothing where ``quiet``."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=place.console, disable=quiet)
