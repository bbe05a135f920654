"""What each feature of ``features.implied_volatility`` is."""

from __future__ import annotations

from typing import Final

IMPLIED_VOLATILITY_FORMULAS: Final[dict[str, str]] = {
    "iv_rank": "(x − low252(x)) / (high252(x) − low252(x)) · 100; 0 to 100, NULL on a zero range; look-back 252",
    "iv_percentile": "share of the last 252 x, t included, strictly below x · 100; 0 to 100; look-back 252",
    "iv_hv_spread": "x − hv_20; percent points; look-back 21",
    "iv_premium": "1 where iv_hv_spread > 0; flag; look-back 21",
    "vix_close": "x; volatility points; look-back 1",
    "vix_sma_10": "mean of x over 10 sessions; volatility points; look-back 10",
    "vix_sma_20": "mean of x over 20 sessions; volatility points; look-back 20",
    "vix_change_1d": "x − x[−1]; volatility points; look-back 2",
    "vix_change_5d": "x − x[−5]; volatility points; look-back 6",
    "vix_change_1d_pct": "(x / x[−1] − 1) · 100; percent; look-back 2",
    "vix_change_5d_pct": "(x / x[−5] − 1) · 100; percent; look-back 6",
    "vix_zscore": "(x − mean60(x)) / standard deviation60(x) (ddof 1); look-back 60",
    "vix_trend": "vix_sma_10 − vix_sma_20; volatility points; look-back 20",
    "vix_term_slope": "three-month index − x, closes of one session; volatility points; look-back 1",
    "vix_term_ratio": "three-month index / x, closes of one session; ratio, above 1 in contango; look-back 1",
    "vix_contango": "1 where vix_term_slope > 0; flag; look-back 1",
    "iv_regime_low": "lowest quarter of iv_rank: 1 below 25; flag; look-back 252",
    "iv_regime_normal": "second quarter of iv_rank: 1 from 25, below 50; flag; look-back 252",
    "iv_regime_elevated": "third quarter of iv_rank: 1 from 50, below 75; flag; look-back 252",
    "iv_regime_high": "highest quarter of iv_rank: 1 from 75; flag; look-back 252",
    "iv_rank_lag_5": "iv_rank 5 sessions before; 0 to 100; look-back 257",
    "iv_rank_lag_10": "iv_rank 10 sessions before; 0 to 100; look-back 262",
    "iv_rank_lag_20": "iv_rank 20 sessions before; 0 to 100; look-back 272",
    "iv_rank_change_5d": "iv_rank − iv_rank_lag_5; points; look-back 257",
    "iv_rank_change_10d": "iv_rank − iv_rank_lag_10; points; look-back 262",
}
