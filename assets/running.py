"""One run of a job in this process, without its lines on the console, and what came of it in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import dagster as dg

from assets.stopping import raise_if_stopped

QUIET_CONSOLE: Final = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
OWN_ERRORS: Final = "trading_dag.errors."


@dataclass(frozen=True)
class RunOutcome:
    """What came of a run.

    Attributes
    ----------
    materialized : names of the assets that were stored, such as ``raw.prices_daily``.
    errors : one line for each step that failed.
    """

    materialized: tuple[str, ...]
    errors: tuple[str, ...]


def run_job(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    *,
    partition: str | None,
    selection: Sequence[dg.AssetKey] | None = None,
    tags: Mapping[str, str] | None = None,
) -> RunOutcome:
    """Execute a job, or some assets of it, on one partition. A step that fails raises nothing here.

    Raises
    ------
    SystemExit : where a signal came meanwhile: Dagster makes a failed run of it, and the next would begin.
    """
    result = job.execute_in_process(
        instance=instance,
        partition_key=partition,
        asset_selection=selection,
        run_config=QUIET_CONSOLE,
        raise_on_error=False,
        tags=tags,
    )
    raise_if_stopped()
    done = [
        ".".join(event.asset_key.path)
        for event in result.all_events
        if event.is_step_materialization and event.asset_key is not None
    ]
    return RunOutcome(tuple(done), tuple(error_line(event) for event in result.all_events if event.is_step_failure))


def error_line(event: dg.DagsterEvent) -> str:
    """The project's own error where there is one, because it says what to do; otherwise the innermost."""
    error: Any = event.step_failure_data.error
    while error is not None and error.cause is not None and not error.message.startswith(OWN_ERRORS):
        error = error.cause
    message = error.message.strip() if error is not None else "failed without an error"
    step = (event.step_key or "").replace("__", ".")
    return f"{step}: {message.removeprefix(OWN_ERRORS)}"
