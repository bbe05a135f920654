"""Figures of the page Options: smiles, term structure, measures through time, gamma by strike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from trading_dag.dashboard.theme import GREEN, GREY, LINE, PURPLE, SERIES, VERMILION, mark_x, new_figure, tinted

if TYPE_CHECKING:
    import plotly.graph_objects as go

SMILES_SHOWN: Final = 6
_SYMBOLS: Final = ("circle", "square", "diamond", "triangle-up", "cross", "x")


def shown_expirations(smiles: pd.DataFrame) -> list[pd.Timestamp]:
    """Return at most six expirations, spread over all of them."""
    every = [pd.Timestamp(day) for day in np.sort(smiles["expiration"].unique())]
    if not every:
        return []
    return [every[place] for place in np.unique(np.linspace(0, len(every) - 1, SMILES_SHOWN).astype(int))]


def smile_figure(smiles: pd.DataFrame) -> go.Figure:
    """Return implied volatility against log-moneyness, one colour and marker an expiration; lines are fitted slices."""
    import plotly.graph_objects as go

    figure = new_figure(x_title="log-moneyness ln(K/F)", y_title="implied volatility (%)", height=420)
    for expiration, colour, symbol in zip(shown_expirations(smiles), SERIES, _SYMBOLS, strict=False):
        rows = smiles[smiles["expiration"] == expiration].sort_values("strike")
        name = f"{expiration:%Y-%m-%d} ({rows['days'].iloc[0]} d)"
        quoted = rows.dropna(subset=["quoted_percent"])
        if len(quoted):
            figure.add_trace(
                go.Scatter(x=quoted["log_moneyness"], y=quoted["quoted_percent"], mode="markers", name=name,
                           legendgroup=name, showlegend=False, customdata=quoted["strike"],
                           marker={"color": colour, "symbol": symbol, "size": 5},
                           hovertemplate="strike %{customdata:,.0f}: %{y:.1f} %")
            )  # fmt: skip
        figure.add_trace(
            go.Scatter(x=rows["log_moneyness"], y=rows["fitted_percent"], mode="lines", name=name, legendgroup=name,
                       line={"color": colour, "width": 2}, customdata=rows["strike"],
                       hovertemplate="strike %{customdata:,.0f}, slice: %{y:.1f} %")
        )  # fmt: skip
        earlier = rows.dropna(subset=["before_percent"]) if "before_percent" in rows else rows.head(0)
        if len(earlier):
            figure.add_trace(
                go.Scatter(x=earlier["log_moneyness"], y=earlier["before_percent"], mode="lines", legendgroup=name,
                           name=f"{name}, before", showlegend=False,
                           line={"color": colour, "width": 1.4, "dash": "dot"}, customdata=earlier["strike"],
                           hovertemplate="strike %{customdata:,.0f}, session before: %{y:.1f} %")
            )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(zeroline=True)
    return figure


def term_figure(rows: pd.DataFrame) -> go.Figure:
    """Return at-the-money volatility and 25-delta skew against days to expiration, of the session and the one
    before."""
    import plotly.graph_objects as go

    figure = new_figure(x_title="calendar days to expiration", height=440)
    sessions = list(rows["session"].drop_duplicates())
    for session, is_last in zip(sessions, [*[False] * (len(sessions) - 1), True], strict=True):
        own = rows[rows["session"] == session]
        name, dash = f"{session:%Y-%m-%d}", "solid" if is_last else "dot"
        for column, colour, axis, unit in (
            ("atm_percent", LINE, "y", "%"), ("skew_points", VERMILION, "y2", "points")
        ):  # fmt: skip
            what = "ATM" if column == "atm_percent" else "skew"
            figure.add_trace(
                go.Scatter(x=own["days"], y=own[column], mode="lines+markers", name=f"{what} {name}", yaxis=axis,
                           line={"color": colour if is_last else GREY, "dash": dash, "width": 2},
                           hovertemplate=f"%{{y:.1f}} {unit}")
            )  # fmt: skip
    figure.update_layout(
        yaxis={"title": "at the money (%)", "domain": [0.42, 1.0]},
        yaxis2={"title": "25Δ put − call (points)", "domain": [0.0, 0.32], "automargin": True},
        xaxis={"anchor": "y2", "hoverformat": ".0f"},
    )
    return figure


def history_figure(rows: pd.DataFrame, series: Sequence[tuple[str, str]], *, y_title: str, unit: str) -> go.Figure:
    """Return columns of a table through time.

    Parameters
    ----------
    rows : with session, ascending.
    series : column and name of each line.
    """
    import plotly.graph_objects as go

    figure = new_figure(y_title=y_title, height=320)
    for (column, name), colour, dash in zip(series, SERIES, ("solid", "dash", "dot", "dashdot"), strict=False):
        figure.add_trace(
            go.Scatter(x=rows["session"], y=rows[column], mode="lines+markers", name=name, marker={"size": 4},
                       line={"color": colour, "width": 1.8, "dash": dash}, hovertemplate=f"%{{y:.2f}} {unit}")
        )  # fmt: skip
    figure.update_xaxes(hoverformat="%Y-%m-%d")
    return figure


def gamma_figure(data: pd.DataFrame, *, spot: float, flip: float, call_wall: float, put_wall: float) -> go.Figure:
    """Return dealers' gamma exposure by strike, calls up and puts down, with spot, flip and walls marked."""
    import plotly.graph_objects as go

    figure = new_figure(x_title="strike (USD)", y_title="million USD per 1 % move", height=420)
    bars = (("calls_million_usd", "calls", GREEN, ""), ("puts_million_usd", "puts", VERMILION, "/"))
    for column, name, colour, pattern in bars:
        figure.add_trace(
            go.Bar(x=data["strike"], y=data[column], name=name, hovertemplate="%{y:+,.1f} million USD",
                   marker={"color": tinted(colour, 0.75), "pattern": {"shape": pattern}, "line": {"width": 0}})
        )  # fmt: skip
    figure.add_trace(
        go.Scatter(x=data["strike"], y=data["net_million_usd"], mode="lines", name="net",
                   line={"color": LINE, "width": 2}, hovertemplate="%{y:+,.1f} million USD")
    )  # fmt: skip
    figure.update_layout(barmode="relative", bargap=0.15)
    figure.update_xaxes(hoverformat=",.2f")
    mark_x(figure, spot, f"spot {spot:,.2f}", colour=LINE)
    marks = ((flip, "flip", PURPLE, "top left"), (call_wall, "call wall", GREEN, "bottom right"),
             (put_wall, "put wall", VERMILION, "bottom left"))  # fmt: skip
    for at, name, colour, position in marks:
        if np.isfinite(at) and data["strike"].min() <= at <= data["strike"].max():
            mark_x(figure, at, f"{name} {at:,.2f}", colour=colour, dash="dot", annotation_position=position)
    return figure
