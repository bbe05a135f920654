"""What sources have in common about the session that is under way: which bars of it have ended, and why there are none.

What is made of them is not decided here; nothing of it is ever stored as a session's row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pandas as pd

from resources.raw_frames import switched_off
from trading_dag.errors import EmptySourceError
from trading_dag.schemas import OPTION_CHAIN, PRICES_HOURLY
from trading_dag.sessions import running_session, session_close, session_open

CLOSED: Final = "the exchange is closed"
NOT_YET: Final = "no hour of the session has ended yet"
QUOTED_AT: Final = "quoted_at"
_HOUR: Final = pd.Timedelta(hours=1)


def hours_that_ended(fetch: Callable[[pd.Timestamp], pd.DataFrame], *, source: str, now: pd.Timestamp) -> pd.DataFrame:
    """Return the bars of the session under way that have ended, the last one at the session's close at the latest.

    Parameters
    ----------
    fetch : given the session, returns hourly bars from it on; it may raise ``EmptySourceError`` where there are none.
    source : name for the provenance of a frame without rows.
    now : the moment, UTC.
    """
    session = running_session(now)
    if session is None:
        return switched_off(PRICES_HOURLY, source=source, reason=CLOSED)
    try:
        bars = fetch(session)
    except EmptySourceError as error:
        return switched_off(PRICES_HOURLY, source=source, reason=error.problem)
    if bars.attrs.get("source_off"):
        return bars
    opens, closes = session_open(session), session_close(session)
    has_ended = [opens <= start and min(start + _HOUR, closes) <= now for start in bars["ts"]]
    kept = bars[has_ended].reset_index(drop=True)
    return switched_off(PRICES_HOURLY, source=source, reason=NOT_YET) if kept.empty else kept


def no_chain_so_far(source: str, reason: str) -> pd.DataFrame:
    """Return a chain without rows, with the reason."""
    return switched_off(OPTION_CHAIN, source=source, reason=reason)
