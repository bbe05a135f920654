"""The commands and their options. Everything they materialize goes through the Dagster instance, so the UI shows it.

Exit codes are defined in ``entry``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trading_dag.cli.accept import accept
from trading_dag.cli.alerts_command import alerts
from trading_dag.cli.arguments import AsJson, Horizons, Source, Tickers
from trading_dag.cli.backtest_command import backtest
from trading_dag.cli.backup_commands import backup, restore
from trading_dag.cli.chain_commands import chain, fetch_chains, import_chains, payoff
from trading_dag.cli.context import CommandContext
from trading_dag.cli.dashboard_command import dashboard
from trading_dag.cli.drift_command import drift
from trading_dag.cli.examples import add_examples
from trading_dag.cli.exits import WORK_FAILED
from trading_dag.cli.explain_command import explain
from trading_dag.cli.history_commands import clean_history
from trading_dag.cli.materialize import bring_reports_up_to_date, fetch_raw, materialize, show_report
from trading_dag.cli.models_command import models
from trading_dag.cli.now_command import refresh_now
from trading_dag.cli.opportunities_command import opportunities
from trading_dag.cli.paper_command import paper
from trading_dag.cli.predict_command import predict
from trading_dag.cli.printing import print_input_ends, print_json, show
from trading_dag.cli.report_command import checked_target, report, write_daily_report
from trading_dag.cli.results_file import write_results
from trading_dag.cli.train_command import train
from trading_dag.cli.tune_command import tune
from trading_dag.cli.verbosity import TalkativeCommand

app = typer.Typer(
    name="trading-dag",
    help="Short-dated options research on ETFs as a Dagster DAG in which every number is honest.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.command()
def run(
    tickers: Tickers = "",
    horizons: Horizons = "",
    source: Source = "",
    as_json: AsJson = False,
    force: Annotated[bool, typer.Option("--force", help="Compute everything again, even what is up to date.")] = False,
) -> None:
    """Bring everything up to date: data, features, models, forecasts, evaluation, signals, backtests."""
    materialize(CommandContext(source, tickers, horizons), "force" if force else "run", as_json=as_json)


@app.command()
def refresh(
    tickers: Tickers = "",
    horizons: Horizons = "",
    source: Source = "",
    as_json: AsJson = False,
    html: Annotated[Path | None, typer.Option("--html", help="Write the report of the day to this file too.")] = None,
    now: Annotated[
        bool,
        typer.Option("--now", help="Only provisional forecasts and opportunities of the session that is under way."),
    ] = False,
) -> None:
    """Fetch new data and update everything up to the signals. No model is refitted; scores and backtests are not
    updated."""
    if now and html is not None:
        raise typer.BadParameter("a provisional forecast has no report of the day: give --now or --html, not both")
    context = CommandContext(source, tickers, horizons)
    if now:
        refresh_now(context, as_json=as_json)
        return
    target = None if html is None else checked_target(html)
    try:
        materialize(context, "refresh", as_json=as_json)
    finally:
        if target is not None:  # also where a slice failed: of the others there is something to tell
            write_daily_report(context, target)


@app.command()
def fetch(
    tickers: Tickers = "",
    kinds: Annotated[
        str, typer.Option("--kinds", help="Comma-separated raw tables, such as prices_daily,macro. Default: all.")
    ] = "",
    source: Source = "",
    as_json: AsJson = False,
) -> None:
    """Fetch raw data alone: what is new in the source is stored, and nothing is computed from it."""
    fetch_raw(CommandContext(source, tickers), kinds, as_json=as_json)


app.command()(explain)
app.command()(report)
app.command()(train)
app.command()(tune)


@app.command()
def signal(
    ticker: Annotated[str, typer.Argument(help="One ticker. Default: all.")] = "",
    show_all: Annotated[bool, typer.Option("--all", help="Show every ticker.")] = False,
    record: Annotated[
        bool, typer.Option("--record", help="Append it to predictions.log first, where it is not there yet.")
    ] = False,
    horizons: Horizons = "",
    source: Source = "",
    as_json: AsJson = False,
) -> None:
    """Show the latest recommendation of each ticker and horizon, and why; of one slice, also what its models showed."""
    from trading_dag.reporting import tables
    from trading_dag.reporting.signal_report import signal_report

    if ticker and show_all:
        raise typer.BadParameter("give a ticker or --all, not both")
    context = CommandContext(source, ticker, horizons)
    is_current = bring_reports_up_to_date(context, "record", quiet=as_json) if record else True
    show(
        context, tables.SIGNAL_SQL, signal_report, of="signals.recommendation", as_json=as_json,
        is_current=is_current,
    )  # fmt: skip
    if not as_json:
        print_input_ends(context)


@app.command()
def evaluate(
    tickers: Tickers = "",
    horizons: Horizons = "",
    source: Source = "",
    results: Annotated[
        str, typer.Option("--results", help="A Markdown file to write the scores of all slices into, as tables.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Score the stored forecasts if that is due, and show every score beside its baseline, with intervals."""
    from trading_dag.reporting import tables

    context = CommandContext(source, tickers, horizons)
    if results:
        write_results(context, results, quiet=as_json)
        return
    show_report(context, "evaluate", tables.METRICS_SQL, tables.metrics_table, of="evaluation.metrics", as_json=as_json)
    if not as_json:
        from trading_dag.reporting.multiplicity_page import survivors_in_words

        context.console.print(survivors_in_words(context.warehouse.query("from evaluation.multiplicity")))


app.command()(opportunities)
app.command()(backtest)
app.command()(drift)
app.command()(accept)
app.command()(predict)
app.command("fetch-chains")(fetch_chains)
app.command("import-chains")(import_chains)
app.command()(chain)
app.command()(payoff)
app.command("clean-history")(clean_history)
app.command()(backup)
app.command()(restore)


@app.command()
def sql(
    query: Annotated[
        str, typer.Argument(help='A query such as "from backtests.summary". Default: list the tables.')
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="Rows shown in a table.")] = 50,
    fast: Annotated[bool, typer.Option("--fast", help="Skip the comparison of pages with their checksums.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run one query on the warehouse. It only reads the data folder, and works while runs are writing."""
    from trading_dag.reporting import tables

    context = CommandContext()
    listing = (
        "SELECT schema_name || '.' || view_name AS name, column_count AS columns FROM duckdb_views() "
        "WHERE NOT internal ORDER BY 1"
    )
    frame = context.warehouse.query(query or listing, verify=not fast)
    if as_json:
        print_json(tables.records(frame))
    else:
        context.console.print(tables.plain_table(frame, limit=limit))


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 3000,
    webserver_only: Annotated[
        bool, typer.Option("--webserver-only", help="Start no schedules and no sensors.")
    ] = False,
    part: Annotated[
        str, typer.Option("--part", help="Be one part alone, for a service manager: web, daemon or code.")
    ] = "",
    code_server: Annotated[
        int | None,
        typer.Option("--code-server", min=1, max=65535, help="Port of the code server that the other parts ask."),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Let the pages change nothing: no run, no schedule, no sensor.")
    ] = False,
) -> None:
    """Serve the Dagster UI on 127.0.0.1, to this machine only. It shows everything that the command line made."""
    from trading_dag.cli.ui import become_part, serve

    if part:
        become_part(CommandContext(), part=part, port=port, code_server=code_server, read_only=read_only)
    serve(CommandContext(), port=port, webserver_only=webserver_only, read_only=read_only)


app.command()(dashboard)


@app.command()
def doctor(
    source: Source = "",
    as_json: AsJson = False,
    fast: Annotated[bool, typer.Option("--fast", help="Skip the comparison of every slice with its hash.")] = False,
) -> None:
    """Report what is set up, what is missing or damaged, which files among the slices do not belong there, and what to
    do."""
    from resources.doctor.installation import FAILING, diagnose_installation
    from trading_dag.cli.plain_console import marked

    context = CommandContext(source)
    findings = diagnose_installation(context.settings, fast=fast)
    if as_json:
        print_json([finding.__dict__ for finding in findings])
    else:
        colours = {"ok": "green", **dict.fromkeys(FAILING, "red")}
        for finding in findings:
            line = f"{' ' * (8 - len(finding.state))}{finding.subject}: {finding.detail}"
            told = line + (f"  → {finding.remedy}" if finding.remedy else "")
            context.console.print(marked(finding.state, colours.get(finding.state, "yellow"), told))
    if any(finding.state in FAILING for finding in findings):
        raise typer.Exit(WORK_FAILED)


app.add_typer(models)
app.add_typer(alerts)
app.add_typer(paper)

for registered in (
    *app.registered_commands,
    *models.registered_commands,
    *alerts.registered_commands,
    *paper.registered_commands,
):
    registered.cls = TalkativeCommand


add_examples(app)
