"""Chains of earlier sessions from daily bars: a vendor on 127.0.0.1 lists contracts by date and gives their bars."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from assets.jobs import OPTION_CHAIN_JOB, build_jobs
from assets.option_chain import build_option_chain
from assets.partitions import Partitions
from assets.run.chain_fetch import ChainFetch
from assets.run.chain_history import CONTRACTS, LISTS, RequestsLeft, fetch_history, wanted_history
from resources.chains.store import ChainStore
from resources.deployment import deployed_resources
from resources.io_managers.chains import StoredChain
from resources.left_out import LEFT_OUT
from resources.raw_frames import raw_frame
from resources.sources.live.source import build_live_source
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.conftest import Workspace
from tests.resources.loopback import chain_history_shape as shape
from tests.resources.loopback import server as loopback
from tests.resources.loopback.chain_shapes import POLYGON_KEY, chain_settings
from tests.resources.loopback.server import FAST_HTTP, LoopbackVendor
from trading_dag.errors import ConfigurationError, SourceMismatchError, SourceOffError
from trading_dag.options.chains.measures import measure_session
from trading_dag.schemas import PRICES_DAILY
from trading_dag.sessions import sessions_between
from trading_dag.settings import Settings

FIRST, LAST = pd.Timestamp("2026-03-02"), pd.Timestamp("2026-03-06")
NOW = pd.Timestamp("2026-11-30 17:00", tz="UTC")
# Five sessions, as the calendar has them.
KEYS = [f"2026-03-0{day}|SPY" for day in (2, 3, 4, 5, 6)]


@pytest.fixture
def vendor() -> Iterator[LoopbackVendor]:
    with LoopbackVendor(sessions=30, spare_sessions=5) as running:
        yield running


def settings_of(vendor: LoopbackVendor, home: Path, *, http: Any = None, **given: Any) -> Settings:
    return chain_settings(
        vendor.settings(home, http=FAST_HTTP.model_copy(update=http or {})), vendor.url, "polygon", **given
    )


def store_prices(home: Path, *, split: float = 1.0, without: str | None = None, wrong_by: float = 1.0) -> None:
    """Closes of the sessions; after them the share is split, and the stored ones are adjusted for it."""
    sessions = sessions_between("2026-02-23", "2026-03-20")
    close = np.array([shape.close_of(day) for day in sessions]) / np.where(sessions < "2026-03-16", split, 1.0)
    close *= wrong_by
    frame = pd.DataFrame(
        {
            "ticker": "SPY", "session": sessions, "open": close, "high": close, "low": close, "close": close,
            "adj_close": close, "volume": 1e6, "dividend": 0.0,
            "split_factor": np.where(sessions == "2026-03-16", split, 1.0),
        }
    )  # fmt: skip
    prices = raw_frame(frame[frame["session"] != without], PRICES_DAILY, source="live")
    store = ParquetStore(home)
    store.put(store.prepare(PRICES_DAILY, SliceKey("SPY"), prices, source="live"))


def build_chain_job(settings: Settings, resources: dict[str, object]) -> dg.Definitions:
    """The one asset and job that a fetch runs, of all that ``build_definitions`` makes."""
    return dg.Definitions(
        assets=[build_option_chain(Partitions.active(settings))],
        jobs=[job for job in build_jobs() if job.name == OPTION_CHAIN_JOB],
        executor=dg.in_process_executor,
        resources={**deployed_resources(settings), **resources},
    )


def fetch(
    settings: Settings,
    instance: dg.DagsterInstance,
    *,
    first: pd.Timestamp = FIRST,
    last: pd.Timestamp = LAST,
    **given: Any,
) -> ChainFetch:
    return fetch_history(
        wanted_history(["SPY"], now=NOW, first=first, last=last),
        source=build_live_source(settings, clock=lambda: NOW),
        settings=settings,
        instance=instance,
        build=build_chain_job,
        now=NOW,
        **given,
    )


def expected(session: pd.Timestamp) -> dict[tuple[pd.Timestamp, str, float], shape.Listed]:
    """The strip, from what the vendor lists: 14 to 60 days, within 2 % of the close."""
    close = shape.close_of(session)
    return {
        (one.expiration, one.right, one.strike): one
        for one in shape.listed_on("SPY", session)
        if 14 <= (one.expiration - session).days <= 60 and abs(one.strike / close - 1.0) <= 0.02
    }


def test_a_strip_at_the_money_of_each_session_is_stored_as_last_trades_with_one_request_a_contract(
    vendor: LoopbackVendor, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    store_prices(tmp_path, split=2.0)
    vendor.chain_history.page_rows = 20
    told: list[RequestsLeft] = []
    done = fetch(settings_of(vendor, tmp_path), instance, announce=told.append)
    assert done.failed == {}
    assert sorted(done.stored) == KEYS
    chain = StoredChain.of(ChainStore(tmp_path), "SPY")
    assert chain.attrs["source"] == "live:polygon:daily_bars"
    strips = {day: expected(day) for day in sessions_between(FIRST, LAST)}
    for day, strip in strips.items():
        rows = chain.read(day)
        assert {(row.expiration, row.option_right, row.strike) for row in rows.itertuples()} == set(strip)
        assert rows["underlying_price"].unique().tolist() == [shape.close_of(day)]
        for row in rows.itertuples():
            one = strip[row.expiration, row.option_right, row.strike]
            assert (row.last, row.volume) == (round(one.value(day), 2), 10.0)
        assert rows[["bid", "ask", "open_interest", "implied_volatility"]].isna().all(axis=None)
    names = {one.name for strip in strips.values() for one in strip.values()}
    bars = Counter(one.path.split("/")[4] for one in vendor.asked(shape.BARS))
    assert bars == Counter(names)
    assert [(left.what, left.left) for left in told] == [(LISTS, 5), (CONTRACTS, len(names))]
    # 7 expirations of 4 to 5 strikes and two rights: three or four pages of 20 each.
    assert len(vendor.asked(shape.LISTS)) == sum(-(-len(strip) // 20) for strip in strips.values())


def test_the_volatility_at_the_money_is_that_at_which_the_bars_were_priced(
    vendor: LoopbackVendor, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    store_prices(tmp_path)
    fetch(settings_of(vendor, tmp_path), instance, last=FIRST)
    measured = measure_session(ChainStore(tmp_path).read("SPY", first=FIRST, last=FIRST), rate=0.0)
    levels = measured.smile.atm_volatility
    assert len(levels) == len({key[0] for key in expected(FIRST)})
    np.testing.assert_allclose(levels, shape.VOLATILITY, atol=1e-3)


def test_what_is_left_is_told_in_requests_and_time() -> None:
    assert str(RequestsLeft(CONTRACTS, 2_000, 1_932, 5.0)) == "contracts: 1,932 requests, 6.4 hours at 5 a minute"
    assert str(RequestsLeft(LISTS, 32, 32, 5.0)) == "lists of contracts: 32 requests, 7 min at 5 a minute"


def test_contracts_without_a_trade_have_no_row_and_are_counted(
    vendor: LoopbackVendor, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    store_prices(tmp_path)
    first, second = sorted(expected(FIRST).values(), key=lambda one: one.name)[:2]
    vendor.chain_history.silent = {first.name}
    vendor.chain_history.quiet_days = {second.name: {f"{FIRST:%Y-%m-%d}"}}
    done = fetch(settings_of(vendor, tmp_path), instance, last=FIRST)
    assert done.stored == {KEYS[0]: len(expected(FIRST)) - 2}
    record = instance.fetch_materializations(dg.AssetKey(["raw", "option_chain"]), limit=1).records[0]
    note = record.asset_materialization.metadata[LEFT_OUT].value
    assert "2 contracts and bars of the option chain of SPY on 2026-03-02" in note
    assert "without a trade that day (2, first: " in note


def test_sessions_without_a_stored_close_or_whose_bars_are_not_final_are_named_and_not_asked_for(
    vendor: LoopbackVendor, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    store_prices(tmp_path, without="2026-03-04")
    done = fetch(settings_of(vendor, tmp_path), instance)
    assert list(done.failed) == [KEYS[2]]
    assert "no close of SPY is stored" in done.failed[KEYS[2]]
    assert {one.query.get("as_of") for one in vendor.asked(shape.LISTS)} == {key[:10] for key in KEYS} - {"2026-03-04"}
    vendor.requests.clear()
    late = fetch(settings_of(vendor, tmp_path), instance, first=pd.Timestamp("2026-11-30"), last=NOW.tz_localize(None))
    assert late.failed == {"2026-11-30|SPY": "its bars are final a day after its close"}
    assert vendor.requests == []


def test_last_trades_that_contradict_the_stored_close_are_refused_like_any_chain(
    vendor: LoopbackVendor, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """A stored close that is 6 % too high puts the strip there; by parity its trades are of the true one."""
    store_prices(tmp_path, wrong_by=1.06)
    done = fetch(settings_of(vendor, tmp_path), instance, last=FIRST)
    assert done.stored == {}
    assert "parity_is_near_spot: the stored price of the underlying is +6.0% away" in done.failed[KEYS[0]]
    assert ChainStore(tmp_path).years("SPY") == []


def test_without_a_last_day_the_last_session_whose_bars_are_final_is_the_last_one_wanted() -> None:
    # Friday the 27th closed at 18:00 UTC, Wednesday the 25th before Thanksgiving at 21:00.
    assert wanted_history(["SPY", "COMP"], now=NOW, first=pd.Timestamp("2026-11-25"), last=None) == [
        "2026-11-25|SPY", "2026-11-27|SPY",
    ]  # fmt: skip
    saturday = pd.Timestamp("2026-11-28 17:00", tz="UTC")
    assert wanted_history(["SPY"], now=saturday, first=None, last=None) == ["2026-11-25|SPY"]


def test_a_contract_without_an_answer_holds_up_its_sessions_alone_and_is_all_that_is_asked_again(
    vendor: LoopbackVendor, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    store_prices(tmp_path)
    # Only Monday's strip reaches so low.
    lowest = min(expected(FIRST).values(), key=lambda one: (one.strike, one.name))
    assert lowest.name not in {one.name for one in expected(LAST).values()}
    vendor.inject(lowest.name, loopback.server_error(503), times=None)
    settings = settings_of(vendor, tmp_path)
    done = fetch(settings, instance)
    assert KEYS[0] in done.failed
    assert KEYS[4] in done.stored
    assert "contracts have no answer" in done.failed[KEYS[0]]
    vendor.heal()
    vendor.requests.clear()
    again = fetch(settings, instance)
    assert again.failed == {}
    assert sorted([*again.stored, *again.kept]) == KEYS
    assert [one.path.split("/")[4] for one in vendor.requests] == [lowest.name]


HOSTILE = [
    (shape.BARS, loopback.renamed('"results"', '"rows"'), "field results is missing"),
    (shape.BARS, loopback.renamed('"c": ', '"c": "x", "d": '), "field c: expected number"),
    (shape.BARS, loopback.renamed('"v": 10', '"v": -1'), "negative"),
    (shape.BARS, loopback.renamed('"ticker": "O:SPY', '"ticker": "O:QQQ'), "the answer is about 'O:QQQ"),
    (shape.BARS, loopback.truncated(), "is no JSON"),
    (shape.BARS, loopback.error_page(), "is no JSON"),
    (shape.LISTS, loopback.renamed('"strike_price"', '"strike"'), "field strike_price is missing"),
    (shape.LISTS, loopback.renamed('"results"', '"rows"'), "field results is missing"),
    (shape.LISTS, loopback.renamed('"2026-0', '"x026-0'), "expected date"),
    (shape.LISTS, loopback.empty(), "lists no contract"),
    (shape.LISTS, loopback.renamed('"O:SPY', '"O:../'), "lists no contract"),
    (shape.LISTS, loopback.renamed('"strike_price": ', '"strike_price": 1'), "lists no contract"),
]


@pytest.mark.parametrize(("endpoint", "fault", "words"), HOSTILE)
def test_a_changed_answer_is_named_and_its_sessions_are_not_stored(
    vendor: LoopbackVendor, tmp_path: Path, instance: dg.DagsterInstance, endpoint: str, fault: Any, words: str
) -> None:
    store_prices(tmp_path)
    vendor.inject(endpoint, fault, times=None)
    done = fetch(settings_of(vendor, tmp_path), instance, last=FIRST)
    assert done.stored == {}
    assert words in done.failed[KEYS[0]]


REFUSED = [
    ('"strike_price": 605', '"strike_price": 606', "other terms than its name says"),
    ('"contract_type": "call"', '"contract_type": "other"', "neither a call nor a put"),
    ('"shares_per_contract": 100, "strike_price": 605', '"shares_per_contract": 50, "strike_price": 605', "100 shares"),
]


@pytest.mark.parametrize(("old", "new", "words"), REFUSED)
def test_a_listed_contract_that_is_none_of_the_strip_is_not_asked_for_and_counted(
    vendor: LoopbackVendor, tmp_path: Path, instance: dg.DagsterInstance, old: str, new: str, words: str
) -> None:
    store_prices(tmp_path)
    vendor.inject(shape.LISTS, loopback.renamed(old, new), times=None)
    fetch(settings_of(vendor, tmp_path), instance, last=FIRST)
    rows = ChainStore(tmp_path).read("SPY")
    if "605" in old:
        assert 605.0 not in set(rows["strike"])
        assert rows["strike"].isin([590.0, 595.0, 600.0, 610.0]).all()
    else:
        assert set(rows["option_right"]) == {"P"}
    assert len(vendor.asked(shape.BARS)) == len(rows)
    record = instance.fetch_materializations(dg.AssetKey(["raw", "option_chain"]), limit=1).records[0]
    assert words in record.asset_materialization.metadata[LEFT_OUT].value


def test_too_many_requests_wait_as_long_as_the_vendor_asks(
    vendor: LoopbackVendor, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    store_prices(tmp_path)
    vendor.inject(shape.BARS, loopback.too_many_requests("1"))
    done = fetch(settings_of(vendor, tmp_path), instance, last=FIRST)
    assert done.failed == {}
    refused = next(one for one in vendor.requests if one.status == 429)
    again = [one.at for one in vendor.asked(refused.path) if one.status == 200]
    assert again[0] - refused.at >= 1.0


def test_a_plan_that_does_not_reach_so_far_back_is_said_at_once_without_the_key(
    vendor: LoopbackVendor, tmp_path: Path, instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    store_prices(tmp_path)
    vendor.chain_history.earliest = pd.Timestamp("2026-03-09")
    with pytest.raises(SourceOffError, match="Your plan does not include this timeframe") as caught:
        fetch(settings_of(vendor, tmp_path), instance)
    assert vendor.asked(shape.BARS) == []
    assert POLYGON_KEY not in f"{caught.value!r} {caught.value}{caplog.text}"
    assert all(POLYGON_KEY not in f"{one.path} {one.query}" for one in vendor.requests)
    without = settings_of(vendor, tmp_path).model_copy(update={"polygon_api_key": None})
    with pytest.raises(ConfigurationError, match="POLYGON_API_KEY is not set"):
        fetch(without, instance)


def test_last_trades_and_quotes_never_stand_in_one_series(
    vendor: LoopbackVendor, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    store_prices(tmp_path)
    settings = settings_of(vendor, tmp_path)
    fetch(settings, instance, last=FIRST)
    store = ChainStore(tmp_path)
    rows = store.read("SPY")
    later = rows.assign(quote_date=rows["quote_date"] + pd.DateOffset(years=1))
    with pytest.raises(SourceMismatchError, match="live:polygon:daily_bars"):
        store.merge("SPY", 2027, later, source="live:yahoo")
    assert store.years("SPY") == [2026]

    other = tmp_path / "quoted"
    store_prices(other)
    ChainStore(other).merge("SPY", 2027, later, source="optionsdx")
    vendor.requests.clear()
    with pytest.raises(SourceMismatchError, match="optionsdx"):
        fetch(settings_of(vendor, other), instance)
    assert vendor.requests == []


FETCH = """
import sys
from pathlib import Path
import dagster as dg
import pandas as pd
from tests.assets.run.test_chain_history import fetch
from tests.resources.loopback.chain_shapes import chain_settings
from tests.resources.loopback.server import FAST_HTTP
from trading_dag.settings import Settings
home, url = sys.argv[1:]
settings = chain_settings(
    Settings(_env_file=None, home=Path(home), source="live", http=FAST_HTTP), url, "polygon", requests_per_second=25.0
)
with dg.DagsterInstance.ephemeral() as instance:
    fetch(settings, instance)
"""


def test_a_fetch_that_was_killed_goes_on_and_asks_no_answered_contract_again(
    vendor: LoopbackVendor, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    store_prices(tmp_path)
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", FETCH, str(tmp_path), vendor.url]
    process = subprocess.Popen(command, cwd=root, env={**os.environ, "PYTHONPATH": str(root)})
    kept = tmp_path / ".cache" / "http" / "polygon-history"
    while len(list(kept.glob("*.answer"))) < 15:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    found = len(list(kept.glob("*.answer")))
    vendor.wait_until_all_have_left()
    vendor.requests.clear()
    told: list[RequestsLeft] = []
    seen: list[RequestsLeft] = []
    done = fetch(settings_of(vendor, tmp_path), instance, announce=told.append, progress=seen.append)
    assert done.failed == {}
    assert sorted(done.stored) == KEYS
    names = {one.name for day in sessions_between(FIRST, LAST) for one in expected(day).values()}
    assert len(vendor.requests) == 5 + len(names) - found == sum(left.left for left in told)
    assert seen[-1].left == 0
    # A range that begins and ends elsewhere is another question; the same one is answered from what is stored.
    vendor.requests.clear()
    assert fetch(settings_of(vendor, tmp_path), instance).kept == tuple(KEYS)
    assert vendor.requests == []


def test_requests_keep_the_rate_of_the_plan(
    vendor: LoopbackVendor, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    store_prices(tmp_path)
    fetch(settings_of(vendor, tmp_path, requests_per_second=40.0), instance, last=FIRST)
    moments = [one.at for one in vendor.requests]
    assert len(moments) > 40
    assert moments[-1] - moments[0] >= (len(moments) - 1) / 40.0 - 0.05


def test_the_command_says_how_many_requests_it_takes_and_stores_the_range(
    vendor: LoopbackVendor, tmp_path: Path
) -> None:
    store_prices(tmp_path)
    given = vendor.environment() | {
        "TRADING_DAG_CHAIN_VENDOR": "polygon", "TRADING_DAG_POLYGON_URL": vendor.url,
        "TRADING_DAG_POLYGON_REQUESTS_PER_MINUTE": "3000", "POLYGON_API_KEY": POLYGON_KEY,
    }  # fmt: skip
    done = Workspace(tmp_path, tuple(given.items())).run(
        "fetch-chains", "--tickers", "SPY", "--no-analyse", "--from", "2026-03-02", "--to", "2026-03-03"
    )
    assert done.returncode == 0, done.stderr
    names = {
        one.name for day in sessions_between(FIRST, FIRST + pd.Timedelta(days=1)) for one in expected(day).values()
    }
    assert "lists of contracts: 2 requests, 1 min at 3000 a minute" in done.stdout
    assert f"contracts: {len(names)} requests, 1 min at 3000 a minute" in done.stdout
    assert "2 chains stored" in done.stdout
    assert POLYGON_KEY not in done.stdout + done.stderr
    assert ChainStore(tmp_path).sources("SPY") == ("live:polygon:daily_bars",)
