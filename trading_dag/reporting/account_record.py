"""The report of several trade plans in one account as a record that JSON can hold. Nothing is computed anew here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from trading_dag.backtest.results.plan_summary import summarize
from trading_dag.reporting.backtest_record import dates_as_text, finite_values, strike_text

if TYPE_CHECKING:
    from trading_dag.backtest.results.account_results import AccountResult
    from trading_dag.backtest.results.plan_results import PlanResult


def account_record(
    result: AccountResult, *, weights: Sequence[float], source: str | None, assumed: Mapping[str, str]
) -> dict[str, Any]:
    """Return plans with their trades, the account's figures and equity, and assumptions; what is no finite number is
    null.

    Parameters
    ----------
    weights : of each plan, as a share of the risk budget of its trades.
    assumed : what the caller assumed, in words, by name.
    """
    market = result.results[0].market
    plans = [_plan(one, weight) for one, weight in zip(result.results, weights, strict=True)]
    # Every plan's history is the whole account's, and so are the statistics of its curve.
    statistics = summarize(result.results[0]).statistics
    equity = dates_as_text(result.results[0].equity())
    record: dict[str, Any] = finite_values(
        {
            "ticker": market.ticker,
            "source": source,
            "first_session": str(market.sessions[0]),
            "last_session": str(market.sessions[-1]),
            "plans": plans,
            "account": {
                "total_usd": result.total_profit_usd,
                "fees_usd": sum(plan["fees_usd"] for plan in plans),
                "final_equity_usd": float(equity["equity_usd"].iloc[-1]),
                **asdict(statistics),
            },
            "equity": equity.to_dict("records"),
            "assumptions": {"account": asdict(result.account), "fills": asdict(market.fills), **assumed},
        }
    )
    return record


def _plan(result: PlanResult, weight: float) -> dict[str, Any]:
    summary, plan = summarize(result), result.plan
    return {
        "plan": plan.name,
        "weight": weight,
        "trades": summary.closed,
        "open": summary.open_at_end,
        "skipped": summary.skipped,
        "win_rate": summary.win_rate,
        "profit_factor": summary.profit_factor,
        "total_usd": summary.total_usd,
        "fees_usd": summary.fees_usd,
        "skip_reasons": summary.skip_reasons,
        "strikes": [strike_text(leg, choice) for leg, choice in zip(plan.structure.legs, plan.strikes, strict=True)],
        "expiration": asdict(plan.expiration),
        "exits": asdict(plan.exits),
        "all_trades": dates_as_text(result.trades()).to_dict("records"),
    }
