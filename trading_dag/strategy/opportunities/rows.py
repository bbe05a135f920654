"""The rows of ``signals.opportunities``: what was valued, ranked, rounded and told in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray, IntArray, TextArray
from trading_dag.frames import table_frame
from trading_dag.schemas import OPPORTUNITIES
from trading_dag.setting_groups import BacktestSettings
from trading_dag.strategy.opportunities.candidates import Costs, Placed, adverse_side
from trading_dag.strategy.opportunities.valuation import Means, Outlook, Spread

# A cent, and a hundredth of a percent: what is stored says no more than it knows, and takes half the room.
_CENT: Final = 2
_BASIS_POINT: Final = 4
_FURTHEST: Final = 5.0


def rows_of(
    head: Mapping[str, str],
    placed: Placed,
    costs: Costs,
    means: Means,
    spread: Spread,
    kept: IntArray,
    *,
    outlook: Outlook,
    sessions: pd.DatetimeIndex,
    targets: pd.DatetimeIndex,
    source: str,
    is_backtested: BoolArray,
    settings: BacktestSettings,
) -> pd.DataFrame:
    """Return the kept candidates of each session as rows, ranked within their session."""

    def of_kept(values: FloatArray) -> FloatArray:
        chosen: FloatArray = np.take_along_axis(values, kept, axis=1)
        return chosen

    expected, half_width, risk = of_kept(means.profit), of_kept(means.half_width), of_kept(means.risk)
    has_limit = np.isfinite(risk) & (risk > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        on_risk = {
            name: np.where(has_limit, amount / risk, np.nan)
            for name, amount in (("mid", expected), ("low", expected - half_width), ("high", expected + half_width))
        }
        merit = np.where(has_limit, on_risk["low"], expected / np.maximum(np.abs(spread.shortfall), 1e-9))
    is_row = np.take_along_axis(costs.is_quoted, kept, axis=1) & np.isfinite(expected) & np.isfinite(half_width)
    is_row &= _first_of_equals(placed, kept)
    row, column = np.nonzero(is_row)
    candidate = kept[row, column]
    rank = _ranks(merit, has_limit, is_row)[row, column]
    touch, stop = _touches(placed, outlook, kept, settings=settings)
    front, back = _expirations(placed)
    multiplier = float(settings.multiplier)
    greatest_loss, greatest_profit = costs.maximum_loss[row, candidate], costs.maximum_profit[row, candidate]
    limited = np.isfinite(greatest_profit)

    def usd(values: FloatArray) -> FloatArray:
        return np.round(values[row, column], _CENT)

    def fraction(values: FloatArray) -> FloatArray:
        return np.round(values[row, column], _BASIS_POINT)

    names = np.array([c.structure.name for c in placed.candidates], dtype=object)
    back_dates = back[row, candidate]
    values: dict[str, Any] = {
        **head,
        "session": sessions[row],
        "target_session": targets[row],
        "structure": names[candidate],
        "held_to": "target",
        "exit_session": targets[row],
        "expiration": front[row, candidate],
        "back_expiration": np.where(back_dates == front[row, candidate], np.datetime64("NaT"), back_dates),
        "strikes": _strikes_text(placed, row, candidate),
        "quote_source": source,
        "spot": outlook.spot[row],
        "entry_cost_usd": np.round(costs.entry[row, candidate] * multiplier, _CENT),
        "fees_usd": means.fees[candidate],
        "max_loss_usd": np.where(
            np.isfinite(greatest_loss), np.round(np.maximum(greatest_loss, 0.0) * multiplier, _CENT), np.nan
        ),
        "max_profit_usd": np.where(
            limited, np.round(np.maximum(greatest_profit, 0.0) * multiplier, _CENT), np.nan
        ),
        "expected_profit_usd": usd(expected),
        "profit_standard_deviation_usd": usd(spread.standard_deviation),
        "expected_shortfall_usd": usd(spread.shortfall),
        "probability_of_profit": fraction(spread.probability_of_profit),
        "probability_of_touch": fraction(touch),
        "probability_of_stop": fraction(stop),
        "probability_of_target": fraction(spread.probability_of_target),
        "expected_return_on_risk": fraction(on_risk["mid"]),
        "expected_return_on_risk_low": fraction(on_risk["low"]),
        "expected_return_on_risk_high": fraction(on_risk["high"]),
        "market_expected_profit_usd": usd(of_kept(means.market_profit)),
        "market_probability_of_profit": fraction(spread.market_probability_of_profit),
        "rank": rank,
        "is_backtested": is_backtested[candidate],
    }  # fmt: skip
    return table_frame(OPPORTUNITIES, {**values, "reason": _reasons(values, risk[row, column])}, rows=len(row))


def _ranks(merit: FloatArray, has_limit: BoolArray, is_row: BoolArray) -> IntArray:
    """Return the place of each row in its session, from 1: what has a limit of loss first, then by merit."""
    order = np.lexsort((-np.nan_to_num(merit, nan=-np.inf), ~has_limit, ~is_row), axis=1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(1, order.shape[1] + 1), order.shape), axis=1)
    return ranks.astype(np.int64)


def _first_of_equals(placed: Placed, kept: IntArray) -> BoolArray:
    """Return which kept candidates are the first with their structure, expirations and strikes at the session."""
    is_first = np.ones(kept.shape, dtype=np.bool_)
    seen: dict[tuple[str, bytes], list[int]] = {}
    for number, candidate in enumerate(placed.candidates):
        key = (candidate.structure.name, placed.front[number].to_numpy().tobytes())
        for other in seen.get(key, ()):
            same = (placed.strikes[number] == placed.strikes[other]).all(axis=1)
            is_first[same] &= kept[same] != number
        seen.setdefault(key, []).append(number)
    # Where the best of each structure is kept there is one of each, and no equal beside it.
    return is_first if kept.shape[1] == len(placed.candidates) else np.ones(kept.shape, dtype=np.bool_)


def _strikes_text(placed: Placed, row: IntArray, candidate: IntArray) -> TextArray:
    """Return the strikes of each row, in the order of the structure's legs."""
    text = np.empty(len(row), dtype=object)
    for number in np.unique(candidate).tolist():
        at = np.flatnonzero(candidate == number)
        strikes = placed.strikes[number][row[at]].tolist()
        text[at] = ["/".join([f"{strike:g}" for strike in legs]) for legs in strikes]
    return text


def _expirations(placed: Placed) -> tuple[np.ndarray, np.ndarray]:
    front, back = (
        np.column_stack([dates.to_numpy().astype("datetime64[us]") for dates in every])
        for every in (placed.front, placed.back)
    )
    return front, back


def _touches(
    placed: Placed, outlook: Outlook, kept: IntArray, *, settings: BacktestSettings
) -> tuple[FloatArray, FloatArray]:
    """Return for each kept candidate, (n, kept), the probabilities that a sold strike and that the stop is touched."""
    spot, move = outlook.spot, settings.stop_underlying_fraction
    lower, upper = np.full(kept.shape, np.nan), np.full(kept.shape, np.nan)
    side = np.zeros(kept.shape, dtype=np.int64)
    for number, (candidate, strikes) in enumerate(zip(placed.candidates, placed.strikes, strict=True)):
        row, column = np.nonzero(kept == number)
        sold = candidate.structure.signed_ratios < 0
        puts, calls = sold & ~candidate.structure.is_call, sold & candidate.structure.is_call
        if puts.any():
            lower[row, column] = strikes[row][:, puts].max(axis=1)
        if calls.any():
            upper[row, column] = strikes[row][:, calls].min(axis=1)
        side[row, column] = adverse_side(candidate.structure, strikes[row])
    touch = either_touched(outlook, lower, upper)
    down, up = spot[:, np.newaxis] * (1.0 - move), spot[:, np.newaxis] * (1.0 + move)
    none = np.full_like(down, np.nan)
    stops = either_touched(outlook, np.hstack([down, down, none]), np.hstack([none, up, up]))
    return touch, np.take_along_axis(stops, side + 1, axis=1)


def either_touched(outlook: Outlook, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Return the probability that a price is reached from above or from below before the exit, (n, m).

    Parameters
    ----------
    lower, upper : (n, m) USD, NaN for none; a price that the spot lies at or beyond is touched. NaN where both are
        none.

    Of paths that reach both, those that come from one to the other are counted once, by the reflection of the second
    at the first.
    """
    spot = outlook.spot[:, np.newaxis]
    below = np.where(lower >= spot, spot, lower)
    above = np.where(upper <= spot, spot, upper)
    # A level at zero is never reached: an end beyond every price that has a probability.
    down, up = np.log(spot / below), np.log(above / spot)
    upward = spot * np.exp(np.minimum(2.0 * up + down, _FURTHEST))
    downward = spot * np.exp(-np.minimum(2.0 * down + up, _FURTHEST))
    levels = np.concatenate([below, above, upward, downward], axis=1)
    chances = outlook.distribution.probability_of_touching(levels, spot=outlook.spot)
    first, second, from_below, from_above = np.split(chances, 4, axis=1)
    both = np.nan_to_num(from_below) + np.nan_to_num(from_above)
    total = np.nan_to_num(first) + np.nan_to_num(second)
    touched = np.clip(total - both, np.fmax(first, second), 1.0)
    return np.where(np.isnan(lower) & np.isnan(upper), np.nan, touched)


def _reasons(values: Mapping[str, Any], risk: FloatArray) -> TextArray:
    """Return a sentence for each row: what is expected of what risk, and on what forecast and market differ."""
    columns = (
        values["expected_profit_usd"], risk, values["expected_return_on_risk"], values["expected_return_on_risk_low"],
        values["expected_return_on_risk_high"], values["probability_of_profit"],
        values["market_probability_of_profit"], values["market_expected_profit_usd"],
    )  # fmt: skip
    return np.array([_reason(*row) for row in zip(*(c.tolist() for c in columns), strict=True)], dtype=object)


def _reason(
    profit: float, risk: float, on_risk: float, low: float, high: float, chance: float, market_chance: float,
    market: float,
) -> str:  # fmt: skip
    at_risk = (
        f"of {risk:,.0f} at risk ({on_risk:+.1%}, between {low:+.1%} and {high:+.1%})"
        if on_risk == on_risk
        else "at a loss without limit"
    )
    return (
        f"The forecast expects {profit:+,.0f} USD {at_risk} and a profit in {chance:.0%} of cases; the market's own "
        f"prices {market:+,.0f} USD and {market_chance:.0%}."
    )
