"""``payoff`` reads a stored chain where there is one, and says what is missing where nothing can quote."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from resources.chains.store import ChainStore
from resources.sources.simulated import SimulatedSource
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.conftest import Workspace
from trading_dag.schemas import PRICES_DAILY
from trading_dag.simulation.simulation_settings import SimulationSettings

SESSION = pd.Timestamp("2016-03-31")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """SPY with prices and the chain of the last session, QQQ with prices only; no volatility index anywhere."""
    place = Workspace(tmp_path_factory.mktemp("payoff"), (("TRADING_DAG_SOURCE", "sample"),))
    source = SimulatedSource(SimulationSettings(), last_session=lambda: SESSION.as_unit("us"))
    prices = source.prices_daily("SPY")
    store = ParquetStore(place.home)
    store.write(PRICES_DAILY, SliceKey("SPY"), prices, source=source.name)
    store.write(PRICES_DAILY, SliceKey("QQQ"), prices.assign(ticker="QQQ"), source=source.name)
    chain = source.option_chain("SPY", session=SESSION)
    ChainStore(place.home).merge("SPY", 2016, chain, source=source.name)
    return place


def test_the_quotes_are_those_of_the_stored_chain(workspace: Workspace, tmp_path: Path) -> None:
    picture = tmp_path / "payoff.png"
    done = workspace.run("payoff", "iron_condor", "SPY", "--json", "--picture", str(picture))
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert (record["quote_source"], record["session"]) == ("chain", "2016-03-31")
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("iron_condor", "SPY", "--modelled"), "no volatility index of that session is stored"),
        (("iron_condor", "SPY", "--date", "2016-03-30"), "--date 2016-03-31 shows the last"),
        (("iron_condor", "QQQ"), "cannot be quoted on the modelled surface: no volatility index"),
        (("iron_condor", "QQQ", "--date", "1990-01-02"), "no close of that session is stored"),
        (("iron_condor", "IWM"), "raw.prices_daily [IWM] is empty"),
        (("iron_condor", "GLD"), "TRADING_DAG_UNIVERSE=GLD"),
    ],
)
def test_what_cannot_be_quoted_is_one_line_without_nan(
    workspace: Workspace, arguments: tuple[str, ...], said: str
) -> None:
    done = workspace.run("payoff", *arguments)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "nan" not in done.stderr.lower().split()
