"""How a headline sounds, −1 to 1, by a word list that comes with an installed library. No network, no fitting.

Only scoring of text. Which headlines count at which session is decided in ``features.sentiment``; the choice of
the library is recorded in ``docs/decisions/how-a-headline-is-scored.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

_REMEMBERED_HEADLINES: Final = 65_536
# Words of the exchange that have a tone in everyday English and none in a headline about markets.
NEUTRAL_WORDS: Final = frozenset(
    """
    share shares interest interests security securities trust value play plays gross crude credit energy united
    demand top like free challenge alphabet natural
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


def score_headlines(headlines: pd.Series | Sequence[str]) -> npt.NDArray[np.float64]:
    """Tone of each headline.

    Parameters
    ----------
    headlines : any number of texts, English, none missing.

    Returns
    -------
    (n,) float64 : the compound score of VADER's word list with the words of markets above, −1 (worst) to 1 (best);
        0 where no word of the list occurs. A headline is scored once and remembered for a while: those of the market
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
    return float(_analyzer().polarity_scores(headline)["compound"])


@lru_cache(maxsize=1)
def _analyzer() -> Any:
    """The scorer with its list amended; made once, for reading the list takes a while."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyzer = SentimentIntensityAnalyzer()
    for word in NEUTRAL_WORDS:
        analyzer.lexicon.pop(word, None)
    analyzer.lexicon.update(MARKET_WORDS)
    return analyzer
