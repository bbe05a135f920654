"""What trading the recommendations, or a trade plan, would have earned."""

from __future__ import annotations

from typing import Final

from trading_dag.schemas.table import HORIZON, SESSION, TICKER, Column, Table, number, text

_TRADE_STATUS: Final = ("closed", "open", "skipped")
_QUOTE_SOURCE: Final = ("chain", "last", "modelled")
_QUOTE_TIMES: Final = ("open", "close")
RANDOM_ENTRY_COLUMNS: Final = ("random_low_usd", "random_median_usd", "random_high_usd")
_RULE: Final = text(
    "rule", "how structures are chosen: matrix (direction x regime x confidence) or expected_value", nullable=False,
    allowed=("matrix", "expected_value"),
)  # fmt: skip

TRADES: Final = Table(
    "backtests", "trades", "ticker_horizon", ("ticker", "horizon", "signal_session", "rule", "roll"),
    (
        TICKER, HORIZON,
        Column("signal_session", "date", "session whose close produced the signal", nullable=False),
        _RULE,
        Column("roll", "int64", "0: the signal's own entry; 1 and more: opened anew so many times by a roll", minimum=0,
               nullable=False),
        text("structure", "structure name", nullable=False),
        text("status", "closed, open at the end of data, or skipped", nullable=False, allowed=_TRADE_STATUS),
        text("exit_reason", "which exit came first, or why there was no trade", nullable=False),
        Column("entry_session", "date", "session of the entry quote, after the signal's session"),
        Column("exit_session", "date", "session of the exit quote"),
        text("entry_quote", "open or close of that session", allowed=_QUOTE_TIMES),
        text("exit_quote", "open or close of that session", allowed=_QUOTE_TIMES),
        text("quote_source", "chain, last or modelled", allowed=_QUOTE_SOURCE),
        number("entry_spot", "underlying at entry, USD", minimum=0.0),
        number("exit_spot", "underlying at exit, USD", minimum=0.0),
        text("legs", "JSON list of legs with fills"),
        Column("expiration", "date", "expiration of the legs"),
        Column("contracts", "int64", "structures traded", minimum=0),
        number("entry_cost_usd", "signed cash paid at entry for all contracts, without fees"),
        number("exit_value_usd", "signed cash received at exit for all contracts, without fees"),
        number("fees_usd", "all legs, entry and exit", minimum=0.0),
        number("pnl_usd", "exit value − entry cost − fees"),
        number("max_loss_usd", "defined risk of all contracts", minimum=0.0),
        number("margin_usd", "what the account holds for all contracts: defined risk, or Regulation T's margin where a "
               "sold option is not covered", minimum=0.0),
        number("portfolio_margin_usd", "what a portfolio margin would ask for them: worst loss over ten moves of the "
               "underlying; NULL where a mark implies no volatility", minimum=0.0),
        number("return_on_risk", "pnl over defined risk"),
        text("design_size", "of the signal, by confidence alone: FULL, HALF or NONE", allowed=("FULL", "HALF", "NONE")),
        text("model_version", "model of the direction forecast that the signal follows, as in models.registry"),
        text("volatility_model_version", "model of the regime forecast that the signal follows, as in models.registry"),
    ),
    "One row a signal and rule: the trade it caused, or why it caused none; one more for each roll.",
    session_column="signal_session",
)  # fmt: skip

EQUITY: Final = Table(
    "backtests", "equity", "ticker_horizon", ("ticker", "horizon", "session", "rule"),
    (
        TICKER, HORIZON, SESSION, _RULE,
        number("cash_usd", "cash after all fills of the session", nullable=False),
        number("marks_usd", "value of open positions at the session's close on the modelled surface", nullable=False),
        number("equity_usd", "cash + marks", nullable=False),
        number("drawdown", "fraction below the highest equity so far", minimum=0.0, nullable=False),
        Column("open_positions", "int64", "positions held over the close", minimum=0, nullable=False),
        number("benchmark_usd", "buy and hold of the underlying with the same starting cash", nullable=False),
        *(
            number(name, f"{share} % quantile over the random-entry runs of the starting cash and the profit after "
                   "fees of all trades entered until then; NULL without random entry")
            for name, share in zip(RANDOM_ENTRY_COLUMNS, (5, 50, 95), strict=True)
        ),
    ),
    "Daily mark-to-market equity beside buy and hold of the underlying, and beside entering at random.",
)  # fmt: skip

SUMMARY: Final = Table(
    "backtests", "summary", "ticker_horizon", ("ticker", "horizon", "rule"),
    (
        TICKER, HORIZON, _RULE,
        text("exits", "when positions were left, the horizon at the latest", nullable=False),
        text("status", "backtested, or why there is none", nullable=False,
              allowed=("backtested", "horizon_before_entry", "no_trades", "insufficient_data")),
        Column("is_admissible", "bool", "whether the models pass the gate, the P&L keeps its sign at ±2 points, and "
               "nothing speaks against the modelled prices", nullable=False),
        text("admissibility_reason", "the gate's verdict in words", nullable=False),
        Column("first_session", "date", "first session of the backtest"),
        Column("last_session", "date", "last session of the backtest"),
        Column("trades", "int64", "closed trades", minimum=0, nullable=False),
        Column("skipped", "int64", "signals without a trade", minimum=0, nullable=False),
        number("win_rate", "closed trades with positive P&L", minimum=0.0, maximum=1.0),
        number("profit_factor", "gross profit over gross loss", minimum=0.0),
        number("total_pnl_usd", "sum over closed trades, after fees"),
        number("pnl_lower_volatility_usd", "the same with every modelled volatility 2 points lower"),
        number("pnl_higher_volatility_usd", "the same with every modelled volatility 2 points higher"),
        number("cagr", "compound annual growth of equity"),
        number("sharpe", "annualised, daily equity returns; cash earns nothing, so no rate is subtracted"),
        number("sortino", "annualised, downside deviation"),
        number("calmar", "CAGR over maximum drawdown"),
        number("max_drawdown", "fraction", minimum=0.0),
        number("exposure", "share of sessions with an open position", minimum=0.0, maximum=1.0),
        number("fees_usd", "sum of fees", minimum=0.0),
        number("deflated_sharpe", "probability that the Sharpe ratio exceeds the best of the variants tried by luck",
                minimum=0.0, maximum=1.0),
        number("random_entry_p_value", "(1 + runs at least as good) / (1 + 1,000 random-entry runs)", minimum=0.0,
                maximum=1.0),
        number("random_entry_mean_usd", "mean profit of the random-entry runs, after fees, USD"),
        text("always_structure", "the structure that was traded most"),
        Column("always_trades", "int64", "closed trades if it had been entered after every session on which a signal "
               "was possible, with the same exits, fees and limits", minimum=0, nullable=False),
        number("always_pnl_usd", "what those would have earned, after fees, USD"),
        number("benchmark_pnl_usd", "what buy and hold of the underlying gained on the same sessions, USD"),
        number("benchmark_cagr", "buy and hold"),
        number("benchmark_sharpe", "buy and hold, over the three-month bill"),
        Column("open_trades", "int64", "positions open at the end of data, not in the trade statistics", minimum=0,
               nullable=False),
        Column("losses_beyond_defined_risk", "int64", "early closes whose loss exceeded defined risk and fees",
               minimum=0, nullable=False),
        text("skip_reasons", "JSON: signals without a trade, by reason", nullable=False),
        text("assumptions", "JSON: everything the backtest assumed", nullable=False),
    ),
    "What the backtest earned, against what, under which assumptions, and whether it may be believed.",
    session_column=None,
)  # fmt: skip

COMPARISON: Final = Table(
    "backtests", "comparison", "ticker_horizon", ("ticker", "horizon", "structure", "exits"),
    (
        TICKER, HORIZON,
        text("structure", "what was traded", nullable=False),
        text("exits", "when it was left; horizon: so many sessions after the entry", nullable=False),
        text("quote_source", "chain, last (some price was made from a last trade) or modelled", nullable=False,
              allowed=_QUOTE_SOURCE),
        Column("first_session", "date", "first session of the quotes", nullable=False),
        Column("last_session", "date", "last session of the quotes", nullable=False),
        Column("sessions", "int64", "sessions with quotes", nullable=False, minimum=0),
        Column("programs_tried", "int64", "rows of this table, which the deflated Sharpe ratio counts", nullable=False,
               minimum=1),
        number("probability_of_overfitting", "of the choice of the best of those: share of the halvings of the "
               "sessions in which the best of one half by mean daily profit is below the median in the other; about "
               "0.5: a coin; NULL: undefined", minimum=0.0, maximum=1.0),
        Column("trades", "int64", "closed trades", nullable=False, minimum=0),
        Column("open", "int64", "positions open at the end of the quotes", nullable=False, minimum=0),
        Column("skipped", "int64", "entries without a trade", nullable=False, minimum=0),
        number("win_rate", "closed trades with positive P&L", minimum=0.0, maximum=1.0),
        number("profit_factor", "gross profit over gross loss", minimum=0.0),
        number("total_pnl_usd", "sum over closed trades, after fees"),
        number("pnl_lower_volatility_usd", "the same with every modelled volatility 2 points lower; NULL on a chain"),
        number("pnl_higher_volatility_usd", "the same with every modelled volatility 2 points higher; NULL on a chain"),
        text("inadmissible_reason", "why the row may not be believed, such as a total that changes its sign at ±2 "
              "points; NULL: nothing here speaks against it"),
        number("fees_usd", "sum of fees", minimum=0.0),
        number("sharpe", "annualised, daily equity returns"),
        number("max_drawdown", "fraction", minimum=0.0),
        number("deflated_sharpe", "probability that the Sharpe ratio exceeds the best of all plans tried by luck",
                minimum=0.0, maximum=1.0),
        Column("losses_beyond_defined_risk", "int64", "early closes that lost more than defined risk and fees",
               nullable=False, minimum=0),
    ),
    "Every structure under every set of exits, entered weekly: on the stored chains of the ticker, otherwise on "
    "modelled quotes. The best of many tries is no advice.",
    session_column=None,
)  # fmt: skip
