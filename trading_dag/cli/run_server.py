"""The process that the daemon's runs are forked from: it has imported what every run needs and built the definitions.

``python -P -m trading_dag.cli.run_server MODULE``. A line of its input names a run; the run gets a process of its own,
whose number is answered in a line. Where what was imported is no longer what stands on disk, the answer is ``stale``
instead, and nothing is started. It ends with the process that started it, after the runs that it began. A run that is
started anew by Dagster imports all of that itself, which costs more than most runs do.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

from resources.runs.warm_start import READY, STALE

LOOK_SECONDS: Final = 1.0
PACKAGES: Final = ("assets", "resources", "trading_dag")
Loaded = tuple[frozenset[tuple[str, int, int]], Any]


def main() -> None:
    """Serve until the input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this one decides when it ends
    sources = sources_on_disk()  # before the imports: what is changed while they run counts as changed
    importlib.import_module("trading_dag.cli.preload")
    _resolve(sys.argv[1])
    settings_now = getattr(importlib.import_module(sys.argv[1]), "current_settings", lambda: None)
    loaded = (sources, settings_now())
    gc.collect()
    gc.freeze()  # what is here is never garbage; a run that looks through it would copy its memory
    answers.write(f"{READY}\n")
    _serve(answers, lambda: loaded == (sources_on_disk(), settings_now()))


def sources_on_disk() -> frozenset[tuple[str, int, int]]:
    """Return path, time and size of every module of the project, and the time at which libraries were last installed.

    Also those that are not imported yet: a fork imports some of them later, and they have to fit what is here.
    """
    found = set()
    for package in PACKAGES:
        for folder in importlib.import_module(package).__path__:
            for path in Path(folder).rglob("*.py"):
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    found.add((str(path), status.st_mtime_ns, status.st_size))
    libraries = Path(sysconfig.get_path("purelib"))
    return frozenset(found | {(str(libraries), libraries.stat().st_mtime_ns, 0)})


def _resolve(module: str) -> None:
    """Build what Dagster makes of the definitions, and load what executes runs, before the first run."""
    import dagster as dg

    for value in vars(importlib.import_module(module)).values():
        if isinstance(value, dg.Definitions):
            value.get_repository_def()
    from resources.runs.dagster_private import executor_of_runs

    executor_of_runs()


def _serve(answers, is_current: Callable[[], bool]) -> None:  # type: ignore[no-untyped-def]
    asked, waiting = b"", True
    running: set[int] = set()
    while waiting or running:
        if waiting and select.select([0], [], [], LOOK_SECONDS)[0]:
            received = os.read(0, 65_536)
            waiting, asked = bool(received), asked + received
        elif not waiting:
            running.discard(os.waitpid(-1, 0)[0])
        *lines, asked = asked.split(b"\n")
        for line in lines:
            if not is_current():
                answers.write(f"{STALE}\n")
                continue
            number = _forked(line.decode())
            running.add(number)
            answers.write(f"{number}\n")
        while running and (ended := os.waitpid(-1, os.WNOHANG)[0]):
            running.discard(ended)


def _forked(run_id: str) -> int:
    """Return the number of the process that executes the run."""
    number = os.fork()
    if number == 0:
        _execute(run_id)
    return number


def _execute(run_id: str) -> NoReturn:
    """Execute the run in this process, which is a fork, and end it."""
    code = 1
    try:
        os.close(0)
        os.open(os.devnull, os.O_RDONLY)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        import dagster as dg

        from resources.runs.dagster_private import capture_interrupts, executor_of_runs

        with capture_interrupts(), dg.DagsterInstance.get() as instance:
            code = executor_of_runs()(run_id, instance, lambda _: None, set_exit_code_on_failure=False)
    except BaseException:
        import traceback

        traceback.print_exc()
        raise
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)  # not through what the server would do at its end


if __name__ == "__main__":
    main()
