"""Macro series, releases, earnings, news and mentions: published when they say, and blind to what comes after."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.trading_dag.simulation.conftest import market_of, path_of
from trading_dag.releases.publication_lags import known_on
from trading_dag.schemas import MACRO_SERIES
from trading_dag.sessions import session_close, session_open, sessions_between
from trading_dag.simulation.attention import mention_rows, news_rows, sentiment_rows
from trading_dag.simulation.earnings import announcements, earnings_rows
from trading_dag.simulation.macro import calendar_rows, macro_rows
from trading_dag.simulation.parameters import HOLDINGS, underlying_of
from trading_dag.simulation.volatility_index import index_bars

CUT = 400


@pytest.fixture(scope="module")
def short(market):
    """The same world, seen 401 sessions after its beginning."""
    return market_of(42, last=market.times.sessions[CUT])


def test_macro_has_every_series_and_beyond_what_was_public_only_the_yields_of_the_evening(market) -> None:
    rows, last = macro_rows(market), market.times.sessions[-1]
    assert set(rows["series_id"]) == set(MACRO_SERIES)
    evening = rows[rows["known_on"] > last]
    # The Treasury publishes the day's yields after the close; FRED shows them, and what is derived from them, then.
    assert set(evening["series_id"]) == {"DGS2", "DGS10", "DGS3MO", "T10Y2Y", "T10YIE", "DFII10"}
    assert (evening["observation_date"] == last).all()
    for series, part in rows.groupby("series_id"):
        assert (part["known_on"] == known_on(str(series), pd.DatetimeIndex(part["observation_date"]))).all()
        assert (part["known_on"] > part["observation_date"]).all()


def test_changes_over_a_year_are_known_at_the_first_session(market) -> None:
    rows = macro_rows(market)
    early = rows[rows["known_on"] <= market.times.sessions[0]].groupby("series_id").size()
    assert early["CPIAUCSL"] >= 13
    assert early["UNRATE"] >= 13


def test_spreads_are_differences_of_the_rates_beside_them(market) -> None:
    wide = macro_rows(market).pivot(index="observation_date", columns="series_id", values="value")
    np.testing.assert_allclose(wide["T10Y2Y"], wide["DGS10"] - wide["DGS2"], atol=1e-9)
    np.testing.assert_allclose(wide["DFII10"], wide["DGS10"] - wide["T10YIE"], atol=1e-9)


def test_fred_and_the_exchange_publish_one_vix(market, fund) -> None:
    rows = macro_rows(market)
    fred = rows[rows["series_id"] == "VIXCLS"].set_index("observation_date")["value"]
    index = index_bars(market, fund).set_index("session")["close"]
    assert len(fred) == len(index) - 1
    assert (fred == index[fred.index]).all()


def test_a_macro_release_is_in_the_calendar_on_the_session_it_is_known(market) -> None:
    rows, calendar = macro_rows(market), calendar_rows(market.settings, last=market.times.sessions[-1])
    first = market.times.sessions[0]
    for event, series in (("CPI", "CPIAUCSL"), ("UMCSENT", "UMCSENT")):
        released = rows.loc[(rows["series_id"] == series) & (rows["known_on"] >= first), "known_on"]
        listed = calendar.loc[calendar["event"] == event, "event_date"]
        assert set(released) == set(listed[listed <= market.times.sessions[-1]])


def test_a_year_has_eight_meetings_known_a_month_before_it_begins(market) -> None:
    meetings = calendar_rows(market.settings, last=market.times.sessions[-1]).query("event == 'FOMC'")
    assert meetings["event_date"].dt.year.value_counts().to_dict() == {2015: 8, 2016: 8, 2017: 8, 2018: 8}
    before = calendar_rows(market.settings, last=pd.Timestamp("2016-11-30")).query("event == 'FOMC'")
    after = calendar_rows(market.settings, last=pd.Timestamp("2016-12-01")).query("event == 'FOMC'")
    assert before["event_date"].max().year == 2016
    assert after["event_date"].max().year == 2017


def test_the_policy_rate_moves_only_after_meetings(market) -> None:
    rows = macro_rows(market)
    rate = rows[rows["series_id"] == "DFF"].set_index("observation_date")["value"]
    meetings = calendar_rows(market.settings, last=market.times.sessions[-1]).query("event == 'FOMC'")["event_date"]
    moved = rate.index[rate.diff().abs() > 0.15]
    assert len(moved) >= 2
    assert set(moved) <= set(meetings)


def test_results_are_absent_until_the_session_that_opens_with_them(market) -> None:
    share = underlying_of(42, "SIMAB", fair=False)
    events = announcements(market.settings, share, last=market.times.sessions[-1])
    assert set(events["timing"]) == {"BMO", "AMC"}
    for timing, delay in (("BMO", 0), ("AMC", 1)):
        day = events.loc[events["timing"] == timing, "report_date"].iloc[0]
        sessions = sessions_between(day - pd.Timedelta(days=10), day + pd.Timedelta(days=10))
        at = sessions.get_loc(day)
        for offset, is_there in ((delay - 1, False), (delay, True)):
            rows = earnings_rows(market.settings, share, last=sessions[at + offset])
            row = rows[rows["report_date"] == day].iloc[0]
            assert row["known_at"] < session_open(day)
            assert bool(pd.notna(row["eps_actual"])) == is_there
            assert bool(pd.notna(row["revenue_actual"])) == is_there


def test_a_fund_has_the_announcements_of_its_holdings_as_they_have_them(market) -> None:
    last = market.times.sessions[-1]
    fund = earnings_rows(market.settings, underlying_of(42, "SPY", fair=False), last=last)
    own = earnings_rows(market.settings, underlying_of(42, HOLDINGS[1], fair=False), last=last)
    same = fund[fund["company"] == HOLDINGS[1]].drop(columns="ticker").reset_index(drop=True)
    pd.testing.assert_frame_equal(same, own.drop(columns="ticker").reset_index(drop=True))
    assert set(fund["company"]) == set(HOLDINGS)


def test_later_sessions_change_no_earlier_event(market, short) -> None:
    last = market.times.sessions[CUT]
    close = session_close(last)
    for ticker in ("SPY", "SIMAA"):
        whole_path, short_path = path_of(market, ticker), path_of(short, ticker)
        whole, cut = news_rows(market, whole_path), news_rows(short, short_path)
        whole = whole[whole["known_at"] <= close]
        pd.testing.assert_frame_equal(
            cut.sort_values("news_id", ignore_index=True), whole.sort_values("news_id", ignore_index=True)
        )
        pd.testing.assert_frame_equal(mention_rows(short, short_path), mention_rows(market, whole_path).iloc[: CUT + 1])
        whole_scores, cut_scores = sentiment_rows(market, whole_path), sentiment_rows(short, short_path)
        pd.testing.assert_frame_equal(cut_scores, whole_scores.iloc[: len(cut_scores)])
        pd.testing.assert_frame_equal(index_bars(short, short_path), index_bars(market, whole_path).iloc[: CUT + 1])
        early = earnings_rows(market.settings, short_path.underlying, last=last)
        late = earnings_rows(market.settings, short_path.underlying, last=market.times.sessions[-1])
        early, late = (rows[rows["report_date"] < last] for rows in (early, late))
        pd.testing.assert_frame_equal(early.reset_index(drop=True), late.reset_index(drop=True))
    whole, cut = macro_rows(market), macro_rows(short)
    pd.testing.assert_frame_equal(
        cut[cut["known_on"] <= last].reset_index(drop=True), whole[whole["known_on"] <= last].reset_index(drop=True)
    )
    assert cut.merge(whole).shape == cut.shape
    early = calendar_rows(market.settings, last=last)
    late = calendar_rows(market.settings, last=market.times.sessions[-1])
    pd.testing.assert_frame_equal(early, late[late["known_at"] <= close].reset_index(drop=True))


def test_news_are_known_after_they_are_published_and_say_what_they_are(market, share) -> None:
    rows = news_rows(market, share)
    assert (rows["known_at"] > rows["published_at"]).all()
    assert rows["known_at"].max() <= session_close(market.times.sessions[-1])
    assert rows["news_id"].is_unique
    assert rows["headline"].str.contains("[Ss]imulated").all()
    assert rows.loc[rows["scope"] == "company", "sentiment"].between(-1.0, 1.0).all()
    assert rows.loc[rows["scope"] == "market", "sentiment"].isna().all()


def test_the_tone_follows_the_session_before_and_not_the_session_itself(market, share) -> None:
    rows = news_rows(market, share).query("scope == 'company'")
    tone = rows.groupby(rows["published_at"].dt.tz_convert("America/New_York").dt.normalize().dt.tz_localize(None))[
        "sentiment"
    ].mean()
    returns = pd.Series(np.diff(np.log(share.closes), prepend=share.start[:1]), index=market.times.sessions)
    before = returns.shift()[tone.index]
    assert tone.corr(before) > 0.5
    assert abs(tone.corr(returns[tone.index])) < 0.15


def test_the_mentions_of_the_day_before_are_the_snapshot_before(market, share) -> None:
    rows = mention_rows(market, share)
    assert (rows["mentions_24h_ago"].iloc[1:].to_numpy() == rows["mentions"].iloc[:-1].to_numpy()).all()
    assert np.isnan(rows["mentions_24h_ago"].iloc[0])
    closes = pd.Series([session_close(day) for day in market.times.sessions])
    assert (rows["known_at"] < closes).all()


def test_a_vendors_score_is_that_of_the_weeks_headlines_counted_one_by_one(market, share) -> None:
    scores = sentiment_rows(market, share)
    own = news_rows(market, share).query("scope == 'company'")
    week = pd.Timedelta(days=7)
    for row in scores.iloc[[0, 30, 200, len(scores) - 1]].itertuples():
        of_week = own[(own["known_at"] > row.known_at - week) & (own["known_at"] <= row.known_at)]
        of_year = own[(own["known_at"] > row.known_at - 52 * week) & (own["known_at"] <= row.known_at)]
        begins = pd.Timestamp(market.times.sessions[0]).tz_localize("America/New_York")
        weeks = min((row.known_at - begins) / week, 52.0)
        assert row.articles_last_week == len(of_week)
        expected = (1.0 + of_week["sentiment"].mean()) / 2.0 if len(of_week) else 0.0
        assert row.company_score == pytest.approx(expected)
        assert row.buzz == pytest.approx(len(of_week) / (len(of_year) / weeks))
    closes = pd.Series([session_close(day) for day in market.times.sessions[-len(scores) :]])
    assert (scores["known_at"].reset_index(drop=True) < closes).all()
    assert scores[["company_score", "sector_score"]].stack().between(0.0, 1.0).all()
    assert scores["buzz"].mean() == pytest.approx(1.0, abs=0.1)
