"""Quotes out of line, by hand, against every subset of a short ladder, and on the real chain that is full of them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.options.chains.arbitrage import check_arbitrage
from trading_dag.options.chains.cleaning import CleaningRules, clean_chain
from trading_dag.options.chains.forward import implied_forwards
from trading_dag.options.chains.out_of_line import most_in_line, out_of_line
from trading_dag.options.chains.rows import normalise_chain

SPOT = 100.0


def ladder(quotes: dict[float, tuple[float, float]], *, right: str = "C", **columns: object) -> pd.DataFrame:
    """Two-sided quotes by strike, one expiration unless columns say otherwise."""
    same = {
        "ticker": "SPX", "quote_date": pd.Timestamp("2024-11-11"), "expiration": pd.Timestamp("2024-12-20"),
        "underlying_price": SPOT, "option_right": right,
    }  # fmt: skip
    rows = [{**same, "strike": strike, "bid": bid, "ask": ask} for strike, (bid, ask) in quotes.items()]
    return pd.DataFrame(rows).assign(**columns)


def strikes_out_of_line(quotes: pd.DataFrame, slack: float = 0.001) -> list[float]:
    return quotes.loc[out_of_line(quotes, slack_fraction=slack), "strike"].tolist()


# Four strikes of the SPX chain of 2024-11-11, expiration 2024-12-20, a hundredth of their size.
CALLS = {38.25: (21.860, 21.924), 38.50: (9.340, 9.978), 39.00: (21.101, 21.174), 40.00: (20.107, 20.179)}
PUTS = {46.00: (0.171, 0.175), 46.10: (0.407, 0.421), 46.25: (0.184, 0.191), 46.50: (0.182, 0.187)}


def test_a_call_that_is_cheaper_than_all_that_are_struck_higher_is_out_of_line() -> None:
    assert strikes_out_of_line(ladder(CALLS)) == [38.50]


def test_a_put_that_is_dearer_than_those_struck_higher_is_out_of_line() -> None:
    assert strikes_out_of_line(ladder(PUTS, right="P")) == [46.10]


def test_a_quote_that_differs_by_more_than_its_strike_is_out_of_line_though_it_keeps_the_order() -> None:
    """90 is worth less than 80 and more than 100, but ten strikes below 80 it may not lose twelve."""
    calls = {80.0: (20.0, 20.4), 90.0: (7.0, 7.4), 100.0: (5.5, 5.7), 95.0: (6.0, 6.2), 70.0: (30.0, 30.4)}
    assert strikes_out_of_line(ladder({**calls, 90.0: (10.2, 10.6)})) == []
    wrong = {60.0: (40.0, 40.4), 70.0: (30.0, 30.4), 80.0: (14.0, 14.4), 90.0: (10.2, 10.6), 85.0: (15.1, 15.5)}
    assert strikes_out_of_line(ladder({**wrong, 80.0: (16.0, 16.4)})) == [80.0]


def test_a_contradiction_within_the_slack_stays() -> None:
    calls = {100.0: (5.0, 5.1), 101.0: (5.15, 5.2), 102.0: (4.5, 4.6)}
    assert strikes_out_of_line(ladder(calls), slack=0.001) == []
    assert len(strikes_out_of_line(ladder(calls), slack=0.0001)) == 1


def test_ladders_do_not_judge_one_another_and_the_order_of_rows_does_not_matter() -> None:
    far = ladder({38.50: (9.340, 9.978)}, expiration=pd.Timestamp("2025-01-17"))
    before = ladder({38.50: (9.340, 9.978)}, quote_date=pd.Timestamp("2024-11-08"))
    rows = pd.concat([ladder(CALLS), ladder(PUTS, right="P"), far, before], ignore_index=True)
    shuffled = rows.sample(frac=1.0, random_state=3)
    flagged = shuffled[out_of_line(shuffled, slack_fraction=0.001)]
    assert sorted(zip(flagged["option_right"], flagged["strike"], strict=True)) == [("C", 38.50), ("P", 46.10)]
    assert (flagged["expiration"] == "2024-12-20").all()
    assert (flagged["quote_date"] == "2024-11-11").all()


def test_no_quotes_are_all_in_line() -> None:
    assert out_of_line(ladder(CALLS).iloc[:0], slack_fraction=0.001).tolist() == []


def _agree(lows: list[float], ceilings: list[float], chosen: tuple[int, ...]) -> bool:
    return all(lows[earlier] <= ceilings[later] for earlier, later in combinations(chosen, 2))


@settings(deadline=None, max_examples=200)
@given(intervals=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 5)), min_size=1, max_size=9))
def test_as_many_are_kept_as_the_best_of_all_subsets_has_and_they_agree(intervals) -> None:
    lows = [float(low) for low, _ in intervals]
    ceilings = [float(low + width) for low, width in intervals]
    kept = tuple(np.flatnonzero(most_in_line(np.array(lows), np.array(ceilings))).tolist())
    assert _agree(lows, ceilings, kept)
    best = max(
        size
        for size in range(len(lows) + 1)
        if any(_agree(lows, ceilings, chosen) for chosen in combinations(range(len(lows)), size))
    )
    assert len(kept) == best


@pytest.mark.files_data
def test_the_arbitrage_of_a_real_chain_is_stale_quotes_and_goes_with_them(real_data) -> None:
    """SPX 2024-11-11: calls at 3850 and 3875 are quoted as if the index stood at 4,800, where it was in January."""
    raw = pd.read_parquet(real_data / "option_chain_snapshots.parquet")
    raw = raw[(raw["ticker"] == "SPX") & (raw["quote_date"] == pd.Timestamp("2024-11-11").date())]
    chain = normalise_chain(raw).kept
    all_kept = CleaningRules(line_slack_fraction=10.0)
    found = {}
    for name, rules in (("as found", all_kept), ("cleaned", None)):
        clean = clean_chain(chain, rules=rules).kept
        forwards = implied_forwards(clean, rate=0.045, minimum_pairs=3)
        found[name] = check_arbitrage(clean, forwards=forwards, exercise="European").counts
    assert sum(found["as found"].values()) > 2_500
    assert sum(found["cleaned"].values()) < 0.1 * sum(found["as found"].values())
    refused = clean_chain(chain).refused
    stale = refused[refused["reason"] == "out_of_line"]
    assert len(stale) < 0.08 * len(chain)
    december = stale[(stale["expiration"] == "2024-12-20") & (stale["option_right"] == "C")]
    assert {3850.0, 3875.0} <= set(december["strike"])
    # The quotes beside them say what the index was worth then: strike and call together.
    near = december[december["strike"].isin([3850.0, 3875.0])]
    assert ((near["strike"] + near["bid"]).between(4_750, 4_850)).all()
