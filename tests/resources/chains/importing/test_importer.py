"""Imports: each file once, every row accounted for, and nothing lost to a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from resources.chains.importing import files as chain_files
from resources.chains.importing import importer as chain_import
from resources.chains.importing.importer import ImportProgress, import_chains
from resources.chains.store import ChainStore
from trading_dag.errors import SliceBusyError, SourceFormatError


def rows_of(year: int, *, sessions: int = 2, strikes: int = 3, ticker: str = "SPY") -> pd.DataFrame:
    """The contract_id layout: calls and puts of one expiration, every bid different."""
    index = pd.MultiIndex.from_product(
        [pd.bdate_range(f"{year}-03-04", periods=sessions), 400.0 + np.arange(strikes), ["call", "put"]],
        names=["date", "strike", "type"],
    )
    frame = index.to_frame(index=False)
    bid = 1.0 + np.arange(len(frame)) / 100.0
    tail = [
        f"{year % 100}0621{right[0].upper()}{int(strike * 1000):08d}"
        for strike, right in zip(frame["strike"], frame["type"], strict=True)
    ]
    return frame.assign(
        contract_id=[ticker + part for part in tail], symbol=ticker, expiration=f"{year}-06-21", bid=bid,
        ask=bid + 0.1, volume=1, open_interest=2, implied_volatility=0.2, underlying_price=401.0,
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> ChainStore:
    return ChainStore(tmp_path / "home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "vendor"
    path.mkdir()
    return path


def test_rows_of_one_file_land_in_a_slice_for_each_ticker_and_year(store: ChainStore, folder: Path) -> None:
    everything = pd.concat([rows_of(2019), rows_of(2020), rows_of(2020, ticker="QQQ")])
    everything.to_parquet(folder / "options.parquet")
    done = import_chains(store, folder)
    (file,) = done.files
    assert (file.layout, file.is_new, file.rows, file.appended) == ("contract_id", True, 36, 36)
    assert file.slices == ("QQQ/2020", "SPY/2019", "SPY/2020")
    assert (store.tickers(), store.years("SPY")) == (["QQQ", "SPY"], [2019, 2020])
    assert sorted(store.read("SPY")["bid"]) == pytest.approx(sorted([*rows_of(2019)["bid"], *rows_of(2020)["bid"]]))
    assert done.skipped == {}


def test_a_file_that_was_imported_is_skipped_by_name_size_and_digest(store: ChainStore, folder: Path) -> None:
    path = folder / "options.parquet"
    rows_of(2020).to_parquet(path)
    first = import_chains(store, path).files[0]
    again = import_chains(store, path).files[0]
    assert (first.is_new, again.is_new) == (True, False)
    assert (again.rows, again.appended, again.slices) == (first.rows, first.appended, first.slices)
    rows_of(2020).assign(bid=0.5).to_parquet(path)
    changed = import_chains(store, path).files[0]
    assert (changed.is_new, changed.appended, changed.restated) == (True, 0, 12)
    assert set(store.read("SPY")["bid"]) == {0.5}


def test_a_file_of_the_same_name_and_size_is_imported_again_where_its_content_differs(
    store: ChainStore, folder: Path
) -> None:
    path = folder / "options.csv"
    sizes = set()
    for bid, appended, restated in ((0.25, 12, 0), (0.75, 0, 12)):
        rows_of(2020).assign(bid=bid).to_csv(path, index=False)
        sizes.add(path.stat().st_size)
        file = import_chains(store, path).files[0]
        assert (file.is_new, file.appended, file.restated) == (True, appended, restated)
    assert len(sizes) == 1


def test_the_same_rows_in_another_file_change_nothing(store: ChainStore, folder: Path) -> None:
    rows_of(2020).to_parquet(folder / "a.parquet")
    rows_of(2020).iloc[::-1].to_parquet(folder / "b.parquet")
    first, second = import_chains(store, folder).files
    assert (first.appended, second.appended, second.unchanged) == (12, 0, 12)


def test_a_slice_that_was_taken_away_is_imported_again(store: ChainStore, folder: Path) -> None:
    rows_of(2020).to_parquet(folder / "options.parquet")
    import_chains(store, folder)
    store.path("SPY", 2020).unlink()
    assert import_chains(store, folder).files[0].is_new
    assert len(store.read("SPY")) == 12


@pytest.mark.parametrize("batch", [1, 5, 500_000])
def test_every_row_read_is_stored_or_refused_with_a_reason(
    store: ChainStore, folder: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(chain_files.ChainFile.batches, "__kwdefaults__", {"rows": batch})
    rows = rows_of(2020).astype({"bid": "object"})
    rows.loc[0, "strike"] = np.nan
    rows.loc[1, "bid"] = -1.0
    copies = pd.concat([rows, rows.iloc[[5]], rows.iloc[[6]].assign(ask=99.0)]).astype({"bid": "float64"})
    copies.to_parquet(folder / "options.parquet")
    file = import_chains(store, folder).files[0]
    assert file.rows == 14
    assert file.refused == {"conflicting_duplicate": 2, "missing_key": 1, "negative": 1, "duplicate": 1}
    assert file.appended == file.rows - sum(file.refused.values()) == len(store.read("SPY"))


def test_progress_counts_rows_and_files(store: ChainStore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_files.ChainFile.batches, "__kwdefaults__", {"rows": 5})
    rows_of(2019).to_parquet(folder / "a.parquet")
    rows_of(2020).to_parquet(folder / "b.parquet")
    seen: list[ImportProgress] = []
    import_chains(store, folder, progress=seen.append)
    reading, merging = ([step for step in seen if bool(step.slice_name) is merges] for merges in (False, True))
    assert [(step.path.name, step.files_done, step.rows) for step in reading] == [
        ("a.parquet", 0, 5), ("a.parquet", 0, 10), ("a.parquet", 0, 12), ("a.parquet", 1, 12),
        ("b.parquet", 1, 5), ("b.parquet", 1, 10), ("b.parquet", 1, 12), ("b.parquet", 2, 12),
    ]  # fmt: skip
    assert {(step.files, step.file_rows) for step in reading} == {(2, 12)}
    assert [(step.slice_name, step.slices_done, step.slices) for step in merging] == [
        ("SPY/2019", 0, 2), ("SPY/2019", 1, 2), ("SPY/2020", 1, 2), ("SPY/2020", 2, 2),
    ]  # fmt: skip
    assert seen == [*reading, *merging]


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_imported(store: ChainStore, folder: Path) -> None:
    rows_of(2019).to_parquet(folder / "a.parquet")
    rows_of(2020).assign(expiration=20200621).to_parquet(folder / "b.parquet")
    rows_of(2021).to_parquet(folder / "c.parquet")
    done = import_chains(store, folder)
    assert list(done.failed) == [folder / "b.parquet"]
    assert "expiration is int64" in done.failed[folder / "b.parquet"]
    assert not done.is_complete
    assert store.years("SPY") == [2019, 2021]
    with pytest.raises(SourceFormatError, match=r"b\.parquet"):
        import_chains(store, folder / "b.parquet")
    rows_of(2020).to_parquet(folder / "b.parquet")
    again = import_chains(store, folder)
    assert [file.is_new for file in again.files] == [False, True, False]
    assert again.is_complete
    assert store.years("SPY") == [2019, 2020, 2021]


def test_data_files_that_hold_no_chain_are_reported(store: ChainStore, folder: Path) -> None:
    rows_of(2020).to_parquet(folder / "options.parquet")
    (folder / "prices.csv").write_text("ticker,close\nSPY,1\n", encoding="utf-8")
    assert list(import_chains(store, folder).skipped) == [folder / "prices.csv"]


def test_closes_that_were_missing_complete_the_rows_in_a_second_import(store: ChainStore, folder: Path) -> None:
    rows_of(2020).drop(columns="underlying_price").to_parquet(folder / "options.parquet")
    import_chains(store, folder)
    assert store.read("SPY")["underlying_price"].isna().all()
    sessions = pd.DatetimeIndex(store.read("SPY")["quote_date"].unique())
    closes = pd.DataFrame({"ticker": "SPY", "session": sessions, "close": [401.0, 402.0]})
    file = import_chains(store, folder, closes=closes).files[0]
    assert (file.is_new, file.completed) == (True, 12)
    assert sorted(store.read("SPY")["underlying_price"].unique()) == [401.0, 402.0]


def test_a_ticker_that_is_none_in_a_file_never_becomes_a_path(store: ChainStore, folder: Path) -> None:
    rows = rows_of(2020).drop(columns="contract_id").rename(columns={"date": "quote_date", "type": "right"})
    rows.rename(columns={"symbol": "ticker"}).assign(ticker="../X").to_parquet(folder / "chain.parquet")
    file = import_chains(store, folder).files[0]
    assert file.refused == {"not_a_ticker": file.rows}
    assert store.tickers() == []
    assert not list(store.folder.parent.glob("**/*X*"))


def test_two_imports_at_once_are_refused(store: ChainStore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_import, "LOCK_TIMEOUT_SECONDS", 0.05)
    rows_of(2020).to_parquet(folder / "options.parquet")
    store.imports.mkdir(parents=True)
    with FileLock(store.imports / ".lock"), pytest.raises(SliceBusyError, match="another import"):
        import_chains(store, folder)


_KILLED = """
import os, signal, sys
from pathlib import Path
from resources.chains.importing import importer
from resources.chains.importing.importer import import_chains
from resources.chains.store import ChainStore

moment, home, vendor = sys.argv[1:]

def die(*_args, **_kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

if moment == "reading":
    import_chains(ChainStore(Path(home)), Path(vendor), progress=die)
elif moment == "reading the second":
    see = lambda at: die() if at.path.name == "b.parquet" else None
    import_chains(ChainStore(Path(home)), Path(vendor), progress=see)
elif moment == "merging":
    merge = ChainStore.merge_all
    def second(self, ticker, year, pieces, judge):
        die() if year == 2020 else None
        return merge(self, ticker, year, pieces, judge=judge)
    ChainStore.merge_all = second
    import_chains(ChainStore(Path(home)), Path(vendor))
elif moment == "renaming":
    replace = Path.replace
    Path.replace = lambda path, target: die() if "year=2020" in str(target) else replace(path, target)
    import_chains(ChainStore(Path(home)), Path(vendor))
else:
    importer.replace_file = die
    import_chains(ChainStore(Path(home)), Path(vendor))
"""


@pytest.mark.parametrize(
    ("moment", "years"), [("reading", []), ("merging", [2019]), ("renaming", [2019]), ("recording", [2019, 2020])]
)
def test_a_kill_at_any_moment_loses_nothing(store: ChainStore, folder: Path, moment: str, years: list[int]) -> None:
    rows = pd.concat([rows_of(2019), rows_of(2020)])
    rows.to_parquet(folder / "options.parquet")
    home = store.folder.parents[2]
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, moment, str(home), str(folder)], env=dict(os.environ), check=False, timeout=600
    )
    assert killed.returncode == -signal.SIGKILL
    assert store.years("SPY") == years
    for year in years:
        assert len(store.read("SPY", first=f"{year}-01-01", last=f"{year}-12-31")) == 12
    file = import_chains(store, folder).files[0]
    assert file.is_new
    assert file.appended + file.unchanged == 24
    pd.testing.assert_series_equal(
        store.read("SPY")["bid"].sort_values(ignore_index=True),
        rows["bid"].sort_values(ignore_index=True),
        check_names=False,
    )
    litter = [path.name for path in home.rglob("*") if "staging" in path.name or path.suffix == ".tmp"]
    assert litter == []
    assert not import_chains(store, folder).files[0].is_new


@pytest.mark.parametrize(
    ("moment", "again"), [("reading the second", ["b.parquet"]), ("merging", []), ("recording", [])]
)
def test_files_that_were_read_whole_before_a_kill_are_not_read_again(
    store: ChainStore, folder: Path, monkeypatch: pytest.MonkeyPatch, moment: str, again: list[str]
) -> None:
    """Files of two months in each of two years; the kill comes before anything is recorded."""
    months = {name: rows_of(year) for name, year in (("a", 2019), ("b", 2020))}
    for name, rows in months.items():
        rows.to_parquet(folder / f"{name}.parquet")
    home = store.folder.parents[2]
    command = [sys.executable, "-c", _KILLED, moment, str(home), str(folder)]
    killed = subprocess.run(command, env=dict(os.environ), check=False, timeout=600)
    assert killed.returncode == -signal.SIGKILL
    read = []
    batches = chain_files.ChainFile.batches
    monkeypatch.setattr(chain_files.ChainFile, "batches", lambda file: (read.append(file.path.name), batches(file))[1])
    files = import_chains(store, folder).files
    assert read == again
    assert sum(file.appended + file.unchanged for file in files) == 24
    assert len(store.read("SPY")) == 24
    assert [path.name for path in home.rglob("*") if "staging" in path.name or path.suffix == ".tmp"] == []


def test_files_of_a_year_are_one_write_of_its_slice_and_each_is_accounted_for(
    store: ChainStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(2020, sessions=6)
    days = sorted(rows["date"].unique())
    for number, day in enumerate(days):
        rows[rows["date"] == day].to_parquet(folder / f"{number}.parquet")
    rows[rows["date"] == days[0]].assign(bid=0.5).to_parquet(folder / "z.parquet")  # what is said last counts
    writes = []
    put = ChainStore._put
    monkeypatch.setattr(ChainStore, "_put", lambda *args, **kwargs: (writes.append(args[1:3]), put(*args, **kwargs)))
    files = import_chains(store, folder).files
    assert writes == [("SPY", 2020)]
    assert [(file.appended, file.restated) for file in files] == [*[(6, 0)] * 6, (0, 6)]
    assert (store.read("SPY", first=days[0], last=days[0])["bid"] == 0.5).all()


def test_a_copy_of_a_file_in_another_folder_is_imported_once(store: ChainStore, folder: Path) -> None:
    for name in ("one", "two"):
        (folder / name).mkdir()
        rows_of(2020).to_parquet(folder / name / "options.parquet")
    first, second = import_chains(store, folder).files
    assert (first.is_new, first.appended) == (True, 12)
    assert (second.is_new, second.appended, second.path) == (False, 12, folder / "two" / "options.parquet")


@pytest.mark.files_data
def test_the_real_chains_are_stored_row_by_row_as_they_are(store: ChainStore, real_data: Path) -> None:
    path = real_data / "option_chain_snapshots.parquet"
    file = import_chains(store, path).files[0]
    raw = pd.read_parquet(path)
    assert (file.rows, file.appended, file.refused) == (len(raw), len(raw), {})
    assert store.tickers() == ["SPX", "SPY"]
    for ticker in store.tickers():
        stored = store.read(ticker)
        own = raw[raw["ticker"] == ticker].rename(columns={"right": "option_right"})
        own = own.sort_values(["quote_date", "expiration", "option_right", "strike"], ignore_index=True)
        for name in ("strike", "bid", "ask", "last", "volume", "underlying_price"):
            np.testing.assert_array_equal(
                stored[name].to_numpy(), own[name].astype("float64").to_numpy(na_value=np.nan)
            )
        assert stored["expiration"].dt.date.tolist() == own["expiration"].tolist()
        missing = own["implied_volatility"].isna() | (own["implied_volatility"] == 0.0)
        assert int(stored["implied_volatility"].isna().sum()) == int(missing.sum())
