"""What the contracts of a position have become by splits and special dividends, session by session.

Everything about a position is counted in shares of its entry: a price of later shares times how many of them one
share has become. Which actions there are, and what each does to a strike, says ``markets.corporate_actions``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.backtest.markets.corporate_actions import CorporateActions


@dataclass(frozen=True)
class AdjustedContracts:
    """Holds the terms of contracts at sessions after their entry.

    Attributes
    ----------
    listed : (n, sessions, legs) strikes under which the contracts are quoted there, USD of that session.
    shares : (n, sessions) how many shares one share of the entry has become.
    contracts : (n, sessions) how many contracts one contract has become; 1 where what it delivers changed instead.
    special : (n, sessions) special dividends since the entry, USD a share of the entry.
    is_changed : some contract has changed at some session.
    """

    listed: FloatArray
    shares: FloatArray
    contracts: FloatArray
    special: FloatArray
    is_changed: bool

    @property
    def strikes(self) -> FloatArray:
        """Return the strikes in shares of the entry, (n, sessions, legs)."""
        return self.in_shares_of_entry(self.listed)

    def in_shares_of_entry(self, values: FloatArray) -> FloatArray:
        """Return prices of a share of each session, (n, sessions) or (n, sessions, legs), as prices of one of the
        entry."""
        if not self.is_changed:
            return values
        shares = self.shares if values.ndim == self.shares.ndim else self.shares[:, :, np.newaxis]
        return np.asarray(values * shares, dtype=np.float64)


def adjusted_contracts(
    actions: CorporateActions, days: IntArray, *, entry: IntArray, at: IntArray, strikes: FloatArray
) -> AdjustedContracts:
    """Return the terms that contracts opened at one session have at others.

    Parameters
    ----------
    actions : those that are not known change nothing: positions that would live through one are not opened.
    days : (sessions of the market,) days since 1970-01-01.
    entry : (n,) position of the session; at : (n, sessions) positions.
    strikes : (n, legs) at the entry.
    """
    is_changed = False
    shares = contracts = np.broadcast_to(np.float64(1.0), at.shape)
    special = np.broadcast_to(np.float64(0.0), at.shape)
    listed = np.broadcast_to(strikes[:, np.newaxis, :], (*at.shape, strikes.shape[1]))
    for action in actions.known:
        first = int(days.searchsorted(action.day))
        is_after = (entry < first)[:, np.newaxis] & (at >= first)
        if not is_after.any():
            continue
        is_changed = True
        # What it is ex of was paid on the shares of the day before.
        special = np.where(is_after, special + action.cash * shares, special)
        shares = np.where(is_after, shares * action.ratio, shares)
        listed = np.where(is_after[:, :, np.newaxis], action.adjusted(listed), listed)
        if action.multiplies_contracts:
            contracts = np.where(is_after, contracts * action.ratio, contracts)
    return AdjustedContracts(listed, shares, contracts, special, is_changed)
