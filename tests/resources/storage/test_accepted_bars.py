"""The file of accepted bars: what is written is read again, and what is no such file is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from resources.storage.accepted_bars import FILE_NAME, AcceptedBars
from trading_dag.errors import StorageError
from trading_dag.quality.acceptance import AcceptedBar

BAR = AcceptedBar(
    "SPY", "2010-05-06", 116.3, 117.0, 105.0, 112.9, 116.2, "the flash crash", "2026-01-02T12:00:00+00:00"
)
FIRST = AcceptedBar("QQQ", "1999-03-10", 51.1, 51.2, 50.3, 51.1, None, "erster Tag – wahr", "2026-01-02T12:00:00+00:00")


def test_what_is_accepted_is_read_again_in_order_and_can_be_withdrawn(tmp_path: Path) -> None:
    kept = AcceptedBars(tmp_path / "data")
    assert kept.all() == []
    kept.accept(BAR)
    kept.accept(FIRST)
    assert AcceptedBars(tmp_path / "data").all() == [FIRST, BAR]
    assert kept.of("SPY") == [BAR]
    assert kept.withdraw("SPY", "2010-05-06") is True
    assert kept.withdraw("SPY", "2010-05-06") is False
    assert kept.all() == [FIRST]
    assert [path.name for path in (tmp_path / "data").iterdir()] == [FILE_NAME]


def test_a_bar_that_is_accepted_again_replaces_the_first_acceptance(tmp_path: Path) -> None:
    kept = AcceptedBars(tmp_path)
    kept.accept(BAR)
    again = AcceptedBar(**{**BAR.__dict__, "reason": "seen on two tapes"})
    kept.accept(again)
    assert kept.all() == [again]


def entry(**changes: Any) -> list[dict[str, Any]]:
    return [{**BAR.__dict__, **changes}]


HOSTILE: dict[str, Any] = {
    "no JSON": b"ticker,session",
    "bytes that are no text": b"\xff\xfe\x00",
    "nested without end": b"[" * 100_000,
    "no list": {"ticker": "SPY"},
    "an entry that is a number": [1],
    "a missing field": [{"ticker": "SPY"}],
    "a stranger's field": entry(note="x"),
    "a price as text": entry(close="112.9"),
    "a price of zero": entry(low=0.0),
    "a price that is a flag": entry(open=True),
    "a price beyond numbers": b'[{"close": 1e999}]',
    "a close before of zero": entry(previous_close=0),
    "a session that is none": entry(session="2010-13-40"),
    "a ticker that is a path": entry(ticker="../x"),
    "a reason that is a list": entry(reason=["a"]),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_is_none_of_ours_is_refused_by_path_and_left_as_it_is(tmp_path: Path, content: Any) -> None:
    kept = AcceptedBars(tmp_path)
    kept.path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    before = kept.path.read_bytes()
    with pytest.raises(StorageError, match=FILE_NAME):
        kept.all()
    with pytest.raises(StorageError, match="cannot be read"):
        kept.accept(FIRST)
    assert kept.path.read_bytes() == before
