"""When a signal enters: at the exchange's next session, or not at all, and why not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.trading_dag.backtest.plan_chains import chain_frame, small_market
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.trade_plan import ExpirationChoice, TargetDelta, TradePlan
from trading_dag.backtest.runs.plan_runs import random_entry_runs, run_plan
from trading_dag.backtest.trades.entries import entries_from_signals
from trading_dag.errors import SchemaError
from trading_dag.options.structures.structure import structure_of

QUOTES = {("P", 90.0): (0.30, 0.40, -0.10), ("P", 95.0): (1.00, 1.10, -0.30)}
SPREAD = (TargetDelta(0.30), TargetDelta(0.10))


def market_of(*days: str):
    return small_market(chain_frame(dict.fromkeys(days, (100.0, QUOTES)), expiration="2024-04-12"))


@pytest.mark.parametrize(
    ("signal", "entered"),
    [
        # The chain begins on Thursday the 21st and has no Monday the 25th. Good Friday was the 29th.
        ("2023-11-02", "no_quote_next_session"),
        ("2024-03-19", "no_quote_next_session"),
        ("2024-03-20", "2024-03-21"),
        ("2024-03-21", "2024-03-22"),
        ("2024-03-22", "no_quote_next_session"),
        ("2024-03-23", "no_quote_next_session"),
        ("2024-03-25", "2024-03-26"),
        # Over the holiday and the weekend the next session is Monday.
        ("2024-03-28", "2024-04-01"),
        ("2024-03-30", "2024-04-01"),
        ("2024-04-01", "2024-04-02"),
        # Beyond the exchange's calendar, as after the data.
        ("2199-12-31", "entry_after_data"),
        # Nothing after Tuesday the 2nd.
        ("2024-04-02", "entry_after_data"),
        ("2024-05-02", "entry_after_data"),
    ],
)
def test_a_signal_enters_at_the_exchanges_next_session_or_is_skipped_with_its_reason(signal, entered) -> None:
    market = market_of("2024-03-21", "2024-03-22", "2024-03-26", "2024-03-28", "2024-04-01", "2024-04-02")
    entries = entries_from_signals(market, pd.to_datetime([signal]))
    if entered[0] == "2":
        assert entries.skip_reason.tolist() == [""]
        assert market.sessions[entries.entry].astype(str).tolist() == [entered]
    else:
        assert (entries.entry.tolist(), entries.skip_reason.tolist()) == ([-1], [entered])


def test_years_of_signals_before_the_chain_make_no_trade_and_are_counted() -> None:
    market = market_of("2024-03-21", "2024-03-22")
    signals = pd.bdate_range("2022-01-03", "2024-03-21")
    plan = TradePlan("one", structure_of("bull_put_spread"), SPREAD, ExpirationChoice(21, 10, 30))
    result = run_plan(market, plan, entries=entries_from_signals(market, signals))
    assert result.is_taken.sum() == 2
    assert result.skip_reasons() == {"no_quote_next_session": len(signals) - 2}


@pytest.mark.parametrize("days", [["2024-03-05", "2024-03-05"], ["2024-03-05", "2024-03-04"], ["2024-03-04", "NaT"]])
def test_sessions_that_repeat_go_back_or_are_missing_are_refused(days: list[str]) -> None:
    market = market_of("2024-03-04", "2024-03-05", "2024-03-06")
    with pytest.raises(SchemaError, match="strictly ascending"):
        entries_from_signals(market, pd.to_datetime(days))


def test_a_horizon_that_ends_by_the_next_session_says_so_whatever_the_chain_has() -> None:
    market = market_of("2024-03-04", "2024-03-05", "2024-03-08")
    entries = entries_from_signals(
        market,
        pd.to_datetime(["2024-03-01", "2024-03-04", "2024-03-05", "2024-03-06"]),
        targets=pd.to_datetime(["2024-03-04", "2024-03-06", "2024-03-06", "2024-03-12"]),
    )
    assert entries.skip_reason.tolist() == ["horizon_before_entry", "", "horizon_before_entry", "no_quote_next_session"]
    # No quotes on Wednesday: the horizon's first tradable quote is Friday's.
    assert market.sessions[entries.horizon[1]].astype(str) == "2024-03-08"


def test_a_signal_that_is_contradicted_before_its_entry_is_not_traded() -> None:
    # Two of a weekend have the same next session: the second stands.
    market = market_of("2024-03-04", "2024-03-05", "2024-03-06")
    entries = entries_from_signals(
        market, pd.to_datetime(["2024-03-02", "2024-03-03", "2024-03-04"]), directions=[1, -1, 1]
    )
    assert entries.entry.tolist() == [-1, 0, 1]
    assert entries.skip_reason.tolist() == ["flipped_before_entry", "", ""]
    assert entries.flip.tolist() == [0, 1, len(market)]


def test_a_later_signal_that_cannot_enter_still_flips_the_position_at_the_next_quote() -> None:
    market = market_of("2024-03-04", "2024-03-05", "2024-03-08", "2024-03-11")
    entries = entries_from_signals(market, pd.to_datetime(["2024-03-01", "2024-03-05"]), directions=[1, -1])
    assert entries.skip_reason.tolist() == ["", "no_quote_next_session"]
    plan = TradePlan(
        "one", structure_of("bull_put_spread"), SPREAD, ExpirationChoice(39, 10, 50), ExitRules(on_signal_flip=True)
    )
    trade = run_plan(market, plan, entries=entries).trades().iloc[0]
    assert (trade["exit_reason"], trade["exit_session"]) == ("signal_flip", pd.Timestamp("2024-03-08"))


def falling_and_rising_market():
    """Fourteen sessions on which one put costs what a random walk says; bought at the ask, sold at the bid."""
    days = pd.bdate_range("2024-03-04", periods=14)
    middles = np.round(3.0 + np.cumsum(np.random.default_rng(8).normal(0.0, 0.3, len(days))), 2)
    chain = {
        f"{day:%Y-%m-%d}": (100.0, {("P", 100.0): (middle - 0.05, middle + 0.05, -0.5)})
        for day, middle in zip(days, middles, strict=True)
    }
    return small_market(chain_frame(chain, expiration="2024-04-19")), days, middles


@pytest.mark.parametrize("rule", ["target", "flip"])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_random_entries_keep_each_trades_own_size_and_its_distance_to_target_and_flip(rule, share) -> None:
    """Trades are bought and held one or three sessions, and so are the random ones: all totals by hand."""
    market, days, middles = falling_and_rising_market()
    signals, held = [0, 2, 4, 6], np.array([1, 3, 1, 3])
    sizes = np.full(4, share)
    exits = ExitRules(on_signal_flip=rule == "flip")
    if rule == "target":
        targets = days[np.array(signals) + 1 + held].to_numpy()
        entries = entries_from_signals(market, days[signals], targets=targets, sizes=sizes)
    else:
        entries = entries_from_signals(market, days[signals], sizes=sizes)
        entries = replace(entries, flip=entries.entry + held)
    put = TradePlan("put", structure_of("long_put"), (TargetDelta(0.5),), ExpirationChoice(40, 20, 60), exits)
    result = run_plan(market, put, entries=entries)
    assert result.exits.exit.tolist() == [2, 6, 6, 10]

    luck = random_entry_runs(market, result, runs=400, seed=1)
    # A put bought at each session and sold one, or three, sessions on; the last three sessions cannot do both.
    fee = 2 * 0.65
    drawable = np.arange(len(days) - 3)
    budget = 100_000 * 0.02 * share
    ask = np.round(middles + 0.05, 2)
    contracts = np.floor(budget / (100 * ask[drawable] + fee))
    profit = {
        sessions: contracts * (100 * (middles[drawable + sessions] - middles[drawable] - 0.10) - fee)
        for sessions in (1, 3)
    }
    assert luck.sessions == len(drawable)
    place = np.array(signals) + 1
    own = sum(profit[sessions][at] for at, sessions in zip(place, held, strict=True))
    assert result.total_profit_usd == pytest.approx(own)
    # With fewer than 42 sessions a run only turns the ring.
    totals = {
        round(
            float(sum(profit[sessions][(at + turn) % len(drawable)] for at, sessions in zip(place, held, strict=True))),
            4,
        )
        for turn in drawable
    }
    assert {round(total, 4) for total in luck.totals_usd.tolist()} == totals
