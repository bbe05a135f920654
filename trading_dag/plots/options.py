"""Figures of options: what a structure pays, the smile and its term structure, and where dealers' gamma lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from trading_dag.arrays import FloatArray
from trading_dag.day_count import DAYS_PER_YEAR
from trading_dag.options.chains.dealer_exposure import GammaByStrike
from trading_dag.options.pricing.black_scholes import price
from trading_dag.options.structures.payoff import breakevens, payoff, payoff_bounds
from trading_dag.options.structures.structure import Structure
from trading_dag.plots import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPOT_POINTS: Final = 401
SMILES_SHOWN: Final = 6
NEAR_SPOT: Final = 0.10
MILLION: Final = 1e6


def payoff_at_expiration(
    structure: Structure, strikes: ArrayLike, *, premium: float, spot: float, multiplier: float = 100.0, title: str = ""
) -> Figure:
    """Draw the profit of one structure at expiration against the underlying's price, breakevens marked, without fees.

    Parameters
    ----------
    strikes : (legs,) USD, in the order of the legs.
    premium : USD a share, positive where paid.
    spot : USD, marked.
    """
    heading = title or structure.name.replace("_", " ")
    leg_strikes = np.asarray(strikes, dtype=np.float64)
    if not np.isfinite([*leg_strikes, premium, spot]).all():
        return canvas.insufficient_data(heading, "the structure is not quoted")
    prices = _prices_around(spot, leg_strikes)
    profit = (payoff(structure, leg_strikes[np.newaxis], spot=prices[np.newaxis])[0] - premium) * multiplier
    points = breakevens(structure, leg_strikes[np.newaxis], premium=[premium])[0]
    bounds = payoff_bounds(structure, leg_strikes[np.newaxis])
    least, most = (_bound((value[0] - premium) * multiplier) for value in (bounds.least, bounds.greatest))
    return _profit_figure(
        prices, profit, points=points[np.isfinite(points)], spot=spot, heading=f"{heading} · payoff at expiration",
        words=f"{_paid(premium * multiplier)}, {{}}; at worst {least}, at best {most}",
    )  # fmt: skip


def value_at_front_expiration(
    structure: Structure,
    strikes: ArrayLike,
    *,
    years_beyond: ArrayLike,
    volatilities: ArrayLike,
    premium: float,
    spot: float,
    rate: float,
    dividend_yield: float,
    multiplier: float = 100.0,
    title: str = "",
) -> Figure:
    """Draw the profit of one structure when its front legs expire; later legs are valued by Black–Scholes at their
    volatility.

    Parameters
    ----------
    strikes : (legs,) USD, in the order of the legs.
    years_beyond : (legs,) from the front's expiration to the leg's own; 0 for the front.
    volatilities : (legs,) fractions, those of the entry.
    premium : USD a share, positive where paid.
    rate, dividend_yield : continuously compounded.
    """
    heading = title or structure.name.replace("_", " ")
    leg_strikes = np.asarray(strikes, dtype=np.float64)
    later, volatility = np.asarray(years_beyond, dtype=np.float64), np.asarray(volatilities, dtype=np.float64)
    if not np.isfinite([*leg_strikes, *later, *volatility, premium, spot]).all():
        return canvas.insufficient_data(heading, "a leg is not quoted or has no volatility")
    prices = _prices_around(spot, leg_strikes)
    value = price(
        spot=prices[:, np.newaxis], strike=leg_strikes, years=later, rate=rate, dividend_yield=dividend_yield,
        volatility=volatility, is_call=structure.is_call,
    ) @ structure.signed_ratios + structure.underlying_ratio * prices  # fmt: skip
    profit = (value - premium) * multiplier
    at = np.flatnonzero(np.diff(np.sign(profit)) != 0)
    points = prices[at] - profit[at] * np.diff(prices)[at] / np.diff(profit)[at]
    return _profit_figure(
        prices, profit, points=points, spot=spot, heading=f"{heading} · value when the front expires",
        words=f"{_paid(premium * multiplier)}, {{}}; longer legs at the volatility of the entry",
    )  # fmt: skip


def _prices_around(spot: float, strikes: FloatArray) -> FloatArray:
    reach = max(float(np.abs(strikes - spot).max()) * 1.6, 0.06 * spot)
    return np.linspace(max(spot - reach, 0.0), spot + reach, SPOT_POINTS)


def _profit_figure(
    prices: FloatArray, profit: FloatArray, *, points: FloatArray, spot: float, heading: str, words: str
) -> Figure:
    """Draw a profit against the underlying's price, gains and losses shaded; ``words`` has a place for the
    breakevens."""
    figure = canvas.new_figure(3.6)
    axes = figure.subplots()
    axes.plot(prices, profit, color=canvas.INK, linewidth=1.4)
    axes.fill_between(prices, profit, 0.0, where=(profit > 0).tolist(), color=canvas.GREEN, alpha=0.22, linewidth=0)
    axes.fill_between(prices, profit, 0.0, where=(profit < 0).tolist(), color=canvas.VERMILION, alpha=0.22, linewidth=0)
    axes.axhline(0.0, color=canvas.GREY, linewidth=0.8)
    axes.axvline(spot, color=canvas.BLUE, linewidth=1.0, linestyle="--", label=f"spot {spot:,.2f}")
    axes.plot(points, np.zeros_like(points), "o", color=canvas.INK, markersize=4, label="breakeven")
    canvas.dress(axes, x_label="underlying at expiration (USD)", y_label="profit of one structure (USD)")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    canvas.legend_above(axes, columns=2)
    at = ", ".join(f"{point:,.2f}" for point in points) or "none"
    canvas.headline(figure, heading, words.format(f"breakeven {at}"))
    return figure


def _paid(usd: float) -> str:
    return f"pays {usd:,.0f} USD" if usd > 0 else f"receives {-usd:,.0f} USD"


def _bound(usd: float) -> str:
    return f"{usd:+,.0f} USD" if np.isfinite(usd) else "unlimited"


def smiles(contracts: pd.DataFrame, title: str) -> Figure:
    """Draw implied volatility against log-moneyness, one colour per expiration; dots are quotes, lines the fitted
    slices.

    Parameters
    ----------
    contracts : expiration, years, strike, forward, fitted_volatility and slice_volatility (fractions or NaN), as
        ``chains.session`` gives them.
    """
    heading = f"{title} · smile by expiration"
    known = contracts.dropna(subset=["forward", "fitted_volatility"])
    expirations = np.sort(known["expiration"].unique())
    if not len(expirations):
        return canvas.insufficient_data(heading, "no contract has an implied volatility")
    shown = expirations[np.unique(np.linspace(0, len(expirations) - 1, SMILES_SHOWN).astype(int))]
    figure = canvas.new_figure(4.2)
    axes = figure.subplots()
    for expiration, colour in zip(shown, canvas.SERIES_COLOURS, strict=False):
        rows = known[known["expiration"] == expiration].sort_values("strike")
        moneyness = np.log(rows["strike"].to_numpy() / rows["forward"].to_numpy())
        days = rows["years"].iloc[0] * DAYS_PER_YEAR
        label = f"{pd.Timestamp(expiration):%Y-%m-%d} ({days:.0f} d)"
        axes.plot(moneyness, rows["fitted_volatility"] * 100, ".", color=colour, markersize=4, label=label)
        axes.plot(moneyness, rows["slice_volatility"] * 100, "-", color=colour, linewidth=1.2)
    axes.axvline(0.0, color=canvas.GREY, linewidth=0.8)
    canvas.dress(axes, x_label="log-moneyness ln(K/F)", y_label="implied volatility (%)")
    canvas.legend_above(axes, columns=3)
    canvas.headline(figure, heading, f"{len(shown)} of {len(expirations)} expirations; lines are fitted slices")
    return figure


def term_structure(expirations: pd.DataFrame, title: str) -> Figure:
    """Draw at-the-money volatility and 25-delta skew against days to expiration.

    Parameters
    ----------
    expirations : rows of ``options.chain_analytics`` of one session.
    """
    heading = f"{title} · term structure"
    rows = expirations.dropna(subset=["atm_volatility"]).sort_values("years")
    if len(rows) < 2:
        return canvas.insufficient_data(heading, "fewer than two expirations have an at-the-money volatility")
    days = rows["years"] * DAYS_PER_YEAR
    figure = canvas.new_figure(4.4)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    upper.plot(days, rows["atm_volatility"] * 100, "o-", color=canvas.BLUE, linewidth=1.3, markersize=3.5)
    lower.plot(days, rows["skew_25_delta"] * 100, "o-", color=canvas.VERMILION, linewidth=1.1, markersize=3.5)
    lower.axhline(0.0, color=canvas.GREY, linewidth=0.8)
    canvas.dress(upper, y_label="at the money (%)")
    canvas.dress(lower, x_label="calendar days to expiration", y_label="25Δ put − call\n(points)")
    ends = [f"{rows['atm_volatility'].iloc[end]:.1%} at {days.iloc[end]:.0f} days" for end in (0, -1)]
    canvas.headline(figure, heading, ", ".join(ends))
    return figure


def net_gamma_by_strike(by_strike: GammaByStrike, *, spot: float, flip: float, title: str) -> Figure:
    """Draw dealers' gamma exposure at each strike within 10 % of spot, calls up and puts down, with the flip.

    Parameters
    ----------
    flip : spot at which the total is zero, USD; NaN where there is none.
    """
    heading = f"{title} · dealers' gamma by strike"
    near = np.abs(by_strike.strike / spot - 1.0) <= NEAR_SPOT
    if not near.any():
        return canvas.insufficient_data(heading, "no contract near spot has open interest and a volatility")
    strikes = by_strike.strike[near]
    width = float(np.median(np.diff(strikes))) * 0.9 if len(strikes) > 1 else 1.0
    figure = canvas.new_figure(3.8)
    axes = figure.subplots()
    for values, colour, label in (
        (by_strike.calls, canvas.GREEN, "calls"),
        (by_strike.puts, canvas.VERMILION, "puts"),
    ):
        axes.bar(strikes, values[near] / MILLION, width=width, color=colour, alpha=0.55, label=label)
    axes.plot(strikes, by_strike.net[near] / MILLION, color=canvas.INK, linewidth=1.1, label="net")
    axes.axvline(spot, color=canvas.BLUE, linewidth=1.0, linestyle="--", label=f"spot {spot:,.2f}")
    if np.isfinite(flip):
        axes.axvline(flip, color=canvas.PURPLE, linewidth=1.2, label=f"flip {flip:,.2f}")
    canvas.dress(axes, x_label="strike (USD)", y_label="million USD per 1 % move")
    canvas.legend_above(axes, columns=5)
    where = f"flip at {flip:,.2f}" if np.isfinite(flip) else "no flip within 15 %"
    total = by_strike.net.sum() / MILLION
    canvas.headline(
        figure, heading, f"net {total:+,.0f} million USD per 1 % move, {where}; dealers long calls, short puts"
    )
    return figure
