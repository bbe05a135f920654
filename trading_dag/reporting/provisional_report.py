"""Provisional rows as a trader reads them: of when, how old, on what. Every part says that it is provisional."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from trading_dag.reporting.opportunity_table import OFFERED, offer_cells
from trading_dag.reporting.text import new_table, number_text
from trading_dag.reporting.visible_text import visible
from trading_dag.sessions import NEW_YORK

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

_COLUMNS: Final = ("ticker", "horizon", "rule", "spot", "P(rise)", "price, 90 %", "IV regime", "structure", "size")


def provisional_report(said: pd.DataFrame) -> Group:
    """Return the table of a session under way, with a line on its age and its features, and the sentence of each row.

    Parameters
    ----------
    said : rows of ``signals.provisional``, at least one.
    """
    from rich.console import Group
    from rich.text import Text

    first = said.iloc[0]
    table = new_table(f"PROVISIONAL: the session of {first['session']:%Y-%m-%d} is under way", _COLUMNS)
    for row in said.to_dict("records"):
        table.add_row(*_cells(row))
    lines = [age_in_words(said), *(_features_in_words(row) for row in _one_a_ticker(said))]
    lines += [f"{row['ticker']} {row['horizon']} (provisional): {visible(row['reasoning'])}" for row in _served(said)]
    return Group(table, Text("\n".join(lines)))


def age_in_words(said: pd.DataFrame) -> str:
    """Return as of when the rows are, and how old the vendor's data were."""
    oldest = said.sort_values("delay_minutes").iloc[-1]
    moment = oldest["as_of"].tz_convert(NEW_YORK)
    return (
        f"As of {moment:%H:%M} New York, {oldest['delay_minutes']:.0f} minutes before it was computed. Not recorded, "
        "not scored, replaced by the next."
    )


def provisional_opportunity_table(rows: pd.DataFrame) -> Table:
    """Return the best rows of one ticker and horizon of ``signals.provisional_opportunities``, USD of one structure."""
    first = rows.iloc[0]
    moment = first["as_of"].tz_convert(NEW_YORK)
    table = new_table(
        f"{first['ticker']} {first['horizon']}: PROVISIONAL opportunities as of {moment:%H:%M} New York; USD of one "
        "structure, after costs",
        (*OFFERED, "of the risk", "P(profit)"),
    )
    for row in rows.to_dict("records"):
        table.add_row(
            *offer_cells(row),
            number_text(row["expected_return_on_risk"], "{:+.1%}"),
            f"{row['probability_of_profit']:.0%}",
        )
    table.caption = f"quotes: {first['quote_source']}"
    return table


def _cells(row: dict[Any, Any]) -> list[str]:
    between = f"{number_text(row['quantile_05'], '{:,.2f}')} to {number_text(row['quantile_95'], '{:,.2f}')}"
    return [
        str(row["ticker"]),
        str(row["horizon"]),
        str(row["rule"]).replace("_", " "),
        f"{row['spot']:,.2f}",
        number_text(row["probability_up"], "{:.0%}"),
        between,
        "–" if pd.isna(row["iv_regime"]) else str(row["iv_regime"]),
        str(row["strategy"]).replace("_", " "),
        f"{row['position_size']:g}",
    ]


def _features_in_words(row: dict[Any, Any]) -> str:
    chain = "options priced on the session's chain"
    if pd.isna(row["chain_as_of"]):
        chain = "no chain of the session is to be had, so options are priced on the last close's volatility index"
    return (
        f"{row['ticker']}: {row['bars']} hours; {row['features_so_far']} features from the closes so far (of those "
        f"{row['features_of_range']} read a range that may widen), {row['features_at_last_close']} stand at the last "
        f"close, {row['features_missing']} are missing; {chain}."
    )


def _one_a_ticker(said: pd.DataFrame) -> list[dict[Any, Any]]:
    return said.drop_duplicates("ticker").to_dict("records")


def _served(said: pd.DataFrame) -> list[dict[Any, Any]]:
    return said[said["is_served"].astype(bool)].to_dict("records")
