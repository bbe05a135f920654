"""One session's measures: against the frames' way of doing it, against plain loops, and against a vendor."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from tests.trading_dag.options.chains.session_features import features_of_session
from trading_dag.errors import InsufficientDataError, SchemaError
from trading_dag.options.chains.cleaning import CleaningRules, clean_chain
from trading_dag.options.chains.contracts import years_to_settlement
from trading_dag.options.chains.forward import implied_forwards
from trading_dag.options.chains.grid import session_grid
from trading_dag.options.chains.measures import measure_session
from trading_dag.options.chains.rows import normalise_chain
from trading_dag.options.chains.volatilities import contract_analytics, smile_summary
from trading_dag.schemas import OPTION_CHAIN

RATE = 0.04
KEY = ["option_right", "expiration", "strike"]


def sessions_of(real_data: Path, ticker: str) -> list[pd.DataFrame]:
    """The 32 real sessions of one ticker, last trades only, in order."""
    raw = pd.read_parquet(real_data / "option_chain_eod.parquet", filters=[("ticker", "==", ticker)])
    chain = normalise_chain(raw).kept
    return [rows.reset_index(drop=True) for _, rows in chain.groupby("quote_date")]


def snapshot(real_data: Path, ticker: str, day: str) -> pd.DataFrame:
    """A real chain with bid and ask."""
    raw = pd.read_parquet(real_data / "option_chain_snapshots.parquet", filters=[("ticker", "==", ticker)])
    chain = normalise_chain(raw).kept
    return chain[chain["quote_date"] == day].reset_index(drop=True)


def kept_rows(chain: pd.DataFrame, before: pd.DataFrame | None = None) -> pd.DataFrame:
    return clean_chain(chain, before=before).kept


def placed_rows(chain: pd.DataFrame, before: pd.DataFrame | None = None) -> list[tuple[object, ...]]:
    """The contracts that measures believe, read off the arrays of right, expiration and strike."""
    grid = session_grid(chain)
    right, row, column = np.nonzero(grid.having(clean_chain(chain, before=before).kept_at))
    return sorted(zip(np.array(["C", "P"])[right], grid.expirations[row], grid.strikes[column], strict=True))


def keys_of(frame: pd.DataFrame) -> list[tuple[object, ...]]:
    return sorted(frame[KEY].itertuples(index=False, name=None))


QUOTES = st.tuples(
    st.sampled_from(["C", "P"]),
    st.sampled_from([0, 1, 4, 30]),
    st.sampled_from([80.0, 95.0, 100.0, 105.0, 120.0]),
    st.sampled_from([np.nan, 0.0, 0.5, 1.0, 5.0, 20.0, 60.0]),
    st.sampled_from([np.nan, 0.0, 0.6, 1.0, 5.5, 20.0, 61.0]),
    st.sampled_from([np.nan, 0.0, 0.5, 25.0]),
    st.sampled_from([np.nan, 0.0, 7.0]),
    st.sampled_from([100.0, 100.0, 100.0, np.nan]),
)


def messy_chain(rows: list[tuple[object, ...]], day: str, move: float = 1.0) -> pd.DataFrame:
    names = ["option_right", "days", "strike", "bid", "ask", "last", "volume", "underlying_price"]
    frame = pd.DataFrame(rows, columns=names).drop_duplicates(["option_right", "days", "strike"])
    expiration = pd.Timestamp("2024-11-13") + pd.to_timedelta(frame["days"], unit="D")
    frame = frame.assign(
        quote_date=pd.Timestamp(day), ticker="SPY", expiration=expiration, open_interest=5.0, implied_volatility=0.2
    )
    frame[["quote_date", "expiration"]] = frame[["quote_date", "expiration"]].astype("datetime64[us]")
    frame["underlying_price"] *= move
    return frame[list(OPTION_CHAIN.column_names)].reset_index(drop=True)


@settings(max_examples=50)
@given(st.lists(QUOTES, min_size=1, max_size=30), st.lists(QUOTES, min_size=1, max_size=30))
def test_whatever_the_quotes_a_session_after_another_is_cleaned_as_both_in_one_chain(
    rows: list[tuple[object, ...]], earlier: list[tuple[object, ...]]
) -> None:
    chain, before = messy_chain(rows, "2024-11-13"), messy_chain([*rows[::2], *earlier], "2024-11-12", move=1.02)
    both = clean_chain(pd.concat([before, chain], ignore_index=True)).kept
    kept = kept_rows(chain, before)
    pd.testing.assert_frame_equal(kept, both[both["quote_date"] == "2024-11-13"].reset_index(drop=True))
    assert placed_rows(chain, before) == keys_of(kept)


@settings(max_examples=50)
@given(st.lists(QUOTES, min_size=1, max_size=30))
def test_a_quote_that_stood_still_is_one_that_a_loop_over_the_rows_finds(rows: list[tuple[object, ...]]) -> None:
    """The underlying rises by 2 % overnight: every two-sided quote of 1 % of spot that did not move is stale."""
    before = messy_chain(rows, "2024-11-12")
    chain = messy_chain(rows, "2024-11-13", move=1.02)
    chain.loc[::3, "ask"] += 0.01
    quoted = {(row.option_right, row.expiration, row.strike): row for row in before.itertuples()}
    stale = [
        key
        for row in chain.itertuples()
        for key in [(row.option_right, row.expiration, row.strike)]
        if (row.bid, row.ask) == (quoted[key].bid, quoted[key].ask)  # NaN equals nothing
        and not (math.isnan(row.underlying_price) or math.isnan(quoted[key].underlying_price))
        and 0.5 * (row.bid + row.ask) >= 0.01 * row.underlying_price
    ]
    refused = clean_chain(chain, before=before).refused
    told = refused[refused["reason"] == "stale"]
    earlier_rules = refused[refused["reason"].isin(["expired", "no_underlying", "crossed", "zero"])]
    assert sorted([*keys_of(told), *(key for key in keys_of(earlier_rules) if key in stale)]) == sorted(stale)


def test_rules_that_are_asked_for_are_kept() -> None:
    chain = messy_chain(
        [("C", 30, 100.0, 0.0, 0.6, np.nan, 1.0, 100.0), ("P", 30, 100.0, 1.0, 1.0, np.nan, 1.0, 100.0)], "2024-11-13"
    )
    chain.loc[1, "implied_volatility"] = np.nan
    assert measure_session(chain, rate=RATE).exposure.contracts == 1
    asked = {"refuse_zero_bid": False, "require_volatility": True}
    both, none = (len(clean_chain(chain, rules=CleaningRules(**{name: value})).kept) for name, value in asked.items())
    assert (both, none) == (2, 0)


@pytest.mark.files_data
@pytest.mark.parametrize("ticker", ["SPY", "QQQ", "IWM"])
def test_forwards_and_smiles_are_those_of_the_contract_by_contract_analysis(real_data: Path, ticker: str) -> None:
    before, chain = sessions_of(real_data, ticker)[12:14]
    assert_smiles_of_contracts(chain, before)


@pytest.mark.parametrize("half_spread", [None, 0.02, 0.1])
def test_forwards_and_smiles_of_a_made_session_are_those_of_the_contract_by_contract_analysis(
    half_spread: float | None,
) -> None:
    assert_smiles_of_contracts(made_session(half_spread), None)


def made_session(half_spread: float | None = None) -> pd.DataFrame:
    """Prices to the cent of a skewed smile, last trades or quotes so wide that the far ones say no volatility."""
    chain = messy_chain(
        [(right, days, strike, np.nan, np.nan, np.nan, 3.0, 100.0)
         for days in (0, 1, 30, 120) for strike in np.arange(70.0, 131.0) for right in "CP"], "2024-11-13",
    )  # fmt: skip
    prices = []
    for row in chain.to_dict("records"):
        years = (row["expiration"] - row["quote_date"]).days / 365
        forward, moneyness = 100.0 * math.exp(0.025 * years), math.log(row["strike"] / 100.0)
        volatility = 0.2 - 0.15 * moneyness + 0.3 * moneyness**2
        value = plain_price(forward, row["strike"], max(years, 1e-6), volatility, row["option_right"] == "C")
        prices.append(max(round(value * math.exp(-RATE * years), 2), 0.01))  # a price is at least a cent
    interest = 1.0 + 37 * np.arange(len(chain)) % 101
    if half_spread is None:
        return chain.assign(last=prices, open_interest=interest)
    return chain.assign(
        bid=np.maximum(np.round(np.array(prices) - half_spread, 2), 0.0),
        ask=np.round(np.array(prices) + half_spread, 2), open_interest=interest,
    )  # fmt: skip


def assert_smiles_of_contracts(chain: pd.DataFrame, before: pd.DataFrame | None) -> None:
    smile = measure_session(chain, rate=RATE, before=before).smile
    kept = kept_rows(chain, before)
    forwards = implied_forwards(kept, rate=RATE, minimum_pairs=3)
    wanted = smile_summary(contract_analytics(kept, forwards)).set_index("expiration")
    for name in ("forward", "atm_volatility", "put_25_delta_volatility", "call_25_delta_volatility"):
        got = pd.Series(getattr(smile, name), index=smile.expirations).reindex(wanted.index)
        np.testing.assert_allclose(got, wanted[name], rtol=1e-10, equal_nan=True)
    assert wanted["atm_volatility"].notna().sum() > (5 if before is not None else 1)


def normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def plain_price(forward: float, strike: float, years: float, volatility: float, is_call: bool) -> float:
    """Black's formula, undiscounted."""
    deviation = volatility * math.sqrt(years)
    d1 = math.log(forward / strike) / deviation + deviation / 2
    call = forward * normal(d1) - strike * normal(d1 - deviation)
    return call if is_call else call - forward + strike


class PlainSession:
    """A chain of last trades down to gamma exposure, one contract after the other, with dictionaries and brentq."""

    def __init__(self, chain: pd.DataFrame) -> None:
        self.spot = float(chain["underlying_price"].iloc[0])
        self.rows = chain.to_dict("records")
        days = chain["expiration"].drop_duplicates()
        times = years_to_settlement(chain["quote_date"].loc[days.index], days, is_morning=False)
        self.years = dict(zip(days, times, strict=True))
        self.trades = {(row["expiration"], row["strike"], row["option_right"]): row["last"] for row in self.rows if
                       self._is_believed(row)}  # fmt: skip
        self.forward = {day: self._forward(day) for day in self.years}
        self.smile = {day: self._smile(day) for day in self.years}
        self.held = [contract for row in self.rows if (contract := self._contract(row))]

    def _is_believed(self, row: dict[str, float]) -> bool:
        sign = 1 if row["option_right"] == "C" else -1
        intrinsic = max(sign * (self.spot - row["strike"]), 0.0)
        return row["last"] > 0 and row["volume"] > 0 and row["last"] >= intrinsic and self.years[row["expiration"]] >= 0

    def _forward(self, day: pd.Timestamp) -> float | None:
        growth = math.exp(RATE * self.years[day])
        implied = [
            strike + (price - self.trades[day, strike, "P"]) * growth
            for (expiration, strike, right), price in self.trades.items()
            if expiration == day and right == "C" and (day, strike, "P") in self.trades
            and abs(strike - self.spot) <= 0.02 * self.spot
        ]  # fmt: skip
        return median(implied) if len(implied) >= 3 else None

    def _smile(self, day: pd.Timestamp) -> list[tuple[float, float]]:
        forward, years = self.forward[day], self.years[day]
        points = []
        for (expiration, strike, right), price in self.trades.items():
            if forward is None or years <= 0 or expiration != day or (right == "C") != (strike >= forward):
                continue
            wanted = price * math.exp(RATE * years)
            if wanted >= (forward if right == "C" else strike):
                continue

            def miss(volatility: float, strike: float = strike, right: str = right, wanted: float = wanted) -> float:
                return plain_price(forward, strike, years, volatility, right == "C") - wanted

            if miss(1e-4) > 0:
                continue
            volatility = brentq(miss, 1e-4, 20.0, xtol=1e-12)
            deviation = volatility * math.sqrt(years)
            d1 = math.log(forward / strike) / deviation + deviation / 2
            density = math.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
            vega = math.exp(-RATE * years) * forward * density * math.sqrt(years)
            if 0.01 / vega <= 0.05:
                points.append((strike, volatility))
        return sorted(points)

    def _contract(self, row: dict[str, float]) -> tuple[float, ...] | None:
        day, strike = row["expiration"], row["strike"]
        volatility = row["implied_volatility"]
        points = self.smile[day]
        for (low, left), (high, right) in zip(points, points[1:] + points[-1:], strict=True):
            if low == strike:
                volatility = left
            elif low < strike < high:
                share = math.log(strike / low) / math.log(high / low)
                volatility = left + share * (right - left)
        if not (volatility > 0 and row["open_interest"] > 0 and self.years[day] > 0):
            return None
        forward = self.forward[day]
        growth = math.log(forward / self.spot) if forward is not None else 0.0
        rate = RATE * self.years[day] if forward is not None else 0.0
        sign = 1 if row["option_right"] == "C" else -1
        return sign * row["open_interest"], strike, self.years[day], volatility, growth, rate - growth

    def gamma_of(self, contract: tuple[float, ...], spot: float) -> float:
        interest, strike, years, volatility, growth, carried = contract
        deviation = volatility * math.sqrt(years)
        d1 = (math.log(spot / strike) + growth) / deviation + deviation / 2
        gamma = math.exp(-carried - d1 * d1 / 2) / math.sqrt(2 * math.pi) / (spot * deviation)
        return interest * 100 * gamma * spot**2 * 0.01

    def net_gamma(self, spot: float) -> float:
        return sum(self.gamma_of(contract, spot) for contract in self.held)

    def wall(self, sign: int) -> float:
        by_strike: dict[float, float] = {}
        for contract in self.held:
            if contract[0] * sign > 0:
                by_strike[contract[1]] = by_strike.get(contract[1], 0.0) + sign * self.gamma_of(contract, self.spot)
        return max(by_strike, key=lambda strike: by_strike[strike])


@pytest.mark.files_data
@pytest.mark.parametrize("ticker", ["SPY", "IWM"])
def test_net_gamma_flip_and_walls_are_those_of_plain_loops_over_a_real_chain(real_data: Path, ticker: str) -> None:
    assert_exposure_of_plain_loops(sessions_of(real_data, ticker)[9])


def test_net_gamma_flip_and_walls_are_those_of_plain_loops_over_a_made_chain() -> None:
    assert_exposure_of_plain_loops(made_session())


def assert_exposure_of_plain_loops(chain: pd.DataFrame) -> None:
    plain = PlainSession(chain)
    exposure = measure_session(chain, rate=RATE).exposure
    assert exposure.contracts == len(plain.held)
    assert exposure.net_gamma == pytest.approx(plain.net_gamma(plain.spot), rel=1e-6)
    assert (exposure.call_wall_strike, exposure.put_wall_strike) == (plain.wall(1), plain.wall(-1))
    # The nearest change of sign, by steps of 0.05 % outwards from spot.
    here = plain.net_gamma(plain.spot)
    step = next(
        step
        for size in range(1, 301)
        for step in (size, -size)
        if plain.net_gamma(plain.spot * (1 + 0.0005 * step)) * here < 0
    )
    bracket = sorted(plain.spot * (1 + 0.0005 * (step - shift * np.sign(step))) for shift in (0, 1))
    assert exposure.gamma_flip == pytest.approx(brentq(plain.net_gamma, *bracket), rel=1e-6)


@pytest.mark.files_data
def test_activity_is_the_count_of_a_real_chain(real_data: Path) -> None:
    chain = sessions_of(real_data, "QQQ")[4]
    counted = {"C": [0.0, 0.0], "P": [0.0, 0.0]}
    for row in chain.to_dict("records"):
        counted[row["option_right"]][0] += row["volume"]
        counted[row["option_right"]][1] += row["open_interest"]
    activity = measure_session(chain, rate=RATE).activity
    assert [activity.call_volume, activity.call_open_interest] == counted["C"]
    assert [activity.put_volume, activity.put_open_interest] == counted["P"]


def test_ratios_are_those_of_a_hand_count() -> None:
    chain = messy_chain([("C", 30, 100.0, 1.0, 1.0, 1.0, 7.0, 100.0), ("P", 30, 95.0, 1.0, 1.0, 1.0, 7.0, 100.0),
                         ("P", 4, 95.0, 1.0, 1.0, 1.0, 7.0, 100.0), ("P", 4, 80.0, 1.0, 1.0, 1.0, np.nan, 100.0)],
                        "2024-11-13")  # fmt: skip
    features = features_of_session(chain, rate=RATE)
    assert features["put_call_volume_ratio"] == 14 / 7
    assert features["put_call_oi_ratio"] == 15 / 5


def test_what_nobody_counted_is_unknown_and_not_zero() -> None:
    chain = messy_chain([("C", 30, 100.0, 1.0, 1.0, 1.0, np.nan, 100.0)], "2024-11-13")
    activity = measure_session(chain, rate=RATE).activity
    assert np.isnan([activity.call_volume, activity.put_volume, activity.put_open_interest]).all()
    assert activity.call_open_interest == 5.0


def test_equal_rows_count_once_and_differing_rows_of_a_contract_not_at_all() -> None:
    chain = messy_chain([("C", 30, 100.0, 1.0, 1.0, 1.0, 7.0, 100.0), ("P", 30, 95.0, 1.0, 1.0, 1.0, 7.0, 100.0)],
                        "2024-11-13")  # fmt: skip
    contradiction = chain[1:].assign(volume=8.0)
    activity = measure_session(pd.concat([chain, chain[:1], contradiction]), rate=RATE).activity
    assert activity.call_volume == 7.0
    assert np.isnan(activity.put_volume)


@pytest.mark.files_data
def test_an_adjusted_root_has_activity_and_neither_smile_nor_exposure(real_data: Path) -> None:
    chain = snapshot(real_data, "SPY", "2015-01-05").assign(ticker="SPY1")
    measures = measure_session(chain, rate=RATE)
    assert measures.exposure.contracts == 0
    assert np.isnan(measures.smile.atm_volatility).all()
    assert measures.activity.call_volume > 0


@pytest.mark.files_data
def test_the_order_of_the_rows_does_not_matter(real_data: Path) -> None:
    chain = snapshot(real_data, "SPY", "2015-01-05")
    shuffled = chain.sample(frac=1.0, random_state=3)
    assert features_of_session(shuffled, rate=RATE) == pytest.approx(
        features_of_session(chain, rate=RATE), rel=1e-12, nan_ok=True
    )


@pytest.mark.parametrize("column", ["ticker", "quote_date"])
def test_two_chains_at_once_are_refused(column: str) -> None:
    chain = messy_chain([("C", 30, 100.0, 1.0, 1.0, 1.0, 7.0, 100.0)], "2024-11-13")
    other = chain.assign(ticker="QQQ") if column == "ticker" else chain.assign(quote_date=pd.Timestamp("2024-11-14"))
    with pytest.raises(InsufficientDataError, match="one ticker and one date"):
        measure_session(pd.concat([chain, other]), rate=RATE)
    with pytest.raises(InsufficientDataError, match="one ticker and one date"):
        measure_session(chain[:0], rate=RATE)
    with pytest.raises(SchemaError, match="column is missing"):
        measure_session(chain.drop(columns="volume"), rate=RATE)


@pytest.mark.files_data
def test_level_and_skew_of_2015_are_those_of_the_vendor(real_data: Path) -> None:
    chain = snapshot(real_data, "SPY", "2015-01-05")
    features = features_of_session(chain, rate=0.0025)
    raw = pd.read_parquet(real_data / "option_chain_snapshots.parquet", filters=[("ticker", "==", "SPY")])
    raw = raw[(pd.to_datetime(raw["quote_date"]) == "2015-01-05") & (raw["implied_volatility"] > 0)]
    # 30 days lie between the expirations of 30 January (25 days) and 6 February (32 days).
    near, far = (vendor_points(raw[pd.to_datetime(raw["expiration"]) == day]) for day in ("2015-01-30", "2015-02-06"))
    atm, put, call = (
        100 * math.sqrt((left**2 * 25 * 2 / 7 + right**2 * 32 * 5 / 7) / 30)
        for left, right in zip(near, far, strict=True)
    )
    assert features["atm_iv_30d"] == pytest.approx(atm, abs=0.3)
    # The vendor knows no dividends: its calls lie about half a point too high and its puts as much too low.
    assert features["iv_skew_25d"] == pytest.approx(put - call, abs=1.0)


def vendor_points(rows: pd.DataFrame) -> tuple[float, float, float]:
    """The vendor's volatility at the spot (mean of call and put), of its 25-delta put and of its 25-delta call."""
    calls, puts = (rows[rows["right"] == right].sort_values("delta") for right in ("C", "P"))
    spot = float(rows["underlying_price"].iloc[0])
    at_spot = [
        np.interp(spot, *side.sort_values("strike")[["strike", "implied_volatility"]].to_numpy().T)
        for side in (calls, puts)
    ]
    put, call = (
        float(np.interp(delta, side["delta"], side["implied_volatility"]))
        for delta, side in ((-0.25, puts), (0.25, calls))
    )
    return float(np.mean(at_spot)), put, call
