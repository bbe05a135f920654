"""Rules about when things were known: observations, targets, forecasts and fills. Rules about values stand
elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import numpy as np
import pandas as pd

from trading_dag.quality.price_forecast_rules import price_forecast_checks, quantile_check
from trading_dag.quality.rules import POINT_IN_TIME, Check, Examined, Finding, Rule
from trading_dag.schemas import MARKET_STATES

_PROBABILITY_TOLERANCE: Final = 1e-6
_REGIME_PROBABILITIES: Final = ("probability_low", "probability_normal", "probability_high")
_Order = Literal["<", "<="]


def knowledge_checks(qualified_name: str) -> tuple[Check, ...]:
    """Return the checks of the order of events in a table; most tables have none."""
    return {
        "raw.macro": (
            _in_order("known_after_observation", "observation_date", "<", "known_on"),
            _not_after_now("no_future_observations", "observation_date"),
        ),
        "labels.targets": (
            _in_order("target_after_session", "session", "<", "target_session"),
            _not_after_now("no_future_targets", "target_session"),
        ),
        "models.registry": (
            Check(
                Rule(
                    "training_parts_grow",
                    "Each fold of a model learns to a later day than the last, and from more rows if since the same "
                    "day.",
                ),
                _training_parts_grow,
                needs=("model", "fold", "train_first_session", "fitted_through", "n_train"),
            ),
        ),
        "models.regime_hmm": (_in_order("fitted_before_service", "fitted_through", "<", "serves_from"),),
        "predictions.regime": (
            _in_order("fitted_before_session", "fitted_through", "<", "session"),
            Check(
                Rule("probabilities_sum_to_one", "The probabilities of the five states add up to 1."),
                _sum_to_one(tuple(f"probability_{state}" for state in MARKET_STATES)),
                needs=tuple(f"probability_{state}" for state in MARKET_STATES),
            ),
        ),
        "predictions.direction": _prediction_checks(),
        "predictions.volatility": (
            *_prediction_checks(),
            Check(
                Rule("probabilities_sum_to_one", "The probabilities of the three regimes add up to 1."),
                _sum_to_one(_REGIME_PROBABILITIES),
                needs=_REGIME_PROBABILITIES,
            ),
        ),
        "predictions.volatility_level": (*_prediction_checks(), quantile_check()),
        "predictions.price": (*_prediction_checks(), *price_forecast_checks()),
        "signals.recommendation": (_in_order("target_after_session", "session", "<", "target_session"),),
        "backtests.trades": (
            _in_order("entry_after_signal", "signal_session", "<", "entry_session"),
            _in_order("exit_not_before_entry", "entry_session", "<=", "exit_session"),
        ),
    }.get(qualified_name, ())


def _prediction_checks() -> tuple[Check, ...]:
    return (
        _in_order("target_after_session", "session", "<", "target_session"),
        _in_order("fitted_before_session", "fitted_through", "<=", "session"),
        Check(
            Rule(
                "all_out_of_sample",
                "Every forecast was made by a model that had not seen its outcome.",
                check=POINT_IN_TIME,
            ),
            _all_out_of_sample,
            needs=("is_out_of_sample",),
        ),
    )


def _in_order(name: str, first: str, order: _Order, second: str) -> Check:
    """Return a check that one date comes before another; NULLs are not compared."""
    words = "before" if order == "<" else "not after"
    rule = Rule(name, f"{first} is {words} {second}.", check=POINT_IN_TIME)
    return Check(rule, _examine_order(first, order, second), (first, second))


def _examine_order(first: str, order: _Order, second: str) -> Callable[[Examined], Finding]:
    def examine(examined: Examined) -> Finding:
        early, late = examined.frame[first], examined.frame[second]
        if not (early.notna() & late.notna()).any():
            return examined.not_examined(f"no row has both {first} and {second}")
        wrong = (early >= late) if order == "<" else (early > late)
        return Finding.of_rows(wrong.to_numpy(dtype=bool), f"{second} comes too early")

    return examine


def _not_after_now(name: str, column: str) -> Check:
    def examine(examined: Examined) -> Finding:
        if examined.frame[column].isna().all():
            return examined.not_examined(f"no row has {column}")
        after = (examined.frame[column] > examined.context.now_session).to_numpy(dtype=bool)
        return Finding.of_rows(after, f"after {examined.context.now_session:%Y-%m-%d}")

    return Check(Rule(name, f"{column} has already happened.", check=POINT_IN_TIME), examine, (column,))


def _all_out_of_sample(examined: Examined) -> Finding:
    if examined.frame["is_out_of_sample"].isna().all():
        return examined.not_examined("no row says whether it is out of sample")
    wrong = ~examined.frame["is_out_of_sample"].astype("boolean").fillna(True)
    return Finding.of_rows(wrong.to_numpy(dtype=bool), "forecast within the training window")


def _training_parts_grow(examined: Examined) -> Finding:
    """Find folds that do not grow: an expanding walk-forward with such a fold has trained on what it tests.

    A fold that begins later than the one before it learns from the last years alone: it moves on and need not grow.
    """
    frame = examined.frame.reset_index(drop=True)
    ordered = frame[frame["fitted_through"].notna()].sort_values(["model", "fold"])
    if not ordered.duplicated("model").any():
        return examined.not_examined("no model has two folds that were fitted")
    earlier = ordered.groupby("model")
    shorter = ordered["n_train"].astype("float64") < earlier["n_train"].shift().astype("float64")
    same_rows = (ordered["n_train"] == earlier["n_train"].shift()) & (ordered["n_train"] > 0)
    not_later = ordered["fitted_through"] <= earlier["fitted_through"].shift()
    begins = pd.to_datetime(ordered["train_first_session"])
    moves_on = begins > begins.groupby(ordered["model"]).shift()
    wrong = (((shorter | same_rows.fillna(False)) & ~moves_on) | not_later).reindex(frame.index, fill_value=False)
    return Finding.of_rows(wrong.to_numpy(dtype=bool), "a fold did not learn from more than the fold before it")


def _sum_to_one(columns: tuple[str, ...]) -> Callable[[Examined], Finding]:
    def examine(examined: Examined) -> Finding:
        if examined.frame[list(columns)].isna().any(axis=1).all():
            return examined.not_examined("no row has all the probabilities")
        total: pd.Series = examined.frame[list(columns)].sum(axis=1, skipna=False)
        wrong = ((total - 1.0).abs() > _PROBABILITY_TOLERANCE) & np.isfinite(total)
        return Finding.of_rows(wrong.to_numpy(dtype=bool), "probabilities do not add up to 1")

    return examine
