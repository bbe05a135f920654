"""A small LSTM that forecasts one number from a sequence, for whoever combines it with other learners.

Here belongs how rows are split, scaled and handed to the training loop. Which sequences those are (daily or hourly
bars) and what the number means is the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.errors import InsufficientDataError
from trading_dag.models.deep.network_estimator import WEIGHTS, NetworkEstimator
from trading_dag.models.deep.sequences import learn_scale
from trading_dag.models.deep.torch_library import require_torch

if TYPE_CHECKING:
    from trading_dag.models.deep.training_loop import Checkpoints

LEAST_ROWS: Final = 100


@dataclass(frozen=True)
class PriceNetworkSettings:
    """Says what the network is and how it is trained; ``TrainingPlan`` explains the rest.

    Attributes
    ----------
    units, layers, dropout : of the LSTM.
    held_out : share of the rows, the last, that stops the training.
    gap : rows left out before those, so that no outcome reaches into them.
    """

    units: int = 32
    layers: int = 1
    dropout: float = 0.1
    epochs: int = 15
    patience: int = 3
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    held_out: float = 0.15
    gap: int = 5
    seed: int = 42
    device: str = "cpu"


def fit_price_network(
    sequences: FloatArray,
    outcomes: FloatArray,
    settings: PriceNetworkSettings,
    *,
    checkpoints: Checkpoints | None = None,
    name: str = "price_lstm",
) -> NetworkEstimator:
    """Return a network fitted by squared error, with the scales of inputs and outcome that belong to it.

    Parameters
    ----------
    sequences : (rows, steps, inputs) in session order, oldest step first, NaN where not known. Row i may hold nothing
        later than its session.
    outcomes : (rows,), finite.
    name : of the training, in the log and the checkpoints.

    Raises
    ------
    InsufficientDataError : for too few rows, an outcome that does not vary, or an input that is never known.
    ConfigurationError : where torch is not installed, or has no such device.
    """
    require_torch(settings.device)
    import torch

    from trading_dag.models.deep.networks import PRICE_LSTM, build_network
    from trading_dag.models.deep.training_loop import TrainingPlan, train

    learnt, held_out = split_off_the_last(len(outcomes), share=settings.held_out, gap=settings.gap)
    inputs, steps = sequences.shape[2], sequences.shape[1]
    if len(learnt) < LEAST_ROWS:
        raise InsufficientDataError(f"{len(learnt)} rows to learn from, fewer than {LEAST_ROWS}")
    known = sequences[learnt].reshape(-1, inputs)
    if np.isnan(known).all(axis=0).any():
        raise InsufficientDataError(f"input {int(np.isnan(known).all(axis=0).argmax())} is never known")
    centre, deviation = outcomes[learnt].mean(), outcomes[learnt].std()
    if not deviation > 0:
        raise InsufficientDataError("the outcome does not vary")
    scale = learn_scale(known)
    layers = {"inputs": inputs, "units": settings.units, "layers": settings.layers, "dropout": settings.dropout}
    network = build_network(PRICE_LSTM, layers, seed=settings.seed)
    plan = TrainingPlan(
        settings.epochs, settings.patience, settings.batch, settings.learning_rate, settings.weight_decay, 1.0,
        settings.seed, settings.device,
    )  # fmt: skip
    read = torch.from_numpy(scale.apply(sequences.reshape(-1, inputs)).reshape(-1, steps, inputs)).to(settings.device)
    wanted = torch.from_numpy(((outcomes - centre) / deviation).astype(np.float32)).to(settings.device)

    def loss(model: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.mse_loss(model(read[rows])[:, 0], wanted[rows])

    done = train(network, loss, learnt=learnt, held_out=held_out, plan=plan, name=name, checkpoints=checkpoints)
    arrays = {f"{WEIGHTS}{name}": tensor.numpy() for name, tensor in done.state.items()} | {
        "scale.mean": scale.mean,
        "scale.deviation": scale.deviation,
        "outcome.mean": np.array(centre),
        "outcome.deviation": np.array(deviation),
    }
    return NetworkEstimator(PRICE_LSTM, layers, arrays, steps, done.history)


def split_off_the_last(rows: int, *, share: float, gap: int) -> tuple[IntArray, IntArray]:
    """Return the positions that are learnt from, and, behind a gap, the last ones, which stop the training."""
    held_out = max(int(rows * share), 1)
    positions = np.arange(rows, dtype=np.int64)
    return positions[: max(rows - held_out - gap, 0)], positions[rows - held_out :]
