"""Chains that may not be stored: a copy of the session before, no quotes, volatilities in percent, another scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trading_dag.frames import table_frame
from trading_dag.options.chains.rows import normalise_chain
from trading_dag.options.pricing import black_scholes
from trading_dag.quality import QualityContext, examine, rules_of
from trading_dag.schemas import OPTION_CHAIN

NOW = pd.Timestamp("2026-12-31")
RULES = ("no_copy_of_session_before", "quotes_are_not_all_zero", "volatility_is_a_fraction", "parity_is_near_spot")
DAYS = pd.to_datetime(["2024-11-11", "2024-11-12"])


def broken(frame: pd.DataFrame, *, before: pd.DataFrame | None = None) -> list[str]:
    found = examine(OPTION_CHAIN, frame, context=QualityContext(now_session=NOW, chain_before=before))
    return [name for name in RULES if found[name].count]


def chain(day: pd.Timestamp = DAYS[0], *, spot: float = 500.0, seed: int = 1, volatility: float = 0.2) -> pd.DataFrame:
    """One, two and nine weeks' options by the formula of Black and Scholes, a cent each side, with random volumes."""
    days, strikes = (7, 14, 63), np.arange(450.0, 551.0, 5.0)
    grid = pd.MultiIndex.from_product([days, strikes, ["C", "P"]], names=["days", "strike", "option_right"])
    rows = grid.to_frame(index=False)
    middle = black_scholes.price(
        spot=spot, strike=rows["strike"], years=rows["days"] / 365, rate=0.04, dividend_yield=0.0,
        volatility=volatility, is_call=rows["option_right"] == "C",
    )  # fmt: skip
    generator = np.random.default_rng(seed)
    values = {
        "quote_date": day, "ticker": "SPY", "underlying_price": spot,
        "expiration": day + pd.to_timedelta(rows["days"], unit="D"), "strike": rows["strike"],
        "option_right": rows["option_right"], "bid": np.maximum(middle - 0.01, 0.0), "ask": middle + 0.01,
        "last": np.round(middle + 0.01, 2), "volume": generator.integers(1, 5_000, len(rows)).astype(float),
        "open_interest": 10.0, "implied_volatility": volatility,
    }  # fmt: skip
    return table_frame(OPTION_CHAIN, values, rows=len(rows))


def without_quotes(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(bid=np.nan, ask=np.nan)


def copied(frame: pd.DataFrame, share: float, *, day: pd.Timestamp = DAYS[1]) -> pd.DataFrame:
    """An honest chain of the day after, the first share of whose contracts repeat volume and last trade."""
    fresh = chain(day, seed=2)
    fresh["expiration"] = frame["expiration"]
    number = round(share * len(frame))
    fresh.loc[: number - 1, ["volume", "last"]] = frame.loc[: number - 1, ["volume", "last"]]
    return fresh


def test_the_rules_block_and_an_honest_chain_passes_them() -> None:
    rules = {rule.name: rule for rule in rules_of(OPTION_CHAIN)}
    assert all((rules[name].severity, rules[name].is_blocking) == ("error", True) for name in RULES)
    for spot in (40.0, 500.0, 4000.0):
        honest = chain(spot=500.0)
        scaled = honest[["underlying_price", "strike", "bid", "ask", "last"]] * (spot / 500.0)
        assert broken(honest.assign(**scaled)) == []
    assert broken(without_quotes(chain())) == []
    assert broken(chain(volatility=3.0)) == []  # a share at 300 %
    assert broken(chain(volatility=0.03)) == []  # a fund of bonds at 3 %


@pytest.mark.parametrize(("share", "is_copy"), [(0.0, False), (0.49, False), (0.52, True), (1.0, True)])
def test_a_chain_that_repeats_the_session_before_is_refused(share: float, is_copy: bool) -> None:
    first = chain()
    expected = ["no_copy_of_session_before"] if is_copy else []
    assert broken(copied(first, share), before=first) == expected
    both = pd.concat([copied(first, share), first], ignore_index=True)
    assert broken(both) == expected
    found = examine(OPTION_CHAIN, both, context=QualityContext(now_session=NOW))["no_copy_of_session_before"]
    assert found.examples == (("quote_date=2024-11-12",) if is_copy else ())
    assert set(np.flatnonzero(found.mask)) == (set(range(round(share * len(first)))) if is_copy else set())


def test_only_the_session_before_is_compared_and_contracts_that_did_not_trade_say_nothing() -> None:
    first, third = chain(), copied(chain(), 1.0, day=pd.Timestamp("2024-11-13"))
    second = chain(DAYS[1], seed=3)
    assert broken(pd.concat([first, second, third], ignore_index=True)) == []
    assert broken(pd.concat([first, third], ignore_index=True)) == ["no_copy_of_session_before"]
    quiet = copied(first, 1.0)
    quiet.loc[quiet.index[19:], "volume"] = 0.0
    assert broken(quiet, before=first) == []  # 19 contracts are too few
    other = first.assign(ticker="QQQ")
    assert broken(copied(first, 1.0), before=other) == []


def test_volumes_that_repeat_at_other_prices_are_no_copy() -> None:
    first = chain()
    fresh = copied(first, 1.0)
    assert broken(fresh.assign(last=fresh["last"] + 0.01), before=first) == []
    assert broken(fresh.assign(volume=fresh["volume"] + 1.0), before=first) == []


@pytest.mark.parametrize(("share", "is_refused"), [(0.45, False), (0.55, True), (1.0, True)])
def test_a_chain_whose_quotes_are_zero_is_refused(share: float, is_refused: bool) -> None:
    frame = chain()
    frame.loc[: round(share * len(frame)) - 1, ["bid", "ask"]] = 0.0
    assert broken(frame) == (["quotes_are_not_all_zero"] if is_refused else [])


@pytest.mark.parametrize("volatility", [0.1, 0.2, 0.8, 2.0])
def test_volatilities_in_percent_are_refused_with_and_without_quotes(volatility: float) -> None:
    frame = chain(volatility=volatility)
    percent = frame.assign(implied_volatility=frame["implied_volatility"] * 100)
    for rows in (percent, without_quotes(percent)):
        assert broken(rows) == ["volatility_is_a_fraction"]
    # No price at all: the level tells.
    blind = without_quotes(percent).assign(last=np.nan)
    assert broken(blind) == ["volatility_is_a_fraction"]
    assert broken(blind.assign(implied_volatility=volatility)) == []
    # Vendors' own volatilities may be half or twice as large.
    assert broken(frame.assign(implied_volatility=frame["implied_volatility"] * 2)) == []


@pytest.mark.parametrize(("contracts", "is_refused"), [(19, False), (20, True)])
def test_twenty_contracts_without_a_quote_are_enough_to_refuse_a_chain(contracts: int, is_refused: bool) -> None:
    frame = chain()[:contracts].assign(bid=0.0, ask=0.0)
    assert ("quotes_are_not_all_zero" in broken(frame)) is is_refused


def test_contracts_whose_volatility_is_zero_say_nothing_about_percents() -> None:
    frame = chain()
    percent = frame["implied_volatility"] * 100.0
    is_front = frame["expiration"] == frame["expiration"].min()
    assert broken(frame.assign(implied_volatility=percent.where(is_front, 0.0))) == ["volatility_is_a_fraction"]
    assert broken(frame.assign(implied_volatility=percent.where(~is_front, 0.0))) == ["volatility_is_a_fraction"]


@pytest.mark.parametrize(
    ("factor", "is_refused"), [(0.94, True), (0.96, False), (1.04, False), (1.06, True), (4.0, True)]
)
def test_a_spot_more_than_five_percent_from_parity_is_refused_and_a_nearer_one_is_not(
    factor: float, is_refused: bool
) -> None:
    frame = chain()
    moved = frame.assign(underlying_price=frame["underlying_price"] * factor)
    expected = ["parity_is_near_spot"] if is_refused else []
    assert broken(moved) == expected
    assert broken(without_quotes(moved)) == expected


def test_strikes_of_another_scale_are_refused() -> None:
    frame = chain()
    assert "parity_is_near_spot" in broken(frame.assign(strike=frame["strike"] / 10))
    assert "parity_is_near_spot" in broken(frame.assign(strike=frame["strike"] * 1000))


def test_a_chain_of_far_expirations_or_without_a_spot_is_not_judged_by_parity() -> None:
    far = chain()
    far = far[far["expiration"] > DAYS[0] + pd.Timedelta(days=35)].assign(underlying_price=900.0)
    assert broken(far) == []
    assert broken(chain().assign(underlying_price=np.nan)) == []
    assert broken(chain().iloc[:0]) == []


def real_chain(real_data: Path, name: str) -> pd.DataFrame:
    chosen = normalise_chain(pd.read_parquet(real_data / f"{name}.parquet")).kept
    return chosen[list(OPTION_CHAIN.column_names)].reset_index(drop=True)


@pytest.mark.files_data
@pytest.mark.parametrize("name", ["option_chain_eod", "option_chain_snapshots"])
def test_no_real_chain_is_refused(real_data: Path, name: str) -> None:
    assert broken(real_chain(real_data, name)) == []


@pytest.mark.files_data
def test_real_chains_with_each_fault_are_refused(real_data: Path) -> None:
    chains = real_chain(real_data, "option_chain_eod")
    days = sorted(chains["quote_date"].unique())[9:11]
    first, second = (
        chains[(chains["quote_date"] == day) & (chains["ticker"] == "SPY")].reset_index(drop=True) for day in days
    )
    stale = first.assign(quote_date=second["quote_date"].iloc[0], underlying_price=second["underlying_price"].iloc[0])
    stale = stale[stale["expiration"] >= stale["quote_date"]].reset_index(drop=True)
    assert broken(stale, before=first) == ["no_copy_of_session_before"]
    assert broken(second.assign(implied_volatility=second["implied_volatility"] * 100)) == ["volatility_is_a_fraction"]
    assert broken(second.assign(underlying_price=second["underlying_price"] * 1.07)) == ["parity_is_near_spot"]
    assert "parity_is_near_spot" in broken(second.assign(strike=second["strike"] / 10))
    spy = real_chain(real_data, "option_chain_snapshots")
    spy = spy[spy["quote_date"] == "2015-01-05"].reset_index(drop=True)
    assert broken(spy.assign(bid=0.0, ask=0.0)) == ["quotes_are_not_all_zero"]
