"""How much a command says: ``-q`` and ``-v`` of every command, and ``TRADING_DAG_LOG_LEVEL``.

The level stands in the environment, so that the worker processes of a command log as the command itself does.
"""

from __future__ import annotations

import copy
import os
from functools import cache
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand

from assets.run.log_output import LOG_LEVEL_VARIABLE

_LEVELS: Final = {1: "info", 2: "debug"}


class TalkativeCommand(TyperCommand):
    """Adds ``-q`` and ``-v`` to the options of a command."""

    def __init__(self, *arguments: Any, params: list[Any] | None = None, **options: Any) -> None:
        super().__init__(*arguments, params=[*(params or []), *map(copy.copy, _options())], **options)


@cache
def _options() -> tuple[Any, ...]:
    """Return the options as typer makes them of a function's; the commands themselves do not receive them."""
    app = typer.Typer(add_completion=False)
    app.command()(_talk)
    options = [option for option in typer.main.get_command(app).params if option.name in ("quiet", "verbose")]
    for option in options:
        option.expose_value = False
    return tuple(options)


def _be_quiet(value: bool) -> None:
    if value:
        os.environ[LOG_LEVEL_VARIABLE] = "error"


def _be_verbose(value: int) -> None:
    if value:
        os.environ[LOG_LEVEL_VARIABLE] = _LEVELS[min(value, 2)]


def _talk(
    quiet: Annotated[
        bool,
        typer.Option(
            "-q", "--quiet", callback=_be_quiet, help="Print failures, and JSON where asked for; nothing else."
        ),
    ] = False,
    verbose: Annotated[
        int,
        typer.Option(
            "-v", "--verbose", count=True, callback=_be_verbose,
            help="Log to stderr what is done; -vv logs also what each model is trained on.",
        ),
    ] = 0,
) -> None:  # fmt: skip
    """Describe the two options."""
