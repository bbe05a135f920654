"""What the UI shows of an output beside its table: numbers that plot over time, the latest signal as a card, and
which input columns each column comes from.

A number has the same name at every materialization, so that the UI draws a line through them. What the numbers mean is
the schema's business, from which they are taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import dagster as dg
import pandas as pd

from assets.declare.declaration import Declaration, Slice
from trading_dag.schemas import DRIFT, METRICS, RECOMMENDATION, SUMMARY, Table

Numbers = Mapping[str, float]
# Of the served models against the usual forecast: what the UI is to plot.
_GAINS: Final = {
    "brier": "Brier gain",
    "brier_sign": "Brier gain of the sign",
    "rps": "RPS gain",
}
_OF_BACKTEST: Final = {
    "Sharpe": "sharpe",
    "Sharpe of holding": "benchmark_sharpe",
    "P&L, USD": "total_pnl_usd",
    "P&L of random entry, USD": "random_entry_mean_usd",
    "p of random entry": "random_entry_p_value",
}
_PREVIEWED: Final = (
    "session", "rule", "strategy", "strikes", "expiration", "direction", "direction_confidence", "position_size",
    "edge", "contracts", "max_loss_usd",
)  # fmt: skip
PREVIEW_ROWS: Final = 5
# By these letters the formulas call the columns of the daily bars (docs/features.md).
_LETTERS: Final = {"O": "open", "H": "high", "L": "low", "C": "close", "V": "volume"}


def shown_of(table: Table, frame: pd.DataFrame, at: Slice) -> dict[str, Any]:
    """Return what the UI shows of a table that is about to be stored.

    Parameters
    ----------
    frame : the slice; nothing is changed in it.
    at : where the asset stands.
    """
    numbers = _NUMBERS.get(table, _none)(frame)
    shown: dict[str, Any] = {name: float(value) for name, value in numbers.items() if pd.notna(value)}
    return shown | (_signal(frame, at) if table is RECOMMENDATION else {})


def _none(frame: pd.DataFrame) -> Numbers:
    return {}


def _of_signal(frame: pd.DataFrame) -> Numbers:
    from trading_dag.alerts.signals import probability_of_rise
    from trading_dag.strategy.rules import served_rows

    served = served_rows(frame)
    if served.empty:
        return {}
    last = served.iloc[-1]
    rise = probability_of_rise({str(name): value for name, value in last.to_dict().items()})
    return {"position size": last["position_size"], **({} if rise is None else {"P(rise)": rise})}


def _of_metrics(frame: pd.DataFrame) -> Numbers:
    served = frame[frame["is_served"].fillna(False).astype(bool) & frame["metric"].isin(list(_GAINS))]
    told: dict[str, float] = {}
    for row in served.to_dict("records"):
        name = f"{_GAINS[row['metric']]} of {row['task']} over {row['baseline']}"
        told |= {
            name: row["difference"],
            f"{name}, low": row["difference_ci_low"],
            f"{name}, high": row["difference_ci_high"],
        }
    return told


def _of_backtest(frame: pd.DataFrame) -> Numbers:
    return {
        f"{name}, rule {row['rule']}": row[column]
        for row in frame.to_dict("records")
        for name, column in _OF_BACKTEST.items()
    }


def _of_drift(frame: pd.DataFrame) -> Numbers:
    if frame.empty:
        return {}
    newest = frame[frame["as_of_session"] == frame["as_of_session"].max()]
    features = newest[newest["kind"] == "feature"] if "kind" in newest else newest
    return {"share breached": features["is_breached"].mean()} if len(features) else {}


_NUMBERS: Final[dict[Table, Callable[[pd.DataFrame], Numbers]]] = {
    RECOMMENDATION: _of_signal,
    METRICS: _of_metrics,
    SUMMARY: _of_backtest,
    DRIFT: _of_drift,
}


def _signal(frame: pd.DataFrame, at: Slice) -> dict[str, Any]:
    """The latest signal as a card, and the last five rows."""
    from resources.io_managers.preview import rows_as_table
    from trading_dag.reporting.signal_card import signal_card
    from trading_dag.strategy.rules import served_rows

    served = served_rows(frame)
    if served.empty:
        return {}
    card = signal_card(
        {str(name): value for name, value in served.iloc[-1].to_dict().items()},
        as_of=at.as_of,
        source=at.source.name,
    )
    preview = rows_as_table(served[list(_PREVIEWED)].tail(PREVIEW_ROWS))
    return {"latest signal": dg.MetadataValue.md(card), "last signals": preview}


def column_lineage(declaration: Declaration, table: Table) -> dg.TableColumnLineage | None:
    """Return from which columns of its inputs each column of a table comes; None where none does.

    A column comes from an input's column of the same name, which is carried over, and from those that its formula
    names. Both are read from the schemas and the formulas; nothing is listed by hand.
    """
    inputs = [read.table for read in declaration.reads.values() if read.table is not None]
    named = {
        column.name: found
        for column in table.columns
        if (found := _sources_of(column.name, table, tuple(dict.fromkeys(inputs))))
    }
    if not named:
        return None
    return dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(dg.AssetKey([source.group, source.name]), name) for source, name in found]
            for column, found in named.items()
        }
    )


@cache
def _named_by_formula(feature: str, within: frozenset[str] = frozenset()) -> frozenset[str]:
    """The columns that a feature's formula names, and those that the formulas of these name."""
    from trading_dag.features.formulas import FORMULAS

    formula = FORMULAS.get(feature, "").partition(";")[0]
    letters = {name for letter, name in _LETTERS.items() if re.search(rf"\b{letter}\b", formula)}
    words = frozenset(re.findall(r"[a-z_][a-z0-9_]*", formula)) | letters
    asked = within | {feature}
    return words.union(*(_named_by_formula(word, asked) for word in words & FORMULAS.keys() - asked))


@cache
def _sources_of(column: str, table: Table, inputs: tuple[Table, ...]) -> tuple[tuple[Table, str], ...]:
    words = {column} | (_named_by_formula(column) if table.group == "features" else frozenset())
    return tuple(
        (source, name) for source in inputs if source != table for name in source.column_names if name in words
    )
