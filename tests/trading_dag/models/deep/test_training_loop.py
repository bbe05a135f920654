"""A training stops in time, goes on where it was killed, and gives the same weights either way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resources.storage.models.checkpoints import FolderCheckpoints
from trading_dag.errors import UntrustedModelError
from trading_dag.models.deep.network_estimator import NetworkEstimator
from trading_dag.models.deep.price_network import PriceNetworkSettings, fit_price_network
from trading_dag.models.deep.sequences import ends_of_sequences, learn_scale, sequences_at

torch = pytest.importorskip("torch", reason="torch is not installed: make torch")
from trading_dag.models.deep.training_loop import (  # noqa: E402
    TrainingPlan,
    load_tensors,
    save_tensors,
    train,
)

PLAN = TrainingPlan(20, 3, 16, 0.01, 0.0, 1.0, 1, "cpu")


def regression(rows: int = 64) -> tuple[Any, Any]:
    """A linear network, and its loss on a line that is there."""
    random = np.random.default_rng(2)
    read = torch.from_numpy(random.normal(size=(rows, 2)).astype(np.float32))
    wanted = read @ torch.tensor([1.0, -2.0])
    torch.manual_seed(3)
    network = torch.nn.Linear(2, 1)
    return network, lambda model, at: torch.nn.functional.mse_loss(model(read[at])[:, 0], wanted[at])


def test_the_weights_kept_are_those_of_the_epoch_that_was_best_on_the_rows_held_out() -> None:
    network, loss = regression()
    held_out = np.arange(48, 64)

    def worse_from_the_third_epoch_on(model: Any, rows: Any) -> Any:
        extra = 100.0 if not model.training and len(seen) > 2 else 0.0
        if not model.training:
            seen.append(model.weight.detach().clone())
        return loss(model, rows) + extra

    seen: list[Any] = []
    done = train(network, worse_from_the_third_epoch_on, learnt=np.arange(48), held_out=held_out, plan=PLAN, name="x")
    assert len(done.history) == 3 + PLAN.patience
    assert torch.equal(done.state["weight"], seen[2])


def test_gradients_are_clipped() -> None:
    network, _ = regression()
    before = network.weight.detach().clone()
    steep = replace(PLAN, epochs=1, batch=48, largest_gradient=1e-12, learning_rate=1e-3)
    train(network, lambda model, rows: model.weight.sum() * 1e6, learnt=np.arange(48), held_out=np.arange(48, 50),
          plan=steep, name="x")  # fmt: skip
    # Adam divides by the gradient's size plus 1e-8: with one clipped to far below that, almost nothing moves.
    assert float((network.weight.detach() - before).abs().max()) < 1e-6


class _StopsAfter:
    """Checkpoints that end the training after so many epochs, as a kill would."""

    def __init__(self, epochs: int) -> None:
        self.kept: dict[str, bytes] = {}
        self.epochs = epochs

    def load(self, name: str) -> bytes | None:
        return self.kept.get(name)

    def save(self, name: str, content: bytes) -> None:
        self.kept[name] = content
        self.epochs -= 1
        if not self.epochs:
            raise KeyboardInterrupt


def test_a_training_that_was_interrupted_ends_with_the_weights_and_history_of_one_that_was_not() -> None:
    random = np.random.default_rng(0)
    sequences, settings = random.normal(size=(200, 6, 2)), PriceNetworkSettings(units=4, epochs=5, patience=5)
    outcomes = sequences[:, -1, 0] + random.normal(size=200)
    whole = fit_price_network(sequences, outcomes, settings)
    interrupted = _StopsAfter(2)
    with pytest.raises(KeyboardInterrupt):
        fit_price_network(sequences, outcomes, settings, checkpoints=interrupted)
    resumed = fit_price_network(sequences, outcomes, settings, checkpoints=interrupted)
    assert interrupted.epochs == -3  # five epochs in all, none of them twice
    assert resumed.history == whole.history
    assert all(np.array_equal(resumed.arrays[name], whole.arrays[name]) for name in whole.arrays)


KILLED = """
import sys
from pathlib import Path
from tests.trading_dag.models.deep.test_training_loop import Waiting, fit_small
fit_small(Waiting(Path(sys.argv[1])))
"""


class Waiting(FolderCheckpoints):
    """Checkpoints that say of each epoch that it is stored, and wait to be killed after the third."""

    stored = 0

    def save(self, name: str, content: bytes) -> None:
        super().save(name, content)
        self.stored += 1
        print("saved", flush=True)
        if self.stored == 3:
            sys.stdin.read()


def fit_small(checkpoints: FolderCheckpoints) -> NetworkEstimator:
    """Twelve epochs of a small network."""
    random = np.random.default_rng(0)
    sequences = random.normal(size=(200, 8, 2))
    outcomes = sequences[:, -1, 0] + random.normal(size=200)
    settings = PriceNetworkSettings(units=6, epochs=12, patience=12)
    return fit_price_network(sequences, outcomes, settings, checkpoints=checkpoints)


class Counting(FolderCheckpoints):
    """Checkpoints that count what they store."""

    stored = 0

    def save(self, name: str, content: bytes) -> None:
        super().save(name, content)
        self.stored += 1


@pytest.mark.slow
def test_a_training_killed_by_the_system_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path / "one")]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[4], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as killed:
        assert killed.stdout is not None
        for _ in range(3):
            assert killed.stdout.readline() == "saved\n"
        os.kill(killed.pid, signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL

    going_on, from_the_start = Counting(tmp_path / "one"), Counting(tmp_path / "two")
    resumed, uninterrupted = fit_small(going_on), fit_small(from_the_start)
    assert from_the_start.stored - going_on.stored == 3
    assert len(resumed.history) == 12
    assert resumed.history == uninterrupted.history
    assert sorted(resumed.arrays) == sorted(uninterrupted.arrays)
    assert all(np.array_equal(resumed.arrays[name], uninterrupted.arrays[name]) for name in resumed.arrays)


def test_checkpoints_lie_in_a_folder_and_the_last_counts(tmp_path: Path) -> None:
    checkpoints = FolderCheckpoints(tmp_path / "new")
    assert checkpoints.load("spread_lstm-1") is None
    checkpoints.save("spread_lstm-1", b"one")
    checkpoints.save("spread_lstm-1", b"two")
    assert FolderCheckpoints(tmp_path / "new").load("spread_lstm-1") == b"two"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["spread_lstm-1"]
    checkpoints.remove()
    assert not (tmp_path / "new").exists()


class _Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (os.environ["TRAP"],))


def test_a_checkpoint_that_would_execute_something_is_refused_and_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trap"
    monkeypatch.setenv("TRAP", str(trap))
    with pytest.raises(UntrustedModelError, match="no file of tensors"):
        load_tensors(save_tensors({"network": _Malicious()}), "a checkpoint")
    assert not trap.exists()


def test_a_sequence_ends_at_its_session_and_holds_nothing_later() -> None:
    values = np.arange(10, dtype=np.float32)[:, None]
    ends = ends_of_sequences(10, steps=4)
    assert list(ends) == [3, 4, 5, 6, 7, 8, 9]
    assert sequences_at(values, np.array([5]), steps=4)[0, :, 0].tolist() == [2, 3, 4, 5]


def test_a_missing_value_lies_at_the_centre_and_a_far_one_at_five_deviations() -> None:
    scale = learn_scale(np.array([[1.0, 7.0], [3.0, 7.0], [np.nan, 7.0]]))
    assert scale.apply(np.array([[np.nan, 7.0], [3.0, 8.0], [99.0, 99.0]])).tolist() == [[0, 0], [1, 1], [5, 5]]
