"""Chains from a file to the tables, the Dagster instance and the screen, by the command line and as an asset."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from assets.jobs import OPTION_CHAIN_JOB
from assets.partitions import OPTION_CHAIN_DATES, chain_partition_key
from resources.chains.importing.importer import import_chains
from resources.chains.store import ChainStore
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.conftest import Workspace
from trading_dag.definitions import build_definitions
from trading_dag.options.pricing import black_scholes
from trading_dag.schemas import CHAIN_ANALYTICS, DEALER_EXPOSURE
from trading_dag.settings import Settings

SESSIONS = pd.DatetimeIndex(["2024-11-14", "2024-11-15"])
EXPIRATIONS = pd.DatetimeIndex(["2024-12-20", "2025-01-17"])
SPOT, RATE, DIVIDEND_YIELD, VOLATILITY = 500.0, 0.03, 0.012, 0.2
CHAIN = dg.AssetKey(["raw", "option_chain"])


def quotes(sessions: pd.DatetimeIndex = SESSIONS) -> pd.DataFrame:
    """European options of one volatility, a cent of half spread either side, in the shape of a user's file."""
    grid = pd.MultiIndex.from_product(
        [sessions, EXPIRATIONS, np.arange(400.0, 605.0, 5.0), ["C", "P"]],
        names=["quote_date", "expiration", "strike", "right"],
    ).to_frame(index=False)
    years = (grid["expiration"] - grid["quote_date"]).dt.days / 365
    spot = SPOT + grid["quote_date"].dt.day - 14
    middle = black_scholes.price(
        spot=spot, strike=grid["strike"], years=years, rate=RATE, dividend_yield=DIVIDEND_YIELD,
        volatility=VOLATILITY, is_call=grid["right"] == "C",
    )  # fmt: skip
    half = np.minimum(0.01, middle / 2)
    return grid.assign(
        ticker="SPY", underlying_price=spot, bid=middle - half, ask=middle + half, last=middle, volume=10,
        open_interest=np.where(grid["right"] == "C", 100, 120), implied_volatility=np.nan,
    )  # fmt: skip


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A home into which a file of chains was imported by the command line."""
    workspace = Workspace(tmp_path_factory.mktemp("chains"))
    quotes().to_parquet(workspace.home / "chains.parquet", index=False)
    done = workspace.run("import-chains", "chains.parquet")
    assert done.returncode == 0, done.stdout + done.stderr
    return workspace


def test_an_import_ends_in_forwards_volatilities_and_exposure(imported: Workspace) -> None:
    store = ParquetStore(imported.home)
    smiles = store.read(CHAIN_ANALYTICS, SliceKey("SPY"))
    assert smiles["session"].unique().tolist() == list(SESSIONS)
    growth = np.exp((RATE - DIVIDEND_YIELD) * smiles["years"])
    assert smiles["forward"].to_numpy() == pytest.approx((smiles["spot"] * growth).to_numpy(), rel=2e-4)
    assert smiles["atm_volatility"].to_numpy() == pytest.approx(np.full(4, VOLATILITY), abs=2e-3)
    assert smiles["skew_25_delta"].abs().max() < 3e-3
    # European puts deep in the money lose value with time, so these prices do hold calendars for American holders.
    assert (smiles[["vertical_violations", "butterfly_violations"]] == 0).all(axis=None)
    exposure = store.read(DEALER_EXPOSURE, SliceKey("SPY"))
    assert exposure["session"].tolist() == list(SESSIONS)
    assert (exposure["contracts"] == len(quotes()) / 2).all()
    assert (exposure["net_gamma"] < 0).all()  # more puts are open than calls, at the same volatilities


def test_the_instance_knows_every_session(imported: Workspace) -> None:
    with sqlite3.connect(imported.home / ".dagster" / "history" / "event_log.db") as events:
        found = events.execute(
            "select partition from event_logs where asset_key = ? and dagster_event_type = 'ASSET_MATERIALIZATION'",
            ['["raw", "option_chain"]'],
        ).fetchall()
        checks = events.execute(
            "select partition, check_name, execution_status from asset_check_executions where asset_key = ?",
            ['["raw", "option_chain"]'],
        ).fetchall()
    assert sorted(found) == [("2024-11-14|SPY",), ("2024-11-15|SPY",)]
    assert sorted(checks) == [
        (f"2024-11-{day}|SPY", check, "SUCCEEDED")
        for day in (14, 15)
        for check in ("believable_chain", "point_in_time", "schema", "vendor_volatility_keeps_parity")
    ]


def test_an_import_that_was_ended_before_it_was_recorded_is_recorded_by_the_next(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    quotes().to_parquet(tmp_path / "chains.parquet", index=False)
    import_chains(ChainStore(tmp_path), tmp_path / "chains.parquet")  # stored and marked, but Dagster never heard
    done = workspace.run("import-chains", "chains.parquet", "--no-analyse", "--json")
    assert json.loads(done.stdout)["files"][0]["is_new"] is False
    with sqlite3.connect(tmp_path / ".dagster" / "history" / "event_log.db") as events:
        found = events.execute(
            "select count(*) from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION'"
        ).fetchone()
    assert found == (2,)


def test_chains_and_what_they_come_down_to_are_sql(imported: Workspace) -> None:
    done = imported.run("sql", "--json", "select count(*) n, count(distinct quote_date) d from raw.option_chain")
    assert json.loads(done.stdout) == [{"n": len(quotes()), "d": 2}]
    done = imported.run("sql", "--json", "select count(*) n from options.chain_analytics where svi_rmse < 0.005")
    assert json.loads(done.stdout) == [{"n": 4}]


def test_the_same_file_is_not_imported_twice_and_a_new_one_adds_its_session(imported: Workspace) -> None:
    again = imported.run("import-chains", "chains.parquet", "--json", "--no-analyse")
    assert json.loads(again.stdout)["files"][0]["is_new"] is False
    before = ParquetStore(imported.home).read(DEALER_EXPOSURE, SliceKey("SPY"))
    quotes(pd.DatetimeIndex(["2024-11-18"])).to_parquet(imported.home / "later.parquet", index=False)
    done = imported.run("import-chains", "later.parquet")
    assert done.returncode == 0
    assert "3/3" in done.stdout  # sessions analysed
    after = ParquetStore(imported.home).read(DEALER_EXPOSURE, SliceKey("SPY"))
    assert after["session"].tolist() == [*SESSIONS, pd.Timestamp("2024-11-18")]
    pd.testing.assert_frame_equal(after.iloc[:2], before)


def test_a_session_is_shown_by_expiration(imported: Workspace, tmp_path: Path) -> None:
    done = imported.run("chain", "SPY", "--date", "2024-11-14", "--json", "--picture", str(tmp_path / "smile.png"))
    record = json.loads(done.stdout)
    assert [row["expiration"][:10] for row in record["expirations"]] == ["2024-12-20", "2025-01-17"]
    assert record["spot"] == SPOT
    assert (tmp_path / "smile.png").read_bytes().startswith(b"\x89PNG")
    assert "2024-12-20" in imported.run("chain", "SPY", "--date", "2024-11-14").stdout


def test_a_structure_is_backtested_on_the_stored_chains(imported: Workspace, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    command = ("backtest", "--structure", "bull_put_spread", "--ticker", "SPY", "--entry", "daily", "--days", "35")
    done = imported.run(*command, "--exit", "horizon=1", "--json", "--html", str(page))
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    first = record["trades"][0]
    assert first["status"] == "closed", first
    assert (first["entry_session"], first["exit_session"]) == ("2024-11-14", "2024-11-15")
    assert (first["exit_reason"], first["quote_source"]) == ("horizon", "chain")
    entry, leave = first["entry_prices"], first["exit_prices"]
    profit = ((entry[0] - entry[1]) - (leave[0] - leave[1])) * 100 * first["contracts"] - first["fees_usd"]
    assert first["pnl_usd"] == pytest.approx(profit)
    assert first["fees_usd"] == pytest.approx(0.65 * 2 * 2 * first["contracts"])
    # Equity, causes, excursions, payoff, Greeks; random entry could deal nothing but the one trade there is.
    assert page.read_text().count("data:image/png;base64") == 5
    assert "http" not in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--structure", "iron_kondor", "--ticker", "SPY"), "iron_condor"),
        (("--structure", "long_call", "--ticker", "SPY", "--exit", "target"), "profit_target=0.5"),
        (("--structure", "long_call", "--ticker", "SPY", "--entry", "hourly"), "weekly"),
        (("--structure", "long_call"), "--ticker"),
        (("--structure", "long_call", "--ticker", "SPY", "--from", "2030-01-02"), "no option chain"),
    ],
)
def test_a_program_that_cannot_run_says_why(imported: Workspace, arguments: tuple[str, ...], word: str) -> None:
    done = imported.run("backtest", *arguments)
    assert done.returncode in (1, 2)
    assert word in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("chain", "SPY", "--date", "2023-01-03"), "sessions from 2024-11-14"),
        (("chain", "QQQ"), "import-chains"),
        (("import-chains", "no/such/folder"), "no such file"),
    ],
)
def test_what_is_not_there_is_one_line_and_says_what_to_do(
    imported: Workspace, arguments: tuple[str, ...], words: str
) -> None:
    done = imported.run(*arguments)
    assert done.returncode == 1
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_quotes_of_days_without_a_session_are_refused_and_counted(tmp_path: Path) -> None:
    workspace, vendor = Workspace(tmp_path), tmp_path / "vendor"
    vendor.mkdir()
    days = pd.DatetimeIndex(["2024-11-16", "2024-11-15", "2099-01-05"])  # a Saturday, a Friday, a day to come
    quotes(days[:2]).to_parquet(vendor / "chains.parquet", index=False)
    later = quotes(days[1:2]).assign(quote_date=days[2], expiration=pd.Timestamp("2099-02-20"))
    later.to_parquet(vendor / "later.parquet", index=False)
    done = workspace.run("import-chains", str(vendor), "--no-analyse", "--json")
    first, second = json.loads(done.stdout)["files"]
    assert first["refused"] == {"not_a_session": len(quotes()) // 2}
    assert second["refused"] == {"future_session": len(later)}
    assert ChainStore(tmp_path).read("SPY")["quote_date"].unique().tolist() == [pd.Timestamp("2024-11-15")]


def test_a_file_of_another_shape_names_what_was_found_and_expected(imported: Workspace) -> None:
    pd.DataFrame({"a": [1.0]}).to_parquet(imported.home / "other.parquet", index=False)
    done = imported.run("import-chains", "other.parquet")
    assert done.returncode == 1
    assert "the columns are a" in done.stderr
    assert "quote_date" in done.stderr


@pytest.fixture
def materialize(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Materialize the chain of a date and ticker from a folder of files; the result and the home."""
    quotes().to_parquet(tmp_path / "option_chain_mine.parquet", index=False)
    settings = Settings(_env_file=None, home=tmp_path, source="files", files=tmp_path)

    def run(date: str, ticker: str = "SPY") -> dg.ExecuteInProcessResult:
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions(str(OPTION_CHAIN_DATES.name), [date])
            job = build_definitions(settings).resolve_job_def(OPTION_CHAIN_JOB)
            key = chain_partition_key(pd.Timestamp(date), ticker)
            return job.execute_in_process(instance=instance, partition_key=key, raise_on_error=False)

    return run


def test_one_session_can_be_materialized_from_the_source(materialize, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    result = materialize("2024-11-15")
    assert result.success
    checks = result.get_asset_check_evaluations()
    assert {check.check_name for check in checks} == {
        "schema", "point_in_time", "believable_chain", "vendor_volatility_keeps_parity",
    }  # fmt: skip
    assert all(check.passed for check in checks)
    stored = ChainStore(tmp_path).read("SPY")
    assert len(stored) == len(quotes()) / 2
    assert stored["quote_date"].unique().tolist() == [pd.Timestamp("2024-11-15")]


def test_a_bad_chain_is_refused_and_nothing_is_stored(materialize, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    bad = quotes().assign(quote_date=pd.Timestamp("2024-11-16"))  # a Saturday
    bad.to_parquet(tmp_path / "option_chain_mine.parquet", index=False)
    result = materialize("2024-11-16")
    assert not result.success
    assert "no session of the exchange" in str(result.all_events)
    assert ChainStore(tmp_path).tickers() == []


def test_chains_of_a_simulated_history_are_fetched_stored_and_analysed_and_kept(tmp_path: Path) -> None:
    """Two sessions by the command line; asked again, nothing is fetched."""
    variables = (("TRADING_DAG_SOURCE", "simulated"), ("TRADING_DAG_SIMULATION__YEARS", "1"))
    workspace = Workspace(tmp_path, variables)
    asked = ("fetch-chains", "--tickers", "SPY", "--from", "2015-03-05", "--to", "2015-03-06", "--json")
    done = workspace.run(*asked)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert list(told["stored"]) == ["2015-03-05|SPY", "2015-03-06|SPY"]
    chains = ChainStore(tmp_path).read("SPY")
    assert chains.groupby("quote_date").size().tolist() == list(told["stored"].values())
    exposure = ParquetStore(tmp_path).read(DEALER_EXPOSURE, SliceKey("SPY"))
    assert exposure["session"].tolist() == [pd.Timestamp("2015-03-05"), pd.Timestamp("2015-03-06")]
    again = workspace.run(*asked)
    assert json.loads(again.stdout) == {"stored": {}, "kept": list(told["stored"]), "failed": {}, "not_analysed": []}


def test_dates_are_refused_for_a_source_that_shows_the_present_only(tmp_path: Path) -> None:
    done = Workspace(tmp_path).run("fetch-chains", "--source", "live", "--from", "2024-01-02")
    assert done.returncode == 2
    assert "no chains of earlier sessions" in done.stderr


def test_an_import_of_which_a_session_breaks_a_blocking_check_ends_with_1_and_names_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    (tmp_path / "vendor").mkdir()
    bad = quotes(SESSIONS[1:]).assign(implied_volatility=20.0)
    bad.to_csv(tmp_path / "vendor" / "percents.csv", index=False)
    done = workspace.run("import-chains", "vendor", "--no-analyse")
    assert done.returncode == 1
    assert "nothing stored: percents.csv: failed_check 164" in done.stderr
    assert "not stored: SPY/2024-11-15 of percents.csv: volatility_is_a_fraction: " in done.stderr
    assert "Look next" not in done.stdout
    quotes(SESSIONS[:1]).to_csv(tmp_path / "vendor" / "good.csv", index=False)
    (tmp_path / "vendor" / "torn.csv").write_text("ticker,close\n", encoding="utf-8")
    done = workspace.run("import-chains", "vendor", "--no-analyse", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert [(file["state"], list(file["refused_sessions"])) for file in told["files"]] == [
        ("imported", []), ("nothing stored", ["SPY/2024-11-15"]),
    ]  # fmt: skip
    assert [Path(name).name for name in told["left_out"]] == ["torn.csv"]
    with sqlite3.connect(tmp_path / ".dagster" / "history" / "event_log.db") as events:
        found = events.execute("select partition from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION'")
        assert found.fetchall() == [("2024-11-14|SPY",)]
