"""The simulated source: every table in its schema, past every rule, labelled, whatever was asked before."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from resources.expectations import verify
from resources.merging.restatement import merge_history
from resources.sources.choose import build_source
from resources.sources.sample import SampleSource
from resources.sources.simulated import NO_MARKET_DATA, SimulatedSource
from trading_dag.errors import ConfigurationError, EmptySourceError, SourceMismatchError, UnknownTickerError
from trading_dag.quality import QualityContext
from trading_dag.quality.casting import cast_frame
from trading_dag.schemas import (
    EARNINGS,
    ECONOMIC_CALENDAR,
    MACRO,
    NEWS,
    NEWS_SENTIMENT,
    OPTION_CHAIN,
    PRICES_DAILY,
    PRICES_HOURLY,
    SOCIAL_MENTIONS,
    VOLATILITY_INDEX,
)
from trading_dag.settings import Settings
from trading_dag.simulation.simulation_settings import SimulationSettings

LAST = pd.Timestamp("2017-06-30").as_unit("us")
TICKERS = ("SPY", "COMP", "SIMAA", "BRK.B")
KINDS = {
    table.name: table
    for table in (
        PRICES_DAILY, VOLATILITY_INDEX, MACRO, PRICES_HOURLY, NEWS, SOCIAL_MENTIONS, NEWS_SENTIMENT, EARNINGS,
        ECONOMIC_CALENDAR, OPTION_CHAIN,
    )
}  # fmt: skip


def source_of(*, last: pd.Timestamp = LAST, **settings) -> SimulatedSource:
    return SimulatedSource(SimulationSettings(**settings), last_session=lambda: last)


def fetch(source: SimulatedSource, kind: str, ticker: str) -> pd.DataFrame:
    if kind in ("macro", "economic_calendar"):
        return getattr(source, kind)()
    if kind == "option_chain":
        return source.option_chain(ticker, session=pd.Timestamp("2016-02-29"))
    return getattr(source, kind)(ticker)


@pytest.fixture(scope="module")
def source() -> SimulatedSource:
    return source_of()


@pytest.mark.parametrize("kind", KINDS)
def test_every_table_has_its_schema_and_breaks_no_rule(source: SimulatedSource, kind: str) -> None:
    for ticker in TICKERS:
        frame = fetch(source, kind, ticker)
        assert len(frame) > 0
        assert cast_frame(frame, KINDS[kind])[1] == {}
        assert not frame.duplicated(list(KINDS[kind].key)).any()
        assert frame.attrs["source"] == "simulated"
        assert "source_off" not in frame.attrs
        broken = [
            verdict.rule.name
            for verdict in verify(KINDS[kind], frame, context=QualityContext(now_session=LAST))
            if verdict.rule.is_blocking and not verdict.passed
        ]
        assert broken == []


@pytest.mark.parametrize("ticker", ["SIMBX", "SIMSC"])
def test_a_share_that_falls_with_a_jump_and_trades_its_way_back_is_not_refused(
    source: SimulatedSource, ticker: str
) -> None:
    """On 2015-03-27 and 2015-03-30 both moved more than eight usual sessions' worth, down and up."""
    prices = source.prices_daily(ticker)
    change = np.log(prices.set_index("session")["close"]).diff()
    usual = change["2015-03-09":"2015-04-17"].abs().median()
    assert change["2015-03-27"] < -8.0 * usual < 8.0 * usual < change["2015-03-30"]
    assert not [
        verdict.rule.name
        for verdict in verify(PRICES_DAILY, prices, context=QualityContext(now_session=LAST))
        if verdict.rule.is_blocking and not verdict.passed
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_ticker_is_the_same_alone_and_among_others(source: SimulatedSource, kind: str) -> None:
    for ticker in ("SIMAC", "SIMAD", "SIMAE", "SIMAF", "SIMAG"):
        source.prices_daily(ticker)
    pd.testing.assert_frame_equal(fetch(source_of(), kind, "SIMAA"), fetch(source, kind, "SIMAA"))


def test_the_number_of_underlyings_changes_none_of_them(source: SimulatedSource) -> None:
    pd.testing.assert_frame_equal(source_of(underlyings=500).prices_daily("SIMAB"), source.prices_daily("SIMAB"))


@pytest.mark.parametrize("kind", ["prices_daily", "volatility_index", "prices_hourly"])
def test_since_is_inclusive_and_changes_no_row(source: SimulatedSource, kind: str) -> None:
    since = pd.Timestamp("2017-01-03")
    whole, part = getattr(source, kind)("SPY"), getattr(source, kind)("SPY", since=since)
    pd.testing.assert_frame_equal(part, whole.tail(len(part)).reset_index(drop=True))
    days = part["session"] if "session" in part else part["ts"].dt.tz_convert("America/New_York").dt.tz_localize(None)
    assert days.min().normalize() == since


@pytest.mark.parametrize(
    ("kind", "column"),
    [("news", "published_at"), ("earnings", "report_date"), ("macro", "observation_date"),
     ("economic_calendar", "event_date")],
)  # fmt: skip
def test_since_of_an_event_is_its_day(source: SimulatedSource, kind: str, column: str) -> None:
    since = pd.Timestamp("2017-03-01")
    arguments = () if kind in ("macro", "economic_calendar") else ("SIMAA",)
    whole, part = getattr(source, kind)(*arguments), getattr(source, kind)(*arguments, since=since)
    day = whole[column].dt.tz_localize(None) if kind == "news" else whole[column]
    assert 0 < len(part) < len(whole)
    assert len(part) == (day >= since).sum()


def test_a_session_later_appends_and_restates_nothing() -> None:
    for kind in ("prices_daily", "volatility_index", "macro"):
        before = fetch(source_of(last=pd.Timestamp("2017-06-15")), kind, "SIMAA")
        after = fetch(source_of(), kind, "SIMAA")
        merged = merge_history(before, after, table=KINDS[kind])
        assert not merged.rebased
        assert merged.restated.empty
        assert merged.appended == len(after) - len(before) > 0


def test_a_running_process_sees_the_next_session() -> None:
    now = [pd.Timestamp("2017-06-29")]
    source = SimulatedSource(SimulationSettings(), last_session=lambda: now[0])
    assert source.prices_daily("SPY")["session"].max() == now[0]
    now[0] = LAST
    assert source.prices_daily("SPY")["session"].max() == LAST


def test_another_source_and_another_world_cannot_be_merged_with_it(source: SimulatedSource) -> None:
    mine = source.prices_daily("SPX")
    other = source_of(seed=43)
    assert other.name.startswith("simulated-")
    for stranger in (SampleSource().prices_daily("SPX"), other.prices_daily("SPX")):
        for stored, fresh in ((mine, stranger), (stranger, mine)):
            with pytest.raises(SourceMismatchError):
                merge_history(stored, fresh, table=PRICES_DAILY)


def test_worlds_have_names_of_their_own_and_longer_years_are_no_other_world() -> None:
    names = {
        SimulationSettings(**chosen).world
        for chosen in (
            {},
            {"seed": 1},
            {"fair": True},
            {"first_session": dt.date(2016, 1, 4)},
            {"seed": 1, "fair": True},
        )
    }
    assert len(names) == 5
    assert SimulationSettings(years=20, underlyings=7).world == "simulated"


def test_it_is_described_as_no_market_data_and_a_competition_is_not_simulated() -> None:
    *statuses, hull = source_of().describe()
    assert {status.kind for status in statuses} == set(KINDS)
    assert (hull.kind, hull.state) == ("hull_market", "off")
    assert all(status.state == "on" and status.detail.startswith(NO_MARKET_DATA) for status in statuses)


@pytest.mark.parametrize("ticker", ["../x", "spy", "'; drop", ""])
def test_what_is_no_ticker_is_refused(source: SimulatedSource, ticker: str) -> None:
    with pytest.raises(UnknownTickerError):
        source.prices_daily(ticker)


def test_a_session_outside_the_history_has_no_chain(source: SimulatedSource) -> None:
    for day in ("2014-12-31", "2016-12-25", "2017-07-03"):
        with pytest.raises(EmptySourceError, match="from 2015-01-02 to 2017-06-30"):
            source.option_chain("SPY", session=pd.Timestamp(day))
    with pytest.raises(EmptySourceError):
        source.prices_daily("SPY", since=pd.Timestamp("2017-07-03"))


def test_a_history_that_has_not_begun_is_a_setting_that_cannot_work() -> None:
    with pytest.raises(ConfigurationError, match="TRADING_DAG_SIMULATION__FIRST_SESSION"):
        source_of(first_session=dt.date(2017, 7, 3)).prices_daily("SPY")


def test_the_settings_choose_it_and_add_its_shares(tmp_path) -> None:
    settings = Settings(
        _env_file=None, home=tmp_path, source="simulated", simulation=SimulationSettings(seed=5, underlyings=3)
    )
    assert isinstance(build_source(settings), SimulatedSource)
    assert settings.active_tickers == ("SPY", "SIMAA", "SIMAB", "SIMAC")
    assert settings.all_tickers[-3:] == ("SIMAA", "SIMAB", "SIMAC")
    sample = settings.model_copy(update={"source": "sample"})
    assert "SIMAA" not in sample.all_tickers


def test_no_name_of_a_share_ends_in_a_digit_which_would_mark_an_adjusted_contract() -> None:
    names = SimulationSettings(underlyings=676).names
    assert len(set(names)) == 676
    assert all(name[-1].isalpha() for name in names)


def test_chains_before_a_split_are_in_the_dollars_of_their_day_and_agree_with_the_restated_close() -> None:
    world = source_of(underlyings=30, last=pd.Timestamp("2024-12-31").as_unit("us"))
    splits = {name: rows for name in SimulationSettings(underlyings=30).names
              if (rows := world.prices_daily(name))["split_factor"].gt(1.0).any()}  # fmt: skip
    name, bars = next(iter(splits.items()))
    row = int(bars["split_factor"].argmax())
    ratio = bars["split_factor"].iloc[row]
    for place, undone in ((row - 1, ratio), (row, 1.0)):
        chain = world.option_chain(name, session=bars["session"].iloc[place])
        assert chain["underlying_price"].iloc[0] == pytest.approx(bars["close"].iloc[place] * undone, rel=1e-9)
        assert chain["strike"].min() < chain["underlying_price"].iloc[0] < chain["strike"].max()
        assert (chain[["volume", "open_interest"]] % 1 == 0).all(axis=None)
