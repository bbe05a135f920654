"""How a headline sounds, −1 to 1, by a word list that comes with an installed library. No network, no fitting.

Only scoring of text. Which headlines count at which session is decided in ``features.sentiment``; the choice of
the library is recorded in ``docs/decisions/how-a-headline-is-scored.md``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray

_REMEMBERED_HEADLINES: Final = 65_536
# Words of the exchange that have a tone in everyday English and none in a headline about markets.
NEUTRAL_WORDS: Final = frozenset(
    """
    share shares interest interests security securities trust value play plays gross crude credit energy united
    demand top like free challenge alphabet natural treasury treasuries
    """.split()
)
# Words of the exchange that the list, made for everyday English, does not have. Strengths are on its scale,
# −4 to 4, and graded by hand in three steps.
_STRENGTHS: Final = {
    2.5: "surge surges surged surging soar soars soared soaring skyrockets bullish outperform outperforms",
    2.0: "rally rallies rallied rallying beat beats upgrade upgrades upgraded jump jumps jumped outsells rebound "
    "rebounds rebounded breakout topped",
    1.5: "climb climbs climbed climbing rise rises rose rising buyback expands overweight outpaces",
    -1.5: "slip slips slipped sag sags sagged fall falls fell falling slide slides slid sliding underweight tariff "
    "tariffs probe delays halt halts overvalued inflation",
    -2.0: "downgrade downgrades downgraded miss misses missed sink sinks sank tumble tumbles tumbled layoffs selloff "
    "recall recalls default defaults slowdown",
    -2.5: "plunge plunges plunged plunging plummet plummets plummeted slump slumps slumped bearish crash crashes "
    "crashed underperform underperforms bankruptcy",
}
MARKET_WORDS: Final = {word: strength for strength, words in _STRENGTHS.items() for word in words.split()}

# What no list of words can tell, because a word's sign hangs on its neighbour: each pattern becomes one made-up word.
# Less of a burden is good news and more of it is bad; a rise or fall of shares outweighs the news that it answers;
# yields tell nothing by themselves. Applied in this order, so that a record of a burden is none of the market.
_UP: Final = r"(?:ris(?:es?|en|ing)|rose|climb\w*|jump\w*|surg\w+|soar\w*|spik\w+|increas\w+|accelerat\w+|mount\w*|" \
    r"grow(?:s|ing)?|grew|deepen\w*|worsen\w*|heats? up|picks? up|higher|rall\w+|gain(?:s|ed)?)"  # fmt: skip
_DOWN: Final = r"(?:f[ae]ll(?:s|ing|en)?|drop\w*|declin\w+|eas(?:es?|ed|ing)|cool\w*|slow(?:s|ed|ing)?|slid\w*|" \
    r"sink\w*|sank|tumbl\w+|plung\w+|plummet\w*|slump\w*|recede\w*|fad(?:es?|ed|ing)|subsid\w+|abat\w+|narrow\w*|" \
    r"dips?|moderat\w+|lower|slip\w*|shrinks?)"  # fmt: skip
_BURDEN: Final = r"(?:(?:recession|inflation|growth|trade|tariff|banking|default) (?:fears?|worries|concerns)|fears?|" \
    r"worries|unemployment(?: rate)?|jobless (?:claims|rate)|layoffs|inflation|consumer prices|price pressures|cpi|" \
    r"mortgage rates|(?:gas|gasoline) prices|(?:borrowing |energy )?costs|deficit|delinquenc\w+|defaults|" \
    r"bankruptcies|losses|tariffs|tensions|volatility|vix)"  # fmt: skip
_BETWEEN: Final = r"(?: (?!as\b|after\b|on\b|while\b|but\b|and\b|amid\b|despite\b)[\w'-]+){0,2}? "
_PERIOD: Final = r"(?:record|all-time|(?:[\w]+-)(?:week|month|year|decade))"
_VIEW: Final = r"(?:forecasts?|guidance|outlook|dividend|target)"
_PHRASES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), word)
    for pattern, word in (
        (r"\bgain[- ]of[- ]function\b", " "),
        (rf"\b{_BURDEN}{_BETWEEN}(?:a )?(?:new )?{_PERIOD} highs?\b", "moreburden"),
        (rf"\b{_BURDEN}{_BETWEEN}(?:a )?(?:new )?{_PERIOD} lows?\b", "lessburden"),
        (rf"\b{_BURDEN}{_BETWEEN}{_UP}\b(?: to (?:its |the )?highest)?", "moreburden"),
        (rf"\b{_BURDEN}{_BETWEEN}{_DOWN}\b(?: to (?:its |the )?lowest)?", "lessburden"),
        (rf"\byields?{_BETWEEN}(?:{_UP}|{_DOWN})\b", "yields"),
        (rf"\b(?:shares?|stocks?){_BETWEEN}{_DOWN}\b", "sharesfall"),
        (rf"\b(?:shares?|stocks?){_BETWEEN}{_UP}\b", "sharesrise"),
        (rf"\b(?:{_PERIOD} highs?|record (?:profits?|sales|revenues?|earnings|quarter|close))\b", "recordhigh"),
        (rf"\b{_PERIOD} lows?\b", "recordlow"),
        (r"\b(?:cut(?:s|ting)?|lower(?:s|ed|ing)?) (?:\w+ )?rates?\b|\brate[- ]cuts?\b", "ratecut"),
        (r"\b(?:raise[sd]?|raising|hike[sd]?|hiking) (?:\w+ )?rates?\b|\brate[- ](?:hike|increase)s?\b", "ratehike"),
        (rf"\b(?:raise[sd]?|lift(?:s|ed)?|boost(?:s|ed)?) (?:\S+ ){{0,2}}?{_VIEW}\b", "raisedview"),
        (rf"\b(?:cuts?|lower(?:s|ed)?|slash(?:es|ed)?|trims?) (?:\S+ ){{0,2}}?{_VIEW}\b", "cutview"),
    )
)  # fmt: skip
PHRASE_WORDS: Final = {
    "lessburden": 1.0, "moreburden": -1.5, "sharesrise": 2.5, "sharesfall": -2.5, "recordhigh": 2.0, "recordlow": -2.0,
    "ratecut": 1.0, "ratehike": -1.0, "raisedview": 2.0, "cutview": -2.0,
}  # fmt: skip


def score_headlines(headlines: pd.Series | Sequence[str]) -> FloatArray:
    """Tone of each headline.

    Parameters
    ----------
    headlines : any number of texts, English, none missing.

    Returns
    -------
    (n,) float64 : the compound score of VADER's word list with the words and phrases of markets above, −1 (worst) to 1
        (best); 0 where none of them occurs. A headline is scored once and remembered for a while: those of the market
        come again with every ticker.

    When it is known
    ----------------
    With the headline: the word list is fixed and knows nothing of the data.

    References
    ----------
    Hutto and Gilbert, VADER: A parsimonious rule-based model for sentiment analysis of social media text (2014).
    """
    codes, distinct = pd.factorize(pd.Series(headlines, dtype="str"))
    return np.array([_score(text) for text in distinct], dtype=np.float64)[codes]


@lru_cache(maxsize=_REMEMBERED_HEADLINES)
def _score(headline: str) -> float:
    for pattern, word in _PHRASES:
        headline = pattern.sub(word, headline)
    return float(_analyzer().polarity_scores(headline)["compound"])


@lru_cache(maxsize=1)
def _analyzer() -> Any:
    """Return the scorer with its list amended; made once, for reading the list takes a while."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyzer = SentimentIntensityAnalyzer()
    for word in NEUTRAL_WORDS:
        analyzer.lexicon.pop(word, None)
    analyzer.lexicon.update(MARKET_WORDS)
    analyzer.lexicon.update(PHRASE_WORDS)
    return analyzer
