"""The features by name, in the order of the contract, each with what bounds it and whether it is a level.

What a feature means stands in ``features.formulas`` and in the docstring of the function that computes it.

A name may carry marks: ``atr_14:level,non_negative``. They are ``Mark``'s, and nothing else lists a name again.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from trading_dag.schemas.table import Column, number


class Mark(StrEnum):
    """What a feature's name says besides.

    A level of price, volume or the CPI has no stationary scale, nor have dealers' exposures, which grow with open
    interest and price, nor counts of articles and mentions, which grow with the sources; and the number of a market
    state has no order. The safe set leaves levels out. Rates stay in. The other marks bound the column.
    """

    LEVEL = "level"
    FLAG = "flag"
    PERCENT = "percent"
    SHARE = "share"
    CORRELATION = "correlation"
    FROM_ONE = "from_one"
    NON_NEGATIVE = "non_negative"


_TECHNICAL: Final = """
    sma_20:level sma_50:level sma_200:level ema_12:level ema_26:level price_to_sma_20 price_to_sma_50
    price_to_sma_200 price_to_ema_12
    price_to_ema_26 sma_20_above_50:flag sma_50_above_200:flag ema_12_above_26:flag golden_cross:flag
    death_cross:flag
    sma_20_slope_5 sma_50_slope_10 adx_14:percent plus_di_14:percent minus_di_14:percent
    rsi_14:percent rsi_28:percent rsi_14_overbought:flag rsi_14_oversold:flag macd:level macd_signal:level
    macd_histogram:level macd_histogram_change_1d:level macd_histogram_pct macd_histogram_atr
    stoch_k:percent stoch_d:percent stoch_kd_spread roc_5 roc_10 roc_20 mfi_14:percent williams_r_14 cci_20
    hv_5:non_negative hv_10:non_negative hv_20:non_negative hv_60:non_negative hv_120:non_negative
    hv_ratio_5_20:non_negative hv_ratio_20_60:non_negative hv_trend bb_upper:level bb_middle:level bb_lower:level
    bb_width:non_negative
    bb_position atr_14:level,non_negative atr_pct:non_negative parkinson_hv_20:non_negative garman_klass_hv_20
    hv_20_percentile_252:percent
    volume_sma_10:level,non_negative volume_sma_20:level,non_negative volume_ratio:non_negative obv:level
    obv_slope_20 volume_surge:flag volume_zscore_20 dollar_volume_20:level,non_negative
    high_52w:level low_52w:level distance_from_high_52w distance_from_low_52w near_high_52w:flag near_low_52w:flag
    position_52w
    returns_1d returns_5d returns_10d returns_20d returns_60d returns_252d log_return_1d log_return_5d
    log_return_20d overnight_return intraday_return return_skew_20 return_kurtosis_20
"""
_IMPLIED_VOLATILITY: Final = """
    iv_rank:percent iv_percentile:percent iv_hv_spread iv_premium:flag vix_close:non_negative
    vix_sma_10:non_negative vix_sma_20:non_negative vix_change_1d vix_change_5d
    vix_change_1d_pct vix_change_5d_pct vix_zscore vix_trend vix_term_slope vix_term_ratio vix_contango:flag
    iv_regime_low:flag iv_regime_normal:flag iv_regime_elevated:flag iv_regime_high:flag
"""
_IV_RANK_LAGS: Final = (
    "iv_rank_lag_5:percent iv_rank_lag_10:percent iv_rank_lag_20:percent iv_rank_change_5d iv_rank_change_10d"
)
_MACRO: Final = """
    fed_funds_effective treasury_2y treasury_10y treasury_3m vix_fred yield_spread_10y_2y breakeven_inflation_10y
    real_rate_10y unemployment_rate cpi_index:level
    yield_spread_10y_3m curve_inverted_10y_2y:flag curve_inverted_10y_3m:flag curve_slope_change_20d
    treasury_10y_change_5d treasury_10y_change_20d treasury_10y_change_60d
    treasury_2y_change_5d treasury_2y_change_20d treasury_2y_change_60d
    fed_funds_change_20d fed_funds_change_60d real_rate_change_20d real_rate_change_60d
    breakeven_change_20d breakeven_change_60d vix_fred_change_5d vix_fred_change_20d vix_fred_high:flag
    cpi_yoy real_fed_funds unemployment_change_12m fed_pivot_cut:flag fed_pivot_hike:flag
    gdp_growth_yoy gdp_growth_qoq consumer_confidence:non_negative consumer_confidence_change_1m
    consumer_confidence_change_12m
"""
_SENTIMENT: Final = """
    sentiment_score sentiment_vs_sector news_buzz_score:share news_article_count:level,non_negative
    reddit_mentions:level,non_negative reddit_momentum
    sentiment_bullish:flag sentiment_bearish:flag sentiment_neutral:flag sentiment_extreme_bullish:flag
    sentiment_extreme_bearish:flag
    high_social_attention:flag
    sentiment_bullish_high_iv:flag sentiment_bearish_low_iv:flag sentiment_iv_divergence
    vendor_tone_vs_sector
"""
_EARNINGS: Final = """
    days_to_earnings:from_one days_since_earnings:non_negative earnings_within_5d:flag earnings_within_10d:flag
    post_earnings_5d:flag
    last_eps_surprise_pct eps_surprise_streak mean_abs_earnings_move_4q:non_negative earnings_season:flag
    earnings_x_iv_rank:percent earnings_x_iv_hv_spread
"""
_ECONOMIC_CALENDAR: Final = """
    days_to_cpi:from_one days_since_cpi:non_negative cpi_release_day:flag
    days_to_consumer_confidence:from_one days_since_consumer_confidence:non_negative
    consumer_confidence_release_day:flag
    days_to_fomc:from_one days_since_fomc:non_negative fomc_decision_day:flag
"""
_OPTION_CHAIN: Final = """
    put_call_volume_ratio:non_negative put_call_oi_ratio:non_negative option_volume_ratio:non_negative
    atm_iv_30d:non_negative iv_skew_25d iv_skew_otm
    term_structure_30_90 chain_iv_rank:percent chain_iv_percentile:percent
    net_delta:level net_gamma:level net_vega:level net_theta:level net_vanna:level net_charm:level
    gamma_flip:level,non_negative distance_to_gamma_flip call_wall_strike:level,non_negative
    put_wall_strike:level,non_negative
"""
_INTRADAY: Final = """
    hourly_mean_return_6 hourly_mean_return_30 hourly_volatility_6:non_negative hourly_volatility_30:non_negative
    first_hour_return last_hour_return hourly_rsi_14:percent hourly_macd_histogram
"""
_CROSS_ASSET: Final = """
    correlation_20_to_market:correlation correlation_60_to_market:correlation beta_60_to_market
    relative_strength_20_to_market relative_strength_60_to_market
    correlation_20_to_peers:correlation correlation_60_to_peers:correlation
    relative_strength_20_to_peers relative_strength_60_to_peers
    correlation_60_of_benchmarks:correlation
"""
MARKET_STATES: Final = (
    "low_volatility_uptrend",
    "momentum_uptrend",
    "consolidation",
    "high_volatility_downtrend",
    "high_volatility_rally",
)
_REGIME: Final = " ".join(("regime_state:level", *(f"regime_probability_{state}:share" for state in MARKET_STATES)))


def _names(listing: str) -> tuple[str, ...]:
    """Returns the names of a listing, without their marks."""
    return tuple(entry.partition(":")[0] for entry in listing.split())


def _marks(listing: str) -> dict[str, frozenset[Mark]]:
    """Returns the marks of each name of a listing; ``ValueError`` for a word that is no mark."""
    entries = (entry.partition(":") for entry in listing.split())
    return {name: frozenset(Mark(mark) for mark in marks.split(",") if mark) for name, _, marks in entries}


TECHNICAL_FEATURES: Final = _names(_TECHNICAL)
IMPLIED_VOLATILITY_FEATURES: Final = _names(_IMPLIED_VOLATILITY)
IV_RANK_LAGS: Final = _names(_IV_RANK_LAGS)
MACRO_FEATURES: Final = _names(_MACRO)
SENTIMENT_FEATURES: Final = _names(_SENTIMENT)
EARNINGS_FEATURES: Final = _names(_EARNINGS)
ECONOMIC_CALENDAR_FEATURES: Final = _names(_ECONOMIC_CALENDAR)
OPTION_CHAIN_FEATURES: Final = _names(_OPTION_CHAIN)
INTRADAY_FEATURES: Final = _names(_INTRADAY)
REGIME_FEATURES: Final = _names(_REGIME)
CROSS_ASSET_FEATURES: Final = _names(_CROSS_ASSET)
VOLATILITY_FORECASTER_FEATURES: Final = (
    "iv_rank", "iv_percentile", "iv_hv_spread", "iv_premium", "vix_close", "vix_zscore", "vix_trend",
    "vix_change_1d", "vix_change_5d", *IV_RANK_LAGS, "vix_term_slope", "vix_term_ratio", "vix_contango",
    "hv_5", "hv_10", "hv_20", "hv_60", "hv_120", "hv_ratio_5_20", "hv_ratio_20_60", "hv_trend",
    "parkinson_hv_20", "returns_5d",
)  # fmt: skip
# Interaction terms of the Hull Tactical data, by the letters that the publisher gives its features. They belong to no
# ticker, so they are none of ALL_FEATURES.
HULL_INTERACTIONS: Final = {
    "i2_minus_i1": "I2 − I1, an interest feature against another",
    "m11_over_mean_rate": "M11 over the mean of I2, I7 and I9; NULL where that mean is 0",
    "v1_times_s1": "V1 × S1, volatility with sentiment",
    "m11_times_v1": "M11 × V1, market with volatility",
    "i9_times_s1": "I9 × S1, interest with sentiment",
}
# Bounds that one feature alone has.
_RANGES: Final = {
    "sentiment_score": (-1.0, 1.0),
    "sentiment_vs_sector": (-2.0, 2.0),
    "vendor_tone_vs_sector": (-2.0, 2.0),
    "sentiment_iv_divergence": (-2.0, 2.0),
    "regime_state": (0.0, float(len(MARKET_STATES) - 1)),
}
_FEATURE_TOLERANCE: Final = 1e-6
# By the table that they come from.
FEATURE_GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "technical": TECHNICAL_FEATURES,
    "implied_volatility": (*IMPLIED_VOLATILITY_FEATURES, *IV_RANK_LAGS),
    "macro": MACRO_FEATURES,
    "sentiment": SENTIMENT_FEATURES,
    "earnings": EARNINGS_FEATURES,
    "economic_calendar": ECONOMIC_CALENDAR_FEATURES,
    "option_chain": OPTION_CHAIN_FEATURES,
    "intraday": INTRADAY_FEATURES,
    "regime": REGIME_FEATURES,
    "cross": CROSS_ASSET_FEATURES,
}
GROUP_OF_FEATURE: Final = {name: group for group, names in FEATURE_GROUPS.items() for name in names}
ALL_FEATURES: Final = tuple(GROUP_OF_FEATURE)
_MARKS: Final = {
    name: marks
    for listing in (
        _TECHNICAL, _IMPLIED_VOLATILITY, _IV_RANK_LAGS, _MACRO, _SENTIMENT, _EARNINGS, _ECONOMIC_CALENDAR,
        _OPTION_CHAIN, _INTRADAY, _REGIME, _CROSS_ASSET,
    )
    for name, marks in _marks(listing).items()
}  # fmt: skip
LEVEL_FEATURES: Final = frozenset(name for name, marks in _MARKS.items() if Mark.LEVEL in marks)
FLAG_FEATURES: Final = frozenset(name for name, marks in _MARKS.items() if Mark.FLAG in marks)
SAFE_FEATURES: Final = tuple(name for name in ALL_FEATURES if name not in LEVEL_FEATURES)


def feature_column(name: str) -> Column:
    """Return the column of a feature: ``float64``, NULL during warm-up, bounded where its formula bounds it."""
    marks = _MARKS.get(name, frozenset())
    if Mark.FLAG in marks:
        return number(name, "flag, 0 or 1", minimum=0.0, maximum=1.0)
    if Mark.PERCENT in marks:
        return number(name, "0 to 100", minimum=-_FEATURE_TOLERANCE, maximum=100.0 + _FEATURE_TOLERANCE)
    if name == "williams_r_14":
        return number(name, "−100 to 0", minimum=-100.0 - _FEATURE_TOLERANCE, maximum=_FEATURE_TOLERANCE)
    if Mark.SHARE in marks:
        return number(name, "0 to 1", minimum=-_FEATURE_TOLERANCE, maximum=1.0 + _FEATURE_TOLERANCE)
    if Mark.CORRELATION in marks:
        return number(name, "−1 to 1", minimum=-1.0, maximum=1.0)
    if name in _RANGES:
        lowest, highest = _RANGES[name]
        return number(name, f"{lowest:g} to {highest:g}".replace("-", "−"), minimum=lowest, maximum=highest)
    if Mark.FROM_ONE in marks:
        return number(name, "1 or more", minimum=1.0)
    if Mark.NON_NEGATIVE in marks:
        return number(name, "not negative", minimum=0.0)
    return number(name, "see docs/features.md")


def feature_columns(names: Iterable[str]) -> tuple[Column, ...]:
    return tuple(feature_column(name) for name in names)
