"""What the page of drift and quality shows, as frames and figures: PSI, accuracy bands, broken rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from trading_dag.dashboard.theme import GREY, LINE, VERMILION, new_figure, tinted
from trading_dag.dashboard.words import in_chart

if TYPE_CHECKING:
    from collections.abc import Iterable

    import plotly.graph_objects as go

    from resources.storage.stored_warnings import StoredWarning
    from resources.storage.versioned_reader import VersionedReader

MOST_FEATURES: Final = 30
MOST_MARKS: Final = 60  # more marks hide the line, and each costs the browser
DAGSTER_UI: Final = "http://127.0.0.1:3000"


def drift_data(reader: VersionedReader, ticker: str, horizon: str) -> pd.DataFrame:
    """Return ``monitoring.drift`` of a slice with ``ratio``, PSI over its limit: beyond 1 is drift."""
    frame = reader.query(
        "SELECT as_of_session, feature, psi, psi_limit, is_breached, n_recent, n_reference FROM monitoring.drift "
        "WHERE ticker = ? AND horizon = ? ORDER BY as_of_session, feature",
        [ticker, horizon],
    )
    return frame.assign(ratio=frame["psi"] / frame["psi_limit"].where(frame["psi_limit"] > 0))


def latest_figure(drift: pd.DataFrame) -> go.Figure:
    """Draw the features of the latest report that moved the most, as PSI over its limit; beyond the line is drift."""
    last = drift[drift["as_of_session"] == drift["as_of_session"].max()]
    shown = last.sort_values("ratio", ascending=False).head(MOST_FEATURES)
    figure = new_figure(x_title="PSI over its limit", height=120 + 19 * len(shown))
    for is_breached, name, colour, pattern in ((True, "beyond its limit", VERMILION, "/"), (False, "within", LINE, "")):
        rows = shown[shown["is_breached"] == is_breached]
        figure.add_bar(
            x=rows["ratio"], y=[in_chart(feature) for feature in rows["feature"]], orientation="h", name=name,
            marker={"color": colour, "pattern": {"shape": pattern}}, customdata=rows[["psi", "psi_limit"]].to_numpy(),
            hovertemplate="%{y}: PSI %{customdata[0]:.3f}, limit %{customdata[1]:.3f}",
        )  # fmt: skip
    figure.add_vline(x=1, line={"color": GREY, "dash": "dash"})
    figure.update_layout(hovermode="closest")
    figure.update_yaxes(type="category", categoryorder="array", showgrid=False,
                        categoryarray=[in_chart(feature) for feature in shown["feature"]][::-1])  # fmt: skip
    return figure


def feature_figure(drift: pd.DataFrame, feature: str) -> go.Figure:
    """Draw one feature's PSI through time, with its limit."""
    rows = drift[drift["feature"] == feature]
    figure = new_figure(x_title="report as of session", y_title="PSI", height=300)
    if rows["as_of_session"].nunique() == 1:  # else plotly draws an axis of milliseconds
        around = rows["as_of_session"].iloc[0] + pd.Timedelta(days=7) * np.array([-1, 1])
        figure.update_xaxes(range=list(around), tickformat="%Y-%m-%d")
    figure.add_scatter(
        x=rows["as_of_session"], y=rows["psi"], mode="lines+markers", name=in_chart(feature), line={"color": LINE},
        hovertemplate="%{y:.3f}",
    )  # fmt: skip
    figure.add_scatter(
        x=rows["as_of_session"], y=rows["psi_limit"], mode="lines+markers", name="limit", hovertemplate="%{y:.3f}",
        line={"color": VERMILION, "dash": "dash"}, marker={"symbol": "line-ew-open"},
    )  # fmt: skip
    return figure


def accuracy_data(reader: VersionedReader, ticker: str, horizon: str) -> pd.DataFrame:
    """Return ``monitoring.accuracy`` of a slice."""
    return reader.query(
        "SELECT * EXCLUDE (ticker, horizon) FROM monitoring.accuracy WHERE ticker = ? AND horizon = ? "
        "ORDER BY task, metric, as_of_session",
        [ticker, horizon],
    )


def accuracy_figure(accuracy: pd.DataFrame, *, task: str) -> go.Figure:
    """Draw the gain of the newest forecasts over their baseline, with the band that the evaluation period expects."""
    rows = accuracy[accuracy["task"] == task]
    figure = new_figure(x_title="as of session", y_title="gain over the baseline", height=320)
    mode = "lines+markers" if len(rows) <= MOST_MARKS else "lines"
    breached = rows[rows["is_breached"].astype(bool)]
    for column, name in (("band_low", "5% of windows"), ("band_high", "expected, 5% to 95%")):
        figure.add_scatter(
            x=rows["as_of_session"], y=rows[column], mode=mode, name=name, marker={"symbol": "line-ew-open"},
            line={"color": GREY, "width": 1, "dash": "dot"}, fill="tonexty" if column == "band_high" else None,
            fillcolor=tinted(GREY, 0.25), showlegend=column == "band_high", hovertemplate="%{y:.4f}",
        )  # fmt: skip
    figure.add_scatter(
        x=rows["as_of_session"], y=rows["gain"], mode=mode, name="gain", customdata=rows["n"],
        line={"color": LINE}, hovertemplate="%{y:.4f} of %{customdata:,} forecasts",
    )  # fmt: skip
    figure.add_scatter(
        x=breached["as_of_session"], y=breached["gain"], mode="markers", name="outside the band", hoverinfo="skip",
        marker={"size": 9 if len(breached) <= MOST_MARKS else 5, "symbol": "x", "color": VERMILION},
    )  # fmt: skip
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    return figure


def broken_rules_data(warnings: Iterable[StoredWarning], slices: pd.DataFrame) -> pd.DataFrame:
    """Return the rules that stored slices break: asset, rule, violations, slices, detail, since, link.

    Parameters
    ----------
    slices : rows of ``meta.slices``; ``since`` is when the oldest of the table's stored slices was written, as far back
        as what is stored can tell.
    """
    written = slices.groupby("table_name")["stored_at"].min()
    rows = [
        (each.table, each.rule, each.count, ", ".join(each.slices), each.detail, written.get(each.table, pd.NaT),
         f"{DAGSTER_UI}/assets/{each.table.replace('.', '/')}?view=checks")
        for each in warnings
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["asset", "rule", "violations", "slices", "detail", "since", "link"])
