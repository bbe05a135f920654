"""The card of a model: in one page what it is, what it has learnt from, how good it was, and how to make it again.

Here belongs the text, in Markdown, from values that are stored. The UI shows it with the registry of a slice, without
scores; the command line prints it with them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Final

import pandas as pd

from trading_dag.models.learning.fitted import FittedFold, FittedModel
from trading_dag.models.learning.versions import ServingEvent, challenges_since_first
from trading_dag.reporting.model_families import FAMILIES
from trading_dag.validation.gates.champion import score_of
from trading_dag.validation.scores.tasks import Task

MOST_FEATURES: Final = 60
IN_WORDS: Final = {
    "skilled": "better, and the interval says so",
    "admissible": "no worse, but the interval holds no gain for certain",
    "unskilled": "**no skill**: worse, or no better",
    "insufficient_data": "too few rows to say",
    "no_verdict": "no verdict: the baseline gives no probabilities",
}


def model_card(
    fitted: FittedModel,
    *,
    version: str,
    events: Sequence[ServingEvent] = (),
    task: Task | None = None,
    scores: pd.DataFrame | None = None,
) -> str:
    """Return the card of one version of a model.

    Parameters
    ----------
    fitted, version : the model and its name in the store.
    events : all that happened to the versions of its slice.
    task : what it forecasts; None where no scores belong to it.
    scores : evaluation.metrics of the slice; None where they are not to be shown, so that they cannot be out of date.
    """
    parts = [
        f"# {fitted.name}, {fitted.ticker} {fitted.horizon}",
        *_family(fitted.name),
        *_serving(version, events),
        *_data(fitted),
        *_scores(fitted, task, scores),
        *_live_models(fitted),
        *_reproduction(fitted, version),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _family(name: str) -> Iterator[str]:
    family = FAMILIES.get(name)
    if family is not None:
        yield family.what
        yield f"**Limits:** {family.limits}"


def _serving(version: str, events: Sequence[ServingEvent]) -> Iterator[str]:
    yield f"Version `{version}`."
    own = [event for event in events if event.version == version]
    yield "\n".join(f"- {event.at[:16].replace('T', ' ')} UTC, {event.event}: {event.reason}" for event in own)
    challenges = challenges_since_first(events)
    if challenges:
        yield (
            f"Versions of this slice were compared {challenges} times, and the better one went on each time. That is "
            "done on the sessions that are scored, so it flatters the scores a little."
        )


def _data(fitted: FittedModel) -> Iterator[str]:
    yield "## What it has learnt from"
    rows = [
        (
            fold.model, _number(fold, fitted), _day(fold.train_first_session), _day(fold.train_last_session),
            _day(fold.serves_from), str(fold.n_train),
            ", ".join(f"{name} {count}" for name, count in fold.class_counts.items()) or "–",
            str(len(fold.features)), fold.status if fold.reason is None else f"{fold.status}: {fold.reason}",
        )
        for fold in fitted.folds
    ]  # fmt: skip
    yield _table(("model", "fold", "from", "to", "forecasts from", "rows", "classes", "features", "status"), rows)
    if fitted.training:
        yield "Chosen: " + ", ".join(f"{name} {json.dumps(value)}" for name, value in fitted.training.items()) + "."


def _scores(fitted: FittedModel, task: Task | None, scores: pd.DataFrame | None) -> Iterator[str]:
    yield "## How good it was out of sample"
    if task is None or scores is None:
        yield (
            "The scores stand in `evaluation.metrics`, which is computed from the forecasts; "
            f"`trading-dag models card {fitted.name} {fitted.ticker} {fitted.horizon}` shows them."
        )
        return
    shown = {score_of(task), *task.block_losses}
    chosen = scores[
        (scores["task"] == task.name)
        & scores["metric"].isin(shown)
        & (scores["baseline"] != "none")
        & scores["model"].isin(fitted.models)
    ]
    if chosen.empty:
        yield "Nothing is scored yet: `trading-dag evaluate` does it."
        return
    rows = [
        (
            f"**{row['model']}**" if row["is_served"] else row["model"],
            row["metric"],
            _figure(row["value"]),
            row["baseline"],
            _figure(row["baseline_value"]),
            _gain(row["difference"], row["difference_ci_low"], row["difference_ci_high"]),
            str(row["n"]),
            IN_WORDS.get(row["verdict"], row["verdict"]),
        )
        for row in chosen.to_dict("records")
    ]
    yield _table(("model", "score", "value", "baseline", "its value", "gain, with interval", "sessions", ""), rows)
    served = chosen[chosen["is_served"] & (chosen["metric"] == score_of(task))]
    lost = sorted(served.loc[~served["verdict"].isin(["skilled", "no_verdict"]), "baseline"])
    yield "The model that signals use stands in bold type; a gain is positive where the model is better." + (
        f" Against {', '.join(lost)} it shows no certain skill." if lost else ""
    )


def _live_models(fitted: FittedModel) -> Iterator[str]:
    yield "## The live models"
    for model in fitted.models:
        fold = fitted.folds_of(model)[-1]
        names = [f"`{name}`" for name in fold.features[:MOST_FEATURES]]
        more = len(fold.features) - len(names)
        features = ", ".join(names) + (f" and {more} more" if more > 0 else "") if names else "none"
        parameters = json.dumps(fold.hyperparameters, sort_keys=True, ensure_ascii=False)
        yield f"**{model}**, threshold {'–' if fold.threshold is None else f'{fold.threshold:.2f}'}: `{parameters}`"
        yield f"Reads {len(fold.features)} features: {features}."


def _reproduction(fitted: FittedModel, version: str) -> Iterator[str]:
    yield "## How to make it again"
    yield (
        f"`trading-dag train --tickers {fitted.ticker} --horizons {fitted.horizon} --model {fitted.name}` on the same "
        f"inputs, settings and libraries gives the same digits, `{version[-8:]}`."
    )
    yield _table(("input", "content"), [(f"`{name}`", f"`{value[:16]}`") for name, value in fitted.inputs.items()])
    yield "Libraries: " + ", ".join(f"{name} {number}" for name, number in fitted.libraries.items()) + "."


def _number(fold: FittedFold, fitted: FittedModel) -> str:
    is_live = fold.fold == max(other.fold for other in fitted.folds)
    return f"{fold.fold} (live)" if is_live else str(fold.fold)


def _figure(value: float) -> str:
    return f"{value:.5f}" if math.isfinite(value) else "–"


def _gain(difference: float, low: float, high: float) -> str:
    return f"{difference:+z.5f} [{low:+z.5f}, {high:+z.5f}]" if math.isfinite(difference) else "–"


def _day(day: pd.Timestamp | None) -> str:
    return "–" if day is None else f"{day:%Y-%m-%d}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
