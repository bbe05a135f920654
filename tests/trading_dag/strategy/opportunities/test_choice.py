"""The rule expected_value takes the best opportunity that clears the margin, or none and says why."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from trading_dag.errors import SchemaError
from trading_dag.setting_groups import SelectorSettings
from trading_dag.strategy.opportunities.choice import choose

SETTINGS = SelectorSettings(expected_return_minimum=0.05)
FIRST, SECOND = pd.Timestamp("2024-03-04"), pd.Timestamp("2024-03-05")


def row(structure: str, rank: int, expected: float | None, low: float | None, **other: Any) -> dict[str, Any]:
    return {
        "ticker": "SPY", "horizon": "168h", "session": FIRST, "target_session": pd.Timestamp("2024-03-11"),
        "structure": structure, "held_to": "target", "back_expiration": pd.NaT, "strikes": "100/95",
        "quote_source": "modelled", "spot": 101.0,
        "expected_return_on_risk": expected, "expected_return_on_risk_low": low, "rank": rank, "is_backtested": True,
        "reason": f"{structure} is expected to win", **other,
    }  # fmt: skip


def chosen(*rows: dict[str, Any]) -> pd.DataFrame:
    return choose(pd.DataFrame(list(rows)), SETTINGS)


def test_the_best_ranked_that_clears_the_margin_is_taken() -> None:
    [told] = chosen(row("long_put", 2, 0.50, 0.02), row("long_call", 1, 0.06, 0.03)).to_dict("records")
    assert (told["structure"], told["strikes"], told["reason"]) == (
        "long_call",
        "100/95",
        "long_call is expected to win",
    )


@pytest.mark.parametrize(
    "other",
    [
        {"held_to": "expiration"},
        {"back_expiration": pd.Timestamp("2024-04-19")},
        {"is_backtested": False},
    ],
)
def test_what_the_rule_was_not_tested_on_is_passed_over(other: dict[str, Any]) -> None:
    rows = chosen(row("calendar", 1, 0.50, 0.40, **other), row("long_call", 2, 0.06, 0.03))
    assert rows["structure"].tolist() == ["long_call"]


def test_what_is_priced_from_another_underlyings_index_is_never_taken() -> None:
    [told] = chosen(row("long_call", 1, 0.50, 0.40, quote_source="modelled_with_objection")).to_dict("records")
    assert told["structure"] == "no_trade"
    assert "another underlying's index" in told["reason"]


def test_a_loss_without_limit_is_never_taken() -> None:
    [told] = chosen(row("short_straddle", 1, None, None)).to_dict("records")
    assert told["structure"] == "no_trade"
    assert "no structure with a limit of loss" in told["reason"]


@pytest.mark.parametrize(
    ("expected", "low", "why"),
    [(0.04, 0.03, "less than the margin of 5.0%"), (0.06, 0.0, "its interval reaches down to +0.0%")],
)
def test_nothing_is_traded_below_the_margin_or_where_the_interval_reaches_zero(
    expected: float, low: float, why: str
) -> None:
    [told] = chosen(row("long_call", 1, expected, low)).to_dict("records")
    assert told["structure"] == "no_trade"
    assert why in told["reason"]
    assert "long call" in told["reason"]
    assert told["spot"] == 101.0
    assert pd.isna(told["strikes"])
    assert pd.isna(told["rank"])


def test_the_refusal_tells_of_what_promised_most() -> None:
    [told] = chosen(row("covered_call", 1, 0.001, -0.001), row("long_call", 2, 0.20, -0.10)).to_dict("records")
    assert "long call, is expected to bring +20.0% of its risk" in told["reason"]


def test_each_session_has_one_row_in_their_order() -> None:
    rows = chosen(row("long_call", 1, 0.06, 0.03) | {"session": SECOND}, row("long_put", 1, 0.01, 0.0))
    assert rows["session"].tolist() == [FIRST, SECOND]
    assert rows["structure"].tolist() == ["no_trade", "long_call"]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(SchemaError, match="is_backtested"):
        choose(pd.DataFrame([row("long_call", 1, 0.06, 0.03)]).drop(columns="is_backtested"), SETTINGS)
