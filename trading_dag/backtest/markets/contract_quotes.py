"""What contracts cost and are worth at marks of a market, whichever market it is. Nothing is looked up here."""

from __future__ import annotations

from dataclasses import dataclass

from trading_dag.arrays import BoolArray, FloatArray


@dataclass(frozen=True)
class ContractQuotes:
    """Holds quotes of contracts, arrays of one shape; NaN where there is none.

    Attributes
    ----------
    price : natural price at which each is traded, USD a share: paid where bought, received where sold.
    mark : value between bid and ask, USD a share.
    delta : NaN where unknown or not asked for.
    volatility : implied, fraction; NaN where unknown.
    is_last : the price is made from a last trade.
    """

    price: FloatArray
    mark: FloatArray
    delta: FloatArray
    volatility: FloatArray
    is_last: BoolArray
