"""The analysis of every session of a chain: which sessions have to be computed, one after the other, and the tables.

How one session is analysed is in ``chains.session``. The caller decides where half-finished work is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.frames import table_frame
from trading_dag.options.chains.session import SessionAnalysis, SessionChain, analyse_sessions
from trading_dag.schemas import CHAIN_ANALYTICS, DEALER_EXPOSURE, Table

ANALYSIS_VERSION: Final = "5"  # raise it when the same quotes give other numbers
KEPT_SESSIONS: Final = 50  # some seconds of work
SESSIONS_TOGETHER: Final = 10  # so many share the steps of their fits; more would only hold more chains in memory


@dataclass(frozen=True)
class HistoryTables:
    """Holds rows of ``options.chain_analytics`` and of ``options.dealer_exposure``, of the same sessions."""

    smiles: pd.DataFrame
    exposure: pd.DataFrame


@dataclass(frozen=True)
class HistoryProgress:
    """Tells how far the analysis of a ticker's sessions is; ``computed`` of the ``done`` were not known already."""

    done: int
    sessions: int
    computed: int


@dataclass(frozen=True)
class ChainHistory:
    """Holds the tables of many sessions.

    Attributes
    ----------
    tables : every session's rows.
    latest : the last session in full, for pictures; None without sessions.
    computed : sessions that were not taken from what is known.
    """

    tables: HistoryTables
    latest: SessionAnalysis | None
    computed: int


def analyse_history(
    chains: Iterable[tuple[pd.Timestamp, pd.DataFrame]],
    *,
    rates: pd.Series,
    known: HistoryTables,
    keep: Callable[[HistoryTables], None] | None = None,
    progress: Callable[[HistoryProgress], None] | None = None,
) -> ChainHistory:
    """Analyse every session whose quotes differ from those of its known row; keep the other rows.

    Parameters
    ----------
    chains : quote date and its chain, ascending. Each is asked for, because only its rows say whether they changed.
    rates : continuously compounded fraction; its index are the sessions that ``chains`` holds.
    known : the two tables as far as they are known, perhaps empty.
    keep : handed the rows of every ``KEPT_SESSIONS`` computed sessions, so that an end from outside loses no more.
    progress : told after every session.

    A session's rows use its own quotes and those of the quote date before, never later ones.
    """
    digests = dict(zip(known.exposure["session"], known.exposure["chain_digest"], strict=True))
    with_smiles = set(known.smiles["session"])
    work = _Work(len(rates), keep, progress)
    before = None
    for place, (session, chain) in enumerate(chains, start=1):
        rate = float(rates.loc[session])
        digest = _digest(chain, before, rate)
        if digests.get(session) != digest or session not in with_smiles or place == len(rates):
            work.add(SessionChain(chain, rate, before), digest)
        else:
            work.pass_over()
        before = chain
    work.finish()
    computed = [tables.exposure["session"].iloc[0] for tables in work.fresh]
    tables = _joined([_only(known, rates.index.difference(pd.DatetimeIndex(computed))), *work.fresh])
    return ChainHistory(tables, work.latest, len(work.fresh))


@dataclass
class _Work:
    """Collects sessions until enough of them are analysed together; then keeps their rows and tells of each."""

    sessions: int
    keep: Callable[[HistoryTables], None] | None
    progress: Callable[[HistoryProgress], None] | None
    fresh: list[HistoryTables] = field(default_factory=list)
    latest: SessionAnalysis | None = None
    told: int = 0
    waiting: list[tuple[SessionChain, str] | None] = field(default_factory=list)  # None: known, told in its turn

    def add(self, session: SessionChain, digest: str) -> None:
        self.waiting.append((session, digest))
        if sum(one is not None for one in self.waiting) >= min(SESSIONS_TOGETHER, KEPT_SESSIONS):
            self.finish()

    def pass_over(self) -> None:
        self.waiting.append(None)
        if all(one is None for one in self.waiting):
            self.finish()

    def finish(self) -> None:
        """Analyse what waits."""
        analyses = iter(analyse_sessions([one[0] for one in self.waiting if one is not None]))
        for one in self.waiting:
            if one is not None:
                self.latest = next(analyses)
                self.fresh.append(HistoryTables(self.latest.smiles, self.latest.exposure_row(one[1])))
                if self.keep is not None and len(self.fresh) % KEPT_SESSIONS == 0:
                    self.keep(_joined(self.fresh[-KEPT_SESSIONS:]))
            self.told += 1
            if self.progress is not None:
                self.progress(HistoryProgress(self.told, self.sessions, len(self.fresh)))
        self.waiting.clear()


def together(older: HistoryTables, newer: HistoryTables) -> HistoryTables:
    """Return the rows of both; where both have a session, the newer ones."""
    sessions = pd.DatetimeIndex(older.exposure["session"])
    return _joined([_only(older, sessions.difference(pd.DatetimeIndex(newer.exposure["session"]))), newer])


def _only(tables: HistoryTables, sessions: pd.Index) -> HistoryTables:
    return HistoryTables(*(frame[frame["session"].isin(sessions)] for frame in (tables.smiles, tables.exposure)))


def _joined(parts: list[HistoryTables]) -> HistoryTables:
    return HistoryTables(
        _stacked([part.smiles for part in parts], CHAIN_ANALYTICS),
        _stacked([part.exposure for part in parts], DEALER_EXPOSURE),
    )


def _stacked(frames: list[pd.DataFrame], table: Table) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    if not filled:
        return table_frame(table, {}, rows=0)
    return pd.concat(filled, ignore_index=True).sort_values(list(table.key), kind="stable", ignore_index=True)


def _digest(chain: pd.DataFrame, before: pd.DataFrame | None, rate: float) -> str:
    """Return a digest of everything that a session's analysis depends on: its quotes, those before, the rate, and
    how it is done.
    """
    digest = hashlib.sha256(f"{ANALYSIS_VERSION} {rate!r}".encode())
    for frame in (chain, before):
        if frame is not None:
            digest.update(np.ascontiguousarray(pd.util.hash_pandas_object(frame, index=False)).tobytes())
    return digest.hexdigest()
