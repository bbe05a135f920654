"""The command line. Everything it materializes goes through the Dagster instance, so the UI shows it.

Exit codes: 0 done, 1 work failed, 2 bad usage, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import signal as signals
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from pydantic import ValidationError

from trading_dag.errors import ConfigurationError, SliceBusyError, StorageError, TradingDagError
from trading_dag.settings import Settings, unknown_variables

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

    from assets.execution import Mode, Outcome
    from resources.parquet_store import SliceKey
    from resources.warehouse import Warehouse

WORK_FAILED: Final = 1
BAD_USAGE: Final = 2
INTERRUPTED: Final = 130
CHECKOUT: Final = Path(__file__).resolve().parents[1]
UI_HOST: Final = "127.0.0.1"

app = typer.Typer(
    name="trading-dag",
    help="Short-dated options research on ETFs as a Dagster DAG in which every number is honest.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Tickers = Annotated[str, typer.Option("--tickers", help="Comma-separated, such as SPY,QQQ. Default: by source.")]
Horizons = Annotated[str, typer.Option("--horizons", help="Comma-separated, of 12h,24h,48h,72h,96h,168h.")]
Source = Annotated[str, typer.Option("--source", help="sample, files or live. Default: TRADING_DAG_SOURCE or sample.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


class Workplace:
    """Settings of one command, with what it needs to work: console, warehouse, Dagster instance."""

    def __init__(self, source: str = "", tickers: str = "", horizons: str = "") -> None:
        given = {"source": source} if source else {}
        self.settings = Settings(**given)  # type: ignore[arg-type]
        _warn_of_typos()
        self.tickers, self.horizons = self.settings.select(_names(tickers), _names(horizons))
        self.state = self.settings.home / ".dagster"
        os.environ["TRADING_DAG_STATE"] = str(self.state)
        os.environ["DAGSTER_HOME"] = str(dagster_home(self.settings))
        os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"  # the web server makes folders for it even where it is off
        self.state.mkdir(parents=True, exist_ok=True)

    @property
    def console(self) -> Console:
        """Where progress and tables go."""
        from rich.console import Console

        width = None if sys.stdout.isatty() else max(int(os.environ.get("COLUMNS", "180")), 80)
        return Console(width=width, highlight=False)

    @property
    def warehouse(self) -> Warehouse:
        """SQL over what is stored."""
        from resources.parquet_store import ParquetStore
        from resources.warehouse import Warehouse

        return Warehouse(ParquetStore(self.settings.home))

    @property
    def research_slices(self) -> list[SliceKey]:
        """The chosen tickers by the chosen horizons."""
        from resources.parquet_store import SliceKey

        return [SliceKey(ticker, horizon) for ticker in self.tickers for horizon in self.horizons]

    def query(self, sql: str) -> pd.DataFrame:
        """A report's SQL on the chosen tickers and horizons."""
        chosen = [list(self.tickers), list(self.horizons)]
        return self.warehouse.query(sql, chosen)  # type: ignore[arg-type]


def _warn_of_typos() -> None:
    """A misspelt variable would silently mean the default, such as the sample in the place of live data."""
    from difflib import get_close_matches

    from dotenv import dotenv_values

    known = [f"TRADING_DAG_{name.upper()}" for name in Settings.model_fields]
    for name in unknown_variables({**dotenv_values(".env"), **os.environ}):
        near = get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        typer.echo(f"warning: {name} is no setting and changes nothing{hint}", err=True)


def dagster_home(settings: Settings) -> Path:
    """The folder that holds ``dagster.yaml``: the home itself, or the checkout.

    Raises
    ------
    ConfigurationError : where neither has one.
    """
    for folder in (settings.home, CHECKOUT):
        if (folder / "dagster.yaml").is_file():
            return folder
    raise ConfigurationError(f"no dagster.yaml in {settings.home} or {CHECKOUT}; work from a checkout of the project")


@app.command()
def run(
    tickers: Tickers = "",
    horizons: Horizons = "",
    source: Source = "",
    as_json: AsJson = False,
    force: Annotated[bool, typer.Option("--force", help="Compute everything again, stored or not.")] = False,
) -> None:
    """Bring everything up to date: data, features, models, forecasts, evaluation, signals, backtests."""
    _materialize(Workplace(source, tickers, horizons), "force" if force else "run", as_json=as_json)


@app.command()
def refresh(tickers: Tickers = "", horizons: Horizons = "", source: Source = "", as_json: AsJson = False) -> None:
    """Fetch what is new and follow it to the signals. No model is refitted; scores and backtests wait to be asked."""
    _materialize(Workplace(source, tickers, horizons), "refresh", as_json=as_json)


@app.command()
def train(tickers: Tickers = "", horizons: Horizons = "", source: Source = "", as_json: AsJson = False) -> None:
    """Refit every model of the chosen slices and what follows from them."""
    _materialize(Workplace(source, tickers, horizons), "train", as_json=as_json)


@app.command()
def signal(
    ticker: Annotated[str, typer.Argument(help="One ticker; without it, all.")] = "",
    show_all: Annotated[bool, typer.Option("--all", help="Every ticker.")] = False,
    horizons: Horizons = "",
    source: Source = "",
    as_json: AsJson = False,
) -> None:
    """Show the latest recommendation of each ticker and horizon."""
    from trading_dag import reports

    if ticker and show_all:
        raise typer.BadParameter("give a ticker or --all, not both")
    _show(Workplace(source, ticker, horizons), reports.SIGNAL_SQL, reports.signal_table, as_json=as_json)


@app.command()
def evaluate(tickers: Tickers = "", horizons: Horizons = "", source: Source = "", as_json: AsJson = False) -> None:
    """Score the stored forecasts where that is due; show every score beside its baseline, with intervals."""
    from trading_dag import reports

    place = Workplace(source, tickers, horizons)
    is_current = _bring_reports_up_to_date(place, "evaluate", quiet=as_json)
    _show(place, reports.METRICS_SQL, reports.metrics_table, as_json=as_json, is_current=is_current)


@app.command()
def backtest(tickers: Tickers = "", horizons: Horizons = "", source: Source = "", as_json: AsJson = False) -> None:
    """Backtest the recommended structures where that is due; show it. --json includes every assumption."""
    from trading_dag import reports

    place = Workplace(source, tickers, horizons)
    is_current = _bring_reports_up_to_date(place, "backtest", quiet=as_json)
    _show(place, reports.BACKTEST_SQL, reports.backtest_table, as_json=as_json, is_current=is_current)


@app.command()
def sql(
    query: Annotated[
        str, typer.Argument(help='Such as "from backtests.summary". Without it: the list of tables.')
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="Rows shown in a table.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Query the warehouse, read-only, also while runs are writing."""
    from trading_dag import reports

    place = Workplace()
    listing = (
        "SELECT schema_name || '.' || view_name AS name, column_count AS columns FROM duckdb_views() "
        "WHERE NOT internal ORDER BY 1"
    )
    frame = place.warehouse.query(query or listing)
    if as_json:
        _print_json(reports.records(frame))
    else:
        place.console.print(reports.plain_table(frame, limit=limit))


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 3000,
    webserver_only: Annotated[bool, typer.Option("--webserver-only", help="No schedules and sensors.")] = False,
) -> None:
    """Open the Dagster UI on 127.0.0.1, with everything that the command line made."""
    place = Workplace()
    workspace = str(dagster_home(place.settings) / "workspace.yaml")
    module = "dagster_webserver" if webserver_only else "dagster"
    arguments = [sys.executable, "-m", module, *([] if webserver_only else ["dev"])]
    arguments += ["-h", UI_HOST, "-p", str(port), "-w", workspace]
    place.console.print(f"Dagster UI: http://{UI_HOST}:{port}  (Ctrl-C ends it)")
    # A script's background job ignores Ctrl-C, would hand that on, and Dagster could then not end its parts.
    signals.signal(signals.SIGINT, signals.SIG_DFL)
    os.execv(sys.executable, arguments)  # noqa: S606


@app.command()
def doctor(source: Source = "", as_json: AsJson = False) -> None:
    """Say what is set up, what is missing, and what to do."""
    from resources.diagnosis import diagnose_installation

    place = Workplace(source)
    findings = diagnose_installation(place.settings)
    if as_json:
        _print_json([finding.__dict__ for finding in findings])
    else:
        marks = {"ok": "[green]ok[/]", "off": "[yellow]off[/]", "missing": "[red]missing[/]"}
        for finding in findings:
            line = f"{marks[finding.state]:<18} {finding.subject}: {finding.detail}"
            place.console.print(line + (f"  → {finding.remedy}" if finding.remedy else ""))
    if any(finding.state == "missing" for finding in findings):
        raise typer.Exit(WORK_FAILED)


def _materialize(place: Workplace, mode: Mode, *, as_json: bool) -> None:
    outcomes = _execute(place, mode, quiet=as_json)

    from trading_dag import reports

    query, table = (
        (reports.SIGNAL_SQL, reports.signal_table)
        if mode == "refresh"
        else (reports.SUMMARY_SQL, reports.summary_table)
    )
    frame = place.query(query)
    if as_json:
        failures = [
            {"slice": str(outcome.item), "errors": list(outcome.errors), "blocked_by": outcome.blocked_by}
            for outcome in outcomes
            if not outcome.is_success
        ]
        _print_json({"slices": reports.records(frame), "failures": failures})
    else:
        place.console.print(table(frame))
        _print_outcomes(place, outcomes)
    if not all(outcome.is_success for outcome in outcomes):
        raise typer.Exit(WORK_FAILED)


def _execute(place: Workplace, mode: Mode, *, quiet: bool) -> list[Outcome]:
    """Do the work of a mode on the chosen slices, with progress; Ctrl-C ends it in order."""
    try:
        return _work(place, mode, quiet=quiet)
    except KeyboardInterrupt:
        typer.echo("stopped: every stored slice is whole, and the same command goes on from here", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _work(place: Workplace, mode: Mode, *, quiet: bool) -> list[Outcome]:
    from assets.workers import start_server

    start_server()  # it imports what workers need while this process does the same

    import dagster as dg

    from assets.execution import REPORTS, execute
    from assets.runs import bury_dead_runs, claim, refuse_if_busy
    from resources.parquet_store import SliceKey
    from resources.source import require_prices
    from trading_dag.definitions import build_definitions

    keys = place.research_slices
    if mode not in REPORTS:
        require_prices(place.settings)
        keys = [SliceKey(ticker) for ticker in place.tickers] + keys
    with claim(place.state, place.tickers), _run_history(place), dg.DagsterInstance.get() as instance:
        bury_dead_runs(instance)
        refuse_if_busy(instance, keys)
        place.warehouse.ensure()
        work = execute(
            place.settings, tickers=place.tickers, horizons=place.horizons, mode=mode, build=build_definitions
        )
        with closing(work):
            try:
                total = len(keys) + (mode not in REPORTS)  # macro data comes first
                outcomes = _with_progress(place, work, total=total, quiet=quiet)
            except KeyboardInterrupt:
                work.close()
                bury_dead_runs(instance)
                raise
        bury_dead_runs(instance)
    return outcomes


def _bring_reports_up_to_date(place: Workplace, mode: Mode, *, quiet: bool) -> bool:
    """Compute the scores, or the backtests, that forecasts and signals have left behind.

    Returns
    -------
    False where the work failed. While another run works on the slices nothing is computed, and that is said.
    """
    from assets.execution import stale_in_mode
    from assets.staleness import Staleness
    from resources.model_store import ModelStore
    from resources.parquet_store import ParquetStore

    staleness = Staleness(ParquetStore(place.settings.home), ModelStore(place.settings.home / "models"), place.settings)
    if not any(stale_in_mode(staleness, "ticker_horizon", key, mode) for key in place.research_slices):
        return True
    try:
        outcomes = _execute(place, mode, quiet=quiet)
    except SliceBusyError as error:
        typer.echo(f"shown as stored, not up to date: {error}", err=True)
        return True
    return all(outcome.is_success for outcome in outcomes)


@contextmanager
def _run_history(place: Workplace) -> Iterator[None]:
    """Dagster's SQLite files are on a disk that can be full or read-only: an error of the place, not of the project."""
    from sqlalchemy.exc import OperationalError

    try:
        yield
    except OperationalError as error:
        raise StorageError(f"the run history in {place.state} cannot be read or written: {error.orig}") from error


def _with_progress(place: Workplace, outcomes: Any, *, total: int, quiet: bool) -> list[Outcome]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = place.console
    finished: list[Outcome] = []
    with Progress(*columns, console=console, disable=quiet) as progress:
        task = progress.add_task("starting", total=total)
        for outcome in outcomes:
            finished.append(outcome)
            progress.update(task, advance=1, description=f"slices (last: {outcome.item})")
            if not quiet:
                progress.console.print(_line(outcome))
    return finished


def _line(outcome: Outcome) -> str:
    if outcome.blocked_by:
        return f"[yellow]skipped[/] {outcome.item}: {outcome.blocked_by} failed"
    if outcome.errors:
        from rich.markup import escape

        return f"[red]failed[/]  {outcome.item}: " + escape("; ".join(outcome.errors))
    done = f"{len(outcome.materialized)} assets" if outcome.materialized else "up to date"
    return f"[green]done[/]    {outcome.item!s:<12} {done:<12} {outcome.seconds:6.1f} s"


def _print_outcomes(place: Workplace, outcomes: list[Outcome]) -> None:
    failed = [outcome for outcome in outcomes if not outcome.is_success]
    if failed:
        place.console.print(
            f"[red]{len(failed)} of {len(outcomes)} slices are not up to date[/]; what they held before is untouched."
        )
    place.console.print(
        "Look next:  trading-dag signal --all  |  trading-dag evaluate  |  trading-dag backtest  |  "
        'trading-dag sql "from backtests.trades"  |  make ui'
    )
    place.console.print("Research software, no investment advice. Backtests use a modelled option surface.")


def _show(place: Workplace, query: str, table: Any, *, as_json: bool, is_current: bool = True) -> None:
    from trading_dag.reports import records

    frame = place.query(query)
    if as_json:
        _print_json(records(frame))
    elif frame.empty:
        place.console.print("Nothing is stored for these slices yet: trading-dag run makes it.")
    else:
        shown: Table = table(frame)
        place.console.print(shown)
    if frame.empty or not is_current:
        raise typer.Exit(WORK_FAILED)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))


def main() -> None:
    """Entry point: typed errors become one line and an exit code."""
    try:
        app()
    except ConfigurationError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(BAD_USAGE)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        typer.echo(f"error: settings: {problems}", err=True)
        sys.exit(BAD_USAGE)
    except TradingDagError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(WORK_FAILED)
    except OSError as error:
        typer.echo(f"error: {error}", err=True)  # no space, no right to write, no such folder: it names the file
        sys.exit(WORK_FAILED)


if __name__ == "__main__":
    main()
