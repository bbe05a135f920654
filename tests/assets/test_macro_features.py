"""The asset features.macro ends where the run stands, also where a source shows what counts as known only later."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from assets.declare.checks import verdicts_of
from assets.declare.declaration import Result, Slice
from assets.features import macro
from resources.sources.simulated import SimulatedSource
from resources.storage.parquet_store import ParquetStore, SliceKey
from trading_dag.schemas import MACRO_TABLE
from trading_dag.sessions import last_closed_session, shift_sessions
from trading_dag.settings import Settings
from trading_dag.simulation.simulation_settings import SimulationSettings


@pytest.fixture
def at(tmp_path: Path) -> Slice:
    last = last_closed_session()
    world = SimulationSettings(first_session=(last - pd.DateOffset(years=1)).date(), years=2)
    settings = Settings(_env_file=None, home=tmp_path, source="simulated")
    return Slice(SliceKey(), settings, SimulatedSource(world, last_session=lambda: last), ParquetStore(tmp_path))


def test_on_the_evening_of_a_session_the_table_ends_there_and_every_check_holds(at: Slice) -> None:
    shown = at.source.macro()
    (tomorrow,) = shift_sessions(pd.DatetimeIndex([last_closed_session()]), 1)
    assert shown["known_on"].max() == tomorrow
    built = macro.function(at, macro=shown)
    assert built["session"].max() == last_closed_session()
    frames = Result({MACRO_TABLE.name: built})
    verdicts = verdicts_of(macro, MACRO_TABLE, frames, at, {"macro": shown})
    assert [verdict.rule.name for verdict in verdicts if not verdict.passed] == []
    assert {"no_lookahead", "no_future_sessions"} <= {verdict.rule.name for verdict in verdicts}


def test_a_slice_knows_the_last_session_that_has_closed(at: Slice) -> None:
    assert at.as_of == last_closed_session()
