"""The live source end to end: the command line, the real vendor clients, a loopback vendor that fails on demand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.conftest import Workspace
from tests.resources.loopback.server import Fault, LoopbackVendor, error_page, server_error, too_many_requests
from trading_dag.schemas import (
    MACRO_TABLE,
    METRICS,
    PREDICTIONS_DIRECTION,
    PRICES_DAILY,
    RECOMMENDATION,
    TECHNICAL,
    TRADES,
)

CHOSEN = ("--tickers", "SPY", "--horizons", "24h")
SPY = SliceKey("SPY")
SPY_24H = SliceKey("SPY", "24h")


class Market:
    """A vendor, a home that was filled from it, and the command line between them."""

    def __init__(self, vendor: LoopbackVendor, home: Path) -> None:
        self.vendor = vendor
        self.workspace = Workspace(home, tuple(vendor.environment().items()))
        self.store = ParquetStore(home)

    def refresh(self) -> str:
        done = self.workspace.run("refresh", *CHOSEN)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def model_versions(self) -> list[str]:
        return sorted(str(path) for path in (self.store.root / "models").glob("*/*/*/*/spec.json"))

    def last_session(self) -> pd.Timestamp:
        return self.store.read(PRICES_DAILY, SPY, columns=["session"])["session"].max()


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    with LoopbackVendor(sessions=1_500) as vendor:
        market = Market(vendor, tmp_path_factory.mktemp("live"))
        done = market.workspace.run("run", *CHOSEN)
        assert done.returncode == 0, done.stdout + done.stderr
        yield market


@pytest.mark.slow
def test_a_refresh_without_news_computes_nothing_downstream(market: Market) -> None:
    before = market.store.path(TECHNICAL, SPY).stat().st_mtime_ns
    market.refresh()
    assert market.store.path(TECHNICAL, SPY).stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_new_session_reaches_the_signals_no_model_is_refitted_and_scores_and_backtests_wait_until_somebody_asks(
    market: Market,
) -> None:
    before = market.store.path(METRICS, SPY_24H).read_bytes()
    trades = market.store.path(TRADES, SPY_24H).read_bytes()
    versions, last = market.model_versions(), market.last_session()
    earlier = market.store.read(PREDICTIONS_DIRECTION, SPY_24H)
    market.vendor.advance_one_session()
    shown = market.refresh()
    assert market.last_session() > last
    assert market.model_versions() == versions
    assert market.store.read(RECOMMENDATION, SPY_24H)["session"].max() == market.last_session()
    later = market.store.read(PREDICTIONS_DIRECTION, SPY_24H)
    both = earlier.merge(later, on=["session", "model"], suffixes=("_earlier", "_later"))
    assert len(both) == len(earlier)
    # Not to the last bit: linear algebra adds up in another order where there are more rows.
    np.testing.assert_allclose(both["probability_up_earlier"], both["probability_up_later"], rtol=0, atol=1e-15)

    assert "Latest recommendations" in shown
    assert market.store.path(METRICS, SPY_24H).read_bytes() == before
    assert market.store.path(TRADES, SPY_24H).read_bytes() == trades
    done = market.workspace.run("evaluate", *CHOSEN)
    assert done.returncode == 0, done.stdout + done.stderr
    scored = market.store.provenance(METRICS, SPY_24H)
    forecast = market.store.provenance(PREDICTIONS_DIRECTION, SPY_24H)
    assert scored is not None
    assert forecast is not None
    assert scored.inputs["predictions.direction"] == forecast.content_hash
    assert market.store.path(TRADES, SPY_24H).read_bytes() == trades

    assert market.workspace.run("backtest", *CHOSEN).returncode == 0
    traded = market.store.provenance(TRADES, SPY_24H)
    assert traded is not None
    assert traded.inputs["evaluation.metrics"] == scored.content_hash
    written = market.store.path(METRICS, SPY_24H).stat().st_mtime_ns
    assert market.workspace.run("evaluate", *CHOSEN).returncode == 0
    assert market.store.path(METRICS, SPY_24H).stat().st_mtime_ns == written


@pytest.mark.long
def test_a_dividend_that_rebases_the_history_changes_no_earlier_feature(market: Market) -> None:
    before = market.store.read(TECHNICAL, SPY)
    market.vendor.advance_one_session()
    market.vendor.pay_dividend("SPY", 1.5)
    market.vendor.advance_one_session()
    market.refresh()
    after = market.store.read(TECHNICAL, SPY).iloc[: len(before)]
    pd.testing.assert_frame_equal(before, after, rtol=1e-7, atol=1e-9)


@pytest.mark.long
def test_a_vendor_that_fails_is_named_and_what_is_stored_stays(market: Market) -> None:
    """The next good answer is stored, whatever failed before it."""
    for fault in (server_error(), error_page()):
        _assert_the_fault_is_named(market, fault)
    market.refresh()


@pytest.mark.slow
@pytest.mark.long
def test_a_vendor_that_asks_to_wait_for_ever_is_named_and_what_is_stored_stays(market: Market) -> None:
    _assert_the_fault_is_named(market, too_many_requests(retry_after="0"))
    market.refresh()


def _assert_the_fault_is_named(market: Market, fault: Fault) -> None:
    before = market.store.path(PRICES_DAILY, SPY).read_bytes()
    market.vendor.inject("/v8/finance/chart/SPY", fault, times=None)
    done = market.workspace.run("refresh", *CHOSEN)
    market.vendor.heal()
    assert done.returncode == 1, fault
    assert "yahoo" in done.stdout.lower()
    assert "Traceback" not in done.stdout + done.stderr
    assert market.store.path(PRICES_DAILY, SPY).read_bytes() == before


@pytest.mark.slow
def test_macro_series_arrive_with_the_session_on_which_they_were_known(market: Market) -> None:
    macro = market.store.read(MACRO_TABLE, SliceKey())
    assert macro["treasury_10y"].notna().any()
