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
