"""The report of the day as one HTML page: what is said of the newest session, what earlier forecasts said of it, what
changed, and what is out of line. Only SQL texts and functions from frames to markup stand here.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from trading_dag.reporting.html_page import grid, picture, whole_page
from trading_dag.reporting.tables import SELECTED, SIGNAL_SQL, SLICE_ORDER
from trading_dag.reporting.text import number_text
from trading_dag.served_models import SERVED_DIRECTION, SERVED_PRICE, SERVED_VOLATILITY
from trading_dag.strategy.explanation import size_text

ROLLING: Final = 60
"""Outcomes over which the latest scores are taken: about a quarter of a year."""

CAME_SQL: Final = f"""
WITH direction AS (
    SELECT ticker, horizon, session, target_session, probability_up, forward_return FROM predictions.direction
    WHERE {SELECTED} AND model = '{SERVED_DIRECTION}' AND forward_return IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY ticker, horizon ORDER BY session DESC) = 1
), price AS (
    SELECT ticker, horizon, session, interval_low, interval_high, y_true FROM predictions.price
    WHERE model = '{SERVED_PRICE}'
    QUALIFY row_number() OVER (PARTITION BY ticker, horizon, session ORDER BY sessions_ahead) = 1
), regime AS (
    SELECT ticker, horizon, session, y_pred AS regime_said, confidence AS regime_probability, y_true AS regime_came
    FROM predictions.volatility WHERE model = '{SERVED_VOLATILITY}'
)
SELECT direction.*, interval_low, interval_high, y_true, regime_said, regime_probability, regime_came
FROM direction LEFT JOIN price USING (ticker, horizon, session) LEFT JOIN regime USING (ticker, horizon, session)
{SLICE_ORDER}
"""
ROLLING_SQL: Final = f"""
WITH known AS (
    SELECT ticker, horizon, model, power(probability_up - CAST(forward_return > 0 AS INTEGER), 2) AS loss,
        row_number() OVER (PARTITION BY ticker, horizon, model ORDER BY session DESC) AS back
    FROM predictions.direction
    WHERE {SELECTED} AND model IN ('{SERVED_DIRECTION}', 'climatology') AND forward_return IS NOT NULL
), direction AS (
    SELECT ticker, horizon, avg(loss) FILTER (model = '{SERVED_DIRECTION}') AS brier,
        avg(loss) FILTER (model = 'climatology') AS usual_brier,
        CAST(count(*) FILTER (model = '{SERVED_DIRECTION}') AS BIGINT) AS outcomes
    FROM known WHERE back <= {ROLLING} GROUP BY ALL
), intervals AS (
    SELECT ticker, horizon, CAST(y_true BETWEEN interval_low AND interval_high AS INTEGER) AS held,
        row_number() OVER (PARTITION BY ticker, horizon ORDER BY session DESC, sessions_ahead) AS back
    FROM predictions.price WHERE model = '{SERVED_PRICE}' AND y_true IS NOT NULL
    QUALIFY sessions_ahead = min(sessions_ahead) OVER (PARTITION BY ticker, horizon)
), coverage AS (
    SELECT ticker, horizon, avg(held) AS held FROM intervals WHERE back <= {ROLLING} GROUP BY ALL
)
SELECT direction.*, coverage.held FROM direction LEFT JOIN coverage USING (ticker, horizon) {SLICE_ORDER}
"""
STATES_SQL: Final = """
SELECT ticker, session, vix_close, iv_rank, state FROM features.implied_volatility
LEFT JOIN (SELECT ticker, session, state FROM predictions.regime) USING (ticker, session)
WHERE list_contains(?, ticker) AND len(?) > 0
QUALIFY row_number() OVER (PARTITION BY ticker ORDER BY session DESC) <= 2
ORDER BY ticker, session DESC
"""
CHAINS_SQL: Final = """
SELECT ticker, session, CAST(count(*) AS BIGINT) AS expirations, CAST(sum(contracts) AS BIGINT) AS contracts,
    CAST(sum(refused) AS BIGINT) AS refused,
    CAST(sum(vertical_violations + butterfly_violations + calendar_violations) AS BIGINT) AS violations,
    CAST(count(*) FILTER (svi_a IS NULL) AS BIGINT) AS without_smile
FROM options.chain_analytics WHERE list_contains(?, ticker) AND len(?) > 0 GROUP BY ticker, session
QUALIFY row_number() OVER (PARTITION BY ticker ORDER BY session DESC) <= 2
ORDER BY ticker, session DESC
"""
CHANGES_SQL: Final = f"""
SELECT ticker, horizon, session, strategy, position_size, iv_regime, expected_iv_direction FROM signals.recommendation
WHERE {SELECTED} AND is_served
QUALIFY row_number() OVER (PARTITION BY ticker, horizon ORDER BY session DESC) <= 2
{SLICE_ORDER}, session DESC
"""
QUERIES: Final[Mapping[str, str]] = {
    "signals": SIGNAL_SQL,
    "came": CAME_SQL,
    "rolling": ROLLING_SQL,
    "states": STATES_SQL,
    "chains": CHAINS_SQL,
    "changes": CHANGES_SQL,
}


def daily_page(frames: Mapping[str, pd.DataFrame], pictures: Mapping[str, bytes], *, notes: tuple[str, ...]) -> str:
    """Return the page.

    Parameters
    ----------
    frames : the rows of each of ``QUERIES``, by its name. ``signals`` has at least one row.
    pictures : PNG by title; shown at the end.
    notes : what has to be seen first, such as that data are old or simulated.
    """
    signals = frames["signals"]
    served = signals[signals["is_served"]]
    session = pd.Timestamp(signals["session"].max())
    tickers = ", ".join(dict.fromkeys(signals["ticker"]))
    title = f"{tickers}: the close of {session:%A %d %B %Y}"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        '<p class="period">What is known at that close. Research software, no investment advice.</p>',
        *(f'<p class="note">{html.escape(note)}</p>' for note in notes),
        "<h2>What is forecast and recommended</h2>",
        _forecasts(served),
        "<h2>Why</h2>",
        _reasons(served),
        "<h2>What was said, and what came</h2>",
        _caption(
            "The latest forecast of each horizon whose outcome is known. One outcome says nothing about a "
            "probability; the next table counts many."
        ),
        _came(frames["came"]),
        f"<h2>The last {ROLLING} outcomes</h2>",
        _caption(
            "Brier score of P(rise), lower is better, beside that of the usual share of rises; outcomes within 90 % "
            "intervals. Neighbouring outcomes overlap, so so few prove nothing: what is shown with intervals stands in "
            "evaluation.metrics."
        ),
        _rolling(frames["rolling"]),
        "<h2>What changed since the session before</h2>",
        _changes(frames["changes"], frames["states"]),
        "<h2>Option chains</h2>",
        _chains(frames["chains"]),
        "<h2>Forecast prices and what came</h2>" if pictures else "",
        *(picture(name, png) for name, png in pictures.items()),
        f"<footer>Made from what is stored; {html.escape(tickers)} at {session:%Y-%m-%d}.</footer>",
    ]
    return whole_page(title, parts)


def _forecasts(rows: pd.DataFrame) -> str:
    heads = ("slice", "target", "P(rise)", "IV regime", "structure", "expiration", "size", "edge", "max loss, USD",
             "P(profit)", "expected, USD")  # fmt: skip
    body = [
        (
            [
                _slice(row), _day(row["target_session"]),
                f"{_share(row['probability_up'])} (usual {_share(row['usual_probability_up'])})",
                f"{_plain(row['iv_regime'])} {_share(row['iv_confidence'])}",
                f"{_plain(row['strategy'])} {'' if pd.isna(row['strikes']) else html.escape(str(row['strikes']))}",
                _day(row["expiration"]), html.escape(size_text(row["position_size"], row["edge"])),
                _plain(row["edge"]), number_text(row["max_loss_usd"], "{:,.0f}"),
                _share(row["forecast_probability_of_profit"]), _usd(row["expected_profit_usd"]),
            ],
            "",
        )
        for row in rows.to_dict("records")
    ]  # fmt: skip
    return grid(heads, body, css="small")


def _reasons(rows: pd.DataFrame) -> str:
    cells = [([_slice(row), html.escape(str(row["reasoning"]))], "") for row in rows.to_dict("records")]
    return grid(("slice", "in words"), cells, css="words small")


def _came(rows: pd.DataFrame) -> str:
    if rows.empty:
        return "<p>No forecast has a known outcome yet.</p>"
    heads = ("slice", "said on", "for", "P(rise)", "return", "90 % interval, USD", "price, USD", "within", "IV regime",
             "came")  # fmt: skip
    body = []
    for row in rows.to_dict("records"):
        is_known = pd.notna(row["y_true"]) and pd.notna(row["interval_low"])
        within = ("yes" if row["interval_low"] <= row["y_true"] <= row["interval_high"] else "no") if is_known else "–"
        interval = f"{row['interval_low']:,.2f} to {row['interval_high']:,.2f}" if is_known else "–"
        body.append(
            (
                [
                    _slice(row), _day(row["session"]), _day(row["target_session"]), _share(row["probability_up"]),
                    number_text(row["forward_return"], "{:+.2%}"), interval, number_text(row["y_true"], "{:,.2f}"),
                    within, f"{_plain(row['regime_said'])} {_share(row['regime_probability'])}",
                    _plain(row["regime_came"]),
                ],
                "",
            )
        )  # fmt: skip
    return grid(heads, body)


def _rolling(rows: pd.DataFrame) -> str:
    if rows.empty:
        return "<p>No forecast has a known outcome yet.</p>"
    body = [
        (
            [
                _slice(row), f"{row['outcomes']:,}", number_text(row["brier"], "{:.4f}"),
                number_text(row["usual_brier"], "{:.4f}"), number_text(row["usual_brier"] - row["brier"], "{:+z.4f}"),
                _share(row["held"]),
            ],
            "",
        )
        for row in rows.to_dict("records")
    ]  # fmt: skip
    return grid(("slice", "outcomes", "Brier", "usual share's", "gain", "within 90 % intervals"), body)


def _changes(recommendations: pd.DataFrame, states: pd.DataFrame) -> str:
    """Return a line for each recommendation, index and market state that is another than the session before."""
    lines = []
    for ticker, rows in states.groupby("ticker", sort=False):
        if len(rows) < 2:
            continue
        now, before = rows.iloc[0], rows.iloc[1]
        lines.append(
            f"{ticker}: volatility index {number_text(before['vix_close'], '{:.2f}')} → "
            f"{number_text(now['vix_close'], '{:.2f}')}, IV rank {number_text(before['iv_rank'], '{:.0f}')} → "
            f"{number_text(now['iv_rank'], '{:.0f}')}"
        )
        if now["state"] != before["state"] and pd.notna(now["state"]) and pd.notna(before["state"]):
            lines.append(f"{ticker}: market state {_words(before['state'])} → {_words(now['state'])}")
    for _, rows in recommendations.groupby(["ticker", "horizon"], sort=False):
        if len(rows) < 2:
            continue
        now, before = rows.iloc[0], rows.iloc[1]
        lines += [
            f"{now['ticker']} {now['horizon']}: {what} {_words(before[column])} → {_words(now[column])}"
            for column, what in _COMPARED.items()
            if now[column] != before[column] and not (pd.isna(now[column]) and pd.isna(before[column]))
        ]
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else "<p>Nothing.</p>"


_COMPARED: Final[Mapping[str, str]] = {
    "strategy": "structure",
    "position_size": "size",
    "iv_regime": "forecast IV regime",
    "expected_iv_direction": "expected direction of IV",
}


def _chains(rows: pd.DataFrame) -> str:
    if rows.empty:
        return "<p>No option chain is stored: prices of structures are modelled around the volatility index.</p>"
    body = [
        (
            [
                _plain(row["ticker"]), _day(row["session"]), f"{row['expirations']:,}", f"{row['contracts']:,}",
                f"{row['refused']:,}", f"{row['violations']:,}", f"{row['without_smile']:,}",
            ],
            "",
        )
        for row in rows.to_dict("records")
    ]  # fmt: skip
    heads = ("ticker", "session", "expirations", "credible contracts", "refused quotes", "arbitrage violations",
             "expirations without a smile")  # fmt: skip
    return grid(heads, body)


def _caption(text: str) -> str:
    return f'<p class="caption">{html.escape(text)}</p>'


def _slice(row: Mapping[Any, Any]) -> str:
    return html.escape(f"{row['ticker']} {row['horizon']}")


def _words(value: Any) -> str:
    return "none" if pd.isna(value) else str(value).replace("_", " ")


def _plain(value: Any) -> str:
    return "–" if pd.isna(value) else html.escape(_words(value))


def _share(value: Any) -> str:
    return number_text(value, "{:.0%}")


def _usd(value: Any) -> str:
    return number_text(value, "{:+z,.0f}")


def _day(value: Any) -> str:
    return "–" if pd.isna(value) else f"{pd.Timestamp(value):%Y-%m-%d}"
