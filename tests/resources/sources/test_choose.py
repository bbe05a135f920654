"""Which source the settings ask for, and what every source promises."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from resources.raw_frames import on_sessions, raw_frame, switched_off
from resources.sources.choose import build_source
from resources.sources.protocol import Source
from resources.sources.status import SourceStatus
from tests.resources.loopback.event_shapes import FINNHUB_KEY
from tests.resources.loopback.server import FRED_KEY
from trading_dag.errors import UnknownTickerError
from trading_dag.schemas import (
    EARNINGS,
    ECONOMIC_CALENDAR,
    HULL_MARKET,
    MACRO,
    NEWS,
    NEWS_SENTIMENT,
    OPTION_CHAIN,
    PRICES_DAILY,
    PRICES_HOURLY,
    SOCIAL_MENTIONS,
    TABLES,
    VOLATILITY_INDEX,
)
from trading_dag.settings import Settings

KINDS = tuple(
    table.name
    for table in (
        PRICES_DAILY, VOLATILITY_INDEX, MACRO, OPTION_CHAIN,
        PRICES_HOURLY, NEWS, SOCIAL_MENTIONS, NEWS_SENTIMENT, EARNINGS, ECONOMIC_CALENDAR, HULL_MARKET,
    )
)  # fmt: skip


@pytest.mark.parametrize("name", ["sample", "files", "live"])
def test_the_settings_choose_the_source(name: str, tmp_path: Path) -> None:
    source: Source = build_source(Settings(_env_file=None, home=tmp_path, source=name, files=tmp_path))
    assert source.name == name


@pytest.mark.parametrize("name", ["sample", "files", "live"])
def test_every_source_describes_each_kind_without_asking_the_network(name: str, tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None, home=tmp_path, source=name, yahoo_url="http://127.0.0.1:9", FRED_API_KEY=None,
        FINNHUB_API_KEY=None,
    )  # fmt: skip
    statuses = build_source(settings).describe()
    assert tuple(status.kind for status in statuses) == KINDS
    assert all(isinstance(status, SourceStatus) and status.detail for status in statuses)


def test_no_status_shows_a_key(tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None, home=tmp_path, source="live", FRED_API_KEY=FRED_KEY, FINNHUB_API_KEY=FINNHUB_KEY
    )
    source = build_source(settings)
    statuses = {status.kind: status for status in source.describe()}
    assert "first releases" in statuses["macro"].detail
    assert statuses["news"].state == statuses["earnings"].state == "on"
    for key in (FRED_KEY, FINNHUB_KEY):
        assert key not in f"{source.describe()} {source!r} {vars(source)} {settings!r}"


def test_a_missing_key_is_said_with_the_variable_to_set(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, home=tmp_path, source="live", FINNHUB_API_KEY=None, FRED_API_KEY=None)
    statuses = {status.kind: status for status in build_source(settings).describe()}
    for kind in ("news", "earnings"):
        assert statuses[kind].state == "off"
        assert "FINNHUB_API_KEY" in statuses[kind].remedy
    assert "FRED_API_KEY" in statuses["economic_calendar"].remedy
    assert {statuses[kind].state for kind in ("social_mentions", "economic_calendar", "prices_daily")} == {"on"}


@pytest.mark.parametrize(
    ("ticker", "companies"),
    [
        ("NVDA", ("NVDA",)),
        ("IWM", ()),
        ("SPY", ("AAPL", "MSFT", "NVDA", "AMZN", "GOOGL", "META", "TSLA", "AVGO", "JPM", "BRK.B")),
        ("XLK", ("AAPL", "MSFT")),
    ],
)
def test_earnings_are_those_of_the_configured_companies_the_holdings_or_its_own(
    ticker: str, companies: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADING_DAG_EARNINGS_COMPANIES", '{"XLK": ["AAPL", "MSFT", "AAPL"]}')
    assert Settings(_env_file=None).companies_of(ticker) == companies


def test_a_company_that_is_no_ticker_is_refused() -> None:
    with pytest.raises(UnknownTickerError):
        Settings(_env_file=None, earnings_companies={"XLK": ("../x",)})


@pytest.mark.parametrize("table", [PRICES_DAILY, VOLATILITY_INDEX, MACRO], ids=lambda table: table.name)
def test_a_kind_that_is_off_has_the_columns_and_types_of_its_table_and_a_reason(table: object) -> None:
    assert table in TABLES.values()
    frame = switched_off(table, source="files", reason="no file")  # type: ignore[arg-type]
    assert list(frame.columns) == list(table.column_names)  # type: ignore[attr-defined]
    assert frame.attrs == {"source": "files", "source_off": "no file"}
    assert len(frame) == 0
    day = "observation_date" if table is MACRO else "session"
    assert str(frame[day].dtype) == "datetime64[us]"


def test_a_nullable_column_that_a_source_does_not_give_is_null() -> None:
    bars = pd.DataFrame({name: [1.0] for name in ("open", "high", "low", "close", "adj_close")})
    bars = bars.assign(ticker="SPY", session=pd.DatetimeIndex(["2024-11-15"]).as_unit("us"))
    frame = raw_frame(bars, PRICES_DAILY, source="files")
    assert list(frame.columns) == list(PRICES_DAILY.column_names)
    assert frame["volume"].isna().all()
    assert frame["volume"].dtype == "float64"


def test_a_required_column_that_is_missing_is_a_defect() -> None:
    with pytest.raises(KeyError, match=r"raw\.prices_daily"):
        raw_frame(pd.DataFrame({"ticker": ["SPY"]}), PRICES_DAILY, source="files")


def test_days_that_are_no_session_are_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    days = pd.DataFrame({"session": pd.DatetimeIndex(["2024-11-27", "2024-11-28", "2024-11-29"]).as_unit("us")})
    kept = on_sessions(days, source="yahoo", what="^VIX")
    assert list(kept["session"].dt.day) == [27, 29]
    assert "1 rows of ^VIX" in caplog.text
    assert "2024-11-28" in caplog.text


def test_the_example_of_an_environment_holds_the_defaults() -> None:
    example = Path(__file__).resolve().parents[3] / ".env.example"
    names = {line.split("=")[0] for line in example.read_text().splitlines() if line.startswith("TRADING_DAG_")}
    assert {name.split("_", 2)[2].split("__")[0].lower() for name in names} <= set(Settings.model_fields)
    given = Settings(_env_file=example)
    default = Settings(_env_file=None)
    assert given == default
