"""features.option_chain: interpolation and ratios by hand, rows of real sessions, missing values, no look-ahead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_dag.errors import SchemaError
from trading_dag.features.option_chain import (
    agreeing_sessions,
    build_option_chain,
    volatility_at_maturity,
)
from trading_dag.frames import table_frame
from trading_dag.options.chains.history import HistoryTables, analyse_history
from trading_dag.options.chains.rows import normalise_chain
from trading_dag.quality import empty_frame
from trading_dag.schemas import CHAIN_ANALYTICS, DEALER_EXPOSURE, OPTION_CHAIN_FEATURES
from trading_dag.sessions import sessions_between
from trading_dag.validation.lookahead import probe_lookahead

SESSIONS = sessions_between("2024-03-01", "2024-04-30")
RATE = 0.04


def prices_of(sessions: pd.DatetimeIndex, ticker: str = "SPY") -> pd.DataFrame:
    return pd.DataFrame({"ticker": ticker, "session": sessions})


def closes_of(sessions: pd.DatetimeIndex, close: object, *, split_factor: object = 1.0) -> pd.DataFrame:
    return prices_of(sessions).assign(close=close, split_factor=split_factor)


def exposure_of(sessions: pd.DatetimeIndex, **columns: object) -> pd.DataFrame:
    filled = {
        "net_gamma": 1e9, "call_volume": 100.0, "put_volume": 150.0, "call_open_interest": 1000.0,
        "put_open_interest": 2500.0, **columns,
    }  # fmt: skip
    head = {"ticker": "SPY", "session": sessions, "contracts": 9, "chain_digest": "x"}
    return table_frame(DEALER_EXPOSURE, {**head, **filled}, rows=len(sessions))


def analytics_of(sessions: pd.DatetimeIndex, points: dict[int, float]) -> pd.DataFrame:
    """The same points, days → at-the-money volatility, at every session; puts two points higher, calls one lower."""
    rows = [(session, days, volatility) for session in sessions for days, volatility in points.items()]
    days, volatility = np.array([row[1:] for row in rows]).T
    session = pd.DatetimeIndex([row[0] for row in rows]).as_unit("us")
    counts = ("contracts", "fitted_contracts", "refused", "vertical_violations", "butterfly_violations",
              "calendar_violations", "pairs")  # fmt: skip
    values = {
        "ticker": "SPY", "session": session, "expiration": session + pd.to_timedelta(days, unit="D"),
        "years": days / 365, "atm_volatility": volatility, "put_25_delta_volatility": volatility + 0.02,
        "call_25_delta_volatility": volatility - 0.01, "put_95_volatility": volatility + 0.03,
        "call_105_volatility": volatility - 0.02, **dict.fromkeys(counts, 5),
    }  # fmt: skip
    return table_frame(CHAIN_ANALYTICS, values, rows=len(rows))


def built(points: dict[int, float]) -> pd.Series:
    sessions = SESSIONS[:1]
    return build_option_chain(
        prices_of(sessions), exposure_of(sessions), analytics=analytics_of(sessions, points)
    ).iloc[0]


def test_volatility_at_30_days_is_that_of_a_hand_calculation() -> None:
    # 0.20² · 20 = 0.8 and 0.25² · 40 = 2.5; halfway 1.65; 1.65 / 30 = 0.055; √0.055 = 0.234520788.
    assert built({20: 0.20, 40: 0.25})["atm_iv_30d"] == pytest.approx(23.4520788)


def test_skews_and_term_are_differences_of_interpolated_volatilities_in_percent_points() -> None:
    row = built({30: 0.20, 90: 0.22})
    assert row["iv_skew_25d"] == pytest.approx(3.0)
    assert row["iv_skew_otm"] == pytest.approx(5.0)
    assert row["term_structure_30_90"] == pytest.approx(2.0)


def test_the_nearest_expirations_on_either_side_are_used() -> None:
    assert built({10: 0.9, 20: 0.20, 40: 0.25, 55: 0.9})["atm_iv_30d"] == built({20: 0.20, 40: 0.25})["atm_iv_30d"]


def test_an_expiration_on_the_day_is_both_sides_though_the_clock_has_moved_by_an_hour() -> None:
    for hours in (-3.0, -1.0, 0.0, 1.0):
        years = np.array([12.0, 30.0 + hours / 24, 50.0]) / 365
        found = volatility_at_maturity(np.array([0.4, 0.2, 0.3]), years, row=np.zeros(3, np.int64), rows=1, days=30)
        assert found[0] == 0.2


@pytest.mark.parametrize(
    "points", [{31: 0.2, 60: 0.2}, {20: 0.2, 29: 0.2}, {7: 0.2, 40: 0.2}, {20: 0.2, 61: 0.2}, {20: np.nan, 40: 0.2}]
)
def test_a_maturity_that_is_not_bracketed_within_a_quarter_and_twice_it_has_no_volatility(
    points: dict[int, float],
) -> None:
    assert np.isnan(built(points)["atm_iv_30d"])


def test_the_limits_themselves_bracket() -> None:
    assert built({8: 0.2, 60: 0.2})["atm_iv_30d"] == pytest.approx(20.0)


def test_an_expiration_without_a_volatility_is_passed_over() -> None:
    assert built({20: 0.20, 26: np.nan, 40: 0.25})["atm_iv_30d"] == pytest.approx(23.4520788)


@given(
    st.lists(st.tuples(st.floats(1, 200), st.floats(0.05, 2.0)), min_size=2, max_size=8, unique_by=lambda pair: pair[0])
)
def test_total_variance_at_a_maturity_lies_between_that_of_its_neighbours(points: list[tuple[float, float]]) -> None:
    days, volatility = np.array(sorted(points)).T
    found = volatility_at_maturity(volatility, days / 365, row=np.zeros(len(days), np.int64), rows=1, days=30)[0]
    near, far = days[days <= 30.5], days[days >= 29.5]
    is_bracketed = len(near) > 0 and len(far) > 0 and near.max() >= 7.5 and far.min() <= 60
    assert np.isfinite(found) == is_bracketed
    if is_bracketed and not (abs(days - 30) <= 0.5).any():
        ends = [volatility[days == day][0] ** 2 * day for day in (near.max(), far.min())]
        assert min(ends) * (1 - 1e-9) <= found**2 * 30 <= max(ends) * (1 + 1e-9)


def test_ratios_are_puts_over_calls() -> None:
    row = built({30: 0.2})
    assert row["put_call_volume_ratio"] == 1.5
    assert row["put_call_oi_ratio"] == 2.5


def test_option_volume_is_held_against_the_twenty_sessions_that_end_with_it() -> None:
    sessions = SESSIONS[:21]
    volume = np.arange(21.0)
    frame = build_option_chain(
        prices_of(sessions), exposure_of(sessions, call_volume=volume, put_volume=0.0),
        analytics=analytics_of(sessions, {30: 0.2}),
    )  # fmt: skip
    assert frame["option_volume_ratio"][:19].isna().all()
    assert frame["option_volume_ratio"][19] == pytest.approx(19 / 9.5)
    assert frame["option_volume_ratio"][20] == pytest.approx(20 / 10.5)


@pytest.mark.parametrize(("missing", "is_there"), [(5, True), (6, False)])
def test_the_mean_volume_bears_five_missing_chains_of_twenty_and_no_more(missing: int, is_there: bool) -> None:
    sessions = SESSIONS[:20]
    stored = sessions[missing:]
    frame = build_option_chain(prices_of(sessions), exposure_of(stored), analytics=analytics_of(stored, {30: 0.2}))
    assert frame["option_volume_ratio"].notna()[19] == is_there


def test_a_session_without_a_chain_is_unknown_throughout_and_the_others_stay() -> None:
    sessions = SESSIONS[:6]
    stored = sessions.delete(3)
    frame = build_option_chain(prices_of(sessions), exposure_of(stored), analytics=analytics_of(stored, {30: 0.2}))
    names = [name for name in OPTION_CHAIN_FEATURES if name in ("atm_iv_30d", "net_gamma", "put_call_oi_ratio")]
    assert frame["session"].tolist() == list(sessions)
    assert frame.loc[3, list(OPTION_CHAIN_FEATURES)].isna().all()
    assert frame.drop(index=3)[names].notna().all(axis=None)


def test_without_any_chain_every_feature_is_null_and_every_session_has_its_row() -> None:
    frame = build_option_chain(
        prices_of(SESSIONS), empty_frame(DEALER_EXPOSURE), analytics=empty_frame(CHAIN_ANALYTICS)
    )
    assert len(frame) == len(SESSIONS)
    assert frame[list(OPTION_CHAIN_FEATURES)].isna().all(axis=None)


def test_chains_that_stand_elsewhere_than_the_price_are_left_out() -> None:
    spots = [100.0, 100.9, 101.1, 98.9, np.nan, 100.0]
    exposure = exposure_of(SESSIONS[:6], spot=spots)
    analytics = analytics_of(SESSIONS[:6], {20: 0.2, 40: 0.2, 80: 0.2, 100: 0.2})
    prices = closes_of(SESSIONS[:5], np.full(5, 100.0))
    kept, points = agreeing_sessions(exposure, analytics, prices=prices)
    agreeing = [SESSIONS[place] for place in (0, 1, 4, 5)]
    assert kept["session"].tolist() == agreeing
    assert sorted(set(points["session"])) == agreeing
    # Nothing is said of the others: neither what dealers hold nor how volatile options are.
    rows = build_option_chain(prices, kept, analytics=points).set_index("session")
    given = ["atm_iv_30d", "iv_skew_25d", "iv_skew_otm", "term_structure_30_90", "net_gamma", "put_call_oi_ratio"]
    assert rows.loc[[SESSIONS[0], SESSIONS[1], SESSIONS[4]], given].notna().all(axis=None)
    assert rows.loc[[SESSIONS[2], SESSIONS[3]], list(OPTION_CHAIN_FEATURES)].isna().all(axis=None)
    for missing in ("close", "split_factor"):
        with pytest.raises(SchemaError, match=rf"raw\.prices_daily.*{missing}"):
            agreeing_sessions(exposure, analytics, prices=prices.drop(columns=missing))


def test_a_chain_of_the_days_dollars_agrees_with_a_close_that_was_divided_by_later_splits() -> None:
    # 400 USD; 4 for 1 at the third session; 100 USD; 1 for 10 at the fifth; 1,000 USD. Closes are of today's shares.
    exposure = exposure_of(SESSIONS[:6], spot=[400.0, 400.0, 100.0, 100.0, 1000.0, 1000.0])
    prices = closes_of(SESSIONS[:6], np.full(6, 1000.0), split_factor=[np.nan, 1.0, 4.0, np.nan, 0.1, 1.0])
    kept, _ = agreeing_sessions(exposure, analytics_of(SESSIONS[:6], {30: 0.2}), prices=prices)
    assert kept["session"].tolist() == list(SESSIONS[:6])
    # In today's shares the first four are elsewhere.
    kept, _ = agreeing_sessions(exposure.assign(spot=1000.0), analytics_of(SESSIONS[:6], {30: 0.2}), prices=prices)
    assert kept["session"].tolist() == list(SESSIONS[4:6])


@given(
    ratio=st.sampled_from([0.05, 0.1, 0.5, 1.25, 1.5, 2.0, 3.0, 4.0, 10.0, 50.0]),
    split_at=st.integers(10, 15),
    stray=st.lists(st.floats(-0.03, 0.03), min_size=10, max_size=10),
)
def test_a_later_split_changes_no_earlier_row(ratio: float, split_at: int, stray: list[float]) -> None:
    before, sessions = SESSIONS[:10], SESSIONS[:16]
    close = 100.0 + np.arange(16.0)
    exposure = exposure_of(before, spot=close[:10] * (1 + np.array(stray)))
    analytics = analytics_of(before, {20: 0.2, 40: 0.25, 80: 0.2, 100: 0.2})
    first = closes_of(before, close[:10])
    split = np.where(np.arange(16) == split_at, ratio, 1.0)
    restated = np.where(np.arange(16) < split_at, close / ratio, close)
    later = closes_of(sessions, restated, split_factor=split)
    rows = [
        build_option_chain(prices, kept, analytics=points)
        for prices, (kept, points) in (
            (each, agreeing_sessions(exposure, analytics, prices=each)) for each in (first, later)
        )
    ]
    pd.testing.assert_frame_equal(rows[0], rows[1][:10])


def test_a_ratio_to_nothing_is_null() -> None:
    sessions = SESSIONS[:1]
    frame = build_option_chain(
        prices_of(sessions), exposure_of(sessions, call_volume=0.0, call_open_interest=np.nan),
        analytics=analytics_of(sessions, {30: 0.2}),
    )  # fmt: skip
    assert frame[["put_call_volume_ratio", "put_call_oi_ratio"]].isna().all(axis=None)


def test_frames_of_two_tickers_and_repeated_expirations_are_refused() -> None:
    sessions = SESSIONS[:2]
    exposure, analytics = exposure_of(sessions), analytics_of(sessions, {30: 0.2})
    with pytest.raises(SchemaError, match="one ticker at a time"):
        build_option_chain(prices_of(sessions, "QQQ"), exposure, analytics=analytics)
    with pytest.raises(SchemaError, match="one row a session"):
        build_option_chain(prices_of(sessions), exposure, analytics=pd.concat([analytics, analytics[:1]]))
    with pytest.raises(SchemaError, match="missing"):
        build_option_chain(prices_of(sessions), exposure.drop(columns="put_volume"), analytics=analytics)


def real_chains(real_data: Path, ticker: str, first: int, last: int) -> list[tuple[pd.Timestamp, pd.DataFrame]]:
    raw = pd.read_parquet(real_data / "option_chain_eod.parquet", filters=[("ticker", "==", ticker)])
    chain = normalise_chain(raw).kept
    days = [(pd.Timestamp(day), rows.reset_index(drop=True)) for day, rows in chain.groupby("quote_date")]
    return days[first:last]


@pytest.fixture(scope="module")
def real_tables(real_data: Path) -> HistoryTables:
    """The two tables of four real sessions of IWM."""
    chains = real_chains(real_data, "IWM", 8, 12)
    rates = pd.Series(RATE, index=pd.DatetimeIndex([day for day, _ in chains]).as_unit("us"))
    nothing = HistoryTables(empty_frame(CHAIN_ANALYTICS), empty_frame(DEALER_EXPOSURE))
    return analyse_history(chains, rates=rates, known=nothing).tables


@pytest.mark.files_data
def test_no_row_of_real_sessions_depends_on_later_ones(real_tables: HistoryTables) -> None:
    sessions = pd.DatetimeIndex(real_tables.exposure["session"])
    inputs = {"prices": prices_of(sessions, "IWM"), "exposure": real_tables.exposure, "analytics": real_tables.smiles}
    times = dict.fromkeys(inputs, "session")
    assert probe_lookahead(build_option_chain, inputs, time_columns=times, table="features.option_chain") == []


def test_no_row_of_two_months_depends_on_later_ones() -> None:
    generator = np.random.default_rng(5)
    drawn = {name: generator.uniform(1e3, 1e4, len(SESSIONS)) for name in ("call_volume", "put_volume", "net_vanna")}
    inputs = {
        "prices": prices_of(SESSIONS),
        "exposure": exposure_of(SESSIONS, **drawn),
        "analytics": analytics_of(SESSIONS, {10: 0.2, 28: 0.21, 35: 0.22, 80: 0.23, 120: 0.24}),
    }
    times = dict.fromkeys(inputs, "session")
    assert probe_lookahead(build_option_chain, inputs, time_columns=times, table="features.option_chain", cuts=5) == []
