"""The layers stand in the order of the specification, and have the parameters that its formulas give."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: make torch")
from trading_dag.models.deep.networks import SPREAD_ATTENTION, SPREAD_LSTM, build_network  # noqa: E402

INPUTS = 40


def lstm(inputs: int, units: int, *, directions: int) -> int:
    """Four gates, each with weights of the input and of the state before, and two biases as torch keeps them."""
    return directions * 4 * units * (inputs + units + 2)


def dense(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def spread_network(outputs: int = 3) -> Any:
    return build_network(SPREAD_LSTM, {"inputs": INPUTS, "outputs": outputs}, seed=1)


def test_the_spread_network_has_as_many_parameters_as_its_formulas_say() -> None:
    layers = [lstm(INPUTS, 128, directions=2), lstm(256, 64, directions=2), lstm(128, 32, directions=1)]
    layers += [dense(32, 64), dense(64, 32), dense(32, 3)]
    norms = [2 * size for size in (256, 128, 32, 64, 32)]
    assert sum(layers) + sum(norms) == 364_995  # the same by hand
    assert sum(parameter.numel() for parameter in spread_network().parameters()) == 364_995


def test_the_spread_network_runs_its_layers_in_the_specified_order() -> None:
    network, order = spread_network(), []
    for layer in network.children():
        layer.register_forward_hook(lambda layer, _, __: order.append(layer))
    network(torch.zeros(2, 60, INPUTS))

    def told(layer: Any) -> str:
        if isinstance(layer, torch.nn.LSTM):
            return f"{'BiLSTM' if layer.bidirectional else 'LSTM'} {layer.hidden_size}"
        if isinstance(layer, torch.nn.Linear):
            return f"Dense {layer.out_features}"
        return f"dropout {layer.p}" if isinstance(layer, torch.nn.Dropout) else type(layer).__name__

    assert [told(layer) for layer in order] == [
        "BiLSTM 128", "LayerNorm", "dropout 0.4", "BiLSTM 64", "LayerNorm", "dropout 0.4",
        "LSTM 32", "LayerNorm", "dropout 0.3", "Dense 64", "LayerNorm", "dropout 0.3",
        "Dense 32", "LayerNorm", "dropout 0.2", "Dense 3",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [SPREAD_LSTM, SPREAD_ATTENTION])
def test_every_session_of_a_sequence_reaches_the_output(kind: str) -> None:
    layers = {"inputs": 4, "outputs": 3, **({"steps": 60} if kind == SPREAD_ATTENTION else {})}
    network = build_network(kind, layers, seed=1).eval()
    sequences = torch.randn(1, 60, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
    network(sequences).sum().backward()
    assert (sequences.grad.abs().sum(dim=2) > 0).all()


def test_a_seed_gives_one_set_of_weights_and_moves_no_other_generator() -> None:
    before = torch.random.get_rng_state()
    first, again = spread_network().state_dict(), spread_network().state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert torch.equal(torch.random.get_rng_state(), before)
