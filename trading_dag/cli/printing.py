"""What commands print: a report of what is stored, as a table or as JSON, with the source of its data."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

from trading_dag.cli.context import CommandContext
from trading_dag.cli.exits import WORK_FAILED
from trading_dag.reporting.visible_text import visible

if TYPE_CHECKING:
    import pandas as pd
    from rich.progress import Progress

    from resources.storage.stored_warnings import StoredWarning


def show(context: CommandContext, query: str, table: Any, *, of: str, as_json: bool, is_current: bool = True) -> None:
    """Print a report; ``of`` names the stored table whose slices it shows."""
    from trading_dag.reporting.tables import records

    frame = with_sources(context, context.query(query), of=of)
    if as_json:
        print_json(records(frame))
    elif frame.empty:
        context.console.print("Nothing is stored for these slices yet: trading-dag run makes it.")
    else:
        context.console.print(table(frame))
        print_notice(context, zip(frame["ticker"], frame["source"], strict=True))
    if frame.empty or not is_current:
        raise typer.Exit(WORK_FAILED)


def with_sources(context: CommandContext, frame: pd.DataFrame, *, of: str) -> pd.DataFrame:
    """Return the rows with ``source``: what the slice of ``of`` that each belongs to records, whatever is set now."""
    import pandas as pd

    from resources.storage.parquet_store import ParquetStore, SliceKey
    from trading_dag.schemas import table_of

    store, table = ParquetStore(context.settings.home), table_of(of)
    sources: dict[tuple[str, str], str | None] = {}
    for ticker, horizon in frame[["ticker", "horizon"]].drop_duplicates().itertuples(index=False):
        provenance = store.provenance(table, SliceKey(ticker, horizon))
        sources[ticker, horizon] = None if provenance is None else provenance.source
    recorded = [sources[where] for where in zip(frame["ticker"], frame["horizon"], strict=True)]
    return frame.assign(source=pd.Series(recorded, index=frame.index, dtype="object"))


def joined_source(sources: Iterable[str | None]) -> str | None:
    """Return one name for the sources of several slices, each part once, joined by ``+``; None where none is known."""
    parts = [part for source in sources if source for part in source.split("+")]
    return "+".join(dict.fromkeys(parts)) or None


def print_notice(context: CommandContext, sources: Iterable[tuple[str, str | None]]) -> None:
    """Print one line if any of the figures above it are made from simulated data."""
    from trading_dag.cli.plain_console import marked
    from trading_dag.reporting.tables import simulated_notice

    notice = simulated_notice(sources)
    if notice:
        context.console.print(marked(notice, "yellow"))


def input_ends(context: CommandContext) -> list[dict[str, Any]]:
    """Return which inputs of the chosen slices end before their prices, as far as anything is stored of them."""
    from trading_dag.reporting.input_ends import INPUT_ENDS_SQL, input_ends

    return input_ends(context.query(INPUT_ENDS_SQL))


def print_input_ends(context: CommandContext) -> None:
    """Print one line for each ticker for which an input, or the forecasts, end before the prices."""
    from trading_dag.cli.plain_console import marked
    from trading_dag.reporting.input_ends import input_end_lines

    for line in input_end_lines(input_ends(context)):
        context.console.print(marked(line, "yellow"))


def complain(text: str) -> None:
    """Print one line to standard error, whatever the text holds."""
    typer.echo(visible(text), err=True)


def print_notes(context: CommandContext, notes: Iterable[str]) -> None:
    """Print what sources left out, assumed or do not have, each once and as plain text."""
    from trading_dag.cli.plain_console import marked

    said = list(dict.fromkeys(notes))
    if said:
        context.console.print(marked("Left out, assumed or switched off:", "yellow"))
    for note in said:
        context.console.print(f"  {note}")


def warnings_of(context: CommandContext) -> list[StoredWarning]:
    """Return the warnings recorded in the stored slices of the chosen tickers and horizons."""
    from resources.storage.parquet_store import ParquetStore
    from resources.storage.stored_warnings import stored_warnings

    return stored_warnings(ParquetStore(context.settings.home), tickers=context.tickers, horizons=context.horizons)


def print_warnings(context: CommandContext) -> None:
    """Print how many warnings the figures above carry, and a line for each rule behind them."""
    from trading_dag.cli.plain_console import marked

    warnings = warnings_of(context)
    if warnings:
        total = sum(warning.count for warning in warnings)
        context.console.print(marked(f"{total} warnings of {len(warnings)} rules, kept with the slices:", "yellow"))
    for warning in warnings:
        context.console.print(f"  {warning}", soft_wrap=True)


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))


def progress_bar(context: CommandContext, *, quiet: bool) -> Progress:
    """Return the progress bar of long work: how much is done, of how much, and for how long; no bar where ``quiet``."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    from trading_dag.cli.plain_console import PlainDescription

    columns = (PlainDescription(), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # Log lines and a bar that is drawn again and again would run into each other.
    is_logged = context.settings.log_level is not None
    return Progress(*columns, console=context.console, disable=quiet or is_logged)
