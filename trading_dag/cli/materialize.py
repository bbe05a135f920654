"""The work behind the commands: materialize through the Dagster instance, show progress, and report the result."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from trading_dag.cli.context import CommandContext
from trading_dag.cli.dagster_instance import opened_instance
from trading_dag.cli.exits import WORK_FAILED
from trading_dag.cli.printing import (
    complain,
    input_ends,
    print_input_ends,
    print_json,
    print_notes,
    print_notice,
    print_warnings,
    progress_bar,
    show,
    warnings_of,
    with_sources,
)
from trading_dag.errors import ConfigurationError, SliceBusyError

if TYPE_CHECKING:
    from collections.abc import Callable

    import dagster as dg
    import pandas as pd
    from rich.text import Text

    from assets.run.execution import Mode, Outcome, Refit
    from resources.storage.parquet_store import SliceKey


def materialize(
    context: CommandContext, mode: Mode, *, as_json: bool, refit: Refit | None = None, notes: tuple[str, ...] = ()
) -> None:
    """Do the work of a mode on the chosen slices and show what has come of it.

    Parameters
    ----------
    refit : which models ``train`` refits, and whether what reads them follows; None for all, and yes.
    notes : what is told at the end besides.
    """
    outcomes = execute_mode(context, mode, quiet=as_json, refit=refit)

    from trading_dag.reporting import tables

    query, of = tables.SUMMARY_SQL, "signals.recommendation"
    table: Callable[[pd.DataFrame], Any] = tables.summary_table
    if mode == "refresh":
        from trading_dag.reporting.signal_report import signal_report

        query, table = tables.SIGNAL_SQL, signal_report
    elif refit is not None and not refit.follows:
        query, table, of = tables.MODELS_SQL, tables.models_table, "models.registry"
    frame = with_sources(context, context.query(query), of=of)
    all_notes = list(dict.fromkeys((*(note for outcome in outcomes for note in outcome.notes), *notes)))
    versions = [line for outcome in outcomes for line in outcome.versions]
    has_result = any(outcome.is_success and outcome.item.kind == "ticker_horizon" for outcome in outcomes)
    if as_json:
        failures = [
            {"slice": str(outcome.item), "errors": list(outcome.errors), "blocked_by": outcome.blocked_by}
            for outcome in outcomes
            if not outcome.is_success
        ]
        told = {
            "failures": failures,
            "repaired": [line for outcome in outcomes for line in outcome.repaired],
            "notes": all_notes,
            "versions": versions,
            "input_ends": input_ends(context),
            "warnings": [asdict(warning) for warning in warnings_of(context)],
        }
        print_json({"slices": tables.records(frame), **told})
    else:
        if has_result and not frame.empty:
            context.console.print(table(frame))
            print_notice(context, zip(frame["ticker"], frame["source"], strict=True))
            print_input_ends(context)
        _print_versions(context, versions)
        print_notes(context, all_notes)
        print_warnings(context)
        _print_outcomes(context, outcomes, has_result=has_result)
    from trading_dag.cli.history_commands import clean_by_settings

    clean_by_settings(context)
    if not all(outcome.is_success for outcome in outcomes):
        raise typer.Exit(WORK_FAILED)


def fetch_raw(context: CommandContext, kinds: str, *, as_json: bool) -> None:
    """Fetch raw data of the chosen tickers and the macro series, and say what came; nothing is computed.

    Raises
    ------
    ConfigurationError : for a kind that does not exist.
    """
    from assets.run.execution import FETCHED_KINDS

    wanted = frozenset(part.strip() for part in kinds.split(",") if part.strip())
    unknown = sorted(wanted - set(FETCHED_KINDS))
    if unknown:
        raise ConfigurationError(f"no kind of raw data: {', '.join(unknown)}; choose from {', '.join(FETCHED_KINDS)}")
    outcomes = execute_mode(context, "fetch", quiet=as_json, kinds=wanted)
    if as_json:
        print_json(
            [
                {
                    "slice": str(outcome.item),
                    "fetched": list(outcome.materialized),
                    "errors": list(outcome.errors),
                    "notes": list(outcome.notes),
                    "seconds": round(outcome.seconds, 3),
                }
                for outcome in outcomes
            ]
        )
    else:
        print_notes(context, (note for outcome in outcomes for note in outcome.notes))
    if not all(outcome.is_success for outcome in outcomes):
        raise typer.Exit(WORK_FAILED)


def execute_mode(
    context: CommandContext,
    mode: Mode,
    *,
    quiet: bool,
    refit: Refit | None = None,
    kinds: frozenset[str] = frozenset(),
) -> list[Outcome]:
    """Do the work of a mode on the chosen slices, with progress; a signal stops it in an orderly way."""
    from assets.run.workers import interrupts_left_to_the_parent

    with ExitStack() as held:
        # What a signal raises within an import may be swallowed by a library; so it is answered when all is imported.
        with interrupts_left_to_the_parent():
            instance, keys = _opened(context, mode, held)

            from assets.run.claims import bury_dead_runs
            from assets.run.execution import REPORTS, concludes, execute
            from trading_dag.definitions import build_for_command

        work = execute(
            context.settings,
            tickers=context.tickers,
            horizons=context.horizons,
            mode=mode,
            build=build_for_command,
            refit=refit,
            kinds=kinds,
        )
        with closing(work):
            try:
                total = len(keys) + (mode not in REPORTS) + concludes(mode, refit)  # macro data first, conclusions last
                outcomes = _with_progress(context, work, total=total, quiet=quiet)
            except BaseException:
                work.close()
                bury_dead_runs(instance)
                raise
        bury_dead_runs(instance)
    return outcomes


def _opened(context: CommandContext, mode: Mode, held: ExitStack) -> tuple[dg.DagsterInstance, list[SliceKey]]:
    """Return the Dagster instance and the slices, claimed until ``held`` is left; everything the work needs is now
    imported.

    Raises
    ------
    SliceBusyError : where another command or run works on one of the slices.
    """
    from assets.run.workers import start_server

    start_server()  # it imports what workers need while this process does the same

    import dagster  # noqa: F401
    import rich.progress  # noqa: F401

    from assets.run.claims import bury_dead_runs, claim, refuse_if_busy
    from assets.run.execution import REPORTS
    from resources.sources.choose import require_prices
    from resources.storage.parquet_store import SliceKey

    keys = context.research_slices
    if mode not in REPORTS:
        require_prices(context.settings)
        keys = [SliceKey(ticker) for ticker in context.tickers] + ([] if mode == "fetch" else keys)
    held.enter_context(claim(context.state, context.tickers))
    instance = held.enter_context(opened_instance(context))
    bury_dead_runs(instance)
    refuse_if_busy(instance, keys)
    context.warehouse.ensure()
    return instance, keys


def bring_reports_up_to_date(context: CommandContext, mode: Mode, *, quiet: bool) -> bool:
    """Compute the scores or the backtests that are older than the stored forecasts and signals.

    Returns
    -------
    False where the work failed. While another run works on the slices no report is computed, and that is said.

    Raises
    ------
    SliceBusyError : where signals are to be recorded while another run works on them.
    """
    from assets.run.execution import concludes, stale_in_mode
    from assets.run.staleness import Staleness
    from resources.storage.models.store import ModelStore
    from resources.storage.parquet_store import ParquetStore, SliceKey

    staleness = Staleness(
        ParquetStore(context.settings.home), ModelStore(context.settings.home / "models"), context.settings
    )
    is_stale = any(stale_in_mode(staleness, "ticker_horizon", key, mode) for key in context.research_slices)
    if not is_stale and not (concludes(mode) and stale_in_mode(staleness, "all_slices", SliceKey(), mode)):
        return True
    try:
        outcomes = execute_mode(context, mode, quiet=quiet)
    except SliceBusyError as error:
        if mode == "record":
            raise
        complain(f"shown as stored, not up to date: {error}")
        return True
    return all(outcome.is_success for outcome in outcomes)


def show_report(context: CommandContext, mode: Mode, query: str, table: Any, *, of: str, as_json: bool) -> None:
    """Bring a report up to date if that is due, and show it; the other arguments are those of ``show``."""
    is_current = bring_reports_up_to_date(context, mode, quiet=as_json)
    show(context, query, table, of=of, as_json=as_json, is_current=is_current)


def _with_progress(context: CommandContext, outcomes: Any, *, total: int, quiet: bool) -> list[Outcome]:
    from trading_dag.cli.plain_console import marked

    finished: list[Outcome] = []
    with progress_bar(context, quiet=quiet) as progress:
        task = progress.add_task("starting", total=total)
        for outcome in outcomes:
            finished.append(outcome)
            progress.update(task, advance=1, description=f"slices (last: {outcome.item})")
            if not quiet:
                console = progress.console if outcome.is_success else context.failure_console
                console.print(_line(outcome))
                for line in outcome.repaired:
                    progress.console.print(marked("repaired", "yellow", f" {line}"))
    return finished


def _line(outcome: Outcome) -> Text:
    from trading_dag.cli.plain_console import marked

    if outcome.blocked_by:
        return marked("skipped", "yellow", f" {outcome.item}: {outcome.blocked_by} failed")
    if outcome.errors:
        return marked("failed", "red", f"  {outcome.item}: {'; '.join(outcome.errors)}")
    done = f"{len(outcome.materialized)} assets" if outcome.materialized else "up to date"
    return marked("done", "green", f"    {outcome.item!s:<12} {done:<12} {outcome.seconds:6.1f} s")


def _print_versions(context: CommandContext, versions: list[str]) -> None:
    """Print which version of each model that was fitted anew serves, and why."""
    if versions:
        context.console.print("New versions of models:")
        for line in versions:
            context.console.print(f"  {line}")


def _print_outcomes(context: CommandContext, outcomes: list[Outcome], *, has_result: bool) -> None:
    failed = [outcome for outcome in outcomes if not outcome.is_success]
    if failed:
        from trading_dag.cli.plain_console import marked

        told = f"{len(failed)} of {len(outcomes)} slices are not up to date"
        context.failure_console.print(marked(told, "red", "; what they held before is untouched."))
    if not has_result:
        context.failure_console.print(
            "No slice has a result to show. What is set up and what is missing: trading-dag doctor"
        )
        return
    context.console.print(
        "Look next:  trading-dag signal --all  |  trading-dag evaluate  |  trading-dag backtest  |  "
        'trading-dag sql "from backtests.trades"  |  make ui'
    )
    context.console.print("Research software, no investment advice. Backtests use a modelled option surface.")
