"""Option chains from the source: which are wanted, that each is stored once and judged, and what a failure leaves."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from assets.option_chain import OPTION_CHAIN_KEY
from assets.run.chain_fetch import ChainFetch, fetch_chains, is_stored, wanted_chains
from assets.run.execution import SliceRunner, WorkItem
from resources.chains.store import ChainStore
from resources.sources.live.source import build_live_source
from resources.sources.sample import SampleSource
from resources.sources.simulated import SimulatedSource
from resources.storage.parquet_store import ParquetStore, SliceKey
from trading_dag.definitions import build_definitions
from trading_dag.errors import ConfigurationError, SourceUnavailableError
from trading_dag.schemas import DEALER_EXPOSURE, MACRO_TABLE, OPTION_CHAIN_TABLE
from trading_dag.sessions import session_close, session_open
from trading_dag.settings import Settings
from trading_dag.simulation.simulation_settings import SimulationSettings

LAST = pd.Timestamp("2016-06-30").as_unit("us")
AFTER = session_close(LAST) + pd.Timedelta(hours=2)


class ShortWorld(SimulatedSource):
    """A simulated market whose last session is long ago, and whose chains can be made to fail."""

    def __init__(self) -> None:
        super().__init__(SimulationSettings(), last_session=lambda: LAST)
        self.asked: list[str] = []
        self.broken: set[str] = set()
        self.crossed_time: set[str] = set()

    def option_chain(self, ticker: str, *, session: pd.Timestamp) -> pd.DataFrame:
        self.asked.append(f"{session:%Y-%m-%d}|{ticker}")
        if self.asked[-1] in self.broken:
            raise SourceUnavailableError(
                source="simulated", request=self.asked[-1], problem="the vendor is down", remedy="Try again later."
            )
        chain = super().option_chain(ticker, session=session)
        if self.asked[-1] in self.crossed_time:
            attributes = chain.attrs
            chain = chain.assign(expiration=session - pd.Timedelta(days=1))
            chain.attrs = attributes
        return chain


@pytest.fixture
def world() -> ShortWorld:
    return ShortWorld()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, home=tmp_path, source="simulated")


def test_a_source_without_chains_wants_none() -> None:
    assert wanted_chains(SampleSource(), ["SPX", "COMP"], now=AFTER) == []


def test_without_dates_the_present_session_is_wanted_and_with_dates_every_session_between(world: ShortWorld) -> None:
    assert wanted_chains(world, ["SPY", "QQQ"], now=AFTER) == ["2016-06-30|SPY", "2016-06-30|QQQ"]
    # 2016-07-04 was a holiday, but the history has ended by then.
    days = wanted_chains(world, ["SPY"], now=AFTER, first=pd.Timestamp("2016-06-24"))
    assert days == [f"2016-06-{day}|SPY" for day in (24, 27, 28, 29, 30)]
    assert wanted_chains(world, ["SPY"], now=AFTER, last=pd.Timestamp("2016-06-24")) == ["2016-06-24|SPY"]


@pytest.mark.parametrize(
    ("moment", "is_shown"),
    [
        (session_close(LAST) + pd.Timedelta(minutes=5), False),
        (session_close(LAST) + pd.Timedelta(minutes=45), True),
        (session_open(pd.Timestamp("2016-07-01")) - pd.Timedelta(minutes=1), True),
        (session_open(pd.Timestamp("2016-07-01")), False),
    ],
)
def test_a_vendor_shows_a_session_from_after_its_close_until_the_next_opens(
    tmp_path: Path, moment: pd.Timestamp, is_shown: bool
) -> None:
    live = build_live_source(Settings(_env_file=None, home=tmp_path, source="live"), clock=lambda: moment)
    assert wanted_chains(live, ["SPY"], now=moment) == (["2016-06-30|SPY"] if is_shown else [])
    assert wanted_chains(live, ["COMP"], now=moment) == []  # no options are listed on it
    with pytest.raises(ConfigurationError, match="no chains of earlier sessions"):
        wanted_chains(live, ["SPY"], now=moment, first=pd.Timestamp("2016-06-24"))


def test_no_vendor_and_a_vendor_without_a_key_show_nothing(tmp_path: Path) -> None:
    for vendor in ("none", "polygon", "tradier"):
        settings = Settings(_env_file=None, home=tmp_path, source="live", chain_vendor=vendor)
        assert wanted_chains(build_live_source(settings, clock=lambda: AFTER), ["SPY"], now=AFTER) == []


def fetch(
    world: ShortWorld, settings: Settings, instance: dg.DagsterInstance, wanted: list[str], *, again: bool = False
) -> ChainFetch:
    return fetch_chains(
        wanted, source=world, settings=settings, instance=instance, build=build_definitions, again=again
    )


WANTED = ["2016-06-28|SPY", "2016-06-29|SPY", "2016-06-30|SPY"]


def test_each_chain_is_asked_for_once_stored_and_known_to_dagster_with_its_verdicts(
    world: ShortWorld, settings: Settings, instance: dg.DagsterInstance
) -> None:
    done = fetch(world, settings, instance, WANTED)
    assert list(done.stored) == WANTED
    assert (done.kept, done.failed, done.tickers) == ((), {}, ["SPY"])
    assert world.asked == WANTED
    stored = ChainStore(settings.home).read("SPY")
    assert stored.groupby("quote_date").size().tolist() == list(done.stored.values())
    assert instance.get_materialized_partitions(OPTION_CHAIN_KEY) == set(WANTED)
    record = instance.fetch_materializations(OPTION_CHAIN_KEY, limit=1).records[0]
    checks = instance.get_records_for_run(record.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records
    assert {event.event_log_entry.asset_check_evaluation.passed for event in checks} == {True}
    assert len(checks) == 4

    once_more = fetch(world, settings, instance, WANTED)
    assert (once_more.stored, once_more.kept) == ({}, tuple(WANTED))
    assert world.asked == WANTED
    forced = fetch(world, settings, instance, WANTED[:1], again=True)
    assert list(forced.stored) == WANTED[:1]
    of_session = dg.AssetRecordsFilter(asset_key=OPTION_CHAIN_KEY, asset_partitions=WANTED[:1])
    twice = instance.fetch_materializations(of_session, limit=10).records
    # The same quotes are the same version of the data, which is what automation asks.
    assert len({record.asset_materialization.tags[DATA_VERSION_TAG] for record in twice}) == 1
    assert len(twice) == 2
    pd.testing.assert_frame_equal(ChainStore(settings.home).read("SPY"), stored)


def test_a_chain_that_fails_or_is_refused_is_named_and_the_others_are_stored(
    world: ShortWorld, settings: Settings, instance: dg.DagsterInstance
) -> None:
    world.broken, world.crossed_time = {WANTED[0]}, {WANTED[1]}
    done = fetch(world, settings, instance, WANTED)
    assert list(done.stored) == WANTED[2:]
    assert set(done.failed) == set(WANTED[:2])
    assert "the vendor is down" in done.failed[WANTED[0]]
    assert "raw.option_chain" in done.failed[WANTED[1]]
    assert "SPY 2016-06-29" in done.failed[WANTED[1]]
    store = ChainStore(settings.home)
    assert [is_stored(store, key) for key in WANTED] == [False, False, True]
    world.broken, world.crossed_time = set(), set()
    assert list(fetch(world, settings, instance, WANTED).stored) == WANTED[:2]


def runner_of(world: ShortWorld, settings: Settings, instance: dg.DagsterInstance) -> SliceRunner:
    definitions = build_definitions(settings, resources={"source": world})
    runner = SliceRunner(definitions, instance, settings)
    macro = runner.bring_up_to_date(WorkItem("none", SliceKey(), "refresh"))
    assert macro.is_success, macro.errors
    return runner


@pytest.mark.long
def test_a_chain_that_fails_is_told_holds_up_nothing_and_comes_to_the_features_once_with_the_next_refresh(
    world: ShortWorld, settings: Settings, instance: dg.DagsterInstance
) -> None:
    runner = runner_of(world, settings, instance)
    item = WorkItem("ticker", SliceKey("SPY"), "refresh")
    store = ParquetStore(settings.home)

    world.broken = {f"{LAST:%Y-%m-%d}|SPY"}
    outcome = runner.bring_up_to_date(item)
    assert [line.partition(":")[0] for line in outcome.errors] == ["raw.option_chain"]
    assert "the vendor is down" in outcome.errors[0]
    assert not outcome.is_success
    assert outcome.is_usable
    assert store.exists(MACRO_TABLE, SliceKey())
    features = store.read(OPTION_CHAIN_TABLE, SliceKey("SPY"))
    assert len(features) > 300
    assert features["atm_iv_30d"].isna().all()

    world.broken = set()
    world.asked.clear()
    outcome = runner.bring_up_to_date(item)
    assert outcome.is_success, outcome.errors
    assert "raw.option_chain" in outcome.materialized
    assert store.read(DEALER_EXPOSURE, SliceKey("SPY"))["session"].tolist() == [LAST]
    features = store.read(OPTION_CHAIN_TABLE, SliceKey("SPY")).set_index("session")
    assert features["atm_iv_30d"].dropna().index.tolist() == [LAST]
    again = runner.bring_up_to_date(item)
    assert again.is_success
    assert "raw.option_chain" not in again.materialized
    assert "options.dealer_exposure" not in again.materialized
    assert world.asked == [f"{LAST:%Y-%m-%d}|SPY"]
