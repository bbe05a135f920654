"""Commands about options: import chains, fetch them, show one, and show what a structure pays."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from trading_dag.cli.arguments import AsJson, Source, Tickers
from trading_dag.cli.chain_work import option_work, session_analysis
from trading_dag.cli.context import CommandContext
from trading_dag.cli.exits import WORK_FAILED
from trading_dag.cli.import_report import import_record, look_next, print_import, print_refusals
from trading_dag.cli.printing import complain, print_json, print_notice
from trading_dag.reporting.text import titled

if TYPE_CHECKING:
    from assets.run.chain_fetch import ChainFetch
    from resources.text_files.values import DateOrder

DatesOrder = Literal["month-first", "day-first"]
_DATE_ORDERS: Final[dict[DatesOrder, DateOrder]] = {"month-first": "month_first", "day-first": "day_first"}
Date = Annotated[datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Session. Default: the last.")]


def import_chains(
    path: Annotated[Path, typer.Argument(help="A file, or a folder that is searched for chain files.")],
    ticker: Annotated[str, typer.Option("--ticker", help="Underlying, if the files do not name it.")] = "",
    analyse: Annotated[
        bool, typer.Option("--analyse/--no-analyse", help="Afterwards fit forwards, smiles and dealer exposure.")
    ] = True,
    dates: Annotated[
        DatesOrder | None, typer.Option("--dates", help="How to read 01/02/2024, if no date in the file settles it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import option chains (files, optionsdx or contract_id layout). Files imported before are skipped; an interrupted
    import continues where it stopped. A session that breaks a blocking check is not stored."""
    context = CommandContext()
    with option_work(context) as work:
        order = None if dates is None else _DATE_ORDERS[dates]
        imported = work.import_files(path, ticker=ticker or None, date_order=order, quiet=as_json)
        failures = work.analyse(imported.tickers, quiet=as_json) if analyse else []
    if as_json:
        print_json({**import_record(imported), "failures": failures})
    else:
        print_import(context, imported, is_analysed=analyse and not failures)
    print_refusals(imported)
    for failure in failures:
        complain(f"stored, but not analysed: {failure}")
    if failures or not imported.is_complete:
        raise typer.Exit(WORK_FAILED)


def fetch_chains(
    tickers: Tickers = "",
    source: Source = "",
    first: Annotated[
        datetime | None,
        typer.Option(
            "--from", formats=["%Y-%m-%d"], help="First session; of live vendors polygon alone has earlier ones."
        ),
    ] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last session.")] = None,
    analyse: Annotated[
        bool, typer.Option("--analyse/--no-analyse", help="Afterwards fit forwards, smiles and dealer exposure.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Fetch the last closed session's option chains from the source, several at once within the vendor's limit. Stored
    chains are not asked for again; an interrupted fetch continues where it stopped. `refresh` does this too, ticker by
    ticker."""
    import pandas as pd

    from assets.run.claims import claim

    context = CommandContext(source, tickers)
    days = [None if day is None else pd.Timestamp(day) for day in (first, last)]
    with claim(context.state, context.tickers), option_work(context) as work:
        fetched = work.fetch(context.tickers, first=days[0], last=days[1], quiet=as_json)
        failures = work.analyse(fetched.tickers, quiet=as_json) if analyse else []
    if as_json:
        print_json({**asdict(fetched), "not_analysed": failures})
    else:
        _print_fetch(context, fetched, is_analysed=analyse and not failures)
    for key, reason in fetched.failed.items():
        complain(f"not stored: {key}: {reason}")
    for failure in failures:
        complain(f"stored, but not analysed: {failure}")
    if fetched.failed or failures:
        raise typer.Exit(WORK_FAILED)


def _print_fetch(context: CommandContext, fetched: ChainFetch, *, is_analysed: bool) -> None:
    if not (fetched.stored or fetched.kept or fetched.failed):
        from resources.sources.choose import build_source
        from trading_dag.schemas import OPTION_CHAIN

        details = [
            entry.detail for entry in build_source(context.settings).describe() if entry.kind == OPTION_CHAIN.name
        ]
        context.console.print(
            f"no option chains to fetch now. Source {context.settings.source}: {'; '.join(details)}. A vendor shows a "
            "session's chain from half an hour after its close until the next session opens."
        )
        return
    context.console.print(
        f"{len(fetched.stored)} chains stored ({sum(fetched.stored.values()):,} contracts), "
        f"{len(fetched.kept)} stored before, {len(fetched.failed)} failed"
    )
    stored = [key.partition("|")[2] for key in (*fetched.stored, *fetched.kept)]
    if stored:
        context.console.print(look_next(context, stored, is_analysed=is_analysed))


def chain(
    ticker: Annotated[str, typer.Argument(help="Underlying.")],
    date: Date = None,
    picture: Annotated[Path | None, typer.Option("--picture", help="Write the smiles to this PNG.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show one session's stored option chain by expiration: forward, volatility, skew, arbitrage, dealers' gamma."""
    import pandas as pd

    from resources.chains.store import ChainStore
    from resources.io_managers.chains import StoredChain

    context = CommandContext(tickers=ticker)
    analysis = session_analysis(context, context.tickers[0], session=None if date is None else pd.Timestamp(date))
    source = StoredChain.of(ChainStore(context.settings.home), analysis.ticker).attrs["source"]
    if picture is not None:
        from trading_dag.plots import smiles, to_png

        title = titled(f"{analysis.ticker} {analysis.session:%Y-%m-%d}", source)
        picture.write_bytes(to_png(smiles(analysis.contracts, title)))
    from trading_dag.reporting import tables

    if as_json:
        print_json(tables.chain_record(analysis, source=source))
    else:
        for table in tables.chain_tables(analysis):
            context.console.print(table)
        print_notice(context, [(analysis.ticker, source)])


def payoff(
    structure: Annotated[str, typer.Argument(help="Name such as iron_condor; an unknown name lists all.")],
    ticker: Annotated[str, typer.Argument(help="Underlying.")],
    date: Date = None,
    modelled: Annotated[
        bool, typer.Option("--modelled", help="Quote on the modelled surface even if a chain is stored.")
    ] = False,
    picture: Annotated[Path | None, typer.Option("--picture", help="Write the payoff diagram to this PNG.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a structure would cost and pay at a session's close: on its stored chain if there is one, otherwise on
    the modelled surface."""
    import pandas as pd

    from trading_dag.cli.payoff import indication_of

    context = CommandContext(tickers=ticker)
    day = None if date is None else pd.Timestamp(date)
    indication, source = indication_of(context, structure, context.tickers[0], session=day, is_modelled=modelled)
    if picture is not None:
        from trading_dag.plots import payoff_at_expiration, to_png

        title = titled(f"{indication.ticker} {indication.session:%Y-%m-%d} · {structure.replace('_', ' ')}", source)
        figure = payoff_at_expiration(
            indication.structure, indication.strikes, premium=indication.premium, spot=indication.spot,
            multiplier=indication.multiplier, title=title,
        )  # fmt: skip
        picture.write_bytes(to_png(figure))
    if as_json:
        print_json({**indication.record(), "source": source})
    else:
        from trading_dag.reporting.tables import indication_tables

        for table in indication_tables(indication):
            context.console.print(table)
        print_notice(context, [(indication.ticker, source)])
        if picture is not None:
            context.console.print(f"picture: {picture}")
