"""Executes one run of a job in this process, without its lines on the console, and reports the result in plain
words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import dagster as dg

from assets.declare.vendor_steps import COMMAND_TAG
from assets.run.stopping import raise_if_stopped
from resources.io_managers.tables import DECISION_METADATA, SUCCESSION_METADATA
from resources.left_out import LEFT_OUT
from trading_dag.schemas import MACRO, VOLATILITY_INDEX

QUIET_CONSOLE: Final = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
OWN_ERRORS: Final = "trading_dag.errors."
# That a model serves which is the first of its slice, or the same as before, is no news.
UNREMARKABLE: Final = ("first", "same_model")
# Inputs without which a result lacks something that its reader looks for; the other kinds are extras.
MISSED_WHERE_OFF: Final = (VOLATILITY_INDEX.qualified_name, MACRO.qualified_name)


@dataclass(frozen=True)
class RunOutcome:
    """Tells what came of a run.

    Attributes
    ----------
    materialized : names of the assets that were stored, such as ``raw.prices_daily``.
    errors : one line for each step that failed.
    notes : what sources left out or assumed, and which of the important inputs are switched off.
    versions : of each model that was fitted anew, which version serves and why; a first version is no news.
    """

    materialized: tuple[str, ...]
    errors: tuple[str, ...]
    notes: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()


def run_job(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    *,
    partition: str | None,
    selection: Sequence[dg.AssetKey] | None = None,
    mode: str = "command",
) -> RunOutcome:
    """Execute a job, or some assets of it, on one partition. A failing step raises nothing here.

    The run says in its tags that a command executes it, and in which mode: its steps do not wait for a vendor that
    cannot be reached, as those of the daemon's runs do.

    Raises
    ------
    SystemExit : where a signal came meanwhile; otherwise Dagster would record a failed run, and the next would begin.
    """
    result = job.execute_in_process(
        instance=instance,
        partition_key=partition,
        asset_selection=selection,
        run_config=QUIET_CONSOLE,
        raise_on_error=False,
        tags={COMMAND_TAG: mode},
    )
    raise_if_stopped()
    materialized = [
        ".".join(event.asset_key.path)
        for event in result.all_events
        if event.is_step_materialization and event.asset_key is not None
    ]
    return RunOutcome(
        tuple(materialized),
        tuple(error_line(event) for event in result.all_events if event.is_step_failure),
        tuple(note for event in result.all_events if event.is_step_materialization for note in notes_of_event(event)),
        tuple(said for event in result.all_events if event.is_step_materialization for said in version_of_event(event)),
    )


def version_of_event(event: dg.DagsterEvent) -> list[str]:
    """Return what the metadata of a fitted model say of which version serves, in a line."""
    said = event.step_materialization_data.materialization.metadata
    if SUCCESSION_METADATA not in said or said[DECISION_METADATA].value in UNREMARKABLE:
        return []
    return [str(said[SUCCESSION_METADATA].value)]


def notes_of_event(event: dg.DagsterEvent) -> list[str]:
    """Return what the metadata of a materialization say was left out, assumed or switched off."""
    said = event.step_materialization_data.materialization.metadata
    notes = str(said[LEFT_OUT].value).splitlines() if LEFT_OUT in said else []
    name = ".".join(event.asset_key.path) if event.asset_key else ""
    if name in MISSED_WHERE_OFF and "source_off" in said:
        notes.append(f"{name} is off: {said['source_off'].value}")
    return notes


def error_line(event: dg.DagsterEvent) -> str:
    """Return the project's own error where there is one, because it says what to do; otherwise the innermost error."""
    error: Any = event.step_failure_data.error
    while error is not None and error.cause is not None and not error.message.startswith(OWN_ERRORS):
        error = error.cause
    message = error.message.strip() if error is not None else "failed without an error"
    step = (event.step_key or "").replace("__", ".")
    return f"{step}: {message.removeprefix(OWN_ERRORS)}"
