"""The figures of the page of backtests. Each is drawn from exactly the frame that the page offers beside it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from trading_dag.dashboard.theme import (
    DIVERGING,
    GAIN,
    GREY,
    LINE,
    LOSS,
    ORANGE,
    PURPLE,
    new_figure,
    tinted,
)
from trading_dag.dashboard.views.backtest_data import YEAR
from trading_dag.dashboard.words import day, in_chart, named

if TYPE_CHECKING:
    import plotly.graph_objects as go

_THOUSAND: Final = 1_000.0
_ROWS: Final = ((0.57, 1.0), (0.27, 0.52), (0.0, 0.21))


def equity_figure(equity: pd.DataFrame) -> go.Figure:
    """Draw three panels over one time: the account beside buy and hold, beside random entry, and both drawdowns."""
    import plotly.graph_objects as go

    figure = new_figure(height=640)
    session = equity["session"]
    account = equity["equity_usd"] / _THOUSAND
    figure.add_scatter(
        x=session, y=account, name="account", line={"color": LINE, "width": 2}, hovertemplate="%{y:,.1f} k USD"
    )
    figure.add_scatter(
        x=session, y=equity["benchmark_usd"] / _THOUSAND, name="buy and hold", hovertemplate="%{y:,.1f} k USD",
        line={"color": ORANGE, "width": 1.6, "dash": "dash"},
    )  # fmt: skip
    figure.add_scatter(
        x=session, y=account, yaxis="y2", name="account", showlegend=False, line={"color": LINE, "width": 2},
        hovertemplate="%{y:,.1f} k USD",
    )  # fmt: skip
    if equity["random_low_usd"].notna().any():
        for column, name, shown in (("random_low_usd", "5% of random entries", False),
                                    ("random_high_usd", "random entry, 5% to 95%", True)):  # fmt: skip
            figure.add_scatter(
                x=session, y=equity[column] / _THOUSAND, yaxis="y2", name=name, showlegend=shown, mode="lines",
                line={"color": tinted(GREY, 0.6), "width": 0.5}, fill="tonexty" if shown else None,
                fillcolor=tinted(GREY, 0.28), hovertemplate="%{y:,.1f} k USD",
            )  # fmt: skip
        figure.add_scatter(
            x=session, y=equity["random_median_usd"] / _THOUSAND, yaxis="y2", name="median of random entries",
            line={"color": GREY, "width": 1.2, "dash": "dot"}, hovertemplate="%{y:,.1f} k USD",
        )  # fmt: skip
    for column, name, colour, dash in (
        ("drawdown", "account below its high", LINE, "solid"),
        ("benchmark_drawdown", "buy and hold below its high", ORANGE, "dash"),
    ):
        figure.add_trace(
            go.Scatter(
                x=session, y=-100 * equity[column], yaxis="y3", name=name, showlegend=False, mode="lines",
                line={"color": colour, "width": 1.2, "dash": dash}, fill="tozeroy", fillcolor=tinted(colour, 0.15),
                hovertemplate="%{y:.1f}%",
            )
        )  # fmt: skip
    axes = {"automargin": True, "anchor": "x"}
    figure.update_layout(
        yaxis={**axes, "domain": _ROWS[0], "title": "thousand USD", "rangemode": "tozero"},
        yaxis2={**axes, "domain": _ROWS[1], "title": "thousand USD"},
        yaxis3={**axes, "domain": _ROWS[2], "title": "below high, %"},
        xaxis={"anchor": "y3", "title": "session"},
    )
    return figure


def monthly_figure(months: pd.DataFrame) -> go.Figure:
    """Draw the returns by year and month as a table of colours with their values, percent, the year's at the right."""
    import plotly.graph_objects as go

    values = 100 * months.to_numpy(dtype=np.float64)
    of_months = np.abs(values[:, :-1][np.isfinite(values[:, :-1])])
    limit = float(np.quantile(of_months, 0.95)) if len(of_months) else 1.0
    figure = new_figure(height=110 + 24 * len(months))
    figure.add_trace(
        go.Heatmap(
            x=list(months.columns), y=[str(year) for year in months.index], z=values, zmid=0, zmin=-max(limit, 0.1),
            zmax=max(limit, 0.1), colorscale=[list(step) for step in DIVERGING], showscale=False, xgap=1, ygap=1,
            text=[[f"{value:+.1f}" if np.isfinite(value) else "" for value in row] for row in values],
            texttemplate="%{text}", textfont={"size": 11}, hoverongaps=False,
            hovertemplate="%{x} %{y}: %{z:+.2f}%<extra></extra>",
        )
    )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(side="top", title_text="", type="category", showgrid=False)
    figure.update_yaxes(type="category", autorange="reversed", title_text="", showgrid=False)
    figure.add_vline(x=list(months.columns).index(YEAR) - 0.5, line={"color": GREY, "width": 2})
    return figure


def trades_figure(prices: pd.DataFrame, trades: pd.DataFrame, *, ticker: str) -> go.Figure:
    """Draw the underlying with each trade's way from entry to exit, its strikes, and what it came to.

    Triangles point up where a trade earned and down where it lost, circles are still open. Strikes are lines for as
    long as the trade was held: solid what was bought, dotted what was sold.
    """
    figure = new_figure(y_title=f"{in_chart(ticker)}, USD", height=460)
    figure.add_scatter(
        x=prices["session"], y=prices["close"], name="close", line={"color": GREY, "width": 1.4},
        hovertemplate="%{y:,.2f} USD",
    )  # fmt: skip
    last = prices["session"].max()
    for side, name, dash, colour in (
        ("buy", "strike bought", "solid", tinted(ORANGE, 0.8)),
        ("sell", "strike sold", "dot", PURPLE),
    ):
        x, y = _strike_lines(trades, side=side, last=last)
        if x:
            figure.add_scatter(
                x=x, y=y, name=name, mode="lines", line={"color": colour, "width": 1.4, "dash": dash}, hoverinfo="skip"
            )
    x, y = _ways(trades)
    figure.add_scatter(
        x=x, y=y, name="entry to exit", mode="lines", hoverinfo="skip", showlegend=False,
        line={"color": tinted(LINE, 0.7), "width": 1},
    )  # fmt: skip
    for name, rows, colour, symbol in _outcomes(trades):
        if rows.empty:
            continue
        figure.add_scatter(
            x=rows["exit_session"].fillna(rows["entry_session"]), y=rows["exit_spot"].fillna(rows["entry_spot"]),
            name=name, mode="markers", marker={"color": colour, "symbol": symbol, "size": 10},
            customdata=_told(rows), hovertemplate="%{customdata}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(hovermode="closest")
    return figure


def _outcomes(trades: pd.DataFrame) -> tuple[tuple[str, pd.DataFrame, str, str], ...]:
    closed = trades[trades["status"] == "closed"]
    return (
        ("earned", closed[closed["pnl_usd"] >= 0], GAIN, "triangle-up"),
        ("lost", closed[closed["pnl_usd"] < 0], LOSS, "triangle-down"),
        ("open", trades[trades["status"] == "open"], LINE, "circle-open"),
    )


def _told(rows: pd.DataFrame) -> list[str]:
    return [
        f"<b>{in_chart(named(row['structure']))}</b>, {row['contracts']:,} contracts<br>"
        f"in {day(row['entry_session'])} {row['entry_quote'] or ''}, out {day(row['exit_session'])} "
        f"{row['exit_quote'] or ''}: {in_chart(named(row['exit_reason']))}<br>"
        + "<br>".join(in_chart(leg) for leg in row["legs_text"].split(", "))
        + (f"<br>profit after fees {row['pnl_usd']:+,.2f} USD" if pd.notna(row["pnl_usd"]) else "")
        for row in rows.to_dict("records")
    ]


def _ways(trades: pd.DataFrame) -> tuple[list[object], list[float]]:
    x: list[object] = []
    y: list[float] = []
    for row in trades.to_dict("records"):
        if pd.notna(row["exit_session"]):
            x += [row["entry_session"], row["exit_session"], None]
            y += [row["entry_spot"], row["exit_spot"], np.nan]
    return x, y


def _strike_lines(trades: pd.DataFrame, *, side: str, last: pd.Timestamp) -> tuple[list[object], list[float]]:
    """Return broken lines at the strikes of one side; a day is added, for an entry and an exit of the same session."""
    x: list[object] = []
    y: list[float] = []
    for row in trades.to_dict("records"):
        until = row["exit_session"] if pd.notna(row["exit_session"]) else last
        for leg in json.loads(row["legs"]) if isinstance(row["legs"], str) else ():
            if leg["side"] == side:
                x += [row["entry_session"], until + pd.Timedelta(days=1), None]
                y += [leg["strike"], leg["strike"], np.nan]
    return x, y


def rules_figure(summaries: pd.DataFrame, horizons: list[str]) -> go.Figure:
    """Draw what each rule earned at each horizon, with what it would be two volatility points lower and higher, and
    what random entry and always trading came to."""
    figure = new_figure(x_title="profit after fees, thousand USD", height=420)
    marks = (("matrix", LINE, "circle", -0.16), ("expected_value", ORANGE, "diamond", 0.16))
    traded = summaries[summaries["status"] == "backtested"]
    place = {horizon: number for number, horizon in enumerate(horizons)}
    for rule, colour, symbol, offset in marks:
        rows = traded[traded["rule"] == rule]
        if rows.empty:
            continue
        y = rows["horizon"].map(place).astype(float) + offset
        ends = rows[["pnl_lower_volatility_usd", "total_pnl_usd", "pnl_higher_volatility_usd"]] / _THOUSAND
        low, high = ends.min(axis=1), ends.max(axis=1)
        x_line = np.column_stack([low, high, np.full(len(rows), np.nan)]).ravel()
        y_line = np.column_stack([y, y, np.full(len(rows), np.nan)]).ravel()
        figure.add_scatter(
            x=x_line, y=y_line, mode="lines", line={"color": colour, "width": 3}, opacity=0.5, showlegend=False,
            hoverinfo="skip",
        )  # fmt: skip
        figure.add_scatter(
            x=rows["total_pnl_usd"] / _THOUSAND, y=y, mode="markers", name=f"rule {named(rule)}",
            marker={"color": colour, "symbol": symbol, "size": 11},
            customdata=np.column_stack([low, high, rows["trades"], rows["horizon"]]),
            hovertemplate="%{customdata[3]}: %{x:+,.1f} k USD, %{customdata[2]:,} trades<br>"
            "volatility two points lower or higher: %{customdata[0]:+,.1f} to %{customdata[1]:+,.1f} k USD",
        )  # fmt: skip
        for column, name, mark in (
            ("random_entry_mean_usd", "mean of random entries", "x-thin-open"),
            ("always_pnl_usd", "always its most traded structure", "line-ns-open"),
        ):
            figure.add_scatter(
                x=rows[column] / _THOUSAND, y=y, mode="markers", name=f"{name} ({named(rule)})",
                marker={"color": colour, "symbol": mark, "size": 11, "line": {"width": 2}},
                hovertemplate="%{x:+,.1f} k USD",
            )  # fmt: skip
    figure.add_vline(x=0, line={"color": GREY, "width": 1})
    figure.update_layout(hovermode="closest", legend={"font": {"size": 11}})
    figure.update_yaxes(tickvals=list(place.values()), ticktext=list(place), range=[len(place) - 0.5, -0.5])
    return figure


def comparison_figure(comparison: pd.DataFrame) -> go.Figure:
    """Draw the profit of every structure under every set of exits as a table of colours, thousand USD."""
    import plotly.graph_objects as go

    profit = comparison.pivot_table(index="structure", columns="exits", values="total_pnl_usd", aggfunc="first")
    profit = profit.loc[profit.max(axis=1).sort_values(ascending=False).index] / _THOUSAND
    values = profit.to_numpy(dtype=np.float64)
    limit = float(np.nanquantile(np.abs(values), 0.9)) if np.isfinite(values).any() else 1.0
    figure = new_figure(height=170 + 26 * len(profit))
    figure.add_trace(
        go.Heatmap(
            x=[_wrapped(name) for name in profit.columns], y=[in_chart(named(name)) for name in profit.index],
            z=values, zmid=0, zmin=-max(limit, 0.1), zmax=max(limit, 0.1), showscale=False, xgap=1, ygap=1,
            colorscale=[list(step) for step in DIVERGING], hoverongaps=False,
            text=[[f"{value:+,.1f}" if np.isfinite(value) else "" for value in row] for row in values],
            texttemplate="%{text}", textfont={"color": "#111111", "size": 11},
            hovertemplate="%{y}, %{x}: %{z:+,.1f} k USD<extra></extra>",
        )
    )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(side="top", type="category", showgrid=False)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    return figure


def _wrapped(exits: str) -> str:
    return "<br>".join(in_chart(part) for part in exits.split(", "))
