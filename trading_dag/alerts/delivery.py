"""Which messages a channel sends next, and what its answer means for the book: rate, order, patience. Nothing is sent
here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from trading_dag.alert_settings import AlertSettings
from trading_dag.alerts.book import Book, ChannelHealth, Delivery, Message, State

HOUR: Final = timedelta(hours=1)
MOST_JOINED: Final = 100
LONGEST_BODY: Final = 20_000
_FIRST: Final = ("limit", "paper_order", "cannot_signal", "signal")


@dataclass(frozen=True)
class Dispatch:
    """Holds what goes out at once: title, body, and the messages that it consists of.

    Attributes
    ----------
    mentioned : messages that are unsure, and are mentioned in it.
    """

    title: str
    body: str
    ids: tuple[str, ...]
    mentioned: tuple[str, ...] = ()


def next_dispatch(book: Book, channel: str, *, now: datetime, settings: AlertSettings) -> Dispatch | None:
    """Return what a channel is to send now; None where nothing waits, the channel rests, or its hour is full.

    Messages that failed less often come first, so that one that is always refused holds up no other; then what asks for
    action; then the oldest. The last message that an hour has room for gathers all that wait.
    """
    health = book.health.get(channel, ChannelHealth())
    if health.rests_until is not None and now < health.rests_until:
        return None
    room = settings.messages_per_hour - _sent_within_hour(book, channel, now)
    waiting = sorted(_in_state(book, channel, "waiting"), key=lambda message: _rank(message, channel))
    if not waiting or room <= 0:
        return None
    unsure = [m for m in _in_state(book, channel, "unsure") if not m.deliveries[channel].is_mentioned][:MOST_JOINED]
    if len(waiting) == 1 or room > 1:
        first = waiting[0]
        return Dispatch(first.title, _with_doubts(first.body, unsure), (first.id,), tuple(m.id for m in unsure))
    joined = waiting[:MOST_JOINED]
    body = "\n\n\n".join(f"{message.title}\n{message.body}" for message in joined)
    if len(body) > LONGEST_BODY:
        body = "\n".join(message.title for message in joined)
    title = f"{len(joined)} alerts in one message: {joined[0].title}, …"
    return Dispatch(title, _with_doubts(body, unsure), tuple(m.id for m in joined), tuple(m.id for m in unsure))


def sending(book: Book, channel: str, dispatch: Dispatch, *, now: datetime) -> Book:
    """Return the book in which a dispatch is on its way."""
    return _changed(book, channel, dispatch.ids, lambda old: replace(old, state="sending", at=now))


def sent(book: Book, channel: str, dispatch: Dispatch, *, now: datetime) -> Book:
    """Return the book in which a dispatch has arrived, and the channel is well."""
    arrived = _changed(
        book, channel, dispatch.ids, lambda old: Delivery("sent", old.attempts + 1, now, old.is_mentioned)
    )
    told = _changed(arrived, channel, dispatch.mentioned, lambda old: replace(old, is_mentioned=True))
    return replace(told, health={**told.health, channel: ChannelHealth()})


def failed(
    book: Book, channel: str, dispatch: Dispatch, *, problem: str, now: datetime, settings: AlertSettings
) -> Book:
    """Return the book in which a dispatch waits again, and the channel rests: twice as long after each failure."""
    back = _changed(book, channel, dispatch.ids, lambda old: Delivery("waiting", old.attempts + 1, now))
    failures = back.health.get(channel, ChannelHealth()).failures + 1
    wait = min(settings.retry_seconds * 2.0 ** min(failures - 1, 40), settings.retry_maximum_seconds)
    rest = ChannelHealth(failures, now + timedelta(seconds=wait), problem)
    return replace(back, health={**back.health, channel: rest})


def interrupted(book: Book, channel: str) -> Book:
    """Return the book in which what a process that is gone was sending is unsure. To be asked by the one that sends."""
    on_their_way = tuple(message.id for message in _in_state(book, channel, "sending"))
    if not on_their_way:
        return book
    return _changed(book, channel, on_their_way, lambda old: replace(old, state="unsure"))


def waiting_for(book: Book, channel: str) -> int:
    """Return how many messages a channel has still to send."""
    return len(_in_state(book, channel, "waiting"))


def _in_state(book: Book, channel: str, state: State) -> list[Message]:
    return [
        message for message in book.messages
        if (delivery := message.deliveries.get(channel)) is not None and delivery.state == state
    ]  # fmt: skip


def _sent_within_hour(book: Book, channel: str, now: datetime) -> int:
    """How many times the channel sent within the last hour; what was joined went out at one moment."""
    since = now - HOUR
    moments = {
        delivery.at
        for message in book.messages
        if (delivery := message.deliveries.get(channel)) is not None and delivery.state in ("sent", "unsure")
    }
    return sum(1 for at in moments if at is not None and since < at <= now)


def _rank(message: Message, channel: str) -> tuple[int, int, datetime]:
    place = _FIRST.index(message.kind) if message.kind in _FIRST else len(_FIRST)
    return message.deliveries[channel].attempts, place, message.written_at


def _with_doubts(body: str, unsure: list[Message]) -> str:
    lines = [
        f"Perhaps this did not reach you, because the program was ended while it was sent: {message.title}"
        for message in unsure
    ]
    return "\n\n".join([body, *(["\n".join(lines)] if lines else [])])


def _changed(book: Book, channel: str, ids: tuple[str, ...], change) -> Book:  # type: ignore[no-untyped-def]
    wanted = frozenset(ids)
    messages = tuple(
        replace(m, deliveries={**m.deliveries, channel: change(m.deliveries[channel])}) if m.id in wanted else m
        for m in book.messages
    )
    return replace(book, messages=messages)
