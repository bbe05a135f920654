"""One plan run within every bucket of days to expiration and of delta, on the same entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from trading_dag.backtest.plans.days_and_delta import DAY_EDGES, DELTA_EDGES, cells_of
from trading_dag.backtest.results.days_and_delta import table_of_cells
from trading_dag.backtest.runs.plan_runs import run_plans

if TYPE_CHECKING:
    import pandas as pd

    from trading_dag.backtest.markets.dividends import Dividends
    from trading_dag.backtest.results.plan_results import PlanResult
    from trading_dag.backtest.trades.entries import Entries


def run_cells(
    result: PlanResult,
    *,
    entries: Entries,
    dividends: Dividends | None = None,
    rate: ArrayLike = 0.0,
    days: Sequence[int] = DAY_EDGES,
    deltas: Sequence[float] = DELTA_EDGES,
) -> pd.DataFrame:
    """Return the results of a result's plan within each bucket, each with an account of its own (``table_of_cells``).

    Parameters
    ----------
    entries, dividends, rate : as the result was computed with them.
    days, deltas : edges of the buckets (``plans.days_and_delta.cells_of``).
    """
    cells = cells_of(result.plan, days=days, deltas=deltas)
    plans = [cell.plan for cell in cells]
    return table_of_cells(cells, run_plans(result.market, plans, entries=entries, dividends=dividends, rate=rate))
