"""What the page of data shows, as frames and figures: tables, ranges, gaps and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from trading_dag.dashboard.theme import LINE, SEQUENCE, new_figure
from trading_dag.dashboard.words import day, in_chart
from trading_dag.features.missing_values import presence_by_group
from trading_dag.schemas import FEATURE_GROUPS, FEATURE_TABLE, TABLES
from trading_dag.sessions import all_sessions

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from resources.storage.versioned_reader import VersionedReader

# Tables with a row for each session of an exchange, whose holes are holes.
BY_SESSION: Final = ("raw.prices_daily", "raw.volatility_index", "features.feature_table")
EXAMPLES: Final = {
    "Which models are better than their baselines": (
        "SELECT ticker, horizon, task, model, metric, baseline, difference, difference_ci_low, difference_ci_high\n"
        "FROM evaluation.metrics WHERE is_served AND verdict = 'skilled' ORDER BY ticker, horizon, task, metric"
    ),
    "What the latest session recommends": (
        "SELECT ticker, horizon, rule, session, strategy, design_size, edge, reasoning\n"
        "FROM signals.recommendation\n"
        "QUALIFY row_number() OVER (PARTITION BY ticker, horizon, rule ORDER BY session DESC) = 1\n"
        "ORDER BY ticker, horizon, rule"
    ),
    "Implied volatility and its rank": (
        "SELECT session, iv_rank FROM features.implied_volatility\nWHERE ticker = 'SPY' ORDER BY session DESC LIMIT 250"
    ),
    "Backtests beside luck": (
        "SELECT ticker, horizon, rule, trades, total_pnl_usd, random_entry_mean_usd, random_entry_p_value,\n"
        "    is_admissible\n"
        "FROM backtests.summary ORDER BY random_entry_p_value"
    ),
    "Columns of a table": "DESCRIBE predictions.direction",
    "What is stored": (
        "SELECT table_name, count(*) AS slices, sum(row_count) AS row_count, min(first_session) AS first_session,\n"
        "    max(last_session) AS last_session FROM meta.slices GROUP BY ALL ORDER BY table_name"
    ),
}


def tables_data(slices: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each table: slices, rows, first and last session, sources, newest write, what it holds.

    Parameters
    ----------
    slices : rows of ``meta.slices``.
    """
    found = slices.groupby("table_name").agg(
        slices=("row_count", "size"), rows=("row_count", "sum"), first_session=("first_session", "min"),
        last_session=("last_session", "max"), source=("source", lambda names: ", ".join(sorted(set(names.dropna())))),
        stored_at=("stored_at", "max"), source_off=("source_off", lambda reasons: next(iter(reasons.dropna()), "")),
    )  # fmt: skip
    listed = pd.DataFrame({"holds": {name: table.description for name, table in TABLES.items()}})
    listed.index.name = "table_name"
    frame = listed.join(found).reset_index()
    frame[["slices", "rows"]] = frame[["slices", "rows"]].fillna(0).astype("int64")
    return frame[["table_name", "slices", "rows", "first_session", "last_session", "source", "stored_at", "source_off",
                  "holds"]]  # fmt: skip


def ranges_data(slices: pd.DataFrame, ticker: str) -> pd.DataFrame:
    """Return from which session to which each table reaches for a ticker: over all its horizons, the widest."""
    own = slices[(slices["ticker"] == ticker) & slices["first_session"].notna()]
    frame = own.groupby("table_name").agg(
        first_session=("first_session", "min"), last_session=("last_session", "max"), rows=("row_count", "sum")
    )
    return frame.reset_index()


def ranges_figure(ranges: pd.DataFrame) -> go.Figure:
    """Draw for each table a bar from its first session to its last."""
    figure = new_figure(height=110 + 22 * len(ranges))
    width = (ranges["last_session"] - ranges["first_session"]).dt.days.clip(lower=1) * 86_400_000.0
    figure.add_bar(
        base=ranges["first_session"], x=width, y=ranges["table_name"], orientation="h", showlegend=False,
        marker={"color": LINE}, width=0.55,
        customdata=[f"{day(row.first_session)} to {day(row.last_session)}, {row.rows:,} rows"
                    for row in ranges.itertuples()],
        hovertemplate="%{y}: %{customdata}<extra></extra>",
    )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(type="date")
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False)
    return figure


def gaps_data(reader: VersionedReader, ticker: str) -> pd.DataFrame:
    """Return for each table by session how many sessions of the exchange it lacks between its first and its last row,
    and which: table_name, first_session, last_session, sessions, missing, which."""
    calendar = all_sessions()
    found = []
    for name in BY_SESSION:
        rows = reader.query(f"SELECT session FROM {name} WHERE ticker = ? ORDER BY session", [ticker])  # noqa: S608
        if rows.empty:
            continue
        stored = pd.DatetimeIndex(rows["session"])
        expected = calendar[(calendar >= stored[0]) & (calendar <= stored[-1])]
        missing = expected.difference(stored)
        named = [f"{session:%Y-%m-%d}" for session in missing[:10]]
        found.append(
            (name, stored[0], stored[-1], len(expected), len(missing),
             ", ".join(named) + (f" and {len(missing) - 10:,} more" if len(missing) > 10 else ""))
        )  # fmt: skip
    return pd.DataFrame(found, columns=["table_name", "first_session", "last_session", "sessions", "missing", "which"])


def presence_data(reader: VersionedReader, ticker: str) -> pd.DataFrame:
    """Return how much of each set of features is there over time, 0 to 1: index sessions, columns sets of features that
    come and go together."""

    def make() -> pd.DataFrame:
        columns = ", ".join(f'"{name}"' for names in FEATURE_GROUPS.values() for name in names)
        frame = reader.query(
            f"SELECT session, {columns} FROM features.feature_table WHERE ticker = ? ORDER BY session",  # noqa: S608
            [ticker],
        )
        return presence_by_group(frame.set_index("session"), FEATURE_GROUPS) if len(frame) else pd.DataFrame()

    return reader.kept(("presence", ticker), make, tables=[FEATURE_TABLE])


def presence_figure(presence: pd.DataFrame) -> go.Figure:
    """Draw the share of values that are there by set of features and time; the lightest is missing."""
    import plotly.graph_objects as go

    shares = 100 * presence.to_numpy(dtype=np.float64).T
    figure = new_figure(height=130 + 17 * len(presence.columns))
    figure.add_trace(
        go.Heatmap(
            x=presence.index, y=[in_chart(name) for name in presence.columns], z=shares, zmin=0, zmax=100, ygap=1,
            colorscale=[list(step) for step in SEQUENCE], colorbar={"title": "% there", "thickness": 12},
            hovertemplate="%{y}<br>from %{x|%Y-%m-%d}: %{z:.0f}% there<extra></extra>",
        )
    )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False, tickfont={"size": 10})
    return figure
