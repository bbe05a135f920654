"""What a name means: a feature, table, column, metric, baseline, model, structure, exit, rule or setting.

Every text is read from the one place that defines the thing, so nothing is said here a second time.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from trading_dag.errors import UnknownNameError
from trading_dag.options.structures.structure import (
    STRUCTURES,
    AtTheMoneyRule,
    DeltaRule,
    SameStrikeRule,
    StrikeRule,
    Structure,
    TargetDeltaRule,
    WidthRule,
)

ALIKE: Final = 6
_ENVIRONMENT: Final = "TRADING_DAG_"


@dataclass(frozen=True)
class Explanation:
    """Says what one name means.

    Attributes
    ----------
    name : as it is written.
    kind : what sort of thing it is, such as ``feature``.
    where : the table it stands in, or the word that sets it; empty where there is none.
    meaning : one or more sentences or clauses.
    details : further facts by heading, such as unit and bounds.
    page : of docs/, where more is said.
    """

    name: str
    kind: str
    where: str
    meaning: str
    details: dict[str, str]
    page: str

    @property
    def record(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {
            "name": self.name, "kind": self.kind, "where": self.where, "meaning": self.meaning, **self.details,
            "page": self.page,
        }  # fmt: skip


def explain(name: str) -> list[Explanation]:
    """Return everything of that name; upper and lower case, ``-`` and ``_`` are one.

    Parameters
    ----------
    name : such as ``iv_rank``, ``backtests.summary``, ``backtests.summary.sharpe``, ``brier_sign``, ``iron_condor``,
        ``profit_target``, ``TRADING_DAG_BACKTEST__ACCOUNT_USD`` or ``backtest.account_usd``.

    Raises
    ------
    UnknownNameError : naming what is spelled alike.
    """
    wanted = _plain(name)
    everything = list(explanations())
    found = [one for one in everything if wanted in _ways_to_write(one)]
    metric = _composed_metric(wanted)
    if metric is not None and not any(one.kind == "metric" for one in found):
        found.append(metric)
    if found:
        return found
    spelled = {_plain(one.name): one.name for one in everything}
    alike = [spelled[one] for one in difflib.get_close_matches(wanted, spelled, n=ALIKE, cutoff=0.6)]
    alike += [one for one in spelled.values() if wanted in _plain(one) and one not in alike]
    raise UnknownNameError(name, tuple(alike[:ALIKE]))


def explanations() -> Iterator[Explanation]:
    """Return every name that has a meaning, kind by kind."""
    yield from _features()
    yield from _tables()
    yield from _metrics()
    yield from _models()
    yield from _structures()
    yield from _exits()
    yield from _rules()
    yield from _settings()


def _ways_to_write(one: Explanation) -> tuple[str, ...]:
    """Return the names by which it is found: its own, behind its table, and a setting as ``group.name``."""
    own = _plain(one.name)
    if one.kind != "setting":
        return own, _plain(f"{one.where}.{one.name}")
    inner = own.removeprefix(_ENVIRONMENT.lower())
    return own, inner, inner.replace("__", ".")


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "_")


def _features() -> Iterator[Explanation]:
    from trading_dag.features.formulas.reference import SECTIONS
    from trading_dag.schemas import LEVEL_FEATURES

    for title, _, table, formulas in SECTIONS:
        for name, formula in formulas.items():
            safe = (
                "no: it drifts with the level of prices or volume"
                if name in LEVEL_FEATURES
                else "yes: models may read it"
            )
            yield Explanation(
                name, "feature", f"features.{table}", formula, {"group": title, "safe": safe}, "features.md"
            )


def _tables() -> Iterator[Explanation]:
    from trading_dag.reporting.table_docs import values_of
    from trading_dag.schemas import TABLES

    features = {one.name for one in _features()}
    for qualified, table in TABLES.items():
        key = ", ".join(table.key)
        yield Explanation(
            qualified, "table", "", table.description, {"key": key, "columns": ", ".join(table.column_names)},
            "tables.md",
        )  # fmt: skip
        for column in table.columns:
            # A feature's formula says more than its column, except where two tables hold it.
            if column.name in features and table.group == "features":
                continue
            details = {"type": column.type, "NULL": "allowed" if column.nullable else "never"}
            values = values_of(column)
            if values:
                details["values"] = values.replace("`", "")
            yield Explanation(column.name, "column", qualified, column.description, details, "tables.md")


def _metrics() -> Iterator[Explanation]:
    from trading_dag.reporting.metric_docs import better
    from trading_dag.validation.scores.metric_names import BASELINES, METRICS

    for name, metric in METRICS.items():
        details = {"unit": metric.unit, "better": better(name)}
        if metric.reference:
            details["source"] = metric.reference
        yield Explanation(name, "metric", "evaluation.metrics", metric.meaning, details, "metrics.md")
    for name, meaning in BASELINES.items():
        yield Explanation(name, "baseline", "evaluation.metrics", meaning, {}, "metrics.md")


def _composed_metric(name: str) -> Explanation | None:
    from trading_dag.reporting.metric_docs import better
    from trading_dag.validation.scores.metric_names import METRICS, PREFIXES, meaning_of_metric

    metric = None if name in METRICS else meaning_of_metric(name)
    if metric is None:
        return None
    way = "lower" if name.startswith(tuple(PREFIXES)) else better(name)
    return Explanation(
        name, "metric", "evaluation.metrics", metric.meaning, {"unit": metric.unit, "better": way}, "metrics.md"
    )


def _models() -> Iterator[Explanation]:
    from trading_dag.reporting.model_families import FAMILIES

    for name, family in FAMILIES.items():
        details = {"reads": family.inputs, "source": family.source, "limits": family.limits}
        yield Explanation(name, "model", "", family.what, details, "models.md")


def _structures() -> Iterator[Explanation]:
    for name, structure in STRUCTURES.items():
        yield Explanation(name, "structure", "", _in_words(structure), {}, "methodology.md")


def _in_words(structure: Structure) -> str:
    legs = [
        f"{'buys' if leg.side == 'buy' else 'sells'} {leg.ratio} {'call' if leg.option_right == 'C' else 'put'}"
        f"{'s' if leg.ratio > 1 else ''} {_strike_in_words(leg.strike_rule)}"
        f"{'' if leg.expiry_rule == 'weekly' else ' at a later expiration'}"
        for leg in structure.legs
    ]
    if structure.underlying_ratio:
        legs.insert(0, f"holds {structure.underlying_ratio} contract's shares of the underlying")
    return "; ".join(legs) + ("; the strikes are held in cash" if structure.is_cash_secured else "")


def _strike_in_words(rule: StrikeRule) -> str:
    if isinstance(rule, DeltaRule):
        return f"at {rule.role}_delta (TRADING_DAG_BACKTEST__{rule.role.upper()}_DELTA)"
    if isinstance(rule, TargetDeltaRule):
        return f"at a delta of {rule.absolute_delta:g}"
    if isinstance(rule, AtTheMoneyRule):
        return "at the money"
    if isinstance(rule, SameStrikeRule):
        return f"at the strike of leg {rule.leg + 1}"
    if isinstance(rule, WidthRule):
        apart = f"{abs(rule.width):.0%} of spot" if rule.unit == "spot_fraction" else f"{abs(rule.width):g} USD"
        return f"{apart} {'above' if rule.width > 0 else 'below'} leg {rule.leg + 1}"
    return f"{abs(rule.steps):g} strikes {'above' if rule.steps > 0 else 'below'} leg {rule.leg + 1}"


def _exits() -> Iterator[Explanation]:
    from trading_dag.backtest.plans.exit_rules import EXIT_DEFINITIONS

    for rule in EXIT_DEFINITIONS.values():
        example = f"--exit {rule.word}={rule.example:g}"
        details = {"takes": rule.takes, "example": example, "reason in trades": rule.reason}
        yield Explanation(rule.word, "exit", "", rule.meaning, details, "exits.md")


def _rules() -> Iterator[Explanation]:
    from trading_dag.quality import rules_of
    from trading_dag.schemas import TABLES

    for qualified, table in TABLES.items():
        for rule in rules_of(table):
            consequence = "the slice is not stored" if rule.is_blocking else "a warning, counted and shown"
            yield Explanation(rule.name, "rule", qualified, rule.description, {"if broken": consequence}, "tables.md")


def _settings() -> Iterator[Explanation]:
    from trading_dag.settings import Settings

    yield from _fields(Settings, _ENVIRONMENT)


def _fields(model: type[BaseModel], prefix: str) -> Iterator[Explanation]:
    for name, field in model.model_fields.items():
        variable = field.validation_alias if isinstance(field.validation_alias, str) else f"{prefix}{name.upper()}"
        group = field.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            yield from _fields(group, f"{variable}__")
            continue
        default = field.get_default(call_default_factory=False)
        details = {} if default in (None, PydanticUndefined, "", (), {}) else {"default": str(default)}
        meaning = field.description or ""
        yield Explanation(variable, "setting", "", meaning, details, ".env.example")
