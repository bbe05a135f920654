"""Expected profits of candidates: means by contract first, distributions of those that are kept afterwards.

An expected profit is a sum over legs, so the means of the distinct contracts give it for every candidate of every
session. The whole distribution of a profit is only computed of what is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.options.pricing.forecast_distribution import ForecastDistribution
from trading_dag.options.surfaces.modelled import VolatilitySurface
from trading_dag.setting_groups import BacktestSettings
from trading_dag.strategy.opportunities.candidates import Costs, Placed
from trading_dag.strategy.opportunities.legs import exit_middles, exit_prices
from trading_dag.strategy.opportunities.outlook import ForecastErrors, score_nodes
from trading_dag.strategy.opportunities.profit_statistics import (
    RefinedProfits,
    expected_shortfall,
    mean_at_scores,
    mean_of_levels,
    probability_above,
    standard_deviation,
)

# Standard normal score of 95 %: both ends of a 90 % interval.
INTERVAL_SCORE: Final = 1.6448536269514722
_SESSIONS_AT_ONCE: Final = 128
# Mean, and its change with the centre, the width and the volatility level, each by one normal score.
_MOMENTS: Final = 4


@dataclass(frozen=True)
class Outlook:
    """Holds what is known of the exit at n sessions; nodes as in ``outlook``.

    Attributes
    ----------
    spot, rate : (n,) at the close.
    carry_years : (n,) from the entry to the exit.
    surface : of the close.
    distribution : the forecast of the price at the exit for a trade that begins at the entry.
    prices : (n, nodes) of it.
    level_ratios : (n, 2, nodes) volatility level as a multiple of that at the close.
    market_scores : (n, nodes) normal scores of these prices under the market's own distribution.
    errors : how far forecasts miss.
    """

    spot: FloatArray
    rate: FloatArray
    carry_years: FloatArray
    surface: VolatilitySurface
    distribution: ForecastDistribution
    prices: FloatArray
    level_ratios: FloatArray
    market_scores: FloatArray
    errors: ForecastErrors


@dataclass(frozen=True)
class Means:
    """Holds expected values of all candidates, (n, C), USD of one structure.

    Attributes
    ----------
    profit : mean under the forecast, after costs.
    half_width : of its 90 % interval.
    market_profit : mean under the market's distribution.
    risk : greatest loss and fees; infinite or NaN without a limit.
    fees : (C,) in and out.
    """

    profit: FloatArray
    half_width: FloatArray
    market_profit: FloatArray
    risk: FloatArray
    fees: FloatArray


@dataclass(frozen=True)
class Spread:
    """Holds what the distribution of a profit comes down to, (n, kept), USD of one structure and probabilities."""

    standard_deviation: FloatArray
    shortfall: FloatArray
    probability_of_profit: FloatArray
    probability_of_target: FloatArray
    market_probability_of_profit: FloatArray


def value(
    placed: Placed, costs: Costs, outlook: Outlook, *, settings: BacktestSettings, keep: IntArray | None
) -> tuple[Means, Spread, IntArray]:
    """Return the means of all candidates, what is kept of them, and the distributions of that.

    Parameters
    ----------
    keep : (C,) number of the group of each candidate, of which the best is kept at each session; None for all.

    Returns
    -------
    Means (n, C), Spread (n, kept) and the kept candidates' places, (n, kept).
    """
    sessions, count = len(outlook.spot), len(placed.ratio)
    parts: list[tuple[Means, Spread, IntArray]] = []
    for first in range(0, max(sessions, 1), _SESSIONS_AT_ONCE):
        rows = np.arange(first, min(first + _SESSIONS_AT_ONCE, sessions))
        parts.append(_value_block(placed, costs, outlook, rows=rows, settings=settings, keep=keep))
    if not sessions:
        empty = np.empty((0, count))
        groups = count if keep is None else int(keep.max(initial=-1)) + 1
        none = np.empty((0, groups))
        return (
            Means(empty, empty, empty, empty, np.empty(count)), Spread(none, none, none, none, none),
            np.empty((0, groups), dtype=np.int64),
        )  # fmt: skip
    joined = {
        name: np.concatenate([getattr(part[0], name) for part in parts])
        for name in ("profit", "half_width", "market_profit", "risk")
    }
    means = Means(**joined, fees=parts[0][0].fees)
    spread = Spread(
        **{name: np.concatenate([getattr(part[1], name) for part in parts]) for name in Spread.__dataclass_fields__}
    )
    return means, spread, np.concatenate([part[2] for part in parts])


def _value_block(
    placed: Placed,
    costs: Costs,
    outlook: Outlook,
    *,
    rows: IntArray,
    settings: BacktestSettings,
    keep: IntArray | None,
) -> tuple[Means, Spread, IntArray]:
    scores, weights = score_nodes()
    multiplier = float(settings.multiplier)
    surface, prices = outlook.surface.rows(rows), outlook.prices[rows]
    settles = np.column_stack([years[rows] <= 0.0 for years in placed.book.exit_years])
    middle = exit_middles(surface, placed.book, rows=rows, prices=prices, level_ratios=outlook.level_ratios[rows])
    exits = exit_prices(middle, settles=settles, settings=settings)
    errors = outlook.errors.rows(rows)
    across = np.sqrt(1.0 - np.nan_to_num(errors.correlation) ** 2)
    by_node = np.stack([weights, weights * scores, weights * (scores * scores - 1.0)], axis=1)

    def moments(values: FloatArray) -> FloatArray:
        """Mean and its slopes of values (rows, contracts, 2, nodes), (rows, contracts, moments)."""
        of_price = mean_of_levels(values) @ by_node
        of_level = (0.5 * (values[..., 0, :] - values[..., 1, :]) @ weights) / across[:, np.newaxis]
        return np.concatenate([of_price, of_level[..., np.newaxis]], axis=-1)

    sold, bought = moments(exits.sold), moments(exits.bought)
    mean_middle = mean_of_levels(middle) @ weights
    shape = (len(rows), len(placed.ratio))
    left, left_middle = np.zeros((*shape, _MOMENTS)), np.zeros(shape)
    for leg in range(placed.ratio.shape[1]):
        at, ratio = placed.contract[:, leg], placed.ratio[:, leg]
        closing = np.where((ratio > 0)[np.newaxis, :, np.newaxis], sold[:, at], bought[:, at])
        left += ratio[np.newaxis, :, np.newaxis] * closing
        left_middle += ratio * mean_middle[:, at]
    # One product a session: those of a block of sessions differ in the last bit by how many it holds.
    of_share = np.concatenate([(prices[:, np.newaxis] @ by_node)[:, 0], np.zeros((len(rows), 1))], axis=1)
    left += placed.shares[np.newaxis, :, np.newaxis] * of_share[:, np.newaxis, :]
    left_middle += placed.shares * of_share[:, :1]

    one_way = settings.fee_per_leg_contract_usd * np.abs(placed.ratio).sum(axis=1)
    fees = 2.0 * one_way
    entry, entry_middle = costs.entry[rows], costs.middle[rows]
    profit = (left[..., 0] - entry) * multiplier - fees
    known = np.stack([errors.centre, errors.width, errors.level], axis=1)[:, np.newaxis, :]
    half_width = INTERVAL_SCORE * multiplier * np.sqrt(((left[..., 1:] * known) ** 2).sum(axis=-1))
    # Under the market's distribution a discounted price is a martingale: only costs and interest are expected.
    growth = np.exp(outlook.rate[rows] * outlook.carry_years[rows])[:, np.newaxis]
    exit_costs = left_middle - left[..., 0]
    market = (entry_middle * growth - exit_costs - entry) * multiplier - fees
    risk = costs.maximum_loss[rows] * multiplier + fees
    means = Means(profit, half_width, market, risk, fees)

    kept = _kept(means, costs.is_quoted[rows], keep)
    every = np.arange(len(rows))[:, np.newaxis]
    outcome = np.zeros((*kept.shape, 2, len(scores)))
    for leg in range(placed.ratio.shape[1]):
        at, ratio = placed.contract[:, leg][kept], placed.ratio[:, leg][kept][..., np.newaxis, np.newaxis]
        if (ratio > 0).any():
            outcome += np.maximum(ratio, 0.0) * exits.sold[every, at]
        if (ratio < 0).any():
            outcome += np.minimum(ratio, 0.0) * exits.bought[every, at]
    outcome += placed.shares[kept][..., np.newaxis, np.newaxis] * prices[:, np.newaxis, np.newaxis, :]
    outcome -= np.take_along_axis(entry, kept, axis=1)[..., np.newaxis, np.newaxis]
    outcome = outcome * multiplier - fees[kept][..., np.newaxis, np.newaxis]

    logs = np.log(prices)
    own, market_at = _refined_scores(outlook, rows, logs)
    refined = RefinedProfits.of(outcome, logs)
    market_mean = np.take_along_axis(market, kept, axis=1)
    # What the marks at the nodes miss of the martingale is taken off, so that both market figures tell of one thing.
    missed = market_mean - mean_at_scores(outcome, outlook.market_scores[rows])
    spread = Spread(
        standard_deviation=standard_deviation(outcome, weights),
        shortfall=expected_shortfall(outcome, scores),
        probability_of_profit=probability_above(refined, np.zeros(kept.shape), scores=own),
        probability_of_target=probability_above(
            refined, _target(placed, costs, rows, kept, settings=settings), scores=own
        ),
        market_probability_of_profit=probability_above(refined, -missed, scores=market_at),
    )
    return means, spread, kept


def _refined_scores(outlook: Outlook, rows: IntArray, logs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the normal scores of nodes and of what lies half way between, under the forecast and the market's."""
    market = outlook.market_scores[rows]
    between = np.exp(0.5 * (logs[:, :-1] + logs[:, 1:]))
    # The forecast's score is no line between nodes: quantiles stand in between.
    own_between = ForecastDistribution(outlook.distribution.quantiles[rows]).score_of(between)
    own = np.broadcast_to(score_nodes()[0], logs.shape)
    return _interleaved(own, own_between), _interleaved(market, 0.5 * (market[:, :-1] + market[:, 1:]))


def _interleaved(at_nodes: FloatArray, between: FloatArray) -> FloatArray:
    joined = np.empty((len(at_nodes), at_nodes.shape[1] + between.shape[1]))
    joined[:, ::2], joined[:, 1::2] = at_nodes, between
    return joined


def _kept(means: Means, is_quoted: BoolArray, keep: IntArray | None) -> IntArray:
    """Return the best candidate of each group, by the lower end of the expected return on risk; (rows, groups)."""
    rows, count = means.profit.shape
    if keep is None:
        return np.broadcast_to(np.arange(count), (rows, count))
    least = means.profit - means.half_width
    has_limit = np.isfinite(means.risk) & (means.risk > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        merit = np.where(has_limit, least / means.risk, least)
    merit = np.where(is_quoted & np.isfinite(merit), merit, -np.inf)
    kept = np.empty((rows, int(keep.max()) + 1), dtype=np.int64)
    for group in range(kept.shape[1]):
        members = np.flatnonzero(keep == group)
        kept[:, group] = members[merit[:, members].argmax(axis=1)]
    return kept


def _target(placed: Placed, costs: Costs, rows: IntArray, kept: IntArray, *, settings: BacktestSettings) -> FloatArray:
    """Return the profit target of the settings, USD: of the greatest profit, of what was paid where only bought."""
    is_bought_only = (placed.ratio >= 0).all(axis=1) & (placed.shares == 0)
    greatest = np.take_along_axis(costs.maximum_profit[rows], kept, axis=1)
    paid = np.abs(np.take_along_axis(costs.entry[rows], kept, axis=1))
    base = np.where(is_bought_only[kept] | ~np.isfinite(greatest), paid, greatest)
    target: FloatArray = settings.profit_target_fraction * base * settings.multiplier
    return target
