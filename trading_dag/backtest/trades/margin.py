"""What an account must hold for a position: defined risk, cash for secured puts, Regulation T for naked legs.

USD a share of one structure, from prices at the entry. Whether the account has it is ``account``'s question.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.backtest.trades.positions import OpenedPositions

UNDERLYING_SHARE: Final = 0.20
LEAST_SHARE: Final = 0.10
SHORT_SHARES_SHARE: Final = 1.50


def margin_requirement(positions: OpenedPositions) -> FloatArray:
    """Return the margin of one structure, USD a share, (n,); NaN where the position could not be opened.

    A structure whose sold legs are all covered by bought ones of the same right (or by shares), or whose
    puts are secured by cash, needs its greatest loss. Otherwise each part needs its own, and what was received or paid
    for the whole is taken off or added, so that a leg that adds risk never lowers the margin:

    - a sold option that a bought one of the same right covers: what the bought one may pay less, the distance of the
      strikes. A bought one covers whatever saves the most, and nothing where the sold one alone needs less;
    - one that nothing covers: the premium and 20 % of the underlying less what the option is out of the money, at
      least 10 % of the underlying (calls) or of the strike (puts);
    - a short put and a short call, both uncovered: the greater of the two, and the other's premium, pair by pair;
    - shares sold short: 150 % of their price.

    References
    ----------
    CBOE, *Margin Manual*, April 2000, pages 8-13: initial margin of short calls, puts, straddles, strangles and
    spreads; FINRA rule 4210(f)(2); Federal Reserve, Regulation T, 12 CFR 220.12(c).
    """
    structure = positions.plan.structure
    if structure.is_cash_secured or not _has_naked_legs(positions):
        return np.where(positions.can_open, positions.maximum_loss, np.nan)
    calls, puts = (_Side(positions, is_call=is_call) for is_call in (True, False))
    required = calls.cover() + puts.cover() + _of_naked(calls, puts)
    short_shares = max(-structure.underlying_ratio, 0) * SHORT_SHARES_SHARE * positions.entry_spot
    return np.where(positions.can_open, required + short_shares + positions.premium, np.nan)


def _has_naked_legs(positions: OpenedPositions) -> bool:
    """More contracts of a right are sold than bought legs of it, or shares, can cover."""
    structure = positions.plan.structure
    for is_call in (True, False):
        ratios = structure.signed_ratios[structure.is_call == is_call]
        shares = structure.underlying_ratio if is_call else -structure.underlying_ratio
        if -ratios[ratios < 0].sum() > ratios[ratios > 0].sum() + max(shares, 0):
            return True
    return False


class _Side:
    """Sold contracts of one right that are not covered yet, and what each would need alone.

    Attributes
    ----------
    left : (n, sold legs) contracts without cover.
    needed : (n, sold legs) of one contract without cover, its premium included, USD a share.
    premium : (n, sold legs) received for one.
    """

    def __init__(self, positions: OpenedPositions, *, is_call: bool) -> None:
        structure = positions.plan.structure
        of_right: BoolArray = structure.is_call == is_call
        sold, bought = of_right & (structure.signed_ratios < 0), of_right & (structure.signed_ratios > 0)
        spot, self._strikes = positions.entry_spot[:, np.newaxis], positions.strikes[:, sold]
        self._sign = 1.0 if is_call else -1.0
        self._bought = [
            (positions.strikes[:, leg], float(structure.signed_ratios[leg])) for leg in np.flatnonzero(bought)
        ]
        self._shares = float(max(self._sign * structure.underlying_ratio, 0.0))
        self.premium = positions.leg_prices[:, sold]
        least = LEAST_SHARE * (spot if is_call else self._strikes)
        out_of_the_money = np.maximum(self._sign * (self._strikes - spot), 0.0)
        self.needed = np.maximum(UNDERLYING_SHARE * spot - out_of_the_money, least) + self.premium
        self.left = np.tile(np.maximum(-structure.signed_ratios[sold], 0.0), (len(spot), 1))

    def cover(self) -> FloatArray:
        """Let shares and bought legs cover what they save the most on; what the covered contracts need, (n,)."""
        required = self._covered_by(np.zeros_like(self._strikes), contracts=self._shares)
        for strike, contracts in self._bought:
            distance = np.maximum(self._sign * (strike[:, np.newaxis] - self._strikes), 0.0)
            required += self._covered_by(distance, contracts=contracts)
        return required

    def _covered_by(self, distance: FloatArray, *, contracts: float) -> FloatArray:
        """(n,) distances of the contracts that so many contracts, or lots of shares, cover."""
        rows, required = np.arange(len(self.left)), np.zeros(len(self.left))
        free = np.full(len(self.left), contracts)
        for _ in range(self.left.shape[1]):
            # The premium is received, covered or not.
            saved = np.where(self.left > 0.0, self.needed - self.premium - distance, -np.inf)
            best = saved.argmax(axis=1)
            taken = np.where(saved[rows, best] > 0.0, np.minimum(self.left[rows, best], free), 0.0)
            required += taken * distance[rows, best]
            self.left[rows, best] -= taken
            free -= taken
        return required

    def take_greatest(self, most: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The uncovered contract that needs most: how many of it, at most so many, its need and premium, (n,) each."""
        rows = np.arange(len(self.left))
        needed = np.where(self.left > 0.0, self.needed, -np.inf)
        best = needed.argmax(axis=1)
        return np.minimum(self.left[rows, best], most), self.needed[rows, best], self.premium[rows, best]

    def drop_greatest(self, contracts: FloatArray) -> None:
        """Count so many of the contract that needs most as dealt with."""
        rows = np.arange(len(self.left))
        self.left[rows, np.where(self.left > 0.0, self.needed, -np.inf).argmax(axis=1)] -= contracts

    def alone(self) -> FloatArray:
        """What the contracts that are left need without anything beside them, (n,)."""
        return np.asarray((self.left * self.needed).sum(axis=1), dtype=np.float64)


def _of_naked(calls: _Side, puts: _Side) -> FloatArray:
    """What uncovered contracts need: the greater of a call and a put and the other's premium, the rest alone."""
    required = np.zeros(len(calls.left))
    if calls.left.shape[1] and puts.left.shape[1]:
        unlimited = np.full(len(required), np.inf)
        for _ in range(calls.left.shape[1] + puts.left.shape[1]):
            count, call_needs, call_premium = calls.take_greatest(unlimited)
            count, put_needs, put_premium = puts.take_greatest(count)
            is_call_greater = call_needs >= put_needs
            pair = np.where(is_call_greater, call_needs + put_premium, put_needs + call_premium)
            required += np.where(count > 0.0, count * pair, 0.0)
            calls.drop_greatest(count)
            puts.drop_greatest(count)
    return required + calls.alone() + puts.alone()
