"""Today: what is forecast of a ticker, what is recommended and why, and what the forecasts have been worth."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import streamlit as st

from resources.storage.parquet_store import SliceKey
from trading_dag.dashboard.cones import cone_figure, cone_points
from trading_dag.dashboard.evidence import evidence_data, evidence_lines
from trading_dag.dashboard.page import PageContext, show_chart, show_nothing, show_numbers, show_table
from trading_dag.dashboard.payoffs import (
    breakeven_points,
    forecast_at_expiration,
    payoff_data,
    payoff_figure,
    recommended,
    value_by_forecast,
)
from trading_dag.dashboard.theme import SERIES, new_figure
from trading_dag.dashboard.words import NONE, day, named, percent, plain, usd
from trading_dag.options.structures.user_structures import structures_by_name
from trading_dag.reporting.evidence_text import evidence_in_words
from trading_dag.reporting.provisional_report import age_in_words
from trading_dag.reporting.tables import SIGNAL_SQL
from trading_dag.schemas import MARKET_STATES, PROVISIONAL
from trading_dag.served_models import SERVED_PRICE, SERVED_VOLATILITY_LEVEL
from trading_dag.strategy.explanation import called_direction, says_no_more_than_usual
from trading_dag.strategy.sizing import settings_for_contract

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from resources.storage.versioned_reader import VersionedReader

HISTORY_SESSIONS: Final = 60
FURTHEST: Final = "168h"  # its slice looks 10 and 21 sessions ahead, too
_PRICES: Final = (
    "SELECT session, close AS value FROM raw.prices_daily WHERE ticker = ? AND session <= ? "
    "ORDER BY session DESC LIMIT ?"
)
_INDEX: Final = (
    "SELECT session, close AS value FROM raw.volatility_index WHERE ticker = ? AND session <= ? AND close IS NOT NULL "
    "ORDER BY session DESC LIMIT ?"
)
_FORECASTS: Final = "SELECT * FROM predictions.price WHERE ticker = ? AND session = ? AND model = ?"
_LEVELS: Final = "SELECT * FROM predictions.volatility_level WHERE ticker = ? AND session = ? AND model = ?"
_STATES: Final = "SELECT * FROM predictions.regime WHERE ticker = ? AND session <= ? ORDER BY session DESC LIMIT ?"
_METRICS: Final = "SELECT * FROM evaluation.metrics WHERE ticker = ? AND horizon = ? AND baseline <> 'none'"


def signals(reader: VersionedReader, ticker: str, horizons: tuple[str, ...]) -> pd.DataFrame:
    """Return the latest recommendation of each horizon and rule, as the command ``signal`` reads them."""
    return reader.query(SIGNAL_SQL, [[ticker], list(horizons)])


def read_ahead(reader: VersionedReader, ticker: str, horizons: tuple[str, ...]) -> None:
    """Read what the page needs of a ticker, so that whoever opens it first need not wait."""
    rows = signals(reader, ticker, horizons)
    if len(rows):
        session = pd.Timestamp(rows["session"].max())
        price_cone_data(reader, ticker, session)
        level_cone_data(reader, ticker, session)
        states_data(reader, ticker, session)
        reader.query(_METRICS, [ticker, horizons[0]])


def provisional_words(rows: pd.DataFrame, *, horizon: str, session: pd.Timestamp) -> str | None:
    """Return what is said of a session under way, and how old that is; None where no session after the last close is.

    Parameters
    ----------
    rows : ``signals.provisional`` of a ticker.
    session : of the recommendation that the page shows.
    """
    own = rows[(rows["horizon"] == horizon) & rows["is_served"].astype(bool) & (rows["session"] > session)]
    if own.empty:
        return None
    return f"Provisional, the session of {day(own['session'].iloc[0])} is under way: {own['reasoning'].iloc[0]} " + (
        age_in_words(own)
    )


def horizons_data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what each horizon says by the served rule, for the table of all horizons."""
    served = rows[rows["is_served"]]
    shown = served[["horizon", "target_session", "probability_up", "usual_probability_up", "iv_regime", "iv_confidence",
                    "strategy", "strikes", "expiration", "position_size", "contracts", "max_loss_usd",
                    "edge"]]  # fmt: skip
    return shown.assign(
        strategy=[named(name) for name in shown["strategy"]], edge=[named(name) for name in shown["edge"]]
    )


def price_cone_data(reader: VersionedReader, ticker: str, session: pd.Timestamp) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the closes before, and the points of the cone of every horizon; both empty where nothing is forecast."""
    history = _ascending(reader.query(_PRICES, [ticker, session, HISTORY_SESSIONS]))
    forecasts = reader.query(_FORECASTS, [ticker, session, SERVED_PRICE])
    if forecasts.empty:
        return history, pd.DataFrame()
    return history, cone_points(forecasts, last=float(forecasts["close"].iloc[0]), horizon_ends_at_open=True)


def level_cone_data(reader: VersionedReader, ticker: str, session: pd.Timestamp) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the volatility index before, and the points of its cone."""
    history = _ascending(reader.query(_INDEX, [ticker, session, HISTORY_SESSIONS]))
    forecasts = reader.query(_LEVELS, [ticker, session, SERVED_VOLATILITY_LEVEL])
    if forecasts.empty:
        return history, pd.DataFrame()
    return history, cone_points(forecasts, last=float(forecasts["index_level"].iloc[0]), horizon_ends_at_open=False)


def states_data(reader: VersionedReader, ticker: str, session: pd.Timestamp) -> pd.DataFrame:
    """Return the filtered probabilities of the market states of the latest sessions, ascending."""
    return _ascending(reader.query(_STATES, [ticker, session, HISTORY_SESSIONS]))


def states_figure(states: pd.DataFrame) -> go.Figure:
    """Return the probabilities of the five market states as bands that add up to 100 %."""
    import plotly.graph_objects as go

    figure = new_figure(y_title="probability (%)", height=300)
    for state, colour in zip(MARKET_STATES, SERIES, strict=False):
        figure.add_trace(
            go.Scatter(x=states["session"], y=states[f"probability_{state}"] * 100, stackgroup="all", name=named(state),
                       line={"width": 0.5, "color": colour}, hovertemplate="%{y:.0f} %")
        )  # fmt: skip
    figure.update_yaxes(range=[0, 100])
    return figure


def render(context: PageContext) -> None:
    """Show the page."""
    rows = signals(context.reader, context.ticker, context.settings.horizons)
    own = rows[rows["horizon"] == context.horizon]
    served = own[own["is_served"]]
    if served.empty:
        text = f"Nothing is forecast of {context.ticker} at {context.horizon} yet. This makes it:"
        command = f"trading-dag run --tickers {context.ticker} --horizons {context.horizon}"
        show_nothing("No forecast", text, command=command)
        return
    row = served.iloc[0].to_dict()
    session = pd.Timestamp(row["session"])
    running = provisional_words(
        context.reader.read(PROVISIONAL, SliceKey(context.ticker)), horizon=context.horizon, session=session
    )  # fmt: skip
    if running:
        st.warning(plain(running), icon=":material/pending:")
    _sentence(row, own[~own["is_served"]])
    history, points = price_cone_data(context.reader, context.ticker, session)
    levels, level_points = level_cone_data(context.reader, context.ticker, session)
    states = states_data(context.reader, context.ticker, session)
    _numbers(row, history, levels, states)
    show_chart(
        cone_figure(history, points, y_title="price (USD)", unit=" USD") if len(points) else None, points,
        title=f"{context.ticker}: price and its forecast", as_of=session,
        says="Closes of 60 sessions, then the distribution that is forecast for every horizon, to 21 sessions ahead: "
        "each band holds the price with the probability it names. 12h ends at the next open, the others at a close.",
        nothing="A distribution needs 500 outcomes of earlier sessions.",
    )  # fmt: skip
    _structure(context, row, history)
    show_table(
        horizons_data(rows), title="All horizons", as_of=session, columns=_horizon_columns(),
        says="What each horizon forecasts, and what is recommended by the rule that is served. A size of 0 means that "
        "nothing is to be traded.",
    )  # fmt: skip
    left, right = st.columns(2)
    with left:
        show_chart(
            cone_figure(levels, level_points, y_title="volatility index (annualised %)", unit=" %")
            if len(level_points) else None, level_points, title="Volatility index and its forecast", as_of=session,
            says="The index of implied volatility, and the distribution that is forecast of it, in annualised percent "
            "points.", nothing="No volatility index of this ticker is stored, or too few outcomes are known.",
        )  # fmt: skip
    with right:
        show_chart(
            states_figure(states) if len(states) else None, states, title="Market state", as_of=session,
            says="Probability of each of five states of the market, of what was known at each close, in percent.",
            nothing="The states need three years of sessions.",
        )  # fmt: skip
    _evidence(context, row, session)


def _sentence(row: Mapping[Hashable, Any], others: pd.DataFrame) -> None:
    st.markdown(f"**{plain(row['reasoning'])}**")
    for other in others.to_dict("records"):
        st.caption(f"Rule {named(other['rule'])}, which is not served: {plain(other['reasoning'])}")


def _numbers(row: Mapping[Hashable, Any], history: pd.DataFrame, levels: pd.DataFrame, states: pd.DataFrame) -> None:
    up, usual = row["probability_up"], row["usual_probability_up"]
    told = "no better than usual" if says_no_more_than_usual(up, usual) else f"usually {percent(usual)}"
    state = states["state"].iloc[-1] if len(states) else None
    show_numbers(
        [
            ("Close", usd(_last(history), digits=2), f"Price at the close of {day(row['session'])}"),
            (f"P(rise) by {day(row['target_session'])}", f"{percent(up)} · {told}",
             f"That the price is higher at the target; {called_direction(row['direction'], up) or 'no call'}"),
            ("Volatility index", f"{_last(levels):.2f} %" if len(levels) else NONE, "Close, annualised percent points"),
            ("Expected of the index", f"{named(row['expected_iv_direction']).lower()} "
             f"{percent(row['expected_iv_change'], signed=True, digits=1)}", "Mean of its forecast over today's level"),
            ("IV regime forecast", f"{named(row['iv_regime'])} · {percent(row['iv_confidence'])}",
             "Regime of the IV rank at the target, and its probability"),
            ("Market state", named(state), "Most probable of five states, from what was known at the close"),
        ]
    )  # fmt: skip


def whose_forecast(horizon: str) -> str:
    """Return the sentence that says which horizon's forecast a payoff is drawn over, where it is not the chosen one."""
    if horizon == FURTHEST:
        return ""
    return (
        f"That is the forecast of {FURTHEST}, which looks 10 and 21 sessions ahead and so reaches the expiration; the "
        f"one of {horizon} does not. "
    )


def _structure(context: PageContext, row: Mapping[Hashable, Any], history: pd.DataFrame) -> None:
    settings = settings_for_contract(context.ticker, context.settings)
    menu = structures_by_name(settings.structures)
    legs = recommended(row, spot=_last(history), menu=menu, settings=settings.backtest)
    if legs is None:
        st.markdown("#### Recommended structure")
        show_nothing("No structure", "The sentence on top says why; nothing is to be drawn of it.")
        return
    session = pd.Timestamp(row["session"])
    price = context.reader.query(_FORECASTS, [context.ticker, session, SERVED_PRICE])
    forecast = forecast_at_expiration(price[price["horizon"] == FURTHEST], legs)
    chance, mean = value_by_forecast(legs, forecast, settings.backtest) if forecast else (None, None)
    title = f"{named(row['strategy'])} {row['strikes']}, expires {day(row['expiration'])}".capitalize()
    data, points = payoff_data(legs, forecast, multiplier=settings.backtest.multiplier), breakeven_points(legs)
    show_chart(
        payoff_figure(data, spot=legs.spot, breakevens=points, expiration=legs.expiration), data, title=title,
        as_of=session, says="Profit of one structure at expiration, fees not counted, in USD; below it how likely the "
        f"forecast holds each price there. {whose_forecast(context.horizon)}"
        "Quotes are indicative, at the close of the session.",
    )  # fmt: skip
    premium = row["net_premium_usd"]
    show_numbers(
        [
            ("Size", f"{row['position_size']:g} · {row['contracts']:g} to trade", "Share of a full trade; structures"),
            ("Pays" if premium > 0 else "Receives", usd(abs(premium)), "Premium of one structure"),
            ("Most to lose", usd(row["max_loss_usd"]), "Of one structure, at expiration"),
            ("Most to win", "unlimited" if pd.isna(row["max_profit_usd"]) else usd(row["max_profit_usd"]),
             "Of one structure, at expiration"),
            ("Breakeven", " / ".join(usd(point, digits=2) for point in points) or "none", "At expiration"),
            ("P(profit) by forecast", percent(chance), "Probability of a profit at expiration under the forecast"),
            ("P(profit) by prices", percent(row["probability_of_profit"]), "The same by option prices"),
            ("Expected", usd(mean, signed=True), "Mean profit of one structure under the forecast, fees paid"),
        ]
    )  # fmt: skip
    if forecast is None:
        st.caption("No forecast reaches the expiration, so nothing is said of the chances there.")


def _evidence(context: PageContext, row: Mapping[Hashable, Any], session: pd.Timestamp) -> None:
    found = evidence_data(context.reader.query(_METRICS, [context.ticker, context.horizon]), horizon=context.horizon)
    show_table(
        found.drop(columns=["task"]), title="Evidence", as_of=session, columns=_evidence_columns(),
        says="What each served model has gained over its naive baseline, out of sample; an edge is measurable where "
        "the whole 95 % interval lies above zero.", nothing="trading-dag evaluate scores what is stored.",
    )  # fmt: skip
    st.markdown("\n".join(f"- {plain(line)}" for line in evidence_lines(found)))
    with st.expander("What the models of this signal had shown by then"):
        st.markdown("\n".join(f"- {plain(line)}" for line in evidence_in_words(row["evidence"])))


def _horizon_columns() -> dict[str, Any]:
    number, date = st.column_config.NumberColumn, st.column_config.DateColumn
    return {
        "target_session": date("target", format="YYYY-MM-DD"),
        "probability_up": number("P(rise)", format="percent"),
        "usual_probability_up": number("usually", format="percent", help="Share of rises in the training"),
        "iv_regime": "IV regime",
        "iv_confidence": number("its probability", format="percent"),
        "strategy": "structure",
        "strikes": "strikes (USD)",
        "expiration": date("expires", format="YYYY-MM-DD"),
        "position_size": number("size", help="Share of a full trade"),
        "max_loss_usd": number("most to lose (USD)", format="%.0f"),
    }


def _evidence_columns() -> dict[str, Any]:
    number = st.column_config.NumberColumn
    return {
        "in_words": None,
        "gain": number("gain in the score", format="%.4f", help="Positive is better than the baseline"),
        "gain_low": number("95 % from", format="%.4f"),
        "gain_high": number("to", format="%.4f"),
        "n": number("outcomes", format="localized"),
    }


def _ascending(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values("session", ignore_index=True)


def _last(history: pd.DataFrame) -> float:
    return float(history["value"].iloc[-1]) if len(history) else float("nan")
