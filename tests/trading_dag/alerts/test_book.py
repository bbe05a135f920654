"""Once a cause: what is told, what ends, what comes back, and how messages are put together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from trading_dag.alert_settings import AlertSettings
from trading_dag.alerts.book import Book, record
from trading_dag.alerts.cause import Cause

NOW = datetime(2026, 11, 30, 22, 0, tzinfo=UTC)
STALE = Cause("stale_data", "SPY", "Prices of SPY are 1 session old", ("The last close is of Friday.",), "/assets/raw")


def told(book: Book, *causes: Cause, at: int = 0, settings: AlertSettings | None = None) -> Book:
    """The book after a look that found exactly these causes."""
    names = {cause.name for cause in causes}
    return record(
        book, causes, now=NOW + timedelta(minutes=at), channels=("email",), settings=settings or AlertSettings(),
        ended=lambda name, _: name not in names,
    )  # fmt: skip


def test_a_cause_that_lasts_is_told_once() -> None:
    book = told(told(told(Book(), STALE), STALE, at=1), STALE, at=2)

    assert [message.title for message in book.messages] == ["Prices of SPY are 1 session old"]


def test_a_cause_that_ended_and_returns_is_a_new_one() -> None:
    book = told(told(told(Book(), STALE), at=1), STALE, at=2)

    assert [message.written_at for message in book.messages] == [NOW, NOW + timedelta(minutes=2)]
    assert len({message.id for message in book.messages}) == 2


def test_an_event_is_told_once_also_when_it_is_seen_again_later() -> None:
    signal = Cause("signal", "2026-11-30", "Signals of 2026-11-30")

    book = told(told(told(Book(), signal), at=1), signal, at=2)

    assert len(book.messages) == 1
    assert book.standing == {}


def test_the_end_is_told_only_where_the_settings_say_so() -> None:
    silent = told(told(Book(), STALE), at=1)
    loud = told(told(Book(), STALE), at=1, settings=AlertSettings(resolved=True))

    assert len(silent.messages) == 1
    assert loud.messages[-1].title == "Over: Prices of SPY are 1 session old"


def test_what_begins_at_one_time_is_one_message_of_each_kind() -> None:
    other = Cause("stale_data", "QQQ", "Prices of QQQ are 2 sessions old")
    failed = Cause("run_failed", "raw.prices_daily|QQQ", "raw.prices_daily of QQQ could not be made")

    book = told(Book(), STALE, failed, other)

    assert [message.title for message in book.messages] == [
        "2 tickers have stale data: Prices of SPY are 1 session old, …",
        "raw.prices_daily of QQQ could not be made",
    ]
    assert "Prices of QQQ are 2 sessions old" in book.messages[0].body


def test_a_message_links_to_the_page_that_shows_its_cause() -> None:
    settings = AlertSettings(ui_url="http://127.0.0.1:3001/")

    assert told(Book(), STALE, settings=settings).messages[0].body.splitlines() == [
        "The last close is of Friday.",
        "http://127.0.0.1:3001/assets/raw",
    ]


def test_kinds_that_are_not_wanted_are_neither_told_nor_listed() -> None:
    book = told(Book(), STALE, settings=AlertSettings(kinds=("signal",)))

    assert book == Book()


def test_what_was_sent_is_forgotten_after_its_days_and_what_lasts_is_not() -> None:
    lasting = told(Book(), STALE)
    later = told(lasting, STALE, at=60 * 24 * 91)

    assert len(later.messages) == 1  # it still waits to be sent
    assert set(later.standing) == {"stale_data|SPY"}


def test_texts_of_others_stay_one_line_without_commands() -> None:
    cause = Cause("run_failed", "x", "SPY\r\nBcc: all@example.com\x1b[31m\u202e", ("a\nb", "\x00"))

    assert cause.title == "SPY Bcc: all@example.com\\x1b[31m\\u202e"
    assert cause.lines == ("a b", "\\x00")


def test_long_texts_are_cut_and_say_so() -> None:
    cause = Cause("run_failed", "x", "y" * 1_000, tuple("z" * 1_000 for _ in range(200)))

    assert len(cause.title) == 150
    assert cause.title.endswith("…")
    assert cause.lines[-1] == "… and 140 more lines"


@given(st.lists(st.sets(st.sampled_from(["SPY", "QQQ", "IWM"])), max_size=12))
def test_there_are_as_many_messages_of_a_cause_as_it_began(observations: list[set[str]]) -> None:
    book, before, beginnings = Book(), set[str](), 0
    for at, tickers in enumerate(observations):
        book = told(book, *(Cause("stale_data", ticker, ticker) for ticker in sorted(tickers)), at=at)
        beginnings += len(tickers - before)
        before = tickers

    assert sum(len(message.causes) for message in book.messages) == beginnings
    assert {name.partition("|")[2] for name in book.standing} == before
