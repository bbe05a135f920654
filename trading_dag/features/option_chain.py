"""features.option_chain: activity, level, skew and term of volatility, and dealers' exposure of each session's chain.

What has to be interpolated to a fixed maturity or compared over sessions belongs here. What one session's quotes come
down to is ``trading_dag.options.chains.measures``'; reading chains is elsewhere.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray, TextArray
from trading_dag.day_count import DAYS_PER_YEAR
from trading_dag.errors import SchemaError
from trading_dag.features.chain_rank import own_rank, rank_of_level
from trading_dag.features.formulas import documents_features
from trading_dag.features.technical.bars import ratio_of
from trading_dag.frames import require_columns, require_sessions, table_frame, ticker_of, values_at_sessions
from trading_dag.options.chains.quoted_closes import closes_as_quoted
from trading_dag.options.surfaces.of_chain import LARGEST_SPOT_DIFFERENCE
from trading_dag.schemas import (
    CHAIN_ANALYTICS,
    DEALER_EXPOSURE,
    OPTION_CHAIN_FEATURES,
    OPTION_CHAIN_TABLE,
    PRICES_DAILY,
)
from trading_dag.sessions import TIME_UNIT

SHORT_DAYS: Final = 30
LONG_DAYS: Final = 90
# Expirations nearer than a quarter of the maturity or farther than twice it say little about it. Monthly expirations
# alone, at most 35 days apart, always leave 30 days bracketed within that.
NEAREST_SHARE: Final = 0.25
FARTHEST_SHARE: Final = 2.0
VOLUME_SESSIONS: Final = 20
LEAST_VOLUME_SESSIONS: Final = 15
EXPOSURE_FEATURES: Final = OPTION_CHAIN_FEATURES[OPTION_CHAIN_FEATURES.index("net_delta") :]
_ACTIVITY: Final = ("call_volume", "put_volume", "call_open_interest", "put_open_interest")
_POINTS: Final = (
    "atm_volatility", "put_25_delta_volatility", "call_25_delta_volatility", "put_95_volatility",
    "call_105_volatility",
)  # fmt: skip
_SAME_DAY: Final = 0.5  # days: half days and changes of the clock move a settlement by hours
_PERCENT: Final = 100.0


def agreeing_sessions(
    exposure: pd.DataFrame, analytics: pd.DataFrame, *, prices: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Exposure and analytics of the sessions whose chain stands within 1 % of the ticker's close.

    Chains come from files of their own. One whose underlying stands elsewhere is of another moment, another base or
    another ticker, and says nothing about these prices: the session is left out of both tables. A chain that gives no
    spot is kept.

    Chains are in the dollars of their day, closes in those of today's shares. The close is compared as it was quoted:
    times every ``split_factor`` that took effect after its session, so that a later split changes no earlier row. A
    ``split_factor`` that is NULL counts as none.

    Parameters
    ----------
    exposure, analytics : ``options.dealer_exposure`` and ``options.chain_analytics`` of the ticker.
    prices : ``raw.prices_daily`` of the ticker: session, close, split_factor; sessions ascending.

    Raises
    ------
    SchemaError : for missing columns, or sessions that do not ascend.
    """
    require_columns(exposure, DEALER_EXPOSURE.qualified_name, columns=("session", "spot"))
    require_columns(analytics, CHAIN_ANALYTICS.qualified_name, columns=("session",))
    sessions = require_sessions(prices, ("close", "split_factor"), table=PRICES_DAILY.qualified_name)
    quoted = pd.Series(closes_as_quoted(prices), index=sessions)
    is_elsewhere = (exposure["spot"] / exposure["session"].map(quoted) - 1.0).abs() > LARGEST_SPOT_DIFFERENCE
    elsewhere = exposure.loc[is_elsewhere, "session"]
    kept, points = exposure[~is_elsewhere], analytics[~analytics["session"].isin(elsewhere)]
    return kept.reset_index(drop=True), points.reset_index(drop=True)


@documents_features(OPTION_CHAIN_FEATURES)
def build_option_chain(
    prices: pd.DataFrame,
    exposure: pd.DataFrame,
    *,
    analytics: pd.DataFrame,
    implied_volatility: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Features of one ticker's option chains.

    Parameters
    ----------
    prices : ``raw.prices_daily`` of the ticker; only its sessions are read, they are the rows.
    exposure : ``options.dealer_exposure`` of the ticker, sessions ascending; zero rows where there are no chains.
    analytics : ``options.chain_analytics`` of the ticker, in any order. Both as ``agreeing_sessions`` leaves them.
    implied_volatility : ``features.implied_volatility`` of the ticker (session, iv_rank, iv_percentile, iv_source),
        for ``own_iv_rank``; None for no index.

    Returns
    -------
    pd.DataFrame : ``features.option_chain``, one row per row of ``prices``. Volatilities in annualised percent, their
        differences in percent points.

    When it is known
    ----------------
    At the close of the row's session: quotes and volume are of that session, open interest dated t was published on
    the morning of t. The mean volume is that of the 20 sessions that end with t, as with the volume of the underlying.

    Sign of the nets
    ----------------
    Every net is that of dealers who are long every call and short every put of the open interest. Nobody publishes
    who holds what: the sign is a convention, not a measurement.

    NaN policy
    ----------
    A session without a chain is NaN throughout. A volatility at a maturity needs an expiration on either side, no
    nearer than a quarter of the maturity and no farther than twice it, or one within half a day of it. A ratio whose
    denominator is zero or unknown is NaN; the mean volume needs 15 of its 20 sessions.

    Raises
    ------
    SchemaError : for missing columns, more than one ticker, sessions that do not ascend, or a repeated expiration.
    """
    sessions = require_sessions(prices, ("ticker",), table="raw.prices_daily")
    stored = require_sessions(exposure, (*_ACTIVITY, *EXPOSURE_FEATURES), table=DEALER_EXPOSURE.qualified_name)
    _require_one_chain(prices, exposure, analytics)
    place = pd.Index(stored).get_indexer(pd.Index(sessions))

    def at_sessions(name: str) -> FloatArray:
        values = np.append(exposure[name].to_numpy(dtype=float, na_value=np.nan), np.nan)
        return np.asarray(values[place])

    activity = {name: at_sessions(name) for name in _ACTIVITY}
    traded = activity["call_volume"] + activity["put_volume"]
    window = pd.Series(traded).rolling(VOLUME_SESSIONS, min_periods=LEAST_VOLUME_SESSIONS)
    # A window shorter than 20 rows is a warm-up, not a window with holes.
    usual = np.where(np.arange(len(traded)) >= VOLUME_SESSIONS - 1, window.mean().to_numpy(), np.nan)
    row = pd.Index(sessions).get_indexer(pd.DatetimeIndex(analytics["session"]).as_unit(TIME_UNIT))
    held = analytics[row >= 0]
    points = {name: held[name].to_numpy(dtype=float, na_value=np.nan) for name in _POINTS}
    years = held["years"].to_numpy(dtype=float, na_value=np.nan)
    volatilities = _volatilities(points, years, row=row[row >= 0].astype(np.int64), rows=len(sessions))
    ranks = rank_of_level(volatilities["atm_iv_30d"])
    columns = {
        **_ratios(activity),
        "option_volume_ratio": ratio_of(traded, usual),
        **volatilities,
        **ranks,
        **own_rank(*_of_index(implied_volatility, sessions), ranks),
        **{name: at_sessions(name) for name in EXPOSURE_FEATURES},
    }
    return table_frame(
        OPTION_CHAIN_TABLE, {"ticker": ticker_of(prices), "session": sessions, **columns}, rows=len(sessions)
    )


def volatility_at_maturity(
    volatility: FloatArray, years: FloatArray, *, row: IntArray, rows: int, days: float
) -> FloatArray:
    """Volatility at a fixed maturity, linear in total variance between the expirations on either side, (rows,).

    Parameters
    ----------
    volatility, years : (expirations,) fraction, and time to settlement in years of 365 days; where either is NaN the
        expiration does not count.
    row : (expirations,) which row of the result an expiration belongs to, 0 to ``rows`` − 1.
    days : the maturity, calendar days.

    Returns
    -------
    NaN where a side lacks an expiration between a quarter of the maturity and twice it. An expiration within half a
    day of the maturity is both sides.
    """
    listed = years * DAYS_PER_YEAR
    order = np.lexsort((listed, row))
    usable = order[np.isfinite(volatility[order]) & np.isfinite(listed[order])]
    distance = listed[usable]
    below = usable[(distance >= NEAREST_SHARE * days) & (distance <= days + _SAME_DAY)]
    above = usable[(distance >= days - _SAME_DAY) & (distance <= FARTHEST_SHARE * days)]
    near, far = np.full(rows, -1), np.full(rows, -1)
    near[row[below]] = below  # in order of time: the last one stays
    far[row[above[::-1]]] = above[::-1]
    found = np.full(rows, np.nan)
    both = (near >= 0) & (far >= 0)
    left, right = near[both], far[both]
    # With an expiration on the day itself the far side may be that one and the near side a later hour of the same day.
    is_one = listed[right] <= listed[left]
    width = np.where(is_one, 1.0, years[right] - years[left])
    share = np.where(is_one, 0.0, (days / DAYS_PER_YEAR - years[left]) / width)
    variance = volatility**2 * years
    total = variance[left] + share * (variance[right] - variance[left])
    found[both] = np.where(is_one, volatility[right], np.sqrt(total / (days / DAYS_PER_YEAR)))
    return found


def _ratios(activity: dict[str, FloatArray]) -> dict[str, FloatArray]:
    return {
        "put_call_volume_ratio": ratio_of(activity["put_volume"], activity["call_volume"]),
        "put_call_oi_ratio": ratio_of(activity["put_open_interest"], activity["call_open_interest"]),
    }


def _volatilities(
    points: dict[str, FloatArray], years: FloatArray, *, row: IntArray, rows: int
) -> dict[str, FloatArray]:
    """Level, skews and term at fixed maturities, percent."""

    def at(name: str, days: int) -> FloatArray:
        return _PERCENT * volatility_at_maturity(points[name], years, row=row, rows=rows, days=days)

    atm = at("atm_volatility", SHORT_DAYS)
    return {
        "atm_iv_30d": atm,
        "iv_skew_25d": at("put_25_delta_volatility", SHORT_DAYS) - at("call_25_delta_volatility", SHORT_DAYS),
        "iv_skew_otm": at("put_95_volatility", SHORT_DAYS) - at("call_105_volatility", SHORT_DAYS),
        "term_structure_30_90": at("atm_volatility", LONG_DAYS) - atm,
    }


def _of_index(
    implied_volatility: pd.DataFrame | None, sessions: pd.DatetimeIndex
) -> tuple[dict[str, FloatArray], TextArray]:
    """Return the index's rank and percentile, and whose options it is of, at each session."""
    names = ("iv_rank", "iv_percentile")
    if implied_volatility is None:
        return {name: np.full(len(sessions), np.nan) for name in names}, np.full(len(sessions), None, dtype=object)
    table = "features.implied_volatility"
    stored = require_sessions(implied_volatility, (*names, "iv_source"), table=table)
    of_index = {name: values_at_sessions(implied_volatility, sessions, column=name, table=table) for name in names}
    source = implied_volatility["iv_source"].astype(object).set_axis(stored)
    return of_index, source.reindex(sessions).to_numpy(dtype=object)


def _require_one_chain(prices: pd.DataFrame, exposure: pd.DataFrame, analytics: pd.DataFrame) -> None:
    """Demand the columns, one and the same ticker in the three frames, and no expiration twice."""
    table = CHAIN_ANALYTICS.qualified_name
    require_columns(analytics, table, columns=("ticker", "session", "expiration", "years", *_POINTS))
    tickers = {str(name) for frame in (prices, exposure, analytics) for name in frame["ticker"].unique()}
    if len(tickers) > 1:
        raise SchemaError(table=table, key=f"ticker={', '.join(sorted(tickers)[:3])}", rule="one ticker at a time")
    repeated = analytics.duplicated(["session", "expiration"]).to_numpy()
    if repeated.any():
        first = analytics.iloc[int(repeated.argmax())]
        key = f"session={first['session']:%Y-%m-%d}, expiration={first['expiration']:%Y-%m-%d}"
        raise SchemaError(table=table, key=key, rule="an expiration has one row a session")
