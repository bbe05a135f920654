"""What is kept of a trained network: its kind, its layers, and every number that it has learnt, as arrays.

Here belongs the frozen value that a fold holds, that the store writes and that forecasts. torch is needed to forecast,
and for nothing else here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from trading_dag.arrays import FloatArray
from trading_dag.models.deep.sequences import Scale, SequenceArray

NumberArray = npt.NDArray[Any]
# Rows that go through a network together, so that what is in between stays in the processor's cache.
ROWS_AT_ONCE: Final = 128
WEIGHTS: Final = "network."


@dataclass(frozen=True, eq=False)
class NetworkEstimator:
    """A trained network as numbers.

    Attributes
    ----------
    kind, layers : as ``networks.build_network`` takes them.
    arrays : the weights, named ``network.…``, and what belongs to them: ``scale.mean``, ``scale.deviation`` of the
        inputs, and what else the model that made it needs.
    steps : rows of a sequence.
    history : loss by epoch, (learnt, held out).
    """

    kind: str
    layers: dict[str, Any]
    arrays: dict[str, NumberArray]
    steps: int
    history: tuple[tuple[float, float], ...] = field(default=())

    @property
    def scale(self) -> Scale:
        """Centre and deviation of the inputs."""
        return Scale(self.arrays["scale.mean"], self.arrays["scale.deviation"])

    @property
    def spec(self) -> dict[str, Any]:
        """All but the arrays, in JSON types."""
        return {
            "kind": self.kind,
            "layers": self.layers,
            "steps": self.steps,
            "history": [list(losses) for losses in self.history],
        }

    def describe(self) -> dict[str, Any]:
        """What a fold records beside the weights, in JSON types: the layers, the epochs run, the losses by epoch."""
        return {**self.spec, "epochs_run": len(self.history)}

    def feed(self, digest: hashlib._Hash) -> None:
        """Feed everything that decides a forecast to a digest."""
        digest.update(f"{self.kind} {sorted(self.layers.items())} {self.steps}".encode())
        for name, array in sorted(self.arrays.items()):
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())

    def raw(self, sequences: SequenceArray) -> FloatArray:
        """What the network gives for scaled sequences, (rows, outputs).

        Each row is computed among as many others as a batch has places, so that it does not depend on how many are
        asked for.
        """
        import torch

        from trading_dag.models.deep.training_loop import reproducible

        parts = [np.empty((0, self._outputs))]
        with reproducible("cpu"), torch.inference_mode():
            for first in range(0, len(sequences), ROWS_AT_ONCE):
                taken = sequences[first : first + ROWS_AT_ONCE]
                padded = np.zeros((ROWS_AT_ONCE, *taken.shape[1:]), dtype=np.float32)
                padded[: len(taken)] = taken
                given = self._network(torch.from_numpy(padded)).numpy()
                parts.append(given[: len(taken)].astype(np.float64))
        return np.concatenate(parts)

    def predict(self, sequences: FloatArray) -> FloatArray:
        """Return one number a row for sequences as the caller has them, unscaled, NaN where not known: (rows,)."""
        steps, inputs = sequences.shape[1:]
        scaled = self.scale.apply(sequences.reshape(-1, inputs)).reshape(-1, steps, inputs)
        centre, deviation = self.arrays["outcome.mean"], self.arrays["outcome.deviation"]
        numbers: FloatArray = self.raw(scaled)[:, 0] * deviation + centre
        return numbers

    @property
    def _outputs(self) -> int:
        return len(self.arrays[f"{WEIGHTS}output.bias"])

    @cached_property
    def _network(self) -> Any:
        import torch

        from trading_dag.models.deep.networks import build_network

        network = build_network(self.kind, self.layers, seed=0)
        weights = {
            name.removeprefix(WEIGHTS): torch.from_numpy(np.array(array))
            for name, array in self.arrays.items()
            if name.startswith(WEIGHTS)
        }
        network.load_state_dict(weights)
        return network.eval()
