"""Ctrl-C while worker processes are being started."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from assets.run.workers import interrupts_left_to_the_parent


@pytest.fixture
def answer_of_a_terminal() -> Iterator[None]:
    """Ctrl-C raises, also where these tests run in the background of a script, which has them ignore it."""
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, inherited)


@pytest.mark.usefixtures("answer_of_a_terminal")
def test_an_interrupt_is_answered_only_when_a_worker_has_its_whole_order_also_where_another_thread_takes_it() -> None:
    steps: list[str] = []
    other = threading.Thread(target=threading.Event().wait, daemon=True)  # its mask is open, so the signal goes to it
    other.start()

    def start_a_worker() -> None:
        with interrupts_left_to_the_parent():
            os.kill(os.getpid(), signal.SIGINT)
            steps.extend(str(number) for number in range(3))

    with pytest.raises(KeyboardInterrupt):
        start_a_worker()
    assert steps == ["0", "1", "2"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
