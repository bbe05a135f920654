"""A chain that repeats the session before is not stored, an import of one is reported, and holes are named."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pandas as pd

from assets.option_chain import OPTION_CHAIN_KEY
from assets.run.chain_fetch import fetch_chains, is_stored
from assets.run.chain_import import run_import
from resources.chains.store import ChainStore
from resources.sources.simulated import SimulatedSource
from resources.vendors.chain_snapshot import WITHOUT_CONTRACTS
from trading_dag.definitions import build_definitions
from trading_dag.sessions import sessions_between
from trading_dag.settings import Settings
from trading_dag.simulation.simulation_settings import SimulationSettings

LAST = pd.Timestamp("2016-06-30").as_unit("us")
DAYS = sessions_between("2016-06-28", "2016-06-30")
WANTED = [f"{day:%Y-%m-%d}|SPY" for day in DAYS]


class StuckWorld(SimulatedSource):
    """A simulated market whose vendor shows the chain of the session before, dated today, at today's spot."""

    def __init__(self) -> None:
        super().__init__(SimulationSettings(), last_session=lambda: LAST)
        self.is_stuck = True

    def option_chain(self, ticker: str, *, session: pd.Timestamp) -> pd.DataFrame:
        chain = super().option_chain(ticker, session=session)
        if session == DAYS[1]:
            chain.attrs[WITHOUT_CONTRACTS] = "2016-07-15"
        if session == DAYS[2] and self.is_stuck:
            spot, attributes = chain["underlying_price"].iloc[0], chain.attrs
            before = super().option_chain(ticker, session=DAYS[1])
            chain = before[before["expiration"] >= session].assign(quote_date=session, underlying_price=spot)
            chain.attrs = attributes
        return chain


def test_a_copy_of_the_session_before_is_refused_and_a_hole_is_named(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings, world = Settings(_env_file=None, home=tmp_path, source="simulated"), StuckWorld()
    done = fetch_chains(WANTED, source=world, settings=settings, instance=instance, build=build_definitions)
    assert list(done.stored) == WANTED[:2]
    assert "no_copy_of_session_before" in done.failed[WANTED[2]]
    store = ChainStore(tmp_path)
    assert [is_stored(store, key) for key in WANTED] == [True, True, False]
    wanted = dg.AssetRecordsFilter(asset_key=OPTION_CHAIN_KEY, asset_partitions=WANTED[:2])
    records = instance.fetch_materializations(wanted, limit=5).records
    named = {record.partition_key: record.asset_materialization.metadata.get(WITHOUT_CONTRACTS) for record in records}
    assert named[WANTED[0]] is None
    assert named[WANTED[1]].value == "2016-07-15"
    world.is_stuck = False
    again = fetch_chains(WANTED, source=world, settings=settings, instance=instance, build=build_definitions)
    assert (list(again.stored), again.failed) == ([WANTED[2]], {})


def test_an_imported_copy_of_a_stored_session_is_not_stored_and_its_run_has_failed(tmp_path: Path) -> None:
    world = SimulatedSource(SimulationSettings(), last_session=lambda: LAST)
    first = world.option_chain("SPY", session=DAYS[1]).rename(columns={"option_right": "right"})
    copy = first[first["expiration"] >= DAYS[2]].assign(quote_date=DAYS[2])
    store = ChainStore(tmp_path)
    with dg.DagsterInstance.ephemeral() as ephemeral:
        done = []
        for number, rows in enumerate((first, copy)):
            folder = tmp_path / f"{number}"
            folder.mkdir()
            rows.to_parquet(folder / "chain.parquet")
            done.append(run_import(ephemeral, store, folder, tickers=("SPY",), ticker=None, progress=lambda _: None))
        states = [run.status for run in reversed(ephemeral.get_runs())]
    assert states == [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
    assert [one.is_complete for one in done] == [True, False]
    ((session, rules),) = done[1].files[0].refused_sessions.items()
    assert session == f"SPY/{DAYS[2]:%Y-%m-%d}"
    assert "no_copy_of_session_before" in rules[0]
    assert [is_stored(store, key) for key in WANTED] == [False, True, False]
