"""News, mentions and earnings of the ``live`` source as raw tables: scopes, when a row was known, what absence means.

How a vendor is asked is in its own module; a vendor that fails raises, and nothing replaces it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import pandas as pd

from resources.left_out import joined
from resources.raw_frames import raw_frame, switched_off
from resources.sources.files.events import no_companies
from resources.sources.status import SourceStatus
from resources.vendors.apewisdom import SOURCE as APEWISDOM
from resources.vendors.apewisdom import ApeWisdomClient
from resources.vendors.finnhub import KEY_VARIABLE, FinnhubClient
from trading_dag.errors import EmptySourceError, SourceFormatError
from trading_dag.releases.publication_lags import news_known_at
from trading_dag.schemas import EARNINGS, NEWS, NEWS_SENTIMENT, SOCIAL_MENTIONS, Table
from trading_dag.sessions import NEW_YORK, TIME_UNIT

# Cash indices are nobody's company: they get the market's news only.
INDICES: Final = frozenset({"SPX", "COMP"})
NO_KEY: Final = f"Finnhub is not asked: {KEY_VARIABLE} is not set"
NO_PLAN: Final = "Finnhub gives its news sentiment to paid plans only, and the key's plan has none (403)"
_logger = logging.getLogger(__name__)


class LiveEvents:
    """Fills the tables that come from Finnhub and ApeWisdom.

    Parameters
    ----------
    finnhub, apewisdom : their clients.
    companies_of : whose earnings count for a ticker.
    clock : the present moment, UTC.
    source : name of the source, for the frames.
    """

    def __init__(
        self,
        finnhub: FinnhubClient,
        apewisdom: ApeWisdomClient,
        *,
        companies_of: Callable[[str], tuple[str, ...]],
        clock: Callable[[], pd.Timestamp],
        source: str,
    ) -> None:
        self._finnhub = finnhub
        self._apewisdom = apewisdom
        self._companies_of = companies_of
        self._clock = clock
        self._source = source
        self._has_said_no_key = False
        self._has_said_no_plan = False

    def news(self, ticker: str, *, since: pd.Timestamp | None) -> pd.DataFrame:
        """Return articles about the ticker, and the market's. An article of both kinds counts as the company's."""
        if not self._finnhub.has_key:
            return self._without_key(NEWS)
        market = self._finnhub.market_news(since=since).assign(scope="market")
        parts = [market]
        if ticker not in INDICES:
            parts.insert(0, self._finnhub.company_news(ticker, since=since).assign(scope="company"))
        articles = joined(parts).drop_duplicates("news_id", keep="first")
        rows = articles.assign(ticker=ticker, known_at=news_known_at(articles["published_at"]))
        return raw_frame(rows, NEWS, source=self._source)

    def social_mentions(self, ticker: str) -> pd.DataFrame:
        """Return one row: the ticker's rank on the list, or 0 mentions if it is not listed."""
        listed = self._apewisdom.mentions()
        row = listed.rows[listed.rows["ticker"] == ticker]
        if row.empty and listed.may_list(ticker):
            raise SourceFormatError(
                source=APEWISDOM,
                request=f"mentions of {ticker}",
                problem=f"the place of {ticker} on the list cannot be read, and is not taken for no mention",
                remedy="Try again later; if it stays, ApeWisdom has changed its answers.",
            )
        if row.empty:
            row = pd.DataFrame({"mentions": [0.0], "rank": pd.array([None], dtype="Int64"), "name": [None]})
        return raw_frame(
            row.assign(ticker=ticker, known_at=listed.known_at.as_unit(TIME_UNIT)), SOCIAL_MENTIONS, source=self._source
        )

    def news_sentiment(self, ticker: str) -> pd.DataFrame:
        """Return one row: the vendor's score of the ticker's news; a fund has its own score, an index has none."""
        if not self._finnhub.has_key:
            return self._without_key(NEWS_SENTIMENT)
        if ticker in INDICES:
            reason = f"{ticker} is an index, and the vendor does not score its news"
            return switched_off(NEWS_SENTIMENT, source=self._source, reason=reason)
        try:
            score = self._finnhub.news_sentiment(ticker)
        except EmptySourceError as error:
            return switched_off(NEWS_SENTIMENT, source=self._source, reason=f"{ticker}: {error.problem}")
        if score is None:
            if not self._has_said_no_plan:
                self._has_said_no_plan = True
                _logger.warning("%s", NO_PLAN)
            return switched_off(NEWS_SENTIMENT, source=self._source, reason=NO_PLAN)
        row = {
            "ticker": ticker,
            "known_at": score.known_at.as_unit(TIME_UNIT),
            "company_score": score.company_score,
            "sector_score": score.sector_score,
            "buzz": score.buzz,
            "articles_last_week": score.articles_last_week,
        }
        return raw_frame(pd.DataFrame([row]), NEWS_SENTIMENT, source=self._source)

    def earnings(self, ticker: str, *, since: pd.Timestamp | None) -> pd.DataFrame:
        """Return the announcements of the companies that count for the ticker."""
        if not self._finnhub.has_key:
            return self._without_key(EARNINGS)
        companies = self._companies_of(ticker)
        if not companies:
            return switched_off(EARNINGS, source=self._source, reason=no_companies(ticker))
        by_company = [self._finnhub.earnings(company, since=since) for company in companies]
        reports = joined(by_company)
        rows = reports.assign(ticker=ticker, known_at=dates_known_at(reports["report_date"], self._clock()))
        return raw_frame(rows, EARNINGS, source=self._source)

    def describe(self) -> list[SourceStatus]:
        """Return whether Finnhub can be asked, for ``doctor``."""
        remedy = f"set {KEY_VARIABLE} (free from finnhub.io)"
        if self._finnhub.has_key:
            news = SourceStatus(NEWS.name, "on", "Finnhub: company news of a year, the market's latest; no scores")
            earnings = SourceStatus(EARNINGS.name, "on", "Finnhub's earnings calendar")
            scores = SourceStatus(NEWS_SENTIMENT.name, "on", "Finnhub's score, where the key's plan has it; no history")
        else:
            news = SourceStatus(NEWS.name, "off", NO_KEY, remedy)
            earnings = SourceStatus(EARNINGS.name, "off", NO_KEY, remedy)
            scores = SourceStatus(NEWS_SENTIMENT.name, "off", NO_KEY, remedy)
        mentions = SourceStatus(SOCIAL_MENTIONS.name, "on", "ApeWisdom's present list; no key needed, no history")
        return [news, mentions, scores, earnings]

    def _without_key(self, table: Table) -> pd.DataFrame:
        if not self._has_said_no_key:
            self._has_said_no_key = True
            _logger.warning("%s: news and earnings stay off", NO_KEY)
        return switched_off(table, source=self._source, reason=NO_KEY)


def dates_known_at(report_dates: pd.Series, asked_at: pd.Timestamp) -> pd.Series:
    """Return when announcement days were known, for days that a calendar shows now.

    Parameters
    ----------
    report_dates : days of announcements.
    asked_at : when the calendar was asked, UTC.

    Returns
    -------
    pd.Series : UTC. A future day is known now. A past day is NaT: nobody says any more since when it was known, and
        ``features.earnings`` presumes a notice. A day that an earlier answer lacked gets its moment in the merge.
    """
    is_past = (report_dates + pd.Timedelta(days=1)).dt.tz_localize(NEW_YORK) < asked_at
    known = pd.Series(asked_at.as_unit(TIME_UNIT), index=report_dates.index)
    return known.where(~is_past)
