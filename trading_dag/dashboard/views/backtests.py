"""The page of backtests: what trading the recommendations would have earned, beside what luck and holding earned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd
import streamlit as st

from trading_dag.dashboard.page import PageContext, show_chart, show_nothing, show_numbers, show_table
from trading_dag.dashboard.views import backtest_charts as charts
from trading_dag.dashboard.views import backtest_data as data
from trading_dag.dashboard.words import day, named, percent, plain, usd
from trading_dag.reporting.text import number_text

if TYPE_CHECKING:
    from resources.storage.versioned_reader import VersionedReader

_RUN: Final = "trading-dag backtest"
_USD: Final = st.column_config.NumberColumn(format="%,.0f")
_TRADED: Final = {
    "entry": "entry", "exit": "exit", "structure": "structure", "contracts": "contracts", "legs": "legs, USD a share",
    "why": "why it ended", "pnl_usd": "profit after fees, USD", "max_loss_usd": "maximum loss, USD",
    "expiration": "expiration",
}  # fmt: skip
_COMPARED: Final = {
    "structure": "structure", "exits": "exits", "trades": "trades", "win_rate": "win rate, %",
    "total_pnl_usd": "profit, USD", "pnl_lower_volatility_usd": "profit, 2 points lower, USD",
    "pnl_higher_volatility_usd": "profit, 2 points higher, USD", "sharpe": "Sharpe ratio",
    "max_drawdown": "deepest drawdown, %", "deflated_sharpe": "deflated Sharpe",
    "inadmissible_reason": "why it may not be believed",
}  # fmt: skip


def read_ahead(reader: VersionedReader, ticker: str, horizons: tuple[str, ...]) -> None:
    """Read what the page needs of a ticker, so that whoever opens it first need not wait."""
    summaries = data.summaries(reader, ticker)
    for rule in summaries.loc[summaries["horizon"] == horizons[0], "rule"].head(1):
        data.equity_data(reader, ticker, horizons[0], rule)
    data.comparison_data(reader, ticker, horizons[0])


def render(context: PageContext) -> None:
    """Show the backtest of the chosen slice and rule, then comparisons across rules, structures and exits."""
    summaries = data.summaries(context.reader, context.ticker)
    own = summaries[summaries["horizon"] == context.horizon]
    if own.empty:
        text = f"No backtest of {context.ticker} {context.horizon} is stored."
        show_nothing("No backtest yet", text, command=f"{_RUN} --tickers {context.ticker} --horizons {context.horizon}")
        return
    rules = list(own["rule"])
    rule = st.segmented_control(
        "Rule by which structures are chosen", rules, default=rules[0], format_func=named, required=True
    )
    summary = own[own["rule"] == rule].iloc[0]
    if summary["status"] == "backtested":
        _show_verdict(summary)
        _show_account(context, summary)
        _show_trades(context, summary)
    else:
        _show_no_backtest(summary)
    _show_rules(context, summaries)
    _show_comparison(context)
    _show_assumptions(summary)


def _show_verdict(summary: pd.Series) -> None:
    said = plain(named(summary["admissibility_reason"]))
    if summary["is_admissible"]:
        st.success(f"**Admissible: its models pass the gate.** {said}", icon=":material/verified:")
    else:
        st.warning(f"**Not admissible: do not believe the result.** {said}", icon=":material/block:")
    show_numbers(
        (
            ("profit after fees", usd(summary["total_pnl_usd"], signed=True), "Sum over closed trades."),
            ("random entry, mean", usd(summary["random_entry_mean_usd"], signed=True), "The same trades moved to "
             "random sessions, 1,000 times."),
            ("p-value against it", number_text(summary["random_entry_p_value"], "{:.3f}"), "Share of random runs that "
             "earned at least as much. Small is good."),
            ("buy and hold", usd(summary["benchmark_pnl_usd"], signed=True), "The underlying, on the same sessions."),
            ("trades", f"{summary['trades']:,}", f"Closed; {summary['skipped']:,} signals became no trade."),
            ("win rate", percent(summary["win_rate"]), "Closed trades with a profit."),
            ("Sharpe, annual", number_text(summary["sharpe"], "{:+.2f}"), "Of daily returns of the account."),
            ("deflated Sharpe", number_text(summary["deflated_sharpe"], "{:.1%}"), "Probability that it exceeds the "
             "best of all variants tried by luck."),
            ("deepest drawdown", percent(summary["max_drawdown"], digits=1), "Below the highest equity so far."),
            ("fees", usd(summary["fees_usd"]), "All legs, entry and exit."),
        )
    )  # fmt: skip
    st.caption(plain(f"Sessions {day(summary['first_session'])} to {day(summary['last_session'])}; "
                     f"positions were left at: {summary['exits']}."))  # fmt: skip


def _show_no_backtest(summary: pd.Series) -> None:
    reasons = {
        "horizon_before_entry": "This horizon ends at the open at which a trade would be entered, so nothing can be "
        "traded on it.",
        "no_trades": "No signal became a trade; the reasons stand below.",
        "insufficient_data": "There are too few sessions with prices and a volatility index.",
    }
    show_nothing("No trade to show", f"{reasons.get(str(summary['status']), str(summary['status']))}")


def _show_account(context: PageContext, summary: pd.Series) -> None:
    equity = data.equity_data(context.reader, context.ticker, context.horizon, summary["rule"])
    as_of = summary["last_session"]
    has_band = equity["random_low_usd"].notna().any()
    says = "Top: the account, marked at each close, and the same cash held in the underlying. Middle: the account and "
    says += "where nine of ten random entries were. Bottom: how far each is below its high, percent."
    if not has_band:
        says += " This backtest was stored without the band of random entries: trading-dag backtest adds it."
    show_chart(charts.equity_figure(equity) if len(equity) else None, equity, title="Equity and drawdown", says=says,
               as_of=as_of)  # fmt: skip
    months = data.monthly_returns(equity)
    show_chart(
        charts.monthly_figure(months) if len(months) else None, months.reset_index(), title="Return by month",
        says="Percent of the account at the month's start; the last column is the whole year.", as_of=as_of,
    )  # fmt: skip


def _show_trades(context: PageContext, summary: pd.Series) -> None:
    reader, rule = context.reader, summary["rule"]
    years = data.trade_years(reader, context.ticker, context.horizon, rule)
    year = st.selectbox("Trades entered in", years, width=180) if years else None
    if year is None:
        return
    trades = data.trades_data(reader, context.ticker, context.horizon, rule, year)
    prices = data.price_data(reader, context.ticker, trades)
    show_chart(
        charts.trades_figure(prices, trades, ticker=context.ticker), trades.drop(columns=["legs"]),
        title=f"Trades of {year} on the price",
        says="Each mark is an exit at its spot: up earned, down lost; a line leads there from the entry. Levels are "
        "the strikes while they were held. Legs and fills stand in the hover.",
        as_of=trades[["entry_session", "exit_session"]].max().max(),
    )  # fmt: skip
    listed = trades.assign(
        entry=[f"{day(session)} {quote}" for session, quote in trades[["entry_session", "entry_quote"]].to_numpy()],
        exit=[f"{day(session)} {quote or ''}" for session, quote in trades[["exit_session", "exit_quote"]].to_numpy()],
        structure=trades["structure"].map(named), legs=trades["legs_text"], why=trades["exit_reason"].map(named),
        expiration=trades["expiration"].map(day),
    )[list(_TRADED)].rename(columns=_TRADED)  # fmt: skip
    show_table(listed, title=f"Trades of {year}", says="Every leg with what it was filled at on the way in and out.",
               as_of=trades["entry_session"].max(), height=320,
               columns={_TRADED["max_loss_usd"]: _USD, _TRADED["pnl_usd"]: _USD})  # fmt: skip


def _show_rules(context: PageContext, summaries: pd.DataFrame) -> None:
    shown = summaries[["horizon", "rule", "status", "trades", "total_pnl_usd", "pnl_lower_volatility_usd",
                       "pnl_higher_volatility_usd", "random_entry_mean_usd", "random_entry_p_value", "always_structure",
                       "always_pnl_usd", "benchmark_pnl_usd", "is_admissible"]]  # fmt: skip
    horizons = [name for name in context.settings.horizons if name in set(summaries["horizon"])]
    traded = shown[shown["status"] == "backtested"]
    show_chart(
        charts.rules_figure(summaries, horizons) if len(traded) else None, shown, title="Rules side by side",
        says="What each rule earned at each horizon, thousand USD. The bar is the same with every modelled volatility "
        "two points lower and higher: where it crosses zero, the surface decides and not the signals. A cross is "
        "random entry, a stroke the most traded structure entered every session.",
        as_of=summaries["last_session"].max(), nothing="No rule has traded.",
    )  # fmt: skip


def _show_comparison(context: PageContext) -> None:
    compared = data.comparison_data(context.reader, context.ticker, context.horizon)
    title = "Structures and exits"
    if compared.empty:
        show_chart(None, compared, title=title, says="", as_of=None,
                   nothing="Structures are compared by trading-dag run, or on request in the Dagster UI.")  # fmt: skip
        return
    first = compared.iloc[0]
    overfitting = first["probability_of_overfitting"]
    says = (
        f"Profit after fees, thousand USD, of each structure entered weekly and left by each set of exits, on "
        f"{named(first['quote_source'])} quotes. The best of {first['programs_tried']:,} tries is no advice"
        + (f": the probability that its choice is overfitted is {overfitting:.0%}." if pd.notna(overfitting) else ".")
    )
    show_chart(charts.comparison_figure(compared), compared, title=title, says=says, as_of=first["last_session"])
    percents = compared.assign(win_rate=100 * compared["win_rate"], max_drawdown=100 * compared["max_drawdown"],
                               structure=compared["structure"].map(named))  # fmt: skip
    forms = {
        "win_rate": "%.0f", "sharpe": "%.2f", "max_drawdown": "%.1f", "deflated_sharpe": "%.3f",
             "total_pnl_usd": "%,.0f", "pnl_lower_volatility_usd": "%,.0f", "pnl_higher_volatility_usd": "%,.0f",
    }  # fmt: skip
    show_table(
        percents[list(_COMPARED)].rename(columns=_COMPARED), title="Structures and exits, all figures",
        says=f"Over {first['sessions']:,} sessions from {day(first['first_session'])}.", as_of=first["last_session"],
        height=320,
        columns={_COMPARED[name]: st.column_config.NumberColumn(format=form) for name, form in forms.items()},
    )  # fmt: skip


def _show_assumptions(summary: pd.Series) -> None:
    show_table(data.skipped_data(summary), title="Signals without a trade", says="Sessions, by the reason that kept "
               "the signal from becoming a trade.", as_of=summary["last_session"])  # fmt: skip
    with st.expander("What this backtest assumes", icon=":material/rule:"):
        show_table(
            data.assumptions_data(summary), title="Assumptions", says="Everything the result depends on beside data "
            "and signals. Another choice gives another result.", as_of=summary["last_session"],
            columns={"meaning": st.column_config.TextColumn(width="large")},
        )  # fmt: skip
