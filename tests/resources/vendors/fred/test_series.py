"""FRED by way of the real fredapi and of the public CSV, against a server that speaks FRED's formats."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from resources.left_out import LEFT_OUT
from resources.sources.live.source import build_live_source
from resources.vendors.fred.series import FredClient, first_releases, vintage_windows
from tests.resources.loopback import server as loopback
from tests.resources.loopback.fred_shape import MAXIMUM_VINTAGES, TAKEN_OVER_ON
from tests.resources.loopback.server import FAST_HTTP, FRED, FRED_CSV, FRED_KEY, LoopbackVendor
from trading_dag.errors import EmptySourceError, SourceFormatError, SourceOffError, SourceUnavailableError
from trading_dag.quality.conformance import conform
from trading_dag.releases.publication_lags import known_on
from trading_dag.schemas import MACRO, MACRO_SERIES
from trading_dag.sessions import all_sessions

OBSERVATIONS = f"{FRED}observations"
SINCE = pd.Timestamp("2023-01-01")


@pytest.fixture(scope="module")
def shared_vendor() -> Iterator[LoopbackVendor]:
    with LoopbackVendor(sessions=60) as running:
        yield running


def with_key(vendor: LoopbackVendor, home: Path, **http: float) -> FredClient:
    return FredClient(
        vendor.settings(home, fred_api_key=FRED_KEY, http=FAST_HTTP.model_copy(update=http)), series=("GDP", "DGS10")
    )


def without_key(vendor: LoopbackVendor, home: Path, **http: float) -> FredClient:
    return FredClient(vendor.settings(home, http=FAST_HTTP.model_copy(update=http)), series=("GDP", "DGS10"))


def test_without_a_key_every_series_comes_as_latest_vintage_with_documented_lags(
    vendor: LoopbackVendor, tmp_path: Path
) -> None:
    macro = conform(build_live_source(vendor.settings(tmp_path)).macro(), MACRO, slice_key="")
    assert set(macro["series_id"]) == set(MACRO_SERIES)
    assert set(macro["vintage"]) == {"latest_vintage"}
    for series_id, rows in macro.groupby("series_id"):
        lags = known_on(str(series_id), pd.DatetimeIndex(rows["observation_date"]))
        assert list(rows["known_on"]) == list(lags)
    assert len(vendor.asked(FRED_CSV)) == len(MACRO_SERIES)
    assert vendor.asked(FRED) == []


def test_without_a_key_the_values_are_the_revised_ones(vendor: LoopbackVendor, tmp_path: Path) -> None:
    rows = without_key(vendor, tmp_path).series("GDP", since=SINCE).set_index("observation_date")
    released = vendor.fred.as_of(vendor.market.last + pd.Timedelta(days=1)).of("GDP")
    latest = released.drop_duplicates("date", keep="last").set_index("date")["value"]
    for day, value in rows["value"].items():
        assert value == latest[day]


def test_holidays_are_no_values(vendor: LoopbackVendor, tmp_path: Path) -> None:
    rows = without_key(vendor, tmp_path).series("VIXCLS", since=SINCE)
    assert pd.Timestamp("2023-07-04") not in set(rows["observation_date"])
    assert rows["value"].notna().all()


def test_with_a_key_values_are_first_releases_known_from_the_day_of_their_release(
    vendor: LoopbackVendor, tmp_path: Path
) -> None:
    rows = with_key(vendor, tmp_path).series("GDP", since=SINCE)
    released = vendor.fred.of("GDP")
    first = released.drop_duplicates("date", keep="first").set_index("date")
    assert set(rows["vintage"]) == {"first_release"}
    sessions = all_sessions()
    for row in rows.itertuples():
        release = first.loc[row.observation_date]
        assert row.value == release["value"]
        assert row.known_on == sessions[sessions >= release["start"]][0]


def test_all_series_come_with_a_key_and_conform(vendor: LoopbackVendor, tmp_path: Path) -> None:
    source = build_live_source(vendor.settings(tmp_path, fred_api_key=FRED_KEY))
    macro = conform(source.macro(since=pd.Timestamp("2024-01-01")), MACRO, slice_key="")
    assert set(macro["series_id"]) == set(MACRO_SERIES)
    assert (macro["known_on"] > macro["observation_date"]).all()
    assert (macro["observation_date"] >= "2024-01-01").all()


def test_more_vintages_than_fred_allows_are_asked_for_in_parts_and_give_the_same_releases(
    vendor: LoopbackVendor, tmp_path: Path
) -> None:
    """The ten-year yield has more than 2,000 vintages; asked in parts, older values start at their part's first day."""
    since = pd.Timestamp("2014-01-01")
    released = vendor.fred.as_of(vendor.market.last + pd.Timedelta(days=1)).of("DGS10").set_index("date")
    assert released["start"].nunique() > MAXIMUM_VINTAGES
    rows = with_key(vendor, tmp_path).series("DGS10", since=since).set_index("observation_date")
    periods = {request.query["realtime_start"] for request in vendor.asked(OBSERVATIONS)}
    assert len(periods) == 2  # a request that timed out on a busy machine is asked again, for the same period
    assert list(rows.index) == list(released.index)
    assert list(rows["value"]) == list(released["value"])
    later = released[released["start"] > TAKEN_OVER_ON]
    assert list(rows.loc[later.index, "known_on"]) == list(later["start"])
    assert set(rows.loc[later.index, "vintage"]) == {"first_release"}


def test_a_past_that_fred_took_over_at_once_gets_documented_lags(vendor: LoopbackVendor, tmp_path: Path) -> None:
    rows = with_key(vendor, tmp_path).series("DGS10", since=pd.Timestamp("2014-01-01"))
    past = rows[rows["observation_date"] < pd.Timestamp("2015-12-01")]
    assert set(past["vintage"]) == {"latest_vintage"}
    assert list(past["known_on"]) == list(known_on("DGS10", pd.DatetimeIndex(past["observation_date"])))


def releases(*rows: tuple[str, str, float | None]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["date", "realtime_start", "value"]).astype(
        {"date": "datetime64[us]", "realtime_start": "datetime64[us]"}
    )


def test_a_release_at_half_past_eight_is_known_at_that_days_close() -> None:
    """The CPI of October 2024 came on Wednesday 2024-11-13 at 8:30."""
    known = first_releases(releases(("2024-10-01", "2024-11-13", 315.5)), "CPIAUCSL")
    assert known["known_on"].to_list() == [pd.Timestamp("2024-11-13")]


def test_a_release_on_a_day_without_session_is_known_on_the_next() -> None:
    """The employment report of March 2023 came on Good Friday, 2023-04-07."""
    known = first_releases(releases(("2023-03-01", "2023-04-07", 3.5)), "UNRATE")
    assert known["known_on"].to_list() == [pd.Timestamp("2023-04-10")]


def test_a_daily_value_that_fred_has_on_the_same_evening_is_known_the_session_after() -> None:
    """T10Y2Y of a Friday is on FRED after that day's close."""
    known = first_releases(releases(("2024-11-15", "2024-11-15", 0.12)), "T10Y2Y")
    assert known["known_on"].to_list() == [pd.Timestamp("2024-11-18")]


def test_a_revision_is_not_a_release() -> None:
    rows = releases(("2024-07-01", "2024-11-27", 29354.3), ("2024-07-01", "2024-10-30", 29349.9))
    known = first_releases(rows, "GDP")
    assert known["value"].to_list() == [29349.9]
    assert known["known_on"].to_list() == [pd.Timestamp("2024-10-30")]


def test_a_value_that_was_first_missing_is_released_when_it_is_there() -> None:
    rows = releases(("2024-07-01", "2024-10-30", None), ("2024-07-01", "2024-11-27", 29354.3))
    known = first_releases(rows, "GDP")
    assert known["known_on"].to_list() == [pd.Timestamp("2024-11-27")]


def test_real_time_periods_follow_each_other_without_a_gap() -> None:
    vintages = pd.date_range("2000-01-03", periods=6100, freq="D")
    windows = vintage_windows(vintages, first=pd.Timestamp("2000-01-03"))
    for (_, end), (start, _) in pairwise(windows):
        assert pd.Timestamp(start) - pd.Timestamp(end) == pd.Timedelta(days=1)
    assert windows[0][0] == "2000-01-03"
    assert windows[-1][1] == "9999-12-31"
    for start, end in windows:
        last = vintages[-1] if end.startswith("9999") else pd.Timestamp(end)
        assert ((vintages >= start) & (vintages <= last)).sum() <= MAXIMUM_VINTAGES


def test_since_limits_what_is_asked(vendor: LoopbackVendor, tmp_path: Path) -> None:
    for client in (with_key(vendor, tmp_path), without_key(vendor, tmp_path)):
        rows = client.observations(since=SINCE)
        assert rows["observation_date"].min() >= SINCE
    assert {one.query["observation_start"] for one in vendor.asked(OBSERVATIONS)} == {"2023-01-01"}
    assert {one.query["cosd"] for one in vendor.asked(FRED_CSV)} == {"2023-01-01"}


def test_a_series_that_fred_does_not_have_is_left_out_and_said(
    vendor: LoopbackVendor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for key in (FRED_KEY, None):
        caplog.clear()
        client = FredClient(vendor.settings(tmp_path, fred_api_key=key), series=("NOPE", "GDP"))
        rows = client.observations(since=SINCE)
        assert set(rows["series_id"]) == {"GDP"}
        assert "1 series were left out" in caplog.text
        assert "first: NOPE" in rows.attrs[LEFT_OUT]
        with pytest.raises(EmptySourceError):
            client.series("NOPE", since=SINCE)


def test_no_value_of_any_series_is_an_error(vendor: LoopbackVendor, tmp_path: Path) -> None:
    vendor.inject(FRED_CSV, loopback.empty(), times=None)
    with pytest.raises(EmptySourceError, match="no value of any series"):
        without_key(vendor, tmp_path).observations(since=SINCE)


@pytest.mark.parametrize("fault", [loopback.too_many_requests("1"), loopback.server_error(502), loopback.hang_up()])
@pytest.mark.parametrize("key", [True, False], ids=["key", "no key"])
def test_a_passing_failure_is_overcome(
    vendor: LoopbackVendor, tmp_path: Path, key: bool, fault: loopback.Fault
) -> None:
    vendor.inject("GDP", fault)
    client = with_key(vendor, tmp_path) if key else without_key(vendor, tmp_path)
    assert len(client.series("GDP", since=SINCE)) > 4
    if fault.status == 429:
        first, second = vendor.requests[:2]
        assert second.at - first.at >= 1.0


LASTING = [
    (loopback.too_many_requests(), SourceUnavailableError, "429"),
    (loopback.server_error(500), SourceUnavailableError, "500"),
    (loopback.slow(5.0), SourceUnavailableError, "no answer within"),
    (loopback.hang_up(), SourceUnavailableError, "broke off|no connection"),
    (loopback.error_page(), SourceFormatError, "DOCTYPE|<html>"),
]


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        *LASTING,
        (loopback.truncated(), SourceFormatError, "no XML"),
        (loopback.empty(), EmptySourceError, "no value"),
        (loopback.renamed("value=", "val="), SourceFormatError, "value is missing"),
        (loopback.renamed("realtime_start=", "start="), SourceFormatError, "realtime_start is missing"),
        (loopback.renamed("observations", "data"), SourceFormatError, "expected <observations>"),
        (loopback.renamed('date="20', 'date="XX'), SourceFormatError, "is no date"),
        (loopback.renamed('value="', 'value="about '), SourceFormatError, "is no number"),
        (loopback.renamed('count="', 'count="9'), SourceFormatError, "do not fit into one answer"),
    ],
)  # fmt: skip
def test_with_a_key_a_lasting_failure_is_the_error_that_it_is(
    vendor: LoopbackVendor, tmp_path: Path, fault: loopback.Fault, error: type[Exception], words: str
) -> None:
    vendor.inject(OBSERVATIONS, fault, times=None)
    with pytest.raises(error, match=words) as caught:
        with_key(vendor, tmp_path, timeout_seconds=0.2 if fault.delay_seconds else 20.0).series("GDP", since=SINCE)
    assert caught.value.source == "fred"
    assert "GDP" in caught.value.request
    assert FRED_KEY not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        *LASTING,
        (loopback.empty(), EmptySourceError, "no rows"),
        (loopback.renamed("observation_date", "day"), SourceFormatError, "expected columns"),
        (loopback.renamed(",GDP", ",GNP"), SourceFormatError, "expected columns"),
        (loopback.renamed("-01,", "-01,about "), SourceFormatError, "no date and number"),
        (loopback.renamed("\n20", "\n1/"), SourceFormatError, "no date and number"),
    ],
)
def test_without_a_key_a_lasting_failure_is_the_error_that_it_is(
    vendor: LoopbackVendor, tmp_path: Path, fault: loopback.Fault, error: type[Exception], words: str
) -> None:
    vendor.inject(FRED_CSV, fault, times=None)
    with pytest.raises(error, match=words) as caught:
        without_key(vendor, tmp_path, timeout_seconds=0.2 if fault.delay_seconds else 20.0).series("GDP", since=SINCE)
    assert caught.value.source == "fred"
    assert "GDP" in caught.value.request


@pytest.mark.parametrize("line", ["\n2023-01-01,about ", "\n1/1/2023,", "\n9999-99-99,", "\n2023-01-01,1e999,"])
def test_a_row_that_is_no_date_and_number_costs_no_other_and_is_counted(
    vendor: LoopbackVendor, tmp_path: Path, line: str
) -> None:
    whole = without_key(vendor, tmp_path).series("GDP", since=SINCE)
    vendor.inject(FRED_CSV, loopback.renamed("\n2023-01-01,", line), times=None)
    rows = without_key(vendor, tmp_path).series("GDP", since=SINCE)
    expected = whole[whole["observation_date"] != "2023-01-01"].reset_index(drop=True)
    pd.testing.assert_frame_equal(rows.reset_index(drop=True), expected)
    assert "1 observations or vintages of GDP were left out" in rows.attrs[LEFT_OUT]
    assert "GDP, line 2" in rows.attrs[LEFT_OUT]


@pytest.mark.parametrize("change", [('value="', 'value="about '), ('realtime_start="20', 'realtime_start="XX')])
def test_without_one_of_its_releases_an_observation_is_left_out_and_counted(
    vendor: LoopbackVendor, tmp_path: Path, change: tuple[str, str]
) -> None:
    whole = with_key(vendor, tmp_path).series("GDP", since=SINCE)

    def spoil(body: bytes) -> bytes:
        """Only the first row, the first release of the first observation."""
        head, mark, tail = body.partition(b"<observation ")
        return head + mark + tail.replace(change[0].encode(), change[1].encode(), 1)

    vendor.inject(OBSERVATIONS, loopback.Fault(change=spoil), times=None)
    rows = with_key(vendor, tmp_path).series("GDP", since=SINCE)
    left = set(whole["observation_date"]) - set(rows["observation_date"])
    assert len(left) == 1
    kept = whole[~whole["observation_date"].isin(left)].reset_index(drop=True)
    pd.testing.assert_frame_equal(rows.reset_index(drop=True), kept)
    assert "GDP, row 0" in rows.attrs[LEFT_OUT]


def test_the_csv_header_of_earlier_years_is_read_too(vendor: LoopbackVendor, tmp_path: Path) -> None:
    vendor.inject(FRED_CSV, loopback.Fault(change=lambda body: body.replace(b"observation_date", b"DATE")))
    assert len(without_key(vendor, tmp_path).series("GDP", since=SINCE)) > 4


def test_a_missing_value_of_earlier_years_is_a_point(vendor: LoopbackVendor, tmp_path: Path) -> None:
    vendor.inject(FRED_CSV, loopback.Fault(change=lambda body: body.replace(b",\n", b",.\n")))
    rows = without_key(vendor, tmp_path).series("VIXCLS", since=SINCE)
    assert rows["value"].notna().all()


def test_a_rejected_key_switches_nothing_to_the_csv(vendor: LoopbackVendor, tmp_path: Path) -> None:
    wrong = "z" * 31
    client = FredClient(vendor.settings(tmp_path, fred_api_key=wrong), series=("GDP",))
    with pytest.raises(SourceOffError, match="rejects the key") as caught:
        client.observations(since=SINCE)
    assert wrong not in str(caught.value)
    assert vendor.asked(FRED_CSV) == []


def test_an_error_that_repeats_the_key_is_shown_without_it(vendor: LoopbackVendor, tmp_path: Path) -> None:
    body = f'<error code="400" message="Bad Request. {FRED_KEY} may not do this."/>'.encode()
    vendor.inject(OBSERVATIONS, loopback.Fault(status=400, body=body), times=None)
    with pytest.raises(SourceUnavailableError, match=r"\*\*\* may not") as caught:
        with_key(vendor, tmp_path).series("GDP", since=SINCE)
    assert FRED_KEY not in str(caught.value)


def test_the_key_appears_in_no_log_no_file_and_no_representation(
    vendor: LoopbackVendor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = with_key(vendor, tmp_path, cache_seconds=60.0)
    client.observations(since=SINCE)
    vendor.inject(OBSERVATIONS, loopback.hang_up(), times=None)
    with pytest.raises(SourceUnavailableError) as caught:
        client.series("DGS2", since=SINCE)
    assert all(one.query["api_key"] == FRED_KEY for one in vendor.asked(FRED))
    error: BaseException | None = caught.value
    while error is not None:
        assert FRED_KEY not in f"{error} {error!r} {error.args}"
        error = error.__cause__ or error.__context__
    assert FRED_KEY not in caplog.text
    assert FRED_KEY not in f"{client!r} {vars(client)}"
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".answer" for path in kept)
    assert not any(FRED_KEY.encode() in path.read_bytes() for path in kept)
