"""What Dagster is told of an import: the sessions that changed, once, with the verdicts of their checks."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

import assets.run.chain_import
from assets.option_chain import OPTION_CHAIN_KEY, build_option_chain
from assets.partitions import OPTION_CHAIN_DATES, Partitions
from assets.run.chain_import import run_import
from resources.chains.importing.importer import import_chains
from resources.chains.store import ChainStore
from resources.chains.verdicts import session_verdicts
from resources.io_managers.chains import StoredChain
from trading_dag.quality import QualityContext
from trading_dag.schemas import OPTION_CHAIN


def rows_of(*days: str, bid: float = 1.0, ticker: str = "SPY") -> pd.DataFrame:
    """The shape of a user's files: two strikes of one expiration on each day."""
    grid = pd.MultiIndex.from_product([pd.DatetimeIndex(days), [580.0, 590.0]], names=["quote_date", "strike"])
    return grid.to_frame(index=False).assign(
        ticker=ticker, underlying_price=585.0, expiration=pd.Timestamp("2024-12-20"), right="C", bid=bid, ask=bid + 0.1
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "vendor").mkdir()
    return tmp_path


def imported(instance: dg.DagsterInstance, home: Path) -> dict[str, list[str]]:
    """Import the vendor's folder; partitions of new materializations, and of new evaluations by check."""
    before = {kind: len(found) for kind, found in recorded(instance).items()}
    run_import(
        instance, ChainStore(home), home / "vendor", tickers=("SPY", "QQQ"), ticker=None, progress=lambda _: None
    )
    return {kind: found[before[kind] :] for kind, found in recorded(instance).items()}


def recorded(instance: dg.DagsterInstance) -> dict[str, list[str]]:
    blocking = {
        "schema": True, "point_in_time": True, "believable_chain": True, "vendor_volatility_keeps_parity": False,
    }  # fmt: skip
    found: dict[str, list[str]] = {"materialized": [], **{check: [] for check in blocking}}
    for run in reversed(instance.get_runs()):
        for entry in instance.all_logs(run.run_id):
            event = entry.dagster_event
            if event is None:
                continue
            if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
                found["materialized"].append(str(event.partition))
            if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                evaluation = event.event_specific_data
                assert evaluation.asset_key == OPTION_CHAIN_KEY
                assert evaluation.passed
                assert evaluation.blocking == blocking[evaluation.check_name]
                found[evaluation.check_name].append(str(evaluation.partition))
    return found


def test_every_imported_session_has_a_materialization_and_the_verdicts_of_its_checks(instance, home) -> None:
    pd.concat([rows_of("2024-11-14", "2024-11-15"), rows_of("2024-11-15", ticker="QQQ")]).to_parquet(
        home / "vendor" / "chains.parquet"
    )
    rows_of("2024-11-15", ticker="IWM").to_parquet(home / "vendor" / "other.parquet")  # not of this universe
    expected = ["2024-11-14|SPY", "2024-11-15|QQQ", "2024-11-15|SPY"]
    for partitions in imported(instance, home).values():
        assert sorted(partitions) == expected


def test_what_demands_that_blocking_checks_have_passed_may_use_imported_sessions_and_no_other(instance, home) -> None:
    partitions = Partitions(("SPY",))

    @dg.asset(
        deps=[OPTION_CHAIN_KEY],
        partitions_def=partitions.date_ticker,
        automation_condition=dg.AutomationCondition.all_deps_blocking_checks_passed(),
    )
    def after() -> None: ...

    defs = dg.Definitions(
        assets=[build_option_chain(partitions), after],
        resources={
            "source": dg.ResourceDefinition.none_resource(),
            "slice_lock": dg.ResourceDefinition.none_resource(),
            "chain_io": dg.mem_io_manager,
        },
    )
    instance.add_dynamic_partitions(str(OPTION_CHAIN_DATES.name), ["2024-11-14", "2024-11-15"])

    def may() -> set[str]:
        found = dg.evaluate_automation_conditions(defs=defs, instance=instance)
        return {str(partition) for partition in found.get_requested_partitions(dg.AssetKey("after"))}

    assert may() == set()
    rows_of("2024-11-14").to_parquet(home / "vendor" / "a.parquet")
    imported(instance, home)
    assert may() == {"2024-11-14|SPY"}
    rows_of("2024-11-14", bid=2.0).to_parquet(home / "vendor" / "b.parquet")  # materialized again, judged again
    imported(instance, home)
    assert may() == {"2024-11-14|SPY"}


def test_a_later_file_records_only_the_sessions_that_it_changes(instance, home) -> None:
    days = ("2024-11-13", "2024-11-14", "2024-11-15")
    rows_of(*days).to_parquet(home / "vendor" / "a.parquet")
    assert len(imported(instance, home)["materialized"]) == 3
    later = pd.concat([rows_of("2024-11-13"), rows_of("2024-11-14", bid=2.0), rows_of("2024-11-18")])
    later.to_parquet(home / "vendor" / "b.parquet")
    for partitions in imported(instance, home).values():
        assert partitions == ["2024-11-14|SPY", "2024-11-18|SPY"]
    assert not any(imported(instance, home).values())


def test_what_an_import_changed_is_recorded_by_the_next_where_it_was_ended_before(instance, home, monkeypatch) -> None:
    rows_of("2024-11-13", "2024-11-14").to_parquet(home / "vendor" / "a.parquet")
    imported(instance, home)
    rows_of("2024-11-14", bid=2.0).to_parquet(home / "vendor" / "b.parquet")
    import_chains(ChainStore(home), home / "vendor")  # restated, but Dagster never heard
    for partitions in imported(instance, home).values():
        assert partitions == ["2024-11-14|SPY"]
    rows_of("2024-11-13", bid=3.0).to_parquet(home / "vendor" / "c.parquet")
    with monkeypatch.context() as patched:
        patched.setattr(
            assets.run.chain_import, "mark_reported", lambda *_: (_ for _ in ()).throw(RuntimeError("ended"))
        )
        with pytest.raises(RuntimeError, match="ended"):
            imported(instance, home)
    assert imported(instance, home)["schema"] == ["2024-11-13|SPY"]


def test_verdicts_found_for_a_year_at_once_are_those_on_each_session_alone(home) -> None:
    from resources.expectations import verify

    rows_of("2024-11-13", "2024-11-14", "2024-11-15", "2024-11-18").to_parquet(home / "vendor" / "a.parquet")
    store = ChainStore(home)
    import_chains(store, home / "vendor")
    rows = store.read("SPY")
    rows.loc[2, "bid"] = -1.0  # 14 November
    rows.loc[7, "implied_volatility"] = np.inf  # 18 November
    rows.loc[[4, 5], "quote_date"] = pd.Timestamp("2024-11-16")  # a Saturday
    found = session_verdicts(rows, now_session=pd.Timestamp("2024-11-16"))
    assert [f"{day:%m-%d}" for day in found] == ["11-13", "11-14", "11-16", "11-18"]
    for day, verdicts in found.items():
        alone = rows[rows["quote_date"] == day].reset_index(drop=True)
        expected = verify(OPTION_CHAIN, alone, context=QualityContext(now_session=pd.Timestamp("2024-11-16")))
        assert [(one.rule.name, one.passed, one.unexpected_count, one.total) for one in verdicts] == [
            (one.rule.name, one.passed, one.unexpected_count, one.total) for one in expected
        ]
    broken = {f"{day:%m-%d}": [one.rule.name for one in found[day] if not one.passed] for day in found}
    assert broken["11-13"] == []
    assert broken["11-14"] == ["values_in_bounds"]
    assert broken["11-16"] == ["sessions_on_calendar"]
    assert broken["11-18"] == ["values_in_bounds", "no_future_sessions"]


def test_the_provenance_of_a_year_is_read_once_for_a_handle(home, monkeypatch) -> None:
    rows_of("2023-11-15", "2024-11-15").to_parquet(home / "vendor" / "a.parquet")
    store = ChainStore(home)
    import_chains(store, home / "vendor")
    asked = []
    provenance = ChainStore.provenance
    monkeypatch.setattr(
        ChainStore, "provenance", lambda self, ticker, year: (asked.append(year), provenance(self, ticker, year))[1]
    )
    assert StoredChain.of(store, "SPY").attrs["source"] == "files"
    assert asked == [2023, 2024]
