"""What was fitted, on which data, from what choice."""

from __future__ import annotations

from typing import Final

from trading_dag.schemas.table import HORIZON, TICKER, Column, Table, number, text

FEATURE_SELECTION: Final = Table(
    "models", "feature_selection", "ticker_horizon", ("ticker", "horizon", "model", "fold", "feature"),
    (
        TICKER, HORIZON,
        text("model", "model name", nullable=False),
        Column("fold", "int64", "walk-forward fold, 1 to 5; 6 is the live model fitted on everything", nullable=False,
               minimum=1),
        text("feature", "feature name", nullable=False),
        Column("selected", "bool", "whether the fold used it", nullable=False),
        text("reason", "selected, below_top_k, below_presence or constant", nullable=False,
              allowed=("selected", "below_top_k", "below_presence", "constant")),
        number("score", "mutual information with the label in the fold's training part, nats", minimum=0.0),
        number("presence_fraction", "share of training rows where it is present", minimum=0.0, maximum=1.0),
    ),
    "Which features each fold chose, from what, and why the others were left out.",
    session_column=None,
)  # fmt: skip

REGISTRY: Final = Table(
    "models", "registry", "ticker_horizon", ("ticker", "horizon", "model", "fold"),
    (
        TICKER, HORIZON,
        text("model", "model name", nullable=False),
        Column("fold", "int64", "walk-forward fold, 1 to 5; 6 is the live model", nullable=False, minimum=1),
        text("version", "immutable version in the model store", nullable=False),
        text("status", "fitted, or insufficient_data", nullable=False, allowed=("fitted", "insufficient_data")),
        text("reason", "why a fold could not be fitted"),
        Column("train_first_session", "date", "first training session"),
        Column("train_last_session", "date", "last training session"),
        Column("fitted_through", "date", "last target session the fit has seen"),
        Column("n_train", "int64", "training rows", nullable=False, minimum=0),
        Column("n_features", "int64", "features used", nullable=False, minimum=0),
        number("threshold", "decision threshold of a binary model", minimum=0.0, maximum=1.0),
        text("hyperparameters", "JSON"),
        text("class_counts", "JSON: training rows per class"),
        text("libraries", "JSON: library versions at fit time"),
        text("inputs", "JSON: content hash of each input slice"),
    ),
    "Every fitted model and fold: data window, size, threshold, versions.",
    session_column=None,
)  # fmt: skip
