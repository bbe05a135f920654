"""The page docs/features.md: every feature's formula, unit, look-back and whether it is safe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trading_dag.features.formulas.events import (
    EARNINGS_FORMULAS,
    ECONOMIC_CALENDAR_FORMULAS,
    SENTIMENT_FORMULAS,
)
from trading_dag.features.formulas.implied_volatility import IMPLIED_VOLATILITY_FORMULAS
from trading_dag.features.formulas.macro import MACRO_FORMULAS
from trading_dag.features.formulas.market_detail import (
    CROSS_ASSET_FORMULAS,
    INTRADAY_FORMULAS,
    OPTION_CHAIN_FORMULAS,
    REGIME_FORMULAS,
)
from trading_dag.features.formulas.technical import TECHNICAL_FORMULAS
from trading_dag.schemas import IMPLIED_VOLATILITY_FEATURES, IV_RANK_LAGS, LEVEL_FEATURES

_INTRODUCTION: Final = """\
# Features

Generated from `trading_dag/features/formulas/`; a test keeps this page up to date.
`make docs` writes it anew.

A row at session t holds only what was known at t's close. Features are NULL until their look-back is
there, where an input is missing and where a ratio's denominator is zero; flags are 0 or 1, and NULL where
their inputs are. `C[−5]` is the close five sessions before t, high14 the highest H of the last 14 sessions.

C, O, H, L are close, open, high and low, adjusted for splits and dividends by the factor
(adj_close / close) at t over the same ratio at the first session, so that the factor is 1 there and a later
dividend, which rebases the vendor's whole `adj_close`, changes no earlier row. V is the vendor's volume.
x is the close of the ticker's volatility index on exchange sessions, forward-filled over at most
10 sessions (`vix_filled_sessions` says how many), also over closes that cannot be true. Fractions are
fractions (0.01 is one percent) unless the unit says percent.
Macro values are visible from `raw.macro.known_on` on, and stale (NULL) 10 sessions after it for
daily, 70 for monthly series; `trading_dag/releases/publication_lags.py` says when each series is known.
Tone is −1 to 1. A *reaction session* is the first that can trade on an earnings announcement: the report date itself
where it came before the open or during the session, the next session where it came after the close or nobody says
when. r is the log return of an hourly bar within its session (the first from its own open), so that nights count
nowhere; P is the price that these returns alone would make. S is the underlying's price at the session's close.

The four flags `iv_regime_…` mark the quarters of iv_rank (25, 50, 75). The *IV regime* that is labelled and forecast
is another thing: LOW below 30, NORMAL below 60, HIGH from 60, at the target ([methodology.md](methodology.md)).

Named benchmarks are `TRADING_DAG_BENCHMARKS`, the first of which is the market; by default the tickers that the source
has by itself (SPY, QQQ, IWM; SPX, COMP of the sample). A mean over them is NULL where one of them lacks a close.

*Safe* features have a scale that does not drift with the level of prices or volume.
"""
SECTIONS: Final[tuple[tuple[str, str, str, Mapping[str, str]], ...]] = (
    ("Technical", f"{len(TECHNICAL_FORMULAS)}", "technical", TECHNICAL_FORMULAS),
    (
        "Implied volatility",
        f"{len(IMPLIED_VOLATILITY_FEATURES)} and {len(IV_RANK_LAGS)} lags",
        "implied_volatility",
        IMPLIED_VOLATILITY_FORMULAS,
    ),
    ("Macro", f"{len(MACRO_FORMULAS)}", "macro", MACRO_FORMULAS),
    ("Sentiment", f"{len(SENTIMENT_FORMULAS)}", "sentiment", SENTIMENT_FORMULAS),
    ("Earnings", f"{len(EARNINGS_FORMULAS)}", "earnings", EARNINGS_FORMULAS),
    ("Economic calendar", f"{len(ECONOMIC_CALENDAR_FORMULAS)}", "economic_calendar", ECONOMIC_CALENDAR_FORMULAS),
    ("Option chain", f"{len(OPTION_CHAIN_FORMULAS)}", "option_chain", OPTION_CHAIN_FORMULAS),
    ("Intraday", f"{len(INTRADAY_FORMULAS)}", "intraday", INTRADAY_FORMULAS),
    ("Regime", f"{len(REGIME_FORMULAS)}", "regime", REGIME_FORMULAS),
    ("Cross-asset", f"{len(CROSS_ASSET_FORMULAS)}", "cross_asset", CROSS_ASSET_FORMULAS),
)


def feature_reference() -> str:
    """Return the text of docs/features.md."""
    lines = [_INTRODUCTION]
    for title, count, table, formulas in SECTIONS:
        lines += [f"## {title} ({count}): `features.{table}`", ""]
        lines += ["| feature | formula; unit; look-back in sessions | safe |", "|---|---|---|"]
        lines += [
            f"| `{name}` | {formula} | {'no' if name in LEVEL_FEATURES else 'yes'} |"
            for name, formula in formulas.items()
        ]
        lines.append("")
    return "\n".join(lines)
