"""Starts runs as forks of a process that has already imported everything: the launcher's side of it.

What that process does stands in ``trading_dag.cli.run_server``; here it is only started, asked and ended.
"""

from __future__ import annotations

import contextlib
import select
import subprocess
import sys
import threading
from typing import IO, Final, cast

from trading_dag.errors import ServerError

MODULE: Final = "trading_dag.cli.run_server"
READY: Final = "ready"
STALE: Final = "stale"
# Of a process that lives and says nothing; one that ends is noticed at once. Alone on a machine it takes ten seconds.
START_SECONDS: Final = 600.0
ANSWER_SECONDS: Final = 60.0


class RunServer:
    """Holds one such process.

    Parameters
    ----------
    definitions : the module that holds the definitions whose runs it executes.

    Raises
    ------
    ServerError : where the process ends before it is ready.
    """

    def __init__(self, definitions: str) -> None:
        self.definitions = definitions
        self._turn = threading.Lock()
        command = [sys.executable, "-P", "-m", MODULE, definitions]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
        self._answer(START_SECONDS)

    @property
    def lives(self) -> bool:
        """Return whether the process is there."""
        return self._process.poll() is None

    def start(self, run_id: str) -> int | None:
        """Return the number of the process that now executes the run; None where the code or the settings are no longer
        those that were imported, so that nothing was started.

        Raises
        ------
        ServerError : where the server has gone, or does not answer.
        """
        with self._turn:
            try:
                self._input.write(f"{run_id}\n".encode())
                self._input.flush()
            except OSError as error:
                raise ServerError(f"the process that starts runs is gone: {error}") from error
            answer = self._answer(ANSWER_SECONDS)
            return None if answer == STALE else int(answer)

    def end(self) -> None:
        """Let the process end once the runs that it started have; nobody waits here for that."""
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                cast("IO[bytes]", pipe).close()
        threading.Thread(target=self._process.wait, daemon=True).start()  # what has ended would stay in the list

    @property
    def _input(self) -> IO[bytes]:
        return cast("IO[bytes]", self._process.stdin)

    def _answer(self, seconds: float) -> str:
        output = cast("IO[bytes]", self._process.stdout)
        has_answer = bool(select.select([output], [], [], seconds)[0])
        line = output.readline() if has_answer else b""
        if not line:
            self._process.kill()
            self.end()
            raise ServerError("the process that starts runs gave no answer, see what it has written above")
        return line.decode().strip()
