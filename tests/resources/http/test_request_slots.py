"""No more requests than slots arrive within a period, however the way delays them, and no slot is lost."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from resources.http.request_slots import SLOTS, RequestSlots


def crowded(moments: list[float], period: float) -> list[tuple[float, float]]:
    """Pairs of arrivals, ``SLOTS`` apart, that lie within a period."""
    ordered = sorted(moments)
    # The clock of files and the clock of sleeping may drift apart by a little.
    pairs = zip(ordered, ordered[SLOTS:], strict=False)
    return [(first, last) for first, last in pairs if last - first < period - 1e-3]


def test_however_long_the_way_takes_no_more_requests_than_slots_arrive_within_a_period(tmp_path: Path) -> None:
    arrivals: list[float] = []
    generator = random.Random(3)
    ways = [(generator.uniform(0.0, 0.08), generator.uniform(0.0, 0.03)) for _ in range(60)]

    def ask(way: tuple[float, float]) -> None:
        # Every request has an own object, as clients in several places have.
        with RequestSlots(tmp_path, requests_per_second=50.0).held():
            time.sleep(way[0])
            arrivals.append(time.time())
            time.sleep(way[1])

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(ask, ways))
    assert len(arrivals) == 60
    assert crowded(arrivals, SLOTS / 50.0) == []


def test_requests_that_only_leave_evenly_can_be_crowded() -> None:
    """What the slots are for: 0.2 s apart, the first held up by 0.3 s, so six come within 0.8 s."""
    assert crowded([0.3, 0.4, 0.6, 0.8, 1.0, 1.1], 1.0) == [(0.3, 1.1)]


def test_five_requests_run_at_once_and_the_sixth_waits(tmp_path: Path) -> None:
    slots = RequestSlots(tmp_path, requests_per_second=1e6)
    meeting = threading.Barrier(SLOTS + 1, timeout=600)
    leave = threading.Event()
    began: list[int] = []

    def hold(number: int) -> None:
        with slots.held():
            began.append(number)
            if number < SLOTS:
                meeting.wait()
                leave.wait(20)

    first = [threading.Thread(target=hold, args=(number,)) for number in range(SLOTS)]
    for thread in first:
        thread.start()
    meeting.wait()
    last = threading.Thread(target=hold, args=(SLOTS,))
    last.start()
    last.join(0.2)
    assert sorted(began) == list(range(SLOTS))
    leave.set()
    for thread in (*first, last):
        thread.join(20)
    assert SLOTS in began


def test_a_slot_is_free_when_a_period_has_passed_since_its_last_answer(tmp_path: Path) -> None:
    now, sleeps = [1000.0], []

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        now[0] += seconds

    slots = RequestSlots(tmp_path, requests_per_second=2.0, sleep=sleep, clock=lambda: now[0])
    for _ in range(SLOTS):
        with slots.held():
            now[0] += 0.1
    assert sleeps == []
    # The first slot's request ended at 1000.1, a period is 2.5 s, and it is 1000.5.
    with slots.held():
        pass
    assert sleeps == pytest.approx([2.1])


HOLD = """
import sys, time
from contextlib import ExitStack
from pathlib import Path
from resources.http.request_slots import SLOTS, RequestSlots
with ExitStack() as held:
    for _ in range(SLOTS):
        held.enter_context(RequestSlots(Path(sys.argv[1]), requests_per_second=1e6).held())
    print("all", flush=True)
    time.sleep(60)
"""


def test_the_slots_of_a_killed_process_are_free_again(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).resolve().parents[3])
    assert process.stdout is not None
    assert process.stdout.readline() == "all\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with RequestSlots(tmp_path, requests_per_second=1e6).held():
        pass


@pytest.mark.parametrize(
    ("content", "waited"),
    [
        # What says no time was never held; a time to come is a clock that was set back, and costs one period.
        (b"nonsense", 0.0), (b"", 0.0), (b"nan", 0.0), (b"\xff\xfe", 0.0), (b"inf", 0.0),
        (b"1e30", 2.5),
    ],
)  # fmt: skip
def test_a_damaged_slot_costs_at_most_one_period_and_then_keeps_the_rate(
    tmp_path: Path, content: bytes, waited: float
) -> None:
    now, sleeps = [1000.0], []

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        now[0] += seconds

    for number in range(SLOTS):
        (tmp_path / f"slot-{number}").write_bytes(content)
    slots = RequestSlots(tmp_path, requests_per_second=2.0, sleep=sleep, clock=lambda: now[0])
    for _ in range(SLOTS):
        with slots.held():
            pass
    assert sum(sleeps) == pytest.approx(waited * SLOTS)
    # Every slot tells the time again, so that the next request waits a period after the first of these.
    ended = [float((tmp_path / f"slot-{number}").read_text()) for number in range(SLOTS)]
    assert all(1000.0 <= moment <= now[0] for moment in ended)
    sleeps.clear()
    with slots.held():
        pass
    assert sleeps == ([] if waited else pytest.approx([2.5]))


def test_a_request_that_raises_gives_its_slot_back(tmp_path: Path) -> None:
    slots = RequestSlots(tmp_path, requests_per_second=1e6)
    for _ in range(3 * SLOTS):
        with pytest.raises(KeyError), slots.held():
            raise KeyError
