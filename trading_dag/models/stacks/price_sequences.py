"""What the LSTM of the price stack reads: the last sessions of a few daily columns, and how it is fitted.

Here belongs the sequence of daily bars and the base that learns from it. The network itself stands in
``deep.price_network``; where torch is absent it is left out, with the reason.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.models.deep.torch_library import why_deep_models_are_off
from trading_dag.models.estimators.real_learners import RealLearner
from trading_dag.models.learning.rows import feature_values
from trading_dag.setting_groups import PriceStackSettings

LSTM_DAILY: Final = "price_lstm_daily"
OFF_BY_SETTING: Final = "switched off by the settings (price_stack.lstm)"
DAILY_INPUTS: Final = (
    "returns_1d", "overnight_return", "hv_ratio_5_20", "volume_zscore_20", "vix_change_1d", "rsi_14",
)  # fmt: skip
_GAP: Final = 5


def daily_sequences(features: pd.DataFrame, *, steps: int) -> FloatArray:
    """Return what happened in the last sessions up to each one, (sessions, steps, inputs), oldest first.

    All of a sequence is NaN where there are fewer sessions before.
    """
    _, values = feature_values(features, DAILY_INPUTS)
    sequences = np.full((len(values), steps, len(DAILY_INPUTS)), np.nan)
    if len(values) >= steps:
        windows = np.lib.stride_tricks.sliding_window_view(values, steps, axis=0)
        sequences[steps - 1 :] = windows.transpose(0, 2, 1)
    return sequences


def why_no_lstm(settings: PriceStackSettings) -> str | None:
    """Return why the LSTM is no learner here; None where it is one."""
    return why_deep_models_are_off() if settings.lstm else OFF_BY_SETTING


def lstm_learner(settings: PriceStackSettings, *, seed: int) -> RealLearner:
    """Return the LSTM on daily bars, a small network with few epochs, on the last rows of a training part."""
    parameters: dict[str, Any] = {
        "units": 16, "epochs": settings.lstm_epochs, "patience": 2, "gap": _GAP, "seed": seed,
    }  # fmt: skip

    def fit(sequences: FloatArray, outcomes: FloatArray) -> Any:
        from trading_dag.models.deep.price_network import PriceNetworkSettings, fit_price_network

        last = slice(-settings.lstm_rows, None)
        return fit_price_network(sequences[last], outcomes[last], PriceNetworkSettings(**parameters))

    recorded = {**parameters, "steps": settings.lstm_steps, "rows": settings.lstm_rows, "inputs": list(DAILY_INPUTS)}
    return RealLearner(LSTM_DAILY, recorded, fit, reads_gaps=True, reads_features=False, reads_sequences=True)
