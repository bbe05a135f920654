"""``backtest --quotes`` as a user types it: trades as from stored chains, strikes, queries, counts, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from resources.chains.store import ChainStore
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.conftest import Workspace
from tests.trading_dag.backtest.plan_chains import KEY, fair_chain
from trading_dag.frames import table_frame
from trading_dag.schemas import IMPLIED_VOLATILITY
from trading_dag.sessions import sessions_between

DAYS = sessions_between("2024-02-20", "2024-03-18")
PLAN = ("backtest", "--structure", "bull_put_spread", "--days", "14", "--exit", "profit_target=0.5")
HIGH = DAYS[[2, 7, 12]]


@pytest.fixture(scope="module")
def chain() -> pd.DataFrame:
    spots = 500.0 + np.cumsum(np.random.default_rng(3).normal(0.0, 4.0, len(DAYS)))
    rows = fair_chain(spots, first="2024-02-20").sort_values(KEY, ignore_index=True)
    rows["bid"] = rows["bid"].clip(lower=0.0)
    return rows.assign(ticker="SPY", last=np.nan, volume=40.0, open_interest=100.0, implied_volatility=0.2)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, chain: pd.DataFrame) -> Workspace:
    """A home with the chain stored, files of it beside, and ranks of two tickers."""
    place = Workspace(tmp_path_factory.mktemp("quotes"))
    ChainStore(place.home).merge("SPY", 2024, chain.drop(columns="delta"), source="files")
    without = chain.drop(columns="delta")
    without.to_parquet(place.home / "chain.parquet", index=False)
    without.to_csv(place.home / "chain.csv", index=False)
    chain.to_parquet(place.home / "deltas.parquet", index=False)
    for ticker, high in (("SPY", HIGH), ("QQQ", DAYS[[2]])):
        rank = np.where(DAYS.isin(high), 80.0, 20.0)
        frame = table_frame(IMPLIED_VOLATILITY, {"ticker": ticker, "session": DAYS, "iv_rank": rank}, rows=len(DAYS))
        ParquetStore(place.home).write(IMPLIED_VOLATILITY, SliceKey(ticker), frame, source="files")
    return place


def answer(workspace: Workspace, *arguments: str) -> dict[str, Any]:
    done = workspace.run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


@pytest.mark.parametrize("name", ["chain.parquet", "chain.csv"])
def test_a_file_gives_the_trades_that_it_gives_once_it_is_imported(workspace: Workspace, name: str) -> None:
    stored = answer(workspace, *PLAN, "--ticker", "SPY")
    from_file = answer(workspace, *PLAN, "--quotes", str(workspace.home / name))
    for part in ("trades", "equity", "summary", "exits", "random_entry", "scenarios"):
        assert from_file[part] == stored[part], part
    assert stored["summary"]["closed"] > 0
    assert from_file["source"] == f"file {name}"
    assert "rows" not in stored


def test_what_is_left_out_of_a_file_is_counted_and_shown(workspace: Workspace, chain: pd.DataFrame) -> None:
    spoilt = chain.copy()
    spoilt.loc[[0, 1], "bid"] = spoilt.loc[[0, 1], "ask"] + 1.0
    spoilt.loc[2, "strike"] = -5.0
    pd.concat([spoilt, spoilt.iloc[[9]]]).to_parquet(workspace.home / "spoilt.parquet", index=False)
    command = (*PLAN, "--quotes", str(workspace.home / "spoilt.parquet"))
    rows = answer(workspace, *command)["rows"]
    unquoted = int((chain["ask"] <= 0.0).sum())
    assert rows["rows"] == len(chain) + 1
    assert rows["refused"] == {"negative": 1, "duplicate": 1}
    assert rows["no_quote"] == {"crossed": 2, **({"zero": unquoted} if unquoted else {})}
    assert rows["used"] == len(chain) - 3 - unquoted
    shown = workspace.run(*command).stdout
    assert f"{rows['used']:,} quotes of {len(chain) + 1:,} rows; left out: negative 1, duplicate 1, crossed 2" in shown


def test_strikes_are_asked_for_by_delta_and_width(workspace: Workspace) -> None:
    command = (*PLAN, "--quotes", str(workspace.home / "deltas.parquet"), "--entries", "daily")
    record = answer(
        workspace,
        *command,
        "--delta",
        "0.4",
        "--delta-range",
        "0.3",
        "0.5",
        "--width",
        "8%",
        "--set",
        "risk_fraction=0.5",
    )
    assert "at 0.40 delta (from 0.30 to 0.50)" in record["assumptions"]["strikes"][0]
    assert "8.00% of spot further out of the money than leg 1" in record["assumptions"]["strikes"][1]
    taken = [trade for trade in record["trades"] if trade["status"] != "skipped"]
    assert taken
    for trade in taken:
        sold, bought = trade["strikes"]
        # Strikes are two hundredths of the first close apart.
        assert sold - bought == pytest.approx(0.08 * trade["entry_spot"], abs=10.0)
    none = answer(workspace, *command, "--delta-range", "0.400001", "0.400002")
    assert none["summary"]["skip_reasons"]["outside_delta_range"] == len(DAYS)


def test_a_query_says_after_which_sessions_to_enter(workspace: Workspace) -> None:
    sql = "select session from features.implied_volatility where ticker = 'SPY' and iv_rank > 50"
    record = answer(workspace, *PLAN, "--ticker", "SPY", "--entries-sql", sql)
    assert [trade["signal_session"] for trade in record["trades"]] == [f"{day:%Y-%m-%d}" for day in HIGH]
    after = DAYS[[3, 8, 13]]
    assert [trade["entry_session"] for trade in record["trades"]] == [f"{day:%Y-%m-%d}" for day in after]
    assert sql in record["assumptions"]["entries"]
    named = answer(
        workspace, *PLAN, "--ticker", "SPY", "--entries-sql",
        "select session, ticker from features.implied_volatility where iv_rank > 50",
    )  # fmt: skip
    assert named["trades"] == record["trades"]


def test_results_by_days_and_delta_are_a_table(workspace: Workspace) -> None:
    command = (*PLAN, "--quotes", str(workspace.home / "deltas.parquet"), "--width", "20", "--by", "delta")
    rows = answer(workspace, *command)["by_days_and_delta"]
    assert len(rows) == 6 * 5
    assert {row["days"] for row in rows} == {"1–7", "8–14", "15–30", "31–45", "46–60", "61–90"}
    shown = workspace.run(*command).stdout
    assert "Mean P&L a trade after fees" in shown
    assert "30 tries on one stretch of data" in shown


def test_several_structures_share_one_account_each_at_its_weight(workspace: Workspace) -> None:
    words = ("backtest", "--quotes", str(workspace.home / "deltas.parquet"), "--days", "14", "--entries", "daily")
    spread, condor = ("--structure", "bull_put_spread"), ("--structure", "iron_condor=0.5")
    budget = ("--set", "risk_fraction=0.3")
    both = answer(workspace, *words, *spread, *condor, *budget)
    alone = answer(workspace, *words, *spread, *budget)
    half = answer(workspace, *words, *condor, *budget)
    assert [plan["plan"] for plan in both["plans"]] == ["bull_put_spread", "iron_condor"]
    # The capital carries about three such trades: what one plan holds, the other may not.
    assert both["plans"][0]["trades"] + both["plans"][0]["open"] < (
        alone["summary"]["closed"] + alone["summary"]["open_at_end"]
    )
    assert both["plans"][0]["skip_reasons"]["capital_limit"] > 0
    first = [
        next(trade["contracts"] for trade in record["plans"][-1]["all_trades"] if trade["contracts"])
        for record in (both, half)
    ]
    whole = answer(workspace, *words, "--structure", "iron_condor", *budget)
    in_full = next(trade["contracts"] for trade in whole["trades"] if trade["contracts"])
    assert first[0] == first[1]
    assert in_full // 2 <= first[0] <= in_full // 2 + 1
    assert both["account"]["total_usd"] == pytest.approx(sum(plan["total_usd"] for plan in both["plans"]))
    assert both["equity"][0]["equity_usd"] == 100_000.0
    shown = workspace.run(*words, *spread, *condor, *budget).stdout
    assert "2 plans in one account on SPY" in shown
    assert "iron condor" in shown


def test_a_limit_on_delta_is_a_setting_of_the_account(workspace: Workspace) -> None:
    command = (*PLAN, "--quotes", str(workspace.home / "deltas.parquet"), "--entries", "daily")
    free = answer(workspace, *command)
    limited = answer(workspace, *command, "--set", "maximum_delta=30")
    assert "delta_limit" not in free["summary"]["skip_reasons"]
    assert limited["summary"]["skip_reasons"]["delta_limit"] > 0
    assert limited["assumptions"]["account"]["maximum_delta"] == 30.0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--quotes", "nowhere.parquet"), 1, "nowhere.parquet"),
        (("--quotes", "deltas.parquet", "--ticker", "QQQ"), 1, "rows of QQQ; there are SPY"),
        (("--quotes", "deltas.parquet", "--ticker", "../x"), 2, "is no ticker"),
        (("--quotes", "deltas.parquet", "--to", "2020-01-02"), 1, "has no quotes from the start to 2020-01-02"),
        (("--quotes", "no_strike.csv"), 1, "no_strike.csv"),
        (("--quotes", "deltas.parquet", "--width", "wide"), 2, "--width 'wide' is neither USD"),
        (("--quotes", "deltas.parquet", "--width", "-5"), 2, "a width is positive"),
        (("--quotes", "deltas.parquet", "--delta", "1.5"), 2, "a delta lies within 0 and 1"),
        (("--quotes", "deltas.parquet", "--structure", "long_call", "--width", "5"), 2, "long_call has no leg"),
        (("--ticker", "SPY", "--entries-sql", "select 1 as session"), 2, "sessions of entries are dates"),
        (("--ticker", "SPY", "--entries-sql", "select iv_rank from features.implied_volatility"), 2, "column session"),
        (
            ("--ticker", "SPY", "--entries-sql", "select session from features.implied_volatility where iv_rank > 50"),
            2, "more than once: say in it whose session is meant, such as where ticker = 'SPY'",
        ),
        (("--ticker", "SPY", "--entries-sql", "copy (select 1) to 'x.csv'"), 1, "not run: COPY is no query"),
        (("--ticker", "SPY", "--entries-sql", "from raw.prices_daily", "--entries", "daily"), 2, "--entries daily"),
        ((), 2, "--structure needs --ticker"),
        (("--quotes", "deltas.parquet", "--structure", "long_call", "--by", "delta"), 2, "take one --structure"),
        (("--quotes", "deltas.parquet", "--structure", "long_call=two"), 2, "a weight lies above 0"),
        (("--quotes", "deltas.parquet", "--structure", "bull_put_spread=0.5"), 2, "is given 2 times"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line_with_what_to_do(
    workspace: Workspace, chain: pd.DataFrame, arguments: tuple[str, ...], code: int, words: str
) -> None:
    chain.drop(columns="strike").head().to_csv(workspace.home / "no_strike.csv", index=False)
    placed = [str(workspace.home / word) if word.endswith((".parquet", ".csv")) else word for word in arguments]
    done = workspace.run(*PLAN, *placed)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.files_data
def test_of_three_tickers_in_one_real_file_one_is_chosen(workspace: Workspace, real_data: Path) -> None:
    command = (*PLAN, "--quotes", str(real_data / "option_chain_eod.parquet"), "--delta", "0.3", "--width", "5")
    rows = answer(workspace, *command, "--ticker", "SPY")["rows"]
    assert rows["rows"] == 208_102
    assert not rows["refused"]
    several = workspace.run(*command)
    assert several.returncode == 1
    assert "choose from IWM, QQQ, SPY" in several.stderr
