"""The page of data: what is stored and from where, what is missing, and a box for queries that only read."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import pandas as pd
import streamlit as st

from resources.storage.bounded_query import ROWS, SECONDS, BoundedAnswer, bounded_query
from trading_dag.dashboard.page import PageContext, download, show_chart, show_nothing, show_numbers, show_table
from trading_dag.dashboard.views import data_frames as frames
from trading_dag.dashboard.words import plain
from trading_dag.errors import StorageError
from trading_dag.reporting.input_ends import INPUT_ENDS_SQL, input_end_lines, input_ends

if TYPE_CHECKING:
    from resources.storage.versioned_reader import VersionedReader

_TABLES: Final = {
    "table_name": "table", "slices": "slices", "rows": "rows", "first_session": "first session",
    "last_session": "last session", "source": "source", "stored_at": "stored, UTC", "source_off": "why it is empty",
    "holds": "what it holds",
}  # fmt: skip
_GAPS: Final = {
    "table_name": "table", "first_session": "first session", "last_session": "last session",
    "sessions": "sessions of the exchange", "missing": "missing", "which": "which",
}  # fmt: skip
_SQL: Final = "sql-text"
_ANSWER: Final = "sql-answer"
_DATE: Final = st.column_config.DateColumn()


def read_ahead(reader: VersionedReader, ticker: str, horizons: tuple[str, ...]) -> None:
    """Read what the page needs of a ticker, so that whoever opens it first need not wait."""
    frames.gaps_data(reader, ticker)
    frames.presence_data(reader, ticker)
    reader.query(INPUT_ENDS_SQL, [[ticker], list(horizons)])


def render(context: PageContext) -> None:
    """Show the SQL box, then what is stored, how far it reaches and what is missing."""
    _query_box(context)
    slices = context.reader.slices()
    _show_stored(context, slices)
    _show_missing(context)


def _show_stored(context: PageContext, slices: pd.DataFrame) -> None:
    tables = frames.tables_data(slices)
    newest = slices["stored_at"].max()
    as_of = f"{newest:%Y-%m-%d %H:%M} UTC, the newest write"
    show_numbers(
        (
            ("tables with rows", f"{(tables['rows'] > 0).sum():,} of {len(tables):,}", ""),
            ("slices", f"{len(slices):,}", "A slice is a table's rows of one ticker, or one ticker and horizon."),
            ("rows", f"{tables['rows'].sum():,}", ""),
            ("sources", ", ".join(map(plain, sorted(slices["source"].dropna().unique()))) or "none", ""),
        )
    )
    dates = {_TABLES[name]: _DATE for name in ("first_session", "last_session")}
    show_table(tables.rename(columns=_TABLES), title="What is stored", says="Every table of the warehouse, with its "
               "source, and why it is empty where a source has nothing.", as_of=as_of, height=420,
               columns=dates)  # fmt: skip
    ranges = frames.ranges_data(slices, context.ticker)
    show_chart(
        frames.ranges_figure(ranges) if len(ranges) else None, ranges, title="How far it reaches",
        says=f"{context.ticker}: from the first session of each table to its last.", as_of=as_of,
    )  # fmt: skip


def _show_missing(context: PageContext) -> None:
    gaps = frames.gaps_data(context.reader, context.ticker)
    as_of = None if gaps.empty else gaps["last_session"].max()
    show_table(
        gaps.rename(columns=_GAPS), title="Gaps", as_of=as_of,
        says=f"{context.ticker}: sessions of the exchange without a row, between the first row and the last.",
        columns={_GAPS[name]: _DATE for name in ("first_session", "last_session")},
    )  # fmt: skip
    chosen = [[context.ticker], list(context.settings.horizons)]
    for line in input_end_lines(input_ends(context.reader.query(INPUT_ENDS_SQL, chosen))):
        st.warning(plain(line), icon=":material/link_off:")
    presence = frames.presence_data(context.reader, context.ticker)
    show_chart(
        frames.presence_figure(presence) if presence.size else None, presence.reset_index(), title="Missing data",
        says=f"{context.ticker}: share of values that are there, by features that come and go together and by time. "
        "The lightest is missing.", as_of=as_of,
    )  # fmt: skip


@st.fragment
def _query_box(context: PageContext) -> None:
    st.markdown("#### Ask the warehouse")
    st.caption(
        plain(
            f"One query in SQL that reads: DuckDB, tables as group.name. It stops after {SECONDS:g} seconds and shows "
            f"the first {ROWS:,} rows; nothing can be written, and no other file be read."
        )
    )
    example = st.selectbox("Example", list(frames.EXAMPLES), key="sql-example", on_change=_take_example)
    if _SQL not in st.session_state:
        st.session_state[_SQL] = frames.EXAMPLES[example]
    with st.form("sql-form", border=False):
        st.text_area("Query", key=_SQL, height=130)
        is_asked = st.form_submit_button("Run", icon=":material/play_arrow:")
    if is_asked:
        st.session_state[_ANSWER] = _answer(context, st.session_state[_SQL])
    answer = st.session_state.get(_ANSWER)
    if isinstance(answer, str):
        st.error(f"**Not run.** {plain(answer)}", icon=":material/block:")
    elif isinstance(answer, BoundedAnswer):
        _show_answer(answer)


def _take_example() -> None:
    st.session_state[_SQL] = frames.EXAMPLES[st.session_state["sql-example"]]
    st.session_state.pop(_ANSWER, None)


def _answer(context: PageContext, sql: str) -> BoundedAnswer | str:
    try:
        return bounded_query(context.reader.warehouse, sql)
    except StorageError as error:
        return str(error).removeprefix("not run: ")


def _show_answer(answer: BoundedAnswer) -> None:
    count = f"{len(answer.rows):,} row{'' if len(answer.rows) == 1 else 's'}"
    more = f", the first {ROWS:,} of more: add a LIMIT or a WHERE" if answer.is_cut else ""
    if answer.rows.empty:
        show_nothing("No rows", "The query ran and found nothing.")
        return
    st.caption(plain(f"{count}{more}, in {answer.seconds:.2f} s."))
    st.dataframe(answer.rows, hide_index=True, width="stretch", key="sql-rows")
    with st.container(horizontal=True, gap="small"):
        download(answer.rows, name="query")
        st.download_button(
            "Parquet", lambda: _parquet(answer.rows), file_name="query.parquet", key="parquet-query",
            mime="application/vnd.apache.parquet", on_click="ignore", icon=":material/download:",
        )  # fmt: skip


def _parquet(rows: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    rows.to_parquet(buffer, index=False)
    return buffer.getvalue()
