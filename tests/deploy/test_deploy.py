"""What lies in deploy/ names only what there is (files, commands, options, extras), and keeps to this machine."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml

from tests.conftest import REPOSITORY
from trading_dag.cli.commands import app

DEPLOY = REPOSITORY / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
SERVICES = [path for path in UNITS if path.suffix == ".service"]
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
PARTS = [name for name, service in COMPOSE["services"].items() if service.get("image") == "trading-dag"]
PROGRAM = "/opt/trading-dag/.venv/bin/trading-dag"
COMPOSE_SCHEMA = Path("/usr/lib/python3/dist-packages/compose/config/compose_spec.json")  # of Debian's docker-compose


def lines_of(unit: Path, name: str) -> list[str]:
    """The values of a setting that a unit may have several times."""
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), flags=re.MULTILINE)


def assert_is_a_command(arguments: list[str]) -> None:
    """The command line takes these words; nothing is done."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("trading-dag", list(arguments))
    name, found, rest = command.resolve_command(context, list(arguments))
    found.make_context(name, rest, parent=context)


def filled(text: str) -> str:
    """A value of the compose file with its variables at their defaults."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", r"\2", text)


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_unit_starts_commands_that_there_are(unit: Path) -> None:
    commands = [shlex.split(line) for line in lines_of(unit, "ExecStart")]
    assert commands
    for program, *arguments in commands:
        if program == PROGRAM:
            assert_is_a_command(arguments)
        else:
            assert Path(program).is_file()


def test_every_timer_has_its_service_and_every_document_is_there() -> None:
    timers = {unit.stem for unit in UNITS if unit.suffix == ".timer"}
    assert timers == {unit.stem for unit in SERVICES} - {"trading-dag"}
    for unit in SERVICES:
        for document in lines_of(unit, "Documentation"):
            assert (REPOSITORY / document.removeprefix("file:/opt/trading-dag/")).is_file()


def test_units_are_read_without_a_word_by_systemd(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd on this machine")
    for unit in UNITS:
        text = unit.read_text().replace(PROGRAM, shutil.which("true") or "/bin/true")
        (tmp_path / unit.name).write_text(text)
    units = [str(tmp_path / unit.name) for unit in UNITS]
    done = subprocess.run([analyze, "verify", *units], capture_output=True, text=True, check=False)
    told = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "trading-dag" in line]
    assert told == [], done.stderr


def test_the_service_is_started_again_however_often_it_ends_and_stopping_it_is_no_failure() -> None:
    (unit,) = (unit for unit in SERVICES if unit.stem == "trading-dag")
    read = configparser.ConfigParser(strict=False, interpolation=None)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read_string(unit.read_text())
    assert read["Service"]["Restart"] == "always"
    assert read["Unit"]["StartLimitIntervalSec"] == "0"
    assert read["Service"]["SuccessExitStatus"] == "143"


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_the_compose_file_is_a_command_that_there_is_on_this_machine_alone(part: str) -> None:
    service = COMPOSE["services"][part]
    assert_is_a_command([filled(word) for word in service["command"]])
    assert service["network_mode"] == "host"
    assert "ports" not in service
    assert service["environment"]["TRADING_DAG_HOME"] == "/home/trader/state"
    for volume in service["volumes"]:
        source = volume.split(":")[0]
        assert source in COMPOSE["volumes"] or (DEPLOY / source).is_file(), volume
    assert set(service["depends_on"]) <= set(COMPOSE["services"])


def test_the_code_server_is_asked_where_it_listens_and_its_health_by_a_command_that_there_is() -> None:
    services = COMPOSE["services"]
    ports = {services[part]["command"][services[part]["command"].index("--code-server") + 1] for part in PARTS}
    check = services["code"]["healthcheck"]["test"]
    assert (len(ports), check[-1], check[:4]) == (1, ports.pop(), ["CMD", "dagster", "api", "grpc-health-check"])
    from dagster._cli import create_dagster_cli

    api = create_dagster_cli().commands["api"]
    assert isinstance(api, click.Group)
    api.commands["grpc-health-check"].make_context("grpc-health-check", check[4:])


def test_the_database_listens_to_this_machine_alone_on_the_port_that_the_parts_ask() -> None:
    database = COMPOSE["services"]["postgres"]
    assert "listen_addresses=127.0.0.1" in database["command"]
    port = next(filled(word) for word in database["command"] if word.startswith("port=")).removeprefix("port=")
    address = filled(COMPOSE["services"]["web"]["environment"]["DAGSTER_POSTGRES_URL"])
    assert address.endswith(f"@127.0.0.1:{port}/dagster")
    assert f"POSTGRES_PORT={port}" in (DEPLOY / "compose.env.example").read_text()


def test_what_a_part_of_the_compose_file_prints_is_bounded() -> None:
    bounds = {name: part.get("logging", {}).get("options", {}) for name, part in COMPOSE["services"].items()}
    assert [name for name, options in bounds.items() if not {"max-size", "max-file"} <= set(options)] == []


def test_the_compose_file_follows_the_schema_of_its_specification() -> None:
    if not COMPOSE_SCHEMA.is_file():
        pytest.skip("no schema of compose files on this machine (apt-get install docker-compose)")
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(COMPOSE_SCHEMA.read_text())
    schema["properties"]["name"] = {"type": "string"}  # which this edition of the specification had not yet
    jsonschema.Draft7Validator(schema).validate(COMPOSE)


def docker_lines(word: str) -> list[list[str]]:
    """The instructions of one kind in the Dockerfile, as words."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    return [shlex.split(line)[1:] for line in text.splitlines() if line.startswith(f"{word} ")]


def test_what_the_image_copies_is_there_and_reaches_the_builder() -> None:
    allowed = {
        line.removeprefix("!").rstrip("/")
        for line in (REPOSITORY / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {source.removeprefix("./") for *sources, _ in docker_lines("COPY") for source in sources}
    assert copied <= allowed
    assert all((REPOSITORY / source).exists() for source in copied)
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    packages = {name.split(".")[0].rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert packages <= copied
    assert {project["project"]["readme"], "LICENSE", "dagster.yaml", "workspace.yaml", "constraints.txt"} <= copied


def test_the_image_installs_extras_that_there_are_and_starts_a_command_that_there_is() -> None:
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        extras = set(tomllib.load(file)["project"]["optional-dependencies"])
    (installed,) = (" ".join(words) for words in docker_lines("RUN") if "--editable" in words)
    named = re.findall(r"\.\[([\w,]+)\]", installed)
    assert set(named[0].split(",")) <= extras
    assert docker_lines("ENTRYPOINT") == [["[trading-dag]"]]
    assert_is_a_command(json.loads((DEPLOY / "Dockerfile").read_text().split("\nCMD ")[1]))


def test_the_history_in_postgres_is_the_only_way_in_which_its_configuration_is_another() -> None:
    ours, theirs = (
        yaml.safe_load(path.read_text()) for path in (REPOSITORY / "dagster.yaml", DEPLOY / "dagster.postgres.yaml")
    )
    assert ours.pop("storage") != theirs.pop("storage")
    assert ours == theirs
