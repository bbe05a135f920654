"""What several trade plans came to in one account. What each of them came to is ``plan_results``'."""

from __future__ import annotations

from dataclasses import dataclass

from trading_dag.backtest.plans.trade_plan import AccountRules
from trading_dag.backtest.results.plan_results import PlanResult
from trading_dag.backtest.trades.account import AccountHistory


@dataclass(frozen=True)
class AccountResult:
    """Holds what several plans came to in one account.

    Attributes
    ----------
    results : of each plan, in their order; the history of each is the whole account's.
    account : starting cash, limits and interest.
    history : cash, marks and equity of the account, mark by mark of the market.
    """

    results: list[PlanResult]
    account: AccountRules
    history: AccountHistory

    @property
    def total_profit_usd(self) -> float:
        """Return the summed profit of all closed trades after fees."""
        return float(sum(result.total_profit_usd for result in self.results))
