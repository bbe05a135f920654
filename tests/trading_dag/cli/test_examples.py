"""Every command shows examples in its help, and every example is one that the command takes."""

from __future__ import annotations

import shlex

import pytest
import typer

from trading_dag.cli.commands import app
from trading_dag.cli.examples import EXAMPLES

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def test_every_command_has_examples_and_there_are_no_others() -> None:
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("example", [example for examples in EXAMPLES.values() for example in examples])
def test_an_example_is_what_its_command_takes(example: str) -> None:
    name, *arguments = shlex.split(example)
    command = COMMANDS[name]
    context = command.make_context(name, arguments)  # refuses an option that there is not
    assert context.command is command
    assert f"trading-dag {example}" in command.help


def test_the_help_keeps_its_words_apart(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        app(["predict", "--help"])
    shown = capsys.readouterr().out
    assert "trading-dag predict SPY --date 2024-01-16 --json" in shown
    assert "and     structure" not in shown
