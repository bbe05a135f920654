"""The command that writes the report of the day: one HTML file, from what is stored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trading_dag.cli.arguments import AsJson, Horizons, Source, Tickers
from trading_dag.cli.context import CommandContext
from trading_dag.cli.exits import WORK_FAILED
from trading_dag.cli.printing import input_ends, joined_source, print_json, with_sources
from trading_dag.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd


def report(
    tickers: Tickers = "",
    horizons: Horizons = "",
    source: Source = "",
    html: Annotated[
        Path | None, typer.Option("--html", help="The file to write. Default: report-DATE.html in this folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the report of the day as one HTML file that opens without a network: forecasts and recommendations, what
    earlier forecasts said of the newest outcomes, what changed, and what is out of line in the option chains."""
    context = CommandContext(source, tickers, horizons)
    written = write_daily_report(context, None if html is None else checked_target(html))
    if written is None:
        context.console.print("Nothing is stored for these slices yet: trading-dag run makes it.")
        raise typer.Exit(WORK_FAILED)
    if as_json:
        print_json({"report": str(written)})
    else:
        context.console.print(f"report: {written}")


def checked_target(html: Path) -> Path:
    """Return the file that a page is to be written to.

    Raises
    ------
    ConfigurationError : where its folder does not exist; told before any work is done.
    """
    if not html.absolute().parent.is_dir():
        raise ConfigurationError(f"--html {html}: there is no folder {html.absolute().parent}; make it first")
    return html


def write_daily_report(context: CommandContext, target: Path | None) -> Path | None:
    """Write the page and return where; None where no recommendation is stored.

    Parameters
    ----------
    target : the file; None for one named after the newest session in the current folder.
    """
    import pandas as pd

    from trading_dag.reporting.daily_page import QUERIES, daily_page

    frames = {name: context.query(sql) for name, sql in QUERIES.items()}
    if frames["signals"].empty:
        return None
    frames["signals"] = with_sources(context, frames["signals"], of="signals.recommendation")
    path = target or Path(f"report-{pd.Timestamp(frames['signals']['session'].max()):%Y-%m-%d}.html")
    path.write_text(daily_page(frames, _pictures(context), notes=_notes(context, frames["signals"])), encoding="utf-8")
    return path


def _notes(context: CommandContext, signals: pd.DataFrame) -> tuple[str, ...]:
    """Return what has to be seen before any figure: that data are simulated, old, or end early."""
    import pandas as pd

    from trading_dag.reporting.input_ends import input_end_lines
    from trading_dag.reporting.tables import simulated_notice
    from trading_dag.sessions import last_closed_session, sessions_behind

    notes: list[str] = []
    simulated = simulated_notice(zip(signals["ticker"], signals["source"], strict=True))
    if simulated:
        notes.append(simulated)
    newest = pd.Timestamp(signals["session"].max())
    missed = sessions_behind(newest, last_closed_session())
    if missed:
        notes.append(f"Stale: {missed:,} sessions have closed since {newest:%Y-%m-%d}, and nothing of them is stored.")
    return (*notes, *input_end_lines(input_ends(context)))


def _pictures(context: CommandContext) -> dict[str, bytes]:
    """Return the fan of each ticker's longest horizon, as far as it has a distribution."""
    from resources.storage.parquet_store import ParquetStore, SliceKey
    from trading_dag.cli.printing import titled
    from trading_dag.plots.canvas import to_png
    from trading_dag.plots.price import price_fan
    from trading_dag.schemas import PREDICTIONS_PRICE

    store, pictures = ParquetStore(context.settings.home), {}
    for ticker in context.tickers:
        key = SliceKey(ticker, context.horizons[-1])
        rows: Any = store.read_or_empty(PREDICTIONS_PRICE, key)
        if len(rows):
            provenance = store.provenance(PREDICTIONS_PRICE, key)
            name = titled(
                f"{ticker} {key.horizon}: forecast prices and what came",
                joined_source([provenance.source if provenance else None]),
            )
            pictures[name] = to_png(price_fan(rows))
    return pictures
