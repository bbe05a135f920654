"""Option chains, one session of one ticker at a time, and what each comes down to.

Years of chains come in by ``trading-dag import-chains``, which records them here; this asset adds a session from a
source that gives chains. A date is a partition as soon as there is a chain of it.
"""

from collections.abc import Iterator
from typing import Any, Final

import dagster as dg
import pandas as pd

from assets.declaration import Declaration, Read, Result, Slice, checks_of, table_asset
from assets.materialization import CHAIN_IO, OWNERS, check_results, column_schema
from assets.partitions import Partitions, chain_slice_of
from assets.pictures import picture
from resources.chain_io import NO_CHAIN, StoredChain
from trading_dag.errors import BadSliceError
from trading_dag.quality import QualityContext
from trading_dag.schemas import CHAIN_ANALYTICS, COMPARISON, DEALER_EXPOSURE, MACRO_TABLE, OPTION_CHAIN
from trading_dag.sessions import last_closed_session
from trading_dag.table_frames import table_frame, values_at_sessions

LONGEST_DAYS: Final = 70
OPTION_CHAIN_KEY: Final = dg.AssetKey([OPTION_CHAIN.group, OPTION_CHAIN.name])


def build_option_chain(partitions: Partitions) -> dg.AssetsDefinition:
    """The asset ``raw.option_chain``, with its checks, for one universe."""
    checks = [
        dg.AssetCheckSpec(
            name=name,
            asset=OPTION_CHAIN_KEY,
            description=" ".join(rule.description for rule in rules),
            blocking=all(rule.is_blocking for rule in rules),
            partitions_def=partitions.date_ticker,
        )
        for name, rules in checks_of(OPTION_CHAIN).items()
    ]

    @dg.multi_asset(
        name="raw__option_chain",
        outs={
            OPTION_CHAIN.name: dg.AssetOut(
                key=OPTION_CHAIN_KEY,
                description=f"{OPTION_CHAIN.description}\n\n{__doc__}",
                io_manager_key=CHAIN_IO,
                metadata={"dagster/column_schema": column_schema(OPTION_CHAIN)},
                code_version="1",
                owners=OWNERS,
                kinds={"parquet", "api"},
            )
        },
        partitions_def=partitions.date_ticker,
        check_specs=checks,
        required_resource_keys={"source"},
        group_name=OPTION_CHAIN.group,
    )
    def option_chain(context: dg.AssetExecutionContext) -> Iterator[Any]:
        yield from _fetch(context)

    return option_chain


def _fetch(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """One session's chain from the source, judged before it is merged."""
    from resources.expectations import verify

    session, ticker = chain_slice_of(context.partition_key)
    source = context.resources.source
    frame = source.option_chain(ticker, session=session)
    verdicts = verify(OPTION_CHAIN, frame, context=QualityContext(now_session=last_closed_session()))
    results = list(check_results(OPTION_CHAIN_KEY, verdicts))
    broken = next((verdict for verdict in verdicts if verdict.rule.is_blocking and not verdict.passed), None)
    if broken is not None:
        yield from results
        where = f"{ticker} {session:%Y-%m-%d}; {', '.join(broken.examples)}"
        raise BadSliceError(table=OPTION_CHAIN.qualified_name, key=where, rule=f"{broken.rule.name}: {broken.detail}")
    frame.attrs.setdefault("source", source.name)
    off = frame.attrs.get("source_off")
    yield dg.Output(frame, output_name=OPTION_CHAIN.name, metadata={"source_off": off} if off else {})
    yield from results


@table_asset(
    CHAIN_ANALYTICS,
    DEALER_EXPOSURE,
    reads={"chain": OPTION_CHAIN, "rates": Read(MACRO_TABLE, columns=("session", "treasury_3m"))},
    code_version="1",
    automation="none",
    uses=("surface",),
)
def chain_history(at: Slice, chain: StoredChain, rates: pd.DataFrame) -> Result:
    """Forwards by parity, volatilities, fitted smiles and arbitrage of every expiration, and what dealers would hold.
    Sessions whose quotes did not change are kept as they are."""
    from trading_dag.options.session_analytics import analyse_history
    from trading_dag.options.surface import continuous_rate

    sessions = chain.sessions()
    bills = values_at_sessions(rates, sessions, column="treasury_3m", table=MACRO_TABLE.qualified_name)
    rate = continuous_rate(bills, fallback=at.settings.surface.risk_free_rate)
    history = analyse_history(
        sessions,
        chain.read,
        rates=pd.Series(rate, index=sessions),
        stored=(at.store.read_or_empty(CHAIN_ANALYTICS, at.key), at.store.read_or_empty(DEALER_EXPOSURE, at.key)),
    )
    frames = {CHAIN_ANALYTICS.name: history.smiles, DEALER_EXPOSURE.name: history.exposure}
    for frame in frames.values():
        frame.attrs["source"] = chain.attrs["source"]
    if history.latest is None:
        return Result(frames, source_off=NO_CHAIN)
    return Result(frames, {"sessions computed": history.computed, **_pictures(history.latest)})


def _pictures(latest: Any) -> dict[str, Any]:
    """Smile, term structure and dealers' gamma of the last session."""
    from trading_dag.options.dealer_exposure import gamma_by_strike
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


@table_asset(
    COMPARISON,
    reads={"chain": OPTION_CHAIN},
    code_version="1",
    automation="none",
    uses=("backtest", "surface"),
)
def comparison(at: Slice, chain: StoredChain) -> Result:
    """Weekly entries about 30 days before expiration, on bid and ask where there are, otherwise on last trades."""
    from trading_dag.backtest.chain_market import chain_market
    from trading_dag.backtest.structure_comparison import compare_structures
    from trading_dag.backtest.structure_programs import fills_of, settings_for_listed_contract
    from trading_dag.options.structure_settings import structures_by_name

    if not len(chain.sessions()):
        return Result({COMPARISON.name: table_frame(COMPARISON, {}, rows=0)}, source_off=NO_CHAIN)
    book = settings_for_listed_contract(at.ticker, at.settings.backtest)
    quotes = chain.quotes(rate=at.settings.surface.risk_free_rate, maximum_days=LONGEST_DAYS)
    found = compare_structures(
        chain_market(quotes, ticker=at.ticker, fills=fills_of(book)),
        menu=structures_by_name(at.settings.structures),
        settings=book,
    )
    found.table.attrs["source"] = chain.attrs["source"]
    return Result({COMPARISON.name: found.table}, {"structures left out": found.left_out})


DECLARATIONS: Final[tuple[Declaration, ...]] = (chain_history, comparison)
