"""Whether modelled option prices could have been traded: from which session on, and whether to believe them."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray
from trading_dag.settings import Settings
from trading_dag.underlyings import objection_to_modelled_prices


def is_listed(sessions: pd.DatetimeIndex, *, ticker: str, settings: Settings) -> BoolArray:
    """Returns which sessions lie at or after the first listing of options on a ticker; all, where no date is known."""
    since = settings.options_listed_since().get(ticker, date.min)
    return np.array([session.date() >= since for session in sessions], dtype=np.bool_)


def price_objection(ticker: str, volatility_index: pd.DataFrame, settings: Settings) -> str | None:
    """Returns why modelled option prices of a ticker are not to be believed; None where nothing speaks against them.

    Parameters
    ----------
    volatility_index : raw.volatility_index of the ticker, whose ``symbol`` says which index it is.
    """
    symbols = volatility_index["symbol"].dropna() if "symbol" in volatility_index else pd.Series(dtype="str")
    return objection_to_modelled_prices(
        ticker,
        symbol=None if symbols.empty else str(symbols.iloc[-1]),
        own_index=settings.own_volatility_index(ticker),
        listed_since=settings.options_listed_since(),
    )
