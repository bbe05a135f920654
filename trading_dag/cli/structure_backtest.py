"""The work behind ``backtest --structure``: a trade plan on the stored chains of a ticker, and its report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trading_dag.cli.context import CommandContext
from trading_dag.cli.printing import joined_source, print_json, titled
from trading_dag.errors import ConfigurationError, OptionPricingError, SliceNotFoundError

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from trading_dag.arrays import FloatArray
    from trading_dag.backtest.markets.chain_market import ChainMarket
    from trading_dag.backtest.results.plan_study import PlanStudy
    from trading_dag.backtest.trades.entries import Entries
    from trading_dag.options.structures.structure import Structure
    from trading_dag.setting_groups import BacktestSettings

WEEKLY: Final = "weekly"
DAILY: Final = "daily"
SIGNALS: Final = "signals"
ENTRY_RULES: Final = (WEEKLY, DAILY, SIGNALS)
# What a plan on a chain reads of the backtest settings; the others would be accepted and change nothing.
PLAN_SETTINGS: Final = (
    "account_usd", "risk_fraction", "maximum_open_positions", "interest_rate", "fee_per_leg_contract_usd",
    "slippage_fraction", "half_spread_fraction", "half_spread_minimum_usd", "price_tick_usd", "minimum_volume",
    "minimum_open_interest", "volume_share", "open_interest_share", "long_leg_delta", "short_leg_delta", "wing_delta",
    "multiplier", "random_entry_runs", "seed",
)  # fmt: skip


@dataclass(frozen=True)
class PlanRequest:
    """Holds what the command line asks for, still in the user's words.

    Attributes
    ----------
    structure : name of the structure.
    first, last : sessions, inclusive; None for all.
    entries : ``weekly``, ``daily`` or ``signals``.
    horizon : horizon of the signals; empty where none is asked for.
    days : desired calendar days to expiration.
    exits : ``name=number`` each.
    changes : ``name=value`` each, of the backtest settings.
    """

    structure: str
    first: datetime | None
    last: datetime | None
    entries: str
    horizon: str
    days: int
    exits: tuple[str, ...]
    changes: tuple[str, ...]


def show_plan(context: CommandContext, ticker: str, request: PlanRequest, *, html: Path | None, as_json: bool) -> None:
    """Run the plan on the stored chains, and print its result or write it to a file."""
    from trading_dag.reporting.backtest_record import plan_record

    if html is not None and not html.absolute().parent.is_dir():
        raise ConfigurationError(f"--html {html}: there is no folder {html.absolute().parent}; make it first")
    study = run_study(context, ticker, request)
    source = source_of(context, ticker, request)
    record = plan_record(study, source=source)
    if html is not None:
        from trading_dag.reporting.backtest_page import plan_page

        html.write_text(plan_page(record, pictures_of(study, source=source)), encoding="utf-8")
    if as_json:
        print_json(record)
        return
    from trading_dag.reporting.backtest_tables import plan_tables

    for table in plan_tables(record):
        context.console.print(table)
    for note in record["notes"]:
        context.console.print(note)
    if html is not None:
        context.console.print(f"report: {html}")


def run_study(context: CommandContext, ticker: str, request: PlanRequest) -> PlanStudy:
    """Return the plan's result together with what it is compared with.

    Raises
    ------
    ConfigurationError : for a word that names no structure, exit, entry rule or setting.
    StorageError, InsufficientDataError : where there is no chain, or no signal within it.
    """
    from trading_dag.backtest.plans.structure_plans import exit_rules, plan_of, settings_for_listed_contract
    from trading_dag.backtest.results.plan_study import study_plan
    from trading_dag.backtest.runs.plan_inputs import known_dividends
    from trading_dag.backtest.runs.plan_runs import random_entry_runs, run_plan

    book = settings_for_listed_contract(ticker, changed_settings(context.settings.backtest, request.changes))
    structure = named_structure(context, request.structure)
    exits = exit_rules(dict(_exit(word) for word in request.exits))
    if request.entries not in ENTRY_RULES:
        raise ConfigurationError(f"unknown entry rule {request.entries!r}; choose from {', '.join(ENTRY_RULES)}")
    if (request.entries == SIGNALS) != bool(request.horizon):
        raise ConfigurationError("--entries signals and --horizon go together, such as --entries signals --horizon 24h")
    plan = plan_of(structure, exits=exits, days_to_expiration=request.days, settings=book)
    prices = _prices(context, ticker)
    market = _market(context, ticker, request, book=book, prices=prices)
    entries, entered = _entries(context, market, request)
    payouts = known_dividends(prices, market.sessions)
    rate = _rates(context, market)
    result = run_plan(market, plan, entries=entries, dividends=payouts.dividends, rate=rate)
    luck = None
    if result.is_closed.any():
        luck = random_entry_runs(
            market, result, runs=book.random_entry_runs, seed=book.seed, dividends=payouts.dividends, rate=rate
        )
    return study_plan(
        result,
        luck=luck,
        rate=rate,
        dividend_yield=context.settings.surface.dividend_yield,
        assumed={"entries": entered, "dividends": payouts.assumption},
    )


def source_of(context: CommandContext, ticker: str, request: PlanRequest) -> str | None:
    """Return the recorded source of all that a plan reads: chain, prices for their dividends, rates, signals."""
    from resources.chains.store import ChainStore
    from resources.io_managers.chains import StoredChain
    from resources.storage.parquet_store import ParquetStore, SliceKey
    from trading_dag.schemas import MACRO_TABLE, PRICES_DAILY, RECOMMENDATION

    store = ParquetStore(context.settings.home)
    read = [(PRICES_DAILY, SliceKey(ticker)), (MACRO_TABLE, SliceKey())]
    if request.entries == SIGNALS:
        read.append((RECOMMENDATION, SliceKey(ticker, request.horizon)))
    records = [store.provenance(table, key) for table, key in read]
    chain = StoredChain.of(ChainStore(context.settings.home), ticker).attrs["source"]
    return joined_source([chain, *(record.source for record in records if record is not None)])


def pictures_of(study: PlanStudy, *, source: str | None) -> dict[str, bytes]:
    """Return the page's pictures, PNG by name, in the order in which they are shown; a picture without data is left
    out."""
    from trading_dag.plots import profit_against_random_entry, to_png
    from trading_dag.plots.trade_plans import (
        excursions,
        greeks_through_time,
        payoff_of_typical_trade,
        plan_equity,
        profit_by_cause,
    )

    result, luck = study.result, study.luck
    title = titled(f"{result.market.ticker} {result.plan.name.replace('_', ' ')}", source)
    figures = {"equity and drawdown": plan_equity(result.equity(), title)}
    if luck is not None and not study.random_runs_are_alike:
        figures["profit against random entry"] = profit_against_random_entry(
            luck.totals_usd, own_usd=result.total_profit_usd, p_value=luck.p_value, summary_title=title
        )
    if result.is_closed.any():
        figures["profit by cause"] = profit_by_cause(study.exits_table, title)
        figures["worst and best while held"] = excursions(result.trades(), title)
    if study.typical_row is not None:
        figures["payoff of a typical trade"] = payoff_of_typical_trade(study, title)
        figures["Greeks through time"] = greeks_through_time(study.greeks_table, title)
    return {name: to_png(figure) for name, figure in figures.items()}


def named_structure(context: CommandContext, name: str) -> Structure:
    """Return the structure of that name, built in or the user's own.

    Raises
    ------
    ConfigurationError : for an unknown name; it lists all known ones.
    """
    from trading_dag.options.structures.structure import structure_of
    from trading_dag.options.structures.user_structures import structures_by_name

    try:
        return structure_of(name, menu=structures_by_name(context.settings.structures))
    except OptionPricingError as error:
        raise ConfigurationError(str(error)) from None


def changed_settings(settings: BacktestSettings, changes: tuple[str, ...]) -> BacktestSettings:
    """Return the settings changed by ``name=value`` words; an empty value switches a limit off.

    Raises
    ------
    ConfigurationError : for a word of another form, or a name that is no setting of a plan.
    ValidationError : for a value that a setting does not accept.
    """
    given: dict[str, str | None] = {}
    for word in changes:
        name, separator, value = (part.strip() for part in word.partition("="))
        if not separator:
            raise ConfigurationError(f"--set {word!r} is not of the form name=value, such as slippage_fraction=0.01")
        if name not in PLAN_SETTINGS:
            names = ", ".join(PLAN_SETTINGS)
            raise ConfigurationError(f"--set {name!r} is no setting of a trade plan; choose from {names}")
        given[name] = value or None
    return type(settings).model_validate({**settings.model_dump(), **given})


def _exit(word: str) -> tuple[str, float]:
    name, _, number = word.partition("=")
    try:
        return name.strip(), float(number)
    except ValueError:
        raise ConfigurationError(f"exit {word!r} is not of the form name=number, such as profit_target=0.5") from None


def _market(
    context: CommandContext, ticker: str, request: PlanRequest, *, book: BacktestSettings, prices: pd.DataFrame
) -> ChainMarket:
    import pandas as pd

    from resources.chains.store import ChainStore
    from resources.io_managers.chains import StoredChain
    from trading_dag.backtest.markets.chain_market import chain_market
    from trading_dag.backtest.markets.corporate_actions import splits_of_prices
    from trading_dag.backtest.plans.structure_plans import fills_of
    from trading_dag.options.chains.rates import rates_of_quotes

    first, last = (None if day is None else pd.Timestamp(day) for day in (request.first, request.last))
    if first is not None and last is not None and first > last:
        raise ConfigurationError(f"--from {first:%Y-%m-%d} is after --to {last:%Y-%m-%d}")
    stored = StoredChain.of(ChainStore(context.settings.home), ticker)
    rate = rates_of_quotes(_macro(context), fallback=context.settings.surface.risk_free_rate)
    quotes = stored.quotes(rate=rate, first=first, last=last)
    return chain_market(quotes, ticker=ticker, fills=fills_of(book), splits=splits_of_prices(prices))


def _entries(context: CommandContext, market: ChainMarket, request: PlanRequest) -> tuple[Entries, str]:
    """Return the entries of the rule, and the rule in words."""
    from trading_dag.backtest.trades.entries import entries_every_session, entries_weekly

    if request.entries == WEEKLY:
        return entries_weekly(market), "the chain's first session of each week"
    if request.entries == DAILY:
        return entries_every_session(market), "every session of the chain"
    from resources.storage.parquet_store import ParquetStore, SliceKey
    from trading_dag.backtest.runs.plan_inputs import entries_of_recommendations, signals_in_words
    from trading_dag.schemas import RECOMMENDATION

    key = SliceKey(market.ticker, request.horizon)
    signals = ParquetStore(context.settings.home).read_or_empty(RECOMMENDATION, key)
    if signals.empty:
        raise SliceNotFoundError(
            f"no signals of {market.ticker} {request.horizon} are stored: "
            f"trading-dag run --tickers {market.ticker} --horizons {request.horizon} makes them"
        )
    entries = entries_of_recommendations(market, signals, structure=request.structure)
    return entries, signals_in_words(request.structure, horizon=request.horizon)


def _prices(context: CommandContext, ticker: str) -> pd.DataFrame:
    """Return the stored bars, for dividends and splits; no rows where there are none."""
    from resources.storage.parquet_store import ParquetStore, SliceKey
    from trading_dag.schemas import PRICES_DAILY

    return ParquetStore(context.settings.home).read_or_empty(PRICES_DAILY, SliceKey(ticker))


def _macro(context: CommandContext) -> pd.DataFrame:
    from resources.storage.parquet_store import ParquetStore, SliceKey
    from trading_dag.schemas import MACRO_TABLE

    return ParquetStore(context.settings.home).read_or_empty(MACRO_TABLE, SliceKey())


def _rates(context: CommandContext, market: ChainMarket) -> FloatArray:
    """Return the Treasury bill rate as known at each session, for Greeks, scenarios and marks of legs without a
    quote."""
    import pandas as pd

    from trading_dag.options.chains.rates import rates_at_sessions

    sessions = pd.DatetimeIndex(market.sessions).as_unit("us")
    return rates_at_sessions(_macro(context), sessions, fallback=context.settings.surface.risk_free_rate)
