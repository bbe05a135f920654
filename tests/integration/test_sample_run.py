"""The main job on the sample source, from the command line to the stored tables."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pandas as pd
import pytest

from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.conftest import QUICK_GROUPS, SAMPLE_HORIZONS, Workspace
from trading_dag.schemas import (
    FEATURE_TABLE,
    METRICS,
    PREDICTIONS_DIRECTION,
    PREDICTIONS_VOLATILITY,
    PROVISIONAL,
    PROVISIONAL_OPPORTUNITIES,
    RECOMMENDATION,
    SUMMARY,
    TABLES,
    TARGETS,
    TECHNICAL,
)
from trading_dag.schemas.feature_names import FEATURE_GROUPS
from trading_dag.settings import Settings
from trading_dag.slices import horizon_of
from trading_dag.validation.scores.metric_names import BASELINES, meaning_of_metric
from trading_dag.validation.scores.tasks import TASKS
from trading_dag.validation.verdicts.evaluation import evaluate

HORIZONS = SAMPLE_HORIZONS.split(",")


@pytest.fixture
def store(sample_run: Workspace) -> ParquetStore:
    return ParquetStore(sample_run.home)


def test_every_table_holds_a_slice_for_what_was_asked(store: ParquetStore) -> None:
    expected = {
        "none": [SliceKey()],
        "ticker": [SliceKey("SPX")],
        "ticker_horizon": [SliceKey("SPX", horizon) for horizon in HORIZONS],
        "ticker_year": [],  # chains come in by a command of their own
    }
    for table in TABLES.values():
        # What is provisional is made while a session is under way, and the sample's have all closed.
        slices = [] if table in (PROVISIONAL, PROVISIONAL_OPPORTUNITIES) else expected[table.slice]
        assert store.slices(table) == slices, table.qualified_name


def test_the_last_table_is_one_a_trader_can_read(sample_run: Workspace) -> None:
    done = sample_run.run("run", "--tickers", "SPX", "--horizons", "24h")
    assert done.returncode == 0, done.stderr
    assert "up to date" in done.stdout
    for words in ("direction skill", "IV skill", "structure", "backtest", "SPX", "24h", "Look next"):
        assert words in done.stdout


def test_a_second_run_computes_nothing_that_is_stored(sample_run: Workspace, store: ParquetStore) -> None:
    key = SliceKey("SPX", "168h")
    before = store.path(PREDICTIONS_DIRECTION, key).stat().st_mtime_ns
    assert sample_run.run("run", "--tickers", "SPX", "--horizons", "168h").returncode == 0
    assert store.path(PREDICTIONS_DIRECTION, key).stat().st_mtime_ns == before


@pytest.mark.parametrize("horizon", HORIZONS)
def test_the_metrics_can_be_computed_again_from_the_stored_predictions(store: ParquetStore, horizon: str) -> None:
    key, quick = SliceKey("SPX", horizon), Settings(_env_file=None, **QUICK_GROUPS)
    again = evaluate(
        {task.name: store.read(task.predictions, key) for task in TASKS},
        horizon=horizon_of(horizon),
        settings=quick.bootstrap,
    )
    order = list(METRICS.key)
    stored = store.read(METRICS, key).sort_values(order, ignore_index=True)
    again = again.sort_values(order, ignore_index=True)
    assert stored[order].equals(again[order].astype(stored[order].dtypes))
    numbers = [name for name in stored.columns if stored[name].dtype == "float64"]
    pd.testing.assert_frame_equal(stored[numbers], again[numbers], rtol=0, atol=1e-9)


@pytest.mark.parametrize("horizon", HORIZONS)
def test_every_metric_and_baseline_of_a_run_is_explained(store: ParquetStore, horizon: str) -> None:
    stored = store.read(METRICS, SliceKey("SPX", horizon), columns=["metric", "baseline"])
    assert [name for name in stored["metric"].unique() if meaning_of_metric(name) is None] == []
    assert set(stored["baseline"]) <= set(BASELINES)


def test_what_the_sample_does_not_have_is_a_typed_null_column(store: ParquetStore) -> None:
    features = store.read(FEATURE_TABLE, SliceKey("SPX"))
    assert features["treasury_10y"].isna().all()
    assert features["treasury_10y"].dtype == "float64"
    assert features["vix_term_slope"].isna().all()
    first_rank = features.loc[features["iv_rank"].notna(), "session"].min()
    assert first_rank.year == 2015


def test_opens_that_copy_the_close_give_no_12h_rows(store: ParquetStore) -> None:
    """The index's open equals the prior close until about 2006; such rows would be invented outcomes."""
    overnight = store.read(TARGETS, SliceKey("SPX", "12h"))["session"]
    daily = store.read(TARGETS, SliceKey("SPX", "24h"))["session"]
    assert daily.min().year == 1999
    assert 2005 <= overnight.min().year <= 2009


def test_a_rare_class_is_insufficient_data_and_no_number(store: ParquetStore) -> None:
    metrics = store.read(METRICS, SliceKey("SPX", "168h"))
    insufficient = metrics[metrics["verdict"] == "insufficient_data"]
    assert insufficient["difference_ci_low"].isna().all()
    assert insufficient["reason"].notna().all()


def test_a_horizon_that_ends_at_its_entry_has_no_backtest_and_says_so(store: ParquetStore) -> None:
    summary = store.read(SUMMARY, SliceKey("SPX", "12h")).iloc[0]
    assert summary["status"] == "horizon_before_entry"
    assert summary["trades"] == 0


def test_a_backtest_states_its_assumptions(store: ParquetStore) -> None:
    assumptions = json.loads(store.read(SUMMARY, SliceKey("SPX", "168h"))["assumptions"].iloc[0])
    text = json.dumps(assumptions)
    for word in ("fee", "spread", "account", "multiplier", "surface"):
        assert word in text


def test_every_forecast_comes_from_a_model_that_had_seen_nothing_later(store: ParquetStore) -> None:
    for table in (PREDICTIONS_DIRECTION, PREDICTIONS_VOLATILITY):
        for horizon in HORIZONS:
            frame = store.read(table, SliceKey("SPX", horizon))
            assert (frame["fitted_through"] <= frame["session"]).all()
            assert frame["is_out_of_sample"].all()


def test_there_is_a_recommendation_for_the_last_session(store: ParquetStore) -> None:
    last = store.read(TECHNICAL, SliceKey("SPX"), columns=["session"])["session"].max()
    for horizon in HORIZONS:
        assert store.read(RECOMMENDATION, SliceKey("SPX", horizon))["session"].max() == last


def recorded_runs(workspace: Workspace) -> dict[str, int]:
    """Number of Dagster runs by status."""
    with sqlite3.connect(workspace.home / ".dagster" / "history" / "runs.db") as runs:
        return dict(runs.execute("select status, count(*) from runs group by status").fetchall())


def test_the_dagster_instance_knows_every_run_and_check(sample_run: Workspace) -> None:
    statuses = recorded_runs(sample_run)
    assert set(statuses) == {"SUCCESS"}
    assert statuses["SUCCESS"] >= 5


def test_signal_evaluate_backtest_and_sql_show_what_is_stored(sample_run: Workspace) -> None:
    for arguments in (
        ("signal", "SPX", "--horizons", SAMPLE_HORIZONS),
        ("evaluate", "--tickers", "SPX"),
        ("backtest", "--tickers", "SPX"),
        ("sql", "select ticker, count(*) as n from features.technical group by ticker"),
        ("doctor",),
    ):
        done = sample_run.run(*arguments)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        assert "SPX" in done.stdout or arguments == ("doctor",)


def test_a_payoff_is_shown_and_drawn(sample_run: Workspace, tmp_path: Path) -> None:
    picture = tmp_path / "condor.png"
    done = sample_run.run("payoff", "iron_condor", "SPX", "--picture", str(picture), "--json")
    assert done.returncode == 0, done.stderr
    legs = json.loads(done.stdout)["legs"]
    assert [(leg["side"], leg["option_right"]) for leg in legs] == [
        ("sell", "P"),
        ("buy", "P"),
        ("sell", "C"),
        ("buy", "C"),
    ]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_backtest_of_recommendations_is_one_file_of_one_slice(sample_run: Workspace, tmp_path: Path) -> None:
    target = tmp_path / "backtest.html"
    done = sample_run.run("backtest", "--tickers", "SPX", "--horizons", "168h", "--html", str(target))
    assert done.returncode == 0, done.stderr
    made = target.read_text(encoding="utf-8")
    assert "SPX 168h: backtest of the recommendations" in made
    assert "Sample data, not today" in made
    assert made.count('src="data:image/png;base64,') == made.count("<h3>Trades</h3>") > 0
    assert "src=" not in made.replace('src="data:image/png;base64,', "")
    several = sample_run.run("backtest", "--tickers", "SPX", "--html", str(target))
    assert several.returncode == 2
    assert "one ticker and one horizon" in several.stderr


def test_the_report_of_the_day_is_one_file(sample_run: Workspace, tmp_path: Path) -> None:
    target = tmp_path / "day.html"
    done = sample_run.run("report", "--tickers", "SPX", "--html", str(target), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"report": str(target)}
    made = target.read_text(encoding="utf-8")
    assert "the close of Monday 31 December 2018" in made
    assert "What was said, and what came" in made
    assert "Sample data, not today" in made
    assert "Stale:" not in made
    assert "src=" not in made.replace('src="data:image/png;base64,', "")
    missing = sample_run.run("report", "--html", str(tmp_path / "nowhere" / "day.html"))
    assert missing.returncode == 2
    nobody = sample_run.run("report", "--mail")
    assert nobody.returncode == 2
    assert "TRADING_DAG_ALERTS__EMAIL_TO" in nobody.stderr
    told = Workspace(sample_run.home, (*sample_run.variables, ("TRADING_DAG_ALERTS__EMAIL_TO", '["me@example.com"]')))
    dry = told.run("report", "--tickers", "SPX", "--html", str(target), "--mail", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "would be mailed to me@example.com" in dry.stdout
    assert "SPX 24h: " in dry.stdout


def test_json_output_is_json(sample_run: Workspace) -> None:
    done = sample_run.run("signal", "SPX", "--horizons", "24h", "--json")
    rows = json.loads(done.stdout)
    assert [row["horizon"] for row in rows] == ["24h"] * 2  # by either rule


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("run", "--tickers", "../x"), "no ticker"),
        (("run", "--tickers", "ZZZ"), "universe"),
        (("signal", "SPX", "--horizons", "13h"), "horizon"),
        (("sql", "from raw.nothing"), "nothing"),
        (("run", "--source", "files"), "TRADING_DAG_FILES"),
        (("payoff", "iron_kondor", "SPX"), "iron_condor"),
    ],
)
def test_bad_usage_is_one_line_and_an_exit_code(sample_run: Workspace, arguments: tuple[str, ...], word: str) -> None:
    before = recorded_runs(sample_run)
    done = sample_run.run(*arguments)
    assert done.returncode in (1, 2)
    assert word in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert recorded_runs(sample_run) == before


def test_an_input_that_ends_is_named_by_signal_and_doctor(sample_run: Workspace) -> None:
    """The last year of the index is taken away from a copy of the features; the prices go on."""
    store = ParquetStore(sample_run.home)
    key = SliceKey("SPX")
    path = store.path(FEATURE_TABLE, key)
    kept = path.read_bytes()
    cut = store.read(FEATURE_TABLE, key)
    cut.loc[cut["session"] > "2018-11-01", list(FEATURE_GROUPS["implied_volatility"])] = None
    store.write(FEATURE_TABLE, key, cut, source="sample")
    try:
        for command in (["signal", "SPX"], ["doctor"]):
            done = sample_run.run(*command)
            assert "implied_volatility on 2018-11-01" in done.stdout, done.stdout
    finally:
        path.write_bytes(kept)
    assert "implied_volatility on" not in sample_run.run("signal", "SPX").stdout
