"""Which process a run is forked from: one serves until what it imported is no longer what stands on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from resources.runs import launcher as launcher_module
from resources.runs.launcher import LocalRunLauncher
from trading_dag.cli import run_server
from trading_dag.errors import ServerError


class Server:
    """Stands for a process: it answers that it is stale from the given run on."""

    made: list[Server]
    stale_from: int

    def __init__(self, definitions: str) -> None:
        self.definitions, self.started, self.lives = definitions, list[str](), True
        Server.made.append(self)

    def start(self, run_id: str) -> int | None:
        if len(self.started) >= Server.stale_from:
            return None
        self.started.append(run_id)
        return 1

    def end(self) -> None:
        self.lives = False


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> LocalRunLauncher:
    Server.made, Server.stale_from = [], 2
    monkeypatch.setattr(launcher_module, "RunServer", Server)
    return LocalRunLauncher()


def test_one_process_serves_until_it_is_stale_and_the_run_it_refused_is_started_by_the_next(
    launcher: LocalRunLauncher,
) -> None:
    for run_id in ("a", "b", "c"):
        launcher._start("definitions", run_id)
    assert [server.started for server in Server.made] == [["a", "b"], ["c"]]
    assert [server.lives for server in Server.made] == [False, True]


def test_a_process_that_died_is_replaced_and_each_module_has_its_own(launcher: LocalRunLauncher) -> None:
    launcher._start("definitions", "a")
    launcher._start("others", "b")
    Server.made[0].lives = False
    launcher._start("definitions", "c")
    assert [(server.definitions, server.started) for server in Server.made] == [
        ("definitions", ["a"]),
        ("others", ["b"]),
        ("definitions", ["c"]),
    ]


def test_code_that_never_holds_still_is_an_error(launcher: LocalRunLauncher) -> None:
    Server.stale_from = 0
    with pytest.raises(ServerError, match="change faster"):
        launcher._start("definitions", "a")
    assert not any(server.lives for server in Server.made)


def test_a_changed_a_new_and_a_lost_module_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "probed_package"
    folder.mkdir()
    for name in ("__init__", "one"):
        (folder / f"{name}.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(run_server, "PACKAGES", ("probed_package",))
    first = run_server.sources_on_disk()
    assert run_server.sources_on_disk() == first
    os.utime(folder / "one.py", ns=(1, 1))
    changed = run_server.sources_on_disk()
    (folder / "two.py").write_text("")
    grown = run_server.sources_on_disk()
    (folder / "one.py").unlink()
    assert len({first, changed, grown, run_server.sources_on_disk()}) == 4
