"""How much of an account the underlying should hold, and how such positions have done."""

from __future__ import annotations

from typing import Final

from trading_dag.schemas.predictions import PREDICTION_HEAD, PREDICTION_KEY, PREDICTION_TAIL
from trading_dag.schemas.raw import HULL_DAY
from trading_dag.schemas.table import Column, Table, number, text
from trading_dag.schemas.vocabulary import VERDICTS

PREDICTIONS_ALLOCATION: Final = Table(
    "predictions", "allocation", "ticker_horizon", PREDICTION_KEY,
    (
        *PREDICTION_HEAD,
        number("forecast", "return to the target less the interest of cash, fraction; NULL for a baseline"),
        number("volatility", "standard deviation of that return, known at the session, fraction", minimum=0.0),
        number("position", "share of the account in the underlying from the session's close to the target",
               minimum=0.0, maximum=2.0, nullable=False),
        number("cash_return", "interest of cash over the horizon, at the rate known at the session, fraction",
               nullable=False),
        number("y_true", "return of the underlying to the target, fraction; NULL while the future is not there"),
        number("strategy_return", "what the account earns over the horizon, fraction; NULL likewise"),
        *PREDICTION_TAIL,
    ),
    "Out-of-sample positions between 0 and 2 in the underlying, of the ensemble and of baselines.",
    may_be_empty=True,
)  # fmt: skip

HULL_ALLOCATION: Final = Table(
    "predictions", "hull_allocation", "none", ("date_id", "model"),
    (
        HULL_DAY,
        text("model", "model or baseline name", nullable=False),
        Column("fold", "int64", "walk-forward fold whose model holds the position", nullable=False, minimum=1),
        Column("fitted_through", "int64", "last day that the fold has learnt from, whose outcome was known by date_id",
               nullable=False, minimum=0),
        number("forecast", "return of the day that follows less the interest of cash, fraction; NULL for a baseline"),
        number("position", "share of the account in the market over the day that follows", minimum=0.0, maximum=2.0,
               nullable=False),
        number("forward_return", "return of the market over the day that follows, fraction"),
        number("cash_return", "interest of cash over it, fraction"),
        number("strategy_return", "what the account earned over it, fraction"),
        Column("is_baseline", "bool", "whether the row belongs to a naive baseline", nullable=False),
    ),
    "Positions between 0 and 2 on the days of the Hull competition, each held by a fold that had seen nothing later.",
    session_column=None, may_be_empty=True,
)  # fmt: skip

HULL_SCORES: Final = Table(
    "evaluation", "hull_allocation", "none", ("model", "metric", "baseline"),
    (
        text("model", "model or baseline that is scored", nullable=False),
        text("metric", "adjusted_sharpe: the competition's score; sharpe: annualised; mean_position; volatility_ratio: "
             "of the strategy to the market", nullable=False,
             allowed=("adjusted_sharpe", "sharpe", "mean_position", "volatility_ratio")),
        number("value", "over the test folds together"),
        number("ci_low", "lower end of the 95 % stationary-bootstrap interval"),
        number("ci_high", "upper end"),
        text("baseline", "what it is held against; 'none' for a row of its own", nullable=False),
        number("baseline_value", "the baseline's value on the same days"),
        number("difference", "model less baseline; positive is better"),
        number("difference_ci_low", "lower end of the paired interval"),
        number("difference_ci_high", "upper end"),
        text("verdict", "skilled, admissible or unskilled; no_verdict for what has no better direction",
             allowed=VERDICTS, nullable=False),
        Column("n", "int64", "days scored", nullable=False, minimum=0),
    ),
    "The competition's score of each model beside buying and holding, scaling by volatility alone, and the published "
    "recipe.",
    session_column=None, may_be_empty=True,
)  # fmt: skip
