"""What ``backtest --structure`` trades on: the stored chains of a ticker, or a file of quotes as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trading_dag.cli.plan_request import SIGNALS
from trading_dag.cli.printing import joined_source

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from trading_dag.arrays import FloatArray
    from trading_dag.backtest.markets.chain_market import ChainMarket
    from trading_dag.backtest.markets.quote_frame import QuoteCounts
    from trading_dag.backtest.plans.trade_plan import FillAssumptions
    from trading_dag.backtest.runs.plan_inputs import KnownDividends
    from trading_dag.cli.context import CommandContext
    from trading_dag.cli.plan_request import PlanRequest


@dataclass(frozen=True)
class TradedMarket:
    """Holds a market and what belongs to it.

    Attributes
    ----------
    market : the quotes.
    dividends : of the stored prices, as far as they are known.
    rate : (sessions,) as known at each session's close.
    source : recorded source of the quotes and of all that was read beside them.
    counts : what became of the rows of a file; None for stored chains, of which the import has told.
    remarks : what was assumed while a file was read, in words.
    """

    market: ChainMarket
    dividends: KnownDividends
    rate: FloatArray
    source: str | None
    counts: QuoteCounts | None = None
    remarks: tuple[str, ...] = ()


def traded_market(
    context: CommandContext, ticker: str | None, request: PlanRequest, *, fills: FillAssumptions
) -> TradedMarket:
    """Return the market of the file that was asked for, or else of the stored chains.

    Raises
    ------
    SourceFormatError, SchemaError : for a file that cannot be read or has no quotes.
    StorageError, InsufficientDataError : where no chain is stored.
    """
    from trading_dag.backtest.runs.plan_inputs import known_dividends

    if request.quotes is not None:
        market, counts, remarks = _market_of_file(context, request.quotes, ticker, request, fills=fills)
        source: str | None = f"file {request.quotes.name}"
    else:
        market, source = _market_of_store(context, str(ticker), request, fills=fills)
        counts, remarks = None, ()
    return TradedMarket(
        market=market,
        dividends=known_dividends(_prices(context, market.ticker), market.sessions),
        rate=_rates(context, market),
        source=joined_source([source, *_recorded(context, market.ticker, request)]),
        counts=counts,
        remarks=remarks,
    )


def _market_of_file(
    context: CommandContext, path: Path, ticker: str | None, request: PlanRequest, *, fills: FillAssumptions
) -> tuple[ChainMarket, QuoteCounts, tuple[str, ...]]:
    from resources.chains.quote_file import read_quote_file
    from trading_dag.backtest.markets.corporate_actions import actions_of_prices
    from trading_dag.backtest.markets.quote_frame import quoted_market
    from trading_dag.options.chains.rates import rates_of_quotes

    first, last = _period(request)
    file = read_quote_file(path, ticker=ticker, first=first, last=last)
    quoted = quoted_market(
        file.rows, refused=file.refused, ticker=file.ticker, fills=fills,
        rate=rates_of_quotes(_macro(context), fallback=context.settings.surface.risk_free_rate),
        splits=actions_of_prices(_prices(context, file.ticker)),
    )  # fmt: skip
    return quoted.market, quoted.counts, tuple(map(str, file.remarks))


def _market_of_store(
    context: CommandContext, ticker: str, request: PlanRequest, *, fills: FillAssumptions
) -> tuple[ChainMarket, str | None]:
    from resources.chains.store import ChainStore
    from resources.io_managers.chains import StoredChain
    from trading_dag.backtest.markets.chain_market import chain_market
    from trading_dag.backtest.markets.corporate_actions import actions_of_prices
    from trading_dag.options.chains.rates import rates_of_quotes

    first, last = _period(request)
    stored = StoredChain.of(ChainStore(context.settings.home), ticker)
    rate = rates_of_quotes(_macro(context), fallback=context.settings.surface.risk_free_rate)
    quotes = stored.quotes(rate=rate, first=first, last=last)
    splits = actions_of_prices(_prices(context, ticker))
    return chain_market(quotes, ticker=ticker, fills=fills, splits=splits), stored.attrs["source"]


def _period(request: PlanRequest) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
    import pandas as pd

    return (
        None if request.first is None else pd.Timestamp(request.first),
        None if request.last is None else pd.Timestamp(request.last),
    )


def _recorded(context: CommandContext, ticker: str, request: PlanRequest) -> list[str | None]:
    """Return the recorded sources of what is read beside the quotes: prices for their dividends, rates, signals."""
    from resources.storage.parquet_store import ParquetStore, SliceKey
    from trading_dag.schemas import MACRO_TABLE, PRICES_DAILY, RECOMMENDATION

    store = ParquetStore(context.settings.home)
    read = [(PRICES_DAILY, SliceKey(ticker)), (MACRO_TABLE, SliceKey())]
    if request.entries == SIGNALS:
        read.append((RECOMMENDATION, SliceKey(ticker, request.horizon)))
    records = [store.provenance(table, key) for table, key in read]
    return [record.source for record in records if record is not None]


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
