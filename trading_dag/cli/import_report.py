"""The report on an import of chains: as JSON, and as lines on the terminal with file, line and column."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from resources.text_files.values import TWO_ORDERS
from trading_dag.cli.context import CommandContext
from trading_dag.cli.printing import complain

if TYPE_CHECKING:
    from resources.chains.importing.importer import ChainImport, FileImport

SESSIONS_SHOWN: Final = 10


def import_record(imported: ChainImport) -> dict[str, Any]:
    """Return an import in a form that JSON can hold."""
    return {
        "files": [file_record(file) for file in imported.files],
        "failed": {str(path): reason for path, reason in imported.failed.items()},
        "left_out": {str(path): reason for path, reason in imported.skipped.items()},
        "warnings": [asdict(warning) for warning in imported.warnings],
    }


def file_record(file: FileImport) -> dict[str, Any]:
    """Return what became of a file, for JSON and tables, with the number of sessions that it changed."""
    record = {name: value for name, value in asdict(file).items() if name not in ("sessions", "identity")}
    return {**record, "path": str(file.path), "state": file.state, "sessions_changed": len(file.sessions)}


def print_import(context: CommandContext, imported: ChainImport, *, is_analysed: bool) -> None:
    """Print the table of files, then what was left out or assumed, the warnings, and where to look next."""
    from trading_dag.reporting.tables import import_table

    if imported.files:
        context.console.print(import_table([file_record(file) for file in imported.files]))
    for line in remark_lines(imported.files):
        context.console.print(line)
    for warning in imported.warnings:
        more = f"{warning.sessions} sessions, the first {warning.first}: {warning.detail}"
        context.console.print(f"warning  {warning.rule}: {more}")
    for path, reason in imported.skipped.items():
        context.console.print(f"no chain file  {path.name}: {reason}")
    next_look = look_next(context, imported.tickers, is_analysed=is_analysed)
    if next_look:
        context.console.print(next_look)


def print_refusals(imported: ChainImport) -> None:
    """Print to standard error what was not stored, why, and what can be done."""
    for path, reason in imported.failed.items():
        complain(f"not read: {path.name}: {reason}")
    for file in imported.files:
        if not file.stored:
            complain(f"nothing stored: {file.path.name}: {_all_refused(file)}")
        refused = list(file.refused_sessions.items())
        for name, rules in refused[:SESSIONS_SHOWN]:
            complain(f"not stored: {name} of {file.path.name}: {'; '.join(rules)}")
        if len(refused) > SESSIONS_SHOWN:
            more = len(refused) - SESSIONS_SHOWN
            complain(f"not stored: {more} more sessions of {file.path.name}; --json names them")
    if any(remark.detail == TWO_ORDERS for file in imported.files for remark in file.left_out):
        complain("say what 01/02/2024 means in these files: --dates month-first or --dates day-first")


def remark_lines(files: Iterable[FileImport]) -> list[str]:
    """Return a line for each reason, column and detail, over all files: how often, and the first file, line and
    value."""
    by_remark: dict[tuple[str, str | None, str], list[tuple[Path, Any]]] = {}
    for file in files:
        for remark in file.left_out:
            by_remark.setdefault((remark.reason, remark.column, remark.detail), []).append((file.path, remark))
    lines = []
    for (reason, column, detail), places in by_remark.items():
        path, first = places[0]
        count = sum(remark.count for _, remark in places)
        spread = f" in {len(places)} files" if len(places) > 1 else ""
        what = f"column {column}: " if column else ""
        why = f" ({detail})" if detail else ""
        row = "row" if path.name.lower().endswith(".parquet") else "line"
        value = f": {first.value}" if first.value else ""
        lines.append(f"{reason}  {what}{count:,}{spread}{why}, the first in {path.name} {row} {first.line:,}{value}")
    return lines


def look_next(context: CommandContext, tickers: Iterable[str], *, is_analysed: bool) -> str:
    """Return commands that show what is stored of some tickers; an empty text where nothing is."""
    names = sorted(set(tickers))
    known = [ticker for ticker in names if ticker in context.settings.all_tickers]
    if not known:
        return f"Look next:  trading-dag sql \"from raw.option_chain where ticker = '{names[0]}'\"" if names else ""
    analysed = '  |  trading-dag sql "from options.chain_analytics"' if is_analysed else ""
    return f"Look next:  trading-dag chain {known[0]}{analysed}  |  make ui"


def _all_refused(file: FileImport) -> str:
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in file.refused.items())
    return reasons or "it has no rows"
