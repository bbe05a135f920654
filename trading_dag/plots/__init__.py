"""Figures of forecasts, skill and backtests, for the Dagster UI and the dashboard.

Each function takes a table of one slice and returns a figure; a table without enough rows gives a figure that says
so. Nothing here computes a result that a table does not hold, and nothing is written to disk.
"""

from trading_dag.plots.backtest import equity_against_benchmark, payoff_of_last_trade, profit_against_random_entry
from trading_dag.plots.canvas import to_png
from trading_dag.plots.direction import calibration, forecast_against_outcome
from trading_dag.plots.missing import missing_data
from trading_dag.plots.options import net_gamma_by_strike, payoff_at_expiration, smiles, term_structure
from trading_dag.plots.skill import skill_against_baseline
from trading_dag.plots.volatility import regime_confusion

__all__ = [
    "calibration",
    "equity_against_benchmark",
    "forecast_against_outcome",
    "missing_data",
    "net_gamma_by_strike",
    "payoff_at_expiration",
    "payoff_of_last_trade",
    "profit_against_random_entry",
    "regime_confusion",
    "skill_against_baseline",
    "smiles",
    "term_structure",
    "to_png",
]
