"""The work behind ``backtest --structure``: a program on the stored chains of a ticker, and its report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trading_dag.cli.printing import print_json
from trading_dag.cli.workplace import Workplace
from trading_dag.errors import ConfigurationError

if TYPE_CHECKING:
    from datetime import datetime

    from trading_dag.backtest.chain_market import ChainMarket


@dataclass(frozen=True)
class ProgramRequest:
    """What the command line asks for, still in its words.

    Attributes
    ----------
    structure : name of the structure.
    first, last : sessions, inclusive; None for all.
    entry : ``weekly`` or ``daily``.
    days : calendar days to expiration aimed at.
    exits : ``name=number`` each.
    """

    structure: str
    first: datetime | None
    last: datetime | None
    entry: str
    days: int
    exits: tuple[str, ...]


def show_program(place: Workplace, ticker: str, request: ProgramRequest, *, html: Path | None, as_json: bool) -> None:
    """Run the program on the stored chains and print, or write, what came of it."""
    from trading_dag import program_report
    from trading_dag.backtest.chain_programs import random_entry_runs, run_program
    from trading_dag.backtest.entries import entries_every_session, entries_weekly
    from trading_dag.backtest.program_summary import summarize
    from trading_dag.backtest.structure_programs import exit_rules, program_of, settings_for_listed_contract
    from trading_dag.options.structure_settings import structures_by_name
    from trading_dag.options.structures import structure_of

    book = settings_for_listed_contract(ticker, place.settings.backtest)
    structure = structure_of(request.structure, menu=structures_by_name(place.settings.structures))
    exits = exit_rules(dict(_exit(word) for word in request.exits))
    entries = {"weekly": entries_weekly, "daily": entries_every_session}.get(request.entry)
    if entries is None:
        raise ConfigurationError(f"unknown entry rule {request.entry!r}; choose from weekly, daily")
    market = _market(place, ticker, request)
    program = program_of(structure, exits=exits, days_to_expiration=request.days, settings=book)
    result = run_program(market, program, entries=entries(market))
    summary = summarize(result)
    luck = None
    if result.is_closed.any():
        luck = random_entry_runs(market, result, runs=book.random_entry_runs, seed=book.seed)
    if html is not None:
        from trading_dag.plots import to_png
        from trading_dag.plots.programs import program_equity

        title = f"{ticker} {structure.name.replace('_', ' ')}"
        picture = to_png(program_equity(result.equity(), title))
        html.write_text(program_report.program_html(result, summary, luck, picture=picture), encoding="utf-8")
    if as_json:
        print_json(program_report.program_record(result, summary, luck))
        return
    from trading_dag.reports import program_tables

    for table in program_tables(program_report.program_record(result, summary, luck)):
        place.console.print(table)
    if len(market) < program_report.FEW_SESSIONS:
        place.console.print(program_report.SHORT.format(sessions=len(market)))
    if html is not None:
        place.console.print(f"report: {html}")


def _exit(word: str) -> tuple[str, float]:
    name, _, number = word.partition("=")
    try:
        return name.strip(), float(number)
    except ValueError:
        raise ConfigurationError(f"exit {word!r} is not of the form name=number, such as profit_target=0.5") from None


def _market(place: Workplace, ticker: str, request: ProgramRequest) -> ChainMarket:
    import pandas as pd

    from resources.chain_io import StoredChain
    from resources.chain_store import ChainStore
    from trading_dag.backtest.chain_market import chain_market
    from trading_dag.backtest.structure_programs import fills_of

    first, last = (None if day is None else pd.Timestamp(day) for day in (request.first, request.last))
    stored = StoredChain.of(ChainStore(place.settings.home), ticker)
    quotes = stored.quotes(rate=place.settings.surface.risk_free_rate, first=first, last=last)
    return chain_market(quotes, ticker=ticker, fills=fills_of(place.settings.backtest))
