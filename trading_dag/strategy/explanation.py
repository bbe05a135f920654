"""What a trader reads: strikes, breakevens, the sentence and the evidence of a recommendation, as text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from trading_dag.options.structures.structure import Structure
from trading_dag.strategy.selector import NO_TRADE

_WHY_NO_SIZE: Final = {
    "no_edge": "past outcomes show no edge over the baselines",
    "insufficient_data": "too few outcomes are known to judge the models",
}
INDICATIVE: Final = "indicative at the signal session's close on the modelled surface"
INDICATIVE_OF_CHAIN: Final = "indicative at the signal session's close on the slices fitted to its option chain"


NO_BETTER_THAN_USUAL: Final = "no better than the share of rising sessions"


def says_no_more_than_usual(probability: float | None, usual: float | None) -> bool:
    """Return whether a forecast is climatology itself: nothing better was found where the model was fitted."""
    return probability is not None and probability == usual


@dataclass(frozen=True)
class Reasons:
    """Holds what the sentence of one row is made of.

    Probabilities and confidences are fractions, NaN where there is no forecast. ``usual_probability_up`` is the share
    of rises among all sessions that the model had learnt from.
    """

    strategy: str
    design_size: str
    edge: str
    direction: object
    iv_regime: object
    probability_up: float
    usual_probability_up: float
    iv_confidence: float
    selection_reason: str
    strikes: str | None
    expiration: str | None
    contracts: int
    maximum_loss_usd: float
    maximum_profit_usd: float
    has_time_to_enter: bool


def strikes_text(strikes: Sequence[float]) -> str:
    """Return the strikes from low to high: ``560/570``."""
    return "/".join(f"{strike:g}" for strike in sorted(strikes))


def breakevens_text(points: Iterable[float]) -> str:
    """Return the breakevens from low to high, two decimals; empty where there is none."""
    return ", ".join(f"{point:.2f}" for point in points if math.isfinite(point))


def legs_json(structure: Structure, strikes: Sequence[float], *, expiration: str) -> str:
    """Return a JSON list of the legs: option_right, side, ratio, strike, expiration.

    Written out, because thousands of rows a slice through ``json.dumps`` take ten times as long; a test compares.
    """
    legs = (
        f'{{"option_right": "{leg.option_right}", "side": "{leg.side}", "ratio": {leg.ratio}, '
        f'"strike": {strike!r}, "expiration": "{expiration}"}}'
        for leg, strike in zip(structure.legs, strikes, strict=True)
    )
    return f"[{', '.join(legs)}]"


def sentence(reasons: Reasons) -> str:
    """Return one sentence that says why the row recommends what it recommends."""
    forecasts = []
    if isinstance(reasons.direction, str) and not math.isnan(reasons.probability_up):
        usual = "" if math.isnan(reasons.usual_probability_up) else f", usually {reasons.usual_probability_up:.0%}"
        if says_no_more_than_usual(reasons.probability_up, reasons.usual_probability_up):
            usual = f", {NO_BETTER_THAN_USUAL}"
        forecasts.append(f"{reasons.direction} (P(rise) {reasons.probability_up:.0%}{usual})")
    if isinstance(reasons.iv_regime, str) and not math.isnan(reasons.iv_confidence):
        forecasts.append(f"{reasons.iv_regime} implied volatility at {reasons.iv_confidence:.0%}")
    forecast = " and ".join(forecasts) or "no forecast"
    if reasons.strategy == NO_TRADE:
        return f"No trade on {forecast}: {reasons.selection_reason}."
    name = reasons.strategy.replace("_", " ")
    article = "an" if name[0] in "aeiou" else "a"
    if reasons.strikes is None:
        why = "there is no price or volatility-index level to quote it from"
        return f"{forecast} selects {article} {name}, size 0: {why}."
    contract = f"{name} {reasons.strikes} expiring {reasons.expiration}"
    what = f"{forecast} selects {article} {contract}"
    if not reasons.maximum_profit_usd > 0:
        return f"{what}, size 0: costs leave no possible profit."
    if not reasons.has_time_to_enter:
        return f"{what}, size 0: the horizon ends at the open at which it would be entered."
    if reasons.edge in _WHY_NO_SIZE:
        return f"{what}, size 0: {_WHY_NO_SIZE[reasons.edge]}."
    if reasons.contracts == 0:
        return f"{what}, but one structure risks {reasons.maximum_loss_usd:,.0f} USD, more than the risk budget."
    risk = reasons.contracts * reasons.maximum_loss_usd
    traded = f"{what} at {reasons.design_size} size: {reasons.contracts} to trade, {risk:,.0f} USD at risk"
    return f"{traded}, because {reasons.selection_reason}."


def evidence_json(before: str, numbers: dict[str, float | int], after: str) -> str:
    """Return a JSON object of two parts that many rows share and the numbers between them; a missing number is null.

    Parameters
    ----------
    before, after : the shared parts, from ``shared_json``.
    """
    between = ", ".join(f'"{name}": {"null" if value != value else repr(value)}' for name, value in numbers.items())
    return f"{{{before}, {between}, {after}}}"


@lru_cache(maxsize=1024)
def shared_json(*items: tuple[str, str | int | None]) -> str:
    """Return the members of a JSON object, without its braces."""
    return json.dumps(dict(items))[1:-1]
