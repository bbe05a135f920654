"""Chains of earlier sessions from Polygon's daily bars: what must be asked, and how the answers become chains.

A strip at the money of each session is listed first, then every contract of any strip is asked for once, whatever
number of sessions wants it. The bars have last trades and volume: bid, ask, open interest and volatility are NULL, and
the source has a name of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from resources.chains.one_kind import DAILY_BARS
from resources.left_out import BadRecord, LeftOut
from resources.vendors.chain_snapshot import chain_rows, contract_frame
from resources.vendors.polygon_access import SOURCE
from resources.vendors.polygon_history import BarQuestion, DailyBars, ListedContract, Strip

HISTORY_SOURCE: Final = f"live:{SOURCE}{DAILY_BARS}"


@dataclass(frozen=True)
class ListedStrip:
    """Holds the contracts of a strip that were listed on its session.

    Attributes
    ----------
    strip : session and bounds.
    close : of the underlying, in dollars of that day.
    contracts : those of the list that are wanted.
    bad : what of the list is not used.
    """

    strip: Strip
    close: float
    contracts: tuple[ListedContract, ...]
    bad: tuple[BadRecord, ...] = ()

    @property
    def session(self) -> pd.Timestamp:
        """Return the session of the strip."""
        return self.strip.question.session


def bar_questions(strips: Sequence[ListedStrip], *, first: pd.Timestamp, last: pd.Timestamp) -> dict[str, BarQuestion]:
    """Return one question for each contract of any strip, by contract, those that expire first coming first.

    A question spans the days of the range on which the contract can be in a strip, whichever sessions are still
    missing: asked again later for the rest of the range, it is the same question, and its answer is kept.

    Parameters
    ----------
    first, last : the whole range that the user asked for.
    """
    found: dict[str, BarQuestion] = {}
    for strip in strips:
        least = strip.strip.first - strip.session
        most = strip.strip.last - strip.session
        for one in strip.contracts:
            begin, end = max(first, one.expiration - most), min(last, one.expiration - least)
            found.setdefault(one.name, BarQuestion(strip.strip.question, one.name, begin, end))
    return dict(sorted(found.items(), key=lambda item: (item[1].last, item[1].first, item[0])))


def chain_of_bars(listed: ListedStrip, bars: Mapping[str, DailyBars]) -> pd.DataFrame:
    """Return rows of ``raw.option_chain`` of one session from the bars of every contract of its strip.

    Contracts that did not trade that day have no row; how many, and what could not be read, is told in the log and by
    the attribute ``LEFT_OUT``.

    Raises
    ------
    EmptySourceError : where no contract of the strip traded, or was listed.
    SourceFormatError : where no row can be read.
    """
    question = listed.strip.question
    left_out = LeftOut(SOURCE, f"contracts and bars of the {question}")
    left_out.add(listed.bad)
    if not listed.contracts:
        raise question.nothing("Polygon lists no contract within the strip")
    traded = [one for one in listed.contracts if listed.session in bars[one.name].of_day]
    left_out.add(bad for one in listed.contracts for bad in bars[one.name].bad)
    left_out.add(
        BadRecord(one.name, "listed, but without a trade that day")
        for one in listed.contracts
        if listed.session not in bars[one.name].of_day
    )
    if not traded:
        raise question.nothing(f"none of {len(listed.contracts)} contracts of the strip traded that day")
    prices = [bars[one.name].of_day[listed.session] for one in traded]
    nothing = [None] * len(traded)
    contracts = contract_frame(
        {
            "contract_id": [one.name.removeprefix("O:") for one in traded],
            "underlying_price": listed.close,
            "expiration": [f"{one.expiration:%Y-%m-%d}" for one in traded],
            "strike": [one.strike for one in traded],
            "option_right": [one.right for one in traded],
            "bid": nothing,
            "ask": nothing,
            "last": [close for close, _ in prices],
            "volume": [volume for _, volume in prices],
            "open_interest": nothing,
            "implied_volatility": nothing,
            "quoted_at": pd.Series(nothing, dtype="datetime64[us, UTC]"),
        }
    )
    return chain_rows(question, contracts, given=("last", "volume"), source=HISTORY_SOURCE, left_out=left_out)
