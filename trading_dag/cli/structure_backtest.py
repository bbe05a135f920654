"""The work behind ``backtest --structure``: one trade plan from its words to a printed, or written, report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trading_dag.cli.context import CommandContext
from trading_dag.cli.plan_entries import entries_of
from trading_dag.cli.plan_market import traded_market
from trading_dag.cli.plan_request import PlanRequest, changed_settings
from trading_dag.cli.printing import print_json
from trading_dag.cli.report_command import checked_target
from trading_dag.reporting.text import titled

if TYPE_CHECKING:
    import pandas as pd

    from trading_dag.backtest.results.plan_study import PlanStudy
    from trading_dag.cli.plan_market import TradedMarket


@dataclass(frozen=True)
class StudiedPlan:
    """Holds a plan's study, what it was traded on, and its results by days and delta where they were asked for."""

    study: PlanStudy
    traded: TradedMarket
    by_days_and_delta: pd.DataFrame | None


def show_plan(
    context: CommandContext, ticker: str | None, request: PlanRequest, *, html: Path | None, as_json: bool
) -> None:
    """Run the plan, and print its result or write it to a file."""
    if html is not None:
        checked_target(html)
    studied = run_study(context, ticker, request)
    record = _record(studied)
    if html is not None:
        from trading_dag.reporting.backtest_page import plan_page

        pictures = pictures_of(studied.study, source=studied.traded.source)
        html.write_text(plan_page(record, pictures), encoding="utf-8")
    if as_json:
        print_json(record)
        return
    _print(context, studied, record)
    if html is not None:
        context.console.print(f"report: {html}")


def run_study(context: CommandContext, ticker: str | None, request: PlanRequest) -> StudiedPlan:
    """Return the plan's result together with what it is compared with.

    Parameters
    ----------
    ticker : the underlying; None for that of a file which has but one.

    Raises
    ------
    ConfigurationError : for a word that names no structure, exit, entry rule or setting.
    StorageError, InsufficientDataError, SourceError : where there are no quotes, or no entry within them.
    """
    from trading_dag.backtest.plans.structure_plans import fills_of, settings_for_listed_contract
    from trading_dag.backtest.results.plan_study import study_plan
    from trading_dag.backtest.runs.plan_runs import random_entry_runs, run_plan

    book = changed_settings(context.settings.backtest, request.changes)
    request.plan(context, book=book)  # what cannot be is said before anything is read
    traded = traded_market(context, ticker, request, fills=fills_of(book))
    market, dividends = traded.market, traded.dividends.dividends
    plan = request.plan(context, book=settings_for_listed_contract(market.ticker, book))
    rule = entries_of(context, market, request)
    result = run_plan(market, plan, entries=rule.entries, dividends=dividends, rate=traded.rate)
    luck = None
    if result.is_closed.any():
        luck = random_entry_runs(
            market, result, runs=book.random_entry_runs, seed=book.seed, dividends=dividends, rate=traded.rate
        )
    assumed = {"entries": rule.in_words, "dividends": traded.dividends.assumption}
    study = study_plan(
        result,
        luck=luck,
        rate=traded.rate,
        dividend_yield=context.settings.surface.dividend_yield,
        assumed=assumed if traded.counts is None else {**assumed, "rows": traded.counts.in_words()},
    )
    table = None
    if request.by_delta:
        from trading_dag.backtest.runs.cell_runs import run_cells

        table = run_cells(result, entries=rule.entries, dividends=dividends, rate=traded.rate)
    return StudiedPlan(study, traded, table)


def pictures_of(study: PlanStudy, *, source: str | None) -> dict[str, bytes]:
    """Return the page's pictures, PNG by name, in the order in which they are shown; a picture without data is left
    out."""
    from trading_dag.plots import profit_against_random_entry, to_png
    from trading_dag.plots.trade_plans import (
        excursions,
        greeks_through_time,
        payoff_of_typical_trade,
        plan_equity,
        profit_by_cause,
    )

    result, luck = study.result, study.luck
    title = titled(f"{result.market.ticker} {result.plan.name.replace('_', ' ')}", source)
    figures = {"equity and drawdown": plan_equity(result.equity(), title)}
    if luck is not None and not study.random_runs_are_alike:
        figures["profit against random entry"] = profit_against_random_entry(
            luck.totals_usd, own_usd=result.total_profit_usd, p_value=luck.p_value, summary_title=title
        )
    if result.is_closed.any():
        figures["profit by cause"] = profit_by_cause(study.exits_table, title)
        figures["worst and best while held"] = excursions(result.trades(), title)
    if study.typical_row is not None:
        figures["payoff of a typical trade"] = payoff_of_typical_trade(study, title)
        figures["Greeks through time"] = greeks_through_time(study.greeks_table, title)
    return {name: to_png(figure) for name, figure in figures.items()}


def _record(studied: StudiedPlan) -> dict[str, Any]:
    """Return the report as JSON holds it; of a file with the counts of its rows."""
    from trading_dag.reporting.backtest_record import plan_record

    record = plan_record(studied.study, source=studied.traded.source)
    counts = studied.traded.counts
    if counts is not None:
        record["rows"] = {
            "rows": counts.rows, "used": counts.used, "refused": dict(counts.refused),
            "no_quote": dict(counts.no_quote), "no_delta": counts.no_delta, "remarks": list(studied.traded.remarks),
        }  # fmt: skip
    if studied.by_days_and_delta is not None:
        from trading_dag.reporting.tables import records

        record["by_days_and_delta"] = records(studied.by_days_and_delta)
    return record


def _print(context: CommandContext, studied: StudiedPlan, record: dict[str, Any]) -> None:
    from trading_dag.reporting.backtest_tables import plan_tables

    if studied.traded.counts is not None:
        context.console.print(studied.traded.counts.in_words())
    for remark in studied.traded.remarks:
        context.console.print(remark)
    for table in plan_tables(record):
        context.console.print(table)
    if studied.by_days_and_delta is not None:
        from trading_dag.reporting.days_and_delta_table import days_and_delta_table

        context.console.print(days_and_delta_table(record["by_days_and_delta"]))
    for note in record["notes"]:
        context.console.print(note)
