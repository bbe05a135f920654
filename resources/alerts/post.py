"""Sends what waits in the book of alerts. One process at a time sends by a channel; every step is in the book before
and after, so that a process that is killed repeats nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from filelock import Timeout

from resources.alerts.channels import Channel
from resources.alerts.store import BookStore
from trading_dag.alert_settings import AlertSettings
from trading_dag.alerts.book import Book
from trading_dag.alerts.delivery import Dispatch, failed, interrupted, next_dispatch, sending, sent
from trading_dag.errors import AlertNotSentError

_log = logging.getLogger(__name__)
Clock = Callable[[], datetime]


def now_utc() -> datetime:
    """Return the present."""
    return datetime.now(UTC)


def deliver(
    store: BookStore, channels: Iterable[Channel], *, settings: AlertSettings, clock: Clock = now_utc
) -> dict[str, int]:
    """Send what waits, by each channel until nothing is left to send now; return how many messages each has sent.

    A channel that fails rests, and everything stays in the book. One that another process is sending by is left to it.
    """
    return {channel.name: _deliver_by(store, channel, settings, clock) for channel in channels}


def _deliver_by(store: BookStore, channel: Channel, settings: AlertSettings, clock: Clock) -> int:
    count = 0
    try:
        with store.channel_lock(channel.name):
            store.change(lambda book: interrupted(book, channel.name))
            while (dispatch := _take(store, channel.name, settings, clock)) is not None:
                try:
                    channel.send(dispatch.title, dispatch.body)
                except AlertNotSentError as error:
                    _note_failure(store, channel.name, dispatch, str(error), settings, clock)
                    _log.warning("an alert was not sent and will be tried again: %s", error)
                    break
                _note_success(store, channel.name, dispatch, clock)
                count += 1
    except Timeout:
        _log.debug("another process is sending by %s", channel.name)
    return count


def _take(store: BookStore, channel: str, settings: AlertSettings, clock: Clock) -> Dispatch | None:
    taken: list[Dispatch] = []

    def take(book: Book) -> Book:
        now = clock()
        dispatch = next_dispatch(book, channel, now=now, settings=settings)
        if dispatch is None:
            return book
        taken.append(dispatch)
        return sending(book, channel, dispatch, now=now)

    store.change(take)
    return taken[0] if taken else None


def _note_success(store: BookStore, channel: str, dispatch: Dispatch, clock: Clock) -> None:
    store.change(lambda book: sent(book, channel, dispatch, now=clock()))


def _note_failure(
    store: BookStore, channel: str, dispatch: Dispatch, problem: str, settings: AlertSettings, clock: Clock
) -> None:
    store.change(lambda book: failed(book, channel, dispatch, problem=problem, now=clock(), settings=settings))
