"""In which order, how often and until when a channel is tried."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from trading_dag.alert_settings import AlertSettings
from trading_dag.alerts.book import Book, record
from trading_dag.alerts.cause import Cause
from trading_dag.alerts.delivery import Dispatch, failed, interrupted, next_dispatch, sending, sent, waiting_for

NOW = datetime(2026, 11, 30, 22, 0, tzinfo=UTC)
SETTINGS = AlertSettings(messages_per_hour=3, retry_seconds=30, retry_maximum_seconds=100)


def book_of(*causes: Cause, settings: AlertSettings = SETTINGS) -> Book:
    """A book in which each cause began a second after the one before."""
    book = Book()
    for number, cause in enumerate(causes):
        book = record(book, [cause], now=NOW + timedelta(seconds=number), channels=("slack",), settings=settings)
    return book


def failures(count: int) -> list[Cause]:
    return [Cause("run_failed", f"job{number}|", f"job{number} failed") for number in range(count)]


def taken(book: Book, *, at: datetime = NOW) -> tuple[Dispatch, Book]:
    dispatch = next_dispatch(book, "slack", now=at, settings=SETTINGS)
    assert dispatch is not None
    return dispatch, sending(book, "slack", dispatch, now=at)


def test_what_asks_for_action_goes_first_then_the_oldest() -> None:
    book = book_of(*failures(2), Cause("limit", "drawdown", "The drawdown limit is reached"))

    titles = []
    for _ in range(2):
        dispatch, book = taken(book)
        titles.append(dispatch.title)
        book = sent(book, "slack", dispatch, now=NOW)

    assert titles == ["The drawdown limit is reached", "job0 failed"]


def test_the_last_message_an_hour_has_room_for_gathers_all_that_wait() -> None:
    book, dispatches = book_of(*failures(10)), []
    moment = NOW
    while (dispatch := next_dispatch(book, "slack", now=moment, settings=SETTINGS)) is not None:
        book = sent(sending(book, "slack", dispatch, now=moment), "slack", dispatch, now=moment)
        dispatches.append(dispatch)
        moment += timedelta(seconds=1)

    assert [len(dispatch.ids) for dispatch in dispatches] == [1, 1, 8]
    assert dispatches[-1].title == "8 alerts in one message: job2 failed, …"
    assert "job9 failed" in dispatches[-1].body


def test_a_full_hour_is_waited_out() -> None:
    book = book_of(*failures(3))
    for second in range(3):
        dispatch, book = taken(book, at=NOW + timedelta(seconds=second))
        book = sent(book, "slack", dispatch, now=NOW + timedelta(seconds=second))
    book = record(
        book, [Cause("limit", "x", "late")], now=NOW + timedelta(minutes=5), channels=("slack",), settings=SETTINGS
    )

    assert next_dispatch(book, "slack", now=NOW + timedelta(minutes=59), settings=SETTINGS) is None
    assert taken(book, at=NOW + timedelta(minutes=61))[0].title == "late"


def test_a_channel_that_fails_rests_twice_as_long_each_time_up_to_the_longest() -> None:
    book, waits, moment = book_of(*failures(1)), [], NOW
    for _ in range(4):
        dispatch, book = taken(book, at=moment)
        book = failed(book, "slack", dispatch, problem="503", now=moment, settings=SETTINGS)
        rests_until = book.health["slack"].rests_until
        assert rests_until is not None
        assert next_dispatch(book, "slack", now=rests_until - timedelta(seconds=1), settings=SETTINGS) is None
        waits.append((rests_until - moment).total_seconds())
        moment = rests_until

    assert waits == [30, 60, 100, 100]
    assert waiting_for(book, "slack") == 1


def test_a_message_that_is_always_refused_holds_up_no_other() -> None:
    book = book_of(*failures(2))
    dispatch, book = taken(book)
    book = failed(book, "slack", dispatch, problem="400", now=NOW, settings=SETTINGS)

    assert taken(book, at=NOW + timedelta(minutes=5))[0].title == "job1 failed"


def test_what_a_killed_process_was_sending_is_not_sent_again_but_mentioned_once() -> None:
    _, book = taken(book_of(*failures(3)))

    book = interrupted(book, "slack")
    first, book = taken(book)
    book = sent(book, "slack", first, now=NOW)
    second, _ = taken(book)

    assert first.title == "job1 failed"
    assert first.body.endswith("while it was sent: job0 failed")
    assert "job0" not in second.title + second.body


def test_a_doubt_whose_message_fails_is_mentioned_in_the_next_try() -> None:
    _, book = taken(book_of(*failures(2)))
    first, book = taken(interrupted(book, "slack"))
    book = failed(book, "slack", first, problem="503", now=NOW, settings=SETTINGS)

    again, _ = taken(book, at=NOW + timedelta(minutes=1))

    assert again.mentioned == first.mentioned
    assert again.body == first.body
