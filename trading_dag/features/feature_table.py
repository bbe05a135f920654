"""features.feature_table: every feature of one ticker side by side, one row a session.

A join and nothing else. What a feature means is decided in the table it comes from; which features a model
uses is decided in ``models.feature_selection``.
"""

from __future__ import annotations

import pandas as pd

from trading_dag.errors import SchemaError
from trading_dag.features.input_rules import require_sessions, ticker_of
from trading_dag.schemas import (
    IMPLIED_VOLATILITY_FEATURES,
    IV_RANK_LAGS,
    MACRO_FEATURES,
    TABLES,
    TECHNICAL_FEATURES,
)

_IMPLIED: tuple[str, ...] = (*IMPLIED_VOLATILITY_FEATURES, *IV_RANK_LAGS)


def build_feature_table(technical: pd.DataFrame, implied_volatility: pd.DataFrame, macro: pd.DataFrame) -> pd.DataFrame:
    """Join the feature tables of one ticker on the session.

    Parameters
    ----------
    technical : ``features.technical``; its sessions are the rows.
    implied_volatility : ``features.implied_volatility`` of the same ticker.
    macro : ``features.macro``, the row of the very same session.

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
    rows = require_sessions(technical, ("ticker", *TECHNICAL_FEATURES), table="features.technical")
    other = require_sessions(implied_volatility, ("ticker", *_IMPLIED), table="features.implied_volatility")
    days = require_sessions(macro, MACRO_FEATURES, table="features.macro")
    if len(other) and len(rows) and ticker_of(implied_volatility) != ticker_of(technical):
        raise SchemaError(
            table="features.feature_table",
            key=f"ticker={ticker_of(technical)}, {ticker_of(implied_volatility)}",
            rule="one ticker at a time",
        )
    head = pd.DataFrame({"ticker": technical["ticker"].astype("str").array, "session": rows}, index=rows)
    frame = pd.concat(
        [
            head,
            technical.set_axis(rows)[list(TECHNICAL_FEATURES)],
            implied_volatility.set_axis(other)[list(_IMPLIED)].reindex(rows),
            macro.set_axis(days)[list(MACRO_FEATURES)].reindex(rows),
        ],
        axis=1,
    ).reset_index(drop=True)
    return frame[list(TABLES["features.feature_table"].column_names)]
