"""Which scores positions in the underlying get, from rows of predictions.allocation.

Sessions overlap where the horizon is longer than one: each row is an account of its own that holds its position to the
target. Means are of such accounts, and the blocks of the bootstrap carry what they share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.day_count import SESSIONS_PER_YEAR
from trading_dag.slices import horizon_of
from trading_dag.validation.scores import metrics
from trading_dag.validation.scores.allocation_score import sharpe_ratio, strategy_returns, volatility_adjusted_sharpe
from trading_dag.validation.scores.scoring import ScoredRows


@dataclass(frozen=True)
class AllocationRows(ScoredRows):
    """Holds positions of one model with their outcomes.

    Attributes
    ----------
    position, market, cash : per session, fractions.
    periods_per_year : horizons in a year.
    """

    position: FloatArray
    market: FloatArray
    cash: FloatArray
    periods_per_year: float

    @classmethod
    def of(cls, frame: pd.DataFrame) -> AllocationRows:
        """Return the positions from rows of predictions.allocation whose outcome is known."""
        position, market, cash = (
            frame[name].to_numpy(dtype=np.float64) for name in ("position", "y_true", "cash_return")
        )
        horizon = horizon_of(str(frame["horizon"].iloc[0])) if len(frame) else None
        years = SESSIONS_PER_YEAR / horizon.scaling_sessions if horizon else float(SESSIONS_PER_YEAR)
        return cls(position, market, cash, years)

    @property
    def losses(self) -> dict[str, FloatArray]:
        """Return minus the growth above cash of each session's account."""
        earned = strategy_returns(self.position, self.market, self.cash)
        return {"lost_growth": -np.log1p(earned - self.cash)}

    def rows_of(self, metric: str) -> int:  # noqa: ARG002
        """Return the number of all rows: every metric scores them."""
        return len(self.position)

    def scores(self, weights: metrics.Weights) -> dict[str, FloatArray]:
        """Return Sharpe ratios, plain and adjusted, what is lost against cash, and the mean position."""
        weights = weights.astype(np.float64, copy=False)
        earned = strategy_returns(self.position, self.market, self.cash)
        return {
            "adjusted_sharpe": volatility_adjusted_sharpe(
                weights, self.position, self.market, self.cash, periods_per_year=self.periods_per_year
            ),
            "sharpe": sharpe_ratio(weights, earned, self.cash, periods_per_year=self.periods_per_year),
            "lost_growth": metrics.mean_of(weights, self.losses["lost_growth"]),
            "mean_position": metrics.mean_of(weights, self.position),
        }
