"""Price stack: a forecast of the return at a horizon, blended from trees, a drift and the random walk.

Here belongs what is fitted in each training part: the learners, the blend of their out-of-fold forecasts, and the rate
of the adaptive weights. What the learners are stands in ``price_learners``, blending in ``stacking``, and how forecasts
are made of it in ``price_stack_forecasts``. Saying that the price stays is always one of the answers.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import IntArray
from trading_dag.models.estimators.real_learners import as_pipeline
from trading_dag.models.learning.candidates import candidates_of
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.price.price_learners import price_learners
from trading_dag.models.stacks.adaptive_weights import BANDWIDTH, HALF_LIFE, WINDOW, choose_rate
from trading_dag.models.stacks.price_rows import PriceRows, collect_price_rows
from trading_dag.models.stacks.price_sequences import daily_sequences, lstm_learner, why_no_lstm
from trading_dag.models.stacks.stacked_training import Blend, StackedSchool, fit_stacked_model
from trading_dag.models.stacks.stacking import OutOfFold, fit_blend
from trading_dag.setting_groups import PriceStackSettings, WalkForwardSettings
from trading_dag.slices import Horizon
from trading_dag.training_start import EVERYTHING, TrainingStart

NAME: Final = "price_stack"
STACK: Final = "price_stack"
ADAPTIVE: Final = "price_stack_adaptive"
# What returns of days and weeks have been said to depend on: past returns over several lengths, where the price stands
# in its range, volatility and its premium, rates. Chosen beforehand, for a choice by scores would be one more fit.
PRICE_STACK_FEATURES: Final = (
    "returns_1d", "returns_5d", "returns_20d", "returns_60d", "returns_252d", "overnight_return", "rsi_14",
    "williams_r_14", "price_to_sma_20", "price_to_sma_50", "price_to_sma_200", "distance_from_high_52w", "bb_position",
    "hv_20", "hv_60", "hv_ratio_5_20", "hv_ratio_20_60", "return_skew_20", "volume_zscore_20", "iv_rank",
    "iv_hv_spread", "vix_zscore", "vix_change_1d", "vix_change_5d", "vix_term_slope", "yield_spread_10y_2y",
    "treasury_10y_change_20d", "fed_funds_change_60d", "days_to_fomc", "regime_probability_high_volatility_downtrend",
)  # fmt: skip


def fit(
    features: pd.DataFrame,
    targets: pd.DataFrame,
    *,
    horizon: Horizon,
    settings: WalkForwardSettings,
    stack: PriceStackSettings | None = None,
    ticker: str | None = None,
    start: TrainingStart = EVERYTHING,
    chosen: tuple[str, ...] = (),
) -> FittedModel:
    """Fit the learners, the blend and the adaptive weights on every walk-forward fold, and once more on every label.

    Parameters
    ----------
    features : features.feature_table of one ticker.
    targets : labels.targets of the same ticker and this horizon; may have no rows.
    horizon, settings : gap between training and test part; folds, presence, seed.
    stack : how much work is done; None for the defaults.
    ticker : the underlying; by default that of the feature rows.
    start : since when is learnt from.
    chosen : which features may be read, as ``choose_features`` takes them; empty for all.

    Returns
    -------
    Folds 1 to ``settings.folds`` and the live model of each learner, of ``price_stack`` and of
    ``price_stack_adaptive``. Each is known from the close of its ``fitted_through`` on.

    Raises
    ------
    SchemaError : for frames that are not of one slice or not in the shape of their tables.
    UnknownFeatureError : for a choice that does not exist, or leaves nothing to read.
    """
    candidates = candidates_of(NAME, PRICE_STACK_FEATURES, chosen=chosen, safe_only=settings.safe_features)
    stack = stack or PriceStackSettings()
    learners, sequences, no_lstm = price_learners(stack, seed=settings.seed), None, why_no_lstm(stack)
    if no_lstm is None:
        learners = tuple(sorted((*learners, lstm_learner(stack, seed=settings.seed)), key=lambda one: one.model))
        sequences = daily_sequences(features, steps=stack.lstm_steps)
    found = collect_price_rows(
        features, targets, names=candidates.names, horizon=horizon, ticker=ticker, sequences=sequences
    ).since(start.first)
    school = StackedSchool(
        found, horizon, settings, stack, candidates.left_out, learners,
        (Blend(STACK, partial(_blend, found, settings)), Blend(ADAPTIVE, partial(_adaptive, found))),
    )  # fmt: skip
    return fit_stacked_model(NAME, school, start=start, chosen=chosen, told={"lstm": no_lstm or "daily"})


def _blend(
    found: PriceRows, settings: WalkForwardSettings, held_out: OutOfFold, _: IntArray
) -> tuple[Any, dict[str, Any], dict[str, float]]:
    """The stack's estimator, what was chosen for it, and its inner scores."""
    blend = fit_blend(held_out, found.outcomes[held_out.rows], folds=settings.inner_folds)
    return as_pipeline(blend.estimator), blend.chosen, blend.metrics


def _adaptive(found: PriceRows, held_out: OutOfFold, _: IntArray) -> tuple[Any, dict[str, Any], dict[str, float]]:
    """The estimator of the adaptive weights, and what was chosen for it."""
    rows = held_out.rows
    sessions, targets = found.rows.sessions[rows], found.rows.target_sessions[rows]
    known = np.searchsorted(targets.to_numpy(), sessions.to_numpy(), side="right").astype(np.int64)
    weights = choose_rate(held_out.forecasts, found.outcomes[rows], found.volatility[rows], known)
    chosen = {
        "rate": float(weights.rate[0]), "half_life": HALF_LIFE, "window": WINDOW, "bandwidth": BANDWIDTH,
    }  # fmt: skip
    return as_pipeline(weights), chosen, {}
