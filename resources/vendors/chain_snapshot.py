"""What vendors of present option chains have in common: which session a snapshot is of, whether its quotes are of that
session, and how its contracts become rows of ``raw.option_chain``.

A vendor shows what is quoted now. That is a session's end-of-day chain from half an hour after its close until the
next session opens, and no other session's. How each vendor is asked and what its answers look like is in its own
module.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd

from resources.left_out import LEFT_OUT, LeftOut, with_note
from resources.raw_frames import raw_frame, require_rows
from trading_dag.errors import EmptySourceError, SourceFormatError, StaleSourceError
from trading_dag.options.chains.rows import CONTRACT_ID, normalise_chain, repeated_rows
from trading_dag.schemas import OPTION_CHAIN
from trading_dag.sessions import (
    NEW_YORK,
    SETTLEMENT_DELAY,
    last_closed_session,
    session_close,
    session_open,
    shift_sessions,
)
from trading_dag.settings import Settings
from trading_dag.slices import validate_ticker

# Plans without real-time data show quotes a quarter of an hour late.
QUOTE_DELAY: Final = pd.Timedelta(minutes=15)
# A field that none of so many contracts has was renamed; of fewer, nobody may have traded one.
ENOUGH_CONTRACTS: Final = 50
# Far out of the money a share of contracts has no bidder and no offer; after hours it may be all of them.
MOST_ZERO_QUOTES: Final = 0.5
CONTRACT_COLUMNS: Final = (
    CONTRACT_ID, "underlying_price", "expiration", "strike", "option_right", "bid", "ask", "last", "volume",
    "open_interest", "implied_volatility", "quoted_at",
)  # fmt: skip
_NUMBERS: Final = ("bid", "ask", "last", "volume", "open_interest", "implied_volatility")
# Attribute of a chain's frame: expirations that the vendor lists and gives no contract of, in words.
WITHOUT_CONTRACTS: Final = "expirations_without_contracts"
# COMP is quoted, but the options on that market's index are on NDX.
WITHOUT_OPTIONS: Final = frozenset({"COMP"})
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChainQuestion:
    """Describes one chain that is asked for.

    Attributes
    ----------
    source : the vendor.
    ticker : the underlying, as this project writes it.
    session : whose end-of-day quotes are wanted.
    days : expirations up to so many calendar days after the session.
    """

    source: str
    ticker: str
    session: pd.Timestamp
    days: int

    def __str__(self) -> str:
        return f"option chain of {self.ticker} on {self.session:%Y-%m-%d}"

    @property
    def last_expiration(self) -> pd.Timestamp:
        """The last day on which a contract that is wanted may expire."""
        return self.session + pd.Timedelta(days=self.days)

    def has(self, expiration: pd.Timestamp) -> bool:
        """Return whether contracts of that expiration are wanted."""
        return bool(self.session <= expiration <= self.last_expiration)

    def stale(self, problem: str, remedy: str) -> StaleSourceError:
        """Return the error of a snapshot of another session."""
        return StaleSourceError(source=self.source, request=str(self), problem=problem, remedy=remedy)

    def strange(self, problem: str) -> SourceFormatError:
        """Return the error of a chain in another shape."""
        return SourceFormatError(
            source=self.source,
            request=str(self),
            problem=problem,
            remedy="Try again later; if it stays, the vendor has changed its answers.",
        )

    def nothing(self, problem: str) -> EmptySourceError:
        """Return the error of an underlying without options."""
        return EmptySourceError(
            source=self.source, request=str(self), problem=problem, remedy="Check that options on it are listed."
        )


def snapshot_period(now: pd.Timestamp) -> tuple[pd.Timestamp, pd.Timestamp, pd.Timestamp]:
    """Return the last closed session, and from when until when (UTC) what vendors show is that session's end-of-day
    chain.
    """
    last = last_closed_session(now)
    return last, session_close(last) + SETTLEMENT_DELAY, session_open(shift_sessions(pd.DatetimeIndex([last]), 1)[0])


def ask_for_present_chain(
    source: str, ticker: str, *, session: pd.Timestamp, now: pd.Timestamp, settings: Settings
) -> ChainQuestion:
    """Return the question for a session's chain, if a snapshot that is taken now is of that session.

    Parameters
    ----------
    source, ticker, session : what is asked.
    now : the present moment, UTC.
    settings : ``chain_days``.

    Raises
    ------
    StaleSourceError : for any but the last closed session, before its late prints are in, and once the next session
        has opened.
    UnknownTickerError : for what is no ticker.
    """
    question = ChainQuestion(source, validate_ticker(ticker), session, settings.chain_days)
    last, begins, ends = snapshot_period(now)
    if session != last:
        raise question.stale(
            f"a snapshot shows the last closed session, which is {last:%Y-%m-%d}",
            "Chains of other sessions come from files: trading-dag import-chains PATH.",
        )
    if not begins <= now < ends:
        raise question.stale(
            f"at {_clock(now)} the quotes are not those of the close" + (", the next session is open" * (now >= ends)),
            f"Ask between {_clock(begins)} and {_clock(ends)}.",
        )
    return question


def require_fresh(question: ChainQuestion, quoted_at: pd.Timestamp, *, what: str) -> None:
    """Refuse a snapshot whose newest quote is older than the session's close, less the delay of free plans.

    Parameters
    ----------
    quoted_at : of the newest quote, UTC; NaT where none has a time-stamp.
    what : whose time-stamp it is.

    Raises
    ------
    StaleSourceError : with the time-stamp.
    """
    oldest = session_close(question.session) - QUOTE_DELAY
    if pd.isna(quoted_at) or quoted_at < oldest:
        said = "no time-stamp" if pd.isna(quoted_at) else f"the time-stamp {_clock(quoted_at)}"
        raise question.stale(
            f"{what} has {said}; the session closed at {_clock(session_close(question.session))}",
            "Try again later; if it stays, the vendor's feed has stopped. Nothing that is stored was changed.",
        )


def chain_rows(
    question: ChainQuestion,
    contracts: pd.DataFrame,
    *,
    given: tuple[str, ...],
    source: str,
    left_out: LeftOut,
    is_zero_no_quote: bool = False,
    empty: Sequence[pd.Timestamp] = (),
) -> pd.DataFrame:
    """Return rows of ``raw.option_chain`` from what a vendor says of its contracts.

    Parameters
    ----------
    contracts : ``CONTRACT_COLUMNS``; expirations as dates, numbers with NaN for missing, ``quoted_at`` UTC or NaT
        where the vendor does not say it.
    given : columns that the vendor gives for some contract of every chain, so that none of many is a renamed field.
    source : name for the provenance.
    left_out : contracts that the client could not read.
    is_zero_no_quote : whether the vendor writes bid and ask of 0 where it has no quote: they are NULL then.
    empty : expirations that the vendor lists and gives no contract of. The others are stored all the same; the log and
        the attribute ``WITHOUT_CONTRACTS`` of the frame name them, because nobody gives them again.

    Returns
    -------
    pd.DataFrame : sorted by key. Crossed and zero quotes stay as they are. A quote from before the session is not
        of it, so bid and ask are NULL. Contracts of an adjusted root, and closing-settled twins of opening-settled
        ones, are not the ticker's: they are left out and counted in the log. Rows that cannot be read, and columns
        that no contract has, are named by the attribute ``LEFT_OUT`` too.

    Raises
    ------
    SourceFormatError : where a column of ``given`` has no value at all, or no row can be read.
    EmptySourceError : where no contract within the period is left.
    """
    _require_given(question, contracts, given)
    quotes = _without_old_quotes(question, contracts)
    if is_zero_no_quote:
        quotes = _without_zero_quotes(question, quotes)
    sifted = normalise_chain(quotes.assign(quote_date=question.session, ticker=question.ticker))
    if len(contracts) and sifted.kept.empty:
        raise question.strange(f"no contract can be read: {sifted.counts}")
    copies, conflicts = repeated_rows(sifted.kept)
    rows = sifted.kept[~(copies | conflicts)]
    within = rows[rows["expiration"].between(question.session, question.last_expiration)]
    own = within[within["ticker"] == question.ticker]
    apart = within.loc[within["ticker"] != question.ticker, "ticker"].value_counts().to_dict()
    unreadable = {**sifted.counts, "contradictory": int(conflicts.sum())}
    counts = {**unreadable, **{f"root {root}": count for root, count in apart.items()}}
    if any(counts.values()):
        _logger.warning("%s: of the %s were left out: %s", question.source, question, _told_counts(counts))
    found = require_rows(
        own,
        source=question.source,
        request=str(question),
        problem=f"there is no contract that expires by {question.last_expiration:%Y-%m-%d}",
        remedy="Check the ticker, or raise TRADING_DAG_CHAIN_DAYS.",
    )
    frame = left_out.noted_on(raw_frame(found, OPTION_CHAIN, source=source))
    if any(unreadable.values()):
        frame.attrs[LEFT_OUT] = with_note(frame.attrs.get(LEFT_OUT), f"contracts left out: {_told_counts(unreadable)}")
    without = [name for name in _NUMBERS if found[name].isna().all()]
    if without:
        message = f"no contract of the {question} has {', '.join(without)}"
        _logger.warning("%s: %s", question.source, message)
        frame.attrs[LEFT_OUT] = with_note(frame.attrs.get(LEFT_OUT), message)
    if empty:
        frame.attrs[WITHOUT_CONTRACTS] = _told_empty(question, empty)
    if found["underlying_price"].isna().all():
        _logger.warning("%s: the %s says no price of the underlying", question.source, question)
    return frame


def contract_frame(columns: Mapping[str, object]) -> pd.DataFrame:
    """Return ``CONTRACT_COLUMNS`` from lists of what a vendor says; None in a column of numbers becomes NaN."""
    numbers = dict.fromkeys((*_NUMBERS, "underlying_price", "strike"), "float64")
    return pd.DataFrame(columns, columns=list(CONTRACT_COLUMNS)).astype(numbers)


def moments(values: Sequence[float | None], *, unit: Literal["s", "ms", "ns"]) -> pd.Series:
    """Time-stamps as UTC; NaT for None, for 0, by which vendors say that there is none, and for what no clock shows."""
    numbers = pd.Series([int(value) if value else None for value in values], dtype="Int64")
    return pd.Series(pd.to_datetime(numbers, unit=unit, utc=True, errors="coerce"), dtype="datetime64[us, UTC]")


def new_york_day(moment: pd.Timestamp) -> pd.Timestamp:
    """Return the New York day of a moment, as a session is written."""
    return moment.tz_convert(NEW_YORK).tz_localize(None).normalize()


def _without_old_quotes(question: ChainQuestion, contracts: pd.DataFrame) -> pd.DataFrame:
    is_old = (contracts["quoted_at"] < session_open(question.session)).to_numpy()
    if not is_old.any():
        return contracts
    _logger.warning(
        "%s: %d quotes of the %s are from before the session and count as missing",
        question.source, int(is_old.sum()), question,
    )  # fmt: skip
    return contracts.assign(**{name: np.where(is_old, np.nan, contracts[name]) for name in ("bid", "ask")})


def _without_zero_quotes(question: ChainQuestion, contracts: pd.DataFrame) -> pd.DataFrame:
    is_none = ((contracts["bid"] == 0.0) & (contracts["ask"] == 0.0)).to_numpy()
    if is_none.mean() > MOST_ZERO_QUOTES:
        _logger.warning(
            "%s: %d of %d contracts of the %s have no quote, their last trades count",
            question.source, int(is_none.sum()), len(is_none), question,
        )  # fmt: skip
    return contracts.assign(**{name: np.where(is_none, np.nan, contracts[name]) for name in ("bid", "ask")})


def _told_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count)


def _told_empty(question: ChainQuestion, expirations: Sequence[pd.Timestamp]) -> str:
    days = ", ".join(f"{day:%Y-%m-%d}" for day in sorted(expirations))
    _logger.warning("%s: the %s has no contract of expirations that are listed: %s", question.source, question, days)
    return days


def _require_given(question: ChainQuestion, contracts: pd.DataFrame, given: tuple[str, ...]) -> None:
    if len(contracts) < ENOUGH_CONTRACTS:
        return
    missing = [name for name in given if contracts[name].isna().all()]
    if missing:
        raise question.strange(f"none of {len(contracts)} contracts has {' or '.join(missing)}")


def _clock(moment: pd.Timestamp) -> str:
    return f"{moment.tz_convert(NEW_YORK):%Y-%m-%d %H:%M} New York"
