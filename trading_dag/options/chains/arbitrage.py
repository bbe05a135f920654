"""What a chain would give away for nothing: vertical, butterfly and calendar violations, as a report.

Detection only. A violation is a trade whose natural cost (bought at the ask, sold at the bid) is below the least it can
pay; a chain of last trades is compared at those, where violations are mostly trades of different moments. No row is
removed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.frames import require_columns
from trading_dag.options.chains.contracts import ExerciseStyle
from trading_dag.options.chains.forward import SLICE_KEY, of_slices
from trading_dag.options.chains.rows import CHAIN_TABLE, combined, marks, row_codes
from trading_dag.schemas import OPTION_CHAIN

ViolationKind = Literal["vertical", "butterfly", "calendar"]
KINDS: Final[tuple[ViolationKind, ...]] = ("vertical", "butterfly", "calendar")
VIOLATION_COLUMNS: Final = (
    "kind", "ticker", "quote_date", "expiration", "far_expiration", "option_right",
    "strike_low", "strike_middle", "strike_high", "size_usd",
)  # fmt: skip
_LADDER: Final = [*SLICE_KEY, "option_right"]
_TOLERANCE_USD: Final = 1e-6


@dataclass(frozen=True)
class ArbitrageReport:
    """Lists the violations of a chain, and how many combinations were examined.

    Attributes
    ----------
    violations : ``VIOLATION_COLUMNS``, the largest first. ``size_usd``: what the trade pays at once, a share, beyond
        the least it will owe. A vertical has ``strike_low`` and ``strike_high``; a calendar has ``strike_low`` (near)
        and ``strike_high`` (far), which are equal for American options; NaN and NaT where a kind has no such leg.
    checked : combinations by kind.
    """

    violations: pd.DataFrame
    checked: dict[ViolationKind, int]

    @property
    def counts(self) -> dict[ViolationKind, int]:
        """Return the number of violations by kind."""
        return {kind: int((self.violations["kind"] == kind).sum()) for kind in KINDS}


def check_arbitrage(
    chain: pd.DataFrame,
    *,
    forwards: pd.DataFrame | None = None,
    exercise: ExerciseStyle = "American",
    tolerance_usd: float = _TOLERANCE_USD,
) -> ArbitrageReport:
    """Check every pair and triple of neighbouring strikes, and neighbouring expirations of each strike, for arbitrage.

    Parameters
    ----------
    chain : clean rows of ``raw.option_chain``.
    forwards : as ``implied_forwards`` gives them. With them, European spreads are bounded by the discounted width,
        and calendars of European options compared at equal strike over forward; the far price between two strikes is
        its linear interpolation, which never is below the convex truth. Without them European calendars are not
        checked, because a dividend may make the nearer option dearer.
    exercise : American options of one strike never get cheaper with more time, whatever the dividends.
    tolerance_usd : violations up to this size count as rounding.

    Returns
    -------
    ArbitrageReport. Known at the close of the quote date.

    Raises
    ------
    SchemaError : for a missing column.

    References
    ----------
    Carr and Madan, A note on sufficient conditions for no arbitrage, Finance Research Letters 2 (2005), 125-130.
    """
    require_columns(chain, CHAIN_TABLE, columns=OPTION_CHAIN.column_names)
    prices = _prices(chain, forwards if exercise == "European" else None)
    calendars: _Combinations = _american_calendars(prices)
    if exercise == "European":
        calendars = _european_calendars(prices) if forwards is not None else _combinations(0)
    examined: dict[ViolationKind, _Combinations] = {
        "vertical": _verticals(prices), "butterfly": _butterflies(prices), "calendar": calendars,
    }  # fmt: skip
    return ArbitrageReport(
        _violations(chain, prices, examined, tolerance_usd),
        {kind: int((~np.isnan(rows["size_usd"])).sum()) for kind, rows in examined.items()},
    )


# By name: where in ``_Prices`` the trade begins, its other legs, and its size; arrays of one length.
_Combinations = dict[str, NDArray[Any]]
_STRIKES: Final = ("strike_low", "strike_middle", "strike_high")


@dataclass(frozen=True)
class _Prices:
    """Holds the contracts with a price as arrays, (contracts,) each: ladder by ladder, ascending by strike.

    Attributes
    ----------
    row : of the chain.
    ladder : numbers ticker, quote date, expiration and right. contract : numbers ticker, quote date, right and strike.
    book : numbers ticker, quote date and right, in their order.
    buy, sell : the cost to buy and the proceeds of a sale, USD. discount, forward : of the expiration.
    """

    row: IntArray
    ladder: IntArray
    contract: IntArray
    book: IntArray
    expiration: NDArray[np.datetime64]
    is_call: BoolArray
    strike: FloatArray
    buy: FloatArray
    sell: FloatArray
    discount: FloatArray
    forward: FloatArray

    def neighbours(self, steps: int) -> list[IntArray]:
        """Return the places of contracts that follow one another in one ladder, 0 to ``steps`` strikes further."""
        last = max(len(self.ladder) - steps, 0)
        first = np.flatnonzero(self.ladder[:last] == self.ladder[len(self.ladder) - last :])
        return [first + step for step in range(steps + 1)]


def _prices(chain: pd.DataFrame, forwards: pd.DataFrame | None) -> _Prices:
    """Return contracts with a price, and the discount of their expirations where forwards are given."""
    priced = marks(chain)
    codes = {name: row_codes(chain[name]) for name in (*_LADDER, "strike")}
    ladder, contract, book = (
        combined([codes[name] for name in names])
        for names in (
            _LADDER,
            ("ticker", "quote_date", "option_right", "strike"),
            ("ticker", "quote_date", "option_right"),
        )
    )
    buy = np.where(priced.is_two_sided, chain["ask"].to_numpy(dtype=np.float64), priced.price)
    sell = np.where(priced.is_two_sided, chain["bid"].to_numpy(dtype=np.float64), priced.price)
    strike = chain["strike"].to_numpy(dtype=np.float64)
    order = np.lexsort((codes["strike"][0], ladder))
    order = order[~np.isnan(buy[order])]
    discount, forward = np.ones(len(chain)), np.full(len(chain), np.nan)
    if forwards is not None:
        known = of_slices(chain, forwards, columns=("rate", "years", "forward"))
        discount, forward = np.exp(-known["rate"] * known["years"]), known["forward"]
    return _Prices(
        order, ladder[order], contract[order], book[order], chain["expiration"].to_numpy()[order],
        np.asarray(chain["option_right"] == "C", dtype=np.bool_)[order],
        *(values[order] for values in (strike, buy, sell, discount, forward)),
    )  # fmt: skip


def _violations(
    chain: pd.DataFrame, prices: _Prices, examined: dict[ViolationKind, _Combinations], tolerance_usd: float
) -> pd.DataFrame:
    """Return the combinations above the tolerance as rows, the largest first."""
    parts = []
    for kind, rows in examined.items():
        hits = np.flatnonzero(rows["size_usd"] > tolerance_usd)
        missing = np.full(len(hits), np.nan)
        far = rows.get("far_expiration")
        parts.append({
            "kind": np.full(len(hits), kind, dtype=object),
            "row": prices.row[rows["first"][hits]],
            "far_expiration": (
                np.full(len(hits), np.datetime64("NaT"), dtype="datetime64[us]") if far is None else far[hits]
            ),
            **{name: rows[name][hits] if name in rows else missing for name in _STRIKES},
            "size_usd": rows["size_usd"][hits],
        })  # fmt: skip
    together = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(-together["size_usd"], kind="stable")
    values = {name: column[order] for name, column in together.items()}
    names = chain[_LADDER].iloc[values.pop("row")]
    values.update({name: names[name].array for name in _LADDER})
    return pd.DataFrame({name: pd.Series(values[name], dtype=_TYPES[name]) for name in VIOLATION_COLUMNS})


_TYPES: Final = {
    **dict.fromkeys(("kind", "ticker", "option_right"), "str"),
    **dict.fromkeys(("quote_date", "expiration", "far_expiration"), "datetime64[us]"),
    **dict.fromkeys(("strike_low", "strike_middle", "strike_high", "size_usd"), "float64"),
}


def _combinations(count: int) -> _Combinations:
    return {"first": np.empty(count, dtype=np.int64), "size_usd": np.empty(count)}


def _verticals(prices: _Prices) -> _Combinations:
    """Return violations of: a call costs at least as much as the next higher strike, at most that plus the width; puts
    mirrored."""
    low, high = prices.neighbours(1)
    is_call, strike = prices.is_call[low], prices.strike
    width = (strike[high] - strike[low]) * prices.discount[low]
    debit, credit = prices.sell[high] - prices.buy[low], prices.sell[low] - prices.buy[high]
    size = np.fmax(np.where(is_call, debit, credit), np.where(is_call, credit, debit) - width)
    return {"first": low, "strike_low": strike[low], "strike_high": strike[high], "size_usd": size}


def _butterflies(prices: _Prices) -> _Combinations:
    """Return violations of: the middle of three strikes never sells for more than its two wings, weighted by distance,
    cost."""
    low, middle, high = prices.neighbours(2)
    strike = prices.strike
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = (strike[high] - strike[middle]) / (strike[high] - strike[low])
    size = prices.sell[middle] - weight * prices.buy[low] - (1.0 - weight) * prices.buy[high]
    return {
        "first": low, "strike_low": strike[low], "strike_middle": strike[middle], "strike_high": strike[high],
        "size_usd": size,
    }  # fmt: skip


def _american_calendars(prices: _Prices) -> _Combinations:
    """Return violations of: the farther of two expirations of one strike never costs less than the nearer sells for."""
    order = np.lexsort((prices.expiration, prices.contract))
    together = np.flatnonzero(prices.contract[order[1:]] == prices.contract[order[:-1]])
    near, far = order[together], order[together + 1]
    return {
        "first": near, "far_expiration": prices.expiration[far], "strike_low": prices.strike[near],
        "strike_high": prices.strike[far], "size_usd": prices.sell[near] - prices.buy[far],
    }  # fmt: skip


def _european_calendars(prices: _Prices) -> _Combinations:
    """Return violations of: at equal strike over forward, price over discounted forward never falls with time."""
    known = np.flatnonzero(~np.isnan(prices.forward))
    known = known[np.lexsort((prices.strike[known], prices.expiration[known], prices.book[known]))]
    begins = np.flatnonzero(np.diff(prices.ladder[known], prepend=-1))
    ladders = np.split(known, begins[1:]) if len(known) else []
    parts: list[_Combinations] = []
    for near, far in pairwise(ladders):
        if prices.book[near[0]] != prices.book[far[0]]:
            continue
        near_forward, far_forward = prices.forward[near[0]], prices.forward[far[0]]
        scale, far_scale = prices.discount[near[0]] * near_forward, prices.discount[far[0]] * far_forward
        strike = prices.strike[near] * far_forward / near_forward
        far_cost = np.interp(strike, prices.strike[far], prices.buy[far], left=np.nan, right=np.nan)
        parts.append({
            "first": near, "far_expiration": np.repeat(prices.expiration[far[:1]], len(near)),
            "strike_low": prices.strike[near], "strike_high": strike,
            "size_usd": prices.sell[near] - far_cost * scale / far_scale,
        })  # fmt: skip
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else _combinations(0)
