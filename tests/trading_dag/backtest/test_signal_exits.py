"""Every trade of the signals against a loop that knows nothing of the engine: entry, each exit, fills, size, capital.

The loop prices with the textbook formula, looks at one open and one close a session, and asks the rules one by one.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trading_dag.errors import SchemaError
from trading_dag.options.structures.structure import STRUCTURES
from trading_dag.sessions import all_sessions
from trading_dag.setting_groups import BacktestSettings

HALF_SPREAD, FEE, ACCOUNT, RISK = 0.02, 0.65, 100_000.0, 0.02
RULES: dict[str, dict[str, Any]] = {
    "horizon alone": {},
    "stop": {"exits": {"stop_underlying": 0.02}},
    "stop on the premium": {"exits": {"stop_premium": 1.0}},
    "target": {"exits": {"profit_target": 0.25}},
    "days to expiration": {"exits": {"days_to_expiration": 18}},
    "flip": {"exit_on_signal_flip": True},
    "everything": {
        "exits": {"stop_underlying": 0.015, "profit_target": 0.3, "days_to_expiration": 19},
        "exit_on_signal_flip": True,
    },
}
TWO_SIDED = {"iron_condor"}
FALLS_HURT = {"long_call", "bull_call_spread", "bull_put_spread"}


def normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def value(spot: float, strike: float, years: float, level: float, rate: float, *, is_call: bool) -> float:
    """Black-Scholes, no dividends."""
    sign = 1.0 if is_call else -1.0
    if years <= 0:
        return max(sign * (spot - strike), 0.0)
    deviation = level / 100 * math.sqrt(years)
    d1 = (math.log(spot / strike) + rate * years) / deviation + 0.5 * deviation
    forward = spot * normal(sign * d1) - strike * math.exp(-rate * years) * normal(sign * (d1 - deviation))
    return sign * forward


def natural(middle: float, *, is_bought: bool) -> float:
    half = max(HALF_SPREAD * middle, 0.01)
    if is_bought:
        return math.ceil((middle + half) / 0.01 - 1e-7) * 0.01
    return max(math.floor((middle - half) / 0.01 + 1e-7), 0) * 0.01


@dataclass
class Quotes:
    """Two marks a session: opens at even places, closes after them."""

    days: list[pd.Timestamp]
    spot: list[float]
    level: list[float]
    rate: float

    def years(self, mark: int, expiration: pd.Timestamp) -> float:
        hours = 6.5 if mark % 2 == 0 else 0.0
        return ((expiration - self.days[mark // 2]).days + hours / 24) / 365

    def closing(self, mark: int, legs: list[dict[str, Any]]) -> list[float]:
        """What every leg is closed at: sold where it was bought."""
        return [
            natural(
                value(
                    self.spot[mark], leg["strike"], self.years(mark, pd.Timestamp(leg["expiration"])),
                    self.level[mark], self.rate, is_call=leg["option_right"] == "C",
                ),
                is_bought=leg["side"] == "sell",
            )
            for leg in legs
        ]  # fmt: skip


def worth(legs: list[dict[str, Any]], prices: list[float]) -> float:
    return sum((1 if leg["side"] == "buy" else -1) * price for leg, price in zip(legs, prices, strict=True))


def best_payoff(legs: list[dict[str, Any]]) -> float:
    """Greatest payoff: at some strike, at zero, or without end."""
    calls = sum((1 if leg["side"] == "buy" else -1) for leg in legs if leg["option_right"] == "C")
    if calls > 0:
        return math.inf
    return max(
        sum(
            (1 if leg["side"] == "buy" else -1)
            * max((1 if leg["option_right"] == "C" else -1) * (spot - leg["strike"]), 0.0)
            for leg in legs
        )
        for spot in [0.0, *(leg["strike"] for leg in legs)]
    )


def expected_exit(
    quotes: Quotes, trade: dict[str, Any], rules: dict[str, Any], *, target: int, flip: int | None
) -> tuple[int, str]:
    """Mark and reason of the first rule that holds."""
    legs = json.loads(trade["legs"])
    expiration = pd.Timestamp(legs[0]["expiration"])
    words = rules.get("exits", {})
    entry = 2 * quotes.days.index(trade["entry_session"])
    premium, start = worth(legs, [leg["entry_price"] for leg in legs]), quotes.spot[entry]
    for mark in range(entry + 1, len(quotes.spot)):
        day, is_close = quotes.days[mark // 2], mark % 2 == 1
        profit = worth(legs, quotes.closing(mark, legs)) - premium
        move = quotes.spot[mark] / start - 1
        against = abs(move) if trade["structure"] in TWO_SIDED else move
        against = -move if trade["structure"] in FALLS_HURT else against
        if "stop_underlying" in words and against >= words["stop_underlying"] - 1e-9:
            return mark, "stop"
        if "stop_premium" in words and profit <= -words["stop_premium"] * abs(premium) + 1e-9:
            return mark, "stop"
        most = best_payoff(legs) - premium
        if "profit_target" in words:
            aim = words["profit_target"] * (most if math.isfinite(most) else abs(premium))
            if profit >= aim - 1e-9:
                return mark, "profit_target"
        if is_close and mark >= target:
            return mark, "horizon"
        if "days_to_expiration" in words and (expiration - day).days <= words["days_to_expiration"]:
            return mark, "days_to_expiration"
        if rules.get("exit_on_signal_flip") and flip is not None and mark >= flip:
            return mark, "signal_flip"
        if is_close and day >= expiration:
            return mark, "expiration"
    return -1, "open_at_end_of_data"


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES.keys())
def test_every_trade_is_left_where_a_loop_over_opens_and_closes_leaves_it(random_frames, flat, rules):
    frames = random_frames(17, sessions=120)
    generator = np.random.default_rng(3)
    direction = generator.choice(["UP", "DOWN"], len(frames.signals), p=[0.8, 0.2])
    frames = frames.changed(signals=frames.signals.assign(direction=direction))
    book = BacktestSettings(half_spread_fraction=HALF_SPREAD, account_usd=ACCOUNT, risk_fraction=RISK, **rules)
    result = frames.run("168h", flat.model_copy(update={"backtest": book}))
    prices, index = frames.prices, frames.volatility_index
    quotes = Quotes(
        list(prices["session"]),
        np.column_stack([prices["open"], prices["close"]]).ravel().tolist(),
        np.column_stack([index["open"], index["close"]]).ravel().tolist(),
        math.log1p(0.02),
    )
    place = {day: row for row, day in enumerate(quotes.days)}
    reasons = set()
    traded = result.trades[result.trades["status"] != "skipped"].to_dict("records")
    assert len(traded) > 25
    for trade in traded:
        signal = place[trade["signal_session"]]
        opposite = [row for row in range(signal + 1, 120) if direction[row] != direction[signal]]
        flip = 2 * (opposite[0] + 1) if opposite else None
        mark, reason = expected_exit(quotes, trade, rules, target=2 * (signal + 5) + 1, flip=flip)
        assert trade["exit_reason"] == reason, trade
        reasons.add(reason)
        legs = json.loads(trade["legs"])
        assert trade["entry_quote"] == "open"
        entered = natural_entry(quotes, 2 * (signal + 1), legs)
        assert [leg["entry_price"] for leg in legs] == pytest.approx(entered, abs=1e-6)
        if mark < 0:
            continue
        assert trade["exit_session"] == quotes.days[mark // 2]
        assert trade["exit_quote"] == ("close" if mark % 2 else "open")
        assert trade["exit_spot"] == quotes.spot[mark]
        paid, back = worth(legs, entered), worth(legs, quotes.closing(mark, legs))
        fees = 2 * FEE * len(legs) * trade["contracts"]
        assert trade["pnl_usd"] == pytest.approx(100 * trade["contracts"] * (back - paid) - fees, abs=0.005)
    wanted = {"stop_underlying": "stop", "stop_premium": "stop"}
    assert {wanted.get(word, word) for word in rules.get("exits", {})} <= reasons
    assert ("signal_flip" in reasons) is bool(rules.get("exit_on_signal_flip"))


def natural_entry(quotes: Quotes, mark: int, legs: list[dict[str, Any]]) -> list[float]:
    return [
        natural(
            value(
                quotes.spot[mark], leg["strike"], quotes.years(mark, pd.Timestamp(leg["expiration"])),
                quotes.level[mark], quotes.rate, is_call=leg["option_right"] == "C",
            ),
            is_bought=leg["side"] == "buy",
        )
        for leg in legs
    ]  # fmt: skip


def test_a_gap_through_the_stop_fills_at_the_open_and_not_at_the_stop(make_frames, flat):
    n = 6
    frames = make_frames(
        "2024-03-04", opens=[100.0, 100.0, 100.0, 94.0, 94.0, 94.0], closes=[100.0, 100.0, 100.0, 96.0, 94.0, 94.0],
        index_opens=[20.0] * n, index_closes=[20.0] * n, signals={0: ("bull_put_spread", "FULL")},
    )  # fmt: skip
    stopped = flat.model_copy(
        update={"backtest": flat.backtest.model_copy(update={"exits": {"stop_underlying": 0.02}})}
    )
    trade = frames.run("168h", stopped).trades.iloc[0]
    assert (trade["exit_reason"], trade["exit_quote"], trade["exit_spot"]) == ("stop", "open", 94.0)
    assert trade["exit_session"] == pd.Timestamp("2024-03-07")


def test_what_happened_between_open_and_close_is_not_invented(make_frames, flat):
    n = 4
    frames = make_frames(
        "2024-03-04", opens=[100.0] * n, closes=[100.0] * n, index_opens=[20.0] * n, index_closes=[20.0] * n,
        signals={0: ("bull_put_spread", "FULL")},
    )  # fmt: skip
    # The session's low lies 10 % below: no stop, for neither the open nor the close was there.
    frames = frames.changed(prices=frames.prices.assign(low=90.0))
    stopped = flat.model_copy(
        update={"backtest": flat.backtest.model_copy(update={"exits": {"stop_underlying": 0.02}})}
    )
    assert frames.run("48h", stopped).trades["exit_reason"].tolist() == ["horizon"]


def test_a_roll_closes_and_opens_on_one_quote_around_the_new_price_and_keeps_the_horizon(make_frames, flat):
    n = 10
    frames = make_frames(
        "2024-03-04", opens=[100.0, 100.0, 100.0, *[110.0] * 7], closes=[100.0, 100.0, 100.0, *[110.0] * 7],
        index_opens=[20.0] * n, index_closes=[20.0] * n, signals={0: ("iron_condor", "FULL")},
    )  # fmt: skip
    rolling = flat.model_copy(update={"backtest": flat.backtest.model_copy(update={"exits": {"roll_delta": 0.6}})})
    result = frames.run("168h", rolling)
    first, second = result.trades.to_dict("records")
    assert (first["roll"], second["roll"]) == (0, 1)
    assert (first["exit_reason"], second["exit_reason"]) == ("roll", "horizon")
    assert (first["exit_session"], first["exit_quote"]) == (second["entry_session"], second["entry_quote"])
    assert second["entry_quote"] == "open"
    assert second["exit_session"] == all_sessions()[all_sessions().searchsorted(pd.Timestamp("2024-03-04")) + 5]
    old, new = (json.loads(trade["legs"]) for trade in (first, second))
    assert max(leg["strike"] for leg in old) < 110.0
    assert min(leg["strike"] for leg in new) < 110.0 < max(leg["strike"] for leg in new)
    cash = ACCOUNT + sum(trade["pnl_usd"] for trade in (first, second))
    assert result.equity["cash_usd"].iloc[-1] == pytest.approx(cash, abs=1e-6)
    assert result.summary["exits"].tolist() == ["roll_delta 0.6, horizon"]


def test_rules_are_traded_side_by_side_each_in_an_account_of_its_own(random_frames, flat):
    frames = random_frames(23, sessions=60)
    other = frames.signals.assign(strategy="bull_put_spread", design_size="HALF")
    both = pd.concat([frames.signals.assign(rule="matrix"), other.assign(rule="expected_value")], ignore_index=True)
    together = frames.changed(signals=both).run("72h", flat)
    assert together.summary["rule"].tolist() == ["matrix", "expected_value"]
    for rule, signals in (("matrix", frames.signals), ("expected_value", other)):
        alone = frames.changed(signals=signals.assign(rule=rule)).run("72h", flat)
        for name in ("trades", "equity", "summary"):
            frame = getattr(together, name)
            pd.testing.assert_frame_equal(
                frame[frame["rule"] == rule].reset_index(drop=True), getattr(alone, name).reset_index(drop=True)
            )  # fmt: skip


def test_always_trading_the_same_structure_is_the_backtest_of_that_signal_on_every_session(random_frames, flat):
    frames = random_frames(29, sessions=50)
    seldom = frames.signals.assign(
        strategy=np.where(np.arange(50) % 7 == 0, "bull_put_spread", "no_trade"),
        design_size=np.where(np.arange(50) % 7 == 0, "HALF", "NONE"),
    )
    summary = frames.changed(signals=seldom).run("48h", flat).summary.iloc[0]
    every = frames.signals.assign(strategy="bull_put_spread", design_size="HALF")
    always = frames.changed(signals=every).run("48h", flat).summary.iloc[0]
    assert summary["always_structure"] == "bull_put_spread"
    assert summary["always_trades"] == always["trades"] > summary["trades"]
    assert summary["always_pnl_usd"] == pytest.approx(always["total_pnl_usd"])


def test_every_structure_that_may_be_recommended_can_be_entered_on_the_grid(make_frames, flat):
    n = 8
    for name in STRUCTURES:
        frames = make_frames(
            "2024-03-04", opens=[100.0] * n, closes=[100.0] * n, index_opens=[20.0] * n, index_closes=[20.0] * n,
            signals={0: (name, "FULL")},
        )  # fmt: skip
        rich = flat.model_copy(update={"backtest": flat.backtest.model_copy(update={"account_usd": 1e7})})
        trade = frames.run("48h", rich).trades.iloc[0]
        assert (trade["status"], trade["exit_reason"]) == ("closed", "horizon"), name


def named_legs(*, low: float, high: float, expiration: str) -> str:
    legs = [
        {"option_right": "P", "side": side, "ratio": 1, "strike": strike, "expiration": expiration}
        for side, strike in (("sell", high), ("buy", low))
    ]
    return json.dumps(legs)


def test_the_contracts_that_a_signal_of_expected_value_names_are_the_ones_that_are_opened(make_frames, flat):
    n = 6
    frames = make_frames(
        "2024-03-04", opens=[100.0] * n, closes=[100.0] * n, index_opens=[20.0] * n, index_closes=[20.0] * n,
        signals={0: ("bull_put_spread", "FULL")},
    )  # fmt: skip
    named = frames.signals.assign(legs=named_legs(low=94.0, high=96.0, expiration="2024-04-12"))
    trade = frames.changed(signals=named.assign(rule="expected_value")).run("48h", flat).trades.iloc[0]
    legs = json.loads(trade["legs"])
    assert [(leg["strike"], leg["expiration"]) for leg in legs] == [(96.0, "2024-04-12"), (94.0, "2024-04-12")]
    quotes = Quotes(list(frames.prices["session"]), [100.0] * 2 * n, [20.0] * 2 * n, 0.0)
    assert [leg["entry_price"] for leg in legs] == pytest.approx(natural_entry(quotes, 2, legs))
    assert trade["max_loss_usd"] == pytest.approx(
        trade["contracts"] * 100 * (2.0 - legs[0]["entry_price"] + legs[1]["entry_price"])
    )
    # The matrix chooses at the entry, whatever its row showed at the close before.
    matrix = frames.changed(signals=named.assign(rule="matrix")).run("48h", flat).trades.iloc[0]
    assert [leg["strike"] for leg in json.loads(matrix["legs"])] == [97.5, 95.0]
    # A roll is recentred, so it does not open the named contracts again.
    rolling = flat.model_copy(update={"backtest": flat.backtest.model_copy(update={"exits": {"roll_delta": 0.2}})})
    rolled = frames.changed(signals=named.assign(rule="expected_value")).run("168h", rolling).trades
    second = json.loads(rolled.iloc[1]["legs"])
    assert rolled["roll"].tolist()[:2] == [0, 1]
    assert [leg["strike"] for leg in second] == [97.5, 95.0]


def test_legs_that_are_not_those_of_the_structure_are_a_typed_error(make_frames, flat):
    n = 6
    frames = make_frames(
        "2024-03-04", opens=[100.0] * n, closes=[100.0] * n, index_opens=[20.0] * n, index_closes=[20.0] * n,
        signals={0: ("bear_call_spread", "FULL")},
    )  # fmt: skip
    wrong = frames.signals.assign(rule="expected_value", legs=named_legs(low=94.0, high=96.0, expiration="2024-04-12"))
    with pytest.raises(SchemaError, match=r"signals\.recommendation \[legs\].*bear_call_spread"):
        frames.changed(signals=wrong).run("48h", flat)
