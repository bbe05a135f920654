"""What the UI shows beside a table: numbers that plot, the latest signal, lineage of columns, owners, tags and code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from assets.catalog import DECLARATIONS
from assets.declare.declaration import Declaration, Slice
from assets.declare.shown import column_lineage, shown_of
from assets.declare.standing import code_references, owners_of, tags_of
from resources.storage.parquet_store import ParquetStore, SliceKey
from trading_dag.frames import table_frame
from trading_dag.reporting.signal_card import signal_card
from trading_dag.schemas import DRIFT, METRICS, PRICES_DAILY, RECOMMENDATION, SUMMARY
from trading_dag.settings import Settings

COMPUTED = [declaration for declaration in DECLARATIONS if declaration.tables and not declaration.is_fetched]


class Source:
    name = "simulated"


@pytest.fixture
def at(settings: Settings, tmp_path: Path) -> Slice:
    return Slice(SliceKey("SPX", "24h"), settings, Source(), ParquetStore(tmp_path), as_of=pd.Timestamp("2024-11-29"))


def signals(**values: Any) -> pd.DataFrame:
    given = {
        "ticker": "SPX", "horizon": "24h", "session": pd.Timestamp("2024-11-27"), "rule": "matrix", "is_served": True,
        "target_session": pd.Timestamp("2024-12-02"), "strategy": "bull_put_spread", "design_size": "HALF",
        "edge": "no_edge", "position_size": 0.5, "direction": "DOWN", "direction_confidence": 0.42,
        "strikes": "5900/5950", "contracts": 2, "max_loss_usd": 812.0, "reasoning": "a <b>*reason*</b> | with markup",
        "evidence": "{}", **values,
    }  # fmt: skip
    return table_frame(RECOMMENDATION, given, rows=1)


def test_a_signal_shows_its_probability_and_its_size(at: Slice) -> None:
    shown = shown_of(RECOMMENDATION, signals(), at)

    assert shown["P(rise)"] == pytest.approx(0.58)
    assert shown["position size"] == 0.5


def test_a_signal_without_a_forecast_has_no_probability(at: Slice) -> None:
    assert "P(rise)" not in shown_of(RECOMMENDATION, signals(direction=None, direction_confidence=None), at)


def test_the_last_signals_are_shown_as_rows_and_the_newest_as_a_card(at: Slice) -> None:
    rows = pd.concat([signals(session=day) for day in pd.bdate_range("2024-11-18", "2024-11-27")], ignore_index=True)

    shown = shown_of(RECOMMENDATION, rows, at)

    assert [record.data["session"] for record in shown["last signals"].records] == [
        "2024-11-21", "2024-11-22", "2024-11-25", "2024-11-26", "2024-11-27",
    ]  # fmt: skip
    card = shown["latest signal"].value
    assert "### SPX 24h, 2024-11-27" in card
    assert "simulated, not market data" in card
    assert "| size | 0.5 (no edge shown) |" in card
    assert "while 2024-11-29 has closed" in card


def test_nothing_in_a_card_is_markup_of_somebody_else() -> None:
    card = signal_card(signals().iloc[0].to_dict(), as_of=pd.Timestamp("2024-11-27"), source="sample")

    assert card.splitlines()[-1] == r"a \<b\>\*reason\*\</b\> \| with markup"
    assert "while" not in card


def test_gains_are_shown_with_their_bounds_for_what_is_served_alone(at: Slice) -> None:
    row = {
        "ticker": "SPX", "horizon": "24h", "task": "volatility", "model": "volatility_blend", "is_served": True,
        "metric": "rps", "baseline": "class_prior", "difference": 0.02, "difference_ci_low": 0.01,
        "difference_ci_high": 0.03, "verdict": "skilled", "n": 500, "n_ambiguous": 0,
    }  # fmt: skip
    other = {**row, "model": "other", "is_served": False, "difference": 0.5}
    frame = pd.concat([table_frame(METRICS, each, rows=1) for each in (row, other)], ignore_index=True)

    assert shown_of(METRICS, frame, at) == {
        "RPS gain of volatility over class_prior": 0.02,
        "RPS gain of volatility over class_prior, low": 0.01,
        "RPS gain of volatility over class_prior, high": 0.03,
    }


def test_a_backtest_shows_its_profit_beside_that_of_random_entry(at: Slice) -> None:
    frame = pd.DataFrame([{"rule": "matrix", "sharpe": 0.4, "total_pnl_usd": 900.0, "random_entry_mean_usd": 700.0,
                           "random_entry_p_value": 0.3, "benchmark_sharpe": float("nan")}])  # fmt: skip

    assert shown_of(SUMMARY, frame, at) == {
        "Sharpe, rule matrix": 0.4,
        "P&L, USD, rule matrix": 900.0,
        "P&L of random entry, USD, rule matrix": 700.0,
        "p of random entry, rule matrix": 0.3,
    }


def test_drift_shows_the_share_of_features_beyond_their_limits_in_the_newest_report(at: Slice) -> None:
    days = pd.to_datetime(["2024-11-26", "2024-11-29", "2024-11-29", "2024-11-29"])
    frame = pd.DataFrame(
        {"as_of_session": days, "is_breached": [True, True, False, True], "kind": ["feature"] * 3 + ["prediction"]}
    )

    assert shown_of(DRIFT, frame, at) == {"share breached": 0.5}


@pytest.mark.parametrize("declaration", COMPUTED, ids=lambda declaration: declaration.name)
def test_lineage_names_only_columns_that_exist(declaration: Declaration) -> None:
    inputs = {read.asset_key: read.table for read in declaration.reads.values() if read.table is not None}
    for table in declaration.tables:
        lineage = column_lineage(declaration, table)
        for column, sources in (lineage.deps_by_column if lineage else {}).items():
            assert column in table.column_names
            for source in sources:
                found = inputs[source.asset_key]
                assert found is not None
                assert source.column_name in found.column_names


def test_a_feature_comes_from_the_columns_that_its_formula_names() -> None:
    technical = next(each for each in COMPUTED if each.group == "features" and each.name == "technical")

    lineage = column_lineage(technical, technical.tables[0])

    assert lineage is not None
    prices = dg.AssetKey([PRICES_DAILY.group, PRICES_DAILY.name])
    assert dg.TableColumnDep(prices, "volume") in lineage.deps_by_column["volume_zscore_20"]
    assert {dep.column_name for dep in lineage.deps_by_column["session"] if dep.asset_key == prices} == {"session"}


@pytest.mark.parametrize("declaration", DECLARATIONS, ids=lambda declaration: f"{declaration.group}.{declaration.name}")
def test_each_asset_says_who_answers_for_it_what_it_is_and_where_its_code_stands(declaration: Declaration) -> None:
    [reference] = code_references(declaration.function)["dagster/code_references"].code_references

    assert f"def {declaration.function.__name__}(" in "".join(
        Path(reference.file_path).read_text().splitlines(keepends=True)[reference.line_number - 1 :][:40]
    )
    assert owners_of(declaration.group) != ["team:research"]
    assert tags_of(declaration)["made"] in ("fetched", "fitted", "computed")
