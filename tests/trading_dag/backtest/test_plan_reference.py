"""Every session of a real and of a simulated chain as an entry, against a reference that loops over rows."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.chain_quotes import QuoteFilter, read_chain_quotes
from tests.trading_dag.backtest.plan_chains import fair_chain
from trading_dag.backtest.markets.chain_market import ChainMarket, chain_market
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.trade_plan import (
    AccountRules,
    ExpirationChoice,
    FillAssumptions,
    TargetDelta,
    TradePlan,
    Width,
)
from trading_dag.backtest.runs.plan_runs import run_plan
from trading_dag.backtest.trades.entries import entries_every_session
from trading_dag.options.structures.structure import structure_of

# (right, sign, target delta or (leg, width))
LEGS = {
    "bull_put_spread": [("P", -1, 0.30), ("P", 1, 0.10)],
    "bear_call_spread": [("C", -1, 0.20), ("C", 1, (0, 7.0))],
    "iron_condor": [("P", -1, 0.20), ("P", 1, (0, 5.0)), ("C", -1, 0.20), ("C", 1, (2, 5.0))],
    "long_call": [("C", 1, 0.45)],
}
RULES = {
    "target, stop and days": {"target": 0.5, "stop": 2.0, "days": 7},
    "early target": {"target": 0.2, "stop": 1.0, "days": 0},
    "underlying and horizon": {"move": 0.02, "horizon": 6},
    "held": {},
}
WORST = {"bull_put_spread": -1, "bear_call_spread": 1, "iron_condor": 0, "long_call": -1}
ACCOUNT = 100_000.0


class Reference:
    """A backtest with nothing clever in it: a dictionary of rows and loops over sessions."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.sessions = sorted(frame["quote_date"].unique())
        self.spot = frame.groupby("quote_date")["underlying_price"].first().to_dict()
        # {(date, expiration, right): {strike: (bid, ask, delta)}}
        self.rows: dict[tuple, dict[float, tuple[float, float, float]]] = {}
        for row in frame.itertuples():
            quote = self.of_both(row) if hasattr(row, "bid") else self.of_last(row)
            if quote is not None:
                self.rows.setdefault((row.quote_date, row.expiration, row.right), {})[row.strike] = quote
        self.listed: dict[object, list] = {}
        for date, expiration in frame[["quote_date", "expiration"]].drop_duplicates().itertuples(index=False):
            self.listed.setdefault(date, []).append(expiration)

    def of_last(self, row) -> tuple[float, float, float] | None:
        spot = row.underlying_price
        intrinsic = max(spot - row.strike if row.right == "C" else row.strike - spot, 0.0)
        half = max(0.01 * row.last, 0.01)
        if row.volume <= 0 or row.last <= 0 or row.last < intrinsic - half - 1e-7:
            return None
        return row.last - half, row.last + half, row.delta if row.implied_volatility > 0 else math.nan

    def of_both(self, row) -> tuple[float, float, float] | None:
        return (row.bid, row.ask, row.delta) if 0 <= row.bid <= row.ask and row.ask > 0 else None

    def expiration(self, date) -> object | None:
        fitting = [day for day in sorted(self.listed[date]) if 7 <= (day - date).days <= 40]
        return min(fitting, key=lambda day: abs((day - date).days - 21), default=None)

    def strikes(self, date, expiration, legs) -> list[float] | None:
        chosen: list[float] = []
        for position, (right, _, rule) in enumerate(legs):
            grid = sorted(self.rows.get((date, expiration, right), {}).items())
            outward = 1 if right == "C" else -1
            if isinstance(rule, tuple):
                wanted = chosen[rule[0]] + outward * rule[1]
                misses = [(abs(k - wanted), k) for k, _ in grid if abs(k - wanted) <= rule[1] / 2 + 1e-9]
            else:
                misses = [(abs(abs(d) - rule), k) for k, (_, _, d) in grid if abs(abs(d) - rule) <= 0.10 + 1e-9]
            # A wing lies outside its short leg; a condor's calls above its puts.
            inner = {1: 0, 2: 0, 3: 2}.get(position)
            if inner is not None:
                misses = [(miss, k) for miss, k in misses if outward * (k - chosen[inner]) > 0]
            if not misses:
                return None
            least = min(miss for miss, _ in misses)
            chosen.append(min(k for miss, k in misses if miss <= least + 1e-9))
        return chosen

    def price(self, date, expiration, right, strike, *, buys: bool) -> float | None:
        quote = self.rows.get((date, expiration, right), {}).get(strike)
        if quote is None:
            return None
        if buys:
            return math.ceil(quote[1] * 100 - 1e-7) / 100
        return max(math.floor(quote[0] * 100 + 1e-7), 0) / 100

    def trade(self, start: int, name: str, rules: dict[str, float]) -> dict[str, object]:
        legs, date = LEGS[name], self.sessions[start]
        expiration = self.expiration(date)
        strikes = None if expiration is None else self.strikes(date, expiration, legs)
        if expiration is None or strikes is None:
            return {"reason": "no_expiration" if expiration is None else "missing_leg"}
        paid = [
            self.price(date, expiration, right, k, buys=sign > 0)
            for (right, sign, _), k in zip(legs, strikes, strict=True)
        ]
        if min(paid) <= 0:
            return {"reason": "no_entry_price"}
        premium = sum(sign * price for (_, sign, _), price in zip(legs, paid, strict=True))
        ends = [self.pays(legs, strikes, spot) for spot in (0.0, *strikes)]
        most = math.inf if name == "long_call" else max(ends) - premium
        loss = premium - min(ends)
        if most <= 0:
            return {"reason": "no_possible_profit"}
        contracts = math.floor(ACCOUNT * 0.02 / (100 * loss + 2 * 0.65 * len(legs)) + 1e-9)
        if contracts == 0:
            return {"reason": "exceeds_risk_budget"}
        need = contracts * (100 * loss + 2 * 0.65 * len(legs))
        result = {"strikes": strikes, "contracts": contracts, "expiration": expiration, "need": need}
        for later in range(start + 1, len(self.sessions)):
            today = self.sessions[later]
            reason, value = self.verdict(today, later - start, expiration, legs, strikes, premium=premium, most=most,
                                         entry_spot=self.spot[date], rules=rules, worst=WORST[name])  # fmt: skip
            if reason:
                profit = contracts * (100 * (value - premium) - 2 * 0.65 * len(legs))
                return {**result, "reason": reason, "exit": today, "profit": profit, "leaves": later}
        return {**result, "reason": ""}

    def account(self, name: str, rules: dict[str, float], *, cash: float, places: int) -> list[dict[str, object]]:
        """Every session as an entry, one event after the other; only what was taken rolls. Sessions before rolls."""
        events = [(start, 0, start, -1) for start in range(len(self.sessions))]
        done: list[dict[str, object]] = []
        while events:
            start, rolls, origin, parent = min(events)
            events.remove((start, rolls, origin, parent))
            trade = {**self.trade(start, name, rules), "start": start, "parent": parent}
            taken = [other for other in done if other.get("taken")]
            ended = [other for other in taken if other.get("leaves", math.inf) <= start]
            held = [other for other in taken if other not in ended]
            free = cash + sum(other["profit"] for other in ended) - sum(other["need"] for other in held)
            if "need" in trade:
                refused = "position_limit" if len(held) >= places else "capital_limit"
                trade["taken"] = len(held) < places and trade["need"] <= free + 1e-9
                if not trade["taken"]:
                    trade["reason"] = refused
                elif trade["reason"] == "roll":
                    events.append((trade["leaves"], rolls + 1, origin, len(done)))
            done.append(trade)
        return done

    def pays(self, legs, strikes, spot: float) -> float:
        return sum(
            sign * max(spot - k if right == "C" else k - spot, 0.0)
            for (right, sign, _), k in zip(legs, strikes, strict=True)
        )

    def verdict(self, today, held, expiration, legs, strikes, *, premium, most, entry_spot, rules, worst):
        prices = [
            self.price(today, expiration, right, k, buys=sign < 0)
            for (right, sign, _), k in zip(legs, strikes, strict=True)
        ]
        if None not in prices:
            value = sum(sign * price for (_, sign, _), price in zip(legs, prices, strict=True))
            profit = value - premium
            move = self.spot[today] / entry_spot - 1
            against = abs(move) if worst == 0 else worst * move
            if "move" in rules and against >= rules["move"] - 1e-9:
                return "stop", value
            if "stop" in rules and profit <= -rules["stop"] * abs(premium) + 1e-9:
                return "stop", value
            best = most if math.isfinite(most) else abs(premium)
            if "target" in rules and profit >= rules["target"] * best - 1e-9:
                return "profit_target", value
            if "horizon" in rules and held >= rules["horizon"]:
                return "horizon", value
            if "days" in rules and (expiration - today).days <= rules["days"]:
                return "days_to_expiration", value
            if "roll" in rules and (expiration - today).days <= rules["roll"]:
                return "roll", value
        if today == expiration:
            return "expiration", self.pays(legs, strikes, self.spot[today])
        return "", 0.0


@pytest.fixture(scope="module")
def real(real_data: Path) -> tuple[ChainMarket, Reference]:
    """The last trades of SPY, 32 sessions."""
    path = real_data / "option_chain_eod.parquet"
    frame = pd.read_parquet(path)
    market = chain_market(
        read_chain_quotes(path, keep=QuoteFilter(ticker="SPY")), ticker="SPY", fills=FillAssumptions()
    )  # fmt: skip
    return market, Reference(frame[frame["ticker"] == "SPY"])


@pytest.fixture(scope="module")
def simulated() -> tuple[ChainMarket, Reference]:
    """Bids and asks along a random path of 60 sessions, some rows missing, some quotes crossed or one-sided."""
    generator = np.random.default_rng(8)
    spots = 100.0 * np.exp(np.cumsum(generator.normal(0.0, 0.015, 60)))
    frame = fair_chain(spots, volatility=0.3, lives=40)
    frame = frame[generator.random(len(frame)) > 1 / 12].reset_index(drop=True)
    luck = generator.random(len(frame))
    frame["bid"] = frame["bid"].where(luck > 0.01).where(luck < 0.99, frame["ask"] + 0.1)
    market = chain_market(frame, ticker="SIM", fills=FillAssumptions())
    return market, Reference(frame.rename(columns={"option_right": "right"}))


def plan_of(name: str, rules: dict[str, float]) -> TradePlan:
    strikes = tuple(Width(*rule) if isinstance(rule, tuple) else TargetDelta(rule) for _, _, rule in LEGS[name])
    exits = ExitRules(
        profit_target_fraction=rules.get("target"),
        stop_premium_multiple=rules.get("stop"),
        stop_underlying_fraction=rules.get("move"),
        horizon_sessions=rules.get("horizon"),
        days_to_expiration=rules.get("days"),
        roll_days_to_expiration=rules.get("roll"),
    )
    # Capital without limit: every session trades, as in the reference.
    account = AccountRules(account_usd=ACCOUNT * 1_000, risk_fraction=0.02 / 1_000)
    return TradePlan(name, structure_of(name), strikes, ExpirationChoice(21, 7, 40), exits, account)


def assert_equal_trade_by_trade(
    market: ChainMarket, reference: Reference, name: str, rules: dict[str, float]
) -> set[str]:
    """Returns the reasons that were met."""
    trades = run_plan(market, plan_of(name, rules), entries=entries_every_session(market)).trades()
    assert len(trades) == len(reference.sessions)
    reasons = set()
    for start, trade in enumerate(trades.itertuples()):
        expected = reference.trade(start, name, rules)
        reasons.add(expected["reason"])
        assert trade.exit_reason == expected["reason"]
        if "strikes" not in expected:
            assert trade.status == "skipped"
            continue
        assert trade.strikes == expected["strikes"]
        assert trade.contracts == expected["contracts"]
        assert trade.expiration == pd.Timestamp(expected["expiration"])
        if expected["reason"]:
            assert trade.exit_session == pd.Timestamp(expected["exit"])
            assert trade.pnl_usd == pytest.approx(expected["profit"], abs=1e-6)
        else:
            assert trade.status == "open"
    taken = trades[trades["status"] != "skipped"]
    assert set(taken["quote_source"]) <= {"last" if market.ticker == "SPY" else "chain"}
    return reasons


@pytest.mark.files_data
@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("name", LEGS)
def test_every_session_of_real_last_trades_equals_a_loop_over_rows_trade_by_trade(real, name, rules):
    market, reference = real
    assert len(market) == 32
    assert_equal_trade_by_trade(market, reference, name, RULES[rules])


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("name", LEGS)
def test_every_session_of_simulated_quotes_equals_a_loop_over_rows_trade_by_trade(simulated, name, rules):
    assert_equal_trade_by_trade(*simulated, name, RULES[rules])


@pytest.mark.parametrize("chain", ["simulated", pytest.param("real", marks=pytest.mark.files_data)])
def test_the_chains_meet_every_exit_and_open_positions(request, chain):
    market, reference = request.getfixturevalue(chain)
    met = set()
    for name in LEGS:
        for rules in RULES.values():
            met |= assert_equal_trade_by_trade(market, reference, name, rules)
    assert {"stop", "profit_target", "horizon", "days_to_expiration", "expiration", ""} <= met


ROLLS = {
    "few places": ({"roll": 18, "target": 0.7}, 1_000_000.0, 2),
    "little capital": ({"roll": 18, "stop": 2.0}, 7_000.0, 99),
    "both": ({"roll": 17}, 6_000.0, 3),
}


@pytest.mark.parametrize("limits", ROLLS)
@pytest.mark.parametrize("name", ["bear_call_spread", "iron_condor"])
@pytest.mark.parametrize("chain", ["simulated", pytest.param("real", marks=pytest.mark.files_data)])
def test_rolls_within_the_accounts_limits_equal_a_loop_over_events(request, chain, name, limits):
    market, reference = request.getfixturevalue(chain)
    rules, cash, places = ROLLS[limits]
    account = AccountRules(account_usd=cash, risk_fraction=ACCOUNT * 0.02 / cash, maximum_open_positions=places)
    wanted = replace(plan_of(name, rules), account=account)
    trades = run_plan(market, wanted, entries=entries_every_session(market)).trades()
    expected = reference.account(name, rules, cash=cash, places=places)
    assert len(trades) == len(expected)
    assert trades["exit_reason"].tolist() == [trade["reason"] for trade in expected]
    assert trades["rolled_from"].tolist() == [trade["parent"] for trade in expected]
    assert trades["entry_session"].tolist() == [pd.Timestamp(reference.sessions[trade["start"]]) for trade in expected]
    profits = [trade.get("profit", math.nan) if trade.get("taken") else math.nan for trade in expected]
    assert trades["pnl_usd"].tolist() == pytest.approx(profits, abs=1e-6, nan_ok=True)
    # 32 real sessions leave room for one roll of some plans.
    assert (trades["rolled_from"] >= 0).sum() >= (2 if chain == "simulated" else 1)
    assert (trades["exit_reason"] == ("position_limit" if places < 99 else "capital_limit")).any()
