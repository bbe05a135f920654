"""The work behind ``payoff``: chooses between the quotes of a stored chain and those of the modelled surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trading_dag.cli.chain_work import session_analysis
from trading_dag.cli.context import CommandContext
from trading_dag.cli.plan_request import named_structure
from trading_dag.cli.printing import joined_source
from trading_dag.errors import InsufficientDataError

if TYPE_CHECKING:
    import pandas as pd

    from resources.io_managers.chains import StoredChain
    from trading_dag.options.structures.indication import Indication


def indication_of(
    context: CommandContext, structure: str, ticker: str, *, session: pd.Timestamp | None, is_modelled: bool
) -> tuple[Indication, str | None]:
    """Return the indication, and the recorded source of what it was computed from.

    The quotes are those of the stored chain if the session has one, otherwise those of the modelled surface. Without a
    session, the last one with stored prices or a stored chain is taken.

    Raises
    ------
    InsufficientDataError : where neither can quote it, with what is missing and which sessions have a chain.
    """
    from resources.chains.store import ChainStore
    from resources.io_managers.chains import StoredChain
    from resources.storage.parquet_store import ParquetStore, SliceKey
    from trading_dag.schemas import PRICES_DAILY

    store = ParquetStore(context.settings.home)
    prices = store.read_or_empty(PRICES_DAILY, SliceKey(ticker))
    stored = StoredChain.of(ChainStore(context.settings.home), ticker)
    sessions = stored.sessions()
    wanted = session
    if wanted is None and len(sessions) and (prices.empty or sessions[-1] >= prices["session"].max()):
        wanted = sessions[-1]
    if wanted is not None and wanted in sessions and not is_modelled:
        return _on_chain(context, structure, stored, session=wanted)
    try:
        return _on_surface(context, structure, ticker, prices, session=session)
    except InsufficientDataError as error:
        if not len(sessions) or is_modelled:
            raise
        raise InsufficientDataError(
            f"{error}; chains are stored for {len(sessions)} sessions from {sessions[0]:%Y-%m-%d} to "
            f"{sessions[-1]:%Y-%m-%d}; --date {sessions[-1]:%Y-%m-%d} shows the last"
        ) from error


def _on_chain(
    context: CommandContext, structure: str, stored: StoredChain, *, session: pd.Timestamp
) -> tuple[Indication, str | None]:
    from resources.storage.parquet_store import ParquetStore, SliceKey
    from trading_dag.backtest.runs.chain_indication import indicate_on_chain
    from trading_dag.schemas import MACRO_TABLE

    chosen = named_structure(context, structure)
    analysis = session_analysis(context, stored.ticker, session=session)
    quotes = stored.quotes(rate=context.settings.surface.risk_free_rate, first=session, last=session)
    indication = indicate_on_chain(
        chosen, quotes, smiles=analysis.smiles, ticker=stored.ticker, settings=context.settings
    )  # fmt: skip
    macro = ParquetStore(context.settings.home).provenance(MACRO_TABLE, SliceKey())
    return indication, joined_source([stored.attrs["source"], None if macro is None else macro.source])


def _on_surface(
    context: CommandContext, structure: str, ticker: str, prices: pd.DataFrame, *, session: pd.Timestamp | None
) -> tuple[Indication, str | None]:
    from resources.storage.parquet_store import ParquetStore, SliceKey
    from trading_dag.options.structures.indication import indicate
    from trading_dag.schemas import MACRO_TABLE, VOLATILITY_INDEX
    from trading_dag.strategy.sizing import settings_for_contract

    store = ParquetStore(context.settings.home)
    index = store.read_or_empty(VOLATILITY_INDEX, SliceKey(ticker))
    macro = store.read_or_empty(MACRO_TABLE, SliceKey())
    settings = settings_for_contract(ticker, context.settings)
    indication = indicate(
        named_structure(context, structure),
        prices,
        volatility_index=index,
        rates=macro[["session", "treasury_3m"]],
        ticker=ticker,
        session=session,
        surface_settings=settings.surface,
        backtest=settings.backtest,
    )
    return indication, joined_source(frame.attrs.get("source") for frame in (prices, index, macro))
