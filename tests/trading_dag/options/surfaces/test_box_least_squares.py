"""The descent within a box finds what SciPy's solver within bounds finds, and what can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares, lsq_linear

from trading_dag.options.surfaces.box_least_squares import CHUNK, descend, summed_products

FAR = np.full(2, np.inf)


def _rosenbrock(x: np.ndarray) -> np.ndarray:
    return np.array([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]])


def _slope(x: np.ndarray) -> np.ndarray:
    return np.array([[-20.0 * x[0], 10.0], [-1.0, 0.0]])


class Alike:
    """One problem many times: functions of a point that give residuals and derivatives (n, unknowns)."""

    def __init__(self, residuals, slopes) -> None:
        self.residuals, self.slopes = residuals, slopes

    def only(self, rows) -> Alike:
        return self

    def at(self, points: np.ndarray) -> np.ndarray:
        rows = np.zeros((len(points), points.shape[1] + 1, CHUNK))
        for row, point in zip(rows, points, strict=True):
            error = self.residuals(point)
            row[:-1, : len(error)], row[-1, : len(error)] = self.slopes(point).T, error
        return rows


def ends(residuals, slopes, *starts, lower, upper, precision) -> np.ndarray:
    """Where the descents from these starts end, (starts, unknowns)."""
    begin = np.array(starts)
    low, high = (np.broadcast_to(bound, begin.shape) for bound in (lower, upper))
    return descend(Alike(residuals, slopes), begin, lower=low, upper=high, precision=precision)


def test_rosenbrocks_valley_is_followed_to_its_end() -> None:
    (found,) = ends(_rosenbrock, _slope, [-1.2, 1.0], lower=-FAR, upper=FAR, precision=1e-12)
    assert found == pytest.approx([1.0, 1.0], abs=1e-6)


def test_a_bound_in_the_way_is_where_scipy_ends_too() -> None:
    upper = np.array([0.5, np.inf])
    (found,) = ends(_rosenbrock, _slope, [-1.2, 1.0], lower=-FAR, upper=upper, precision=1e-12)
    theirs = least_squares(_rosenbrock, [-1.2, 1.0], jac=_slope, bounds=(-FAR, upper), xtol=1e-12, ftol=1e-12)
    assert found[0] == 0.5  # to the last bit: it lies on the bound
    assert found == pytest.approx(theirs.x, abs=1e-6)
    assert found[1] == pytest.approx(0.25, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), unknowns=st.integers(1, 5))
def test_a_linear_problem_within_a_box_is_solved_as_by_scipy(seed: int, unknowns: int) -> None:
    generator = np.random.default_rng(seed)
    basis, wanted = generator.normal(size=(12, unknowns)), generator.normal(size=12)
    lower, upper = np.full(unknowns, -0.2), np.full(unknowns, 0.3)
    (found,) = ends(
        lambda x: basis @ x - wanted, lambda _: basis, np.zeros(unknowns), lower=lower, upper=upper, precision=1e-14
    )
    theirs = lsq_linear(basis, wanted, (lower, upper), tol=1e-14)
    assert found == pytest.approx(theirs.x, abs=1e-5)
    assert ((found >= lower) & (found <= upper)).all()


def test_no_step_makes_the_sum_greater_and_a_dead_end_is_an_end() -> None:
    (stays,) = ends(_rosenbrock, _slope, [1.0, 1.0], lower=-FAR, upper=FAR, precision=1e-9)
    assert stays == pytest.approx([1.0, 1.0])
    (shut,) = ends(_rosenbrock, _slope, [0.0, 0.0], lower=np.zeros(2), upper=np.zeros(2), precision=1e-9)
    assert (shut == 0.0).all()


def test_an_unknown_without_influence_stays_where_it_is() -> None:
    (found,) = ends(
        lambda x: x[:1] - 3.0, lambda _: np.array([[1.0, 0.0]]), [0.0, 7.0], lower=-FAR, upper=FAR, precision=1e-12
    )
    assert found == pytest.approx([3.0, 7.0])


def test_problems_that_end_early_and_late_end_where_they_would_alone() -> None:
    starts = ([-1.2, 1.0], [1.0, 1.0], [5.0, -3.0], [0.9, 0.9])
    together = ends(_rosenbrock, _slope, *starts, lower=-FAR, upper=FAR, precision=1e-12)
    alone = [ends(_rosenbrock, _slope, start, lower=-FAR, upper=FAR, precision=1e-12)[0] for start in starts]
    assert (together == np.array(alone)).all()


def test_zeros_behind_the_last_value_change_no_bit_of_a_sum() -> None:
    values = np.random.default_rng(3).normal(size=(2, 6, CHUNK))
    longer = np.concatenate([values, np.zeros((2, 6, 3 * CHUNK))], axis=2)
    assert (summed_products(longer, longer) == summed_products(values, values)).all()
    assert summed_products(values, values) == pytest.approx(np.einsum("pin,pjn->pij", values, values))
