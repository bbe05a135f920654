"""The figures of the page of models. Each is drawn from exactly the frame that the page offers beside it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from trading_dag.dashboard.theme import (
    GREEN,
    GREY,
    LINE,
    ORANGE,
    SEQUENCE,
    SERIES,
    SKY,
    VERMILION,
    new_figure,
    tinted,
)
from trading_dag.dashboard.words import day, in_chart, named
from trading_dag.schemas import MARKET_STATES

if TYPE_CHECKING:
    import plotly.graph_objects as go

_VERDICT_MARKS: Final = {
    "skilled": ("circle", "skilled: the whole interval is better"),
    "admissible": ("circle-open", "admissible: better or equal, not proven"),
    "unskilled": ("x", "unskilled: no better"),
    "insufficient_data": ("square-open", "too few rows"),
    "no_verdict": ("diamond-open", "no verdict: not a fair comparison"),
}
STATE_COLOURS: Final = dict(zip(MARKET_STATES, (GREEN, SKY, GREY, VERMILION, ORANGE), strict=True))
_SYMBOLS: Final = ("circle", "triangle-up", "square", "triangle-down", "diamond")
_DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
MOST_FEATURES: Final = 20
RARE: Final = 30


def scores_figure(scores: pd.DataFrame, *, unit: str) -> go.Figure:
    """Draw how much better than each baseline each model is, with its 95 % interval; right of zero is better.

    Comparisons without a verdict, such as with a hard call, are no fair ones and are left out where there are others.
    """
    fair = scores[scores["verdict"] != "no_verdict"]
    scores = scores if fair.empty else fair
    models = list(dict.fromkeys(scores["model"]))
    baselines = sorted(scores["baseline"].unique())
    offsets = np.linspace(-0.3, 0.3, len(baselines)) if len(baselines) > 1 else np.array([0.0])
    figure = new_figure(x_title=f"gain over the baseline, {in_chart(unit)}", height=130 + 62 * len(models))
    for baseline, offset, colour in zip(baselines, offsets, itertools.cycle(SERIES), strict=False):
        rows = scores[scores["baseline"] == baseline]
        y = np.array([models.index(model) for model in rows["model"]]) + offset
        low, high = rows["difference_ci_low"], rows["difference_ci_high"]
        figure.add_scatter(
            x=rows["difference"], y=y, mode="markers", name=f"over {in_chart(named(baseline))}",
            marker={"color": colour, "size": 10, "symbol": [_VERDICT_MARKS[verdict][0] for verdict in rows["verdict"]],
                    "line": {"width": 2, "color": colour}},
            error_x={"type": "data", "symmetric": False, "array": high - rows["difference"],
                     "arrayminus": rows["difference"] - low, "color": colour, "thickness": 2},
            customdata=[
                f"<b>{in_chart(named(row['model']))}</b> over {in_chart(named(row['baseline']))}<br>"
                f"{row['value']:.5g} against {row['baseline_value']:.5g}: {row['difference']:+.3g} "
                f"[{row['difference_ci_low']:+.3g}, {row['difference_ci_high']:+.3g}]<br>"
                f"{_VERDICT_MARKS[row['verdict']][1]}, {row['n']:,} rows"
                for row in rows.to_dict("records")
            ],
            hovertemplate="%{customdata}<extra></extra>",
        )  # fmt: skip
    served = set(scores.loc[scores["is_served"].fillna(value=False).astype(bool), "model"])
    figure.add_vline(x=0, line={"color": GREY, "width": 1.5})
    figure.update_layout(hovermode="closest")
    figure.update_yaxes(
        tickvals=list(range(len(models))), range=[len(models) - 0.5, -0.5], showgrid=False,
        ticktext=[in_chart(named(model)) + (" (served)" if model in served else "") for model in models],
    )  # fmt: skip
    return figure


def folds_figure(folds: pd.DataFrame) -> go.Figure:
    """Draw for each fold, on one axis of time, what it learnt from and what it then forecast."""
    figure = new_figure(height=130 + 38 * len(folds))
    names = [f"fold {number}" for number in folds["fold"].iloc[:-1]] + ["newest"]
    for begin, end, name, colour, pattern in (
        ("train_first_session", "fitted_through", "learnt from", tinted(GREY, 0.6), ""),
        ("first_forecast", "last_forecast", "forecast, out of sample", LINE, "/"),
    ):
        width = (folds[end] - folds[begin]).dt.days.clip(lower=1) * 86_400_000.0
        figure.add_bar(
            base=folds[begin], x=width, y=names, orientation="h", name=name, width=0.6,
            marker={"color": colour, "pattern": {"shape": pattern, "solidity": 0.3}},
            customdata=[f"{day(first)} to {day(last)}" for first, last in folds[[begin, end]].to_numpy()],
            hovertemplate=f"%{{y}}, {name}: %{{customdata}}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(barmode="overlay", hovermode="closest")
    figure.update_xaxes(type="date")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def reliability_figure(rows: pd.DataFrame) -> go.Figure:
    """Draw the forecast probability against the share that came; on the diagonal they agree. Rare bins are hollow."""
    figure = new_figure(x_title="forecast probability, %", y_title="came, % of sessions", height=420)
    figure.add_scatter(
        x=[0, 100], y=[0, 100], mode="lines", name="perfect", line={"color": GREY, "dash": "dash", "width": 1},
        hoverinfo="skip",
    )  # fmt: skip
    events = list(dict.fromkeys(rows["what"]))
    for number, what in enumerate(events):
        part = rows[rows["what"] == what]
        share = 100 * part["share"].astype(float)
        low, high = 100 * part["low"].astype(float), 100 * part["high"].astype(float)
        bars = {"type": "data", "symmetric": False, "thickness": 1.5, "array": high - share, "arrayminus": share - low}
        symbol = _SYMBOLS[number % len(_SYMBOLS)]
        figure.add_scatter(
            x=100 * part["forecast"].astype(float), y=share, mode="lines+markers", name=in_chart(named(what)),
            line={"color": SERIES[number % len(SERIES)], "dash": _DASHES[number % len(_DASHES)]},
            marker={"size": 9, "symbol": [symbol if count >= RARE else f"{symbol}-open" for count in part["n"]]},
            error_y=bars if low.notna().any() else None,
            customdata=part["n"], hovertemplate="said %{x:.1f}%, came %{y:.1f}% of %{customdata:,}",
        )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(range=[0, 100])
    figure.update_yaxes(range=[0, 100])
    return figure


def confusion_figure(rows: pd.DataFrame, classes: tuple[str, ...]) -> go.Figure:
    """Draw which class came when which was called: the number of sessions, shaded by its share of the class."""
    import plotly.graph_objects as go

    counts = rows.pivot_table(index="y_true", columns="y_pred", values="sessions", aggfunc="sum", fill_value=0)
    counts = counts.reindex(index=list(classes), columns=list(classes), fill_value=0)
    values = counts.to_numpy(dtype=np.float64)
    totals = values.sum(axis=1, keepdims=True)
    shares = 100 * np.divide(values, totals, out=np.zeros_like(values), where=totals > 0)
    words = [in_chart(named(name)) for name in classes]
    figure = new_figure(x_title="called", y_title="came", height=160 + 70 * len(classes))
    figure.add_trace(
        go.Heatmap(
            x=words, y=words, z=shares, zmin=0, zmax=100, colorscale=[list(step) for step in SEQUENCE], xgap=2, ygap=2,
            text=[[f"{int(count):,}<br>{share:.0f}%" for count, share in zip(*row, strict=True)]
                  for row in zip(values, shares, strict=True)],
            texttemplate="%{text}", colorbar={"title": "% of what came", "thickness": 12}, customdata=values,
            hovertemplate="%{y} came, %{x} called: %{customdata:,} sessions, %{z:.1f}%<extra></extra>",
        )
    )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(type="category")
    return figure


def importance_figure(rows: pd.DataFrame, *, kind: str) -> go.Figure:
    """Draw what the loss gains where a feature's values are shuffled, with its 95 % interval; the largest above."""
    shown = rows[rows["kind"] == kind].head(MOST_FEATURES)
    figure = new_figure(x_title="increase of the Brier score, thousandths", height=110 + 24 * len(shown))
    value, low, high = (1_000 * shown[name] for name in ("importance", "ci_low", "ci_high"))
    figure.add_scatter(
        x=value, y=[in_chart(named(name)) for name in shown["feature"]], mode="markers", showlegend=False,
        marker={"color": LINE, "size": 9},
        error_x={"type": "data", "symmetric": False, "array": high - value,
                 "arrayminus": value - low, "thickness": 2, "color": LINE},
        customdata=shown["n"], hovertemplate="%{y}: %{x:+.3f} thousandths, %{customdata:,} sessions<extra></extra>",
    )  # fmt: skip
    figure.add_vline(x=0, line={"color": GREY, "width": 1.5})
    figure.update_layout(hovermode="closest")
    figure.update_yaxes(autorange="reversed", type="category")
    return figure


def states_figure(states: pd.DataFrame, *, ticker: str) -> go.Figure:
    """Draw the close in the colour of the market state that was the most probable at it, and below it each state's
    sessions in a lane of its own."""
    figure = new_figure(height=560)
    names = [in_chart(named(state)) for state in MARKET_STATES]
    for place, state in enumerate(MARKET_STATES):
        own = states["state"] == state
        if not own.any():
            continue
        # A line runs on to the session after the last of its state, so that lines of two states meet.
        reaches = own | own.shift(fill_value=False)
        figure.add_scatter(
            x=states["session"], y=states["close"].where(reaches), mode="lines", name=names[place],
            line={"color": STATE_COLOURS[state], "width": 2}, customdata=100 * states["probability"].where(own),
            hovertemplate="%{y:,.2f} USD, %{customdata:.0f}% sure",
        )  # fmt: skip
        figure.add_scatter(
            x=states["session"], y=np.where(reaches, float(place), np.nan), yaxis="y2", mode="lines", name=names[place],
            showlegend=False, line={"color": STATE_COLOURS[state], "width": 12}, hoverinfo="skip",
        )  # fmt: skip
    figure.update_layout(
        yaxis={"domain": [0.36, 1.0], "type": "log", "title": f"{in_chart(ticker)}, USD", "automargin": True},
        yaxis2={"domain": [0.0, 0.3], "tickvals": list(range(len(names))), "ticktext": names, "automargin": True,
                "range": [len(names) - 0.5, -0.5], "showgrid": False, "anchor": "x"},
        xaxis={"anchor": "y2", "title": "session"}, hovermode="closest",
    )  # fmt: skip
    return figure


def versions_figure(versions: pd.DataFrame) -> go.Figure | None:
    """Draw what each challenger gained over the version that served; None where none was compared."""
    rows = versions.dropna(subset=["difference"])
    if rows.empty:
        return None
    figure = new_figure(x_title="gain over the champion (positive: better)", height=120 + 34 * len(rows))
    colours = [GREEN if serves else VERMILION for serves in rows["serves"]]
    figure.add_scatter(
        x=rows["difference"], mode="markers", showlegend=False,
        y=[f"{in_chart(named(row.family))} {row.model_version}" for row in rows.itertuples()],
        marker={"color": colours, "size": 11, "symbol": ["circle" if serves else "x" for serves in rows["serves"]]},
        error_x={"type": "data", "symmetric": False, "array": rows["difference_ci_high"] - rows["difference"],
                 "arrayminus": rows["difference"] - rows["difference_ci_low"], "thickness": 2},
        customdata=[in_chart(reason) for reason in rows["reason"]],
        hovertemplate="%{y}: %{x:+.5g}<br>%{customdata}<extra></extra>",
    )  # fmt: skip
    figure.add_vline(x=0, line={"color": GREY, "width": 1.5})
    figure.update_layout(hovermode="closest")
    figure.update_yaxes(type="category")
    return figure


def trials_figure(trials: pd.DataFrame) -> go.Figure:
    """Draw the score of each trial of one search by its number, the best so far, and the score without features."""
    rows = trials.sort_values("trial")
    figure = new_figure(
        x_title="trial", y_title=f"{in_chart(named(rows['score'].iloc[0]))}, less is better", height=320
    )
    for state, colour, symbol in (("complete", LINE, "circle"), ("pruned", GREY, "x")):
        part = rows[rows["state"] == state]
        figure.add_scatter(
            x=part["trial"], y=part["value"], mode="markers", name=state, marker={"color": colour, "symbol": symbol}
        )
    done = rows[rows["state"] == "complete"]
    figure.add_scatter(
        x=done["trial"], y=done["value"].cummin(), name="best so far", line={"color": VERMILION, "shape": "hv"}
    )
    reference = rows["reference_value"].iloc[0]
    if pd.notna(reference):
        figure.add_hline(y=float(reference), line={"color": GREEN, "dash": "dash"}, annotation_text="without features")
    return figure
