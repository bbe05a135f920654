"""Merging fresh rows into stored ones: new rows, restatements, moved bases, and one source only."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from resources.merging.restatement import merge_history, overlap_start
from trading_dag.errors import SchemaError, SourceMismatchError
from trading_dag.quality.casting import empty_frame
from trading_dag.schemas import MACRO, PRICES_DAILY, VOLATILITY_INDEX
from trading_dag.sessions import sessions_between

SESSIONS = sessions_between("2024-11-01", "2024-12-31")


def prices(count: int = 20, *, first: int = 0, source: str | None = "live") -> pd.DataFrame:
    sessions = SESSIONS[first : first + count]
    close = 100.0 + np.arange(first, first + count)
    frame = pd.DataFrame(
        {
            "ticker": pd.Series("SPY", index=range(count), dtype="str"),
            "session": sessions,
            "open": close - 0.5,
            "high": close + 1.0,
            "low": close - 1.0,
            "close": close,
            "adj_close": close * 0.98,
            "volume": 1e6 + close,
            "split_factor": 1.0,
            "dividend": 0.0,
        }
    )
    frame.attrs = {"source": source} if source else {}
    return frame


def index_rows(symbol: str, count: int = 10) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "ticker": pd.Series("IWM", index=range(count), dtype="str"),
            "session": SESSIONS[:count],
            "symbol": pd.Series(symbol, index=range(count), dtype="str"),
            "open": np.nan,
            "high": np.nan,
            "low": np.nan,
            "close": 20.0 + np.arange(count) + (3.0 if symbol == "RVX" else 0.0),
            "vix3m_close": 21.0,
        }
    )
    frame.attrs = {"source": "live"}
    return frame


def test_rows_that_follow_are_appended_and_nothing_else_changes() -> None:
    result = merge_history(prices(20), prices(15, first=10), table=PRICES_DAILY)
    pd.testing.assert_frame_equal(result.frame, prices(25))
    assert result.appended == 5
    assert result.restated.empty
    assert not result.rebased


def test_the_first_load_appends_every_row() -> None:
    result = merge_history(empty_frame(PRICES_DAILY), prices(5), table=PRICES_DAILY)
    pd.testing.assert_frame_equal(result.frame, prices(5))
    assert result.appended == 5


def test_a_fetch_without_rows_leaves_what_is_stored() -> None:
    result = merge_history(prices(5), prices(0), table=PRICES_DAILY)
    pd.testing.assert_frame_equal(result.frame, prices(5))
    assert (result.appended, result.rebased) == (0, False)


def test_a_hole_in_the_stored_history_is_filled() -> None:
    stored = prices(20).drop(index=12).reset_index(drop=True)
    result = merge_history(stored, prices(15, first=5), table=PRICES_DAILY)
    pd.testing.assert_frame_equal(result.frame, prices(20))
    assert result.appended == 1


def test_a_session_the_vendor_no_longer_gives_stays() -> None:
    fresh = prices(15, first=10).drop(index=3).reset_index(drop=True)
    result = merge_history(prices(20), fresh, table=PRICES_DAILY)
    pd.testing.assert_frame_equal(result.frame, prices(25))


def test_a_restated_close_is_taken_and_recorded() -> None:
    fresh = prices(15, first=10)
    fresh.loc[4, "close"] = 114.25
    result = merge_history(prices(20), fresh, table=PRICES_DAILY)
    assert result.frame.loc[14, "close"] == 114.25
    assert result.restated.to_dict("records") == [
        {"ticker": "SPY", "session": SESSIONS[14], "column": "close", "old": 114.0, "new": 114.25}
    ]
    assert not result.rebased


def test_a_restated_close_of_the_earliest_common_session_is_no_rebase() -> None:
    fresh = prices(15, first=10)
    fresh.loc[0, ["close", "adj_close"]] = [110.5, 110.5 * 0.98]
    result = merge_history(prices(20), fresh, table=PRICES_DAILY)
    assert not result.rebased
    assert sorted(result.restated["column"]) == ["adj_close", "close"]


def test_float_noise_is_no_restatement_and_the_stored_value_stays() -> None:
    fresh = prices(15, first=10)
    for name in ("open", "high", "low", "close", "adj_close"):
        fresh[name] *= 1.0 + 5e-7
    result = merge_history(prices(20), fresh, table=PRICES_DAILY)
    assert result.restated.empty
    assert not result.rebased
    pd.testing.assert_frame_equal(result.frame.head(20), prices(20), check_exact=True)


@pytest.mark.parametrize(("old", "new"), [(np.nan, 0.5), (0.5, np.nan)])
def test_a_value_that_appears_or_disappears_is_a_restatement(old: float, new: float) -> None:
    stored, fresh = prices(5), prices(5)
    stored.loc[2, "dividend"], fresh.loc[2, "dividend"] = old, new
    result = merge_history(stored, fresh, table=PRICES_DAILY)
    assert list(result.restated["column"]) == ["dividend"]
    np.testing.assert_equal(result.frame.loc[2, "dividend"], new)


def test_values_missing_on_both_sides_are_no_restatement() -> None:
    stored, fresh = prices(5).assign(dividend=np.nan), prices(5).assign(dividend=np.nan)
    stored.attrs = fresh.attrs = {"source": "files"}
    assert merge_history(stored, fresh, table=PRICES_DAILY).restated.empty


def test_a_dividend_rebases_and_never_mixes_two_bases() -> None:
    """Ex-date at the last session: everything before it is multiplied by 1 − 0.5/119."""
    fresh = prices(12, first=10)
    before = fresh["session"] < SESSIONS[20]
    fresh.loc[before, "adj_close"] *= 1.0 - 0.5 / 119.0
    fresh.loc[10, "dividend"] = 0.5
    result = merge_history(prices(20), fresh, table=PRICES_DAILY)
    assert result.rebased
    pd.testing.assert_frame_equal(result.frame, prices(20))
    assert len(result.restated) == 1
    recorded = result.restated.iloc[0]
    assert (recorded["session"], recorded["column"]) == (SESSIONS[10], "adj_close")
    assert recorded["new"] == pytest.approx(recorded["old"] * (1.0 - 0.5 / 119.0))


def test_a_rebase_is_seen_where_the_ex_date_lies_within_the_overlap() -> None:
    """The stored part already holds the ex-date, as it looked before the vendor had processed the dividend."""
    fresh = prices(15, first=10)
    fresh.loc[fresh["session"] < SESSIONS[16], "adj_close"] *= 0.995
    assert merge_history(prices(20), fresh, table=PRICES_DAILY).rebased


def test_a_restatement_beside_a_rebase_is_recorded_too() -> None:
    fresh = prices(15, first=10)
    fresh["adj_close"] *= 0.995
    fresh.loc[3, "high"] = 120.0
    result = merge_history(prices(20), fresh, table=PRICES_DAILY)
    assert result.rebased
    assert list(result.restated["column"]) == ["adj_close", "high"]


def test_a_split_rebases() -> None:
    fresh = prices(15, first=10)
    fresh[["open", "high", "low", "close", "adj_close"]] /= 4.0
    fresh["volume"] *= 4.0
    result = merge_history(prices(20), fresh, table=PRICES_DAILY)
    assert result.rebased
    assert result.restated[["column", "old", "new"]].to_dict("records") == [
        {"column": "close", "old": 110.0, "new": 27.5}
    ]
    pd.testing.assert_frame_equal(result.frame, prices(20))


def test_a_whole_history_on_a_new_base_replaces_the_old_one() -> None:
    fresh = prices(25)
    fresh["adj_close"] *= 0.995
    result = merge_history(prices(20), fresh, table=PRICES_DAILY)
    pd.testing.assert_frame_equal(result.frame, fresh)
    assert (result.appended, result.rebased, len(result.restated)) == (5, True, 1)


def test_rows_without_any_overlap_ask_for_the_whole_slice() -> None:
    result = merge_history(prices(10), prices(5, first=12), table=PRICES_DAILY)
    assert result.rebased
    pd.testing.assert_frame_equal(result.frame, prices(10))


def test_another_volatility_index_asks_for_the_whole_slice() -> None:
    fresh = index_rows("VIX", 12).iloc[4:].reset_index(drop=True)
    fresh.attrs = {"source": "live"}
    result = merge_history(index_rows("RVX"), fresh, table=VOLATILITY_INDEX)
    assert result.rebased
    assert list(result.restated["column"]) == ["symbol"]
    assert set(result.frame["symbol"]) == {"RVX"}


@pytest.mark.parametrize("fresh_source", ["sample", None])
def test_rows_of_another_source_are_refused(fresh_source: str | None) -> None:
    with pytest.raises(SourceMismatchError, match=r"raw\.prices_daily \[ticker=SPY\].*live"):
        merge_history(prices(5), prices(5, source=fresh_source), table=PRICES_DAILY)


def test_stored_rows_of_unknown_source_are_not_mixed() -> None:
    with pytest.raises(SourceMismatchError, match="unknown"):
        merge_history(prices(5, source=None), prices(5, source=None), table=PRICES_DAILY)


def test_a_slice_without_rows_belongs_to_no_source() -> None:
    nothing = empty_frame(PRICES_DAILY)
    nothing.attrs = {"source": "sample", "source_off": "no file"}
    assert merge_history(nothing, prices(3), table=PRICES_DAILY).appended == 3


def test_repeated_keys_are_refused() -> None:
    doubled = pd.concat([prices(3), prices(1)], ignore_index=True)
    doubled.attrs = {"source": "live"}
    with pytest.raises(SchemaError, match="session=2024-11-01"):
        merge_history(prices(3), doubled, table=PRICES_DAILY)


def test_a_missing_column_is_refused() -> None:
    with pytest.raises(SchemaError, match="dividend"):
        merge_history(prices(3), prices(3).drop(columns="dividend"), table=PRICES_DAILY)


@given(
    stored=st.integers(1, 15),
    first=st.integers(0, 14),
    count=st.integers(1, 20),
    factor=st.sampled_from([1.0, 1.01]),
)
@hypothesis_settings(max_examples=40, deadline=None)
def test_merging_the_same_rows_twice_changes_nothing(stored: int, first: int, count: int, factor: float) -> None:
    fresh = prices(count, first=min(first, stored - 1))
    fresh.loc[fresh.index[-1:], "high"] *= factor
    once = merge_history(prices(stored), fresh, table=PRICES_DAILY)
    twice = merge_history(once.frame, fresh, table=PRICES_DAILY)
    pd.testing.assert_frame_equal(twice.frame, once.frame)
    assert (twice.appended, len(twice.restated), twice.rebased) == (0, 0, False)


@given(data=st.data())
@hypothesis_settings(max_examples=40, deadline=None)
def test_every_key_of_either_frame_is_in_the_result_once_and_in_order(data: st.DataObject) -> None:
    kept = sorted(data.draw(st.sets(st.integers(0, 24), min_size=1)))
    given_now = sorted(data.draw(st.sets(st.integers(0, 24), min_size=1)) | {kept[0]})
    stored, fresh = (prices(25).iloc[rows].reset_index(drop=True) for rows in (kept, given_now))
    stored.attrs = fresh.attrs = {"source": "live"}
    result = merge_history(stored, fresh, table=PRICES_DAILY)
    expected = prices(25).iloc[sorted({*kept, *given_now})].reset_index(drop=True)
    pd.testing.assert_frame_equal(result.frame, expected)
    assert result.appended == len(set(given_now) - set(kept))


def macro_rows(values: dict[str, float], vintage: str = "latest_vintage") -> pd.DataFrame:
    dates = pd.DatetimeIndex(list(values)).as_unit("us")
    frame = pd.DataFrame(
        {
            "series_id": pd.Series("GDP", index=range(len(values)), dtype="str"),
            "observation_date": dates,
            "known_on": dates + pd.Timedelta(days=120),
            "value": list(values.values()),
            "vintage": pd.Series(vintage, index=range(len(values)), dtype="str"),
        }
    )
    frame.attrs = {"source": "live"}
    return frame


def test_a_revised_macro_value_is_recorded() -> None:
    result = merge_history(
        macro_rows({"2024-01-01": 28000.0, "2024-04-01": 28600.0}),
        macro_rows({"2024-01-01": 28000.0, "2024-04-01": 28650.0, "2024-07-01": 29000.0}),
        table=MACRO,
    )
    assert result.restated[["observation_date", "old", "new"]].to_dict("records") == [
        {"observation_date": pd.Timestamp("2024-04-01"), "old": 28600.0, "new": 28650.0}
    ]
    assert (result.appended, result.rebased) == (1, False)


def test_first_releases_do_not_stand_beside_latest_vintages() -> None:
    stored = macro_rows({"2010-01-01": 14000.0, "2024-01-01": 28000.0})
    result = merge_history(stored, macro_rows({"2024-01-01": 27900.0}, "first_release"), table=MACRO)
    assert result.rebased
    pd.testing.assert_frame_equal(result.frame, stored)


def test_the_overlap_is_counted_in_sessions_not_in_weekdays() -> None:
    """Ten sessions before 2024-12-03 lie on both sides of Thanksgiving (2024-11-28 is no session)."""
    stored = prices(22)
    assert stored["session"].max() == pd.Timestamp("2024-12-03")
    start = overlap_start(stored, table=PRICES_DAILY, overlap_sessions=10)
    assert start == pd.Timestamp("2024-11-18")


def test_without_rows_everything_is_fetched() -> None:
    assert overlap_start(empty_frame(PRICES_DAILY), table=PRICES_DAILY, overlap_sessions=10) is None


def test_the_macro_overlap_reaches_back_beyond_five_years_of_revisions() -> None:
    start = overlap_start(macro_rows({"2024-07-01": 1.0}), table=MACRO, overlap_sessions=10)
    assert start is not None
    assert start <= pd.Timestamp("2019-01-01")
