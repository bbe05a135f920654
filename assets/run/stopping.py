"""Ctrl-C, SIGTERM and a closed terminal: how every command notices them, and how it ends whatever it is doing.

A signal raises ``SystemExit`` in the main thread, so that open things are closed (before anything is open, while a
command is still being imported, it ends the process at once). That alone is not enough: Dagster
handles the signal itself while a run is under way, libraries swallow what is raised while they are imported, and a
thread may wait for a vendor for minutes. So a separate thread also hears of every signal, remembers it for
``raise_if_stopped``, and ends the process if the main thread does not finish in time. That tears nothing: whatever is
stored is written to a temporary file and renamed. Worker processes are handled in ``workers``.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# `timeout`, `make` and service managers may hand on the signal that the terminal sent too; a user who insists is later.
SECOND_SIGNAL_SECONDS: Final = 1.0
GRACE_SECONDS: Final = 20.0
STOPPED: Final = "stopped: every stored slice is whole, and the same command goes on from here"


class _Request:
    """Remembers the signal that asked this process to stop (None before one came), when, whether the main thread
    knows, and whether nothing has begun yet that would have to be closed."""

    number: int | None = None
    at: float = 0.0
    is_answered: bool = False
    ends_at_once: bool = False


def exit_code(number: int) -> int:
    """Return the exit code that shells expect of a process that a signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + number


def stop_signal() -> int | None:
    """Return the signal that asked this process to stop; None where none came."""
    return _Request.number


def raise_if_stopped() -> None:
    """Exit if a signal came that a library handled itself, as Dagster does while a run is under way.

    Raises
    ------
    SystemExit : with the exit code of the signal.
    """
    if _Request.number is not None:
        raise SystemExit(exit_code(_Request.number))


@contextmanager
def answering_signals() -> Iterator[None]:
    """Handle stop signals inside the block; a signal that the process ignores (background job, ``nohup``) stays
    ignored.

    Outside the main thread no signal can be handled, and nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ignored = {number for number in STOPPING if signal.getsignal(number) is signal.SIG_IGN}
    heard, told = socket.socketpair()
    told.setblocking(False)
    _Request.number, _Request.is_answered = None, False
    before = {number: signal.signal(number, _answer) for number in STOPPING if number not in ignored}
    woken_before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    listener = threading.Thread(target=_listen, args=(heard, ignored), name="signals", daemon=True)
    try:
        listener.start()
        yield
    finally:
        signal.set_wakeup_fd(woken_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        told.close()
        if listener.ident is not None:
            listener.join()
        heard.close()


@contextmanager
def ending_at_once() -> Iterator[None]:
    """End the process at the first signal inside the block, without raising anything: for imports before any work.

    What is raised in the middle of an import of compiled code is reported by that code as its own crash.
    """
    _Request.ends_at_once = True
    try:
        yield
    finally:
        _Request.ends_at_once = False


def leave_if_stopped() -> None:
    """End the process here if it was asked to stop: print one line, and do not wait for threads that ask a vendor."""
    if _Request.number is not None:
        _leave(_Request.number)


def _answer(number: int, _: FrameType | None) -> None:
    """Raise at the first signal; later signals, while all is being closed, are left to the listener."""
    _remember(number)
    if _Request.ends_at_once:
        _leave(number)
    if not _Request.is_answered:
        _Request.is_answered = True
        # It writes a traceback where what is raised here meets it closing a connection, and raises it again.
        logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
        raise SystemExit(exit_code(number))


def _remember(number: int) -> None:
    """Keep the first signal; both the handler and the listener are told of it."""
    if _Request.number is None:
        _Request.at = time.monotonic()
        _Request.number = number


def _listen(heard: socket.socket, ignored: set[signal.Signals]) -> None:
    """Hear of every signal, whoever handles it, until the other end is closed."""
    while True:
        try:
            heard.settimeout(None if _Request.number is None else _seconds_left())
            received = heard.recv(1)
        except TimeoutError:
            _leave(int(_Request.number or 0))
        if not received:
            return
        number = received[0]
        if number not in STOPPING or number in ignored:
            continue
        if _Request.number is None:
            _remember(number)
        elif time.monotonic() - _Request.at > SECOND_SIGNAL_SECONDS:
            _leave(_Request.number)


def _seconds_left() -> float:
    return max(_Request.at + GRACE_SECONDS - time.monotonic(), 0.001)  # 0 would mean not to wait at all, and fail


def _leave(number: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a reader that has gone
            stream.flush()
    with contextlib.suppress(OSError):
        os.write(2, f"{STOPPED}\n".encode())
    os._exit(exit_code(number))
