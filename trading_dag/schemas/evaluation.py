"""How good the forecasts were, beside naive ones."""

from __future__ import annotations

from typing import Final

from trading_dag.schemas.table import HORIZON, TICKER, Column, Table, number, text
from trading_dag.schemas.vocabulary import TASKS, VERDICTS

METRICS: Final = Table(
    "evaluation", "metrics", "ticker_horizon", ("ticker", "horizon", "task", "model", "metric", "baseline"),
    (
        TICKER, HORIZON,
        text("task", "what is forecast", nullable=False, allowed=TASKS),
        text("model", "model or baseline that is scored", nullable=False),
        Column("is_served", "bool", "whether signals use the forecasts of this model"),
        text("metric", "metric name; _conditional means: on clear rows only, _10_sessions: that far ahead",
             nullable=False),
        number("value", "pooled over the test folds; NULL where insufficient"),
        number("ci_low", "lower end of the 95 % stationary-bootstrap interval"),
        number("ci_high", "upper end"),
        text("baseline", "baseline it is held against; 'none' for a baseline's own row", nullable=False),
        number("baseline_value", "the baseline's value on the same rows"),
        number("difference", "model against baseline, positive = better; of a coverage: how much nearer to nominal"),
        number("difference_ci_low", "lower end of the paired interval"),
        number("difference_ci_high", "upper end"),
        number("p_bootstrap", "share of bootstrap draws in which the model is no better, (1 + k) / (1 + draws)",
               minimum=0.0, maximum=1.0),
        text("verdict", "skilled, admissible, unskilled or insufficient_data; no_verdict: probabilities against a hard "
             "call, which anybody beats who hedges, or the width of an interval, which is no merit alone",
             allowed=VERDICTS, nullable=False),
        Column("n", "int64", "rows scored", nullable=False, minimum=0),
        Column("n_ambiguous", "int64", "rows within the dead band among the candidates", nullable=False, minimum=0),
        text("reason", "why data is insufficient"),
    ),
    "Every score beside its naive baseline, with a block-bootstrap interval and a verdict.",
    session_column=None,
)  # fmt: skip

MULTIPLICITY: Final = Table(
    "evaluation", "multiplicity", "none", ("task", "metric", "baseline", "model", "ticker", "horizon"),
    (
        TICKER, HORIZON,
        text("task", "what is forecast", nullable=False, allowed=TASKS),
        text("model", "model that is scored", nullable=False),
        Column("is_served", "bool", "whether signals use the forecasts of this model"),
        text("metric", "metric of the comparison", nullable=False),
        text("baseline", "baseline it is held against", nullable=False),
        Column("n", "int64", "rows scored", nullable=False, minimum=0),
        number("difference", "model against baseline, positive = better"),
        number("difference_ci_low", "lower end of the paired interval"),
        number("difference_ci_high", "upper end"),
        text("verdict", "verdict of this slice alone, as in evaluation.metrics", allowed=VERDICTS, nullable=False),
        number("p_diebold_mariano", "one-sided p-value, with the correction of Harvey, Leybourne and Newbold",
               minimum=0.0, maximum=1.0),
        number("p_bootstrap", "share of bootstrap draws in which the model is no better", minimum=0.0, maximum=1.0),
        number("p_value", "the larger of the two; NULL: not tested", minimum=0.0, maximum=1.0),
        Column("family", "int64", "distinct verdicts of the same task, metric and baseline that have a p-value",
               nullable=False, minimum=0),
        number("q_value", "p-value adjusted within the family, after Benjamini and Hochberg", minimum=0.0, maximum=1.0),
        number("q_value_any_dependence", "the same after Benjamini and Yekutieli, whatever the dependence",
               minimum=0.0, maximum=1.0),
        number("q_value_of_all", "p-value adjusted among the verdicts of all tasks, after Benjamini and Hochberg",
               minimum=0.0, maximum=1.0),
        Column("survives", "bool", "whether q_value is at most 0.05", nullable=False),
        Column("survives_any_dependence", "bool", "whether q_value_any_dependence is at most 0.05", nullable=False),
        text("repeats", "slice whose very rows are scored once more here; such a verdict is counted once"),
        text("shares_outcomes_with", "other tickers with the same volatility index: what is forecast is the same"),
    ),
    "Which verdicts stand once it is counted how many slices and models were tried.",
    session_column=None, may_be_empty=True,
)  # fmt: skip

IMPORTANCE: Final = Table(
    "evaluation", "importance", "ticker_horizon", ("ticker", "horizon", "task", "model", "kind", "feature"),
    (
        TICKER, HORIZON,
        text("task", "what is forecast", nullable=False, allowed=TASKS),
        text("model", "model name", nullable=False),
        text("kind", "feature, or group: all features of a group at once", nullable=False,
             allowed=("feature", "group")),
        text("feature", "name of the feature or of the group", nullable=False),
        number("importance", "increase of the Brier score where its values are shuffled among a fold's test sessions",
               nullable=False),
        number("ci_low", "lower end of the 95 % stationary-bootstrap interval"),
        number("ci_high", "upper end"),
        Column("folds", "int64", "folds that read it, the live model counted", nullable=False, minimum=1),
        Column("n", "int64", "sessions scored", nullable=False, minimum=1),
    ),
    "What out-of-sample forecasts lose where a feature, or a group of features, is shuffled.",
    session_column=None,
)  # fmt: skip

LIVE: Final = Table(
    "evaluation", "live", "ticker_horizon", ("ticker", "horizon", "source", "task", "model", "metric", "baseline"),
    (
        TICKER, HORIZON,
        text("source", "source of the rows that are scored", nullable=False),
        text("task", "what is forecast", nullable=False, allowed=TASKS),
        text("model", "model whose forecasts were recorded", nullable=False),
        text("metric", "metric name, as in evaluation.metrics", nullable=False),
        text("baseline", "baseline it is held against, as recorded on the day", nullable=False),
        number("value", "over the live rows whose outcome is known; NULL where insufficient"),
        number("ci_low", "lower end of the 95 % stationary-bootstrap interval"),
        number("ci_high", "upper end"),
        number("baseline_value", "the baseline's value on the same rows"),
        number("difference", "model against baseline, positive = better"),
        number("difference_ci_low", "lower end of the paired interval"),
        number("difference_ci_high", "upper end"),
        text("verdict", "skilled, admissible, unskilled or insufficient_data", allowed=VERDICTS, nullable=False),
        Column("n", "int64", "sessions scored: live, the first record of each, outcome known", nullable=False,
               minimum=0),
        Column("n_waiting", "int64", "live sessions whose outcome is not there yet", nullable=False, minimum=0),
        Column("n_not_live", "int64", "recorded rows that are not scored because they are not live", nullable=False,
               minimum=0),
        Column("n_repeated", "int64", "live rows that are not scored because the session has an earlier one",
               nullable=False, minimum=0),
        Column("first_session", "date", "first session scored"),
        Column("last_session", "date", "last session scored"),
        number("walk_forward_value", "value of evaluation.metrics for the same model, metric and baseline"),
        number("walk_forward_difference", "its difference"),
        text("walk_forward_verdict", "its verdict", allowed=VERDICTS),
        text("reason", "why data is insufficient"),
    ),
    "How good the forecasts were that were recorded before their outcome could be known, beside the walk-forward "
    "scores.",
    session_column=None, may_be_empty=True,
)  # fmt: skip
