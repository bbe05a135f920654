"""The command that searches hyperparameters: of which learners, for how long, and what was found."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from trading_dag.cli.arguments import AsJson, Horizons, Source, TickersOrOne
from trading_dag.cli.context import CommandContext
from trading_dag.cli.exits import WORK_FAILED
from trading_dag.cli.materialize import execute_mode
from trading_dag.cli.printing import print_json, print_notes, print_notice, progress_bar, with_sources
from trading_dag.errors import NoBudgetError, SliceBusyError

if TYPE_CHECKING:
    from assets.run.execution import Outcome
    from assets.run.searching import SearchItem, SearchOutcome
    from resources.tuning.search import SearchProgress

_PATIENCE_SECONDS: Final = 120.0  # while another command makes its tables of the same slices


def tune(
    tickers: TickersOrOne = "",
    horizons: Horizons = "",
    source: Source = "",
    as_json: AsJson = False,
    families: Annotated[
        str,
        typer.Option(
            "--family",
            "--families",
            help="Learners, comma-separated, such as direction_xgboost. Default: all but published specifications.",
        ),
    ] = "",
    trials: Annotated[
        int | None, typer.Option("--trials", help="Trials that each search is to have in all. Default: 25.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", help="After which a search begins no trial. Default: no limit.")
    ] = None,
) -> None:
    """Search hyperparameters on rows before every test part, and for the live model on all; nothing is refitted.

    What was found is used by the next run or train, until the rows, the space or the settings change. A search that
    was stopped goes on where it was, and the same command on another terminal works on it too.
    """
    from trading_dag.models.tuning.families import require_families

    if (trials is not None and trials < 1) or (minutes is not None and not minutes > 0):
        raise NoBudgetError("a search needs at least one trial, and more than zero minutes")
    named = tuple(part.strip() for part in families.split(",") if part.strip())
    require_families(named)
    budget: dict[str, Any] = {"families": named} if named else {}
    if minutes is not None:
        budget |= {"minutes": minutes, "trials": trials}
    elif trials is not None:
        budget |= {"trials": trials}
    context = CommandContext(source, tickers, horizons, given={"tuning": budget} if budget else {})
    searched = _searched(context, quiet=as_json)
    outcomes = _made_into_tables(context, searched, quiet=as_json)
    _report(context, searched, outcomes, as_json=as_json)


def _searched(context: CommandContext, *, quiet: bool) -> list[SearchOutcome]:
    """Run the searches of the chosen slices, with progress; a signal stops them in an orderly way."""
    from assets.run.workers import interrupts_left_to_the_parent, start_server

    start_server()  # it imports what workers need while this process does the same
    with interrupts_left_to_the_parent():
        from assets.run.searching import run_searches, searches_of
        from trading_dag.models.tuning.families import require_families

    context.warehouse.ensure()
    settings = context.settings
    names = tuple(family.name for family in require_families(settings.tuning.families))
    items = searches_of(context.research_slices, names)
    ended: list[SearchOutcome] = []
    finished: dict[SearchItem, int] = {}
    with progress_bar(context, quiet=quiet) as bar:
        most = settings.tuning.trials
        task = bar.add_task("searching", total=None if most is None else most * len(items))

        def tell(item: SearchItem, at: SearchProgress) -> None:
            finished[item] = at.finished
            bar.update(task, description=progress_line(item, at), completed=sum(finished.values()))

        with closing(run_searches(settings, items, tell=tell)) as outcomes:
            for outcome in outcomes:
                ended.append(outcome)
                if not quiet:
                    _print_line(context, outcome, bar.console)
    return ended


def progress_line(item: SearchItem, at: SearchProgress) -> str:
    """Return how far a search is, in one line: trial n of N, the best so far, the seconds that are left."""
    of = "" if at.of is None else f" of {at.of}"
    best = "" if at.best is None else f", best {at.best:.5f}"
    left = "" if at.seconds_left is None else f", {at.seconds_left:.0f} s left"
    return f"{item}: trial {at.finished}{of}{best}{left}; trials"


def _print_line(context: CommandContext, outcome: SearchOutcome, console: Any) -> None:
    from trading_dag.cli.plain_console import marked

    if outcome.problem is None:
        best = "no score" if outcome.best is None else f"best {outcome.best:.5f}"
        told = f"    {outcome.item!s:<44} {outcome.finished} trials, {best}, {outcome.seconds:6.1f} s"
        console.print(marked("done", "green", told))
    elif outcome.is_insufficient:
        console.print(marked("skipped", "yellow", f" {outcome.item}: {outcome.problem}"))
    else:
        context.failure_console.print(marked("failed", "red", f"  {outcome.item}: {outcome.problem}"))


def _made_into_tables(context: CommandContext, searched: list[SearchOutcome], *, quiet: bool) -> list[Outcome]:
    """Make the tables of the slices that were searched; wait a little for another command that does the same."""
    if all(outcome.problem is not None and not outcome.is_insufficient for outcome in searched):
        return []
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return execute_mode(context, "tune", quiet=quiet)
        except SliceBusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1.0)


def _report(context: CommandContext, searched: list[SearchOutcome], outcomes: list[Outcome], *, as_json: bool) -> None:
    from trading_dag.reporting import tables

    failures = [
        *(
            {"search": str(outcome.item), "problem": outcome.problem}
            for outcome in searched
            if outcome.problem and not outcome.is_insufficient
        ),
        *({"search": str(outcome.item), "problem": line} for outcome in outcomes for line in outcome.errors),
    ]
    notes = [f"{outcome.item}: {outcome.problem}" for outcome in searched if outcome.is_insufficient]
    frame = with_sources(context, context.query(tables.TUNED_SQL), of="models.best_hyperparameters")
    if as_json:
        searches = [
            {
                "search": str(outcome.item),
                "trials": outcome.finished,
                "best": outcome.best,
                "seconds": round(outcome.seconds, 3),
            }
            for outcome in searched
            if outcome.problem is None
        ]
        print_json({"found": tables.records(frame), "searches": searches, "failures": failures, "notes": notes})
    else:
        if not frame.empty:
            context.console.print(tables.tuned_table(frame))
            print_notice(context, zip(frame["ticker"], frame["source"], strict=True))
            context.console.print(
                'Used by the next run or train. Every trial:  trading-dag sql "from models.hyperparameters"'
            )
        print_notes(context, notes)
    if failures:
        raise typer.Exit(WORK_FAILED)
