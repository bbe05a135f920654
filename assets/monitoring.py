"""What the project monitors about itself: how far features and forecasts drift from what the models were trained on,
and how good the newest forecasts were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from assets.declare.declaration import CrossRule, Declaration, Read, Result, Slice, table_asset
from trading_dag.drift.forecast_drift import DIRECTION_COLUMNS, PRICE_COLUMNS, VOLATILITY_COLUMNS
from trading_dag.quality import Rule
from trading_dag.schemas import (
    ACCURACY,
    DRIFT,
    FEATURE_TABLE,
    PREDICTIONS_DIRECTION,
    PREDICTIONS_LOG,
    PREDICTIONS_PRICE,
    PREDICTIONS_VOLATILITY,
    TARGETS,
)

if TYPE_CHECKING:
    from resources.io_managers.tables import StoredModel


def _warns(name: str, description: str) -> Rule:
    return Rule(name=name, description=description, severity="warn", is_blocking=False)


FEATURES_AS_TRAINED: Final = _warns(
    "features_as_trained", "No more features are beyond their limits than the settings let pass."
)
FORECASTS_AS_TRAINED: Final = _warns("forecasts_as_trained", "What the served models say is within its limits.")
SCORES_IN_BAND: Final = _warns("scores_in_band", "The newest scores are not below what was to be expected.")
COVERAGE_IN_BAND: Final = _warns(
    "coverage_in_band", "The 90 % interval holds as many of the newest outcomes as it promises."
)


def _moved_features(at: Slice, result: Result, _: Any) -> str | None:
    newest = newest_rows(result.frames[DRIFT.name])
    features = newest[newest["kind"] == "feature"]
    share = features["is_breached"].mean() if len(features) else 0.0
    limit = at.settings.drift.breached_share
    return f"{share:.0%} of {len(features)} features beyond their limits, {limit:.0%} pass" if share > limit else None


def _moved_forecasts(_: Slice, result: Result, __: Any) -> str | None:
    newest = newest_rows(result.frames[DRIFT.name])
    moved = newest[(newest["kind"] == "prediction") & newest["is_breached"]]
    told = [f"{row.feature}: index {row.psi:.3f}, limit {row.psi_limit:.3f}" for row in moved.itertuples()]
    return "; ".join(told) or None


def _scores_below(_: Slice, result: Result, __: Any) -> str | None:
    from trading_dag.drift.accuracy import breaches_in_words

    return breaches_in_words(result.frames[ACCURACY.name], of_scores=True)


def _coverage_outside(_: Slice, result: Result, __: Any) -> str | None:
    from trading_dag.drift.accuracy import breaches_in_words

    return breaches_in_words(result.frames[ACCURACY.name], of_scores=False)


def newest_rows(reports: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the newest report of one slice."""
    newest: pd.DataFrame = reports[reports["as_of_session"] == reports["as_of_session"].max()]
    return newest


@table_asset(
    DRIFT,
    reads={
        "features": FEATURE_TABLE,
        "direction_classifier": Read(model="direction_classifier"),
        "direction": Read(PREDICTIONS_DIRECTION, columns=DIRECTION_COLUMNS),
        "volatility": Read(PREDICTIONS_VOLATILITY, columns=VOLATILITY_COLUMNS),
        "price": Read(PREDICTIONS_PRICE, columns=PRICE_COLUMNS),
    },
    code_version="2",
    uses=("drift",),
    cross_rules=(
        CrossRule(DRIFT, FEATURES_AS_TRAINED, _moved_features),
        CrossRule(DRIFT, FORECASTS_AS_TRAINED, _moved_forecasts),
    ),
)
def drift(
    at: Slice,
    features: pd.DataFrame,
    direction_classifier: StoredModel,
    direction: pd.DataFrame,
    volatility: pd.DataFrame,
    price: pd.DataFrame,
) -> Result:
    """One report per session is appended to the earlier ones, so that a policy can ask for consecutive breaches: the
    population stability index of the last sessions of each safe feature, and of the probabilities and the interval
    width that the served models say, each against its 95 % quantile on windows of the training. What is told is a
    distance from the training, not whether forecasts are worse; that stands in `monitoring.accuracy`."""
    from trading_dag.drift.forecast_drift import forecast_drift_report
    from trading_dag.drift.psi import drift_report
    from trading_dag.plots.monitoring import drift_through_time

    settings = at.settings.drift
    earlier = at.store.read_or_empty(DRIFT, at.key)
    earlier["kind"] = earlier["kind"].fillna("feature")  # all that was reported before there were two kinds
    fitted_through = direction_classifier.fitted.folds[-1].fitted_through
    reports = earlier
    if fitted_through is not None and len(features):
        moved = drift_report(features, fitted_through=fitted_through, settings=settings)
        said = forecast_drift_report(
            direction, volatility, price, horizon=at.horizon, as_of=features["session"].max(),
            fitted_through=fitted_through, settings=settings,
        )  # fmt: skip
        report = pd.concat([moved, said], ignore_index=True).assign(ticker=at.ticker, horizon=at.horizon.key)
        before = earlier[~earlier["as_of_session"].isin(report["as_of_session"])]
        report = report[list(DRIFT.column_names)]
        reports = pd.concat([before, report], ignore_index=True) if len(before) else report
    return Result(
        {DRIFT.name: reports},
        _numbers_of_drift(reports),
        draw=lambda: {"what moved": drift_through_time(reports, breached_share=settings.breached_share)},
    )


def _numbers_of_drift(reports: pd.DataFrame) -> dict[str, Any]:
    """What the UI plots over time: by kind the share beyond its limits, and the largest index over its limit."""
    newest = newest_rows(reports)
    numbers: dict[str, Any] = {}
    for kind, name in (("feature", "features"), ("prediction", "forecasts")):
        rows = newest[newest["kind"] == kind]
        if len(rows):
            numbers[f"share of {name} beyond their limits"] = float(rows["is_breached"].mean())
    limited = newest[newest["psi_limit"] > 0]
    if len(limited):
        ratios = (limited["psi"] / limited["psi_limit"]).to_numpy(dtype="float64")
        numbers["largest index over its limit"] = float(ratios.max())
        numbers["drifted most"] = str(limited["feature"].iloc[int(ratios.argmax())])
    return numbers


@table_asset(
    ACCURACY,
    reads={
        "direction": PREDICTIONS_DIRECTION,
        "volatility": PREDICTIONS_VOLATILITY,
        "price": PREDICTIONS_PRICE,
        "log": PREDICTIONS_LOG,
        "targets": TARGETS,
    },
    code_version="1",
    uses=("drift",),
    cross_rules=(
        CrossRule(ACCURACY, SCORES_IN_BAND, _scores_below),
        CrossRule(ACCURACY, COVERAGE_IN_BAND, _coverage_outside),
    ),
)
def accuracy(
    at: Slice,
    direction: pd.DataFrame,
    volatility: pd.DataFrame,
    price: pd.DataFrame,
    log: pd.DataFrame,
    targets: pd.DataFrame,
) -> Result:
    """For every session the mean score of the newest forecasts whose outcome was known by then, against a band from the
    out-of-sample forecasts before them. Judged on `predictions.log` where it has a whole window of live forecasts. A
    gain below its band in consecutive sessions asks for retraining; a coverage outside only warns, because the
    distribution of prices learns on with every session."""
    from trading_dag.drift.accuracy import accuracy_report
    from trading_dag.plots.monitoring import accuracy_through_time

    report = accuracy_report(
        {"direction": direction, "volatility": volatility, "price": price}, log, targets,
        source=targets.attrs.get("source"), horizon=at.horizon, settings=at.settings.drift,
    )  # fmt: skip
    return Result(
        {ACCURACY.name: report},
        _numbers_of_accuracy(report),
        draw=lambda: {"rolling accuracy": accuracy_through_time(report)},
    )


def _numbers_of_accuracy(report: pd.DataFrame) -> dict[str, Any]:
    """What the UI plots over time: each newest gain with the ends of its band, and the coverage."""
    from trading_dag.drift.accuracy import newest_of_each

    numbers: dict[str, Any] = {}
    for row in newest_of_each(report).to_dict("records"):
        name = f"{row['task']} {row['metric']}"
        told = {f"{name} gain": row["gain"], f"{name} band low": row["band_low"], f"{name} band high": row["band_high"]}
        if row["task"] == "price":
            told = {name: row["value"], f"{name} nominal": row["baseline_value"]}
        numbers |= {key: float(value) for key, value in told.items() if pd.notna(value)}
        numbers[f"{name} judged on"] = str(row["judged_on"])
    return numbers


DECLARATIONS: Final[tuple[Declaration, ...]] = (drift, accuracy)
