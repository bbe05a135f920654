"""Gathers what is known when a model was fitted anew, and asks whether the new version serves.

Here belongs which forecasts are made and read for that. The rule itself stands in ``validation.gates.champion``; what
follows from the decision, in the IO manager and the model store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trading_dag.errors import DataQualityError, SliceNotFoundError, StorageError
from trading_dag.validation.gates.champion import (
    Candidacy,
    Comparison,
    Decision,
    compare_forecasts,
    decide,
    decisive,
    of_folds,
    restated_share,
)
from trading_dag.validation.scores.tasks import task_of

if TYPE_CHECKING:
    import pandas as pd

    from assets.declare.declaration import Declaration, Forecasts, Slice
    from resources.storage.models.store import ModelStore
    from resources.storage.parquet_store import ParquetStore, SliceKey
    from trading_dag.models.learning.fitted import FittedModel
    from trading_dag.setting_groups import BootstrapSettings
    from trading_dag.settings import Settings
    from trading_dag.slices import Horizon


def decision_of(
    declaration: Declaration, at: Slice, fitted: FittedModel, inputs: Mapping[str, Any], models: ModelStore
) -> tuple[Decision, str | None]:
    """Return whether a model that was just fitted serves, and the version that has served until now.

    Parameters
    ----------
    fitted : with the content hash of each input and the fingerprint of code and settings.
    inputs : what it was fitted on, by parameter name.
    """
    champion = models.version_in_use(fitted.name, ticker=fitted.ticker, horizon=fitted.horizon)
    candidacy = _candidacy(declaration, at, fitted, inputs, models, champion)
    return decide(candidacy, at.settings.champion), champion


def _candidacy(
    declaration: Declaration,
    at: Slice,
    fitted: FittedModel,
    inputs: Mapping[str, Any],
    models: ModelStore,
    champion: str | None,
) -> Candidacy:
    from resources.storage.models.serving import inputs_of_last_fit

    where = {"ticker": fitted.ticker, "horizon": fitted.horizon}
    if champion is None:
        return Candidacy(None)
    if champion.endswith(f"-{fitted.model_version}"):
        return Candidacy(champion, is_same_model=True)
    forecasts = declaration.forecasts
    if forecasts is None:
        return Candidacy(champion, why_not="how versions of this family are compared is not declared")
    try:
        served = models.load(fitted.name, version=champion, **where)
        if served.inputs.get("code_version") != fitted.inputs.get("code_version"):
            return Candidacy(champion, changed=("code_version",))
        before = inputs_of_last_fit(models, fitted.name, **where) or {}
        changed = ("settings",) if before.get("settings") != fitted.inputs.get("settings") else ()
        old, new = (forecasts.make(model, inputs, at.horizon, at.settings) for model in (served, fitted))
        comparisons = [
            compared(forecasts, (served, old), (fitted, new), horizon=at.horizon, settings=at.settings.bootstrap),
            *(
                compared_in(other, served, fitted, inputs, horizon=at.horizon, settings=at.settings)
                for other in forecasts.also
            ),
        ]
        comparison = decisive(comparisons, at.settings.champion)
    except (StorageError, DataQualityError) as problem:
        # What serves is damaged, or asks for columns that are gone: the new version is the one that works.
        return Candidacy(champion, why_not=str(problem))
    stored = _stored(forecasts, at.store, at.key)
    share = None
    if stored is not None:
        model = forecasts.model or task_of(forecasts.task).served_model or ""
        share = restated_share(stored, old, model=model, model_version=served.model_version)
    return Candidacy(champion, changed=changed, restated_share=share, comparison=comparison)


def compared(
    forecasts: Forecasts,
    champion: tuple[FittedModel, pd.DataFrame],
    challenger: tuple[FittedModel, pd.DataFrame],
    *,
    horizon: Horizon,
    settings: BootstrapSettings,
) -> Comparison:
    """Return how two versions of a model did on the sessions that the folds of both forecast.

    Parameters
    ----------
    champion, challenger : a version, and what it forecasts from the data of today.
    """
    old, new = (
        of_folds(frame, live_fold=max(fold.fold for fold in model.folds)) for model, frame in (champion, challenger)
    )
    return compare_forecasts(
        old, new, task=task_of(forecasts.task), horizon=horizon, settings=settings, model=forecasts.model,
        metric=forecasts.metric,
    )  # fmt: skip


def compared_in(
    forecasts: Forecasts,
    champion: FittedModel,
    challenger: FittedModel,
    inputs: Mapping[str, Any],
    *,
    horizon: Horizon,
    settings: Settings,
) -> Comparison:
    """Return how two versions of a model did in one of the tasks that it forecasts, both on the inputs of today."""
    old, new = ((model, forecasts.make(model, inputs, horizon, settings)) for model in (champion, challenger))
    return compared(forecasts, old, new, horizon=horizon, settings=settings.bootstrap)


def _stored(forecasts: Forecasts, store: ParquetStore, key: SliceKey) -> pd.DataFrame | None:
    """The forecasts as they are stored; None where there are none, or none that can be read (they are made again)."""
    try:
        return store.read(forecasts.table, key)
    except (SliceNotFoundError, StorageError):
        return None
