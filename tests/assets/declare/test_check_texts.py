"""What a check says: every broken rule, and each rule that could not look, which is not the same as one that holds."""

from __future__ import annotations

import dagster as dg

from assets.declare.checks import recorded_warnings
from assets.declare.materialization import check_results, objections, one_refusal
from resources.expectations import RuleVerdict
from trading_dag.errors import BadSliceError
from trading_dag.quality import Rule
from trading_dag.schemas import PRICES_DAILY

KEY = dg.AssetKey(["raw", "prices_daily"])


def verdict(
    name: str, *, count: int = 0, detail: str = "", is_examined: bool = True, warns: bool = False
) -> RuleVerdict:
    rule = Rule(name, "Holds.", severity="warn" if warns else "error", is_blocking=not warns, check="all")
    return RuleVerdict(rule, count == 0, count, 10, examples=[f"{name} row"] * min(count, 1), detail=detail,
                       is_examined=is_examined)  # fmt: skip


def test_a_check_that_could_not_look_passes_and_says_so_with_the_reason() -> None:
    [result] = check_results(KEY, [verdict("agrees", detail="not examined: no VIXCLS at hand", is_examined=False)])
    assert result.passed
    assert result.description == "agrees: not examined: no VIXCLS at hand"
    assert result.metadata["not examined"].value == 1
    [record] = result.metadata["rules"].value.records  # type: ignore[union-attr]
    assert record.data["verdict"] == "not examined: no VIXCLS at hand"


def test_a_check_names_every_broken_rule_and_a_rule_that_holds_says_only_that() -> None:
    verdicts = [verdict("a", count=2, detail="two"), verdict("b"), verdict("c", count=1, detail="one")]
    [result] = check_results(KEY, verdicts)
    assert not result.passed
    assert result.description == "a: two; c: one"
    records = result.metadata["rules"].value.records  # type: ignore[union-attr]
    assert [record.data["verdict"] for record in records] == ["broken", "holds", "broken"]


def test_a_refusal_names_every_broken_rule_with_its_rows() -> None:
    verdicts = [verdict("a", count=2, detail="two"), verdict("w", count=1, warns=True), verdict("c", count=1)]
    error = one_refusal("ticker=SPY", objections(PRICES_DAILY.qualified_name, "ticker=SPY", verdicts))
    assert isinstance(error, BadSliceError)
    assert str(error) == "raw.prices_daily [ticker=SPY]: a: two [a row]; c: Holds. [c row]"
    alone = one_refusal("ticker=SPY", objections(PRICES_DAILY.qualified_name, "ticker=SPY", verdicts[:1]))
    assert str(alone) == "raw.prices_daily [ticker=SPY; a row]: a: two"


def test_only_broken_rules_that_warn_are_recorded_as_warnings() -> None:
    verdicts = [verdict("a", count=2), verdict("w", count=1, detail="why", warns=True), verdict("v", warns=True)]
    assert recorded_warnings(verdicts) == [{"rule": "w", "count": 1, "detail": "why", "examples": "w row"}]
