"""Commands about options: bring chains in, look at one, and show what a structure pays."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trading_dag.cli.exits import WORK_FAILED
from trading_dag.cli.option_work import import_record, option_work, session_analysis
from trading_dag.cli.printing import print_json
from trading_dag.cli.program_work import named_structure
from trading_dag.cli.workplace import Workplace

if TYPE_CHECKING:
    import pandas as pd

    from trading_dag.options.indication import Indication

Date = Annotated[datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Session. Default: the last.")]


def import_chains(
    path: Annotated[Path, typer.Argument(help="A file, or a folder that is searched for chain files.")],
    ticker: Annotated[str, typer.Option("--ticker", help="Underlying, where the files do not say it.")] = "",
    analyse: Annotated[
        bool, typer.Option("--analyse/--no-analyse", help="Then fit forwards, smiles and dealer exposure.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Import option chains (files, optionsdx or contract_id layout). What was imported before is skipped; a killed
    import goes on where it was."""
    place = Workplace()
    with option_work(place) as work:
        imported = work.import_files(path, ticker=ticker or None, quiet=as_json)
        failures = work.analyse(imported, quiet=as_json) if analyse else []
    files = [import_record(file) for file in imported.files]
    if as_json:
        print_json({"files": files, "failures": failures})
    else:
        _print_import(place, files, imported.skipped)
    for failure in failures:
        typer.echo(f"stored, but not analysed: {failure}", err=True)
    if failures:
        raise typer.Exit(WORK_FAILED)


def _print_import(place: Workplace, files: list[dict[str, Any]], left_out: dict[Path, str]) -> None:
    from trading_dag.reports import import_table

    place.console.print(import_table(files))
    for other, reason in left_out.items():
        place.console.print(f"[yellow]left out[/] {other.name}: {reason}")
    place.console.print(
        'Look next:  trading-dag chain SPY  |  trading-dag sql "from options.chain_analytics"  |  make ui'
    )


def chain(
    ticker: Annotated[str, typer.Argument(help="Underlying.")],
    date: Date = None,
    picture: Annotated[Path | None, typer.Option("--picture", help="Write the smiles to this PNG.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show one session's stored option chain by expiration: forward, volatility, skew, arbitrage, dealers' gamma."""
    import pandas as pd

    place = Workplace(tickers=ticker)
    analysis = session_analysis(place, place.tickers[0], session=None if date is None else pd.Timestamp(date))
    if picture is not None:
        from trading_dag.plots import smiles, to_png

        title = f"{analysis.ticker} {analysis.session:%Y-%m-%d}"
        picture.write_bytes(to_png(smiles(analysis.contracts, title)))
    from trading_dag import reports

    if as_json:
        print_json(reports.chain_record(analysis))
    else:
        for table in reports.chain_tables(analysis):
            place.console.print(table)


def payoff(
    structure: Annotated[str, typer.Argument(help="Such as iron_condor; an unknown name lists them all.")],
    ticker: Annotated[str, typer.Argument(help="Underlying.")],
    date: Date = None,
    picture: Annotated[Path | None, typer.Option("--picture", help="Write the payoff diagram to this PNG.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show what a structure would cost and pay at a stored close, on the modelled surface."""
    import pandas as pd

    place = Workplace(tickers=ticker)
    found = _indication(place, structure, place.tickers[0], session=None if date is None else pd.Timestamp(date))
    if picture is not None:
        from trading_dag.plots import payoff_at_expiration, to_png

        title = f"{found.ticker} {found.session:%Y-%m-%d} · {structure.replace('_', ' ')}"
        figure = payoff_at_expiration(
            found.structure, found.strikes, premium=found.premium, spot=found.spot, multiplier=found.multiplier,
            title=title,
        )  # fmt: skip
        picture.write_bytes(to_png(figure))
    if as_json:
        print_json(found.record())
    else:
        from trading_dag.reports import indication_tables

        for table in indication_tables(found):
            place.console.print(table)
        if picture is not None:
            place.console.print(f"picture: {picture}")


def _indication(place: Workplace, structure: str, ticker: str, *, session: pd.Timestamp | None) -> Indication:
    from resources.parquet_store import ParquetStore, SliceKey
    from trading_dag.options.indication import indicate
    from trading_dag.schemas import MACRO_TABLE, PRICES_DAILY, VOLATILITY_INDEX
    from trading_dag.strategy.sizing import settings_for_contract

    chosen = named_structure(place, structure)
    store, at = ParquetStore(place.settings.home), SliceKey(ticker)
    return indicate(
        chosen,
        store.read_or_empty(PRICES_DAILY, at),
        volatility_index=store.read_or_empty(VOLATILITY_INDEX, at),
        rates=store.read_or_empty(MACRO_TABLE, SliceKey())[["session", "treasury_3m"]],
        ticker=ticker,
        session=session,
        settings=settings_for_contract(ticker, place.settings),
    )
