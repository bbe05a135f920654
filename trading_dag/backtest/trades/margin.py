"""What an account must hold for a position: defined risk, cash for secured puts, Regulation T for naked legs.

USD a share of one structure, from prices at the entry. Whether the account has it is ``account``'s question, what a
portfolio margin would be ``portfolio_margin``'s.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from trading_dag.arrays import FloatArray
from trading_dag.backtest.trades.pairings import counts_of, has_naked_contracts, ways_of
from trading_dag.backtest.trades.positions import OpenedPositions
from trading_dag.options.chains.contracts import terms_of

LEAST_SHARE: Final = 0.10
SHORT_SHARES_SHARE: Final = 1.50


def margin_requirement(positions: OpenedPositions) -> FloatArray:
    """Return the margin of one structure, USD a share, (n,); NaN where the position could not be opened.

    A structure whose sold legs are all covered by bought ones of the same right (or by shares), or whose
    puts are secured by cash, needs its greatest loss. Otherwise it needs the least of all ways to pair its contracts
    (``pairings``), each of which adds up, and what was received or paid for the whole is taken off or added:

    - sold options that bought ones of the same right cover need what all of these together may lose at the front
      expiration; of a call and a put spread only one can lose;
    - one that nothing covers: the premium and 20 % of the underlying (15 % of a broad index) less what the option is
      out of the money, at least 10 % of the underlying (calls) or of the strike (puts);
    - a short put and a short call, both uncovered: the greater of the two, and the other's premium;
    - one that shares cover: nothing beyond the shares, which are paid in full;
    - shares sold short: 150 % of their price; a put that they cover nothing beyond that.

    Funds on a broad index count as shares (20 %), which is the stricter.

    References
    ----------
    CBOE, *Margin Manual*, April 2000, pages 5-13: initial margin of short calls, puts, straddles, strangles and
    spreads; Cboe Rule 10.3; FINRA rule 4210(f)(2); Federal Reserve, Regulation T, 12 CFR 220.12.
    """
    structure = positions.plan.structure
    if structure.is_cash_secured or not has_naked_contracts(structure):
        return np.where(positions.can_open, positions.maximum_loss, np.nan)
    short_shares = max(-structure.underlying_ratio, 0) * SHORT_SHARES_SHARE * positions.entry_spot
    required = _least_requirement(positions) + short_shares
    return np.where(positions.can_open, required + positions.premium, np.nan)


def naked_requirement(positions: OpenedPositions) -> FloatArray:
    """Return what each leg would need if it were sold and nothing covered it, its premium included, (n, legs)."""
    is_call, strikes = positions.plan.structure.is_call, positions.strikes
    spot = positions.entry_spot[:, np.newaxis]
    out_of_the_money = np.maximum(np.where(is_call, strikes - spot, spot - strikes), 0.0)
    least = LEAST_SHARE * np.where(is_call, spot, strikes)
    share = terms_of(positions.ticker).margin_share
    return np.asarray(np.maximum(share * spot - out_of_the_money, least) + positions.leg_prices, dtype=np.float64)


def _least_requirement(positions: OpenedPositions) -> FloatArray:
    """The least of all ways, credits not taken off, (n,) USD a share."""
    needed, premium = naked_requirement(positions), positions.leg_prices
    spreads: dict[tuple[float, ...], FloatArray] = {}
    least = np.full(len(needed), np.inf)
    for way in ways_of(positions.plan.structure):
        if way.spread not in spreads:
            spreads[way.spread] = _greatest_loss(positions, counts_of(way.spread))
        required = spreads[way.spread] + needed @ counts_of(way.naked)
        for call, put, pairs in way.straddles:
            is_call_greater = needed[:, call] >= needed[:, put]
            lesser = np.where(is_call_greater, needed[:, put] - premium[:, put], needed[:, call] - premium[:, call])
            required = required - pairs * lesser
        least = np.minimum(least, required)
    return least


def _greatest_loss(positions: OpenedPositions, contracts: FloatArray) -> FloatArray:
    """What so many contracts of the legs may have to pay at the front expiration, at least 0, (n,) USD a share.

    No more calls and puts are sold than bought, so that it is at one of the strikes, or where the underlying is
    worth nothing.
    """
    strikes, sign = positions.strikes, np.where(positions.plan.structure.is_call, 1.0, -1.0)
    loss = np.zeros(len(strikes))
    for spot in (*strikes.T, np.zeros(len(strikes))):
        paid = -np.maximum(sign * (spot[:, np.newaxis] - strikes), 0.0) @ contracts
        loss = np.maximum(loss, paid)
    return loss
