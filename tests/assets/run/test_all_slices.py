"""What is said of all slices together comes last, once, and only where scores are brought up to date."""

from __future__ import annotations

from concurrent.futures import Future

import pandas as pd
import pytest

from assets.run.execution import Outcome, Refit, WorkItem, _WorkOrder, concludes
from assets.run.staleness import Staleness
from resources.storage.models.store import ModelStore
from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.peers import digest_of, records_of_all_slices
from trading_dag.frames import frame_of_records
from trading_dag.schemas import METRICS
from trading_dag.settings import Settings


class _Pool:
    """Does everything at once; the slices that it is told to fail, fail."""

    def __init__(self, *failing: str) -> None:
        self.asked: list[str] = []
        self.failing = failing

    def submit(self, _: object, item: WorkItem) -> Future[Outcome]:
        self.asked.append(str(item))
        done: Future[Outcome] = Future()
        errors = ("it failed",) if str(item) in self.failing else ()
        done.set_result(Outcome(item, 0.0, errors=errors, is_usable=not errors))
        return done


@pytest.mark.parametrize("failing", [(), ("SPY 24h",), ("SPY",)])
def test_it_comes_after_every_slice_also_where_one_failed(failing: tuple[str, ...]) -> None:
    pool = _Pool(*failing)
    outcomes = list(_WorkOrder(pool, ("SPY", "QQQ"), ("24h", "48h"), "run").outcomes())  # type: ignore[arg-type]
    assert pool.asked[-1] == str(outcomes[-1].item) == "all slices"
    assert pool.asked.count("all slices") == 1


def test_modes_that_conclude_ask_for_all_slices_once() -> None:
    modes = ("run", "refresh", "force", "train", "evaluate", "backtest")
    assert tuple(mode for mode in modes if concludes(mode)) == modes
    assert not any(concludes(mode) for mode in ("fetch", "record", "tune"))
    assert not concludes("train", Refit(follows=False))
    pool = _Pool()
    assert len(list(_WorkOrder(pool, ("SPY",), ("24h",), "refresh").outcomes())) == 4  # type: ignore[arg-type]
    assert pool.asked.count("all slices") == 1


def _scores(horizon: str, value: float = 0.25) -> pd.DataFrame:
    row = {
        "ticker": "SPX", "horizon": horizon, "task": "direction", "model": "logistic", "metric": "brier_sign",
        "value": value, "baseline": "none", "verdict": "unskilled", "n": 9, "n_ambiguous": 0,
    }  # fmt: skip
    return frame_of_records(METRICS, [row])


@pytest.fixture
def store(settings: Settings) -> ParquetStore:
    return ParquetStore(settings.home)


def test_nothing_is_said_before_there_is_a_score_and_it_is_due_once_there_is(
    settings: Settings, store: ParquetStore
) -> None:
    staleness = Staleness(store, ModelStore(settings.home / "models"), settings)

    def due() -> list[str]:
        found = staleness.stale("all_slices", SliceKey(), refit=False, needs_inputs=True)
        return [declaration.name for declaration in found]

    assert due() == []
    store.put(store.prepare(METRICS, SliceKey("SPX", "24h"), _scores("24h"), source=settings.source))
    assert "multiplicity" not in due()  # no index is stored, which it reads too


def test_the_hash_of_all_slices_changes_with_one_of_them_and_knows_one_source(
    settings: Settings, store: ParquetStore
) -> None:
    def put(horizon: str, value: float, source: str = "sample") -> None:
        store.put(store.prepare(METRICS, SliceKey("SPX", horizon), _scores(horizon, value), source=source))

    def digest() -> str:
        return digest_of(records_of_all_slices(store, METRICS, source="sample"))

    put("24h", 0.25)
    first = digest()
    put("48h", 0.25, source="files")
    assert digest() == first
    put("72h", 0.25)
    second = digest()
    put("72h", 0.24)
    assert len({first, second, digest()}) == 3
    put("72h", 0.25)
    assert digest() == second
