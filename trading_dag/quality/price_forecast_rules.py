"""Rules of distributions: what must hold for that of a price or of an index, whoever made it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.quality.rules import Check, Examined, Finding, Rule
from trading_dag.schemas import QUANTILE_COLUMNS

_MEDIAN: Final = "quantile_50"
_ENDS: Final = ("interval_low", "interval_high")
_ROUNDING: Final = 1e-9


def price_forecast_checks() -> tuple[Check, ...]:
    """Return the checks of the shape of each row's distribution; rows that are points alone break none."""
    return (
        quantile_check(),
        _check(
            "interval_contains_median", "The 90 % interval has both ends or none, in order, and contains the median.",
            _without_median, (*_ENDS, _MEDIAN),
        ),
        _check(
            "return_matches_price", "forward_return is y_true over close, minus 1, and both are there or neither.",
            _other_return, ("close", "y_true", "forward_return"),
        ),
    )  # fmt: skip


def quantile_check() -> Check:
    """Return the check of the 19 quantiles, of whatever they are."""
    return _check(
        "quantiles_ascend", "The quantiles of a row do not descend, and none or all of them are there.",
        _descending, QUANTILE_COLUMNS,
    )  # fmt: skip


def _check(name: str, description: str, wrong: Callable[[pd.DataFrame], BoolArray], needs: tuple[str, ...]) -> Check:
    def examine(examined: Examined) -> Finding:
        return Finding.of_rows(wrong(examined.frame))

    return Check(Rule(name, description), examine, needs)


def _numbers(frame: pd.DataFrame, columns: tuple[str, ...]) -> FloatArray:
    values: FloatArray = frame[list(columns)].to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _descending(frame: pd.DataFrame) -> BoolArray:
    values = _numbers(frame, QUANTILE_COLUMNS)
    present = np.isfinite(values).sum(axis=1)
    is_partial = (present > 0) & (present < values.shape[1])
    wrong: BoolArray = is_partial | (np.diff(values, axis=1) < 0).any(axis=1)
    return wrong


def _without_median(frame: pd.DataFrame) -> BoolArray:
    low, high, median = _numbers(frame, (*_ENDS, _MEDIAN)).T
    one_end = np.isfinite(low) != np.isfinite(high)
    wrong: BoolArray = one_end | (low > high) | (median < low) | (median > high)
    return wrong


def _other_return(frame: pd.DataFrame) -> BoolArray:
    close, target, forward = _numbers(frame, ("close", "y_true", "forward_return")).T
    one_alone = np.isfinite(target) != np.isfinite(forward)
    wrong: BoolArray = one_alone | (np.abs(target / close - 1.0 - forward) > _ROUNDING)
    return wrong
