"""A folder of the user's files as raw tables, and what is said about files in another shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from resources.sources.choose import build_source
from resources.sources.files.source import FilesSource
from trading_dag.errors import EmptySourceError, SourceFormatError, SourceOffError, UnknownTickerError
from trading_dag.quality.conformance import conform
from trading_dag.schemas import MACRO, MACRO_SERIES, PRICES_DAILY, VOLATILITY_INDEX
from trading_dag.sessions import is_session
from trading_dag.settings import Settings

DAYS = pd.DatetimeIndex(["2024-11-25", "2024-11-26", "2024-11-27", "2024-11-29"])


def price_rows(ticker: str = "SPY") -> pd.DataFrame:
    close = np.array([597.5, 600.6, 598.8, 602.6])
    return pd.DataFrame(
        {
            "ticker": ticker,
            "session": DAYS.date,
            "open": close - 1.0,
            "high": close + 2.0,
            "low": close - 2.0,
            "close": close,
            "adj_close": close * 0.99,
            "volume": [42, 45, 34, 30],
        }
    )


def index_rows(symbol: str) -> pd.DataFrame:
    days = DAYS.insert(3, pd.Timestamp("2024-11-28"))
    return pd.DataFrame(
        {"symbol": symbol, "session": days.date, "open": np.nan, "high": np.nan, "low": np.nan, "close": 14.0}
    )


def write(frame: pd.DataFrame, folder: Path, name: str, suffix: str) -> None:
    if suffix == "csv":
        frame.to_csv(folder / f"{name}.csv", index=False)
    else:
        frame.to_parquet(folder / f"{name}.parquet", index=False)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_parquet_and_csv_give_the_same_rows(tmp_path: Path, suffix: str) -> None:
    write(pd.concat([price_rows("QQQ"), price_rows("SPY").iloc[::-1]]), tmp_path, "prices_daily", suffix)
    bars = FilesSource(tmp_path).prices_daily("SPY")
    assert list(bars.columns) == list(PRICES_DAILY.column_names)
    assert list(bars["session"]) == list(DAYS)
    np.testing.assert_array_equal(bars["close"], [597.5, 600.6, 598.8, 602.6])
    np.testing.assert_array_equal(bars["volume"], [42.0, 45.0, 34.0, 30.0])
    assert bars[["split_factor", "dividend"]].isna().all(axis=None)
    assert bars.attrs == {"source": "files"}
    conform(bars, PRICES_DAILY, slice_key="SPY")


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_since_is_inclusive(tmp_path: Path, suffix: str) -> None:
    write(price_rows(), tmp_path, "prices_daily", suffix)
    bars = FilesSource(tmp_path).prices_daily("SPY", since=DAYS[2])
    assert list(bars["session"]) == list(DAYS[2:])


def test_splits_and_dividends_are_read_where_the_file_has_them(tmp_path: Path) -> None:
    rows = price_rows().assign(split_factor=[1.0, 2.0, 1.0, 1.0], dividend=[0.0, 0.0, 1.5, 0.0])
    write(rows, tmp_path, "prices_daily", "csv")
    bars = FilesSource(tmp_path).prices_daily("SPY")
    assert list(bars["split_factor"]) == [1.0, 2.0, 1.0, 1.0]
    assert list(bars["dividend"]) == [0.0, 0.0, 1.5, 0.0]


def test_a_file_of_dividends_says_them_between_its_first_and_last_ex_date(tmp_path: Path) -> None:
    write(price_rows(), tmp_path, "prices_daily", "parquet")
    dividends = pd.DataFrame(
        {
            "ticker": ["SPY", "SPY", "SPY", "QQQ"],
            "ex_dividend_date": pd.DatetimeIndex(["2024-09-20", "2024-11-27", "2024-11-27", "2024-12-23"]),
            "cash_amount": [1.7, 1.25, 0.25, 0.8],
        }
    )
    write(dividends, tmp_path, "dividends", "parquet")
    bars = FilesSource(tmp_path).prices_daily("SPY")
    np.testing.assert_array_equal(bars["dividend"], [0.0, 0.0, 1.5, np.nan])


def test_a_dividend_in_another_currency_is_not_counted(tmp_path: Path) -> None:
    write(price_rows(), tmp_path, "prices_daily", "parquet")
    rows = {"ticker": "SPY", "ex_dividend_date": [DAYS[0], DAYS[3]], "cash_amount": 1.0, "currency": ["USD", "CAD"]}
    write(pd.DataFrame(rows), tmp_path, "dividends", "csv")
    np.testing.assert_array_equal(FilesSource(tmp_path).prices_daily("SPY")["dividend"], [1.0, np.nan, np.nan, np.nan])


@pytest.mark.parametrize(
    ("ticker", "symbols", "expected"),
    [
        ("SPY", ["VIX"], "VIX"),
        ("QQQ", ["VIX", "VXN"], "VXN"),
        ("IWM", ["VIX", "VXN"], "VIX"),
        ("IWM", ["VIX", "RVX"], "RVX"),
    ],
)
def test_the_symbol_says_which_index_it_is(tmp_path: Path, ticker: str, symbols: list[str], expected: str) -> None:
    write(pd.concat([index_rows(symbol) for symbol in symbols]), tmp_path, "volatility_index", "csv")
    rows = FilesSource(tmp_path).volatility_index(ticker)
    assert set(rows["symbol"]) == {expected}
    assert set(rows["ticker"]) == {ticker}
    conform(rows, VOLATILITY_INDEX, slice_key=ticker)


def test_the_index_keeps_sessions_only(tmp_path: Path) -> None:
    write(index_rows("VIX"), tmp_path, "volatility_index", "parquet")
    assert list(FilesSource(tmp_path).volatility_index("SPY")["session"]) == list(DAYS)


def test_the_three_month_index_is_joined_by_session(tmp_path: Path) -> None:
    three_month = index_rows("VIX3M").assign(close=[15.0, 16.0, 17.0, 18.0, 19.0]).drop(index=1)
    write(pd.concat([index_rows("VIX"), three_month]), tmp_path, "volatility_index", "parquet")
    rows = FilesSource(tmp_path).volatility_index("SPY", since=DAYS[1])
    np.testing.assert_array_equal(rows["vix3m_close"], [np.nan, 17.0, 19.0])


def test_macro_gets_documented_lags_and_says_so(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {
            "series_id": ["DGS10", "DGS10", "UNRATE", "GDPC1"],
            "observation_date": ["2024-11-27", "2024-11-28", "2024-10-01", "2024-07-01"],
            "value": [4.25, np.nan, 4.1, 23000.0],
        }
    )
    write(rows, tmp_path, "macro", "csv")
    macro = FilesSource(tmp_path).macro()
    assert list(macro["series_id"]) == ["DGS10", "UNRATE"]
    assert set(macro["vintage"]) == {"latest_vintage"}
    # The 10-year yield of Wednesday before Thanksgiving is known at Friday's close; October's rate by 10 November + 40.
    assert macro["known_on"].iloc[0] == pd.Timestamp("2024-11-29")
    assert macro["known_on"].iloc[1] == pd.Timestamp("2024-11-11")
    conform(macro, MACRO, slice_key="")


@pytest.mark.parametrize("name", ["prices_daily", "volatility_index", "macro"])
def test_a_missing_file_switches_its_kind_off(tmp_path: Path, name: str) -> None:
    source = FilesSource(tmp_path)
    frame = source.macro() if name == "macro" else getattr(source, name)("SPY")
    assert len(frame) == 0
    assert f"{name}.parquet or {name}.csv" in frame.attrs["source_off"]
    assert {status.kind: status.state for status in source.describe()}[name] == (
        "missing" if name == "prices_daily" else "off"
    )


@pytest.mark.parametrize("folder", [None, Path("/no/such/folder")])
def test_without_a_folder_every_fetch_says_what_to_set(folder: Path | None) -> None:
    with pytest.raises(SourceOffError, match="TRADING_DAG_FILES"):
        FilesSource(folder).prices_daily("SPY")
    statuses = [status for status in FilesSource(folder).describe() if status.kind != "option_chain"]
    assert all("TRADING_DAG_FILES" in status.remedy for status in statuses)


def chain_rows(session: str, ticker: str = "SPY") -> pd.DataFrame:
    strikes = [95.0, 100.0, 105.0]
    return pd.DataFrame(
        {
            "quote_date": session, "ticker": ticker, "underlying_price": 100.0, "expiration": "2024-12-20",
            "strike": strikes, "right": "C", "bid": 1.0, "ask": 1.1, "open_interest": 10,
        }
    )  # fmt: skip


def test_a_chain_is_the_rows_of_its_ticker_and_session_from_every_chain_file(tmp_path: Path) -> None:
    first = pd.concat([chain_rows("2024-11-14"), chain_rows("2024-11-15"), chain_rows("2024-11-15", "QQQ")])
    first.to_parquet(tmp_path / "option_chain_a.parquet", index=False)
    again = chain_rows("2024-11-15").assign(strike=[105.0, 110.0, 115.0])
    again.to_parquet(tmp_path / "option_chain_b.parquet", index=False)
    chain = FilesSource(tmp_path).option_chain("SPY", session=pd.Timestamp("2024-11-15"))
    assert chain["strike"].tolist() == [95.0, 100.0, 105.0, 110.0, 115.0]
    assert chain["quote_date"].unique().tolist() == [pd.Timestamp("2024-11-15")]
    with pytest.raises(EmptySourceError, match="quote_date=2024-11-13"):
        FilesSource(tmp_path).option_chain("SPY", session=pd.Timestamp("2024-11-13"))


def test_what_is_left_out_of_chain_files_is_told_with_the_place_of_the_first(tmp_path: Path) -> None:
    rows = chain_rows("2024-11-15")
    rows["bid"] = ["1.0", "many", "1.0"]
    rows.to_parquet(tmp_path / "option_chain_a.parquet", index=False)
    rows.iloc[[0]].assign(bid="1.05").to_parquet(tmp_path / "option_chain_b.parquet", index=False)
    chain = FilesSource(tmp_path).option_chain("SPY", session=pd.Timestamp("2024-11-15"))
    assert len(chain) == 1
    told = chain.attrs["left_out"].splitlines()
    assert told == [
        "option_chain_a.parquet: column bid: 1 unreadable (is no number), first on line 2: many",
        "2 rows of one contract contradict each other, so none of them counts",
    ]


def test_without_chain_files_chains_are_off_and_that_stops_nothing(tmp_path: Path) -> None:
    chain = FilesSource(tmp_path).option_chain("SPY", session=pd.Timestamp("2024-11-15"))
    assert chain.empty
    assert "option_chain" in chain.attrs["source_off"]


def test_a_ticker_that_the_file_does_not_have_is_an_error_and_not_an_empty_frame(tmp_path: Path) -> None:
    write(price_rows(), tmp_path, "prices_daily", "parquet")
    with pytest.raises(EmptySourceError, match="ticker=QQQ"):
        FilesSource(tmp_path).prices_daily("QQQ")


def test_what_is_no_ticker_never_reaches_a_file(tmp_path: Path) -> None:
    with pytest.raises(UnknownTickerError):
        FilesSource(tmp_path).prices_daily("../x")


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda rows: rows.drop(columns="adj_close"), "column adj_close: is missing"),
        (lambda rows: rows.assign(close=["a", "b", "c", "d"]), "column close: expected a number"),
        (lambda rows: rows.assign(session="Monday"), "column session: expected a date"),
        (lambda rows: rows.assign(session=pd.to_datetime(rows["session"]) + pd.Timedelta(hours=9)), "time of day"),
        (lambda rows: pd.concat([rows, rows.tail(1)]), "repeat ticker and session, the first is SPY 2024-11-29"),
        (lambda rows: rows.assign(session=[*rows["session"][:3], pd.Timestamp("2999-01-02").date()]), "in the future"),
    ],
    ids=["missing column", "text for numbers", "no date", "time of day", "repeated key", "future"],
)  # fmt: skip
def test_a_file_in_another_shape_is_named_with_its_column(tmp_path: Path, suffix: str, change, named: str) -> None:
    write(change(price_rows()), tmp_path, "prices_daily", suffix)
    with pytest.raises(SourceFormatError, match=named) as caught:
        FilesSource(tmp_path).prices_daily("SPY")
    assert caught.value.request.endswith(f"prices_daily.{suffix}")
    assert "adj_close" in caught.value.remedy


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_file_that_is_no_such_file_is_a_format_error(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"prices_daily.{suffix}").write_bytes(b"\x00\x01\x02 this is neither")
    with pytest.raises(SourceFormatError):
        FilesSource(tmp_path).prices_daily("SPY")


def test_a_row_in_the_middle_that_is_no_number_is_a_format_error(tmp_path: Path) -> None:
    lines = ["series_id,observation_date,value", *(f"DGS10,2024-01-{day:02d},4.1" for day in range(1, 29))]
    lines.insert(20, "DGS10,2024-01-30,four")
    (tmp_path / "macro.csv").write_text("\n".join(lines))
    with pytest.raises(SourceFormatError, match="value"):
        FilesSource(tmp_path).macro()


def test_two_files_of_one_kind_are_refused(tmp_path: Path) -> None:
    for suffix in ("parquet", "csv"):
        write(price_rows(), tmp_path, "prices_daily", suffix)
    with pytest.raises(SourceFormatError, match="Keep one"):
        FilesSource(tmp_path).prices_daily("SPY")


@pytest.mark.files_data
def test_the_real_folder_gives_the_reference_values_of_a_day(real_data: Path) -> None:
    """SPY 2024-11-15 close 585.75, adjusted 578.714; VIX 16.14, VXN 19.83, VIX3M 17.81; DFF 4.58, DGS10 4.43."""
    source, day = FilesSource(real_data), pd.Timestamp("2024-11-15")
    spy = source.prices_daily("SPY").set_index("session").loc[day]
    assert (spy["close"], round(spy["adj_close"], 3)) == (585.75, 578.714)
    vix = source.volatility_index("SPY").set_index("session").loc[day]
    assert (vix["symbol"], vix["close"], vix["vix3m_close"]) == ("VIX", 16.14, 17.81)
    vxn = source.volatility_index("QQQ").set_index("session").loc[day]
    assert (vxn["symbol"], vxn["close"]) == ("VXN", 19.83)
    macro = source.macro()
    on_day = macro[macro["observation_date"] == day].set_index("series_id")["value"]
    assert on_day[["DFF", "DGS10", "DGS2", "DGS3MO"]].to_list() == [4.58, 4.43, 4.31, 4.60]


@pytest.mark.files_data
@pytest.mark.parametrize("ticker", ["SPY", "QQQ", "IWM"])
def test_the_real_folder_conforms_to_the_tables(real_data: Path, ticker: str) -> None:
    source = FilesSource(real_data)
    conform(source.prices_daily(ticker), PRICES_DAILY, slice_key=ticker)
    index = conform(source.volatility_index(ticker), VOLATILITY_INDEX, slice_key=ticker)
    assert is_session(pd.DatetimeIndex(index["session"])).all()
    assert set(index["symbol"]) == {"VXN" if ticker == "QQQ" else "VIX"}


@pytest.mark.files_data
def test_the_real_macro_file_conforms_and_is_known_only_after_its_date(real_data: Path) -> None:
    macro = conform(FilesSource(real_data).macro(), MACRO, slice_key="")
    assert set(macro["series_id"]) == set(MACRO_SERIES)
    recent = macro[macro["observation_date"] >= "1985-01-02"]
    assert (recent["known_on"] > recent["observation_date"]).all()


@pytest.mark.files_data
def test_the_real_dividends_are_on_their_ex_dates(real_data: Path) -> None:
    bars = FilesSource(real_data).prices_daily("SPY").set_index("session")
    assert bars.loc["2024-12-20", "dividend"] == pytest.approx(1.965548)
    assert bars.loc["2024-12-19", "dividend"] == 0.0
    assert np.isnan(bars.loc["2000-01-03", "dividend"])


def test_a_ticker_reads_the_index_that_the_settings_name_for_it(tmp_path: Path) -> None:
    write(pd.concat([index_rows(symbol) for symbol in ("VIX", "GVZ")]), tmp_path, "volatility_index", "csv")
    chosen = Settings(_env_file=None, source="files", files=tmp_path, volatility_indices={"GLD": "GVZ"})
    assert set(build_source(chosen).volatility_index("GLD")["symbol"]) == {"GVZ"}
    assert set(FilesSource(tmp_path).volatility_index("GLD")["symbol"]) == {"VIX"}
