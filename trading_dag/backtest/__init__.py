"""Backtests: plans on markets of quotes, from entries to results.

``from trading_dag.backtest import backtest`` is all that a notebook needs; the names are imported when they are asked
for, so that importing one of the rooms loads nothing of the others.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from trading_dag.backtest.plans.exit_rules import ExitRules
    from trading_dag.backtest.plans.strike_terms import StrikeTerms
    from trading_dag.backtest.plans.trade_plan import (
        AccountRules,
        ExpirationChoice,
        FillAssumptions,
        TargetDelta,
        TradePlan,
        Width,
    )
    from trading_dag.backtest.runs.quotes_backtest import QuotesBacktest, backtest

_HOMES: Final = {
    "AccountRules": "plans.trade_plan",
    "ExitRules": "plans.exit_rules",
    "ExpirationChoice": "plans.trade_plan",
    "FillAssumptions": "plans.trade_plan",
    "QuotesBacktest": "runs.quotes_backtest",
    "StrikeTerms": "plans.strike_terms",
    "TargetDelta": "plans.trade_plan",
    "TradePlan": "plans.trade_plan",
    "Width": "plans.trade_plan",
    "backtest": "runs.quotes_backtest",
}
__all__ = [
    "AccountRules",
    "ExitRules",
    "ExpirationChoice",
    "FillAssumptions",
    "QuotesBacktest",
    "StrikeTerms",
    "TargetDelta",
    "TradePlan",
    "Width",
    "backtest",
]


def __getattr__(name: str) -> Any:
    """Return a public name from its home."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
