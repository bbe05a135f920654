"""Which positions an account takes, how many of each, and its cash, marks and equity session by session.

One linear pass in the order of the entries: a position needs its margin and fees of what is not already
held against open positions. cash = starting cash + signed fills + settlements − fees + interest;
equity = cash + marks. Dividends on shares are paid at their ex-date, not weeks later as in life.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from trading_dag.arrays import FloatArray, IntArray, TextArray
from trading_dag.backtest.plans.outcomes import (
    CAPITAL_LIMIT,
    EXCEEDS_RISK_BUDGET,
    EXCEEDS_VOLUME_SHARE,
    POSITION_LIMIT,
)
from trading_dag.backtest.plans.trade_plan import AccountRules
from trading_dag.backtest.trades.contract_choice import QuotedMarket
from trading_dag.backtest.trades.exits import Exits
from trading_dag.backtest.trades.greek_limits import Exposure, GreekBook, path_exposures
from trading_dag.backtest.trades.margin import margin_requirement
from trading_dag.backtest.trades.paths import PositionPaths
from trading_dag.backtest.trades.positions import OpenedPositions
from trading_dag.day_count import DAYS_PER_YEAR

_BEYOND_DATA: Final = 1 << 62
# More than any contract was ever traded; a margin of next to nothing would otherwise ask for more than integers hold.
_MOST_STRUCTURES: Final = 1e12


@dataclass(frozen=True)
class SizedPositions:
    """Says how many structures each position would be, before the account's limits.

    Attributes
    ----------
    contracts : (n,) structures; 0 where none.
    margin_usd : (n,) of one structure, fees not counted; NaN where it could not be opened.
    skip_reason : (n,) the positions' own, or why the size is 0.
    """

    contracts: IntArray
    margin_usd: FloatArray
    skip_reason: TextArray


def size_positions(positions: OpenedPositions, account: AccountRules) -> SizedPositions:
    """Return how many structures have margin and fees both ways within the risk budget, and within the volume shares.

    Never more than 10¹² of them.
    """
    margin = margin_requirement(positions) * account.multiplier
    one = margin + 2.0 * fees_one_way_usd(positions, account)
    budget = account.account_usd * account.risk_fraction * positions.entries.size
    is_sizable = positions.can_open & np.isfinite(one) & (margin > 0.0)
    by_risk = np.where(is_sizable, np.floor(budget / np.where(is_sizable, one, 1.0) + 1e-9), 0.0)
    by_risk = np.minimum(by_risk, _MOST_STRUCTURES)
    contracts = np.minimum(by_risk, np.where(np.isnan(positions.contract_limit), 0.0, positions.contract_limit))
    reason = np.where(
        positions.can_open & (by_risk < 1.0),
        EXCEEDS_RISK_BUDGET,
        np.where(positions.can_open & (contracts < 1.0), EXCEEDS_VOLUME_SHARE, positions.skip_reason),
    ).astype(object)
    return SizedPositions(contracts.astype(np.int64), margin, reason)


def fees_one_way_usd(positions: OpenedPositions, account: AccountRules) -> float:
    """Return the fees of one structure, in or out: every leg and every contract pays."""
    return account.fee_per_leg_contract_usd * positions.plan.structure.contracts_per_structure


def profit_usd(positions: OpenedPositions, exits: Exits, *, contracts: IntArray, account: AccountRules) -> FloatArray:
    """Return the profit of so many structures after fees both ways, dividends on shares included, (n,); NaN where
    open."""
    gross = (exits.value + exits.dividend_received - positions.premium) * account.multiplier
    fees = fees_one_way_usd(positions, account) * (1.0 + exits.contracts)
    return np.asarray(contracts * (gross - fees), dtype=np.float64)


class CapitalBook:
    """Keeps what an account has free while positions come and go; it is asked in the order of their entries.

    Margin and fees both ways of open positions must stay within starting cash and realised profit. What
    leaves at a session's quote frees its capital for what enters there; marks of open positions do not count.
    """

    def __init__(self, account: AccountRules) -> None:
        self._free = account.account_usd
        self._most = account.maximum_open_positions
        self._held: list[tuple[int, float]] = []

    def refusal(self, need: CapitalNeed) -> str:
        """Take the position, or say why not: its capital or the number of positions. Empty where it is taken."""
        while self._held and self._held[0][0] <= need.entry:
            self._free += heapq.heappop(self._held)[1]
        if self._most is not None and len(self._held) >= self._most:
            return POSITION_LIMIT
        if need.required_usd > self._free + 1e-9:
            return CAPITAL_LIMIT
        self._free -= need.required_usd
        # An open position never returns its capital within the data.
        returned = (need.exit, need.required_usd + need.profit_usd) if need.exit >= 0 else (_BEYOND_DATA, 0.0)
        heapq.heappush(self._held, returned)
        return ""


class CapitalNeed(NamedTuple):
    """Holds a position's row, sessions of entry and exit (−1 where open), margin and fees both ways, and its profit."""

    row: int
    entry: int
    exit: int
    required_usd: float
    profit_usd: float


def capital_needs(
    positions: OpenedPositions, exits: Exits, *, sized: SizedPositions, account: AccountRules
) -> list[CapitalNeed]:
    """Return the need of every position that has a size, in the order of the rows."""
    wanted = np.flatnonzero(sized.contracts > 0)
    fees = 2.0 * fees_one_way_usd(positions, account)
    required = sized.contracts * (sized.margin_usd + fees)
    profit = profit_usd(positions, exits, contracts=sized.contracts, account=account)
    columns = (wanted, *(values[wanted] for values in (positions.entry, exits.exit, required, profit)))
    return [CapitalNeed(*values) for values in zip(*(column.tolist() for column in columns), strict=True)]


class AccountBook:
    """Decides which positions an account takes, in the order of their entries: by its Greeks, then by its capital.

    Without limits on delta and vega no Greek is computed.
    """

    def __init__(self, account: AccountRules, *, market: QuotedMarket, plans: int) -> None:
        self._capital = CapitalBook(account)
        self._greeks = GreekBook(account) if account.limits_greeks else None
        self._market = market
        self._exposures: list[list[Exposure]] = [[] for _ in range(plans)]

    def learn(self, plan: int, paths: PositionPaths, *, contracts: IntArray, multiplier: int) -> None:
        """Take note of further positions of a plan, whose rows go on from those before."""
        if self._greeks is not None:
            self._exposures[plan] += path_exposures(self._market, paths, contracts=contracts, multiplier=multiplier)

    def refusal(self, plan: int, row: int, *, need: CapitalNeed) -> str:
        """Take the position, or say why not; empty where it is taken."""
        if self._greeks is None:
            return self._capital.refusal(need)
        exposure = self._exposures[plan][row]
        refused = self._greeks.refusal(exposure, entry=need.entry) or self._capital.refusal(need)
        if not refused:
            self._greeks.take(exposure, exit_position=need.exit)
        return refused


class Part(NamedTuple):
    """Holds what one plan brings to an account: its paths, how each ends, its sizes, fees and multiplier.

    ``generation`` is (n,) rolls from the entry; None where nothing rolls.
    """

    paths: PositionPaths
    exits: Exits
    sized: SizedPositions
    rules: AccountRules
    generation: IntArray | None = None


def admit_positions(
    parts: Sequence[Part], account: AccountRules, *, market: QuotedMarket
) -> list[tuple[IntArray, TextArray]]:
    """Return for every plan the contracts that the one account takes, and why it takes none, in the order of time.

    On one quote what has rolled less often comes first, then the earlier plan, then the earlier row. Limits on delta
    and vega are asked before the capital.
    """
    admitted = [(part.sized.contracts.copy(), part.sized.skip_reason.copy()) for part in parts]
    waiting = []
    for number, (paths, exits, sized, rules, generation) in enumerate(parts):
        needs = capital_needs(paths.positions, exits, sized=sized, account=rules)
        rolled = [0] * len(sized.contracts) if generation is None else generation.tolist()
        waiting += [(need.entry, rolled[need.row], number, need.row, need) for need in needs]
    book = AccountBook(account, market=market, plans=len(parts))
    for number, part in enumerate(parts):
        book.learn(number, part.paths, contracts=part.sized.contracts, multiplier=part.rules.multiplier)
    for _, _, number, row, need in sorted(waiting):
        if refusal := book.refusal(number, row, need=need):
            contracts, reason = admitted[number]
            contracts[row], reason[row] = 0, refusal
    return admitted


@dataclass(frozen=True)
class AccountHistory:
    """Holds one entry for every session of the market, USD.

    Attributes
    ----------
    cash : after all fills, settlements, fees, dividends and interest of the session.
    marks : value of the positions held over the close.
    interest : paid into cash at the session.
    open_positions : how many are held over the close.
    """

    cash: FloatArray
    marks: FloatArray
    interest: FloatArray
    open_positions: IntArray

    @property
    def equity(self) -> FloatArray:
        """Return cash and marks, after the session's fills."""
        return self.cash + self.marks


def account_history(
    market: QuotedMarket,
    parts: Sequence[Part],
    *,
    contracts: Sequence[IntArray],
    account: AccountRules,
) -> AccountHistory:
    """Add up the fills, settlements, fees, dividends and marks of every position that was taken.

    Parameters
    ----------
    parts, contracts : of each plan that trades in the account, and how many structures of each position it took.
    account : starting cash and interest.
    """
    sessions = len(market)
    flow, marks, open_positions = np.zeros(sessions), np.zeros(sessions), np.zeros(sessions, dtype=np.int64)
    for part, of_part in zip(parts, contracts, strict=True):
        _add_positions(part, of_part, flow=flow, marks=marks, open_positions=open_positions)
    interest = _interest(market, flow, account)
    return AccountHistory(
        cash=account.account_usd + np.cumsum(flow + interest),
        marks=marks,
        interest=interest,
        open_positions=open_positions,
    )


def _add_positions(
    part: Part,
    contracts: IntArray,
    *,
    flow: FloatArray,
    marks: FloatArray,
    open_positions: IntArray,
) -> None:
    """Add the cash, marks and counts of one plan's positions to those of the account, session by session."""
    paths, exits, account = part.paths, part.exits, part.rules
    positions, sessions = paths.positions, len(flow)
    taken = np.flatnonzero(contracts > 0)
    size = contracts[taken] * float(account.multiplier)
    fees = contracts[taken] * fees_one_way_usd(positions, account)
    leave = exits.exit[taken]
    is_closed = leave >= 0
    np.add.at(flow, positions.entry[taken], -size * positions.premium[taken] - fees)
    # A split into more contracts makes as many that pay a fee to leave.
    np.add.at(flow, leave[is_closed], (size * exits.value[taken] - fees * exits.contracts[taken])[is_closed])
    columns = np.arange(paths.at.shape[1])
    is_marked = paths.is_held[taken] & (columns < np.where(is_closed, exits.column[taken], sessions)[:, np.newaxis])
    at = paths.at[taken][is_marked]
    if positions.plan.structure.underlying_ratio:
        is_paid = paths.is_held[taken] & (columns <= np.where(is_closed, exits.column[taken], sessions)[:, np.newaxis])
        dividends = size[:, np.newaxis] * np.diff(paths.dividends_received[taken], axis=1, prepend=0.0)
        np.add.at(flow, paths.at[taken][is_paid], dividends[is_paid])
    np.add.at(marks, at, (size[:, np.newaxis] * paths.mark[taken])[is_marked])
    open_positions += np.bincount(at, minlength=sessions).astype(np.int64)


def _interest(market: QuotedMarket, flow: FloatArray, account: AccountRules) -> FloatArray:
    """Interest paid at each session on the positive cash held since the one before."""
    interest = np.zeros(len(flow))
    if account.interest_rate == 0.0:
        return interest
    growth = np.expm1(account.interest_rate * np.diff(market.days) / DAYS_PER_YEAR)
    cash = account.account_usd
    for session in range(1, len(flow)):
        cash += flow[session - 1] + interest[session - 1]
        interest[session] = max(cash, 0.0) * growth[session - 1]
    return interest
