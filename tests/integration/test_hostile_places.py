"""Places and settings as they should not be: each is one line on the terminal that names it, and no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from resources.runs.history import RunHistory
from tests.conftest import Workspace

BAD_USAGE, WORK_FAILED = 2, 1
DEEP = "[" * 100_000


def refused(workspace: Workspace, *arguments: str, code: int, words: tuple[str, ...]) -> None:
    """The command ends with that code and one line, which has all the words."""
    done = workspace.run(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(told) == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert [word for word in words if word not in told[0]] == [], told[0]


SETTINGS: dict[str, tuple[tuple[str, str], tuple[str, ...]]] = {
    "JSON that is none": (("TRADING_DAG_EARNINGS_COMPANIES", "{bad"), ("TRADING_DAG_EARNINGS_COMPANIES", "JSON")),
    "JSON of another form": (("TRADING_DAG_EARNINGS_COMPANIES", "[1]"), ("settings", "earnings_companies")),
    "a group that is no JSON": (("TRADING_DAG_BACKTEST", "yes"), ("TRADING_DAG_BACKTEST", "JSON")),
    "JSON without a bottom": (("TRADING_DAG_HTTP", DEEP), ("nested too deep",)),
    "a number without an end": (("TRADING_DAG_BACKTEST__SEED", "9" * 5_000), ("settings", "backtest.seed")),
    "not a number": (("TRADING_DAG_BACKTEST__ACCOUNT_USD", "nan"), ("settings", "backtest.account_usd")),
    "infinity": (("TRADING_DAG_BACKTEST__ACCOUNT_USD", "inf"), ("settings", "backtest.account_usd")),
    "a user who is none": (("TRADING_DAG_HOME", "~nosuchuser"), ("settings", "home", "~nosuchuser")),
    "files of a user who is none": (("TRADING_DAG_FILES", "~nosuchuser/data"), ("settings", "files", "~nosuchuser")),
    "no workers": (("TRADING_DAG_WORKERS", "0"), ("settings", "workers")),
    "a source that is none": (("TRADING_DAG_SOURCE", "\x1b[31mlive"), ("settings", "source")),
    "a ticker that is a path": (("TRADING_DAG_TICKERS", "../../etc/passwd"), ("../../etc/passwd",)),
    "a ticker that is SQL": (("TRADING_DAG_UNIVERSE", "'; drop"), ("'; drop",)),
}


@pytest.mark.parametrize("case", list(SETTINGS))
@pytest.mark.parametrize("command", ["run", "doctor"])
def test_a_setting_that_cannot_be_is_one_line_that_names_it(tmp_path: Path, case: str, command: str) -> None:
    variable, words = SETTINGS[case]
    refused(Workspace(tmp_path, (variable,)), command, code=BAD_USAGE, words=words)


@pytest.mark.parametrize(
    "held",
    [b"\xff\xfeT\x00R\x00A\x00D\x00I\x00N\x00G\x00", b"TRADING_DAG_TICKERS=SP\xd6X\n", b"# caf\xe9\n"],
    ids=["UTF-16", "Latin-1 in a value", "Latin-1 in a comment"],
)
def test_an_environment_file_that_is_no_utf_8_is_one_line_that_says_so(tmp_path: Path, held: bytes) -> None:
    (tmp_path / ".env").write_bytes(held)
    refused(Workspace(tmp_path), "doctor", code=BAD_USAGE, words=(".env", "UTF-8"))


def test_an_environment_file_of_a_windows_editor_is_read_from_its_first_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfTRADING_DAG_SOURCE=nowhere\r\n")
    refused(Workspace(tmp_path), "doctor", code=BAD_USAGE, words=("settings", "source"))


CONFIGURATIONS = {
    "no YAML": "storage: [1",
    "another type": "run_monitoring: {enabled: maybe}",
    "a name that is none": "no_such_setting: 1",
    "a list": "- 1",
    "a module that is none": "run_launcher: {module: no_such_module, class: X, config: {}}",
    "a class that is none": "run_launcher: {module: resources.runs.launcher, class: X, config: {}}",
}


@pytest.mark.parametrize("case", list(CONFIGURATIONS))
def test_a_configuration_that_dagster_cannot_read_is_one_line_that_names_the_file(tmp_path: Path, case: str) -> None:
    path = tmp_path / "dagster.yaml"
    path.write_text(CONFIGURATIONS[case])
    refused(Workspace(tmp_path), "run", "--tickers", "SPX", code=BAD_USAGE, words=(str(path),))


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("history/runs.db", ("run", "--tickers", "SPX")),
        ("history/event_log.db", ("run", "--tickers", "SPX")),
        ("history/event_log.db", ("import-chains", "x.csv")),
        ("schedules/schedules.db", ("run", "--tickers", "SPX")),
    ],
)
def test_a_run_history_of_garbage_is_one_line_with_its_remedy(
    tmp_path: Path, name: str, command: tuple[str, ...]
) -> None:
    path = tmp_path / ".dagster" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"garbage " * 4_096)
    words = (str(tmp_path / ".dagster"), "not a database", "move the folder away")
    refused(Workspace(tmp_path), *command, code=WORK_FAILED, words=words)


def test_an_event_log_that_is_empty_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "history").mkdir()
    (tmp_path / "history" / "event_log.db").touch()
    history = RunHistory.from_local(str(tmp_path))
    assert history.event_log_storage.all_asset_keys() == []


def as_file(path: Path) -> None:
    path.write_text("a file")


def as_folder(path: Path) -> None:
    (path / "something").mkdir(parents=True)


def as_link_to_itself(path: Path) -> None:
    path.symlink_to(path)


STRANGERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "the state is a file": (".dagster", as_file),
    "the state is a link to itself": (".dagster", as_link_to_itself),
    "the warehouse is a folder": ("warehouse.duckdb", as_folder),
    "the data are a file": ("data", as_file),
    "the configuration is a folder": (".dagster/dagster.yaml", as_folder),
    "the run history is a file": (".dagster/history", as_file),
    "the claims are a file": (".dagster/claims", as_file),
}


@pytest.mark.parametrize("case", list(STRANGERS))
def test_a_home_with_something_else_in_a_files_place_is_one_line_that_names_it(tmp_path: Path, case: str) -> None:
    name, make = STRANGERS[case]
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    make(tmp_path / name)
    refused(Workspace(tmp_path), "run", "--tickers", "SPX", code=WORK_FAILED, words=(str(tmp_path / name),))


def run_in(folder: Path, *arguments: str, script: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, or a shell's line that ends in it."""
    command = [sys.executable, "-P", "-m", "trading_dag.cli", *arguments]
    shell = ["/bin/sh", "-c", f'{script} "$@"', "sh"] if script else []
    environment = {**Workspace(folder).environment, **variables}
    return subprocess.run(
        [*shell, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False,
        errors="replace",
    )  # fmt: skip


OUTPUTS: dict[str, tuple[str, dict[str, str]]] = {
    "an output that knows ASCII only": ("exec", {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}),
    "no output at all": ("exec >&- 2>&-", {}),
    "an output that is full": ("exec >/dev/full", {}),
    "a width that is none": ("exec", {"COLUMNS": "wide"}),
    "a width without an end": ("exec", {"COLUMNS": "9" * 30}),
    "a terminal that is none": ("exec", {"TERM": "nonsense"}),
}


@pytest.mark.parametrize("case", list(OUTPUTS))
def test_an_output_of_any_kind_gives_no_traceback(tmp_path: Path, case: str) -> None:
    script, variables = OUTPUTS[case]
    script = "exec" if script == "exec" else f"{script}; exec"
    done = run_in(tmp_path, "doctor", script=script, **variables)
    assert done.returncode == (WORK_FAILED if "full" in case else 0), done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_folder_that_was_removed_under_the_command_is_no_traceback(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = run_in(tmp_path, "doctor", script=f"cd '{gone}' && rmdir '{gone}' && exec")
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode in (0, WORK_FAILED)


def test_an_argument_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trading_dag.cli", "signal", os.fsdecode(b"\xff\xfe")],
        cwd=tmp_path, env=Workspace(tmp_path).environment, capture_output=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == BAD_USAGE
    assert done.stderr.count(b"\n") == 1


@pytest.mark.long
def test_a_worker_that_cannot_start_says_why_and_nobody_speaks_of_memory(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'forkserver' in ' '.join(sys.orig_argv):\n"
        "    import dagster\n"
        "    def refuse(*_):\n"
        "        raise RuntimeError('no instance for workers')\n"
        "    dagster.DagsterInstance.get = staticmethod(refuse)\n"
    )
    done = run_in(tmp_path, "run", "--tickers", "SPX", "--horizons", "24h", "--json", PYTHONPATH=str(tmp_path))
    assert done.returncode == WORK_FAILED, done.stdout + done.stderr
    assert "a worker process cannot start: RuntimeError: no instance for workers" in done.stdout
    assert "memory" not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("command", "blocks", "words"),
    [
        (("sql",), 200, ("warehouse.duckdb", "cannot be built")),  # more than the tables' columns take, less than views
        (("run", "--tickers", "SPX"), 64, (".dagster",)),
    ],
    ids=["while the warehouse is built", "while the run history is made"],
)
def test_a_disk_that_is_full_is_one_line_and_leaves_no_half_file(
    tmp_path: Path, command: tuple[str, ...], blocks: int, words: tuple[str, ...]
) -> None:
    done = run_in(tmp_path, *command, script=f"ulimit -f {blocks}; exec")  # no file of more half kilobytes than that
    assert done.returncode == WORK_FAILED, done.stdout + done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(told) == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert [word for word in words if word not in told[0]] == [], told[0]
    assert list(tmp_path.glob("*warehouse.duckdb*")) == []


@pytest.mark.parametrize(("mode", "is_told"), [(0o600, False), (0o644, True), (0o660, True)])
def test_doctor_mentions_an_environment_file_that_others_may_read(tmp_path: Path, mode: int, is_told: bool) -> None:
    path = tmp_path / ".env"
    path.write_text("FRED_API_KEY=secret\n")
    path.chmod(mode)
    done = Workspace(tmp_path).run("doctor")
    assert (f"chmod 600 {path}" in " ".join(done.stdout.split())) == is_told
    assert "secret" not in done.stdout
