"""The command that says what a name of the project means."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from trading_dag.cli.arguments import AsJson
from trading_dag.cli.printing import print_json

if TYPE_CHECKING:
    from trading_dag.reporting.explanations import Explanation

_PAGES = "docs/"


def explain(
    name: Annotated[
        str, typer.Argument(help="A feature, table, column, metric, baseline, model, structure, exit, rule or setting.")
    ] = "",
    kind: Annotated[str, typer.Option("--kind", help="List every name of this kind, such as feature or exit.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say what a name means, from the place that defines it; without a name, how many names of each kind there are."""
    from trading_dag.reporting.explanations import explain as meanings
    from trading_dag.reporting.explanations import explanations

    if name and kind:
        raise typer.BadParameter("give a name or --kind, not both")
    if name:
        found = meanings(name)
        print_json([one.record for one in found]) if as_json else _print(found)
        return
    everything = list(explanations())
    counts = Counter(one.kind for one in everything)
    if kind and kind not in counts:
        raise typer.BadParameter(f"there is no kind {kind!r}; there are {', '.join(counts)}", param_hint="--kind")
    if kind:
        chosen = [one for one in everything if one.kind == kind]
        print_json([one.record for one in chosen]) if as_json else _list(chosen)
    elif as_json:
        print_json(dict(counts))
    else:
        for each, count in counts.items():
            typer.echo(f"{count:5,} {each}{'s' if count > 1 else ''}")
        typer.echo("One of them: trading-dag explain NAME. All of a kind: trading-dag explain --kind exit")


def _print(found: list[Explanation]) -> None:
    """Print each meaning as a short paragraph, blank lines between them."""
    from trading_dag.cli.plain_console import PlainConsole, marked

    console = PlainConsole()
    for place, one in enumerate(found):
        if place:
            console.print()
        console.print(marked(one.name, "bold", f"  {one.kind}{f' of {one.where}' if one.where else ''}"))
        console.print(f"  {one.meaning}")
        for heading, text in one.details.items():
            console.print(f"  {heading}: {text}")
        console.print(marked(f"  {one.page if one.page.startswith('.') else _PAGES + one.page}", "dim"))


def _list(found: list[Explanation]) -> None:
    from trading_dag.cli.plain_console import PlainConsole
    from trading_dag.reporting.text import new_table

    table = new_table("", ("name", "where", "meaning"))
    for one in found:
        table.add_row(one.name, one.where, one.meaning)
    PlainConsole().print(table)
