"""A chain that belongs to another price, and a vendor's volatilities that contradict parity, are found and named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trading_dag.frames import table_frame
from trading_dag.options.chains.cleaning import clean_chain
from trading_dag.options.chains.forward import implied_forwards
from trading_dag.options.chains.rows import normalise_chain
from trading_dag.options.pricing import black_scholes
from trading_dag.quality import QualityContext, examine, rules_of
from trading_dag.quality.rules import Finding
from trading_dag.schemas import CHAIN_ANALYTICS, OPTION_CHAIN

CONTEXT = QualityContext(now_session=pd.Timestamp("2026-12-31"))
COUNTS = ("contracts", "fitted_contracts", "refused", "vertical_violations", "butterfly_violations",
          "calendar_violations", "pairs")  # fmt: skip


def parity(frame: pd.DataFrame) -> Finding:
    return examine(CHAIN_ANALYTICS, frame, context=CONTEXT)["parity_agrees_with_spot"]


def vendor(frame: pd.DataFrame) -> Finding:
    return examine(OPTION_CHAIN, frame, context=CONTEXT)["vendor_volatility_keeps_parity"]


def analytics(away: list[float], *, days: tuple[int, ...] = (3, 10, 17, 60)) -> pd.DataFrame:
    """Sessions whose quotes imply a spot that is away from the stored 500 USD by these fractions."""
    sessions = pd.bdate_range("2024-11-11", periods=len(away))
    rows = [
        (session, day, 500 * (1 + miss) * np.exp(0.04 * day / 365))
        for session, miss in zip(sessions, away, strict=True)
        for day in days
    ]
    session = pd.DatetimeIndex([row[0] for row in rows])
    numbers = np.array([row[1:] for row in rows])
    values = {
        "ticker": "SPY", "session": session, "expiration": session + pd.to_timedelta(numbers[:, 0], unit="D"),
        "spot": 500.0, "years": numbers[:, 0] / 365, "rate": 0.04, "forward": numbers[:, 1], **dict.fromkeys(COUNTS, 9),
    }  # fmt: skip
    return table_frame(CHAIN_ANALYTICS, values, rows=len(rows))


def quotes(difference: float, *, half_spread: float = np.nan) -> pd.DataFrame:
    """A month's options of 20 % whose vendor gives the calls this much more volatility."""
    grid = pd.MultiIndex.from_product([np.arange(480.0, 521.0, 1.0), ["C", "P"]], names=["strike", "option_right"])
    frame = grid.to_frame(index=False)
    is_call = frame["option_right"] == "C"
    middle = black_scholes.price(
        spot=500.0, strike=frame["strike"], years=30 / 365, rate=0.04, dividend_yield=0.0, volatility=0.2,
        is_call=is_call,
    )  # fmt: skip
    values = {
        "quote_date": pd.Timestamp("2024-11-11"), "ticker": "SPY", "underlying_price": 500.0,
        "expiration": pd.Timestamp("2024-12-11"), "strike": frame["strike"], "option_right": frame["option_right"],
        "bid": middle - half_spread, "ask": middle + half_spread, "last": middle, "volume": 10.0,
        "open_interest": 10.0, "implied_volatility": 0.2 + difference * is_call,
    }  # fmt: skip
    return table_frame(OPTION_CHAIN, values, rows=len(frame))


def test_a_session_whose_quotes_are_those_of_another_price_is_named() -> None:
    found = parity(analytics([0.0, 0.012, -0.004, -0.02]))
    assert found.examples == ("session=2024-11-12", "session=2024-11-14")
    assert found.count == 2
    assert "-2.0% away on 2024-11-14" in found.detail
    assert found.mask.reshape(4, 4).tolist() == [[False] * 4, [True] * 3 + [False], [False] * 4, [True] * 3 + [False]]


def test_dividends_before_a_far_expiration_are_no_stale_chain() -> None:
    frame = analytics([0.0])
    frame.loc[3, "forward"] *= 0.98
    assert parity(frame).count == 0


def test_a_single_odd_expiration_does_not_condemn_a_session() -> None:
    frame = analytics([0.0])
    frame.loc[0, "forward"] *= 1.05
    assert parity(frame).count == 0


def test_without_a_near_forward_nothing_is_said() -> None:
    found = parity(analytics([0.5], days=(40, 90)))
    assert (found.count, found.detail) == (0, "not examined: no forward of a near expiration")


def test_volatilities_that_agree_within_five_points_pass_and_others_do_not() -> None:
    assert vendor(quotes(0.04)).count == 0
    assert vendor(quotes(0.06)).count == 82
    assert vendor(quotes(-0.06)).count == 82


def test_a_wide_spread_allows_as_much_more() -> None:
    # Vega at the money: 500 · 0.39894 · √(30/365) = 57.19 USD; a half spread of 0.60 on both is 2.1 points.
    assert vendor(quotes(0.065, half_spread=0.60)).count == 0
    assert vendor(quotes(0.075, half_spread=0.60)).count == 82


def test_a_few_odd_strikes_are_the_vendor_s_noise() -> None:
    frame = quotes(0.0)
    frame.loc[:19, "implied_volatility"] += 0.2 * (frame.loc[:19, "option_right"] == "C")
    assert vendor(frame).count == 0


def test_a_chain_without_volatilities_is_not_judged() -> None:
    found = vendor(quotes(0.0).assign(implied_volatility=np.nan))
    assert (found.count, found.detail) == (0, "not examined: no strike near the money with two volatilities")


def test_all_rules_warn_and_stop_nothing() -> None:
    rules = {rule.name: rule for table in (CHAIN_ANALYTICS, OPTION_CHAIN) for rule in rules_of(table)}
    for name in ("parity_agrees_with_spot", "vendor_volatility_keeps_parity", "short_dividend_yields_are_possible"):
        assert (rules[name].severity, rules[name].is_blocking) == ("warn", False)


def real_analytics(chain: pd.DataFrame) -> pd.DataFrame:
    """The columns that the rule reads, of a real chain."""
    forwards = implied_forwards(clean_chain(chain).kept, rate=0.04, minimum_pairs=3)
    values = {
        "ticker": forwards["ticker"], "session": forwards["quote_date"], "pairs": forwards["pairs"],
        **{name: forwards[name] for name in ("expiration", "spot", "years", "rate", "forward")},
        **dict.fromkeys(COUNTS[:-1], 1),
    }  # fmt: skip
    return table_frame(CHAIN_ANALYTICS, values, rows=len(forwards))


@pytest.mark.files_data
@pytest.mark.parametrize("ticker", ["SPY", "QQQ", "IWM"])
def test_no_real_session_is_taken_for_stale_and_quotes_of_a_price_two_percent_away_are(
    real_data: Path, ticker: str
) -> None:
    raw = pd.read_parquet(real_data / "option_chain_eod.parquet", filters=[("ticker", "==", ticker)])
    chain = normalise_chain(raw).kept
    chain = chain[chain["expiration"] - chain["quote_date"] <= pd.Timedelta(days=20)]
    assert parity(real_analytics(chain)).count == 0
    last = chain[chain["quote_date"] == chain["quote_date"].max()]
    moved = last.assign(underlying_price=last["underlying_price"] * 1.02)
    assert parity(real_analytics(moved)).count == 1


@pytest.mark.files_data
def test_seven_real_chains_of_ninety_six_have_volatilities_of_another_spot(real_data: Path) -> None:
    chain = normalise_chain(pd.read_parquet(real_data / "option_chain_eod.parquet")).kept
    found = chain[vendor(chain).mask].groupby("ticker")["quote_date"].unique()
    days = {ticker: sorted(f"{day:%m-%d}" for day in pd.DatetimeIndex(dates)) for ticker, dates in found.items()}
    assert days == {"IWM": ["06-05", "06-26"], "QQQ": ["06-05", "06-24"], "SPY": ["06-05", "06-24", "06-26"]}


def yields(frame: pd.DataFrame) -> Finding:
    return examine(CHAIN_ANALYTICS, frame, context=CONTEXT)["short_dividend_yields_are_possible"]


def test_a_spot_that_is_stale_by_forty_basis_points_is_found_by_its_short_dividend_yields():
    found = yields(analytics([0.0, -0.004, 0.001]))
    assert (found.count, found.examples) == (1, ("session=2024-11-12",))
    # Its rows of 3, 10 and 17 days, and not that of 60.
    assert found.mask.nonzero()[0].tolist() == [4, 5, 6]
    # 0.4 % of three days: ln(1/0.996) · 365/3.
    assert np.log(1 / 0.996) * 365 / 3 == pytest.approx(0.488, abs=5e-4)
    assert (
        found.detail == "the spot of 2024-11-12 is +0.40% from what its chain implies: 3 days yield +49% of dividends"
    )
    assert yields(analytics([0.004])).count == 1


@pytest.mark.parametrize("away", [0.0, 0.0019, -0.0024])
def test_what_last_trades_stray_by_is_no_stale_spot(away):
    assert yields(analytics([away])).count == 0


def test_a_dividend_between_two_near_expirations_is_no_stale_spot():
    # 0.6 % a quarter, ex after four days: the first expiration does not know it.
    frame = analytics([0.0])
    frame.loc[frame["years"] > 4 / 365, "forward"] *= 1 - 0.006
    assert yields(frame).count == 0


def test_expirations_on_both_sides_of_the_spot_or_a_single_one_say_nothing_of_it():
    frame = analytics([0.004])
    frame.loc[frame["years"] < 4 / 365, "forward"] *= 1 - 0.008
    assert yields(frame).count == 0
    assert not yields(analytics([0.004], days=(3, 60))).is_examined
