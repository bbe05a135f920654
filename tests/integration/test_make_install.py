"""``make install`` that fails says pip's reason and what to do, and does not count as done."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
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
# Installs whatever it is asked for but torch, and keeps what it was asked for.
WITHOUT_TORCH = """#!/bin/sh
echo "$@" >> asked
case "$*" in *torch==*|*find_spec*) exit 1;; *) exit 0;; esac
"""
# Has a uv that finds nothing, as where only pip's own settings name the index.
WITH_USELESS_UV = """#!/bin/sh
echo "$@" >> asked
case "$*" in *--target*) mkdir -p .venv/uv/bin; printf '#!/bin/sh\\necho no index; exit 2\\n' > .venv/uv/bin/uv
chmod +x .venv/uv/bin/uv;; esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(REPOSITORY / name, tmp_path)
    return tmp_path


def make(checkout: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PIP_", "MFLAGS"))}
    return subprocess.run(
        ["make", "install", *arguments], cwd=checkout, env={**environment, **variables}, capture_output=True, text=True,
        timeout=600, check=False,
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


def test_without_a_build_of_torch_for_processors_the_installation_goes_on_and_says_what_is_off(checkout: Path) -> None:
    script(checkout / ".venv" / "bin" / "python", WITHOUT_TORCH)
    done = make(checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the deep models stay off" in done.stdout
    assert "make torch" in done.stdout
    requests = [line for line in (checkout / "asked").read_text().splitlines() if "torch==" in line]
    assert len(requests) == 2
    assert all("torch==2.13.0+cpu" in line for line in requests)
    assert "--extra-index-url" not in requests[0]
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in requests[1]


def test_where_uv_finds_nothing_pip_installs_and_uv_is_no_part_of_the_environment(checkout: Path) -> None:
    script(checkout / ".venv" / "bin" / "python", WITH_USELESS_UV)
    done = make(checkout, "TORCH=no")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no index" in (checkout / ".venv" / "install.log").read_text()
    assert "--constraint constraints.txt --editable ." in (checkout / "asked").read_text()
    assert not (checkout / ".venv" / "uv").exists()


def test_torch_is_not_asked_for_where_it_is_not_wanted(checkout: Path) -> None:
    script(checkout / ".venv" / "bin" / "python", WITHOUT_TORCH)
    done = make(checkout, "TORCH=no")
    assert done.returncode == 0
    assert "make torch adds them" in done.stdout
    assert "torch==" not in (checkout / "asked").read_text()


def wheel(folder: Path, version: str, requires: str = "") -> None:
    """A wheel of torch that holds one empty module."""
    folder.mkdir(exist_ok=True)
    info = f"torch-{version}.dist-info"
    with zipfile.ZipFile(folder / f"torch-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr("torch/__init__.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n{requires}")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.mark.slow
def test_the_real_pip_takes_the_build_for_processors_and_never_the_one_for_graphics_cards(checkout: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", checkout / ".venv"], check=True)
    (checkout / ".venv" / ".installed").touch()
    folder = checkout / "wheels"
    wheel(folder, "2.13.0", "Requires-Dist: nvidia-cudnn-cu13\n")
    alone = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}
    installed = checkout / ".venv" / "lib"

    without = make(checkout, **alone)
    assert without.returncode == 0
    assert "the deep models stay off" in without.stdout
    assert not list(installed.rglob("torch-*.dist-info"))

    wheel(folder, "2.13.0+cpu")
    assert make(checkout, "torch", **alone).returncode == 0
    assert [path.name for path in installed.rglob("torch-*.dist-info")] == ["torch-2.13.0+cpu.dist-info"]
