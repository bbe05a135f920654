"""What the page of backtests shows, as frames: the account, its months, its trades with their legs, comparisons."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pandas as pd

from trading_dag.dashboard.words import named
from trading_dag.reporting.backtest_tables import assumption_text
from trading_dag.reporting.signal_backtest_page import legs_text
from trading_dag.schemas.backtests import RANDOM_ENTRY_COLUMNS

if TYPE_CHECKING:
    from resources.storage.versioned_reader import VersionedReader

MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
YEAR: Final = "whole year"
_OF_SLICE: Final = "WHERE ticker = ? AND horizon = ?"
_EQUITY: Final = f"""
SELECT session, equity_usd, drawdown, benchmark_usd, open_positions, {", ".join(RANDOM_ENTRY_COLUMNS)}
FROM backtests.equity {_OF_SLICE} AND rule = ? ORDER BY session
"""  # noqa: S608  # names of the schema
_TRADES: Final = f"""
SELECT signal_session, roll, structure, status, exit_reason, entry_session, entry_quote, entry_spot, exit_session,
    exit_quote, exit_spot, quote_source, legs, expiration, contracts, entry_cost_usd, exit_value_usd, fees_usd, pnl_usd,
    max_loss_usd, return_on_risk
FROM backtests.trades {_OF_SLICE} AND rule = ? AND status != 'skipped' AND year(entry_session) = ?
ORDER BY entry_session, roll
"""  # noqa: S608
_YEARS: Final = f"""
SELECT DISTINCT year(entry_session) AS year FROM backtests.trades {_OF_SLICE} AND rule = ? AND status != 'skipped'
ORDER BY year DESC
"""  # noqa: S608


def summaries(reader: VersionedReader, ticker: str) -> pd.DataFrame:
    """Return ``backtests.summary`` of a ticker: a row for each horizon and rule."""
    return reader.query("FROM backtests.summary WHERE ticker = ? ORDER BY horizon, rule", [ticker])


def equity_data(reader: VersionedReader, ticker: str, horizon: str, rule: str) -> pd.DataFrame:
    """Return the account through time beside buy and hold and the band of random entry.

    Returns
    -------
    session, equity_usd, drawdown, benchmark_usd, open_positions, random_low_usd, random_median_usd, random_high_usd
    (NULL where a backtest was stored before there was a band) and benchmark_drawdown; drawdowns are fractions below the
    highest value so far.
    """
    frame = reader.query(_EQUITY, [ticker, horizon, rule])
    held = frame["benchmark_usd"]
    return frame.assign(benchmark_drawdown=1.0 - held / held.cummax())


def monthly_returns(equity: pd.DataFrame) -> pd.DataFrame:
    """Return the account's return by calendar year and month, as fractions.

    Parameters
    ----------
    equity : session and equity_usd, ascending.

    Returns
    -------
    Index: year. Columns: Jan to Dec and year. The first month starts from the first session's equity; a month without
    a session is NaN, and so is one that begins with nothing left.
    """
    if equity.empty:
        return pd.DataFrame(columns=[*MONTHS, YEAR])
    session = pd.DatetimeIndex(equity["session"])
    ends = equity.groupby([session.year, session.month])["equity_usd"].last()
    ends.index.names = ["year", "month"]
    months = _growth(ends, float(equity["equity_usd"].iloc[0]))
    table = months.unstack("month").reindex(columns=range(1, 13))
    table.columns = list(MONTHS)
    table[YEAR] = _growth(ends.groupby("year").last(), float(equity["equity_usd"].iloc[0]))
    return table


def _growth(ends: pd.Series, start: float) -> pd.Series:
    begins = ends.shift(fill_value=start)
    return (ends / begins.where(begins > 0) - 1.0).rename("return")


def trade_years(reader: VersionedReader, ticker: str, horizon: str, rule: str) -> list[int]:
    """Return the years in which a trade was entered, the latest first."""
    return [int(year) for year in reader.query(_YEARS, [ticker, horizon, rule])["year"]]


def trades_data(reader: VersionedReader, ticker: str, horizon: str, rule: str, year: int) -> pd.DataFrame:
    """Return the trades that were entered in a year, with ``legs_text``: their legs and fills in words."""
    frame = reader.query(_TRADES, [ticker, horizon, rule, year])
    return frame.assign(legs_text=[legs_text(legs) for legs in frame["legs"]])


def price_data(reader: VersionedReader, ticker: str, trades: pd.DataFrame) -> pd.DataFrame:
    """Return session, open and close of the underlying as traded, over the time of some trades and a week around it.

    The prices of a backtest are as traded, so strikes and spots stand on the same scale.
    """
    first = trades["entry_session"].min() - pd.Timedelta(days=7)
    last = max(trades["entry_session"].max(), trades["exit_session"].max()) + pd.Timedelta(days=7)
    return reader.query(
        "SELECT session, open, close FROM raw.prices_daily WHERE ticker = ? AND session BETWEEN ? AND ? "
        "ORDER BY session",
        [ticker, first.date(), last.date()],
    )


def comparison_data(reader: VersionedReader, ticker: str, horizon: str) -> pd.DataFrame:
    """Return ``backtests.comparison`` of a slice, the most profitable first."""
    return reader.query(
        f"SELECT * EXCLUDE (ticker, horizon) FROM backtests.comparison {_OF_SLICE} "  # noqa: S608
        "ORDER BY total_pnl_usd DESC NULLS LAST, structure, exits",
        [ticker, horizon],
    )


def assumptions_data(summary: pd.Series) -> pd.DataFrame:
    """Return what a backtest assumed, in words: assumption and meaning."""
    assumed = json.loads(summary["assumptions"])
    rows = [(named(name), assumption_text(value)) for name, value in assumed.items()]
    return pd.DataFrame(rows, columns=["assumption", "meaning"])


def skipped_data(summary: pd.Series) -> pd.DataFrame:
    """Return how many signals became no trade, by reason, the most frequent first."""
    reasons = json.loads(summary["skip_reasons"])
    rows = sorted(((named(name), int(count)) for name, count in reasons.items()), key=lambda row: -row[1])
    return pd.DataFrame(rows, columns=["reason", "signals"])
