"""What a fitted model must be before it is stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from trading_dag.models.learning.fitted import FittedFold, FittedModel
from trading_dag.models.learning.soundness import OBJECTIONS, live_columns
from trading_dag.quality.model_rules import (
    FOLDS_IN_TIME,
    INPUTS_ARE_TOLD_APART,
    LIVE_MODELS_ARE_FITTED,
    RULES_OF_MODELS,
    SHARES_ADD_UP,
)
from trading_dag.quality.rules import Rule


def fold(number: int, **values: Any) -> FittedFold:
    year = 2010 + number
    given = {
        "model": "direction_logistic", "fold": number, "estimator": object(), "features": ("rsi_14", "hv_20"),
        "classes": ("DOWN", "UP"), "threshold": 0.5, "prior": {"DOWN": 0.4, "UP": 0.6},
        "train_first_session": pd.Timestamp("2005-01-03"), "train_last_session": pd.Timestamp(f"{year}-06-01"),
        "fitted_through": pd.Timestamp(f"{year}-06-02"), "serves_from": pd.Timestamp(f"{year}-06-03"),
        "n_train": 100, "class_counts": {"DOWN": 40, "UP": 60}, "status": "fitted", "reason": None,
        "selection": pd.DataFrame(), "hyperparameters": {}, **values,
    }  # fmt: skip
    return FittedFold(**given)


def model(*folds: FittedFold) -> FittedModel:
    return FittedModel("direction_classifier", "SPY", "24h", folds, 0.8, {}, {})


SOUND = model(fold(1), fold(2), fold(3))


def broken(rule: Rule, fitted: FittedModel) -> list[str]:
    return list(OBJECTIONS[rule](fitted))


def test_a_sound_model_breaks_no_rule() -> None:
    assert [rule.name for rule in RULES_OF_MODELS if broken(rule, SOUND)] == []


@pytest.mark.parametrize(
    ("rule", "values", "said"),
    [
        (FOLDS_IN_TIME, {"serves_from": pd.Timestamp("2012-06-01")}, "fold 2 learns"),
        (FOLDS_IN_TIME, {"fitted_through": pd.Timestamp("2012-05-31")}, "fold 2 learns"),
        (SHARES_ADD_UP, {"prior": {"DOWN": 0.4, "UP": 0.7}}, "add up to 1.1"),
        (SHARES_ADD_UP, {"prior": {"DOWN": -0.1, "UP": 1.1}}, "shares of classes"),
        (SHARES_ADD_UP, {"prior": {"DOWN": float("nan"), "UP": 1.0}}, "shares of classes"),
        (SHARES_ADD_UP, {"classes": ("UP", "UP")}, "a class twice"),
        (SHARES_ADD_UP, {"threshold": 1.2}, "threshold 1.2"),
        (SHARES_ADD_UP, {"metrics": {"brier": float("nan")}}, "no number for brier"),
        (INPUTS_ARE_TOLD_APART, {"features": ("rsi_14", "rsi_14")}, "reads rsi_14 twice"),
        (INPUTS_ARE_TOLD_APART, {"estimator": None}, "no estimator"),
    ],
)
def test_each_rule_finds_the_fold_that_breaks_it(rule: Rule, values: dict[str, Any], said: str) -> None:
    (found,) = broken(rule, model(fold(1), fold(2, **values), fold(3)))
    assert said in found
    assert "fold 2" in found


def test_a_later_fold_that_knows_less_is_found() -> None:
    back = replace(fold(2), train_last_session=pd.Timestamp("2009-06-01"), fitted_through=pd.Timestamp("2009-06-02"))
    assert broken(FOLDS_IN_TIME, model(fold(1), back)) == ["direction_logistic fold 2 knows less than the fold before"]


def test_a_live_model_without_enough_data_is_told_where_earlier_folds_had_enough() -> None:
    empty = {"status": "insufficient_data", "reason": "12 rows of UP", "estimator": None, "prior": {}}
    assert broken(LIVE_MODELS_ARE_FITTED, model(fold(1), fold(2, **empty))) == [
        "direction_logistic fold 2: 12 rows of UP"
    ]
    nothing = model(fold(1, **empty), fold(2, **empty))
    assert [rule.name for rule in RULES_OF_MODELS if broken(rule, nothing)] == []


def test_the_columns_of_the_live_models_are_told_with_who_reads_them() -> None:
    trees = fold(3, model="direction_xgboost", features=("hv_20", "vix_close"))
    assert live_columns(model(fold(1, features=("obv",)), fold(2), trees)) == {
        "rsi_14": ("direction_logistic",),
        "hv_20": ("direction_logistic", "direction_xgboost"),
        "vix_close": ("direction_xgboost",),
    }
