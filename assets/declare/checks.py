"""Runs a table's checks on a frame that is about to be stored, and reports one verdict per rule.

The rules come from ``schemas`` through ``trading_dag.quality``; Great Expectations judges them in
``resources.expectations``. The look-ahead prober and the rules between inputs and results are added here, because
they need more than the frame.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from assets.declare.appended import rows_before
from assets.declare.declaration import LOOKAHEAD_RULE, CrossRule, Declaration, Probe, Result, Slice
from resources.storage.parquet_store import ACCEPTED_ATTRIBUTE
from trading_dag.quality import QualityContext
from trading_dag.quality.acceptance import still_accepted
from trading_dag.quality.casting import cast_frame
from trading_dag.quality.rules import NOT_EXAMINED
from trading_dag.schemas import PRICES_DAILY, Table
from trading_dag.sessions import last_closed_session

if TYPE_CHECKING:
    from resources.expectations import RuleVerdict

LIVE_SOURCE: Final = "live"
KNOWN_AT: Final = "probed_known_at"
LATE_KNOWN_AT: Final = "probed_late_known_at"


def verdicts_of(
    declaration: Declaration, table: Table, result: Result, at: Slice, inputs: dict[str, Any]
) -> list[RuleVerdict]:
    """Return one verdict for each rule of the table, in the order of the asset's check specs."""
    from resources.expectations import verify

    frame = result.frames[table.name]
    if result.source_off:
        frame.attrs["source_off"] = result.source_off
    now = last_closed_session()
    technical, macro = inputs.get("technical"), inputs.get("macro")
    context = QualityContext(
        now_session=now,
        expected_last_session=_due(at) if at.source.name == LIVE_SOURCE else None,
        technical=technical if isinstance(technical, pd.DataFrame) else None,
        macro=macro if isinstance(macro, pd.DataFrame) else None,
        **(_about_prices(frame, at) if table is PRICES_DAILY else {}),
    )
    verdicts = verify(table, frame, context=context)
    if declaration.probe:
        verdicts.append(_lookahead_verdict(declaration, declaration.probe, table, frame, at, inputs))
    verdicts += [
        _cross_verdict(entry, frame, result, at, inputs) for entry in declaration.cross_rules if entry.table is table
    ]
    return verdicts


def _due(at: Slice) -> pd.Timestamp:
    from trading_dag.freshness import session_due

    return session_due(pd.Timestamp.now("UTC").to_pydatetime(), by=at.settings.alerts.signal_by)


def _about_prices(frame: pd.DataFrame, at: Slice) -> dict[str, Any]:
    """Return what the rules of daily bars need besides the bars: other tickers' bars, and what the user has
    accepted."""
    from resources.storage.accepted_bars import AcceptedBars
    from resources.storage.peers import peers_of

    bars, problems = cast_frame(frame, PRICES_DAILY)
    accepted = {} if problems else still_accepted(AcceptedBars(at.store.data).of(at.ticker), bars)
    if accepted:
        frame.attrs[ACCEPTED_ATTRIBUTE] = {f"{day:%Y-%m-%d}": reason for day, reason in accepted.items()}
    return {"peers": peers_of(at.store, at.ticker, source=at.source.name), "accepted": accepted}


def recorded_warnings(verdicts: list[RuleVerdict]) -> list[dict[str, Any]]:
    """Return the broken rules that only warn, in the form in which the slice's provenance records them."""
    return [
        {
            "rule": verdict.rule.name,
            "count": verdict.unexpected_count,
            "detail": verdict.detail or verdict.rule.description,
            "examples": " | ".join(verdict.examples),
        }
        for verdict in verdicts
        if not verdict.passed and not verdict.rule.is_blocking
    ]


def _cross_verdict(
    entry: CrossRule, frame: pd.DataFrame, result: Result, at: Slice, inputs: dict[str, Any]
) -> RuleVerdict:
    from resources.expectations import RuleVerdict

    objection = entry.objection(at, result, inputs)
    return RuleVerdict(
        rule=entry.rule,
        passed=objection is None,
        unexpected_count=0 if objection is None else 1,
        total=len(frame),
        examples=[],
        detail=objection or "",
    )


def _lookahead_verdict(
    declaration: Declaration, probe: Probe, table: Table, frame: pd.DataFrame, at: Slice, inputs: dict[str, Any]
) -> RuleVerdict:
    from resources.expectations import RuleVerdict
    from trading_dag.validation.lookahead import probe_lookahead

    if frame.empty:
        reason = f"{NOT_EXAMINED}: no rows"
        return RuleVerdict(LOOKAHEAD_RULE, True, 0, 0, examples=[], detail=reason, is_examined=False)
    time_columns = {name: known if isinstance(known, str) else KNOWN_AT for name, known in probe.times.items()}
    cut = {
        name: inputs[name] if isinstance(known, str) else inputs[name].assign(**{KNOWN_AT: known(inputs[name])})
        for name, known in probe.times.items()
    }
    late: dict[str, dict[str, str]] = {}
    for name, values in probe.late_values.items():
        cut[name] = cut[name].assign(**{LATE_KNOWN_AT: values.known_at(inputs[name])})
        late[name] = dict.fromkeys(values.columns, LATE_KNOWN_AT)
    row_column = table.session_column or table.key[0]
    others = {name: value for name, value in inputs.items() if name not in probe.times}
    before = rows_before(declaration, at, inputs, names=probe.times if probe.part else declaration.reads)
    violations = probe_lookahead(
        partial(probe.part, at) if probe.part else partial(declaration.function, at, **others),
        cut,
        time_columns=time_columns,
        table=table.qualified_name,
        row_column=row_column,
        also_by=tuple(name for name in table.key if name not in (*table.slice_columns, row_column)),
        outcomes=probe.outcomes,
        late_columns=late,
        made=probe.rows_of_part(frame),
        before=None if before is None else probe.rows_of_part(before),
    )
    examples = [f"{violation.feature} on {violation.session:%Y-%m-%d}" for violation in violations[:5]]
    return RuleVerdict(
        rule=LOOKAHEAD_RULE,
        passed=not violations,
        unexpected_count=len(violations),
        total=len(frame),
        examples=examples,
        detail="" if not violations else f"{len(violations)} values changed when later data was cut or perturbed",
    )
