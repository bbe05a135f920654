"""Defects that are planted into real bars, to measure which rules see them. No test and no rule stands here.

Each planter takes sound bars, a row and another ticker's bars on the same sessions, and returns bars with one defect
from that row on, made as a vendor's mistake would be: high and low still enclose open and close.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd

OHLC: Final = ["open", "high", "low", "close"]
PRICES: Final = [*OHLC, "adj_close"]
Planter = Callable[[pd.DataFrame, int, pd.DataFrame], pd.DataFrame]


def _enclosed(frame: pd.DataFrame) -> pd.DataFrame:
    frame["high"] = frame[OHLC].max(axis=1)
    frame["low"] = frame[OHLC].min(axis=1)
    return frame


def _scaled(columns: list[str], factor: float, length: int | None) -> Planter:
    def plant(frame: pd.DataFrame, row: int, other: pd.DataFrame) -> pd.DataFrame:
        end = len(frame) - 1 if length is None else row + length - 1
        frame.loc[row:end, columns] *= factor
        return _enclosed(frame) if columns != ["adj_close"] else frame

    return plant


def _unadjusted_split(ratio: float, *, adjusted: bool) -> Planter:
    def plant(frame: pd.DataFrame, row: int, other: pd.DataFrame) -> pd.DataFrame:
        frame.loc[: row - 1, OHLC if adjusted else PRICES] *= ratio
        frame.loc[: row - 1, "volume"] /= ratio
        return frame

    return plant


def _identical_bars(*, with_volume: bool) -> Planter:
    def plant(frame: pd.DataFrame, row: int, other: pd.DataFrame) -> pd.DataFrame:
        columns = [*PRICES, "volume"] if with_volume else PRICES
        for later in range(row + 1, row + 5):
            frame.loc[later, columns] = frame.loc[row, columns]
        return frame

    return plant


def _copied_week(frame: pd.DataFrame, row: int, other: pd.DataFrame) -> pd.DataFrame:
    columns = [*PRICES, "volume"]
    frame.loc[row : row + 4, columns] = frame.loc[row - 5 : row - 1, columns].to_numpy()
    return frame


def _spliced_ticker(*, on_its_level: bool) -> Planter:
    def plant(frame: pd.DataFrame, row: int, other: pd.DataFrame) -> pd.DataFrame:
        rows = slice(row, row + 9)
        foreign = other.loc[rows, [*PRICES, "volume"]].copy()
        if on_its_level:
            foreign[OHLC] *= frame.loc[row - 1, "close"] / other.loc[row - 1, "close"]
            foreign["adj_close"] = foreign["close"] * frame.loc[row - 1, "adj_close"] / frame.loc[row - 1, "close"]
        frame.loc[rows, [*PRICES, "volume"]] = foreign.to_numpy()
        return frame

    return plant


def _next_opens(length: int) -> Planter:
    def plant(frame: pd.DataFrame, row: int, other: pd.DataFrame) -> pd.DataFrame:
        frame.loc[row : row + length - 1, "open"] = frame["open"].shift(-1)[row : row + length].to_numpy()
        return _enclosed(frame)

    return plant


def _close_off(share: float) -> Planter:
    return _scaled(["close", "adj_close"], 1.0 + share, 1)


def _wick(column: str, factor: float) -> Planter:
    return _scaled([column], factor, 1)


def _no_volume(length: int) -> Planter:
    def plant(frame: pd.DataFrame, row: int, other: pd.DataFrame) -> pd.DataFrame:
        frame.loc[row : row + length - 1, "volume"] = 0.0
        return frame

    return plant


def _days_swapped(frame: pd.DataFrame, row: int, other: pd.DataFrame) -> pd.DataFrame:
    columns = [*PRICES, "volume"]
    frame.loc[[row, row + 1], columns] = frame.loc[[row + 1, row], columns].to_numpy()
    return frame


PLANTERS: Final[dict[str, Planter]] = {
    "adj_close on another base for a year": _scaled(["adj_close"], 0.9, 252),
    "adj_close falls by 3 % for good": _scaled(["adj_close"], 0.97, None),
    "adj_close rises by 3 % for good": _scaled(["adj_close"], 1.03, None),
    "five identical bars": _identical_bars(with_volume=True),
    "five identical bars, own volumes": _identical_bars(with_volume=False),
    "a week copied from the week before": _copied_week,
    "another ticker for two weeks": _spliced_ticker(on_its_level=False),
    "another ticker for two weeks, on the same level": _spliced_ticker(on_its_level=True),
    "the next open as the open, a year": _next_opens(252),
    "the next open as the open, one bar": _next_opens(1),
    "unadjusted 5:4, adj_close contradicts": _unadjusted_split(1.25, adjusted=True),
    "unadjusted 5:4, adj_close too": _unadjusted_split(1.25, adjusted=False),
    "unadjusted 3:2, adj_close too": _unadjusted_split(1.5, adjusted=False),
    "unadjusted 2:1, adj_close too": _unadjusted_split(2.0, adjusted=False),
    "unadjusted 1:10, adj_close too": _unadjusted_split(0.1, adjusted=False),
    "unadjusted 1:35, adj_close too": _unadjusted_split(1 / 35, adjusted=False),
    "a close off by 3 %, undone": _close_off(0.03),
    "a close off by 8 %, undone": _close_off(0.08),
    "a close off by 20 %, undone": _close_off(-0.2),
    "a whole bar 1.4 times too high": _scaled(PRICES, 1.4, 1),
    "a low 25 % too low": _wick("low", 0.75),
    "a high 25 % too high": _wick("high", 1.25),
    "a month of volume 0": _no_volume(21),
    "one volume of 0": _no_volume(1),
    "two sessions swapped": _days_swapped,
}


def planted(
    frames: dict[str, pd.DataFrame], planter: Planter, *, seed: int, places: int, history: int = 2_500
) -> list[tuple[str, pd.DataFrame, dict[str, pd.DataFrame]]]:
    """Bars of each ticker with the defect at random rows, and the other tickers' bars on the same sessions."""
    generator = np.random.default_rng(seed)
    found = []
    tickers = sorted(frames)
    for position, ticker in enumerate(tickers):
        for _ in range(places):
            whole = frames[ticker]
            start = int(generator.integers(0, max(len(whole) - history, 1)))
            own = whole.iloc[start : start + history].reset_index(drop=True)
            peers = {
                name: frames[name].set_index("session").reindex(own["session"]).reset_index()
                for name in (tickers[(position + step) % len(tickers)] for step in range(1, 6))
            }
            complete = [peer for peer in peers.values() if peer["close"].notna().all()]
            row = int(generator.integers(300, len(own) - 300))
            if not complete:
                continue
            bars = planter(own.copy(), row, complete[0])
            whole_peers = {name: peer.dropna(subset="close") for name, peer in peers.items()}
            found.append((ticker, bars, whole_peers))
    return found
