"""``make install`` that fails says pip's reason and what to do, and does not count as done."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
# What pip says where no versions go together; the cause stands below the level of its errors.
CONFLICT = """#!/bin/sh
[ "$1" = -V ] && { echo "Python 3.11.2"; exit 0; }
echo "ERROR: Cannot install soupsieve==4.1.1 because these package versions have conflicting dependencies." >&2
echo "The conflict is caused by:"
echo "    The user requested (constraint) soupsieve==4.1.1"
exit 1
"""
LATE = "#!/bin/sh\nexit 1\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(REPOSITORY / name, tmp_path)
    return tmp_path


def make(checkout: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PIP_", "MFLAGS"))}
    return subprocess.run(
        ["make", "install", *arguments], cwd=checkout, env={**environment, **variables}, capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_a_conflict_of_versions_is_printed_with_its_cause_and_what_to_do(checkout: Path) -> None:
    script(checkout / ".venv" / "bin" / "python", CONFLICT)
    done = make(checkout)
    assert done.returncode == 2
    assert "The user requested (constraint) soupsieve==4.1.1" in done.stdout
    assert "PYTHON=python3.12" in done.stdout
    assert "this is Python 3.11.2" in done.stdout
    assert not (checkout / ".venv" / ".installed").exists()


@pytest.mark.slow
def test_what_the_real_pip_cannot_find_is_printed(checkout: Path) -> None:
    done = make(checkout, f"PYTHON={sys.executable}", PIP_NO_INDEX="1")
    assert done.returncode == 2
    assert "No matching distribution found" in done.stdout
    assert not (checkout / ".venv" / ".installed").exists()


def test_a_python_that_is_too_old_or_missing_is_said_before_anything_is_installed(checkout: Path) -> None:
    for python in (str(script(checkout / "old", LATE)), str(checkout / "none")):
        done = make(checkout, f"PYTHON={python}")
        assert done.returncode == 2
        assert "older than Python 3.11.2" in done.stdout
        assert not (checkout / ".venv").exists()


def test_an_environment_that_could_not_be_made_is_not_taken_for_one_the_next_time(checkout: Path) -> None:
    python = script(checkout / "half", '#!/bin/sh\n[ "$1" = -c ] && exit 0\nmkdir -p .venv/bin; exit 1\n')
    done = make(checkout, f"PYTHON={python}")
    assert done.returncode == 2
    assert "python3-venv" in done.stdout
    assert not (checkout / ".venv").exists()
