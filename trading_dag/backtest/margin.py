"""What an account must hold for a position: defined risk, cash for secured puts, Regulation T for naked legs.

USD a share of one structure, from prices at the entry. Whether the account has it is ``account``'s question.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from trading_dag.backtest.positions import OpenedPositions
from trading_dag.options.black_scholes import BoolArray, FloatArray

UNDERLYING_SHARE: Final = 0.20
LEAST_SHARE: Final = 0.10


def margin_requirement(positions: OpenedPositions) -> FloatArray:
    """Margin of one structure, USD a share, (n,); NaN where the position could not be opened.

    A structure whose sold legs are all covered by bought ones of the same right (or by shares), or whose
    puts are secured by cash, needs its greatest loss. Sold options that nothing covers need Regulation T's
    initial margin: the premium and 20 % of the underlying less what the option is out of the money, at
    least 10 % of the underlying (calls) or of the strike (puts); of a short put and a short call the
    greater of the two, and the other's premium. Bought legs beside naked ones lower nothing.
    The premium received is part of the margin, so it is taken off what must be held beyond it.

    References
    ----------
    CBOE, *Margin Manual*, April 2000, pages 8-13: initial margin of short calls, puts, straddles and strangles.
    """
    structure = positions.program.structure
    naked = _naked_contracts(positions)
    if structure.is_cash_secured or not naked.any():
        return np.where(positions.can_open, positions.maximum_loss, np.nan)
    spot, strikes, prices = positions.entry_spot[:, np.newaxis], positions.strikes, positions.leg_prices
    is_call: BoolArray = structure.is_call
    out_of_the_money = np.maximum(np.where(is_call, strikes - spot, spot - strikes), 0.0)
    least = LEAST_SHARE * np.where(is_call, spot, strikes)
    beyond_premium = np.maximum(UNDERLYING_SHARE * spot - out_of_the_money, least) * naked
    sides = [(beyond_premium + prices * naked) @ side for side in (is_call.astype(float), (~is_call).astype(float))]
    premiums = [(prices * naked) @ side for side in (is_call.astype(float), (~is_call).astype(float))]
    calls_rule = sides[0] + premiums[1]
    puts_rule = sides[1] + premiums[0]
    required = np.maximum(calls_rule, puts_rule) if _is_two_sided(is_call, naked) else sides[0] + sides[1]
    return np.where(positions.can_open, required + positions.premium, np.nan)


def _naked_contracts(positions: OpenedPositions) -> FloatArray:
    """Sold contracts by leg that neither bought legs of the same right nor shares cover; earlier legs first."""
    structure = positions.program.structure
    naked = np.maximum(-structure.signed_ratios, 0.0)
    for is_call in (True, False):
        side = structure.is_call == is_call
        shares = structure.underlying_ratio if is_call else -structure.underlying_ratio
        cover = float(structure.signed_ratios[side & (structure.signed_ratios > 0)].sum()) + max(shares, 0)
        for leg in np.flatnonzero(side & (structure.signed_ratios < 0)):
            covered = min(cover, float(naked[leg]))
            naked[leg] -= covered
            cover -= covered
    return naked


def _is_two_sided(is_call: BoolArray, naked: FloatArray) -> bool:
    return bool((naked[is_call] > 0).any() and (naked[~is_call] > 0).any())
