"""Opportunities: every structure of the menu valued under the forecast, ranked, and how such words came true before."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import streamlit as st

from resources.storage.parquet_store import SliceKey
from trading_dag.dashboard.page import PageContext, show_chart, show_nothing, show_numbers, show_table
from trading_dag.dashboard.theme import GAIN, GREY, LINE, LOSS, ORANGE, mark_x, new_figure, tinted
from trading_dag.dashboard.words import day, named, percent, plain, usd
from trading_dag.errors import InsufficientDataError
from trading_dag.options.structures.user_structures import structures_by_name
from trading_dag.settings import Settings
from trading_dag.slices import horizon_of
from trading_dag.strategy.opportunities.choice import choose
from trading_dag.strategy.opportunities.view import INPUTS, OpportunityView, view, view_inputs

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from resources.storage.versioned_reader import VersionedReader

SHOWN: Final = 200
_RULE_TAKES: Final = (
    "It takes the first of those that it may trade: held to the target, with one expiration and a limit of loss, and "
    "of the grid of strikes that every earlier session was searched for. What ranks before it is not one of those."
)
_NEWEST: Final = (
    "SELECT * FROM signals.opportunities WHERE ticker = ? AND horizon = ? AND session = "
    "(SELECT max(session) FROM signals.opportunities WHERE ticker = ? AND horizon = ?) ORDER BY rank"
)
_CALIBRATION: Final = "SELECT * FROM evaluation.opportunity_calibration WHERE ticker = ? AND horizon = ?"
_TABLE: Final = (
    "rank", "structure", "strikes", "expiration", "entry_cost_usd", "max_loss_usd", "expected_profit_usd",
    "expected_return_on_risk", "expected_return_on_risk_low", "expected_return_on_risk_high", "probability_of_profit",
    "market_probability_of_profit", "market_expected_profit_usd", "probability_of_touch", "expected_shortfall_usd",
    "quote_source",
)  # fmt: skip
_MEASURES: Final = {
    "probability_of_profit": ("Promised chances of a profit, and what came", "promised chance of a profit (%)",
                              "share that won (%)"),
    "expected_return_on_risk": ("Promised profit over risk, and what came", "expected profit over risk (%)",
                                "profit over risk (%)"),
}  # fmt: skip


@dataclass(frozen=True)
class Filters:
    """Holds what the user asks for.

    Attributes
    ----------
    structures : names; empty for all.
    has_limit : only what can lose no more than a known amount.
    least_chance : of a profit, fraction.
    most_risk_usd : of one structure; infinite for any.
    is_best_of_each : only the first of each structure.
    """

    structures: tuple[str, ...] = ()
    has_limit: bool = True
    least_chance: float = 0.0
    most_risk_usd: float = float("inf")
    is_best_of_each: bool = False


def newest(reader: VersionedReader, ticker: str, horizon: str) -> pd.DataFrame:
    """Return the rows of the newest session, by rank."""
    return reader.query(_NEWEST, [ticker, horizon, ticker, horizon])


def filtered(rows: pd.DataFrame, filters: Filters) -> pd.DataFrame:
    """Return the rows that the user asks for, by rank."""
    loss = rows["max_loss_usd"].astype("float64")
    keep = (rows["probability_of_profit"] >= filters.least_chance) & ~(loss > filters.most_risk_usd)
    if filters.structures:
        keep &= rows["structure"].isin(filters.structures)
    if filters.has_limit:
        keep &= loss.notna()
    ranked = rows[keep].sort_values("rank", kind="stable")
    return (ranked.drop_duplicates("structure") if filters.is_best_of_each else ranked).reset_index(drop=True)


def calibration(reader: VersionedReader, ticker: str, horizon: str) -> pd.DataFrame:
    """Return how promises of earlier sessions came true, by tenths of what was promised and in all."""
    return reader.query(_CALIBRATION, [ticker, horizon])


def tenths(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return the tenths of all candidates by what was promised, in percent, ascending."""
    rows = table[(table["bin"] > 0) & (table["subset"] == "all") & (table["measure"] == measure)]
    shares = rows[["expected", "realised", "realised_low", "realised_high"]] * 100.0
    told = pd.concat([rows[["bin", "n"]], shares], axis=1).sort_values("bin", ignore_index=True)
    return told.set_axis([*told.columns[:2], *(f"{name}_percent" for name in shares.columns)], axis=1)


def calibration_figure(rows: pd.DataFrame, *, x_title: str, y_title: str) -> go.Figure:
    """Return what came against what was promised, with intervals, beside the line on which they would be the same."""
    import plotly.graph_objects as go

    figure = new_figure(x_title=x_title, y_title=y_title, height=340)
    expected, realised = rows["expected_percent"], rows["realised_percent"]
    low, high = rows["realised_low_percent"], rows["realised_high_percent"]
    ends = [min(expected.min(), low.min()), max(expected.max(), high.max())]
    figure.add_trace(
        go.Scatter(x=ends, y=ends, mode="lines", name="as promised", line={"color": GREY, "dash": "dash"},
                   hoverinfo="skip")
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(x=expected, y=realised, mode="markers", name="what came, by tenths, 95 % interval",
                   marker={"size": 9, "color": LINE}, customdata=rows["n"],
                   error_y={"type": "data", "symmetric": False, "array": high - realised, "arrayminus": realised - low,
                            "color": LINE},
                   hovertemplate="promised %{x:.1f} %, came %{y:.1f} % of %{customdata:,} rows<extra></extra>")
    )  # fmt: skip
    figure.update_layout(hovermode="closest")
    return figure


def opportunity_view(
    reader: VersionedReader, row: Mapping[Hashable, Any], *, settings: Settings
) -> OpportunityView | None:
    """Return one opportunity against the price at its exit; None where its forecasts or quotes are no longer stored."""
    ticker, horizon = str(row["ticker"]), str(row["horizon"])
    own = SliceKey(ticker, horizon)

    def make() -> OpportunityView | None:
        inputs = view_inputs(lambda table: reader.store.read_or_empty(table, own.of_table(table)))
        told = {str(name): value for name, value in row.items()}
        menu = structures_by_name(settings.structures)
        try:
            return view(told, inputs, horizon=horizon_of(horizon), settings=settings, menu=menu)
        except InsufficientDataError:
            return None

    name = ("opportunity", own, row["session"], row["structure"], row["strikes"], row["expiration"])
    return reader.kept(name, make, tables=list(INPUTS.values()))


def view_data(seen: OpportunityView) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return profit by price at the exit, and the chance of each bin of prices by the forecast and by the market."""
    profit = pd.DataFrame({"price_usd": seen.prices, "profit_at_exit_usd": seen.profit_at_exit})
    if len(seen.profit_at_expiration):
        profit["profit_at_expiration_usd"] = seen.profit_at_expiration
    middle = (seen.edges[1:] + seen.edges[:-1]) / 2.0
    chances = {"price_usd": middle, "forecast_percent": seen.forecast * 100.0, "market_percent": seen.market * 100.0}
    return profit, pd.DataFrame(chances)


def view_figure(profit: pd.DataFrame, chances: pd.DataFrame, *, spot: float, exit_session: Any) -> go.Figure:
    """Return the profit against the price at the exit, above the two distributions of that price."""
    import plotly.graph_objects as go

    figure = new_figure(x_title=f"underlying at the close of {day(exit_session)} (USD)", height=460)
    at_exit = profit["profit_at_exit_usd"]
    for part, colour, name in ((at_exit.clip(lower=0), GAIN, "profit"), (at_exit.clip(upper=0), LOSS, "loss")):
        figure.add_trace(
            go.Scatter(x=profit["price_usd"], y=part, mode="lines", line={"width": 0}, fill="tozeroy",
                       fillcolor=tinted(colour, 0.35), name=name, hoverinfo="skip")
        )  # fmt: skip
    lines = (("profit_at_exit_usd", "at the exit", "solid", LINE), ("profit_at_expiration_usd", "at expiration", "dash",
                                                                    GREY))  # fmt: skip
    for column, name, dash, colour in lines:
        if column in profit:
            figure.add_trace(
                go.Scatter(x=profit["price_usd"], y=profit[column], mode="lines", name=name,
                           line={"color": colour, "dash": dash, "width": 2}, hovertemplate="%{y:+,.0f} USD")
            )  # fmt: skip
    for column, name, colour in (("forecast_percent", "forecast", LINE), ("market_percent", "market", ORANGE)):
        figure.add_trace(
            go.Scatter(x=chances["price_usd"], y=chances[column], mode="lines", line={"color": colour, "shape": "hvh"},
                       fill="tozeroy", fillcolor=tinted(colour, 0.2), name=name, yaxis="y2",
                       hovertemplate="%{y:.1f} %")
        )  # fmt: skip
    figure.update_layout(
        yaxis={"title": "profit of one structure (USD)", "domain": [0.4, 1.0]},
        yaxis2={"title": "chance (%)", "domain": [0.0, 0.32], "rangemode": "tozero", "automargin": True},
        xaxis={"anchor": "y2", "hoverformat": ",.2f"},
    )
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    mark_x(figure, spot, f"spot {spot:,.2f}", colour=LINE)
    return figure


def render(context: PageContext) -> None:
    """Show the page."""
    rows = newest(context.reader, context.ticker, context.horizon)
    if rows.empty:
        text = f"No structure of {context.ticker} is valued at {context.horizon}: that needs forecasts of price and "
        text += "volatility level, 250 known outcomes, quotes, and a horizon that ends after the entry (not 12h)."
        show_nothing("No opportunities", text, command=f"trading-dag refresh --tickers {context.ticker}")
    else:
        _newest_session(context, rows)
    _calibrations(context)


def _newest_session(context: PageContext, rows: pd.DataFrame) -> None:
    session = pd.Timestamp(rows["session"].iloc[0])
    rule = choose(rows, context.settings.selector).iloc[0]
    taken = (
        "trades nothing"
        if rule["structure"] == "no_trade"
        else f"takes {named(rule['structure'])} {rule['strikes']}, rank {rule['rank']:.0f} of {len(rows):,}"
    )
    st.markdown(f"**{plain(f'Rule expected value {taken}: ' + str(rule['reason']))}**")
    if rule["structure"] != "no_trade" and rule["rank"] > 1:
        st.caption(plain(_RULE_TAKES))
    shown = filtered(rows, _asked(rows))
    show_table(
        shown.head(SHOWN)[list(_TABLE)].assign(structure=shown["structure"].head(SHOWN).map(named)),
        title="Ranked structures", as_of=session, columns=_columns(), height=420,
        says=f"{min(len(shown), SHOWN):,} of {len(rows):,} candidates; USD of one structure after costs, entered at "
        f"the next open and left at the close of {day(rows['exit_session'].iloc[0])}. "
        "The rank goes by the lower end of the interval of profit over risk.",
        nothing="No structure passes the filters.",
    )  # fmt: skip
    if len(shown):
        _one(context, shown.head(SHOWN), session)


def _asked(rows: pd.DataFrame) -> Filters:
    is_best = st.checkbox("Only the best of each structure", value=True)
    with st.expander("More filters", icon=":material/filter_list:", expanded=False):
        names = sorted(rows["structure"].unique())
        structures = st.multiselect("Structures", names, format_func=named, placeholder="all")
        has_limit = st.checkbox("Only a known limit of loss", value=True)
        chance = st.slider("Least chance of a profit (%)", 0, 100, 0, step=5)
        risk = st.number_input("Most at risk, USD of one structure (0: any)", min_value=0, value=0, step=100)
    return Filters(tuple(structures), has_limit, chance / 100.0, float(risk) if risk else float("inf"), is_best)


def _one(context: PageContext, shown: pd.DataFrame, session: pd.Timestamp) -> None:
    labels = [
        f"{row['rank']}: {named(row['structure'])} {row['strikes']}, {day(row['expiration'])}"
        for row in shown.to_dict("records")
    ]
    at = st.selectbox("Look at one", range(len(labels)), format_func=labels.__getitem__)
    row = shown.iloc[at].to_dict()
    seen = opportunity_view(context.reader, row, settings=context.settings)
    profit, chances = view_data(seen) if seen is not None else (pd.DataFrame(), pd.DataFrame())
    show_chart(
        view_figure(profit, chances, spot=row["spot"], exit_session=row["exit_session"]) if seen is not None else None,
        profit, title=f"{named(row['structure'])} {row['strikes']}".capitalize(), as_of=session,
        says="Profit of one structure at the exit, at today's level of volatility and after costs, in USD; below it "
        "how likely forecast and market hold each price there.",
        nothing="What it was valued from is no longer stored: trading-dag run computes it again.",
    )  # fmt: skip
    show_numbers(
        [
            ("Pays" if row["entry_cost_usd"] > 0 else "Receives", usd(abs(row["entry_cost_usd"])), "At the next open"),
            ("Most to lose", usd(row["max_loss_usd"]), "At expiration, without fees"),
            ("Expected", usd(row["expected_profit_usd"], signed=True), "Mean profit under the forecast, after costs"),
            ("Worst 5 %", usd(-row["expected_shortfall_usd"], signed=True), "Mean of the worst 5 % of outcomes"),
            ("P(profit)", percent(row["probability_of_profit"]), "Under the forecast"),
            ("P(profit) by market", percent(row["market_probability_of_profit"]), "Under option prices"),
        ]
    )  # fmt: skip
    st.caption(plain(row["reason"]))


def _calibrations(context: PageContext) -> None:
    table = calibration(context.reader, context.ticker, context.horizon)
    chosen = table[(table["subset"] == "expected_value") & (table["measure"] == "expected_return_on_risk")]
    whole = chosen[chosen["bin"] == 0]
    if len(whole):
        one = whole.iloc[0]
        st.markdown(
            plain(
                f"Of {one['n']:,} trades that rule expected value would have made, {one['expected']:+.1%} of the risk "
                f"was expected and {one['realised']:+.1%} came, 95 % interval {one['realised_low']:+.1%} to "
                f"{one['realised_high']:+.1%}."
            )
        )
    for column, (measure, (title, x_title, y_title)) in zip(st.columns(2), _MEASURES.items(), strict=True):
        rows = tenths(table, measure)
        with column:
            show_chart(
                calibration_figure(rows, x_title=x_title, y_title=y_title) if len(rows) else None, rows, title=title,
                as_of="all sessions whose outcome is known", nothing="Fewer than 200 opportunities have an outcome.",
                says="Each point is a tenth of all earlier candidates, by what was promised; on the dashed line "
                "promises came true.",
            )  # fmt: skip


def _columns() -> dict[str, Any]:
    number, date = st.column_config.NumberColumn, st.column_config.DateColumn
    return {
        "rank": number("#", width="small"),
        "strikes": "strikes (USD)",
        "expiration": date("expires", format="YYYY-MM-DD"),
        "entry_cost_usd": number("cost (USD)", format="%+.0f", help="Negative is received"),
        "max_loss_usd": number("at risk (USD)", format="%.0f"),
        "expected_profit_usd": number("expected (USD)", format="%+.1f"),
        "expected_return_on_risk": number("of the risk", format="percent"),
        "expected_return_on_risk_low": number("90 % from", format="percent"),
        "expected_return_on_risk_high": number("to", format="percent"),
        "probability_of_profit": number("P(profit)", format="percent"),
        "market_probability_of_profit": number("market P", format="percent"),
        "market_expected_profit_usd": number("market expects (USD)", format="%+.1f"),
        "probability_of_touch": number("P(touch)", format="percent", help="A sold strike is reached before the exit"),
        "expected_shortfall_usd": number("worst 5 % lose (USD)", format="%.0f"),
        "quote_source": "quotes",
    }
