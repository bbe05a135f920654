"""Runs the rules of a table as a Great Expectations suite, in memory, and hands back one verdict per rule.

What the rules are and what counts as evidence is ``trading_dag.quality``; reporting to Dagster is ``assets/``.

A suite holds one expectation per asset check: the evidence against its rules is nowhere true. Stating the bounds
of a feature table as expectations of their own would take about 0.7 s a slice; this way a slice takes about 25 ms.
"""

from __future__ import annotations

import os
import threading
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from trading_dag.quality import Finding, QualityContext, Rule, examine, rules_of
from trading_dag.schemas import Table

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.core.batch_definition import BatchDefinition
    from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext

_SOURCE: Final = "slices"
_ONE_AT_A_TIME: Final = threading.Lock()  # the pandas engine of a context remembers its active batch


@dataclass(frozen=True)
class RuleVerdict:
    """Tells whether one rule holds for one slice, with the evidence.

    Attributes
    ----------
    rule : the rule.
    passed : whether it holds.
    unexpected_count : how many things are wrong, mostly rows.
    total : rows of the slice.
    examples : keys of at most five of them.
    detail : what is wrong, or why the rule was not examined; may be empty.
    is_examined : whether the rule could look at all. One that could not is not broken, and not confirmed either.
    """

    rule: Rule
    passed: bool
    unexpected_count: int
    total: int
    examples: list[str]
    detail: str
    is_examined: bool = True


def verify(table: Table, frame: pd.DataFrame, *, context: QualityContext) -> list[RuleVerdict]:
    """Judge a frame by every rule of its table.

    Parameters
    ----------
    table : the schema.
    frame : the slice as computed, before it is stored, in any condition; a zero-row frame whose
        ``attrs["source_off"]`` is set stands for a source that is switched off and passes.
    context : what the rules need to know beyond the frame.

    Returns
    -------
    One verdict per rule in the order of ``rules_of(table)``. A frame that is broken gives failing verdicts,
    never an exception.
    """
    findings = examine(table, frame, context=context)
    outcome = _run_suite(table, _evidence(table, findings, rows=len(frame)))
    broken = {rule.check_name for rule in rules_of(table) if findings[rule.name].count}
    verdicts = []
    for rule in rules_of(table):
        finding, (success, problem) = findings[rule.name], outcome[rule.check_name]
        passed = finding.count == 0 and (success or rule.check_name in broken)
        verdicts.append(
            RuleVerdict(
                rule=rule,
                passed=passed,
                unexpected_count=finding.count,
                total=len(frame),
                examples=list(finding.examples),
                detail=problem or finding.detail,
                is_examined=finding.is_examined,
            )
        )
    return verdicts


def _evidence(table: Table, findings: dict[str, Finding], *, rows: int) -> pd.DataFrame:
    """Return one column per asset check: True where a row is evidence against one of its rules."""
    evidence: dict[str, Any] = {}
    for rule in rules_of(table):
        finding = findings[rule.name]
        mask = finding.mask if rows else np.array([finding.count > 0])  # GX has no maximum of zero rows
        evidence[rule.check_name] = evidence.get(rule.check_name, False) | mask
    return pd.DataFrame(evidence)


def _run_suite(table: Table, evidence: pd.DataFrame) -> dict[str, tuple[bool, str]]:
    """Return, by asset check, whether its expectation was met, and the library's own problem with it if there was
    one.
    """
    with _ONE_AT_A_TIME:
        batch = _batch_definition().get_batch(batch_parameters={"dataframe": evidence})
        result = batch.validate(_suite_of(table), result_format="BOOLEAN_ONLY")
    outcome = {rule.check_name: (False, "the expectation was not examined") for rule in rules_of(table)}
    for met in result.results:
        if met.expectation_config is not None:
            problem = str(met.exception_info["exception_message"]) if met.exception_info["raised_exception"] else ""
            outcome[met.expectation_config.kwargs["column"]] = (bool(met.success), problem)
    return outcome


def _great_expectations() -> Any:
    """Return the library without its telemetry; imported on first use because that takes three seconds."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it imports sre_constants and old pydantic names
        import great_expectations
        import great_expectations.expectations
    return great_expectations


@lru_cache(maxsize=1)
def _context() -> EphemeralDataContext:
    library = _great_expectations()
    context: EphemeralDataContext = library.get_context(mode="ephemeral")
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    return context


@lru_cache(maxsize=1)
def _batch_definition() -> BatchDefinition[Any]:
    source = _context().data_sources.add_pandas(_SOURCE)
    return source.add_dataframe_asset("evidence").add_batch_definition_whole_dataframe("slice")


@lru_cache(maxsize=64)
def _suite_of(table: Table) -> ExpectationSuite:
    library = _great_expectations()
    checks: dict[str, list[Rule]] = {}
    for rule in rules_of(table):
        checks.setdefault(rule.check_name, []).append(rule)
    expectations = [
        library.expectations.ExpectColumnMaxToBeBetween(
            column=name,
            max_value=0,
            description=" ".join(rule.description for rule in rules),
            meta={"rules": [rule.name for rule in rules]},
        )
        for name, rules in checks.items()
    ]
    suite: ExpectationSuite = _context().suites.add(
        library.ExpectationSuite(name=table.qualified_name, expectations=expectations)
    )
    return suite
