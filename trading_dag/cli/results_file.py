"""Writes the tables of results into a Markdown file: the way from the warehouse to docs/results.md."""

from __future__ import annotations

from pathlib import Path

import typer

from trading_dag.cli.context import CommandContext
from trading_dag.cli.exits import WORK_FAILED
from trading_dag.cli.materialize import bring_reports_up_to_date


def write_results(context: CommandContext, results: str, *, quiet: bool) -> None:
    """Bring the scores up to date and write the tables of all stored slices into a file.

    In a file that is there they replace what stands between the two marks (``results_page``); its other words stay.

    Raises
    ------
    ConfigurationError : for a file that is there and has no marks.
    """
    from trading_dag.reporting.results_page import BEGIN, END, results_page, with_results

    path = Path(results)
    document = path.read_text(encoding="utf-8") if path.exists() else f"{BEGIN}\n{END}\n"
    with_results(document, "")  # refused before anything is computed
    is_current = bring_reports_up_to_date(context, "evaluate", quiet=quiet)
    metrics = context.warehouse.query("from evaluation.metrics")
    multiplicity = context.warehouse.query("from evaluation.multiplicity")
    hull = context.warehouse.query("from evaluation.hull_allocation")
    page = results_page(metrics, multiplicity, hull)
    path.write_text(with_results(document, page), encoding="utf-8")
    context.console.print(
        f"{path}: {len(metrics)} scores of {metrics[['ticker', 'horizon']].drop_duplicates().shape[0]} slices"
    )
    if not is_current:
        raise typer.Exit(WORK_FAILED)
