"""A process is told from a dead one by the mark that it holds, however it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.runs.process_marks import ProcessMarks, number_of

HOLDER = (
    "import sys, time; from pathlib import Path; from resources.runs.process_marks import ProcessMarks, number_of; "
)


@pytest.fixture
def marks(tmp_path: Path) -> ProcessMarks:
    return ProcessMarks(tmp_path / "processes")


@pytest.fixture
def holder(marks: ProcessMarks) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process, and the name of its mark."""
    code = HOLDER + "print(ProcessMarks(Path(sys.argv[1])).own(), flush=True); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", code, str(marks.folder)], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.kill()


def test_this_process_lives_has_one_mark_and_says_its_number(marks: ProcessMarks) -> None:
    assert marks.own() == marks.own()
    assert marks.lives(marks.own())
    assert marks.own().split("-")[-2] == str(os.getpid())


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_another_process_lives_until_it_ends_in_whatever_way(
    marks: ProcessMarks, holder: tuple[subprocess.Popen[str], str], end: signal.Signals
) -> None:
    process, name = holder
    assert marks.lives(name)
    process.send_signal(end)
    process.wait()
    assert not marks.lives(name)


def test_a_stopped_process_lives(marks: ProcessMarks, holder: tuple[subprocess.Popen[str], str]) -> None:
    process, name = holder
    process.send_signal(signal.SIGSTOP)
    assert marks.lives(name)


def test_a_program_that_a_dead_process_had_started_does_not_keep_it_alive(marks: ProcessMarks) -> None:
    code = HOLDER + (
        "import subprocess; print(ProcessMarks(Path(sys.argv[1])).own(), flush=True); "
        "print(subprocess.Popen(['sleep', '600'], stdout=subprocess.DEVNULL).pid, flush=True); import os; os._exit(1)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(marks.folder)], stdout=subprocess.PIPE, text=True, check=False
    )
    name, child = ended.stdout.split()
    try:
        os.kill(int(child), 0)
        assert not marks.lives(name)
    finally:
        os.kill(int(child), signal.SIGKILL)


def test_marks_of_the_dead_are_swept_and_those_of_the_living_are_not(
    marks: ProcessMarks, holder: tuple[subprocess.Popen[str], str]
) -> None:
    process, name = holder
    own = marks.own()
    marks.sweep()
    assert {path.name for path in marks.folder.iterdir()} == {own, name}
    process.kill()
    process.wait()
    marks.sweep()
    assert {path.name for path in marks.folder.iterdir()} == {own}
    assert not marks.lives(name)


@pytest.mark.parametrize("name", ["", ".", "..", "../history/runs.db", "/etc/passwd", "a/b", "\x00", "x" * 300, "7"])
def test_a_name_that_no_process_can_have_is_nobodys(marks: ProcessMarks, name: str) -> None:
    marks.own()
    assert not marks.lives(name)


def test_a_mark_says_the_number_of_its_process(marks: ProcessMarks) -> None:
    assert number_of(marks.own()) == os.getpid()
    assert [number_of(name) for name in ("", "host", "host-x-1234abcd")] == [None, None, None]
