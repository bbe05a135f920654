"""What every table's rules have in common, and the rules about when things were known."""

from __future__ import annotations

import re
import subprocess
import sys

import pandas as pd
import pytest

from trading_dag.quality import QualityContext, conform, diagnose, empty_frame, examine, rules_of
from trading_dag.schemas import MARKET_STATES, TABLES, Table
from trading_dag.sessions import sessions_between

NOW = pd.Timestamp("2024-12-31")
CONTEXT = QualityContext(now_session=NOW)
DAYS = sessions_between("2024-06-03", "2024-06-28")


def sound_frame(table: Table) -> pd.DataFrame:
    """Rows that hold every rule: one key a row, dates in the order in which things happen."""
    rows = len(DAYS)
    order = {"session": 0, "signal_session": 0, "entry_session": 1, "exit_session": 2, "target_session": 2}
    order |= {"known_on": 1, "observation_date": 0, "fitted_through": -1, "as_of_session": 0, "serves_from": 0}
    columns: dict[str, object] = {}
    for column in table.columns:
        if column.type == "date":
            columns[column.name] = DAYS + pd.Timedelta(days=7 * order.get(column.name, 0))
            if column.name in ("session", "signal_session", "as_of_session"):
                columns[column.name] = DAYS
        elif column.type == "timestamp":
            columns[column.name] = DAYS.tz_localize("UTC")
        elif column.type == "string":
            columns[column.name] = column.allowed[0] if column.allowed else "SPY"
        elif column.type == "bool":
            columns[column.name] = True
        elif column.type == "int64":
            columns[column.name] = range(1, rows + 1)
        else:
            low = -0.5 if column.minimum is None else column.minimum
            columns[column.name] = low + 0.25
    if "probability_low" in columns:
        columns |= {"probability_low": 0.5, "probability_normal": 0.25, "probability_high": 0.25}
    if table.qualified_name == "predictions.regime":
        columns |= {f"probability_{state}": 0.2 for state in MARKET_STATES}
    if table.qualified_name == "predictions.price":
        columns["forward_return"] = 0.0
    if "news_id" in columns:
        columns["news_id"] = [f"article {row:02d}" for row in range(rows)]
    if table.qualified_name in ("raw.volatility_index", "raw.prices_daily"):
        columns["close"] = [10.0 + row % 2 + row / 100 for row in range(rows)]
        copies = ("open", "high", "low", "adj_close") if "adj_close" in columns else ("open", "high", "low")
        columns |= dict.fromkeys(copies, columns["close"])
        columns |= {"dividend": 0.0, "split_factor": 1.0} if "adj_close" in columns else {}
    one_row = (
        "models.inputs", "models.selection_stability", "evaluation.metrics", "evaluation.importance",
        "backtests.summary", "backtests.comparison", "evaluation.live", "evaluation.opportunity_calibration",
    )  # fmt: skip
    if table.qualified_name in one_row:
        return pd.DataFrame(columns, index=range(rows))[:1]
    # A key of words alone is the same in every row.
    return pd.DataFrame(columns, index=range(rows)).drop_duplicates(list(table.key))


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_rules_are_named_in_snake_case_once_and_described_in_a_sentence(table: Table) -> None:
    rules = rules_of(table)
    assert len({rule.name for rule in rules}) == len(rules)
    for rule in rules:
        assert re.fullmatch(r"[a-z][a-z0-9_]+", rule.name)
        assert re.fullmatch(r".*[^.]\.", rule.description)
        assert rule.is_blocking == (rule.severity == "error")


def test_a_rule_about_an_order_says_which_order_it_demands() -> None:
    said = {rule.name: rule.description for rule in rules_of(TABLES["predictions.direction"])}
    assert said["target_after_session"] == "session is before target_session."
    assert said["fitted_before_session"] == "fitted_through is not after session."


def test_a_row_without_a_date_does_not_keep_the_others_from_being_compared() -> None:
    table = TABLES["predictions.direction"]
    frame = sound_frame(table)
    frame.loc[0, "fitted_through"] = pd.NaT
    frame.loc[1, "fitted_through"] = frame.loc[1, "session"] + pd.Timedelta(days=1)
    found = examine(table, frame, context=CONTEXT)["fitted_before_session"]
    assert found.mask.nonzero()[0].tolist() == [1]


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_sound_slice_of_every_table_holds_every_rule_and_conforms(table: Table) -> None:
    frame = sound_frame(table)
    broken = {name: finding.detail for name, finding in examine(table, frame, context=CONTEXT).items() if finding.count}
    assert broken == {}
    assert list(conform(frame.assign(), table, slice_key=_key(frame)).columns) == list(table.column_names)


def _key(frame: pd.DataFrame) -> str:
    return "/".join(f"{name}={frame[name].iloc[0]}" for name in ("ticker", "horizon") if name in frame)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_the_diagnosis_has_one_boolean_column_per_rule_and_one_row_per_row(table: Table) -> None:
    frame = sound_frame(table)
    diagnosis = diagnose(table, frame, context=CONTEXT)
    assert list(diagnosis.columns) == [rule.name for rule in rules_of(table)]
    assert len(diagnosis) == len(frame)
    assert {str(dtype) for dtype in diagnosis.dtypes} == {"bool"}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_switched_off_source_holds_every_rule(table: Table) -> None:
    frame = empty_frame(table)
    frame.attrs["source_off"] = "no key"
    expecting = QualityContext(now_session=NOW, expected_last_session=NOW)
    assert not any(finding.count for finding in examine(table, frame, context=expecting).values())


@pytest.mark.parametrize(
    ("name", "column", "value", "rule"),
    [
        ("raw.macro", "known_on", DAYS[0], "known_after_observation"),
        ("raw.macro", "observation_date", pd.Timestamp("2025-02-01"), "no_future_observations"),
        ("raw.macro", "series_id", "GOLD", "values_in_set"),
        ("raw.macro", "vintage", "yesterday", "values_in_set"),
        ("labels.targets", "target_session", DAYS[0], "target_after_session"),
        ("labels.targets", "target_session", pd.Timestamp("2025-01-02"), "no_future_targets"),
        ("labels.targets", "forward_return", -0.99, "values_in_bounds"),
        ("labels.targets", "direction", "SIDEWAYS", "values_in_set"),
        ("labels.targets", "horizon", "36h", "values_in_set"),
        ("predictions.direction", "fitted_through", DAYS[-1] + pd.Timedelta(days=9), "fitted_before_session"),
        ("predictions.direction", "is_out_of_sample", False, "all_out_of_sample"),
        ("predictions.direction", "probability_up", 1.2, "values_in_bounds"),
        ("predictions.volatility", "probability_high", 0.9, "probabilities_sum_to_one"),
        ("predictions.volatility", "is_out_of_sample", False, "all_out_of_sample"),
        ("predictions.volatility", "fold", 0, "values_in_bounds"),
        ("predictions.price", "fitted_through", DAYS[-1] + pd.Timedelta(days=9), "fitted_before_session"),
        ("predictions.price", "quantile_70", 0.2, "quantiles_ascend"),
        ("predictions.price", "quantile_70", float("nan"), "quantiles_ascend"),
        ("predictions.price", "interval_low", float("nan"), "interval_contains_median"),
        ("predictions.price", "interval_high", 0.2, "interval_contains_median"),
        ("predictions.price", "forward_return", 0.1, "return_matches_price"),
        ("predictions.price", "y_true", float("nan"), "return_matches_price"),
        ("predictions.price", "scale_source", "guess", "values_in_set"),
        ("signals.recommendation", "target_session", DAYS[0], "target_after_session"),
        ("backtests.trades", "entry_session", DAYS[0], "entry_after_signal"),
        ("backtests.trades", "exit_session", DAYS[0], "exit_not_before_entry"),
        ("monitoring.drift", "psi", -0.1, "values_in_bounds"),
        ("monitoring.drift", "psi", float("inf"), "values_in_bounds"),
    ],
)
def test_a_row_that_knew_too_much_or_says_too_much_breaks_its_rule(
    name: str, column: str, value: object, rule: str
) -> None:
    table = TABLES[name]
    frame = sound_frame(table)
    frame.loc[9, column] = value
    if column in ("observation_date", "series_id", "horizon"):  # part of the key: move the row to keep the order
        frame = frame.sort_values(list(table.key), ignore_index=True)
    if column == "known_on":
        frame.loc[9, "observation_date"] = max(frame.loc[9, "observation_date"], value)
    findings = examine(table, frame, context=CONTEXT)
    broken = {found for found, finding in findings.items() if finding.count} - {"one_slice_only"}
    extra = {"known_after_observation"} if column == "observation_date" else set()
    assert broken == {rule} | extra


@pytest.mark.parametrize(
    ("name", "first", "second", "rule", "may_be_equal"),
    [
        ("raw.macro", "observation_date", "known_on", "known_after_observation", False),
        ("labels.targets", "session", "target_session", "target_after_session", False),
        ("predictions.direction", "fitted_through", "session", "fitted_before_session", True),
        ("predictions.volatility", "fitted_through", "session", "fitted_before_session", True),
        ("predictions.price", "fitted_through", "session", "fitted_before_session", True),
        ("backtests.trades", "signal_session", "entry_session", "entry_after_signal", False),
        ("backtests.trades", "entry_session", "exit_session", "exit_not_before_entry", True),
    ],
)
def test_two_dates_may_be_equal_only_where_that_is_no_foreknowledge(
    name: str, first: str, second: str, rule: str, may_be_equal: bool
) -> None:
    table = TABLES[name]
    frame = sound_frame(table)
    frame[second if first in table.key else first] = frame[first if first in table.key else second]
    finding = examine(table, frame, context=CONTEXT)[rule]
    assert finding.count == (0 if may_be_equal else len(frame))


def test_naming_the_rules_imports_no_heavy_library() -> None:
    code = (
        "import sys; from trading_dag.quality import rules_of; from trading_dag.schemas import TABLES;"
        "[rules_of(t) for t in TABLES.values()];"
        "heavy = {'great_expectations', 'exchange_calendars', 'scipy', 'sklearn', 'matplotlib'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
