"""Provisional rows of a session under way, made from the stored run of the sample with invented hours."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets import provisional as asset
from assets.declare.declaration import Slice
from assets.jobs import keys_of_stage
from assets.running_session import RunningSession
from resources.raw_frames import switched_off
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.conftest import QUICK_GROUPS, Workspace
from trading_dag.errors import BadSliceError, ModelNotFoundError, SourceMismatchError, SourceOffError
from trading_dag.features.running_session import features_of_volume
from trading_dag.schemas import (
    ALL_FEATURES,
    CROSS_ASSET_FEATURES,
    EARNINGS_FEATURES,
    ECONOMIC_CALENDAR_FEATURES,
    FEATURE_TABLE,
    OPTION_CHAIN,
    PRICES_DAILY,
    PRICES_HOURLY,
    PROVISIONAL,
    PROVISIONAL_OPPORTUNITIES,
    REGIME_FEATURES,
    TECHNICAL_FEATURES,
    Table,
)
from trading_dag.sessions import session_close, session_open, shift_sessions
from trading_dag.settings import Settings

TICKER = "SPX"
HOUR = pd.Timedelta(hours=1)


class HoursBesideTheSample:
    """A source of the sample's name that has hours of one session."""

    name = "sample"

    def __init__(self, hours: pd.DataFrame, source: str = "sample") -> None:
        self.hours = hours.copy()
        self.hours.attrs["source"] = source

    def hours_so_far(self, ticker: str, *, now: pd.Timestamp) -> pd.DataFrame:
        if ticker != TICKER or self.hours.empty:
            return switched_off(PRICES_HOURLY, source=self.name, reason="it has none")
        return self.hours[self.hours["ts"] + HOUR <= now].reset_index(drop=True)

    def chain_so_far(self, ticker: str, *, now: pd.Timestamp) -> pd.DataFrame:
        return switched_off(OPTION_CHAIN, source=self.name, reason="it has no chain")


def hours_of(session: pd.Timestamp, bar: pd.Series, *, factor: float = 1.0) -> pd.DataFrame:
    """Four hours from the open that combine to a bar; the second one has the high, the third the low."""
    path = np.array([bar["open"], bar["high"], bar["low"], bar["open"], bar["close"]]) * factor
    opens, closes = path[:-1], path[1:]
    return pd.DataFrame({
        "ticker": TICKER, "ts": [session_open(session) + place * HOUR for place in range(4)], "open": opens,
        "high": np.maximum(opens, closes), "low": np.minimum(opens, closes), "close": closes,
        "volume": [bar["volume"] / 4] * 4,
    }).astype({"ts": "datetime64[us, UTC]"})  # fmt: skip


class StoreUntil(ParquetStore):
    """A store as it was at the close of a session: rows after it, and outcomes that were not known, are not there."""

    def __init__(self, root: Path, last: pd.Timestamp) -> None:
        super().__init__(root)
        self.last = last

    def read(self, table: Table, key: SliceKey, **named: Any) -> pd.DataFrame:
        frame = super().read(table, key, **named)
        for column in ("target_session", "session") if table.group == "labels" else ("session",):
            if column in frame.columns:
                attrs, frame = frame.attrs, frame[frame[column] <= self.last].reset_index(drop=True)
                frame.attrs = attrs
        return frame


@pytest.fixture(scope="module")
def home(sample_run: Workspace) -> Path:
    return sample_run.home


@pytest.fixture(scope="module")
def at(home: Path) -> Slice:
    """The slice with hours of the session after the last stored one, one percent above its bar."""
    settings = Settings(_env_file=None, home=home, source="sample", horizons=("24h", "72h"), **QUICK_GROUPS)
    store = ParquetStore(home)
    last = store.read(PRICES_DAILY, SliceKey(TICKER)).iloc[-1]
    session = shift_sessions(pd.DatetimeIndex([last["session"]]), 1)[0]
    return Slice(SliceKey(TICKER), settings, HoursBesideTheSample(hours_of(session, last, factor=1.01)), store)


@pytest.fixture(scope="module")
def session(at: Slice) -> pd.Timestamp:
    return shift_sessions(pd.DatetimeIndex([at.store.read(PRICES_DAILY, at.key)["session"].iloc[-1]]), 1)[0]


def contents(home: Path) -> dict[str, str]:
    """The hash of every stored file but locks."""
    files = (path for path in (home / "data").rglob("*.parquet"))
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def made(at: Slice, session: pd.Timestamp, home: Path) -> dict[str, Any]:
    """What the asset returns three hours and 40 minutes after the open, and what was stored before and after."""
    before = contents(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asset, "present", lambda: session_open(session) + pd.Timedelta(hours=3, minutes=40))
        result = asset.provisional.function(at, prices=None, features=None)
    return {"result": result, "before": before, "after": contents(home)}


def test_every_row_says_that_it_is_provisional_of_when_and_how_old(
    made: dict[str, Any], session: pd.Timestamp, at: Slice
) -> None:
    frames = made["result"].frames
    for name in (PROVISIONAL.name, PROVISIONAL_OPPORTUNITIES.name):
        rows = frames[name]
        assert rows["is_provisional"].all()
        assert set(rows["session"]) == {session}
        assert set(rows["as_of"]) == {session_open(session) + 3 * HOUR}
        assert rows["delay_minutes"].unique().tolist() == [40.0]
    said = frames[PROVISIONAL.name]
    assert set(said["horizon"]) == {"24h"}
    assert set(said["bars"]) == {3}
    assert said["spot"].unique().tolist() == [at.source.hours["close"].iloc[2]]
    assert said["chain_as_of"].isna().all()
    assert said["probability_up"].between(0.0, 1.0).all()
    assert (said["quantile_05"] < said["forecast_price"]).all()
    counts = said[["features_so_far", "features_at_last_close", "features_missing"]].iloc[0]
    assert counts.sum() == len(ALL_FEATURES)
    assert counts["features_at_last_close"] > len(features_of_volume())


def test_nothing_that_is_stored_is_touched(made: dict[str, Any]) -> None:
    assert made["before"] == made["after"]
    assert made["before"]


def test_a_horizon_without_a_stored_signal_is_named(made: dict[str, Any]) -> None:
    assert "no signal is stored at 72h" in str(made["result"].metadata)


def test_the_tables_take_the_rows_and_replace_them(made: dict[str, Any], tmp_path: Path) -> None:
    store, key = ParquetStore(tmp_path), SliceKey(TICKER)
    for table in (PROVISIONAL, PROVISIONAL_OPPORTUNITIES):
        frame = made["result"].frames[table.name]
        store.write(table, key, frame)
        store.write(table, key, frame.iloc[:1])
        assert len(store.read(table, key)) == 1


def test_at_the_close_the_features_so_far_are_those_that_the_session_is_given(home: Path, at: Slice) -> None:
    stored = at.store.read(FEATURE_TABLE, at.key)
    bar = at.store.read(PRICES_DAILY, at.key).iloc[-1]
    store = StoreUntil(home, stored["session"].iloc[-2])
    source = HoursBesideTheSample(hours_of(bar["session"], bar))
    running = RunningSession(replace(at, store=store, source=source), bar["session"], session_close(bar["session"]))
    features, known = running.features
    of_session = [
        *(name for name in TECHNICAL_FEATURES if name not in features_of_volume()),
        *REGIME_FEATURES, *EARNINGS_FEATURES, *ECONOMIC_CALENDAR_FEATURES, *CROSS_ASSET_FEATURES,
    ]  # fmt: skip
    depends_on_index = {"earnings_x_iv_rank", "earnings_x_iv_hv_spread"}
    same = [name for name in of_session if name not in depends_on_index and pd.notna(stored[name].iloc[-1])]
    assert len(same) > 60
    pd.testing.assert_series_equal(features[same].iloc[-1], stored[same].iloc[-1], check_names=False, rtol=1e-9)
    before = [name for name in ("vix_close", "iv_rank", "obv", "volume_ratio", "treasury_10y") if name in stored]
    standing = [name for name in before if pd.notna(stored[name].iloc[-2])]
    assert standing
    pd.testing.assert_series_equal(features[standing].iloc[-1], stored[standing].iloc[-2], check_names=False)
    assert known.so_far >= len(same)


def test_a_price_so_far_is_no_outcome_of_an_earlier_forecast(at: Slice, session: pd.Timestamp) -> None:
    running = RunningSession(at, session, session_open(session) + 4 * HOUR)
    inputs = running.forecast("24h")
    ends_today = inputs["price"][inputs["price"]["target_session"] == session]
    assert len(ends_today)
    assert ends_today[["y_true", "forward_return"]].isna().all().all()
    for name in ("direction", "volatility", "level"):
        rows = inputs[name][inputs[name]["target_session"] >= session]
        assert rows["y_true"].isna().all()
    assert inputs["prices"]["session"].iloc[-1] == session


def test_a_price_that_breaks_the_rules_of_bars_is_refused(at: Slice, session: pd.Timestamp) -> None:
    bar = at.store.read(PRICES_DAILY, at.key).iloc[-1]
    split = replace(at, source=HoursBesideTheSample(hours_of(session, bar, factor=0.25)))
    with pytest.raises(BadSliceError, match="session under way"):
        _ = RunningSession(split, session, session_open(session) + 4 * HOUR).features


def test_hours_of_another_source_are_refused(at: Slice, session: pd.Timestamp) -> None:
    bar = at.store.read(PRICES_DAILY, at.key).iloc[-1]
    mixed = replace(at, source=HoursBesideTheSample(hours_of(session, bar), source="live"))
    with pytest.raises(SourceMismatchError, match="hours are of live, the stored bars of sample"):
        _ = RunningSession(mixed, session, session_open(session) + 4 * HOUR).features


def test_a_source_without_hours_is_told_with_the_reason(at: Slice, session: pd.Timestamp) -> None:
    bare = replace(at, source=HoursBesideTheSample(at.source.hours.iloc[:0]))
    with pytest.raises(SourceOffError, match="it has none"):
        _ = RunningSession(bare, session, session_open(session) + 4 * HOUR).hours


def test_a_closed_exchange_and_a_ticker_without_signals_are_told(
    at: Slice, session: pd.Timestamp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asset, "present", lambda: session_close(session))
    with pytest.raises(SourceOffError, match="the exchange is closed"):
        asset.provisional.function(at, prices=None, features=None)
    monkeypatch.setattr(asset, "present", lambda: session_open(session) + 4 * HOUR)
    settings = at.settings.model_copy(update={"horizons": ("72h",)})
    with pytest.raises(ModelNotFoundError, match="no signal of SPX is stored yet"):
        asset.provisional.function(replace(at, settings=settings), prices=None, features=None)


def test_no_job_but_its_own_makes_it() -> None:
    own = keys_of_stage("during_session")
    assert [key.to_user_string() for key in own] == ["signals/provisional", "signals/provisional_opportunities"]
    for stage in ("none", "ticker", "ticker_horizon", "all_slices"):
        assert not set(own) & set(keys_of_stage(stage))
    assert asset.provisional.automation == "none"
