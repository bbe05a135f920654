"""The script that Streamlit runs for each session and each change: banner, choices, the page that is open."""

from __future__ import annotations

import logging
from collections.abc import Callable

import streamlit as st

from trading_dag.dashboard.freshness import GRAVE, Level, Notice, data_notices
from trading_dag.dashboard.page import PageContext, show_nothing
from trading_dag.dashboard.process import Shared, horizon_shown_first, shared, stored_tickers
from trading_dag.dashboard.registry import PAGES, Page
from trading_dag.dashboard.theme import BLUE
from trading_dag.dashboard.words import plain
from trading_dag.errors import TradingDagError

_HOW_TO_START = "trading-dag run            # the sample that comes with the project: minutes, no key, no network"
_SHOWN_AS: dict[Level, Callable[..., object]] = {
    "current": st.success,
    "late": st.warning,
    "stale": st.error,
    "not_real": st.error,
}
_ICONS: dict[Level, str] = {
    "current": ":material/check_circle:",
    "late": ":material/schedule:",
    "stale": ":material/warning:",
    "not_real": ":material/science:",
}
# Drawn here: Streamlit would fetch one of its own icons, or an emoji, from another machine.
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" rx="5" '
    f'fill="{BLUE}"/>'
    '<path d="M4 17l5-6 4 3 7-8" fill="none" stroke="#fff" stroke-width="2.4"/></svg>'
)
# The first lines of a page belong to what it says; of a long list of numbers each wraps as a whole.
_STYLE = """<style>
.stMainBlockContainer {padding-top: 3.2rem; padding-bottom: 3rem;}
[data-testid="stMetricValue"] {font-size: 1.35rem;}
/* Streamlit's captions are too pale to be read by everybody. */
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] p {color: inherit; opacity: 0.92;}
/* What must not be overlooked stays in sight while the page is scrolled. */
@media (min-width: 641px) {.st-key-grave {position: sticky; top: 3.75rem; z-index: 90; backdrop-filter: blur(8px);}}
.st-key-grave [data-testid="stAlertContainer"] {border-left: 0.5rem solid currentColor;}
@media (max-width: 640px) {.stMainBlockContainer {padding-left: 0.8rem; padding-right: 0.8rem;}}
</style>"""


def main() -> None:
    """Show the page that the address names."""
    st.set_page_config(page_title="trading-dag", page_icon=_ICON, layout="wide")
    st.html(_STYLE)
    open_page = st.navigation(
        [
            st.Page(_shown(page), title=page.title, icon=page.icon, url_path=page.path, default=page is PAGES[0])
            for page in PAGES
        ]
    )
    open_page.run()


def _shown(page: Page) -> Callable[[], None]:
    def show() -> None:
        try:
            _show(page, shared())
        except TradingDagError as error:
            logging.getLogger(__name__).warning("%s: %s", page.title, error)
            st.error(f"**This page cannot be shown.** {plain(error)}", icon=":material/error:")

    return show


def _show(page: Page, process: Shared) -> None:
    tickers = stored_tickers(process)
    st.markdown(f"### {page.title}")
    if not tickers:
        text = f"There are no prices below {process.settings.home}. This fills it, and the page shows it when done:"
        show_nothing("Nothing is stored yet", text, command=_HOW_TO_START)
        return
    ticker, horizon = _choices(page, tickers, process)
    now = process.clock()
    _show_notices(data_notices(process.reader.slices(), ticker=ticker, now=now, settings=process.settings.alerts))
    page.render(PageContext(process.reader, process.settings, tickers, ticker, horizon, now))


def _choices(page: Page, tickers: tuple[str, ...], process: Shared) -> tuple[str, str]:
    """Return ticker and horizon; what is chosen on one page holds on the next."""
    with st.container(horizontal=True, gap="small"):
        ticker = _chosen("ticker", "Ticker", tickers, first=tickers[0])
        horizons, first = process.settings.horizons, horizon_shown_first(process, ticker)
        horizon = (
            _chosen("horizon", "Horizon", horizons, first=first)
            if page.uses_horizon
            else _kept("horizon", horizons, first=first)
        )
    return ticker, horizon


def _chosen(name: str, label: str, values: tuple[str, ...], *, first: str) -> str:
    kept = _kept(name, values, first=first)
    chosen = st.selectbox(label, values, index=values.index(kept), key=f"choose-{name}", width=150)
    st.session_state[name] = st.query_params[name] = chosen
    return str(chosen)


def _kept(name: str, values: tuple[str, ...], *, first: str) -> str:
    for wanted in (st.session_state.get(name), st.query_params.get(name)):
        if wanted in values:
            return str(wanted)
    return first


def _show_notices(notices: list[Notice]) -> None:
    grave = [notice for notice in notices if notice.level in GRAVE]
    if grave:
        with st.container(key="grave", gap="xsmall"):
            for notice in grave:
                _show_notice(notice)
    for notice in notices:
        if notice.level not in GRAVE:
            _show_notice(notice)


def _show_notice(notice: Notice) -> None:
    _SHOWN_AS[notice.level](f"**{plain(notice.title)}.** {plain(notice.text)}", icon=_ICONS[notice.level])


main()
