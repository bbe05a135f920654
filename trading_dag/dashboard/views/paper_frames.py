"""What the page of the paper account shows, as frames and figures: positions with their Greeks, orders, cash."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from trading_dag.dashboard.theme import LINE, ORANGE, new_figure
from trading_dag.day_count import DAYS_PER_YEAR
from trading_dag.options.pricing.greeks import greeks
from trading_dag.reporting.signal_backtest_page import legs_text
from trading_dag.schemas import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import plotly.graph_objects as go

    from resources.storage.versioned_reader import VersionedReader

GREEKS: Final = ("delta", "gamma", "vega_usd", "theta_usd")


def account_table(reader: VersionedReader, name: str) -> pd.DataFrame:
    """Return a table of the paper account; no rows and no columns where the account has none yet."""
    if f"paper.{name}" not in TABLES:
        return pd.DataFrame()
    return reader.query(f"FROM paper.{name}")  # of this module


def latest_positions(positions: pd.DataFrame) -> pd.DataFrame:
    """Return each position at its newest session, the newest first."""
    if positions.empty:
        return positions
    last = positions.sort_values("session").groupby("position_id", sort=False).tail(1)
    return last.sort_values(["session", "position_id"], ascending=[False, True]).reset_index(drop=True)


def with_greeks(positions: pd.DataFrame, *, multiplier: float, rate: float, dividend_yield: float) -> pd.DataFrame:
    """Return open positions with their legs in words and their Greeks at the mark.

    Parameters
    ----------
    positions : rows of paper.positions; the spot is that of the mark, each leg's volatility that of its entry.
    multiplier : shares a contract.

    Returns
    -------
    The same rows with legs_text, delta (shares), gamma (shares per USD), vega_usd (a volatility point) and theta_usd (a
    day) of all contracts; NaN where a leg has no volatility.
    """
    found = [
        _greeks_of(row, multiplier=multiplier, rate=rate, dividend_yield=dividend_yield)
        for row in positions.to_dict("records")
    ]
    told = positions.assign(legs_text=[legs_text(legs) for legs in positions["legs"]])
    return told.assign(**{name: [values[place] for values in found] for place, name in enumerate(GREEKS)})


def _greeks_of(row: Mapping[Any, Any], *, multiplier: float, rate: float, dividend_yield: float) -> tuple[float, ...]:
    legs = pd.DataFrame(json.loads(row["legs"]) if isinstance(row["legs"], str) else [])
    needed = {"side", "strike", "option_right", "entry_implied_volatility"}
    if legs.empty or not needed <= set(legs.columns):
        return (np.nan,) * len(GREEKS)
    expiration = pd.to_datetime(legs["expiration"] if "expiration" in legs else [row["expiration"]] * len(legs))
    ratio = legs["ratio"].to_numpy(dtype=float) if "ratio" in legs else np.ones(len(legs))
    days = (pd.DatetimeIndex(expiration) - row["session"]).days.to_numpy(dtype=float)
    values = greeks(
        spot=row["spot"], strike=legs["strike"].to_numpy(dtype=float), rate=rate, dividend_yield=dividend_yield,
        years=days / DAYS_PER_YEAR,
        volatility=legs["entry_implied_volatility"].to_numpy(dtype=float),
        is_call=(legs["option_right"] == "C").to_numpy(),
    )  # fmt: skip
    scale = np.where(legs["side"] == "buy", 1.0, -1.0) * ratio * float(row["contracts"]) * multiplier
    return (
        float(scale @ values.delta), float(scale @ values.gamma), float(scale @ values.vega) / 100.0,
        float(scale @ values.theta) / DAYS_PER_YEAR,
    )  # fmt: skip


def profit_data(positions: pd.DataFrame, ledger: pd.DataFrame) -> pd.DataFrame:
    """Return cash, marks of open positions and equity of the account by session."""
    if ledger.empty:
        return pd.DataFrame(columns=["session", "cash_usd", "marks_usd", "equity_usd"])
    cash = ledger.sort_values("entry").groupby("session")["balance_usd"].last()
    marks = positions.groupby("session")["mark_usd"].sum() if len(positions) else pd.Series(dtype=float)
    sessions = cash.index.union(marks.index)
    frame = pd.DataFrame({"cash_usd": cash.reindex(sessions).ffill(), "marks_usd": marks.reindex(sessions).fillna(0.0)})
    return frame.assign(equity_usd=frame.sum(axis=1)).rename_axis("session").reset_index()


def profit_figure(profit: pd.DataFrame) -> go.Figure:
    """Draw the equity of the account and its cash by session."""
    figure = new_figure(x_title="session", y_title="USD", height=340)
    for column, name, colour, dash in (
        ("equity_usd", "equity", LINE, "solid"), ("cash_usd", "cash", ORANGE, "dash"),
    ):  # fmt: skip
        figure.add_scatter(
            x=profit["session"], y=profit[column], name=name, mode="lines+markers",
            line={"color": colour, "dash": dash},
            hovertemplate="%{y:,.2f} USD",
        )  # fmt: skip
    return figure
