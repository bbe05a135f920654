"""How many sequences a second the spread LSTM learns from, beside a plain PyTorch loop of the same network.

Run ``python tests/bench/bench_networks.py``. The plain loop is what PyTorch's own tutorials show: the sequences laid
out once, a ``DataLoader`` that shuffles, Adam, clipped gradients. Both have one thread and the same batches; runs
alternate, so that a busy machine slows both alike, and processor time is compared.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

ROWS, INPUTS, STEPS, BATCH = 512, 42, 60, 32


def measure(repetitions: int = 5) -> dict[str, float]:
    """Sequences a second of processor time, ours and the plain loop's, and the ratio of the medians."""
    import torch

    from trading_dag.models.deep.networks import SPREAD_LSTM, build_network
    from trading_dag.models.deep.training_loop import TrainingPlan, train

    torch.set_num_threads(1)
    random = np.random.default_rng(42)
    values = torch.from_numpy(random.normal(size=(ROWS + STEPS, INPUTS)).astype(np.float32))
    wanted = torch.from_numpy(random.integers(0, 3, ROWS + STEPS))
    layers = {"inputs": INPUTS, "outputs": 3}
    ends = np.arange(STEPS - 1, STEPS - 1 + ROWS)
    before = torch.arange(1 - STEPS, 1)
    plan = TrainingPlan(1, 1, BATCH, 1e-3, 1e-4, 1.0, 1, "cpu")

    def ours() -> None:
        def loss(network: torch.nn.Module, at: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.cross_entropy(network(values[at[:, None] + before]), wanted[at])

        network = build_network(SPREAD_LSTM, layers, seed=1)
        train(network, loss, learnt=ends, held_out=ends[:1], plan=plan, name="bench")

    def plain() -> None:
        from torch.utils.data import DataLoader, TensorDataset

        network = build_network(SPREAD_LSTM, layers, seed=1).train()
        sequences = torch.stack([values[end - STEPS + 1 : end + 1] for end in ends])
        loader = DataLoader(TensorDataset(sequences, wanted[ends]), batch_size=BATCH, shuffle=True)
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=1e-4)
        for read, happened in loader:
            optimizer.zero_grad()
            mean = torch.nn.functional.cross_entropy(network(read), happened)
            mean.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()

    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(repetitions + 1):
        for name, run in (("ours", ours), ("plain", plain)):
            started = time.process_time()
            run()
            seconds[name].append(time.process_time() - started)
    medians = {name: statistics.median(times[1:]) for name, times in seconds.items()}  # the first of each warms up
    return {
        "ours_per_second": ROWS / medians["ours"],
        "plain_per_second": ROWS / medians["plain"],
        "ratio": medians["plain"] / medians["ours"],
    }


if __name__ == "__main__":
    for name, figure in measure().items():
        print(f"{name}: {figure:,.3f}")
