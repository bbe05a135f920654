"""A backtest in one call, for whoever has quotes in a DataFrame and no warehouse.

Nothing is computed here that ``plan_runs`` does not compute for everybody: a frame becomes a market, words become a
plan, and the result is handed over in frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.strike_terms import StrikeTerms
from trading_dag.backtest.plans.trade_plan import (
    AccountRules,
    ExpirationChoice,
    FillAssumptions,
    StrikeChoice,
    TradePlan,
)
from trading_dag.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

    from trading_dag.backtest.markets.chain_market import ChainMarket
    from trading_dag.backtest.markets.dividends import Dividends
    from trading_dag.backtest.markets.quote_frame import QuoteCounts
    from trading_dag.backtest.results.plan_results import PlanResult
    from trading_dag.backtest.results.random_entry import RandomEntry
    from trading_dag.backtest.trades.entries import Entries
    from trading_dag.options.structures.structure import Structure

Strikes = StrikeTerms | Sequence[StrikeChoice]


@dataclass(frozen=True)
class QuotesBacktest:
    """Holds what a backtest of a frame of quotes came to.

    Attributes
    ----------
    result : the engine's own, in arrays.
    counts : what became of the frame's rows.
    entries : as they were asked for.
    dividends, rate : that the run assumed.
    """

    result: PlanResult
    counts: QuoteCounts
    entries: Entries
    dividends: Dividends | None
    rate: float

    @cached_property
    def trades(self) -> pd.DataFrame:
        """Return one row per entry, taken or skipped with its reason (``PlanResult.trades``)."""
        return self.result.trades()

    @cached_property
    def equity(self) -> pd.DataFrame:
        """Return the starting cash, then cash, marks and equity at every session (``PlanResult.equity``)."""
        return self.result.equity()

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Return one row of figures after fees (``plan_summary.comparison``)."""
        from trading_dag.backtest.results.plan_summary import comparison

        return comparison([self.result])

    def by_days_and_delta(
        self, *, days: Sequence[int] | None = None, deltas: Sequence[float] | None = None
    ) -> pd.DataFrame:
        """Return the results of the same plan on the same entries within each bucket of days and of delta.

        Parameters
        ----------
        days, deltas : edges of the buckets, ascending (``plans.days_and_delta``); None for the usual ones.
        """
        from trading_dag.backtest.plans.days_and_delta import DAY_EDGES, DELTA_EDGES
        from trading_dag.backtest.runs.cell_runs import run_cells

        return run_cells(
            self.result, entries=self.entries, dividends=self.dividends, rate=self.rate, days=days or DAY_EDGES,
            deltas=deltas or DELTA_EDGES,
        )  # fmt: skip

    def against_random_entry(self, *, runs: int = 1_000, seed: int = 42) -> RandomEntry:
        """Return how the profit compares with as many trades entered on random sessions."""
        from trading_dag.backtest.runs.plan_runs import random_entry_runs

        return random_entry_runs(
            self.result.market, self.result, runs=runs, seed=seed, dividends=self.dividends, rate=self.rate
        )


def backtest(
    quotes: pd.DataFrame,
    structure: str | Structure,
    *,
    ticker: str | None = None,
    strikes: Strikes | None = None,
    expiration: int | ExpirationChoice = 30,
    entries: Literal["weekly", "daily"] | Sequence[object] | pd.Series = "weekly",
    exits: Mapping[str, float] | ExitRules | None = None,
    fills: FillAssumptions | None = None,
    account: AccountRules | None = None,
    dividends: Dividends | None = None,
    rate: float | None = None,
) -> QuotesBacktest:
    """Return the trades, equity and figures of one structure on end-of-day quotes, after spreads and fees.

    Parameters
    ----------
    quotes : one row a contract and quote date: quote_date, expiration, strike, option_right (C, P, call, put),
        underlying_price, and bid and ask, or last with volume. Common names of vendors' columns are understood
        (``options.chains.rows.ALIASES``). A delta column is used as it is; without one the delta is that of
        implied_volatility, and without that of a volatility fitted to the quotes.
    structure : a name such as ``iron_condor``, or a ``Structure``.
    ticker : which underlying, where the frame has several, or how to call it, where it names none. The name says
        whose contracts they are: exercise, settlement and margin of an index differ from those of a share.
    strikes : ``StrikeTerms(delta=0.3, width=5)``, or one choice a leg; None for the structure's own rules.
    expiration : calendar days aimed at (half to twice as many are accepted), or an ``ExpirationChoice``.
    entries : the first session of each week, every session, or the sessions at whose close something was known: the
        entry is then at the quotes of the exchange's next session, never at those of the same close.
    exits : ``{"profit_target": 0.5, "days_to_expiration": 7}`` in the words of docs/exits.md, or ``ExitRules``; None
        holds to expiration.
    fills, account : how quotes become prices; size, fees and limits. None for the usual ones.
    dividends : of the underlying; None where they are unknown, and none is then paid or owed.
    rate : continuously compounded, for volatilities that are fitted and legs that are not quoted; None for the usual
        one of the settings.

    Raises
    ------
    SchemaError : for a missing column, which it names, or values that cannot be.
    ConfigurationError : for a word that means nothing, or terms that contradict each other.

    Notes
    -----
    Rows that are no quotes are left out and counted (``counts``). Everything else is the engine of
    ``trading-dag backtest --structure``; docs/methodology.md has its rules.

    Examples
    --------
    >>> from trading_dag.backtest import StrikeTerms, backtest
    >>> result = backtest(quotes, "bull_put_spread", strikes=StrikeTerms(delta=0.3, width=20), expiration=14,
    ...                   exits={"profit_target": 0.5})
    >>> result.summary[["trades", "win_rate"]].iloc[0].to_dict()
    {'trades': 3.0, 'win_rate': 1.0}
    >>> result.counts.used == len(quotes)
    True
    """
    from trading_dag.backtest.markets.quote_frame import quoted_market, quotes_of_frame
    from trading_dag.backtest.plans.structure_plans import exit_rules
    from trading_dag.backtest.runs.plan_runs import run_plan
    from trading_dag.setting_groups import SurfaceSettings

    assumed_rate = SurfaceSettings().risk_free_rate if rate is None else rate
    rules = exits if isinstance(exits, ExitRules) else exit_rules(exits or {})
    plan = _plan(structure, strikes=strikes, expiration=expiration, exits=rules, account=account or AccountRules())
    kept, refused, name = quotes_of_frame(quotes, ticker=ticker)
    quoted = quoted_market(
        kept, refused=refused, ticker=name, fills=fills or FillAssumptions(), rate=assumed_rate
    )  # fmt: skip
    asked = _entries(quoted.market, entries)
    result = run_plan(quoted.market, plan, entries=asked, dividends=dividends, rate=assumed_rate)
    return QuotesBacktest(result, quoted.counts, asked, dividends, assumed_rate)


def _plan(
    structure: str | Structure,
    *,
    strikes: Strikes | None,
    expiration: int | ExpirationChoice,
    exits: ExitRules,
    account: AccountRules,
) -> TradePlan:
    from trading_dag.backtest.plans.structure_plans import expiration_near, strike_choices
    from trading_dag.options.structures.structure import structure_of
    from trading_dag.setting_groups import BacktestSettings

    meant = structure_of(structure) if isinstance(structure, str) else structure
    if strikes is None or isinstance(strikes, StrikeTerms):
        choices = strike_choices(meant, settings=BacktestSettings())
        chosen = choices if strikes is None else strikes.applied(meant, choices)
    else:
        chosen = tuple(strikes)
    when = expiration if isinstance(expiration, ExpirationChoice) else expiration_near(expiration)
    return TradePlan(meant.name, meant, chosen, when, exits, account)


def _entries(market: ChainMarket, asked: object) -> Entries:
    from trading_dag.backtest.trades.entries import entries_every_session, entries_weekly

    if isinstance(asked, str):
        rules = {"weekly": entries_weekly, "daily": entries_every_session}
        if asked not in rules:
            raise ConfigurationError(f"unknown entry rule {asked!r}; choose from {', '.join(rules)}, or give sessions")
        return rules[asked](market)
    from trading_dag.backtest.runs.plan_inputs import entries_of_sessions

    return entries_of_sessions(market, asked)
