"""``trading-dag drift``: what has drifted how far, since when, when it was trained last, and what happens next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from trading_dag.cli.arguments import AsJson, Horizons, Source
from trading_dag.cli.context import CommandContext
from trading_dag.cli.printing import print_json
from trading_dag.errors import InsufficientDataError

if TYPE_CHECKING:
    from rich.table import Table

    from resources.storage.parquet_store import SliceKey
    from trading_dag.drift.standing import Standing


_COLUMNS: Final = ("ticker", "horizon", "as of", "beyond", "drifted most", "of limit", "breached", "trained to", "next")


def drift(
    ticker: Annotated[str, typer.Argument(metavar="[TICKER]", help="One ticker, such as SPY. Default: all.")] = "",
    horizons: Horizons = "",
    source: Source = "",
    as_json: AsJson = False,
) -> None:
    """Show where each ticker and horizon stands: the share of features beyond their limits, what drifted most, scores
    below their band, when models were trained last, and what happens next. Nothing is computed or requested."""
    from assets.retraining import reported_slices, stored_standing
    from resources.storage.parquet_store import ParquetStore

    context = CommandContext(source, ticker, horizons)
    store, settings = ParquetStore(context.settings.home), context.settings.drift
    reported = set(reported_slices(store))
    found = [(key, stored_standing(store, key, settings)) for key in context.research_slices if key in reported]
    if as_json:
        print_json({"slices": [_record(key, standing) for key, standing in found]})
    elif found:
        context.console.print(_table(found))
        for line in _details(found):
            context.console.print(line)
    if not found:
        raise InsufficientDataError(
            "no report of drift is stored for these slices: trading-dag run makes one, once the training window is "
            f"four times {settings.window_sessions} sessions long"
        )


def _record(key: SliceKey, standing: Standing) -> dict[str, Any]:
    return {"ticker": key.ticker, "horizon": key.horizon, **standing.record()}


def _table(found: list[tuple[SliceKey, Standing]]) -> Table:
    from trading_dag.reporting.text import new_table

    table = new_table("Drift: share of features beyond their limits by the newest report", _COLUMNS)
    for key, standing in found:
        row = standing.record()
        share, ratio = row["share_beyond"], row["over_limit"]
        since = f"{row['breached_reports_in_a_row']} since {row['breached_since']}" if row["breached_since"] else "no"
        table.add_row(
            key.ticker, key.horizon, row["as_of_session"] or "none", "–" if share is None else f"{share:.1%}",
            row["drifted_most"] or "–", "–" if ratio is None else f"{ratio:.2f}", since,
            row["last_retrained_through"] or "never", row["next"],
        )  # fmt: skip
    return table


def _details(found: list[tuple[SliceKey, Standing]]) -> list[str]:
    """What the table has no room for: forecasts, scores and coverages out of their bands, by slice."""
    lines = []
    for key, standing in found:
        moved = ", ".join(standing.forecasts_beyond)
        told = [
            *([f"forecasts beyond their limits: {moved}"] if moved else []),
            *([f"below its band: {standing.scores_below}"] if standing.scores_below else []),
            *([f"outside its band: {standing.coverage_outside}"] if standing.coverage_outside else []),
        ]
        lines += [f"{key.ticker} {key.horizon}: {line}" for line in told]
    return lines
