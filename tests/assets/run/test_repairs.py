"""``run --force`` sets aside a fetched slice that is not what was stored, fetches all of it anew, and says so."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from assets.run.execution import SliceRunner, WorkItem
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.resources.doctor.test_stored_state import FILES, ROWS, rewritten
from trading_dag.definitions import build_definitions
from trading_dag.schemas import PRICES_DAILY
from trading_dag.settings import Settings

SPX = SliceKey("SPX")
KINDS = (
    "an altered close", "repeated rows", "a foreign column", "a missing column", "another ticker", "written by hand",
    "a truncated file", "a provenance of other fields",
)  # fmt: skip


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SliceRunner]:
    settings = Settings(_env_file=None, home=tmp_path_factory.mktemp("repairs"), source="sample")
    with dg.DagsterInstance.ephemeral() as instance:
        yield SliceRunner(build_definitions(settings), instance, settings)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_slice_is_fetched_anew_and_the_message_says_so(runner: SliceRunner, kind: str) -> None:
    force = WorkItem("ticker", SPX, "force", "fetch")
    store: ParquetStore = runner.store
    if not store.exists(PRICES_DAILY, SPX):
        assert runner.bring_up_to_date(force).repaired == ()
    good = store.read(PRICES_DAILY, SPX)
    path = store.path(PRICES_DAILY, SPX)
    if kind in ROWS:
        rewritten(path, ROWS[kind])
    else:
        FILES[kind](path)
    damaged = path.read_bytes()

    outcome = runner.bring_up_to_date(force)
    assert outcome.errors == ()
    (line,) = outcome.repaired
    assert line.startswith("raw.prices_daily [ticker=SPX]: ")
    assert line.endswith("and fetched anew.")
    aside = next(found for found in path.parent.glob("data.parquet.set-aside-*") if found.name in line)
    assert aside.read_bytes() == damaged
    assert store.read(PRICES_DAILY, SPX).attrs["content_hash"] == good.attrs["content_hash"]
