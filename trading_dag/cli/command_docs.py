"""The page docs/commands.md: every command with its options and examples, from the commands themselves.

``python -m trading_dag.cli.command_docs`` writes it to standard output.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Final

import typer

_HEAD: Final = """\
# Commands

Written from the commands themselves by `make docs`; do not edit by hand. The program is `.venv/bin/trading-dag`; every
command has `--help`, and `-q`, `-v`, `-vv` for less and more to read. Exit codes: 0 done, 1 work failed, 2 bad usage,
130 and 143 stopped.

`trading-dag --install-completion` lets the shell complete commands and options (`--show-completion` only prints what
that would add).

"""


def command_reference() -> str:
    """Return the text of docs/commands.md."""
    from trading_dag.cli.commands import app

    group = typer.main.get_command(app)
    return _HEAD + "\n".join(_section(name, command) for name, command in _commands(group))


def _commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Return every command by its full name; those of a group come after it."""
    for name, command in getattr(group, "commands", {}).items():
        yield f"{prefix}{name}", command
        yield from _commands(command, f"{prefix}{name} ")


def _section(name: str, command: Any) -> str:
    text, _, examples = (command.help or "").partition("Examples:")
    lines = [f"## {name}", "", " ".join(text.split()), ""]
    options = [row for parameter in command.params if (row := _row(parameter))]
    if options:
        lines += ["| argument or option | what it does |", "|---|---|", *options, ""]
    shown = [line.strip() for line in examples.splitlines() if line.strip()]
    if shown:
        lines += ["```", *shown, "```", ""]
    return "\n".join(lines)


def _row(parameter: Any) -> str:
    """Return the line of one argument or option; empty for those that every command has."""
    if getattr(parameter, "hidden", False) or parameter.name in ("help", "quiet", "verbose"):
        return ""
    is_argument = parameter.param_type_name == "argument"
    shown = str(parameter.name).upper() if is_argument else ", ".join((*parameter.opts, *parameter.secondary_opts))
    text = " ".join((getattr(parameter, "help", "") or "").split())
    return f"| `{shown}` | {text.replace('|', chr(92) + '|')} |"


if __name__ == "__main__":
    sys.stdout.write(command_reference())
