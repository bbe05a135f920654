"""``opportunities`` shows the newest session's rows, what the rule does, and draws the best."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.conftest import Workspace
from trading_dag.frames import table_frame
from trading_dag.schemas import OPPORTUNITIES
from trading_dag.sessions import sessions_between, target_sessions
from trading_dag.slices import horizon_of

DAYS = sessions_between("2024-06-20", "2024-06-21")
ASK = ("opportunities", "SPY", "--horizon", "72h")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two rows of an earlier session, three of the newest, of which the second clears the margin."""
    place = Workspace(tmp_path_factory.mktemp("opportunities"), (("TRADING_DAG_SOURCE", "files"),
                      ("TRADING_DAG_FILES", str(tmp_path_factory.mktemp("nothing")))))  # fmt: skip
    sessions = DAYS[[0, 0, 1, 1, 1]]
    targets = target_sessions(sessions, horizon_of("72h"))
    rows = table_frame(OPPORTUNITIES, {
        "ticker": "SPY", "horizon": "72h", "session": sessions, "target_session": targets, "exit_session": targets,
        "structure": ["long_call", "long_put", "short_straddle", "iron_condor", "long_call"], "held_to": "target",
        "expiration": sessions + np.timedelta64(28, "D"), "quote_source": "modelled", "spot": 546.0,
        "strikes": ["550", "540", "546/546", "530/525/560/565", "550"], "entry_cost_usd": -120.0, "fees_usd": 5.2,
        "max_loss_usd": [500.0, 500.0, np.nan, 380.0, 500.0], "expected_profit_usd": [1.0, 0.0, 9.0, 30.0, 2.0],
        "profit_standard_deviation_usd": 60.0, "expected_shortfall_usd": 150.0, "probability_of_profit": 0.7,
        "expected_return_on_risk": [0.0, 0.0, np.nan, 0.08, 0.004],
        "expected_return_on_risk_low": [0.0, 0.0, np.nan, 0.03, -0.02],
        "expected_return_on_risk_high": [0.0, 0.0, np.nan, 0.13, 0.03], "market_expected_profit_usd": -9.0,
        "market_probability_of_profit": 0.66, "rank": [1, 2, 3, 1, 2], "is_backtested": True,
        "reason": ["a", "b", "c", "the condor is said to win", "e"],
    }, rows=5)  # fmt: skip
    ParquetStore(place.home).write(OPPORTUNITIES, SliceKey("SPY", "72h"), rows, source="files")
    return place


def test_the_newest_rows_come_best_first_with_what_the_rule_does(workspace: Workspace) -> None:
    done = workspace.run(*ASK, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [row["structure"] for row in told["opportunities"]] == ["iron_condor", "long_call", "short_straddle"]
    assert (told["expected_value"]["structure"], told["source"]) == ("iron_condor", "files")


def test_the_table_says_what_is_expected_and_why(workspace: Workspace) -> None:
    done = workspace.run(*ASK, "--top", "1")
    assert done.returncode == 0, done.stderr
    assert "the condor is said to win" in done.stdout
    assert "Rule expected_value takes iron_condor 530/525/560/565" in " ".join(done.stdout.split())
    assert "short straddle" not in done.stdout


def test_one_structure_is_shown_and_an_unknown_one_is_refused_with_those_there_are(workspace: Workspace) -> None:
    told = json.loads(workspace.run(*ASK, "--structure", "long_call", "--json").stdout)
    assert [row["strikes"] for row in told["opportunities"]] == ["550"]
    refused = workspace.run(*ASK, "--structure", "jade_lizard")
    assert refused.returncode != 0
    assert "iron_condor, long_call, short_straddle" in " ".join(refused.stderr.split())


def test_a_picture_without_the_forecasts_it_is_drawn_from_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    refused = workspace.run(*ASK, "--picture", str(tmp_path / "best.png"))
    assert refused.returncode != 0
    assert "predictions.price" in refused.stderr
    assert not (tmp_path / "best.png").exists()
