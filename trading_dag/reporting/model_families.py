"""The families of models in words: what each forecasts, from what, where the recipe comes from, and what it cannot do.

Here belongs what holds for every ticker and horizon; docs/models.md is made of it, and each card begins with it. What
one fitted model has learnt and how good it was stands on its card (``model_card``).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Final

HEAD: Final = """# Models

<!-- Made by `python -m trading_dag.reporting.model_families`; change it there. -->

What each family of models is. How good one is, for a ticker and horizon, beside its baselines and with intervals, what
it has learnt from and how to make it again stands on its card: `trading-dag models card direction_classifier SPY 24h`,
or in the UI in the metadata of `models.registry`. Which version serves:
[methodology](methodology.md#which-version-of-a-model-serves).
"""


@dataclass(frozen=True)
class Family:
    """Describes a family of models.

    Attributes
    ----------
    what : what is forecast, and how.
    inputs : what it reads.
    source : where the recipe comes from.
    limits : what it cannot do.
    """

    what: str
    inputs: str
    source: str
    limits: str


FAMILIES: Final[dict[str, Family]] = {
    "direction_classifier": Family(
        what="The probability that the price is higher at the target than at the session's close.",
        inputs="The safe features of `features.feature_table` (no levels of price or volume), selected anew in each "
        "fold.",
        source="Logistic regression (Hastie, Tibshirani and Friedman, *The Elements of Statistical Learning*, 4.4) and "
        "boosted trees (Chen and Guestrin, KDD 2016).",
        limits="Over a few sessions the direction of an index is next to unpredictable: the share of rising sessions "
        "(`climatology`) is hard to beat, and a probability far from it is more often wrong than it says.",
    ),
    "volatility_forecaster": Family(
        what="The probabilities that the implied volatility of the underlying is LOW, NORMAL or HIGH at the target, by "
        "its rank within the last 252 sessions.",
        inputs="The volatility index of the ticker and its window; the multinomial regression reads 27 features of "
        "volatility, prices and macro data.",
        source="The level is forecast by a heterogeneous autoregression (Corsi, Journal of Financial Econometrics 7, "
        "2009); the ordered regression on a spline of the rank is a cumulative logit (McCullagh, JRSS B 42, 1980).",
        limits="Regimes last for weeks: as calls, nothing beats persistence by much; the gain is in the probabilities. "
        "At 12h the index was struck 15 minutes after the close.",
    ),
    "price_stack": Family(
        what="The return to the target, as a point: a blend of learners and the random walk. The distribution of the "
        "price beside it in `predictions.price` is made from moves that were known, without a fitted model.",
        inputs="The safe features of `features.feature_table`; targets are returns, never prices.",
        source="Stacked regression (Breiman, Machine Learning 24, 1996): the blend learns from forecasts of rows that "
        "the learners had not seen.",
        limits="The mean return of a few sessions is small beside its noise; where nothing beats the random walk the "
        "blend gives it all the weight.",
    ),
    "allocation_ensemble": Family(
        what="The return above cash to the target, from which a share of the account in the underlying is made.",
        inputs="The inputs of the price stack, and the federal funds rate as the interest of cash.",
        source="Stacked regression, as in the price stack; the position after Merton (Review of Economics and "
        "Statistics 51, 1969) and Moreira and Muir (Journal of Finance 72, 2017).",
        limits="Scaling by volatility alone has done better than its forecasts.",
    ),
    "spread_trunk": Family(
        what="The networks that all horizons of a ticker share: a recurrent one and an attention encoder.",
        inputs="Sequences of 60 sessions of market states, option and momentum indicators, volume and calendar.",
        source="Long short-term memory (Hochreiter and Schmidhuber, Neural Computation 9, 1997); attention (Vaswani "
        "and others, NeurIPS 2017).",
        limits="Needs torch, which is an optional part; without it the networks are switched off and say so. Versions "
        "are not compared: the newest serves.",
    ),
    "spread_lstm": Family(
        what="The probabilities of which credit spread pays at the target.",
        inputs="The ticker's trunk, and the last session of the same sequences for the logistic regression beside it.",
        source="The ticker's trunk with a softmax of its own; multinomial logistic regression.",
        limits="Few independent outcomes for so many parameters; class shares and persistence stand beside it.",
    ),
}


def page() -> str:
    """Return docs/models.md."""
    parts = [
        f"## {name}\n\n{family.what}\n\n- **Reads:** {family.inputs}\n- **Source:** {family.source}\n"
        f"- **Limits:** {family.limits}\n"
        for name, family in sorted(FAMILIES.items())
    ]
    return "\n".join([HEAD, *parts])


if __name__ == "__main__":
    sys.stdout.write(page())
