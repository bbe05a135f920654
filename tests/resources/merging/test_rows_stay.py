"""Whatever a vendor says later, rows of features of sessions that had closed when it was asked stay as they were."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.merging.event_history import merge_events
from resources.raw_frames import raw_frame
from resources.sources.live.events import dates_known_at
from trading_dag.features.earnings import build_earnings
from trading_dag.features.economic_calendar import build_economic_calendar
from trading_dag.features.sentiment import build_sentiment
from trading_dag.quality.casting import empty_frame
from trading_dag.quality.conformance import conform
from trading_dag.releases.publication_lags import news_known_at
from trading_dag.schemas import EARNINGS, ECONOMIC_CALENDAR, NEWS, SOCIAL_MENTIONS, Table
from trading_dag.sessions import session_close, sessions_between

Rows = list[dict[str, object]]
SESSIONS = sessions_between("2024-10-01", "2024-12-31")
BEGIN = pd.Timestamp("2024-11-04", tz="UTC")
# Hours after BEGIN at which the vendor is asked; sessions close at 21:00 UTC.
ASKS = st.lists(st.integers(0, 30 * 24), min_size=2, max_size=4, unique=True).map(sorted)
REPORT_DAYS = st.dates(min_value=dt.date(2024, 10, 25), max_value=dt.date(2024, 12, 10))
GENERATOR = np.random.default_rng(4)
PRICES = pd.DataFrame(
    {
        "ticker": "SPY",
        "session": SESSIONS,
        "adj_close": 100 * np.exp(np.cumsum(GENERATOR.normal(0, 0.01, len(SESSIONS)))),
    }
)
VOLATILITY = PRICES[["ticker", "session"]].assign(iv_rank=40.0, iv_hv_spread=1.0)


def fresh_rows(table: Table, rows: Rows, asked_at: pd.Timestamp) -> pd.DataFrame:
    """One row a key, as a source gives it."""
    one_row = [name for name in table.key if name not in ("ticker", "known_at")]
    frame = pd.DataFrame(rows, columns=list(table.column_names)).drop_duplicates(one_row)
    for column in table.columns:
        if column.type == "timestamp":
            frame[column.name] = pd.to_datetime(frame[column.name], utc=True)
        if column.type == "date":
            frame[column.name] = pd.to_datetime(frame[column.name]).astype("datetime64[us]")
    if table is EARNINGS:
        frame["known_at"] = dates_known_at(frame["report_date"], asked_at)
    if table is NEWS:
        frame["known_at"] = news_known_at(frame["published_at"])
        frame = frame[frame["known_at"] <= asked_at]
    if "ticker" in frame:
        frame["ticker"] = "SPY"
    return raw_frame(frame, table, source="live")


def assert_rows_stay(
    table: Table, build: Callable[[pd.DataFrame], pd.DataFrame], answers: list[Rows], hours: list[int]
) -> None:
    stored, asked_before = empty_frame(table), None
    seen: list[tuple[pd.Timestamp, pd.DataFrame]] = []
    for answer, hour in zip(answers, hours, strict=False):
        asked_at = BEGIN + pd.Timedelta(hours=hour)
        fresh = fresh_rows(table, answer, asked_at)
        merged = merge_events(stored, fresh, table=table, asked_at=asked_at, asked_before=asked_before)
        again = merge_events(merged.frame, fresh, table=table, asked_at=asked_at, asked_before=asked_at)
        pd.testing.assert_frame_equal(again.frame, merged.frame)
        stored, asked_before = conform(merged.frame, table, slice_key="SPY"), asked_at
        if stored.empty:
            stored = empty_frame(table)
        else:
            seen.append((asked_at, build(stored).set_index("session")))
    closes = pd.Series([session_close(session) for session in SESSIONS], index=SESSIONS)
    for asked_at, rows in seen[:-1]:
        past = closes[closes < asked_at].index
        pd.testing.assert_frame_equal(seen[-1][1].loc[past], rows.loc[past], rtol=1e-12, atol=1e-12)


ANNOUNCEMENT = st.fixed_dictionaries(
    {
        "company": st.sampled_from(["A", "B"]),
        "report_date": st.one_of(st.sampled_from([dt.date(2024, 11, 13), dt.date(2024, 11, 20)]), REPORT_DAYS),
        "timing": st.sampled_from(["BMO", "AMC", "DMH", None]),
        "eps_estimate": st.sampled_from([1.0, 2.0, None]),
        "eps_actual": st.sampled_from([1.1, 0.8, None, None]),
    }
)


@settings(max_examples=12)
@given(st.lists(st.lists(ANNOUNCEMENT, max_size=5), min_size=4, max_size=4), ASKS)
def test_rows_of_earnings_stay_however_the_calendar_is_moved_and_corrected(
    answers: list[Rows], hours: list[int]
) -> None:
    # Companies that count from the beginning: another one later is another choice of the user.
    quarter_before: Rows = [
        {"company": name, "report_date": dt.date(2024, 8, 14), "timing": "AMC"} for name in ("A", "B")
    ]
    answers = [quarter_before + answer for answer in answers]
    assert_rows_stay(EARNINGS, lambda rows: build_earnings(rows, PRICES, implied_volatility=VOLATILITY), answers, hours)


def test_an_announcement_of_the_first_fetch_was_on_the_calendar_in_the_sessions_before_it() -> None:
    """After the close of 31 October 2024, fetched two weeks later: the session before its reaction saw it coming."""
    report: Rows = [{"company": "A", "report_date": dt.date(2024, 10, 31), "timing": "AMC", "eps_actual": 1.1}]
    fetched = fresh_rows(EARNINGS, report, pd.Timestamp("2024-11-15 22:00", tz="UTC"))
    rows = build_earnings(fetched, PRICES, implied_volatility=VOLATILITY).set_index("session")
    seen = rows[["days_to_earnings", "earnings_within_5d", "earnings_within_10d", "earnings_x_iv_rank"]]
    assert seen.loc["2024-10-31"].tolist() == [1, 1, 1, 40]
    assert seen.loc["2024-10-24"].tolist() == [6, 0, 1, 0]
    # 14 calendar days of notice, no more.
    assert rows.loc[:"2024-10-16", "days_to_earnings"].isna().all()


DAY_OF_CALENDAR = st.fixed_dictionaries(
    {
        "event": st.sampled_from(["CPI", "FOMC"]),
        "event_date": st.one_of(st.sampled_from([dt.date(2024, 11, 13), dt.date(2024, 11, 20)]), REPORT_DAYS),
        "basis": st.sampled_from(["published", "rule"]),
        "notice": st.sampled_from([None, 0, 1, 45]),
        "is_off": st.booleans(),
    }
)


def day_of_calendar(drawn: dict[str, object]) -> dict[str, object]:
    day = pd.Timestamp(str(drawn["event_date"]), tz="America/New_York")
    is_rule = drawn["basis"] == "rule"
    known = None if is_rule or drawn["notice"] is None else day - pd.Timedelta(days=float(str(drawn["notice"])))
    off = day - pd.Timedelta(days=2) if drawn["is_off"] and not is_rule else None
    row = {name: drawn[name] for name in ("event", "event_date", "basis")}
    return {**row, "known_at": known, "cancelled_at": off}


@settings(max_examples=12)
@given(st.lists(st.lists(DAY_OF_CALENDAR, max_size=5), min_size=4, max_size=4), ASKS)
def test_rows_of_the_calendar_stay_however_days_are_moved_called_off_and_listed_again(
    answers: list[Rows], hours: list[int]
) -> None:
    given_rows = [[day_of_calendar(day) for day in answer] for answer in answers]
    assert_rows_stay(ECONOMIC_CALENDAR, lambda rows: build_economic_calendar(rows, PRICES), given_rows, hours)


ARTICLE = st.fixed_dictionaries(
    {
        "news_id": st.sampled_from("abcdef"),
        "published_at": st.integers(-20 * 24, 30 * 24).map(lambda hours: BEGIN + pd.Timedelta(hours=hours)),
        "scope": st.sampled_from(["company", "market"]),
        "headline": st.sampled_from(["Stocks soar on great earnings", "Stocks crash in terrible panic"]),
        "sentiment": st.sampled_from([None, 0.5, -0.5]),
    }
)


@settings(max_examples=12)
@given(st.lists(st.lists(ARTICLE, max_size=6), min_size=4, max_size=4), ASKS)
def test_rows_of_sentiment_stay_however_articles_are_edited_and_added(answers: list[Rows], hours: list[int]) -> None:
    silence = empty_frame(SOCIAL_MENTIONS)
    assert_rows_stay(NEWS, lambda rows: build_sentiment(rows, silence, implied_volatility=VOLATILITY), answers, hours)
