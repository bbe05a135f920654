"""``trading-dag explain`` works without anything that was run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def test_a_name_is_explained_with_its_formula_and_where_it_stands(workspace: Workspace) -> None:
    done = workspace.run("explain", "iv_rank")
    assert done.returncode == 0, done.stderr
    assert "feature of features.implied_volatility" in done.stdout
    assert "low252" in done.stdout


def test_json_holds_the_same(workspace: Workspace) -> None:
    (found,) = json.loads(workspace.run("explain", "brier_sign", "--json").stdout)
    assert (found["kind"], found["better"], found["page"]) == ("metric", "lower", "metrics.md")


def test_without_a_name_the_kinds_are_counted_and_one_can_be_listed(workspace: Workspace) -> None:
    counts = json.loads(workspace.run("explain", "--json").stdout)
    assert counts["exit"] == len(json.loads(workspace.run("explain", "--kind", "exit", "--json").stdout))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(("iv_rnk",), "iv_rank"), (("--kind", "feeling"), "feature"), (("iv_rank", "--kind", "exit"), "not both")],
)
def test_what_cannot_be_explained_is_one_line_and_exit_code_two(
    workspace: Workspace, arguments: tuple[str, ...], word: str
) -> None:
    done = workspace.run("explain", *arguments)
    assert done.returncode == 2
    assert word in done.stderr
    assert "Traceback" not in done.stderr
