"""Everything that a report shows of one plan's result: figures, profit by exit and by cause, Greeks, scenarios.

Frames and small values for tables, pages and pictures; how they look is not decided here, and no rule of the
plan is applied again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import FloatArray
from trading_dag.backtest.plans.exit_rules import EXIT_ORDER
from trading_dag.backtest.results.exposures import (
    AccountGreeks,
    PositionGreeks,
    ProfitAttribution,
    attribute_profit,
    greeks_through_time,
    position_greeks,
    scenario_profit,
)
from trading_dag.backtest.results.plan_results import PlanResult
from trading_dag.backtest.results.plan_summary import PlanSummary, summarize
from trading_dag.day_count import DAYS_PER_YEAR

if TYPE_CHECKING:
    import pandas as pd

    from trading_dag.backtest.results.random_entry import RandomEntry

SPOT_MOVES: Final = (-0.10, -0.05, -0.02, 0.0, 0.02, 0.05, 0.10)
VOLATILITY_MOVES: Final = (-0.05, -0.02, 0.0, 0.02, 0.05, 0.10)
CAUSES: Final = ("delta", "gamma", "theta", "vega", "expiration", "residual")
ALL_EXITS: Final = "all"
_POINTS: Final = 100.0


@dataclass(frozen=True)
class ScenarioGrid:
    """Holds the instantaneous profit at one session's close, by the model.

    Attributes
    ----------
    session : position in the market.
    is_of_open : of every position that is open at the end of the data; otherwise of one typical trade at its entry.
    positions, left_out : that are revalued; that are not, because a mark implies no volatility.
    profit_usd : (spot moves, volatility moves), USD.
    """

    session: int
    is_of_open: bool
    positions: int
    left_out: int
    profit_usd: FloatArray


@dataclass(frozen=True)
class PlanStudy:
    """Holds one plan's result and what follows from it.

    Attributes
    ----------
    result, summary : the trades and their figures.
    luck : what random entry would have given; None without closed trades.
    attribution : profit before fees by cause, by entry.
    greeks : of the account, by session.
    scenarios : None where no trade has volatilities.
    typical_row : row of the trade whose margin is the median of those whose marks imply volatilities; None for none.
    typical_volatilities : (legs,) of that trade at its entry, fractions; empty without one.
    rate : (sessions,) with which the Greeks of each session are computed.
    dividend_yield : the same for all of them.
    assumed : further assumptions in words, by name.
    """

    result: PlanResult
    summary: PlanSummary
    luck: RandomEntry | None
    attribution: ProfitAttribution
    greeks: AccountGreeks
    scenarios: ScenarioGrid | None
    typical_row: int | None
    typical_volatilities: FloatArray
    rate: FloatArray
    dividend_yield: float
    assumed: Mapping[str, str]

    @cached_property
    def exits_table(self) -> pd.DataFrame:
        """Return one row per exit reason, in the order of the rules, and ``all``; closed trades only, no rows without
        any.

        exit_reason, trades, win_rate, pnl_usd, fees_usd, delta_usd … residual_usd (the causes of the profit before
        fees, so that their sum is pnl_usd + fees_usd), mean_mae_usd and mean_mfe_usd (before fees).
        """
        import pandas as pd

        result = self.result
        adverse, favourable = result.excursions_usd
        columns = {
            "pnl_usd": result.profit_usd,
            "fees_usd": result.fees_usd,
            **{f"{cause}_usd": getattr(self.attribution, cause) for cause in CAUSES},
        }
        reasons = result.exit_reason
        rows = []
        for name in (*EXIT_ORDER, ALL_EXITS):
            chosen = result.is_closed if name == ALL_EXITS else result.is_closed & (reasons == name)
            if not chosen.any():
                continue
            rows.append(
                {
                    "exit_reason": name,
                    "trades": int(chosen.sum()),
                    "win_rate": float((result.profit_usd[chosen] > 0.0).mean()),
                    **{column: float(values[chosen].sum()) for column, values in columns.items()},
                    "mean_mae_usd": float(adverse[chosen].mean()),
                    "mean_mfe_usd": float(favourable[chosen].mean()),
                }
            )
        names = ("exit_reason", "trades", "win_rate", *columns, "mean_mae_usd", "mean_mfe_usd")
        return pd.DataFrame(rows, columns=list(names))

    @cached_property
    def greeks_table(self) -> pd.DataFrame:
        """One row a session: delta (USD per USD of the underlying), gamma (delta per USD), vega_usd (per volatility
        point), theta_usd (per calendar day), open_positions, unexplained (positions left out of the sums)."""
        import pandas as pd

        return pd.DataFrame({
            "session": self.result.market.sessions.astype("datetime64[s]"),
            "delta": self.greeks.delta,
            "gamma": self.greeks.gamma,
            "vega_usd": self.greeks.vega / _POINTS,
            "theta_usd": self.greeks.theta / DAYS_PER_YEAR,
            "open_positions": self.result.history.open_positions,
            "unexplained": self.greeks.unexplained,
        })  # fmt: skip

    @cached_property
    def residual_share(self) -> float:
        """Return how much of the closed trades' profit before fees no cause explains, at least 0; NaN without any.

        The greater of two: the summed residual over the summed profit, and, because the residuals of trades may cancel,
        the sum of their sizes over that of all causes.
        """
        closed = self.result.is_closed
        parts = np.array([getattr(self.attribution, cause)[closed] for cause in CAUSES])
        if not np.abs(parts).sum() > 0.0:
            return np.nan
        residual, total = parts[CAUSES.index("residual")], abs(float(parts.sum()))
        summed = abs(float(residual.sum())) / total if total > 0.0 else 0.0
        return max(summed, float(np.abs(residual).sum() / np.abs(parts).sum()))

    @property
    def random_runs_are_alike(self) -> bool:
        """Return whether every random run made the very same trades, so that the p-value says nothing."""
        totals = np.empty(0) if self.luck is None else self.luck.totals_usd
        return bool(len(totals) and np.ptp(totals) <= 1e-9 * max(1.0, float(np.abs(totals).max())))


def study_plan(
    result: PlanResult,
    *,
    luck: RandomEntry | None,
    rate: ArrayLike = 0.0,
    dividend_yield: float = 0.0,
    assumed: Mapping[str, str] | None = None,
) -> PlanStudy:
    """Summarize a result, attribute its profit and value it in scenarios.

    Parameters
    ----------
    luck : from ``backtest.plan_runs.random_entry_runs``; None without closed trades.
    rate : continuously compounded, of Greeks and scenarios: one, or (sessions,) as known at each session's close.
    dividend_yield : continuously compounded, for every session.
    assumed : what the caller assumed, in words, by name.
    """
    positions = position_greeks(result, rate=rate, dividend_yield=dividend_yield)
    typical = _typical_trade(result, positions)
    return PlanStudy(
        result=result,
        summary=summarize(result),
        luck=luck,
        attribution=attribute_profit(result, positions),
        greeks=greeks_through_time(result, positions),
        scenarios=_scenarios(result, positions, typical=typical, rate=rate, dividend_yield=dividend_yield),
        typical_row=None if typical is None else int(positions.rows[typical]),
        typical_volatilities=np.empty(0) if typical is None else positions.volatility[typical, 0],
        rate=result.market.by_session(rate),
        dividend_yield=dividend_yield,
        assumed=dict(assumed or {}),
    )


def _typical_trade(result: PlanResult, positions: PositionGreeks) -> int | None:
    """Place among the trades of the one whose margin is the median, of those with volatilities at their entry."""
    known = (
        np.flatnonzero(np.isfinite(positions.volatility[:, 0]).all(axis=1)) if len(positions.rows) else np.empty(0, int)
    )
    if not len(known):
        return None
    margin = (result.margin_usd * result.contracts)[positions.rows[known]]
    order = np.argsort(margin, kind="stable")
    return int(known[order[(len(order) - 1) // 2]])


def _scenarios(
    result: PlanResult, positions: PositionGreeks, *, typical: int | None, rate: ArrayLike, dividend_yield: float
) -> ScenarioGrid | None:
    """Of what is open at the end of the data where its marks imply volatilities, otherwise of the typical trade."""
    last = len(result.market) - 1
    is_here = positions.is_marked & (result.paths.at[positions.rows] == last)
    has_volatility = np.isfinite(positions.volatility).all(axis=2)
    count = int((is_here & has_volatility).sum())
    if count:
        session, whose, left_out = last, positions, int((is_here & ~has_volatility).sum())
    elif typical is not None:
        whose = _trade_alone(positions, typical)
        session, left_out = int(result.paths.positions.entry[positions.rows[typical]]), 0
    else:
        return None
    profit = scenario_profit(
        result, whose, session=session, spot_moves=SPOT_MOVES, volatility_moves=VOLATILITY_MOVES, rate=rate,
        dividend_yield=dividend_yield,
    )  # fmt: skip
    return ScenarioGrid(session, bool(count), count or 1, left_out, profit)


def _trade_alone(positions: PositionGreeks, trade: int) -> PositionGreeks:
    return PositionGreeks(**{field.name: getattr(positions, field.name)[[trade]] for field in fields(positions)})
