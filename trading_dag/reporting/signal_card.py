"""The latest signal of a slice as a card in Markdown: what, how sure, what it risks, and on which data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from trading_dag.reporting.visible_text import visible
from trading_dag.simulation.simulation_settings import NO_MARKET_DATA, is_simulated
from trading_dag.strategy.explanation import EDGES_WITH_SIZE, NO_EDGE_SHOWN, called_direction
from trading_dag.strategy.selector import NO_TRADE


def signal_card(row: Mapping[str, Any], *, as_of: pd.Timestamp, source: str | None) -> str:
    """Return the card.

    Parameters
    ----------
    row : of ``signals.recommendation``.
    as_of : the last session that had closed when the row was made.
    source : where the data come from.
    """
    lines = [
        f"### {row['ticker']} {row['horizon']}, {row['session']:%Y-%m-%d}",
        *([f"**{NO_MARKET_DATA}**"] if is_simulated(source) else []),
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {_cell(value)} |" for name, value in _entries(row, as_of)),
        "",
        _cell(row["reasoning"]),
    ]
    return "\n".join(lines)


def _entries(row: Mapping[str, Any], as_of: pd.Timestamp) -> list[tuple[str, str]]:
    strategy = str(row["strategy"])
    entries = [
        ("P(rise)", _rise(row)),
        ("structure", strategy.replace("_", " ") + ("" if pd.isna(row["strikes"]) else f" {row['strikes']}")),
        ("size", f"{row['position_size']:g}{_edge(row)}"),
    ]
    if strategy != NO_TRADE:
        day = row["expiration"]
        entries += [
            ("expiration", "–" if pd.isna(day) else f"{day:%Y-%m-%d}"),
            ("contracts", "–" if pd.isna(row["contracts"]) else f"{int(row['contracts'])}"),
            ("most that one can lose", "–" if pd.isna(row["max_loss_usd"]) else f"{row['max_loss_usd']:,.0f} USD"),
            ("breakevens", "–" if pd.isna(row["breakevens"]) else str(row["breakevens"])),
        ]
    late = "" if row["session"] >= as_of else f", while {as_of:%Y-%m-%d} has closed"
    return [*entries, ("until", f"{row['target_session']:%Y-%m-%d}"), ("data to", f"{row['session']:%Y-%m-%d}{late}")]


def _rise(row: Mapping[str, Any]) -> str:
    direction, confidence = row["direction"], row["direction_confidence"]
    if not isinstance(direction, str) or pd.isna(confidence):
        return "no forecast"
    rise = float(confidence) if direction == "UP" else 1.0 - float(confidence)
    called = called_direction(direction, rise)
    return f"{rise:.0%}" + (f" ({called})" if called else "")


def _edge(row: Mapping[str, Any]) -> str:
    return "" if row["edge"] in EDGES_WITH_SIZE or row["strategy"] == NO_TRADE else f" ({NO_EDGE_SHOWN})"


def _cell(text: Any) -> str:
    """A text in a cell: nothing in it is markup."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|~!" else letter for letter in visible(text))
