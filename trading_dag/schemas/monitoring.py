"""How far data and accuracy have moved."""

from __future__ import annotations

from typing import Final

from trading_dag.schemas.table import HORIZON, TICKER, Column, Table, number, text

DRIFT_KINDS: Final = ("feature", "prediction")
# On what a score is judged: forecasts that were recorded on the day, or those that the folds made out of sample.
JUDGED_ON: Final = ("log", "out_of_sample")

DRIFT: Final = Table(
    "monitoring", "drift", "ticker_horizon", ("ticker", "horizon", "as_of_session", "feature"),
    (
        TICKER, HORIZON,
        Column("as_of_session", "date", "last session of the recent window", nullable=False),
        text("feature", "name of the feature, or task and column of the forecast: direction.probability_up",
             nullable=False),
        text("kind", "feature: what the models read; prediction: what the served models say. NULL in rows reported "
             "before there were two: feature", allowed=DRIFT_KINDS),
        number("psi", "population stability index of the recent window against the training window", minimum=0.0),
        number("psi_limit", "95 % quantile of the same statistic on blocks of the training window", minimum=0.0),
        Column("is_breached", "bool", "psi above its limit", nullable=False),
        Column("n_recent", "int64", "sessions in the recent window", nullable=False, minimum=0),
        Column("n_reference", "int64", "sessions in the training window", nullable=False, minimum=0),
    ),
    "How far each safe feature, and what the served models say, has moved from the window the model was trained on.",
    session_column="as_of_session",
)  # fmt: skip

ACCURACY: Final = Table(
    "monitoring", "accuracy", "ticker_horizon", ("ticker", "horizon", "as_of_session", "task", "metric"),
    (
        TICKER, HORIZON,
        Column("as_of_session", "date", "session at whose close the newest outcome of the window was known",
               nullable=False),
        text("task", "what is forecast", nullable=False, allowed=("direction", "volatility", "price")),
        text("metric", "brier_sign, rps or coverage_90, as in evaluation.metrics", nullable=False),
        text("model", "served model", nullable=False),
        text("baseline", "what it is held against; nominal: the 90 % that its interval promises", nullable=False),
        text("judged_on", "log: forecasts that predictions.log recorded before their outcome could be known; "
             "out_of_sample: those of predictions.*, while the log has too few", allowed=JUDGED_ON, nullable=False),
        Column("first_session", "date", "first forecast of the window", nullable=False),
        Column("last_session", "date", "last forecast of the window", nullable=False),
        Column("n", "int64", "forecasts in the window, all with a known outcome", nullable=False, minimum=1),
        Column("n_reference", "int64", "out-of-sample forecasts before the window: the evaluation period",
               nullable=False, minimum=0),
        number("value", "mean score of the window; of coverage_90 the share of outcomes inside", nullable=False),
        number("baseline_value", "the baseline's on the same forecasts; 0.9 of coverage_90", nullable=False),
        number("gain", "how much better the model is than the baseline, positive = better; of coverage_90 the share "
               "inside less 0.9", nullable=False),
        number("expected_gain", "mean gain in the evaluation period; NULL without one"),
        number("band_low", "lower end of the band of the gain: of scores the 5 % quantile over windows of the "
               "evaluation period, of coverage_90 that of a share whose outcomes depend on each other as those of "
               "the evaluation period do; NULL where it is shorter than four windows"),
        number("band_high", "upper end, the 95 % quantile"),
        Column("is_breached", "bool", "gain below band_low; of coverage_90 outside the band", nullable=False),
    ),
    "How good the newest forecasts were whose outcome is known, against what the evaluation period lets expect.",
    session_column="as_of_session", may_be_empty=True,
)  # fmt: skip
