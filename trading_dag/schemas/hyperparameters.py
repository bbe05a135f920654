"""What a search over hyperparameters has tried, and what of it is used."""

from __future__ import annotations

from typing import Final

from trading_dag.schemas.table import HORIZON, TICKER, Column, Table, number, text

TRIAL_STATES: Final = ("running", "complete", "pruned", "failed")
STUDY_WINDOWS: Final = ("before_tests", "all_rows")
_STUDY: Final = (
    TICKER, HORIZON,
    text("family", "learner that is tuned", nullable=False),
    text("study_window", "rows the search saw: before_tests, which no test part holds; all_rows, for the live model "
         "alone", nullable=False, allowed=STUDY_WINDOWS),
    text("study", "identifier of the search: learner, rows, space, folds and seed have another", nullable=False),
)  # fmt: skip
_FOUND_ON: Final = (
    text("score", "what the value is: brier_sign, rps, mae; less is better", nullable=False),
    number("reference_value", "the same score, on the same rows, of a forecast without features; NULL without one",
           minimum=0.0),
    Column("first_session", "date", "first session of the search's rows", nullable=False),
    Column("last_session", "date", "last session of the search's rows", nullable=False),
    Column("last_target_session", "date", "last session at which one of their labels was known", nullable=False),
    Column("n_rows", "int64", "how many they are", nullable=False, minimum=1),
    text("rows_hash", "SHA-256 of sessions, features, labels and outcomes", nullable=False),
    text("space_version", "hash of names, bounds and defaults that were searched", nullable=False),
    text("sampler", "rule that drew the parameters", nullable=False),
    Column("seed", "int64", "seed of the draws and of the learner", nullable=False, minimum=0),
)  # fmt: skip

HYPERPARAMETERS: Final = Table(
    "models", "hyperparameters", "ticker_horizon", ("ticker", "horizon", "study", "trial"),
    (
        *_STUDY,
        Column("trial", "int64", "number of the trial; 0 has the starting values", nullable=False, minimum=0),
        text("state", "running, complete, pruned (ended early, for it was worse than half of the others), failed",
             nullable=False, allowed=TRIAL_STATES),
        text("parameters", "JSON", nullable=False),
        number("value", "mean score over the purged inner folds; of a pruned trial over those it came to",
               minimum=0.0),
        text("fold_values", "JSON: the score on each inner fold", nullable=False),
        number("seconds", "for how long it was computed", minimum=0.0),
        Column("is_best", "bool", "whether it is the best of its search", nullable=False),
        Column("is_used", "bool", "whether fits use it: rows and space are as they were", nullable=False),
        text("reason", "why it failed"),
        Column("has_ended", "bool", "whether its search has used up a budget", nullable=False),
        Column("started_at", "timestamp", "when it was begun"),
        Column("finished_at", "timestamp", "when it ended"),
        *_FOUND_ON,
    ),
    "Every trial of every search over hyperparameters, with the rows it was tried on.",
    session_column=None,
    may_be_empty=True,
)  # fmt: skip

BEST_HYPERPARAMETERS: Final = Table(
    "models", "best_hyperparameters", "ticker_horizon", ("ticker", "horizon", "family", "study_window"),
    (
        *_STUDY,
        Column("trial", "int64", "number of the trial in models.hyperparameters", nullable=False, minimum=0),
        text("parameters", "JSON", nullable=False),
        number("value", "mean score over the purged inner folds", nullable=False, minimum=0.0),
        number("own_value", "the same of trial 0, the starting values; NULL where it failed", minimum=0.0),
        *_FOUND_ON,
    ),
    "The hyperparameters that fits use, and what they were found on; no row where a learner's own values hold.",
    session_column=None,
    may_be_empty=True,
)  # fmt: skip
