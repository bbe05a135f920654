"""Which rules a table has, and what they find in a frame. Verdicts are reported elsewhere."""

from __future__ import annotations

from functools import lru_cache

import pandas as pd

from trading_dag.quality.casting import cast_frame
from trading_dag.quality.chain_rules import chain_analytics_checks, option_chain_checks
from trading_dag.quality.knowledge_rules import knowledge_checks
from trading_dag.quality.price_rules import price_checks
from trading_dag.quality.rules import EXAMPLES, Check, Examined, Finding, QualityContext, Rule
from trading_dag.quality.schema_rules import describe_key, schema_checks
from trading_dag.quality.volatility_rules import (
    feature_table_checks,
    implied_volatility_checks,
    volatility_index_checks,
)
from trading_dag.schemas import Table

_MARKET_CHECKS = {
    "raw.prices_daily": price_checks,
    "raw.volatility_index": volatility_index_checks,
    "features.implied_volatility": implied_volatility_checks,
    "features.feature_table": feature_table_checks,
    "options.chain_analytics": chain_analytics_checks,
    "raw.option_chain": option_chain_checks,
}


@lru_cache(maxsize=64)
def _checks_of(table: Table) -> tuple[Check, ...]:
    market = _MARKET_CHECKS.get(table.qualified_name, tuple)
    return (*schema_checks(table), *market(), *knowledge_checks(table.qualified_name))


def rules_of(table: Table) -> tuple[Rule, ...]:
    """Return the rules of a table, in the order in which they are reported."""
    return tuple(check.rule for check in _checks_of(table))


def examine(table: Table, frame: pd.DataFrame, *, context: QualityContext) -> dict[str, Finding]:
    """Return what each rule of a table finds in a frame, by the rule's name.

    A frame in any condition is examined: a rule whose columns are missing or of the wrong type finds nothing and
    says so, because ``columns_and_types`` has already found that.

    Returns
    -------
    One finding per rule; examples are keys (at most five) wherever something was found.
    """
    cast, problems = cast_frame(frame, table)
    is_source_off = len(frame) == 0 and bool(frame.attrs.get("source_off"))
    examined = Examined(table, cast, context, problems, is_source_off)
    findings = {}
    for check in _checks_of(table):
        findings[check.rule.name] = _with_examples(_judged(check, examined), examined)
    return findings


def _judged(check: Check, examined: Examined) -> Finding:
    lacking = examined.lacks(check.needs)
    if lacking:
        return examined.not_examined(f"{', '.join(lacking)} cannot be read")
    if examined.frame.empty and not check.is_of_empty:
        return examined.not_examined("no rows")
    finding = check.examine(examined)
    return _without_accepted(finding, examined) if check.rule.can_be_accepted else finding


def _without_accepted(finding: Finding, examined: Examined) -> Finding:
    """Return the finding without the bars that a user has accepted, which it names."""
    accepted = examined.context.accepted
    if not accepted or not finding.mask.any():
        return finding
    excused = finding.mask & examined.frame["session"].isin(list(accepted)).to_numpy()
    if not excused.any():
        return finding
    days = examined.frame["session"][excused]
    named = "; ".join(f"{day:%Y-%m-%d} is accepted: {accepted[day]}" for day in days.head(EXAMPLES))
    rest = finding.mask & ~excused
    detail = f"{finding.detail}; {named}" if rest.any() else named
    return Finding(rest, count=int(rest.sum()), detail=detail)


def _with_examples(finding: Finding, examined: Examined) -> Finding:
    if finding.count == 0:
        return finding
    examples = finding.examples or tuple(
        describe_key(examined.frame, examined.table.key, int(position))
        for position in finding.mask.nonzero()[0][:EXAMPLES]
    )
    return Finding(finding.mask, finding.count, finding.detail, examples[:EXAMPLES])


def diagnose(table: Table, frame: pd.DataFrame, *, context: QualityContext) -> pd.DataFrame:
    """Return one boolean column per rule and one row per row of the frame: True where the row is evidence against the
    rule.

    Returns
    -------
    A frame on a plain RangeIndex; a rule that holds has no True.
    """
    findings = examine(table, frame, context=context)
    return pd.DataFrame({name: finding.mask for name, finding in findings.items()}, index=pd.RangeIndex(len(frame)))
