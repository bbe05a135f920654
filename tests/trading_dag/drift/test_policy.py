"""Two breaches in a row and twenty sessions of rest, whatever came before."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from trading_dag.drift.policy import should_retrain
from trading_dag.sessions import sessions_between
from trading_dag.setting_groups import DriftSettings

SETTINGS = DriftSettings()
DAYS = sessions_between("2024-01-02", "2024-06-28")


def history(shares: list[float], *, first: int = 30) -> pd.DataFrame:
    return pd.DataFrame({"as_of_session": DAYS[first : first + len(shares)], "share_breached": shares})


@pytest.mark.parametrize(
    ("shares", "is_due"),
    [
        ([], False),
        ([0.9], False),
        ([0.9, 0.1], False),
        ([0.1, 0.9], False),
        ([0.9, 0.9, 0.1], False),
        ([0.9, 0.1, 0.9], False),
        ([0.2, 0.2], False),
        ([0.21, 0.21], True),
        ([0.0, 0.9, 0.9], True),
    ],
)
def test_retraining_is_due_after_two_breaches_in_a_row(shares: list[float], is_due: bool) -> None:
    decision = should_retrain(history(shares), last_retrained=DAYS[0], settings=SETTINGS)
    assert decision.is_due is is_due, decision.reason
    assert decision.reason


@pytest.mark.parametrize(("rested", "is_due"), [(19, False), (20, True), (21, True)])
def test_nothing_is_retrained_within_twenty_sessions_of_the_last_time(rested: int, is_due: bool) -> None:
    reports = history([0.9, 0.9], first=60)
    decision = should_retrain(reports, last_retrained=DAYS[61 - rested], settings=SETTINGS)
    assert decision.is_due is is_due
    assert is_due or f"trained {rested} sessions ago" in decision.reason


def test_breaches_before_the_last_training_do_not_count() -> None:
    reports = history([0.9, 0.9, 0.9], first=10)
    assert not should_retrain(reports, last_retrained=DAYS[11], settings=SETTINGS).is_due
    assert not should_retrain(reports, last_retrained=DAYS[100], settings=SETTINGS).is_due


def test_a_breach_before_and_one_after_the_last_training_are_not_two_in_a_row() -> None:
    restless = SETTINGS.model_copy(update={"rest_sessions": 0})
    reports = history([0.9, 0.9], first=10)
    assert not should_retrain(reports, last_retrained=DAYS[10], settings=restless).is_due
    assert should_retrain(reports, last_retrained=DAYS[9], settings=restless).is_due


def test_a_slice_that_was_never_trained_needs_no_rest() -> None:
    assert should_retrain(history([0.9, 0.9]), last_retrained=None, settings=SETTINGS).is_due


@given(shares=st.lists(st.floats(0, 1), min_size=2, max_size=6), order=st.randoms())
@examples(max_examples=40, deadline=None)
def test_the_order_of_the_rows_does_not_matter(shares: list[float], order) -> None:
    reports = history(shares)
    rows = list(range(len(shares)))
    order.shuffle(rows)
    assert should_retrain(reports.iloc[rows], last_retrained=None, settings=SETTINGS) == should_retrain(
        reports, last_retrained=None, settings=SETTINGS
    )


def test_the_same_session_reported_twice_is_one_report() -> None:
    reports = pd.concat([history([0.9]), history([0.9])])
    assert not should_retrain(reports, last_retrained=None, settings=SETTINGS).is_due
