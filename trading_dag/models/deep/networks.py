"""The layers of the networks. Imports torch, so only functions import this module.

Here belongs what a network consists of, in which order. How it is trained stands in ``training_loop``, what is kept of
it in ``network_estimator``. Every network takes (rows, steps, inputs), oldest step first, and gives (rows, outputs):
logits of the classes of one horizon after the other, or one number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import nn

SPREAD_LSTM: Final = "spread_lstm"
SPREAD_ATTENTION: Final = "spread_attention"
PRICE_LSTM: Final = "price_lstm"


class SpreadLstm(nn.Module):
    """Two bidirectional LSTMs and one that reads them, then two dense layers, each normalised and thinned out.

    BiLSTM 128, LayerNorm, dropout 0.4; BiLSTM 64, LayerNorm, dropout 0.4; LSTM 32 (its last state), LayerNorm, dropout
    0.3; Dense 64, LayerNorm, dropout 0.3; Dense 32, LayerNorm, dropout 0.2; one output for each class. The dense layers
    are rectified before they are normalised.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.lstm_1 = nn.LSTM(inputs, 128, batch_first=True, bidirectional=True)
        self.norm_1, self.drop_1 = nn.LayerNorm(256), nn.Dropout(0.4)
        self.lstm_2 = nn.LSTM(256, 64, batch_first=True, bidirectional=True)
        self.norm_2, self.drop_2 = nn.LayerNorm(128), nn.Dropout(0.4)
        self.lstm_3 = nn.LSTM(128, 32, batch_first=True)
        self.norm_3, self.drop_3 = nn.LayerNorm(32), nn.Dropout(0.3)
        self.dense_1, self.norm_4, self.drop_4 = nn.Linear(32, 64), nn.LayerNorm(64), nn.Dropout(0.3)
        self.dense_2, self.norm_5, self.drop_5 = nn.Linear(64, 32), nn.LayerNorm(32), nn.Dropout(0.2)
        self.output = nn.Linear(32, outputs)

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """Return the logits, (rows, outputs)."""
        states = self.drop_1(self.norm_1(self.lstm_1(sequences)[0]))
        states = self.drop_2(self.norm_2(self.lstm_2(states)[0]))
        last = self.drop_3(self.norm_3(self.lstm_3(states)[0][:, -1]))
        hidden = self.drop_4(self.norm_4(torch.relu(self.dense_1(last))))
        return self.output(self.drop_5(self.norm_5(torch.relu(self.dense_2(hidden)))))


class SpreadAttention(nn.Module):
    """One layer of self-attention, four heads of eight, over embedded sessions with learnt positions.

    The last session's state is classified.
    """

    def __init__(self, inputs: int, outputs: int, *, steps: int, width: int = 32) -> None:
        super().__init__()
        self.embed = nn.Linear(inputs, width)
        self.position = nn.Parameter(torch.zeros(steps, width))
        self.attend = nn.MultiheadAttention(width, 4, dropout=0.2, batch_first=True)
        self.norm_1, self.drop_1 = nn.LayerNorm(width), nn.Dropout(0.3)
        self.dense_1, self.dense_2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.norm_2, self.drop_2 = nn.LayerNorm(width), nn.Dropout(0.3)
        self.output = nn.Linear(width, outputs)

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """Return the logits, (rows, outputs)."""
        states = self.embed(sequences) + self.position
        # Only the last session asks: what the others would have learnt of each other is not read.
        last = states[:, -1:]
        last = self.norm_1(last + self.drop_1(self.attend(last, states, states, need_weights=False)[0]))[:, 0]
        hidden = self.dense_2(torch.relu(self.dense_1(last)))
        return self.output(self.norm_2(last + self.drop_2(hidden)))


class PriceLstm(nn.Module):
    """A small LSTM whose last state, thinned out, gives one number."""

    def __init__(self, inputs: int, *, units: int, layers: int, dropout: float) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(inputs, units, num_layers=layers, batch_first=True, dropout=between)
        self.norm, self.drop = nn.LayerNorm(units), nn.Dropout(dropout)
        self.output = nn.Linear(units, 1)

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """Return one number a row, (rows, 1)."""
        return self.output(self.drop(self.norm(self.lstm(sequences)[0][:, -1])))


_NETWORKS: Final[dict[str, Callable[..., nn.Module]]] = {
    SPREAD_LSTM: SpreadLstm, SPREAD_ATTENTION: SpreadAttention, PRICE_LSTM: PriceLstm,
}  # fmt: skip


def build_network(kind: str, layers: dict[str, Any], *, seed: int) -> nn.Module:
    """Return a new network of a kind, its weights drawn with the seed; the generator of others stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _NETWORKS[kind](**layers)
