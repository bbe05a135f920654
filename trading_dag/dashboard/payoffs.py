"""What a structure brings at its expiration, over the forecast's distribution of the price there."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.dashboard.theme import GAIN, GREY, LINE, LOSS, ORANGE, mark_x, new_figure, tinted
from trading_dag.options.pricing.forecast_distribution import ForecastDistribution
from trading_dag.options.structures.forecast_value import expected_profit, forecast_probability_of_profit
from trading_dag.options.structures.payoff import breakevens, payoff
from trading_dag.options.structures.structure import Structure
from trading_dag.setting_groups import BacktestSettings
from trading_dag.strategy.beside import outlook_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

POINTS: Final = 241
REACH: Final = 3.2  # standard deviations of the forecast that are drawn


@dataclass(frozen=True)
class Recommended:
    """Holds the legs of one recommended structure as they are stored.

    Attributes
    ----------
    structure, strikes : strikes in the order of the legs, USD.
    premium : USD a share, positive where paid.
    spot : close of the session, USD.
    """

    structure: Structure
    strikes: FloatArray
    premium: float
    spot: float
    session: pd.Timestamp
    expiration: pd.Timestamp


def recommended(
    row: Mapping[Hashable, Any], *, spot: float, menu: Mapping[str, Structure], settings: BacktestSettings
) -> Recommended | None:
    """Return the legs of a row of ``signals.recommendation``; None where it names no structure, or has no quotes.

    Parameters
    ----------
    settings : with the multiplier of the ticker's contracts.
    """
    structure = menu.get(str(row["strategy"]))
    if structure is None or row["legs"] is None or pd.isna(row["legs"]) or not structure.expires_together:
        return None
    strikes = np.array([float(leg["strike"]) for leg in json.loads(row["legs"])])
    premium = float(row["net_premium_usd"]) / settings.multiplier
    return Recommended(
        structure, strikes, premium, spot, pd.Timestamp(row["session"]), pd.Timestamp(row["expiration"])
    )  # fmt: skip


def forecast_at_expiration(price: pd.DataFrame, legs: Recommended) -> ForecastDistribution | None:
    """Return the distribution of the price at the expiration; None where no forecast reaches so far.

    Parameters
    ----------
    price : rows of ``predictions.price`` of the slice that looks furthest ahead, of the session.
    """
    outlook = outlook_of(price, pd.DatetimeIndex([legs.session]))
    if not outlook.ahead:
        return None
    quantiles = outlook.quantiles_at(
        np.array([np.datetime64(legs.expiration)]), spot=np.array([legs.spot]), rows=np.array([0])
    )  # fmt: skip
    return ForecastDistribution(quantiles) if np.isfinite(quantiles).all() else None


def value_by_forecast(
    legs: Recommended, forecast: ForecastDistribution, settings: BacktestSettings
) -> tuple[float, float]:
    """Return the probability of a profit at expiration, and the expected profit of one structure, USD, fees both ways
    paid, as ``signals.recommendation`` has them."""
    strikes = legs.strikes[np.newaxis]
    chance = forecast_probability_of_profit(legs.structure, strikes, premium=[legs.premium], forecast=forecast)
    mean = expected_profit(legs.structure, strikes, premium=[legs.premium], forecast=forecast)
    fees = 2.0 * settings.fee_per_leg_contract_usd * legs.structure.contracts_per_structure
    return float(chance[0]), float(mean[0]) * settings.multiplier - fees


def payoff_data(legs: Recommended, forecast: ForecastDistribution | None, *, multiplier: int) -> pd.DataFrame:
    """Return price_usd, profit_usd at expiration without fees, and density_percent: the chance of ending within 1 % of
    spot around the price, NaN without a forecast."""
    if forecast is None:
        reach = max(float(np.abs(legs.strikes - legs.spot).max()) * 1.6, 0.08 * legs.spot)
        low, high = max(legs.spot - reach, 0.01), legs.spot + reach
    else:
        ends = np.exp(forecast.log_price_at(np.array([[-REACH, REACH]])))[0]
        low, high = min(ends[0], legs.strikes.min() * 0.99), max(ends[1], legs.strikes.max() * 1.01)
    prices = np.linspace(low, high, POINTS)
    value = payoff(legs.structure, legs.strikes[np.newaxis], spot=prices[np.newaxis])[0]
    half = 0.005 * legs.spot
    chance = np.full(POINTS, np.nan)
    if forecast is not None:
        chance = forecast.probability_between((prices - half)[np.newaxis], (prices + half)[np.newaxis])[0] * 100.0
    return pd.DataFrame(
        {"price_usd": prices, "profit_usd": (value - legs.premium) * multiplier, "chance_percent": chance}
    )  # fmt: skip


def breakeven_points(legs: Recommended) -> list[float]:
    """Return the prices at expiration without profit or loss, ascending, USD."""
    points = breakevens(legs.structure, legs.strikes[np.newaxis], premium=[legs.premium])[0]
    return [float(point) for point in points[np.isfinite(points)]]


def payoff_figure(data: pd.DataFrame, *, spot: float, breakevens: list[float], expiration: pd.Timestamp) -> go.Figure:
    """Return the profit at expiration above the forecast's distribution of the price, on one price axis.

    Parameters
    ----------
    data : as ``payoff_data`` gives it.
    """
    import plotly.graph_objects as go

    figure = new_figure(x_title=f"underlying at the close of {expiration:%Y-%m-%d} (USD)", height=460)
    profit = data["profit_usd"]
    for part, colour, name in ((profit.clip(lower=0), GAIN, "profit"), (profit.clip(upper=0), LOSS, "loss")):
        figure.add_trace(
            go.Scatter(x=data["price_usd"], y=part, mode="lines", line={"width": 0}, fill="tozeroy",
                       fillcolor=tinted(colour, 0.35), name=name, hoverinfo="skip")
        )  # fmt: skip
    figure.add_trace(
        go.Scatter(x=data["price_usd"], y=profit, mode="lines", name="at expiration",
                   line={"color": LINE, "width": 2.2}, hovertemplate="%{y:+,.0f} USD")
    )  # fmt: skip
    has_forecast = data["chance_percent"].notna().any()
    if has_forecast:
        figure.add_trace(
            go.Scatter(x=data["price_usd"], y=data["chance_percent"], mode="lines", name="forecast of the price",
                       line={"color": ORANGE, "width": 1.8}, fill="tozeroy", fillcolor=tinted(ORANGE, 0.25), yaxis="y2",
                       hovertemplate="%{y:.1f} % within ±0.5 % of spot")
        )  # fmt: skip
    figure.update_layout(
        yaxis={"title": "profit of one structure (USD)", "domain": [0.36 if has_forecast else 0.0, 1.0]},
        yaxis2={"title": "chance (%)", "domain": [0.0, 0.28], "rangemode": "tozero", "automargin": True},
        xaxis={"anchor": "y2" if has_forecast else "y", "hoverformat": ",.2f"},
    )
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    mark_x(figure, spot, f"spot {spot:,.2f}", colour=LINE)
    for point in breakevens:
        mark_x(figure, point, f"breakeven {point:,.2f}", dash="dot", annotation_position="bottom right")
    return figure
