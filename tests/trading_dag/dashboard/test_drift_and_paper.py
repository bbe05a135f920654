"""The pages of drift and of the paper account show the rows of the warehouse, and Greeks of the project's pricing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.stored_warnings import StoredWarning
from resources.storage.versioned_reader import VersionedReader
from trading_dag.dashboard.views import drift_frames, paper_frames
from trading_dag.frames import table_frame
from trading_dag.schemas import ACCURACY, DRIFT

SLICE = {"ticker": "SPY", "horizon": "24h"}
KEY = SliceKey("SPY", "24h")
DAYS = pd.to_datetime(["2024-01-11", "2024-01-12"]).as_unit("us")


@pytest.fixture
def reader(tmp_path: Path) -> VersionedReader:
    store = ParquetStore(tmp_path)
    moved = {
        **SLICE, "as_of_session": [DAYS[0], DAYS[0], DAYS[1], DAYS[1]], "feature": ["rsi_14", "sma_20"] * 2,
        "kind": "feature", "psi": [0.1, 0.2, 0.6, 0.1], "psi_limit": [0.4, 0.4, 0.3, 0.4],
        "is_breached": [False, False, True, False], "n_recent": 60, "n_reference": 900,
    }  # fmt: skip
    store.write(DRIFT, KEY, table_frame(DRIFT, moved, rows=4))
    judged = {
        **SLICE, "as_of_session": DAYS, "task": "direction", "metric": "brier_sign", "model": "direction_shrunk",
        "baseline": "climatology", "judged_on": "out_of_sample", "first_session": DAYS[0], "last_session": DAYS[0],
        "n": 60, "n_reference": 900, "value": 0.2, "baseline_value": 0.25, "gain": [0.05, -0.02], "band_low": -0.01,
        "band_high": 0.06, "is_breached": [False, True],
    }  # fmt: skip
    store.write(ACCURACY, KEY, table_frame(ACCURACY, judged, rows=2))
    return VersionedReader(store)


def test_drift_is_psi_over_its_limit_in_the_latest_report_and_one_feature_through_all(reader: VersionedReader):
    drift = drift_frames.drift_data(reader, "SPY", "24h")
    assert drift["ratio"].tolist() == pytest.approx([0.25, 0.5, 2.0, 0.25])
    drawn = {trace.name: trace for trace in drift_frames.latest_figure(drift).data}
    assert list(drawn["beyond its limit"].x) == pytest.approx([2.0])
    assert list(drawn["beyond its limit"].y) == ["rsi_14"]
    assert list(drawn["within"].y) == ["sma_20"]
    psi, limit = drift_frames.feature_figure(drift, "rsi_14").data
    assert (list(psi.y), list(limit.y)) == ([0.1, 0.6], [0.4, 0.3])


def test_accuracy_is_drawn_within_its_band_and_a_breach_by_another_mark(reader: VersionedReader):
    accuracy = drift_frames.accuracy_data(reader, "SPY", "24h")
    low, high, gain, breached = drift_frames.accuracy_figure(accuracy, task="direction").data
    assert (list(low.y), list(high.y), list(gain.y)) == ([-0.01] * 2, [0.06] * 2, [0.05, -0.02])
    assert list(breached.y) == [-0.02]
    assert breached.marker.symbol == "x"


def test_of_many_sessions_only_the_breaches_are_marked_and_of_one_report_the_axis_shows_days(reader: VersionedReader):
    accuracy = drift_frames.accuracy_data(reader, "SPY", "24h")
    many = pd.concat([accuracy[accuracy["task"] == "direction"]] * 40, ignore_index=True)
    assert {trace.mode for trace in drift_frames.accuracy_figure(many, task="direction").data[:3]} == {"lines"}
    drift = drift_frames.drift_data(reader, "SPY", "24h")
    last = drift[drift["as_of_session"] == drift["as_of_session"].max()]
    shown = drift_frames.feature_figure(last, "rsi_14").layout.xaxis.range
    assert pd.Timestamp(shown[1]) - pd.Timestamp(shown[0]) == pd.Timedelta(days=14)


def test_a_broken_rule_names_its_asset_and_leads_to_its_checks(reader: VersionedReader):
    warned = StoredWarning("monitoring.drift", "is_stale", 3, ("SPY 24h",), "too old", ())
    rules = drift_frames.broken_rules_data([warned], reader.slices())
    assert rules[["asset", "rule", "violations"]].iloc[0].tolist() == ["monitoring.drift", "is_stale", 3]
    assert rules["link"].iloc[0] == "http://127.0.0.1:3000/assets/monitoring/drift?view=checks"
    assert rules["since"].notna().all()
    assert drift_frames.broken_rules_data([], reader.slices()).empty


def test_greeks_of_a_position_are_those_of_its_legs_at_the_mark():
    leg = {"strike": 100.0, "option_right": "C", "expiration": "2025-01-10", "ratio": 1}
    legs = [{**leg, "side": "buy", "entry_implied_volatility": 0.2}]
    position = {"position_id": "p", "session": pd.Timestamp("2024-01-11"), "contracts": 2, "spot": 100.0}
    positions = pd.DataFrame([{**position, "legs": json.dumps(legs), "expiration": pd.NaT}])
    held = paper_frames.with_greeks(positions, multiplier=100.0, rate=0.05, dividend_yield=0.0).iloc[0]
    # A year, 20 %, 5 %: the textbook's call has delta 0.6368 and vega 37.524 a year (Hull, Options, Futures).
    assert held["delta"] == pytest.approx(200 * 0.6368, abs=0.02)
    assert held["vega_usd"] == pytest.approx(200 * 0.37524, abs=0.01)
    assert held["theta_usd"] == pytest.approx(200 * -6.4140 / 365, abs=0.01)
    opposite = [*legs, {**legs[0], "side": "sell"}]
    flat = paper_frames.with_greeks(positions.assign(legs=json.dumps(opposite)), multiplier=100.0, rate=0.05,
                                    dividend_yield=0.0).iloc[0]  # fmt: skip
    assert flat[list(paper_frames.GREEKS)].tolist() == pytest.approx([0.0] * 4)
    unknown = paper_frames.with_greeks(positions.assign(legs=None), multiplier=1.0, rate=0.0, dividend_yield=0.0)
    assert unknown["delta"].isna().all()


def test_profit_is_cash_and_marks_and_a_position_is_what_it_was_last():
    ledger = pd.DataFrame(
        {"entry": [1, 2, 3], "session": [DAYS[0], DAYS[0], DAYS[1]], "balance_usd": [100.0, 90.0, 120.0]}
    )
    positions = pd.DataFrame(
        {"position_id": ["a", "a", "b"], "session": [DAYS[0], DAYS[1], DAYS[1]], "mark_usd": [15.0, 0.0, -5.0],
         "status": ["open", "closed", "open"]}
    )  # fmt: skip
    profit = paper_frames.profit_data(positions, ledger)
    assert profit["equity_usd"].tolist() == [105.0, 115.0]
    equity, cash = paper_frames.profit_figure(profit).data
    assert (list(equity.y), list(cash.y)) == ([105.0, 115.0], [90.0, 120.0])
    latest = paper_frames.latest_positions(positions).set_index("position_id")["status"]
    assert latest.to_dict() == {"a": "closed", "b": "open"}
    assert paper_frames.profit_data(positions.iloc[:0], ledger.iloc[:0]).empty
    assert np.isfinite(profit["cash_usd"]).all()
