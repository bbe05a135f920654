"""The suite gives one verdict per rule, for good frames, planted defects and frames in any condition."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources import expectations
from resources.expectations import RuleVerdict, verify
from trading_dag.quality import QualityContext, empty_frame, rules_of
from trading_dag.schemas import FEATURE_TABLE, PRICES_DAILY, TABLES, TECHNICAL, Table
from trading_dag.sessions import all_sessions

CONTEXT = QualityContext(now_session=pd.Timestamp("2024-12-31"))


@pytest.fixture(scope="module")
def sample_bars() -> pd.DataFrame:
    import arch.data.sp500

    bars = arch.data.sp500.load().rename_axis("session").reset_index()
    bars.columns = [name.lower().replace(" ", "_") for name in bars.columns]
    bars = bars.assign(ticker="SPX", split_factor=np.nan, dividend=np.nan)
    return bars[list(PRICES_DAILY.column_names)]


def failed(verdicts: list[RuleVerdict]) -> dict[str, RuleVerdict]:
    return {verdict.rule.name: verdict for verdict in verdicts if not verdict.passed}


def test_good_bars_pass_every_rule_in_the_order_of_the_rules(sample_bars: pd.DataFrame) -> None:
    verdicts = verify(PRICES_DAILY, sample_bars, context=CONTEXT)
    assert [verdict.rule for verdict in verdicts] == list(rules_of(PRICES_DAILY))
    assert failed(verdicts) == {}
    assert {verdict.total for verdict in verdicts} == {5_031}


def test_a_verdict_counts_the_rows_names_at_most_five_and_says_why(sample_bars: pd.DataFrame) -> None:
    bars = sample_bars.copy()
    bars.loc[10:16, "low"] = -1.0
    verdict = failed(verify(PRICES_DAILY, bars, context=CONTEXT))["values_in_bounds"]
    assert verdict.unexpected_count == 7
    assert verdict.examples == [f"ticker=SPX, session={day:%Y-%m-%d}" for day in bars.loc[10:14, "session"]]
    assert verdict.detail == "low: 7 below 1e-06"


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda f: f.drop(columns="close"), "columns_and_types"),
        (lambda f: f.assign(close=f["close"].astype(str)), "columns_and_types"),
        (lambda f: f[:0], "not_empty"),
        (lambda f: f.drop(index=[7]), "no_missing_sessions"),
        (lambda f: pd.concat([f[:8], f[7:]]), "keys_unique"),
    ],
)
def test_a_defect_fails_its_rule_alone(sample_bars: pd.DataFrame, spoil, rule: str) -> None:
    assert set(failed(verify(PRICES_DAILY, spoil(sample_bars), context=CONTEXT))) == {rule}


def test_a_stale_feed_warns_without_blocking(sample_bars: pd.DataFrame) -> None:
    context = QualityContext(now_session=CONTEXT.now_session, expected_last_session=CONTEXT.now_session)
    verdict = failed(verify(PRICES_DAILY, sample_bars, context=context))["tail_is_fresh"]
    assert verdict.rule.severity == "warn"
    assert not verdict.rule.is_blocking
    assert "expected 2024-12-31" in verdict.detail


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_switched_off_source_passes_and_an_empty_frame_without_columns_fails(table: Table) -> None:
    switched_off = empty_frame(table)
    switched_off.attrs["source_off"] = "no key"
    assert failed(verify(table, switched_off, context=CONTEXT)) == {}
    assert "columns_and_types" in failed(verify(table, pd.DataFrame(), context=CONTEXT))


_UGLY_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=3),
    st.dates(),
    st.datetimes(),
    st.just([1]),
    st.just(pd.NaT),
)


@given(
    names=st.lists(st.sampled_from([*PRICES_DAILY.column_names, "vwap"]), max_size=6),
    rows=st.integers(0, 4),
    data=st.data(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_frame_however_ugly_raises(names: list[str], rows: int, data: st.DataObject) -> None:
    columns = [data.draw(st.lists(_UGLY_VALUES, min_size=rows, max_size=rows)) for _ in names]
    frame = pd.DataFrame({position: pd.Series(column, dtype="object") for position, column in enumerate(columns)})
    frame.columns = names
    verdicts = verify(PRICES_DAILY, frame, context=CONTEXT)
    assert len(verdicts) == len(rules_of(PRICES_DAILY))
    assert "columns_and_types" in failed(verdicts)


@given(column=st.sampled_from(PRICES_DAILY.column_names), values=st.lists(_UGLY_VALUES, min_size=6, max_size=6))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_no_column_however_ugly_raises(sample_bars: pd.DataFrame, column: str, values: list[object]) -> None:
    frame = sample_bars[:6].copy()
    frame[column] = pd.Series(values, dtype="object")
    assert len(verify(PRICES_DAILY, frame, context=CONTEXT)) == len(rules_of(PRICES_DAILY))


def test_the_suite_has_a_say_of_its_own(sample_bars: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evidence that the library sees and the count does not is a failure too."""
    seen = pd.DataFrame({rule.check_name: [rule.check_name == "schema"] for rule in rules_of(PRICES_DAILY)})
    outcome = expectations._run_suite(PRICES_DAILY, seen)
    assert [name for name, (success, _) in outcome.items() if not success] == ["schema"]
    monkeypatch.setattr(expectations, "_run_suite", lambda table, evidence: outcome)
    of_check = {rule.name for rule in rules_of(PRICES_DAILY) if rule.check_name == "schema"}
    assert set(failed(verify(PRICES_DAILY, sample_bars, context=CONTEXT))) == of_check


def test_great_expectations_is_not_imported_before_the_first_verdict() -> None:
    code = "import sys, resources.expectations; assert 'great_expectations' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_is_written_into_the_working_or_home_directory(tmp_path: Path) -> None:
    code = (
        "import pandas as pd; from resources.expectations import verify; from trading_dag.schemas import PRICES_DAILY;"
        "from trading_dag.quality import QualityContext;"
        "verdicts = verify(PRICES_DAILY, pd.DataFrame(), context=QualityContext(pd.Timestamp('2024-12-31')));"
        "import os; assert os.environ['GX_ANALYTICS_ENABLED'] == 'false';"
        "assert any(not verdict.passed for verdict in verdicts)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env={"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("table", [TECHNICAL, FEATURE_TABLE], ids=lambda table: table.name)
def test_a_wide_slice_of_eight_thousand_rows_is_judged_quickly(table: Table) -> None:
    rows = 8_000
    numbers = {column.name: column.minimum or 0.0 for column in table.columns if column.type == "float64"}
    frame = pd.DataFrame({"ticker": "SPY", "session": all_sessions()[:rows], **numbers})
    context = QualityContext(now_session=frame["session"].iloc[-1])
    assert failed(verify(table, frame, context=context)) == {}
    started = time.process_time()
    for _ in range(3):
        verify(table, frame, context=context)
    assert (time.process_time() - started) / 3 < 0.25
