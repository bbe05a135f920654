"""What a trader reads: strikes, breakevens, sizes and the sentence of a recommendation, as text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from trading_dag.options.structures.structure import Structure
from trading_dag.strategy.selector import NO_TRADE

_WHY_NO_SIZE: Final = {
    "no_edge": "past outcomes show no edge over the baselines",
    "insufficient_data": "too few outcomes are known to judge the models",
}
INDICATIVE: Final = "indicative at the signal session's close on the modelled surface"
INDICATIVE_OF_CHAIN: Final = "indicative at the signal session's close on the slices fitted to its option chain"


EDGES_WITH_SIZE: Final = ("skilled", "admissible")
NO_EDGE_SHOWN: Final = "no edge shown"
NO_CALL: Final = "no clear direction"
NO_BETTER_THAN_USUAL: Final = "no better than the share of rising sessions"


def says_no_more_than_usual(probability: float | None, usual: float | None) -> bool:
    """Return whether a forecast is climatology itself: nothing better was found where the model was fitted."""
    return probability is not None and probability == usual


class Reasons(NamedTuple):
    """Holds what the sentence of one row is made of.

    Probabilities and confidences are fractions, NaN where there is no forecast. ``usual_probability_up`` is the share
    of rises among all sessions that the model had learnt from. ``needs_edge`` is whether the gate asks for one;
    ``objection`` is the second opinion where it differs.
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
    needs_edge: bool = True
    objection: str | None = None


def strikes_text(strikes: Sequence[float]) -> str:
    """Return the strikes from low to high: ``560/570``."""
    return "/".join(map(_strike_text, sorted(strikes)))


@lru_cache(maxsize=65536)
def _strike_text(strike: float) -> str:
    return f"{strike:g}"


def breakevens_text(points: Iterable[float]) -> str:
    """Return the breakevens from low to high, two decimals; empty where there is none."""
    return ", ".join([f"{point:.2f}" for point in points if math.isfinite(point)])


def legs_json(structure: Structure, strikes: Sequence[float], *, expiration: str) -> str:
    """Return a JSON list of the legs: option_right, side, ratio, strike, expiration.

    Written out, because thousands of rows a slice through ``json.dumps`` take ten times as long; a test compares.
    """
    return _legs_template(structure).format(*strikes, day=expiration)


@lru_cache(maxsize=256)
def _legs_template(structure: Structure) -> str:
    """The legs' JSON with a place for each strike, and for the expiration."""
    legs = (
        f'{{{{"option_right": "{leg.option_right}", "side": "{leg.side}", "ratio": {leg.ratio}, '
        f'"strike": {{{place}!r}}, "expiration": "{{day}}"}}}}'
        for place, leg in enumerate(structure.legs)
    )
    return f"[{', '.join(legs)}]"


def rise_text(direction: object, probability_up: float, usual: float) -> str:
    """Return the forecast of the direction: ``UP (P(rise) 58%, usually 54%)``.

    A direction is named only where its own probability is more than a half: a tuned threshold may call UP at a third,
    which nobody would call so.
    """
    told = "" if math.isnan(usual) else f", usually {usual:.0%}"
    if says_no_more_than_usual(probability_up, usual):
        told = f", {NO_BETTER_THAN_USUAL}"
    return f"{called_direction(direction, probability_up) or NO_CALL} (P(rise) {probability_up:.0%}{told})"


def called_direction(direction: object, probability_up: float | None) -> str | None:
    """Return UP or DOWN where the probability of that is more than a half; None where the call is no call."""
    if not isinstance(direction, str) or probability_up is None or math.isnan(probability_up):
        return None
    probability = probability_up if direction == "UP" else 1.0 - probability_up
    return direction if probability > 0.5 else None


def size_text(position_size: float, edge: str) -> str:
    """Return the size of a position, and that no edge is shown where it has one all the same."""
    has_no_edge = position_size > 0 and edge not in EDGES_WITH_SIZE
    return f"{position_size:g} ({NO_EDGE_SHOWN})" if has_no_edge else f"{position_size:g}"


def sentence(reasons: Reasons) -> str:
    """Return one sentence that says why the row recommends what it recommends."""
    told = _told(reasons)
    return f"{told}; {reasons.objection}." if reasons.objection else f"{told}."


def _told(reasons: Reasons) -> str:
    forecast = _forecast_text(reasons)
    if reasons.strategy == NO_TRADE:
        return f"No trade on {forecast}: {reasons.selection_reason}"
    name = reasons.strategy.replace("_", " ")
    article = "an" if name[0] in "aeiou" else "a"
    if reasons.strikes is None:
        why = "there is no price or volatility-index level to quote it from"
        return f"{forecast} selects {article} {name}, size 0: {why}"
    what = f"{forecast} selects {article} {name} {reasons.strikes} expiring {reasons.expiration}"
    if not reasons.maximum_profit_usd > 0:
        return f"{what}, size 0: costs leave no possible profit"
    if not reasons.has_time_to_enter:
        return f"{what}, size 0: the horizon ends at the open at which it would be entered"
    why_no_edge = _WHY_NO_SIZE.get(reasons.edge)
    if why_no_edge and reasons.needs_edge:
        return f"{what}, size 0: {why_no_edge}"
    no_edge = f", {NO_EDGE_SHOWN}: {why_no_edge}" if why_no_edge else ""
    if reasons.contracts == 0:
        risk_of_one = f"one structure risks {reasons.maximum_loss_usd:,.0f} USD, more than the risk budget"
        return f"{what}, but {risk_of_one}{no_edge}"
    risk = reasons.contracts * reasons.maximum_loss_usd
    traded = f"{what} at {reasons.design_size} size: {reasons.contracts} to trade, {risk:,.0f} USD at risk"
    return f"{traded}, because {reasons.selection_reason}{no_edge}"


def _forecast_text(reasons: Reasons) -> str:
    forecasts = []
    if isinstance(reasons.direction, str) and not math.isnan(reasons.probability_up):
        forecasts.append(rise_text(reasons.direction, reasons.probability_up, reasons.usual_probability_up))
    if isinstance(reasons.iv_regime, str) and not math.isnan(reasons.iv_confidence):
        forecasts.append(f"{reasons.iv_regime} implied volatility at {reasons.iv_confidence:.0%}")
    return " and ".join(forecasts) or "no forecast"
