"""One structure as spot, time and volatility move: its profit and Greeks by Black–Scholes at its legs' volatilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.dashboard.theme import GREY, LINE, ORANGE, mark_x, new_figure
from trading_dag.day_count import DAYS_PER_YEAR
from trading_dag.options.pricing.greeks import greeks
from trading_dag.options.structures.indication import Indication
from trading_dag.options.structures.strike_selection import years_to_expiration

if TYPE_CHECKING:
    import plotly.graph_objects as go

POINTS: Final = 161
REACH: Final = 0.12
LEAST_VOLATILITY: Final = 0.01
GREEKS: Final = ("profit_usd", "delta_shares", "gamma_shares_per_usd", "theta_usd_per_day", "vega_usd_per_point")


@dataclass(frozen=True)
class Moves:
    """Says by how much the market is moved.

    Attributes
    ----------
    spot_percent : of the underlying.
    days : calendar days that pass, at most to the expiration.
    volatility_points : added to the volatility of every leg.
    """

    spot_percent: float = 0.0
    days: float = 0.0
    volatility_points: float = 0.0


def days_left(indication: Indication) -> float:
    """Return the calendar days from the session's close to the expiration."""
    at, to = pd.DatetimeIndex([indication.session]), pd.DatetimeIndex([indication.expiration])
    return float(years_to_expiration(at, to, quoted_at="close")[0]) * DAYS_PER_YEAR


def exposures(
    indication: Indication, spots: FloatArray, *, moves: Moves, rate: float, dividend_yield: float
) -> pd.DataFrame:
    """Return spot_usd with profit and Greeks of one structure at each price of the underlying, after the moves of time
    and volatility.

    Parameters
    ----------
    spots : (n,) USD; ``moves.spot_percent`` is not added to them.
    rate, dividend_yield : continuously compounded.
    """
    structure = indication.structure
    years = max(days_left(indication) - moves.days, 0.0) / DAYS_PER_YEAR
    volatility = np.maximum(indication.leg_volatilities + moves.volatility_points / 100.0, LEAST_VOLATILITY)
    found = greeks(
        spot=spots[:, np.newaxis], strike=indication.strikes, years=years, rate=rate, dividend_yield=dividend_yield,
        volatility=volatility, is_call=structure.is_call,
    )  # fmt: skip
    ratios, shares, lot = structure.signed_ratios, structure.underlying_ratio, indication.multiplier
    with np.errstate(invalid="ignore"):  # at expiration, exactly at a strike, gamma and theta are infinite
        return pd.DataFrame(
            {
                "spot_usd": spots,
                "profit_usd": (found.price @ ratios + shares * spots - indication.premium) * lot,
                "delta_shares": (found.delta @ ratios + shares) * lot,
                "gamma_shares_per_usd": found.gamma @ ratios * lot,
                "theta_usd_per_day": found.theta @ ratios * lot / DAYS_PER_YEAR,
                "vega_usd_per_point": found.vega @ ratios * lot / 100.0,
            }
        )


def scenario_data(indication: Indication, *, moves: Moves, rate: float, dividend_yield: float) -> pd.DataFrame:
    """Return the profit at each price today, after the moves, and at expiration, with the Greeks after the moves."""
    spots = indication.spot * np.linspace(1.0 - REACH, 1.0 + REACH, POINTS)
    carry = {"rate": rate, "dividend_yield": dividend_yield}
    moved = exposures(indication, spots, moves=moves, **carry)
    today = exposures(indication, spots, moves=Moves(), **carry)
    at_end = exposures(indication, spots, moves=Moves(days=days_left(indication)), **carry)
    return moved.assign(profit_today_usd=today["profit_usd"], profit_at_expiration_usd=at_end["profit_usd"])


def at_one_price(
    indication: Indication, *, moves: Moves, rate: float, dividend_yield: float
) -> tuple[pd.Series, pd.Series]:
    """Return profit and Greeks now, and at the moved price after the moves of time and volatility."""
    carry = {"rate": rate, "dividend_yield": dividend_yield}
    now = exposures(indication, np.array([indication.spot]), moves=Moves(), **carry).iloc[0]
    there = np.array([indication.spot * (1.0 + moves.spot_percent / 100.0)])
    return now, exposures(indication, there, moves=moves, **carry).iloc[0]


def scenario_figure(data: pd.DataFrame, *, spot: float, moved_spot: float) -> go.Figure:
    """Return the profit against the price: now, after the moves, and at expiration."""
    import plotly.graph_objects as go

    figure = new_figure(x_title="price of the underlying (USD)", y_title="profit of one structure (USD)", height=400)
    lines = (
        ("profit_at_expiration_usd", "at expiration", GREY, "dot"),
        ("profit_today_usd", "at the close of the session", ORANGE, "dash"),
        ("profit_usd", "after the moves", LINE, "solid"),
    )
    for column, name, colour, dash in lines:
        figure.add_trace(
            go.Scatter(x=data["spot_usd"], y=data[column], mode="lines", name=name,
                       line={"color": colour, "dash": dash, "width": 2.2}, hovertemplate="%{y:+,.0f} USD")
        )  # fmt: skip
    figure.update_xaxes(hoverformat=",.2f")
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    mark_x(figure, spot, f"spot {spot:,.2f}", colour=GREY)
    if moved_spot != spot:
        mark_x(figure, moved_spot, f"moved {moved_spot:,.2f}", colour=LINE, annotation_position="bottom right")
    return figure
