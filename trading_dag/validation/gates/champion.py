"""Champion and challenger: whether a new version of a model takes the place of the one that serves.

Here belongs the comparison of two versions on the sessions that both forecast out of sample, and what follows from it.
Who makes the forecasts, and which version is pointed to, is decided elsewhere.

Two versions were fitted at different times, so they saw different data. What can be compared are their walk-forward
forecasts: each session is forecast by the newest fold of either version that had seen nothing after it, and counts
where both have one and the outcome is known. Live models are left out: that of the new version has no outcome yet, and
that of the old one has seen years more than the new one's last fold, so every new version would lose to it. Both
forecast from the data as they are today.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from trading_dag.setting_groups import BootstrapSettings, ChampionSettings
from trading_dag.slices import Horizon
from trading_dag.validation.inference.uncertainty import bootstrap_weights, mean_block_length, percentile_interval
from trading_dag.validation.scores.tasks import Task

DecisionKind = Literal[
    "first", "same_model", "newest", "other_code", "other_settings", "not_comparable", "too_few_sessions", "restated",
    "no_worse", "worse",
]  # fmt: skip
_OUTCOMES: Final = ("y_true", "forward_return")


# The proper score of a task where it is not the first of those that decide the blocks.
PREFERRED: Final[Mapping[str, str]] = {"volatility": "rps"}


def score_of(task: Task) -> str:
    """Return the proper score by which versions of a task's served model are compared; smaller is better."""
    return PREFERRED.get(task.name, task.block_losses[0])


@dataclass(frozen=True)
class Comparison:
    """Tells how a challenger did beside the champion on the same sessions.

    Attributes
    ----------
    metric : the proper score; smaller is better.
    sessions : how many the folds of both forecast out of sample, with a known outcome.
    first_session, last_session : ends of those, ISO dates; None without any.
    champion_score, challenger_score : mean of the metric on them; None without any.
    difference : champion's less challenger's: positive where the challenger is better.
    difference_ci_low, difference_ci_high : its interval from paired draws of the stationary bootstrap.
    """

    metric: str
    sessions: int
    first_session: str | None = None
    last_session: str | None = None
    champion_score: float | None = None
    challenger_score: float | None = None
    difference: float | None = None
    difference_ci_low: float | None = None
    difference_ci_high: float | None = None

    def __str__(self) -> str:
        if self.difference is None:
            return f"no common session with a known outcome ({self.metric})"
        return (
            f"{self.metric} {self.challenger_score:.5f} against {self.champion_score:.5f}, gain {self.difference:+.6f} "
            f"[{self.difference_ci_low:+.6f}, {self.difference_ci_high:+.6f}] on {self.sessions} common sessions "
            f"from {self.first_session} to {self.last_session}"
        )


@dataclass(frozen=True)
class Candidacy:
    """Holds what is known when a new version asks to serve.

    Attributes
    ----------
    champion : the version that serves; None where none does.
    is_same_model : whether the new version has the content of the champion.
    changed : what differs from the last fit, of ``code_version`` and ``settings``.
    restated_share : share of the champion's stored forecasts that would read otherwise on the data of today; None where
        none are stored.
    comparison : None where the two cannot be compared, with ``why_not``.
    """

    champion: str | None
    is_same_model: bool = False
    changed: tuple[str, ...] = ()
    restated_share: float | None = None
    comparison: Comparison | None = None
    why_not: str | None = None


@dataclass(frozen=True)
class Decision:
    """Tells whether a new version serves, and why.

    Attributes
    ----------
    serves : whether it takes the champion's place.
    kind : which rule decided.
    reason : a sentence for people.
    comparison : of the two, where there is one; also where it did not decide.
    """

    serves: bool
    kind: DecisionKind
    reason: str
    comparison: Comparison | None = None

    def record(self) -> dict[str, Any]:
        """Return it in JSON types."""
        return asdict(self)


def decide(candidacy: Candidacy, settings: ChampionSettings) -> Decision:
    """Return whether a new version takes the place of the one that serves.

    It does where it is no worse on the same sessions: where its score is at most the share ``tolerance`` above the
    champion's. Where the folds begin moves with every new session, and with it the score of one and the same recipe; a
    rule without tolerance would toss a coin, keep the winner, and let what serves grow old.

    It does without that question where nothing can answer it (the first version, too few common sessions, no forecasts
    to compare), where the same model came out again, where the code or the settings were changed since the last fit
    (whoever changed them wants them applied), or where the data from which the champion learnt were restated.

    Parameters
    ----------
    candidacy : the versions and what is known of them.
    settings : rule, tolerance and limits.
    """
    comparison = candidacy.comparison

    def told(kind: DecisionKind, reason: str, *, serves: bool = True) -> Decision:
        beside = f" ({comparison})" if comparison and kind not in ("worse", "no_worse", "too_few_sessions") else ""
        return Decision(serves, kind, reason + beside, comparison)

    if candidacy.champion is None:
        return told("first", "the first version of this slice")
    if candidacy.is_same_model:
        return told("same_model", f"the same model as {candidacy.champion}, bit for bit")
    if settings.rule == "newest":
        return told("newest", "every new version serves, by the setting or by train --serve")
    if candidacy.changed:
        kind: DecisionKind = "other_code" if "code_version" in candidacy.changed else "other_settings"
        what = "another definition of the model" if kind == "other_code" else "other settings"
        return told(kind, f"fitted with {what} than the version before")
    if comparison is None:
        return told("not_comparable", f"it cannot be compared: {candidacy.why_not}")
    share = candidacy.restated_share
    if share is not None and share > settings.restated_share:
        return told("restated", f"the data were restated: {share:.1%} of the champion's forecasts read otherwise today")
    if comparison.difference is None or comparison.sessions < settings.minimum_sessions:
        fewer = f"{comparison.sessions} common sessions, fewer than {settings.minimum_sessions}"
        return told("too_few_sessions", f"too little to compare: {fewer}")
    tolerated = _tolerated(comparison, settings)
    allowed = f"; {tolerated:.6f} worse would be tolerated" if tolerated else ""
    if comparison.difference >= -tolerated:
        return told("no_worse", f"no worse than {candidacy.champion}: {comparison}{allowed}")
    return told("worse", f"worse than {candidacy.champion}, which goes on: {comparison}{allowed}", serves=False)


def compare_forecasts(
    champion: pd.DataFrame,
    challenger: pd.DataFrame,
    *,
    task: Task,
    horizon: Horizon,
    settings: BootstrapSettings,
    model: str | None = None,
    metric: str | None = None,
) -> Comparison:
    """Return how two versions did on the sessions that both forecast out of sample and whose outcome is known.

    Parameters
    ----------
    champion, challenger : forecasts of the folds in the shape of the task's predictions table, both from the data of
        today; see ``of_folds``. Rows of the served model that look as far ahead as the horizon are compared.
    task : what is forecast.
    horizon, settings : for block lengths; draws, confidence and seed.
    model, metric : whose rows are compared, by which loss; None for the task's served model and ``score_of`` the task.
    """
    metric = metric or score_of(task)
    chosen = model or task.served_model
    ours, theirs = (_scored_rows(frame, task, horizon, model=chosen) for frame in (challenger, champion))
    common = ours.index.intersection(theirs.index)
    if not len(common):
        return Comparison(metric, 0)
    new, old = (task.scored(rows.loc[common]).losses[metric] for rows in (ours, theirs))
    gained = old - new
    weights = bootstrap_weights(
        len(gained), mean_block=mean_block_length(gained, steps=horizon.gap_sessions), settings=settings
    )
    low, high = percentile_interval(weights @ gained / len(gained), confidence=settings.confidence)
    return Comparison(
        metric=metric,
        sessions=len(common),
        first_session=f"{common[0]:%Y-%m-%d}",
        last_session=f"{common[-1]:%Y-%m-%d}",
        champion_score=float(old.mean()),
        challenger_score=float(new.mean()),
        difference=float(gained.mean()),
        difference_ci_low=low,
        difference_ci_high=high,
    )


def of_folds(forecasts: pd.DataFrame, *, live_fold: int) -> pd.DataFrame:
    """Return the forecasts that walk-forward folds have made; those of the live model are left out."""
    return forecasts[forecasts["fold"] < live_fold]


def restated_share(stored: pd.DataFrame, today: pd.DataFrame, *, model: str, model_version: str) -> float | None:
    """Return the share of a version's stored forecasts that it would not make again from the data of today.

    Parameters
    ----------
    stored : the predictions table as it is stored.
    today : forecasts of the same version from the data of today.
    model, model_version : whose rows count. None is returned where no such rows are stored.
    """
    rows = [name for name in ("session", "target_session") if name in stored.columns]
    before = stored[(stored["model"] == model) & (stored["model_version"] == model_version)].set_index(rows)
    after = today[today["model"] == model].set_index(rows)
    common = before.index.intersection(after.index)
    if not len(common):
        return None
    numbers = [
        name for name in before.columns
        if name not in _OUTCOMES and name in after.columns and before[name].dtype.kind == "f"
    ]  # fmt: skip
    one, other = (frame.loc[common, numbers].to_numpy(dtype=np.float64) for frame in (before, after))
    is_alike = np.isclose(one, other, rtol=1e-9, atol=1e-12, equal_nan=True).all(axis=1)
    return float(1.0 - is_alike.mean())


def decisive(comparisons: Sequence[Comparison], settings: ChampionSettings) -> Comparison:
    """Return the comparison that decides, of one for each task that a model forecasts: the first in which the
    challenger is worse than is tolerated; the first of all where there is none.

    Parameters
    ----------
    comparisons : the first is that of the model's own task. One of too few sessions says nothing.
    """
    worse = (
        told
        for told in comparisons
        if told.difference is not None
        and told.sessions >= settings.minimum_sessions
        and told.difference < -_tolerated(told, settings)
    )
    return next(worse, comparisons[0])


def _tolerated(comparison: Comparison, settings: ChampionSettings) -> float:
    return settings.tolerance * abs(comparison.champion_score or 0.0)


def _scored_rows(frame: pd.DataFrame, task: Task, horizon: Horizon, *, model: str | None) -> pd.DataFrame:
    """The rows of a model whose outcome is known, by session."""
    whole = next((part.frame for part in task.parts(frame, horizon) if not part.suffix), frame.iloc[:0])
    is_known = whole[task.outcome].notna() & (whole["model"] == model)
    if "is_out_of_sample" in whole.columns:
        is_known &= whole["is_out_of_sample"]
    return whole[is_known].set_index("session").sort_index()
