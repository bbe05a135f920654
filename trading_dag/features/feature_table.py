"""features.feature_table: every feature of one ticker side by side, one row a session.

A join and nothing else. What a feature means is decided in the table it comes from; which features a model
uses is decided in ``models.inputs``.
"""

from __future__ import annotations

import pandas as pd

from trading_dag.errors import SchemaError
from trading_dag.frames import require_sessions, ticker_of
from trading_dag.schemas import (
    CROSS_ASSET,
    CROSS_ASSET_FEATURES,
    EARNINGS_FEATURES,
    EARNINGS_TABLE,
    ECONOMIC_CALENDAR_FEATURES,
    ECONOMIC_CALENDAR_TABLE,
    FEATURE_TABLE,
    IMPLIED_VOLATILITY,
    IMPLIED_VOLATILITY_FEATURES,
    INTRADAY,
    INTRADAY_FEATURES,
    IV_RANK_LAGS,
    MACRO_FEATURES,
    MACRO_TABLE,
    OPTION_CHAIN_FEATURES,
    OPTION_CHAIN_TABLE,
    REGIME,
    REGIME_FEATURES,
    SENTIMENT,
    SENTIMENT_FEATURES,
    TECHNICAL,
    TECHNICAL_FEATURES,
    Table,
)


def build_feature_table(
    technical: pd.DataFrame,
    implied_volatility: pd.DataFrame,
    macro: pd.DataFrame,
    *,
    sentiment: pd.DataFrame | None = None,
    earnings: pd.DataFrame | None = None,
    economic_calendar: pd.DataFrame | None = None,
    option_chain: pd.DataFrame | None = None,
    intraday: pd.DataFrame | None = None,
    regime: pd.DataFrame | None = None,
    cross_asset: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Join the feature tables of one ticker on the session.

    Parameters
    ----------
    technical : ``features.technical``; its sessions are the rows.
    macro : ``features.macro``, the row of the very same session.
    implied_volatility, sentiment, earnings, economic_calendar, option_chain, intraday, regime, cross_asset : the
        table of that name of the same ticker; None for none.

    Returns
    -------
    pd.DataFrame : ``features.feature_table``, one row per row of ``technical``.

    When it is known
    ----------------
    At the close of the session, as each of the tables is.

    NaN policy
    ----------
    A session that a table does not have gives NaN for that table's features. Nothing is carried forward here:
    each table has its own rule for stale values.

    Raises
    ------
    SchemaError : for missing columns, sessions that do not ascend, or two different tickers.
    """
    rows = require_sessions(technical, ("ticker", *TECHNICAL_FEATURES), table=TECHNICAL.qualified_name)
    joined: list[tuple[Table, tuple[str, ...], pd.DataFrame | None]] = [
        (IMPLIED_VOLATILITY, (*IMPLIED_VOLATILITY_FEATURES, *IV_RANK_LAGS), implied_volatility),
        (MACRO_TABLE, MACRO_FEATURES, macro),
        (SENTIMENT, SENTIMENT_FEATURES, sentiment),
        (EARNINGS_TABLE, EARNINGS_FEATURES, earnings),
        (ECONOMIC_CALENDAR_TABLE, ECONOMIC_CALENDAR_FEATURES, economic_calendar),
        (OPTION_CHAIN_TABLE, OPTION_CHAIN_FEATURES, option_chain),
        (INTRADAY, INTRADAY_FEATURES, intraday),
        (REGIME, REGIME_FEATURES, regime),
        (CROSS_ASSET, CROSS_ASSET_FEATURES, cross_asset),
    ]
    head = pd.DataFrame({"ticker": technical["ticker"].astype("str").array, "session": rows}, index=rows)
    parts = [head, technical.set_axis(rows)[list(TECHNICAL_FEATURES)]]
    parts += [_features_at(rows, technical, table, names, frame) for table, names, frame in joined]
    return pd.concat(parts, axis=1).reset_index(drop=True)[list(FEATURE_TABLE.column_names)]


def _features_at(
    rows: pd.DatetimeIndex, technical: pd.DataFrame, table: Table, names: tuple[str, ...], frame: pd.DataFrame | None
) -> pd.DataFrame:
    """Return the features of one table on the sessions of the rows, NaN where it has none."""
    if frame is None:
        return pd.DataFrame(float("nan"), index=rows, columns=list(names))
    is_of_ticker = "ticker" in table.column_names
    sessions = require_sessions(frame, (*(("ticker",) if is_of_ticker else ()), *names), table=table.qualified_name)
    if is_of_ticker and len(sessions) and len(rows) and ticker_of(frame) != ticker_of(technical):
        raise SchemaError(
            table=FEATURE_TABLE.qualified_name,
            key=f"ticker={ticker_of(technical)}, {ticker_of(frame)}",
            rule="one ticker at a time",
        )
    return frame.set_axis(sessions)[list(names)].reindex(rows)
