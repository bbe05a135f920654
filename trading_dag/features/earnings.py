"""features.earnings: how near earnings announcements are, how the last ones surprised, and how the ticker moved.

The only place that says when an announcement is visible. Fetching, and which holdings of a fund are heavy, is
elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.features.event_distances import (
    Positions,
    first_close_from,
    first_close_without,
    first_session_after,
    first_session_from,
    latest_before,
    positions_of,
    sessions_since_last,
    sessions_until_next,
)
from trading_dag.features.formulas import documents_features
from trading_dag.features.technical.bars import flag, ratio_of
from trading_dag.frames import (
    require_columns,
    require_prices,
    require_sessions,
    table_frame,
    ticker_of,
    values_at_sessions,
)
from trading_dag.schemas import EARNINGS_FEATURES, EARNINGS_TABLE
from trading_dag.sessions import NEW_YORK, TIME_UNIT, all_sessions, session_bounds

# Companies confirm their date two to four weeks ahead; a calendar that does not say when is taken at the later end.
PRESUMED_NOTICE_DAYS: Final = 14
# A quarter has 63 sessions; after this many without an announcement the calendar has ended.
STALE_AFTER_SESSIONS: Final = 80
QUARTERS_OF_MOVES: Final = 4
SMALLEST_ESTIMATE_USD: Final = 0.01
_SEASON_FIRST_DAY: Final = 10
_SEASON_LAST_DAY: Final = 20
_REACTS_SAME_DAY: Final = ("BMO", "DMH")
_REQUIRED: Final = ("company", "report_date", "timing", "known_at", "cancelled_at", "eps_estimate", "eps_actual")


@dataclass(frozen=True)
class Announcements:
    """Versions of announcements as positions in the calendar; arrays of one element a version.

    Attributes
    ----------
    company : who reports.
    reacts_at : the first session that can trade on it.
    visible_from, visible_until : from whose close on this version is what the calendar says, and no longer is.
    surprise : percent of the estimate; NaN where a figure is missing.
    """

    company: npt.NDArray[np.object_]
    reacts_at: Positions
    visible_from: Positions
    visible_until: Positions
    surprise: FloatArray

    def at(self, chosen: BoolArray) -> Announcements:
        """Those that are chosen."""
        return Announcements(
            self.company[chosen],
            self.reacts_at[chosen],
            self.visible_from[chosen],
            self.visible_until[chosen],
            self.surprise[chosen],
        )


@documents_features(EARNINGS_FEATURES)
def build_earnings(earnings: pd.DataFrame, prices: pd.DataFrame, *, implied_volatility: pd.DataFrame) -> pd.DataFrame:
    """Earnings features of one ticker.

    Parameters
    ----------
    earnings : ``raw.earnings`` of the ticker, any order: its own announcements, or those of a fund's heavy holdings.
        Zero rows where there are none.
    prices : ``raw.prices_daily`` of the ticker; its sessions are the rows, ``adj_close`` gives the moves.
    implied_volatility : ``features.implied_volatility`` of the ticker, for the interactions.

    Returns
    -------
    pd.DataFrame : ``features.earnings``, one row per row of ``prices``.

    When it is known
    ----------------
    An announcement belongs to its reaction session, the first one that can trade on it: the report date (or the next
    session) before the open (BMO) and during the session (DMH), the session after the report date after the close
    (AMC) and where the timing is not said. Surprise and move are visible at the close of the reaction session, not
    before. A coming date is visible from the first close at or after ``known_at``; where that is NULL, from 14 calendar
    days before the report date on. An announcement that was made is public: it is visible even where the calendar saw
    it later that day. One that the calendar had only after the day was over is visible from then on.
    Row t sees a version of an announcement (a date, its timing, its figures) from ``known_at`` until ``cancelled_at``:
    until a date is moved, rows count to the old one, and no row changes when it is. A date that was taken back after
    it had passed is forgotten by later rows only.

    NaN policy
    ----------
    ``days_to_earnings`` is NaN where no coming announcement is visible. What looks back is NaN before the first
    announcement and more than 80 sessions after the last, where the calendar has ended. A surprise needs both figures
    and an estimate of at least a cent; a mean of moves needs four of a company. ``earnings_season`` is never NaN.

    Raises
    ------
    SchemaError : for missing columns, more than one ticker, sessions that do not ascend, days that are no session,
        or prices that are not positive and finite.
    """
    sessions = require_sessions(prices, ("ticker", "adj_close"), table="raw.prices_daily")
    require_prices(prices, ("adj_close",), table="raw.prices_daily")
    require_columns(earnings, "raw.earnings", columns=_REQUIRED)
    rows = positions_of(sessions, table="raw.prices_daily")
    known = _announcements(earnings)
    days_to = sessions_until_next(
        rows, visible_from=known.visible_from, visible_until=known.visible_until, happens_at=known.reacts_at
    )
    days_since = sessions_since_last(
        rows,
        visible_from=known.visible_from,
        visible_until=known.visible_until,
        happens_at=known.reacts_at,
        limit=STALE_AFTER_SESSIONS,
    )
    calendar_is_on = np.where(np.isnan(days_to), days_since, days_to)
    within_5d = flag(days_to <= 5, calendar_is_on)
    surprise, streak, mean_move = _of_the_past(known, rows, _moves(rows, prices["adj_close"].to_numpy(dtype=float)))
    iv_rank, iv_hv_spread = (
        values_at_sessions(implied_volatility, sessions, column=name, table="features.implied_volatility")
        for name in ("iv_rank", "iv_hv_spread")
    )
    values = {
        "ticker": ticker_of(prices),
        "session": sessions,
        "days_to_earnings": days_to,
        "days_since_earnings": days_since,
        "earnings_within_5d": within_5d,
        "earnings_within_10d": flag(days_to <= 10, calendar_is_on),
        "post_earnings_5d": flag(days_since <= 5, days_since),
        "last_eps_surprise_pct": surprise,
        "eps_surprise_streak": streak,
        "mean_abs_earnings_move_4q": mean_move,
        "earnings_season": _is_season(sessions),
        "earnings_x_iv_rank": within_5d * iv_rank,
        "earnings_x_iv_hv_spread": within_5d * iv_hv_spread,
    }
    return table_frame(EARNINGS_TABLE, values, rows=len(sessions))


def announcement_known_at(earnings: pd.DataFrame) -> pd.Series:
    """From when on the date of each announcement is visible: a UTC moment. Its figures are visible later.

    The earlier of ``known_at`` (NULL: midnight New York, 14 calendar days before the report date) and
    ``figures_known_at``; ``known_at`` where that lies after the report day, for then nobody had the announcement here.
    """
    day = pd.to_datetime(earnings["report_date"]).dt.as_unit(TIME_UNIT)
    notice, ends = (
        (day + pd.Timedelta(days=days)).dt.tz_localize(NEW_YORK).dt.tz_convert("UTC")
        for days in (-PRESUMED_NOTICE_DAYS, 1)
    )
    known = pd.to_datetime(earnings["known_at"], utc=True).dt.as_unit(TIME_UNIT)
    known = known.where(known.notna(), notice)
    public = figures_known_at(earnings)
    return known.where((known > ends) | ~(public < known), public)


def figures_known_at(earnings: pd.DataFrame) -> pd.Series:
    """Return when the figures of each announcement count as known: the close of its reaction session, UTC.

    NaT where that lies beyond the calendar.
    """
    reacts_at = _reaction_positions(earnings)
    _, closes = session_bounds(all_sessions())
    inside = reacts_at < len(closes)
    return pd.Series(closes[np.where(inside, reacts_at, 0)], index=earnings.index).where(inside)


def _reaction_positions(earnings: pd.DataFrame) -> Positions:
    """Position of the first session that can trade on each announcement."""
    days = pd.DatetimeIndex(pd.to_datetime(earnings["report_date"]))
    same_day = earnings["timing"].isin(_REACTS_SAME_DAY).to_numpy()
    return np.where(same_day, first_session_from(days), first_session_after(days))


def _announcements(earnings: pd.DataFrame) -> Announcements:
    estimate, actual = (
        earnings[name].to_numpy(dtype=float, na_value=np.nan) for name in ("eps_estimate", "eps_actual")
    )
    usable = np.isfinite(actual) & (np.abs(estimate) >= SMALLEST_ESTIMATE_USD)
    surprise = np.full(len(earnings), np.nan)
    surprise[usable] = (actual[usable] - estimate[usable]) / np.abs(estimate[usable]) * 100
    return Announcements(
        company=earnings["company"].to_numpy(dtype=object),
        reacts_at=_reaction_positions(earnings),
        visible_from=first_close_from(pd.DatetimeIndex(announcement_known_at(earnings))),
        visible_until=first_close_without(earnings["cancelled_at"]),
        surprise=surprise,
    )


def _of_the_past(known: Announcements, rows: Positions, move: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Latest surprise, its streak, and the mean move at each row, from what each row knows to have been announced.

    Between two changes of what is known of the past every row sees the same versions, so each such stretch is computed
    at once. Moves of coming dates change nothing here: a calendar without corrections is one stretch.
    """
    seen_at = np.maximum(known.visible_from, known.reacts_at)
    held = known.at(known.visible_until > seen_at)
    is_late = held.visible_from > held.reacts_at
    never = len(all_sessions()) + 1
    changes = np.concatenate([held.visible_from[is_late], held.visible_until[held.visible_until < never]])
    begins = np.unique(np.concatenate([[0], changes]))
    edges = np.searchsorted(rows, np.append(begins, never), side="left")
    columns = tuple(np.full(len(rows), np.nan) for _ in range(3))
    for begin, first, last in zip(begins.tolist(), edges[:-1], edges[1:], strict=True):
        if first == last:
            continue
        here = held.at((held.visible_until > begin) & (~is_late | (held.visible_from <= begin)))
        for column, values in zip(
            columns,
            (*_surprises(here, rows[first:last]), _mean_moves(here, rows[first:last], move)),
            strict=True,
        ):
            column[first:last] = values
    return columns[0], columns[1], columns[2]


def _surprises(known: Announcements, rows: Positions) -> tuple[FloatArray, FloatArray]:
    """Return the latest surprise in percent, and how many in a row had its sign, at each row.

    Announcements of several companies at one session count as one: their mean.
    """
    usable = ~np.isnan(known.surprise)
    by_session = pd.Series(known.surprise[usable]).groupby(known.reacts_at[usable]).mean()
    if by_session.empty:
        nothing = np.full(len(rows), np.nan)
        return nothing, nothing
    latest, age = latest_before(rows, happened_at=by_session.index.to_numpy(), limit=STALE_AFTER_SESSIONS)
    sign = pd.Series(np.sign(by_session.to_numpy()))
    run = sign.groupby((sign != sign.shift()).cumsum()).cumcount() + 1
    surprise, streak = by_session.to_numpy()[latest], (sign * run).to_numpy()[latest]
    return np.where(np.isnan(age), np.nan, surprise), np.where(np.isnan(age), np.nan, streak)


def _moves(rows: Positions, adj_close: FloatArray) -> FloatArray:
    """Absolute return of each session of the calendar on the one before it; NaN where either has no price."""
    move = np.full(len(all_sessions()) + 1, np.nan)
    follows = np.diff(rows) == 1
    move[rows[1:][follows]] = np.abs(adj_close[1:] / adj_close[:-1] - 1)[follows]
    return move


def _mean_moves(known: Announcements, rows: Positions, move: FloatArray) -> FloatArray:
    """Mean over companies of the ticker's mean absolute move at the company's last four reaction sessions."""
    total, companies = np.zeros(len(rows)), np.zeros(len(rows))
    for _, reactions in pd.Series(known.reacts_at).groupby(known.company):
        happened_at = np.unique(reactions.to_numpy())
        means = pd.Series(move[happened_at]).rolling(QUARTERS_OF_MOVES).mean().to_numpy()
        latest, age = latest_before(rows, happened_at=happened_at, limit=STALE_AFTER_SESSIONS)
        mean = np.where(np.isnan(age), np.nan, means[latest])
        total += np.nan_to_num(mean)
        companies += ~np.isnan(mean)
    return ratio_of(total, companies)


def _is_season(sessions: pd.DatetimeIndex) -> FloatArray:
    """1.0 from the 10th of a quarter's first month to the 20th of its second, 0.0 elsewhere."""
    of_quarter = (sessions.month.to_numpy() - 1) % 3
    day = sessions.day.to_numpy()
    begun, not_over = (of_quarter == 0) & (day >= _SEASON_FIRST_DAY), (of_quarter == 1) & (day <= _SEASON_LAST_DAY)
    return np.asarray(begun | not_over, dtype=float)
