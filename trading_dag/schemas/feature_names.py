"""The features by name, in the order of the contract, and what bounds each.

What a feature means stands in the docstring of the module that computes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from trading_dag.schemas.table import Column, number

TECHNICAL_FEATURES: Final = tuple(
    """
    sma_20 sma_50 sma_200 ema_12 ema_26 price_to_sma_20 price_to_sma_50 price_to_sma_200 price_to_ema_12
    price_to_ema_26 sma_20_above_50 sma_50_above_200 ema_12_above_26 golden_cross death_cross
    sma_20_slope_5 sma_50_slope_10 adx_14 plus_di_14 minus_di_14
    rsi_14 rsi_28 rsi_14_overbought rsi_14_oversold macd macd_signal macd_histogram macd_histogram_change_1d
    stoch_k stoch_d stoch_kd_spread roc_5 roc_10 roc_20 mfi_14 williams_r_14 cci_20
    hv_5 hv_10 hv_20 hv_60 hv_120 hv_ratio_5_20 hv_ratio_20_60 hv_trend bb_upper bb_middle bb_lower bb_width
    bb_position atr_14 atr_pct parkinson_hv_20 garman_klass_hv_20 hv_20_percentile_252
    volume_sma_10 volume_sma_20 volume_ratio obv obv_slope_20 volume_surge volume_zscore_20 dollar_volume_20
    high_52w low_52w distance_from_high_52w distance_from_low_52w near_high_52w near_low_52w position_52w
    returns_1d returns_5d returns_10d returns_20d returns_60d returns_252d log_return_1d log_return_5d
    log_return_20d overnight_return intraday_return return_skew_20 return_kurtosis_20
    """.split()
)
IMPLIED_VOLATILITY_FEATURES: Final = tuple(
    """
    iv_rank iv_percentile iv_hv_spread iv_premium vix_close vix_sma_10 vix_sma_20 vix_change_1d vix_change_5d
    vix_zscore vix_trend vix_term_slope vix_term_ratio vix_contango
    iv_regime_low iv_regime_normal iv_regime_elevated iv_regime_high
    """.split()
)
IV_RANK_LAGS: Final = ("iv_rank_lag_5", "iv_rank_lag_10", "iv_rank_lag_20", "iv_rank_change_5d", "iv_rank_change_10d")
MACRO_FEATURES: Final = tuple(
    """
    fed_funds_effective treasury_2y treasury_10y treasury_3m vix_fred yield_spread_10y_2y breakeven_inflation_10y
    real_rate_10y unemployment_rate cpi_index
    yield_spread_10y_3m curve_inverted_10y_2y curve_inverted_10y_3m curve_slope_change_20d
    treasury_10y_change_5d treasury_10y_change_20d treasury_10y_change_60d
    treasury_2y_change_5d treasury_2y_change_20d treasury_2y_change_60d
    fed_funds_change_20d fed_funds_change_60d real_rate_change_20d real_rate_change_60d
    breakeven_change_20d breakeven_change_60d vix_fred_change_5d vix_fred_change_20d vix_fred_high
    cpi_yoy real_fed_funds unemployment_change_12m fed_pivot_cut fed_pivot_hike
    """.split()
)
SENTIMENT_FEATURES: Final = tuple(
    """
    sentiment_score sentiment_vs_sector news_buzz_score news_article_count reddit_mentions reddit_momentum
    sentiment_bullish sentiment_bearish sentiment_neutral sentiment_extreme_bullish sentiment_extreme_bearish
    high_social_attention
    sentiment_bullish_high_iv sentiment_bearish_low_iv sentiment_iv_divergence
    """.split()
)
EARNINGS_FEATURES: Final = tuple(
    """
    days_to_earnings days_since_earnings earnings_within_5d earnings_within_10d post_earnings_5d
    last_eps_surprise_pct eps_surprise_streak mean_abs_earnings_move_4q earnings_season
    earnings_x_iv_rank earnings_x_iv_hv_spread
    """.split()
)
ECONOMIC_CALENDAR_FEATURES: Final = tuple(
    """
    days_to_cpi days_since_cpi cpi_release_day
    days_to_consumer_confidence days_since_consumer_confidence consumer_confidence_release_day
    days_to_fomc days_since_fomc fomc_decision_day
    """.split()
)
OPTION_CHAIN_FEATURES: Final = tuple(
    """
    put_call_volume_ratio put_call_oi_ratio option_volume_ratio atm_iv_30d iv_skew_25d iv_skew_otm
    term_structure_30_90
    net_delta net_gamma net_vega net_theta net_vanna net_charm
    gamma_flip distance_to_gamma_flip call_wall_strike put_wall_strike
    """.split()
)
INTRADAY_FEATURES: Final = tuple(
    """
    hourly_mean_return_6 hourly_mean_return_30 hourly_volatility_6 hourly_volatility_30
    first_hour_return last_hour_return hourly_rsi_14 hourly_macd_histogram
    """.split()
)
MARKET_STATES: Final = (
    "low_volatility_uptrend",
    "momentum_uptrend",
    "consolidation",
    "high_volatility_downtrend",
    "high_volatility_rally",
)
REGIME_FEATURES: Final = ("regime_state", *(f"regime_probability_{state}" for state in MARKET_STATES))
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
# Levels of price, volume and the CPI have no stationary scale, nor have dealers' exposures, which grow with open
# interest and price, nor counts of articles and mentions, which grow with the sources; and the number of a market
# state has no order. The safe set leaves them out. Rates stay in.
LEVEL_FEATURES: Final = frozenset(
    """
    sma_20 sma_50 sma_200 ema_12 ema_26 macd macd_signal macd_histogram macd_histogram_change_1d
    bb_upper bb_middle bb_lower atr_14 volume_sma_10 volume_sma_20 obv dollar_volume_20 high_52w low_52w
    cpi_index
    news_article_count reddit_mentions regime_state
    net_delta net_gamma net_vega net_theta net_vanna net_charm gamma_flip call_wall_strike put_wall_strike
    """.split()
)
FLAG_FEATURES: Final = frozenset(
    """
    sma_20_above_50 sma_50_above_200 ema_12_above_26 golden_cross death_cross rsi_14_overbought rsi_14_oversold
    volume_surge near_high_52w near_low_52w iv_premium vix_contango iv_regime_low iv_regime_normal
    iv_regime_elevated iv_regime_high curve_inverted_10y_2y curve_inverted_10y_3m vix_fred_high
    fed_pivot_cut fed_pivot_hike
    sentiment_bullish sentiment_bearish sentiment_neutral sentiment_extreme_bullish sentiment_extreme_bearish
    high_social_attention sentiment_bullish_high_iv sentiment_bearish_low_iv
    earnings_within_5d earnings_within_10d post_earnings_5d earnings_season
    cpi_release_day consumer_confidence_release_day fomc_decision_day
    """.split()
)
_PERCENT_FEATURES: Final = frozenset(
    """
    adx_14 plus_di_14 minus_di_14 rsi_14 rsi_28 stoch_k stoch_d mfi_14 hv_20_percentile_252 iv_rank iv_percentile
    iv_rank_lag_5 iv_rank_lag_10 iv_rank_lag_20 earnings_x_iv_rank hourly_rsi_14
    """.split()
)
_NON_NEGATIVE_FEATURES: Final = frozenset(
    """
    hv_5 hv_10 hv_20 hv_60 hv_120 hv_ratio_5_20 hv_ratio_20_60 bb_width atr_14 atr_pct parkinson_hv_20
    volume_sma_10 volume_sma_20 volume_ratio dollar_volume_20 vix_close vix_sma_10 vix_sma_20
    news_article_count reddit_mentions days_since_earnings mean_abs_earnings_move_4q
    days_since_cpi days_since_consumer_confidence days_since_fomc
    put_call_volume_ratio put_call_oi_ratio option_volume_ratio atm_iv_30d gamma_flip call_wall_strike put_wall_strike
    hourly_volatility_6 hourly_volatility_30
    """.split()
)
_FROM_ONE_FEATURES: Final = frozenset("days_to_earnings days_to_cpi days_to_consumer_confidence days_to_fomc".split())
_SHARE_FEATURES: Final = frozenset({"news_buzz_score", *REGIME_FEATURES[1:]})
_RANGES: Final = {
    "sentiment_score": (-1.0, 1.0),
    "sentiment_vs_sector": (-2.0, 2.0),
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
}
ALL_FEATURES: Final = tuple(name for names in FEATURE_GROUPS.values() for name in names)
SAFE_FEATURES: Final = tuple(name for name in ALL_FEATURES if name not in LEVEL_FEATURES)


def feature_column(name: str) -> Column:
    """The column of a feature: ``float64``, NULL during warm-up, bounded where its formula bounds it."""
    if name in FLAG_FEATURES:
        return number(name, "flag, 0 or 1", minimum=0.0, maximum=1.0)
    if name in _PERCENT_FEATURES:
        return number(name, "0 to 100", minimum=-_FEATURE_TOLERANCE, maximum=100.0 + _FEATURE_TOLERANCE)
    if name == "williams_r_14":
        return number(name, "−100 to 0", minimum=-100.0 - _FEATURE_TOLERANCE, maximum=_FEATURE_TOLERANCE)
    if name in _SHARE_FEATURES:
        return number(name, "0 to 1", minimum=-_FEATURE_TOLERANCE, maximum=1.0 + _FEATURE_TOLERANCE)
    if name in _RANGES:
        lowest, highest = _RANGES[name]
        return number(name, f"{lowest:g} to {highest:g}".replace("-", "−"), minimum=lowest, maximum=highest)
    if name in _FROM_ONE_FEATURES:
        return number(name, "1 or more", minimum=1.0)
    if name in _NON_NEGATIVE_FEATURES:
        return number(name, "not negative", minimum=0.0)
    return number(name, "see docs/features.md")


def feature_columns(names: Iterable[str]) -> tuple[Column, ...]:
    return tuple(feature_column(name) for name in names)
