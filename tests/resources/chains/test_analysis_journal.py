"""The journal of an analysis: what a killed process computed is there for the next, and goes once it is stored."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from resources.chains.analysis_journal import AnalysisJournal
from resources.chains.store import ChainStore
from resources.io_managers.chains import StoredChain
from tests.trading_dag.options.chains.test_history import RATES, SESSIONS, chain_of
from trading_dag.errors import StorageError
from trading_dag.options.chains.history import HistoryTables, analyse_history
from trading_dag.quality import empty_frame
from trading_dag.schemas import CHAIN_ANALYTICS, DEALER_EXPOSURE

NOTHING = HistoryTables(empty_frame(CHAIN_ANALYTICS), empty_frame(DEALER_EXPOSURE))

_KILLED = """
import os, signal, sys
from pathlib import Path
from resources.chains.analysis_journal import AnalysisJournal
from resources.io_managers.chains import StoredChain
from resources.chains.store import ChainStore
from trading_dag.options.chains import history
from tests.resources.chains.test_analysis_journal import NOTHING, RATES

home, moment = Path(sys.argv[1]), sys.argv[2]
store = ChainStore(home)
journal = AnalysisJournal(store, "SPY")
history.KEPT_SESSIONS = 2
replace, written = Path.replace, []

def dying(path, target):
    # A part is two tables; it counts with the second, so the end comes before the second part's second.
    written.extend([target] if str(target).endswith("dealer_exposure/ticker=SPY/data.parquet") else [])
    if moment == "writing" and len(written) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(path, target)

Path.replace = dying
end = (lambda at: os.kill(os.getpid(), signal.SIGKILL) if at.done == 3 else None) if moment == "computing" else None
history.analyse_history(
    StoredChain.of(store, "SPY").by_session(), rates=RATES, known=journal.added_to(NOTHING), keep=journal.keep,
    progress=end,
)
"""


@pytest.fixture
def store(tmp_path: Path) -> ChainStore:
    chains = ChainStore(tmp_path)
    chains.merge("SPY", 2024, pd.concat([chain_of(session) for session in SESSIONS]), source="files")
    return chains


def analysed(store: ChainStore, known: HistoryTables) -> tuple[HistoryTables, int]:
    history = analyse_history(StoredChain.of(store, "SPY").by_session(), rates=RATES, known=known)
    return history.tables, history.computed


@pytest.mark.parametrize("moment", ["computing", "writing"])
def test_sessions_computed_before_a_kill_are_not_computed_again(store: ChainStore, moment: str) -> None:
    home = store.imports.parents[1]
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, str(home), moment], env=dict(os.environ), check=False, timeout=600
    )
    assert killed.returncode == -signal.SIGKILL
    known = AnalysisJournal(store, "SPY").added_to(NOTHING)
    assert known.exposure["session"].tolist() == list(SESSIONS[:2])
    resumed, computed = analysed(store, known)
    assert computed == 3
    whole, _ = analysed(store, NOTHING)
    # What was stored has counts that may be NULL.
    pd.testing.assert_frame_equal(resumed.smiles, whole.smiles, check_dtype=False)
    pd.testing.assert_frame_equal(resumed.exposure, whole.exposure, check_dtype=False)


def test_a_journal_goes_once_everything_in_it_is_stored(store: ChainStore) -> None:
    whole, _ = analysed(store, NOTHING)
    journal = AnalysisJournal(store, "SPY")
    journal.keep(whole)
    older = HistoryTables(*(frame[frame["session"] < SESSIONS[3]] for frame in (whole.smiles, whole.exposure)))
    pd.testing.assert_frame_equal(journal.added_to(older).smiles, whole.smiles, check_dtype=False)
    assert journal.folder.is_dir()
    pd.testing.assert_frame_equal(journal.added_to(whole).smiles, whole.smiles, check_dtype=False)
    assert not journal.folder.exists()


def test_a_part_that_cannot_be_read_is_an_error_that_names_it(store: ChainStore) -> None:
    journal = AnalysisJournal(store, "SPY")
    journal.keep(analysed(store, NOTHING)[0])
    for path in journal.folder.rglob("data.parquet"):
        path.write_bytes(b"torn")
    with pytest.raises(StorageError, match="analysis"):
        journal.added_to(NOTHING)


def test_each_session_comes_once_and_whole_across_row_groups(
    store: ChainStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.chains.store.ROW_GROUP_ROWS", 17)  # a session has 42 rows
    shifted = pd.concat([chain_of(session, 0.25) for session in SESSIONS])
    store.merge("SPY", 2024, shifted, source="files")
    assert len(list(store.batches("SPY"))) > 10
    handle = StoredChain.of(store, "SPY")
    found = list(handle.by_session())
    assert [session for session, _ in found] == list(SESSIONS)
    for session, rows in found:
        pd.testing.assert_frame_equal(rows, handle.read(session))
    some = [session for session, _ in handle.by_session(first=SESSIONS[1], last=SESSIONS[3])]
    assert some == list(SESSIONS[1:4])
    assert list(StoredChain.of(store, "QQQ").by_session()) == []
