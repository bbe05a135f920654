"""The rows of ``signals.opportunities``: what was valued, ranked, rounded and told in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray, IntArray, TextArray
from trading_dag.frames import table_frame
from trading_dag.options.structures.payoff import adverse_moves
from trading_dag.schemas import OPPORTUNITIES
from trading_dag.setting_groups import BacktestSettings
from trading_dag.strategy.opportunities.candidates import Costs, Placed
from trading_dag.strategy.opportunities.valuation import Means, Outlook, Spread

# A cent, and a hundredth of a percent: what is stored says no more than it knows, and takes half the room.
_CENT: Final = 2
_BASIS_POINT: Final = 4
_IMAGES: Final = 3
_LARGEST_EXPONENT: Final = 300.0
_LEAST_DEVIATION: Final = 1e-9


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
    """Return the nearest and the furthest expiration of each candidate, (n, C) each."""
    # Many candidates share the dates of the grid.
    distinct = {id(index): index for index in (*placed.front, *placed.back)}
    dates = {place: index.to_numpy().astype("datetime64[us]") for place, index in distinct.items()}
    front, back = (np.column_stack([dates[id(index)] for index in every]) for every in (placed.front, placed.back))
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
        side[row, column] = adverse_moves(candidate.structure, strikes[row])
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

    One price is ``ForecastDistribution.probability_of_touching``. Of two, it is one less the probability that a
    Brownian motion of the logarithm stays between them, by reflection at both, with the forecast's median as its
    drift and the standard deviation of its 90 % range; at least that of either alone.

    References
    ----------
    Karatzas and Shreve, Brownian Motion and Stochastic Calculus (1991), section 2.8.A, with a drift by Girsanov.
    """
    spot = outlook.spot[:, np.newaxis]
    below, above = np.where(lower >= spot, spot, lower), np.where(upper <= spot, spot, upper)
    chances = outlook.distribution.probability_of_touching(np.hstack([below, above]), spot=outlook.spot)
    first, second = np.split(chances, 2, axis=1)
    touched = np.fmax(first, second)
    row, column = np.nonzero(np.isfinite(first) & np.isfinite(second) & (touched < 1.0))
    if len(row):
        drift, deviation = _drift_and_deviation(outlook)
        leaves = 1.0 - _stays_between(
            np.log(below[row, column] / outlook.spot[row]), np.log(above[row, column] / outlook.spot[row]),
            drift=drift[row], deviation=deviation[row],
        )  # fmt: skip
        touched[row, column] = np.clip(leaves, touched[row, column], 1.0)
    return touched


def _drift_and_deviation(outlook: Outlook) -> tuple[FloatArray, FloatArray]:
    from scipy.special import ndtri

    levels = outlook.distribution.levels
    ends = np.log(outlook.distribution.quantiles[:, [0, -1]])
    middle = outlook.distribution.log_price_at(np.zeros((len(ends), 1)))[:, 0]
    deviation = (ends[:, 1] - ends[:, 0]) / (ndtri(levels[-1]) - ndtri(levels[0]))
    return middle - np.log(outlook.spot), np.maximum(deviation, _LEAST_DEVIATION)


def _stays_between(low: FloatArray, high: FloatArray, *, drift: FloatArray, deviation: FloatArray) -> FloatArray:
    """Return the probability that a Brownian motion from 0 stays above ``low`` and below ``high`` for one unit of
    time."""
    from scipy.special import ndtr

    width, variance = high - low, deviation**2
    stays = np.zeros_like(low)
    for image in range(-_IMAGES, _IMAGES + 1):
        for place, sign in ((2.0 * image * width, 1.0), (2.0 * high - 2.0 * image * width, -1.0)):
            tilt = np.exp(np.clip(drift * place / variance, -_LARGEST_EXPONENT, _LARGEST_EXPONENT))
            mass = ndtr((high - drift - place) / deviation) - ndtr((low - drift - place) / deviation)
            stays += sign * tilt * mass
    kept: FloatArray = np.clip(stays, 0.0, 1.0)
    return kept


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
