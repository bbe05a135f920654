"""How a stack weighs its learners."""

from __future__ import annotations

from typing import Final

from trading_dag.schemas.table import HORIZON, TICKER, Column, Table, number, text

STACK_WEIGHTS: Final = Table(
    "models", "stack_weights", "ticker_horizon", ("ticker", "horizon", "model", "fold", "learner"),
    (
        TICKER, HORIZON,
        text("model", "the stack", nullable=False),
        Column("fold", "int64", "walk-forward fold, 1 to 5; 6 is the live model", nullable=False, minimum=1),
        text("learner", "whose forecasts are weighed; random_walk, which says that the price stays, has what the "
             "others leave of one", nullable=False),
        number("weight", "of the learner in the blend, learnt from forecasts of rows that it had not seen", minimum=0.0,
               maximum=1.0, nullable=False),
        number("inner_gain", "how much less the blend errs than the random walk on the purged inner folds by which its "
               "penalty was chosen, as a share; 0 where the random walk was chosen", nullable=False),
    ),
    "The weight of each learner in a stack, by fold.",
    session_column=None,
    may_be_empty=True,
)  # fmt: skip
