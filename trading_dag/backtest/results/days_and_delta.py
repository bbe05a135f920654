"""Results of a grid of plans by days to expiration and delta, as a table. What the cells are is ``plans``' work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from trading_dag.arrays import FloatArray
from trading_dag.backtest.plans.days_and_delta import Cell
from trading_dag.backtest.results.plan_results import PlanResult

if TYPE_CHECKING:
    import pandas as pd


def table_of_cells(cells: Sequence[Cell], results: Sequence[PlanResult]) -> pd.DataFrame:
    """Return one row a cell: days, delta, trades, open, skipped, win_rate, mean_pnl_usd, total_pnl_usd,
    mean_return_on_margin, worst_pnl_usd.

    After fees. Of the trades, those that are ``open`` at the end of the data count at their last marks: what is still
    open has often not reached its target, so that the closed ones alone would look better than the plan is. NaN where
    there is no trade. The cells are as many tries on one stretch of data: the best of them says little.
    """
    import pandas as pd

    rows = []
    for cell, result in zip(cells, results, strict=True):
        taken = result.is_taken
        profit = profit_at_marks_usd(result)[taken]
        at_risk = (result.margin_usd * result.contracts)[taken]
        has_trades = len(profit) > 0
        rows.append(
            {
                "days": cell.days_text,
                "delta": cell.deltas_text,
                "trades": len(profit),
                "open": int(result.is_open.sum()),
                "skipped": int((~taken).sum()),
                "win_rate": float((profit > 0.0).mean()) if has_trades else np.nan,
                "mean_pnl_usd": float(profit.mean()) if has_trades else np.nan,
                "total_pnl_usd": float(profit.sum()),
                "mean_return_on_margin": float((profit / at_risk).mean()) if has_trades else np.nan,
                "worst_pnl_usd": float(profit.min()) if has_trades else np.nan,
            }
        )
    return pd.DataFrame(rows)


def profit_at_marks_usd(result: PlanResult) -> FloatArray:
    """Return the profit of every trade after the fees paid so far, open ones at their last marks; NaN where skipped."""
    paths, account = result.paths, result.plan.account
    last = paths.is_held.shape[1] - 1 - np.argmax(paths.is_held[:, ::-1], axis=1)
    rows = np.arange(len(last))
    worth = paths.mark[rows, last] + paths.dividends_received[rows, last] - paths.positions.premium
    # What was never opened may have an infinite worth, and no contracts.
    worth = np.where(result.is_open, worth, 0.0)
    at_marks = result.contracts * float(account.multiplier) * worth - result.fees_usd
    return np.where(result.is_open, at_marks, result.profit_usd)
