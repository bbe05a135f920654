"""What a chain would give away for nothing: vertical, butterfly and calendar violations, as a report.

Detection only. A violation is a trade whose natural cost (bought at the ask, sold at the bid) is below the least it can
pay; a chain of last trades is compared at those, where violations are mostly trades of different moments. No row is
removed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.frames import require_columns
from trading_dag.options.chains.contracts import ExerciseStyle
from trading_dag.options.chains.forward import SLICE_KEY
from trading_dag.options.chains.rows import CHAIN_TABLE, combined_codes, marks
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
    is_european = exercise == "European"
    ladder = _ladder(chain, forwards if is_european else None)
    prices = _Prices.of(ladder)
    calendars = _american_calendars(prices)
    if is_european:
        calendars = _european_calendars(ladder) if forwards is not None else calendars[:0]
    examined: dict[ViolationKind, pd.DataFrame] = {
        "vertical": _verticals(prices), "butterfly": _butterflies(prices), "calendar": calendars,
    }  # fmt: skip
    parts = [
        _named(rows[rows["size_usd"] > tolerance_usd], ladder).reindex(columns=VIOLATION_COLUMNS[1:]).assign(kind=kind)
        for kind, rows in examined.items()
    ]
    violations = pd.concat([rows.astype(_TYPES) for rows in parts], ignore_index=True)[list(VIOLATION_COLUMNS)]
    return ArbitrageReport(
        violations.sort_values("size_usd", ascending=False, kind="stable", ignore_index=True),
        {kind: int(rows["size_usd"].notna().sum()) for kind, rows in examined.items()},
    )


_TYPES: Final = {
    **dict.fromkeys(("kind", "ticker", "option_right"), "str"),
    **dict.fromkeys(("quote_date", "expiration", "far_expiration"), "datetime64[us]"),
    **dict.fromkeys(("strike_low", "strike_middle", "strike_high", "size_usd"), "float64"),
}


def _ladder(chain: pd.DataFrame, forwards: pd.DataFrame | None) -> pd.DataFrame:
    """Return contracts with a price, ascending by strike: the cost to buy, the proceeds of a sale, and the discount."""
    priced = marks(chain)
    ladder = chain[[*_LADDER, "strike"]].reset_index(drop=True)
    ladder["buy"] = np.where(priced.is_two_sided, chain["ask"].to_numpy(), priced.price)
    ladder["sell"] = np.where(priced.is_two_sided, chain["bid"].to_numpy(), priced.price)
    if forwards is None:
        ladder["discount"], ladder["forward"] = 1.0, np.nan
    else:
        ladder = ladder.merge(forwards[[*SLICE_KEY, "years", "rate", "forward"]], on=SLICE_KEY, how="left")
        ladder["discount"] = np.exp(-ladder["rate"] * ladder["years"])
    ladder["ladder"] = combined_codes([ladder[name] for name in _LADDER])
    order = np.lexsort((ladder["strike"].to_numpy(), ladder["ladder"].to_numpy()))
    return ladder.iloc[order[ladder["buy"].notna().to_numpy()[order]]].reset_index(drop=True)


@dataclass(frozen=True)
class _Prices:
    """Holds a ladder as arrays, (contracts,) each; ``contract`` numbers ticker, quote date, right and strike."""

    ladder: IntArray
    contract: IntArray
    expiration: NDArray[np.datetime64]
    is_call: BoolArray
    strike: FloatArray
    buy: FloatArray
    sell: FloatArray
    discount: FloatArray

    @classmethod
    def of(cls, ladder: pd.DataFrame) -> Self:
        return cls(
            ladder["ladder"].to_numpy(),
            combined_codes([ladder[name] for name in ("ticker", "quote_date", "option_right", "strike")]),
            ladder["expiration"].to_numpy(),
            np.asarray(ladder["option_right"] == "C", dtype=np.bool_),
            *(ladder[name].to_numpy(dtype=np.float64) for name in ("strike", "buy", "sell", "discount")),
        )

    def neighbours(self, steps: int) -> list[IntArray]:
        """Return the places of contracts that follow one another in one ladder, 0 to ``steps`` strikes further."""
        last = max(len(self.ladder) - steps, 0)
        first = np.flatnonzero(self.ladder[:last] == self.ladder[len(self.ladder) - last :])
        return [first + step for step in range(steps + 1)]


def _named(rows: pd.DataFrame, ladder: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the names of the ladder that they are of."""
    names = ladder[_LADDER].iloc[rows.index]
    return rows.assign(**{name: names[name].to_numpy() for name in _LADDER})


def _verticals(prices: _Prices) -> pd.DataFrame:
    """Return violations of: a call costs at least as much as the next higher strike, at most that plus the width; puts
    mirrored."""
    low, high = prices.neighbours(1)
    is_call, strike = prices.is_call[low], prices.strike
    width = (strike[high] - strike[low]) * prices.discount[low]
    debit, credit = prices.sell[high] - prices.buy[low], prices.sell[low] - prices.buy[high]
    size = np.fmax(np.where(is_call, debit, credit), np.where(is_call, credit, debit) - width)
    return pd.DataFrame({"strike_low": strike[low], "strike_high": strike[high], "size_usd": size}, index=low)


def _butterflies(prices: _Prices) -> pd.DataFrame:
    """Return violations of: the middle of three strikes never sells for more than its two wings, weighted by distance,
    cost."""
    low, middle, high = prices.neighbours(2)
    strike = prices.strike
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = (strike[high] - strike[middle]) / (strike[high] - strike[low])
    size = prices.sell[middle] - weight * prices.buy[low] - (1.0 - weight) * prices.buy[high]
    return pd.DataFrame(
        {"strike_low": strike[low], "strike_middle": strike[middle], "strike_high": strike[high], "size_usd": size},
        index=low,
    )


def _american_calendars(prices: _Prices) -> pd.DataFrame:
    """Return violations of: the farther of two expirations of one strike never costs less than the nearer sells for."""
    order = np.lexsort((prices.expiration, prices.contract))
    together = np.flatnonzero(prices.contract[order[1:]] == prices.contract[order[:-1]])
    near, far = order[together], order[together + 1]
    return pd.DataFrame(
        {
            "far_expiration": prices.expiration[far], "strike_low": prices.strike[near],
            "strike_high": prices.strike[far], "size_usd": prices.sell[near] - prices.buy[far],
        },
        index=near,
    )  # fmt: skip


def _european_calendars(ladder: pd.DataFrame) -> pd.DataFrame:
    """Return violations of: at equal strike over forward, price over discounted forward never falls with time."""
    parts = []
    for _, book in ladder.dropna(subset=["forward"]).groupby(["ticker", "quote_date", "option_right"]):
        expirations = [rows for _, rows in book.groupby("expiration")]
        for near, far in pairwise(expirations):
            scale = near["discount"].iloc[0] * near["forward"].iloc[0]
            far_scale = far["discount"].iloc[0] * far["forward"].iloc[0]
            strike = near["strike"] * far["forward"].iloc[0] / near["forward"].iloc[0]
            far_cost = np.interp(strike, far["strike"], far["buy"], left=np.nan, right=np.nan)
            parts.append(
                pd.DataFrame(
                    {
                        "far_expiration": far["expiration"].iloc[0],
                        "strike_low": near["strike"],
                        "strike_high": strike,
                        "size_usd": near["sell"] - far_cost * scale / far_scale,
                    }
                )
            )
    return pd.concat(parts) if parts else pd.DataFrame({"size_usd": np.empty(0)}, index=np.empty(0, dtype=np.int64))
