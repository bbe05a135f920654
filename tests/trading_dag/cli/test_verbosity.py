"""Every command takes -q and -v; quiet, only failures and JSON are printed; verbose, each log line is written once."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from assets.run.log_output import LOG_LEVEL_VARIABLE, LOGGERS, log_to_stderr
from trading_dag.cli.commands import app
from trading_dag.cli.context import CommandContext


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRADING_DAG_HOME", str(tmp_path))
    monkeypatch.setenv(LOG_LEVEL_VARIABLE, "")
    return tmp_path


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    before = {name: (logging.getLogger(name).level, list(logging.getLogger(name).handlers)) for name in LOGGERS}
    yield
    for name, (level, handlers) in before.items():
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).handlers[:] = handlers


def test_every_command_takes_both_options() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert len(commands) > 15
    below = [
        (f"{name} {inner}", one)
        for name, group in commands.items()
        for inner, one in getattr(group, "commands", {}).items()
    ]
    alone = [(name, command) for name, command in commands.items() if not hasattr(command, "commands")]
    assert below
    for name, command in alone + below:
        flags = {flag for option in command.params for flag in option.opts}
        assert {"-q", "--quiet", "-v", "--verbose"} <= flags, name


@pytest.mark.usefixtures("home")
def test_quiet_prints_no_table_but_json_where_it_is_asked_for() -> None:
    assert CliRunner().invoke(app, ["sql", "select 1 as one", "-q"]).output == ""
    told = CliRunner().invoke(app, ["sql", "select 1 as one", "-q", "--json"]).output
    assert json.loads(told) == [{"one": 1}]


@pytest.mark.usefixtures("home")
def test_quiet_prints_what_went_wrong(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(LOG_LEVEL_VARIABLE, "error")
    context = CommandContext()
    context.console.print("a table")
    context.failure_console.print("a failure")
    assert capsys.readouterr().out == "a failure\n"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(("option", "levels"), [("-v", ["INFO"]), ("-vv", ["DEBUG", "INFO"]), ("-q", [])])
def test_the_level_is_what_the_option_says_and_lines_go_to_stderr(
    option: str, levels: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert CliRunner().invoke(app, ["sql", "select 1", option]).exit_code == 0
    log_to_stderr(CommandContext().settings.log_level or "")  # once more adds no second line
    logger = logging.getLogger("trading_dag.models.learning.training")
    logger.debug("fold 1")
    logger.info("fitted")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [line.split()[2] for line in captured.err.splitlines()] == levels


@pytest.mark.usefixtures("home")
def test_without_an_option_nothing_is_changed() -> None:
    before = [logging.getLogger(name).level for name in LOGGERS]
    assert CliRunner().invoke(app, ["sql", "select 1"]).exit_code == 0
    assert [logging.getLogger(name).level for name in LOGGERS] == before
