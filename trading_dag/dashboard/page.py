"""What every page is made of: its context, charts with their data, tables, and what stands where there is nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import streamlit as st

from trading_dag.dashboard.theme import MODE_BAR
from trading_dag.dashboard.words import plain
from trading_dag.settings import Settings

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from resources.storage.versioned_reader import VersionedReader

MIME_CSV: Final = "text/csv"
BESIDE: Final = " · "


@dataclass(frozen=True)
class PageContext:
    """Holds what a page is rendered from.

    Attributes
    ----------
    reader : of everything stored; reads only.
    settings : of this home.
    tickers : with anything stored, in the order of the settings.
    ticker, horizon : what the user has chosen on top of the page.
    now : UTC.
    """

    reader: VersionedReader
    settings: Settings
    tickers: tuple[str, ...]
    ticker: str
    horizon: str
    now: pd.Timestamp


def show_chart(
    figure: go.Figure | None, data: pd.DataFrame, *, title: str, says: str, as_of: Any, nothing: str = ""
) -> None:
    """Show a chart: its title, what it says and as of when, the figure, and its data for download.

    Parameters
    ----------
    figure : None, or without data, where there is nothing to show.
    data : exactly what the figure is drawn from.
    title : unique on the page.
    says : one sentence for a reader who has not seen such a chart, with units.
    as_of : session of the newest number, or a text.
    nothing : why there may be nothing, and what to do.
    """
    is_empty = figure is None or data.empty
    _heading(title, None if is_empty else data)
    if figure is None or is_empty:
        show_nothing("Nothing to show here yet", nothing or "No rows of this are stored.")
        return
    st.caption(f"{plain(says)} As of {plain(as_of_text(as_of))}.")
    st.plotly_chart(
        figure, width="stretch", theme="streamlit", config=dict(MODE_BAR), key=f"chart-{slug(title)}", alt=says
    )  # fmt: skip


def show_table(frame: pd.DataFrame, *, title: str, says: str, as_of: Any, columns: dict[str, Any] | None = None,
               height: int | None = None, nothing: str = "") -> None:  # fmt: skip
    """Show a table with its title, a sentence and a download.

    Parameters
    ----------
    frame : as it is to be seen and downloaded.
    columns : Streamlit's column configuration by column, with units in the labels.
    """
    _heading(title, None if frame.empty else frame)
    if frame.empty:
        show_nothing("No rows", nothing or "Nothing of this is stored yet.")
        return
    st.caption(f"{plain(says)} As of {plain(as_of_text(as_of))}.")
    st.dataframe(
        frame, hide_index=True, width="stretch", column_config=columns, height="auto" if height is None else height,
        key=f"table-{slug(title)}",
    )  # fmt: skip


def _heading(title: str, data: pd.DataFrame | None) -> None:
    """Show a title, with the download of its data beside it."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"#### {plain(title)}", width="content")
        if data is not None:
            download(data, name=slug(title))


def download(data: pd.DataFrame, *, name: str) -> None:
    """Offer the rows as CSV. The file is made when it is asked for."""
    st.download_button(
        "CSV", lambda: data.to_csv(index=False).encode(), file_name=f"{name}.csv", mime=MIME_CSV,
        key=f"csv-{name}", on_click="ignore", icon=":material/download:", help=f"The data of {name}",
    )  # fmt: skip


def show_numbers(numbers: Sequence[tuple[str, str, str]]) -> None:
    """Show numbers in a row that wraps on a narrow screen: label, value with its unit, and what it means.

    What follows `` · `` in a value is shown smaller below it, such as the same number of the session before.
    """
    with st.container(horizontal=True, gap="small"):
        for label, value, meaning in numbers:
            main, _, beside = value.partition(BESIDE)
            st.metric(
                label, main, delta=beside or None, delta_color="off", delta_arrow="off", help=meaning or None,
                border=True, width="content",
            )  # fmt: skip


def show_nothing(title: str, text: str, *, command: str = "") -> None:
    """Show what stands where there are no data: what is missing, and the command that brings it."""
    st.info(f"**{plain(title)}.** {plain(text)}", icon=":material/inbox:")
    if command:
        st.code(command, language="bash")


def as_of_text(as_of: Any) -> str:
    """Return a session as ``the close of 2024-12-31``; a text as it is."""
    if isinstance(as_of, str):
        return as_of
    return "an unknown time" if as_of is None or pd.isna(as_of) else f"the close of {pd.Timestamp(as_of):%Y-%m-%d}"


def slug(title: str) -> str:
    """Return a title as a name for files and keys: lower case, words joined by hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
