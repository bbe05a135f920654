"""The volatility index: tolerance for what real feeds lack, and a series shifted against prices is caught."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trading_dag.quality import examine
from trading_dag.quality.volatility_rules import shifted_windows
from trading_dag.schemas import IMPLIED_VOLATILITY, VOLATILITY_INDEX

SHIFT = "not_shifted_against_prices"


def broken_rules(frame: pd.DataFrame, market) -> set[str]:
    findings = examine(VOLATILITY_INDEX, frame, context=market.context())
    return {name for name, finding in findings.items() if finding.count}


def shift_finding(market, **shift: int):
    context = market.context(technical=market.returns())
    return examine(IMPLIED_VOLATILITY, market.implied_volatility(**shift), context=context)[SHIFT]


def test_the_real_vix_breaks_no_rule(market) -> None:
    assert broken_rules(market.index, market) == set()


@pytest.mark.files_data
def test_the_one_wrong_close_of_the_real_vxn_warns_and_its_nine_holes_are_tolerated(markets) -> None:
    findings = examine(VOLATILITY_INDEX, markets["QQQ"].index, context=markets["QQQ"].context())
    broken = {name: finding for name, finding in findings.items() if finding.count}
    assert set(broken) == {"no_reverting_spikes"}
    assert broken["no_reverting_spikes"].examples == ("ticker=QQQ, session=2024-02-01",)
    assert "9 of 3851 sessions missing, longest hole 6" in findings["no_missing_sessions"].detail


def test_a_hole_longer_than_features_can_fill_warns(market) -> None:
    tolerable = market.index.drop(index=range(200, 203)).reset_index(drop=True)
    assert broken_rules(tolerable, market) == set()
    hole = market.index.drop(index=range(200, 211)).reset_index(drop=True)
    assert broken_rules(hole, market) == {"no_missing_sessions"}


def test_a_tick_ten_times_too_high_warns(market) -> None:
    index = market.index.copy()
    index.loc[300, "close"] *= 10
    assert broken_rules(index, market) == {"no_reverting_spikes"}


def test_a_feed_that_repeats_its_last_close_is_refused(market) -> None:
    index = market.index.copy()
    index.loc[len(index) - 5 :, "close"] = index["close"].iloc[-5]
    assert broken_rules(index, market) == {"no_frozen_tail"}


def test_the_index_moves_with_prices_on_the_day_in_sample_and_spy(market) -> None:
    finding = shift_finding(market)
    assert finding.count == 0, finding.detail
    assert finding.detail == ""


@pytest.mark.files_data
@pytest.mark.parametrize("ticker", ["QQQ", "IWM", "EFA"])
def test_the_index_moves_with_prices_on_the_day_in_every_window(markets, ticker: str) -> None:
    assert shift_finding(markets[ticker]).count == 0


@pytest.mark.parametrize(("late", "word"), [(1, "late"), (-1, "early")])
def test_an_index_a_session_off_is_refused_and_the_verdict_says_which_way(market, late: int, word: str) -> None:
    finding = shift_finding(market, late=late)
    assert finding.mask.mean() > 0.2
    assert f"a session {word}" in finding.detail


@pytest.mark.parametrize(("late", "word"), [(1, "late"), (-1, "early")])
def test_a_shift_that_begins_now_is_refused_within_a_quarter(market, late: int, word: str) -> None:
    begins = len(market.prices) - 63
    finding = shift_finding(market, late=late, since=begins)
    assert finding.mask[begins:].any()
    assert f"a session {word}" in finding.detail


def test_one_wild_tick_does_not_hide_that_an_index_is_late(sample_market) -> None:
    context = sample_market.context(technical=sample_market.returns())
    late = sample_market.implied_volatility(late=1)
    plain = examine(IMPLIED_VOLATILITY, late, context=context)[SHIFT].mask
    late.loc[::60, "vix_close"] *= 4.0
    wild = examine(IMPLIED_VOLATILITY, late, context=context)[SHIFT].mask
    assert wild.mean() > 0.8 * plain.mean()


def test_without_returns_the_verdict_says_that_nothing_was_examined(sample_market) -> None:
    frame = sample_market.implied_volatility(late=1)
    finding = examine(IMPLIED_VOLATILITY, frame, context=sample_market.context())[SHIFT]
    assert finding.count == 0
    assert finding.detail.startswith("not examined")


@pytest.mark.files_data
@pytest.mark.parametrize("ticker", ["TLT", "GLD"])
def test_nothing_is_refused_where_prices_say_nothing_about_the_index(markets, ticker: str) -> None:
    finding = shift_finding(markets[ticker])
    assert finding.count == 0
    assert finding.detail == "not examined: index and price are hardly related"


def test_a_listing_too_short_to_tell_is_not_refused(sample_market) -> None:
    few = pd.Series(np.linspace(-0.01, 0.01, 20))
    flags, detail = shifted_windows(few, few)
    assert not flags.any()
    assert detail.startswith("not examined")


def test_filled_sessions_are_no_evidence_of_a_shift() -> None:
    generator = np.random.default_rng(3)
    returns = pd.Series(generator.normal(0, 0.01, 400))
    changes = -5 * returns + generator.normal(0, 0.01, 400)
    assert shifted_windows(changes.where(returns.index % 7 > 0), returns)[0].sum() == 0
    assert shifted_windows(changes.shift(1), returns)[0].sum() > 200
