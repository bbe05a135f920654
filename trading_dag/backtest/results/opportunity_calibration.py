"""Were opportunities that were said to win seven times of ten winning seven times of ten? And what did they bring?

Rows are opportunities with an outcome. Intervals come from the stationary bootstrap over sessions, because the
candidates of a session win and lose together, and so do those of neighbouring sessions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.backtest.markets.market import build_market
from trading_dag.backtest.results.opportunity_outcomes import realised_profits
from trading_dag.frames import frame_of_records, table_frame, ticker_of
from trading_dag.options.structures.structure import STRUCTURES, Structure
from trading_dag.schemas import OPPORTUNITY_CALIBRATION
from trading_dag.settings import Settings
from trading_dag.slices import Horizon
from trading_dag.strategy.opportunities.choice import EXPECTED_VALUE, choose
from trading_dag.strategy.selector import NO_TRADE
from trading_dag.strategy.sizing import settings_for_contract
from trading_dag.validation.inference.uncertainty import SHORTEST_BLOCK, bootstrap_weights, percentile_interval

EVERYTHING: Final = "all"
BEST_RANKED: Final = "best_ranked"
MEASURES: Final = ("probability_of_profit", "expected_return_on_risk")
TENTHS: Final = 10
LEAST_FOR_TENTHS: Final = 200


@dataclass(frozen=True)
class _Measured:
    """One measure of rows: what was expected, what came, and what the market's distribution expected."""

    expected: FloatArray
    realised: FloatArray
    market: FloatArray


def calibrate(
    opportunities: pd.DataFrame,
    prices: pd.DataFrame,
    volatility_index: pd.DataFrame,
    *,
    rates: pd.DataFrame,
    horizon: Horizon,
    settings: Settings,
    menu: Mapping[str, Structure] = STRUCTURES,
) -> pd.DataFrame:
    """Build ``evaluation.opportunity_calibration`` of one ticker and horizon.

    Parameters
    ----------
    opportunities : ``signals.opportunities``; the candidates that earlier sessions are searched for are read.
    prices, volatility_index, rates : as for ``build_market``.

    Returns
    -------
    A row for each measure, group and tenth; tenth 0 is all of a group. No rows where nothing has an outcome.
    """
    ticker = ticker_of(opportunities)
    settings = settings_for_contract(ticker, settings)
    rows = opportunities[(opportunities["held_to"] == "target") & opportunities["is_backtested"].astype(bool)]
    rows = _best_of_structures(rows)
    market = build_market(prices, volatility_index, rates=rates, settings=settings)
    profit = realised_profits(rows, market, menu=menu)
    rows, profit = rows[np.isfinite(profit)].reset_index(drop=True), profit[np.isfinite(profit)]
    if rows.empty:
        return table_frame(OPPORTUNITY_CALIBRATION, {}, rows=0)
    day, sessions = pd.factorize(rows["session"])
    weights = bootstrap_weights(
        len(sessions), mean_block=min(max(SHORTEST_BLOCK, 2 * horizon.gap_sessions), len(sessions)),
        settings=settings.bootstrap,
    )  # fmt: skip
    groups = _groups(rows, settings)
    measured = {name: _measured(name, rows, profit) for name in MEASURES}
    records: list[dict[str, Any]] = []
    sums: list[FloatArray] = []
    for measure, values in measured.items():
        usable = np.isfinite(values.expected) & np.isfinite(values.realised)
        for group, members in groups.items():
            for tenth, chosen in _tenths(values.expected, members & usable, group):
                by_session = _by_session(values, chosen, day, sessions=len(sessions))
                sums.append(by_session)
                records.append({
                    "ticker": ticker, "horizon": horizon.key, "measure": measure, "subset": group, "bin": tenth,
                    "n": len(chosen), "sessions": int((by_session[:, 0] > 0).sum()), **_means(values, chosen),
                    "expected_profit_usd": float(rows["expected_profit_usd"].to_numpy()[chosen].mean()),
                    "realised_profit_usd": float(profit[chosen].mean()),
                })  # fmt: skip
    for record, interval in zip(records, _intervals(sums, weights, settings.bootstrap.confidence), strict=True):
        record.update(interval)
    records.sort(key=lambda record: tuple(record[name] for name in OPPORTUNITY_CALIBRATION.key))
    return frame_of_records(OPPORTUNITY_CALIBRATION, records)


def _best_of_structures(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the best ranked candidate of each structure, also of a session of which all are stored."""
    ordered = rows.sort_values(["session", "rank"], kind="stable")
    return ordered.drop_duplicates(["session", "structure"]).reset_index(drop=True)


def _groups(rows: pd.DataFrame, settings: Settings) -> dict[str, BoolArray]:
    chosen = choose(rows, settings.selector)
    taken = chosen.loc[chosen["structure"] != NO_TRADE, ["session", "structure"]]
    keys = pd.MultiIndex.from_frame(rows[["session", "structure"]])
    has_limit = rows["expected_return_on_risk"].notna()
    best = rows[has_limit].drop_duplicates("session").index
    return {
        EVERYTHING: np.ones(len(rows), dtype=np.bool_),
        BEST_RANKED: rows.index.isin(best),
        EXPECTED_VALUE: keys.isin(pd.MultiIndex.from_frame(taken)),
        **{str(name): (rows["structure"] == name).to_numpy() for name in sorted(rows["structure"].unique())},
    }


def _measured(measure: str, rows: pd.DataFrame, profit: FloatArray) -> _Measured:
    expected = rows[measure].to_numpy(np.float64)
    if measure == "probability_of_profit":
        return _Measured(expected, (profit > 0).astype(np.float64), rows["market_probability_of_profit"].to_numpy())
    risk = rows["max_loss_usd"].to_numpy(np.float64) + rows["fees_usd"].to_numpy(np.float64)
    risk = np.where(risk > 0, risk, np.nan)
    return _Measured(expected, profit / risk, rows["market_expected_profit_usd"].to_numpy(np.float64) / risk)


def _tenths(expected: FloatArray, members: BoolArray, group: str) -> list[tuple[int, IntArray]]:
    """Return all rows of a group as 0, and those of the overall groups by tenths of what was expected."""
    rows = np.flatnonzero(members)
    parts = [(0, rows)] if len(rows) else []
    if group not in (EVERYTHING, BEST_RANKED, EXPECTED_VALUE) or len(rows) < LEAST_FOR_TENTHS:
        return parts
    ordered = rows[np.argsort(expected[rows], kind="stable")]
    return parts + [(number, part) for number, part in enumerate(np.array_split(ordered, TENTHS), start=1)]


def _by_session(values: _Measured, chosen: IntArray, day: IntArray, *, sessions: int) -> FloatArray:
    """Return how many rows each session has, and the sums of what came and of its difference, (sessions, 3)."""
    realised, expected = values.realised[chosen], values.expected[chosen]
    return np.column_stack([
        np.bincount(day[chosen], of_row, minlength=sessions)
        for of_row in (np.ones(len(chosen)), realised, realised - expected)
    ])  # fmt: skip


def _means(values: _Measured, chosen: IntArray) -> dict[str, float]:
    came, said = float(values.realised[chosen].mean()), float(values.expected[chosen].mean())
    market = float(np.nanmean(values.market[chosen]))
    return {"expected": said, "realised": came, "difference": came - said, "market_expected": market}


def _intervals(sums: list[FloatArray], weights: npt.NDArray[np.int16], confidence: float) -> Iterator[dict[str, float]]:
    """Yield the intervals of each set of sums by session; all are drawn in one product."""
    drawn = weights.astype(np.float32) @ np.concatenate(sums, axis=1).astype(np.float32)
    for first in range(0, drawn.shape[1], 3):
        count, *totals = drawn[:, first : first + 3].astype(np.float64).T
        with np.errstate(invalid="ignore", divide="ignore"):
            ends = [percentile_interval(total / count, confidence=confidence) for total in totals]
        (low, high), (difference_low, difference_high) = ends
        yield {"realised_low": low, "realised_high": high, "difference_low": difference_low,
               "difference_high": difference_high}  # fmt: skip
