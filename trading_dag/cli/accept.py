"""``trading-dag accept``: the user declares a bar to be true although a rule refuses or doubts it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from trading_dag.cli.arguments import AsJson, Source
from trading_dag.cli.context import CommandContext
from trading_dag.cli.printing import print_json
from trading_dag.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

    from resources.storage.accepted_bars import AcceptedBars

LONGEST_REASON: Final = 300


def accept(
    ticker: Annotated[str, typer.Argument(help="The ticker of the bar.")],
    session: Annotated[
        datetime, typer.Argument(formats=["%Y-%m-%d"], help="The session of the bar, such as 2010-05-06.")
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why the bar is true; kept with the data.")] = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Withdraw an acceptance.")] = False,
    source: Source = "",
    as_json: AsJson = False,
) -> None:
    """Accept a daily bar that a rule refuses or doubts. The acceptance is kept in data/accepted_bars.json, with the
    reason, and holds as long as the bar does not change."""
    import pandas as pd

    from resources.storage.accepted_bars import AcceptedBars
    from resources.storage.parquet_store import ParquetStore

    context = CommandContext(source, ticker)
    name, day = context.tickers[0], pd.Timestamp(session).as_unit("us")
    accepted_bars = AcceptedBars(ParquetStore(context.settings.home).data)
    if withdraw:
        if not accepted_bars.withdraw(name, f"{day:%Y-%m-%d}"):
            raise ConfigurationError(f"no bar of {name} on {day:%Y-%m-%d} is accepted; trading-dag doctor lists them")
        _say(context, {"ticker": name, "session": f"{day:%Y-%m-%d}", "withdrawn": True}, as_json=as_json)
        return
    rules = _accept(context, accepted_bars, name, day, reason=_checked(reason))
    said = {"ticker": name, "session": f"{day:%Y-%m-%d}", "rules": rules, "file": str(accepted_bars.path)}
    _say(context, said, as_json=as_json)


def _checked(reason: str) -> str:
    text = reason.strip()
    if not text or len(text) > LONGEST_REASON or not text.isprintable():
        raise ConfigurationError(
            f"--reason is needed: why the bar is true, in one line of at most {LONGEST_REASON} characters"
        )
    return text


def _accept(
    context: CommandContext, accepted_bars: AcceptedBars, name: str, day: pd.Timestamp, *, reason: str
) -> list[str]:
    """Accept the bar that the source has now; return the rules that it breaks."""
    import pandas as pd

    from resources.sources.choose import build_source
    from resources.storage.parquet_store import ParquetStore
    from resources.storage.peers import peers_of
    from trading_dag.quality import QualityContext, examine, rules_of
    from trading_dag.quality.acceptance import accepted_bar
    from trading_dag.schemas import PRICES_DAILY
    from trading_dag.sessions import last_closed_session

    prices = build_source(context.settings).prices_daily(name)
    bar = accepted_bar(prices, day, reason=reason, now=pd.Timestamp.now("UTC"))
    if bar is None:
        raise ConfigurationError(f"the source {context.settings.source} has no bar of {name} on {day:%Y-%m-%d}")
    peers = peers_of(ParquetStore(context.settings.home), name, source=context.settings.source)
    quality = QualityContext(now_session=last_closed_session(), peers=peers)
    findings = examine(PRICES_DAILY, prices, context=quality)
    at = (prices["session"] == day).to_numpy()
    broken = {rule.name: rule for rule in rules_of(PRICES_DAILY) if findings[rule.name].mask[at].any()}
    rules = [rule for rule, which in broken.items() if which.can_be_accepted]
    if not rules:
        others = f"only {', '.join(broken)}, which nobody can accept" if broken else "no rule"
        raise ConfigurationError(f"the bar of {name} on {day:%Y-%m-%d} breaks {others}; there is nothing to accept")
    accepted_bars.accept(bar)
    return rules


def _say(context: CommandContext, said: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(said)
        return
    if said.get("withdrawn"):
        text = f"{said['ticker']} {said['session']} is no longer accepted"
    else:
        text = f"{said['ticker']} {said['session']} is accepted ({', '.join(said['rules'])}), in {said['file']}"
    context.console.print(f"{text}. Next: trading-dag run --tickers {said['ticker']}")
