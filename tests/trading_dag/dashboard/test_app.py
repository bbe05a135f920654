"""The script of the dashboard without a browser: an empty home, and data that are stale or no market's."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.resources.storage.test_parquet_store import bars
from trading_dag.dashboard import process
from trading_dag.dashboard.server import SCRIPT
from trading_dag.quality import empty_frame
from trading_dag.schemas import PRICES_DAILY, RECOMMENDATION
from trading_dag.settings import Settings


@pytest.fixture
def home(tmp_path: Path):  # type: ignore[no-untyped-def]
    process.share(Settings(_env_file=None, home=tmp_path, source="live"))
    yield tmp_path
    process._shared.clear()


def opened(**asked: str) -> AppTest:
    page = AppTest.from_file(str(SCRIPT), default_timeout=600)
    for name, value in asked.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def test_an_empty_home_says_how_to_start(home: Path) -> None:
    page = opened()
    assert "Nothing is stored yet" in page.info[0].value
    assert page.code[0].value.startswith("trading-dag run")
    assert not page.selectbox


@pytest.mark.parametrize(
    ("source", "title"),
    [("live", "Stale\\: "), ("simulated", "Simulated\\, not market data"), ("sample", "Sample data\\, not")],
)
def test_what_is_no_market_of_today_stands_in_red_on_top(home: Path, source: str, title: str) -> None:
    ParquetStore(home).write(PRICES_DAILY, SliceKey("SPY"), bars(), source=source)
    page = opened(ticker="<img src=x>", horizon="../../etc")
    assert [box.value for box in page.selectbox] == ["SPY", "24h"]
    assert page.error[0].value.startswith(f"**{title}")
    assert any("sessions behind" in error.value for error in page.error) == (source != "sample")
    assert "No forecast" in page.info[0].value


def test_the_first_horizon_shown_is_one_with_a_signal_that_can_be_traded(home: Path) -> None:
    store = ParquetStore(home)
    store.write(PRICES_DAILY, SliceKey("SPY"), bars(), source="live")
    for horizon in ("168h", "12h", "72h"):
        store.write(RECOMMENDATION, SliceKey("SPY", horizon), empty_frame(RECOMMENDATION), source="live")
        shown = opened().selectbox[1].value
        assert shown == ("72h" if horizon == "72h" else "168h")


def test_a_page_that_cannot_be_read_is_an_error_in_a_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trading_dag.dashboard.views import today
    from trading_dag.errors import StorageError

    def torn(*given: object) -> pd.DataFrame:
        raise StorageError("signals.recommendation [SPY]: <b>torn</b>")

    monkeypatch.setattr(today, "signals", torn)
    ParquetStore(home).write(PRICES_DAILY, SliceKey("SPY"), bars(), source="live")
    page = opened()
    assert page.error[-1].value.startswith("**This page cannot be shown.**")
    assert "\\<b\\>torn" in page.error[-1].value


def test_without_a_server_it_says_how_to_start_one() -> None:
    from trading_dag.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match="trading-dag dashboard"):
        process.shared()


def test_a_server_that_starts_reads_ahead_whatever_is_stored(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    from trading_dag.dashboard.server import warm_up

    ParquetStore(home).write(PRICES_DAILY, SliceKey("SPY"), bars(), source="live")
    warm_up()
    asked = {name[0] for name in process.shared().reader._kept if isinstance(name, tuple)}
    assert any("predictions.regime" in str(text) for text in asked)
    assert ("presence", "SPY") in process.shared().reader._kept
    assert caplog.messages == []
