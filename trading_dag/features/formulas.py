"""What every feature is: one line each with its unit and look-back. Docstrings and docs/features.md come from here.

Notation: ``C[−5]`` is the close five sessions of the ticker before t; C, O, H, L
are prices adjusted for splits and dividends with factor 1 at the first session; V is raw volume; x is the
volatility index's close. A look-back is the number of sessions needed before the first value. No formula reads
anything after t's close. How they are computed stands in the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from trading_dag.schemas import (
    IMPLIED_VOLATILITY_FEATURES,
    IV_RANK_LAGS,
    MACRO_FEATURES,
    SAFE_FEATURES,
    TECHNICAL_FEATURES,
)

_F = TypeVar("_F", bound=Callable[..., Any])

TECHNICAL_FORMULAS: Final[dict[str, str]] = {
    "sma_20": "mean of C over 20 sessions; USD; look-back 20",
    "sma_50": "mean of C over 50 sessions; USD; look-back 50",
    "sma_200": "mean of C over 200 sessions; USD; look-back 200",
    "ema_12": "exponential mean of C, weight 2/13, seeded with the mean of the first 12; USD; look-back 12",
    "ema_26": "exponential mean of C, weight 2/27, seeded with the mean of the first 26; USD; look-back 26",
    "price_to_sma_20": "C / sma_20 − 1; fraction; look-back 20",
    "price_to_sma_50": "C / sma_50 − 1; fraction; look-back 50",
    "price_to_sma_200": "C / sma_200 − 1; fraction; look-back 200",
    "price_to_ema_12": "C / ema_12 − 1; fraction; look-back 12",
    "price_to_ema_26": "C / ema_26 − 1; fraction; look-back 26",
    "sma_20_above_50": "1 where sma_20 > sma_50; flag; look-back 50",
    "sma_50_above_200": "1 where sma_50 > sma_200; flag; look-back 200",
    "ema_12_above_26": "1 where ema_12 > ema_26; flag; look-back 26",
    "golden_cross": "1 on the session on which sma_50 is above sma_200 and was not one session before; "
    "flag; look-back 201",
    "death_cross": "1 on the session on which sma_50 is below sma_200 and was not one session before; "
    "flag; look-back 201",
    "sma_20_slope_5": "(sma_20 / sma_20[−5] − 1) / 5; fraction per session; look-back 25",
    "sma_50_slope_10": "(sma_50 / sma_50[−10] − 1) / 10; fraction per session; look-back 60",
    "adx_14": "Wilder's average directional index of 14 sessions; 0 to 100; look-back 28",
    "plus_di_14": "Wilder's +DI of 14 sessions; 0 to 100; look-back 15",
    "minus_di_14": "Wilder's −DI of 14 sessions; 0 to 100; look-back 15",
    "rsi_14": "Wilder's relative strength index of C, 14 sessions; 0 to 100; look-back 15",
    "rsi_28": "Wilder's relative strength index of C, 28 sessions; 0 to 100; look-back 29",
    "rsi_14_overbought": "1 where rsi_14 > 70; flag; look-back 15",
    "rsi_14_oversold": "1 where rsi_14 < 30; flag; look-back 15",
    "macd": "12-session minus 26-session exponential mean of C, both started so as to begin together; "
    "USD; look-back 34",
    "macd_signal": "exponential mean of macd, 9 sessions; USD; look-back 34",
    "macd_histogram": "macd − macd_signal; USD; look-back 34",
    "macd_histogram_change_1d": "macd_histogram − macd_histogram[−1]; USD; look-back 35",
    "stoch_k": "slow %K: 3-session mean of (C − low14) / (high14 − low14) · 100; 0 to 100; look-back 18",
    "stoch_d": "3-session mean of slow %K; 0 to 100; look-back 18",
    "stoch_kd_spread": "stoch_k − stoch_d; points; look-back 18",
    "roc_5": "(C / C[−5] − 1) · 100; percent; look-back 6",
    "roc_10": "(C / C[−10] − 1) · 100; percent; look-back 11",
    "roc_20": "(C / C[−20] − 1) · 100; percent; look-back 21",
    "mfi_14": "money-flow index of 14 sessions: 100 · up flow / (up + down flow), flow = (H + L + C) / 3 · V; "
    "0 to 100; look-back 15",
    "williams_r_14": "(C − high14) / (high14 − low14) · 100; −100 to 0; look-back 14",
    "cci_20": "(P − mean20(P)) / (0.015 · mean absolute deviation20(P)), P = (H + L + C) / 3; ratio; look-back 20",
    "hv_5": "standard deviation (ddof 1) of 5 daily log returns of C · √252 · 100; annualised percent; look-back 6",
    "hv_10": "the same over 10 returns; annualised percent; look-back 11",
    "hv_20": "the same over 20 returns; annualised percent; look-back 21",
    "hv_60": "the same over 60 returns; annualised percent; look-back 61",
    "hv_120": "the same over 120 returns; annualised percent; look-back 121",
    "hv_ratio_5_20": "hv_5 / hv_20; ratio; look-back 21",
    "hv_ratio_20_60": "hv_20 / hv_60; ratio; look-back 61",
    "hv_trend": "hv_5 − hv_20; annualised percent points; look-back 21",
    "bb_upper": "sma_20 + 2 standard deviations (ddof 0) of C over 20 sessions; USD; look-back 20",
    "bb_middle": "sma_20; USD; look-back 20",
    "bb_lower": "sma_20 − 2 standard deviations (ddof 0) of C over 20 sessions; USD; look-back 20",
    "bb_width": "(bb_upper − bb_lower) / bb_middle; fraction; look-back 20",
    "bb_position": "(C − bb_lower) / (bb_upper − bb_lower); 0 at the lower, 1 at the upper band; look-back 20",
    "atr_14": "Wilder's average true range of 14 sessions; USD; look-back 15",
    "atr_pct": "atr_14 / C · 100; percent; look-back 15",
    "parkinson_hv_20": "√(mean20(ln(H/L)²) / (4 ln 2)) · √252 · 100; annualised percent; look-back 20",
    "garman_klass_hv_20": "√(mean20(½ ln(H/L)² − (2 ln 2 − 1) ln(C/O)²)) · √252 · 100; annualised percent; "
    "look-back 20",
    "hv_20_percentile_252": "share of the last 252 hv_20, t included, strictly below hv_20 · 100; 0 to 100; "
    "look-back 272",
    "volume_sma_10": "mean of V over 10 sessions; shares; look-back 10",
    "volume_sma_20": "mean of V over 20 sessions; shares; look-back 20",
    "volume_ratio": "V / volume_sma_20; ratio; look-back 20",
    "obv": "on-balance volume: sum since the first session of +V on a higher, −V on a lower close, started with V; "
    "shares; look-back 1",
    "obv_slope_20": "(obv − obv[−20]) / 20 / volume_sma_20; mean daily volumes per session; look-back 21",
    "volume_surge": "1 where V > 2 · volume_sma_20; flag; look-back 20",
    "volume_zscore_20": "(V − volume_sma_20) / standard deviation (ddof 1) of V over 20 sessions; look-back 20",
    "dollar_volume_20": "mean over 20 sessions of the split-adjusted close (not adjusted for dividends) · V; "
    "USD; look-back 20",
    "high_52w": "highest H of 252 sessions; USD; look-back 252",
    "low_52w": "lowest L of 252 sessions; USD; look-back 252",
    "distance_from_high_52w": "C / high_52w − 1; fraction, not positive; look-back 252",
    "distance_from_low_52w": "C / low_52w − 1; fraction, not negative; look-back 252",
    "near_high_52w": "1 where C ≥ 0.97 · high_52w; flag; look-back 252",
    "near_low_52w": "1 where C ≤ 1.03 · low_52w; flag; look-back 252",
    "position_52w": "(C − low_52w) / (high_52w − low_52w); 0 to 1; look-back 252",
    "returns_1d": "C / C[−1] − 1; fraction; look-back 2",
    "returns_5d": "C / C[−5] − 1; fraction; look-back 6",
    "returns_10d": "C / C[−10] − 1; fraction; look-back 11",
    "returns_20d": "C / C[−20] − 1; fraction; look-back 21",
    "returns_60d": "C / C[−60] − 1; fraction; look-back 61",
    "returns_252d": "C / C[−252] − 1; fraction; look-back 253",
    "log_return_1d": "ln(C / C[−1]); look-back 2",
    "log_return_5d": "ln(C / C[−5]); look-back 6",
    "log_return_20d": "ln(C / C[−20]); look-back 21",
    "overnight_return": "O / C[−1] − 1; fraction; look-back 2",
    "intraday_return": "C / O − 1; fraction; look-back 1",
    "return_skew_20": "bias-corrected skewness of 20 daily log returns; look-back 21",
    "return_kurtosis_20": "bias-corrected excess kurtosis of 20 daily log returns; look-back 21",
}

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
    "vix_zscore": "(x − mean60(x)) / standard deviation60(x) (ddof 1); look-back 60",
    "vix_trend": "vix_sma_10 − vix_sma_20; volatility points; look-back 20",
    "vix_term_slope": "three-month index − x; volatility points; look-back 1",
    "vix_term_ratio": "three-month index / x; ratio, above 1 in contango; look-back 1",
    "vix_contango": "1 where vix_term_slope > 0; flag; look-back 1",
    "iv_regime_low": "1 where iv_rank < 25; flag; look-back 252",
    "iv_regime_normal": "1 where 25 ≤ iv_rank < 50; flag; look-back 252",
    "iv_regime_elevated": "1 where 50 ≤ iv_rank < 75; flag; look-back 252",
    "iv_regime_high": "1 where iv_rank ≥ 75; flag; look-back 252",
    "iv_rank_lag_5": "iv_rank 5 sessions before; 0 to 100; look-back 257",
    "iv_rank_lag_10": "iv_rank 10 sessions before; 0 to 100; look-back 262",
    "iv_rank_lag_20": "iv_rank 20 sessions before; 0 to 100; look-back 272",
    "iv_rank_change_5d": "iv_rank − iv_rank_lag_5; points; look-back 257",
    "iv_rank_change_10d": "iv_rank − iv_rank_lag_10; points; look-back 262",
}

MACRO_FORMULAS: Final[dict[str, str]] = {
    "fed_funds_effective": "DFF as known at t; percent; look-back 1",
    "treasury_2y": "DGS2 as known at t; percent; look-back 1",
    "treasury_10y": "DGS10 as known at t; percent; look-back 1",
    "treasury_3m": "DGS3MO as known at t; percent; look-back 1",
    "vix_fred": "VIXCLS as known at t, one session older than vix_close; volatility points; look-back 1",
    "yield_spread_10y_2y": "T10Y2Y as known at t; percent points; look-back 1",
    "breakeven_inflation_10y": "T10YIE as known at t; percent; look-back 1",
    "real_rate_10y": "DFII10 as known at t; percent; look-back 1",
    "unemployment_rate": "UNRATE as known at t; percent; look-back 1",
    "cpi_index": "CPIAUCSL as known at t; index, 1982–84 = 100; look-back 1",
    "yield_spread_10y_3m": "treasury_10y − treasury_3m; percent points; look-back 1",
    "curve_inverted_10y_2y": "1 where yield_spread_10y_2y < 0; flag; look-back 1",
    "curve_inverted_10y_3m": "1 where yield_spread_10y_3m < 0; flag; look-back 1",
    "curve_slope_change_20d": "change of yield_spread_10y_2y over 20 sessions; percent points; look-back 21",
    "treasury_10y_change_5d": "change of treasury_10y over 5 sessions; percent points; look-back 6",
    "treasury_10y_change_20d": "change of treasury_10y over 20 sessions; percent points; look-back 21",
    "treasury_10y_change_60d": "change of treasury_10y over 60 sessions; percent points; look-back 61",
    "treasury_2y_change_5d": "change of treasury_2y over 5 sessions; percent points; look-back 6",
    "treasury_2y_change_20d": "change of treasury_2y over 20 sessions; percent points; look-back 21",
    "treasury_2y_change_60d": "change of treasury_2y over 60 sessions; percent points; look-back 61",
    "fed_funds_change_20d": "change of fed_funds_effective over 20 sessions; percent points; look-back 21",
    "fed_funds_change_60d": "change of fed_funds_effective over 60 sessions; percent points; look-back 61",
    "real_rate_change_20d": "change of real_rate_10y over 20 sessions; percent points; look-back 21",
    "real_rate_change_60d": "change of real_rate_10y over 60 sessions; percent points; look-back 61",
    "breakeven_change_20d": "change of breakeven_inflation_10y over 20 sessions; percent points; look-back 21",
    "breakeven_change_60d": "change of breakeven_inflation_10y over 60 sessions; percent points; look-back 61",
    "vix_fred_change_5d": "change of vix_fred over 5 sessions; volatility points; look-back 6",
    "vix_fred_change_20d": "change of vix_fred over 20 sessions; volatility points; look-back 21",
    "vix_fred_high": "1 where vix_fred > 25; flag; look-back 1",
    "cpi_yoy": "(latest known CPIAUCSL / CPIAUCSL of the same month a year earlier − 1) · 100; percent; "
    "look-back 12 months",
    "real_fed_funds": "fed_funds_effective − cpi_yoy; percent; look-back 12 months",
    "unemployment_change_12m": "latest known UNRATE − UNRATE of the same month a year earlier; percent points; "
    "look-back 12 months",
    "fed_pivot_cut": "1 where the 10-session median of fed_funds_effective fell by 0.20 or more over 20 sessions and "
    "had not fallen by more than 0.10 over the 60 sessions before those: the first cut after a pause or after "
    "hikes; flag; look-back 90",
    "fed_pivot_hike": "1 where that median rose by 0.20 or more over 20 sessions and had not risen by more than 0.10 "
    "over the 60 sessions before those: the first hike after a pause or after cuts; flag; look-back 90",
}

FORMULAS: Final[dict[str, str]] = {**TECHNICAL_FORMULAS, **IMPLIED_VOLATILITY_FORMULAS, **MACRO_FORMULAS}

_INTRODUCTION: Final = """\
# Features

Generated from `trading_dag/features/formulas.py`; a test keeps this page up to date.
Write it anew with `python -m trading_dag.features.formulas > docs/features.md`.

A row at session t holds only what was known at t's close. Features are NULL until their look-back is
there, where an input is missing and where a ratio's denominator is zero; flags are 0 or 1, and NULL where
their inputs are. `C[−5]` is the close five sessions before t, high14 the highest H of the last 14 sessions.

C, O, H, L are close, open, high and low, adjusted for splits and dividends by the factor
(adj_close / close) at t over the same ratio at the first session, so that the factor is 1 there and a later
dividend, which rebases the vendor's whole `adj_close`, changes no earlier row. V is the vendor's volume.
x is the close of the ticker's volatility index on exchange sessions, forward-filled over at most
10 sessions (`vix_filled_sessions` says how many). Fractions are fractions (0.01 is one percent) unless the
unit says percent. Macro values are visible from `raw.macro.known_on` on, and stale (NULL) 10 sessions after it for
daily, 70 for monthly series; `trading_dag/publication_lags.py` says when each series is known.
*Safe* features have a scale that does not drift with the level of prices or volume.
"""


def feature_reference() -> str:
    """The text of docs/features.md: every feature's formula, unit, look-back and whether it is safe."""
    sections = (
        (f"Technical ({len(TECHNICAL_FEATURES)}): `features.technical`", TECHNICAL_FEATURES),
        (
            f"Implied volatility ({len(IMPLIED_VOLATILITY_FEATURES)} and {len(IV_RANK_LAGS)} lags): "
            "`features.implied_volatility`",
            (*IMPLIED_VOLATILITY_FEATURES, *IV_RANK_LAGS),
        ),
        (f"Macro ({len(MACRO_FEATURES)}): `features.macro`", MACRO_FEATURES),
    )
    safe = frozenset(SAFE_FEATURES)
    lines = [_INTRODUCTION]
    for title, names in sections:
        lines += [f"## {title}", "", "| feature | formula; unit; look-back in sessions | safe |", "|---|---|---|"]
        lines += [f"| `{name}` | {FORMULAS[name]} | {'yes' if name in safe else 'no'} |" for name in names]
        lines.append("")
    return "\n".join(lines)


def documents_features(names: Iterable[str]) -> Callable[[_F], _F]:
    """Append the formulas of ``names`` to the docstring of the function that computes them."""
    listing = "\n".join(f"    {name} : {FORMULAS[name]}" for name in names)

    def append(function: _F) -> _F:
        if function.__doc__ is not None:
            function.__doc__ = f"{function.__doc__.rstrip()}\n\n    Features\n    --------\n{listing}\n"
        return function

    return append


if __name__ == "__main__":
    import sys

    sys.stdout.write(feature_reference())
