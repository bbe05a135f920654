"""A run in which nothing came out prints no empty table and sends nobody to look at one."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Workspace


def test_a_run_in_which_all_failed_prints_no_table_and_no_next_step(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "home").mkdir()
    (folder / "prices_daily.csv").write_text(
        "ticker,session,open,high,low,close,adj_close,volume\nTLT,2024-11-15,1,1,1,1,1,1\n"
    )
    variables = (("TRADING_DAG_SOURCE", "files"), ("TRADING_DAG_FILES", str(folder)))
    done = Workspace(tmp_path / "home", variables).run("run", "--tickers", "SPY", "--horizons", "24h")
    assert done.returncode == 1
    assert "failed  SPY" in done.stdout
    assert "skipped SPY 24h" in done.stdout
    for absent in ("Look next", "┏", "direction skill", "no investment advice"):
        assert absent not in done.stdout
    assert "trading-dag doctor" in done.stdout
