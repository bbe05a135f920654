"""Chooses the source that the settings ask for, and tells which of the active tickers it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trading_dag.errors import ConfigurationError, SourceError
from trading_dag.schemas import PRICES_DAILY
from trading_dag.settings import Settings

if TYPE_CHECKING:
    from resources.sources.protocol import Source
    from resources.text_files.column_file import ReadingRules


def build_source(settings: Settings) -> Source:
    """Return the source that the settings name. Nothing is read or asked yet.

    Raises
    ------
    ConfigurationError : where the settings of that source cannot work.
    """
    if settings.source == "sample":
        from resources.sources.sample import SampleSource

        return SampleSource(hull_file=settings.hull_file)
    if settings.source == "files":
        from resources.sources.files.source import FilesSource

        return FilesSource(
            settings.files,
            companies_of=settings.companies_of,
            index_of=settings.volatility_index_of,
            hull_file=settings.hull_file,
            rules=reading_rules(settings),
        )
    if settings.source == "simulated":
        from resources.sources.simulated import SimulatedSource

        return SimulatedSource(settings.simulation, hull_file=settings.hull_file)
    from resources.sources.live.source import build_live_source

    return build_live_source(settings)


def reading_rules(settings: Settings) -> ReadingRules:
    """Return what the settings say about the files of the folder."""
    from resources.text_files.column_file import ReadingRules

    return ReadingRules(settings.files_columns, settings.files_zone, settings.files_date_order)


def tickers_at_hand(settings: Settings) -> tuple[str, ...]:
    """Return the active tickers that the source has, in their order.

    Only a data folder is looked into. Where there is none, or its prices cannot be read, the settings decide: a run
    will report what is wrong.
    """
    if settings.source == "live":
        return settings.active_tickers
    if settings.source == "files":
        from resources.sources.files.source import FilesSource

        try:
            known = FilesSource(settings.files, rules=reading_rules(settings)).tickers()
        except SourceError:
            return settings.active_tickers
    else:
        known = frozenset(settings.tickers_of_source)
    return tuple(ticker for ticker in settings.active_tickers if ticker in known)


def require_prices(settings: Settings) -> None:
    """Refuse a source that cannot provide prices, before anything is started for it.

    Raises
    ------
    ConfigurationError : where ``raw.prices_daily`` is not available, with what to do.
    """
    for status in build_source(settings).describe():
        if status.kind == PRICES_DAILY.name and status.state == "missing":
            raise ConfigurationError(f"source {settings.source}: {status.detail}; {status.remedy}")
