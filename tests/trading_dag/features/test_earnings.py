"""Announcements are visible when they were, dates when they were known, moves where they belong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.errors import SchemaError
from trading_dag.features.earnings import announcement_known_at, build_earnings, figures_known_at
from trading_dag.frames import table_frame
from trading_dag.schemas import EARNINGS, EARNINGS_FEATURES, EARNINGS_TABLE
from trading_dag.sessions import session_close, sessions_between
from trading_dag.validation.lookahead import probe_lookahead

FIRST, LAST = "2024-08-01", "2024-12-31"


def announcements(*rows: tuple[object, ...]) -> pd.DataFrame:
    """Rows of (company, report_date, timing, known_at, eps_estimate, eps_actual[, cancelled_at])."""
    columns = list(zip(*((*row, None)[:7] for row in rows), strict=True)) if rows else [()] * 7
    company, day, timing, known, estimate, actual, cancelled = (list(column) for column in columns)
    values = {
        "ticker": "SPY",
        "company": company,
        "report_date": pd.DatetimeIndex(pd.to_datetime(day)),
        "timing": pd.Series(timing, dtype="str"),
        "known_at": pd.DatetimeIndex(pd.to_datetime(known, utc=True, format="mixed")),
        "cancelled_at": pd.DatetimeIndex(pd.to_datetime(cancelled, utc=True, format="mixed")),
        "eps_estimate": np.array(estimate, dtype=float),
        "eps_actual": np.array(actual, dtype=float),
    }
    return table_frame(EARNINGS, values, rows=len(rows))


def prices(first: str = FIRST, last: str = LAST, adj_close: object = 100.0) -> pd.DataFrame:
    return pd.DataFrame({"ticker": "SPY", "session": sessions_between(first, last), "adj_close": adj_close})


def volatility(frame: pd.DataFrame, iv_rank: float = 40.0, spread: float = 3.0) -> pd.DataFrame:
    return frame[["ticker", "session"]].assign(iv_rank=iv_rank, iv_hv_spread=spread)


def features(earnings: pd.DataFrame, frame: pd.DataFrame | None = None) -> pd.DataFrame:
    rows = prices() if frame is None else frame
    return build_earnings(earnings, rows, implied_volatility=volatility(rows)).set_index("session")


@pytest.mark.parametrize(
    ("timing", "first_visible"),
    [("BMO", "2024-11-20"), ("DMH", "2024-11-20"), ("AMC", "2024-11-21"), (None, "2024-11-21")],
)
def test_a_surprise_is_invisible_before_the_announcement_and_visible_at_the_close_that_follows_it(
    timing: str | None, first_visible: str
) -> None:
    rows = features(announcements(("NVDA", "2024-11-20", timing, None, 0.50, 0.60)))
    surprise = rows["last_eps_surprise_pct"]
    seen = pd.Timestamp(first_visible)
    assert surprise[surprise.index < seen].isna().all()
    assert surprise[seen] == pytest.approx(20.0)
    assert rows.loc[seen, "days_since_earnings"] == 0.0
    assert (
        rows.loc[:"2024-11-19", ["days_since_earnings", "post_earnings_5d", "eps_surprise_streak"]]
        .isna()
        .all(axis=None)
    )


def test_before_the_open_and_after_the_close_of_one_day_are_a_session_apart() -> None:
    early, late = (features(announcements(("X", "2024-11-20", timing, None, 1.0, 1.1))) for timing in ("BMO", "AMC"))
    assert early.loc["2024-11-18":"2024-11-21", "days_to_earnings"].tolist()[:2] == [2.0, 1.0]
    assert late.loc["2024-11-18":"2024-11-21", "days_to_earnings"].tolist()[:3] == [3.0, 2.0, 1.0]
    assert early.loc["2024-11-20":, "days_to_earnings"].isna().all()
    assert late.loc["2024-11-21":, "days_to_earnings"].isna().all()
    assert early.loc["2024-11-21", "days_since_earnings"] == 1.0
    assert late.loc["2024-11-21", "days_since_earnings"] == 0.0


def test_a_date_is_visible_from_the_first_close_after_it_was_seen() -> None:
    close = session_close(pd.Timestamp("2024-11-01"))
    at, after = (
        features(announcements(("X", "2024-11-20", "BMO", moment, 1.0, 1.0)))["days_to_earnings"]
        for moment in (close, close + pd.Timedelta(microseconds=1))
    )
    assert at.first_valid_index() == pd.Timestamp("2024-11-01")
    assert after.first_valid_index() == pd.Timestamp("2024-11-04")


def test_a_calendar_that_does_not_say_when_is_taken_as_known_fourteen_days_before() -> None:
    rows = features(announcements(("X", "2024-11-20", "AMC", None, 1.0, 1.0)))
    # 6 November to 21 November, the reaction: eleven sessions.
    assert rows["days_to_earnings"].first_valid_index() == pd.Timestamp("2024-11-06")
    assert rows.loc["2024-11-06", "days_to_earnings"] == 11.0
    assert rows.loc["2024-11-06":"2024-11-08", "earnings_within_10d"].tolist() == [0.0, 1.0, 1.0]
    assert rows.loc["2024-11-13":"2024-11-15", "earnings_within_5d"].tolist() == [0.0, 1.0, 1.0]


def test_an_announcement_that_the_calendar_saw_too_late_is_visible_once_it_was_made() -> None:
    """Midnight New York, when the report day is over, is still that day: 05:00 UTC in winter."""
    rows = features(announcements(("X", "2024-11-20", "BMO", "2024-11-21T05:00Z", 1.0, 0.9)))
    assert rows["days_to_earnings"].isna().all()
    assert rows.loc["2024-11-20", "last_eps_surprise_pct"] == pytest.approx(-10.0)


def test_an_announcement_that_nobody_had_on_its_day_is_visible_from_when_it_was_seen() -> None:
    rows = features(announcements(("X", "2024-11-20", "BMO", "2024-11-25T15:00Z", 1.0, 0.9)))
    past = ["days_since_earnings", "last_eps_surprise_pct", "eps_surprise_streak", "post_earnings_5d"]
    assert rows.loc[:"2024-11-22", past].isna().all(axis=None)
    assert rows.loc["2024-11-25", past].tolist() == pytest.approx([3.0, -10.0, -1.0, 1.0])


def test_a_date_that_is_moved_counts_until_it_is_moved() -> None:
    moved = pd.Timestamp("2024-11-06T15:00Z")
    rows = features(
        announcements(
            ("X", "2024-11-20", "BMO", "2024-11-01", 1.0, np.nan, moved), ("X", "2024-11-27", "BMO", moved, 1.0, 1.1)
        )
    )
    # Sessions from 1 to 20 November: 13; from the 6th on it is the 27th that counts, 15 sessions on.
    assert rows.loc["2024-11-01":"2024-11-07", "days_to_earnings"].tolist() == [13.0, 12.0, 11.0, 15.0, 14.0]
    assert rows.loc["2024-11-19":"2024-11-21", "days_since_earnings"].isna().all()
    assert rows.loc["2024-11-27", ["days_since_earnings", "last_eps_surprise_pct"]].tolist() == pytest.approx([0, 10.0])


def test_a_date_that_is_taken_back_after_it_has_passed_is_forgotten_from_then_on_only() -> None:
    rows = features(announcements(("X", "2024-11-20", "BMO", "2024-11-01", 1.0, np.nan, "2024-11-22T23:00Z")))
    assert rows.loc["2024-11-20":"2024-11-22", "days_since_earnings"].tolist() == [0.0, 1.0, 2.0]
    assert rows.loc["2024-11-25":, "days_since_earnings"].isna().all()


def test_a_timing_that_is_corrected_afterwards_moves_the_reaction_for_later_rows_only() -> None:
    corrected = pd.Timestamp("2024-11-22T23:00Z")
    rows = features(
        announcements(
            ("X", "2024-11-20", "BMO", "2024-11-01", 1.0, 1.1, corrected),
            ("X", "2024-11-20", "AMC", corrected, 1.0, 1.1),
        )
    )
    assert rows.loc["2024-11-19":"2024-11-25", "days_to_earnings"].tolist()[0] == 1.0
    assert rows.loc["2024-11-20":"2024-11-26", "days_since_earnings"].tolist() == [0.0, 1.0, 2.0, 2.0, 3.0]
    assert rows.loc["2024-11-20":"2024-11-26", "last_eps_surprise_pct"].to_numpy() == pytest.approx(10.0)
    assert rows.loc["2024-11-20":"2024-11-26", "eps_surprise_streak"].eq(1.0).all()


def test_of_several_companies_the_nearest_counts() -> None:
    rows = features(
        announcements(
            ("A", "2024-11-25", "BMO", "2024-11-01", 1.0, 1.0),
            ("B", "2024-11-20", "BMO", "2024-11-14", 1.0, 1.0),
            ("C", "2024-11-22", "AMC", "2024-11-01", 1.0, 1.0),
        )
    )
    days = rows.loc["2024-11-12":"2024-11-25", "days_to_earnings"].tolist()
    # A and C react on Monday the 25th; B is first seen on the 14th and reacts on the 20th.
    assert days[:9] == [9.0, 8.0, 4.0, 3.0, 2.0, 1.0, 3.0, 2.0, 1.0]
    assert np.isnan(days[9])
    assert rows.loc["2024-11-20":"2024-11-25", "days_since_earnings"].tolist() == [0.0, 1.0, 2.0, 0.0]


def test_a_report_on_a_saturday_reacts_on_monday() -> None:
    rows = features(
        announcements(("BRK-B", "2024-11-02", "AMC", None, 4.0, 5.0), ("X", "2024-08-03", "BMO", None, 1, 2))
    )
    assert rows.loc["2024-11-01", "days_to_earnings"] == 1.0
    assert rows.loc["2024-11-04", "days_since_earnings"] == 0.0
    assert rows.loc["2024-08-05", "days_since_earnings"] == 0.0


def test_a_surprise_needs_both_figures_and_an_estimate_of_a_cent() -> None:
    rows = features(
        announcements(
            ("X", "2024-09-03", "BMO", None, -0.50, -0.25),
            ("X", "2024-10-01", "BMO", None, np.nan, 1.0),
            ("X", "2024-10-02", "BMO", None, 1.0, np.nan),
            ("X", "2024-10-03", "BMO", None, 0.005, 1.0),
            ("X", "2024-11-01", "BMO", None, 1.0, 1.0),
        )
    )
    assert rows.loc["2024-09-03":"2024-10-31", "last_eps_surprise_pct"].to_numpy() == pytest.approx(50.0)
    assert rows.loc["2024-11-01", ["last_eps_surprise_pct", "eps_surprise_streak"]].tolist() == [0.0, 0.0]
    assert rows.loc["2024-10-03", "days_since_earnings"] == 0.0


def test_the_streak_counts_with_the_sign_and_companies_of_one_session_are_one() -> None:
    figures = [1.1, 1.2, 0.9, 0.8, 1.0, 1.3]
    days = ["2024-08-05", "2024-08-26", "2024-09-16", "2024-10-07", "2024-10-28", "2024-11-18"]
    rows = [("A", day, "BMO", None, 1.0, figure) for day, figure in zip(days, figures, strict=True)]
    rows.append(("B", "2024-11-18", "BMO", None, 1.0, 0.5))
    built = features(announcements(*rows))
    assert built.loc[days, "eps_surprise_streak"].tolist() == [1.0, 2.0, -1.0, -2.0, 0.0, -1.0]
    assert built.loc["2024-11-18", "last_eps_surprise_pct"] == pytest.approx((30 - 50) / 2)


def test_the_mean_move_is_that_of_the_last_four_reaction_sessions() -> None:
    frame = prices()
    moves = {"2024-08-06": 0.02, "2024-09-04": -0.04, "2024-10-02": 0.01, "2024-11-06": -0.05, "2024-12-04": 0.10}
    steps = pd.Series(0.0, index=frame["session"])
    steps[list(pd.to_datetime(list(moves)))] = list(moves.values())
    frame["adj_close"] = 50 * np.cumprod(1 + steps.to_numpy())
    days = ["2024-08-05", "2024-09-04", "2024-10-02", "2024-11-05", "2024-12-03"]
    timing = ["AMC", "BMO", "BMO", "AMC", "AMC"]
    rows = features(
        announcements(*(("X", day, when, None, 1.0, 1.0) for day, when in zip(days, timing, strict=True))), frame
    )
    mean = rows["mean_abs_earnings_move_4q"]
    assert mean.first_valid_index() == pd.Timestamp("2024-11-06")
    assert mean["2024-11-06"] == pytest.approx((0.02 + 0.04 + 0.01 + 0.05) / 4)
    assert mean["2024-12-03"] == pytest.approx(0.03)
    assert mean["2024-12-04"] == pytest.approx((0.04 + 0.01 + 0.05 + 0.10) / 4)


def test_a_move_over_a_hole_in_the_prices_is_no_move_of_the_reaction_session() -> None:
    days = ["2024-08-06", "2024-09-04", "2024-10-02", "2024-11-06"]
    earnings = announcements(*(("X", day, "BMO", None, 1.0, 1.0) for day in days))
    frame = prices()
    holed = frame[frame["session"] != "2024-10-01"].reset_index(drop=True)
    assert features(earnings, frame)["mean_abs_earnings_move_4q"].notna().any()
    assert features(earnings, holed)["mean_abs_earnings_move_4q"].isna().all()


def test_a_funds_mean_move_is_the_mean_over_its_holdings() -> None:
    frame = prices()
    generator = np.random.default_rng(1)
    frame["adj_close"] = 100 * np.exp(np.cumsum(generator.normal(0, 0.01, len(frame))))
    days = ["2024-08-06", "2024-09-04", "2024-10-02", "2024-11-06"]
    a = announcements(*(("A", day, "BMO", None, 1.0, 1.0) for day in days))
    b = announcements(*(("B", day, "AMC", None, 1.0, 1.0) for day in days))
    of_a, of_b, both = (
        features(rows, frame)["mean_abs_earnings_move_4q"] for rows in (a, b, pd.concat([a, b], ignore_index=True))
    )
    assert both["2024-11-06"] == pytest.approx(of_a["2024-11-06"])
    assert both["2024-11-07"] == pytest.approx((of_a["2024-11-07"] + of_b["2024-11-07"]) / 2)
    assert of_a["2024-11-07"] != pytest.approx(of_b["2024-11-07"])


def test_eighty_sessions_after_the_last_announcement_the_calendar_has_ended() -> None:
    rows = features(announcements(("X", "2024-08-05", "BMO", None, 1.0, 1.2)))
    last = sessions_between("2024-08-05", LAST)[80]
    assert rows.loc[last, ["days_since_earnings", "earnings_within_5d"]].tolist() == [80.0, 0.0]
    after = rows.loc[last + pd.Timedelta(days=1) :]
    silent = ["days_since_earnings", "earnings_within_5d", "earnings_within_10d", "post_earnings_5d"]
    assert len(after) > 5
    assert after[[*silent, "last_eps_surprise_pct", "eps_surprise_streak", "earnings_x_iv_rank"]].isna().all(axis=None)


def test_the_reaction_session_and_the_five_after_it_are_flagged() -> None:
    rows = features(announcements(("X", "2024-11-20", "AMC", None, 1.0, 1.2)))
    flags = rows.loc["2024-11-21":"2024-12-02", "post_earnings_5d"]
    assert flags.tolist() == [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("day", "expected"),
    [("2024-10-09", 0.0), ("2024-10-10", 1.0), ("2024-11-20", 1.0), ("2024-11-21", 0.0), ("2024-12-16", 0.0)],
)
def test_the_season_runs_from_the_tenth_to_the_twentieth_of_the_month_after(day: str, expected: float) -> None:
    assert features(announcements()).loc[day, "earnings_season"] == expected


def test_the_interactions_are_with_an_announcement_within_five_sessions() -> None:
    rows = features(announcements(("X", "2024-11-20", "BMO", None, 1.0, 1.2)))
    assert rows.loc["2024-11-12":"2024-11-14", "earnings_x_iv_rank"].tolist() == [0.0, 40.0, 40.0]
    assert rows.loc["2024-11-12":"2024-11-14", "earnings_x_iv_hv_spread"].tolist() == [0.0, 3.0, 3.0]


def test_without_a_calendar_only_the_season_is_known() -> None:
    frame = prices()
    built = build_earnings(announcements(), frame, implied_volatility=volatility(frame))
    assert tuple(built.columns) == EARNINGS_TABLE.column_names
    rest = [name for name in EARNINGS_FEATURES if name != "earnings_season"]
    assert built[rest].isna().all(axis=None)
    assert built["earnings_season"].notna().all()
    empty = frame.iloc[:0]
    assert len(build_earnings(announcements(), empty, implied_volatility=volatility(empty))) == 0


def test_bad_input_is_refused() -> None:
    with pytest.raises(SchemaError, match="timing"):
        features(announcements().drop(columns="timing"))
    with pytest.raises(SchemaError, match="adj_close"):
        features(announcements(), prices(adj_close=-1.0))


def _reference(earnings: pd.DataFrame, sessions: pd.DatetimeIndex) -> pd.DataFrame:
    """The same by a loop over rows and announcements, in moments instead of positions."""
    calendar = sessions_between("2024-06-01", "2025-06-30")
    events = []
    for row in earnings.itertuples():
        day = pd.Timestamp(row.report_date)
        reaction = next(
            session for session in calendar if (session >= day if row.timing in ("BMO", "DMH") else session > day)
        )
        known = row.known_at
        if known is pd.NaT:
            known = (day - pd.Timedelta(days=14)).tz_localize("America/New_York").tz_convert("UTC")
        events.append((reaction, known, row.eps_estimate, row.eps_actual))
    rows = []
    for session in sessions:
        close = session_close(session)
        ahead = [len(sessions_between(session, at)) - 1 for at, known, *_ in events if at > session and known <= close]
        made = sorted({at for at, *_ in events if at <= session})
        since = len(sessions_between(made[-1], session)) - 1 if made else np.nan
        by_session: dict[pd.Timestamp, list[float]] = {}
        for at, _, estimate, actual in events:
            if at <= session and np.isfinite(actual) and abs(estimate) >= 0.01:
                by_session.setdefault(at, []).append((actual - estimate) / abs(estimate) * 100)
        surprises = [float(np.mean(by_session[at])) for at in sorted(by_session)]
        streak = 0
        for surprise in reversed(surprises):
            if np.sign(surprise) != np.sign(surprises[-1]):
                break
            streak += int(np.sign(surprise))
        known_surprise = bool(surprises) and len(sessions_between(max(by_session), session)) - 1 <= 80
        rows.append(
            (
                min(ahead, default=np.nan),
                since if since <= 80 else np.nan,
                surprises[-1] if known_surprise else np.nan,
                float(streak) if known_surprise else np.nan,
            )
        )
    names = ["days_to_earnings", "days_since_earnings", "last_eps_surprise_pct", "eps_surprise_streak"]
    return pd.DataFrame(rows, columns=names, index=sessions)


EVENT = st.tuples(
    st.sampled_from(["A", "B"]),
    st.dates(min_value=pd.Timestamp("2024-06-01").date(), max_value=pd.Timestamp("2025-02-28").date()),
    st.sampled_from(["BMO", "AMC", "DMH", None]),
    st.one_of(st.none(), st.integers(0, 60)),
    st.sampled_from([1.0, -0.5, 0.0, np.nan]),
    st.sampled_from([1.5, 1.0, -1.0, np.nan]),
)


@settings(max_examples=20)
@given(st.lists(EVENT, max_size=8, unique_by=lambda event: event[:2]))
def test_any_calendar_gives_what_a_loop_over_its_moments_gives(events: list[tuple[object, ...]]) -> None:
    rows = []
    for company, day, timing, notice, estimate, actual in events:
        moment = pd.Timestamp(str(day), tz="UTC")
        known = None if notice is None else moment - pd.Timedelta(days=float(notice), hours=5)
        rows.append((company, str(day), timing, known, estimate, actual))
    earnings = announcements(*rows)
    frame = prices("2024-09-03", "2024-11-29")
    built = features(earnings, frame)
    expected = _reference(earnings, pd.DatetimeIndex(frame["session"]))
    for name in expected:
        assert built[name].to_numpy() == pytest.approx(expected[name].to_numpy(dtype=float), nan_ok=True), name


@pytest.fixture(scope="module")
def real_earnings(real_data: Path) -> pd.DataFrame:
    """Announcements of ten heavy holdings as found, with drawn figures: the file has none."""
    found = pd.read_csv(real_data / "earnings.csv")
    generator = np.random.default_rng(5)
    estimate = generator.uniform(0.2, 3, len(found))
    rows = zip(
        found["ticker"], found["date"], found["timing"], [None] * len(found), estimate,
        estimate * generator.normal(1.03, 0.1, len(found)), strict=True,
    )  # fmt: skip
    return announcements(*rows)


@pytest.mark.files_data
def test_real_announcements_know_nothing_of_later_dates_and_figures(
    real_earnings: pd.DataFrame, spy_prices: pd.DataFrame
) -> None:
    key = ["company", "report_date"]

    def build(
        dates: pd.DataFrame, figures: pd.DataFrame, prices: pd.DataFrame, implied_volatility: pd.DataFrame
    ) -> pd.DataFrame:
        earnings = dates.merge(figures.drop(columns="public_at"), on=key, how="left")
        return build_earnings(earnings, prices, implied_volatility=implied_volatility)

    frame = spy_prices[spy_prices["session"] >= "2001-01-01"].reset_index(drop=True)
    figures = ["eps_estimate", "eps_actual"]
    inputs = {
        "dates": real_earnings.drop(columns=figures).assign(seen_at=announcement_known_at(real_earnings)),
        "figures": real_earnings[[*key, *figures]].assign(public_at=figures_known_at(real_earnings)),
        "prices": frame,
        "implied_volatility": volatility(frame),
    }
    times = {"dates": "seen_at", "figures": "public_at", "prices": "session", "implied_volatility": "session"}
    assert probe_lookahead(build, inputs, time_columns=times, table="features.earnings", cuts=8) == []
    built = build(**inputs)
    tail = built[built["session"] >= "2005-01-01"]
    assert tail["days_since_earnings"].notna().all()
    assert tail["mean_abs_earnings_move_4q"].between(0.001, 0.05).all()

    def leaky(
        dates: pd.DataFrame, figures: pd.DataFrame, prices: pd.DataFrame, implied_volatility: pd.DataFrame
    ) -> pd.DataFrame:
        return build(dates.assign(timing="BMO"), figures, prices, implied_volatility)

    at_announcements = frame[frame["session"].isin(real_earnings["report_date"])].reset_index(drop=True)
    found = probe_lookahead(
        leaky, {**inputs, "prices": at_announcements}, time_columns=times, table="features.earnings", cuts=8
    )
    assert "last_eps_surprise_pct" in {violation.feature for violation in found}
