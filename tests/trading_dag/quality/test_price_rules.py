"""Daily bars: every planted defect is caught by its own rule and no other, and real bars raise nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from trading_dag.quality import examine, rules_of
from trading_dag.quality.sequences import SoundBars
from trading_dag.quality.spikes_and_flash_crashes import lone_prices
from trading_dag.quality.split_rules import split_like_jumps
from trading_dag.schemas import PRICES_DAILY
from trading_dag.sessions import shift_sessions

OHLC = ["open", "high", "low", "close"]


def broken_rules(frame: pd.DataFrame, market, **more: object) -> set[str]:
    findings = examine(PRICES_DAILY, frame, context=market.context(**more))
    return {name for name, finding in findings.items() if finding.count}


def _without_adj_close(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns="adj_close")


def _volume_as_text(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(volume=frame["volume"].astype(str))


def _stray_column(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(vwap=1.0)


def _intraday_sessions(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(session=frame["session"] + pd.Timedelta(hours=16))


def _doubled_row(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame[:101], frame[100:]], ignore_index=True)


def _swapped_rows(frame: pd.DataFrame) -> pd.DataFrame:
    order = np.arange(len(frame))
    order[[100, 101]] = [101, 100]
    return frame.iloc[order].reset_index(drop=True)


def _two_tickers(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(ticker=frame["ticker"].where(frame.index < len(frame) - 3, "ZZZ"))


def _set(column: str, value: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def plant(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[1_000, column] = value
        return frame

    plant.__name__ = f"{column}_{value}"
    return plant


def _future_session(frame: pd.DataFrame) -> pd.DataFrame:
    later = frame.tail(1).assign(session=shift_sessions(pd.DatetimeIndex(frame["session"].tail(1)), 1))
    return pd.concat([frame, later], ignore_index=True)


def _weekend_row(frame: pd.DataFrame) -> pd.DataFrame:
    friday = frame.index[frame["session"].dt.day_of_week == 4][50]
    weekend = frame.loc[[friday]].assign(session=frame.loc[friday, "session"] + pd.Timedelta(days=1))
    return pd.concat([frame[: friday + 1], weekend, frame[friday + 1 :]], ignore_index=True)


def _hole(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(index=range(500, 503)).reset_index(drop=True)


def _high_below_low(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[700, ["high", "low"]] = frame.loc[700, ["low", "high"]].to_numpy()
    return frame


def _unadjusted_split(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[:1_499, [*OHLC, "adj_close"]] *= 2
    frame.loc[:1_499, "volume"] /= 2
    return frame


def _bad_tick(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[2_000, [*OHLC, "adj_close"]] *= 1.4
    return frame


def _low_of_a_cent(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[2_000, "low"] = 0.01
    return frame


def _frozen_tail(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[len(frame) - 5 :, "close"] = frame["close"].iloc[-5]
    frame.loc[len(frame) - 5 :, "adj_close"] = frame["adj_close"].iloc[-5]
    frame["high"] = frame[["high", "close"]].max(axis=1)
    frame["low"] = frame[["low", "close"]].min(axis=1)
    return frame


def _no_rows(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[:0]


DEFECTS = {
    _without_adj_close: "columns_and_types",
    _volume_as_text: "columns_and_types",
    _stray_column: "columns_and_types",
    _intraday_sessions: "columns_and_types",
    _no_rows: "not_empty",
    _doubled_row: "keys_unique",
    _swapped_rows: "sorted_by_key",
    _two_tickers: "one_slice_only",
    _set("close", np.nan): "no_nulls_in_required",
    _set("high", np.inf): "values_in_bounds",
    _set("low", 0.0): "values_in_bounds",
    _set("close", -5.0): "values_in_bounds",
    _set("volume", -1.0): "values_in_bounds",
    _future_session: "no_future_sessions",
    _weekend_row: "sessions_on_calendar",
    _hole: "no_missing_sessions",
    _high_below_low: "high_low_consistent",
    _unadjusted_split: "no_unadjusted_split",
    _bad_tick: "no_reverting_spikes",
    _low_of_a_cent: "no_reverting_spikes",
    _frozen_tail: "no_frozen_tail",
}


def test_bars_of_the_sample_and_of_spy_break_no_rule(market) -> None:
    assert broken_rules(market.prices, market) == set()


@pytest.mark.files_data
def test_no_real_underlying_breaks_a_rule(markets) -> None:
    broken = {ticker: broken_rules(market.prices, market) for ticker, market in markets.items()}
    assert set(broken) >= {"SPY", "QQQ", "IWM", "TLT", "GLD", "EFA"}
    assert not any(broken.values()), broken


@pytest.mark.parametrize(("plant", "rule"), DEFECTS.items(), ids=lambda value: getattr(value, "__name__", None))
def test_a_planted_defect_is_caught_by_its_own_rule_alone(market, plant, rule: str) -> None:
    assert broken_rules(plant(market.prices.copy()), market) == {rule}


def test_an_old_last_bar_warns_and_says_how_far_behind_it_is(market) -> None:
    expected = shift_sessions(pd.DatetimeIndex(market.prices["session"].tail(1)), 3)[0]
    context = market.context(expected_last_session=expected)
    finding = examine(PRICES_DAILY, market.prices, context=context)["tail_is_fresh"]
    assert finding.count == 3
    assert "3 behind" in finding.detail
    assert finding.mask.nonzero()[0].tolist() == [len(market.prices) - 1]


def test_bars_may_be_accepted_against_any_rule_about_prices_but_not_against_their_age() -> None:
    rules = {rule.name: rule for rule in rules_of(PRICES_DAILY)}
    assert rules["no_unadjusted_split"].can_be_accepted
    assert rules["no_unadjusted_split"].is_blocking
    assert rules["volume_is_there"].can_be_accepted
    assert not rules["volume_is_there"].is_blocking
    assert not rules["tail_is_fresh"].can_be_accepted
    assert not rules["tail_is_fresh"].is_blocking


def test_missing_sessions_are_named_though_they_have_no_row(market) -> None:
    gone = market.prices.loc[500:502, "session"]
    finding = examine(PRICES_DAILY, _hole(market.prices), context=market.context())["no_missing_sessions"]
    assert finding.count == 3
    assert finding.examples == tuple(f"session={day:%Y-%m-%d}" for day in gone)
    assert finding.mask.nonzero()[0].tolist() == [500]


def test_the_flagged_row_is_the_defective_one_even_in_a_shuffled_frame(market) -> None:
    shuffled = _bad_tick(market.prices.copy()).sample(frac=1, random_state=7)
    finding = examine(PRICES_DAILY, shuffled, context=market.context())["no_reverting_spikes"]
    assert finding.mask.nonzero()[0].tolist() == [shuffled.index.get_loc(2_000)]


@pytest.mark.parametrize("ratio", [1.5, 2, 3, 4, 10, 1 / 2, 1 / 10])
@pytest.mark.parametrize("row", [40, 900, 2_500, 4_400])
def test_a_split_of_any_usual_ratio_is_found_on_its_session(sample_market, ratio: float, row: int) -> None:
    prices = sample_market.prices.copy()
    prices.loc[: row - 1, [*OHLC, "adj_close"]] *= ratio
    assert split_like_jumps(SoundBars.of(prices)).nonzero()[0].tolist() == [row]


def test_a_recorded_split_does_not_excuse_a_jump_because_prices_are_split_adjusted(sample_market) -> None:
    prices = _unadjusted_split(sample_market.prices.copy())
    prices.loc[1_500, "split_factor"] = 2.0
    assert broken_rules(prices, sample_market) == {"no_unadjusted_split"}


def test_a_split_is_found_where_only_the_adjusted_close_knows_of_it(sample_market) -> None:
    prices = sample_market.prices.copy()
    prices.loc[:1_499, OHLC] *= 2
    assert broken_rules(prices, sample_market) == {"no_unadjusted_split"}


def test_a_crash_to_half_in_a_wild_session_is_no_split(sample_market) -> None:
    prices = sample_market.prices.copy()
    prices.loc[:1_499, [*OHLC, "adj_close"]] *= 2
    prices.loc[1_500, "high"] = prices.loc[1_500, "close"] * 1.4
    assert split_like_jumps(SoundBars.of(prices)).sum() == 0


def test_a_wild_session_does_not_hide_a_split_that_the_adjusted_close_contradicts(sample_market) -> None:
    prices = sample_market.prices.copy()
    prices.loc[:1_499, OHLC] *= 2
    prices.loc[1_500, "high"] = prices.loc[1_500, "close"] * 1.4
    assert split_like_jumps(SoundBars.of(prices)).nonzero()[0].tolist() == [1_500]


def test_of_two_rows_with_one_key_the_second_is_flagged(sample_market) -> None:
    finding = examine(PRICES_DAILY, _doubled_row(sample_market.prices), context=sample_market.context())["keys_unique"]
    assert finding.mask.nonzero()[0].tolist() == [101]


def test_a_recorded_special_dividend_of_a_third_is_no_split(sample_market) -> None:
    prices = sample_market.prices.copy()
    prices.loc[:1_499, OHLC] *= 1.5
    prices["dividend"] = 0.0
    assert split_like_jumps(SoundBars.of(prices)).nonzero()[0].tolist() == [1_500]
    prices.loc[1_500, "dividend"] = prices.loc[1_499, "close"] / 3
    assert split_like_jumps(SoundBars.of(prices)).sum() == 0


def _fallen_and_recovered(frame: pd.DataFrame, *, scales: float, back_at_open: float) -> pd.DataFrame:
    """Bars whose close falls in trading at row 3000 and is back at row 3001, part of the way by that open."""
    prices, row = frame.copy(), 3_000
    before = prices.loc[row - 1, "close"]
    size = scales * np.log(prices["close"]).diff().abs()[row - 15 : row + 16].median()
    fallen, opened = before * np.exp(-size), before * np.exp(-size * (1 - back_at_open))
    prices.loc[row, OHLC] = [before, before, fallen, fallen]
    prices.loc[row + 1, OHLC] = [opened, before, opened, before]
    prices["adj_close"] = prices["close"]
    return prices


@pytest.mark.parametrize(
    ("scales", "back_at_open", "is_defect"),
    [
        (11.0, 0.25, False),  # the market traded its way back, as after real falls
        (11.0, 0.75, True),  # gone with the next open, as a wrong close is
        (11.0, 1.0, True),
        (11.0, 0.0, True),  # an open that repeats the close says nothing
        (24.0, 0.25, True),  # too far for any market
    ],
)
def test_a_fall_that_trading_takes_back_is_no_lone_close(sample_market, scales, back_at_open, is_defect) -> None:
    prices = _fallen_and_recovered(sample_market.prices, scales=scales, back_at_open=back_at_open)
    assert lone_prices(SoundBars.of(prices))[0].nonzero()[0].tolist() == [3_000] * is_defect
    assert broken_rules(prices, sample_market) == ({"no_reverting_spikes"} if is_defect else set())


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_wrong_close_of_a_real_bar_is_found_wherever_it_is(sample_market, sign: int) -> None:
    prices = sample_market.prices.copy()
    rows = np.arange(50, len(prices) - 50, 97)
    usual = SoundBars.of(prices).scale[rows].to_numpy()
    prices.loc[rows, "close"] *= np.exp(sign * np.maximum(16.0 * usual, 0.07))
    found = lone_prices(SoundBars.of(prices))[0].nonzero()[0]
    # Where a real move of that session adds to it, more than half remains and the neighbours do not agree.
    assert set(found) <= set(rows)
    assert len(found) >= 0.95 * len(rows)


@pytest.mark.files_data
@pytest.mark.parametrize("factor", [10.0, 1.5, 0.6])
def test_a_bad_tick_is_found_in_march_2020_too(markets, factor: float) -> None:
    spy = markets["SPY"]
    prices = spy.prices.copy()
    row = prices.index[prices["session"] == "2020-03-23"][0]
    prices.loc[row, [*OHLC, "adj_close"]] *= factor
    assert broken_rules(prices, spy) == {"no_reverting_spikes"}


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
def test_a_listing_of_a_few_days_is_no_defect(sample_market, rows: int) -> None:
    assert broken_rules(sample_market.prices[:rows], sample_market) == set()
