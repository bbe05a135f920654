"""From signals to trades, equity and summary: who trades, how much, and what it came to.

Entries are at the open after the signal's session, exits at the close of the label's target session, both
at modelled quotes (``fills``). The engine sizes and limits capital. The ledger is ``ledger``'s, the tables
are ``results``', the random-entry test is ``random_entry``'s.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray, IntArray, TextArray
from trading_dag.backtest.markets.market import Market, build_market
from trading_dag.backtest.markets.modelled_prices import is_listed, price_objection
from trading_dag.backtest.results.random_entry import RandomEntry, profit_by_session, random_entry_test
from trading_dag.backtest.results.tables import Judgement, equity_frame, summary_frame, trades_frame, with_models_of
from trading_dag.backtest.trades.fills import ENTRY_AFTER_DATA, EXCEEDS_RISK_BUDGET, NO_ENTRY_QUOTE, make_round_trips
from trading_dag.backtest.trades.ledger import Book, keep_ledger
from trading_dag.frames import require_sessions, table_frame, ticker_of
from trading_dag.options.structures.structure import STRUCTURES
from trading_dag.schemas import EQUITY, SUMMARY
from trading_dag.setting_groups import BacktestSettings
from trading_dag.settings import Settings
from trading_dag.slices import Horizon
from trading_dag.strategy.selector import NO_TRADE
from trading_dag.strategy.sizing import design_sizes, settings_for_contract

HORIZON_BEFORE_ENTRY: Final = "horizon_before_entry"
NOT_LISTED_YET: Final = "options_not_listed_yet"
CAPITAL_LIMIT: Final = "capital_limit"
POSITION_LIMIT: Final = "position_limit"
NO_RANDOM_ENTRY: Final = RandomEntry(np.nan, np.nan, 0, is_with_replacement=False)


@dataclass(frozen=True)
class BacktestResult:
    """Holds the three tables ``backtests.trades``, ``backtests.equity`` and ``backtests.summary`` of one slice.

    ``luck`` is what random entry gave, with the total of every run; empty where nothing was traded.
    """

    trades: pd.DataFrame
    equity: pd.DataFrame
    summary: pd.DataFrame
    luck: RandomEntry = NO_RANDOM_ENTRY


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
    """Trade every signal with a design size and return the result.

    Parameters
    ----------
    recommendations : signals.recommendation of one ticker and horizon. Rows of FULL and HALF design size
        trade whatever their edge; the gate alone decides whether the result is admissible. Rows without
        ``overall_confidence`` lack a forecast: before the first that has one, no signal was possible.
    prices, volatility_index : raw.prices_daily and raw.volatility_index of the ticker.
    rates : session, treasury_3m in percent or NaN, as known at the session's close.
    gate : whether the models pass the accuracy gate, and its verdict in words.

    Returns
    -------
    BacktestResult. ``trades`` has one row a recommendation: closed, open at the end of data, or skipped
    with its reason: a signal before options on the ticker were listed is ``options_not_listed_yet``. ``equity``
    runs from the first signal that could be traded to the last exit (to the last price where a position is open);
    it has no rows where there is nothing to trade from. Where the horizon
    ends at or before its entry (12h) every row is skipped, ``horizon_before_entry``, and equity is empty.

    Raises
    ------
    SchemaError : for missing columns, repeated or unsorted sessions, or prices that are not positive.
    """
    sessions = require_sessions(
        recommendations, ("strategy", "design_size", "overall_confidence"), table="signals.recommendation"
    )
    has_forecasts = recommendations["overall_confidence"].notna().to_numpy()
    ticker = ticker_of(recommendations) or ticker_of(prices)
    settings = settings_for_contract(ticker, settings)
    listed = is_listed(sessions, ticker=ticker, settings=settings)
    can_trade = listed & (has_forecasts if has_forecasts.any() else True)
    tradable_sessions = sessions[can_trade]
    market = build_market(prices, volatility_index, rates=rates, settings=settings)
    strategy = recommendations["strategy"].to_numpy(dtype=object)
    design_size = recommendations["design_size"].to_numpy(dtype=object)
    head = {"ticker": ticker, "horizon": horizon.key}

    if not horizon.outlasts_entry:
        reason = np.full(len(sessions), HORIZON_BEFORE_ENTRY, dtype=object)
        books: list[Book] = []
    else:
        signal = _positions_of(sessions, market)
        reason = _reasons_before_quotes(sessions, signal, market, strategy=strategy, listed=listed)
        books = _quote_books(
            strategy, market, signal=signal, reason=reason, size=design_sizes(design_size), horizon=horizon
        )
        books = _limit_capital(books, reason, settings=settings.backtest)

    trades = trades_frame(
        head, sessions, strategy=strategy, design_size=design_size, reason=reason, books=books, market=market
    )
    trades = with_models_of(recommendations, trades)
    status = _status_of(trades, market, horizon=horizon)
    if not ticker:
        return BacktestResult(trades, table_frame(EQUITY, {}, rows=0), table_frame(SUMMARY, {}, rows=0))
    ledger = keep_ledger(books, market)
    has_window = status in ("backtested", "no_trades") and len(tradable_sessions)
    window = _window(tradable_sessions, market, books=books) if has_window else slice(0, 0)
    equity = equity_frame(head, ledger, market, window=window)
    luck, stress = NO_RANDOM_ENTRY, (np.nan, np.nan)
    if status == "backtested":
        luck = _random_entry(trades, tradable_sessions, market, horizon=horizon)
        shift = settings.backtest.stress_volatility
        lower, higher = (market.at_shifted_volatility(sign * shift) for sign in (-1.0, 1.0))
        stress = (
            _total_at(lower, sessions[listed], strategy[listed], design_size[listed], horizon),
            _total_at(higher, sessions[listed], strategy[listed], design_size[listed], horizon),
        )
    judgement = Judgement(status, gate, luck, stress, price_objection(ticker, volatility_index, settings))
    summary = summary_frame(head, trades, equity, judgement=judgement, market=market, window=window, ledger=ledger)
    return BacktestResult(trades, equity, summary, luck)


def _total_at(
    market: Market, sessions: pd.DatetimeIndex, strategy: TextArray, design_size: TextArray, horizon: Horizon
) -> float:
    """Profit of all closed trades of the same signals in another market, USD."""
    signal = _positions_of(sessions, market)
    reason = _reasons_before_quotes(
        sessions, signal, market, strategy=strategy, listed=np.ones(len(sessions), dtype=np.bool_)
    )
    books = _quote_books(
        strategy, market, signal=signal, reason=reason, size=design_sizes(design_size), horizon=horizon
    )
    book_settings = market.settings.backtest
    admitted = _limit_capital(books, reason, settings=book_settings)
    return float(
        sum(
            (book.contracts * book.trips.profit_usd(book_settings))[(book.contracts > 0) & (book.trips.exit >= 0)].sum()
            for book in admitted
        )
    )


def _positions_of(sessions: pd.DatetimeIndex, market: Market) -> IntArray:
    """Position of each signal's session in the market, −1 where the market does not have it."""
    return np.asarray(market.sessions.get_indexer(sessions), dtype=np.int64)


def _reasons_before_quotes(
    sessions: pd.DatetimeIndex,
    signal: IntArray,
    market: Market,
    *,
    strategy: TextArray,
    listed: BoolArray,
) -> TextArray:
    """Reasons that need no quote; empty where the signal may trade."""
    is_after_data = np.asarray(sessions > market.sessions[-1]) if len(market) else np.ones(len(sessions), dtype=bool)
    return np.select(
        [strategy == NO_TRADE, ~listed, is_after_data, signal < 0],
        [NO_TRADE, NOT_LISTED_YET, ENTRY_AFTER_DATA, NO_ENTRY_QUOTE],
        "",
    ).astype(object)


def _quote_books(
    strategy: TextArray,
    market: Market,
    *,
    signal: IntArray,
    reason: TextArray,
    size: FloatArray,
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


def _limit_capital(books: list[Book], reason: TextArray, *, settings: BacktestSettings) -> list[Book]:
    """Drop trades for which the account has no capital left.

    At each entry, the defined risk with fees of the positions still open and of the new one must not
    exceed the starting cash plus what earlier trades have realised by the close before. Nor may there be more
    positions than ``maximum_open_positions``.
    """
    candidates = sorted(
        (int(book.trips.entry[position]), int(book.rows[position]), number, int(position))
        for number, book in enumerate(books)
        for position in np.flatnonzero(book.contracts > 0)
    )
    risk = [
        book.contracts * (book.trips.maximum_loss_usd(settings) + 2.0 * book.trips.fees_one_way_usd(settings))
        for book in books
    ]
    profit = [book.contracts * book.trips.profit_usd(settings) for book in books]
    admitted = [book.contracts.copy() for book in books]
    capital, committed = settings.account_usd, 0.0
    running: list[tuple[int, float, float]] = []
    most = settings.maximum_open_positions
    for entry, row, number, position in candidates:
        while running and running[0][0] < entry:
            _, released, realised = heapq.heappop(running)
            committed -= released
            capital += realised
        needed = float(risk[number][position])
        is_full = most is not None and len(running) >= most
        if is_full or committed + needed > capital:
            admitted[number][position] = 0
            reason[row] = POSITION_LIMIT if is_full else CAPITAL_LIMIT
            continue
        committed += needed
        leave = int(books[number].trips.exit[position])
        # A position that is open at the end of the data never returns its capital.
        until, gained = (leave, float(profit[number][position])) if leave >= 0 else (np.iinfo(np.int64).max, 0.0)
        heapq.heappush(running, (until, needed, gained))
    return [Book(book.trips, book.rows, contracts) for book, contracts in zip(books, admitted, strict=True)]


def _status_of(trades: pd.DataFrame, market: Market, *, horizon: Horizon) -> str:
    """The summary's status."""
    if trades.empty or not len(market):
        return "insufficient_data"
    if not horizon.outlasts_entry:
        return HORIZON_BEFORE_ENTRY
    return "backtested" if (trades["status"] == "closed").any() else "no_trades"


def _window(sessions: pd.DatetimeIndex, market: Market, *, books: list[Book]) -> slice:
    """Market positions from the first of the sessions to the last exit, to the end of data where one is open.

    Never from a session on whose fills are in its equity already: the curve begins with the starting cash.
    """
    last = len(market) - 1
    begins = [int(market.sessions.searchsorted(sessions[0]))]
    ends = [int(market.sessions.searchsorted(sessions[-1], side="right")) - 1]
    for book in books:
        is_traded = book.contracts > 0
        leave = book.trips.exit[is_traded]
        ends.extend(np.where(leave < 0, last, leave).tolist())
        begins.extend((book.trips.entry[is_traded] - 1).tolist())
    return slice(max(min(begins), 0), min(max(ends), last) + 1)


def _random_entry(trades: pd.DataFrame, sessions: pd.DatetimeIndex, market: Market, *, horizon: Horizon) -> RandomEntry:
    """The random-entry test of the closed trades, drawn from the sessions on which a signal was possible."""
    closed = trades[trades["status"] == "closed"]
    sizes = design_sizes(closed["design_size"].to_numpy(dtype=object))
    kinds = list(zip(closed["structure"], sizes.tolist(), strict=True))
    distinct = sorted(set(kinds))
    signal = _positions_of(sessions, market)
    signal = signal[signal >= 0]
    profits = profit_by_session(market, kinds=distinct, signal=signal, holding_sessions=horizon.target_offset)
    return random_entry_test(
        profits,
        kind=np.array([distinct.index(kind) for kind in kinds], dtype=np.int64),
        at=np.searchsorted(signal, _positions_of(pd.DatetimeIndex(closed["signal_session"]), market)),
        total_usd=float(closed["pnl_usd"].sum()),
        runs=market.settings.backtest.random_entry_runs,
        seed=market.settings.backtest.seed,
    )
