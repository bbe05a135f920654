"""When ``backtest --structure`` enters: by the calendar, at stored signals, or after the sessions of a query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from trading_dag.cli.plan_request import DAILY, WEEKLY
from trading_dag.errors import ConfigurationError, SliceNotFoundError

if TYPE_CHECKING:
    import pandas as pd

    from trading_dag.backtest.markets.chain_market import ChainMarket
    from trading_dag.backtest.trades.entries import Entries
    from trading_dag.cli.context import CommandContext
    from trading_dag.cli.plan_request import PlanRequest

SESSION: Final = "session"


class EntryRule(NamedTuple):
    """Holds the entries of a plan, and the rule that they come from in words."""

    entries: Entries
    in_words: str


def entries_of(context: CommandContext, market: ChainMarket, request: PlanRequest) -> EntryRule:
    """Return the entries that were asked for.

    Raises
    ------
    SliceNotFoundError : where no signals are stored.
    ConfigurationError, StorageError : for a query that gives no sessions, or cannot be run.
    InsufficientDataError : where nothing that was asked for lies within the market.
    """
    from trading_dag.backtest.trades.entries import entries_every_session, entries_weekly

    if request.entries_sql:
        return _after_sessions_of_query(context, market, request.entries_sql)
    if request.entries == WEEKLY:
        return EntryRule(entries_weekly(market), "the chain's first session of each week")
    if request.entries == DAILY:
        return EntryRule(entries_every_session(market), "every session of the chain")
    return _at_signals(context, market, request)


def _at_signals(context: CommandContext, market: ChainMarket, request: PlanRequest) -> EntryRule:
    from resources.storage.parquet_store import ParquetStore, SliceKey
    from trading_dag.backtest.runs.plan_inputs import entries_of_recommendations, signals_in_words
    from trading_dag.schemas import RECOMMENDATION
    from trading_dag.strategy.rules import rows_of_rule

    key = SliceKey(market.ticker, request.horizon)
    signals = ParquetStore(context.settings.home).read_or_empty(RECOMMENDATION, key)
    if signals.empty:
        raise SliceNotFoundError(
            f"no signals of {market.ticker} {request.horizon} are stored: "
            f"trading-dag run --tickers {market.ticker} --horizons {request.horizon} makes them"
        )
    entries = entries_of_recommendations(market, rows_of_rule(signals), structure=request.structure)
    return EntryRule(entries, signals_in_words(request.structure, horizon=request.horizon))


def _after_sessions_of_query(context: CommandContext, market: ChainMarket, sql: str) -> EntryRule:
    from trading_dag.backtest.runs.plan_inputs import entries_of_sessions

    sessions = _sessions_of(context.warehouse.query(sql), ticker=market.ticker)
    entries = entries_of_sessions(market, sessions)
    return EntryRule(
        entries,
        f"the first quote after each of {len(sessions):,} sessions of a query, {len(entries):,} of them within the "
        f"chain: {' '.join(sql.split())}",
    )


def _sessions_of(rows: pd.DataFrame, *, ticker: str) -> pd.Series:
    """The sessions of a query's rows; of one that names tickers, those of the plan's.

    Raises
    ------
    ConfigurationError : without a column session, or where a session is there twice: the query then mixes tickers or
        horizons, and nobody can know which of them is meant.
    """
    if SESSION not in rows:
        raise ConfigurationError(
            f"--entries-sql must give a column session; it gives {', '.join(map(str, rows.columns)) or 'none'}"
        )
    if "ticker" in rows:
        rows = rows[rows["ticker"] == ticker]
    sessions = rows[SESSION]
    repeated = sessions[sessions.duplicated()]
    if len(repeated):
        raise ConfigurationError(
            f"--entries-sql gives session {repeated.iloc[0]} more than once: say in it whose session is meant, such as "
            f"where ticker = '{ticker}'"
        )
    return sessions
