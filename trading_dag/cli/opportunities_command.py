"""``opportunities``: what each structure is worth under the forecast of the newest session, beside the market."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from trading_dag.cli.arguments import AsJson, Source
from trading_dag.cli.context import CommandContext
from trading_dag.cli.printing import print_json, print_notice
from trading_dag.errors import ConfigurationError, InsufficientDataError
from trading_dag.reporting.text import titled

if TYPE_CHECKING:
    import pandas as pd

    from resources.storage.parquet_store import ParquetStore, SliceKey

_TOP: Final = 10


def opportunities(
    ticker: Annotated[str, typer.Argument(help="One ticker, such as SPY.")],
    horizon: Annotated[str, typer.Option("--horizon", help="One of 24h, 48h, 72h, 96h, 168h.")] = "168h",
    structure: Annotated[str, typer.Option("--structure", help="Only this structure, such as iron_condor.")] = "",
    top: Annotated[int, typer.Option("--top", min=1, help="Rows shown, best first.")] = _TOP,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", help="Write the best row's payoff, with the distribution under it, to this PNG."),
    ] = None,
    source: Source = "",
    as_json: AsJson = False,
) -> None:
    """Show what structures are expected to bring under the forecast of the newest session, after costs and beside the
    market's own distribution, best first; and what the rule expected_value does."""
    if "," in ticker or "," in horizon:
        raise ConfigurationError("opportunities takes one ticker and one --horizon")
    from resources.storage.parquet_store import ParquetStore
    from trading_dag.reporting.opportunity_table import opportunity_table
    from trading_dag.reporting.tables import records
    from trading_dag.schemas import OPPORTUNITIES
    from trading_dag.strategy.opportunities.choice import choose

    context = CommandContext(source, ticker, horizon)
    store, key = ParquetStore(context.settings.home), context.research_slices[0]
    stored = store.read(OPPORTUNITIES, key)
    if stored.empty:
        raise InsufficientDataError(
            f"signals.opportunities [{key}] has no rows: no session has forecasts of price and volatility level, 250 "
            "known outcomes and quotes"
        )
    newest = stored[stored["session"] == stored["session"].max()]
    rule = records(choose(newest, context.settings.selector))[0]
    shown = newest.sort_values("rank", kind="stable")
    if structure:
        shown = shown[shown["structure"] == structure]
        if shown.empty:
            names = ", ".join(sorted(newest["structure"].unique()))
            raise ConfigurationError(
                f"no opportunity of {structure!r} at {newest['session'].iloc[0]:%Y-%m-%d}: {names}"
            )
    shown, recorded = shown.head(top), stored.attrs.get("source")
    if picture is not None:
        picture.write_bytes(_picture(context, store, key, shown.iloc[0], recorded))
    if as_json:
        print_json({"opportunities": records(shown), "expected_value": rule, "source": recorded})
        return
    context.console.print(opportunity_table(shown))
    context.console.print(str(shown["reason"].iloc[0]))
    taken = "trades nothing" if rule["structure"] == "no_trade" else f"takes {rule['structure']} {rule['strikes']}"
    context.console.print(f"Rule expected_value {taken}: {rule['reason']}")
    print_notice(context, [(str(key.ticker), recorded)])
    if picture is not None:
        context.console.print(f"picture: {picture}")


def _picture(
    context: CommandContext, store: ParquetStore, key: SliceKey, row: pd.Series[Any], source: str | None
) -> bytes:
    from trading_dag.options.structures.user_structures import structures_by_name
    from trading_dag.plots import to_png
    from trading_dag.plots.opportunities import opportunity_figure
    from trading_dag.schemas import CHAIN_ANALYTICS, MACRO_TABLE
    from trading_dag.slices import horizon_of
    from trading_dag.strategy.opportunities.view import view, view_inputs

    told = {str(name): value for name, value in row.items()}
    menu, horizon = structures_by_name(context.settings.structures), horizon_of(str(key.horizon))
    optional = (MACRO_TABLE, CHAIN_ANALYTICS)
    inputs = view_inputs(
        lambda table: (store.read_or_empty if table in optional else store.read)(table, key.of_table(table))
    )
    seen = view(told, inputs, horizon=horizon, settings=context.settings, menu=menu)
    name = str(row["structure"]).replace("_", " ")
    title = f"{key.ticker} {row['session']:%Y-%m-%d} · {name} {row['strikes']} · {row['expiration']:%Y-%m-%d}"
    return to_png(opportunity_figure(seen, row, title=titled(title, source)))
