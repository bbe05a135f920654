"""Which source the settings ask for, and what every source promises."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from resources.raw_frames import on_sessions, switched_off, table_frame, volatility_symbol
from resources.source import Source, SourceStatus, build_source
from tests.resources.loopback.server import FRED_KEY
from trading_dag.schemas import MACRO, OPTION_CHAIN, PRICES_DAILY, TABLES, VOLATILITY_INDEX
from trading_dag.settings import Settings

KINDS = (PRICES_DAILY.name, VOLATILITY_INDEX.name, MACRO.name, OPTION_CHAIN.name)


@pytest.mark.parametrize("name", ["sample", "files", "live"])
def test_the_settings_choose_the_source(name: str, tmp_path: Path) -> None:
    source: Source = build_source(Settings(_env_file=None, home=tmp_path, source=name, files=tmp_path))
    assert source.name == name


@pytest.mark.parametrize("name", ["sample", "files", "live"])
def test_every_source_describes_each_kind_without_asking_the_network(name: str, tmp_path: Path) -> None:
    settings = Settings(_env_file=None, home=tmp_path, source=name, yahoo_url="http://127.0.0.1:9", FRED_API_KEY=None)
    statuses = build_source(settings).describe()
    assert tuple(status.kind for status in statuses) == KINDS
    assert all(isinstance(status, SourceStatus) and status.detail for status in statuses)


def test_no_status_shows_a_key(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, home=tmp_path, source="live", FRED_API_KEY=FRED_KEY)
    source = build_source(settings)
    assert "first releases" in source.describe()[2].detail
    assert FRED_KEY not in f"{source.describe()} {source!r} {vars(source)}"


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
    frame = table_frame(bars, PRICES_DAILY, source="files")
    assert list(frame.columns) == list(PRICES_DAILY.column_names)
    assert frame["volume"].isna().all()
    assert frame["volume"].dtype == "float64"


def test_a_required_column_that_is_missing_is_a_defect() -> None:
    with pytest.raises(KeyError, match=r"raw\.prices_daily"):
        table_frame(pd.DataFrame({"ticker": ["SPY"]}), PRICES_DAILY, source="files")


def test_days_that_are_no_session_are_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    days = pd.DataFrame({"session": pd.DatetimeIndex(["2024-11-27", "2024-11-28", "2024-11-29"]).as_unit("us")})
    kept = on_sessions(days, source="yahoo", what="^VIX")
    assert list(kept["session"].dt.day) == [27, 29]
    assert "1 rows of ^VIX" in caplog.text
    assert "2024-11-28" in caplog.text


@pytest.mark.parametrize(("ticker", "symbol"), [("SPY", "VIX"), ("QQQ", "VXN"), ("IWM", "RVX"), ("NVDA", "VIX")])
def test_each_ticker_has_its_volatility_index(ticker: str, symbol: str) -> None:
    assert volatility_symbol(ticker) == symbol


def test_the_example_of_an_environment_holds_the_defaults() -> None:
    example = Path(__file__).resolve().parents[2] / ".env.example"
    names = {line.split("=")[0] for line in example.read_text().splitlines() if line.startswith("TRADING_DAG_")}
    assert {name.split("_", 2)[2].split("__")[0].lower() for name in names} <= set(Settings.model_fields)
    given = Settings(_env_file=example)
    default = Settings(_env_file=None)
    assert given == default
