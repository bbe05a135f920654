"""What makes a slice good: rules generated from the schemas, and rules about markets that a schema cannot express.

This package knows frames, schemas and the exchange calendar. It stores nothing, runs no checks library and reports
to nobody: ``resources/expectations.py`` turns the diagnosis into verdicts, ``assets/`` reports them.
"""

from trading_dag.quality.casting import empty_frame, pandas_type
from trading_dag.quality.conformance import conform
from trading_dag.quality.diagnosis import diagnose, examine, rules_of
from trading_dag.quality.rules import Finding, QualityContext, Rule

__all__ = [
    "Finding",
    "QualityContext",
    "Rule",
    "conform",
    "diagnose",
    "empty_frame",
    "examine",
    "pandas_type",
    "rules_of",
]
