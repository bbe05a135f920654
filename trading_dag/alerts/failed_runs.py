"""Runs that failed, and blocking checks that made them fail.

A failure is named by what could not be made: the step and its slice. So the same step that fails in ten runs is told
once, until it has been made again. A run that will be repeated by itself has not failed yet.
"""

from __future__ import annotations

from dataclasses import dataclass

from trading_dag.alerts.cause import Cause


@dataclass(frozen=True)
class FailedStep:
    """Holds what one failed run did not make.

    Attributes
    ----------
    step : the step that failed first; empty where the run failed as a whole, such as by a killed process.
    asset : of the step, as ``raw.prices_daily``; empty where it is not known.
    partition : the slice, such as ``SPY`` or ``24h|SPY``; empty for what has none.
    error : name of the exception's class; empty where none was raised.
    checks : blocking checks that failed, each with what it says.
    """

    run_id: str
    job: str
    step: str
    asset: str
    partition: str
    error: str
    problem: str
    checks: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """Return what failed, in words."""
        name = self.asset or self.step or self.job
        return f"{name} of {in_words(self.partition)}" if self.partition else name


# Raised by the project where a blocking check or a rule of a table is broken, and by Dagster for a check of its own.
REFUSALS = frozenset({"BadSliceError", "SchemaError", "DagsterAssetCheckFailedError"})


def failed_run(failure: FailedStep) -> Cause:
    """Return the cause of a failed run: a failed check where a check refused the data, otherwise a failed run."""
    key = f"{failure.asset or failure.job}|{failure.partition}"
    lines = [failure.problem] if failure.problem else []
    lines += [f"Run {failure.run_id}, job {failure.job}."]
    path = f"/runs/{failure.run_id}"
    if failure.checks or failure.error in REFUSALS:
        told = [f"Check {check}" for check in failure.checks]
        kept = "What was stored before stays in place, and nothing that depends on it is updated until it passes."
        title = f"A check refused {failure.what}"
        return Cause("check_failed", key, title, (*told, *lines, kept), path)
    return Cause("run_failed", key, f"{failure.what} could not be made", tuple(lines), path)


def in_words(partition: str) -> str:
    """Return a partition as people name it: ``SPY 24h`` for ``24h|SPY``."""
    return " ".join(reversed(partition.split("|")))
