"""Polygon, Tradier and Yahoo (by way of the real yfinance) against a server that speaks their formats and fails on
demand: the same chain from each, of the session that was asked for, or the error that it is."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from resources.http.parallel_fetch import fetch_each
from resources.left_out import LEFT_OUT
from resources.sources.live.chains import LiveChains
from resources.sources.live.source import LiveSource, build_live_source
from resources.vendors.chain_snapshot import WITHOUT_CONTRACTS
from resources.vendors.yahoo.bars import YahooClient
from tests.resources.loopback import server as loopback
from tests.resources.loopback.chain_shapes import (
    EXPIRATIONS,
    POLYGON,
    POLYGON_KEY,
    SPOT,
    STRIKES,
    TRADIER,
    TRADIER_TOKEN,
    UNKNOWN,
    YAHOO,
    Contract,
    chain_settings,
)
from tests.resources.loopback.server import FAST_HTTP, LoopbackVendor
from trading_dag.errors import (
    EmptySourceError,
    SourceError,
    SourceFormatError,
    SourceOffError,
    SourceUnavailableError,
    StaleSourceError,
    UnknownTickerError,
)
from trading_dag.options.chains.measures import measure_session
from trading_dag.quality.conformance import conform
from trading_dag.schemas import OPTION_CHAIN
from trading_dag.sessions import is_session, session_close, session_open, shift_sessions
from trading_dag.settings import Settings

ONE_DAY = pd.Timedelta(days=1)
VENDORS = ("polygon", "tradier", "yahoo")
KEYED = ("polygon", "tradier")
EXPIRATION_LIST, QUOTES, CHAINS = "options/expirations", "/quotes", "options/chains"
ENDPOINTS = [("polygon", POLYGON), ("tradier", EXPIRATION_LIST), ("tradier", QUOTES), ("tradier", CHAINS),
             ("yahoo", YAHOO), ("yahoo", "date=")]  # fmt: skip
KEY_OF = {"polygon": POLYGON_KEY, "tradier": TRADIER_TOKEN}


@pytest.fixture(scope="module")
def shared_vendor() -> Iterator[LoopbackVendor]:
    with LoopbackVendor(sessions=30, spare_sessions=5) as running:
        yield running


@pytest.fixture
def vendor(vendor: LoopbackVendor) -> Iterator[LoopbackVendor]:
    before = dict(vars(vendor.chains))
    yield vendor
    vars(vendor.chains).update(before)


def present(vendor: LoopbackVendor) -> pd.Timestamp:
    """Two hours after the close."""
    return session_close(vendor.chains.session) + pd.Timedelta(hours=2)


def settings_of(vendor: LoopbackVendor, home: Path, name: str, *, http: Any = None, **given: Any) -> Settings:
    changed = FAST_HTTP.model_copy(update=http or {})
    return chain_settings(vendor.settings(home, http=changed), vendor.url, name, **given)  # type: ignore[arg-type]


def source(vendor: LoopbackVendor, home: Path, name: str, **given: Any) -> LiveSource:
    return build_live_source(settings_of(vendor, home, name, **given), clock=lambda: present(vendor))


def chain_of(vendor: LoopbackVendor, home: Path, name: str, ticker: str = "SPY", **given: Any) -> pd.DataFrame:
    return source(vendor, home, name, **given).option_chain(ticker, session=vendor.chains.session)


def listed(vendor: LoopbackVendor, *, days: int = 100) -> dict[tuple[pd.Timestamp, str, float], Contract]:
    """The standard contracts of SPY within some days, by key."""
    last = vendor.chains.session + pd.Timedelta(days=days)
    return {
        (one.expiration, one.right, one.strike): one
        for one in vendor.chains.contracts("SPY")
        if one.expiration <= last and one.root == "SPY"
    }


def by_contract(rows: pd.DataFrame) -> dict[tuple[pd.Timestamp, str, float], Any]:
    return {(row.expiration, row.option_right, row.strike): row for row in rows.itertuples()}


@pytest.mark.parametrize("name", VENDORS)
def test_every_contract_within_the_period_comes_once_with_what_the_vendor_says(
    vendor: LoopbackVendor, tmp_path: Path, name: str
) -> None:
    rows = conform(chain_of(vendor, tmp_path, name), OPTION_CHAIN, slice_key="SPY")
    expected = listed(vendor)
    found = by_contract(rows)
    assert len(rows) == len(expected) == 7 * 25 * 2
    assert set(found) == set(expected)
    assert set(rows["quote_date"]) == {vendor.chains.session}
    assert set(rows["underlying_price"]) == {SPOT}
    for key, one in expected.items():
        row = found[key]
        assert (row.last, row.open_interest) == (one.last, one.open_interest)
        if name == "yahoo" and one.bid == one.ask == 0.0:
            assert np.isnan([row.bid, row.ask]).all()
        else:
            assert (row.bid, row.ask) == (one.bid, one.ask)
    assert rows.attrs == {"source": f"live:{name}"}


@pytest.mark.parametrize("name", VENDORS)
def test_crossed_quotes_are_kept_as_found_and_zero_ones_by_vendors_that_write_null_for_none(
    vendor: LoopbackVendor, tmp_path: Path, name: str
) -> None:
    found = by_contract(chain_of(vendor, tmp_path, name))
    week = vendor.chains.session + pd.Timedelta(days=7)
    assert found[week, "C", 600.0].bid > found[week, "C", 600.0].ask
    zero = found[week, "P", 540.0]
    assert (np.isnan([zero.bid, zero.ask]) if name == "yahoo" else np.array([zero.bid, zero.ask]) == 0.0).all()
    assert zero.last > 0.0


def changed_rows(change: Callable[[dict[str, Any]], None], *, only: Callable[[dict[str, Any]], bool]) -> loopback.Fault:
    """A fault that changes some contracts of an answer of any of the three vendors."""

    def apply(body: bytes) -> bytes:
        answer = json.loads(body)
        if "optionChain" in answer:
            sides = answer["optionChain"]["result"][0]["options"][0]
            rows = [*sides["calls"], *sides["puts"]]
        else:
            rows = answer["results"] if "results" in answer else answer["options"]["option"]
        for row in rows:
            if only(row):
                change(row)
        return json.dumps(answer).encode()

    return loopback.Fault(change=apply)


def test_yahoos_quotes_of_an_evening_are_missing_and_the_last_trades_count(
    vendor: LoopbackVendor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After hours bid and ask are 0 and the volatility is the placeholder, of every contract."""
    nothing = {"bid": 0.0, "ask": 0.0, "impliedVolatility": 1e-5}
    vendor.inject(YAHOO, changed_rows(lambda row: row.update(nothing), only=lambda row: True), times=None)
    rows = chain_of(vendor, tmp_path, "yahoo")
    assert len(rows) == 350
    assert rows[["bid", "ask", "implied_volatility"]].isna().all(axis=None)
    expected = listed(vendor)
    assert all(row.last == expected[key].last for key, row in by_contract(rows).items())
    assert "352 of 352 contracts" in caplog.text
    measured = measure_session(rows, rate=0.04)
    # 0.5 · √(days + 1) of time value at the money of 600: by 0.4 · S · σ · √T, 28 days are 4.05 %.
    assert np.nanmedian(measured.smile.atm_volatility) == pytest.approx(0.04, abs=0.005)


@pytest.mark.parametrize("name", ["tradier", "yahoo"])
@pytest.mark.parametrize("place", [0, 3])
def test_a_listed_expiration_without_contracts_is_named_and_loses_no_other(
    vendor: LoopbackVendor, tmp_path: Path, name: str, place: int, caplog: pytest.LogCaptureFixture
) -> None:
    day = vendor.chains.session + pd.Timedelta(days=EXPIRATIONS[place])
    if name == "tradier":
        endpoint, body = f"expiration={day:%Y-%m-%d}", b'{"options": null}'
        vendor.inject(endpoint, loopback.Fault(body=body), times=None)
    else:

        def without(body: bytes) -> bytes:
            answer = json.loads(body)
            result = answer["optionChain"]["result"][0]
            if result["options"][0]["expirationDate"] == int(day.timestamp()):
                result["options"] = []
            return json.dumps(answer).encode()

        vendor.inject(YAHOO, loopback.Fault(change=without), times=None)
    rows = chain_of(vendor, tmp_path, name)
    assert len(rows) == 300
    assert day not in set(rows["expiration"])
    assert rows.attrs[WITHOUT_CONTRACTS] == f"{day:%Y-%m-%d}"
    assert f"no contract of expirations that are listed: {day:%Y-%m-%d}" in caplog.text


def test_an_expiration_that_tradier_gives_later_is_found_by_asking_again(
    vendor: LoopbackVendor, tmp_path: Path
) -> None:
    vendor.inject(CHAINS, loopback.Fault(body=b'{"options": null}'))
    assert len(chain_of(vendor, tmp_path, "tradier", cache_seconds=600.0)) == 300
    again = chain_of(vendor, tmp_path, "tradier", cache_seconds=600.0)
    assert len(again) == 350
    assert WITHOUT_CONTRACTS not in again.attrs


NULLS = [
    ("tradier", CHAINS, {"volume": None, "bid_date": None, "ask_date": None, "bid": None, "ask": None, "last": None}),
    ("tradier", CHAINS, {"greeks": None, "open_interest": None}),
    ("polygon", POLYGON, {"last_quote": {"ask": 1.0}, "last_trade": {}, "day": {"close": 2.0}}),
    ("polygon", POLYGON, {"last_quote": None, "last_trade": None, "day": None, "implied_volatility": None}),
    ("polygon", POLYGON, {"underlying_asset": None, "open_interest": None, "last_trade": {"price": None}}),
    ("yahoo", YAHOO, {"bid": None, "ask": None, "volume": None, "openInterest": None, "impliedVolatility": None}),
]


@pytest.mark.parametrize(("name", "endpoint", "nulls"), NULLS)
def test_one_contracts_missing_fields_lose_no_chain(
    vendor: LoopbackVendor, tmp_path: Path, name: str, endpoint: str, nulls: dict[str, Any]
) -> None:
    week = vendor.chains.session + pd.Timedelta(days=7)
    name_of = f"SPY{week:%y%m%d}P00560000"
    fault = changed_rows(lambda row: row.update(nulls), only=lambda row: name_of in json.dumps(row))
    vendor.inject(endpoint, fault, times=None)
    found = by_contract(chain_of(vendor, tmp_path, name))
    assert set(found) == set(listed(vendor))
    changed, other = found[week, "P", 560.0], found[week, "P", 565.0]
    one = listed(vendor)[week, "P", 565.0]
    assert (other.bid, other.ask, other.volume, other.open_interest) == (
        one.bid,
        one.ask,
        one.volume,
        one.open_interest,
    )
    if "last_quote" in nulls or "bid" in nulls:
        assert np.isnan(changed.bid)
        assert np.isnan(changed.volume)
    else:
        assert np.isnan(changed.open_interest)


@pytest.mark.parametrize(
    ("name", "endpoint", "change"),
    [
        ("tradier", CHAINS, {"greeks": None}),
        ("tradier", CHAINS, {"greeks": {"mid_iv": 0.0}}),
        ("tradier", CHAINS, {"greeks": {"iv": 0.2}}),
        ("polygon", POLYGON, {"implied_volatility": None}),
        ("yahoo", YAHOO, {"impliedVolatility": None}),
    ],
)
def test_a_chain_without_volatilities_is_stored_and_it_is_said(
    vendor: LoopbackVendor,
    tmp_path: Path,
    name: str,
    endpoint: str,
    change: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Bid and ask are there, and the product fits its own; a chain can be had until the next open only."""
    vendor.inject(endpoint, changed_rows(lambda row: row.update(change), only=lambda row: True), times=None)
    rows = chain_of(vendor, tmp_path, name)
    assert len(rows) == 350
    assert rows["implied_volatility"].isna().all()
    assert rows["bid"].notna().sum() >= 348
    assert rows.attrs[LEFT_OUT].endswith("has implied_volatility")
    assert "has implied_volatility" in caplog.text


@pytest.mark.parametrize(
    ("name", "endpoint", "change", "column"),
    [
        ("tradier", CHAINS, {"open_interest": None}, "open_interest"),
        ("tradier", CHAINS, {"volume": None}, "volume"),
        ("polygon", POLYGON, {"open_interest": None}, "open_interest"),
    ],
)
def test_a_field_that_a_vendor_states_as_null_everywhere_is_null_and_said(
    vendor: LoopbackVendor, tmp_path: Path, name: str, endpoint: str, change: dict[str, Any], column: str
) -> None:
    vendor.inject(endpoint, changed_rows(lambda row: row.update(change), only=lambda row: True), times=None)
    rows = chain_of(vendor, tmp_path, name)
    assert len(rows) == 350
    assert rows[column].isna().all()
    assert f"has {column}" in rows.attrs[LEFT_OUT]


def test_null_is_no_further_page(vendor: LoopbackVendor, tmp_path: Path) -> None:
    vendor.chains.page_rows = 100

    def with_null(body: bytes) -> bytes:
        page = json.loads(body)
        return json.dumps({**page, "next_url": page.get("next_url")}).encode()

    vendor.inject(POLYGON, loopback.Fault(change=with_null), times=None)
    assert len(chain_of(vendor, tmp_path, "polygon")) == 350
    assert len(vendor.asked(POLYGON)) == 4


BAD_CONTRACTS = [
    ("tradier", CHAINS, {"strike": "x"}, "field strike: expected number, found 'x'"),
    ("tradier", CHAINS, {"expiration_date": "9999-99-99"}, "field expiration_date: expected date"),
    ("tradier", CHAINS, {"bid": True}, "field bid: expected number or null, found True"),
    ("tradier", CHAINS, {"greeks": "none"}, "greeks is no object"),
    ("tradier", CHAINS, {"symbol": None}, "field symbol: expected text, found None"),
    ("polygon", POLYGON, {"details": None}, "field details is missing or no object"),
    ("polygon", POLYGON, {"last_quote": {"bid": "1"}}, "last_quote: field bid: expected number or null, found '1'"),
    ("polygon", POLYGON, {"open_interest": 10**400}, "the contract: field open_interest: expected number or null"),
    ("polygon", POLYGON, {"day": []}, "field day is no object"),
    ("yahoo", YAHOO, {"strike": None}, "strike is missing or no number"),
    ("yahoo", YAHOO, {"bid": "1.0"}, "bid is no number"),
    ("yahoo", YAHOO, {"contractSymbol": 7}, "contractSymbol is missing or no text"),
]


@pytest.mark.parametrize(("name", "endpoint", "change", "words"), BAD_CONTRACTS)
def test_a_contract_that_cannot_be_read_costs_no_other_and_is_counted_with_its_reason_and_place(
    vendor: LoopbackVendor, tmp_path: Path, name: str, endpoint: str, change: dict[str, Any], words: str
) -> None:
    week = vendor.chains.session + pd.Timedelta(days=7)
    name_of = f"SPY{week:%y%m%d}P00560000"
    fault = changed_rows(lambda row: row.update(change), only=lambda row: name_of in json.dumps(row))
    vendor.inject(endpoint, fault, times=None)
    rows = chain_of(vendor, tmp_path, name)
    assert set(by_contract(rows)) == set(listed(vendor)) - {(week, "P", 560.0)}
    assert rows.attrs[LEFT_OUT].startswith("1 contracts")
    assert words in rows.attrs[LEFT_OUT]
    assert "first: " in rows.attrs[LEFT_OUT]


def test_the_price_of_polygons_index_is_its_value(vendor: LoopbackVendor, tmp_path: Path) -> None:
    def as_index(row: dict[str, Any]) -> None:
        row["underlying_asset"]["value"] = row["underlying_asset"].pop("price")

    vendor.inject(POLYGON, changed_rows(as_index, only=lambda row: True), times=None)
    assert set(chain_of(vendor, tmp_path, "polygon", "SPX")["underlying_price"]) == {SPOT}


@pytest.mark.parametrize("name", VENDORS)
def test_contracts_of_an_adjusted_root_are_not_the_tickers_and_it_is_said(
    vendor: LoopbackVendor, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = chain_of(vendor, tmp_path, name)
    assert not ((rows["bid"] == 1.0) & (rows["ask"] == 9.0)).any()
    assert "root SPY1 2" in caplog.text


@pytest.mark.parametrize("name", VENDORS)
def test_closing_settled_twins_of_an_index_are_kept_apart(vendor: LoopbackVendor, tmp_path: Path, name: str) -> None:
    """The invented contracts of SPX have the root SPX; the same under SPXW stand apart only on third Fridays."""
    ahead = pd.date_range(vendor.chains.session, periods=29)
    days = tuple(number for number, day in enumerate(ahead) if day.day_of_week <= 4)
    vendor.chains.days = days
    rows = chain_of(vendor, tmp_path, name, "SPX")
    assert rows["expiration"].nunique() == len(days)
    vendor.inject(YAHOO, loopback.Fault(change=lambda body: body.replace(b'"SPX2', b'"SPXW2')), times=None)
    vendor.inject(CHAINS, loopback.Fault(change=lambda body: body.replace(b'"SPX2', b'"SPXW2')), times=None)
    vendor.inject(POLYGON, loopback.Fault(change=lambda body: body.replace(b"O:SPX2", b"O:SPXW2")), times=None)
    weeklies = chain_of(vendor, tmp_path, name, "SPX")
    missing = sorted(set(rows["expiration"]) - set(weeklies["expiration"]))
    fridays = [day for day in ahead if day.day_of_week == 4 and 15 <= day.day <= 21]
    assert fridays
    # Monthly options of a Friday without a session expire the day before.
    assert missing == [day if is_session(pd.DatetimeIndex([day])).iloc[0] else day - ONE_DAY for day in fridays]


@pytest.mark.parametrize("name", VENDORS)
def test_only_expirations_within_the_days_of_the_settings_are_asked_for(
    vendor: LoopbackVendor, tmp_path: Path, name: str
) -> None:
    rows = chain_of(vendor, tmp_path, name, days=14)
    assert set(rows["expiration"]) == {vendor.chains.session + pd.Timedelta(days=day) for day in (0, 1, 7, 14)}
    more = chain_of(vendor, tmp_path, name, days=130)
    assert more["expiration"].nunique() == len(EXPIRATIONS)


def test_polygon_counts_the_volume_of_an_earlier_day_as_none(vendor: LoopbackVendor, tmp_path: Path) -> None:
    rows = chain_of(vendor, tmp_path, "polygon")
    expected = listed(vendor)
    for key, row in by_contract(rows).items():
        assert row.volume == (0.0 if row.strike == STRIKES[0] else expected[key].volume)


@pytest.mark.parametrize("name", ["tradier", "yahoo"])
def test_volumes_are_the_sessions_and_missing_where_the_vendor_says_none(
    vendor: LoopbackVendor, tmp_path: Path, name: str
) -> None:
    expected = listed(vendor)
    for key, row in by_contract(chain_of(vendor, tmp_path, name)).items():
        if name == "yahoo" and row.strike == STRIKES[1]:
            assert np.isnan(row.volume)
        else:
            assert row.volume == expected[key].volume


@pytest.mark.parametrize("name", VENDORS)
def test_volatilities_are_fractions_and_the_placeholder_is_null(
    vendor: LoopbackVendor, tmp_path: Path, name: str
) -> None:
    expected = listed(vendor)
    for key, row in by_contract(chain_of(vendor, tmp_path, name)).items():
        if name == "yahoo" and expected[key].bid == 0.0:
            assert np.isnan(row.implied_volatility)
        else:
            assert row.implied_volatility == expected[key].volatility


def test_polygon_reads_every_page_and_sends_the_key_to_its_own_address_only(
    vendor: LoopbackVendor, tmp_path: Path
) -> None:
    vendor.chains.page_rows = 40
    rows = chain_of(vendor, tmp_path, "polygon")
    assert len(rows) == 350
    # 350 standard and 2 adjusted contracts. The links lead to api.polygon.io; asked was here.
    assert len(vendor.asked(POLYGON)) == 9
    assert vendor.asked(POLYGON)[0].query["limit"] == "250"


@pytest.mark.parametrize("name", VENDORS)
def test_a_share_class_and_a_list_of_one_are_read(vendor: LoopbackVendor, tmp_path: Path, name: str) -> None:
    """With one expiration Tradier gives a date where otherwise there is a list of dates."""
    vendor.chains.days = (7,)
    rows = chain_of(vendor, tmp_path, name, "BRK.B")
    assert len(rows) == 50
    assert set(rows["ticker"]) == {"BRK.B"}
    written = {"polygon": "BRK.B", "tradier": "BRK/B", "yahoo": "BRK-B"}[name]
    assert vendor.asked(written)


def test_tradiers_list_of_one_contract_is_read(vendor: LoopbackVendor, tmp_path: Path) -> None:
    vendor.chains.days = (7,)

    def only_first(body: bytes) -> bytes:
        return json.dumps({"options": {"option": json.loads(body)["options"]["option"][0]}}).encode()

    vendor.inject(CHAINS, loopback.Fault(change=only_first))
    rows = chain_of(vendor, tmp_path, "tradier")
    assert list(rows["strike"]) == [STRIKES[0]]


def test_pages_that_go_in_a_circle_are_an_error(vendor: LoopbackVendor, tmp_path: Path) -> None:
    vendor.chains.page_rows = 100
    vendor.chains.page_loops = True
    with pytest.raises(SourceFormatError, match="circle"):
        chain_of(vendor, tmp_path, "polygon")
    assert len(vendor.asked(POLYGON)) == 2


def test_a_link_to_another_path_is_not_followed(vendor: LoopbackVendor, tmp_path: Path) -> None:
    vendor.chains.page_rows = 100
    vendor.inject(POLYGON, loopback.renamed("api.polygon.io/v3/snapshot", "elsewhere.test/collect"))
    with pytest.raises(SourceFormatError, match="next_url leads to '/collect"):
        chain_of(vendor, tmp_path, "polygon")
    assert len(vendor.requests) == 1


def test_a_plan_without_quotes_gives_last_prices_and_says_so(
    vendor: LoopbackVendor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    vendor.chains.has_quotes = False
    rows = conform(chain_of(vendor, tmp_path, "polygon"), OPTION_CHAIN, slice_key="SPY")
    assert rows[["bid", "ask", "underlying_price"]].isna().all(axis=None)
    assert (rows["last"] > 0).all()
    assert "plan has no quotes" in caplog.text


@pytest.mark.parametrize("name", VENDORS)
def test_a_chain_is_asked_for_the_last_closed_session_only(vendor: LoopbackVendor, tmp_path: Path, name: str) -> None:
    live = source(vendor, tmp_path, name)
    for steps in (-1, 1):
        other = shift_sessions(pd.DatetimeIndex([vendor.chains.session]), steps)[0]
        with pytest.raises(StaleSourceError, match="a snapshot shows the last closed session") as caught:
            live.option_chain("SPY", session=other)
        assert f"{vendor.chains.session:%Y-%m-%d}" in str(caught.value)
    assert vendor.requests == []


@pytest.mark.parametrize("name", VENDORS)
def test_a_chain_is_asked_for_between_the_late_prints_and_the_next_open_only(
    vendor: LoopbackVendor, tmp_path: Path, name: str
) -> None:
    session = vendor.chains.session
    opens = session_open(shift_sessions(pd.DatetimeIndex([session]), 1)[0])
    minute = pd.Timedelta(minutes=1)
    settings = settings_of(vendor, tmp_path, name)
    for moment, is_in_time in (
        (session_close(session) + 29 * minute, False),
        (session_close(session) + 30 * minute, True),
        (opens - minute, True),
        (opens, False),
    ):
        live = build_live_source(settings, clock=lambda now=moment: now)  # type: ignore[misc]
        if is_in_time:
            assert len(live.option_chain("SPY", session=session)) == 350
        else:
            with pytest.raises(StaleSourceError, match="not those of the close"):
                live.option_chain("SPY", session=session)


@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize("minutes", [16.0, 60.0 * 24, 60.0 * 24 * 30])
def test_quotes_older_than_the_close_are_stale(
    vendor: LoopbackVendor, tmp_path: Path, name: str, minutes: float
) -> None:
    vendor.chains.minutes_late = minutes
    with pytest.raises(StaleSourceError, match="the session closed at"):
        chain_of(vendor, tmp_path, name)


@pytest.mark.parametrize("name", VENDORS)
def test_quotes_as_late_as_a_free_plan_gives_them_are_taken(vendor: LoopbackVendor, tmp_path: Path, name: str) -> None:
    vendor.chains.minutes_late = 15.0
    assert len(chain_of(vendor, tmp_path, name)) == 350


def test_a_plan_without_quotes_whose_days_are_old_is_stale(vendor: LoopbackVendor, tmp_path: Path) -> None:
    vendor.chains.has_quotes = False
    vendor.inject(POLYGON, loopback.Fault(change=_with_days_before), times=None)
    with pytest.raises(StaleSourceError, match="newest trades are of"):
        chain_of(vendor, tmp_path, "polygon")


def _with_days_before(body: bytes) -> bytes:
    page = json.loads(body)
    for row in page["results"]:
        row["day"]["last_updated"] -= 86_400 * 10**9
    return json.dumps(page).encode()


@pytest.mark.parametrize("name", KEYED)
def test_a_single_quote_from_before_the_session_is_missing(
    vendor: LoopbackVendor, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    at = vendor.chains.quoted_at
    old = at - pd.Timedelta(days=3)
    if name == "polygon":
        one, other = f'"last_updated": {at.as_unit("ns").value}', f'"last_updated": {old.as_unit("ns").value}'
        vendor.inject(POLYGON, loopback.Fault(change=lambda body: body.replace(one.encode(), other.encode(), 1)))
    else:
        pairs = [(f'"{side}_date": {int(at.timestamp() * 1000)}', f'"{side}_date": {int(old.timestamp() * 1000)}')
                 for side in ("bid", "ask")]  # fmt: skip

        def change(body: bytes) -> bytes:
            for new, before in pairs:
                body = body.replace(new.encode(), before.encode(), 1)
            return body

        vendor.inject(CHAINS, loopback.Fault(change=change))
    rows = chain_of(vendor, tmp_path, name)
    assert rows["bid"].isna().sum() == rows["ask"].isna().sum() == 1
    assert "1 quotes" in caplog.text


FAULTS = [
    (loopback.too_many_requests(), SourceUnavailableError, "429|too many"),
    (loopback.too_many_requests("7200"), SourceUnavailableError, "wait 7200 s"),
    (loopback.server_error(500), SourceUnavailableError, "500"),
    (loopback.slow(5.0), SourceUnavailableError, "no answer within"),
    (loopback.hang_up(), SourceUnavailableError, "broke off|no connection"),
    (loopback.truncated(), SourceFormatError, "no JSON"),
    (loopback.error_page(), SourceFormatError, "no JSON"),
    (loopback.Fault(body=b"[]"), SourceFormatError, "expected an object|is missing"),
    (loopback.Fault(body=b"{}"), SourceFormatError, "is missing"),
]
FAULT_NAMES = ["429", "429 for hours", "500", "time-out", "hang-up", "truncated", "page", "list", "nothing"]


@pytest.mark.parametrize(("name", "endpoint"), ENDPOINTS)
@pytest.mark.parametrize(("fault", "error", "words"), FAULTS, ids=FAULT_NAMES)
def test_a_lasting_failure_is_the_error_that_it_is_and_never_fewer_rows(
    vendor: LoopbackVendor,
    tmp_path: Path,
    name: str,
    endpoint: str,
    fault: loopback.Fault,
    error: type[SourceError],
    words: str,
) -> None:
    vendor.inject(endpoint, fault, times=None)
    with pytest.raises(error, match=words) as caught:
        chain_of(vendor, tmp_path, name, http={"timeout_seconds": 0.2} if fault.delay_seconds else None)
    assert caught.value.source == name
    assert caught.value.remedy
    assert KEY_OF.get(name, "crumb=") not in str(caught.value)


@pytest.mark.parametrize(("name", "endpoint"), ENDPOINTS)
@pytest.mark.parametrize("fault", [loopback.too_many_requests("1"), loopback.server_error(503), loopback.hang_up()])
def test_a_passing_failure_costs_no_contract(
    vendor: LoopbackVendor, tmp_path: Path, name: str, endpoint: str, fault: loopback.Fault
) -> None:
    vendor.inject(endpoint, fault)
    assert len(chain_of(vendor, tmp_path, name)) == 350


@pytest.mark.parametrize(("name", "endpoint"), [one for one in ENDPOINTS if one[1] not in (QUOTES, "date=")])
def test_no_contracts_at_all_is_an_error(vendor: LoopbackVendor, tmp_path: Path, name: str, endpoint: str) -> None:
    vendor.inject(endpoint, loopback.empty(), times=None)
    with pytest.raises(EmptySourceError):
        chain_of(vendor, tmp_path, name)


@pytest.mark.parametrize("name", VENDORS)
def test_an_unknown_underlying_is_an_error(vendor: LoopbackVendor, tmp_path: Path, name: str) -> None:
    with pytest.raises(EmptySourceError):
        chain_of(vendor, tmp_path, name, UNKNOWN)
    with pytest.raises(UnknownTickerError):
        chain_of(vendor, tmp_path, name, "../x")


@pytest.mark.parametrize("name", KEYED)
@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_said_with_the_variable_to_set(
    vendor: LoopbackVendor, tmp_path: Path, name: str, status: int
) -> None:
    body = b'{"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data."}'
    vendor.inject(f"/v{3 if name == 'polygon' else 1}/", loopback.Fault(status=status, body=body), times=None)
    with pytest.raises(SourceOffError, match="You are not entitled") as caught:
        chain_of(vendor, tmp_path, name)
    assert ("POLYGON_API_KEY" if name == "polygon" else "TRADIER_TOKEN") in caught.value.remedy
    assert len(vendor.requests) == 1


def test_one_refusal_makes_yfinance_take_another_crumb(vendor: LoopbackVendor, tmp_path: Path) -> None:
    vendor.inject("date=", loopback.Fault(status=401, body=b"{}"))
    assert len(chain_of(vendor, tmp_path, "yahoo")) == 350


@pytest.mark.parametrize("status", [401, 403])
def test_yahoos_refusal_is_an_error(vendor: LoopbackVendor, tmp_path: Path, status: int) -> None:
    vendor.inject(YAHOO, loopback.Fault(status=status, body=b"{}"), times=None)
    with pytest.raises(SourceUnavailableError, match="refuses"):
        chain_of(vendor, tmp_path, "yahoo")


DRIFTS = [
    ("polygon", POLYGON, '"results"', '"rows"', "field results is missing"),
    ("polygon", POLYGON, '"details"', '"contract"', "field details is missing"),
    ("polygon", POLYGON, '"strike_price"', '"strike"', "strike_price is missing"),
    ("polygon", POLYGON, '"expiration_date": "2', '"expiration_date": "x', "expected date"),
    ("polygon", POLYGON, '"bid":', '"bid_price":', "field bid is missing"),
    ("polygon", POLYGON, '"open_interest"', '"oi"', "none of 352 contracts has open_interest"),
    ("polygon", POLYGON, '"day"', '"session"', "field day is missing"),
    ("polygon", POLYGON, '"volume"', '"vol"', "field volume is missing"),
    ("tradier", EXPIRATION_LIST, '"date"', '"day"', "expirations.date is missing"),
    ("tradier", EXPIRATION_LIST, '"20', '"x0', "expected date"),
    ("tradier", QUOTES, '"close"', '"official"', "field close is missing"),
    ("tradier", CHAINS, '"option":', '"contract":', "options.option is missing"),
    ("tradier", CHAINS, '"bid":', '"b":', "field bid is missing"),
    ("tradier", CHAINS, '"bid_date"', '"bid_time"', "bid_date is missing"),
    ("tradier", CHAINS, '"strike": ', '"strike": "x", "other": ', "strike: expected number"),
    ("yahoo", YAHOO, '"optionChain"', '"chain"', "optionChain"),
    ("yahoo", YAHOO, '"expirationDates"', '"dates"', "expirationDates"),
    ("yahoo", YAHOO, '"contractSymbol"', '"id"', "contractSymbol"),
    ("yahoo", YAHOO, '"underlyingSymbol": "SPY"', '"underlyingSymbol": "SPX"', "about SPX"),
    ("yahoo", YAHOO, '"regularMarketTime"', '"time"', "regularMarketTime"),
    ("yahoo", YAHOO, '"bid":', '"b":', "none of 352 contracts has bid"),
    ("yahoo", YAHOO, '"openInterest":', '"oi":', "has open_interest"),
    ("yahoo", YAHOO, '"ask": ', '"ask": "x", "other": ', "ask is no number"),
    ("yahoo", "date=", '"expiration": ', '"expiration": 1', "expires at 1"),
]


@pytest.mark.parametrize(("name", "endpoint", "old", "new", "words"), DRIFTS)
def test_a_changed_shape_is_named_and_never_a_chain_of_nulls(
    vendor: LoopbackVendor, tmp_path: Path, name: str, endpoint: str, old: str, new: str, words: str
) -> None:
    vendor.inject(endpoint, loopback.renamed(old, new), times=None)
    with pytest.raises(SourceFormatError, match=words):
        chain_of(vendor, tmp_path, name)
    kept = [path for path in (tmp_path / ".cache").rglob("*.answer") if path.is_file()]
    assert kept == []


@pytest.mark.parametrize("name", VENDORS)
def test_a_broken_answer_is_not_kept(vendor: LoopbackVendor, tmp_path: Path, name: str) -> None:
    endpoint = CHAINS if name == "tradier" else {"polygon": POLYGON, "yahoo": YAHOO}[name]
    vendor.inject(endpoint, loopback.renamed('"strike', '"x'))
    with pytest.raises(SourceFormatError):
        chain_of(vendor, tmp_path, name, cache_seconds=600.0)
    assert len(chain_of(vendor, tmp_path, name, cache_seconds=600.0)) == 350


@pytest.mark.parametrize("name", VENDORS)
def test_a_fetch_that_was_broken_off_goes_on_where_it_was(vendor: LoopbackVendor, tmp_path: Path, name: str) -> None:
    vendor.chains.page_rows = 50
    whole = chain_of(vendor, tmp_path / "other", name)
    answers = len([one for one in vendor.requests if one.path.startswith((POLYGON, TRADIER, YAHOO))])
    assert answers == {"polygon": 8, "tradier": 9, "yahoo": 8}[name]
    vendor.requests.clear()
    # The fifth answer is no longer given.
    vendor.inject("", loopback.Fault(), times=len(vendor.requests) + (4 if name != "yahoo" else 6))
    vendor.inject("", loopback.server_error(), times=None)
    with pytest.raises(SourceUnavailableError):
        chain_of(vendor, tmp_path, name, cache_seconds=3600.0)
    vendor.heal()
    kept = len(list((tmp_path / ".cache" / "http").rglob("*.answer")))
    assert 1 <= kept < answers
    vendor.requests.clear()
    again = chain_of(vendor, tmp_path, name, cache_seconds=3600.0)
    asked = [one for one in vendor.requests if one.path.startswith((POLYGON, TRADIER, YAHOO))]
    assert len(asked) == answers - kept
    pd.testing.assert_frame_equal(again, whole)


@pytest.mark.parametrize("name", VENDORS)
def test_the_answers_of_one_session_do_not_serve_the_next(tmp_path: Path, name: str) -> None:
    with LoopbackVendor(sessions=30, spare_sessions=5) as own:
        first = chain_of(own, tmp_path, name, cache_seconds=864_000.0)
        own.advance_one_session()
        second = chain_of(own, tmp_path, name, cache_seconds=864_000.0)
        assert set(second["quote_date"]) == {own.chains.session}
        assert set(second["quote_date"]).isdisjoint(first["quote_date"])
        assert second["expiration"].min() == own.chains.session


@pytest.mark.parametrize("name", VENDORS)
def test_requests_keep_the_rate_of_the_plan(vendor: LoopbackVendor, tmp_path: Path, name: str) -> None:
    """Yahoo's cookies and crumbs too: charts and chains share one rate."""
    vendor.chains.page_rows = 50
    chain_of(vendor, tmp_path, name, requests_per_second=10.0, http={"requests_per_second": 10.0})
    moments = [one.at for one in vendor.requests]
    assert len(moments) >= 8
    assert moments[-1] - moments[0] >= (len(moments) - 1) * 0.1 - 0.05


def test_the_free_tier_of_polygon_is_the_default() -> None:
    assert Settings(_env_file=None).polygon_requests_per_minute == 5.0


@pytest.mark.parametrize("name", KEYED)
def test_the_key_is_sent_in_a_header_and_appears_nowhere_else(
    vendor: LoopbackVendor, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key = KEY_OF[name]
    vendor.chains.page_rows = 100
    vendor.chains.writes_key_into_links = True
    live = source(vendor, tmp_path, name, cache_seconds=3600.0)
    rows = live.option_chain("SPY", session=vendor.chains.session)
    assert len(rows) == 350
    echo = f'{{"error": "{key} may not"}}'.encode()
    vendor.inject("/v", loopback.Fault(status=403, body=echo), times=None)
    with pytest.raises(SourceOffError, match=r"\*\*\* may not") as caught:
        live.option_chain("QQQ", session=vendor.chains.session)
    error: BaseException | None = caught.value
    while error is not None:
        assert key not in f"{error} {error!r} {error.args}"
        error = error.__cause__ or error.__context__
    assert all(key not in f"{one.path} {one.query}" for one in vendor.requests)
    assert key not in caplog.text
    assert key not in f"{live.describe()} {live!r} {vars(live)} {rows.attrs}"
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".answer" for path in kept)
    assert not any(key.encode() in path.read_bytes() or key in path.name for path in kept)


@pytest.mark.parametrize("name", KEYED)
def test_without_its_key_a_vendor_is_not_asked_and_nobody_takes_its_place(
    vendor: LoopbackVendor, tmp_path: Path, name: str
) -> None:
    settings = settings_of(vendor, tmp_path, name).model_copy(update={"polygon_api_key": None, "tradier_token": None})
    live = build_live_source(settings, clock=lambda: present(vendor))
    rows = live.option_chain("SPY", session=vendor.chains.session)
    variable = "POLYGON_API_KEY" if name == "polygon" else "TRADIER_TOKEN"
    assert rows.empty
    assert variable in rows.attrs["source_off"]
    status = next(one for one in live.describe() if one.kind == "option_chain")
    assert status.state == "missing"
    assert variable in status.remedy
    assert vendor.requests == []


def test_a_key_alone_does_not_change_who_is_asked(vendor: LoopbackVendor, tmp_path: Path) -> None:
    default = Settings(_env_file=None).chain_vendor
    assert default == "yahoo"
    rows = chain_of(vendor, tmp_path, default)
    assert rows.attrs["source"] == "live:yahoo"
    assert vendor.asked(POLYGON) == vendor.asked(TRADIER) == []


def test_chains_can_be_switched_off_and_comp_has_none(vendor: LoopbackVendor, tmp_path: Path) -> None:
    off = chain_of(vendor, tmp_path, "none")
    assert "TRADING_DAG_CHAIN_VENDOR" in off.attrs["source_off"]
    none = chain_of(vendor, tmp_path, "yahoo", "COMP")
    assert none.attrs["source_off"] == "no options are listed on COMP"
    assert list(none.columns) == list(OPTION_CHAIN.column_names)
    assert vendor.requests == []


TICKERS = [f"T{number}" for number in range(40)]


def chains_client(vendor: LoopbackVendor, home: Path, **given: Any) -> LiveChains:
    settings = settings_of(vendor, home, "polygon", **given)
    return LiveChains(settings, YahooClient(settings), clock=lambda: present(vendor), source="live")


def test_many_tickers_with_faults_come_whole_once_each_and_within_the_limit(
    vendor: LoopbackVendor, tmp_path: Path
) -> None:
    vendor.chains.days = (7,)
    faults = (loopback.too_many_requests("1"), loopback.server_error(503), loopback.hang_up(), loopback.slow(60.0))
    for ticker, fault in zip(TICKERS[::10], faults, strict=True):
        vendor.inject(f"{POLYGON}{ticker}?", fault)
    received: list[tuple[str, int]] = []
    told = []
    client = chains_client(vendor, tmp_path, requests_per_second=40.0, http={"timeout_seconds": 4.0})
    failed = fetch_each(
        TICKERS,
        lambda ticker: client.option_chain(ticker, session=vendor.chains.session),
        workers=8,
        receive=lambda ticker, rows: received.append((ticker, len(rows))),
        progress=told.append,
    )
    assert failed == {}
    assert sorted(received) == sorted((ticker, 50) for ticker in TICKERS)
    assert [one.done for one in told] == list(range(1, 41))
    assert (told[-1].total, told[-1].failed) == (40, 0)
    assert len(vendor.requests) == len(TICKERS) + len(faults)
    moments = sorted(one.at for one in vendor.requests)
    assert moments[-1] - moments[0] >= (len(moments) - 1) / 40.0 - 0.05
    # On the server's side, in any period: five requests and no sixth.
    assert min(np.subtract(moments[5:], moments[:-5])) >= 5 / 40.0 - 1e-3


def test_a_ticker_that_fails_does_not_hold_up_the_others_and_is_named(vendor: LoopbackVendor, tmp_path: Path) -> None:
    vendor.chains.days = (7,)
    vendor.inject(f"{POLYGON}T3?", loopback.truncated(), times=None)
    received: list[str] = []
    client = chains_client(vendor, tmp_path)
    failed = fetch_each(
        TICKERS[:8],
        lambda ticker: client.option_chain(ticker, session=vendor.chains.session),
        workers=8,
        receive=lambda ticker, _: received.append(ticker),
    )
    assert set(failed) == {"T3"}
    assert isinstance(failed["T3"], SourceFormatError)
    assert sorted(received) == ["T0", "T1", "T2", "T4", "T5", "T6", "T7"]


FETCH = """
import sys
from pathlib import Path
import pandas as pd
from resources.sources.live.chains import LiveChains
from resources.http.parallel_fetch import fetch_each
from resources.vendors.yahoo.bars import YahooClient
from tests.resources.loopback.chain_shapes import chain_settings
from trading_dag.settings import Settings
home, url, now, session, *tickers = sys.argv[1:]
settings = chain_settings(
    Settings(_env_file=None, home=Path(home)), url, "polygon", requests_per_second=10.0, cache_seconds=3600.0
)
chains = LiveChains(settings, YahooClient(settings), clock=lambda: pd.Timestamp(now), source="live")
session = pd.Timestamp(session)
fetch_each(tickers, lambda ticker: chains.option_chain(ticker, session=session), workers=8, receive=lambda *_: None)
"""


def test_a_fetch_that_was_killed_goes_on_from_the_answers_that_were_kept(
    vendor: LoopbackVendor, tmp_path: Path
) -> None:
    vendor.chains.days = (7,)
    command = [sys.executable, "-c", FETCH, str(tmp_path), vendor.url, present(vendor).isoformat(),
               vendor.chains.session.isoformat(), *TICKERS]  # fmt: skip
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen(command, cwd=root, env={**os.environ, "PYTHONPATH": str(root)})
    kept = tmp_path / ".cache" / "http" / "polygon"
    while len(list(kept.glob("*.answer"))) < 5:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    found = len(list(kept.glob("*.answer")))
    assert 5 <= found < len(TICKERS)
    vendor.wait_until_all_have_left()
    vendor.requests.clear()
    received: list[tuple[str, int]] = []
    client = chains_client(vendor, tmp_path, cache_seconds=3600.0)
    failed = fetch_each(
        TICKERS,
        lambda ticker: client.option_chain(ticker, session=vendor.chains.session),
        workers=8,
        receive=lambda ticker, rows: received.append((ticker, len(rows))),
    )
    assert failed == {}
    assert sorted(received) == sorted((ticker, 50) for ticker in TICKERS)
    assert len(vendor.requests) == len(TICKERS) - found
