"""Every feature of the project's contract is there under its name, and each table holds those of its group."""

from __future__ import annotations

import pytest

from trading_dag.features.formulas import FORMULAS
from trading_dag.schemas import (
    ALL_FEATURES,
    CROSS_ASSET,
    EARNINGS_TABLE,
    ECONOMIC_CALENDAR_TABLE,
    FEATURE_GROUPS,
    IMPLIED_VOLATILITY,
    INTRADAY,
    MACRO_TABLE,
    OPTION_CHAIN_TABLE,
    REGIME,
    SENTIMENT,
    TECHNICAL,
    VOLATILITY_FORECASTER_FEATURES,
    Table,
)

TECHNICAL_NAMES = """
    sma_20 sma_50 sma_200 ema_12 ema_26 price_to_sma_20 price_to_sma_50 price_to_sma_200 price_to_ema_12
    price_to_ema_26 sma_20_above_50 sma_50_above_200 ema_12_above_26 golden_cross death_cross sma_20_slope_5
    sma_50_slope_10 adx_14 plus_di_14 minus_di_14 rsi_14 rsi_28 rsi_14_overbought rsi_14_oversold macd macd_signal
    macd_histogram macd_histogram_change_1d stoch_k stoch_d stoch_kd_spread roc_5 roc_10 roc_20 mfi_14
    williams_r_14 cci_20 hv_5 hv_10 hv_20 hv_60 hv_120 hv_ratio_5_20 hv_ratio_20_60 hv_trend bb_upper bb_middle
    bb_lower bb_width bb_position atr_14 atr_pct parkinson_hv_20 garman_klass_hv_20 hv_20_percentile_252
    volume_sma_10 volume_sma_20 volume_ratio obv obv_slope_20 volume_surge volume_zscore_20 dollar_volume_20
    high_52w low_52w distance_from_high_52w distance_from_low_52w near_high_52w near_low_52w position_52w
    returns_1d returns_5d returns_10d returns_20d returns_60d returns_252d log_return_1d log_return_5d log_return_20d
    overnight_return intraday_return return_skew_20 return_kurtosis_20
"""
IMPLIED_VOLATILITY_NAMES = """
    iv_rank iv_percentile iv_hv_spread iv_premium vix_close vix_sma_10 vix_sma_20 vix_change_1d vix_change_5d
    vix_zscore vix_trend vix_term_slope vix_term_ratio vix_contango iv_regime_low iv_regime_normal iv_regime_elevated
    iv_regime_high iv_rank_lag_5 iv_rank_lag_10 iv_rank_lag_20 iv_rank_change_5d iv_rank_change_10d
"""
MACRO_NAMES = """
    fed_funds_effective treasury_2y treasury_10y treasury_3m vix_fred yield_spread_10y_2y breakeven_inflation_10y
    real_rate_10y unemployment_rate cpi_index yield_spread_10y_3m curve_inverted_10y_2y curve_inverted_10y_3m
    curve_slope_change_20d treasury_10y_change_5d treasury_10y_change_20d treasury_10y_change_60d
    treasury_2y_change_5d treasury_2y_change_20d treasury_2y_change_60d fed_funds_change_20d fed_funds_change_60d
    real_rate_change_20d real_rate_change_60d breakeven_change_20d breakeven_change_60d vix_fred_change_5d
    vix_fred_change_20d vix_fred_high cpi_yoy real_fed_funds unemployment_change_12m fed_pivot_cut fed_pivot_hike
"""
SENTIMENT_NAMES = """
    sentiment_score sentiment_vs_sector news_buzz_score news_article_count reddit_mentions reddit_momentum
    sentiment_bullish sentiment_bearish sentiment_neutral sentiment_extreme_bullish sentiment_extreme_bearish
    high_social_attention sentiment_bullish_high_iv sentiment_bearish_low_iv sentiment_iv_divergence
"""
EARNINGS_NAMES = """
    days_to_earnings days_since_earnings earnings_within_5d earnings_within_10d post_earnings_5d
    last_eps_surprise_pct eps_surprise_streak mean_abs_earnings_move_4q earnings_season earnings_x_iv_rank
    earnings_x_iv_hv_spread
"""
ECONOMIC_CALENDAR_NAMES = """
    days_to_cpi days_since_cpi cpi_release_day days_to_consumer_confidence days_since_consumer_confidence
    consumer_confidence_release_day days_to_fomc days_since_fomc fomc_decision_day
"""
OPTION_CHAIN_NAMES = """
    put_call_volume_ratio put_call_oi_ratio option_volume_ratio atm_iv_30d iv_skew_25d iv_skew_otm
    term_structure_30_90 net_delta net_gamma net_vega net_theta net_vanna net_charm gamma_flip
    distance_to_gamma_flip call_wall_strike put_wall_strike
"""
INTRADAY_NAMES = """
    hourly_mean_return_6 hourly_mean_return_30 hourly_volatility_6 hourly_volatility_30 first_hour_return
    last_hour_return hourly_rsi_14 hourly_macd_histogram
"""
REGIME_NAMES = """
    regime_state regime_probability_low_volatility_uptrend regime_probability_momentum_uptrend
    regime_probability_consolidation regime_probability_high_volatility_downtrend
    regime_probability_high_volatility_rally
"""
FORECASTER_NAMES = """
    iv_rank iv_percentile iv_hv_spread iv_premium vix_close vix_zscore vix_trend vix_change_1d vix_change_5d
    iv_rank_lag_5 iv_rank_lag_10 iv_rank_lag_20 iv_rank_change_5d iv_rank_change_10d vix_term_slope vix_term_ratio
    vix_contango hv_5 hv_10 hv_20 hv_60 hv_120 hv_ratio_5_20 hv_ratio_20_60 hv_trend parkinson_hv_20 returns_5d
"""
# The contract's names and how many it counts. A feature that is added later is not listed here.
GROUPS = [
    (TECHNICAL.column_names, TECHNICAL_NAMES, 83),
    (IMPLIED_VOLATILITY.column_names, IMPLIED_VOLATILITY_NAMES, 18 + 5),
    (MACRO_TABLE.column_names, MACRO_NAMES, 34),
    (SENTIMENT.column_names, SENTIMENT_NAMES, 12 + 3),
    (EARNINGS_TABLE.column_names, EARNINGS_NAMES, 11),
    (ECONOMIC_CALENDAR_TABLE.column_names, ECONOMIC_CALENDAR_NAMES, 9),
    (OPTION_CHAIN_TABLE.column_names, OPTION_CHAIN_NAMES, 17),
    (INTRADAY.column_names, INTRADAY_NAMES, 8),
    (REGIME.column_names, REGIME_NAMES, 6),
    (VOLATILITY_FORECASTER_FEATURES, FORECASTER_NAMES, 27),
]
TABLES_OF_FEATURES = {
    "technical": TECHNICAL,
    "implied_volatility": IMPLIED_VOLATILITY,
    "macro": MACRO_TABLE,
    "sentiment": SENTIMENT,
    "earnings": EARNINGS_TABLE,
    "economic_calendar": ECONOMIC_CALENDAR_TABLE,
    "option_chain": OPTION_CHAIN_TABLE,
    "intraday": INTRADAY,
    "regime": REGIME,
    "cross": CROSS_ASSET,
}


@pytest.mark.parametrize(("held", "names", "count"), GROUPS)
def test_every_feature_of_the_contract_is_there_under_its_name(held: tuple[str, ...], names: str, count: int) -> None:
    assert len(set(names.split())) == count
    assert set(names.split()) - set(held) == set()


@pytest.mark.parametrize(("group", "table"), TABLES_OF_FEATURES.items(), ids=TABLES_OF_FEATURES)
def test_a_table_holds_the_features_of_its_group_and_no_other(group: str, table: Table) -> None:
    besides = {
        "ticker", "session", "vix_filled_sessions", "vix_fred_age_sessions", "market", "benchmarks_missing",
        "iv_source", "chain_iv_sessions", "own_iv_rank", "own_iv_percentile",
    }  # fmt: skip
    assert [name for name in table.column_names if name not in besides] == list(FEATURE_GROUPS[group])


def test_every_feature_has_a_formula_and_there_is_no_other() -> None:
    assert set(TABLES_OF_FEATURES) == set(FEATURE_GROUPS)
    assert sorted(ALL_FEATURES) == sorted(FORMULAS)
