"""News, mentions, announcements, decisions and hourly bars from the user's Parquet or CSV files.

What these files look like and what their columns mean belongs here. Only
the columns and rows asked for are read, by ``event_reader.py``. Which file is which table is in ``file_events.py``.

=================  ======================================================================================
file               columns (others are ignored)
=================  ======================================================================================
prices_hourly      ticker, ts, open, high, low, close, volume
news_headlines     ts, headline [, publisher, summary, url]
apewisdom          generated_at, ticker, rank, mentions [, mentions24hAgo, upvotes, name]
news_sentiment     ticker, known_at, company_score, sector_score, buzz, articles_last_week
earnings           date, ticker [, timing]
fomc_dates         date, event
=================  ======================================================================================

Moments are timestamps with a time zone, or ISO texts (UTC where they do not say).
"""

from __future__ import annotations

import html
from hashlib import sha256
from pathlib import Path
from typing import Final

import pandas as pd

from resources.event_reader import EventFile, Filter
from trading_dag.publication_lags import news_known_at
from trading_dag.sessions import NEW_YORK, all_sessions, session_bounds

HOUR: Final = pd.Timedelta(hours=1)
# Two share classes of one company, which announces once.
SAME_COMPANY: Final[dict[str, str]] = {"GOOG": "GOOGL"}
TIMINGS: Final = ("BMO", "AMC", "DMH")
_ID_LENGTH: Final = 16


def hourly_bars(path: Path, ticker: str, *, since: pd.Timestamp | None) -> pd.DataFrame:
    """Bars of a ticker within the exchange's hours, by their true start: ticker, ts, OHLC, volume.

    Raises
    ------
    SourceFormatError : for another shape, bars to come, or two bars that start at one moment.
    """
    file = EventFile(path, "prices_hourly")
    bars = file.read([("ticker", "in", [ticker]), *_since("ts", since)])
    file.refuse_future(bars, "ts")
    bars = within_exchange_hours(bars)
    repeated = bars[bars.duplicated("ts")]
    if len(repeated):
        raise file.format_error(f"{len(repeated)} bars start when another does, the first {repeated['ts'].iloc[0]}")
    return bars


def within_exchange_hours(bars: pd.DataFrame) -> pd.DataFrame:
    """Hourly bars with their true start, those outside the session's hours left out.

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


def market_news(path: Path, *, since: pd.Timestamp | None) -> pd.DataFrame:
    """Headlines of the market: news_id, published_at, known_at, publisher, headline, summary, url; each once.

    The file has no number of an article, so ``news_id`` is a digest of moment, publisher and headline.

    Raises
    ------
    SourceFormatError : for another shape, or headlines to come.
    """
    file = EventFile(path, "news_headlines")
    rows = file.read(_since("ts", since))
    file.refuse_future(rows, "ts")
    rows = rows.dropna(subset=["headline"]).rename(columns={"ts": "published_at"})
    publishers = rows["publisher"] if "publisher" in rows else pd.Series("", index=rows.index)
    said = zip(rows["published_at"], publishers.fillna(""), rows["headline"], strict=True)
    digests = [sha256(f"{at.isoformat()}\n{by}\n{what}".encode()).hexdigest()[:_ID_LENGTH] for at, by, what in said]
    rows = rows.assign(news_id=pd.Series(digests, index=rows.index, dtype="str"))
    rows = rows.drop_duplicates("news_id", ignore_index=True)
    return rows.assign(known_at=news_known_at(rows["published_at"]))


def mentions(path: Path, ticker: str) -> pd.DataFrame:
    """One row a snapshot, 0 mentions where it does not list the ticker.

    Returns
    -------
    pd.DataFrame : known_at, rank, mentions, and mentions_24h_ago, upvotes, name where the file has them.

    Raises
    ------
    SourceFormatError : for another shape, snapshots to come, or a ticker twice in one.
    """
    file = EventFile(path, "apewisdom")
    snapshots = file.read([], only=("generated_at",)).drop_duplicates(ignore_index=True)
    file.refuse_future(snapshots, "generated_at")
    names = list(dict.fromkeys((ticker, ticker.replace(".", "-"))))
    rows = file.read([("ticker", "in", names)])
    if rows["generated_at"].duplicated().any():
        raise file.format_error(f"a snapshot lists {ticker} twice", "ticker")
    rows = snapshots.merge(rows, on="generated_at", how="left").rename(
        columns={"generated_at": "known_at", "mentions24hAgo": "mentions_24h_ago"}
    )
    if "name" in rows:
        rows["name"] = rows["name"].map(html.unescape, na_action="ignore")
    ranks = pd.array(rows["rank"].to_numpy(), dtype="Int64")
    return rows.assign(mentions=rows["mentions"].fillna(0.0), rank=ranks)


def news_scores(path: Path, ticker: str) -> pd.DataFrame:
    """Snapshots of a vendor's scores of a ticker: known_at, company_score, sector_score, buzz, articles_last_week.

    Raises
    ------
    SourceFormatError : for another shape, snapshots to come, two of one moment, or a broken number of articles.
    """
    file = EventFile(path, "news_sentiment")
    rows = file.read([("ticker", "in", list(dict.fromkeys((ticker, ticker.replace(".", "-")))))])
    file.refuse_future(rows, "known_at")
    if rows["known_at"].duplicated().any():
        raise file.format_error(f"two snapshots of {ticker} have one moment", "known_at")
    articles = rows["articles_last_week"]
    if (articles != articles.round()).where(articles.notna(), False).any():
        raise file.format_error("expected whole numbers", "articles_last_week")
    return rows.assign(articles_last_week=articles.astype("Int64"))


def announcements(path: Path, companies: tuple[str, ...], *, since: pd.Timestamp | None) -> pd.DataFrame:
    """Days on which companies announce earnings: company, report_date, timing (NULL where the file does not say).

    Raises
    ------
    SourceFormatError : for another shape, an unknown timing, or a company twice on a day.
    """
    file = EventFile(path, "earnings")
    wanted = {name: company for company in companies for name in _names_of(company)}
    rows = file.read([("ticker", "in", list(wanted)), *_since("date", since)])
    rows = rows.rename(columns={"date": "report_date"}).assign(company=rows["ticker"].map(wanted).astype("str"))
    if "timing" in rows:
        rows["timing"] = rows["timing"].str.upper()
        unknown = rows.loc[rows["timing"].notna() & ~rows["timing"].isin(TIMINGS), "timing"]
        if len(unknown):
            raise file.format_error(f"{unknown.iloc[0][:20]!r} is none of {', '.join(TIMINGS)}", "timing")
    rows = rows.drop_duplicates(["company", "report_date", *(["timing"] if "timing" in rows else [])])
    twice = rows[rows.duplicated(["company", "report_date"])]
    if len(twice):
        raise file.format_error(
            f"{twice['company'].iloc[0]} announces twice on {twice['report_date'].iloc[0]:%Y-%m-%d}"
        )
    return rows.drop(columns="ticker").reset_index(drop=True)


def decision_days(path: Path) -> pd.DatetimeIndex:
    """Days of decisions of the Federal Reserve: rows whose event begins with FOMC.

    Raises
    ------
    SourceFormatError : for another shape.
    """
    rows = EventFile(path, "fomc_dates").read([])
    return pd.DatetimeIndex(rows.loc[rows["event"].str.upper().str.startswith("FOMC"), "date"])


def _names_of(company: str) -> set[str]:
    classes = {company, *(other for other, main in SAME_COMPANY.items() if main == company)}
    return {name for one in classes for name in (one, one.replace(".", "-"))}


def _since(column: str, since: pd.Timestamp | None) -> list[Filter]:
    return [] if since is None else [(column, ">=", since.normalize())]
