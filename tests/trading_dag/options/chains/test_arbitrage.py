"""What may be had for nothing is found, sized as by hand, and nowhere else."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.errors import SchemaError
from trading_dag.options.chains.arbitrage import VIOLATION_COLUMNS, check_arbitrage
from trading_dag.options.chains.cleaning import clean_chain
from trading_dag.options.chains.forward import implied_forwards
from trading_dag.options.chains.rows import normalise_chain
from trading_dag.options.pricing.black_scholes import price
from trading_dag.schemas import OPTION_CHAIN

QUOTE_DATE = pd.Timestamp("2024-11-15").as_unit("us")
NEAR, FAR = pd.Timestamp("2024-12-20").as_unit("us"), pd.Timestamp("2025-01-17").as_unit("us")


def chain_of(*rows: tuple[float, str, float, float], expiration: pd.Timestamp = NEAR) -> pd.DataFrame:
    """Rows (strike, right, bid, ask) of one expiration."""
    frame = pd.DataFrame(rows, columns=["strike", "option_right", "bid", "ask"])
    frame = frame.assign(quote_date=QUOTE_DATE, ticker="SPY", underlying_price=100.0, expiration=expiration)
    return frame.reindex(columns=list(OPTION_CHAIN.column_names))


def model_chain(*days: int, rate: float, dividend_yield: float, volatility: float) -> pd.DataFrame:
    """European prices without spread on a flat surface: nothing to be had."""
    parts = []
    for term in days:
        strike = np.repeat(np.arange(70.0, 131.0, 2.5), 2)
        is_call = np.tile([True, False], len(strike) // 2)
        value = price(
            spot=100.0, strike=strike, years=term / 365, rate=rate, dividend_yield=dividend_yield,
            volatility=volatility, is_call=is_call,
        )  # fmt: skip
        rights = np.where(is_call, "C", "P")
        rows = zip(strike, rights, value, value, strict=True)
        parts.append(chain_of(*rows, expiration=QUOTE_DATE + pd.Timedelta(days=term)))
    return pd.concat(parts, ignore_index=True)


def test_a_call_that_can_be_sold_for_more_than_a_lower_one_costs_is_a_vertical() -> None:
    report = check_arbitrage(chain_of((100.0, "C", 4.0, 4.2), (105.0, "C", 4.5, 4.7)))
    assert report.counts == {"vertical": 1, "butterfly": 0, "calendar": 0}
    row = report.violations.iloc[0]
    assert (row["kind"], row["strike_low"], row["strike_high"]) == ("vertical", 100.0, 105.0)
    assert row["size_usd"] == pytest.approx(4.5 - 4.2)


def test_a_spread_that_can_be_sold_for_more_than_its_width_is_a_vertical() -> None:
    calls = check_arbitrage(chain_of((100.0, "C", 9.0, 9.2), (105.0, "C", 3.0, 3.5)))
    assert calls.violations["size_usd"].tolist() == pytest.approx([9.0 - 3.5 - 5.0])
    puts = check_arbitrage(chain_of((100.0, "P", 3.0, 3.5), (105.0, "P", 9.0, 9.2)))
    assert puts.violations["size_usd"].tolist() == pytest.approx([9.0 - 3.5 - 5.0])


def test_a_put_that_can_be_sold_for_more_than_a_higher_one_costs_is_a_vertical() -> None:
    report = check_arbitrage(chain_of((100.0, "P", 4.5, 4.7), (105.0, "P", 4.0, 4.2)))
    assert report.violations["size_usd"].tolist() == pytest.approx([4.5 - 4.2])


def test_a_middle_that_can_be_sold_for_more_than_its_weighted_wings_cost_is_a_butterfly() -> None:
    # Strikes 100, 101, 105: weights 4/5 and 1/5. 0.8 × 5.0 + 0.2 × 2.0 = 4.4 is paid, 4.6 received.
    report = check_arbitrage(chain_of((100.0, "C", 4.8, 5.0), (101.0, "C", 4.6, 4.8), (105.0, "C", 1.9, 2.0)))
    assert report.counts == {"vertical": 0, "butterfly": 1, "calendar": 0}
    row = report.violations.iloc[0]
    assert row[["strike_low", "strike_middle", "strike_high"]].tolist() == [100.0, 101.0, 105.0]
    assert row["size_usd"] == pytest.approx(0.2)


def test_an_american_option_that_costs_less_than_the_nearer_one_brings_is_a_calendar() -> None:
    near, far = chain_of((100.0, "P", 3.0, 3.1)), chain_of((100.0, "P", 2.5, 2.6), expiration=FAR)
    report = check_arbitrage(pd.concat([far, near], ignore_index=True))
    assert report.counts == {"vertical": 0, "butterfly": 0, "calendar": 1}
    row = report.violations.iloc[0]
    assert (row["expiration"], row["far_expiration"]) == (NEAR, FAR)
    assert row["size_usd"] == pytest.approx(3.0 - 2.6)


def test_quotes_that_cross_only_in_the_middle_are_no_arbitrage() -> None:
    report = check_arbitrage(chain_of((100.0, "C", 4.0, 5.0), (105.0, "C", 4.4, 5.4)))
    assert report.counts == {"vertical": 0, "butterfly": 0, "calendar": 0}
    assert report.checked == {"vertical": 1, "butterfly": 0, "calendar": 0}
    assert list(report.violations.columns) == list(VIOLATION_COLUMNS)


def test_other_rights_dates_and_tickers_are_never_compared() -> None:
    calls, puts = chain_of((100.0, "C", 4.0, 4.2)), chain_of((105.0, "P", 9.0, 9.2))
    other = chain_of((105.0, "C", 9.0, 9.2)).assign(ticker="QQQ")
    tomorrow = chain_of((105.0, "C", 9.0, 9.2)).assign(quote_date=QUOTE_DATE + pd.Timedelta(days=3))
    report = check_arbitrage(pd.concat([calls, puts, other, tomorrow], ignore_index=True))
    assert sum(report.checked.values()) == 0


def test_a_chain_of_last_trades_is_compared_at_them() -> None:
    chain = chain_of((100.0, "C", np.nan, np.nan), (105.0, "C", np.nan, np.nan)).assign(last=[4.0, 4.5])
    assert check_arbitrage(chain).violations["size_usd"].tolist() == pytest.approx([0.5])


@settings(deadline=None, max_examples=30)
@given(rate=st.floats(0.0, 0.08), dividend_yield=st.floats(0.0, 0.08), volatility=st.floats(0.08, 0.8))
def test_a_european_model_chain_has_no_violation_of_any_kind(rate, dividend_yield, volatility) -> None:
    chain = model_chain(35, 63, 189, rate=rate, dividend_yield=dividend_yield, volatility=volatility)
    report = check_arbitrage(chain, forwards=implied_forwards(chain, rate=rate), exercise="European")
    assert report.counts == {"vertical": 0, "butterfly": 0, "calendar": 0}
    assert report.checked["calendar"] > 50


def test_a_european_calendar_is_compared_at_equal_strike_over_forward() -> None:
    # A dividend yield above the rate makes the farther in-the-money call cheaper, which is no arbitrage.
    chain = model_chain(35, 189, rate=0.0, dividend_yield=0.08, volatility=0.1)
    forwards = implied_forwards(chain, rate=0.0)
    assert check_arbitrage(chain, exercise="American").counts["calendar"] > 0
    assert check_arbitrage(chain, forwards=forwards, exercise="European").counts["calendar"] == 0
    assert check_arbitrage(chain, exercise="European").checked["calendar"] == 0
    # A nearer volatility so high that total variance falls is one, and at the money its size is known.
    rich = model_chain(35, rate=0.0, dividend_yield=0.0, volatility=0.5)
    calm = model_chain(63, rate=0.0, dividend_yield=0.0, volatility=0.1)
    both = pd.concat([rich, calm], ignore_index=True)
    found = check_arbitrage(both, forwards=implied_forwards(both, rate=0.0), exercise="European").violations
    atm = found[(found["kind"] == "calendar") & (found["strike_low"] == 100.0) & (found["option_right"] == "C")]
    near, far = (
        100.0 * math.erf(volatility * math.sqrt(days / 365) / (2.0 * math.sqrt(2.0)))
        for volatility, days in ((0.5, 35), (0.1, 63))
    )
    assert atm["size_usd"].tolist() == pytest.approx([near - far], rel=1e-9)
    # One nearer contract is enough.
    alone = both[(both["option_right"] == "C") & ((both["strike"] == 100.0) | (both["expiration"] > NEAR))]
    found = check_arbitrage(alone, forwards=implied_forwards(both, rate=0.0), exercise="European").violations
    assert found.loc[found["kind"] == "calendar", "size_usd"].tolist() == pytest.approx([near - far], rel=1e-9)


def test_the_width_of_a_european_spread_is_discounted() -> None:
    chain = model_chain(364, rate=0.10, dividend_yield=0.0, volatility=0.2)
    forwards = implied_forwards(chain, rate=0.10)
    # 2.5 wide, worth 2.5·exp(−0.1·364/365) at most: sold for 2.45 it is too dear for a European, not an American.
    rows = chain[(chain["option_right"] == "C") & (chain["strike"].isin([70.0, 72.5]))].copy()
    rows.loc[rows["strike"] == 70.0, ["bid", "ask"]] = rows["bid"].min() + 2.45
    european = check_arbitrage(rows, forwards=forwards, exercise="European")
    assert european.violations["size_usd"].tolist() == pytest.approx([2.45 - 2.5 * math.exp(-0.1 * 364 / 365)])
    assert check_arbitrage(rows, exercise="American").counts["vertical"] == 0


@settings(deadline=None, max_examples=40)
@given(
    quotes=st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 60)), min_size=2, max_size=7
    )
)  # fmt: skip
def test_findings_are_those_of_a_search_over_neighbouring_strikes(quotes) -> None:
    rows = [(90.0 + 2.0 * i, "C", bid / 20, (bid + width) / 20) for i, (bid, width) in enumerate(quotes)]
    report = check_arbitrage(chain_of(*rows))
    verticals, butterflies = [], []
    for (low, _, low_bid, low_ask), (high, _, bid, ask) in combinations(rows, 2):
        if high - low == 2.0:
            verticals.append(max(bid - low_ask, low_bid - ask - (high - low)))
    for low, middle, high in combinations(rows, 3):
        if high[0] - low[0] == 4.0:
            butterflies.append(middle[2] - 0.5 * (low[3] + high[3]))
    found = report.violations.groupby("kind")["size_usd"].apply(sorted).to_dict()
    for kind, sizes in (("vertical", verticals), ("butterfly", butterflies)):
        assert found.get(kind, []) == pytest.approx(sorted(size for size in sizes if size > 1e-6))
        assert report.checked[kind] == len(sizes)


def test_a_missing_column_is_a_typed_error_and_an_empty_chain_has_nothing_to_find() -> None:
    with pytest.raises(SchemaError, match="ask"):
        check_arbitrage(chain_of((100.0, "C", 4.0, 4.2)).drop(columns="ask"))
    assert check_arbitrage(chain_of((100.0, "C", 4.0, 4.2)).iloc[:0]).counts == {
        "vertical": 0, "butterfly": 0, "calendar": 0,
    }  # fmt: skip


@pytest.mark.files_data
def test_a_well_quoted_real_chain_gives_nothing_away(real_data) -> None:
    raw = pd.read_parquet(real_data / "option_chain_snapshots.parquet")
    raw = raw[(raw["ticker"] == "SPY") & (raw["quote_date"] == pd.Timestamp("2015-01-05").date())]
    report = check_arbitrage(clean_chain(normalise_chain(raw).kept).kept)
    assert report.counts == {"vertical": 0, "butterfly": 0, "calendar": 0}
    assert min(report.checked.values()) > 2_500
