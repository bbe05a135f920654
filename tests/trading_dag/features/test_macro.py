"""Macro features: visible from the day they were known, stale after a limit, right by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import pytest

from trading_dag.errors import SchemaError
from trading_dag.features.macro import build_macro
from trading_dag.quality import QualityContext, examine
from trading_dag.releases.publication_lags import known_on
from trading_dag.schemas import MACRO_FEATURES, TABLES, Table
from trading_dag.sessions import sessions_between
from trading_dag.validation.lookahead import probe_lookahead

TABLE = TABLES["features.macro"]


def broken_rules(table: Table, frame: pd.DataFrame, now: pd.Timestamp) -> list[str]:
    findings = examine(table, frame, context=QualityContext(now_session=now))
    return [name for name, finding in findings.items() if finding.count]


def _observations(series_id: str, rows: list[tuple[str, str, float]]) -> pd.DataFrame:
    """Rows of (reference date, known on, value)."""
    return pd.DataFrame(
        {
            "series_id": series_id,
            "observation_date": pd.to_datetime([row[0] for row in rows]).as_unit("us"),
            "known_on": pd.to_datetime([row[1] for row in rows]).as_unit("us"),
            "value": [row[2] for row in rows],
            "vintage": "first_release",
        }
    )


def _daily(series_id: str, values: object, first: str = "2020-01-02") -> pd.DataFrame:
    """One observation a session, known on the next one."""
    count = len(np.atleast_1d(np.asarray(values)))
    sessions = sessions_between(first, "2024-12-31")[: count + 1]
    frame = _observations(series_id, [])
    frame = pd.DataFrame(
        {"series_id": series_id, "observation_date": sessions[:-1], "known_on": sessions[1:], "value": values}
    )
    return frame.assign(vintage="first_release")


def _by_session(macro: pd.DataFrame) -> pd.DataFrame:
    return build_macro(macro).set_index("session")


def test_a_value_is_seen_from_the_session_it_was_known_on_and_not_before() -> None:
    macro = pd.concat(
        [
            _daily("DGS10", np.full(60, 1.5)),
            _observations("UNRATE", [("2019-12-01", "2020-01-10", 3.5), ("2020-01-01", "2020-02-07", 3.6)]),
        ]
    )
    at = _by_session(macro)["unemployment_rate"]
    assert math.isnan(at["2020-01-09"])
    assert at["2020-01-10"] == 3.5
    assert at["2020-02-06"] == 3.5
    assert at["2020-02-07"] == 3.6


def test_rows_are_all_sessions_from_the_first_to_the_last_known_on() -> None:
    built = build_macro(_daily("DGS10", np.full(300, 1.5)))
    expected = sessions_between("2020-01-03", "2024-12-31")[:300]
    assert built["session"].tolist() == expected.tolist()
    assert tuple(built.columns) == TABLE.column_names
    assert (built[list(MACRO_FEATURES)].dtypes == "float64").all()
    assert built["session"].dtype == "datetime64[us]"


def _evening_of_the_jobs_report() -> pd.DataFrame:
    """What FRED showed on Friday 1 November 2024 after the close: the unemployment rate of October came out that
    morning (BLS, Employment Situation), the day's yields in the evening. By rule both count as known later."""
    shown = {
        "DGS10": pd.DatetimeIndex(["2024-10-30", "2024-10-31", "2024-11-01"]),
        "DFF": pd.DatetimeIndex(["2024-10-30", "2024-10-31"]),
        "UNRATE": pd.DatetimeIndex(["2024-08-01", "2024-09-01", "2024-10-01"]),
    }
    parts = [
        pd.DataFrame({"series_id": name, "observation_date": days, "known_on": known_on(name, days), "value": 4.1})
        for name, days in shown.items()
    ]
    return pd.concat(parts, ignore_index=True)


def test_what_a_vendor_shows_before_it_counts_as_known_makes_no_row_of_a_session_to_come() -> None:
    shown, friday = _evening_of_the_jobs_report(), pd.Timestamp("2024-11-01")
    assert shown["known_on"].max() == pd.Timestamp("2024-11-11")
    built = build_macro(shown, as_of=friday)
    assert built["session"].max() == friday
    assert set(broken_rules(TABLE, built, friday)) == set()
    assert "no_future_sessions" in broken_rules(TABLE, build_macro(shown), friday)
    # The rows that are there are those of the day on which everything has become known.
    later = build_macro(shown, as_of=pd.Timestamp("2024-11-11"))
    pd.testing.assert_frame_equal(built, later[later["session"] <= friday])
    assert later["session"].max() == pd.Timestamp("2024-11-11")


def test_the_end_of_the_run_changes_nothing_where_the_data_end_earlier() -> None:
    macro = _daily("DGS10", np.full(30, 1.5))
    later = build_macro(macro, as_of=pd.Timestamp("2024-12-31"))
    pd.testing.assert_frame_equal(later.iloc[: len(build_macro(macro))], build_macro(macro))
    before = build_macro(macro, as_of=pd.Timestamp("2019-12-31"))
    assert before.empty
    assert tuple(before.columns) == TABLE.column_names


@pytest.mark.parametrize("day", ["2024-10-31", "2024-11-01", "2024-11-04"])
def test_with_an_end_of_the_run_nothing_of_later_sessions_shows(day: str) -> None:
    build = partial(build_macro, as_of=pd.Timestamp(day))
    inputs = {"macro": _evening_of_the_jobs_report()}
    assert probe_lookahead(build, inputs, time_columns={"macro": "known_on"}, table="features.macro", cuts=5) == []


def test_an_older_observation_that_comes_late_does_not_replace_a_newer_one() -> None:
    macro = pd.concat(
        [
            _daily("DGS10", np.full(60, 1.5)),
            _observations(
                "UNRATE",
                [
                    ("2019-11-01", "2020-02-20", 9.9),
                    ("2019-12-01", "2020-01-10", 3.5),
                    ("2020-01-01", "2020-02-07", 3.6),
                ],
            ),
        ]
    )
    at = _by_session(macro)["unemployment_rate"]
    assert at["2020-02-20"] == 3.6


def test_of_two_observations_known_on_one_session_the_later_reference_date_counts() -> None:
    macro = _observations("DFF", [("2020-01-04", "2020-01-06", 1.0), ("2020-01-05", "2020-01-06", 2.0)])
    assert _by_session(macro)["fed_funds_effective"]["2020-01-06"] == 2.0


@pytest.mark.parametrize(
    ("series_id", "feature", "limit"), [("DGS10", "treasury_10y", 10), ("UNRATE", "unemployment_rate", 70)]
)
def test_a_value_is_carried_to_its_limit_and_not_one_session_further(series_id: str, feature: str, limit: int) -> None:
    sessions = sessions_between("2020-01-02", "2021-12-31")
    macro = pd.concat(
        [
            _observations(series_id, [("2020-01-01", f"{sessions[0]:%Y-%m-%d}", 4.0)]),
            _daily("VIXCLS", np.full(200, 20.0)),
        ]
    )
    at = _by_session(macro)[feature]
    assert at.loc[sessions[0] : sessions[limit]].eq(4.0).all()
    assert math.isnan(at[sessions[limit + 1]])


def test_changes_are_differences_in_sessions() -> None:
    generator = np.random.default_rng(5)
    series = {
        name: np.round(generator.normal(3, 0.5, 120), 2)
        for name in ("DFF", "DGS2", "DGS10", "DGS3MO", "T10Y2Y", "T10YIE", "DFII10", "VIXCLS")
    }
    built = build_macro(pd.concat([_daily(name, values) for name, values in series.items()]))
    changes = {
        "curve_slope_change_20d": ("T10Y2Y", 20),
        "treasury_10y_change_5d": ("DGS10", 5),
        "treasury_10y_change_20d": ("DGS10", 20),
        "treasury_10y_change_60d": ("DGS10", 60),
        "treasury_2y_change_5d": ("DGS2", 5),
        "treasury_2y_change_20d": ("DGS2", 20),
        "treasury_2y_change_60d": ("DGS2", 60),
        "fed_funds_change_20d": ("DFF", 20),
        "fed_funds_change_60d": ("DFF", 60),
        "real_rate_change_20d": ("DFII10", 20),
        "real_rate_change_60d": ("DFII10", 60),
        "breakeven_change_20d": ("T10YIE", 20),
        "breakeven_change_60d": ("T10YIE", 60),
        "vix_fred_change_5d": ("VIXCLS", 5),
        "vix_fred_change_20d": ("VIXCLS", 20),
    }
    for feature, (series_id, n) in changes.items():
        expected = [series[series_id][t] - series[series_id][t - n] if t >= n else math.nan for t in range(120)]
        np.testing.assert_allclose(built[feature], expected, atol=1e-12, err_msg=feature)
    np.testing.assert_allclose(built["yield_spread_10y_3m"], series["DGS10"] - series["DGS3MO"], atol=1e-12)
    np.testing.assert_array_equal(built["curve_inverted_10y_3m"], (series["DGS10"] < series["DGS3MO"]).astype(float))
    np.testing.assert_array_equal(built["curve_inverted_10y_2y"], (series["T10Y2Y"] < 0).astype(float))
    np.testing.assert_array_equal(built["vix_fred_high"], np.zeros(120))
    levels = {
        "fed_funds_effective": "DFF",
        "treasury_2y": "DGS2",
        "treasury_10y": "DGS10",
        "treasury_3m": "DGS3MO",
        "vix_fred": "VIXCLS",
        "yield_spread_10y_2y": "T10Y2Y",
        "breakeven_inflation_10y": "T10YIE",
        "real_rate_10y": "DFII10",
    }
    for feature, series_id in levels.items():
        np.testing.assert_array_equal(built[feature], series[series_id], err_msg=feature)


def test_a_vix_of_exactly_25_is_not_high() -> None:
    built = build_macro(_daily("VIXCLS", [25.0, 25.01]))
    assert built["vix_fred_high"].tolist() == [0.0, 1.0]


def test_a_row_says_how_old_freds_vix_is() -> None:
    """Friday's value comes on Monday, as always; Monday's and Tuesday's come together on Wednesday."""
    macro = _observations(
        "VIXCLS",
        [("2024-11-08", "2024-11-11", 14.94), ("2024-11-11", "2024-11-13", 14.97), ("2024-11-12", "2024-11-13", 14.71)],
    )
    rows = _by_session(macro)[["vix_fred", "vix_fred_age_sessions"]]
    assert rows.loc["2024-11-11"].tolist() == [14.94, 1.0]
    assert rows.loc["2024-11-12"].tolist() == [14.94, 2.0]
    assert rows.loc["2024-11-13"].tolist() == [14.71, 1.0]
    assert _by_session(_daily("DGS10", [1.0, 2.0]))["vix_fred_age_sessions"].isna().all()


def test_year_on_year_figures_use_the_same_month_a_year_before() -> None:
    macro = pd.concat(
        [
            _daily("DFF", np.full(40, 5.33), first="2024-01-02"),
            _observations(
                "CPIAUCSL",
                [("2022-12-01", "2023-01-19", 298.812), ("2023-01-01", "2023-02-21", 300.356),
                 ("2023-12-01", "2024-01-19", 308.735), ("2024-01-01", "2024-02-20", 309.794)],
            ),
            _observations(
                "UNRATE",
                [("2022-12-01", "2023-01-10", 3.5), ("2023-12-01", "2024-01-10", 3.8)],
            ),
        ]
    )  # fmt: skip
    at = _by_session(macro)
    assert at.loc["2024-02-16", "cpi_yoy"] == pytest.approx((308.735 / 298.812 - 1) * 100)
    assert at.loc["2024-02-20", "cpi_yoy"] == pytest.approx((309.794 / 300.356 - 1) * 100)
    assert at.loc["2024-02-20", "real_fed_funds"] == pytest.approx(5.33 - (309.794 / 300.356 - 1) * 100)
    assert at.loc["2024-01-10", "unemployment_change_12m"] == pytest.approx(0.3)
    assert math.isnan(at.loc["2023-02-21", "cpi_yoy"])


def test_a_month_without_its_predecessor_has_no_year_on_year_figure() -> None:
    macro = _observations(
        "UNRATE",
        [("2024-12-01", "2025-01-10", 4.1), ("2025-01-01", "2025-02-10", 4.0), ("2026-01-01", "2026-02-11", 4.3)],
    )
    at = _by_session(macro)["unemployment_change_12m"]
    assert at["2026-02-11"] == pytest.approx(0.3)
    gap = _observations("UNRATE", [("2024-09-01", "2024-10-11", 4.1), ("2025-10-01", "2025-12-16", 4.4)])
    assert math.isnan(_by_session(gap)["unemployment_change_12m"]["2025-12-16"])


def test_a_predecessor_that_became_known_later_is_not_used() -> None:
    macro = _observations("UNRATE", [("2019-01-01", "2020-03-02", 4.0), ("2020-01-01", "2020-02-07", 3.6)])
    at = _by_session(macro)["unemployment_change_12m"]
    assert at.isna().all()


def test_growth_of_gdp_is_that_of_the_quarters_known() -> None:
    quarters = [
        ("2023-07-01", "2023-11-03", 27_600.0), ("2023-10-01", "2024-02-05", 27_938.0),
        ("2024-01-01", "2024-05-06", 28_255.0), ("2024-04-01", "2024-08-05", 28_629.0),
        ("2024-07-01", "2024-11-04", 29_350.0),
    ]  # fmt: skip
    at = _by_session(_observations("GDP", quarters))
    assert at.loc["2024-11-04", "gdp_growth_yoy"] == pytest.approx((29_350 - 27_600) / 27_600 * 100)
    assert at.loc["2024-11-04", "gdp_growth_qoq"] == pytest.approx(((29_350 / 28_629) ** 4 - 1) * 100)
    assert at.loc["2024-11-01", "gdp_growth_qoq"] == pytest.approx(((28_629 / 28_255) ** 4 - 1) * 100)
    assert math.isnan(at.loc["2024-11-01", "gdp_growth_yoy"])
    assert math.isnan(at.loc["2023-11-03", "gdp_growth_qoq"])


def test_confidence_is_compared_with_its_month_before_and_its_month_a_year_before() -> None:
    months = [
        ("2023-10-01", "2023-11-06", 63.8), ("2023-11-01", "2023-12-06", 61.3), ("2023-12-01", "2024-01-05", 69.7),
        ("2024-10-01", "2024-11-05", 70.5), ("2024-11-01", "2024-12-06", 71.8),
    ]  # fmt: skip
    at = _by_session(_observations("UMCSENT", months))
    december = at.loc["2024-12-06"]
    assert december["consumer_confidence"] == 71.8
    assert december["consumer_confidence_change_1m"] == pytest.approx(71.8 - 70.5)
    assert december["consumer_confidence_change_12m"] == pytest.approx(71.8 - 61.3)
    november = at.loc["2024-11-05"]
    assert november["consumer_confidence_change_12m"] == pytest.approx(70.5 - 63.8)
    assert math.isnan(november["consumer_confidence_change_1m"])


@pytest.mark.parametrize(
    ("series_id", "months", "known", "told_by"),
    [
        ("GDP", 3, "2024-05-06", ("gdp_growth_yoy", "gdp_growth_qoq")),
        (
            "UMCSENT", 1, "2024-05-06",
            ("consumer_confidence", "consumer_confidence_change_1m", "consumer_confidence_change_12m"),
        ),
    ],
)  # fmt: skip
def test_no_session_before_its_release_is_told_a_value(
    series_id: str, months: int, known: str, told_by: tuple[str, ...]
) -> None:
    dates = pd.date_range("2021-01-01", "2024-04-01", freq=f"{months}MS")
    visible = known_on(series_id, dates)
    rows = [(f"{date:%Y-%m-%d}", f"{day:%Y-%m-%d}", 100.0) for date, day in zip(dates, visible, strict=True)]
    of_known = [row for row in rows if row[1] <= known]
    assert of_known[-1][1] == known  # known from that session on by the rule of the series
    macro = pd.concat([_daily("DGS10", np.full(1_100, 1.5)), _observations(series_id, of_known)])
    other = macro.assign(value=macro["value"].where(macro["observation_date"] != of_known[-1][0], 150.0))
    names = list(told_by)
    before, after = _by_session(macro)[names], _by_session(other)[names]
    changed = before.index[(before.fillna(-1.0) != after.fillna(-1.0)).any(axis=1)]
    assert changed[0] == pd.Timestamp(known)
    assert (before.loc[known] != after.loc[known]).all()


def _policy(*steps: tuple[int, float]) -> pd.DataFrame:
    """A federal funds rate that is constant for a number of sessions at each level."""
    return _daily("DFF", np.concatenate([np.full(n, level) for n, level in steps]))


def test_the_first_cut_after_a_pause_is_a_pivot_and_the_next_one_is_not() -> None:
    built = build_macro(_policy((150, 5.33), (30, 4.83), (100, 4.58)))
    flagged = built.index[built["fed_pivot_cut"] == 1]
    # With 10 sessions of the new rate among its 20 the median is half way, 0.25 down; with 11 it is there. Twenty
    # sessions after the 10th, the level that is compared has moved itself.
    assert flagged.tolist() == list(range(159, 179))
    assert (built["fed_pivot_hike"].dropna() == 0).all()


def test_the_first_hike_after_a_pause_is_a_pivot_and_the_next_one_is_not() -> None:
    built = build_macro(_policy((150, 0.08), (30, 0.33), (100, 0.83)))
    flagged = built.index[built["fed_pivot_hike"] == 1]
    # Half way is 0.125 here, so the move is seen one session later, with 11 of the 20.
    assert flagged.tolist() == list(range(160, 179))
    assert (built["fed_pivot_cut"].dropna() == 0).all()


def test_a_turn_without_a_pause_is_a_pivot_too() -> None:
    built = build_macro(_policy((100, 4.0), (40, 4.5), (60, 4.0)))
    assert (built["fed_pivot_cut"] == 1).any()


def test_a_quarter_end_spike_of_the_rate_is_no_pivot() -> None:
    values = np.full(250, 1.0)
    values[[120, 183]] = 1.4
    built = build_macro(_daily("DFF", values))
    assert (built[["fed_pivot_cut", "fed_pivot_hike"]].dropna() == 0).all(axis=None)


def test_a_rate_that_comes_back_to_where_it_was_is_no_hike() -> None:
    """Two weeks far below the target and back, as before a cut that everybody expects."""
    built = build_macro(_policy((150, 5.25), (9, 4.8), (91, 5.25)))
    assert (built[["fed_pivot_cut", "fed_pivot_hike"]].dropna() == 0).all(axis=None)


def test_missing_series_are_typed_columns_that_know_nothing() -> None:
    built = build_macro(_daily("DGS2", np.full(30, 4.0)))
    known = built.columns[built.notna().any()]
    assert set(known) == {"session", "treasury_2y", "treasury_2y_change_5d", "treasury_2y_change_20d"}
    assert (built[list(MACRO_FEATURES)].dtypes == "float64").all()


def test_zero_rows_give_a_typed_frame_of_zero_rows() -> None:
    built = build_macro(_daily("DGS2", [4.0]).iloc[:0])
    assert tuple(built.columns) == TABLE.column_names
    assert len(built) == 0
    assert built["session"].dtype == "datetime64[us]"
    assert (built[list(MACRO_FEATURES)].dtypes == "float64").all()


def test_values_that_are_missing_are_no_observations() -> None:
    holes = _daily("DGS10", [1.0, math.nan, 3.0])
    assert build_macro(holes)["treasury_10y"].tolist() == [1.0, 1.0, 3.0]


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (lambda m: m.drop(columns="known_on"), "missing: known_on"),
        (lambda m: pd.concat([m, m.iloc[[3]]]), "one value per series and reference date"),
        (lambda m: m.assign(known_on=m["known_on"].where(m.index != 3)), "session on which it was known"),
    ],
)
def test_observations_that_break_a_rule_are_refused(damage: Callable[[pd.DataFrame], pd.DataFrame], rule: str) -> None:
    with pytest.raises(SchemaError, match=rule) as caught:
        build_macro(damage(_daily("DGS10", np.arange(10.0))))
    assert caught.value.table == "raw.macro"


@pytest.mark.files_data
def test_the_reference_session_shows_the_values_of_the_session_before(raw_macro: pd.DataFrame) -> None:
    # FRED's own values for 2024-11-14 (DGS10 4.43, VIXCLS 14.31) are known on 2024-11-15; CPI for September
    # (314.851 at this vintage), because October's is taken as known from 2024-11-20 on.
    at = _by_session(raw_macro)
    day = at.loc["2024-11-15"]
    before = raw_macro[raw_macro["observation_date"] == "2024-11-14"].set_index("series_id")["value"]
    for feature, series_id in {"treasury_10y": "DGS10", "vix_fred": "VIXCLS", "fed_funds_effective": "DFF"}.items():
        assert day[feature] == before[series_id]
    cpi = raw_macro[raw_macro["series_id"] == "CPIAUCSL"].set_index("observation_date")["value"]
    assert day["cpi_yoy"] == pytest.approx((cpi["2024-09-01"] / cpi["2023-09-01"] - 1) * 100)
    assert at.loc["2024-11-20", "cpi_index"] == cpi["2024-10-01"]


@pytest.mark.files_data
def test_pivots_are_the_turns_of_policy_that_history_knows(raw_macro: pd.DataFrame) -> None:
    # First moves after a pause or a turn, FOMC statements: cuts of July 1990, July 1995, December 1995, September 1998,
    # January 2001, November 2002, June 2003, July 2019, March 2020, September 2024; hikes of February 1994, March 1997,
    # June 1999, June 2004, December 2015, December 2016, June and December 2017, March 2022.
    at = _by_session(raw_macro)
    for feature, turns in {
        "fed_pivot_cut": "1990-07-13 1995-07-06 1995-12-19 1998-09-29 2001-01-03 2002-11-06 2003-06-25 2019-07-31 "
        "2020-03-03 2024-09-18",
        "fed_pivot_hike": "1994-02-04 1997-03-25 1999-06-30 2004-06-30 2015-12-16 2016-12-14 2017-12-13 2022-03-16",
    }.items():
        for turn in turns.split():
            after = at.loc[turn : pd.Timestamp(turn) + pd.Timedelta(days=30), feature]
            assert after.max() == 1.0, (feature, turn)
            assert after.iloc[0] == 0.0, (feature, turn)
    # In August 2007 the rate itself fell below the target of 5.25 and stayed there until the cut of 18 September.
    assert at.loc["2007-08-17":"2007-10-18", "fed_pivot_cut"].max() == 1.0


# Within these spans policy went one way only, or nowhere (federal funds target, Board of Governors).
@pytest.mark.files_data
@pytest.mark.parametrize(
    ("feature", "first", "last"),
    [
        ("fed_pivot_hike", "1990-01-02", "1994-02-03"),
        ("fed_pivot_hike", "1995-03-15", "1997-03-24"),
        ("fed_pivot_hike", "1997-05-10", "1999-06-29"),
        ("fed_pivot_hike", "2000-07-01", "2004-06-29"),
        ("fed_pivot_hike", "2006-08-01", "2015-12-15"),
        ("fed_pivot_hike", "2019-01-20", "2022-03-15"),
        ("fed_pivot_hike", "2023-08-30", "2024-12-31"),
        ("fed_pivot_cut", "1993-01-02", "1995-07-05"),
        ("fed_pivot_cut", "1996-03-05", "1998-09-28"),
        ("fed_pivot_cut", "1999-01-02", "2001-01-02"),
        ("fed_pivot_cut", "2003-08-10", "2007-08-10"),
        ("fed_pivot_cut", "2009-02-01", "2019-07-30"),
        ("fed_pivot_cut", "2020-05-01", "2024-09-17"),
    ],
)
def test_nothing_pivots_where_policy_went_the_other_way_or_nowhere(
    raw_macro: pd.DataFrame, feature: str, first: str, last: str
) -> None:
    assert _by_session(raw_macro).loc[first:last, feature].max() == 0.0


def test_values_go_stale_by_rule_where_the_series_end_and_do_not_end_with_the_last_release() -> None:
    """A folder whose macro file ends in July: ten sessions later its daily series are stale, not on the next day."""
    known = sessions_between("2024-07-01", "2024-07-12")
    observed = {"series_id": "DGS10", "observation_date": known - pd.Timedelta(days=1), "value": 4.2}
    macro = pd.DataFrame({**observed, "known_on": known})
    rows = build_macro(macro, as_of=pd.Timestamp("2024-08-30")).set_index("session")["treasury_10y"]
    assert rows.index[-1] == pd.Timestamp("2024-08-30")
    after = rows[rows.index > known[-1]]
    assert after.notna().tolist() == [True] * 10 + [False] * (len(after) - 10)
    assert build_macro(macro, as_of=known[3])["session"].iloc[-1] == known[3]
    assert build_macro(macro)["session"].iloc[-1] == known[-1]


def test_a_table_ends_when_its_longest_lived_value_is_stale() -> None:
    macro = pd.DataFrame({"series_id": "GDP", "observation_date": [pd.Timestamp("2019-01-01")], "value": 1.0}).assign(
        known_on=pd.Timestamp("2019-05-06")
    )
    rows = build_macro(macro, as_of=pd.Timestamp("2026-11-27"))
    assert len(rows) == 1 + 160 + 1
