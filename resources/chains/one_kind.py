"""Chains of quotes and chains of daily bars are two kinds, and a ticker's stored chains are of one of them.

A bar's close is the last trade of the day, at whatever minute it was; a quote is of the close. In one series a change
from one to the other would look like a change of the market.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from trading_dag.errors import SourceMismatchError
from trading_dag.schemas import OPTION_CHAIN

# Ends the name of a source whose chains are made of daily bars of contracts.
DAILY_BARS: Final = ":daily_bars"


def require_one_kind(ticker: str, *, stored: Iterable[str], fresh: Iterable[str]) -> None:
    """Refuse chains of daily bars beside quoted ones.

    Parameters
    ----------
    stored, fresh : names of sources, of what is stored of the ticker and of what would be merged into it.

    Raises
    ------
    SourceMismatchError : naming a source of each kind.
    """
    sources = [*dict.fromkeys(stored), *dict.fromkeys(fresh)]
    bars = next((name for name in sources if name.endswith(DAILY_BARS)), None)
    quoted = next((name for name in sources if not name.endswith(DAILY_BARS)), None)
    if bars is None or quoted is None:
        return
    raise SourceMismatchError(
        table=OPTION_CHAIN.qualified_name,
        key=f"ticker={ticker}",
        rule=f"last trades of source {bars} cannot stand in one series with quotes of source {quoted or 'unknown'}: "
        "use another TRADING_DAG_HOME for one of them",
    )
