"""What a trade plan on a chain takes from the other tables: entries from recommendations, known dividends.

Only the selection of rows belongs here. When a signal becomes an entry is ``entries``' rule, what a dividend
does to a position ``exits``'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, DateArray
from trading_dag.backtest.markets.chain_market import ChainMarket
from trading_dag.backtest.markets.dividends import Dividends
from trading_dag.backtest.markets.special_dividends import special_dividends
from trading_dag.backtest.trades.entries import Entries, entries_from_signals
from trading_dag.backtest.trades.rolls import rows_of
from trading_dag.errors import ConfigurationError, InsufficientDataError
from trading_dag.frames import require_columns, require_sessions, values_at_sessions
from trading_dag.schemas import PRICES_DAILY, RECOMMENDATION
from trading_dag.sessions import all_sessions
from trading_dag.strategy.selector import LOW_CONFIDENCE_STRUCTURE, STRUCTURE_OF
from trading_dag.strategy.sizing import design_sizes

SELECTED_STRUCTURES: Final = frozenset({*STRUCTURE_OF.values(), LOW_CONFIDENCE_STRUCTURE})
_SIGNS: Final = {"UP": 1.0, "DOWN": -1.0}
_SIGNAL_COLUMNS: Final = ("target_session", "strategy", "design_size", "direction")


@dataclass(frozen=True)
class KnownDividends:
    """Holds dividends of the underlying within a chain's sessions, and how much of them is known.

    Attributes
    ----------
    dividends : None where nothing is known.
    unjudged : how many are as large as a special one, and taken as ordinary because too few came before to tell.
    sessions_known, sessions : sessions of the chain for which a dividend, or that there is none, is stored; all.
    """

    dividends: Dividends | None
    sessions_known: int
    sessions: int
    unjudged: int = 0

    @property
    def assumption(self) -> str:
        """Return what was assumed, in words."""
        if self.dividends is None:
            return f"unknown: {PRICES_DAILY.qualified_name} has none for these sessions; none is paid or owed"
        text = f"of {PRICES_DAILY.qualified_name}: {len(self.dividends.ex_dates)} with an ex-date in the period"
        if self.dividends.is_special is not None and self.dividends.is_special.any():
            text += f", {int(self.dividends.is_special.sum())} of them special, by which contracts are adjusted"
        if self.unjudged:
            text += f"; {self.unjudged} large ones taken as ordinary, for too few came before to tell"
        if self.sessions_known == self.sessions:
            return text
        return f"{text}; known for {self.sessions_known} of {self.sessions} sessions, none is assumed on the others"


def known_dividends(prices: pd.DataFrame, sessions: DateArray, *, are_split_adjusted: bool = False) -> KnownDividends:
    """Return dividends whose ex-date lies within these sessions, also on a day for which the chain has no quotes.

    Parameters
    ----------
    prices : raw.prices_daily of the underlying; may have no rows. A NaN dividend is unknown, 0 is none.
        Amounts are stored split-adjusted, as the prices are.
    sessions : of the chain, ascending.
    are_split_adjusted : the chain's prices are, too, as modelled ones are; the amounts then stay as they are stored. A
        listed chain is in the dollars of its day, and so are the amounts made, by every split since.

    Raises
    ------
    SchemaError : for a missing column, or sessions that repeat or do not ascend.
    """
    needed = ("dividend",) if are_split_adjusted else ("dividend", "split_factor")
    require_columns(prices, PRICES_DAILY.qualified_name, columns=needed)
    days = pd.DatetimeIndex(sessions).as_unit("us")
    amounts = values_at_sessions(prices, days, column="dividend", table=PRICES_DAILY.qualified_name)
    is_known = np.isfinite(amounts)
    if not is_known.any():
        return KnownDividends(None, 0, len(days))
    is_paid = ((prices["dividend"] > 0.0) & prices["session"].between(days[0], days[-1])).to_numpy(dtype=np.bool_)
    ex_dates = prices.loc[is_paid, "session"].to_numpy().astype("datetime64[D]")
    if are_split_adjusted:
        amount = prices["dividend"].to_numpy(dtype=np.float64)[is_paid]
        return KnownDividends(Dividends(ex_dates, amount), int(is_known.sum()), len(days))
    found = special_dividends(prices)
    dividends = Dividends(ex_dates, found.amounts[is_paid], found.is_special[is_paid])
    return KnownDividends(dividends, int(is_known.sum()), len(days), int(found.is_unjudged[is_paid].sum()))


def entries_of_recommendations(market: ChainMarket, recommendations: pd.DataFrame, *, structure: str) -> Entries:
    """Return entries of one structure at the signals that recommend it, with their design size, target and flip.

    Parameters
    ----------
    recommendations : signals.recommendation of one ticker and horizon. FULL and HALF design size trade whatever
        their edge, as in the backtest of the recommendations.
    structure : one that the selector recommends enters where it is recommended; any other, which no signal can
        be for, enters at every signal with a design size.

    Signals of before the session that precedes the chain, or of after it, are left out. A position flips with the
    next signal of the other direction, whatever that one recommends.

    Raises
    ------
    InsufficientDataError : where no signal lies within the chain, or none of them is for this structure.
    SchemaError : for missing columns, or sessions that repeat or do not ascend.
    """
    sessions = require_sessions(recommendations, _SIGNAL_COLUMNS, table=RECOMMENDATION.qualified_name)
    within = _within_chain(market, sessions)
    rows, at = recommendations[within], sessions[within]
    sizes = design_sizes(rows["design_size"].to_numpy(dtype=object))
    is_meant = sizes > 0.0
    if structure in SELECTED_STRUCTURES:
        is_meant &= (rows["strategy"] == structure).to_numpy()
    if not is_meant.any():
        counts = rows.loc[sizes > 0.0, "strategy"].value_counts()
        there = ", ".join(f"{name} {count}" for name, count in counts.items()) or "no trade"
        raise InsufficientDataError(
            f"none of the {len(rows)} signals within the chain recommends {structure}; they recommend: {there}"
        )
    entries = entries_from_signals(
        market,
        at.to_numpy(),
        targets=rows["target_session"].to_numpy(),
        directions=rows["direction"].map(_SIGNS).fillna(0.0).to_numpy(dtype=np.float64),
        sizes=sizes,
    )
    return rows_of(entries, np.flatnonzero(is_meant))


def entries_of_sessions(market: ChainMarket, sessions: object) -> Entries:
    """Return entries after sessions at whose close something was known: each at the exchange's next session.

    Parameters
    ----------
    sessions : dates in any order, as a sequence, a Series or an index; one that is named twice counts once. Those of
        before the session that precedes the market, or of after it, are left out.

    Raises
    ------
    ConfigurationError : for what are no dates.
    InsufficientDataError : where none lies within the market.
    """
    try:
        days = pd.DatetimeIndex(pd.to_datetime(pd.Series(list(sessions))))  # type: ignore[call-overload]
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"sessions of entries are dates, such as 2024-01-16: {error}") from None
    if days.hasnans or days.tz is not None or (days != days.normalize()).any():
        raise ConfigurationError("sessions of entries are dates: none missing, without times of day or zones")
    distinct = pd.DatetimeIndex(days.unique()).sort_values().as_unit("us")
    return entries_from_signals(market, distinct[_within_chain(market, distinct)].to_numpy())


def signals_in_words(structure: str, *, horizon: str) -> str:
    """Return the rule of ``entries_of_recommendations`` in words."""
    whose = (
        f"signals of {horizon} that recommend {structure}"
        if structure in SELECTED_STRUCTURES
        else f"every signal of {horizon} with a design size, because the selector never recommends {structure}"
    )
    return (
        f"the first quote after {whose}; sized by design size (FULL 1, HALF 0.5) whatever the edge; "
        "left at the horizon's end at the latest"
    )


def _within_chain(market: ChainMarket, sessions: pd.DatetimeIndex) -> BoolArray:
    """Signals that may enter at a quote of the chain: from the session before its first to its last.

    Raises
    ------
    InsufficientDataError : where there is none.
    """
    first, last = (pd.Timestamp(day) for day in market.sessions[[0, -1]])
    calendar = all_sessions()
    before = calendar[max(int(calendar.searchsorted(first)) - 1, 0)]
    within = np.asarray((sessions >= before) & (sessions <= last), dtype=np.bool_)
    if not within.any():
        spread = f"from {sessions[0]:%Y-%m-%d} to {sessions[-1]:%Y-%m-%d}" if len(sessions) else "none"
        raise InsufficientDataError(
            f"no signal of {market.ticker} lies within the chain's sessions {first:%Y-%m-%d} to {last:%Y-%m-%d} "
            f"(signals: {spread}); --entries weekly needs none"
        )
    return within
