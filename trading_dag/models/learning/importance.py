"""What the models make of each feature: the numbers they have learnt, and what their forecasts lose without it.

Here belongs what describes fitted models by their features. Which features a fold may use is decided in
``features.selection``; how good the forecasts are, in ``validation``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.frames import frame_of_records, require_sessions
from trading_dag.models.learning.fitted import FittedFold, FittedModel
from trading_dag.models.learning.forecasting import FoldForecast, forecast, stated_probabilities
from trading_dag.models.learning.rows import FEATURES_TABLE, Coding, label_codes
from trading_dag.schemas import COEFFICIENTS, GROUP_OF_FEATURE, IMPORTANCE
from trading_dag.setting_groups import BootstrapSettings
from trading_dag.slices import Horizon
from trading_dag.validation.inference.uncertainty import bootstrap_weights, mean_block_length, percentile_interval
from trading_dag.validation.scores.metrics import multiclass_brier_losses, weighted_sums


def learnt_coefficients(fitted: FittedModel) -> pd.DataFrame:
    """Return what each fitted fold has learnt of each of its columns, known as soon as the fold is fitted.

    A regression has a coefficient for each class: the change of its log-odds (its score, where there are more than two
    classes) per standard deviation of the column over the training rows. Of two classes it is that of the second. Trees
    have the mean gain of the splits on the column, 0 for one that no tree splits on. A forecast of the index has, as
    class ``ln_index_at_target``, the change of that logarithm per standard deviation of the column. An ordered
    regression on a spline of the rank has none: what it has learnt is a curve, and no number of the rank.

    Returns
    -------
    models.coefficients; no rows of folds that could not be fitted.
    """
    records = [
        {
            "ticker": fitted.ticker, "horizon": fitted.horizon, "model": fold.model, "fold": fold.fold,
            "class_name": name, "feature": feature, **numbers,
        }
        for fold in fitted.folds
        if fold.estimator is not None
        for name, feature, numbers in _numbers_of(fold)
    ]  # fmt: skip
    return frame_of_records(COEFFICIENTS, records)


def _numbers_of(fold: FittedFold) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Yield class, column and what was learnt of it."""
    if hasattr(fold.estimator, "get_score"):
        gains = fold.estimator.get_score(importance_type="gain")
        for position, column in enumerate(fold.columns):
            yield fold.classes[-1], column, {"gain": float(gains.get(f"f{position}", 0.0))}
        return
    if hasattr(fold.estimator, "coefficients"):  # one that is made of parts says it itself
        for of, column, coefficient in fold.estimator.coefficients():
            yield of, column, {"coefficient": coefficient}
        return
    if not fold.columns:
        return
    regression = fold.estimator[-1]
    codes = regression.classes_[-1:] if len(regression.coef_) == 1 else regression.classes_
    for code, coefficients in zip(codes, regression.coef_, strict=True):
        for column, coefficient in zip(fold.columns, coefficients, strict=True):
            yield fold.classes[code], column, {"coefficient": float(coefficient)}


def permutation_importance(
    fitted: FittedModel,
    features: pd.DataFrame,
    targets: pd.DataFrame,
    *,
    task: str,
    label: str,
    classes: tuple[str, ...],
    required: str | None = None,
    coded: Coding | None = None,
    horizon: Horizon,
    settings: BootstrapSettings,
) -> pd.DataFrame:
    """Return how much worse the out-of-sample forecasts get where the values of a feature are shuffled.

    Within each fold's own sessions the values of one column, or of all columns of a group together, are exchanged at
    random; the fold then forecasts once more. Sessions are many, so once is enough, and the intervals say so. The loss
    is the Brier score of the classes, summed over them. Columns that say the same share what they are worth, so one
    alone may look useless; its group does not.

    Parameters
    ----------
    fitted, features, targets : a model family, and the features.feature_table and labels.targets of its slice.
    task : direction or volatility.
    label, classes : column of the outcome, and its values. A session with another value, or none, is not scored.
    required : feature without which a session is not forecast; None for none.
    coded : how a label that is no class name becomes a class.
    horizon, settings : block lengths, draws and seed of the intervals, which are those of a stationary bootstrap over
        sessions.

    Returns
    -------
    evaluation.importance; no rows without a scored session. Known at the last target session.

    Raises
    ------
    SchemaError : for frames that are not of the fitted slice or not in the shape of their tables.

    References
    ----------
    Breiman, "Random forests", Machine Learning 45 (2001), 5–32, section 10; Fisher, Rudin and Dominici, Journal of
    Machine Learning Research 20 (2019), 177.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    sessions = require_sessions(features, (), table=FEATURES_TABLE)
    codes = label_codes(
        targets, sessions=sessions, label=label, classes=classes, horizon=horizon, ticker=fitted.ticker, coded=coded
    )
    forecasts = forecast(fitted, features, required=required)
    records: list[dict[str, Any]] = []
    with threadpool_limits(limits=1):  # sums in the same order, whoever calls it
        for model in fitted.models:
            increases, n, folds = _loss_increases(
                [made for made in forecasts if made.fold.model == model], codes, settings
            )
            if not increases:  # no session is scored, or no fold reads anything
                continue
            total = np.sum(list(increases.values()), axis=0)
            weights = bootstrap_weights(
                n, mean_block=mean_block_length(total, steps=horizon.gap_sessions), settings=settings
            )
            names = sorted(increases)
            means = weighted_sums(weights, np.column_stack([increases[name] for name in names])) / n
            for position, (kind, name) in enumerate(names):
                low, high = percentile_interval(means[:, position], confidence=settings.confidence)
                records.append(
                    {
                        "ticker": fitted.ticker, "horizon": fitted.horizon, "task": task, "model": model,
                        "kind": kind, "feature": name, "n": n,
                        "folds": folds[kind, name], "importance": float(increases[kind, name].mean()),
                        "ci_low": low, "ci_high": high,
                    }
                )  # fmt: skip
    return frame_of_records(IMPORTANCE, records)


def _loss_increases(
    forecasts: Sequence[FoldForecast], codes: IntArray, settings: BootstrapSettings
) -> tuple[dict[tuple[str, str], FloatArray], int, dict[tuple[str, str], int]]:
    """Return by kind and name the increase of the loss on each scored session in order, how many sessions there are,
    and how many folds read the column. A fold that does not read it loses nothing.
    """
    scored = [(made, np.flatnonzero(codes[made.rows] >= 0)) for made in forecasts]
    scored = [(made, taken) for made, taken in scored if len(taken)]
    n = sum(len(taken) for _, taken in scored)
    increases: dict[tuple[str, str], FloatArray] = {}
    folds: dict[tuple[str, str], int] = {}
    start = 0
    for made, taken in scored:
        values, outcome = made.values[taken], codes[made.rows[taken]]
        before = multiclass_brier_losses(made.probabilities[taken], outcome)
        generator = np.random.default_rng([settings.seed, made.fold.fold])
        order = generator.permutation(len(taken))
        for key, columns in _shuffled_together(made.fold.columns).items():
            shuffled = values.copy()
            shuffled[:, columns] = values[order][:, columns]
            after = multiclass_brier_losses(stated_probabilities(made.fold, shuffled), outcome)
            own = increases.setdefault(key, np.zeros(n))
            own[start : start + len(taken)] = after - before
            folds[key] = folds.get(key, 0) + 1
        start += len(taken)
    return increases, n, folds


def _shuffled_together(columns: Sequence[str]) -> dict[tuple[str, str], list[int]]:
    """Return the positions of each column alone, and of all columns of each group."""
    together: dict[tuple[str, str], list[int]] = {("feature", name): [at] for at, name in enumerate(columns)}
    for at, name in enumerate(columns):
        group = GROUP_OF_FEATURE.get(name)
        if group is not None:
            together.setdefault(("group", group), []).append(at)
    return together
