"""One row of figures about a trade plan's result, and how it compares with others. Nothing is traded here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trading_dag.backtest.plans.exit_rules import EXPIRATION_EXIT
from trading_dag.backtest.results.plan_results import PlanResult

if TYPE_CHECKING:
    import pandas as pd

    from trading_dag.backtest.results.performance import EquityStatistics


@dataclass(frozen=True)
class PlanSummary:
    """Holds figures of one plan; USD after fees, fractions elsewhere, NaN where there is nothing to judge.

    Attributes
    ----------
    closed, open_at_end, skipped : entries by what became of them.
    win_rate : closed trades with a profit above zero.
    profit_factor : summed gains over summed losses; NaN without losses.
    total_usd : of the closed trades, after their fees both ways.
    fees_usd : of all trades; open ones have paid theirs one way.
    exposure : sessions over whose close a position was held.
    statistics : of the account's equity, interest included. Sharpe and Sortino ratio are over what idle cash earns,
        so that interest is no skill.
    deflated_sharpe : probability that the Sharpe ratio exceeds the best of ``trials`` by luck alone.
    greatest_margin_usd, greatest_portfolio_margin_usd : the most that was held over one close, by the rule that sizes
        trades, and what a portfolio margin would have asked for the same trades one by one; NaN where a mark implies
        no volatility.
    losses_beyond_defined_risk : closed trades that lost more than defined risk and fees.
    delayed_exits : trades that a rule demanded to leave at a session at which a leg had no quote; they were held on.
    delayed_to_expiration : those of them that no later quote let go before they expired.
    skip_reasons : counts.
    profit_by_exit_reason : trades and USD.
    """

    name: str
    closed: int
    open_at_end: int
    skipped: int
    win_rate: float
    profit_factor: float
    total_usd: float
    fees_usd: float
    exposure: float
    statistics: EquityStatistics
    deflated_sharpe: float
    greatest_margin_usd: float
    greatest_portfolio_margin_usd: float
    losses_beyond_defined_risk: int
    delayed_exits: int
    delayed_to_expiration: int
    skip_reasons: dict[str, int]
    profit_by_exit_reason: dict[str, tuple[int, float]]


def summarize(result: PlanResult, *, trials: int = 1) -> PlanSummary:
    """Return the figures of one result; ``trials`` is how many plans were tried, for the deflated Sharpe ratio."""
    import pandas as pd

    from trading_dag.backtest.results.performance import deflated_sharpe, equity_statistics, excess_returns

    profit = result.profit_usd[result.is_closed]
    gains, losses = float(profit[profit > 0].sum()), -float(profit[profit < 0].sum())
    sessions = pd.DatetimeIndex(result.market.sessions.astype("datetime64[s]"))
    equity, start = result.history.equity, result.plan.account.account_usd
    rate = np.full(len(sessions), result.plan.account.interest_rate)
    return PlanSummary(
        name=result.plan.name,
        closed=int(result.is_closed.sum()),
        open_at_end=int(result.is_open.sum()),
        skipped=int((~result.is_taken).sum()),
        win_rate=float((profit > 0).mean()) if len(profit) else np.nan,
        profit_factor=gains / losses if losses > 0 else np.nan,
        total_usd=float(profit.sum()),
        fees_usd=float(result.fees_usd.sum()),
        exposure=float((result.history.open_positions > 0).mean()),
        statistics=equity_statistics(equity, sessions, rate=rate, start=start),
        deflated_sharpe=deflated_sharpe(excess_returns(equity, sessions, rate=rate, start=start), trials=trials),
        greatest_margin_usd=result.greatest_held_usd(result.contracts * result.margin_usd),
        greatest_portfolio_margin_usd=result.greatest_held_usd(result.portfolio_margin_usd),
        losses_beyond_defined_risk=int(result.loss_beyond_defined_risk.sum()),
        delayed_exits=int((result.missed_exits > 0).sum()),
        delayed_to_expiration=int(((result.missed_exits > 0) & (result.exit_reason == EXPIRATION_EXIT)).sum()),
        skip_reasons=result.skip_reasons(),
        profit_by_exit_reason=result.profit_by_exit_reason(),
    )


def comparison(results: Sequence[PlanResult]) -> pd.DataFrame:
    """Return one row per plan, best total first; there are as many trials as plans.

    Picking the best of many on one stretch of data proves nothing, which the deflated Sharpe ratio is there to say.
    """
    import pandas as pd

    summaries = [summarize(result, trials=len(results)) for result in results]
    frame = pd.DataFrame({
        "plan": [summary.name for summary in summaries],
        "trades": [summary.closed for summary in summaries],
        "open": [summary.open_at_end for summary in summaries],
        "skipped": [summary.skipped for summary in summaries],
        "win_rate": [summary.win_rate for summary in summaries],
        "profit_factor": [summary.profit_factor for summary in summaries],
        "total_pnl_usd": [summary.total_usd for summary in summaries],
        "fees_usd": [summary.fees_usd for summary in summaries],
        "exposure": [summary.exposure for summary in summaries],
        "sharpe": [summary.statistics.sharpe for summary in summaries],
        "sortino": [summary.statistics.sortino for summary in summaries],
        "max_drawdown": [summary.statistics.max_drawdown for summary in summaries],
        "deflated_sharpe": [summary.deflated_sharpe for summary in summaries],
        "losses_beyond_defined_risk": [summary.losses_beyond_defined_risk for summary in summaries],
    })  # fmt: skip
    return frame.sort_values("total_pnl_usd", ascending=False, kind="stable", ignore_index=True)
