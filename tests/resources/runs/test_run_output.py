"""What a run prints is kept for the UI where the service runs it, and not where a command does."""

from __future__ import annotations

import datetime as dt
import os
import stat
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from resources.runs.run_output import OUTPUT_FOLDER, RunOutput, remove_output
from tests.conftest import REPOSITORY

LOG_KEY = ["run-1", "compute_logs", "abcdefgh"]
# Prints by Python, by a child and straight to the stream, before, in and after the capture: as the service, then not.
PRINTS = f"""
import os, subprocess, sys
from resources.runs.process_marks import KEEPS_OUTPUT
from resources.runs.run_output import RunOutput
def prints(folder):
    print("before")
    with RunOutput.from_config_value(None, {{"base_dir": folder}}).capture_logs({LOG_KEY!r}):
        print("by python")
        subprocess.run(["sh", "-c", "echo by a child; echo trouble >&2"], check=True)
        os.write(1, b"straight\\n")
    print("after", flush=True)
os.environ[KEEPS_OUTPUT] = "yes"
prints(sys.argv[1])
del os.environ[KEEPS_OUTPUT]
sys.stdout.write("as a command\\n")
sys.stdout.flush()
prints(sys.argv[2])
"""


def test_what_a_run_of_the_service_prints_is_kept_and_a_command_prints_to_whoever_gave_it(tmp_path: Path) -> None:
    service, command = tmp_path / "service", tmp_path / "command"
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PRINTS, str(service), str(command)],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip

    manager = RunOutput.from_config_value(None, {"base_dir": str(service)})
    told = manager.get_log_data(LOG_KEY)
    assert (told.stdout, told.stderr) == (b"by python\nby a child\nstraight\n", b"trouble\n")
    assert manager.is_capture_complete(LOG_KEY)
    path = Path(manager.get_captured_local_path(LOG_KEY, "out"))
    assert path.is_relative_to(service / OUTPUT_FOLDER)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    of_service, _, of_command = done.stdout.partition("as a command\n")
    assert of_service == "before\nafter\n"
    assert of_command == "before\nby python\nby a child\nstraight\nafter\n"
    assert done.stderr == "trouble\n"
    assert not command.exists()


@pytest.mark.parametrize("name", ["dagster.yaml", "deploy/dagster.postgres.yaml"])
def test_the_service_is_configured_to_keep_it(name: str, tmp_path: Path) -> None:
    told = yaml.safe_load((REPOSITORY / name).read_text())["compute_logs"]
    assert (told["module"], told["class"]) == (RunOutput.__module__, RunOutput.__name__)
    assert told["config"] == {"base_dir": {"env": "TRADING_DAG_STATE"}}


def test_dagster_makes_the_manager_of_its_configuration(tmp_path: Path) -> None:
    given = {"compute_logs": {"module": RunOutput.__module__, "class": RunOutput.__name__,
                              "config": {"base_dir": str(tmp_path)}}}  # fmt: skip
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=given) as instance:
        assert isinstance(instance.compute_log_manager, RunOutput)


def test_what_was_printed_long_ago_goes_with_the_history(tmp_path: Path) -> None:
    for name, days in (("old", 40), ("new", 1)):
        file = tmp_path / OUTPUT_FOLDER / name / "compute_logs" / "a.out"
        file.parent.mkdir(parents=True)
        file.write_text("x")
        then = (dt.datetime.now(dt.UTC) - dt.timedelta(days=days)).timestamp()
        for path in (file, file.parent):
            os.utime(path, (then, then))

    assert remove_output(tmp_path, before=dt.datetime.now(dt.UTC) - dt.timedelta(days=30)) == 1
    assert [path.name for path in (tmp_path / OUTPUT_FOLDER).iterdir()] == ["new"]
