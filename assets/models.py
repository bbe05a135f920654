"""Fitted models, and the tables that say what each fold chose and saw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
import pandas as pd

from assets.declare.declaration import Declaration, Forecasts, Read, Result, Slice, model_asset, table_asset
from assets.declare.fitting import fit_family
from trading_dag.schemas import (
    BEST_HYPERPARAMETERS,
    COEFFICIENTS,
    FEATURE_TABLE,
    INPUTS,
    PREDICTIONS_DIRECTION,
    PREDICTIONS_VOLATILITY,
    PREDICTIONS_VOLATILITY_LEVEL,
    PRICES_DAILY,
    REGISTRY,
    SAFE_FEATURES,
    SELECTION_STABILITY,
    TARGETS,
    VERSIONS,
    VOLATILITY_INDEX,
    Table,
)

if TYPE_CHECKING:
    from resources.io_managers.tables import StoredModel
    from trading_dag.models.learning.augmentation import Augmentation
    from trading_dag.models.learning.fitted import FittedModel
    from trading_dag.settings import Settings
    from trading_dag.slices import Horizon

_LEARNT_FROM: Final[dict[str, Table | Read]] = {
    "features": FEATURE_TABLE,
    "targets": TARGETS,
    "prices": PRICES_DAILY,
    "volatility_index": VOLATILITY_INDEX,
    # Where no search is in use, looking at the searches again changes no fit.
    "tuned": Read(BEST_HYPERPARAMETERS, passes_on_empty=False),
}
_PICTURED: Final = "direction_logistic"  # which chooses in every fold; others may answer climatology and read nothing
_MODELS: Final = {
    "direction_classifier": Read(model="direction_classifier"),
    "volatility_forecaster": Read(model="volatility_forecaster"),
}
_ALL_MODELS: Final = {**_MODELS, **{name: Read(model=name) for name in ("price_stack", "allocation_ensemble")}}


def _augmentation(at: Slice, prices: pd.DataFrame, volatility_index: pd.DataFrame) -> Augmentation:
    from trading_dag.models.learning.augmentation import Augmentation

    return Augmentation(prices, volatility_index, at.settings.augmentation)


def _of_direction(fitted: FittedModel, inputs: Mapping[str, Any], horizon: Horizon, settings: Settings) -> pd.DataFrame:
    from trading_dag.models.direction.direction_classifier import predict

    return predict(fitted, inputs["features"], inputs["targets"], horizon=horizon, prices=inputs["prices"])


def _of_volatility(
    fitted: FittedModel, inputs: Mapping[str, Any], horizon: Horizon, settings: Settings
) -> pd.DataFrame:
    from trading_dag.models.volatility.volatility_forecaster import predict

    return predict(fitted, inputs["features"], inputs["targets"], horizon=horizon)


def _of_level(fitted: FittedModel, inputs: Mapping[str, Any], horizon: Horizon, settings: Settings) -> pd.DataFrame:
    from trading_dag.models.volatility.volatility_level import predict_level

    return predict_level(fitted, inputs["features"], inputs["targets"], horizon=horizon)


@model_asset(
    reads=_LEARNT_FROM,
    code_version="5",
    kinds={"scikitlearn", "xgboost"},
    uses=("walk_forward", "augmentation", "training.direction_classifier", "features"),
    forecasts=Forecasts("direction", PREDICTIONS_DIRECTION, _of_direction),
)
def direction_classifier(
    at: Slice,
    features: pd.DataFrame,
    targets: pd.DataFrame,
    prices: pd.DataFrame,
    volatility_index: pd.DataFrame,
    tuned: pd.DataFrame,
) -> FittedModel:
    """Logistic regressions and XGBoost estimate the probability of a rise, in five walk-forward folds and a live model.
    Each fold selects features, penalty and shrinkage on its own past, and may answer the share of rises. Bars and index
    serve augmentation, which is off by default; what was tuned is used."""
    from trading_dag.models.direction.direction_classifier import fit
    from trading_dag.models.estimators.tuned import tuned_from_table

    return fit_family(
        fit,
        at,
        features,
        targets,
        start=at.settings.training.direction_classifier.start,
        augmentation=_augmentation(at, prices, volatility_index),
        tuned=tuned_from_table(tuned),
    )


@model_asset(
    reads=_LEARNT_FROM,
    code_version="4",
    kinds={"scikitlearn"},
    uses=("walk_forward", "augmentation", "training.volatility_forecaster", "features"),
    forecasts=Forecasts(
        "volatility",
        PREDICTIONS_VOLATILITY,
        _of_volatility,
        also=(Forecasts("volatility_level", PREDICTIONS_VOLATILITY_LEVEL, _of_level),),
    ),
)
def volatility_forecaster(
    at: Slice,
    features: pd.DataFrame,
    targets: pd.DataFrame,
    prices: pd.DataFrame,
    volatility_index: pd.DataFrame,
    tuned: pd.DataFrame,
) -> FittedModel:
    """A forecast of the index's level, an ordered regression on its rank and their mean estimate P(LOW), P(NORMAL) and
    P(HIGH) of the IV regime at the target, beside a multinomial regression on 27 inputs. Bars and index serve
    augmentation, which is off by default."""
    from trading_dag.models.estimators.tuned import tuned_from_table
    from trading_dag.models.volatility.volatility_forecaster import fit

    return fit_family(
        fit,
        at,
        features,
        targets,
        start=at.settings.training.volatility_forecaster.start,
        augmentation=_augmentation(at, prices, volatility_index),
        tuned=tuned_from_table(tuned),
    )


@table_asset(INPUTS, SELECTION_STABILITY, reads=_ALL_MODELS, code_version="3", uses=("walk_forward",))
def inputs(at: Slice, **models: StoredModel) -> Result:
    """The table says what each fold reads and why it leaves out the rest, decided inside the fold's training part only;
    a second table says how far the folds agree."""
    from trading_dag.plots.selection import selection_by_fold
    from trading_dag.validation.inference.selection_stability import selection_stability

    parts = [model.fitted.input_table() for model in models.values()]
    selection = pd.concat(parts, ignore_index=True)
    live_fold = at.settings.walk_forward.folds + 1
    stability = selection_stability(selection, live_fold=live_fold)
    frames = {INPUTS.name: selection, SELECTION_STABILITY.name: stability}
    return Result(
        frames,
        dict(_shares_of_safe(selection, live_fold=live_fold)),
        draw=lambda: {
            "features by fold": selection_by_fold(selection, stability, model=_PICTURED, live_fold=live_fold)
        },
    )


def _shares_of_safe(selection: pd.DataFrame, *, live_fold: int) -> dict[str, float]:
    """Share of the safe features that each live model reads, and the share that is present enough to be read."""
    live = selection[(selection["fold"] == live_fold) & selection["feature"].isin(SAFE_FEATURES)]
    by_model = live.groupby("model", sort=True)
    is_present = ~live["reason"].isin(("below_presence", "not_chosen", "not_listed"))
    return {f"safe features used by {model}": float(rows["is_used"].mean()) for model, rows in by_model} | {
        f"safe features present for {model}": float(is_present[rows.index].mean()) for model, rows in by_model
    }


@table_asset(REGISTRY, VERSIONS, reads={**_ALL_MODELS, "spread_lstm": Read(model="spread_lstm")}, code_version="7")
def registry(at: Slice, **models: StoredModel) -> Result:
    """The table has one row per fold of the version of each model that serves; a second one has a row for each stored
    version, which says whether it serves and why."""
    from trading_dag.models.learning.versions import versions_table

    folds = pd.concat([model.fitted.registry(model.version) for model in models.values()], ignore_index=True)
    versions = versions_table([record for model in models.values() for record in model.records])
    cards = {f"card of {model.fitted.name}": dg.MetadataValue.md(_card(model)) for model in models.values()}
    return Result({REGISTRY.name: folds, VERSIONS.name: versions}, cards)


def _card(model: StoredModel) -> str:
    """The card of a model that serves, without the scores, which come after it."""
    from trading_dag.reporting.model_card import model_card

    events = sorted((event for record in model.records for event in record.events), key=lambda event: event.at)
    return model_card(model.fitted, version=model.version, events=events)


@table_asset(COEFFICIENTS, reads=_MODELS, code_version="1")
def coefficients(at: Slice, direction_classifier: StoredModel, volatility_forecaster: StoredModel) -> pd.DataFrame:
    """The table holds the coefficients of the regressions and the gains of the trees, by fold."""
    from trading_dag.models.learning.importance import learnt_coefficients

    parts = [learnt_coefficients(model.fitted) for model in (direction_classifier, volatility_forecaster)]
    return pd.concat(parts, ignore_index=True)


DECLARATIONS: Final[tuple[Declaration, ...]] = (
    direction_classifier,
    volatility_forecaster,
    inputs,
    registry,
    coefficients,
)
