"""Defects as vendors make them: caught in made-up bars always, and in real ones with the power the page says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.trading_dag.quality.price_defects import OHLC, PLANTERS, PRICES, planted
from trading_dag.quality import QualityContext, examine, rules_of
from trading_dag.quality.adjustment_rules import impossible_adjustments, remarkable_adjustments
from trading_dag.schemas import PRICES_DAILY
from trading_dag.sessions import sessions_between

SESSIONS = sessions_between("2015-01-02", "2019-12-31")
BLOCKING = {rule.name for rule in rules_of(PRICES_DAILY) if rule.is_blocking}
ROW = 700


def made_up_bars(ticker: str = "AAA", *, seed: int = 3, start: float = 100.0) -> pd.DataFrame:
    """Bars of a market that moves by half a percent a day, most of it in trading and common to all."""
    rows = len(SESSIONS)
    common = np.random.default_rng(99).normal(0.0, 0.005, rows)
    own = np.random.default_rng(seed)
    overnight, within = own.normal(0.0, 0.0015, rows), common + own.normal(0.0, 0.0005, rows)
    close = start * np.exp(np.cumsum(overnight + within))
    opened = close * np.exp(-within)
    high = np.maximum(opened, close) * np.exp(np.abs(own.normal(0.0, 0.003, rows)))
    low = np.minimum(opened, close) * np.exp(-np.abs(own.normal(0.0, 0.003, rows)))
    volume = np.round(np.exp(own.normal(15.0, 0.25, rows)))
    return pd.DataFrame(
        {
            "ticker": ticker, "session": SESSIONS, "open": opened, "high": high, "low": low, "close": close,
            "adj_close": close * 0.9, "volume": volume, "split_factor": np.nan, "dividend": np.nan,
        }
    )  # fmt: skip


def findings(frame: pd.DataFrame, **known: object):
    context = QualityContext(now_session=SESSIONS[-1], **known)  # type: ignore[arg-type]
    return examine(PRICES_DAILY, frame, context=context)


def broken(frame: pd.DataFrame, **known: object) -> set[str]:
    return {name for name, found in findings(frame, **known).items() if found.count}


CAUGHT_BY = {
    "adj_close on another base for a year": "adjustment_only_rises",
    "adj_close falls by 3 % for good": "adjustment_only_rises",
    "adj_close rises by 3 % for good": "adjustment_is_usual",
    "five identical bars": "no_copied_bars",
    "five identical bars, own volumes": "no_copied_bars",
    "a week copied from the week before": "no_copied_bars",
    "another ticker for two weeks": "no_foreign_bars",
    "another ticker for two weeks, on the same level": "no_foreign_bars",
    "the next open as the open, a year": "opens_are_of_their_session",
    "unadjusted 5:4, adj_close contradicts": "no_unadjusted_split",
    "unadjusted 5:4, adj_close too": "no_unadjusted_split",
    "unadjusted 3:2, adj_close too": "no_unadjusted_split",
    "unadjusted 2:1, adj_close too": "no_unadjusted_split",
    "unadjusted 1:10, adj_close too": "no_unadjusted_split",
    "unadjusted 1:35, adj_close too": "no_unadjusted_split",
    "a close off by 3 %, undone": "market_went_with_it",
    "a close off by 8 %, undone": "no_reverting_spikes",
    "a close off by 20 %, undone": "no_reverting_spikes",
    "a whole bar 1.4 times too high": "no_reverting_spikes",
    "a low 25 % too low": "no_reverting_spikes",
    "a high 25 % too high": "no_reverting_spikes",
    "a month of volume 0": "volume_has_no_outage",
    "one volume of 0": "volume_is_there",
}


def test_made_up_bars_break_no_rule_and_every_rule_looks_at_them() -> None:
    peers = {"BBB": made_up_bars("BBB", seed=4, start=300.0)}
    found = findings(made_up_bars(), peers=peers)
    assert {name: finding.detail for name, finding in found.items() if finding.count} == {}
    assert [name for name, finding in found.items() if not finding.is_examined] == ["tail_is_fresh"]


@pytest.mark.parametrize(("defect", "rule"), CAUGHT_BY.items(), ids=CAUGHT_BY)
def test_a_planted_defect_is_seen_by_its_rule_where_it_is(defect: str, rule: str) -> None:
    other = made_up_bars("BBB", seed=4, start=300.0)
    bars = PLANTERS[defect](made_up_bars(), ROW, other)
    found = findings(bars, peers={"BBB": other})[rule]
    assert found.count > 0
    place = int(found.mask.nonzero()[0][0])
    assert ROW <= place <= ROW + (125 if rule == "opens_are_of_their_session" else 2)


def _at(column: str, value: object) -> Callable[[pd.DataFrame], None]:
    def spoil(frame: pd.DataFrame) -> None:
        frame.loc[ROW, column] = value

    return spoil


def _tenfold(frame: pd.DataFrame) -> None:
    frame.loc[ROW:, PRICES] *= 10.0


def _hundredth(frame: pd.DataFrame) -> None:
    frame.loc[ROW:, PRICES] /= 100.0


def _decimal_shift_of_a_bar(frame: pd.DataFrame) -> None:
    frame.loc[ROW, PRICES] *= 100.0


def _own_factor(factor: float, *, applied: float) -> Callable[[pd.DataFrame], None]:
    def spoil(frame: pd.DataFrame) -> None:
        frame["split_factor"] = 1.0
        frame.loc[ROW, "split_factor"] = factor
        frame.loc[: ROW - 1, PRICES] *= applied

    return spoil


def _dividend_without_a_step(frame: pd.DataFrame) -> None:
    frame["dividend"] = 0.0
    frame.loc[ROW, "dividend"] = 5.0


def _step_without_the_dividend(frame: pd.DataFrame) -> None:
    frame["dividend"] = 0.0
    frame.loc[: ROW - 1, "adj_close"] *= 0.97


def _month_copied_from_a_year_ago(frame: pd.DataFrame) -> None:
    columns = [*PRICES, "volume"]
    frame.loc[ROW : ROW + 20, columns] = frame.loc[ROW - 252 : ROW - 232, columns].to_numpy()


def _two_levels(frame: pd.DataFrame) -> None:
    frame.loc[ROW : ROW + 14, PRICES] *= 1.15


def _sessions_reversed(frame: pd.DataFrame) -> None:
    columns = [*PRICES, "volume"]
    frame[columns] = frame[columns].to_numpy()[::-1]
    frame["open"], frame["close"] = frame["close"].copy(), frame["open"].copy()
    frame["open"] = frame["open"].shift(-1).fillna(frame["close"])
    frame["high"], frame["low"] = frame[OHLC].max(axis=1), frame[OHLC].min(axis=1)


def _open_is_the_close(frame: pd.DataFrame) -> None:
    frame["open"] = frame["close"] * 1.0001
    frame["high"], frame["low"] = frame[OHLC].max(axis=1), frame[OHLC].min(axis=1)


def _volume_gone_for_good(frame: pd.DataFrame) -> None:
    frame.loc[ROW:, "volume"] = 0.0


def _crossed_high_and_low(frame: pd.DataFrame) -> None:
    frame.loc[ROW, ["high", "low"]] = frame.loc[ROW, ["low", "high"]].to_numpy()


HOSTILE = {
    "prices in cents from a day on": (_tenfold, "no_unadjusted_split"),
    "prices in another currency unit from a day on": (_hundredth, "no_unadjusted_split"),
    "one bar in cents": (_decimal_shift_of_a_bar, "no_reverting_spikes"),
    "a split of 1231:1000 that is recorded and not made": (
        _own_factor(1.231, applied=1.231), "no_unadjusted_split"),
    "a split of 31:1000 that is recorded and not made": (_own_factor(0.031, applied=0.031), "no_unadjusted_split"),
    "a split of 11:10 whose factor is the other way round": (_own_factor(1.1, applied=1 / 1.1), "no_unadjusted_split"),
    "a split of 11:10 that is recorded and not made": (_own_factor(1.1, applied=1.1), "no_unadjusted_split"),
    "a factor the other way round, applied twice": (_own_factor(0.5, applied=2.0), "no_unadjusted_split"),
    "a dividend of five percent without a step": (_dividend_without_a_step, "adjustment_only_rises"),
    "a step of three percent, dividend recorded as zero": (_step_without_the_dividend, "adjustment_only_rises"),
    "a month copied from a year ago": (_month_copied_from_a_year_ago, "no_copied_bars"),
    "three weeks on another level": (_two_levels, "no_spliced_bars"),
    "history in reverse": (_sessions_reversed, "opens_are_of_their_session"),
    "opens made of closes": (_open_is_the_close, "opens_are_of_their_session"),
    "volume that ends": (_volume_gone_for_good, "volume_has_no_outage"),
    "high below low": (_crossed_high_and_low, "high_low_consistent"),
    "an open at a hundredth": (_at("open", 1.0), "high_low_consistent"),
    "a close of infinity": (_at("close", np.inf), "values_in_bounds"),
    "a high of minus one": (_at("high", -1.0), "values_in_bounds"),
    "a low that is no number": (_at("low", np.nan), "no_nulls_in_required"),
    "a volume below zero": (_at("volume", -5.0), "values_in_bounds"),
    "an adjusted close of zero": (_at("adj_close", 0.0), "values_in_bounds"),
    "a split factor of zero": (_at("split_factor", 0.0), "values_in_bounds"),
    "a dividend beyond the price": (_at("dividend", 1e9), "adjustment_only_rises"),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "rule"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_bars_are_refused_by_the_rule_that_is_about_them(
    spoil: Callable[[pd.DataFrame], None], rule: str
) -> None:
    bars = made_up_bars()
    spoil(bars)
    assert rule in broken(bars) & BLOCKING


@pytest.mark.parametrize("volume", [np.nan, 0.0, np.inf])
def test_an_instrument_without_volumes_is_judged_by_its_prices_alone(volume: float) -> None:
    bars = made_up_bars().assign(volume=volume)
    context = QualityContext(now_session=SESSIONS[-1])
    assert {name for name in broken(bars) if name != "values_in_bounds"} == set()
    if volume != np.inf:  # what is refused for its volume has one
        assert findings(bars)["volume_is_there"].detail == "not examined: no session has a volume"
    found = examine(PRICES_DAILY, PLANTERS["unadjusted 3:2, adj_close too"](bars, ROW, bars), context=context)
    assert found["no_unadjusted_split"].mask.nonzero()[0].tolist() == [ROW]


def test_bars_of_one_price_are_like_those_of_any_other_ticker_and_no_sign_of_it() -> None:
    bars, other = made_up_bars(), made_up_bars("BBB", seed=4, start=300.0)
    for frame in (bars, other):
        for name in ("open", "high", "low"):
            frame.loc[ROW : ROW + 9, name] = frame.loc[ROW : ROW + 9, "close"]
    assert findings(bars, peers={"BBB": other})["no_foreign_bars"].count == 0


def test_a_single_bar_that_repeats_the_one_before_with_its_volume_is_a_copy() -> None:
    bars = made_up_bars()
    repeated = [*OHLC, "volume"]
    bars.loc[ROW, repeated] = bars.loc[ROW - 1, repeated]
    assert findings(bars)["no_copied_bars"].mask.nonzero()[0].tolist() == [ROW]
    bars.loc[ROW, "volume"] += 1.0
    assert findings(bars)["no_copied_bars"].count == 0


def test_an_unadjusted_split_on_the_last_session_is_seen_there() -> None:
    bars = made_up_bars()
    bars.loc[len(bars) - 1, [*OHLC, "adj_close"]] /= 2.0
    found = findings(bars)["no_unadjusted_split"]
    assert found.mask.nonzero()[0].tolist() == [len(bars) - 1]


@pytest.mark.parametrize(("factor", "left"), [(1.18, 1.0), (2.0, 1.5)])
def test_a_jump_that_is_taken_back_or_largely_so_is_no_split(factor: float, left: float) -> None:
    bars = made_up_bars()
    bars.loc[ROW, [*OHLC, "adj_close"]] *= factor
    bars.loc[ROW + 1 :, [*OHLC, "adj_close"]] *= left
    flagged = findings(bars)["no_unadjusted_split"].mask.nonzero()[0].tolist()
    assert ROW not in flagged


@pytest.mark.parametrize(("back", "is_spliced"), [(1.0, True), (1.06, False)])
def test_sessions_between_gaps_are_spliced_only_where_the_gaps_cancel(back: float, is_spliced: bool) -> None:
    bars = made_up_bars()
    bars.loc[ROW : ROW + 9, [*OHLC, "adj_close"]] *= 1.12
    bars.loc[ROW + 10 :, [*OHLC, "adj_close"]] *= back
    assert ("no_spliced_bars" in broken(bars)) is is_spliced


def test_an_instrument_without_volume_in_most_sessions_has_none_to_lose() -> None:
    bars = made_up_bars()
    bars.loc[bars.index % 5 > 1, "volume"] = 0.0
    assert not {"volume_is_there", "volume_has_no_outage"} & broken(bars)
    bars.loc[bars.index % 5 > 1, "volume"] = made_up_bars()["volume"]
    bars.loc[bars.index % 5 > 2, "volume"] = 0.0
    found = findings(bars)["volume_is_there"]
    assert found.count == (bars["volume"] == 0.0).sum()
    assert len(found.examples) == 5


def test_a_bar_of_one_price_may_have_no_volume_and_one_with_a_range_may_not() -> None:
    bars = made_up_bars()
    bars.loc[ROW, "volume"] = 0.0
    assert broken(bars) == {"volume_is_there"}
    bars.loc[ROW, ["open", "high", "low"]] = bars.loc[ROW, "close"]
    assert "volume_is_there" not in broken(bars)


def test_prices_of_half_a_dollar_in_whole_cents_have_steps_that_are_only_rounding() -> None:
    """0.45/0.50 is 2 % more than 0.45/0.51; an adjusted close with all its digits has no such excuse."""
    close = np.tile([0.50, 0.51, 0.52], 100)
    rows = pd.DataFrame({"close": close, "adj_close": np.round(close * 0.88, 2), "dividend": np.nan})
    steps = np.abs(np.diff(np.log(rows["adj_close"] / rows["close"])))
    assert steps.max() > 0.002
    assert not remarkable_adjustments(rows).any()
    assert not impossible_adjustments(rows).any()
    exact = rows.assign(adj_close=rows["adj_close"] + 1e-4)
    assert impossible_adjustments(exact).any()


def test_a_fall_by_a_third_on_earnings_is_kept_and_warned_of() -> None:
    bars = made_up_bars()
    bars.loc[ROW:, PRICES] *= 0.65
    bars.loc[ROW, "volume"] *= 30.0
    assert broken(bars) == {"no_unusual_bars"}


def test_a_flash_crash_is_kept_and_warned_of_and_the_same_wick_without_trade_is_refused() -> None:
    bars = made_up_bars()
    bars.loc[ROW, "low"] *= 0.85
    assert broken(bars) == {"no_reverting_spikes"}
    bars.loc[ROW, "volume"] *= 4.0
    assert broken(bars) == {"no_unusual_bars"}


@pytest.mark.parametrize("factor", [3.0, 1 / 3, 40.0])
def test_no_turnover_excuses_a_jump_to_three_times_or_a_third(factor: float) -> None:
    bars = made_up_bars()
    bars.loc[ROW:, PRICES] *= factor
    bars.loc[ROW, "volume"] *= 50.0
    assert "no_unadjusted_split" in broken(bars)


def test_an_accepted_bar_is_excused_by_name_and_no_other_one_is() -> None:
    bars = made_up_bars()
    for row in (ROW, ROW + 100):
        bars.loc[row, "low"] *= 0.85
    accepted = {SESSIONS[ROW]: "seen on the tape"}
    found = findings(bars, accepted=accepted)["no_reverting_spikes"]
    assert found.mask.nonzero()[0].tolist() == [ROW + 100]
    assert found.count == 1
    assert "is accepted: seen on the tape" in found.detail
    both = findings(bars, accepted={**accepted, SESSIONS[ROW + 100]: "this too"})["no_reverting_spikes"]
    assert (both.count, both.mask.any()) == (0, False)


def test_what_nobody_can_believe_cannot_be_accepted() -> None:
    bars = made_up_bars()
    _crossed_high_and_low(bars)
    assert "high_low_consistent" in broken(bars, accepted={SESSIONS[ROW]: "I insist"})


def test_two_names_of_one_instrument_are_no_foreign_bars() -> None:
    bars = made_up_bars()
    assert "no_foreign_bars" not in broken(bars, peers={"AAX": bars.assign(ticker="AAX")})


def test_a_ticker_without_a_relative_at_hand_is_not_examined_and_the_rule_says_so() -> None:
    stranger = made_up_bars("ZZZ", seed=8)
    stranger[PRICES] = stranger[PRICES].to_numpy()[::-1]
    found = findings(made_up_bars(), peers={"ZZZ": stranger})["market_went_with_it"]
    assert (found.is_examined, found.count) == (False, 0)
    assert "no ticker at hand moves with this one" in found.detail


# Least share that is refused, or where the rule only warns refused or warned of, at 46 places of real bars.
LEAST_POWER = {
    "adj_close falls by 3 % for good": 1.0,
    "five identical bars": 1.0,
    "five identical bars, own volumes": 1.0,
    "a week copied from the week before": 1.0,
    "another ticker for two weeks": 1.0,
    "the next open as the open, a year": 0.95,
    "unadjusted 5:4, adj_close contradicts": 1.0,
    "unadjusted 2:1, adj_close too": 0.95,
    "unadjusted 1:35, adj_close too": 1.0,
    "a whole bar 1.4 times too high": 0.95,
    "a month of volume 0": 1.0,
}


@pytest.fixture(scope="module")
def real_bars(real_data: Path) -> dict[str, pd.DataFrame]:
    frames = [pd.read_parquet(real_data / name) for name in ("prices_daily.parquet", "prices_stocks.parquet")]
    both = pd.concat(frames).assign(split_factor=np.nan, dividend=np.nan)
    both["session"] = pd.to_datetime(both["session"]).astype("datetime64[us]")
    both[[*PRICES, "volume"]] = both[[*PRICES, "volume"]].astype("float64")
    ordered = both.sort_values(["ticker", "session"])[list(PRICES_DAILY.column_names)]
    return {str(ticker): rows.reset_index(drop=True) for ticker, rows in ordered.groupby("ticker")}


@pytest.mark.files_data
@pytest.mark.slow
def test_of_46_real_instruments_no_history_is_refused(real_bars: dict[str, pd.DataFrame]) -> None:
    context = QualityContext(now_session=pd.Timestamp("2024-12-31"))
    refused = {
        ticker: names
        for ticker, frame in real_bars.items()
        if (names := {n for n, f in examine(PRICES_DAILY, frame, context=context).items() if f.count} & BLOCKING)
    }
    assert refused == {}


@pytest.mark.files_data
@pytest.mark.slow
@pytest.mark.parametrize(("defect", "least"), LEAST_POWER.items(), ids=LEAST_POWER)
def test_the_rules_keep_their_power_on_real_bars(real_bars: dict[str, pd.DataFrame], defect: str, least: float) -> None:
    few = {ticker: real_bars[ticker] for ticker in sorted(real_bars)[::4]}
    context = QualityContext(now_session=pd.Timestamp("2024-12-31"))
    cases = planted(few, PLANTERS[defect], seed=11, places=2)
    seen = [
        any(found.count and name in BLOCKING for name, found in examine(PRICES_DAILY, frame, context=context).items())
        for _, frame, _ in cases
    ]
    assert len(seen) > 15
    assert np.mean(seen) >= least
