"""Hourly bars, news, mentions, announcements and the calendar from a folder of the user's files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.raw_frames import notes_of
from resources.sources.files.event_shapes import within_exchange_hours
from resources.sources.files.source import FilesSource
from resources.text_files.column_file import ReadingRules
from trading_dag.errors import SourceFormatError, SourceOffError
from trading_dag.quality.conformance import conform
from trading_dag.schemas import EARNINGS, ECONOMIC_CALENDAR, NEWS, PRICES_HOURLY, SOCIAL_MENTIONS
from trading_dag.sessions import session_close, session_open

FILES = {
    "prices_hourly": "prices_hourly",
    "news": "news_headlines",
    "social_mentions": "apewisdom",
    "news_sentiment": "news_sentiment",
    "earnings": "earnings",
    "economic_calendar": "fomc_dates",
}


def write(frame: pd.DataFrame, folder: Path, name: str, suffix: str = "parquet") -> None:
    if suffix == "csv":
        frame.to_csv(folder / f"{name}.csv", index=False)
    else:
        frame.to_parquet(folder / f"{name}.parquet", index=False)


def bars_at(*moments: str, ticker: str = "SPY", zone: str = "America/New_York") -> pd.DataFrame:
    starts = pd.DatetimeIndex(moments).tz_localize(zone).tz_convert("UTC").as_unit("us")
    prices = 100.0 + np.arange(len(starts))
    return pd.DataFrame(
        {
            "ticker": ticker, "ts": starts, "open": prices, "high": prices + 1, "low": prices - 1, "close": prices,
            "volume": 1000,
        }
    )  # fmt: skip


def starts_in_new_york(bars: pd.DataFrame) -> list[str]:
    return list(bars["ts"].dt.tz_convert("America/New_York").dt.strftime("%Y-%m-%d %H:%M"))


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_clock_hour_bar_of_the_open_starts_at_the_open(tmp_path: Path, suffix: str) -> None:
    write(bars_at("2023-02-03 09:00", "2023-02-03 10:00", "2023-02-03 15:00"), tmp_path, "prices_hourly", suffix)
    bars = conform(FilesSource(tmp_path).prices_hourly("SPY"), PRICES_HOURLY, slice_key="SPY")
    assert starts_in_new_york(bars) == ["2023-02-03 09:30", "2023-02-03 10:00", "2023-02-03 15:00"]
    assert list(bars["close"]) == [100.0, 101.0, 102.0]
    assert bars.attrs == {"source": "files"}


def test_bars_from_half_past_nine_keep_their_start(tmp_path: Path) -> None:
    write(bars_at("2023-02-06 09:30", "2023-02-06 15:30"), tmp_path, "prices_hourly")
    assert starts_in_new_york(FilesSource(tmp_path).prices_hourly("SPY")) == ["2023-02-06 09:30", "2023-02-06 15:30"]


def test_bars_outside_the_exchanges_hours_are_left_out(tmp_path: Path) -> None:
    """2024-11-28 is Thanksgiving, the session after it ends at 13:00; 8:00 and 16:00 are no trading hours."""
    full = [f"2024-11-27 {hour:02d}:00" for hour in range(8, 17)]
    half = [f"2024-11-29 {hour:02d}:00" for hour in range(10, 14)]
    write(bars_at(*full, "2024-11-28 10:00", *half, "2024-11-30 11:00"), tmp_path, "prices_hourly")
    bars = FilesSource(tmp_path).prices_hourly("SPY")
    kept = ["2024-11-27 09:30", *full[2:-1], *half[:-1]]
    assert starts_in_new_york(bars) == kept
    said = "prices_hourly.parquet: 5 of 15 bars of SPY lie outside the exchange's hours and are left out"
    assert notes_of(bars) == (said,)


def test_bars_of_long_trading_hours_are_no_other_clock(tmp_path: Path) -> None:
    """From 4:00 to 20:00 nine of sixteen hours lie outside the session, and the session is whole."""
    moments = [f"2024-11-{day} {hour:02d}:00" for day in (25, 26) for hour in range(4, 20)]
    write(bars_at(*moments), tmp_path, "prices_hourly")
    assert len(FilesSource(tmp_path).prices_hourly("SPY")) == 14


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_new_york_clocks_that_are_called_utc_are_refused(tmp_path: Path, suffix: str) -> None:
    moments = [f"2024-11-{day} {hour:02d}:30" for day in (25, 26) for hour in range(9, 16)]
    write(bars_at(*moments, zone="UTC"), tmp_path, "prices_hourly", suffix)
    with pytest.raises(SourceFormatError, match=r"10 of 14 bars of SPY lie outside .* 04:30 in New York"):
        FilesSource(tmp_path).prices_hourly("SPY")


NO_ZONE = [
    ("prices_hourly", "ts"), ("news_headlines", "ts"), ("apewisdom", "generated_at"), ("news_sentiment", "known_at"),
]  # fmt: skip


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize(("name", "column"), NO_ZONE)
def test_moments_without_a_time_zone_are_refused_by_place_and_read_where_the_setting_says_where_the_clocks_hang(
    tmp_path: Path, name: str, column: str, suffix: str
) -> None:
    local = pd.DatetimeIndex(["2024-11-26 10:30", "2024-11-26 11:30"])
    values = {"ticker": "SPY", "headline": ["a", "b"], column: local.strftime("%Y-%m-%d %H:%M")}
    numbers = ("open", "high", "low", "close", "volume", "rank", "mentions", "company_score", "sector_score", "buzz",
               "articles_last_week")  # fmt: skip
    write(pd.DataFrame({**values, **dict.fromkeys(numbers, 1.0)}), tmp_path, name, suffix)
    kind = {file: kind for kind, file in FILES.items()}[name]
    with pytest.raises(
        SourceFormatError, match=r"'2024-11-26 10:30' (on line 2|in row 1) says no time zone.*FILES_ZONE"
    ):
        getattr(FilesSource(tmp_path), kind)("SPY")
    zoned = getattr(FilesSource(tmp_path, rules=ReadingRules(zone="America/New_York")), kind)("SPY")
    moments = zoned["ts" if kind == "prices_hourly" else "published_at" if kind == "news" else "known_at"]
    assert moments.iloc[0] == pd.Timestamp("2024-11-26 15:30", tz="UTC")
    assert "America/New_York" in notes_of(zoned)[0]


@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_hourly_bars_with_dates_only_are_refused_with_the_reason(tmp_path: Path, zone: str | None) -> None:
    rows = bars_at("2024-11-25 10:00", "2024-11-26 10:00").assign(ts=["2024-11-25", "2024-11-26"])
    write(rows, tmp_path, "prices_hourly", "csv")
    said = "a date without a time of day" if zone is None else "2 of 2 bars of SPY lie outside"
    with pytest.raises(SourceFormatError, match=said):
        FilesSource(tmp_path, rules=ReadingRules(zone=zone)).prices_hourly("SPY")


@pytest.mark.parametrize("name", ["mentions24hAgo", "mentions_24h_ago"])
def test_mentions_of_the_day_before_are_read_by_both_of_the_vendors_names(tmp_path: Path, name: str) -> None:
    write(snapshots().rename(columns={"mentions24hAgo": name}), tmp_path, "apewisdom", "csv")
    assert list(FilesSource(tmp_path).social_mentions("SPY")["mentions_24h_ago"]) == [245.0, 324.0]


def test_a_listed_ticker_without_a_number_of_mentions_is_refused_and_not_taken_as_none(tmp_path: Path) -> None:
    write(snapshots().assign(mentions=[None, 12, 245]), tmp_path, "apewisdom", "csv")
    with pytest.raises(SourceFormatError, match="column mentions: 1 values, the first nan on line 2"):
        FilesSource(tmp_path).social_mentions("SPY")


@given(st.datetimes(pd.Timestamp("2015-01-02").to_pydatetime(), pd.Timestamp("2024-12-31").to_pydatetime()))
def test_every_bar_that_is_kept_starts_within_a_session(moment: object) -> None:
    given = bars_at(str(pd.Timestamp(moment)), zone="UTC")
    for start in within_exchange_hours(given)["ts"]:
        day = start.tz_convert("America/New_York").tz_localize(None).normalize()
        assert session_open(day) <= start < session_close(day)
        assert pd.Timedelta(0) <= start - given["ts"].iloc[0] < pd.Timedelta(hours=1)


def test_two_bars_with_one_start_are_refused(tmp_path: Path) -> None:
    write(bars_at("2023-02-03 09:00", "2023-02-03 09:30"), tmp_path, "prices_hourly")
    with pytest.raises(SourceFormatError, match="start when another does"):
        FilesSource(tmp_path).prices_hourly("SPY")


def test_hourly_bars_since_a_day_and_of_one_ticker(tmp_path: Path) -> None:
    rows = pd.concat([bars_at("2024-11-14 09:30", "2024-11-15 09:30"), bars_at("2024-11-15 10:30", ticker="QQQ")])
    write(rows, tmp_path, "prices_hourly")
    source = FilesSource(tmp_path)
    assert starts_in_new_york(source.prices_hourly("SPY", since=pd.Timestamp("2024-11-15"))) == ["2024-11-15 09:30"]
    assert starts_in_new_york(source.prices_hourly("QQQ")) == ["2024-11-15 10:30"]
    missing = source.prices_hourly("IWM")
    assert missing.empty
    assert "has no bars of IWM" in missing.attrs["source_off"]


def headlines() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "ts": ["2025-05-07T22:50Z", "2025-05-07T22:50Z", "2025-05-08T00:00Z", "2025-05-09T13:05Z"],
            "publisher": ["Yahoo", "Yahoo", None, "MarketWatch"],
            "headline": ["Stocks rise", "Stocks rise", "NA", "Stocks fall"],
            "feed": "finnhub",
        }
    )


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_headlines_are_the_markets_for_every_ticker_and_each_comes_once(tmp_path: Path, suffix: str) -> None:
    write(headlines(), tmp_path, "news_headlines", suffix)
    news = conform(FilesSource(tmp_path).news("QQQ"), NEWS, slice_key="QQQ").sort_values("published_at")
    assert list(news["headline"]) == ["Stocks rise", "NA", "Stocks fall"]
    assert set(news["scope"]) == {"market"}
    assert set(news["ticker"]) == {"QQQ"}
    assert news["publisher"].isna().tolist() == [False, True, False]
    assert news["news_id"].is_unique
    assert set(news["news_id"]) == set(FilesSource(tmp_path).news("SPY")["news_id"])


def test_a_headline_with_a_date_only_is_known_when_that_day_has_ended(tmp_path: Path) -> None:
    """8 May 2025 ends in New York at 04:00 UTC of the 9th."""
    write(headlines(), tmp_path, "news_headlines")
    known = FilesSource(tmp_path).news("SPY").set_index("headline")["known_at"]
    assert known["NA"] == pd.Timestamp("2025-05-09 04:00", tz="UTC")
    assert known["Stocks rise"] == pd.Timestamp("2025-05-07 22:50", tz="UTC")


def test_headlines_since_a_day(tmp_path: Path) -> None:
    write(headlines(), tmp_path, "news_headlines")
    news = FilesSource(tmp_path).news("SPY", since=pd.Timestamp("2025-05-08"))
    assert set(news["headline"]) == {"NA", "Stocks fall"}
    later = FilesSource(tmp_path).news("SPY", since=pd.Timestamp("2025-06-01"))
    assert later.empty
    assert "source_off" not in later.attrs


def snapshots() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "generated_at": ["2026-06-30T17:54:52.761Z", "2026-06-30T17:54:52.761Z", "2026-07-01T02:05:41.677Z"],
            "ticker": ["SPY", "BRK-B", "SPY"],
            "name": ["SPDR S&amp;P 500", "Berkshire", "SPDR S&amp;P 500"],
            "rank": [2, 9, 3],
            "mentions": [357, 12, 245],
            "upvotes": [1271, 20, 1159],
            "mentions24hAgo": [245, 10, 324],
        }
    )


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_mentions_are_one_row_a_snapshot(tmp_path: Path, suffix: str) -> None:
    write(snapshots(), tmp_path, "apewisdom", suffix)
    rows = conform(FilesSource(tmp_path).social_mentions("SPY"), SOCIAL_MENTIONS, slice_key="SPY")
    assert list(rows["mentions"]) == [357.0, 245.0]
    assert list(rows["mentions_24h_ago"]) == [245.0, 324.0]
    assert list(rows["rank"]) == [2, 3]
    assert set(rows["name"]) == {"SPDR S&P 500"}
    assert rows["known_at"].iloc[0] == pd.Timestamp("2026-06-30 17:54:52.761", tz="UTC")


def test_a_snapshot_that_does_not_list_the_ticker_says_no_mentions(tmp_path: Path) -> None:
    write(snapshots(), tmp_path, "apewisdom")
    berkshire = conform(FilesSource(tmp_path).social_mentions("BRK.B"), SOCIAL_MENTIONS, slice_key="BRK.B")
    assert list(berkshire["mentions"]) == [12.0, 0.0]
    assert berkshire["rank"].isna().tolist() == [False, True]
    absent = FilesSource(tmp_path).social_mentions("IWM")
    assert list(absent["mentions"]) == [0.0, 0.0]
    assert absent["mentions_24h_ago"].isna().all()


def announcements() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "date": ["2024-10-31", "2024-10-11", "2024-10-29", "2024-11-04", "2024-11-20"],
            "ticker": ["AAPL", "JPM", "GOOG", "BRK-B", "NVDA"],
            "timing": ["AMC", "bmo", "AMC", None, "AMC"],
        }
    )


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_announcements_are_those_of_the_companies_by_whatever_name_the_file_has(tmp_path: Path, suffix: str) -> None:
    write(announcements(), tmp_path, "earnings", suffix)
    companies = ("AAPL", "JPM", "GOOGL", "BRK.B")
    source = FilesSource(tmp_path, companies_of=lambda ticker: companies)
    rows = conform(source.earnings("SPY"), EARNINGS, slice_key="SPY").set_index("company")
    assert set(rows.index) == set(companies)
    assert rows.loc["JPM", "timing"] == "BMO"
    assert pd.isna(rows.loc["BRK.B", "timing"])
    assert rows.loc["GOOGL", "report_date"] == pd.Timestamp("2024-10-29")
    assert rows[["known_at", "eps_actual", "eps_estimate"]].isna().all(axis=None)
    since = source.earnings("SPY", since=pd.Timestamp("2024-10-31"))
    assert set(since["company"]) == {"AAPL", "BRK.B"}


def test_a_ticker_without_companies_or_rows_has_no_earnings_and_the_reason_is_said(tmp_path: Path) -> None:
    write(announcements(), tmp_path, "earnings")
    fund = FilesSource(tmp_path, companies_of=lambda ticker: ()).earnings("IWM")
    assert "TRADING_DAG_EARNINGS_COMPANIES" in fund.attrs["source_off"]
    single = FilesSource(tmp_path).earnings("META")
    assert "no announcements of META" in single.attrs["source_off"]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_the_calendar_has_decisions_on_file_and_releases_of_the_months_in_the_macro_file(
    tmp_path: Path, suffix: str
) -> None:
    decided = pd.DataFrame({"date": ["2024-11-07", "2024-12-18"], "event": "FOMC_decision"})
    write(decided, tmp_path, "fomc_dates", suffix)
    observed = pd.DatetimeIndex(["2024-09-01", "2024-10-01"]).date
    macro = {"series_id": "CPIAUCSL", "observation_date": observed, "value": [314.0, 315.0]}
    write(pd.DataFrame(macro), tmp_path, "macro", suffix)
    events = conform(FilesSource(tmp_path).economic_calendar(), ECONOMIC_CALENDAR, slice_key="")
    decisions = events[events["event"] == "FOMC"]
    assert list(decisions["event_date"]) == [pd.Timestamp("2024-11-07"), pd.Timestamp("2024-12-18")]
    assert list(decisions["known_at"]) == [pd.Timestamp("2023-12-01 05:00", tz="UTC")] * 2
    releases = events[events["event"] == "CPI"]
    days = [f"{day:%Y-%m-%d}" for day in releases["event_date"]]
    assert days == ["2024-10-10", "2024-11-13", "2024-12-11", "2025-01-15", "2025-02-12"]
    assert set(releases["basis"]) == {"published"}
    assert "UMCSENT" not in set(events["event"])
    since = FilesSource(tmp_path).economic_calendar(since=pd.Timestamp("2024-12-18"))
    assert since["event_date"].min() == pd.Timestamp("2024-12-18")


@pytest.mark.parametrize("kind", list(FILES))
def test_a_missing_file_switches_its_kind_off(tmp_path: Path, kind: str) -> None:
    source = FilesSource(tmp_path)
    frame = source.economic_calendar() if kind == "economic_calendar" else getattr(source, kind)("SPY")
    assert frame.empty
    assert f"{FILES[kind]}.parquet or {FILES[kind]}.csv" in frame.attrs["source_off"]
    status = {one.kind: one for one in source.describe()}[kind]
    assert (status.state, FILES[kind] in status.remedy) == ("off", True)
    fetch = getattr(FilesSource(None), kind)
    with pytest.raises(SourceOffError, match="TRADING_DAG_FILES"):
        fetch(*(() if kind == "economic_calendar" else ("SPY",)))


BAD = [
    ("news", headlines().drop(columns="headline"), "column headline: is missing"),
    ("news", headlines().assign(ts="yesterday"), "'yesterday' .* says no time zone"),
    ("news", headlines().assign(ts="2999-01-01T00:00Z"), "column ts: 4 rows lie in the future"),
    ("news", headlines().assign(headline=1.5), "column headline: expected text"),
    ("social_mentions", snapshots().assign(mentions="many"), "column mentions: expected a number"),
    ("social_mentions", pd.concat([snapshots(), snapshots()]), "lists SPY twice"),
    (
        "earnings",
        announcements().assign(timing="EVENING", ticker="SPY"),
        "column timing: 5 values, the first EVENING .*: is none of",
    ),
    (
        "earnings",
        announcements().assign(date="2024-13-01", ticker="SPY"),
        "column date: expected a date; '2024-13-01' .* is no day of the calendar",
    ),
    ("earnings", announcements().assign(date="2024-10-31", ticker="SPY"), "announces twice on 2024-10-31"),
    ("prices_hourly", bars_at("2999-01-02 10:00"), "in the future"),
    ("prices_hourly", bars_at("2024-01-03 10:00").drop(columns="open"), "column open: is missing"),
    ("economic_calendar", pd.DataFrame({"date": ["2024-11-07"], "what": ["FOMC"]}), "column event: is missing"),
]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize(("kind", "rows", "named"), BAD, ids=[f"{kind}: {named}" for kind, _, named in BAD])
def test_a_file_in_another_shape_is_named_with_its_column(
    tmp_path: Path, kind: str, rows: pd.DataFrame, named: str, suffix: str
) -> None:
    if suffix == "csv" and "expected text" in named:
        pytest.skip("a number is text in a CSV file")
    write(rows, tmp_path, FILES[kind], suffix)
    source = FilesSource(tmp_path)
    ask = source.economic_calendar if kind == "economic_calendar" else lambda: getattr(source, kind)("SPY")
    with pytest.raises(SourceFormatError, match=named) as caught:
        ask()
    assert caught.value.request.endswith(f"{FILES[kind]}.{suffix}")
    assert "Expected columns" in caught.value.remedy


@pytest.mark.parametrize("kind", [kind for kind in FILES if kind != "economic_calendar"])
def test_what_is_no_such_file_is_a_format_error(tmp_path: Path, kind: str) -> None:
    (tmp_path / f"{FILES[kind]}.parquet").write_bytes(b"\x00\x01 neither")
    with pytest.raises(SourceFormatError, match="cannot be read"):
        getattr(FilesSource(tmp_path), kind)("SPY")


def test_a_moment_without_a_time_zone_is_refused_where_the_type_has_none(tmp_path: Path) -> None:
    rows = bars_at("2024-01-03 10:00")
    write(rows.assign(ts=rows["ts"].dt.tz_localize(None)), tmp_path, "prices_hourly")
    with pytest.raises(SourceFormatError, match="expected a moment with a time zone"):
        FilesSource(tmp_path).prices_hourly("SPY")


@pytest.mark.files_data
def test_the_real_hourly_bars_open_and_close_with_the_session_before_and_after_the_buckets_changed(
    real_data: Path,
) -> None:
    """The buckets of SPY change on 2023-02-06; prices are raw, and SPY was never split.

    A day's first bar opens where the day opens and its last closes where it closes, the auctions' prints apart; an
    hour's move is several times as large.
    """
    source = FilesSource(real_data)
    bars = source.prices_hourly("SPY")
    days = bars["ts"].dt.tz_convert("America/New_York").dt.tz_localize(None).dt.normalize()
    first, last = bars.groupby(days).first(), bars.groupby(days).last()
    daily = source.prices_daily("SPY").set_index("session")
    for begin, end in (("2022-01-01", "2023-02-05"), ("2023-02-06", "2024-12-31")):
        opens = first.loc[begin:end, "open"] / daily["open"].reindex(first.loc[begin:end].index) - 1.0
        closes = last.loc[begin:end, "close"] / daily["close"].reindex(last.loc[begin:end].index) - 1.0
        assert opens.abs().median() < 0.001
        assert closes.abs().median() < 0.0005
        starts = first.loc[begin:end, "ts"].dt.tz_convert("America/New_York").dt.strftime("%H:%M")
        assert set(starts) == {"09:30"}


@pytest.mark.files_data
@pytest.mark.parametrize("ticker", ["SPY", "QQQ", "IWM"])
def test_the_real_folder_conforms_to_the_tables_of_events(real_data: Path, ticker: str) -> None:
    source = FilesSource(real_data, companies_of=lambda _: ("AAPL", "GOOGL", "BRK.B"))
    conform(source.prices_hourly(ticker), PRICES_HOURLY, slice_key=ticker)
    assert len(conform(source.news(ticker), NEWS, slice_key=ticker)) == 2794
    assert len(conform(source.social_mentions(ticker), SOCIAL_MENTIONS, slice_key=ticker)) == 2
    earnings = conform(source.earnings(ticker), EARNINGS, slice_key=ticker)
    assert earnings["company"].value_counts().to_dict() == {"AAPL": 97, "GOOGL": 65, "BRK.B": 65}
    conform(source.economic_calendar(), ECONOMIC_CALENDAR, slice_key="")


@pytest.mark.files_data
def test_the_real_mentions_of_spy_are_those_of_the_two_snapshots(real_data: Path) -> None:
    rows = FilesSource(real_data).social_mentions("SPY")
    assert list(rows["mentions"]) == [357.0, 357.0]
    assert list(rows["mentions_24h_ago"]) == [245.0, 324.0]
