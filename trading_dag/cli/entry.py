"""Where ``trading-dag`` begins and ends: signals are handled, and errors become one line and an exit code.

Exit codes: 0 done, 1 work failed, 2 bad usage, 130 stopped by Ctrl-C, 143 by SIGTERM. Nothing heavy is imported before
signals are handled.
"""

from __future__ import annotations

import io
import os
import sys

from assets.run.stopping import answering_signals, ending_at_once, leave_if_stopped, raise_if_stopped, stop_signal
from trading_dag.cli.exits import BAD_USAGE, WORK_FAILED
from trading_dag.errors import ConfigurationError, StructureError, TradingDagError
from trading_dag.reporting.visible_text import visible


def main() -> None:
    """Run one command. If Ctrl-C or SIGTERM comes at any point, it ends with one line and the signal's exit code."""
    _make_outputs_safe()
    try:
        with answering_signals():
            try:
                _run_command()
                raise_if_stopped()
            finally:
                leave_if_stopped()
    finally:
        leave_if_stopped()  # a signal that came while the answering of signals began


def _make_outputs_safe() -> None:
    """Make the outputs safe to write to: closed ones become null devices, and characters that an encoding lacks are
    shown as escapes. A closed one would otherwise be taken by the next file that is opened, which would be printed
    into."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it takes the lowest number that is free
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # for this process's life
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _run_command() -> None:
    with ending_at_once():
        from pydantic import ValidationError

    try:
        with ending_at_once():
            from trading_dag.cli.commands import app

        try:
            app()
        except SystemExit:
            sys.stdout.flush()  # what an output cannot take is an error of the command, not of the interpreter's end
            raise
    except (ConfigurationError, StructureError) as error:
        _fail(str(error), BAD_USAGE)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        _fail(f"settings: {problems}", BAD_USAGE)
    except (TradingDagError, OSError) as error:
        _fail(str(error), WORK_FAILED)  # of the system: no space, no right to write, no such folder; it names the file


def _fail(problem: str, code: int) -> None:
    """Print in one line what went wrong, unless the command was told to stop."""
    if stop_signal() is None:
        sys.stderr.write(f"error: {visible(problem)}\n")
    _forget_what_cannot_be_written()
    sys.exit(code)


def _forget_what_cannot_be_written() -> None:
    """Replace an output that takes nothing more by a null device, so that the exit code stays the command's."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
