"""The loop that trains a network: batches, early stopping on rows held out, a checkpoint after every epoch.

Imports torch, so only functions import this module. Which rows are learnt from and which stop the training is decided
by the caller. The same rows, settings and machine give the same weights, whether or not the training was killed in
between: what an epoch draws (the order of the rows, what is dropped) depends on the seed and the epoch's number alone.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from trading_dag.arrays import IntArray
from trading_dag.errors import UntrustedModelError

_logger = logging.getLogger(__name__)
Loss = Callable[[torch.nn.Module, torch.Tensor], torch.Tensor]


class Checkpoints(Protocol):
    """Where the state of a training is kept from epoch to epoch, under names such as ``spread_lstm-3``."""

    def load(self, name: str) -> bytes | None:
        """Return what was saved last under a name, None where nothing was."""

    def save(self, name: str, content: bytes) -> None:
        """Replace what is kept under a name."""


@dataclass(frozen=True)
class TrainingPlan:
    """Says how a network is trained.

    Attributes
    ----------
    epochs, patience : most passes over the rows; and after how many without a better loss on those held out it stops.
    batch, learning_rate, weight_decay, largest_gradient : of Adam; L2 and the norm at which gradients are clipped.
    seed : of the weights, the order of the rows and what is dropped.
    device : ``cpu``, or ``cuda`` where torch finds such a card.
    """

    epochs: int
    patience: int
    batch: int
    learning_rate: float
    weight_decay: float
    largest_gradient: float
    seed: int
    device: str


@dataclass(frozen=True)
class Training:
    """What a training leaves behind.

    Attributes
    ----------
    state : the weights of the epoch with the least loss on the rows held out.
    history : of each epoch, mean loss on the rows learnt from (as they were learnt) and on those held out.
    """

    state: dict[str, Any]
    history: tuple[tuple[float, float], ...]


def train(
    network: torch.nn.Module,
    loss: Loss,
    *,
    learnt: IntArray,
    held_out: IntArray,
    plan: TrainingPlan,
    name: str,
    checkpoints: Checkpoints | None = None,
) -> Training:
    """Train a network until the rows held out say that it gets no better, and return the best epoch's weights.

    Parameters
    ----------
    loss : (network, positions of rows) → mean loss over them.
    learnt, held_out : positions of the rows learnt from, and of those that stop the training.
    name : of the training, for the log and the checkpoints.

    Raises
    ------
    UntrustedModelError : for a checkpoint that holds anything but tensors and numbers.
    """
    with reproducible(plan.device):
        network.to(plan.device)
        run = _Run(network, loss, plan)
        kept = checkpoints.load(name) if checkpoints else None
        if kept is not None:
            run.restore(load_tensors(kept, name))
            _logger.info("%s goes on after epoch %d", name, len(run.history))
        stop = torch.as_tensor(held_out, device=plan.device)
        while not run.is_over:
            started = time.perf_counter()
            run.epoch(learnt, stop)
            if checkpoints:
                checkpoints.save(name, save_tensors(run.to_keep()))
            _logger.info(
                "%s, epoch %d of at most %d: loss %.4f learnt, %.4f held out, %.1f s",
                name, len(run.history), plan.epochs, *run.history[-1], time.perf_counter() - started,
            )  # fmt: skip
        return Training(run.best, tuple(run.history))


class _Run:
    """A training under way: what a checkpoint keeps."""

    def __init__(self, network: torch.nn.Module, loss: Loss, plan: TrainingPlan) -> None:
        self.network, self.loss, self.plan = network, loss, plan
        self.optimizer = torch.optim.Adam(
            network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=True
        )
        self.history: list[tuple[float, float]] = []
        self.best: dict[str, Any] = _copied(network)

    @property
    def is_over(self) -> bool:
        losses = [held_out for _, held_out in self.history]
        since_best = len(losses) - 1 - losses.index(min(losses)) if losses else 0
        return len(losses) >= self.plan.epochs or since_best >= self.plan.patience

    def epoch(self, learnt: IntArray, held_out: torch.Tensor) -> None:
        """Go once through the rows, and judge by those held out."""
        torch.manual_seed(self.plan.seed + 1_000 * (len(self.history) + 1))
        order = torch.as_tensor(learnt)[torch.randperm(len(learnt))].to(self.plan.device)
        self.network.train()
        total = 0.0
        for rows in order.split(self.plan.batch):
            self.optimizer.zero_grad(set_to_none=True)
            mean = self.loss(self.network, rows)
            mean.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.plan.largest_gradient)
            self.optimizer.step()
            total += float(mean.detach()) * len(rows)
        self.network.eval()
        with torch.inference_mode():
            judged = float(self.loss(self.network, held_out))
        if judged < min((loss for _, loss in self.history), default=float("inf")):
            self.best = _copied(self.network)
        self.history.append((total / len(learnt), judged))

    def to_keep(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "history": self.history,
        }

    def restore(self, kept: dict[str, Any]) -> None:
        self.network.load_state_dict(kept["network"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.best = kept["best"]
        self.history = [(learnt, held_out) for learnt, held_out in kept["history"]]


@contextmanager
def reproducible(device: str) -> Iterator[None]:
    """Run with one thread, deterministic algorithms and a generator of its own; afterwards all is as before."""
    # torch.use_deterministic_algorithms sets the same and loads torch's compiler, which takes seconds.
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    is_filled = torch.utils.deterministic.fill_uninitialized_memory
    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("error")
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing here reads what it has not written
    try:
        with torch.random.fork_rng(devices=[] if device == "cpu" else None):
            yield
    finally:
        torch.utils.deterministic.fill_uninitialized_memory = is_filled
        torch.set_deterministic_debug_mode(mode)
        torch.set_num_threads(threads)


def save_tensors(content: dict[str, Any]) -> bytes:
    """Return tensors, numbers and lists of them in torch's format."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def load_tensors(content: bytes, where: str) -> dict[str, Any]:
    """Return what ``save_tensors`` made, on the processor. Nothing in it is executed.

    Raises
    ------
    UntrustedModelError : where it holds anything but tensors, numbers, text and containers of them.
    """
    try:
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as problem:  # whatever a foreign file makes torch raise, it is refused
        first_line = next(iter(str(problem).splitlines()), type(problem).__name__)
        raise UntrustedModelError(f"{where} is no file of tensors: {first_line}") from problem
    if not isinstance(loaded, dict):
        raise UntrustedModelError(f"{where} holds a {type(loaded).__name__} and no named tensors")
    return loaded


def _copied(network: torch.nn.Module) -> dict[str, Any]:
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
