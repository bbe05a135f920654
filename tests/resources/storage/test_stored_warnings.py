"""Warnings are recorded with the slice that they are about, and summed up by rule; other tickers' bars are peers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from resources.storage.parquet_store import ACCEPTED_ATTRIBUTE, WARNINGS_ATTRIBUTE, ParquetStore, SliceKey
from resources.storage.peers import MOST_PEERS, peers_of
from resources.storage.stored_warnings import stored_warnings
from trading_dag.schemas import PRICES_DAILY
from trading_dag.sessions import sessions_between

DAYS = sessions_between("2024-01-02", "2024-01-31")


def store_bars(store: ParquetStore, ticker: str, *, source: str = "files", **attributes: object) -> None:
    close = 100.0 + np.arange(len(DAYS))
    frame = pd.DataFrame({"ticker": ticker, "session": DAYS, "open": close, "high": close, "low": close})
    frame = frame.assign(close=close, adj_close=close, volume=1.0, split_factor=np.nan, dividend=np.nan)
    frame.attrs = dict(attributes)
    store.write(PRICES_DAILY, SliceKey(ticker), frame, source=source)


def warned(count: int, example: str) -> list[dict[str, object]]:
    return [{"rule": "no_unusual_bars", "count": count, "detail": "far away", "examples": example}]


def test_a_slice_keeps_its_warnings_and_the_bars_that_were_accepted(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    accepted = {"2024-01-03": "seen on the tape"}
    store_bars(store, "SPY", **{WARNINGS_ATTRIBUTE: warned(2, "a"), ACCEPTED_ATTRIBUTE: accepted})
    recorded = store.provenance(PRICES_DAILY, SliceKey("SPY"))
    assert recorded is not None
    assert (recorded.warnings, recorded.accepted) == (warned(2, "a"), accepted)
    assert not {WARNINGS_ATTRIBUTE, ACCEPTED_ATTRIBUTE} & set(store.read(PRICES_DAILY, SliceKey("SPY")).attrs)


def test_warnings_are_summed_by_rule_over_the_chosen_tickers(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    store_bars(store, "IWM")
    store_bars(store, "QQQ", **{WARNINGS_ATTRIBUTE: warned(1, "session=2024-01-05")})
    store_bars(store, "SPY", **{WARNINGS_ATTRIBUTE: warned(2, "session=2024-01-03 | session=2024-01-04")})
    found = stored_warnings(store, tickers=("IWM", "QQQ", "SPY"), horizons=("24h",))
    assert [(entry.count, entry.slices) for entry in found] == [(3, ("QQQ", "SPY"))]
    assert str(found[0]) == ("raw.prices_daily no_unusual_bars: 3 in QQQ, SPY: far away (session=2024-01-05)")
    assert stored_warnings(store, tickers=("IWM",), horizons=("24h",)) == []


def test_a_slice_that_cannot_be_read_is_neither_a_peer_nor_warned_of(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    for ticker in ("QQQ", "SPY"):
        store_bars(store, ticker, **{WARNINGS_ATTRIBUTE: warned(1, "")})
    store.path(PRICES_DAILY, SliceKey("QQQ")).write_bytes(b"torn")
    assert [entry.slices for entry in stored_warnings(store, tickers=("QQQ", "SPY"), horizons=())] == [("SPY",)]
    assert list(peers_of(store, "IWM", source="files")) == ["SPY"]


def test_peers_are_other_tickers_of_the_same_source_and_not_too_many(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    for letter in "ABCDEFGH":
        store_bars(store, letter)
    store_bars(store, "AA", source="sample")
    peers = peers_of(store, "B", source="files")
    assert list(peers) == ["A", "C", "D", "E", "F", "G"][:MOST_PEERS]
    assert list(peers["A"].columns) == ["session", "open", "high", "low", "close"]
