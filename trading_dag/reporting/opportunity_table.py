"""Opportunities as a terminal reads them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from trading_dag.reporting.text import new_table, number_text

if TYPE_CHECKING:
    from rich.table import Table

OFFERED: Final = ("#", "structure", "strikes", "expires", "cost", "at risk", "expected")
_COLUMNS: Final = (
    *OFFERED, "σ", "worst 5 %", "of the risk",
    "P(profit)", "P(touch)", "market", "market P",
)  # fmt: skip


def opportunity_table(rows: pd.DataFrame) -> Table:
    """Return rows of ``signals.opportunities`` as a table; amounts are USD of one structure."""
    first = rows.iloc[0]
    entered, left = (f"{first[name]:%Y-%m-%d}" for name in ("session", "exit_session"))
    table = new_table(
        f"{first['ticker']} {first['horizon']}: structures at the close of {entered}, left at that of {left}; USD of "
        "one structure, after costs",
        _COLUMNS,
    )
    for row in rows.to_dict("records"):
        low, high = row["expected_return_on_risk_low"], row["expected_return_on_risk_high"]
        on_risk = "–" if pd.isna(low) else f"{row['expected_return_on_risk']:+.1%} [{low:+.1%}, {high:+.1%}]"
        table.add_row(
            *offer_cells(row),
            f"{row['profit_standard_deviation_usd']:,.0f}",
            f"{-row['expected_shortfall_usd']:+,.0f}",
            on_risk,
            f"{row['probability_of_profit']:.0%}",
            number_text(row["probability_of_touch"], "{:.0%}"),
            f"{row['market_expected_profit_usd']:+,.0f}",
            f"{row['market_probability_of_profit']:.0%}",
        )
    table.caption = f"quotes: {first['quote_source']}; of the risk: expected profit over greatest loss, 90 % interval"
    return table


def offer_cells(row: Mapping[Hashable, Any]) -> list[str]:
    """Return the cells of ``OFFERED``: which structure, what it costs and risks, and what is expected of it."""
    return [
        str(row["rank"]),
        str(row["structure"]).replace("_", " "),
        str(row["strikes"]),
        f"{row['expiration']:%Y-%m-%d}",
        f"{row['entry_cost_usd']:+,.0f}",
        number_text(row["max_loss_usd"], "{:,.0f}"),
        f"{row['expected_profit_usd']:+,.0f}",
    ]
