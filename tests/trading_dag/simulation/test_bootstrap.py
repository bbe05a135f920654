"""Augmented bars are real sessions in another order, from the training part only, and are never judged on."""

from __future__ import annotations

from pathlib import Path as FilePath

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading_dag.simulation.conftest import market_of, path_of
from trading_dag.errors import AugmentedTestError, InsufficientDataError, SchemaError
from trading_dag.schemas import PRICES_DAILY, VOLATILITY_INDEX
from trading_dag.sessions import sessions_between
from trading_dag.simulation.bars import daily_bars, hourly_bars
from trading_dag.simulation.bootstrap import bootstrap_bars, index_of_history, require_drawn_within
from trading_dag.validation.walk_forward import refuse_augmented_tests, walk_forward_folds


@pytest.fixture(scope="module")
def bars(market, fund) -> pd.DataFrame:
    return daily_bars(market, fund, hourly_bars(market, fund))[list(PRICES_DAILY.column_names)]


def test_every_session_is_a_real_one_up_to_the_last_that_may_be_drawn(bars) -> None:
    through = pd.Timestamp("2016-12-30")
    drawn = bootstrap_bars(bars, through=through, paths=3, seed=1)
    real = bars[bars["session"] <= through].set_index("session")
    assert drawn["drawn_session"].max() <= through
    assert drawn["is_augmented"].all()
    assert drawn.attrs["source"] == "augmented"
    assert drawn.groupby("path").size().to_dict() == dict.fromkeys((1, 2, 3), len(real) - 1)
    for _, path in drawn.groupby("path"):
        origin = real.loc[path["drawn_session"]]
        for name in ("close", "adj_close"):
            growth = real[name] / real[name].shift()
            prices = np.concatenate([[real["close"].iloc[0]], path[name]])
            np.testing.assert_allclose(prices[1:] / prices[:-1], growth[path["drawn_session"]], rtol=1e-12)
        for name in ("open", "high", "low"):
            np.testing.assert_allclose(
                path[name] / path["close"], origin[name] / origin["close"].to_numpy(), rtol=1e-12
            )
        assert (path["volume"].to_numpy() == origin["volume"].to_numpy()).all()
        assert (path["session"].to_numpy() == real.index[1:]).all()


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31), block=st.integers(1, 40))
def test_sessions_follow_one_another_except_at_the_ends_of_blocks(bars, seed: int, block: int) -> None:
    drawn = bootstrap_bars(bars, through=pd.Timestamp("2017-12-29"), paths=4, seed=seed, mean_block=block)
    places = pd.Index(bars["session"]).get_indexer(drawn["drawn_session"]).reshape(4, -1)
    n = places.shape[1]
    jumps = (np.diff(places, axis=1) % n) != 1
    # A new block begins with probability 1/block: binomial, six standard deviations.
    expected = jumps.size / block
    assert abs(jumps.sum() - expected * (1.0 - 1.0 / n)) <= 6.0 * np.sqrt(expected * (1.0 - 1.0 / block)) + 8.0


def test_the_same_arguments_give_the_same_histories_and_another_seed_others(bars) -> None:
    through = pd.Timestamp("2017-12-29")
    first, again, other = (bootstrap_bars(bars, through=through, paths=2, seed=seed) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(first, again)
    assert not np.allclose(first["close"], other["close"])


def test_what_comes_after_the_training_part_changes_nothing(bars) -> None:
    through = pd.Timestamp("2016-06-30")
    pd.testing.assert_frame_equal(
        bootstrap_bars(bars, through=through, paths=2, seed=1),
        bootstrap_bars(bars[bars["session"] <= through], through=through, paths=2, seed=1),
    )


def test_a_dividend_travels_with_its_session_and_separates_the_two_closes() -> None:
    """One dividend of 2 USD on a close of 100 that falls to 98: nothing is lost, so the adjusted close stands still."""
    sessions = sessions_between("2015-01-02", "2015-12-31")[:80]
    close = np.where(np.arange(80) < 40, 100.0, 98.0)
    flat = pd.DataFrame({
        "ticker": "SPY", "session": sessions, "open": close, "high": close, "low": close, "close": close,
        "adj_close": 98.0, "volume": 1.0, "split_factor": 1.0, "dividend": np.where(np.arange(80) == 40, 2.0, 0.0),
    })  # fmt: skip
    drawn = bootstrap_bars(flat, through=sessions[-1], paths=3, seed=5)
    is_ex = (drawn["drawn_session"] == sessions[40]).to_numpy()
    assert is_ex.any()
    np.testing.assert_allclose(drawn["adj_close"], 100.0, rtol=1e-12)
    before = drawn.groupby("path")["close"].shift().fillna(100.0)
    np.testing.assert_allclose(drawn["close"] / before, np.where(is_ex, 0.98, 1.0), rtol=1e-12)
    np.testing.assert_allclose(drawn["dividend"] / before, np.where(is_ex, 0.02, 0.0), rtol=1e-12)


def test_only_sessions_from_the_first_that_may_serve_are_drawn(bars) -> None:
    first, through = pd.Timestamp("2016-03-01"), pd.Timestamp("2017-12-29")
    drawn = bootstrap_bars(bars, first=first, through=through, paths=3, seed=1)
    assert drawn["drawn_session"].min() > first
    earlier = bars["session"] < first
    poisoned = bars.assign(**{name: bars[name].where(~earlier, 1e6) for name in ("open", "high", "low", "close")})
    pd.testing.assert_frame_equal(bootstrap_bars(poisoned, first=first, through=through, paths=3, seed=1), drawn)


def test_the_index_of_the_drawn_session_travels_with_its_bar() -> None:
    """Published on the first three of five sessions, missing on the fourth: that day's known close is the third's."""
    days = sessions_between("2015-01-02", "2015-12-31")
    index = pd.DataFrame({
        "ticker": "SPY", "session": days[:3], "symbol": "VIX", "open": 9.0, "high": 9.5, "low": 8.5,
        "close": [10.0, 11.0, 12.0], "vix3m_close": [np.nan, 21.0, np.nan],
    })  # fmt: skip
    drawn_days = [1, 0, 3, 2, 14]
    path = pd.DataFrame({"session": days[100:105], "drawn_session": days[drawn_days]})
    found = index_of_history(path, index)
    # The fifth was drawn from twelve sessions after the last close, and is too old at eleven.
    assert found["session"].tolist() == days[100:104].tolist()
    assert found["close"].tolist() == [11.0, 10.0, 12.0, 12.0]
    np.testing.assert_array_equal(found["vix3m_close"], [21.0, np.nan, 21.0, 21.0])
    assert tuple(found.columns) == VOLATILITY_INDEX.column_names
    assert index_of_history(path, index.iloc[:0]).empty


def test_turbulence_still_lasts_on_real_bars(real_data: FilePath) -> None:
    """SPY's squared returns are correlated from day to day; a shuffle would leave nothing of it."""
    bars = pd.read_parquet(real_data / "prices_daily.parquet", filters=[("ticker", "==", "SPY")])
    bars = bars.assign(session=pd.to_datetime(bars["session"]), split_factor=1.0, dividend=0.0)
    bars = bars.sort_values("session", ignore_index=True)
    drawn = bootstrap_bars(bars, through=pd.Timestamp("2019-12-31"), paths=5, seed=1)
    for _, path in drawn.groupby("path"):
        squared = np.log(path["close"]).diff().pow(2)
        assert squared.corr(squared.shift()) > 0.1
    shuffled = bootstrap_bars(bars, through=pd.Timestamp("2019-12-31"), paths=5, seed=1, mean_block=1)
    for _, path in shuffled.groupby("path"):
        squared = np.log(path["close"]).diff().pow(2)
        assert squared.corr(squared.shift()) < 0.05


def test_rows_drawn_from_a_test_part_are_refused(bars) -> None:
    first, through = bars["session"].iloc[0], pd.Timestamp("2016-12-30")
    drawn = bootstrap_bars(bars, through=through, paths=1, seed=1)
    require_drawn_within(drawn, first=first, last=through)
    with pytest.raises(AugmentedTestError, match="drawn through 2016-12-30"):
        require_drawn_within(drawn, first=first, last=pd.Timestamp("2016-12-29"))
    with pytest.raises(AugmentedTestError, match="drawn from 2015-"):
        require_drawn_within(drawn, first=pd.Timestamp("2016-06-01"), last=through)
    # What was drawn counts, also where the argument that is recorded beside it says something else.
    mislabelled = drawn.assign(drawn_through=pd.Timestamp("2015-12-31"))
    with pytest.raises(AugmentedTestError, match="drawn through 2016-12-"):
        require_drawn_within(mislabelled, first=first, last=pd.Timestamp("2015-12-31"))


@settings(max_examples=60)
@given(n_rows=st.integers(30, 200), folds=st.integers(2, 5), data=st.data())
def test_folds_with_an_augmented_test_row_are_refused_and_all_others_are_not(n_rows: int, folds: int, data) -> None:
    plain = walk_forward_folds(n_rows, folds=folds, gap=2)
    row = data.draw(st.integers(0, n_rows - 1))
    is_augmented = np.arange(n_rows) == row
    tested = {int(position) for fold in plain for position in fold.test}
    if row in tested:
        with pytest.raises(AugmentedTestError, match=f"row {row}"):
            walk_forward_folds(n_rows, folds=folds, gap=2, is_augmented=is_augmented)
    else:
        found = walk_forward_folds(n_rows, folds=folds, gap=2, is_augmented=is_augmented)
        assert all(np.array_equal(fold.train, other.train) for fold, other in zip(found, plain, strict=True))


def test_augmented_rows_before_the_real_ones_may_be_learnt_from() -> None:
    is_augmented = np.arange(250) < 40
    folds = walk_forward_folds(250, folds=5, gap=1, is_augmented=is_augmented)
    assert is_augmented[folds[0].train].sum() == 40
    refuse_augmented_tests(folds, is_augmented=is_augmented)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda rows: rows.head(50), InsufficientDataError),
        (lambda rows: rows.drop(columns="adj_close"), SchemaError),
        (lambda rows: rows[::-1], SchemaError),
        (lambda rows: pd.concat([rows, rows.assign(ticker="QQQ")]), SchemaError),
    ],
)
def test_bars_that_are_no_history_are_refused(bars, change, error) -> None:
    with pytest.raises(error):
        bootstrap_bars(change(bars), through=pd.Timestamp("2017-12-29"), paths=1, seed=1)


def test_a_simulated_share_can_be_augmented_too() -> None:
    market = market_of(9, years=1)
    path = path_of(market, "SIMAC")
    drawn = bootstrap_bars(
        daily_bars(market, path, hourly_bars(market, path)), through=market.times.sessions[-1], paths=1, seed=0
    )
    assert (drawn["low"] <= drawn["close"]).all()
    assert (drawn["high"] >= drawn["close"]).all()
