"""What was fitted, on which data, from what choice."""

from __future__ import annotations

from typing import Final

from trading_dag.regime_observations import NAMING_REGIME_INPUTS, REGIME_INPUT_CHOICES
from trading_dag.schemas.feature_names import MARKET_STATES
from trading_dag.schemas.table import HORIZON, TICKER, Column, Table, number, text

INPUT_REASONS: Final = (
    "used", "indicator", "below_top_k", "constant", "below_presence", "not_chosen", "not_safe", "not_listed",
)  # fmt: skip
INPUTS: Final = Table(
    "models", "inputs", "ticker_horizon", ("ticker", "horizon", "model", "fold", "feature"),
    (
        TICKER, HORIZON,
        text("model", "model name", nullable=False),
        Column("fold", "int64", "walk-forward fold, 1 to 5; 6 is the live model fitted on everything", nullable=False,
               minimum=1),
        text("feature", "feature name, or that of an indicator", nullable=False),
        text("feature_group", "group of features that it belongs to, or that an indicator stands for"),
        Column("is_used", "bool", "whether the fold's estimator reads it", nullable=False),
        text("reason", "used; indicator: it says where a group that begins late is missing; or why it is not read: "
             "below_top_k by its score, constant, below_presence, not_chosen by the settings, not_safe (a level), "
             "not_listed among the inputs of its model", nullable=False, allowed=INPUT_REASONS),
        number("score", "mutual information with the label in the fold's training part, nats; times known_fraction "
               "where it begins late", minimum=0.0),
        number("presence_fraction", "share of the last sessions of the training part where it is present; what is "
               "dropped by presence is dropped by this", minimum=0.0, maximum=1.0),
        number("known_fraction", "share of all rows of the training part where it is present", minimum=0.0,
               maximum=1.0),
        Column("begins_late", "bool", "whether it is present enough now and was not over the whole training part",
               nullable=False),
        text("gaps", "how a missing value reaches the estimator: as_gaps, median (of the training part), or "
             "median_and_indicator; NULL for what is not used",
             allowed=("as_gaps", "median", "median_and_indicator")),
    ),
    "Which features each fold reads, from what, how, and why the others are left out.",
    session_column=None,
)  # fmt: skip

SELECTION_STABILITY: Final = Table(
    "models", "selection_stability", "ticker_horizon", ("ticker", "horizon", "model", "feature"),
    (
        TICKER, HORIZON,
        text("model", "model name", nullable=False),
        text("feature", "feature name", nullable=False),
        Column("folds", "int64", "walk-forward folds that chose, the live model left out", nullable=False, minimum=1),
        Column("selected_folds", "int64", "folds that chose the feature", nullable=False, minimum=0),
        number("mean_score", "mean over the folds of its mutual information with the label, nats", minimum=0.0),
        number("score_deviation", "standard deviation of that over the folds, nats", minimum=0.0),
        number("stability", "of the model's choices: 1 where all folds are alike, about 0 at random", maximum=1.0),
    ),
    "How far the folds agree on which features they chose; their training parts overlap, which flatters.",
    session_column=None,
)  # fmt: skip

REGISTRY: Final = Table(
    "models", "registry", "ticker_horizon", ("ticker", "horizon", "model", "fold"),
    (
        TICKER, HORIZON,
        text("model", "model name", nullable=False),
        Column("fold", "int64", "walk-forward fold, 1 to 5; 6 is the live model", nullable=False, minimum=1),
        text("version", "immutable version in the model store", nullable=False),
        text("model_version", "what forecasts, signals and trades name it by: 8 digits of the model's content hash"),
        text("status", "fitted, or insufficient_data", nullable=False, allowed=("fitted", "insufficient_data")),
        text("reason", "why a fold could not be fitted"),
        Column("train_first_session", "date", "first training session"),
        Column("train_last_session", "date", "last training session"),
        Column("fitted_through", "date", "last target session the fit has seen"),
        Column("n_train", "int64", "training rows", nullable=False, minimum=0),
        Column("n_features", "int64", "features used", nullable=False, minimum=0),
        number("threshold", "decision threshold of a binary model", minimum=0.0, maximum=1.0),
        text("hyperparameters", "JSON"),
        text("training", "JSON: what was chosen to be learnt from: since when, which features, how many"),
        text("class_counts", "JSON: training rows per class"),
        text("libraries", "JSON: library versions at fit time"),
        text("inputs", "JSON: content hash of each input slice"),
    ),
    "Every fitted model and fold: data window, size, threshold, versions.",
    session_column=None,
)  # fmt: skip

DECISIONS: Final = (
    "first", "same_model", "newest", "other_code", "other_settings", "not_comparable", "too_few_sessions", "restated",
    "no_worse", "worse", "not_recorded",
)  # fmt: skip
VERSIONS: Final = Table(
    "models", "versions", "ticker_horizon", ("ticker", "horizon", "family", "version"),
    (
        TICKER, HORIZON,
        text("family", "model family, such as direction_classifier", nullable=False),
        text("version", "immutable version in the model store", nullable=False),
        text("model_version", "what forecasts, signals and trades name it by: the last 8 digits", nullable=False),
        Column("fitted_at", "timestamp", "when it was fitted, UTC", nullable=False),
        Column("serves", "bool", "whether forecasts and signals use it: one version of a family does", nullable=False),
        Column("train_first_session", "date", "first training session of its live model"),
        Column("train_last_session", "date", "last training session of its live model"),
        Column("fitted_through", "date", "last target session that its live model has seen"),
        text("decision", "which rule decided whether it serves when it was fitted: no_worse and worse by comparison; "
             "first, same_model, newest (the setting, or --serve), other_code, other_settings, not_comparable, "
             "too_few_sessions and restated without; not_recorded for a version from before, or of a killed run",
             nullable=False, allowed=DECISIONS),
        text("reason", "the decision in words"),
        text("compared_with", "the version that served when it was fitted, where the two were compared"),
        text("metric", "the proper score that they were compared by; smaller is better"),
        Column("compared_sessions", "int64", "sessions that the folds of both forecast out of sample, with a known "
               "outcome", nullable=False, minimum=0),
        number("score", "mean of the score on them"),
        number("score_of_other", "mean of the other version's on the same sessions"),
        number("difference", "that of the other less its own: positive where it is better"),
        number("difference_ci_low", "lower end of the paired bootstrap interval of the difference"),
        number("difference_ci_high", "upper end"),
        text("last_event", "what happened to it last", allowed=("fitted", "promoted", "rolled_back")),
        Column("last_event_at", "timestamp", "when, UTC"),
        text("last_reason", "why; of a promotion or a rollback what the person said"),
    ),
    "Every stored version of every model: its data window, whether it serves, and why.",
    session_column=None,
)  # fmt: skip

COEFFICIENTS: Final = Table(
    "models", "coefficients", "ticker_horizon", ("ticker", "horizon", "model", "fold", "class_name", "feature"),
    (
        TICKER, HORIZON,
        text("model", "model name", nullable=False),
        Column("fold", "int64", "walk-forward fold, 1 to 5; 6 is the live model", nullable=False, minimum=1),
        text("class_name", "whose log-odds it moves, of two classes the second; ln_index_at_target: that logarithm "
             "itself", nullable=False),
        text("feature", "column that the model reads", nullable=False),
        number("coefficient", "regressions: change of the log-odds, or of the logarithm, per standard deviation of the "
               "training rows"),
        number("gain", "trees: mean gain of the splits on the column, 0 without one", minimum=0.0),
    ),
    "What each fold has learnt of each of its columns.",
    session_column=None,
)  # fmt: skip

REGIME_HMM: Final = Table(
    "models", "regime_hmm", "ticker", ("ticker", "serves_from", "state"),
    (
        TICKER,
        Column("serves_from", "date", "first session of the year that the fit serves", nullable=False),
        text("state", "market state, named by its statistics", nullable=False, allowed=MARKET_STATES),
        Column("fitted_first_session", "date", "first session of the fit", nullable=False),
        Column("fitted_through", "date", "last session of the fit, before the year it serves", nullable=False),
        Column("n_train", "int64", "sessions of the fit", nullable=False, minimum=1),
        Column("iterations", "int64", "steps of expectation maximisation", nullable=False, minimum=1),
        Column("is_converged", "bool", "whether the likelihood had come to rest", nullable=False),
        number("mean_log_likelihood", "per session of the fit, nats", nullable=False),
        number("start_probability", "P(state) before the first session", minimum=0.0, maximum=1.0, nullable=False),
        *(
            number(f"probability_to_{state}", "P(that state one session on | this state)", minimum=0.0, maximum=1.0,
                   nullable=False)
            for state in MARKET_STATES
        ),
        *(
            number(f"mean_{name}", "mean in this state, in the input's unit; NULL where the fit does not observe it",
                   nullable=name not in NAMING_REGIME_INPUTS)
            for name in REGIME_INPUT_CHOICES
        ),
        *(
            number(f"covariance_{left}_{right}", "covariance in this state; NULL where the fit does not observe both",
                   nullable=not {left, right} <= set(NAMING_REGIME_INPUTS))
            for place, left in enumerate(REGIME_INPUT_CHOICES)
            for right in REGIME_INPUT_CHOICES[place:]
        ),
    ),
    "Parameters of the five-state Gaussian hidden Markov model, one fit a calendar year, frozen once made.",
    session_column=None,
)  # fmt: skip
