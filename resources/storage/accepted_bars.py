"""``accepted_bars.json`` beside the slices: the bars that a user has accepted. The file travels with the data.

What an acceptance means is defined in ``trading_dag.quality.acceptance``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from datetime import date
from math import isfinite
from pathlib import Path
from typing import Any, Final

from resources.storage.objects.working_copy import files_of
from resources.storage.slices.paths import ACCEPTED_BARS_NAME as FILE_NAME
from trading_dag.errors import StorageError, UnknownTickerError
from trading_dag.quality.acceptance import AcceptedBar
from trading_dag.slices import validate_ticker

_NUMBERS: Final = ("open", "high", "low", "close")


class AcceptedBars:
    """Reads and writes the accepted bars of one data folder.

    Parameters
    ----------
    data : the folder that holds the slices.
    """

    def __init__(self, data: Path) -> None:
        self.path = data / FILE_NAME
        self._files = files_of(data.parent)

    def all(self) -> list[AcceptedBar]:
        """Return every accepted bar by ticker and session; an empty list where there is no file.

        Raises
        ------
        StorageError : where the file is not one that this class writes; the error names the file and the entry.
        """
        self._files.refresh(self.path)
        try:
            entries = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return []
        except (OSError, ValueError, RecursionError) as error:
            raise self._unreadable(" ".join(str(error).split())) from error
        if not isinstance(entries, list):
            raise self._unreadable("it holds no list")
        return [self._entry(number, entry) for number, entry in enumerate(entries, start=1)]

    def of(self, ticker: str) -> list[AcceptedBar]:
        """Return the accepted bars of one ticker."""
        return [bar for bar in self.all() if bar.ticker == ticker]

    def accept(self, bar: AcceptedBar) -> None:
        """Add a bar, or replace the acceptance of its ticker and session."""
        self._write([*self._others(bar.ticker, bar.session), bar])

    def withdraw(self, ticker: str, session: str) -> bool:
        """Withdraw an acceptance; return whether there was one."""
        before, after = self.all(), self._others(ticker, session)
        if len(after) < len(before):
            self._write(after)
        return len(after) < len(before)

    def _others(self, ticker: str, session: str) -> list[AcceptedBar]:
        return [bar for bar in self.all() if (bar.ticker, bar.session) != (ticker, session)]

    def _write(self, bars: list[AcceptedBar]) -> None:
        ordered = sorted(bars, key=lambda bar: (bar.ticker, bar.session))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps([asdict(bar) for bar in ordered], indent=1, ensure_ascii=False) + "\n"
        self._files.replace(self.path, lambda new: new.write_text(text, encoding="utf-8"))

    def _entry(self, number: int, entry: Any) -> AcceptedBar:
        names = [field.name for field in fields(AcceptedBar)]
        if not isinstance(entry, dict) or set(entry) != set(names):
            raise self._unreadable(f"entry {number} has not exactly {', '.join(names)}")
        numbers = [entry[name] for name in _NUMBERS]
        before = entry["previous_close"]
        if not all(_is_price(value) for value in numbers) or not (before is None or _is_price(before)):
            raise self._unreadable(f"entry {number} has a price that is no positive number")
        if not all(isinstance(entry[name], str) for name in ("ticker", "session", "reason", "accepted_at")):
            raise self._unreadable(f"entry {number} has a text that is none")
        try:
            date.fromisoformat(entry["session"])
            validate_ticker(entry["ticker"])
        except (ValueError, UnknownTickerError) as error:
            raise self._unreadable(f"entry {number}: {error}") from error
        return AcceptedBar(**entry)

    def _unreadable(self, problem: str) -> StorageError:
        return StorageError(
            f"{self.path} cannot be read ({problem}). Mend it, or take it away and accept its bars again"
        )


def _is_price(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value > 0
