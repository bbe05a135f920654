"""Many questions at once: each answered or failed once, few answers waiting, and what ends the whole fetch."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.http.parallel_fetch import FetchProgress, fetch_each
from trading_dag.errors import EmptySourceError, SourceOffError


def refusal(key: str) -> EmptySourceError:
    return EmptySourceError(source="test", request=key, problem="nothing", remedy="none")


@given(
    keys=st.lists(st.text(max_size=3), max_size=30),
    failing=st.sets(st.text(max_size=3), max_size=10),
    workers=st.integers(1, 8),
)
def test_every_key_is_fetched_once_and_is_either_received_or_failed(
    keys: list[str], failing: set[str], workers: int
) -> None:
    asked: list[str] = []
    received: list[tuple[str, str]] = []
    told: list[FetchProgress] = []

    def fetch(key: str) -> str:
        asked.append(key)
        if key in failing:
            raise refusal(key)
        return f"answer to {key}"

    errors = fetch_each(
        keys, fetch, workers=workers, receive=lambda key, answer: received.append((key, answer)), progress=told.append
    )
    assert sorted(asked) == sorted(set(keys))
    assert sorted(key for key, _ in received) == sorted(set(keys) - failing)
    assert all(answer == f"answer to {key}" for key, answer in received)
    assert set(errors) == set(keys) & failing
    assert [one.done for one in told] == list(range(1, len(set(keys)) + 1))
    assert all(one.total == len(set(keys)) for one in told)
    assert not told or told[-1].failed == len(errors)


def test_as_many_questions_run_at_once_as_there_are_workers() -> None:
    meeting = threading.Barrier(4, timeout=600)
    received: list[str] = []
    fetch_each("abcd", lambda _: meeting.wait(), workers=4, receive=lambda key, _: received.append(key))
    assert sorted(received) == list("abcd")


def test_answers_do_not_pile_up_while_the_receiver_is_busy() -> None:
    begun: list[str] = []
    most = 0

    def receive(_: str, __: str) -> None:
        nonlocal most
        time.sleep(0.02)
        most = max(most, len(begun) - len(received))
        received.append("")

    received: list[str] = []

    def fetch(key: str) -> str:
        begun.append(key)
        return key

    fetch_each(map(str, range(60)), fetch, workers=3, receive=receive)
    assert len(received) == 60
    assert most <= 6


def test_a_refused_key_ends_the_fetch_at_once() -> None:
    asked: list[str] = []

    def fetch(key: str) -> str:
        asked.append(key)
        raise SourceOffError(source="test", request=key, problem="refused", remedy="none")

    with pytest.raises(SourceOffError):
        fetch_each(map(str, range(100)), fetch, workers=2, receive=lambda _, __: None)
    assert len(asked) <= 4


def test_a_defect_is_not_taken_for_a_failure_of_the_vendor() -> None:
    def fetch(key: str) -> str:
        raise KeyError(key)

    with pytest.raises(KeyError):
        fetch_each("ab", fetch, workers=1, receive=lambda _, __: None)


def test_an_end_from_outside_does_not_wait_for_questions_that_nobody_answers() -> None:
    answered, asked = threading.Event(), threading.Event()

    def fetch(key: str) -> str:
        if key == "slow":
            asked.set()
            answered.wait(timeout=600)
        return key

    def receive(key: str, _: str) -> None:
        asked.wait(timeout=600)
        raise SystemExit(143)

    with pytest.raises(SystemExit):
        fetch_each(["fast", "slow"], fetch, workers=2, receive=receive)
    assert not answered.is_set()
    answered.set()
