"""The command that writes the report of the day: one HTML file, from what is stored; mailed where that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trading_dag.cli.arguments import AsJson, Horizons, Source, Tickers
from trading_dag.cli.context import CommandContext
from trading_dag.cli.exits import WORK_FAILED
from trading_dag.cli.printing import print_json
from trading_dag.errors import ConfigurationError

if TYPE_CHECKING:
    from resources.daily_report import DailyReport


def report(
    tickers: Tickers = "",
    horizons: Horizons = "",
    source: Source = "",
    html: Annotated[
        Path | None, typer.Option("--html", help="The file to write. Default: report-DATE.html in this folder.")
    ] = None,
    mail: Annotated[
        bool, typer.Option("--mail", help="Mail it too, by the server and to the receivers of the alerts.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --mail: print what would be mailed to whom; nothing is sent.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the report of the day as one HTML file that opens without a network: forecasts and recommendations, what
    earlier forecasts said of the newest outcomes, what changed, and what is out of line in the option chains."""
    if dry_run and not mail:
        raise typer.BadParameter("--dry-run is of --mail")
    context = CommandContext(source, tickers, horizons)
    _require_receiver(context, is_asked=mail)
    made = _made(context, None if html is None else checked_target(html))
    if made is None:
        context.console.print("Nothing is stored for these slices yet: trading-dag run makes it.")
        raise typer.Exit(WORK_FAILED)
    path, found = made
    receivers = _mailed(context, path, found, dry_run=dry_run) if mail else ()
    if as_json:
        print_json({"report": str(path), **({"mailed_to": list(receivers)} if mail and not dry_run else {})})
        return
    context.console.print(f"report: {path}")
    if receivers and not dry_run:
        context.console.print(f"mailed to {', '.join(receivers)}")


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
    made = _made(context, target)
    return None if made is None else made[0]


def _made(context: CommandContext, target: Path | None) -> tuple[Path, DailyReport] | None:
    import pandas as pd

    from resources.daily_report import daily_report, write_page
    from resources.storage.parquet_store import ParquetStore

    store, now = ParquetStore(context.settings.home), pd.Timestamp.now("UTC")
    alerts = context.settings.alerts
    found = daily_report(store, tickers=context.tickers, horizons=context.horizons, now=now, settings=alerts)
    return None if found is None else (write_page(target or Path(found.file_name), found.page), found)


def _require_receiver(context: CommandContext, *, is_asked: bool) -> None:
    """Refuse before any work what could not be mailed to anybody."""
    from resources.daily_report import NO_RECEIVER

    if is_asked and not context.settings.alerts.email_to:
        raise ConfigurationError(NO_RECEIVER)


def _mailed(context: CommandContext, path: Path, found: DailyReport, *, dry_run: bool) -> tuple[str, ...]:
    from resources.daily_report import mail_report

    if not dry_run:
        return mail_report(found, path, context.settings)
    console, alerts = context.console, context.settings.alerts
    console.print(f"would be mailed to {', '.join(alerts.email_to)} by {alerts.smtp_host}:{alerts.smtp_port}:")
    console.print(f"{found.title}\n" + "\n".join(found.lines), markup=False)
    console.print(f"with {path.name}, {path.stat().st_size / 1e3:,.0f} kB; nothing was sent")
    return ()
