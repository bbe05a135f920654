"""Finnhub's news and earnings against a server that speaks its JSON, keeps its limits and fails on demand."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from resources.left_out import LEFT_OUT
from resources.sources.live.events import dates_known_at
from resources.sources.live.source import LiveSource, build_live_source
from resources.vendors.finnhub import FinnhubClient
from tests.resources.loopback import server as loopback
from tests.resources.loopback.event_shapes import ARTICLES, BUSY_DAYS, FINNHUB_KEY, MAXIMUM_ARTICLES, NOW
from tests.resources.loopback.server import FAST_HTTP, LoopbackVendor
from trading_dag.errors import EmptySourceError, SourceError, SourceFormatError, SourceOffError, SourceUnavailableError
from trading_dag.quality.conformance import conform
from trading_dag.schemas import EARNINGS, NEWS

COMPANY, MARKET, CALENDAR, SENTIMENT = "/company-news?", "/news?", "/calendar/earnings", "/news-sentiment"
YEAR_AGO = NOW - pd.Timedelta(days=365)
SINCE = pd.Timestamp("2026-11-01")


@pytest.fixture
def vendor(vendor: LoopbackVendor) -> Iterator[LoopbackVendor]:
    yield vendor
    vendor.events.has_premium = False


def client(vendor: LoopbackVendor, home: Path, *, key: str | None = FINNHUB_KEY, **http: float) -> FinnhubClient:
    settings = vendor.settings(home, finnhub_api_key=key, http=FAST_HTTP.model_copy(update=http))
    return FinnhubClient(settings, clock=lambda: NOW)


def source(vendor: LoopbackVendor, home: Path, *, key: str | None = FINNHUB_KEY) -> LiveSource:
    return build_live_source(vendor.settings(home, finnhub_api_key=key), clock=lambda: NOW)


def ids_from(first: pd.Timestamp) -> set[str]:
    return {str(one["id"]) for one in ARTICLES if one["datetime"] >= first.timestamp()}


def test_a_year_of_company_news_is_whole_and_each_article_once_though_an_answer_holds_250(
    vendor: LoopbackVendor, tmp_path: Path
) -> None:
    assert 150 * len(BUSY_DAYS) > MAXIMUM_ARTICLES
    news = client(vendor, tmp_path).company_news("SPY")
    first = YEAR_AGO.normalize()
    assert set(news["news_id"]) == ids_from(first)
    assert not news["news_id"].duplicated().any()
    assert news["published_at"].is_monotonic_increasing
    by_id = {str(one["id"]): one for one in ARTICLES}
    for row in news.iloc[::97].itertuples():
        given = by_id[row.news_id]
        assert row.published_at == pd.Timestamp(given["datetime"], unit="s", tz="UTC")
        assert (row.headline, row.publisher, row.url) == (given["headline"], given["source"], given["url"])
    assert news["summary"].isna().all()


def test_quiet_weeks_are_asked_for_once_and_busy_ones_in_parts(vendor: LoopbackVendor, tmp_path: Path) -> None:
    client(vendor, tmp_path).company_news("SPY")
    asked = [(one.query["from"], one.query["to"]) for one in vendor.asked(COMPANY)]
    whole = [pair for pair in asked if pd.Timestamp(pair[1]) - pd.Timestamp(pair[0]) == pd.Timedelta(days=6)]
    assert len(whole) >= 52
    assert len(asked) - len(whole) < 20
    assert len(set(asked)) == len(asked)


def test_a_day_with_as_many_articles_as_an_answer_holds_is_said(
    vendor: LoopbackVendor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    crowd = [{**ARTICLES[-1], "id": number, "datetime": int(NOW.timestamp())} for number in range(1, 400)]
    vendor.events.articles = crowd
    try:
        news = client(vendor, tmp_path).company_news("SPY", since=SINCE)
    finally:
        vendor.events.articles = list(ARTICLES)
    assert len(news) == MAXIMUM_ARTICLES
    assert "250 articles about SPY on 2026-11-20" in caplog.text


def test_the_slice_of_a_ticker_has_its_news_and_the_markets(vendor: LoopbackVendor, tmp_path: Path) -> None:
    news = conform(source(vendor, tmp_path).news("SPY", since=pd.Timestamp("2026-10-01")), NEWS, slice_key="SPY")
    assert set(news["news_id"]) == ids_from(pd.Timestamp("2026-10-01", tz="UTC"))
    assert set(news["scope"]) == {"company"}
    assert news["sentiment"].isna().all()
    other = source(vendor, tmp_path).news("QQQ", since=pd.Timestamp("2026-10-01"))
    assert set(other["scope"]) == {"market"}
    assert set(other["ticker"]) == {"QQQ"}
    assert set(other["news_id"]) == {str(one["id"]) for one in ARTICLES[::5][-100:]}
    assert other.attrs == {"source": "live"}


def test_an_index_is_no_company_and_gets_the_markets_news(vendor: LoopbackVendor, tmp_path: Path) -> None:
    assert set(source(vendor, tmp_path).news("SPX")["scope"]) == {"market"}
    assert vendor.asked(COMPANY) == []


def test_no_article_is_known_before_it_was_published(vendor: LoopbackVendor, tmp_path: Path) -> None:
    news = source(vendor, tmp_path).news("SPY")
    assert (news["known_at"] >= news["published_at"]).all()


def test_a_company_without_news_is_no_error(vendor: LoopbackVendor, tmp_path: Path) -> None:
    assert client(vendor, tmp_path).company_news("NVDA", since=SINCE).empty
    vendor.inject(COMPANY, loopback.empty(), times=None)
    vendor.inject(MARKET, loopback.Fault(change=lambda body: body[: body.index(b"}") + 1] + b"]"), times=None)
    news = conform(source(vendor, tmp_path).news("SPY"), NEWS, slice_key="SPY")
    assert len(news) == 1


def test_an_article_without_headline_or_moment_is_left_out_and_said(
    vendor: LoopbackVendor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = client(vendor, tmp_path).market_news()
    headline = f'"{whole["headline"].iloc[-1]}"'
    vendor.inject(MARKET, loopback.renamed(headline, '" "'))
    assert len(client(vendor, tmp_path).market_news()) == len(whole) - 1
    assert "left out" in caplog.text


def changed_rows(change: Callable[[int, dict[str, Any]], None]) -> loopback.Fault:
    def apply(body: bytes) -> bytes:
        answer = json.loads(body)
        for position, row in enumerate(answer["earningsCalendar"] if isinstance(answer, dict) else answer):
            change(position, row)
        return json.dumps(answer).encode()

    return loopback.Fault(change=apply)


@pytest.mark.parametrize("field", ["summary", "source", "url"])
def test_a_text_that_is_null_is_not_said_and_costs_no_article(
    vendor: LoopbackVendor, tmp_path: Path, field: str
) -> None:
    whole = client(vendor, tmp_path).company_news("SPY", since=SINCE)

    def without(position: int, row: dict[str, Any]) -> None:
        if position % 5 == 0:
            row[field] = None
        elif position % 5 == 1:
            del row[field]

    vendor.inject(COMPANY, changed_rows(without), times=None)
    news = client(vendor, tmp_path).company_news("SPY", since=SINCE)
    column = "publisher" if field == "source" else field
    pd.testing.assert_frame_equal(news.drop(columns=column), whole.drop(columns=column))
    assert news[column].isna().any()
    assert LEFT_OUT not in news.attrs


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"headline": None}, "field headline: expected prose, found None"),
        ({"headline": 7}, "field headline: expected prose, found 7"),
        ({"datetime": 1793949322000}, "field datetime: expected integer seconds, found 1793949322000"),
        ({"datetime": None}, "field datetime: expected integer seconds, found None"),
        ({"id": "x"}, "field id: expected integer, found 'x'"),
    ],
)
def test_an_article_that_cannot_be_read_costs_no_other_and_is_counted(
    vendor: LoopbackVendor, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    whole = client(vendor, tmp_path).market_news()
    vendor.inject(MARKET, changed_rows(lambda position, row: row.update(change if position == 3 else {})), times=None)
    news = client(vendor, tmp_path).market_news()
    assert len(news) == len(whole) - 1
    assert set(news["news_id"]) < set(whole["news_id"])
    assert news.attrs[LEFT_OUT].startswith(f"1 articles about the market were left out: {words}")
    assert "first: row 3 of " in news.attrs[LEFT_OUT]


def test_moments_in_milliseconds_are_an_error_that_names_row_and_field(vendor: LoopbackVendor, tmp_path: Path) -> None:
    vendor.inject(MARKET, changed_rows(lambda _, row: row.update(datetime=row["datetime"] * 1000)), times=None)
    with pytest.raises(SourceFormatError, match=r"row 0: field datetime: expected integer seconds.*100 of 100"):
        client(vendor, tmp_path).market_news()


def test_half_of_a_sign_at_the_end_of_a_text_is_replaced(vendor: LoopbackVendor, tmp_path: Path) -> None:
    vendor.inject(MARKET, changed_rows(lambda _, row: row.update(headline="up \ud83d")), times=None)
    assert set(client(vendor, tmp_path).market_news()["headline"]) == {"up \ufffd"}


@pytest.mark.parametrize("hour", [None, "evening", 7])
def test_an_hour_that_is_not_said_costs_no_announcement(vendor: LoopbackVendor, tmp_path: Path, hour: Any) -> None:
    whole = client(vendor, tmp_path).earnings("AAPL")
    vendor.inject(CALENDAR, changed_rows(lambda at, row: row.update({"hour": hour} if at == 0 else {})), times=None)
    rows = client(vendor, tmp_path).earnings("AAPL")
    pd.testing.assert_frame_equal(rows.drop(columns="timing"), whole.drop(columns="timing"))
    assert pd.isna(rows["timing"].iloc[0])
    assert rows["timing"].iloc[1] == "AMC"
    if hour is not None:
        assert rows.attrs[LEFT_OUT].startswith("1 values of announcements of AAPL were left out")
        assert "first: AAPL on 2026-07-30" in rows.attrs[LEFT_OUT]


def test_an_announcement_whose_day_cannot_be_read_is_not_taken_for_one_that_was_called_off(
    vendor: LoopbackVendor, tmp_path: Path
) -> None:
    vendor.inject(CALENDAR, changed_rows(lambda at, row: row.update({"date": None} if at == 2 else {})), times=None)
    with pytest.raises(SourceFormatError, match="row 2: field date: expected date, found None"):
        client(vendor, tmp_path).earnings("AAPL")


def test_the_advice_about_too_many_requests_names_finnhubs_own_rate(vendor: LoopbackVendor, tmp_path: Path) -> None:
    vendor.inject(MARKET, loopback.too_many_requests(), times=None)
    with pytest.raises(SourceUnavailableError) as caught:
        client(vendor, tmp_path, attempts=1).market_news()
    assert caught.value.remedy.startswith("Lower TRADING_DAG_FINNHUB_REQUESTS_PER_MINUTE.")


def test_earnings_are_those_of_the_companies_that_count(vendor: LoopbackVendor, tmp_path: Path) -> None:
    rows = conform(source(vendor, tmp_path).earnings("SPY"), EARNINGS, slice_key="SPY")
    said = {(row.company, f"{row.report_date:%F}"): row for row in rows.itertuples()}
    assert len(rows) == 6
    assert said["AAPL", "2026-10-29"].timing == "AMC"
    assert said["AAPL", "2026-10-29"].eps_actual == 1.85
    assert said["JPM", "2026-10-13"].timing == "BMO"
    assert said["TSLA", "2026-10-21"].timing == "DMH"
    assert pd.isna(said["AAPL", "2027-01-28"].timing)
    assert pd.isna(said["AAPL", "2027-01-28"].eps_actual)
    assert len(vendor.asked(CALENDAR)) == 10
    only = source(vendor, tmp_path).earnings("NVDA")
    assert only.empty
    assert "source_off" not in only.attrs


def test_a_day_to_come_is_known_since_now_and_of_a_past_one_nobody_says_since_when() -> None:
    """29 October has ended, 20 November is not over, 28 January is to come."""
    days = pd.Series(pd.DatetimeIndex(["2026-10-29", "2026-11-20", "2027-01-28"]).as_unit("us"))
    known = dates_known_at(days, NOW)
    assert known.isna().tolist() == [True, False, False]
    assert list(known[1:]) == [NOW, NOW]


def test_a_fund_without_companies_has_no_earnings_and_says_what_to_set(vendor: LoopbackVendor, tmp_path: Path) -> None:
    rows = source(vendor, tmp_path).earnings("IWM")
    assert "TRADING_DAG_EARNINGS_COMPANIES" in rows.attrs["source_off"]
    assert vendor.asked(CALENDAR) == []


def test_earnings_since_a_day_ask_for_no_more(vendor: LoopbackVendor, tmp_path: Path) -> None:
    rows = client(vendor, tmp_path).earnings("AAPL", since=pd.Timestamp("2026-10-29"))
    assert [f"{day:%F}" for day in rows["report_date"]] == ["2026-10-29", "2027-01-28"]
    assert vendor.asked(CALENDAR)[-1].query["from"] == "2026-10-29"


def test_the_vendors_score_comes_with_a_plan_that_has_it_and_is_none_without(
    vendor: LoopbackVendor, tmp_path: Path
) -> None:
    assert client(vendor, tmp_path).news_sentiment("SPY") is None
    vendor.events.has_premium = True
    score = client(vendor, tmp_path).news_sentiment("SPY")
    assert score is not None
    assert (score.company_score, score.sector_score, score.buzz) == (0.9166, 0.5191, 0.8888)
    assert score.known_at == NOW
    vendor.inject(SENTIMENT, loopback.renamed("companyNewsScore", "score"), times=None)
    with pytest.raises(SourceFormatError, match="companyNewsScore"):
        client(vendor, tmp_path).news_sentiment("SPY")


def test_without_a_key_news_and_earnings_are_off_nothing_is_asked_and_it_is_said_once(
    vendor: LoopbackVendor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keyless = source(vendor, tmp_path, key=None)
    for ticker in ("SPY", "QQQ"):
        for rows in (keyless.news(ticker), keyless.earnings(ticker)):
            assert rows.empty
            assert "FINNHUB_API_KEY" in rows.attrs["source_off"]
    assert vendor.requests == []
    assert caplog.text.count("FINNHUB_API_KEY") == 1
    assert len(keyless.social_mentions("SPY")) == 1
    with pytest.raises(SourceOffError, match="FINNHUB_API_KEY"):
        client(vendor, tmp_path, key=None).market_news()


@pytest.mark.parametrize("fault", [loopback.too_many_requests("1"), loopback.server_error(503), loopback.hang_up()])
def test_a_passing_failure_costs_no_article(vendor: LoopbackVendor, tmp_path: Path, fault: loopback.Fault) -> None:
    vendor.inject("from=2026-10-3", fault)
    news = client(vendor, tmp_path).company_news("SPY", since=pd.Timestamp("2026-10-17"))
    assert set(news["news_id"]) == ids_from(pd.Timestamp("2026-10-17", tz="UTC"))
    failed, again = vendor.asked("'from': '2026-10-3")[:2]
    assert failed.query == again.query
    if fault.status == 429:
        assert again.at - failed.at >= 1.0


FAULTS = [
    (loopback.too_many_requests(), SourceUnavailableError, "429"),
    (loopback.too_many_requests("7200"), SourceUnavailableError, "wait 7200 s"),
    (loopback.server_error(500), SourceUnavailableError, "500"),
    (loopback.slow(5.0), SourceUnavailableError, "no answer within"),
    (loopback.hang_up(), SourceUnavailableError, "broke off"),
    (loopback.truncated(), SourceFormatError, "no JSON"),
    (loopback.error_page(), SourceFormatError, "no JSON"),
    (loopback.Fault(body=b'"news"'), SourceFormatError, "expected a list|earningsCalendar is missing"),
    (loopback.Fault(body=b"[NaN]"), SourceFormatError, "no JSON"),
    (loopback.Fault(status=400, body=b'{"error": "Wrong arguments"}'), SourceUnavailableError, "Wrong arguments"),
    (loopback.Fault(status=401, body=b'{"error": "Invalid API key"}'), SourceOffError, "refuses the key"),
    (loopback.Fault(status=403, body=b'{"error": "No access"}'), SourceOffError, "key's plan"),
    (loopback.Fault(status=403, body=loopback.PAGE), SourceOffError, "key's plan"),
]  # fmt: skip
FAULT_NAMES = ["429", "429 for hours", "500", "time-out", "hang-up", "truncated", "page", "no list", "NaN", "400",
               "401", "403", "403 page"]  # fmt: skip


@pytest.mark.parametrize("endpoint", [COMPANY, MARKET, CALENDAR])
@pytest.mark.parametrize(("fault", "error", "words"), FAULTS, ids=FAULT_NAMES)
def test_a_lasting_failure_is_the_error_that_it_is_and_never_no_rows(
    vendor: LoopbackVendor, tmp_path: Path, endpoint: str, fault: loopback.Fault, error: type[SourceError], words: str
) -> None:
    vendor.inject(endpoint, fault, times=None)
    asked = client(vendor, tmp_path, timeout_seconds=0.2 if fault.delay_seconds else 20.0)
    ask = {
        COMPANY: lambda: asked.company_news("SPY", since=SINCE),
        MARKET: asked.market_news,
        CALENDAR: lambda: asked.earnings("AAPL"),
    }[endpoint]
    with pytest.raises(error, match=words) as caught:
        ask()
    assert caught.value.source == "finnhub"
    assert endpoint.strip("?") in caught.value.request
    assert caught.value.remedy
    assert FINNHUB_KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "old", "new", "words"),
    [
        (COMPANY, '"headline"', '"title"', "field headline is missing"),
        (COMPANY, '"datetime": 1', '"datetime": "x", "other": 1', "datetime: expected integer"),
        (COMPANY, '"id": 7', '"id": null, "other": 7', "id: expected integer, found None"),
        (MARKET, '"source"', '"publisher"', "field source is missing"),
        (CALENDAR, '"earningsCalendar"', '"calendar"', "earningsCalendar is missing"),
        (CALENDAR, '"epsActual"', '"actual"', "field epsActual is missing"),
        (CALENDAR, '"date": "2026-10', '"date": "2026-13', "date: expected date"),
        (CALENDAR, '"hour": "amc"', '"hour": "evening"', "'evening' is not known"),
    ],
)
def test_a_changed_shape_is_named_with_its_field(
    vendor: LoopbackVendor, tmp_path: Path, endpoint: str, old: str, new: str, words: str
) -> None:
    vendor.inject(endpoint, loopback.renamed(old, new), times=None)
    live = source(vendor, tmp_path)
    ask = live.earnings if endpoint == CALENDAR else live.news
    with pytest.raises(SourceFormatError, match=words):
        ask("SPY", since=pd.Timestamp("2026-10-01"))


def test_a_market_without_any_news_is_an_error(vendor: LoopbackVendor, tmp_path: Path) -> None:
    vendor.inject(MARKET, loopback.empty(), times=None)
    with pytest.raises(EmptySourceError, match="no market news"):
        source(vendor, tmp_path).news("SPY", since=SINCE)


def test_one_fetch_of_market_news_serves_every_ticker(vendor: LoopbackVendor, tmp_path: Path) -> None:
    http = FAST_HTTP.model_copy(update={"cache_seconds": 60.0})
    live = build_live_source(vendor.settings(tmp_path, finnhub_api_key=FINNHUB_KEY, http=http), clock=lambda: NOW)
    for ticker in ("SPX", "COMP", "SPX"):
        live.news(ticker)
    assert len(vendor.asked(MARKET)) == 1


def test_requests_keep_the_rate_of_the_free_tier(vendor: LoopbackVendor, tmp_path: Path) -> None:
    settings = vendor.settings(tmp_path, finnhub_api_key=FINNHUB_KEY).model_copy(
        update={"finnhub_requests_per_minute": 600.0}
    )
    FinnhubClient(settings, clock=lambda: NOW).company_news("SPY", since=SINCE)
    moments = [one.at for one in vendor.requests]
    assert len(moments) >= 3
    assert moments[-1] - moments[0] >= (len(moments) - 1) * 0.1 - 0.05


def test_the_key_is_sent_in_a_header_and_appears_in_no_log_no_file_and_no_representation(
    vendor: LoopbackVendor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    asked = client(vendor, tmp_path, cache_seconds=60.0)
    assert len(asked.company_news("SPY", since=SINCE))
    vendor.inject(CALENDAR, loopback.Fault(status=403, body=f'{{"error": "{FINNHUB_KEY} may not"}}'.encode()), None)
    with pytest.raises(SourceOffError, match=r"\*\*\* may not") as caught:
        asked.earnings("AAPL")
    error: BaseException | None = caught.value
    while error is not None:
        assert FINNHUB_KEY not in f"{error} {error!r} {error.args}"
        error = error.__cause__ or error.__context__
    assert all(FINNHUB_KEY not in f"{one.path} {one.query}" for one in vendor.requests)
    assert FINNHUB_KEY not in caplog.text
    assert FINNHUB_KEY not in f"{asked!r} {vars(asked)}"
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".answer" for path in kept)
    assert not any(FINNHUB_KEY.encode() in path.read_bytes() or FINNHUB_KEY in path.name for path in kept)
