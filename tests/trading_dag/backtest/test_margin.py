"""Margin of any legs: the exchange's published examples, calculations by hand, and trying every pairing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading_dag.backtest.plan_chains import EXACT, chain_frame
from trading_dag.backtest.markets.chain_market import chain_market
from trading_dag.backtest.plans.trade_plan import ExpirationChoice, TargetDelta, TradePlan, Width
from trading_dag.backtest.trades.entries import entries_at
from trading_dag.backtest.trades.margin import margin_requirement
from trading_dag.backtest.trades.positions import OpenedPositions, open_positions
from trading_dag.errors import StructureError
from trading_dag.options.structures.structure import AtTheMoneyRule, Leg, Structure

SPOT = 100.0
STRIKES = (50.0, 80.0, 90.0, 95.0, 100.0, 105.0, 110.0, 120.0)
# Prices that no model made: the same bid and ask, so that a premium is what stands here.
CALLS = dict(zip(STRIKES, (50.5, 20.9, 11.8, 7.2, 3.1, 1.2, 0.4, 0.1), strict=True))
PUTS = dict(zip(STRIKES, (0.02, 0.1, 0.3, 1.0, 3.0, 6.1, 10.5, 20.2), strict=True))
LegWords = tuple[str, str, float, int]  # right, side, strike, ratio


def margin(*legs: LegWords, shares: int = 0) -> float:
    """Margin of one structure of legs at these strikes, USD a share."""
    return margin_of(legs, spot=SPOT, prices={"C": CALLS, "P": PUTS}, shares=shares)


def margin_of(
    legs: Sequence[LegWords], *, spot: float, prices: Mapping[str, Mapping[float, float]], shares: int = 0,
    ticker: str = "TEST",
) -> float:  # fmt: skip
    """Margin of one structure at these prices, USD a share; nobody pays a spread."""
    return float(margin_requirement(opened(legs, spot=spot, prices=prices, shares=shares, ticker=ticker))[0])


def opened(
    legs: Sequence[LegWords], *, spot: float, prices: Mapping[str, Mapping[float, float]], shares: int = 0,
    ticker: str = "TEST", expiration: str = "2024-03-22",
) -> OpenedPositions:  # fmt: skip
    """One position; the first leg is found by a delta that only its strike has, the others by their distances."""
    quotes = {
        (right, strike): (price, price, (1 if right == "C" else -1) * (0.5 if strike == legs[0][2] else 0.99))
        for right, of_right in prices.items()
        for strike, price in of_right.items()
    }
    frame = chain_frame({"2024-03-04": (spot, quotes), "2024-03-05": (spot, quotes)}, expiration=expiration)
    market = chain_market(frame, ticker=ticker, fills=EXACT)
    structure = Structure(
        "any", tuple(Leg(right, side, AtTheMoneyRule(), ratio=ratio) for right, side, _, ratio in legs),
        underlying_ratio=shares,
    )  # fmt: skip
    outward = [1.0 if right == "C" else -1.0 for right, _, _, _ in legs]
    rest = [Width(0, sign * (leg[2] - legs[0][2])) for sign, leg in zip(outward[1:], legs[1:], strict=True)]
    plan = TradePlan("any", structure, (TargetDelta(0.5), *rest), ExpirationChoice(11, 5, 60))
    return open_positions(market, plan, entries=entries_at(market, [0]))


@pytest.mark.parametrize(
    ("legs", "by_hand"),
    [
        # One naked call: 20 % of 100.
        ([("C", "sell", 100.0, 1)], 20.0),
        # A second one, covered 5 higher: 5 more, less 3.10 − 1.20 of credit.
        ([("C", "sell", 100.0, 2), ("C", "buy", 105.0, 1)], 20.0 + 5.0 - 1.90),
        # A put and a call spread: the put with the sold call is 20, less than the 25 of a put beside a spread 5 wide.
        # The bought call is paid.
        ([("P", "sell", 100.0, 1), ("C", "sell", 105.0, 1), ("C", "buy", 110.0, 1)], 20.0 + 0.40),
        # Two puts: one with the call, the other alone at 20; or both alone and the spread at 5.
        ([("P", "sell", 100.0, 2), ("C", "sell", 105.0, 1), ("C", "buy", 110.0, 1)], 40.0 + 0.40),
        # One put with the call, 20, the other in its spread, 5 less 3.00; the bought ones are paid.
        ([("P", "sell", 100.0, 2), ("P", "buy", 95.0, 1), ("C", "sell", 100.0, 1), ("C", "buy", 110.0, 1)],
         20.0 + 5.0 - 3.00 + 1.00 + 0.40),
        # A put and a call spread, each 5 wide, of which only one can lose, and a call alone at 15.
        ([("P", "sell", 100.0, 1), ("P", "buy", 95.0, 1), ("C", "sell", 105.0, 2), ("C", "buy", 110.0, 1)],
         15.0 + 5.0 - 3.00 + 1.00 - 1.20 + 0.40),
        # The greater of the two: the call's 20 against the put's 20 − 10.
        ([("C", "sell", 100.0, 1), ("P", "sell", 90.0, 1)], 20.0),
        # And the other way round: the put's 20 against the call's 20 − 10.
        ([("P", "sell", 100.0, 1), ("C", "sell", 110.0, 1)], 20.0),
        # Two pairs: of the nearer ones 20, of the farther ones the call's 10 against the put's 8.
        ([("P", "sell", 100.0, 1), ("C", "sell", 100.0, 1), ("C", "sell", 120.0, 1), ("P", "sell", 80.0, 1)],
         20.0 + 10.0),
        # Far out, 10 % of the underlying for a call and of the strike for a put: 10 beside the 20 at the money.
        ([("C", "sell", 100.0, 1), ("C", "sell", 120.0, 1)], 20.0 + 10.0),
        ([("P", "sell", 100.0, 1), ("P", "sell", 80.0, 1)], 20.0 + 8.0),
        # Two calls at 15 and a put at 20: the put with one call is 20, the other call alone.
        ([("P", "sell", 100.0, 1), ("C", "sell", 105.0, 2)], 20.0 + 15.0),
        # The greater is the one that needs more with its premium: 20 + 20.90 of the call against 20 + 3.00.
        ([("P", "sell", 100.0, 1), ("C", "sell", 80.0, 1)], 20.0),
        # A bought call so far out that it costs more than it saves covers nothing, and lowers nothing.
        ([("P", "sell", 100.0, 2), ("P", "buy", 50.0, 1)], 40.0 + 0.02),
        # It covers the call at 90: 5 apart, of which 11.80 − 7.20 were received; the call at 100 needs its 20 alone.
        # Over the call at 100 it would leave the 20 of the one at 90, and cost the 4.10 that it is dearer.
        ([("C", "sell", 100.0, 1), ("C", "sell", 90.0, 1), ("C", "buy", 95.0, 1)], 20.0 + 5.0 - 11.80 + 7.20),
        # Two bought at one strike: one covers the call 5 lower, the other's sold call stands with the put, at 20.
        ([("P", "sell", 100.0, 1), ("C", "sell", 100.0, 1), ("C", "sell", 105.0, 1), ("C", "buy", 110.0, 2)],
         20.0 + 5.0 - 1.20 + 0.80),
        # One covered 20 higher needs that distance less its credit, a credit less than alone.
        ([("C", "sell", 100.0, 3), ("C", "buy", 120.0, 1)], 40.0 + 20.0 - 3.10 + 0.10),
    ],
)  # fmt: skip
def test_margin_of_legs_that_are_partly_covered_is_that_of_a_calculation_by_hand(legs, by_hand):
    # What was received is part of the margin of the naked ones and taken off again; of the covered ones it is credit.
    assert margin(*legs) == pytest.approx(by_hand, abs=1e-9)


def test_shares_sold_short_need_half_their_price_beyond_what_they_brought():
    naked = [("C", "sell", 100.0, 1)]
    assert margin(*naked, shares=-1) == pytest.approx(20.0 + 50.0, abs=1e-9)


def test_a_put_that_shares_sold_short_cover_needs_nothing_beyond_them():
    # 150 % of 100, of which 100 and the 3.00 of the put were received.
    assert margin(("P", "sell", 100.0, 1), shares=-1) == pytest.approx(50.0 - 3.0, abs=1e-9)
    # Two lots cover two; of three one is alone at 20.
    assert margin(("P", "sell", 100.0, 3), shares=-2) == pytest.approx(100.0 + 20.0 - 6.0, abs=1e-9)


def test_a_covered_structure_needs_its_whole_defined_risk_even_where_a_naked_one_would_need_less():
    # 50 apart, of which 3.00 − 0.02 were received; alone the put at 100 would need 20.
    assert margin(("P", "sell", 100.0, 1), ("P", "buy", 50.0, 1)) == pytest.approx(50.0 - 2.98, abs=1e-9)
    # Shares are paid in full, and the call's 3.10 was received.
    assert margin(("C", "sell", 100.0, 1), shares=1) == pytest.approx(100.0 - 3.10, abs=1e-9)
    # Shares sold short that a bought call covers may lose what it costs, and no more.
    assert margin(("C", "buy", 100.0, 1), shares=-1) == pytest.approx(3.10, abs=1e-9)


def test_shares_cover_the_calls_that_need_most():
    # One lot covers the call at the money (20); the one 20 further out needs 10 alone. Shares are paid: 100 − 3.20.
    assert margin(("C", "sell", 100.0, 1), ("C", "sell", 120.0, 1), shares=1) == pytest.approx(10.0 + 100.0 - 3.1)


# Cboe, "Margin Requirement Examples for Sample Options-based Positions" (2007): strategy-based requirement of 100
# contracts of IBM at 97.73 and of SPX at 1,451.19, in which what was received is taken off already.
IBM = {"C": {95.0: 4.53, 100.0: 1.68, 105.0: 0.40}, "P": {95.0: 1.02, 100.0: 3.18, 105.0: 7.50}}
SPX = {"C": {1450.0: 27.57, 1460.0: 21.66, 1500.0: 5.96}, "P": {1450.0: 18.72, 1460.0: 22.55, 1500.0: 48.00}}


@pytest.mark.parametrize(
    ("ticker", "legs", "published_usd"),
    [
        ("IBM", [("C", "sell", 100.0, 1)], 172_760),
        ("SPX", [("C", "sell", 1460.0, 1)], 2_088_685),
        ("IBM", [("P", "sell", 100.0, 1)], 195_460),
        ("SPX", [("P", "sell", 1460.0, 1)], 2_176_785),
        # Synthetic long: a bought call beside a sold put.
        ("IBM", [("C", "buy", 100.0, 1), ("P", "sell", 100.0, 1)], 212_260),
        ("SPX", [("C", "buy", 1460.0, 1), ("P", "sell", 1460.0, 1)], 2_393_385),
        # Risk reversal: a bought put beside a sold call.
        ("IBM", [("P", "buy", 95.0, 1), ("C", "sell", 105.0, 1)], 132_960),
        ("SPX", [("P", "buy", 1450.0, 1), ("C", "sell", 1500.0, 1)], 1_875_885),
        # Long vertical: what was paid.
        ("IBM", [("C", "buy", 95.0, 1), ("C", "sell", 105.0, 1)], 41_300),
        ("SPX", [("C", "buy", 1450.0, 1), ("C", "sell", 1500.0, 1)], 216_100),
    ],
)  # fmt: skip
def test_margin_is_what_the_exchange_publishes_for_its_sample_positions(ticker, legs, published_usd):
    spot, prices = {"IBM": (97.73, IBM), "SPX": (1451.19, SPX)}[ticker]
    assert margin_of(legs, spot=spot, prices=prices, ticker=ticker) * 10_000 == pytest.approx(published_usd, abs=0.01)


def test_a_short_straddle_needs_what_the_margin_manual_says():
    # Cboe, Strategy-based Margin, short straddle: 90 put and call at 3.70 and 7.00, the underlying at 92.63: the call
    # needs 25.526 with its premium, the put 19.596; 25.526 + 3.70 = 29.226, of which 10.70 were received.
    prices = {"C": {90.0: 7.00, 95.0: 3.0}, "P": {90.0: 3.70, 95.0: 6.0}}
    legs = [("C", "sell", 90.0, 1), ("P", "sell", 90.0, 1)]
    assert margin_of(legs, spot=92.63, prices=prices) == pytest.approx(29.226 - 10.70, abs=1e-9)


def test_a_structure_with_more_pairings_than_can_be_tried_is_refused():
    many = [("C", "sell", 100.0, 1_000), ("C", "sell", 105.0, 1_000), ("P", "sell", 100.0, 1_000)]
    with pytest.raises(StructureError, match="more than 20,000 ways"):
        margin(*many)
    assert margin(("C", "sell", 100.0, 1_000), ("C", "buy", 105.0, 1)) == pytest.approx(999 * 20.0 + 5.0 - 3.10 + 1.20)


def needs_alone(right: str, strike: float) -> float:
    away = max(strike - SPOT, 0.0) if right == "C" else max(SPOT - strike, 0.0)
    return max(20.0 - away, 10.0 if right == "C" else 0.1 * strike)


def least_by_trying(legs: list[LegWords], prices: Mapping[str, Mapping[float, float]] | None = None) -> float:
    """The least over every set of contracts that is left naked and every order in which calls meet puts."""
    price = prices or {"C": CALLS, "P": PUTS}
    sold = [(r, k) for r, side, k, ratio in legs if side == "sell" for _ in range(ratio)]
    bought = [(r, k) for r, side, k, ratio in legs if side == "buy" for _ in range(ratio)]
    best = np.inf
    for is_naked in product((False, True), repeat=len(sold)):
        covered = [unit for unit, alone in zip(sold, is_naked, strict=True) if not alone]
        if any(sum(r == right for r, _ in covered) > sum(r == right for r, _ in bought) for right in "CP"):
            continue
        paid = sum(price[r][k] for r, k in bought) - sum(price[r][k] for r, k in covered)
        worst = max(sum(exercised(r, k, at) for r, k in covered) - sum(exercised(r, k, at) for r, k in bought)
                    for at in (0.0, *STRIKES, 1_000.0))  # fmt: skip
        calls, puts = ([k for (r, k), alone in zip(sold, is_naked, strict=True) if alone and r == right]
                       for right in "CP")  # fmt: skip
        missing = max(len(calls) - len(puts), 0)
        for order in permutations([*puts, *[None] * missing]):
            together = list(zip(calls, order, strict=False))
            left = [k for k in order[len(calls) :] if k is not None]
            needed = sum(of_pair(call, put, price) for call, put in together) + sum(needs_alone("P", k) for k in left)
            best = min(best, needed + max(worst, 0.0) + paid)
    return best


def exercised(right: str, strike: float, at: float) -> float:
    return max(at - strike, 0.0) if right == "C" else max(strike - at, 0.0)


def of_pair(call: float, put: float | None, price: Mapping[str, Mapping[float, float]]) -> float:
    """What the greater needs beyond what both brought."""
    if put is None:
        return needs_alone("C", call)
    of_call, of_put = needs_alone("C", call) + price["C"][call], needs_alone("P", put) + price["P"][put]
    return needs_alone("C", call) if of_call >= of_put else needs_alone("P", put)


strikes_of_legs = st.sampled_from(STRIKES)
further = st.lists(
    st.tuples(st.sampled_from("CP"), st.sampled_from(["sell", "buy"]), strikes_of_legs, st.integers(1, 2)), max_size=3
)


def is_partly_naked(legs: list[LegWords]) -> bool:
    count = {(r, s): sum(n for a, b, _, n in legs if (a, b) == (r, s)) for r in "CP" for s in ("sell", "buy")}
    return any(count[r, "sell"] > count[r, "buy"] for r in "CP")


@settings(max_examples=60)
@given(first=st.sampled_from("CP"), ratio=st.integers(1, 2), rest=further)
def test_margin_is_that_of_the_best_of_all_pairings_of_whole_contracts(first, ratio, rest):
    legs = [(first, "sell", SPOT, ratio), *rest]
    found = margin(*legs)
    if not is_partly_naked(legs) or np.isnan(found):
        return
    assert found == pytest.approx(least_by_trying(legs), abs=1e-9)


@settings(max_examples=40)
@given(first=st.sampled_from("CP"), right=st.sampled_from("CP"), strike=strikes_of_legs, rest=further)
def test_another_sold_option_that_nothing_covers_never_lowers_the_margin(first, right, strike, rest):
    # One that closes, or is covered by, a bought option of its right may: that one was paid in full before.
    legs = [(first, "sell", SPOT, 1), *(leg for leg in rest if leg[:2] != (right, "buy"))]
    more = [*legs, (right, "sell", strike, 1)]
    before, after = margin(*legs), margin(*more)
    if np.isnan(before) or np.isnan(after) or not is_partly_naked(legs):
        return
    assert after >= before - 1e-9
