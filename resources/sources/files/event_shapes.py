"""News, mentions, announcements, decisions and hourly bars from the user's Parquet or CSV files.

What these files look like and what their columns mean belongs here. They are read by ``text_files.column_file.py``;
which file is which table is in ``files.events.py``. What is left out is counted in the notes of the frame.

=================  ======================================================================================
file               columns (others are ignored)
=================  ======================================================================================
prices_hourly      ticker, ts, open, high, low, close, volume
news_headlines     ts, headline [, publisher, summary, url]
apewisdom          generated_at, ticker, rank, mentions [, mentions_24h_ago, upvotes, name]
news_sentiment     ticker, known_at, company_score, sector_score, buzz, articles_last_week
earnings           date, ticker [, timing]
fomc_dates         date, event
=================  ======================================================================================

Moments are timestamps or ISO texts with a time zone; where they name none, the setting ``files_zone`` applies.
"""

from __future__ import annotations

import html
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from resources.raw_frames import with_notes
from resources.text_files.column_file import ColumnFile, FileRows, FileShape
from trading_dag.releases.publication_lags import news_known_at
from trading_dag.sessions import NEW_YORK, all_sessions, session_bounds

if TYPE_CHECKING:
    from resources.text_files.rows import Kind

_SCORES: Final = ("company_score", "sector_score", "buzz", "articles_last_week")


def _of(names: tuple[str, ...], kind: Kind) -> dict[str, Kind]:
    return dict.fromkeys(names, kind)


SHAPES: Final[dict[str, FileShape]] = {
    "prices_hourly": FileShape(
        {"ticker": "text", "ts": "moment", **_of(("open", "high", "low", "close", "volume"), "number")},
        time="ts", key="ticker",
    ),
    "news_headlines": FileShape(
        {"ts": "moment", "headline": "text"}, time="ts", optional=_of(("publisher", "summary", "url"), "text"),
        is_multiline=True,
    ),
    "apewisdom": FileShape(
        {"generated_at": "moment", "ticker": "text", "rank": "number", "mentions": "number"},
        time="generated_at", key="ticker", optional={"mentions_24h_ago": "number", "upvotes": "number", "name": "text"},
    ),
    "news_sentiment": FileShape(
        {"ticker": "text", "known_at": "moment", **_of(_SCORES, "number")}, time="known_at", key="ticker"
    ),
    "earnings": FileShape({"date": "date", "ticker": "text"}, time="date", key="ticker", optional={"timing": "text"}),
    "fomc_dates": FileShape({"date": "date", "event": "text"}, time="date"),
}  # fmt: skip
HOUR: Final = pd.Timedelta(hours=1)
# Bars around the session's hours are people's before and after hours; where most lie outside and the sessions have
# fewer of their hours than this share, the clock is another one.
LEAST_COVERED: Final = 0.75
# Two share classes of one company, which announces once.
SAME_COMPANY: Final[dict[str, str]] = {"GOOG": "GOOGL"}
TIMINGS: Final = ("BMO", "AMC", "DMH")
_ID_LENGTH: Final = 16


def hourly_bars(file: ColumnFile, ticker: str, *, since: pd.Timestamp | None) -> pd.DataFrame:
    """Return bars of a ticker within the exchange's hours, by their true start: ticker, ts, OHLC, volume.

    Raises
    ------
    SourceFormatError : for another shape, bars in the future, two bars with the same start, or bars most of which lie
        outside the session's hours without covering them, so that their time zone must be another.
    """
    rows = file.read([ticker], since=_day(since))
    file.refuse_future(rows)
    bars = within_exchange_hours(rows.frame)
    outside = len(rows.frame) - len(bars)
    if outside > len(bars) and _covered_share(bars) < LEAST_COVERED:
        first = rows.frame["ts"].iloc[0]
        raise file.format_error(
            f"{outside:,} of {len(rows.frame):,} bars of {ticker} lie outside the exchange's hours, so their clock is "
            f"another one than they say (the first is at {first} {file.place(rows, 0)}, "
            f"{first.tz_convert(NEW_YORK):%Y-%m-%d %H:%M} in New York)",
            "ts",
        )
    repeated = bars[bars.duplicated("ts")]
    if len(repeated):
        raise file.format_error(f"{len(repeated)} bars start when another does, the first {repeated['ts'].iloc[0]}")
    notes = list(rows.notes)
    if outside:
        all_bars = f"{outside:,} of {len(rows.frame):,} bars of {ticker}"
        notes.append(f"{file.path.name}: {all_bars} lie outside the exchange's hours and are left out")
    return with_notes(bars, notes)


def _covered_share(bars: pd.DataFrame) -> float:
    """Return the share of the hours of a typical session that its bars cover, among sessions that have bars."""
    if bars.empty:
        return 0.0
    days = pd.DatetimeIndex(bars["ts"].dt.tz_convert(NEW_YORK).dt.tz_localize(None).dt.normalize())
    opens, closes = session_bounds(days)
    hours = (closes - opens) / HOUR
    return float((bars.groupby(days)["ts"].size() / pd.Series(hours, index=days).groupby(level=0).first()).median())


def within_exchange_hours(bars: pd.DataFrame) -> pd.DataFrame:
    """Return hourly bars with their true start, those outside the session's hours left out.

    A clock-hour bar that begins before the open and ends after it holds trades from the open on (the bar of 09:00 is
    that of 09:30 to 10:00), so it starts at the open. Half days end early.

    Parameters
    ----------
    bars : column ``ts``, bar starts, UTC.
    """
    local = bars["ts"].dt.tz_convert(NEW_YORK).dt.tz_localize(None).dt.normalize()
    bars = bars[local.isin(all_sessions())]
    days = pd.DatetimeIndex(local[local.isin(all_sessions())])
    opens, closes = (pd.Series(bounds, index=bars.index) for bounds in session_bounds(days))
    holds_the_open = (bars["ts"] < opens) & (bars["ts"] + HOUR > opens)
    starts = bars["ts"].where(~holds_the_open, opens)
    return bars.assign(ts=starts)[(starts >= opens) & (starts < closes)].sort_values("ts", ignore_index=True)


def market_news(file: ColumnFile, *, since: pd.Timestamp | None) -> pd.DataFrame:
    """Return the headlines of the market, each once: news_id, published_at, known_at, publisher, headline, summary,
    url.

    The file has no number of an article, so ``news_id`` is a digest of moment, publisher and headline.

    Raises
    ------
    SourceFormatError : for another shape, or headlines in the future.
    """
    file_rows = file.read(since=_day(since))
    file.refuse_future(file_rows)
    is_there = file_rows.frame["headline"].notna().to_numpy()
    file_rows = file_rows.where(is_there, _counted(file, ~is_there, "rows without a headline are left out"))
    rows = file_rows.frame.rename(columns={"ts": "published_at"})
    publishers = rows["publisher"] if "publisher" in rows else pd.Series("", index=rows.index)
    said = zip(rows["published_at"], publishers.fillna(""), rows["headline"], strict=True)
    digests = [sha256(f"{at.isoformat()}\n{by}\n{what}".encode()).hexdigest()[:_ID_LENGTH] for at, by, what in said]
    rows = rows.assign(news_id=pd.Series(digests, index=rows.index, dtype="str"))
    repeated = rows.duplicated("news_id").to_numpy()
    note = _counted(file, repeated, "headlines that are there twice are taken once")
    rows = rows[~repeated].reset_index(drop=True)
    notes = [*file_rows.notes, *([note] if note else [])]
    return with_notes(rows.assign(known_at=news_known_at(rows["published_at"])), notes)


def mentions(file: ColumnFile, ticker: str) -> pd.DataFrame:
    """Return one row per snapshot, with 0 mentions if the snapshot does not list the ticker.

    Returns
    -------
    pd.DataFrame : known_at, rank, mentions, and mentions_24h_ago, upvotes, name where the file has them.

    Raises
    ------
    SourceFormatError : for another shape, snapshots in the future, or a ticker twice in one.
    """
    times = FileShape({"generated_at": "moment"}, time="generated_at")
    snapshots = ColumnFile(file.path, file.kind, times, file.rules).read()
    file.refuse_future(snapshots)
    file_rows = file.read([ticker])
    if file_rows.frame["generated_at"].duplicated().any():
        raise file.format_error(f"a snapshot lists {ticker} twice", "ticker")
    file.require(
        file_rows.frame["mentions"].notna(), file_rows, "mentions", f"expected how often {ticker} was mentioned"
    )
    rank = file_rows.frame["rank"]
    file.require(rank.isna() | (rank == rank.round()), file_rows, "rank", "expected whole numbers")
    every = snapshots.frame.drop_duplicates(ignore_index=True)
    rows = every.merge(file_rows.frame, on="generated_at", how="left").rename(columns={"generated_at": "known_at"})
    if "name" in rows:
        rows["name"] = rows["name"].map(html.unescape, na_action="ignore")
    ranks = pd.array(rows["rank"].to_numpy(), dtype="Int64")
    return with_notes(rows.assign(mentions=rows["mentions"].fillna(0.0), rank=ranks), file_rows.notes)


def news_scores(file: ColumnFile, ticker: str) -> pd.DataFrame:
    """Return the snapshots of a vendor's scores of a ticker: known_at, company_score, sector_score, buzz,
    articles_last_week.

    Raises
    ------
    SourceFormatError : for another shape, snapshots in the future, two at one moment, or a fractional article count.
    """
    rows = file.read([ticker])
    file.refuse_future(rows)
    if rows.frame["known_at"].duplicated().any():
        raise file.format_error(f"two snapshots of {ticker} have the same moment", "known_at")
    articles = rows.frame["articles_last_week"]
    file.require(articles.isna() | (articles == articles.round()), rows, "articles_last_week", "expected whole numbers")
    return with_notes(rows.frame.assign(articles_last_week=articles.astype("Int64")), rows.notes)


def announcements(file: ColumnFile, companies: tuple[str, ...], *, since: pd.Timestamp | None) -> pd.DataFrame:
    """Return the days on which companies announce earnings: company, report_date, timing (NULL where the file does
    not say).

    Raises
    ------
    SourceFormatError : for another shape, an unknown timing, or a company twice on a day.
    """
    wanted = {name: company for company in companies for name in _classes_of(company)}
    file_rows = file.read(wanted, since=_day(since))
    rows = file_rows.frame.rename(columns={"date": "report_date"})
    rows = rows.assign(company=rows["ticker"].map(wanted).astype("str"))
    if "timing" in rows:
        rows["timing"] = rows["timing"].str.upper()
        file.require(rows["timing"].isna() | rows["timing"].isin(TIMINGS), file_rows, "timing",
                     f"is none of {', '.join(TIMINGS)}")  # fmt: skip
    repeated = rows.duplicated(["company", "report_date", *(["timing"] if "timing" in rows else [])]).to_numpy()
    note = _counted(file, repeated, "announcements that are there twice, or of another share class, are taken once")
    rows = rows[~repeated]
    twice = rows[rows.duplicated(["company", "report_date"])]
    if len(twice):
        raise file.format_error(
            f"{twice['company'].iloc[0]} announces twice on {twice['report_date'].iloc[0]:%Y-%m-%d}"
        )
    notes = [*file_rows.notes, *([note] if note else [])]
    return with_notes(rows.drop(columns="ticker").reset_index(drop=True), notes)


def decision_days(file: ColumnFile) -> tuple[pd.DatetimeIndex, list[str]]:
    """Return the days of the Federal Reserve's decisions (rows whose event begins with FOMC), and notes on other rows.

    Raises
    ------
    SourceFormatError : for another shape.
    """
    rows: FileRows = file.read()
    is_decision = rows.frame["event"].str.upper().str.startswith("FOMC").fillna(False).to_numpy(dtype=bool)
    note = _counted(file, ~is_decision, "rows whose event does not begin with FOMC are left out")
    return pd.DatetimeIndex(rows.frame.loc[is_decision, "date"]), [*rows.notes, *([note] if note else [])]


def _classes_of(company: str) -> set[str]:
    return {company, *(other for other, main in SAME_COMPANY.items() if main == company)}


def _counted(file: ColumnFile, mask: np.ndarray, what: str) -> str:
    """Return a note with the number of rows of a mask; empty where there are none."""
    count = int(mask.sum())
    return f"{file.path.name}: {count:,} {what}" if count else ""


def _day(since: pd.Timestamp | None) -> pd.Timestamp | None:
    return None if since is None else since.normalize()
