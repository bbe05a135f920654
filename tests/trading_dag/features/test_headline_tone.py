"""Headlines are scored offline, by sense, once each."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_dag.features.headline_tone import MARKET_WORDS, NEUTRAL_WORDS, score_headlines


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ("Nvidia plunges after downgrade", "Nvidia surges after upgrade"),
        ("Chipmaker misses forecasts, shares tumble", "Chipmaker beats forecasts, shares rally"),
        ("Stocks slide on tariff fears", "Stocks climb on trade optimism"),
        ("Retailer did not beat expectations", "Retailer beat expectations"),
    ],
)
def test_bad_news_score_below_zero_and_good_news_above(worse: str, better: str) -> None:
    low, high = score_headlines([worse, better])
    assert low < 0 < high


GOOD = """
Unemployment falls to 3.5%
Unemployment rate drops to lowest since 1969
Jobless claims fall more than expected
Yields drop as inflation slows
Inflation cools for third straight month
Consumer prices ease in June
CPI falls to 2.4%
Recession fears ease
Trade worries fade as talks resume
S&P 500 hits record high
Wall Street closes at all-time high
Nasdaq notches 52-week high
Dow ends at record close
Fed cuts rates by quarter point
ECB lowers interest rates
Hopes of a rate cut lift markets
Mortgage rates fall below 6%
Gas prices drop ahead of holiday
Trade deficit narrows in March
VIX falls to two-year low
Apple posts record profit
Company raises full-year forecast
Microsoft boosts dividend
Retailer misses estimates, shares jump
Stocks rally after jobs report
Stocks rise despite tariff threat
Chipmaker shares surge on upgrade
Layoffs decline in April
Default fears subside
""".strip().splitlines()
BAD = """
Unemployment rises to 4.3%
Jobless claims jump to three-year high
Inflation accelerates in May
Inflation hits 40-year high
Consumer prices surge
Recession fears grow
Tariff worries mount
Nvidia beats estimates, stock falls
Stocks fall as inflation cools
Shares slide despite record profit
S&P 500 falls to 52-week low
Bank stock sinks to all-time low
Fed raises rates by half a point
Markets brace for another rate hike
Company cuts full-year guidance
Ford slashes dividend
Airline lowers profit outlook
VIX spikes as stocks tumble
Mortgage rates climb to two-decade high
Trade deficit widens, losses mount
Layoffs rise across tech
Credit card delinquencies rise
Borrowing costs jump
Dow plunges 1,000 points
""".strip().splitlines()
NEITHER = ["Gain of function research", "Treasury yields rise", "Yields fall", "Company sets a date for its meeting"]


@pytest.mark.parametrize("headline", GOOD)
def test_what_any_reader_takes_for_good_news_scores_above_zero(headline: str) -> None:
    assert score_headlines([headline])[0] > 0


@pytest.mark.parametrize("headline", BAD)
def test_what_any_reader_takes_for_bad_news_scores_below_zero(headline: str) -> None:
    assert score_headlines([headline])[0] < 0


@pytest.mark.parametrize("headline", NEITHER)
def test_what_is_neither_scores_zero(headline: str) -> None:
    assert score_headlines([headline])[0] == 0


def test_a_headline_without_a_listed_word_scores_zero() -> None:
    assert score_headlines(["Form 8-K filed on Tuesday", ""]).tolist() == [0.0, 0.0]


def test_words_that_only_name_what_is_traded_carry_no_tone() -> None:
    assert score_headlines(["Trust buys shares of security in interest play"]).tolist() == [0.0]
    assert not NEUTRAL_WORDS & set(MARKET_WORDS)


def test_the_published_example_of_the_word_list_keeps_its_score() -> None:
    # The first example of VADER's own documentation; none of its words is amended.
    assert score_headlines(["VADER is smart, handsome, and funny."])[0] == pytest.approx(0.8316, abs=5e-5)


@given(st.lists(st.sampled_from(["Stocks plunge", "Stocks rally", "Nothing happened", "Profit warning"]), max_size=12))
def test_each_headline_gets_its_own_score_wherever_it_stands(headlines: list[str]) -> None:
    alone = [float(score_headlines([headline])[0]) for headline in headlines]
    assert score_headlines(headlines).tolist() == alone


@given(st.lists(st.text(max_size=60), max_size=5))
def test_any_text_scores_between_minus_one_and_one(headlines: list[str]) -> None:
    scores = score_headlines(headlines)
    assert len(scores) == len(headlines)
    assert bool(np.all(np.abs(scores) <= 1.0))


def test_the_library_is_loaded_only_when_a_headline_is_scored() -> None:
    code = (
        "import sys; import trading_dag.features.sentiment as s; import trading_dag.features.headline_tone as t;"
        "assert not any(m.startswith('vaderSentiment') for m in sys.modules);"
        "t.score_headlines(['x']); assert any(m.startswith('vaderSentiment') for m in sys.modules);"
        "assert 'requests' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=600)
