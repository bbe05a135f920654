"""What is made from simulated data says so wherever a person reads it, by what is recorded and not by what is set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from resources.chains.store import ChainStore
from resources.sources.simulated import SimulatedSource
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.conftest import Workspace
from trading_dag.frames import table_frame
from trading_dag.reporting.tables import simulated_notice
from trading_dag.schemas import METRICS, PRICES_DAILY, RECOMMENDATION, SUMMARY, VOLATILITY_INDEX, Column, Table
from trading_dag.simulation.simulation_settings import NO_MARKET_DATA, SimulationSettings, is_simulated

LAST = pd.Timestamp("2016-03-31").as_unit("us")
SESSIONS = ("2016-03-28", "2016-03-29", "2016-03-30", "2016-03-31")
REPORTS = ("signal", "evaluate", "backtest")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A home set to the sample source, in which SPY was simulated and QQQ was not."""
    place = Workspace(tmp_path_factory.mktemp("labels"), (("TRADING_DAG_SOURCE", "sample"),))
    store, chains = ParquetStore(place.home), ChainStore(place.home)
    source = SimulatedSource(SimulationSettings(), last_session=lambda: LAST)
    key = SliceKey("SPY")
    store.write(PRICES_DAILY, key, source.prices_daily("SPY"), source=source.name)
    store.write(VOLATILITY_INDEX, key, source.volatility_index("SPY"), source=source.name)
    for session in SESSIONS:
        chains.merge("SPY", 2016, source.option_chain("SPY", session=pd.Timestamp(session)), source=source.name)
    for ticker, made_from in (("SPY", "simulated"), ("QQQ", "files")):
        for table, values in rows_of(ticker).items():
            frame = table_frame(table, values, rows=1)
            store.write(table, SliceKey(ticker, "24h"), frame, source=made_from)
    return place


FILLED = {"int64": 1, "float64": 0.5, "string": "none", "bool": False, "date": LAST}
WORDS = {"baseline": "class_prior", "reasoning": "for a test", "evidence": "{}", "skip_reasons": "{}"}


def rows_of(ticker: str) -> dict[Table, dict[str, Any]]:
    """One row of each table that a report reads; what the figures are is no matter."""
    return {
        table: {column.name: _value(column) for column in table.columns if not column.nullable}
        | {"ticker": ticker, "horizon": "24h"}
        for table in (RECOMMENDATION, METRICS, SUMMARY)
    }


def _value(column: Column) -> object:
    return WORDS.get(column.name) or (column.allowed[0] if column.allowed else FILLED[column.type])


@pytest.mark.parametrize("command", REPORTS)
def test_a_report_names_the_source_of_each_slice(workspace: Workspace, command: str) -> None:
    tickers = () if command == "signal" else ("--tickers", "SPY,QQQ")
    both = ("--all",) if command == "signal" else tickers
    universe = Workspace(workspace.home, (*workspace.variables, ("TRADING_DAG_TICKERS", "SPY,QQQ")))
    told = universe.run(command, *both, "--horizons", "24h", "--json")
    assert {row["ticker"]: row["source"] for row in json.loads(told.stdout)} == {"SPY": "simulated", "QQQ": "files"}
    shown = universe.run(command, *both, "--horizons", "24h")
    assert f"{NO_MARKET_DATA}: SPY\n" in shown.stdout
    one = ("QQQ",) if command == "signal" else ("--tickers", "QQQ")
    assert NO_MARKET_DATA not in universe.run(command, *one, "--horizons", "24h").stdout


def test_a_chain_a_payoff_and_a_plan_say_what_they_were_made_from(workspace: Workspace, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    for command in (
        ("chain", "SPY"),
        ("payoff", "iron_condor", "SPY"),
        ("backtest", "--structure", "bull_put_spread", "--ticker", "SPY", "--days", "14", "--entries", "daily"),
    ):
        told = workspace.run(*command, "--json")
        assert told.returncode == 0, told.stderr
        assert json.loads(told.stdout)["source"] == "simulated"
        last = () if command[0] != "backtest" else ("--html", str(page))
        assert NO_MARKET_DATA in workspace.run(*command, *last).stdout.lower()
    assert NO_MARKET_DATA in page.read_text(encoding="utf-8").lower()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("simulated", True),
        ("simulated-0a1b2c3d", True),
        ("files+simulated", True),
        ("files", False),
        ("files+live", False),
        ("simulatedx", False),
        ("", False),
        (None, False),
    ],
)
def test_any_simulated_part_makes_the_whole_simulated(source: str | None, expected: bool) -> None:
    assert is_simulated(source) is expected
    assert bool(simulated_notice([("SPY", source)])) is expected


def test_every_world_of_the_simulator_is_told_as_simulated() -> None:
    assert all(is_simulated(SimulationSettings(seed=seed, fair=fair).world) for seed in (1, 42) for fair in (0, 1))
