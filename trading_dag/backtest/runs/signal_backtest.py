"""What the signals would have earned: each recommended structure as a trade plan on the modelled surface.

Entries are at the open after the signal's session. A position is left at the horizon's close at the latest, earlier
where the settings name other exits. The engine is ``plan_runs``'; here signals become its entries, one account a rule,
and the comparators and stresses are asked for. The tables are ``signal_tables``'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, DateArray, FloatArray, TextArray
from trading_dag.backtest.markets.market import build_market
from trading_dag.backtest.markets.modelled_market import ModelledMarket
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.outcomes import (
    ENTRY_AFTER_DATA,
    HORIZON_BEFORE_ENTRY,
    NO_TRADE_RECOMMENDED,
    NOT_LISTED_YET,
)
from trading_dag.backtest.plans.structure_plans import exits_of, plan_on_grid
from trading_dag.backtest.results.account_results import AccountResult
from trading_dag.backtest.results.random_entry import NO_RANDOM_ENTRY, RandomEntry
from trading_dag.backtest.results.signal_tables import (
    Judgement,
    SignalOutcome,
    equity_frame,
    summary_frame,
    trades_frame,
    with_models_of,
)
from trading_dag.backtest.runs.named_contracts import named_contracts
from trading_dag.backtest.runs.plan_runs import PlannedEntries, run_account
from trading_dag.backtest.runs.signal_comparators import (
    NOTHING_ALWAYS,
    Pool,
    always_trading,
    random_entry,
    with_random_entry,
)
from trading_dag.backtest.trades.entries import Entries, entries_from_signals
from trading_dag.backtest.trades.rolls import rows_of
from trading_dag.frames import require_sessions, table_frame, ticker_of
from trading_dag.options.structures.structure import structure_of
from trading_dag.options.structures.user_structures import structures_by_name
from trading_dag.schemas import EQUITY, SUMMARY
from trading_dag.schemas.vocabulary import MATRIX
from trading_dag.sessions import all_sessions
from trading_dag.settings import Settings
from trading_dag.slices import Horizon
from trading_dag.strategy.modelled_prices import is_listed, price_objection
from trading_dag.strategy.selector import NO_TRADE
from trading_dag.strategy.sizing import design_sizes, settings_for_contract

_SIGNS: Final = {"UP": 1.0, "DOWN": -1.0}
_NEEDED: Final = ("strategy", "design_size", "overall_confidence")


@dataclass(frozen=True)
class BacktestResult:
    """Holds the three tables ``backtests.trades``, ``backtests.equity`` and ``backtests.summary`` of one slice.

    ``luck`` is by rule what random entry gave, with the total of every run; empty where nothing was traded.
    """

    trades: pd.DataFrame
    equity: pd.DataFrame
    summary: pd.DataFrame
    luck: Mapping[str, RandomEntry] = field(default_factory=dict)


def run_backtest(
    recommendations: pd.DataFrame,
    prices: pd.DataFrame,
    volatility_index: pd.DataFrame,
    *,
    rates: pd.DataFrame,
    horizon: Horizon,
    settings: Settings,
    opportunities: pd.DataFrame | None = None,
    gate: tuple[bool, str] = (False, "the accuracy gate was not asked"),
) -> BacktestResult:
    """Trade every signal with a design size and return the result, one account for each rule.

    Parameters
    ----------
    recommendations : signals.recommendation of one ticker and horizon; ``rule`` tells the rules apart, without it
        all is ``matrix``. Rows of FULL and HALF design size trade whatever their edge; the gate alone decides whether
        the result is admissible. Rows without ``overall_confidence`` lack a forecast: before the first that has one, no
        signal was possible.
    prices, volatility_index : raw.prices_daily and raw.volatility_index of the ticker.
    rates : session, treasury_3m in percent or NaN, as known at the session's close.
    opportunities : signals.opportunities of the same slice, which rules but ``matrix`` choose among; random entry and
        always trading take their contracts from there. Without it such a rule has neither comparator.
    gate : whether the models pass the accuracy gate, and its verdict in words.

    Returns
    -------
    BacktestResult. ``trades`` has one row a recommendation, closed, open at the end of data, or skipped with its
    reason, and one a roll. ``equity`` runs from the first signal that could be traded to the last exit (to the last
    price where a position is open); it has no rows where there is nothing to trade from. Where the horizon ends at or
    before its entry (12h) every row is skipped, ``horizon_before_entry``, and equity is empty.

    Raises
    ------
    SchemaError : for missing columns, repeated or unsorted sessions, or prices that are not positive.
    ConfigurationError : for exits in the settings that are none.
    """
    ticker = ticker_of(recommendations) or ticker_of(prices)
    settings = settings_for_contract(ticker, settings)
    history = build_market(prices, volatility_index, rates=rates, settings=settings)
    grounds = _Grounds(
        market=ModelledMarket(ticker, history),
        horizon=horizon,
        exits=exits_of(settings.backtest),
        gate=gate,
        objection=price_objection(ticker, volatility_index, settings),
        opportunities=opportunities,
    )
    by_rule = [_result_of_rule(rows, rule, grounds) for rule, rows in _rows_by_rule(recommendations)]
    if len(by_rule) == 1:
        return by_rule[0]
    trades, equity, summary = (
        pd.concat([getattr(result, name) for result in by_rule], ignore_index=True)
        for name in ("trades", "equity", "summary")
    )
    return BacktestResult(
        trades, equity, summary, {rule: luck for result in by_rule for rule, luck in result.luck.items()}
    )


@dataclass(frozen=True)
class _Grounds:
    """What every rule of a slice is traded on; quotes that two rules need are gathered once."""

    market: ModelledMarket
    horizon: Horizon
    exits: ExitRules
    gate: tuple[bool, str]
    objection: str | None
    opportunities: pd.DataFrame | None = None
    pools: dict[tuple[bool, tuple[int, ...]], Pool] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return self.market.history.settings

    def pool(self, sessions: pd.DatetimeIndex, *, names_contracts: bool) -> Pool:
        """Every session on which a signal was possible, as entries."""
        signal = self.market.history.sessions.get_indexer(sessions)
        signal = signal[(signal >= 0) & (signal < len(self.market.history) - 1)]
        offered = self.opportunities if names_contracts else None
        return self.pools.setdefault(
            (names_contracts, tuple(signal.tolist())), Pool(self.market, signal, self.horizon.target_offset, offered)
        )


def _rows_by_rule(recommendations: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    if "rule" not in recommendations.columns or recommendations.empty:
        return [(MATRIX, recommendations)]
    return [
        (str(rule), rows.reset_index(drop=True)) for rule, rows in recommendations.groupby("rule", sort=False)
    ]  # fmt: skip


def _result_of_rule(recommendations: pd.DataFrame, rule: str, grounds: _Grounds) -> BacktestResult:
    sessions = require_sessions(recommendations, _NEEDED, table="signals.recommendation")
    market, horizon, settings = grounds.market, grounds.horizon, grounds.settings
    head = {"ticker": market.ticker, "horizon": horizon.key, "rule": rule}
    listed = is_listed(sessions, ticker=market.ticker, settings=settings)
    signals = _Signals.of(recommendations, rule, sessions=sessions, listed=listed, grounds=grounds)
    outcome = SignalOutcome(sessions, signals.strategy, signals.design_size, signals.reason, signals.trade(market))
    trades = with_models_of(recommendations, trades_frame(head, outcome, market))
    if not market.ticker:
        return BacktestResult(trades, table_frame(EQUITY, {}, rows=0), table_frame(SUMMARY, {}, rows=0))
    status = _status_of(trades, grounds)
    has_forecasts = recommendations["overall_confidence"].notna().to_numpy()
    tradable = sessions[listed & (has_forecasts if has_forecasts.any() else True)]
    has_window = status in ("backtested", "no_trades") and len(tradable)
    window = _window(tradable, outcome, market) if has_window else slice(0, 0)
    equity = equity_frame(head, outcome, market, window=window)
    luck, stress, always = NO_RANDOM_ENTRY, (np.nan, np.nan), NOTHING_ALWAYS
    if status == "backtested" and outcome.account is not None:
        names_contracts = signals.legs is not None
        if not names_contracts or grounds.opportunities is not None:
            pool = grounds.pool(tradable, names_contracts=names_contracts)
            luck = random_entry(outcome.account, pool, settings=settings.backtest)
            equity = with_random_entry(equity, luck, pool)
            always = always_trading(outcome.account, pool)
        stress = _stressed_totals(signals, market)
    judgement = Judgement(status, grounds.gate, luck, stress, grounds.objection, always)
    summary = summary_frame(
        head, trades, equity, judgement=judgement, market=market, window=window, outcome=outcome, exits=grounds.exits
    )  # fmt: skip
    return BacktestResult(trades, equity, summary, {rule: luck})


@dataclass(frozen=True)
class _Signals:
    """Signals of one rule and the entries that they are; ``reason`` is empty where one may trade.

    ``legs`` names the contracts of each; None for the rule ``matrix``, whose strikes follow from the entry's quotes.
    """

    strategy: TextArray
    design_size: TextArray
    reason: TextArray
    entries: Entries | None
    exits: ExitRules
    legs: TextArray | None

    @classmethod
    def of(
        cls,
        recommendations: pd.DataFrame,
        rule: str,
        *,
        sessions: pd.DatetimeIndex,
        listed: BoolArray,
        grounds: _Grounds,
    ) -> _Signals:
        strategy = recommendations["strategy"].to_numpy(dtype=object)
        design_size = recommendations["design_size"].to_numpy(dtype=object)
        market, horizon = grounds.market, grounds.horizon
        reason = np.select(
            [strategy == NO_TRADE, ~listed], [NO_TRADE_RECOMMENDED, NOT_LISTED_YET], ""
        ).astype(object)  # fmt: skip
        entries = None
        if not horizon.outlasts_entry:
            reason = np.full(len(sessions), HORIZON_BEFORE_ENTRY, dtype=object)
        elif not len(market):
            reason = np.where(reason == "", ENTRY_AFTER_DATA, reason).astype(object)
        elif len(sessions):
            entries = entries_from_signals(
                market,
                sessions.to_numpy(),
                targets=_targets(sessions, horizon),
                directions=_directions(recommendations),
                sizes=design_sizes(design_size),
            )
        names_contracts = rule != MATRIX and "legs" in recommendations.columns
        legs = recommendations["legs"].to_numpy(dtype=object) if names_contracts else None
        return cls(strategy, design_size, reason, entries, grounds.exits, legs)

    def trade(self, market: ModelledMarket) -> AccountResult | None:
        """Run every structure that is recommended, in one account; None where no signal may trade."""
        can_trade = self.reason == ""
        if self.entries is None or not can_trade.any():
            return None
        book = market.history.settings.backtest
        menu = structures_by_name(market.history.settings.structures)
        planned = []
        for name in np.unique(self.strategy[can_trade].astype(str)):
            rows = np.flatnonzero((self.strategy == name) & can_trade)
            plan = plan_on_grid(structure_of(name, menu=menu), exits=self.exits, settings=book)
            entries = rows_of(self.entries, rows)
            if self.legs is not None:
                entries = replace(entries, named=named_contracts(plan.structure, self.legs[rows]))
            planned.append(PlannedEntries(plan, entries))
        return run_account(market, planned, account=planned[0].plan.account)


def _directions(recommendations: pd.DataFrame) -> FloatArray:
    if "direction" not in recommendations.columns:
        return np.zeros(len(recommendations))
    signs = recommendations["direction"].map(_SIGNS).astype("float64").fillna(0.0)
    return np.asarray(signs.to_numpy(), dtype=np.float64)


def _targets(sessions: pd.DatetimeIndex, horizon: Horizon) -> DateArray:
    """Session at whose close the horizon of each signal ends; the calendar's last where it ends first."""
    calendar = all_sessions()
    place = np.minimum(calendar.searchsorted(sessions) + horizon.target_offset, len(calendar) - 1)
    return np.asarray(calendar[place].to_numpy().astype("datetime64[D]"), dtype="datetime64[D]")


def _stressed_totals(signals: _Signals, market: ModelledMarket) -> tuple[float, float]:
    """Profit of all closed trades of the same signals with every volatility lower, and higher, USD."""
    shift = market.history.settings.backtest.stress_volatility
    lower, higher = (
        signals.trade(replace(market, history=market.history.at_shifted_volatility(sign * shift)))
        for sign in (-1.0, 1.0)
    )
    return (lower.total_profit_usd if lower else 0.0), (higher.total_profit_usd if higher else 0.0)


def _status_of(trades: pd.DataFrame, grounds: _Grounds) -> str:
    """The summary's status."""
    if trades.empty or not len(grounds.market):
        return "insufficient_data"
    if not grounds.horizon.outlasts_entry:
        return HORIZON_BEFORE_ENTRY
    return "backtested" if (trades["status"] == "closed").any() else "no_trades"


def _window(sessions: pd.DatetimeIndex, outcome: SignalOutcome, market: ModelledMarket) -> slice:
    """Positions in the history from the first of the sessions to the last exit, to the end of data where one is open.

    Never from a session on whose fills are in its equity already: the curve begins with the starting cash.
    """
    history = market.history
    last = len(history) - 1
    begins = [int(history.sessions.searchsorted(sessions[0]))]
    ends = [int(history.sessions.searchsorted(sessions[-1], side="right")) - 1]
    first, final = outcome.held_sessions(last)
    return slice(max(min([*begins, *(first - 1).tolist()]), 0), min(max([*ends, *final.tolist()]), last) + 1)
