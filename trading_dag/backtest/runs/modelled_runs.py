"""Trade plans on modelled quotes, each worked out once while a ticker's horizons follow one another.

Of the exits that are compared only one knows the horizon; all others come to the same on every horizon of a ticker, and
so do the chosen contracts and their paths. A process that computes one horizon after the other keeps them: for as many
markets as one comparison needs (the surface as it is, lower and higher), and no longer than until the next ticker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import numpy as np

from trading_dag.backtest.markets.market import Market
from trading_dag.backtest.markets.modelled_chain import first_quoted_position, modelled_chain
from trading_dag.backtest.plans.trade_plan import TradePlan
from trading_dag.backtest.results.plan_results import PlanResult
from trading_dag.backtest.runs.plan_inputs import known_dividends
from trading_dag.backtest.runs.plan_runs import Gathered, run_plans
from trading_dag.backtest.trades.entries import entries_weekly
from trading_dag.options.structures.structure import Structure

if TYPE_CHECKING:
    import pandas as pd

_MARKETS_KEPT: Final = 3


@dataclass(frozen=True)
class ModelledGround:
    """Holds what plans on modelled quotes follow from.

    Attributes
    ----------
    market : closes, index levels, rates and settings.
    prices : raw.prices_daily, for the dividends.
    menu : structures whose contracts are quoted.
    days_to_expiration, years : of the front expiration at entry, and how long the quotes reach back.
    """

    market: Market = field(compare=False)
    prices: pd.DataFrame = field(compare=False)
    menu: tuple[Structure, ...]
    days_to_expiration: int
    years: float
    content: bytes = field(init=False)

    def __post_init__(self) -> None:
        market, digest = self.market, blake2b(self.market.settings.model_dump_json().encode())
        dividend = self.prices["dividend"].to_numpy(dtype=np.float64, na_value=np.nan)
        days = (market.sessions.to_numpy(), self.prices["session"].to_numpy())
        for values in (*days, market.close, market.index_close, market.rate, dividend):
            digest.update(len(values).to_bytes(8, "little") + np.ascontiguousarray(values).tobytes())
        object.__setattr__(self, "content", digest.digest())


class ModelledRuns:
    """Runs trade plans on the quotes of one ground, with weekly entries.

    Raises
    ------
    InsufficientDataError : where no session has both a close and an index level.
    """

    def __init__(self, ground: ModelledGround) -> None:
        market = ground.market
        self.chain = modelled_chain(
            market,
            ground.menu,
            days_to_expiration=ground.days_to_expiration,
            first=first_quoted_position(market, years=ground.years),
        )
        self.entries = entries_weekly(self.chain)
        self.dividends = known_dividends(ground.prices, self.chain.sessions, are_split_adjusted=True).dividends
        self.rate = market.rate[market.sessions.searchsorted(self.chain.sessions.astype("datetime64[us]"))]
        self._gathered: Gathered = {}
        self._known: dict[TradePlan, PlanResult] = {}

    def results(self, plans: Sequence[TradePlan]) -> list[PlanResult]:
        """Return the results of these plans, in their order."""
        new = [plan for plan in dict.fromkeys(plans) if plan not in self._known]
        results = run_plans(
            self.chain, new, entries=self.entries, dividends=self.dividends, rate=self.rate, gathered=self._gathered
        )
        self._known |= dict(zip(new, results, strict=True))
        return [self._known[plan] for plan in plans]


@lru_cache(maxsize=_MARKETS_KEPT)
def modelled_runs(ground: ModelledGround) -> ModelledRuns:
    """Return the runs on a ground: those that this process has, or new ones."""
    return ModelledRuns(ground)
