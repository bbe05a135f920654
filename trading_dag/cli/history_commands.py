"""The command that removes what accumulates: old versions of models and Dagster's records of runs."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trading_dag.cli.arguments import AsJson
from trading_dag.cli.context import CommandContext
from trading_dag.cli.dagster_instance import opened_instance, run_history
from trading_dag.cli.printing import complain, print_json
from trading_dag.errors import SliceBusyError, StorageError

if TYPE_CHECKING:
    import dagster as dg

KEEP_VERSIONS: Final = 3
KEEP_DAYS: Final = 90


@dataclass(frozen=True)
class Cleaning:
    """Tells what was removed, or would be.

    Attributes
    ----------
    models : versions as text.
    model_bytes, history_bytes : size of the models' files, and what Dagster's files gave back.
    runs : how many.
    is_compacted : whether Dagster's files have given back all that they can.
    """

    models: tuple[str, ...] = ()
    model_bytes: int = 0
    runs: int = 0
    history_bytes: int = 0
    is_compacted: bool = True


def clean_history(
    keep_models: Annotated[
        int | None,
        typer.Option("--keep-models", min=1, help="How many of the newest versions of each model to keep. Default: 3."),
    ] = None,
    days: Annotated[
        int | None, typer.Option("--days", min=1, help="Remove records of runs older than this many days. Default: 90.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove old versions of models and Dagster's records of old runs. Versions in use, versions that a stored
    forecast, signal or trade names, and the last run of each slice are kept. Slices, prices and chains are not
    touched."""
    context = CommandContext()
    settings = context.settings
    cleaning = clean(
        context,
        keep_models=keep_models or settings.model_keep_versions or KEEP_VERSIONS,
        days=days or settings.history_keep_days or KEEP_DAYS,
        dry_run=dry_run,
    )
    if as_json:
        print_json({**cleaning.__dict__, "dry_run": dry_run})
        return
    would = "would go" if dry_run else "removed"
    context.console.print(f"{len(cleaning.models)} versions of models {would} ({cleaning.model_bytes / 1e6:.1f} MB)")
    for line in cleaning.models if dry_run else ():
        context.console.print(f"  {line}")
    context.console.print(
        f"{cleaning.runs} runs {would} from Dagster's history ({cleaning.history_bytes / 1e6:.1f} MB given back)"
    )
    if not cleaning.is_compacted:
        context.console.print(
            "Dagster's history is being written: it keeps its size, and uses the room that is free now."
        )


def clean_by_settings(context: CommandContext) -> None:
    """Clean after a run as the settings say; do nothing where they say nothing."""
    settings = context.settings
    if settings.model_keep_versions is None and settings.history_keep_days is None:
        return
    try:
        clean(context, keep_models=settings.model_keep_versions, days=settings.history_keep_days, dry_run=False)
    except (SliceBusyError, StorageError) as error:
        complain(f"not cleaned now: {error}")


def clean(context: CommandContext, *, keep_models: int | None, days: int | None, dry_run: bool) -> Cleaning:
    """Remove what is old enough and not needed; None keeps everything of its kind.

    Raises
    ------
    SliceBusyError : while another command or a run works on the home; nothing is removed then.
    StorageError : where a stored slice cannot be read, so that nobody knows which model it names.
    """
    from assets.run.claims import bury_dead_runs, claim
    from assets.run.retention import compact, remove_runs, superfluous_runs
    from resources.runs.run_output import remove_output
    from resources.storage.models.retention import remove_versions, superfluous_versions
    from resources.storage.models.store import ModelStore
    from resources.storage.parquet_store import ParquetStore

    now = dt.datetime.now(dt.UTC)
    models, store = ModelStore(context.settings.home / "models"), ParquetStore(context.settings.home)
    fitted = {ticker for _, ticker, _ in models.slices()}
    with claim(context.state, fitted | set(context.settings.all_tickers)), run_history(context):
        with opened_instance(context) as instance:
            bury_dead_runs(instance)
            _refuse_while_running(instance)
            versions = [] if keep_models is None else superfluous_versions(models, store, keep=keep_models, now=now)
            runs = [] if days is None else superfluous_runs(instance, before=now - dt.timedelta(days=days))
            if not dry_run:
                remove_versions(models, versions)
                remove_runs(instance, runs)
                if days is not None:
                    remove_output(context.state, before=now - dt.timedelta(days=days))
        freed, is_compacted = compact(context.state) if runs and not dry_run else (0, True)
    return Cleaning(tuple(map(str, versions)), sum(entry.bytes for entry in versions), len(runs), freed, is_compacted)


def _refuse_while_running(instance: dg.DagsterInstance) -> None:
    import dagster as dg

    from resources.runs.dagster_private import NOT_FINISHED_STATUSES

    running = instance.get_runs(filters=dg.RunsFilter(statuses=list(NOT_FINISHED_STATUSES)), limit=1)
    if running:
        raise SliceBusyError(f"run {running[0].run_id[:8]} is queued or under way; clean when it has ended")
