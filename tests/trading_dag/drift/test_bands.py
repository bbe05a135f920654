"""Bands against brute force, a long simulation and the binomial."""

from __future__ import annotations

import numpy as np
import pytest

from trading_dag.drift.bands import band_of_coverage, band_of_scores, rolling_mean, variance_ratio


def test_the_band_of_a_score_is_the_quantile_of_the_means_of_all_windows_that_lie_before() -> None:
    gains = np.random.default_rng(1).normal(size=300)
    counts = np.array([59, 239, 240, 271, 300])
    band = band_of_scores(gains, counts, window=60, quantile=0.95)
    for place, known in enumerate(counts):
        before = gains[:known]
        assert band.expected[place] == pytest.approx(before.mean(), rel=1e-12)
        if known < 240:
            assert np.isnan(band.low[place])
            continue
        means = [before[end - 60 : end].mean() for end in range(60, known + 1)]
        assert band.low[place] == pytest.approx(np.quantile(means, 0.05), rel=1e-12)
        assert band.high[place] == pytest.approx(np.quantile(means, 0.95), rel=1e-12)


def test_the_mean_of_a_window_is_that_of_its_rows() -> None:
    assert rolling_mean(np.array([1.0, 2.0, 6.0, 3.0]), window=3).tolist() == pytest.approx([3.0, 11 / 3])


def test_of_sixty_independent_hits_the_band_is_left_as_often_as_the_binomial_says() -> None:
    """Of 60 trials at 0.9, by summing its terms in exact fractions: 49 hits or fewer in 3.4 % of cases and 50 or fewer
    in 7.3 %; 58 or more in 5.3 %, 59 or more in 1.4 %. So 49 is below a band of 5 % a side, 50 is not; 58 is above."""
    from fractions import Fraction
    from math import comb

    share = Fraction(9, 10)
    terms = [comb(60, hits) * share**hits * (1 - share) ** (60 - hits) for hits in range(61)]
    assert [round(float(sum(terms[:end])), 3) for end in (50, 51)] == [0.034, 0.073]
    assert [round(float(sum(terms[start:])), 3) for start in (58, 59)] == [0.053, 0.014]
    spread = np.where(np.arange(400) % 10 == 9, 0.0, 1.0)  # a miss is never followed by one
    band = band_of_coverage(spread, np.array([400]), window=60, quantile=0.95, nominal=0.9, overlap=1)
    assert 49 / 60 < band.low[0] < 50 / 60
    assert 57 / 60 < band.high[0] < 58 / 60


def test_the_variance_ratio_is_that_of_a_loop_over_lags() -> None:
    values = (np.random.default_rng(2).random(500) < 0.9).astype(float)
    for length, overlap in ((500, 1), (250, 5), (400, 21)):
        part = values[:length]
        centred = part - part.mean()
        lags = int(max(2 * overlap, np.floor(4 * (length / 100) ** (2 / 9))))
        gamma = [float((centred[lag:] * centred[: length - lag]).sum() / length) for lag in range(lags + 1)]
        long_run = gamma[0] + 2 * sum((1 - lag / (lags + 1)) * gamma[lag] for lag in range(1, lags + 1))
        found = variance_ratio(values, np.array([length]), overlap=overlap)[0]
        assert found == pytest.approx(max(long_run / gamma[0], 1.0), rel=1e-9)


@pytest.mark.parametrize(("overlap", "share_below_binomial"), [(1, 0.034), (5, 0.11), (10, 0.18)])
def test_outcomes_that_overlap_widen_the_band_until_a_right_interval_is_below_it_rarely(
    overlap: int, share_below_binomial: float
) -> None:
    """Sums of independent moves, one each session: their misses come in runs, so that the share inside a right interval
    is below the binomial's end far more often than in a twentieth of windows. With the runs counted it is not."""
    moves = np.random.default_rng(3).normal(size=200_000)
    sums = np.convolve(moves, np.ones(overlap), mode="valid")
    hits = (np.abs(sums) < 1.6448536 * np.sqrt(overlap)).astype(float)
    shares = rolling_mean(hits, window=60)
    known = np.array([1_000, 2_000, 4_000, 8_000, 16_000])
    band = band_of_coverage(hits, known, window=60, quantile=0.95, nominal=0.9, overlap=overlap)
    below = np.mean([(shares < low).mean() for low in band.low])
    above = np.mean([(shares > high).mean() for high in band.high])
    assert 0.02 < below < 0.075
    assert above < 0.08
    assert (shares < 50 / 60 - 1e-12).mean() == pytest.approx(share_below_binomial, abs=0.01)


def test_without_four_windows_before_there_is_no_band_and_hits_alone_make_none_wider() -> None:
    hits = np.ones(400)
    band = band_of_coverage(hits, np.array([239, 400]), window=60, quantile=0.95, nominal=0.9, overlap=5)
    assert np.isnan(band.low[0])
    independent = band_of_coverage(hits, np.array([400]), window=60, quantile=0.95, nominal=0.9, overlap=1)
    assert band.low[1] == independent.low[0]
