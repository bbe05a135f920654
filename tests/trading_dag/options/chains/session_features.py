"""The features of one chain by the way that the assets take: analysed, kept in tables, read off them."""

from __future__ import annotations

import pandas as pd

from trading_dag.features.option_chain import build_option_chain
from trading_dag.options.chains.history import HistoryTables, analyse_history
from trading_dag.quality import empty_frame
from trading_dag.schemas import CHAIN_ANALYTICS, DEALER_EXPOSURE, OPTION_CHAIN_FEATURES


def features_of_session(chain: pd.DataFrame, *, rate: float) -> dict[str, float]:
    """The row of ``features.option_chain`` of one session, without the ratio that needs twenty."""
    first = chain.iloc[0]
    sessions = pd.DatetimeIndex([first["quote_date"]]).as_unit("us")
    nothing = HistoryTables(empty_frame(CHAIN_ANALYTICS), empty_frame(DEALER_EXPOSURE))
    tables = analyse_history([(sessions[0], chain)], rates=pd.Series(rate, index=sessions), known=nothing).tables
    prices = pd.DataFrame({"ticker": pd.Series([first["ticker"]], dtype="str"), "session": sessions})
    row = build_option_chain(prices, tables.exposure, analytics=tables.smiles).iloc[0]
    return {name: float(row[name]) for name in OPTION_CHAIN_FEATURES if name != "option_volume_ratio"}
