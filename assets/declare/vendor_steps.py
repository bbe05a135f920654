"""How steps that ask a vendor behave in runs that Dagster launched: they try again where that can help, and only so
many runs ask one vendor at a time.

What a single request does (time-outs, its own retries, rates) stands in ``resources.http``.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import dagster as dg

from trading_dag.errors import SourceUnavailableError
from trading_dag.schemas import (
    EARNINGS,
    ECONOMIC_CALENDAR,
    MACRO,
    NEWS,
    NEWS_SENTIMENT,
    OPTION_CHAIN,
    PRICES_DAILY,
    PRICES_HOURLY,
    SOCIAL_MENTIONS,
    VOLATILITY_INDEX,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trading_dag.schemas import Table

# A run that a command executes says its mode here. Its user sees the error at once and runs the command again.
COMMAND_TAG: Final = "trading_dag/mode"
FORCED: Final = "force"  # the mode that computes everything again
RETRIES: Final = dg.RetryPolicy(max_retries=3, delay=20.0, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
# Whom the live source asks for each table. How many runs may hold a pool at a time says dagster.yaml, or the UI.
POOLS: Final[dict[str, str]] = {
    **dict.fromkeys(
        (table.qualified_name for table in (PRICES_DAILY, PRICES_HOURLY, VOLATILITY_INDEX, OPTION_CHAIN)), "yahoo"
    ),
    **dict.fromkeys((table.qualified_name for table in (MACRO, ECONOMIC_CALENDAR)), "fred"),
    **dict.fromkeys((table.qualified_name for table in (NEWS, NEWS_SENTIMENT, EARNINGS)), "finnhub"),
    SOCIAL_MENTIONS.qualified_name: "apewisdom",
}


def pool_of(tables: Iterable[Table]) -> str | None:
    """Return the pool of a step that fetches tables; None for what no vendor is asked for."""
    return next((POOLS[table.qualified_name] for table in tables if table.qualified_name in POOLS), None)


@contextmanager
def asked_again_later(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Let a step whose vendor cannot be reached run again after a while; in the run of a command it fails at once.

    Only such a vendor may be back a minute later. A key that is refused, an answer in another shape, or data that break
    a rule would be the same again. After the last retry the step fails with the error.
    """
    try:
        yield
    except SourceUnavailableError as error:
        if COMMAND_TAG in context.run.tags:
            raise
        seconds = RETRIES.calculate_delay(context.retry_number + 1)
        raise dg.RetryRequested(RETRIES.max_retries, seconds) from error
