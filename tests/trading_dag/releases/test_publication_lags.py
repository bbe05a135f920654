"""Publication lags against release dates that the agencies' own pages state."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.errors import ConfigurationError
from trading_dag.releases.publication_lags import KNOWN_RELEASES, PUBLICATION_LAGS, known_on
from trading_dag.schemas import MACRO_SERIES
from trading_dag.sessions import all_sessions, is_session


def _known(series_id: str, day: str) -> str:
    (session,) = known_on(series_id, pd.DatetimeIndex([day]))
    return f"{session:%Y-%m-%d}"


def test_every_macro_series_has_a_rule_and_no_rule_is_left_over() -> None:
    assert set(PUBLICATION_LAGS) == set(MACRO_SERIES)


@pytest.mark.parametrize(
    ("series_id", "observed", "expected"),
    [
        ("DGS10", "2024-11-14", "2024-11-15"),
        ("DGS10", "2024-11-15", "2024-11-18"),  # over a weekend
        ("DGS10", "2024-11-27", "2024-11-29"),  # over Thanksgiving, to a half day
        ("VIXCLS", "2024-11-01", "2024-11-04"),  # over the end of daylight saving
        ("DGS2", "2018-12-04", "2018-12-06"),  # the exchange mourned on the 5th
        ("DGS2", "2018-12-05", "2018-12-06"),  # the bond market did not
        ("DGS3MO", "2001-09-10", "2001-09-17"),
        ("T10Y2Y", "2024-10-11", "2024-10-14"),  # Columbus Day: exchange open
        ("DFF", "2024-10-10", "2024-10-11"),
        ("DFF", "2024-10-11", "2024-10-15"),  # Columbus Day: Federal Reserve closed
        ("DFF", "2024-10-12", "2024-10-15"),  # the Saturday carries Friday's rate
        ("DFF", "2024-11-08", "2024-11-12"),  # Veterans Day
        ("DFF", "2024-11-15", "2024-11-18"),
    ],
)
def test_a_daily_value_is_known_at_the_first_session_after_its_publication(
    series_id: str, observed: str, expected: str
) -> None:
    assert _known(series_id, observed) == expected


@pytest.mark.parametrize(
    ("series_id", "observed", "expected"),
    [
        ("CPIAUCSL", "2024-01-01", "2024-02-20"),  # 50 days
        ("CPIAUCSL", "2024-10-01", "2024-11-20"),
        ("UNRATE", "2024-12-01", "2025-01-10"),  # 40 days
        ("UNRATE", "2024-01-01", "2024-02-12"),  # 40 days end on a Saturday
        ("UMCSENT", "2024-11-01", "2024-12-06"),  # 35 days
        ("GDP", "2024-07-01", "2024-11-04"),  # 125 days end on a Sunday
        ("CPIAUCSL", "2015-12-01", "2016-02-01"),  # 60 days before 2016, then to a Monday
    ],
)
def test_a_monthly_or_quarterly_value_is_known_after_its_lag(series_id: str, observed: str, expected: str) -> None:
    assert _known(series_id, observed) == expected


@pytest.mark.parametrize(
    ("series_id", "observed", "released"),
    [
        # Release pages of the BLS and BEA.
        ("CPIAUCSL", "1995-12-01", "1996-02-01"),
        ("CPIAUCSL", "1996-07-01", "1996-08-13"),
        ("CPIAUCSL", "2008-12-01", "2009-01-16"),
        ("CPIAUCSL", "2013-09-01", "2013-10-30"),
        ("CPIAUCSL", "2014-01-01", "2014-02-20"),
        ("CPIAUCSL", "2014-09-01", "2014-10-22"),
        ("CPIAUCSL", "2015-01-01", "2015-02-26"),
        ("CPIAUCSL", "2015-02-01", "2015-03-24"),
        ("CPIAUCSL", "2019-01-01", "2019-02-13"),
        ("CPIAUCSL", "2024-09-01", "2024-10-10"),
        ("CPIAUCSL", "2025-09-01", "2025-10-24"),
        ("CPIAUCSL", "2025-11-01", "2025-12-18"),
        ("CPIAUCSL", "2025-12-01", "2026-01-13"),
        ("CPIAUCSL", "2026-01-01", "2026-02-13"),
        ("UNRATE", "1995-12-01", "1996-01-19"),
        ("UNRATE", "1996-02-01", "1996-03-08"),
        ("UNRATE", "2013-09-01", "2013-10-22"),
        ("UNRATE", "2013-10-01", "2013-11-08"),
        ("UNRATE", "2019-01-01", "2019-02-01"),
        ("UNRATE", "2024-12-01", "2025-01-10"),
        ("UNRATE", "2025-11-01", "2025-12-16"),
        ("UNRATE", "2025-12-01", "2026-01-09"),
        ("UNRATE", "2026-01-01", "2026-02-11"),
        ("GDP", "2018-10-01", "2019-02-28"),
        ("GDP", "2025-07-01", "2025-12-23"),
        ("GDP", "2025-10-01", "2026-02-20"),
        ("UMCSENT", "2013-01-01", "2013-02-01"),
    ],
)
def test_nothing_is_known_before_it_was_released(series_id: str, observed: str, released: str) -> None:
    assert _known(series_id, observed) >= released


def test_a_delayed_release_is_known_on_its_real_day() -> None:
    for series_id, releases in KNOWN_RELEASES.items():
        for observed, released in releases.items():
            assert _known(series_id, observed) == released, (series_id, observed)


@settings(max_examples=60, deadline=None)
@given(
    series_id=st.sampled_from(MACRO_SERIES),
    days=st.lists(st.dates(pd.Timestamp("1985-02-01").date(), pd.Timestamp("2025-06-30").date()), max_size=30),
)
def test_known_on_is_a_session_after_the_observation_in_the_order_given(series_id: str, days: list[object]) -> None:
    observed = pd.DatetimeIndex(pd.to_datetime(pd.Series(days, dtype="datetime64[us]")))
    known = known_on(series_id, observed)
    assert len(known) == len(observed)
    assert known.dtype == "datetime64[us]"
    assert is_session(known).all()
    assert (known > observed).all()
    one_by_one = [known_on(series_id, observed[[i]])[0] for i in range(len(observed))]
    assert known.tolist() == one_by_one


def test_dates_outside_the_calendar_map_to_its_first_session_or_to_nothing() -> None:
    first = all_sessions()[0]
    assert known_on("DFF", pd.DatetimeIndex(["1954-07-01"])).tolist() == [first]
    assert known_on("UNRATE", pd.DatetimeIndex(["1980-01-01"])).tolist() == [first]
    beyond = known_on("UNRATE", pd.DatetimeIndex([all_sessions()[-1]]))
    assert beyond.isna().all()


def test_a_series_without_a_rule_is_an_error_that_names_it() -> None:
    with pytest.raises(ConfigurationError, match="PAYEMS"):
        known_on("PAYEMS", pd.DatetimeIndex(["2024-01-01"]))
