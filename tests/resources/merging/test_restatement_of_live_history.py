"""What a vendor does to its history between two fetches, fetched and merged as the assets do it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from resources.merging.restatement import MergeResult, merge_history, overlap_start
from resources.sources.live.source import LiveSource, build_live_source
from tests.resources.loopback.server import FRED_KEY, LoopbackVendor
from trading_dag.schemas import MACRO, PRICES_DAILY

OVERLAP = 10


@pytest.fixture
def vendor() -> Iterator[LoopbackVendor]:
    with LoopbackVendor(sessions=80, spare_sessions=12) as running:
        yield running


@pytest.fixture
def source(vendor: LoopbackVendor, tmp_path: Path) -> LiveSource:
    return build_live_source(vendor.settings(tmp_path))


def fetch_and_merge(source: LiveSource, stored: pd.DataFrame) -> MergeResult:
    since = overlap_start(stored, table=PRICES_DAILY, overlap_sessions=OVERLAP)
    return merge_history(stored, source.prices_daily("SPY", since=since), table=PRICES_DAILY)


def test_new_sessions_are_appended(vendor: LoopbackVendor, source: LiveSource) -> None:
    stored = source.prices_daily("SPY")
    vendor.advance_one_session()
    vendor.advance_one_session()
    result = fetch_and_merge(source, stored)
    assert (result.appended, len(result.restated), result.rebased) == (2, 0, False)
    pd.testing.assert_frame_equal(result.frame, source.prices_daily("SPY"))
    assert fetch_and_merge(source, result.frame).appended == 0


def test_a_corrected_close_is_a_recorded_restatement(vendor: LoopbackVendor, source: LiveSource) -> None:
    stored = source.prices_daily("SPY")
    day = vendor.restate("SPY", -3, "close", 123.25)
    vendor.advance_one_session()
    result = fetch_and_merge(source, stored)
    assert not result.rebased
    changed = result.restated.set_index("column")
    assert set(changed.index) == {"close", "adj_close"}
    assert set(changed["session"]) == {day}
    assert changed.loc["close", "new"] == 123.25


@pytest.mark.parametrize("sessions_until_fetch", [1, 3])
def test_a_dividend_makes_the_caller_fetch_everything(
    vendor: LoopbackVendor, source: LiveSource, sessions_until_fetch: int
) -> None:
    stored = source.prices_daily("SPY")
    vendor.advance_one_session()
    vendor.pay_dividend("SPY", 1.75)
    for _ in range(sessions_until_fetch - 1):
        vendor.advance_one_session()
    result = fetch_and_merge(source, stored)
    assert result.rebased
    assert list(result.restated["column"]) == ["adj_close"]
    pd.testing.assert_frame_equal(result.frame, stored)
    whole = source.prices_daily("SPY")
    assert fetch_and_merge(source, whole).rebased is False
    np.testing.assert_allclose(whole["close"].head(80), stored["close"])
    assert (whole["adj_close"].head(80) < stored["adj_close"]).all()


def test_a_dividend_that_the_vendor_enters_late_is_seen_too(vendor: LoopbackVendor, source: LiveSource) -> None:
    vendor.advance_one_session()
    stored = source.prices_daily("SPY")
    vendor.pay_dividend("SPY", 1.75)
    vendor.advance_one_session()
    assert fetch_and_merge(source, stored).rebased


def test_a_split_makes_the_caller_fetch_everything(vendor: LoopbackVendor, source: LiveSource) -> None:
    stored = source.prices_daily("SPY")
    vendor.advance_one_session()
    vendor.split("SPY", 4.0)
    result = fetch_and_merge(source, stored)
    assert result.rebased
    assert list(result.restated["column"]) == ["close"]
    assert result.restated.loc[0, "new"] == pytest.approx(result.restated.loc[0, "old"] / 4.0)
    pd.testing.assert_frame_equal(result.frame, stored)


def test_macro_revisions_are_recorded_and_a_new_key_asks_for_everything(
    vendor: LoopbackVendor, source: LiveSource, tmp_path: Path
) -> None:
    stored = source.macro()
    for _ in range(12):
        vendor.advance_one_session()
    since = overlap_start(stored, table=MACRO, overlap_sessions=OVERLAP)
    later = merge_history(stored, source.macro(since=since), table=MACRO)
    assert later.appended > 0
    assert not later.rebased
    pd.testing.assert_frame_equal(later.frame, source.macro())
    keyed = build_live_source(vendor.settings(tmp_path, fred_api_key=FRED_KEY))
    assert merge_history(stored, keyed.macro(since=since), table=MACRO).rebased


def test_slices_fetched_at_the_same_time_do_not_mix(vendor: LoopbackVendor, source: LiveSource) -> None:
    tickers = ["SPY", "QQQ", "IWM", "SPX", "COMP"]
    alone = {ticker: source.prices_daily(ticker) for ticker in tickers}
    with ThreadPoolExecutor(max_workers=5) as pool:
        together = dict(zip(tickers, pool.map(source.prices_daily, tickers), strict=True))
    for ticker in tickers:
        pd.testing.assert_frame_equal(together[ticker], alone[ticker])
