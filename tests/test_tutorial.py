"""The tutorial does what it says: its files, patches and commands are taken from the page itself."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import typer

from tests.conftest import QUICK, REPOSITORY, is_setting
from trading_dag.cli.commands import app
from trading_dag.options.structures.user_structures import parse_structures

PAGE: Final = REPOSITORY / "docs" / "tutorial.md"
_FENCE: Final = re.compile(r"^```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<body>.*?)^```$", re.M | re.S)
INSTALLATION: Final = ("make install", "source .venv")  # of the environment that the tests run in


@dataclass(frozen=True)
class Block:
    """A fenced block of the page: a file where it has a title, else commands."""

    title: str
    body: str


def blocks() -> list[Block]:
    return [Block(found["title"] or "", found["body"]) for found in _FENCE.finditer(PAGE.read_text(encoding="utf-8"))]


def files() -> dict[str, str]:
    return {block.title: block.body for block in blocks() if block.title}


def commands() -> list[str]:
    """Every command of the page, in its order, but for the installation's."""
    lines = [line for block in blocks() if not block.title for line in block.body.splitlines()]
    return [line for line in lines if line and not line.startswith(INSTALLATION)]


def test_the_page_has_what_the_tests_look_at() -> None:
    assert set(files()) == {"make_csv.py", "my_structures.json", "feature.patch", "learner.patch"}
    assert len(commands()) > 15


def test_both_patches_fit_the_code_as_it_is(tmp_path: Path) -> None:
    copy = copy_of_the_project(tmp_path / "project")
    for name in ("feature.patch", "learner.patch"):
        (copy / name).write_text(files()[name], encoding="utf-8")
        applied = subprocess.run(["git", "apply", name], cwd=copy, capture_output=True, text=True)
        assert applied.returncode == 0, applied.stderr


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("trading-dag ")])
def test_each_command_is_one(line: str) -> None:
    group = typer.main.get_command(app)
    name, *arguments = shlex.split(line)[1:]
    group.commands[name].make_context(name, arguments, resilient_parsing=False)  # type: ignore[attr-defined]


def test_the_structure_is_one() -> None:
    (structure,) = parse_structures(files()["my_structures.json"])
    assert structure.name == "broken_wing"


@pytest.mark.long
@pytest.mark.timeout(2_700)
def test_the_whole_tutorial_runs_and_ends_with_the_new_model_beside_the_others(tmp_path: Path) -> None:
    copy = copy_of_the_project(tmp_path / "project")
    for name, body in files().items():
        (copy / name).write_text(body, encoding="utf-8")
    script = "set -e\n" + "\n".join(line.replace("trading-dag sql", "trading-dag sql --json") for line in commands())
    kept = {name: value for name, value in os.environ.items() if not is_setting(name)}
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=copy,
        env={**kept, **QUICK, "PYTHONPATH": str(copy), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=2_600,
    )
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    assert (copy / "broken_wing.png").stat().st_size > 10_000
    assert "daily_range_20  feature of features.technical" in done.stdout
    answers = json_lists(done.stdout)
    assert [len(answer) > 0 for answer in answers] == [True] * len(answers)
    assert "direction_mine" in {row.get("model") for answer in answers for row in answer}
    moves = [row["mean_move"] for row in answers[-1]]
    assert moves[-1] > moves[0]


def json_lists(text: str) -> list[list[dict[str, object]]]:
    """Return every JSON list that stands in a text."""
    decoder, found, place = json.JSONDecoder(), [], 0
    while (place := text.find("\n[", place)) >= 0:
        try:
            value, length = decoder.raw_decode(text[place + 1 :])
        except json.JSONDecodeError:
            place += 1
            continue
        found.append(value)
        place += length
    return found


def copy_of_the_project(target: Path) -> Path:
    """Copy what git knows of the project, as it is in this checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (REPOSITORY / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target / name)
    subprocess.run(["git", "init", "-q"], cwd=target, check=True)
    return target
