"""One plan as a grid of plans, each within a bucket of days to expiration and a bucket of delta. Nothing is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from trading_dag.backtest.plans.strike_terms import StrikeTerms
from trading_dag.backtest.plans.trade_plan import ExpirationChoice, TradePlan
from trading_dag.errors import ConfigurationError

DAY_EDGES: Final = (0, 7, 14, 30, 45, 60, 90)
DELTA_EDGES: Final = (0.05, 0.15, 0.25, 0.35, 0.45, 0.55)


@dataclass(frozen=True)
class Cell:
    """Holds one bucket of days (from the first to the last, inclusive), one of deltas, and the plan within them."""

    days: tuple[int, int]
    deltas: tuple[float, float]
    plan: TradePlan

    @property
    def days_text(self) -> str:
        """The bucket of days as a reader sees it."""
        return f"{self.days[0]}–{self.days[1]}"

    @property
    def deltas_text(self) -> str:
        """The bucket of deltas as a reader sees it."""
        return f"{self.deltas[0]:.2f}–{self.deltas[1]:.2f}"


def cells_of(plan: TradePlan, *, days: Sequence[int] = DAY_EDGES, deltas: Sequence[float] = DELTA_EDGES) -> list[Cell]:
    """Return the plan once for every pair of buckets, by days and then by delta.

    Expirations beyond a bucket are not taken, nor strikes of the main legs (``StrikeTerms``) whose delta lies outside.
    Buckets of days no longer than a roll's days are left out, because what is opened there would be due to roll.

    Parameters
    ----------
    days : ascending edges in calendar days; a bucket is from the day after one to the next one.
    deltas : ascending edges of absolute delta.

    Raises
    ------
    ConfigurationError : for edges that do not ascend, or fewer than two.
    """
    for name, edges in (("days", days), ("deltas", deltas)):
        if len(edges) < 2 or any(later <= earlier for earlier, later in pairwise(edges)):
            raise ConfigurationError(f"{name} of buckets are at least two ascending edges, not {list(edges)}")
    roll_days = plan.exits.roll_days_to_expiration or 0
    cells = []
    for below, last in pairwise(days):
        expiration = ExpirationChoice((below + 1 + last) // 2, below + 1, last)
        if expiration.target_days <= roll_days:
            continue
        for low, high in pairwise(deltas):
            strikes = StrikeTerms(delta_range=(low, high)).applied(plan.structure, plan.strikes)
            cell = replace(plan, strikes=strikes, expiration=expiration)
            cells.append(Cell((below + 1, last), (low, high), cell))
    return cells
