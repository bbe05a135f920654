"""Options: chain, smiles, term structure, exposure, and one structure as the market moves.

Of a stored chain where there is one; else of the modelled surface, and the page says so.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
import streamlit as st

from resources.storage.parquet_store import SliceKey
from trading_dag.dashboard.option_data import (
    NEAREST_DAYS,
    Surface,
    analysis_of,
    analytics,
    carry_of,
    chain_sessions,
    chain_smiles,
    chain_table,
    gamma_data,
    indication_of,
    modelled_smiles,
    surface_of,
    term_structure,
    through_time,
)
from trading_dag.dashboard.option_figures import gamma_figure, history_figure, smile_figure, term_figure
from trading_dag.dashboard.page import PageContext, show_chart, show_nothing, show_numbers, show_table
from trading_dag.dashboard.scenario import Moves, at_one_price, days_left, scenario_data, scenario_figure
from trading_dag.dashboard.words import NONE, day, named, plain, usd
from trading_dag.options.chains.session import SessionAnalysis
from trading_dag.options.structures.indication import Indication
from trading_dag.options.structures.user_structures import structures_by_name
from trading_dag.schemas import DEALER_EXPOSURE

_MODELLED: Final = (
    "No option chain of {ticker} is stored: what follows is the surface that is modelled from its volatility index "
    "({index:.2f} %), not quotes. Chain, exposure and put/call ratios need a chain: trading-dag fetch-chains, or "
    "trading-dag import-chains PATH."
)
_SOURCES: Final = {"chain": "bid and ask of the stored chain", "last": "last trades of the stored chain",
                   "modelled": "the modelled surface"}  # fmt: skip


def render(context: PageContext) -> None:
    """Show the page."""
    sessions = chain_sessions(context.reader, context.ticker)
    if sessions:
        session = st.selectbox("Session of the chain", sessions[::-1], format_func=day, width=220)
        _of_chain(context, sessions, session)
        _structure(context, session)
        return
    surface = surface_of(context.reader, context.settings, context.ticker)
    if surface is None:
        text = f"Neither a chain of {context.ticker} nor a close with a volatility index is stored."
        show_nothing("No options to show", text, command=f"trading-dag refresh --tickers {context.ticker}")
        return
    _of_surface(context, surface)
    _structure(context, None)


def _of_chain(context: PageContext, sessions: list[pd.Timestamp], session: pd.Timestamp) -> None:
    earlier = [each for each in sessions if each < session]
    before = earlier[-1] if earlier else None
    analysis = analysis_of(context.reader, context.settings, context.ticker, session, before=before)
    smiles = analytics(context.reader, context.ticker)
    history = through_time(smiles, context.reader.read(DEALER_EXPOSURE, SliceKey(context.ticker)))
    _numbers(analysis, history, session, before)
    _smiles_and_term(analysis, smiles, session, before)
    _exposure(analysis, session)
    _through_time(history, session)
    _chain(analysis, session)


def _numbers(
    analysis: SessionAnalysis, history: pd.DataFrame, session: pd.Timestamp, before: pd.Timestamp | None
) -> None:
    def against(column: str, form: str) -> str:
        now, then = (history.loc[history["session"] == at, column] for at in (session, before))
        shown = form.format(now.iloc[0]) if len(now) and pd.notna(now.iloc[0]) else NONE
        return f"{shown} · before {form.format(then.iloc[0])}" if len(then) and pd.notna(then.iloc[0]) else shown

    flip = analysis.exposure.gamma_flip
    walls = (analysis.exposure.put_wall_strike, analysis.exposure.call_wall_strike)
    show_numbers(
        [
            ("Spot", usd(analysis.spot, digits=2), "Price of the underlying in the chain's rows"),
            ("ATM, nearest 30 days", against("atm_percent", "{:.1f} %"), "Implied volatility, annualised"),
            ("25Δ skew", against("skew_points", "{:+.1f} points"), "Put less call, of the expiration nearest 30 days"),
            ("Put/call traded", against("put_call_volume_ratio", "{:.2f}"), "Contracts traded, all expirations"),
            ("Put/call open", against("put_call_open_interest_ratio", "{:.2f}"), "Open interest of the morning"),
            ("Net gamma", against("net_gamma_million_usd", "{:+,.0f} million USD"), "Of dealers, per 1 % move"),
            ("Gamma flip", usd(flip, digits=2) if np.isfinite(flip) else "none within 15 %",
             "Nearest spot at which net gamma is zero"),
            ("Walls, put and call", " / ".join(usd(wall) for wall in walls), "Strikes with the greatest exposure"),
        ]
    )  # fmt: skip
    refused = sum(analysis.refused.values())
    st.caption(
        plain(
            f"{len(analysis.contracts):,} clean quotes, {refused:,} left out; of {day(session)}, against {day(before)}."
        )
    )


def _smiles_and_term(
    analysis: SessionAnalysis, smiles: pd.DataFrame, session: pd.Timestamp, before: pd.Timestamp | None
) -> None:
    quoted, terms = chain_smiles(analysis, smiles, before=before), term_structure(smiles, session, before=before)
    left, right = st.columns(2)
    with left:
        show_chart(
            smile_figure(quoted) if len(quoted) else None, quoted, title="Smile by expiration", as_of=session,
            says="Implied volatility by strike, in annualised percent: points are quotes, lines the fitted slices, "
            "dotted those of the session before.",
            nothing="No contract of this session has an implied volatility.",
        )  # fmt: skip
    with right:
        show_chart(
            term_figure(terms) if len(terms) else None, terms, title="Term structure and skew", as_of=session,
            says="Volatility at the money and 25-delta put less call by days to expiration; dotted is the session "
            "before.", nothing="trading-dag refresh analyses the chain.",
        )  # fmt: skip


def _exposure(analysis: SessionAnalysis, session: pd.Timestamp) -> None:
    data, exposure = gamma_data(analysis), analysis.exposure
    show_chart(
        gamma_figure(data, spot=analysis.spot, flip=exposure.gamma_flip, call_wall=exposure.call_wall_strike,
                     put_wall=exposure.put_wall_strike) if len(data) else None,
        data, title="Net gamma by strike", as_of=session,
        says="What dealers would hold if they were long every call and short every put that is open, in million USD "
        "of delta per 1 % move. The convention is an assumption; nobody publishes who holds what.",
        nothing="No contract near spot has open interest and a volatility.",
    )  # fmt: skip


def _through_time(history: pd.DataFrame, session: pd.Timestamp) -> None:
    past = history[history["session"] <= session]
    left, right = st.columns(2)
    with left:
        rows = past.dropna(subset=["skew_points"])
        show_chart(
            history_figure(rows, [("skew_points", "25Δ put − call")], y_title="points", unit="points")
            if len(rows) else None, rows, title="Skew through time", as_of=session,
            says="25-delta put less call of the expiration nearest to 30 days, in volatility points.",
        )  # fmt: skip
    with right:
        rows = past.dropna(subset=["put_call_volume_ratio", "put_call_open_interest_ratio"], how="all")
        series = [("put_call_volume_ratio", "traded"), ("put_call_open_interest_ratio", "open")]
        show_chart(
            history_figure(rows, series, y_title="puts per call", unit="puts per call") if len(rows) else None, rows,
            title="Put/call ratios through time", as_of=session,
            says="Puts per call, of contracts traded in the session and of those open on its morning.",
        )  # fmt: skip


def _chain(analysis: SessionAnalysis, session: pd.Timestamp) -> None:
    expirations = [pd.Timestamp(each) for each in np.sort(analysis.contracts["expiration"].unique())]
    if not expirations:
        return
    wanted = analysis.session + pd.Timedelta(days=NEAREST_DAYS)
    nearest = min(range(len(expirations)), key=lambda place: abs(expirations[place] - wanted))
    chosen = st.selectbox("Expiration", expirations, format_func=day, index=nearest, width=220)
    number = st.column_config.NumberColumn
    show_table(
        chain_table(analysis, chosen), title=f"Chain of {day(chosen)}", as_of=session, height=380,
        says="Clean quotes in USD a share, with the volatility of the smile and its Greeks, of one share.",
        columns={
            "option_right": "right", "strike": number("strike (USD)", format="%.2f"),
            "volatility_percent": number("volatility (%)", format="%.1f"), "delta": number("delta", format="%.2f"),
            "gamma": number("gamma (a USD)", format="%.4f"),
            "theta_usd_per_day": number("theta (USD a day)", format="%.3f"),
            "vega_usd_per_point": number("vega (USD a point)", format="%.3f"), "mark": number("mark", format="%.2f"),
            "open_interest": number("open", format="localized"), "volume": number("traded", format="localized"),
        },
    )  # fmt: skip


def _of_surface(context: PageContext, surface: Surface) -> None:
    st.warning(plain(_MODELLED.format(ticker=context.ticker, index=surface.index)), icon=":material/functions:")
    smiles = modelled_smiles(surface)
    show_chart(
        smile_figure(smiles), smiles, title="Modelled smile", as_of=surface.session,
        says="Implied volatility that the model gives each strike, in annualised percent, by days to expiration.",
    )  # fmt: skip


def _structure(context: PageContext, session: pd.Timestamp | None) -> None:
    st.markdown("#### One structure as the market moves")
    menu = {
        name: each for name, each in structures_by_name(context.settings.structures).items() if each.expires_together
    }
    name = st.selectbox("Structure", list(menu), format_func=named, index=list(menu).index("iron_condor"), width=260)
    found = indication_of(context.reader, context.settings, menu[name], context.ticker, session=session)
    if isinstance(found, str):
        show_nothing("Not quoted", found)
        return
    if not np.isfinite(found.leg_volatilities).all():
        show_nothing("No volatility", "A leg has no implied volatility in this chain, so it cannot be moved.")
        return
    left, middle, right = st.columns(3)
    spot = left.slider("Spot moves by (%)", -12.0, 12.0, 0.0, 0.5)
    days = middle.slider("Days that pass", 0, max(int(days_left(found)), 1), 0)
    points = right.slider("Volatility moves by (points)", -15.0, 30.0, 0.0, 0.5)
    _moved(context, found, Moves(spot, float(days), points))


def _moved(context: PageContext, found: Indication, moves: Moves) -> None:
    carry = carry_of(context.reader, context.settings, found)
    data = scenario_data(found, moves=moves, **carry)
    there = found.spot * (1.0 + moves.spot_percent / 100.0)
    strikes = "/".join(f"{strike:g}" for strike in found.strikes)
    show_chart(
        scenario_figure(data, spot=found.spot, moved_spot=there), data, title="Profit as the market moves",
        as_of=found.session,
        says=f"{named(found.structure.name)} {strikes}, expires {day(found.expiration)}, priced at "
        f"{_SOURCES.get(found.quote_source, found.quote_source)}; profit of one structure in USD, fees not counted, by "
        "Black–Scholes at the volatility of each leg.",
    )  # fmt: skip
    now, then = at_one_price(found, moves=moves, **carry)

    def pair(column: str, form: str) -> str:
        return f"{form.format(then[column])} · now {form.format(now[column])}"

    show_numbers(
        [
            ("Profit", pair("profit_usd", "{:+,.0f} USD"), "Of one structure after the moves, and at the close"),
            ("Delta", pair("delta_shares", "{:+.1f} shares"), "Shares of the underlying that move alike"),
            ("Gamma", pair("gamma_shares_per_usd", "{:+.2f}"), "Shares of delta for each USD"),
            ("Theta", pair("theta_usd_per_day", "{:+.1f} USD"), "For each calendar day"),
            ("Vega", pair("vega_usd_per_point", "{:+.1f} USD"), "For each volatility point"),
        ]
    )  # fmt: skip
