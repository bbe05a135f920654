"""``trading-dag alerts``: what lasts and what waits, a test of every channel, and a look at everything right now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from trading_dag.alerts.book import ChannelHealth
from trading_dag.cli.arguments import AsJson
from trading_dag.cli.context import CommandContext
from trading_dag.cli.exits import WORK_FAILED
from trading_dag.cli.printing import complain, print_json
from trading_dag.errors import AlertNotSentError, ConfigurationError
from trading_dag.reporting.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resources.alerts.store import BookStore
    from trading_dag.alerts.book import Book, Message

NO_CHANNEL = (
    "no channel is set up: TRADING_DAG_ALERTS__EMAIL_TO or TRADING_DAG_ALERTS__SLACK_WEBHOOK (.env.example shows both)"
)
TEST_TITLE = "Test"
TEST_BODY = "This is a test. If you read it, alerts reach you by this way."
SHOWN = 20

alerts = typer.Typer(
    name="alerts",
    help="Messages by mail and Slack: of signals, failed runs and checks, stale data, drift, paper orders, limits.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@alerts.command("test")
def try_channels(as_json: AsJson = False) -> None:
    """Send a test message by every channel, and say which took it."""
    from resources.alerts.channels import channels_of

    context = CommandContext()
    channels = channels_of(context.settings)
    if not channels:
        raise ConfigurationError(NO_CHANNEL)
    problems: dict[str, str | None] = {}
    for channel in channels:
        try:
            channel.send(TEST_TITLE, TEST_BODY)
            problems[channel.name] = None
        except AlertNotSentError as error:
            problems[channel.name] = str(error)
    if as_json:
        print_json(
            [{"channel": name, "is_sent": problem is None, "problem": problem} for name, problem in problems.items()]
        )
    else:
        for name, problem in problems.items():
            if problem is None:
                context.console.print(f"{name}: sent")
            else:
                complain(f"not sent by {problem}")
    if any(problems.values()):
        raise typer.Exit(WORK_FAILED)


@alerts.command()
def status(as_json: AsJson = False) -> None:
    """Show the channels, what lasts, what waits to be sent, and what was sent last. Nothing is sent."""
    from resources.alerts.channels import channel_names

    context = CommandContext()
    book = _books(context).read()
    names = channel_names(context.settings)
    if as_json:
        print_json(_record(book, names))
        return
    console = context.console
    console.print(f"channels: {', '.join(names)}" if names else f"channels: {NO_CHANNEL}")
    for name, health in book.health.items():
        if health.problem:
            console.print(
                f"  {name} fails: {visible(health.problem)}; next try {health.rests_until:%Y-%m-%d %H:%M:%S} UTC"
            )
    console.print(f"lasting: {len(book.standing)}")
    for standing in book.standing.values():
        console.print(f"  since {standing.since:%Y-%m-%d %H:%M} UTC: {visible(standing.title)}")
    open_messages = [message for message in book.messages if _states(message) & {"waiting", "sending", "unsure"}]
    console.print(f"waiting: {len(open_messages)}")
    for message in open_messages[:SHOWN]:
        console.print(f"  {_line(message)}")
    console.print(f"last messages: {min(len(book.messages), SHOWN)} of {len(book.messages)}")
    for message in book.messages[-SHOWN:]:
        console.print(f"  {_line(message)}")


@alerts.command()
def send(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be told; send nothing and note nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look at everything once, as the sensors do, and send what is new or waits."""
    from assets.alert_watches import ALL_WATCHES, Sight, foreseen, observe
    from assets.partitions import Partitions
    from resources.alerts.channels import channel_names, channels_of
    from resources.alerts.post import deliver, now_utc
    from resources.storage.parquet_store import ParquetStore
    from trading_dag.cli.dagster_instance import opened_instance

    context = CommandContext()
    settings, books, partitions = context.settings, _books(context), Partitions.active(context.settings)
    names = channel_names(settings)
    with opened_instance(context) as instance:
        sight = Sight(
            settings, ParquetStore(settings.home), instance, partitions.tickers, partitions.horizons, now_utc()
        )
        if dry_run:
            before = books.read()
            after = foreseen(ALL_WATCHES, sight, before, channels=names)
            _print_messages(context, after.messages[len(before.messages) :], as_json=as_json)
            return
        if not names:
            raise ConfigurationError(NO_CHANNEL)
        observe(ALL_WATCHES, sight, books, channels=names)
    sent = deliver(books, channels_of(settings), settings=settings.alerts)
    book = books.read()
    if as_json:
        print_json({"sent": sent, **_record(book, names)})
    else:
        for name, count in sent.items():
            context.console.print(f"{name}: {count} sent")
    problems = [health.problem for name, health in book.health.items() if name in names and health.problem]
    for problem in problems:
        complain(f"not sent, and kept: {problem}")
    if problems:
        raise typer.Exit(WORK_FAILED)


def _books(context: CommandContext) -> BookStore:
    from resources.alerts.store import BookStore, folder_of

    return BookStore(folder_of(context.settings.home))


def _print_messages(context: CommandContext, messages: Sequence[Message], *, as_json: bool) -> None:
    if as_json:
        print_json([{"kind": m.kind, "title": m.title, "body": m.body, "causes": list(m.causes)} for m in messages])
        return
    context.console.print(f"{len(messages)} messages would be sent; nothing was sent or noted")
    for message in messages:
        context.console.print(f"\n{message.title}\n{message.body}")


def _record(book: Book, names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "channels": [
            {"channel": name, "failures": health.failures, "problem": health.problem}
            for name in names
            for health in [book.health.get(name, ChannelHealth())]
        ],
        "lasting": [
            {"cause": name, "since": f"{each.since:%Y-%m-%dT%H:%M:%SZ}", "title": each.title}
            for name, each in book.standing.items()
        ],
        "messages": [
            {
                "kind": message.kind,
                "title": message.title,
                "written_at": f"{message.written_at:%Y-%m-%dT%H:%M:%SZ}",
                "states": {name: delivery.state for name, delivery in message.deliveries.items()},
            }
            for message in book.messages[-SHOWN:]
        ],
    }  # fmt: skip


def _states(message: Message) -> set[str]:
    return {delivery.state for delivery in message.deliveries.values()}


def _line(message: Message) -> str:
    told = ", ".join(f"{name} {delivery.state}" for name, delivery in message.deliveries.items()) or "told to nobody"
    return f"{message.written_at:%Y-%m-%d %H:%M} UTC, {told}: {visible(message.title)}"
