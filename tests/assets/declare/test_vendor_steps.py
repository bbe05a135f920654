"""A step whose vendor cannot be reached runs again later; one that would fail again does not."""

import dagster as dg
import pytest

from assets.declare import vendor_steps
from assets.declare.vendor_steps import COMMAND_TAG, asked_again_later, pool_of
from assets.run.in_process import run_job
from trading_dag.errors import SourceError, SourceFormatError, SourceUnavailableError
from trading_dag.schemas import PRICES_DAILY, RECOMMENDATION

TOLD = {"source": "yahoo", "request": "bars of SPY", "remedy": "Try again."}


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendor_steps, "RETRIES", dg.RetryPolicy(max_retries=3, delay=0.0))


def attempts(instance: dg.DagsterInstance, errors: list[SourceError], tags: dict[str, str] | None = None) -> list[str]:
    """How often a step was tried whose vendor gives these errors and then an answer, and how its run ended."""
    left = list(errors)
    tried: list[str] = []

    @dg.asset
    def bars(context: dg.AssetExecutionContext) -> int:
        tried.append("try")
        with asked_again_later(context):
            if left:
                raise left.pop(0)
        return 1

    result = dg.materialize([bars], instance=instance, raise_on_error=False, tags=tags)
    return [*tried, "done" if result.success else "failed"]


def test_a_vendor_that_cannot_be_reached_is_asked_again_three_times(
    instance: dg.DagsterInstance, at_once: None
) -> None:
    away = [SourceUnavailableError(problem="no connection", **TOLD) for _ in range(9)]
    assert attempts(instance, away[:2]) == ["try", "try", "try", "done"]
    assert attempts(instance, away) == ["try", "try", "try", "try", "failed"]


def test_what_would_fail_again_and_a_command_fail_at_once(instance: dg.DagsterInstance, at_once: None) -> None:
    assert attempts(instance, [SourceFormatError(problem="another shape", **TOLD)]) == ["try", "failed"]
    away = SourceUnavailableError(problem="no connection", **TOLD)
    assert attempts(instance, [away], {COMMAND_TAG: "refresh"}) == ["try", "failed"]


def test_no_run_of_a_command_waits_for_a_vendor_whatever_part_of_the_command_began_it(
    instance: dg.DagsterInstance,
) -> None:
    @dg.asset
    def chain(context: dg.AssetExecutionContext) -> None:
        with asked_again_later(context):
            raise SourceUnavailableError(problem="no connection", **TOLD)

    job = dg.define_asset_job("chains", [chain]).resolve(asset_graph=dg.Definitions([chain]).resolve_asset_graph())
    outcome = run_job(job, instance, partition=None)
    assert len(outcome.errors) == 1
    run = instance.get_runs()[0]
    assert (run.status, run.tags[COMMAND_TAG]) == (dg.DagsterRunStatus.FAILURE, "command")
    assert "chain" in outcome.errors[0]


def test_waits_grow_and_scatter() -> None:
    for attempt, seconds in ((1, 20.0), (2, 60.0), (3, 140.0)):
        waits = {vendor_steps.RETRIES.calculate_delay(attempt) for _ in range(50)}
        assert seconds - 20.0 <= min(waits) < max(waits) <= seconds + 20.0


def test_what_asks_a_vendor_has_its_pool() -> None:
    assert pool_of([PRICES_DAILY]) == "yahoo"
    assert pool_of([RECOMMENDATION]) is None
