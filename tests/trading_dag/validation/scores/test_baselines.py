"""Baselines: hand-made examples, and the leak that a shifted label would be."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.sessions import sessions_between
from trading_dag.slices import HORIZONS, horizon_of
from trading_dag.validation.scores.baselines import (
    class_prior,
    climatology,
    markov_transitions,
    persistence,
    previous_direction,
    previous_returns,
)


def _prices(closes: list[float], *, opens: list[float] | None = None) -> pd.DataFrame:
    sessions = sessions_between("2024-01-02", "2024-12-31")[: len(closes)]
    return pd.DataFrame({"session": sessions, "open": opens or closes, "close": closes})


def test_the_class_prior_is_the_share_of_each_class_and_ambiguous_rows_do_not_count() -> None:
    labels = np.array(["UP", "UP", "UP", "DOWN", "AMBIGUOUS", "AMBIGUOUS"], dtype=object)
    assert class_prior(labels, classes=("DOWN", "UP")) == {"DOWN": 0.25, "UP": 0.75}
    nothing = class_prior(labels[:0], classes=("DOWN", "UP"))
    assert all(math.isnan(share) for share in nothing.values())


def test_climatology_is_the_share_of_rises_among_all_returns_that_are_known() -> None:
    assert climatology(np.array([0.01, 0.0, -0.02, 0.0001, np.nan])) == 0.5
    assert math.isnan(climatology(np.array([np.nan])))


def test_the_transitions_are_counted_and_the_shares_of_all_outcomes_stand_in_for_one_more() -> None:
    now, later = np.array([0, 0, 0, 1, -1, 1]), np.array([0, 0, 1, 1, 2, -1])
    # Known are 0→0, 0→0, 0→1 and 1→1, so the shares are a half and a half; class 2 never occurred.
    expected = [[2.5 / 4, 1.5 / 4, 0.0], [0.5 / 2, 1.5 / 2, 0.0], [0.5, 0.5, 0.0]]
    np.testing.assert_allclose(markov_transitions(now, later, classes=3), expected, atol=1e-15)
    assert np.isnan(markov_transitions(now[:0], later[:0], classes=3)).all()


def test_the_previous_return_ends_at_the_session() -> None:
    returns = previous_returns(_prices([100.0, 110.0, 99.0, 99.0]), horizon=horizon_of("48h"))
    assert returns.iloc[:2].isna().all()
    assert returns.iloc[2] == pytest.approx(-0.01)
    assert returns.iloc[3] == pytest.approx(-0.10)


def test_the_previous_overnight_return_is_the_open_over_the_close_before() -> None:
    prices = _prices([100.0, 110.0, 90.0], opens=[99.0, 102.0, 88.0])
    returns = previous_returns(prices, horizon=horizon_of("12h"))
    assert math.isnan(returns.iloc[0])
    assert returns.iloc[1:].tolist() == pytest.approx([0.02, -0.20])


def test_a_missing_session_gives_no_previous_return_instead_of_one_over_more_sessions() -> None:
    prices = _prices([100.0, 101.0, 102.0, 103.0]).drop(index=1).reset_index(drop=True)
    returns = previous_returns(prices, horizon=horizon_of("24h"))
    assert returns.isna().tolist() == [True, True, False]


@settings(max_examples=25, deadline=None)
@given(cut=st.integers(6, 38), seed=st.integers(0, 1_000), key=st.sampled_from(sorted(HORIZONS)))
def test_prices_after_a_session_change_nothing_up_to_it(cut: int, seed: int, key: str) -> None:
    generator = np.random.default_rng(seed)
    prices = _prices((100 + generator.normal(size=40)).tolist())
    poisoned = prices.copy()
    poisoned.loc[cut:, ["open", "close"]] *= 3
    before = previous_returns(prices, horizon=horizon_of(key)).iloc[:cut]
    pd.testing.assert_series_equal(before, previous_returns(poisoned, horizon=horizon_of(key)).iloc[:cut])


def test_on_a_random_walk_the_previous_direction_is_no_better_than_a_coin_and_a_shifted_label_is() -> None:
    generator = np.random.default_rng(7)
    sessions = sessions_between("1995-01-03", "2023-12-29")
    closes = 100 * np.exp(np.cumsum(generator.normal(0, 0.01, len(sessions))))
    prices = pd.DataFrame({"session": sessions, "open": closes, "close": closes})
    past = previous_returns(prices, horizon=horizon_of("168h")).to_numpy()
    future = np.full(len(closes), np.nan)
    future[:-5] = closes[5:] / closes[:-5] - 1
    known = np.isfinite(past) & np.isfinite(future)
    honest = ((past > 0) == (future > 0))[known].mean()
    leaking = ((np.roll(future, 1) > 0) == (future > 0))[known].mean()
    assert honest == pytest.approx(0.5, abs=0.03)
    assert leaking > 0.7


def test_the_previous_direction_is_a_hard_call_and_undecided_where_there_was_no_move() -> None:
    assert previous_direction(np.array([0.01, -0.01, 0.0, np.nan])).tolist() == [1.0, 0.0, 0.5, 0.5]


def test_persistence_follows_the_bands_of_the_contract() -> None:
    regimes = persistence(np.array([0.0, 29.999, 30.0, 59.999, 60.0, 100.0, np.nan]))
    assert regimes.iloc[:6].tolist() == ["LOW", "LOW", "NORMAL", "NORMAL", "HIGH", "HIGH"]
    assert regimes.isna().iloc[6]
