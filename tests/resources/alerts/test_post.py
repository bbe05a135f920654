"""Nothing is lost and nothing comes twice: channels that are down, processes side by side, a process that is killed."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from resources.alerts.channels import channels_of
from resources.alerts.post import deliver
from resources.alerts.store import BookStore, folder_of
from tests.conftest import REPOSITORY
from tests.resources.alerts.loopback import Webhook, slack_webhook
from trading_dag.alert_settings import AlertSettings
from trading_dag.alerts.book import record
from trading_dag.alerts.cause import Cause
from trading_dag.errors import AlertNotSentError, StorageError
from trading_dag.settings import Settings

NOW = datetime(2026, 11, 30, 22, 0, tzinfo=UTC)
SETTINGS = AlertSettings()


@dataclass
class Recorder:
    """A channel that keeps what it is told, and fails as often as it is told to."""

    failures: int = 0
    taken: list[str] = field(default_factory=list)
    name: str = "slack"

    def send(self, title: str, body: str) -> None:
        if self.failures:
            self.failures -= 1
            raise AlertNotSentError(f"slack: {title} was refused")
        self.taken.append(title)


@pytest.fixture
def books(tmp_path: Path) -> BookStore:
    return BookStore(folder_of(tmp_path))


def tell(books: BookStore, *titles: str, at: datetime = NOW) -> None:
    causes = [Cause("run_failed", title, title) for title in titles]
    for cause in causes:
        books.change(lambda book, cause=cause: record(book, [cause], now=at, channels=("slack",), settings=SETTINGS))


def test_the_book_is_the_same_after_it_was_written_and_read(books: BookStore) -> None:
    tell(books, "one", "two")
    after = books.change(lambda book: book.with_cursor("failed runs", "17"))

    assert BookStore(books.folder).read() == after


def test_what_a_channel_did_not_take_is_sent_once_it_is_back(books: BookStore) -> None:
    tell(books, "one", "two")
    channel = Recorder(failures=3)
    clocks = [NOW + timedelta(minutes=10 * number) for number in range(5)]

    for clock in clocks:
        deliver(books, [channel], settings=SETTINGS, clock=partial(clock.replace))

    assert sorted(channel.taken) == ["one", "two"]
    assert books.read().health["slack"].problem is None


def test_nothing_is_sent_again_by_another_process_or_later(books: BookStore) -> None:
    tell(books, "one")
    first, second = Recorder(), Recorder()

    deliver(books, [first], settings=SETTINGS, clock=lambda: NOW)
    deliver(BookStore(books.folder), [second], settings=SETTINGS, clock=lambda: NOW)

    assert (first.taken, second.taken) == (["one"], [])


def test_a_channel_by_which_another_process_sends_is_left_to_it(books: BookStore) -> None:
    tell(books, "one")
    channel = Recorder()

    with BookStore(books.folder).channel_lock("slack"):
        assert deliver(books, [channel], settings=SETTINGS, clock=lambda: NOW) == {"slack": 0}
    deliver(books, [channel], settings=SETTINGS, clock=lambda: NOW)

    assert channel.taken == ["one"]


def test_a_book_that_is_none_is_an_error_that_names_it(books: BookStore) -> None:
    books.folder.mkdir(parents=True)
    books.path.write_text('{"standing": 3}')

    with pytest.raises(StorageError, match=r"alerts\.json is no book of alerts"):
        books.read()


PROCESS = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from tests.resources.alerts.test_post import look_and_send

    look_and_send(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    """
)


def look_and_send(home: Path, url: str, count: int) -> None:
    """What a sensor does: find so many causes, keep them, send what waits."""
    settings = Settings(_env_file=None, home=home, alerts={"slack_webhook": url})
    books = BookStore(folder_of(home))
    tell(books, *(f"job{number}" for number in range(count)), at=datetime.now(UTC))
    deliver(books, channels_of(settings), settings=settings.alerts)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with slack_webhook() as hook:
        yield hook


def start(home: Path, hook: Webhook, count: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", PROCESS, str(home), hook.url, str(count)]
    return subprocess.Popen(command, cwd=REPOSITORY)


@pytest.mark.long
def test_processes_that_see_the_same_causes_tell_each_once(tmp_path: Path, webhook: Webhook) -> None:
    several = [start(tmp_path, webhook, 6) for _ in range(3)]
    assert [process.wait(timeout=600) for process in several] == [0, 0, 0]
    look_and_send(tmp_path, webhook.url, 6)

    assert sorted(webhook.titles) == [f"[trading-dag] job{number}" for number in range(6)]


@pytest.mark.slow
def test_a_process_killed_while_it_sends_repeats_nothing_and_loses_nothing(tmp_path: Path, webhook: Webhook) -> None:
    webhook.delay = 60.0  # Slack has taken the message, and the answer is on its way
    process = start(tmp_path, webhook, 3)
    while not webhook.taken:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait(timeout=600)
    webhook.delay = 0.0
    look_and_send(tmp_path, webhook.url, 3)

    assert webhook.titles == ["[trading-dag] job0", "[trading-dag] job1", "[trading-dag] job2"]
    assert webhook.taken[1]["attachments"][0]["text"].endswith("ended while it was sent: job0")
    assert "job0" not in webhook.taken[2]["attachments"][0]["text"]
