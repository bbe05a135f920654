"""The page of models: how good each forecast was out of sample, beside what costs nothing, and which version serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd
import streamlit as st

from trading_dag.dashboard.page import PageContext, show_chart, show_nothing, show_table
from trading_dag.dashboard.views import model_charts as charts
from trading_dag.dashboard.views import model_data as data
from trading_dag.dashboard.words import named, plain
from trading_dag.reporting.multiplicity_page import survivors_in_words
from trading_dag.schemas.vocabulary import TASKS
from trading_dag.validation.scores.metric_names import meaning_of_metric

if TYPE_CHECKING:
    from resources.storage.versioned_reader import VersionedReader

_VERDICTS: Final = (
    "Filled circle: skilled, the whole interval is better. Hollow: admissible, not proven. Cross: no better. "
    "Comparisons that are not fair, such as with a hard call, stand in the table alone."
)
_VERSIONS: Final = {
    "family": "family", "model_version": "version", "serves": "serves", "fitted_at": "fitted, UTC",
    "train_first_session": "learnt from", "fitted_through": "to the outcome of", "decision": "decided by",
    "reason": "reason", "compared_sessions": "sessions compared", "score": "its score",
    "score_of_other": "champion's score", "difference": "gain", "last_event": "last event",
    "last_event_at": "when, UTC",
}  # fmt: skip


def read_ahead(reader: VersionedReader, ticker: str, horizons: tuple[str, ...]) -> None:
    """Read what the page needs of a ticker, so that whoever opens it first need not wait."""
    task, horizon = TASKS[0], horizons[0]
    data.metrics_data(reader, ticker, horizon, task)
    for model in data.models_of(reader, ticker, horizon, task)[:1]:
        data.folds_data(reader, ticker, horizon, task, model)
        data.reliability_data(reader, ticker, horizon, task, model)
    data.states_data(reader, ticker)


def render(context: PageContext) -> None:
    """Show one task's scores, folds, reliability, calls and importance, then versions, trials and market states."""
    with st.container(horizontal=True, gap="small"):
        task = st.selectbox("What is forecast", TASKS, format_func=named, width=180)
        models = data.models_of(context.reader, context.ticker, context.horizon, task)
        model = st.selectbox("Model", models, format_func=named, width=260) if models else None
    if model is None:
        text = f"No model has forecast {named(task)} for {context.ticker} {context.horizon}."
        show_nothing("No forecasts yet", text, command="trading-dag run")
    else:
        _show_scores(context, task)
        _show_folds(context, task, model)
        _show_reliability(context, task, model)
        _show_importance(context, task, model)
    _show_versions(context)
    _show_trials(context)
    _show_states(context)


def _show_scores(context: PageContext, task: str) -> None:
    metrics = data.metrics_data(context.reader, context.ticker, context.horizon, task)
    names = data.metric_names(metrics, task)
    if not names:
        why = "No model could be held against a baseline: trading-dag evaluate scores stored forecasts."
        show_chart(None, metrics, title="Scores against baselines", says="", as_of=None, nothing=why)
        return
    metric = st.selectbox("Score", names, format_func=named, width=260)
    known = meaning_of_metric(metric)
    scores = data.scores_data(metrics, metric)
    says = f"{named(metric)}: {known.meaning}. " if known else ""
    says += f"Right of zero is better than the baseline, with a 95 % block-bootstrap interval. {_VERDICTS}"
    as_of = _scored_to(context, task)
    show_chart(charts.scores_figure(scores, unit=known.unit if known else ""), scores,
               title="Scores against baselines", says=says, as_of=as_of)  # fmt: skip
    tested = context.reader.query("FROM evaluation.multiplicity")
    if len(tested):
        st.info(plain(survivors_in_words(tested)), icon=":material/functions:")
    with st.expander("Every score of every model", icon=":material/table:"):
        show_table(metrics, title="All scores", says="As in evaluation.metrics; positive differences are better.",
                   as_of=as_of, height=400)  # fmt: skip


def _scored_to(context: PageContext, task: str) -> pd.Timestamp | None:
    rows = context.reader.query(
        f"SELECT max(session) AS last FROM predictions.{task} WHERE ticker = ? AND horizon = ? "  # noqa: S608  # of TASKS
        + ("" if task == "allocation" else "AND y_true IS NOT NULL"),
        [context.ticker, context.horizon],
    )
    return rows["last"].iloc[0] if len(rows) else None


def _show_folds(context: PageContext, task: str, model: str) -> None:
    folds = data.folds_data(context.reader, context.ticker, context.horizon, task, model)
    drawn = folds.dropna(subset=["train_first_session", "fitted_through"])
    show_chart(
        charts.folds_figure(drawn) if len(drawn) else None, folds, title="Training history: folds on a time axis",
        says=f"{named(model)}: each fold forecasts only after the last outcome that it had learnt from. The newest "
        "makes today's forecast; the rows and features of each fold are in the download.",
        as_of=folds["fitted_through"].max(), nothing=f"{named(model)} is not fitted in folds: it learns on as it goes.",
    )  # fmt: skip


def _show_reliability(context: PageContext, task: str, model: str) -> None:
    rows = data.reliability_data(context.reader, context.ticker, context.horizon, task, model)
    as_of = _scored_to(context, task)
    show_chart(
        charts.reliability_figure(rows) if len(rows) else None, rows, title="Reliability of probabilities",
        says=f"{named(model)}: of all sessions that were given a probability, how many came true. On the dashed line "
        "the two agree; below it was too sure. Intervals are 95 %; hollow marks stand for fewer than 30 sessions.",
        as_of=as_of, nothing="This model gives no probabilities, or none has an outcome yet.",
    )  # fmt: skip
    if task in data.CLASSES:
        calls = data.confusion_data(context.reader, context.ticker, context.horizon, task, model)
        show_chart(
            charts.confusion_figure(calls, data.CLASSES[task]) if len(calls) else None, calls,
            title="Calls and outcomes",
            says=f"{named(model)}: sessions out of sample by what came (rows) and what was called (columns); the share "
            "is of what came." + (" Moves within the dead band are left out." if task == "direction" else ""),
            as_of=as_of, nothing="No forecast has a known outcome yet.",
        )  # fmt: skip


def _show_importance(context: PageContext, task: str, model: str) -> None:
    rows = data.importance_data(context.reader, context.ticker, context.horizon, task, model)
    kinds = [kind for kind in ("group", "feature") if (rows["kind"] == kind).any()]
    kind = kinds[0] if len(kinds) == 1 else None
    if len(kinds) > 1:
        kind = st.segmented_control("Importance of", kinds, default=kinds[0], required=True)
    show_chart(
        charts.importance_figure(rows, kind=kind) if kind else None, rows, title="Importance",
        says=f"{named(model)}: how much worse its forecasts get where the values are shuffled among test sessions. "
        "What crosses zero is not needed. The largest twenty.",
        as_of=_scored_to(context, task), nothing="Importance is computed for models of direction and volatility.",
    )  # fmt: skip


def _show_versions(context: PageContext) -> None:
    versions = data.versions_data(context.reader, context.ticker, context.horizon)
    as_of = "never" if versions.empty else f"{versions['fitted_at'].max():%Y-%m-%d %H:%M} UTC, the newest fit"
    show_chart(
        charts.versions_figure(versions), versions, title="Champion and challengers",
        says="What each new version gained over the one that served, on sessions that the folds of both forecast out "
        "of sample, with its interval. A circle serves, a cross does not.", as_of=as_of,
        nothing="No version was compared with another yet: the next training, trading-dag train, makes a challenger.",
    )  # fmt: skip
    listed = versions.assign(family=versions["family"].map(named), decision=versions["decision"].map(named))
    show_table(listed[list(_VERSIONS)].rename(columns=_VERSIONS), title="Versions", says="Every stored version, its "
               "data window, whether it serves and why. trading-dag models promotes and rolls back.", as_of=as_of,
               height=280, columns={_VERSIONS[name]: st.column_config.DateColumn() for name in
                                    ("train_first_session", "fitted_through")})  # fmt: skip


def _show_trials(context: PageContext) -> None:
    trials = data.trials_data(context.reader, context.ticker, context.horizon)
    title = "Tuning trials"
    if trials.empty:
        show_chart(None, trials, title=title, says="", as_of=None, nothing="Nothing was tuned: every learner has its "
                   "starting values. trading-dag tune searches on rows before every test part.")  # fmt: skip
        return
    columns = ["family", "study_window", "study"]
    searches = [tuple(row) for row in trials[columns].drop_duplicates().to_numpy()]
    search = st.selectbox("Search", searches, format_func=lambda key: f"{named(key[0])}, {named(key[1])}", width=320)
    rows = trials[(trials["family"] == search[0]) & (trials["study"] == search[2])]
    show_chart(charts.trials_figure(rows), rows, title=title, says="The score of every set of hyperparameters, less is "
               "better; grey crosses were ended early.", as_of=rows["last_session"].max())  # fmt: skip


def _show_states(context: PageContext) -> None:
    states = data.states_data(context.reader, context.ticker)
    show_chart(
        charts.states_figure(states, ticker=context.ticker) if len(states) else None, states,
        title="Market states over the price", says="Each close by the state that was the most probable at that close, "
        "as it was known then: parameters come from earlier years only.",
        as_of=None if states.empty else states["session"].max(),
        nothing="No year has three years of sessions before it.",
    )  # fmt: skip
