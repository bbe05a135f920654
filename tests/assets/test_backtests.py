"""The accuracy gate, the comparison and the pictures of backtests, through the real graph on slices made by hand."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from assets.jobs import RESEARCH_JOB
from assets.partitions import partition_key
from assets.run.in_process import QUIET_CONSOLE
from resources.chains.store import ChainStore
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.trading_dag.backtest.plan_chains import fair_chain
from trading_dag.definitions import build_definitions
from trading_dag.frames import table_frame
from trading_dag.schemas import (
    COMPARISON,
    MACRO_TABLE,
    METRICS,
    OPPORTUNITIES,
    PRICES_DAILY,
    RECOMMENDATION,
    SUMMARY,
    TRADES,
    VOLATILITY_INDEX,
)
from trading_dag.served_models import SERVED_VOLATILITY
from trading_dag.sessions import all_sessions
from trading_dag.settings import Settings
from trading_dag.validation.gates import edge

KEY = SliceKey("SPY", "48h")
SESSIONS = 120
GATED = (
    ("direction", "direction_shrunk", "brier_sign", "climatology"),
    ("volatility", SERVED_VOLATILITY, "rps", "markov"),
)
BACKTEST = ("trades", "equity", "summary")


class Desk:
    """A home with everything that the backtests of one slice read, and the job that makes them."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.store, self.instance = ParquetStore(settings.home), instance
        self.chains = ChainStore(settings.home)
        self.job = build_definitions(settings).resolve_job_def(RESEARCH_JOB)
        start = int(all_sessions().searchsorted(pd.Timestamp("2019-01-02")))
        self.sessions = all_sessions()[start : start + SESSIONS]
        # Up without a pause, so that long calls earn at any volatility of the surface.
        self.close = 300.0 * np.exp(0.006 * np.arange(SESSIONS))

    def store_inputs(self, *, gain: float) -> None:
        """Prices that rise, a call every third session, models that differ so much from their baselines."""
        head = {"ticker": "SPY", "session": self.sessions}
        prices = {"open": self.close, "high": self.close, "low": self.close, "close": self.close}
        self._write(PRICES_DAILY, SliceKey("SPY"), head | prices | {"adj_close": self.close, "volume": 1e6})
        index = {"symbol": "VIX", "open": 18.0, "high": 18.0, "low": 18.0, "close": 18.0}
        self._write(VOLATILITY_INDEX, SliceKey("SPY"), head | index)
        self._write(MACRO_TABLE, SliceKey(), {"session": self.sessions, "treasury_3m": 2.0})
        slice_head = {"ticker": "SPY", "horizon": "48h"}
        signals = self.sessions[10:100:3]
        recommended = {
            "session": signals, "target_session": self.sessions[12:102:3], "strategy": "long_call",
            "design_size": "FULL", "rule": "matrix",
            "is_served": True, "edge": "admissible", "position_size": 1.0, "overall_confidence": 0.8,
            "reasoning": "-", "evidence": "{}",
        }  # fmt: skip
        self._write(RECOMMENDATION, KEY, slice_head | recommended)
        # The matrix chooses among none; whoever does is compared with them.
        self.store.write(OPPORTUNITIES, KEY, table_frame(OPPORTUNITIES, {}, rows=0), source="files")
        verdict = "skilled" if gain >= 0 else "unskilled"
        scored = {
            "task": [task for task, *_ in GATED], "model": [model for _, model, *_ in GATED],
            "metric": [metric for _, _, metric, _ in GATED], "baseline": [baseline for *_, baseline in GATED],
            "value": [0.25 - gain, 0.07 - gain], "baseline_value": [0.25, 0.07], "difference": gain,
            "verdict": verdict, "n": 500, "n_ambiguous": 0,
        }  # fmt: skip
        self._write(METRICS, KEY, slice_head | scored)

    def _write(self, table, key: SliceKey, values) -> None:
        rows = max(len(value) for value in values.values() if isinstance(value, list | np.ndarray | pd.Index))
        self.store.write(table, key, table_frame(table, values, rows=rows), source="files")

    def make(self, *names: str) -> dg.ExecuteInProcessResult:
        return self.job.execute_in_process(
            instance=self.instance, partition_key=partition_key(KEY), raise_on_error=False, run_config=QUIET_CONSOLE,
            asset_selection=[dg.AssetKey(["backtests", name]) for name in names],
        )  # fmt: skip

    def pictures(self, result: dg.ExecuteInProcessResult, name: str) -> set[str]:
        (event,) = (event for event in result.get_asset_materialization_events() if event.asset_key.path[-1] == name)
        metadata = event.materialization.metadata
        return {key for key, value in metadata.items() if "data:image/png" in str(value.value)}


@pytest.fixture
def desk(tmp_path) -> Iterator[Desk]:
    settings = Settings(_env_file=None, home=tmp_path, source="files", files=tmp_path)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Desk(settings, instance)


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    found = result.get_asset_check_evaluations()
    return {check.check_name: check for check in found if check.asset_key.path[-1] == "summary"}


def test_models_as_good_as_their_baselines_make_an_admissible_backtest_and_both_checks_pass(desk: Desk) -> None:
    desk.store_inputs(gain=0.01)
    result = desk.make(*BACKTEST)
    assert result.success
    summary = desk.store.read(SUMMARY, KEY).iloc[0]
    assert summary["trades"] == 30
    assert summary["total_pnl_usd"] > 0
    assert summary["is_admissible"]
    assert {name: check.passed for name, check in checks_of(result).items()} == {
        "schema": True,
        "accuracy_gate": True,
        "backtest_is_admissible": True,
        "freshness": False,  # the prices made by hand end long ago
    }


def test_models_without_skill_stop_nothing_but_the_backtest_is_shown_to_be_inadmissible(desk: Desk) -> None:
    desk.store_inputs(gain=-0.01)
    result = desk.make(*BACKTEST)
    assert result.success
    assert not desk.store.read(SUMMARY, KEY)["is_admissible"].iloc[0]
    checks = checks_of(result)
    assert checks["accuracy_gate"].passed
    shown = checks["backtest_is_admissible"]
    assert not shown.passed
    assert shown.severity == dg.AssetCheckSeverity.WARN
    assert "direction_shrunk is unskilled against climatology" in str(shown.description)


def test_a_label_that_the_models_have_not_earned_blocks_the_run_and_the_last_good_slice_stays(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.store_inputs(gain=-0.01)
    assert desk.make(*BACKTEST).success
    before = desk.store.read(SUMMARY, KEY)
    monkeypatch.setattr(edge, "admissibility", lambda *_: edge.Admissibility(True, "said without looking"))
    result = desk.make(*BACKTEST)
    assert not result.success
    gate = checks_of(result)["accuracy_gate"]
    assert not gate.passed
    assert gate.severity == dg.AssetCheckSeverity.ERROR
    assert "not shown to be as good as climatology" in str(gate.description)
    pd.testing.assert_frame_equal(desk.store.read(SUMMARY, KEY), before)


def test_the_gate_blocks_and_its_verdict_on_the_backtest_does_not(desk: Desk) -> None:
    graph = build_definitions(Settings(_env_file=None)).resolve_asset_graph()
    key = dg.AssetKey(["backtests", "summary"])
    assert graph.get(dg.AssetCheckKey(key, "accuracy_gate")).blocking
    assert not graph.get(dg.AssetCheckKey(key, "backtest_is_admissible")).blocking


def test_the_rule_of_tolerance_admits_nothing_while_no_price_model_is_scored(tmp_path) -> None:
    settings = Settings(_env_file=None, home=tmp_path, source="files", files=tmp_path, gate={"rule": "tolerance"})
    with dg.DagsterInstance.ephemeral() as instance:
        desk = Desk(settings, instance)
        desk.store_inputs(gain=0.01)
        result = desk.make(*BACKTEST)
        assert result.success
        summary = desk.store.read(SUMMARY, KEY).iloc[0]
        assert not summary["is_admissible"]
        assert "price_distribution has no hit_rate_within_usd_band" in summary["admissibility_reason"]


def test_a_backtest_that_traded_shows_equity_random_entry_and_payoff_and_an_idle_one_no_more_than_it_has(
    desk: Desk,
) -> None:
    desk.store_inputs(gain=0.01)
    shown = desk.pictures(desk.make(*BACKTEST), "trades")
    assert shown == {"equity", "profit against random entry", "payoff of the last trade"}
    idle = desk.store.read(RECOMMENDATION, KEY).assign(strategy="no_trade", design_size="NONE", position_size=0.0)
    desk.store.write(RECOMMENDATION, KEY, idle, source="files")
    assert desk.pictures(desk.make(*BACKTEST), "trades") == {"equity"}
    assert (desk.store.read(TRADES, KEY)["status"] == "skipped").all()


def test_without_a_chain_the_comparison_is_modelled_and_with_one_it_runs_on_the_chain(desk: Desk) -> None:
    desk.store_inputs(gain=0.01)
    assert desk.make("comparison").success
    modelled = desk.store.read(COMPARISON, KEY)
    assert (modelled["quote_source"] == "modelled").all()
    assert "horizon" in set(modelled["exits"])
    assert desk.store.provenance(COMPARISON, KEY).source == "files"

    chain = fair_chain(300.0 + np.cumsum(np.random.default_rng(2).normal(0.0, 2.0, 60)), lives=35)
    chain = (
        chain[chain["bid"] > 0]
        .drop(columns="delta")
        .assign(ticker="SPY", implied_volatility=0.2, open_interest=9.0, volume=5.0, last=np.nan)
    )
    desk.chains.merge("SPY", 2024, chain, source="import")
    assert desk.make("comparison").success
    traded = desk.store.read(COMPARISON, KEY)
    assert (traded["quote_source"] == "chain").all()
    assert traded["pnl_lower_volatility_usd"].isna().all()
    assert (traded["trades"] > 0).any()
    assert desk.store.provenance(COMPARISON, KEY).source == "import"


def test_a_ticker_whose_index_never_meets_its_prices_has_no_comparison_and_says_why(desk: Desk) -> None:
    desk.store_inputs(gain=0.01)
    index = desk.store.read(VOLATILITY_INDEX, SliceKey("SPY")).assign(open=np.nan, high=np.nan, low=np.nan)
    earlier = all_sessions()[:SESSIONS]
    desk.store.write(VOLATILITY_INDEX, SliceKey("SPY"), index.assign(session=earlier), source="files")
    assert desk.make("comparison").success
    assert desk.store.read(COMPARISON, KEY).empty
    assert "volatility index" in desk.store.provenance(COMPARISON, KEY).source_off
