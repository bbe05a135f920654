"""What must hold for a fitted model before it is stored. What breaks a rule is found in ``learning.soundness``."""

from __future__ import annotations

from typing import Final

from trading_dag.quality.rules import Rule

FOLDS_IN_TIME: Final = Rule(
    "folds_in_time",
    "No fold has learnt from an outcome that was not known when the first session that it forecasts had closed, and "
    "later folds of a model have learnt from no less than earlier ones.",
)
SHARES_ADD_UP: Final = Rule(
    "shares_add_up",
    "Each class has one name, the shares of the classes lie between 0 and 1 and add up to 1, thresholds are "
    "probabilities, and every score of a fold is a number.",
)
INPUTS_ARE_TOLD_APART: Final = Rule(
    "inputs_are_told_apart", "Every fold that was fitted has an estimator, and reads no column twice."
)
LIVE_MODELS_ARE_FITTED: Final = Rule(
    "live_models_are_fitted",
    "Of every model that could be fitted in an earlier fold, the live one could be too.",
    severity="warn",
    is_blocking=False,
)
SERVES: Final = Rule(
    "new_version_serves",
    "The version is no worse than the one before it, or the first, so it serves. Where it is worse, the one before "
    "goes on serving: nothing is broken, and the reason stands here.",
    severity="warn",
    is_blocking=False,
)
RULES_OF_MODELS: Final = (FOLDS_IN_TIME, SHARES_ADD_UP, INPUTS_ARE_TOLD_APART, LIVE_MODELS_ARE_FITTED)
