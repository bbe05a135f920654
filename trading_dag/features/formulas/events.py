"""What each feature of ``features.sentiment``, ``features.earnings`` and ``features.economic_calendar`` is."""

from __future__ import annotations

from typing import Final

SENTIMENT_FORMULAS: Final[dict[str, str]] = {
    "sentiment_score": "mean tone of the ticker's own headlines known since the previous close, of the market's where "
    "there is no own one; tone as the vendor scores it, else by word list. With sentiment_basis vendor: "
    "2 · company_score − 1 of the latest snapshot since the previous close, NULL without articles; −1 to 1; "
    "look-back 1",
    "sentiment_vs_sector": "mean tone of the ticker's own headlines − mean tone of the market's, both known since the "
    "previous close. With sentiment_basis vendor: 2 · (company_score − sector_score) of that snapshot; −2 to 2; "
    "look-back 1",
    "news_buzz_score": "n / (n + m), n headlines of the 24 hours before the close, m mean of n over the 20 sessions "
    "before t. With sentiment_basis vendor: b / (1 + b), b the buzz of that snapshot, which is n / m of a week; "
    "0 to 1, 0.5 is as usual; look-back 6",
    "news_article_count": "headlines known since the previous close, the ticker's own once it has any, before that the "
    "market's; count; look-back 1",
    "reddit_mentions": "mentions within 24 hours in the latest snapshot since the previous close; count; look-back 1",
    "reddit_momentum": "reddit_mentions / mentions 24 hours before that snapshot − 1; fraction; look-back 1",
    "sentiment_bullish": "1 where sentiment_score > 0.15; flag; look-back 1",
    "sentiment_bearish": "1 where sentiment_score < −0.15; flag; look-back 1",
    "sentiment_neutral": "1 where −0.15 ≤ sentiment_score ≤ 0.15; flag; look-back 1",
    "sentiment_extreme_bullish": "1 where sentiment_score > 0.35; flag; look-back 1",
    "sentiment_extreme_bearish": "1 where sentiment_score < −0.35; flag; look-back 1",
    "high_social_attention": "1 where reddit_mentions > 50; flag; look-back 1",
    "sentiment_bullish_high_iv": "1 where sentiment_score > 0.15 and iv_rank > 60; flag; look-back 252",
    "sentiment_bearish_low_iv": "1 where sentiment_score < −0.15 and iv_rank < 30; flag; look-back 252",
    "sentiment_iv_divergence": "sentiment_score − (50 − iv_rank) / 50: how much kinder the news are than the options "
    "market, whose calm (iv_rank 0) counts 1 and whose fear (100) −1; −2 to 2; look-back 252",
    "vendor_tone_vs_sector": "2 · (company_score − sector_score) of the vendor's latest snapshot since the previous "
    "close, whatever sentiment_basis, NULL without articles and where no vendor gives scores; −2 to 2; look-back 1",
}

EARNINGS_FORMULAS: Final[dict[str, str]] = {
    "days_to_earnings": "sessions from t to the reaction session of the nearest coming announcement whose date is "
    "known; 1 or more; look-back 1",
    "days_since_earnings": "sessions since the latest reaction session, 0 on one; NULL after 80; look-back 1",
    "earnings_within_5d": "1 where days_to_earnings ≤ 5, 0 where it is more or no date is known; flag; look-back 1",
    "earnings_within_10d": "1 where days_to_earnings ≤ 10, 0 where it is more or no date is known; flag; look-back 1",
    "post_earnings_5d": "1 where days_since_earnings ≤ 5; flag; look-back 1",
    "last_eps_surprise_pct": "(actual − estimate) / abs(estimate) · 100 of earnings per share, mean over the companies "
    "of the latest reaction session that has one; percent; look-back 1 announcement",
    "eps_surprise_streak": "reaction sessions in a row whose surprise had the sign of the latest, with that sign; "
    "count; look-back 1 announcement",
    "mean_abs_earnings_move_4q": "mean of abs(returns_1d) of the ticker at a company's last 4 reaction sessions, mean "
    "over the companies; fraction; look-back 4 announcements of a company",
    "earnings_season": "1 from the 10th of January, April, July and October to the 20th of the month after; "
    "flag; look-back 1",
    "earnings_x_iv_rank": "earnings_within_5d · iv_rank; 0 to 100; look-back 252",
    "earnings_x_iv_hv_spread": "earnings_within_5d · iv_hv_spread; percent points; look-back 21",
}

_EVENTS: Final = (
    ("cpi", "release of the consumer price index", "cpi_release_day"),
    ("consumer_confidence", "release of UMCSENT", "consumer_confidence_release_day"),
    ("fomc", "decision of the FOMC", "fomc_decision_day"),
)
ECONOMIC_CALENDAR_FORMULAS: Final[dict[str, str]] = {
    name: formula
    for event, what, day in _EVENTS
    for name, formula in (
        (f"days_to_{event}", f"sessions from t to the next {what} whose date is known; 1 or more; look-back 1"),
        (f"days_since_{event}", f"sessions since the latest {what}, 0 on its day; NULL after 50; look-back 1"),
        (day, f"1 where t is the session of a {what}; flag; look-back 1"),
    )
}
