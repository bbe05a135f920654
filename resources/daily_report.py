"""The report of the day from what is stored: its rows and pictures, the file it is kept as, and its mail.

What the page says and in which words is ``trading_dag.reporting.daily_page``'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.slices.format import replace_file
from resources.storage.warehouse import Warehouse
from trading_dag.alert_settings import AlertSettings
from trading_dag.errors import AlertNotSentError, ConfigurationError
from trading_dag.freshness import DataAge, counted_sessions, data_age
from trading_dag.reporting.daily_page import QUERIES, daily_page
from trading_dag.reporting.input_ends import INPUT_ENDS_SQL, input_end_lines, input_ends
from trading_dag.reporting.summary_order import what_to_trade
from trading_dag.reporting.tables import sample_notice, simulated_notice
from trading_dag.reporting.text import titled
from trading_dag.schemas import PREDICTIONS_PRICE, RECOMMENDATION

if TYPE_CHECKING:
    from trading_dag.settings import Settings

FOLDER: Final = "reports"
NO_RECEIVER: Final = "nobody gets mail: TRADING_DAG_ALERTS__EMAIL_TO says who (.env.example shows it)"


@dataclass(frozen=True)
class DailyReport:
    """Holds the report of one session.

    Attributes
    ----------
    session : the newest that anything is recommended of.
    page : the HTML, which needs no other file.
    lines : what a mail says of it, in plain text.
    """

    session: pd.Timestamp
    page: str
    lines: tuple[str, ...]

    @property
    def title(self) -> str:
        """Return the subject of its mail."""
        return f"Report of {self.session:%Y-%m-%d}"

    @property
    def file_name(self) -> str:
        """Return the name it is kept under."""
        return f"report-{self.session:%Y-%m-%d}.html"


def daily_report(
    store: ParquetStore,
    *,
    tickers: Sequence[str],
    horizons: Sequence[str],
    now: pd.Timestamp,
    settings: AlertSettings,
) -> DailyReport | None:
    """Return the report of the newest session; None where no recommendation is stored.

    Parameters
    ----------
    now : UTC; how old the newest session is is said by it.
    settings : when data are stale.
    """
    chosen = [list(tickers), list(horizons)]
    keys = [SliceKey(ticker, horizon) for ticker in tickers for horizon in horizons]
    warehouse = Warehouse(store)
    frames = {name: warehouse.query(sql, chosen, keys=keys) for name, sql in QUERIES.items()}  # type: ignore[arg-type]
    signals = frames["signals"]
    if signals.empty:
        return None
    ends = input_end_lines(input_ends(warehouse.query(INPUT_ENDS_SQL, chosen, keys=keys)))  # type: ignore[arg-type]
    session = pd.Timestamp(signals["session"].max())
    sources = _sources(store, signals)
    newest = signals.sort_values("session", kind="stable").iloc[-1]
    source = sources[(str(newest["ticker"]), str(newest["horizon"]))]
    age = data_age(session, now=now.to_pydatetime(), settings=settings, source=source)
    notes = (*_notes(sources, age), *ends)
    served = signals[signals["is_served"]]
    page = daily_page(frames, _pictures(store, tickers, horizons[-1]), notes=notes)
    reasons = [f"{row['ticker']} {row['horizon']}: {row['reasoning']}" for row in served.to_dict("records")]
    return DailyReport(session, page, (*notes, what_to_trade(served), *reasons))


def keep_report(home: Path, report: DailyReport) -> Path:
    """Put a report into the home's folder of reports, in place of an earlier one of the same session, and return
    where."""
    return write_page(home / FOLDER / report.file_name, report.page)


def write_page(path: Path, page: str) -> Path:
    """Write a page so that a reader sees the old one or the new one, and return where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda new: new.write_text(page, encoding="utf-8"))
    return path


def mail_report(report: DailyReport, path: Path, settings: Settings) -> tuple[str, ...]:
    """Send a report by the mail of the alerts' settings, the page attached, and return to whom.

    Raises
    ------
    ConfigurationError : where the settings name nobody.
    AlertNotSentError : where the mail was not taken.
    """
    from resources.alerts.channels import mail_channel

    if not settings.alerts.email_to:
        raise ConfigurationError(NO_RECEIVER)
    if not path.is_file():
        raise AlertNotSentError(f"email: there is no report at {path}")
    mail_channel(settings).send(report.title, "\n".join(report.lines), attachment=path)
    return settings.alerts.email_to


def _sources(store: ParquetStore, signals: pd.DataFrame) -> dict[tuple[str, str], str | None]:
    """Return where each ticker and horizon comes from."""
    slices = signals[["ticker", "horizon"]].drop_duplicates().itertuples(index=False)
    return {(str(ticker), str(horizon)): _source(store, SliceKey(ticker, horizon)) for ticker, horizon in slices}


def _notes(sources: dict[tuple[str, str], str | None], age: DataAge) -> tuple[str, ...]:
    """Return what has to be seen before any figure: that data are simulated, no market's of today, or old."""
    simulated = simulated_notice((ticker, source) for (ticker, _), source in sources.items())
    kind = "Stale" if age.is_stale else "Not there yet"
    late = (
        f"{kind}: {counted_sessions(age.behind)} closed since {age.last:%Y-%m-%d} and not stored."
        if age.behind and age.state != "undated"
        else ""
    )
    return tuple(filter(None, (simulated, sample_notice(sources.values()), late)))


def _source(store: ParquetStore, key: SliceKey) -> str | None:
    recorded = store.provenance(RECOMMENDATION, key)
    return None if recorded is None else recorded.source


def _pictures(store: ParquetStore, tickers: Sequence[str], horizon: str) -> dict[str, bytes]:
    """Return the fan of each ticker's longest horizon, as far as it has a distribution."""
    from trading_dag.plots.canvas import to_png
    from trading_dag.plots.price import price_fan

    pictures = {}
    for ticker in tickers:
        key = SliceKey(ticker, horizon)
        rows: Any = store.read_or_empty(PREDICTIONS_PRICE, key)
        if len(rows):
            recorded = store.provenance(PREDICTIONS_PRICE, key)
            name = f"{ticker} {horizon}: forecast prices and what came"
            pictures[titled(name, recorded.source if recorded else None)] = to_png(price_fan(rows))
    return pictures
