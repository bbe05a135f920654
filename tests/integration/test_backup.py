"""``trading-dag backup`` and ``restore`` on the state of a real run, which goes on elsewhere as it would have here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from resources.backup.contents import FOLDERS, REBUILT
from resources.storage.parquet_store import ParquetStore
from tests.conftest import Workspace
from tests.integration.processes import rows
from trading_dag.schemas import TABLES

pytestmark = pytest.mark.slow


def hashes(home: Path) -> dict[str, str]:
    store = ParquetStore(home)
    found = {}
    for table in TABLES.values():
        for key in store.slices(table) if table.slice != "ticker_year" else ():
            provenance = store.provenance(table, key)
            assert provenance is not None
            found[f"{table.qualified_name} {key}"] = provenance.content_hash
    return found


def test_a_state_restored_into_an_empty_folder_goes_on_where_it_was(sample_run: Workspace, tmp_path: Path) -> None:
    told = sample_run.run("backup", str(tmp_path / "state.tar.zst"), "--json")
    assert told.returncode == 0, told.stderr
    home = tmp_path / "elsewhere"
    home.mkdir()
    place = Workspace(home)
    back = place.run("restore", str(tmp_path / "state.tar.zst"), "--json")
    assert back.returncode == 0, back.stderr
    assert json.loads(back.stdout)["files"] == json.loads(told.stdout)["files"] > 100
    assert hashes(home) == hashes(sample_run.home)
    assert len(hashes(home)) > 50
    query = "select run_id, status from runs order by run_id"
    assert rows(home, query) == rows(sample_run.home, query)

    assert place.run("signal", "--all", "--json").stdout == sample_run.run("signal", "--all", "--json").stdout
    before = len(rows(home, query))
    on = place.run("refresh", "--tickers", "SPX", "--horizons", "24h", "--json")
    assert on.returncode == 0, on.stderr
    assert hashes(home) == hashes(sample_run.home), "all that was up to date there is up to date here"
    assert len(rows(home, query)) > before

    again = place.run("restore", str(tmp_path / "state.tar.zst"))
    assert again.returncode == 1
    assert "has a state already" in again.stderr


def test_everything_that_a_run_leaves_in_its_home_is_backed_up_or_made_anew(sample_run: Workspace) -> None:
    left = {path.name for path in sample_run.home.iterdir()} - set(FOLDERS)
    assert left <= {*REBUILT, ".restore.lock"}, "a folder of the state that resources/backup/contents.py does not know"


def test_a_restore_is_refused_while_a_process_has_the_history_open(tmp_path: Path) -> None:
    holder = (
        "import sys; from pathlib import Path; from resources.runs.process_marks import ProcessMarks; "
        "ProcessMarks(Path(sys.argv[1])).own(); print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path / ".dagster" / "processes")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        refused = Workspace(tmp_path).run("restore", str(tmp_path / "none"))
        assert refused.returncode == 1
        assert "end trading-dag ui" in refused.stderr
        process.kill()
    assert "is no file" in Workspace(tmp_path).run("restore", str(tmp_path / "none")).stderr
