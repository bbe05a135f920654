"""ApeWisdom's list of mentions against a server that gives it in pages, changes it meanwhile and fails on demand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from resources.left_out import LEFT_OUT
from resources.sources.live.source import LiveSource, build_live_source
from resources.vendors.apewisdom import ApeWisdomClient
from tests.resources.loopback import server as loopback
from tests.resources.loopback.event_shapes import APEWISDOM, LISTED, NOW
from tests.resources.loopback.server import FAST_HTTP, LoopbackVendor
from trading_dag.errors import EmptySourceError, SourceError, SourceFormatError, SourceUnavailableError
from trading_dag.quality.conformance import conform
from trading_dag.schemas import SOCIAL_MENTIONS

SECOND_PAGE = f"{APEWISDOM}2"


@pytest.fixture
def vendor() -> Iterator[LoopbackVendor]:
    with LoopbackVendor(sessions=30) as running:
        yield running


def client(vendor: LoopbackVendor, home: Path, **http: float) -> ApeWisdomClient:
    return ApeWisdomClient(vendor.settings(home, http=FAST_HTTP.model_copy(update=http)), clock=lambda: NOW)


def source(vendor: LoopbackVendor, home: Path, **http: float) -> LiveSource:
    return build_live_source(vendor.settings(home, http=FAST_HTTP.model_copy(update=http)), clock=lambda: NOW)


def test_every_page_is_read_and_every_ticker_comes_once(vendor: LoopbackVendor, tmp_path: Path) -> None:
    listed = client(vendor, tmp_path).mentions()
    assert list(listed.rows["rank"]) == list(range(1, LISTED + 1))
    assert not listed.rows["ticker"].duplicated().any()
    assert [one.path for one in vendor.requests] == [f"{APEWISDOM}{number}" for number in (1, 2, 3)]
    assert listed.known_at == NOW


def test_counts_come_as_numbers_whether_the_vendor_writes_numbers_or_text(
    vendor: LoopbackVendor, tmp_path: Path
) -> None:
    rows = client(vendor, tmp_path).mentions().rows.set_index("rank")
    assert isinstance(vendor.events.listed[0]["mentions"], str)
    assert isinstance(vendor.events.listed[1]["mentions"], int)
    assert list(rows.loc[[1, 2], "mentions"]) == [999.0, 998.0]
    assert rows.loc[200, "mentions_24h_ago"] == 700.0
    assert pd.isna(rows.loc[201, "mentions_24h_ago"])


def test_a_ticker_is_one_row_with_its_name_as_people_write_it(vendor: LoopbackVendor, tmp_path: Path) -> None:
    row = conform(source(vendor, tmp_path).social_mentions("SPY"), SOCIAL_MENTIONS, slice_key="SPY")
    assert row.to_dict("records") == [
        {
            "ticker": "SPY", "known_at": NOW, "rank": 3, "mentions": 997.0, "mentions_24h_ago": 897.0,
            "upvotes": 15.0, "name": "SPDR S&P 500 ETF Trust",
        }
    ]  # fmt: skip


def test_a_share_class_is_found_with_its_point(vendor: LoopbackVendor, tmp_path: Path) -> None:
    assert source(vendor, tmp_path).social_mentions("BRK.B")["rank"].iloc[0] == 105


def test_a_ticker_that_is_not_listed_has_no_mentions_and_no_rank(vendor: LoopbackVendor, tmp_path: Path) -> None:
    row = conform(source(vendor, tmp_path).social_mentions("IWM"), SOCIAL_MENTIONS, slice_key="IWM").iloc[0]
    assert row["mentions"] == 0.0
    assert pd.isna(row["rank"])
    assert pd.isna(row["mentions_24h_ago"])
    assert row["known_at"] == NOW


def test_a_ticker_whose_counts_cannot_be_read_is_not_one_without_mentions(
    vendor: LoopbackVendor, tmp_path: Path
) -> None:
    vendor.inject(APEWISDOM, loopback.renamed('"rank": 3,', '"rank": null,'), times=None)
    with pytest.raises(SourceFormatError, match="the place of SPY on the list cannot be read"):
        source(vendor, tmp_path).social_mentions("SPY")
    other = source(vendor, tmp_path).social_mentions("BRK.B")
    assert other["rank"].iloc[0] == 105
    assert source(vendor, tmp_path).social_mentions("IWM")["mentions"].iloc[0] == 0.0
    listed = client(vendor, tmp_path).mentions()
    assert len(listed.rows) == LISTED - 1
    assert listed.rows.attrs[LEFT_OUT].startswith(
        "1 tickers of the list were left out: field rank: expected a count, found 'None'"
    )


def test_a_place_without_a_ticker_may_be_anybodys(vendor: LoopbackVendor, tmp_path: Path) -> None:
    vendor.inject(APEWISDOM, loopback.renamed('"ticker": "T7"', '"ticker": null'), times=None)
    with pytest.raises(SourceFormatError, match="the place of IWM on the list cannot be read"):
        source(vendor, tmp_path).social_mentions("IWM")
    assert source(vendor, tmp_path).social_mentions("SPY")["rank"].iloc[0] == 3


def test_one_reading_serves_every_ticker_while_it_is_young(vendor: LoopbackVendor, tmp_path: Path) -> None:
    live = source(vendor, tmp_path, cache_seconds=60.0)
    for ticker in ("SPY", "QQQ", "IWM"):
        live.social_mentions(ticker)
    assert len(vendor.requests) == 3


@pytest.mark.parametrize("cache_seconds", [0.0, 60.0])
def test_a_list_that_changed_between_two_pages_is_read_again(
    vendor: LoopbackVendor, tmp_path: Path, cache_seconds: float
) -> None:
    """The hundredth ticker fell to the second page: it comes twice, and another one would be lost."""
    hundredth = vendor.events.listed[99]["ticker"]
    vendor.inject(SECOND_PAGE, loopback.renamed('"T101"', f'"{hundredth}"'))
    listed = client(vendor, tmp_path, cache_seconds=cache_seconds).mentions()
    assert len(vendor.requests) == 6
    assert {"T100", "T101"} <= set(listed.rows["ticker"])
    assert len(listed.rows) == LISTED


def test_a_list_that_grew_between_two_pages_is_read_again(vendor: LoopbackVendor, tmp_path: Path) -> None:
    vendor.inject(SECOND_PAGE, loopback.renamed('"count": 230', '"count": 231'))
    assert len(client(vendor, tmp_path).mentions().rows) == LISTED
    assert len(vendor.requests) == 5


def test_a_list_that_never_holds_still_is_an_error(vendor: LoopbackVendor, tmp_path: Path) -> None:
    vendor.inject(SECOND_PAGE, loopback.renamed('"T101"', '"T100"'), times=None)
    with pytest.raises(SourceUnavailableError, match="changed while it was read, 3 times"):
        client(vendor, tmp_path).mentions()


@pytest.mark.parametrize("fault", [loopback.too_many_requests("1"), loopback.server_error(502), loopback.hang_up()])
def test_a_passing_failure_loses_and_doubles_nothing(
    vendor: LoopbackVendor, tmp_path: Path, fault: loopback.Fault
) -> None:
    vendor.inject(SECOND_PAGE, fault)
    listed = client(vendor, tmp_path).mentions()
    assert list(listed.rows["rank"]) == list(range(1, LISTED + 1))
    assert len(vendor.asked(SECOND_PAGE)) == 2


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (loopback.too_many_requests(), SourceUnavailableError, "429"),
        (loopback.too_many_requests("7200"), SourceUnavailableError, "wait 7200 s"),
        (loopback.server_error(500), SourceUnavailableError, "500"),
        (loopback.slow(5.0), SourceUnavailableError, "no answer within"),
        (loopback.hang_up(), SourceUnavailableError, "broke off"),
        (loopback.truncated(), SourceFormatError, "no JSON"),
        (loopback.error_page(), SourceFormatError, "no JSON"),
        (loopback.empty(), EmptySourceError, "lists no ticker"),
        (loopback.Fault(status=403, body=loopback.PAGE), SourceUnavailableError, "403"),
        (loopback.Fault(status=404, body=loopback.PAGE), SourceUnavailableError, "404"),
        (loopback.Fault(body=b"[]"), SourceFormatError, "expected an object"),
        (loopback.renamed('"results"', '"data"'), SourceFormatError, "field results is missing"),
        (loopback.renamed('"pages": 3', '"pages": "3"'), SourceFormatError, "pages: expected integer"),
        (loopback.renamed('"pages": 3', '"pages": 3000'), SourceFormatError, "3000 pages"),
        (loopback.renamed('"mentions"', '"count"'), SourceFormatError, "field mentions is missing"),
        (loopback.renamed('"mentions": ', '"mentions": -'), SourceFormatError, "no JSON|expected a count"),
        (loopback.renamed('"rank": ', '"rank": 0.5, "x": '), SourceFormatError, "rank: expected a count, found '0.5'"),
        (loopback.renamed('"mentions": "', '"mentions": "many '), SourceFormatError, "'many"),
        (loopback.renamed('"ticker": "', '"ticker": 1, "x": "'), SourceFormatError, "ticker: expected text"),
    ],
    ids=["429", "429 for hours", "500", "time-out", "hang-up", "truncated", "page", "empty", "403", "404", "list",
         "no results", "text pages", "too many pages", "no mentions", "negative", "half rank", "words", "no text"],
)  # fmt: skip
@pytest.mark.parametrize("page", [APEWISDOM, f"{APEWISDOM}3"], ids=["every page", "last page"])
def test_a_lasting_failure_is_the_error_that_it_is_and_never_part_of_a_list(
    vendor: LoopbackVendor, tmp_path: Path, page: str, fault: loopback.Fault, error: type[SourceError], words: str
) -> None:
    vendor.inject(page, fault, times=None)
    with pytest.raises(error, match=words) as caught:
        client(vendor, tmp_path, timeout_seconds=0.2 if fault.delay_seconds else 20.0).mentions()
    assert caught.value.source == "apewisdom"
    assert APEWISDOM in caught.value.request
    assert caught.value.remedy
