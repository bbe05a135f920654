"""Scores of spread forecasts, by hand; what is held against what."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trading_dag.frames import table_frame
from trading_dag.schemas import PREDICTIONS_SPREAD
from trading_dag.sessions import sessions_between, target_sessions
from trading_dag.setting_groups import BootstrapSettings
from trading_dag.slices import horizon_of
from trading_dag.validation.scores.metrics import point_weights
from trading_dag.validation.scores.spread_scoring import SpreadRows
from trading_dag.validation.verdicts.evaluation import evaluate

AT = horizon_of("24h")
THREE = pd.DataFrame(
    {
        "y_true": ["PUT_CREDIT", "HOLD", "CALL_CREDIT"],
        "y_pred": ["PUT_CREDIT", "HOLD", "HOLD"],
        "probability_put_credit": [0.5, 0.2, 0.0],
        "probability_call_credit": [0.25, 0.2, 0.0],
        "probability_hold": [0.25, 0.6, 1.0],
    }
)


def test_losses_are_those_computed_by_hand() -> None:
    losses = SpreadRows.of(THREE).losses
    assert losses["brier"] == pytest.approx([0.25 + 2 * 0.0625, 2 * 0.04 + 0.16, 2.0])
    assert losses["log_loss"] == pytest.approx([np.log(2), -np.log(0.6), np.log(1e6)])


def test_scores_of_all_classes_and_of_each_are_those_computed_by_hand() -> None:
    scores = {name: float(value[0]) for name, value in SpreadRows.of(THREE).scores(point_weights(3)).items()}
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["precision_hold"] == pytest.approx(1 / 2)
    assert scores["recall_call_credit"] == 0.0
    assert scores["f1_put_credit"] == 1.0
    assert "rps" not in scores  # the classes have no order


def predictions(n: int = 300) -> pd.DataFrame:
    """A model that knows something, a logistic that knows less, and two baselines."""
    random = np.random.default_rng(0)
    sessions = sessions_between("2020-01-02", "2024-12-31")[:n]
    classes = np.array(["PUT_CREDIT", "CALL_CREDIT", "HOLD"])
    codes = random.integers(0, 3, n)
    parts = []
    for model, known in (("spread_lstm", 0.3), ("spread_logistic", 0.1), ("class_prior", 0.0), ("persistence", 1.0)):
        said = random.integers(0, 3, n) if model == "persistence" else codes
        shares = (1 - known) / 3 + known * np.eye(3)[said]
        parts.append(
            table_frame(
                PREDICTIONS_SPREAD,
                {
                    "ticker": "SPY", "horizon": AT.key, "session": sessions,
                    "target_session": target_sessions(sessions, AT), "model": model, "fold": 1,
                    "fitted_through": sessions[0], "y_true": classes[codes], "y_pred": classes[shares.argmax(axis=1)],
                    "probability_put_credit": shares[:, 0], "probability_call_credit": shares[:, 1],
                    "probability_hold": shares[:, 2], "confidence": shares.max(axis=1),
                    "is_baseline": model in ("class_prior", "persistence"), "is_out_of_sample": True,
                },
                rows=n,
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def test_models_are_held_against_the_baselines_and_the_networks_against_the_logistic_too() -> None:
    found = evaluate(
        {"spread": predictions()}, horizon=AT, settings=BootstrapSettings(draws=100), minimum_class_rows=30
    )  # fmt: skip
    brier = found[found["metric"] == "brier"].set_index(["model", "baseline"])
    assert brier.loc[("spread_lstm", "class_prior"), "verdict"] == "skilled"
    assert brier.loc[("spread_lstm", "spread_logistic"), "verdict"] == "skilled"
    assert brier.loc[("spread_logistic", "class_prior"), "verdict"] == "skilled"
    assert ("spread_logistic", "spread_logistic") not in brier.index
    assert brier.loc[("spread_lstm", "persistence"), "verdict"] == "no_verdict"  # a hard call has no proper score
    accuracy = found[found["metric"] == "accuracy"].set_index(["model", "baseline"])
    assert accuracy.loc[("spread_lstm", "persistence"), "verdict"] == "skilled"
