"""The small LSTM finds what is there and nothing else, says why it cannot be fitted, and comes out the same twice."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from trading_dag.arrays import FloatArray
from trading_dag.errors import ConfigurationError, InsufficientDataError
from trading_dag.models.deep.network_estimator import NetworkEstimator
from trading_dag.models.deep.price_network import PriceNetworkSettings, fit_price_network, split_off_the_last

torch = pytest.importorskip("torch", reason="torch is not installed: make torch")
QUICK = PriceNetworkSettings(units=8, epochs=12, learning_rate=0.01)


def example(rows: int = 600, *, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """Sequences whose last step says most of the outcome, with some gaps."""
    random = np.random.default_rng(seed)
    sequences = random.normal(size=(rows, 8, 3)) * [1.0, 100.0, 0.01] + [0.0, 5_000.0, 0.0]
    outcomes = 0.02 * sequences[:, -1, 0] + 0.01 * random.normal(size=rows) + 3.0
    sequences[random.random(sequences.shape) < 0.02] = np.nan
    return sequences, outcomes


def digest(estimator: NetworkEstimator) -> str:
    learnt = hashlib.sha256()
    estimator.feed(learnt)
    return learnt.hexdigest()


def share_explained(estimator: NetworkEstimator, sequences: FloatArray, outcomes: FloatArray) -> float:
    errors = outcomes - estimator.predict(sequences)
    return float(1 - (errors**2).mean() / outcomes.var())


def test_a_signal_in_the_last_step_is_found_in_the_scale_of_the_outcome() -> None:
    sequences, outcomes = example(900)
    estimator = fit_price_network(sequences[:700], outcomes[:700], QUICK)
    assert share_explained(estimator, sequences[700:], outcomes[700:]) > 0.5  # 0.8 is there


def test_shuffled_outcomes_give_no_skill() -> None:
    sequences, outcomes = example(900)
    shuffled = np.random.default_rng(1).permutation(outcomes)
    estimator = fit_price_network(sequences[:700], shuffled[:700], QUICK)
    assert share_explained(estimator, sequences[700:], shuffled[700:]) < 0.03


def test_two_fits_have_the_same_content_and_another_seed_another() -> None:
    sequences, outcomes = example(200)
    short = replace(QUICK, epochs=2)
    first, again = (digest(fit_price_network(sequences, outcomes, short)) for _ in range(2))
    other = digest(fit_price_network(sequences, outcomes, replace(short, seed=7)))
    assert first == again
    assert first != other


def test_a_fit_leaves_the_threads_and_the_generator_of_others_as_they_were() -> None:
    sequences, outcomes = example(200)
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    fit_price_network(sequences, outcomes, replace(QUICK, epochs=1))
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_forecast_does_not_depend_on_the_rows_that_are_forecast_with_it() -> None:
    sequences, outcomes = example(300)
    estimator = fit_price_network(sequences, outcomes, replace(QUICK, epochs=1))
    together = estimator.predict(sequences)
    assert np.array_equal(estimator.predict(sequences[150:151]), together[150:151])
    assert np.array_equal(estimator.predict(sequences[:200]), together[:200])
    assert estimator.predict(sequences[:0]).shape == (0,)


def test_what_is_learnt_and_what_stops_the_training_are_apart_by_the_gap() -> None:
    learnt, held_out = split_off_the_last(100, share=0.2, gap=5)
    assert (learnt[0], learnt[-1]) == (0, 74)
    assert (held_out[0], held_out[-1]) == (80, 99)


def test_the_scale_comes_from_the_rows_that_are_learnt_from() -> None:
    sequences, outcomes = example(200)
    short = replace(QUICK, epochs=1)
    sequences[170:] += 1e6  # the last 15 % stop the training
    estimator = fit_price_network(sequences, outcomes, short)
    learnt, _ = split_off_the_last(200, share=short.held_out, gap=short.gap)
    assert estimator.arrays["scale.mean"] == pytest.approx(np.nanmean(sequences[learnt], axis=(0, 1)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda read, wanted: (read[:110], wanted[:110]), "89 rows to learn from, fewer than 100"),
        (lambda read, wanted: (read, np.ones_like(wanted)), "the outcome does not vary"),
        (lambda read, wanted: (np.where([True, True, False], read, np.nan), wanted), "input 2 is never known"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused_with_the_reason(change, reason: str) -> None:
    with pytest.raises(InsufficientDataError, match=reason):
        fit_price_network(*change(*example(200)), QUICK)


def test_a_device_that_is_not_there_is_said() -> None:
    sequences, outcomes = example(200)
    if torch.cuda.is_available():
        pytest.skip("there is a graphics card")
    with pytest.raises(ConfigurationError, match="no device 'cuda' here"):
        fit_price_network(sequences, outcomes, replace(QUICK, device="cuda"))
