"""What each feature of ``features.macro`` is."""

from __future__ import annotations

from typing import Final

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
    "fed_pivot_cut": "1 where the 20-session median of fed_funds_effective lies 0.15 or more below the lowest such "
    "median of the sessions t − 40 … t − 20, and at t − 20 was not more than 0.10 below that of 60 sessions before: "
    "the effective rate's first cut after a pause or after hikes, seen some 10 sessions after it; flag; look-back 100",
    "fed_pivot_hike": "1 where that median lies 0.15 or more above the highest such median of the sessions t − 40 … "
    "t − 20, and at t − 20 was not more than 0.10 above that of 60 sessions before: the effective rate's first hike "
    "after a pause or after cuts, seen some 10 sessions after it; flag; look-back 100",
    "gdp_growth_yoy": "(latest known GDP / GDP of the same quarter a year earlier − 1) · 100, in current prices, so "
    "with inflation; percent; look-back 4 quarters",
    "gdp_growth_qoq": "((latest known GDP / GDP of the quarter before)⁴ − 1) · 100, in current prices, so with "
    "inflation; percent a year; look-back 1 quarter",
    "consumer_confidence": "UMCSENT as known at t; index, 1966 = 100; look-back 1",
    "consumer_confidence_change_1m": "latest known UMCSENT − UMCSENT of the month before; points; look-back 1 month",
    "consumer_confidence_change_12m": "latest known UMCSENT − UMCSENT of the same month a year earlier; points; "
    "look-back 12 months",
}
