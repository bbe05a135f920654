"""The command ``backtest`` and its options: the recommendations of slices, or with --structure one trade plan.

The work is done in ``materialize`` and ``structure_backtest``; what the options of a plan mean, in ``plan_request``,
``plan_market`` and ``plan_entries``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from trading_dag.backtest.plans.exit_rules import exit_help
from trading_dag.cli.arguments import AsJson, Horizons, Source, Tickers
from trading_dag.cli.context import CommandContext
from trading_dag.cli.materialize import show_report
from trading_dag.cli.plan_request import WEEKLY, PlanRequest
from trading_dag.errors import ConfigurationError

_TRADED: Final = "One structure: what is traded"
_STRIKES: Final = "One structure: its strikes"
_ENTERED: Final = "One structure: when it is entered and left"
_SHOWN: Final = "One structure: account and report"


def _option(*names: str, panel: str, text: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, **more)


StructureNames = Annotated[
    list[str] | None,
    _option(
        "--structure",
        panel=_TRADED,
        text="Run this structure on quotes; an unknown name lists all. Repeated, they share one account, each trade at "
        "the weight of its structure, such as iron_condor=0.5.",
    ),
]
Underlying = Annotated[
    str, _option("--ticker", panel=_TRADED, text="Its underlying; a file that has but one need not say it.")
]
QuotesFile = Annotated[
    Path | None,
    _option("--quotes", panel=_TRADED, text="A Parquet or text file of quotes, used as it is. Default: stored chains."),
]
FirstDate = Annotated[datetime | None, _option("--from", panel=_TRADED, text="First quote date.", formats=["%Y-%m-%d"])]
LastDate = Annotated[datetime | None, _option("--to", panel=_TRADED, text="Last quote date.", formats=["%Y-%m-%d"])]
Days = Annotated[int, _option("--days", panel=_STRIKES, text="Calendar days to expiration at entry.", min=2)]
Delta = Annotated[
    float | None,
    _option("--delta", panel=_STRIKES, text="Delta of the main legs (sold ones of a credit, bought ones of a debit)."),
]
DeltaRange = Annotated[
    tuple[float, float] | None,
    _option("--delta-range", panel=_STRIKES, text="Least and greatest delta of the main legs; else no entry."),
]
Width = Annotated[
    str, _option("--width", panel=_STRIKES, text="Of the other legs from the main ones: USD, or 2% of the price.")
]
EntryRule = Annotated[
    str, _option("--entries", "--entry", panel=_ENTERED, text="weekly, daily or signals (of one --horizon).")
]
SignalHorizon = Annotated[
    str, _option("--horizon", panel=_ENTERED, text="Horizon of the signals, with --entries signals.")
]
EntriesSql = Annotated[
    str,
    _option("--entries-sql", panel=_ENTERED, text="A query that gives sessions to enter after, at their next quotes."),
]
Exits = Annotated[list[str] | None, _option("--exit", panel=_ENTERED, text=exit_help())]
Changes = Annotated[
    list[str] | None,
    _option(
        "--set", panel=_SHOWN, text="A backtest setting for this plan, such as slippage_fraction=0.01; repeatable."
    ),
]
Buckets = Annotated[
    Literal["delta"] | None,
    _option("--by", panel=_SHOWN, text="Show the same plan by days to expiration and delta, too."),
]
HtmlReport = Annotated[
    Path | None,
    _option(
        "--html",
        panel=_SHOWN,
        text="Write a self-contained HTML report to this file; without --structure that of the "
        "recommendations of one ticker and horizon.",
    ),
]


def backtest(
    tickers: Tickers = "",
    horizons: Horizons = "",
    source: Source = "",
    as_json: AsJson = False,
    structures: StructureNames = None,
    ticker: Underlying = "",
    quotes: QuotesFile = None,
    first: FirstDate = None,
    last: LastDate = None,
    days: Days = 30,
    delta: Delta = None,
    delta_range: DeltaRange = None,
    width: Width = "",
    entries: EntryRule = WEEKLY,
    horizon: SignalHorizon = "",
    entries_sql: EntriesSql = "",
    exits: Exits = None,
    changes: Changes = None,
    by: Buckets = None,
    html: HtmlReport = None,
) -> None:
    """Show the backtest of the recommended structures, computed again if it is out of date; or, with --structure,
    backtest one structure by rule on stored option chains or a file of quotes. --json includes every assumption."""
    if not structures:
        _refuse_without_structure(
            {
                "--quotes": quotes, "--from": first, "--to": last, "--delta": delta, "--delta-range": delta_range,
                "--width": width, "--entries-sql": entries_sql, "--exit": exits, "--set": changes, "--by": by,
            }
        )  # fmt: skip
        context = CommandContext(source, ticker or tickers, horizon or horizons)
        _backtest_recommendations(context, html=html, as_json=as_json)
        return
    if tickers or horizons:
        raise ConfigurationError("--structure takes --ticker and --horizon, not --tickers and --horizons")
    if "," in ticker or not (ticker or quotes):
        raise ConfigurationError("--structure needs --ticker, one underlying, such as --ticker SPY")
    from trading_dag.backtest.plans.strike_terms import StrikeTerms
    from trading_dag.cli.several_plans import show_account, weighted_structures
    from trading_dag.cli.structure_backtest import show_plan

    weighted = weighted_structures(tuple(structures))
    size, unit = _width(width)
    request = PlanRequest(
        weighted[0].name, quotes, first, last, entries, entries_sql, horizon, days,
        StrikeTerms(delta, delta_range, size, unit), tuple(exits or ()), tuple(changes or ()), by_delta=by == "delta",
    )  # fmt: skip
    # A file names underlyings of its own, which the universe need not have.
    context = CommandContext(source, "" if quotes else ticker, horizon)
    asked = _named_ticker(ticker) if quotes else context.tickers[0]
    if len(weighted) == 1 and weighted[0].weight == 1.0:
        show_plan(context, asked, request, html=html, as_json=as_json)
        return
    if by is not None or html is not None:
        raise ConfigurationError("--by and --html take one --structure, without a weight")
    show_account(context, asked, request, weighted, as_json=as_json)


def _refuse_without_structure(given: Mapping[str, object]) -> None:
    """Refuse options that would have no effect."""
    stray = [name for name, value in given.items() if value]
    if stray:
        raise ConfigurationError(f"{', '.join(stray)}: only with --structure, such as --structure iron_condor")


def _named_ticker(ticker: str) -> str | None:
    """The ticker that a file is asked for; None for its only one."""
    from trading_dag.slices import validate_ticker

    return validate_ticker(ticker.strip().upper()) if ticker else None


def _width(text: str) -> tuple[float | None, Literal["usd", "spot_fraction"]]:
    """A width and its unit, from such as 5 or 2%."""
    if not text:
        return None, "usd"
    is_share = text.strip().endswith("%")
    try:
        number = float(text.strip().removesuffix("%"))
    except ValueError:
        raise ConfigurationError(
            f"--width {text!r} is neither USD, such as 5, nor a share of the price, such as 2%"
        ) from None
    return (number / 100.0, "spot_fraction") if is_share else (number, "usd")


def _backtest_recommendations(context: CommandContext, *, html: Path | None, as_json: bool) -> None:
    from trading_dag.cli.report_command import checked_target
    from trading_dag.reporting import tables

    if html is not None:
        checked_target(html)
        if len(context.research_slices) != 1:
            raise ConfigurationError("--html without --structure takes one ticker and one horizon")
    show_report(
        context, "backtest", tables.BACKTEST_SQL, tables.backtest_table, of="backtests.summary", as_json=as_json
    )
    if html is not None:
        _write_page(context, html)
        if not as_json:
            context.console.print(f"report: {html}")


def _write_page(context: CommandContext, html: Path) -> None:
    """Write the page of the stored backtest of the only slice that is asked for."""
    from resources.daily_report import write_page
    from resources.storage.parquet_store import ParquetStore
    from resources.storage.warehouse import Warehouse
    from trading_dag.plots import to_png
    from trading_dag.plots.backtest import equity_against_benchmark
    from trading_dag.reporting import signal_backtest_page as page
    from trading_dag.reporting.tables import sample_notice, simulated_notice
    from trading_dag.reporting.text import titled
    from trading_dag.schemas import SUMMARY

    store, key = ParquetStore(context.settings.home), context.research_slices[0]
    warehouse = Warehouse(store)
    chosen: list[object] = [key.ticker, key.horizon]
    summaries, equity, trades = (
        warehouse.query(sql, chosen, keys=[key]) for sql in (page.SUMMARY_SQL, page.EQUITY_SQL, page.TRADES_SQL)
    )
    recorded = store.provenance(SUMMARY, key)
    source = None if recorded is None else recorded.source
    notes = (simulated_notice([(str(key.ticker), source)]), sample_notice([source]))
    pictures = {
        str(rule): to_png(
            equity_against_benchmark(
                rows, titled(f"{key.ticker} {key.horizon} · {str(rule).replace('_', ' ')}", source)
            )
        )
        for rule, rows in equity.groupby("rule")
    }
    write_page(html, page.signal_backtest_page(summaries, trades, pictures, notes=tuple(filter(None, notes))))
