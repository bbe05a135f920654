"""The command ``backtest`` and its options: the recommendations of a slice, or with --structure one trade plan.

The work is done in ``materialize`` and ``structure_backtest``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from trading_dag.backtest.plans.exit_rules import exit_help
from trading_dag.cli.arguments import AsJson, Horizons, Source, Tickers
from trading_dag.cli.context import CommandContext
from trading_dag.cli.materialize import show_report
from trading_dag.cli.structure_backtest import PlanRequest, show_plan
from trading_dag.errors import ConfigurationError

StructureName = Annotated[str, typer.Option("--structure", help="Run this structure on stored option chains.")]
Underlying = Annotated[str, typer.Option("--ticker", help="Underlying to trade with --structure.")]
FirstDate = Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First quote date.")]
LastDate = Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last quote date.")]
EntryRule = Annotated[str, typer.Option("--entries", "--entry", help="weekly, daily or signals (of one --horizon).")]
SignalHorizon = Annotated[str, typer.Option("--horizon", help="Horizon of the signals, with --entries signals.")]
Days = Annotated[int, typer.Option("--days", min=2, help="Calendar days to expiration at entry.")]
Exits = Annotated[list[str] | None, typer.Option("--exit", help=exit_help())]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="A backtest setting for this trade plan, such as slippage_fraction=0.01; repeatable."),
]
HtmlReport = Annotated[Path | None, typer.Option("--html", help="Write a self-contained HTML report to this file.")]


def backtest(
    tickers: Tickers = "",
    horizons: Horizons = "",
    source: Source = "",
    as_json: AsJson = False,
    structure: StructureName = "",
    ticker: Underlying = "",
    first: FirstDate = None,
    last: LastDate = None,
    entries: EntryRule = "weekly",
    horizon: SignalHorizon = "",
    days: Days = 30,
    exits: Exits = None,
    changes: Changes = None,
    html: HtmlReport = None,
) -> None:
    """Show the backtest of the recommended structures, computed again if it is out of date; or, with --structure,
    backtest one structure by rule on the stored option chains. --json includes every assumption."""
    if not structure:
        _refuse({"--from": first, "--to": last, "--exit": exits, "--set": changes, "--html": html})
        _backtest_recommendations(CommandContext(source, ticker or tickers, horizon or horizons), as_json=as_json)
        return
    if not ticker or "," in ticker:
        raise ConfigurationError("--structure needs --ticker, one underlying, such as --ticker SPY")
    if tickers or horizons:
        raise ConfigurationError("--structure takes --ticker and --horizon, not --tickers and --horizons")
    context = CommandContext(source, ticker, horizon)
    request = PlanRequest(structure, first, last, entries, horizon, days, tuple(exits or ()), tuple(changes or ()))
    show_plan(context, context.tickers[0], request, html=html, as_json=as_json)


def _refuse(given: Mapping[str, object]) -> None:
    """Refuse options that would have no effect."""
    stray = [name for name, value in given.items() if value]
    if stray:
        raise ConfigurationError(f"{', '.join(stray)}: only with --structure, such as --structure iron_condor")


def _backtest_recommendations(context: CommandContext, *, as_json: bool) -> None:
    from trading_dag.reporting import tables

    show_report(
        context, "backtest", tables.BACKTEST_SQL, tables.backtest_table, of="backtests.summary", as_json=as_json
    )
