"""The expected size of a move is a least-squares fit to the moves known at the session, and to nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from trading_dag.models.price.sequential_quantiles import NEVER, outcome_known_at
from trading_dag.models.price.volatility_scale import LEAST_MOVES, expected_move

N, AHEAD = 700, 3


def _inputs() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    level = np.exp(2.7 + 0.3 * np.cumsum(generator.standard_normal(N)) / np.sqrt(60))
    realized = level[:, np.newaxis] * np.exp(0.2 * generator.standard_normal((N, 3)))
    moves = generator.standard_normal(N) * level / 100 / np.sqrt(252) * np.sqrt(AHEAD)
    targets = np.arange(N) + AHEAD
    arrivals = outcome_known_at(np.where(targets < N, targets, NEVER))
    return moves, arrivals, level * 1.2, realized


def _by_hand(moves: np.ndarray, columns: np.ndarray, hv_20: np.ndarray, session: int) -> float:
    """scikit-learn's ordinary least squares on the sessions whose moves are known, one session at a time."""
    from sklearn.linear_model import LinearRegression

    known = np.arange(session + 1 - AHEAD)
    known = known[np.isfinite(columns[known]).all(axis=1) & np.isfinite(moves[known])]
    usual = hv_20[known] / 100 * np.sqrt(AHEAD / 252)
    size = np.log(np.maximum(np.abs(moves[known]), usual / 10))
    fitted = LinearRegression().fit(columns[known], size)
    return float(np.exp(fitted.predict(columns[[session]])[0]))


@pytest.mark.parametrize("has_index", [True, False])
def test_the_scale_is_scikit_learns_regression_on_what_was_known(has_index: bool) -> None:
    moves, arrivals, index, realized = _inputs()
    index = index if has_index else np.full(N, np.nan)
    expected = expected_move(moves, arrivals, index=index, realized=realized, sessions_ahead=AHEAD)
    columns = np.log(np.column_stack([index, realized[:, :2]]) if has_index else realized)
    for session in (LEAST_MOVES + AHEAD - 1, 400, N - 1):
        wanted = _by_hand(moves, columns, realized[:, 1], session)
        assert expected.scale[session] == pytest.approx(wanted, rel=1e-4)
    assert np.isnan(expected.scale[: LEAST_MOVES + AHEAD - 1]).all()
    assert (expected.uses_index[LEAST_MOVES + AHEAD - 1 :] == has_index).all()


def test_the_scale_finds_that_an_index_is_of_another_underlying() -> None:
    moves, arrivals, index, realized = _inputs()
    own, other = (
        expected_move(moves, arrivals, index=each, realized=realized, sessions_ahead=AHEAD).scale[-1]
        for each in (index, 0.6 * index)
    )
    assert own == pytest.approx(other, rel=1e-4)


def test_a_constant_input_gives_a_finite_scale_and_a_missing_or_zero_one_none() -> None:
    moves, arrivals, index, realized = _inputs()
    constant = np.full(N, 20.0)
    same = expected_move(moves, arrivals, index=constant, realized=np.full((N, 3), 15.0), sessions_ahead=AHEAD).scale[
        LEAST_MOVES + AHEAD - 1 :
    ]
    assert np.isfinite(same).all()
    realized[500] = np.nan
    realized[501, 0] = 0.0
    scale = expected_move(moves, arrivals, index=index, realized=realized, sessions_ahead=AHEAD).scale
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(scale[400:])) + 400, [500, 501])


def test_moves_that_come_later_change_nothing_before_to_the_last_bit() -> None:
    moves, arrivals, index, realized = _inputs()
    later = np.where(np.arange(N) >= 500 - AHEAD + 1, 50 * moves, moves)
    one, other = (
        expected_move(each, arrivals, index=index, realized=realized, sessions_ahead=AHEAD).scale
        for each in (moves, later)
    )
    np.testing.assert_array_equal(one[:501], other[:501])
    assert one[510] != other[510]


def test_moves_of_zero_do_not_drag_the_scale_to_zero() -> None:
    moves, arrivals, index, realized = _inputs()
    flat = np.where(np.arange(N) % 10 == 0, 0.0, moves)
    expected = expected_move(flat, arrivals, index=index, realized=realized, sessions_ahead=AHEAD).scale[-1]
    usual = expected_move(moves, arrivals, index=index, realized=realized, sessions_ahead=AHEAD).scale[-1]
    assert 0.7 < expected / usual < 1.0
