"""The Mills ratio against fifty digits."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest

from trading_dag.options.pricing.normal_tail import mills_ratio, polynomial


def test_the_ratio_is_within_four_units_of_the_last_place_of_fifty_digits():
    arguments = np.concatenate([[0.0, 5e-324, 1e-9], np.linspace(0.01, 40.0, 2_000), np.geomspace(40.0, 1e4, 50)])
    with mp.workdps(50):
        for argument, ours in zip(arguments, mills_ratio(arguments), strict=True):
            z = mp.mpf(float(argument))
            true = mp.sqrt(mp.pi / 2) * mp.exp(z * z / 2) * mp.erfc(z / mp.sqrt(2))
            assert abs(mp.mpf(float(ours)) / true - 1) <= 4 * mp.mpf(2) ** -52, argument


def test_far_out_the_ratio_is_the_reciprocal_and_at_infinity_nothing():
    ours = mills_ratio(np.array([1e9, 1e300, np.inf]))
    assert ours[:2] == pytest.approx([1e-9, 1e-300], rel=1e-15)
    assert ours[2] == 0.0
    assert np.isnan(mills_ratio(np.array([np.nan]))).all()


def test_a_polynomial_starts_with_its_constant():
    assert polynomial((1.0, -2.0, 3.0), np.array([0.0, 2.0, -1.0])).tolist() == [1.0, 9.0, 6.0]
    assert polynomial((5.0, 2.0), np.array([3.0])).tolist() == [11.0]
