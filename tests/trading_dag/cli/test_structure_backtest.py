"""``backtest --structure`` as a user types it: entries from signals, dividends, settings, the page, refusals."""

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
from trading_dag.options.surfaces.modelled import continuous_rate
from trading_dag.schemas import MACRO_TABLE, PRICES_DAILY, RECOMMENDATION
from trading_dag.sessions import sessions_between, shift_sessions

# Twenty sessions without a holiday; every one is quoted.
DAYS = sessions_between("2024-02-20", "2024-03-18")
EX_DATE = "2024-03-15"
SPREAD = ("backtest", "--structure", "bull_put_spread", "--ticker", "SPY", "--days", "14")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A home with chains, signals of 168h of the same sessions, and prices with one dividend."""
    place = Workspace(tmp_path_factory.mktemp("plans"))
    spots = 500.0 + np.cumsum(np.random.default_rng(3).normal(0.0, 4.0, len(DAYS)))
    chain = fair_chain(spots, first="2024-02-20").sort_values(KEY, ignore_index=True)
    chain["bid"] = chain["bid"].clip(lower=0.0)
    chain = chain.drop(columns="delta").assign(
        ticker="SPY", last=np.nan, volume=40, open_interest=100, implied_volatility=0.2
    )  # fmt: skip
    ChainStore(place.home).merge("SPY", 2024, chain, source="files")
    store = ParquetStore(place.home)
    prices = {"ticker": "SPY", "session": DAYS, "split_factor": 1.0, "volume": 1.0}
    prices |= dict.fromkeys(("open", "high", "low", "close", "adj_close"), spots)
    prices["dividend"] = np.where(DAYS == EX_DATE, 1.595, 0.0)
    store.write(PRICES_DAILY, SliceKey("SPY"), table_frame(PRICES_DAILY, prices, rows=len(DAYS)), source="files")
    store.write(RECOMMENDATION, SliceKey("SPY", "168h"), recommendations("168h"), source="files")
    old = recommendations("24h").assign(
        session=shift_sessions(DAYS, -500), target_session=shift_sessions(DAYS, -499)
    )  # fmt: skip
    store.write(RECOMMENDATION, SliceKey("SPY", "24h"), old, source="files")
    return place


def recommendations(horizon: str) -> pd.DataFrame:
    """Every fourth session a spread in full size, otherwise nothing."""
    is_signal = np.arange(len(DAYS)) % 4 == 0
    values: dict[str, Any] = {
        "ticker": "SPY",
        "horizon": horizon,
        "session": DAYS,
        "target_session": shift_sessions(DAYS, 5),
        "strategy": np.where(is_signal, "bull_put_spread", "no_trade"),
        "rule": "matrix",
        "is_served": True,
        "design_size": np.where(is_signal, "FULL", "NONE"),
        "edge": "no_edge",
        "position_size": 0.0,
        "direction": "UP",
        "reasoning": "for a test",
        "evidence": "{}",
    }
    return table_frame(RECOMMENDATION, values, rows=len(DAYS))


def answer(workspace: Workspace, *arguments: str) -> dict[str, Any]:
    done = workspace.run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def test_signals_enter_at_the_next_quote_and_leave_at_their_target(workspace: Workspace) -> None:
    record = answer(workspace, *SPREAD, "--entries", "signals", "--horizon", "168h")
    trades = record["trades"]
    meant = DAYS[::4]
    assert [trade["signal_session"] for trade in trades] == [f"{day:%Y-%m-%d}" for day in meant]
    closed = [trade for trade in trades if trade["status"] == "closed"]
    assert len(closed) >= 3
    for trade in closed:
        signal = pd.DatetimeIndex([trade["signal_session"]])
        assert trade["entry_session"] == f"{shift_sessions(signal, 1)[0]:%Y-%m-%d}"
        assert trade["exit_reason"] == "horizon"
        assert trade["exit_session"] == f"{shift_sessions(signal, 5)[0]:%Y-%m-%d}"
    assert "signals of 168h that recommend bull_put_spread" in record["assumptions"]["entries"]
    assert "1 with an ex-date in the period" in record["assumptions"]["dividends"]


def test_settings_of_the_command_and_of_the_environment_reach_the_fills(workspace: Workspace) -> None:
    changed = Workspace(workspace.home, (("TRADING_DAG_BACKTEST__SLIPPAGE_FRACTION", "0.02"),))
    command = (*SPREAD, "--entries", "daily", "--to", "2024-02-28", "--set", "risk_fraction=0.2")
    words = ("maximum_open_positions=1", "fee_per_leg_contract_usd=1", "volume_share=0.05")
    plain = answer(workspace, *command)
    dearer = answer(changed, *command, *(part for word in words for part in ("--set", word)))
    assert max(row["open_positions"] for row in plain["equity"]) > 1
    assert {row["open_positions"] for row in dearer["equity"]} <= {0, 1}
    assert dearer["summary"]["skip_reasons"]["position_limit"] > 0
    before, after = (record["trades"][0] for record in (plain, dearer))
    assert before["strikes"] == after["strikes"]
    # Sold two hundredths below the bid, bought as much above the ask, each rounded to the cent.
    sold, bought = after["entry_prices"]
    assert sold == pytest.approx(0.98 * before["entry_prices"][0], abs=0.02)
    assert bought == pytest.approx(1.02 * before["entry_prices"][1], abs=0.02)
    assert sold < before["entry_prices"][0] - 0.05
    # A twentieth of 40 contracts of the day; one way, because it is open at the end or both ways where it is closed.
    assert after["contracts"] == 2
    ways = 2 if after["status"] == "closed" else 1
    assert after["fees_usd"] == pytest.approx(2 * 2 * 1.0 * ways)
    assert dearer["assumptions"]["fills"]["slippage_fraction"] == 0.02
    assert dearer["assumptions"]["account"]["maximum_open_positions"] == 1


def test_interest_on_cash_is_earned_where_it_is_set(workspace: Workspace) -> None:
    record = answer(workspace, *SPREAD, "--set", "account_usd=1000", "--set", "interest_rate=0.05")
    # Nothing is traded with so small an account: 27 calendar days of continuous interest.
    assert record["summary"]["closed"] == record["summary"]["open_at_end"] == 0
    assert record["equity"][-1]["equity_usd"] == pytest.approx(1_000.0 * np.exp(0.05 * 27 / 365), rel=1e-9)


def test_the_page_has_six_pictures_and_the_tables_are_printed(workspace: Workspace, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    done = workspace.run(*SPREAD, "--exit", "profit_target=0.5", "--html", str(page))
    assert done.returncode == 0, done.stderr
    for head in (
        "Profit by exit",
        "Profit by cause",
        "Greeks of the account",
        "Profit if it moved at once",
        "Assumptions",
    ):
        assert head in done.stdout
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/png;base64") == 6
    assert "http" not in text


JADE_LIZARD = json.dumps([
    {"name": "jade_lizard", "legs": [
        {"option_right": "P", "side": "sell", "delta": "short_leg"},
        {"option_right": "C", "side": "sell", "delta": 0.25, "apart_from": 0},
        {"option_right": "C", "side": "buy", "width_usd": 5, "from_leg": 1},
    ]}
])  # fmt: skip


def test_structures_of_the_settings_are_known_to_payoff(workspace: Workspace) -> None:
    own = Workspace(workspace.home, (("TRADING_DAG_STRUCTURES", JADE_LIZARD),))
    done = own.run("payoff", "jade_lizard", "SPY")
    # No volatility index is stored here: the structure is found, and what is missing is named.
    assert done.returncode == 1
    assert "jade_lizard on SPY cannot be opened on the stored chain of 2024-03-18: missing leg" in done.stderr
    unknown = workspace.run("payoff", "jade_lizard", "SPY")
    assert unknown.returncode == 2
    assert "unknown structure 'jade_lizard'" in unknown.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--entries", "signals"), 2, "--entries signals --horizon 24h"),
        (("--entries", "weekly", "--horizon", "168h"), 2, "--entries signals --horizon 24h"),
        (("--entries", "signals", "--horizon", "48h"), 1, "trading-dag run --tickers SPY --horizons 48h"),
        (("--entries", "signals", "--horizon", "24h"), 1, "no signal of SPY lies within the chain's sessions"),
        (("--entries", "hourly"), 2, "choose from weekly, daily, signals"),
        (("--set", "slippage"), 2, "name=value"),
        (("--set", "days_to_expiration=9"), 2, "choose from account_usd"),
        (("--set", "slippage_fraction=2"), 2, "slippage_fraction"),
        (("--set", "maximum_open_positions=x"), 2, "maximum_open_positions"),
        (("--set", "account_usd=1e25"), 2, "account_usd"),
        (("--set", "account_usd=inf"), 2, "account_usd"),
        (("--set", "seed=-1"), 2, "seed"),
        (("--exit", "horizon=1e30"), 2, "horizon_sessions"),
        (("--exit", "roll_days=14"), 2, "roll with 14 days left"),
        (("--days", "99999999999999999999999"), 2, "maximum_days"),
        (("--tickers", "QQQ"), 2, "--structure takes --ticker"),
        (("--horizons", "24h"), 2, "--structure takes --ticker"),
        (("--structure", "iron_albatross"), 2, "unknown structure 'iron_albatross'; choose from long_call"),
        (("--from", "2024-03-01", "--to", "2024-02-01"), 2, "is after --to"),
        (("--html", "no/such/folder/x.html"), 2, "there is no folder"),
    ],
)
def test_what_cannot_be_done_is_one_line_with_what_to_do(
    workspace: Workspace, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = workspace.run(*SPREAD, *arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_structure_of_the_settings_that_cannot_be_is_bad_usage(workspace: Workspace) -> None:
    endless = JADE_LIZARD.replace('"width_usd": 5', '"width_usd": 5, "days_after_front": 99999999999999999999')
    done = Workspace(workspace.home, (("TRADING_DAG_STRUCTURES", endless),)).run(*SPREAD)
    assert done.returncode == 2
    assert "structure 'jade_lizard', leg 2: days_after_front" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_rate_of_each_session_is_the_one_known_then(workspace: Workspace) -> None:
    macro = pd.DataFrame({"session": DAYS, "treasury_3m": np.linspace(1.0, 9.0, len(DAYS))})
    store = ParquetStore(workspace.home)
    rows = {"session": macro["session"], "treasury_3m": macro["treasury_3m"]}
    store.write(MACRO_TABLE, SliceKey(), table_frame(MACRO_TABLE, rows, rows=len(DAYS)), source="files")
    record = answer(workspace, *SPREAD)
    lowest, highest = continuous_rate(np.array([1.0, 9.0]), fallback=0.0)
    assert f"rate as known at each session, {lowest:.4f} to {highest:.4f}" in record["assumptions"]["greeks"]


def test_options_of_a_structure_are_refused_without_one(workspace: Workspace) -> None:
    done = workspace.run("backtest", "--set", "seed=1", "--by", "delta")
    assert done.returncode == 2
    assert "--set, --by: only with --structure" in done.stderr
