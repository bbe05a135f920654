"""The report of a trade plan as a record that JSON can hold. ``reporting.backtest_page`` lays it out as a page."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from trading_dag.backtest.markets.chain_coverage import ChainCoverage, coverage_of
from trading_dag.backtest.plans.trade_plan import OwnRule, TargetDelta
from trading_dag.backtest.results.plan_results import ACTION_SEPARATOR
from trading_dag.backtest.results.plan_study import CAUSES, SPOT_MOVES, VOLATILITY_MOVES
from trading_dag.options.structures.structure import BackExpiryRule
from trading_dag.simulation.simulation_settings import NO_MARKET_DATA, is_simulated

if TYPE_CHECKING:
    from trading_dag.backtest.plans.trade_plan import StrikeChoice
    from trading_dag.backtest.results.plan_study import PlanStudy
    from trading_dag.options.structures.structure import Leg

SHORT: Final = "The chain has {sessions}. Nothing about so few can be significant."
FEW_SESSIONS: Final = 252
MADE_UP: Final = f"{NO_MARKET_DATA.capitalize()} (source {{source}}): the figures say nothing about any market."
ALIKE: Final = (
    "Every random run deals the very same trades, because the plan trades on each session that can be drawn: "
    "the p-value says nothing here."
)
HOLES: Final = (
    "The chain has {there} of the exchange's {all} sessions of this period; the longest of {holes} is of {longest}, "
    "{first} to {last}. Counts and exposure are of the sessions that are there. Sharpe and Sortino ratios are "
    "annualised by the {a_year:.0f} returns a year that there are, what was held over a hole counts at its other end, "
    "and CAGR is over the calendar, holes included."
)
UNEXPLAINED: Final = (
    "Profit by cause: {share:.0%} of the profit before fees is residual, which no cause explains (marks that imply no "
    "volatility, spreads, steps over holes): {residual:+,.0f} of {total:+,.0f} USD."
)
DELAYED: Final = (
    "{delayed:,} of {trades:,} trades had to be left at a session at which a leg had no quote, and were held on; "
    "{expired:,} of them to expiration."
)
ADJUSTED: Final = (
    "{count:,} of {trades:,} trades lived through {names}: their contracts were adjusted as the clearing house does, "
    "and their prices count in shares of the entry."
)
MOST_UNEXPLAINED: Final = 0.30
_QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)


def plan_record(study: PlanStudy, *, source: str | None) -> dict[str, Any]:
    """Return summary, exits, causes, Greeks, scenarios, equity, trades and assumptions; what is no finite number is
    null.

    Parameters
    ----------
    source : the recorded source of what the plan read.
    """
    result, summary, luck = study.result, study.summary, study.luck
    record: dict[str, Any] = finite_values(
        {
            "plan": result.plan.name,
            "ticker": result.market.ticker,
            "source": source,
            "first_session": str(result.market.sessions[0]),
            "last_session": str(result.market.sessions[-1]),
            "sessions": len(result.market),
            "exchange_sessions": chain_coverage(study).exchange_sessions,
            "summary": {**asdict(summary), "random_entry_p_value": None if luck is None else luck.p_value},
            "notes": notes(study, source=source),
            "exits": study.exits_table.to_dict("records"),
            "random_entry": _random_entry(study),
            "scenarios": _scenarios(study),
            "greeks": dates_as_text(study.greeks_table).to_dict("records"),
            "equity": dates_as_text(result.equity()).to_dict("records"),
            "trades": trade_records(study),
            "assumptions": assumptions(study),
        }
    )
    return record


def notes(study: PlanStudy, *, source: str | None) -> list[str]:
    """Return what a reader must know before believing the figures, one sentence each."""
    lines = [MADE_UP.format(source=source)] if is_simulated(source) else []
    if len(study.result.market) < FEW_SESSIONS:
        lines.append(SHORT.format(sessions=sessions_text(len(study.result.market))))
    lines += _about_holes(study) + _about_actions(study) + _about_exits(study) + _about_causes(study)
    if study.random_runs_are_alike:
        lines.append(ALIKE)
    return lines


def chain_coverage(study: PlanStudy) -> ChainCoverage:
    """Return which of the exchange's sessions the study's chain has."""
    return coverage_of(pd.DatetimeIndex(study.result.market.sessions).as_unit("us"))


def _about_holes(study: PlanStudy) -> list[str]:
    there = chain_coverage(study)
    if there.longest is None:
        return []
    holes = "1 hole" if len(there.holes) == 1 else f"{len(there.holes):,} holes"
    return [
        HOLES.format(
            there=f"{there.sessions:,}", all=f"{there.exchange_sessions:,}", holes=holes,
            longest=sessions_text(there.longest.sessions), first=there.longest.first.date(),
            last=there.longest.last.date(), a_year=study.summary.statistics.sessions_per_year,
        )
    ]  # fmt: skip


def _about_actions(study: PlanStudy) -> list[str]:
    adjusted = study.result.adjusted_by[study.result.is_taken].tolist()
    lived = [names for names in adjusted if names]
    if not lived:
        return []
    named = "; ".join(dict.fromkeys(name for names in lived for name in names.split(ACTION_SEPARATOR)))
    return [ADJUSTED.format(count=len(lived), trades=len(adjusted), names=named)]


def _about_exits(study: PlanStudy) -> list[str]:
    summary = study.summary
    if not summary.delayed_exits:
        return []
    trades, expired = summary.closed + summary.open_at_end, summary.delayed_to_expiration
    return [DELAYED.format(delayed=summary.delayed_exits, trades=trades, expired=expired)]


def _about_causes(study: PlanStudy) -> list[str]:
    if not study.residual_share > MOST_UNEXPLAINED:
        return []
    total = study.exits_table.iloc[-1]
    gross = float(total["pnl_usd"] + total["fees_usd"])
    return [UNEXPLAINED.format(share=study.residual_share, residual=float(total["residual_usd"]), total=gross)]


def sessions_text(count: int) -> str:
    """Return a number of sessions in words."""
    return f"{count:,} session" if count == 1 else f"{count:,} sessions"


def assumptions(study: PlanStudy) -> dict[str, Any]:
    """Return everything that was assumed: the plan's rules and settings as they are, and conventions in words."""
    plan = study.result.plan
    return {
        "strikes": [strike_text(leg, choice) for leg, choice in zip(plan.structure.legs, plan.strikes, strict=True)],
        "expiration": asdict(plan.expiration),
        "exits": asdict(plan.exits),
        "account": asdict(plan.account),
        "fills": asdict(study.result.market.fills),
        "quotes": "bought at the ask, sold at the bid; without them, the last trade and a half spread",
        "settlement": "intrinsic value at the close of the expiration; opening-settled contracts are skipped",
        "marks": "the middle of bid and ask, or the last trade; a leg in the money without either by the volatility of "
        "the other right at its strike, American where the contract is; otherwise as the session before",
        "greeks": f"Black-Scholes-Merton, European, at the volatility of each leg's own mark; {_rates(study)}, "
        f"dividend yield {study.dividend_yield:.4f} for every session",
        "causes": "session by session with the Greeks at its start; from the last marks to settlement: expiration; "
        "spreads, slippage, higher orders and sessions whose marks imply no volatility are residual",
        **study.assumed,
    }


def _rates(study: PlanStudy) -> str:
    lowest, highest = float(study.rate.min()), float(study.rate.max())
    if lowest == highest:
        return f"rate {lowest:.4f} at every session"
    return f"rate as known at each session, {lowest:.4f} to {highest:.4f}"


def strike_text(leg: Leg, choice: StrikeChoice) -> str:
    """Return in words how a leg's strike is chosen, and how long the leg outlives the front leg if it does."""
    head = f"{leg.side} {leg.ratio} {'call' if leg.option_right == 'C' else 'put'}"
    if isinstance(leg.expiry_rule, BackExpiryRule):
        head += f" that expires {leg.expiry_rule.days_after_front} or more days later,"
    if isinstance(choice, TargetDelta):
        within = f"within {choice.tolerance:.2f}"
        if choice.bounds is not None:
            within = f"from {choice.bounds[0]:.2f} to {choice.bounds[1]:.2f}"
        return f"{head} at {choice.absolute_delta:.2f} delta ({within})"
    if isinstance(choice, OwnRule):
        return f"{head} by its own rule on the strike grid"
    if choice.distance == 0.0:
        return f"{head} at the strike of leg {choice.from_leg + 1}"
    size = abs(choice.distance)
    width = f"{size:.2%} of spot" if choice.unit == "spot_fraction" else f"{size:g} USD"
    return (
        f"{head} {width} further {'out of' if choice.distance > 0 else 'in'} the money than leg {choice.from_leg + 1}"
    )


def trade_records(study: PlanStudy) -> list[dict[str, Any]]:
    """Return every entry, taken or skipped, with the causes of its profit."""
    trades = dates_as_text(study.result.trades())
    for cause in CAUSES:
        trades[f"{cause}_usd"] = getattr(study.attribution, cause)
    return [{str(name): value for name, value in row.items()} for row in trades.to_dict("records")]


def dates_as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the same frame with dates as ISO text, None for missing ones."""
    shown = frame.copy()
    for name in shown.columns[[dtype.kind == "M" for dtype in shown.dtypes]]:
        shown[name] = shown[name].dt.strftime("%Y-%m-%d").where(shown[name].notna(), None)
    return shown


def _random_entry(study: PlanStudy) -> dict[str, Any] | None:
    luck = study.luck
    if luck is None or not len(luck.totals_usd):
        return None
    return {
        "p_value": luck.p_value,
        "runs": len(luck.totals_usd),
        "mean_usd": luck.mean_usd,
        "quantiles_usd": dict(zip(map(str, _QUANTILES), np.quantile(luck.totals_usd, _QUANTILES), strict=True)),
        "sessions": luck.sessions,
        "is_with_replacement": luck.is_with_replacement,
    }


def _scenarios(study: PlanStudy) -> dict[str, Any] | None:
    grid = study.scenarios
    if grid is None:
        return None
    return {
        "session": str(study.result.market.sessions[grid.session]),
        "of": "open positions" if grid.is_of_open else "a typical trade at its entry",
        "positions": grid.positions,
        "left_out": grid.left_out,
        "spot_moves": SPOT_MOVES,
        "volatility_moves": VOLATILITY_MOVES,
        "profit_usd": grid.profit_usd.tolist(),
    }


def finite_values(value: Any) -> Any:
    """Return the same value with None for every number that JSON cannot express."""
    if isinstance(value, dict):
        return {str(name): finite_values(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite_values(entry) for entry in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return finite_values(value.item()) if hasattr(value, "item") else value
