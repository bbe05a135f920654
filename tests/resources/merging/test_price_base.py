"""Hourly bars over a split: on one base, or refused; and no row of a feature moves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.merging.event_history import EventMerge, fetch_start, merge_events
from resources.merging.price_base import base_factor, on_base
from resources.sources.live.source import build_live_source
from tests.resources.loopback.hourly_shape import hours_of
from tests.resources.loopback.server import LoopbackVendor
from trading_dag.errors import PriceBaseError
from trading_dag.features.intraday import build_intraday
from trading_dag.quality.conformance import conform
from trading_dag.schemas import INTRADAY_FEATURES, PRICES_HOURLY
from trading_dag.sessions import session_bounds, session_close, sessions_between

HOUR = pd.Timedelta(hours=1)
PRICES = ["open", "high", "low", "close"]
SESSIONS = sessions_between("2024-09-03", "2024-10-31")


def bars_of(sessions: pd.DatetimeIndex, *, seed: int = 7) -> pd.DataFrame:
    """Seven bars a session from half past nine on, a seeded walk with jumps over night."""
    generator = np.random.default_rng(seed)
    starts = [opened + hour * HOUR for opened in session_bounds(sessions)[0] for hour in range(7)]
    close = 500 * np.exp(np.cumsum(generator.normal(0, 0.004, len(starts))))
    opened = close * np.exp(generator.normal(0, 0.002, len(starts)))
    spread = 1 + np.abs(generator.normal(0, 0.001, (2, len(starts))))
    frame = pd.DataFrame(
        {
            "ticker": "SPY",
            "ts": pd.DatetimeIndex(starts).as_unit("us"),
            "open": opened,
            "high": np.maximum(opened, close) * spread[0],
            "low": np.minimum(opened, close) / spread[1],
            "close": close,
            "volume": np.round(generator.uniform(1e5, 1e6, len(starts))),
        }
    )
    frame.attrs = {"source": "live"}
    return frame


def given_after(stored: pd.DataFrame, ratio: float, *, bars: int = 35) -> pd.DataFrame:
    """The last bars as a vendor gives them after a split, in its single precision."""
    fresh = stored.tail(bars).reset_index(drop=True)
    prices = {name: (fresh[name] / ratio).astype("float32").astype("float64") for name in PRICES}
    fresh = fresh.assign(**prices, volume=fresh["volume"] * ratio)
    fresh.attrs = {"source": "live"}
    return fresh


def merged_with(stored: pd.DataFrame, fresh: pd.DataFrame) -> EventMerge:
    return merge_events(stored, fresh, table=PRICES_HOURLY, asked_at=pd.Timestamp("2024-11-01", tz="UTC"))


def features(hourly: pd.DataFrame) -> pd.DataFrame:
    days = pd.DataFrame({"ticker": "SPY", "session": SESSIONS, "high": 1e6, "low": 1e-6, "close": 100.0})
    return build_intraday(hourly, days)[list(INTRADAY_FEATURES)]


def test_after_a_split_of_ten_for_one_stored_bars_are_those_that_the_vendor_gives_now(tmp_path: Path) -> None:
    with LoopbackVendor(sessions=40, spare_sessions=3) as vendor:
        moments = []
        stored = None
        merges = []
        for ratio in (None, 10.0):
            if ratio is not None:
                vendor.market.advance()
                vendor.split("SPY", ratio)
            now = session_close(vendor.market.last) + HOUR
            moments.append(now)
            home = tmp_path / str(ratio)
            source = build_live_source(vendor.settings(home), clock=lambda now=now: now)
            since = None if stored is None else fetch_start(stored, PRICES_HOURLY)
            fresh = source.prices_hourly("SPY", since=since)
            if stored is None:
                stored = fresh
                continue
            merges.append(merge_events(stored, fresh, table=PRICES_HOURLY, asked_at=now, asked_before=moments[0]))
            assert len(fresh) < len(stored)
        whole = hours_of(vendor.market, "SPY")
    (merged,) = merges
    assert merged.base_factor == pytest.approx(0.1)
    bars = conform(merged.frame, PRICES_HOURLY, slice_key="SPY")
    assert list(bars["ts"]) == list(whole["ts"])
    for name in PRICES:
        np.testing.assert_allclose(bars[name], whole[name], rtol=1e-6)
    moved = merged.restated[merged.restated["outcome"] == "base moved"]
    assert len(moved) == 1
    assert moved["old"].iloc[0] / moved["new"].iloc[0] == pytest.approx(10.0)


def test_a_split_moves_volumes_the_other_way_and_merging_again_changes_nothing() -> None:
    stored = bars_of(SESSIONS)
    fresh = given_after(stored, 10.0)
    merged = merged_with(stored, fresh)
    np.testing.assert_allclose(merged.frame["volume"], stored["volume"] * 10.0, rtol=1e-6)
    assert merged.restated["outcome"].tolist() == ["base moved"]
    again = merged_with(merged.frame, fresh)
    pd.testing.assert_frame_equal(again.frame, merged.frame)
    assert (again.base_factor, len(again.restated)) == (1.0, 0)


@settings(max_examples=10)
@given(st.sampled_from([10.0, 20.0, 2.0, 1.5, 0.1, 1.05]), st.integers(8, 60))
def test_features_of_any_session_are_those_of_before_the_split(ratio: float, overlap: int) -> None:
    stored = bars_of(SESSIONS)
    merged = merged_with(stored, given_after(stored, ratio, bars=overlap))
    pd.testing.assert_frame_equal(features(merged.frame), features(stored), rtol=1e-9, atol=1e-11)


def test_a_bar_that_the_vendor_corrects_stays_as_it_was_and_is_recorded() -> None:
    stored = bars_of(SESSIONS)
    fresh = given_after(stored, 1.0)
    fresh.loc[3, "close"] *= 1.001
    fresh.loc[4, "volume"] += 5.0
    merged = merged_with(stored, fresh)
    kept = stored.tail(35).iloc[3]
    row = merged.frame[merged.frame["ts"] == kept["ts"]].iloc[0]
    assert row["close"] == kept["close"]
    assert merged.restated.set_index("column")["outcome"].to_dict() == {
        "close": "the first value stays", "volume": "taken",
    }  # fmt: skip
    assert merged.base_factor == 1.0


def test_bars_that_differ_by_no_one_factor_are_refused_and_nothing_is_merged() -> None:
    stored = bars_of(SESSIONS)
    half = given_after(stored, 1.0)
    half.loc[: len(half) // 2, PRICES] /= 10.0
    with pytest.raises(PriceBaseError, match=r"raw\.prices_hourly .*SPY.* no one split") as caught:
        merged_with(stored, half)
    assert "17 of 35" in str(caught.value)
    other = given_after(bars_of(SESSIONS, seed=8), 1.0)
    with pytest.raises(PriceBaseError):
        merged_with(stored, other)


def test_without_a_bar_in_common_the_base_stays() -> None:
    stored = bars_of(SESSIONS)
    nothing = stored.iloc[:0]
    assert base_factor(nothing, nothing, table=PRICES_HOURLY) == 1.0
    pd.testing.assert_frame_equal(on_base(stored, 1.0), stored)
