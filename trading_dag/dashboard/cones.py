"""The cone of a forecast: what came before, and the quantiles of every horizon from the last close on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from trading_dag.dashboard.theme import GREY, LINE, new_figure, tinted
from trading_dag.schemas import QUANTILE_COLUMNS
from trading_dag.sessions import NEW_YORK, session_close, session_open

if TYPE_CHECKING:
    import plotly.graph_objects as go

# From the outermost pair of quantiles inwards, and how dark each is drawn.
BANDS: Final = (("quantile_05", "quantile_95", "90 %", 0.14), ("quantile_10", "quantile_90", "80 %", 0.28),
                ("quantile_25", "quantile_75", "50 %", 0.48))  # fmt: skip
MEDIAN: Final = "quantile_50"
OPENS: Final = "12h"
WEEKEND: Final = [{"bounds": ["sat", "mon"]}]


def moment(session: pd.Timestamp, *, at_open: bool = False) -> pd.Timestamp:
    """Return when a session closes, or opens, by the clock of New York, without a time zone."""
    at = session_open(session) if at_open else session_close(session)
    return at.tz_convert(NEW_YORK).tz_localize(None)


def cone_points(forecasts: pd.DataFrame, *, last: float, horizon_ends_at_open: bool) -> pd.DataFrame:
    """Return a row for each target, ascending, after one for the session itself, at which every quantile is its value.

    Parameters
    ----------
    forecasts : of one session and model: horizon, session, target_session and the 19 quantiles.
    last : the value at the session's close, in the quantiles' unit.
    horizon_ends_at_open : whether the target of 12h is the next open; otherwise it is the next close.
    """
    rows = forecasts.sort_values(["target_session", "horizon"]).drop_duplicates(["horizon", "target_session"])
    opens = (rows["horizon"] == OPENS) & horizon_ends_at_open
    targets = zip(rows["target_session"], opens, strict=True)
    times = [moment(session, at_open=is_open) for session, is_open in targets]
    start = {
        "horizon": "now", "time": moment(rows["session"].iloc[0]), "target_session": rows["session"].iloc[0],
        **dict.fromkeys(QUANTILE_COLUMNS, last),
    }  # fmt: skip
    told = rows.assign(time=times)[["horizon", "time", "target_session", *QUANTILE_COLUMNS]]
    points = pd.concat([pd.DataFrame([start]), told], ignore_index=True)
    return points.drop_duplicates("time", keep="last").sort_values("time", ignore_index=True)


def cone_figure(history: pd.DataFrame, points: pd.DataFrame, *, y_title: str, unit: str, digits: int = 2) -> go.Figure:
    """Return the history as a line and the cone as bands with its median; the points of the horizons are marked.

    Parameters
    ----------
    history : session and value, ascending.
    points : as ``cone_points`` gives them.
    unit : of the values, for hovering: `` USD``.
    """
    import plotly.graph_objects as go

    figure = new_figure(y_title=y_title, height=400)
    form = f"%{{y:,.{digits}f}}{unit}"
    times = [moment(session) for session in history["session"]]
    figure.add_trace(
        go.Scatter(x=times, y=history["value"], mode="lines", name="close", line={"color": GREY, "width": 1.8},
                   hovertemplate=form)
    )  # fmt: skip
    for low, high, name, opacity in BANDS:
        figure.add_trace(
            go.Scatter(x=points["time"], y=points[low], mode="lines", line={"width": 0}, showlegend=False,
                       name=f"{name} from", hovertemplate=form, legendgroup=name)
        )  # fmt: skip
        figure.add_trace(
            go.Scatter(x=points["time"], y=points[high], mode="lines", line={"width": 0}, fill="tonexty",
                       fillcolor=tinted(LINE, opacity), name=name, hovertemplate=form, legendgroup=name)
        )  # fmt: skip
    figure.add_trace(
        go.Scatter(x=points["time"], y=points[MEDIAN], mode="lines+markers", name="median",
                   customdata=points["horizon"], line={"color": LINE, "width": 2, "dash": "dot"}, marker={"size": 7},
                   hovertemplate=f"{form} (%{{customdata}})")
    )  # fmt: skip
    figure.update_xaxes(rangebreaks=WEEKEND, hoverformat="%a %Y-%m-%d %H:%M New York")
    return figure
