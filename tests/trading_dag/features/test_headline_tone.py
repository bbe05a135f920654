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
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)
