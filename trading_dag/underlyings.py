"""What is known about an underlying beside its data: its own volatility index, and since when its options are listed.

Both decide whether modelled option prices of it may be believed. Prices and rules of trading do not belong here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

FALLBACK_VOLATILITY_INDEX: Final = "VIX"
# The index that is computed from the options of the very underlying, or of the index that a fund follows. COMP has
# none: VXN is of the Nasdaq-100.
OWN_VOLATILITY_INDEX: Final[dict[str, str]] = {"SPY": "VIX", "SPX": "VIX", "QQQ": "VXN", "IWM": "RVX"}
# SPX: Cboe's listing. SPY: six exchanges on one day, after S&P had licensed them. QQQ: with the fund itself, by Amex.
# IWM: the first month in which an exchange reported their volume; they were listed earlier, and no source of the day
# was found. NOT_LISTED: no exchange lists options on it.
OPTIONS_LISTED: Final[dict[str, date]] = {
    "SPX": date(1983, 7, 1),
    "SPY": date(2005, 1, 10),
    "QQQ": date(1999, 3, 10),
    "IWM": date(2004, 4, 1),
}
NOT_LISTED: Final = frozenset({"COMP"})


def usual_volatility_index(ticker: str) -> str:
    """Returns the index that stands for a ticker's volatility without further settings: its own, otherwise VIX."""
    return OWN_VOLATILITY_INDEX.get(ticker, FALLBACK_VOLATILITY_INDEX)


def objection_to_modelled_prices(
    ticker: str, *, symbol: str | None, own_index: str | None, listed_since: Mapping[str, date]
) -> str | None:
    """Returns why modelled option prices of a ticker are not to be believed; None where nothing speaks against them.

    Parameters
    ----------
    ticker : the underlying.
    symbol : the volatility index that the prices are modelled from; None where there is none.
    own_index : the index of the ticker's own options; None where it has none.
    listed_since : first session of listed options, by ticker.
    """
    objections = []
    if symbol is not None and symbol != own_index:
        of_its_own = f"its own is {own_index}" if own_index else "which is the index of other options"
        objections.append(
            f"option prices of {ticker} are modelled from {symbol}, {of_its_own} (TRADING_DAG_VOLATILITY_INDICES)"
        )
    if ticker in NOT_LISTED and ticker not in listed_since:
        objections.append(f"no exchange lists options on {ticker}")
    elif ticker not in listed_since:
        objections.append(f"since when options on {ticker} are listed is not known (TRADING_DAG_OPTIONS_LISTED)")
    return "; ".join(objections) or None
