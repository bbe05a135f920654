"""The notebooks of examples/ run from their first cell to their last, on what the main job has stored."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

from tests.conftest import REPOSITORY, Workspace

NOTEBOOKS = sorted((REPOSITORY / "examples").glob("*.ipynb"))


def executed(notebook: Path, monkeypatch: pytest.MonkeyPatch, *, home: Path | None) -> Any:
    """Return the notebook with what its cells gave; a cell that fails raises."""
    if home is not None:
        monkeypatch.setenv("TRADING_DAG_HOME", str(home))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(REPOSITORY), os.environ.get("PYTHONPATH", ""))))
    read = nbformat.read(notebook, as_version=4)
    client = nbclient.NotebookClient(read, timeout=600, resources={"metadata": {"path": str(notebook.parent)}})
    return client.execute()


def test_there_are_the_four_of_the_readme() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["feature", "model", "sql", "structure"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_that_was_computed_is_kept_in_the_file(notebook: Path) -> None:
    cells = nbformat.read(notebook, as_version=4).cells
    assert [cell.outputs for cell in cells if cell.cell_type == "code" and cell.outputs] == []


@pytest.mark.slow
def test_a_structure_of_ones_own_trades_without_a_warehouse(monkeypatch: pytest.MonkeyPatch) -> None:
    done = executed(REPOSITORY / "examples" / "structure.ipynb", monkeypatch, home=None)
    assert any("days_to_expiration" in str(cell.get("outputs", "")) for cell in done.cells)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sql", "feature", "model"])
def test_a_notebook_on_the_warehouse_runs_to_its_end(
    name: str, sample_run: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample_run.run("sql", "select 1")  # makes the views of the copied home
    done = executed(REPOSITORY / "examples" / f"{name}.ipynb", monkeypatch, home=sample_run.home)
    assert done.cells[-1].outputs
