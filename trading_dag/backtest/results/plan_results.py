"""What a trade plan came to: trades, equity, counted reasons and profit by exit reason, as arrays and as frames.

Frames are made when asked for, because hundreds of rule sets are compared by their totals alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trading_dag.arrays import BoolArray, DateArray, FloatArray, IntArray, TextArray
from trading_dag.backtest.plans.exit_rules import EXIT_ORDER
from trading_dag.backtest.plans.trade_plan import TradePlan
from trading_dag.backtest.trades.account import AccountHistory, fees_one_way_usd, profit_usd
from trading_dag.backtest.trades.contract_choice import QuotedMarket
from trading_dag.backtest.trades.exits import Exits
from trading_dag.backtest.trades.paths import PositionPaths
from trading_dag.sessions import session_before

if TYPE_CHECKING:
    import pandas as pd

ACTION_SEPARATOR: Final = ", "
_CENT: Final = 0.01


@dataclass(frozen=True)
class PlanResult:
    """Holds the result of one plan on one market.

    Attributes
    ----------
    plan, market, paths, exits : what it was computed from.
    contracts : structures taken; 0 where skipped.
    skip_reason : empty where taken.
    margin_usd : of one structure.
    rolled_from : row of the position that this one replaces; −1 for none.
    history : cash, marks and equity by session.
    """

    plan: TradePlan
    market: QuotedMarket
    paths: PositionPaths
    exits: Exits
    contracts: IntArray
    skip_reason: TextArray
    margin_usd: FloatArray
    rolled_from: IntArray
    history: AccountHistory

    @property
    def is_taken(self) -> BoolArray:
        """Return which entries became a trade."""
        return np.asarray(self.contracts > 0, dtype=np.bool_)

    @property
    def is_closed(self) -> BoolArray:
        """Return which trades ended within the data."""
        return self.is_taken & (self.exits.exit >= 0)

    @property
    def is_open(self) -> BoolArray:
        """Trades that are open at the end of the data."""
        return self.is_taken & (self.exits.exit < 0)

    @cached_property
    def profit_usd(self) -> FloatArray:
        """Return the profit after fees; NaN where skipped or open."""
        profit = profit_usd(
            self.paths.positions, self.exits, contracts=self.contracts, account=self.plan.account
        )  # fmt: skip
        return np.where(self.is_closed, profit, np.nan)

    @property
    def fees_usd(self) -> FloatArray:
        """Return the fees of all legs and contracts, in and, where closed, out."""
        one_way = self.contracts * fees_one_way_usd(self.paths.positions, self.plan.account)
        return np.asarray(one_way * np.where(self.is_closed, 1.0 + self.exits.contracts, 1.0), dtype=np.float64)

    @property
    def max_loss_usd(self) -> FloatArray:
        """Return the greatest loss at expiration without fees; infinite where unlimited, NaN where skipped."""
        return np.where(self.is_taken, self._usd(self.paths.positions.maximum_loss), np.nan)

    @property
    def portfolio_margin_usd(self) -> FloatArray:
        """Return what a portfolio margin would ask for each trade (``trades.portfolio_margin``, without dividends); NaN
        where skipped, or where a mark implies no volatility."""
        return np.where(self.is_taken, self._usd(self.paths.portfolio_margin), np.nan)

    def greatest_held_usd(self, margin_usd: FloatArray) -> float:
        """Return the most that all trades held over one close need together; NaN where one of them is unknown.

        Parameters
        ----------
        margin_usd : (n,) of each trade.
        """
        taken = np.flatnonzero(self.is_taken)
        if not len(taken):
            return 0.0
        end = np.where(self.is_closed, self.exits.exit, len(self.market))[taken]
        change = np.zeros(len(self.market) + 1)
        np.add.at(change, self.paths.positions.entry[taken], margin_usd[taken])
        np.add.at(change, end, -margin_usd[taken])
        return float(np.cumsum(change)[:-1].max())

    @property
    def spread_cost_usd(self) -> FloatArray:
        """Return what natural prices cost beyond the marks, in and out, slippage and ticks included; NaN where
        unknown."""
        positions, structure = self.paths.positions, self.plan.structure
        fair = positions.leg_marks @ structure.signed_ratios + structure.underlying_ratio * positions.entry_spot
        cost = self._usd(positions.premium - fair + self.exits.middle - self.exits.value)
        return np.where(self.is_closed, cost, np.nan)

    @property
    def excursions_usd(self) -> tuple[FloatArray, FloatArray]:
        """Return worst and best profit before fees at the marks while held and at the exit; entry counts as 0."""
        columns = np.arange(self.paths.at.shape[1])
        is_seen = self.paths.is_held & (columns > 0) & (columns < self._end[:, np.newaxis])
        worth = self.paths.mark + self.paths.dividends_received
        profit = np.where(is_seen, worth - self.paths.positions.premium[:, np.newaxis], 0.0)
        received = self.exits.value + self.exits.dividend_received
        final = np.where(self.is_closed, received - self.paths.positions.premium, 0.0)
        adverse, favourable = np.minimum(profit.min(axis=1), final), np.maximum(profit.max(axis=1), final)
        return (
            np.where(self.is_taken, self._usd(np.minimum(adverse, 0.0)), np.nan),
            np.where(self.is_taken, self._usd(np.maximum(favourable, 0.0)), np.nan),
        )

    @property
    def exit_reason(self) -> TextArray:
        """Return why each trade ended; empty where open or skipped."""
        names = np.array([*EXIT_ORDER, ""], dtype=object)
        return np.where(self.is_closed, names[self.exits.reason], "")

    @property
    def quote_source(self) -> TextArray:
        """``last`` where a price of the entry or the exit is made from a last trade, otherwise what the market is."""
        rows = np.arange(len(self.contracts))
        at_exit = self.paths.is_last[rows, self.exits.column] & (self.exits.exit >= 0) & ~self._is_settled
        source = np.where(self.paths.positions.is_last | at_exit, "last", self.market.quote_source)
        return np.where(self.is_taken, source, "").astype(object)

    @property
    def loss_beyond_defined_risk(self) -> BoolArray:
        """Trades that lost more than their defined risk and fees, as closing at natural prices may.

        Calendars are counted too, though nothing guarantees their debit: their last sale is at a natural price.
        """
        return self.is_closed & (self.profit_usd < -(self.max_loss_usd + self.fees_usd) - _CENT)

    @property
    def adjusted_by(self) -> TextArray:
        """Return the names of the actions that each trade lived through; empty without any."""
        days, entry = self.market.days, self.paths.positions.entry
        end = days[np.where(self.exits.exit >= 0, self.exits.exit, len(days) - 1)]
        names = np.full(len(entry), "", dtype=object)
        for action in self.market.actions.known:
            lived = self.is_taken & (days[entry] < action.day) & (end >= action.day)
            names[lived] += np.where(names[lived] == "", "", ACTION_SEPARATOR) + action.name
        return names

    @property
    def missed_exits(self) -> IntArray:
        """Return at how many sessions a rule demanded a trade's exit and a leg could not be closed; 0 where skipped."""
        return np.where(self.is_taken, self.exits.missed, 0)

    @property
    def total_profit_usd(self) -> float:
        """Return the summed profit of the closed trades after fees."""
        return float(np.nansum(self.profit_usd))

    def skip_reasons(self) -> dict[str, int]:
        """Return how many entries were skipped for each reason, sorted by name."""
        names, counts = np.unique(self.skip_reason[~self.is_taken].astype(str), return_counts=True)
        return dict(zip(names.tolist(), counts.tolist(), strict=True))

    def profit_by_exit_reason(self) -> dict[str, tuple[int, float]]:
        """Return closed trades and summed profit after fees of each exit reason, in the order of the rules."""
        reason, profit = self.exits.reason[self.is_closed], self.profit_usd[self.is_closed]
        return {
            name: (int((reason == place).sum()), float(profit[reason == place].sum()))
            for place, name in enumerate(EXIT_ORDER)
            if (reason == place).any()
        }

    def trades(self) -> pd.DataFrame:
        """Return one row per entry, taken or skipped: dates, prices, results; expirations, strikes and prices by leg as
        lists.

        ``exit_value_usd`` is after ``dividend_owed_usd`` and without ``dividend_received_usd``; ``pnl_usd`` has both.
        Exit prices, exit_spot and dividends are in shares of the entry: after a split of 10 for 1 a price counts ten
        times, and as many contracts pay fees. ``adjusted_by`` names the splits and special dividends until the exit, or
        the end of the data.
        Of an open trade fees and received dividends are those so far, so that the starting cash, less entry costs and
        fees, with exit values, dividends and interest is the cash at the end.
        """
        import pandas as pd

        positions, exits, taken = self.paths.positions, self.exits, self.is_taken
        adverse, favourable = self.excursions_usd
        return pd.DataFrame({
            "signal_session": positions.entries.signal.astype("datetime64[s]"),
            "status": np.where(taken, np.where(self.is_closed, "closed", "open"), "skipped"),
            "exit_reason": np.where(taken, self.exit_reason, self.skip_reason),
            "entry_session": self._dates(positions.entry, positions.entries.entry >= 0),
            "exit_session": self._dates(exits.exit, self.is_closed),
            "expiration": np.where(
                positions.expiration_day > 0, positions.expiration_day.astype("datetime64[D]"), np.datetime64("NaT")
            ).astype("datetime64[s]"),
            "leg_expirations": _lists(_dates_as_text(positions.leg_expiration_day)),
            "quote_source": self.quote_source,
            "entry_spot": np.where(taken, positions.entry_spot, np.nan),
            "exit_spot": np.where(self.is_closed, exits.spot, np.nan),
            "strikes": _lists(positions.strikes),
            "entry_prices": _lists(positions.leg_prices),
            "exit_prices": _lists(exits.leg_prices),
            "contracts": self.contracts,
            "entry_cost_usd": np.where(taken, self._usd(positions.premium), np.nan),
            "exit_value_usd": np.where(self.is_closed, self._usd(exits.value), np.nan),
            "fees_usd": self.fees_usd,
            "spread_cost_usd": self.spread_cost_usd,
            "dividend_owed_usd": np.where(self.is_closed, self._usd(exits.dividend_owed), np.nan),
            "dividend_received_usd": np.where(taken, self._usd(exits.dividend_received), np.nan),
            "pnl_usd": self.profit_usd,
            "max_loss_usd": self.max_loss_usd,
            "margin_usd": np.where(taken, self.contracts * self.margin_usd, np.nan),
            "portfolio_margin_usd": self.portfolio_margin_usd,
            "mae_usd": adverse,
            "mfe_usd": favourable,
            "missed_exits": self.missed_exits,
            "rolled_from": self.rolled_from,
            "adjusted_by": self.adjusted_by,
        })  # fmt: skip

    def equity(self) -> pd.DataFrame:
        """Return the starting cash, then one row per session of the market: cash, marks, equity, interest, open
        positions.

        The first row is dated on the exchange's session before the market's first, at whose close trades may already
        have been paid for: a curve that begins there would leave their cost out of every statistic.
        """
        import pandas as pd

        start = session_before(pd.Timestamp(self.market.sessions[0])).to_datetime64().astype("datetime64[s]")
        cash, history = self.plan.account.account_usd, self.history
        return pd.DataFrame({
            "session": np.append(start, self.market.sessions.astype("datetime64[s]")),
            "cash_usd": np.append(cash, history.cash),
            "marks_usd": np.append(0.0, history.marks),
            "equity_usd": np.append(cash, history.equity),
            "interest_usd": np.append(0.0, history.interest),
            "open_positions": np.append(0, history.open_positions),
        })  # fmt: skip

    @property
    def _is_settled(self) -> BoolArray:
        is_expired = self.exits.reason == len(EXIT_ORDER) - 1
        at_exit = np.maximum(self.exits.exit, 0)[:, np.newaxis]
        return np.asarray(is_expired & (self.paths.positions.leg_settlement <= at_exit).all(axis=1), dtype=np.bool_)

    @property
    def _end(self) -> IntArray:
        """Column at which the position is no longer marked: its exit, or beyond its path where open."""
        return np.where(self.exits.exit >= 0, self.exits.column, self.paths.at.shape[1])

    def _usd(self, per_share: FloatArray) -> FloatArray:
        # Nothing was traded where there are no contracts, however unlimited the risk of one would have been.
        size = self.contracts * float(self.plan.account.multiplier)
        return np.asarray(size * np.where(self.is_taken, per_share, 0.0), dtype=np.float64)

    def _dates(self, position: IntArray, exists: BoolArray) -> DateArray:
        days = self.market.sessions[np.where(exists, position, 0)]
        return np.where(exists, days, np.datetime64("NaT")).astype("datetime64[s]")


def _dates_as_text(days: IntArray) -> TextArray:
    """Dates as 2024-03-15; empty where there is none."""
    return np.where(days > 0, np.datetime_as_string(days.astype("datetime64[D]")), "").astype(object)


def _lists(values: FloatArray | TextArray) -> TextArray:
    """Rows of a matrix as a column of lists."""
    column = np.empty(len(values), dtype=object)
    column[:] = [list[Any](row) for row in values.tolist()]
    return column
