"""Chains on disk: sorted, merged without loss, read by the row groups that are needed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.chains import merge as chain_merge
from resources.chains import store as chain_store
from resources.chains.filter import ChainFilter
from resources.chains.merge import merge_chains
from resources.chains.store import ChainStore
from resources.chains.year_file import DIGESTS_KEY
from resources.io_managers.chains import ChainIOManager
from trading_dag.errors import SchemaError, SliceNotFoundError, StorageError, UnknownTickerError
from trading_dag.options.chains.rows import CHAIN_KEY
from trading_dag.quality import empty_frame
from trading_dag.schemas import OPTION_CHAIN
from trading_dag.sessions import sessions_between


def chain_of(first: str = "2024-01-02", last: str = "2024-01-05", *, ticker: str = "SPY") -> pd.DataFrame:
    """Two expirations, both rights and five strikes on every session, each row with its own price."""
    index = pd.MultiIndex.from_product(
        [sessions_between(first, last), pd.DatetimeIndex(["2024-02-16", "2024-03-15"]), ["C", "P"],
         470.0 + np.arange(5.0)],
        names=["quote_date", "expiration", "option_right", "strike"],
    )  # fmt: skip
    frame = index.to_frame(index=False)
    price = 1.0 + np.arange(len(frame)) / 100.0
    frame = frame.assign(
        ticker=ticker, underlying_price=472.0, bid=price, ask=price + 0.1, last=np.nan, volume=5.0, open_interest=7.0,
        implied_volatility=0.12,
    )  # fmt: skip
    types = {"quote_date": "datetime64[us]", "expiration": "datetime64[us]", "ticker": "str", "option_right": "str"}
    return frame.astype(types)[list(OPTION_CHAIN.column_names)]


@pytest.fixture
def store(tmp_path: Path) -> ChainStore:
    return ChainStore(tmp_path)


def test_rows_in_any_order_come_back_sorted_and_as_they_were(store: ChainStore, tmp_path: Path) -> None:
    rows = chain_of()
    counts = store.merge("SPY", 2024, rows.sample(frac=1.0, random_state=3), source="files")
    assert (counts.appended, counts.restated, counts.unchanged) == (len(rows), 0, 0)
    pd.testing.assert_frame_equal(store.read("SPY"), rows)
    path = tmp_path / "data" / "raw" / "option_chain" / "ticker=SPY" / "year=2024" / "data.parquet"
    assert store.path("SPY", 2024) == path
    assert path.is_file()
    assert (store.tickers(), store.years("SPY")) == (["SPY"], [2024])


def test_files_are_zstd_in_row_groups_of_131_thousand_with_statistics_of_the_quote_date(
    store: ChainStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chain_store.ROW_GROUP_ROWS == 131_072
    monkeypatch.setattr(chain_store, "ROW_GROUP_ROWS", 40)
    store.merge("SPY", 2024, chain_of(), source="files")
    metadata = pq.read_metadata(store.path("SPY", 2024))
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [40, 40]
    column = metadata.row_group(0).column(0)
    assert (column.path_in_schema, column.compression) == ("quote_date", "ZSTD")
    assert column.statistics.has_min_max


def test_merging_the_same_rows_again_changes_nothing_not_even_the_file(store: ChainStore) -> None:
    store.merge("SPY", 2024, chain_of(), source="files")
    before = store.path("SPY", 2024).stat()
    counts = store.merge("SPY", 2024, chain_of(), source="files")
    assert (counts.appended, counts.restated, counts.completed, counts.unchanged) == (0, 0, 0, len(chain_of()))
    after = store.path("SPY", 2024).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_restated_value_wins_and_is_counted_a_missing_one_erases_nothing(store: ChainStore) -> None:
    rows = chain_of()
    store.merge("SPY", 2024, rows, source="files")
    fresh = rows.iloc[:3].copy()
    fresh["bid"] = [0.5, rows["bid"].iloc[1], np.nan]  # restated, the same, silent
    fresh["last"] = [9.0, 9.0, np.nan]  # completes what was missing
    counts = store.merge("SPY", 2024, fresh, source="optionsdx")
    assert (counts.appended, counts.restated, counts.completed, counts.unchanged) == (0, 1, 1, 1)
    stored = store.read("SPY").iloc[:3]
    assert stored["bid"].tolist() == [0.5, *rows["bid"].iloc[1:3]]
    np.testing.assert_array_equal(stored["last"], [9.0, 9.0, np.nan])
    provenance = store.provenance("SPY", 2024)
    assert provenance is not None
    assert provenance.source == "files+optionsdx"
    assert (provenance.rows, provenance.first_session, provenance.last_session) == (80, "2024-01-02", "2024-01-05")


def test_copies_are_stored_once_and_contradictions_not_at_all(store: ChainStore) -> None:
    rows = chain_of()
    fresh = pd.concat([rows, rows.iloc[[0]], rows.iloc[[1]].assign(bid=0.01)], ignore_index=True)
    counts = store.merge("SPY", 2024, fresh, source="files")
    assert (counts.appended, counts.duplicate, counts.conflicting_duplicate) == (len(rows) - 1, 1, 2)
    assert len(store.read("SPY")) == len(rows) - 1


_ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 1), st.sampled_from("CP"), st.integers(0, 2), st.one_of(
        st.none(), st.integers(0, 3))),
    max_size=14, unique_by=lambda row: row[:4],
)  # fmt: skip


def _frame(rows: list[tuple[int, int, str, int, int | None]]) -> pd.DataFrame:
    frame = empty_frame(OPTION_CHAIN)
    if not rows:
        return frame
    days, terms, rights, strikes, bids = zip(*rows, strict=True)
    return frame.reindex(range(len(rows))).assign(
        quote_date=pd.DatetimeIndex(["2024-01-02"] * len(rows)).as_unit("us") + pd.to_timedelta(days, unit="D"),
        ticker=pd.Series(["SPY"] * len(rows), dtype="str"),
        expiration=pd.DatetimeIndex(["2024-02-16"] * len(rows)).as_unit("us") + pd.to_timedelta(terms, unit="D"),
        option_right=pd.Series(rights, dtype="str"),
        strike=np.asarray(strikes, dtype=float) + 470.0,
        bid=np.asarray(bids, dtype=float),
    )


@settings(deadline=None, max_examples=80)
@given(stored=_ROWS, fresh=_ROWS)
def test_a_merge_is_the_dictionary_update_of_plain_python(stored, fresh) -> None:
    before, after = {row[:4]: row[4] for row in stored}, {row[:4]: row[4] for row in fresh}
    expected = {**before, **{key: before.get(key) if bid is None else bid for key, bid in after.items()}}
    merged = merge_chains(merge_chains(empty_frame(OPTION_CHAIN), _frame(stored)).frame, _frame(fresh))
    rows = _frame([(*key, bid) for key, bid in expected.items()]).sort_values(CHAIN_KEY, ignore_index=True)
    columns = [*CHAIN_KEY, "bid"]
    pd.testing.assert_frame_equal(merged.frame[columns], rows[columns])
    both = [(before[key], after[key]) for key in after if key in before]
    assert merged.counts["appended"] == len(set(after) - set(before))
    assert merged.counts["restated"] == sum(None not in pair and pair[0] != pair[1] for pair in both)
    assert merged.counts["completed"] == sum(old is None and new is not None for old, new in both)
    assert merged.counts["restated"] + merged.counts["completed"] + merged.counts["unchanged"] == len(both)


_PIECES = st.lists(_ROWS, min_size=1, max_size=4)


@settings(deadline=None, max_examples=40)
@given(stored=_ROWS, pieces=_PIECES)
def test_merging_pieces_at_once_is_merging_them_one_after_the_other(tmp_path_factory, stored, pieces) -> None:
    once, singly = (ChainStore(tmp_path_factory.mktemp("home")) for _ in range(2))
    for one in (once, singly):
        one.merge("SPY", 2024, _frame(stored), source="first")
    sources = [f"source{place % 2}" for place in range(len(pieces))]
    together = once.merge_all("SPY", 2024, list(zip(map(_frame, pieces), sources, strict=True)))
    apart = [singly.merge("SPY", 2024, _frame(rows), source=name) for rows, name in zip(pieces, sources, strict=True)]
    assert together == apart
    assert once.years("SPY") == singly.years("SPY")
    if once.years("SPY"):
        pd.testing.assert_frame_equal(once.read("SPY"), singly.read("SPY"))
        assert once.provenance("SPY", 2024).source == singly.provenance("SPY", 2024).source


def test_pieces_without_a_common_quote_date_are_one_write(store: ChainStore, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = chain_of()
    pieces = [(rows, "files") for _, rows in whole.groupby("quote_date")]
    writes = []
    put = ChainStore._put
    monkeypatch.setattr(ChainStore, "_put", lambda *args, **kwargs: (writes.append(args[2]), put(*args, **kwargs)))
    counts = store.merge_all("SPY", 2024, pieces)
    assert [one.appended for one in counts] == [len(rows) for rows, _ in pieces]
    assert writes == [2024]
    assert len(store.read("SPY")) == len(whole)


def test_a_date_range_touches_only_the_row_groups_it_needs(store: ChainStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_store, "ROW_GROUP_ROWS", 20)  # one quote date each
    store.merge("SPY", 2023, chain_of("2023-12-27", "2023-12-29"), source="files")
    store.merge("SPY", 2024, chain_of(), source="files")

    def groups(**dates: str) -> list[list[str]]:
        return [[str(day) for day in batch["quote_date"].dt.date.unique()] for batch in store.batches("SPY", **dates)]

    assert groups(first="2024-01-03", last="2024-01-04") == [["2024-01-03"], ["2024-01-04"]]
    assert groups(last="2023-12-27") == [["2023-12-27"]]
    assert groups(first="2025-01-01") == []
    # A broken group outside the range is never seen.
    path = store.path("SPY", 2024)
    metadata = pq.read_metadata(path).row_group(3).column(6)
    content = bytearray(path.read_bytes())
    start = metadata.dictionary_page_offset or metadata.data_page_offset
    content[start : start + metadata.total_compressed_size] = b"\xff" * metadata.total_compressed_size
    path.write_bytes(content)
    wanted = store.read("SPY", first="2023-12-29", last="2024-01-04")
    expected = pd.concat([chain_of("2023-12-29", "2023-12-29"), chain_of("2024-01-02", "2024-01-04")])
    assert wanted[CHAIN_KEY].equals(expected[CHAIN_KEY].reset_index(drop=True))
    with pytest.raises(StorageError, match="no readable Parquet"):
        store.read("SPY")


def test_a_date_inside_a_row_group_is_cut_out_of_it(store: ChainStore) -> None:
    store.merge("SPY", 2024, chain_of(), source="files")
    rows = store.read("SPY", columns=["strike", "bid"], first="2024-01-03", last="2024-01-03")
    expected = chain_of()[lambda frame: frame["quote_date"] == "2024-01-03"]
    pd.testing.assert_frame_equal(rows, expected[["strike", "bid"]].reset_index(drop=True))


@pytest.mark.parametrize(
    ("where", "expression"),
    [
        (ChainFilter(option_right="P"), "option_right == 'P'"),
        (ChainFilter(expires_from="2024-03-01"), "expiration >= '2024-03-01'"),
        (ChainFilter(expires_to="2024-02-16"), "expiration <= '2024-02-16'"),
        (ChainFilter(strike_from=471.0, strike_to=473.0), "strike >= 471 and strike <= 473"),
        (ChainFilter(minimum_days=44, maximum_days=45), "days >= 44 and days <= 45"),
        (ChainFilter(option_right="C", maximum_days=44, strike_to=470.0),
         "option_right == 'C' and days <= 44 and strike <= 470"),
        (ChainFilter(), "strike > 0"),
    ],
)  # fmt: skip
def test_a_filter_gives_the_rows_that_a_query_of_the_whole_gives(
    store: ChainStore, where: ChainFilter, expression: str
) -> None:
    rows = chain_of()
    store.merge("SPY", 2024, rows, source="files")
    days = (rows["expiration"] - rows["quote_date"]).dt.days
    expected = rows.assign(days=days).query(expression)["bid"].reset_index(drop=True)
    assert len(expected) > 0
    pd.testing.assert_series_equal(store.read("SPY", columns=["bid"], where=where)["bid"], expected)


def test_batches_are_the_rows_of_a_read_one_row_group_at_a_time(
    store: ChainStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_store, "ROW_GROUP_ROWS", 30)
    store.merge("SPY", 2024, chain_of(), source="files")
    pieces = list(store.batches("SPY", first="2024-01-03"))
    assert max(map(len, pieces)) <= 30
    pd.testing.assert_frame_equal(pd.concat(pieces, ignore_index=True), store.read("SPY", first="2024-01-03"))


def test_a_file_replaced_while_it_is_being_read_is_read_to_its_end_as_it_was(
    store: ChainStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_store, "ROW_GROUP_ROWS", 20)
    rows = chain_of()
    store.merge("SPY", 2024, rows, source="files")
    pieces = store.batches("SPY", columns=["quote_date", "bid"])
    first = next(pieces)
    store.merge("SPY", 2024, chain_of("2024-01-02", "2024-01-12").assign(bid=0.01), source="files")
    seen = pd.concat([first, *pieces], ignore_index=True)
    pd.testing.assert_frame_equal(seen, rows[["quote_date", "bid"]])
    assert set(store.read("SPY")["bid"]) == {0.01}


def test_nothing_in_the_range_gives_typed_columns_without_rows(store: ChainStore) -> None:
    store.merge("SPY", 2024, chain_of(), source="files")
    empty = store.read("SPY", columns=["quote_date", "bid"], first="2024-06-01")
    assert len(empty) == 0
    assert empty.dtypes.astype(str).to_dict() == {"quote_date": "datetime64[us]", "bid": "float64"}


def test_bad_requests_are_typed_errors(store: ChainStore) -> None:
    with pytest.raises(SliceNotFoundError, match="import-chains"):
        store.read("SPY")
    with pytest.raises(UnknownTickerError):
        store.read("../x")
    store.merge("SPY", 2024, chain_of(), source="files")
    with pytest.raises(StorageError, match="no column delta"):
        store.read("SPY", columns=["delta"])
    with pytest.raises(StorageError, match="2023 was handed rows of 2024"):
        store.merge("SPY", 2023, chain_of(), source="files")


@pytest.mark.parametrize(
    "change", [{"strike": -1.0}, {"option_right": "X"}, {"bid": np.inf}, {"ticker": "QQQ"}, {"expiration": pd.NaT}]
)
def test_rows_that_break_the_schema_leave_the_stored_slice_in_place(
    store: ChainStore, change: dict[str, object]
) -> None:
    store.merge("SPY", 2024, chain_of(), source="files")
    before = store.path("SPY", 2024).read_bytes()
    bad = chain_of("2024-01-08", "2024-01-08").iloc[:1].assign(**change).astype({"expiration": "datetime64[us]"})
    with pytest.raises(SchemaError, match=r"raw\.option_chain"):
        store.merge("SPY", 2024, bad, source="files")
    assert store.path("SPY", 2024).read_bytes() == before


def test_a_write_that_dies_half_way_leaves_the_stored_slice(store: ChainStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.merge("SPY", 2024, chain_of(), source="files")
    before = store.path("SPY", 2024).read_bytes()

    def fail(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        store.merge("SPY", 2024, chain_of("2024-01-08", "2024-01-08"), source="files")
    assert store.path("SPY", 2024).read_bytes() == before
    assert list(store.path("SPY", 2024).parent.glob("*.tmp")) == []


def test_sessions_that_come_one_by_one_make_the_file_that_all_of_them_make_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_store, "ROW_GROUP_ROWS", 50)
    rows = chain_of("2024-01-02", "2024-01-31")
    once, singly, backwards = (ChainStore(tmp_path / name) for name in ("once", "singly", "backwards"))
    once.merge("SPY", 2024, rows, source="m")
    pieces = [piece for _, piece in rows.groupby("quote_date")]
    for piece, late in zip(pieces, reversed(pieces), strict=True):
        singly.merge("SPY", 2024, piece, source="m")
        backwards.merge("SPY", 2024, late, source="m")
    expected = once.provenance("SPY", 2024)
    assert expected is not None
    for store in (singly, backwards):
        pd.testing.assert_frame_equal(store.read("SPY"), rows)
        got = store.provenance("SPY", 2024)
        assert got is not None
        assert replace(got, fetched_at="") == replace(expected, fetched_at="")
    # Sessions have 20 rows: no small group is left by each, save where they came in the wrong order.
    groups = pq.ParquetFile(singly.path("SPY", 2024)).metadata
    assert [groups.row_group(group).num_rows for group in range(groups.num_row_groups - 1)] == [50] * (len(rows) // 50)


def test_of_a_year_only_the_row_groups_of_the_fresh_dates_become_frames(
    store: ChainStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_store, "ROW_GROUP_ROWS", 40)
    rows = chain_of("2024-01-02", "2024-01-31")
    store.merge("SPY", 2024, rows, source="m")
    sizes: list[int] = []
    merge = chain_merge.merge_chains
    monkeypatch.setattr(chain_merge, "merge_chains", lambda old, new: (sizes.append(len(old)), merge(old, new))[1])
    days = rows["quote_date"].unique()
    restated = rows[rows["quote_date"] == days[10]].assign(bid=0.5)
    store.merge("SPY", 2024, restated, source="m")
    store.merge("SPY", 2024, chain_of("2024-02-01", "2024-02-01"), source="m")
    assert sizes[0] <= 80
    assert sizes[1] <= 40
    assert store.read("SPY", first=days[10], last=days[10])["bid"].eq(0.5).all()
    assert len(store.read("SPY")) == len(rows) + 20


def test_a_file_without_digests_of_its_sessions_gets_the_hash_that_it_would_have_with_them(
    store: ChainStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_store, "ROW_GROUP_ROWS", 50)
    rows, more = chain_of("2024-01-02", "2024-01-31"), chain_of("2024-02-01", "2024-02-02")
    store.merge("SPY", 2024, rows, source="m")
    path = store.path("SPY", 2024)
    arrow = pq.read_table(path)
    metadata = {key: value for key, value in arrow.schema.metadata.items() if key != DIGESTS_KEY}
    pq.write_table(arrow.replace_schema_metadata(metadata), path, row_group_size=50)
    store.merge("SPY", 2024, more, source="m")
    other = ChainStore(tmp_path / "other")
    other.merge("SPY", 2024, pd.concat([rows, more], ignore_index=True), source="m")
    one, two = (each.provenance("SPY", 2024) for each in (store, other))
    assert one is not None
    assert two is not None
    assert (one.content_hash, one.rows) == (two.content_hash, two.rows)


def two_years(store: ChainStore) -> None:
    for first, last, year in (("2023-12-26", "2023-12-29", 2023), ("2024-01-02", "2024-02-15", 2024)):
        store.merge("SPY", year, chain_of(first, last), source="m")


def test_sessions_past_their_time_are_dropped_and_all_others_stay(
    store: ChainStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_store, "ROW_GROUP_ROWS", 50)
    two_years(store)
    whole = store.read("SPY")
    # 15 February 2024 less 30 days is 16 January.
    expected = whole[whole["quote_date"] >= "2024-01-16"].reset_index(drop=True)
    assert store.forget("SPY", keep_days=30) == whole["quote_date"].nunique() - expected["quote_date"].nunique()
    pd.testing.assert_frame_equal(store.read("SPY"), expected)
    assert store.years("SPY") == [2024]
    recorded = store.provenance("SPY", 2024)
    assert recorded is not None
    assert (recorded.rows, recorded.first_session, recorded.source) == (len(expected), "2024-01-16", "m")
    before = store.path("SPY", 2024).stat().st_ino
    assert store.forget("SPY", keep_days=30) == 0
    assert store.path("SPY", 2024).stat().st_ino == before


def test_the_last_session_stays_however_short_the_time(store: ChainStore) -> None:
    two_years(store)
    store.merge("SPY", 2025, chain_of("2025-01-02", "2025-01-02"), source="m")
    store.forget("SPY", keep_days=1)
    assert store.read("SPY")["quote_date"].unique().tolist() == [pd.Timestamp("2025-01-02")]
    assert store.forget("SPY", keep_days=1) == 0
    assert store.forget("QQQ", keep_days=1) == 0
    with pytest.raises(StorageError, match="at least a day"):
        store.forget("SPY", keep_days=0)


def test_a_reader_sees_the_old_sessions_or_the_new_while_some_are_dropped(store: ChainStore) -> None:
    two_years(store)
    whole = store.read("SPY")
    begun = store.batches("SPY")
    first = next(begun)
    store.forget("SPY", keep_days=30)
    rest = list(begun)
    seen = pd.concat([first, *rest], ignore_index=True)
    # What was opened is read to its end; a file that is opened later is the new one, and lacks nothing of it.
    kept = whole[whole["quote_date"] >= "2024-01-16"].reset_index(drop=True)
    assert len(first) > 0
    assert len(seen.merge(kept, on=list(CHAIN_KEY))) == len(kept)
    pd.testing.assert_frame_equal(store.read("SPY"), kept)


def test_a_year_that_vanishes_between_the_look_and_the_opening_is_no_error(
    store: ChainStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_years(store)
    monkeypatch.setattr(ChainStore, "years", lambda self, ticker: [2022, 2023, 2024])
    assert store.read("SPY")["quote_date"].dt.year.unique().tolist() == [2023, 2024]


@pytest.mark.parametrize(("keep_days", "years"), [(None, [2023, 2024]), (10, [2024])])
def test_storing_a_session_drops_what_is_past_its_time_only_where_that_is_set(
    tmp_path: Path, keep_days: int | None, years: list[int]
) -> None:
    manager = ChainIOManager(tmp_path, keep_days=keep_days)
    two_years(manager.store)
    context = dg.build_output_context()
    manager.handle_output(context, chain_of("2024-02-16", "2024-02-16"))
    assert manager.store.years("SPY") == years
    assert manager.store.read("SPY")["quote_date"].max() == pd.Timestamp("2024-02-16")
    assert ("sessions past their time" in context.consume_logged_metadata()) == (keep_days is not None)
