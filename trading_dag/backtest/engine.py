"""From signals to trades, equity and summary: who trades, how much, and what it came to.

Entries are at the open after the signal's session, exits at the close of the label's target session, both
at modelled quotes (``fills``). The engine sizes, limits capital, and writes the three tables. Statistics
are ``performance``'s, the random-entry test is ``random_entry``'s.
"""

from __future__ import annotations

import heapq
import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_dag.backtest.assumptions import assumptions_json
from trading_dag.backtest.fills import ENTRY_AFTER_DATA, EXCEEDS_RISK_BUDGET, NO_ENTRY_QUOTE, make_round_trips
from trading_dag.backtest.ledger import Book, Ledger, keep_ledger
from trading_dag.backtest.market import Market, PositionArray, build_market
from trading_dag.backtest.performance import deflated_sharpe, drawdowns, equity_statistics, excess_returns
from trading_dag.backtest.random_entry import RandomEntry, profit_by_session, random_entry_test
from trading_dag.features.input_rules import require_sessions, ticker_of
from trading_dag.options.structures import STRUCTURES
from trading_dag.schemas import EQUITY, SUMMARY, TRADES
from trading_dag.sessions import Horizon
from trading_dag.settings import Settings
from trading_dag.strategy.selector import NO_TRADE
from trading_dag.strategy.sizing import conviction_sizes
from trading_dag.table_frames import table_frame

HORIZON_BEFORE_ENTRY: Final = "horizon_before_entry"
CAPITAL_LIMIT: Final = "capital_limit"
OPEN_AT_END: Final = "open_at_end_of_data"
MODELLED: Final = "modelled"
_CENT: Final = 0.005
TextArray = NDArray[Any]


@dataclass(frozen=True)
class BacktestResult:
    """The three tables ``backtests.trades``, ``backtests.equity`` and ``backtests.summary`` of one slice."""

    trades: pd.DataFrame
    equity: pd.DataFrame
    summary: pd.DataFrame


def run_backtest(
    recommendations: pd.DataFrame,
    prices: pd.DataFrame,
    volatility_index: pd.DataFrame,
    *,
    rates: pd.DataFrame,
    horizon: Horizon,
    settings: Settings,
    gate: tuple[bool, str] = (False, "the accuracy gate was not asked"),
) -> BacktestResult:
    """Trade every signal with conviction and report what it came to.

    Parameters
    ----------
    recommendations : signals.recommendation of one ticker and horizon. Rows of FULL and HALF conviction
        trade whatever their edge; the gate alone decides whether the result is admissible.
    prices, volatility_index : raw.prices_daily and raw.volatility_index of the ticker.
    rates : session, treasury_3m in percent or NaN, as known at the session's close.
    gate : whether the models pass the accuracy gate, and its verdict in words.

    Returns
    -------
    BacktestResult. ``trades`` has one row a recommendation: closed, open at the end of data, or skipped
    with its reason. ``equity`` runs from the first signal's session to the last exit (to the last price
    where a position is open); it has no rows where there is nothing to trade from. Where the horizon
    ends at or before its entry (12h) every row is skipped, ``horizon_before_entry``, and equity is empty.

    Raises
    ------
    SchemaError : for missing columns, repeated or unsorted sessions, or prices that are not positive.
    """
    sessions = require_sessions(recommendations, ("strategy", "conviction"), table="signals.recommendation")
    market = build_market(prices, volatility_index, rates=rates, settings=settings)
    ticker = ticker_of(recommendations) or ticker_of(prices)
    strategy = recommendations["strategy"].to_numpy(dtype=object)
    conviction = recommendations["conviction"].to_numpy(dtype=object)
    head = {"ticker": ticker, "horizon": horizon.key}

    if _ends_before_entry(horizon):
        reason = np.full(len(sessions), HORIZON_BEFORE_ENTRY, dtype=object)
        books: list[Book] = []
    else:
        signal = _positions_of(sessions, market)
        reason = _reasons_before_quotes(sessions, signal, market, strategy=strategy)
        books = _quote_books(
            strategy, market, signal=signal, reason=reason, size=conviction_sizes(conviction), horizon=horizon
        )
        books = _limit_capital(books, reason, account_usd=settings.backtest.account_usd, settings=settings)

    trades = _trades_frame(
        head, sessions, strategy=strategy, conviction=conviction, reason=reason, books=books, market=market
    )
    status = _status_of(trades, market, horizon=horizon)
    if not ticker:
        return BacktestResult(trades, table_frame(EQUITY, {}, rows=0), table_frame(SUMMARY, {}, rows=0))
    ledger = keep_ledger(books, market)
    window = _window(sessions, market, books=books) if status in ("backtested", "no_trades") else slice(0, 0)
    equity = _equity_frame(head, ledger, market, window=window)
    luck = RandomEntry(np.nan, np.nan, 0, is_with_replacement=False)
    if status == "backtested":
        luck = _random_entry(trades, sessions, market, horizon=horizon)
    summary = _summary_frame(
        head, trades, equity, status=status, gate=gate, market=market, window=window, ledger=ledger, luck=luck
    )
    return BacktestResult(trades, equity, summary)


def _ends_before_entry(horizon: Horizon) -> bool:
    """Whether the horizon is over at the open of the session after the signal's, when the entry would fill."""
    return horizon.target_offset < 1 or (horizon.target_offset == 1 and horizon.target_field == "open")


def _positions_of(sessions: pd.DatetimeIndex, market: Market) -> PositionArray:
    """Position of each signal's session in the market, −1 where the market does not have it."""
    return np.asarray(market.sessions.get_indexer(sessions), dtype=np.int64)


def _reasons_before_quotes(
    sessions: pd.DatetimeIndex, signal: PositionArray, market: Market, *, strategy: TextArray
) -> TextArray:
    """Reasons that need no quote; empty where the signal may trade."""
    is_after_data = np.asarray(sessions > market.sessions[-1]) if len(market) else np.ones(len(sessions), dtype=bool)
    return np.select(
        [strategy == NO_TRADE, is_after_data, signal < 0], [NO_TRADE, ENTRY_AFTER_DATA, NO_ENTRY_QUOTE], ""
    ).astype(object)


def _quote_books(
    strategy: TextArray,
    market: Market,
    *,
    signal: PositionArray,
    reason: TextArray,
    size: NDArray[np.float64],
    horizon: Horizon,
) -> list[Book]:
    """Make the round trips of each structure; fills in the reasons of those that cannot be made."""
    books = []
    for name in np.unique(strategy[reason == ""].astype(str)):
        rows = np.flatnonzero((strategy == name) & (reason == ""))
        trips = make_round_trips(STRUCTURES[name], market, signal=signal[rows], holding_sessions=horizon.target_offset)
        contracts = trips.contracts(size[rows], market.settings.backtest)
        reason[rows] = np.where(trips.is_tradable & (contracts == 0), EXCEEDS_RISK_BUDGET, trips.skip_reason)
        books.append(Book(trips, rows, contracts))
    return books


def _limit_capital(books: list[Book], reason: TextArray, *, account_usd: float, settings: Settings) -> list[Book]:
    """Drop trades for which the account has no capital left.

    At each entry, the defined risk with fees of the positions still open and of the new one must not
    exceed the starting cash plus what earlier trades have realised by the close before.
    """
    book_settings = settings.backtest
    candidates = sorted(
        (int(book.trips.entry[position]), int(book.rows[position]), number, int(position))
        for number, book in enumerate(books)
        for position in np.flatnonzero(book.contracts > 0)
    )
    risk = [
        book.contracts * (book.trips.maximum_loss_usd(book_settings) + 2.0 * book.trips.fees_one_way_usd(book_settings))
        for book in books
    ]
    profit = [book.contracts * book.trips.profit_usd(book_settings) for book in books]
    kept = [book.contracts.copy() for book in books]
    capital, committed = account_usd, 0.0
    running: list[tuple[int, float, float]] = []
    for entry, row, number, position in candidates:
        while running and running[0][0] < entry:
            _, released, realised = heapq.heappop(running)
            committed -= released
            capital += realised
        needed = float(risk[number][position])
        if committed + needed > capital:
            kept[number][position] = 0
            reason[row] = CAPITAL_LIMIT
            continue
        committed += needed
        leave = int(books[number].trips.exit[position])
        if leave >= 0:
            heapq.heappush(running, (leave, needed, float(profit[number][position])))
    return [Book(book.trips, book.rows, contracts) for book, contracts in zip(books, kept, strict=True)]


def _trades_frame(
    head: dict[str, str],
    sessions: pd.DatetimeIndex,
    *,
    strategy: TextArray,
    conviction: TextArray,
    reason: TextArray,
    books: list[Book],
    market: Market,
) -> pd.DataFrame:
    """``backtests.trades``: one row a signal."""
    book_settings = market.settings.backtest
    rows = len(sessions)
    number = {
        name: np.full(rows, np.nan)
        for name in (
            "entry_spot", "exit_spot", "entry_cost_usd", "exit_value_usd", "fees_usd", "pnl_usd", "max_loss_usd",
        )
    }  # fmt: skip
    day = {
        name: np.full(rows, np.datetime64("NaT"), dtype="datetime64[us]")
        for name in ("entry_session", "exit_session", "expiration")
    }
    contracts = np.zeros(rows, dtype=np.int64)
    status = np.full(rows, "skipped", dtype=object)
    why, legs, source = reason.copy(), np.full(rows, None, dtype=object), np.full(rows, None, dtype=object)
    calendar = market.sessions.to_numpy()
    for book in books:
        traded = np.flatnonzero(book.contracts > 0)
        trips, into, count = book.trips, book.rows[traded], book.contracts[traded]
        is_closed = trips.exit[traded] >= 0
        fees = trips.fees_one_way_usd(book_settings) * count
        contracts[into] = count
        status[into] = np.where(is_closed, "closed", "open")
        why[into] = np.where(is_closed, trips.exit_reason[traded], OPEN_AT_END)
        source[into] = MODELLED
        day["entry_session"][into] = calendar[trips.entry[traded]]
        day["exit_session"][into[is_closed]] = calendar[trips.exit[traded][is_closed]]
        day["expiration"][into] = trips.positions.expirations.to_numpy()[traded]
        number["entry_spot"][into] = trips.entry_spot[traded]
        number["exit_spot"][into] = trips.exit_spot[traded]
        number["entry_cost_usd"][into] = trips.positions.premium[traded] * book_settings.multiplier * count
        number["exit_value_usd"][into] = trips.exit_premium[traded] * book_settings.multiplier * count
        number["fees_usd"][into] = np.where(is_closed, 2.0 * fees, fees)
        number["max_loss_usd"][into] = trips.maximum_loss_usd(book_settings)[traded] * count
        legs[into] = _legs_json(book, traded)
    number["pnl_usd"] = number["exit_value_usd"] - number["entry_cost_usd"] - number["fees_usd"]
    return table_frame(
        TRADES,
        {
            **head,
            **day,
            **number,
            "signal_session": sessions,
            "structure": strategy,
            "status": status,
            "exit_reason": why,
            "quote_source": source,
            "legs": legs,
            "contracts": contracts,
            "return_on_risk": number["pnl_usd"] / number["max_loss_usd"],
            "conviction": conviction,
        },
        rows=rows,
    )


def _legs_json(book: Book, traded: NDArray[np.int64]) -> TextArray:
    """JSON list of the legs of each trade with their fills, USD a share; a missing exit is null."""
    positions, legs = book.trips.positions, book.trips.structure.legs
    days = np.datetime_as_string(positions.expirations.to_numpy()[traded].astype("datetime64[D]"))
    rows = zip(
        positions.strikes[traded].tolist(),
        positions.leg_prices[traded].round(6).tolist(),
        book.trips.exit_leg_prices[traded].round(6).tolist(),
        positions.leg_volatilities[traded].round(6).tolist(),
        days.tolist(),
        strict=True,
    )
    return np.array(
        [
            json.dumps(
                [
                    {
                        "option_right": leg.option_right,
                        "side": leg.side,
                        "ratio": leg.ratio,
                        "strike": strike,
                        "expiration": expiration,
                        "entry_price": entry,
                        "exit_price": None if leave != leave else leave,
                        "entry_implied_volatility": volatility,
                    }
                    for leg, strike, entry, leave, volatility in zip(
                        legs, strikes, entries, exits, volatilities, strict=True
                    )
                ]
            )
            for strikes, entries, exits, volatilities, expiration in rows
        ],
        dtype=object,
    )


def _status_of(trades: pd.DataFrame, market: Market, *, horizon: Horizon) -> str:
    """The summary's status."""
    if trades.empty or not len(market):
        return "insufficient_data"
    if _ends_before_entry(horizon):
        return HORIZON_BEFORE_ENTRY
    return "backtested" if (trades["status"] == "closed").any() else "no_trades"


def _window(sessions: pd.DatetimeIndex, market: Market, *, books: list[Book]) -> slice:
    """Market positions from the first signal to the last exit, to the end of data where a position is open."""
    last = len(market) - 1
    ends = [int(market.sessions.searchsorted(sessions[-1], side="right")) - 1]
    for book in books:
        leave = book.trips.exit[book.contracts > 0]
        ends.extend(np.where(leave < 0, last, leave).tolist())
    return slice(int(market.sessions.searchsorted(sessions[0])), min(max(ends), last) + 1)


def _equity_frame(head: dict[str, str], ledger: Ledger, market: Market, *, window: slice) -> pd.DataFrame:
    """``backtests.equity``: one row a session of the window."""
    sessions = market.sessions[window]
    equity = ledger.equity[window]
    return table_frame(
        EQUITY,
        {
            **head,
            "session": sessions,
            "cash_usd": ledger.cash[window],
            "marks_usd": ledger.marks[window],
            "equity_usd": equity,
            "drawdown": drawdowns(equity),
            "open_positions": ledger.open_positions[window],
            "benchmark_usd": market.benchmark(window),
        },
        rows=len(sessions),
    )


def _random_entry(trades: pd.DataFrame, sessions: pd.DatetimeIndex, market: Market, *, horizon: Horizon) -> RandomEntry:
    """The random-entry test of the closed trades, drawn from the sessions that had a signal row."""
    closed = trades[trades["status"] == "closed"]
    sizes = conviction_sizes(closed["conviction"].to_numpy(dtype=object))
    kinds = list(zip(closed["structure"], sizes.tolist(), strict=True))
    program = sorted(set(kinds))
    signal = _positions_of(sessions, market)
    profits = profit_by_session(
        market, program=program, signal=signal[signal >= 0], holding_sessions=horizon.target_offset
    )
    return random_entry_test(
        profits,
        kind=np.array([program.index(kind) for kind in kinds], dtype=np.int64),
        total_usd=float(closed["pnl_usd"].sum()),
        runs=market.settings.backtest.random_entry_runs,
        seed=market.settings.backtest.seed,
    )


def _summary_frame(
    head: dict[str, str],
    trades: pd.DataFrame,
    equity: pd.DataFrame,
    *,
    status: str,
    gate: tuple[bool, str],
    market: Market,
    window: slice,
    ledger: Ledger,
    luck: RandomEntry,
) -> pd.DataFrame:
    """``backtests.summary``: one row."""
    closed = trades[trades["status"] == "closed"]
    skipped = trades[trades["status"] == "skipped"]
    profit = closed["pnl_usd"].to_numpy(dtype=np.float64)
    gains, losses = float(profit[profit > 0].sum()), -float(profit[profit < 0].sum())
    sessions = pd.DatetimeIndex(equity["session"])
    rate = market.rate[window]
    own = equity_statistics(equity["equity_usd"], sessions, rate=rate)
    benchmark = equity_statistics(equity["benchmark_usd"], sessions, rate=rate)
    excess = excess_returns(equity["equity_usd"], sessions, rate=rate) if len(sessions) else np.empty(0)
    is_backtested = status == "backtested"
    beyond = profit < -(closed["max_loss_usd"] + closed["fees_usd"]).to_numpy(dtype=np.float64) - _CENT
    return table_frame(
        SUMMARY,
        {
            **head,
            "status": status,
            "is_admissible": bool(gate[0]) and is_backtested,
            "admissibility_reason": gate[1] if is_backtested else f"{status}; {gate[1]}",
            "first_session": sessions[0] if len(sessions) else None,
            "last_session": sessions[-1] if len(sessions) else None,
            "trades": len(closed),
            "skipped": len(skipped),
            "win_rate": float((profit > 0).mean()) if len(profit) else np.nan,
            "profit_factor": gains / losses if losses > 0 else np.nan,
            "total_pnl_usd": float(profit.sum()),
            "cagr": own.cagr,
            "sharpe": own.sharpe,
            "sortino": own.sortino,
            "calmar": own.calmar,
            "max_drawdown": own.max_drawdown,
            "exposure": float(ledger.is_exposed[window].mean()) if len(sessions) else np.nan,
            "fees_usd": float(trades["fees_usd"].sum()),
            "deflated_sharpe": deflated_sharpe(excess, trials=market.settings.backtest.variants_tried),
            "random_entry_p_value": luck.p_value,
            "benchmark_cagr": benchmark.cagr,
            "benchmark_sharpe": benchmark.sharpe,
            "open_trades": int((trades["status"] == "open").sum()),
            "losses_beyond_defined_risk": int(beyond.sum()),
            "skip_reasons": json.dumps(
                {
                    str(reason): int(count)
                    for reason, count in skipped["exit_reason"].value_counts().sort_index().items()
                }
            ),
            "assumptions": assumptions_json(market, window=window, luck=luck),
        },
        rows=1,
    )
