"""The file of one network: its tensors in torch's format, beside what they belong to as JSON text.

Nothing in it is run. Where torch is absent it can be neither written nor read.
"""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np

from trading_dag.errors import StorageError
from trading_dag.models.deep.network_estimator import NetworkEstimator
from trading_dag.models.deep.torch_library import require_torch

_SPEC: Final = "spec"


def write_network(network: NetworkEstimator) -> bytes:
    """Return the content of a network's file.

    Raises
    ------
    ConfigurationError : where torch is not installed.
    """
    require_torch()
    import torch

    from trading_dag.models.deep.training_loop import save_tensors

    tensors: dict[str, Any] = {name: torch.from_numpy(np.array(array)) for name, array in network.arrays.items()}
    return save_tensors({_SPEC: json.dumps(network.spec, sort_keys=True), **tensors})


def read_network(content: bytes, where: str) -> NetworkEstimator:
    """Return the network that was written to a file.

    Raises
    ------
    UntrustedModelError : where the file holds anything but tensors and text; nothing of it is executed.
    StorageError : where it does not describe a network.
    ConfigurationError : where torch is not installed.
    """
    require_torch()
    from trading_dag.models.deep.training_loop import load_tensors

    loaded = load_tensors(content, where)
    try:
        spec = json.loads(loaded.pop(_SPEC))
        arrays = {name: tensor.numpy() for name, tensor in loaded.items()}
        history = tuple((learnt, held_out) for learnt, held_out in spec["history"])
        return NetworkEstimator(spec["kind"], spec["layers"], arrays, spec["steps"], history)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise StorageError(f"{where} describes no network: {type(problem).__name__}: {problem}") from problem
