"""Which inputs of the forecasts have ended, where, and what that costs. Pure: SQL text and sentences.

A forecast needs most of the features on which its model was trained. When one source stops, the forecasts end some
sessions later without any error, so the user has to be told.
"""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from trading_dag.schemas.feature_names import FEATURE_GROUPS
from trading_dag.sessions import all_sessions

# Some features come and go (no headline, no score); one that had no value for so long has ended.
ENDED_AFTER_SESSIONS: Final = 10
_LAST: Final = ", ".join(
    f"max(session) FILTER (WHERE {name} IS NOT NULL) AS {name}" for names in FEATURE_GROUPS.values() for name in names
)
INPUT_ENDS_SQL: Final = f"""
WITH features AS (
    SELECT ticker, max(session) AS last_session, {_LAST}
    FROM features.feature_table WHERE list_contains(?, ticker) GROUP BY ticker
), forecasts AS (
    SELECT ticker, horizon, max(session) AS last_forecast
    FROM predictions.direction WHERE list_contains(?, horizon) AND NOT is_baseline GROUP BY ALL
)
SELECT *, (SELECT min(last_forecast) FROM forecasts WHERE forecasts.ticker = features.ticker) AS last_forecast
FROM features ORDER BY ticker
"""


def input_ends(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one entry for each ticker for which an input, or the forecasts, end before the prices.

    Parameters
    ----------
    frame : rows of ``INPUT_ENDS_SQL``: ticker, last_session, the last session with a value of each feature (NaT for a
        feature that never had one, which is no end), last_forecast (NaT where nothing was forecast yet).

    Returns
    -------
    Dictionaries of ticker, prices_until, forecasts_until (None where nothing was forecast), and ended: group, until,
    features. Days are ISO dates. A group is in it when features of it had no value for more than 10 sessions.
    """
    ends = []
    for row in frame.to_dict("records"):
        last = pd.Timestamp(row["last_session"])
        ended = [entry for entry in (_end_of(name, row, last) for name in FEATURE_GROUPS) if entry]
        forecast = pd.Timestamp(row["last_forecast"])
        is_behind = not pd.isna(forecast) and forecast < last
        if ended or is_behind:
            ends.append(
                {
                    "ticker": str(row["ticker"]),
                    "prices_until": _day(last),
                    "forecasts_until": None if pd.isna(forecast) else _day(forecast),
                    "ended": ended,
                }
            )
    return ends


def input_end_lines(ends: list[dict[str, Any]]) -> list[str]:
    """Return the entries of ``input_ends`` as sentences: which input ends where, and what that costs."""
    return [_sentence(end) for end in ends]


def _sentence(end: dict[str, Any]) -> str:
    groups = ", ".join(f"{entry['group']} on {entry['until']} ({entry['features']} features)" for entry in end["ended"])
    what = f"inputs end before: {groups}" if groups else "no input has ended"
    until = end["forecasts_until"]
    if until is None:
        cost = "nothing is forecast yet"
    elif until < end["prices_until"]:
        cost = f"forecasts and signals end on {until}: a model forecasts only with most of the features it learnt from"
    else:
        cost = "forecasts go on without them"
    return f"{end['ticker']}: prices go to {end['prices_until']}; {what}; {cost}"


def _end_of(group: str, row: dict[Any, Any], last: pd.Timestamp) -> dict[str, Any] | None:
    """Return where a group ended, and how many of its features did; None where all that it ever had are still there."""
    days = pd.DatetimeIndex([row[name] for name in FEATURE_GROUPS[group]]).dropna()
    position = all_sessions().searchsorted(last)
    gone = days[position - all_sessions().searchsorted(days) > ENDED_AFTER_SESSIONS]
    return {"group": group, "until": _day(gone.max()), "features": len(gone)} if len(gone) else None


def _day(moment: pd.Timestamp) -> str:
    return f"{moment:%Y-%m-%d}"
