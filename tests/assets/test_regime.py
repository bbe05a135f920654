"""Market states: what is stored stays while it is observed alike, and is fitted anew where the settings differ."""

from __future__ import annotations

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from assets.jobs import MARKET_JOB
from assets.run.in_process import run_job
from assets.run.staleness import Staleness
from resources.storage.models.store import ModelStore
from resources.storage.parquet_store import ParquetStore, SliceKey
from trading_dag.definitions import build_for_command
from trading_dag.features.technical import build_technical
from trading_dag.schemas import REGIME_HMM, TECHNICAL
from trading_dag.sessions import sessions_between
from trading_dag.setting_groups import RegimeSettings
from trading_dag.settings import Settings

SPX = SliceKey("SPX")
HMM = dg.AssetKey(["models", "regime_hmm"])
WITH_VOLUME = RegimeSettings(inputs=("log_return_20d", "log_hv_20", "log_volume_ratio"))


@pytest.fixture
def store(settings: Settings) -> ParquetStore:
    sessions = sessions_between("2014-01-02", "2018-12-31")
    generator = np.random.default_rng(4)
    close = 100 * np.exp(np.cumsum(generator.normal(0.0, 0.01, len(sessions))))
    prices = dict.fromkeys(("open", "high", "low", "close", "adj_close"), close)
    volume = generator.lognormal(15, 0.5, len(sessions))
    bars = pd.DataFrame({"ticker": "SPX", "session": sessions, **prices, "volume": volume})
    store = ParquetStore(settings.home)
    store.write(TECHNICAL, SPX, build_technical(bars), source="sample")
    return store


def fitted(settings: Settings) -> pd.DataFrame:
    with dg.DagsterInstance.ephemeral() as instance:
        job = build_for_command(settings).resolve_job_def(MARKET_JOB)
        assert run_job(job, instance, partition="SPX", selection=[HMM]).errors == ()
    return ParquetStore(settings.home).read(REGIME_HMM, SPX)


def test_other_observations_fit_every_year_anew_and_the_same_ones_none(settings: Settings, store: ParquetStore) -> None:
    before = fitted(settings)
    assert not before.empty
    assert before["mean_log_volume_ratio"].isna().all()
    marked = before.assign(mean_log_likelihood=-99.0)
    record = store.provenance(REGIME_HMM, SPX)
    assert record is not None
    store.write(REGIME_HMM, SPX, marked, source=record.source, code_version=record.code_version, inputs=record.inputs)
    pd.testing.assert_frame_equal(fitted(settings), marked)

    wider = settings.model_copy(update={"regime": WITH_VOLUME})
    stale = Staleness(store, ModelStore(settings.home / "models"), wider).stale("ticker", SPX, refit=False)
    assert {"regime_hmm", "regime"} <= {declaration.name for declaration in stale}
    after = fitted(wider)
    assert after["mean_log_volume_ratio"].notna().all()
    assert after["mean_log_return_5d"].isna().all()
    assert (after["mean_log_likelihood"] != -99.0).all()
    pd.testing.assert_frame_equal(fitted(settings), before)


def test_another_start_fits_every_year_on_the_sessions_from_then_on(settings: Settings, store: ParquetStore) -> None:
    whole = fitted(settings)
    start = pd.Timestamp("2014-03-03")
    later = fitted(settings.model_copy(update={"regime": RegimeSettings(start=start.date())}))
    assert (later["fitted_first_session"] == start).all()
    assert len(later) == len(whole) == 5
    assert later["n_train"].iloc[0] < whole["n_train"].iloc[0]
