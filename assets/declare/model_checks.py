"""What the UI says of a fitted model as it does of a table: its columns, read and forecast, and its checks.

The rules stand in ``trading_dag.quality.model_rules``. As with tables, they are judged before anything is stored, and a
version that breaks a blocking one is not stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from trading_dag.quality import Rule
from trading_dag.quality.model_rules import RULES_OF_MODELS, SERVES

if TYPE_CHECKING:
    from assets.declare.declaration import Declaration, Forecasts
    from resources.expectations import RuleVerdict
    from trading_dag.models.learning.fitted import FittedModel
    from trading_dag.schemas import Table
    from trading_dag.validation.gates.champion import Decision

_MOST_EXAMPLES: Final = 5
SCHEMA_NAME: Final = "dagster/column_schema"


def rules_of_model(declaration: Declaration) -> dict[str, tuple[Rule, ...]]:
    """Return the checks of a model by name; that its new version serves only where versions are compared."""
    compared = (SERVES,) if declaration.forecasts is not None else ()
    return {rule.name: (rule,) for rule in (*RULES_OF_MODELS, *compared)}


def verdicts_of_model(declaration: Declaration, fitted: FittedModel, decision: Decision) -> list[RuleVerdict]:
    """Return one verdict for each rule of a model."""
    from resources.expectations import RuleVerdict
    from trading_dag.models.learning.soundness import OBJECTIONS

    verdicts = []
    for rule in RULES_OF_MODELS:
        broken = list(OBJECTIONS[rule](fitted))
        examples = broken[:_MOST_EXAMPLES]
        told = "; ".join(examples)
        verdicts.append(RuleVerdict(rule, not broken, len(broken), len(fitted.folds), examples=examples, detail=told))
    if declaration.forecasts is not None:
        told = "" if decision.serves else decision.reason
        count = 0 if decision.serves else 1
        verdicts.append(RuleVerdict(SERVES, decision.serves, count, len(fitted.folds), examples=[], detail=told))
    return verdicts


def columns_of_model(declaration: Declaration, fitted: FittedModel | None = None) -> dict[str, Any]:
    """Return as metadata the columns that a model forecasts and, once it is fitted, those that its live models read."""
    columns = _forecast(declaration)
    if fitted is not None:
        from trading_dag.models.learning.soundness import live_columns

        columns += [_read(name, models) for name, models in live_columns(fitted).items()]
    return {SCHEMA_NAME: dg.TableSchema(columns=columns)} if columns else {}


def _forecast(declaration: Declaration) -> list[dg.TableColumn]:
    first = declaration.forecasts
    if first is None:
        return []
    every: tuple[Forecasts, ...] = (first, *first.also)
    return [
        dg.TableColumn(
            name=column.name,
            type=column.type,
            description=f"forecast, in {forecasts.table.qualified_name}: {column.description}",
            constraints=dg.TableColumnConstraints(nullable=column.nullable, other=["forecast"]),
        )
        for forecasts in every
        for column in forecasts.table.columns
        if _is_forecast(column.name, forecasts.table)
    ]


def _is_forecast(name: str, table: Table) -> bool:
    """Return whether a column of forecasts says what is to come, not whom it is about or what came."""
    return name.startswith(("y_pred", "probability", "interval", "quantile", "expected")) and name not in table.key


def _read(name: str, models: tuple[str, ...]) -> dg.TableColumn:
    from trading_dag.features.formulas import FORMULAS

    meaning = f": {FORMULAS[name]}" if name in FORMULAS else ""
    return dg.TableColumn(
        name=name,
        type="float64",
        description=f"read by {', '.join(models)}{meaning}",
        constraints=dg.TableColumnConstraints(other=["input"]),
    )
