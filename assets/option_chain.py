"""Option chains, stored one session of one ticker at a time, and the analytics made from them.

Years of chains come in through ``trading-dag import-chains``, which records them here; this asset adds one session
from a source that offers chains. A date becomes a partition as soon as it has a chain.
"""

import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
import pandas as pd

from assets.declare.declaration import Declaration, Read, Result, Slice, checks_of, table_asset
from assets.declare.materialization import (
    CHAIN_IO,
    SLICE_LOCK,
    check_results,
    check_specs,
    column_schema,
    objections,
    one_refusal,
)
from assets.declare.pictures import picture
from assets.declare.standing import owners_of
from assets.declare.vendor_steps import asked_again_later, pool_of
from assets.partitions import Partitions, chain_slice_of
from resources.storage.parquet_store import content_hash
from trading_dag.quality import QualityContext
from trading_dag.schemas import (
    CHAIN_ANALYTICS,
    DEALER_EXPOSURE,
    MACRO_TABLE,
    OPTION_CHAIN,
)
from trading_dag.sessions import last_closed_session

if TYPE_CHECKING:
    from resources.io_managers.chains import StoredChain
    from trading_dag.options.chains.history import HistoryProgress

# Called with the progress of chain_history: set by the command line that runs it in its own process.
ANALYSIS_PROGRESS: Final[ContextVar["Callable[[HistoryProgress], None] | None"]] = ContextVar(
    "analysis_progress", default=None
)
OPTION_CHAIN_KEY: Final = dg.AssetKey([OPTION_CHAIN.group, OPTION_CHAIN.name])


def build_option_chain(partitions: Partitions) -> dg.AssetsDefinition:
    """Return the asset ``raw.option_chain``, with its checks, for one universe."""
    checks = check_specs(OPTION_CHAIN_KEY, checks_of(OPTION_CHAIN), partitions_def=partitions.date_ticker)

    @dg.multi_asset(
        name="raw__option_chain",
        outs={
            OPTION_CHAIN.name: dg.AssetOut(
                key=OPTION_CHAIN_KEY,
                description=f"{OPTION_CHAIN.description}\n\n{__doc__}",
                io_manager_key=CHAIN_IO,
                metadata={"dagster/column_schema": column_schema(OPTION_CHAIN)},
                code_version="2",
                owners=owners_of(OPTION_CHAIN.group),
                kinds={"parquet", "api"},
            )
        },
        partitions_def=partitions.date_ticker,
        check_specs=checks,
        required_resource_keys={"source", CHAIN_IO, SLICE_LOCK},
        group_name=OPTION_CHAIN.group,
        pool=pool_of([OPTION_CHAIN]),
    )
    def option_chain(context: dg.AssetExecutionContext) -> Iterator[Any]:
        yield from _fetch(context)

    return option_chain


def _fetch(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """Fetch one session's chain from the source; it is judged before it is merged."""
    from resources.expectations import verify
    from resources.io_managers.chains import StoredChain
    from resources.left_out import LEFT_OUT
    from resources.vendors.chain_snapshot import WITHOUT_CONTRACTS

    session, ticker = chain_slice_of(context.partition_key)
    source = context.resources.source
    with asked_again_later(context):
        frame = source.option_chain(ticker, session=session)
    # The stored chain of the session before shows whether this one is only a copy of it.
    before = StoredChain.of(context.resources.chain_io.store, ticker).read_before(session) if len(frame) else None
    judged = QualityContext(now_session=last_closed_session(), chain_before=before)
    verdicts = verify(OPTION_CHAIN, frame, context=judged)
    results = list(check_results(OPTION_CHAIN_KEY, verdicts))
    where = f"{ticker} {session:%Y-%m-%d}"
    refused = objections(OPTION_CHAIN.qualified_name, where, verdicts)
    if refused:
        yield from results
        raise one_refusal(where, refused)
    frame.attrs.setdefault("source", source.name)
    metadata = {
        name: frame.attrs[name] for name in ("source_off", WITHOUT_CONTRACTS, LEFT_OUT) if frame.attrs.get(name)
    }
    if WITHOUT_CONTRACTS in metadata:
        context.log.warning(
            "%s [%s %s] the vendor gave no contracts for expirations that it lists: %s",
            OPTION_CHAIN.qualified_name, ticker, f"{session:%Y-%m-%d}", metadata[WITHOUT_CONTRACTS],
        )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # data versions are in beta in Dagster 1.13
        yield dg.Output(
            frame,
            output_name=OPTION_CHAIN.name,
            metadata=metadata,
            data_version=dg.DataVersion(content_hash(frame)),
        )
    yield from results


@table_asset(
    CHAIN_ANALYTICS,
    DEALER_EXPOSURE,
    reads={"chain": OPTION_CHAIN, "rates": Read(MACRO_TABLE, columns=("session", "treasury_3m"))},
    code_version="4",
    automation="eager_by_session",
    uses=("surface",),
)
def chain_history(at: Slice, chain: "StoredChain", rates: pd.DataFrame) -> Result:
    """Each expiration gets its forward by put-call parity, implied volatilities, a fitted smile and arbitrage checks,
    and each session the exposure that dealers would hold. Sessions whose quotes did not change are kept, and what an
    interrupted run has computed is not computed again."""
    from resources.chains.analysis_journal import AnalysisJournal
    from resources.io_managers.chains import NO_CHAIN
    from trading_dag.options.chains.history import HistoryTables, analyse_history
    from trading_dag.options.chains.rates import rates_at_sessions

    sessions = chain.sessions()
    rate = rates_at_sessions(rates, sessions, fallback=at.settings.surface.risk_free_rate)
    journal = AnalysisJournal(chain.store, at.ticker)
    stored = (at.store.read_or_empty(table, at.key) for table in (CHAIN_ANALYTICS, DEALER_EXPOSURE))
    history = analyse_history(
        chain.by_session(),
        rates=pd.Series(rate, index=sessions),
        known=journal.added_to(HistoryTables(*stored)),
        keep=journal.keep,
        progress=ANALYSIS_PROGRESS.get(),
    )
    frames = {CHAIN_ANALYTICS.name: history.tables.smiles, DEALER_EXPOSURE.name: history.tables.exposure}
    for frame in frames.values():
        frame.attrs["source"] = chain.attrs["source"]
    if history.latest is None:
        return Result(frames, source_off=NO_CHAIN)
    return Result(frames, {"sessions computed": history.computed, **_pictures(history.latest)})


def _pictures(latest: Any) -> dict[str, Any]:
    """Return pictures of the last session: its smile, term structure and dealers' gamma."""
    from trading_dag.options.chains.dealer_exposure import gamma_by_strike
    from trading_dag.plots import net_gamma_by_strike, smiles, term_structure

    title = f"{latest.ticker} {latest.session:%Y-%m-%d}"
    by_strike = gamma_by_strike(latest.open_contracts, spot=latest.spot)
    flip = latest.exposure.gamma_flip
    return {
        "smile": picture(smiles(latest.contracts, title)),
        "term structure": picture(term_structure(latest.smiles, title)),
        "dealers' gamma": picture(net_gamma_by_strike(by_strike, spot=latest.spot, flip=flip, title=title)),
        "refused quotes": latest.refused,
    }


DECLARATIONS: Final[tuple[Declaration, ...]] = (chain_history,)
