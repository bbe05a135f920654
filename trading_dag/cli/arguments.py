"""Options that several commands share, worded once."""

from __future__ import annotations

from typing import Annotated

import typer

Tickers = Annotated[str, typer.Option("--tickers", help="Comma-separated, such as SPY,QQQ. Default: by source.")]
TickersOrOne = Annotated[
    str, typer.Option("--tickers", "--ticker", help="Comma-separated, such as SPY,QQQ. Default: by source.")
]
Horizons = Annotated[str, typer.Option("--horizons", help="Comma-separated, of 12h,24h,48h,72h,96h,168h.")]
Source = Annotated[
    str, typer.Option("--source", help="sample, files, live or simulated. Default: TRADING_DAG_SOURCE or sample.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
