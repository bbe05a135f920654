"""Bad input through the real graph: a failed check or a typed error, and the last good slice stays in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from assets.run.execution import Outcome, SliceRunner, WorkItem
from resources.sources.choose import build_source
from resources.storage.accepted_bars import AcceptedBars
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.conftest import QUICK_GROUPS
from trading_dag.definitions import build_definitions
from trading_dag.quality.acceptance import accepted_bar
from trading_dag.schemas import PRICES_DAILY, TECHNICAL, VOLATILITY_INDEX
from trading_dag.settings import Settings

SPX = SliceKey("SPX")
FIRST = pd.Timestamp("2014-01-02")


def unspoiled(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame as it came."""
    return frame


class SpoiledSource:
    """The last years of the sample source with a spoiler between it and the project."""

    def __init__(self, settings: Settings) -> None:
        self.inner = build_source(settings)
        self.name = self.inner.name
        self.spoil: Callable[[pd.DataFrame], pd.DataFrame] = unspoiled
        self.spoil_index: Callable[[pd.DataFrame], pd.DataFrame] = unspoiled

    def prices_daily(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        return self._spoiled(self.inner.prices_daily(ticker, since=since), self.spoil)

    def volatility_index(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        return self._spoiled(self.inner.volatility_index(ticker, since=since), self.spoil_index)

    def __getattr__(self, kind: str) -> Any:
        return getattr(self.inner, kind)  # what is never spoiled

    @staticmethod
    def _spoiled(frame: pd.DataFrame, spoil: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
        attributes = dict(frame.attrs)
        spoiled = spoil(frame[frame["session"] >= FIRST].reset_index(drop=True))
        spoiled.attrs = attributes
        return spoiled


class Bench:
    """A runner on a temporary home whose source can be spoiled."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.source = SpoiledSource(settings)
        self.store = ParquetStore(settings.home)
        self.instance = instance
        definitions = build_definitions(settings, {"source": dg.ResourceDefinition.hardcoded_resource(self.source)})
        self.runner = SliceRunner(definitions, instance, settings)

    def market(self) -> Outcome:
        return self.runner.bring_up_to_date(WorkItem("ticker", SPX, "refresh"))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    settings = Settings(_env_file=None, home=tmp_path_factory.mktemp("bench"), source="sample", **QUICK_GROUPS)
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Bench(settings, instance)
        assert bench.runner.bring_up_to_date(WorkItem("none", SliceKey(), "run")).is_success
        outcome = bench.market()
        assert outcome.is_success, outcome.errors
        yield bench


@pytest.fixture
def bench(filled: Bench) -> Iterator[Bench]:
    """The bench of all tests here, whole and unspoiled for each, also after one that failed half-way."""
    yield filled
    if filled.source.spoil is not unspoiled or filled.source.spoil_index is not unspoiled:
        filled.source.spoil = filled.source.spoil_index = unspoiled
        assert filled.market().is_success


def set_value(row: int, column: str, value: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[frame.index[row], column] = value
        return frame

    return spoil


def scale_before_tail(factor: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        columns = ["open", "high", "low", "close", "adj_close"]
        frame.loc[frame.index[-3:], columns] = frame.loc[frame.index[-3:], columns] / factor
        return frame

    return spoil


def append_future(frame: pd.DataFrame) -> pd.DataFrame:
    last = frame.tail(1).assign(session=pd.Timestamp("2099-01-02").as_unit("us"))
    return pd.concat([frame, last], ignore_index=True)


SPOILERS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "a negative price": set_value(-2, "close", -5.0),
    "a price of zero": set_value(-2, "low", 0.0),
    "a missing price": set_value(-2, "close", np.nan),
    "an infinite price": set_value(-2, "high", np.inf),
    "high below low": lambda frame: set_value(-2, "high", frame["low"].iloc[-2] * 0.9)(frame),
    "an unadjusted split": scale_before_tail(2.0),
    "a bad tick": lambda frame: set_value(-3, "close", frame["close"].iloc[-3] * 1.5)(
        set_value(-3, "high", frame["close"].iloc[-3] * 1.6)(frame)
    ),
    "a missing session": lambda frame: frame.drop(index=frame.index[-4]).reset_index(drop=True),
    "a duplicate session": lambda frame: pd.concat([frame, frame.tail(1)], ignore_index=True),
    "a future session": append_future,
    "a missing column": lambda frame: frame.drop(columns="high"),
    "a wrong type": lambda frame: frame.assign(close="dear"),
}


@pytest.fixture(scope="class")
def behind(filled: Bench) -> Iterator[Bench]:
    """The bench with five sessions yet to come, which nothing that is refused brings; whole again afterwards."""
    whole = filled.store.read(PRICES_DAILY, SPX)
    filled.store.write(PRICES_DAILY, SPX, whole.iloc[:-5].reset_index(drop=True), source="sample")
    yield filled
    filled.source.spoil = unspoiled
    assert filled.market().is_success
    pd.testing.assert_frame_equal(filled.store.read(PRICES_DAILY, SPX), whole)


class TestRefusals:
    """One refusal after the other, with nothing mended between them."""

    @pytest.mark.parametrize("defect", list(SPOILERS))
    def test_a_bad_price_slice_is_refused_by_name_and_the_good_one_stays(self, behind: Bench, defect: str) -> None:
        path = behind.store.path(PRICES_DAILY, SPX)
        features = behind.store.path(TECHNICAL, SPX)
        before, features_before = path.read_bytes(), features.read_bytes()
        behind.source.spoil = SPOILERS[defect]
        outcome = behind.market()
        assert not outcome.is_success
        assert "raw.prices_daily" in outcome.errors[0]
        assert "ticker=SPX" in outcome.errors[0]
        assert path.read_bytes() == before
        assert features.read_bytes() == features_before

    def test_the_failed_check_is_recorded_with_its_partition(self, behind: Bench) -> None:
        behind.source.spoil = SPOILERS["an unadjusted split"]
        behind.market()
        check = dg.AssetCheckKey(dg.AssetKey(["raw", "prices_daily"]), "no_unadjusted_split")
        record = behind.instance.event_log_storage.get_asset_check_execution_history(check, limit=1)[0]
        assert record.status.value == "FAILED"
        assert record.partition == "SPX"

    def test_the_next_good_answer_is_stored(self, behind: Bench) -> None:
        behind.source.spoil = unspoiled
        outcome = behind.market()
        assert outcome.is_success, outcome.errors
        assert (
            behind.store.read(PRICES_DAILY, SPX)["session"].max() == behind.source.prices_daily("SPX")["session"].max()
        )


def test_a_volatility_index_shifted_by_a_session_never_reaches_the_features(bench: Bench) -> None:
    def shift(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(session=frame["session"].shift(1)).dropna(subset="session")

    good = bench.store.path(VOLATILITY_INDEX, SPX).read_bytes()
    bench.store.path(VOLATILITY_INDEX, SPX).unlink()
    bench.source.spoil_index = shift
    outcome = bench.market()
    bench.source.spoil_index = unspoiled
    bench.store.path(VOLATILITY_INDEX, SPX).write_bytes(good)
    assert any("not_shifted_against_prices" in error for error in outcome.errors), outcome.errors


def test_a_torn_feature_slice_is_computed_again(bench: Bench) -> None:
    good = bench.store.read(TECHNICAL, SPX)
    path = bench.store.path(TECHNICAL, SPX)
    path.write_bytes(path.read_bytes()[:1000])
    outcome = bench.market()
    assert outcome.is_success, outcome.errors
    assert "features.technical" in outcome.materialized
    pd.testing.assert_frame_equal(bench.store.read(TECHNICAL, SPX), good)


def test_a_torn_raw_slice_is_reported_with_its_remedy_and_force_fetches_it_anew(bench: Bench) -> None:
    good = bench.store.read(PRICES_DAILY, SPX)
    path = bench.store.path(PRICES_DAILY, SPX)
    torn = path.read_bytes()[:1000]
    path.write_bytes(torn)
    outcome = bench.market()
    assert len(outcome.errors) == 1
    assert "StorageError" in outcome.errors[0]
    assert str(path) in outcome.errors[0]
    assert "--force" in outcome.errors[0]
    assert path.read_bytes() == torn
    assert bench.runner.bring_up_to_date(WorkItem("ticker", SPX, "force")).is_success
    pd.testing.assert_frame_equal(bench.store.read(PRICES_DAILY, SPX), good)


def test_a_switched_off_price_source_is_the_reason_why_nothing_is_fitted(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    settings = Settings(_env_file=None, home=tmp_path, source="files", files=folder, **QUICK_GROUPS)
    with dg.DagsterInstance.ephemeral() as instance:
        runner = SliceRunner(build_definitions(settings), instance, settings)
        for kind, key in (("none", SliceKey()), ("ticker", SliceKey("SPY"))):
            assert runner.bring_up_to_date(WorkItem(kind, key, "run")).is_success
        outcome = runner.bring_up_to_date(WorkItem("ticker_horizon", SliceKey("SPY", "24h"), "run"))
    # Every model that is fitted for a ticker and horizon says so itself.
    assert {error.split(":")[0] for error in outcome.errors} == {
        "models.direction_classifier",
        "models.volatility_forecaster",
        "models.price_stack",
        "models.allocation_ensemble",
    }
    assert all("prices_daily.parquet or prices_daily.csv is not in" in error for error in outcome.errors)


def _crash_without_trade(frame: pd.DataFrame) -> pd.DataFrame:
    return set_value(-40, "low", frame["low"].iloc[-40] * 0.7)(frame)


def test_a_refusal_names_every_rule_and_an_accepted_bar_is_stored_with_its_reason(bench: Bench) -> None:
    whole = bench.store.read(PRICES_DAILY, SPX)
    trimmed = whole.iloc[:-60].reset_index(drop=True)
    bench.store.write(PRICES_DAILY, SPX, trimmed, source="sample")

    def two_defects(frame: pd.DataFrame) -> pd.DataFrame:
        return set_value(-2, "close", -5.0)(_crash_without_trade(frame))

    bench.source.spoil = two_defects
    [refusal] = bench.market().errors
    assert "values_in_bounds" in refusal
    assert "no_reverting_spikes" in refusal

    bench.source.spoil = _crash_without_trade
    assert "no_reverting_spikes" in bench.market().errors[0]
    prices = bench.source.prices_daily("SPX")
    day = pd.Timestamp(prices["session"].iloc[-40])
    bar = accepted_bar(prices, day, reason="on the tape", now=pd.Timestamp("2026-01-02", tz="UTC"))
    assert bar is not None
    kept = AcceptedBars(bench.store.data)
    kept.accept(bar)
    try:
        outcome = bench.market()
        assert outcome.is_success, outcome.errors
        recorded = bench.store.provenance(PRICES_DAILY, SPX)
        assert recorded is not None
        assert recorded.accepted == {f"{day:%Y-%m-%d}": "on the tape"}
    finally:
        kept.path.unlink()
        bench.store.write(PRICES_DAILY, SPX, whole, source="sample")
