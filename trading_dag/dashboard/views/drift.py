"""The page of drift and quality: how far data and accuracy have moved, and which rules stored data break."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from resources.storage.stored_warnings import stored_warnings
from trading_dag.dashboard.page import PageContext, show_chart, show_numbers, show_table
from trading_dag.dashboard.views import drift_frames as frames
from trading_dag.dashboard.words import named
from trading_dag.schemas import TABLES


def render(context: PageContext) -> None:
    """Show accuracy against its band, drift of features, coverage and broken rules."""
    _show_accuracy(context)
    _show_drift(context)
    _show_rules(context)


def _show_accuracy(context: PageContext) -> None:
    accuracy = frames.accuracy_data(context.reader, context.ticker, context.horizon)
    why = "No window of forecasts was judged yet: the next trading-dag run or refresh writes monitoring.accuracy."
    if accuracy.empty:
        show_chart(None, accuracy, title="Accuracy and coverage", says="", as_of=None, nothing=why)
        return
    task = st.segmented_control("Forecast of", list(accuracy["task"].unique()), default=accuracy["task"].iloc[0],
                                format_func=named, required=True)  # fmt: skip
    last = accuracy[accuracy["task"] == task].iloc[-1]
    show_chart(
        frames.accuracy_figure(accuracy, task=task), accuracy[accuracy["task"] == task], title="Accuracy and coverage",
        says=f"{named(last['metric'])} of {named(last['model'])} less that of {named(last['baseline'])} on the newest "
        f"{last['n']:,} forecasts with an outcome ({named(last['judged_on'])}); positive is better, of coverage the "
        "share inside less 0.9. A cross is outside the band.",
        as_of=last["as_of_session"],
    )  # fmt: skip


def _show_drift(context: PageContext) -> None:
    drift = frames.drift_data(context.reader, context.ticker, context.horizon)
    title = "Features that moved"
    if drift.empty:
        show_chart(None, drift, title=title, says="", as_of=None, nothing="No drift report yet: trading-dag run.")
        return
    as_of = drift["as_of_session"].max()
    last = drift[drift["as_of_session"] == as_of]
    show_numbers(
        (
            ("features beyond their limit", f"{last['is_breached'].sum():,} of {len(last):,}", "The limit is the 95 % "
             "quantile of the same statistic on blocks of the training window."),
            ("share that asks for retraining", f"{context.settings.drift.breached_share:.0%}",
             f"{context.settings.drift.consecutive_breaches} reports in a row."),
            ("reports stored", f"{drift['as_of_session'].nunique():,}", ""),
        )
    )  # fmt: skip
    recent, reference = last["n_recent"].max(), last["n_reference"].max()
    window = f"the latest {recent:,} sessions against {reference:,} of the training window"
    show_chart(
        frames.latest_figure(drift), last, title=title, as_of=as_of,
        says=f"Population stability index over its limit, {window}; beyond the dashed line is drift. The largest 30.",
    )  # fmt: skip
    order = list(last.sort_values("ratio", ascending=False)["feature"])
    feature = st.selectbox("Feature through time", order, width=320)
    show_chart(
        frames.feature_figure(drift, feature), drift[drift["feature"] == feature], title="One feature through time",
        says=f"PSI of {feature} in every stored report, with its limit.", as_of=as_of,
    )  # fmt: skip


def _show_rules(context: PageContext) -> None:
    def make() -> pd.DataFrame:
        warnings = stored_warnings(context.reader.store, tickers=[context.ticker], horizons=[context.horizon])
        return frames.broken_rules_data(warnings, context.reader.slices())

    rules = context.reader.kept(("broken rules", context.ticker, context.horizon), make, tables=list(TABLES.values()))
    show_table(
        rules, title="Failed checks", as_of="the newest write of each slice",
        says=f"Rules that only warn and that stored data of {context.ticker} {context.horizon} break. What breaks a "
        "blocking rule is not stored. Since: at the latest when the oldest slice of the table was written. The link "
        "opens the checks of the asset in the Dagster UI (trading-dag ui).",
        nothing="No stored slice breaks a rule.",
        columns={"link": st.column_config.LinkColumn(display_text="open"),
                 "since": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm")},
    )  # fmt: skip
