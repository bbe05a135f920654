"""One session's chain from quotes to numbers: cleaning, forwards, volatilities, fitted smiles, arbitrage, exposure.

This is the one way through the chain modules, in order; each step is theirs. A session uses its own quotes and the one
before (for stale quotes), never a later one. Many sessions, and what of them is known already, are
``chains.history``'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.errors import InsufficientDataError
from trading_dag.frames import table_frame
from trading_dag.options.chains.arbitrage import ArbitrageReport, check_arbitrage
from trading_dag.options.chains.cleaning import CleaningRules, clean_chain
from trading_dag.options.chains.contracts import terms_of
from trading_dag.options.chains.dealer_exposure import DealerExposure, OpenContracts
from trading_dag.options.chains.forward import SLICE_KEY, implied_forwards
from trading_dag.options.chains.measures import (
    LEAST_PAIRS,
    ChainActivity,
    SessionMeasures,
    SmilePoints,
    measure_session,
)
from trading_dag.options.chains.volatilities import contract_analytics, smile_summary
from trading_dag.options.surfaces.svi import FittedSmile, calendar_slack
from trading_dag.options.surfaces.svi_fit import SmileQuotes, fit_smiles
from trading_dag.schemas import CHAIN_ANALYTICS, DEALER_EXPOSURE

_SMILES: Final = (
    "years", "forward", "dividend_yield", "atm_volatility", "put_25_delta_volatility", "call_25_delta_volatility",
    "skew_25_delta",
)  # fmt: skip
_FORWARDS: Final = ("rate", "pairs", "forward_deviation")


@dataclass(frozen=True)
class SessionAnalysis:
    """Holds the analysis of one session's chain.

    Attributes
    ----------
    ticker, session, spot : of which chain; spot in USD, the median of the rows.
    contracts : clean rows with the columns of ``contract_analytics``, and ``slice_volatility`` of the fitted smile.
    smiles : rows of ``options.chain_analytics``, one an expiration.
    fitted : the fitted smile of each expiration that has one.
    open_contracts : every contract with open interest, for exposure and its picture.
    exposure : of the dealers.
    activity : contracts traded and open.
    refused : rows left out, by reason.
    arbitrage : violations among the clean rows.
    """

    ticker: str
    session: pd.Timestamp
    spot: float
    contracts: pd.DataFrame
    smiles: pd.DataFrame
    fitted: dict[pd.Timestamp, FittedSmile]
    open_contracts: OpenContracts
    exposure: DealerExposure
    activity: ChainActivity
    refused: dict[str, int]
    arbitrage: ArbitrageReport

    def exposure_row(self, digest: str) -> pd.DataFrame:
        """Return one row of ``options.dealer_exposure``; ``digest`` identifies what it was computed from."""
        head = {"ticker": self.ticker, "session": self.session, "spot": self.spot, "chain_digest": digest}
        values = {**head, **self.exposure.__dict__, **self.activity.__dict__}
        return table_frame(DEALER_EXPOSURE, values, rows=1)


@dataclass(frozen=True)
class SessionChain:
    """Holds what one session's analysis is made of.

    Attributes
    ----------
    chain : rows of ``raw.option_chain`` of one ticker and quote date.
    rate : continuously compounded, known at the session; flat over the expirations.
    before : the chain of the quote date before, by which quotes that stood still are told; None for none.
    """

    chain: pd.DataFrame
    rate: float
    before: pd.DataFrame | None = None


def analyse_session(
    chain: pd.DataFrame, *, rate: float, before: pd.DataFrame | None = None, rules: CleaningRules | None = None
) -> SessionAnalysis:
    """Analyse the chain of one ticker on one session, as ``analyse_sessions`` does.

    Raises
    ------
    InsufficientDataError : for a chain without rows, or of several tickers or dates.
    """
    return analyse_sessions([SessionChain(chain, rate, before)], rules=rules)[0]


def analyse_sessions(sessions: Sequence[SessionChain], *, rules: CleaningRules | None = None) -> list[SessionAnalysis]:
    """Analyse the chains of several sessions; each result is that of its session alone, to the last bit.

    Their smiles are fitted together, because many cost little more than a few.

    Parameters
    ----------
    rules : what is asked of a quote.

    Known at each session's close; open interest is that published on its morning.

    Raises
    ------
    InsufficientDataError : for a chain without rows, or of several tickers or dates.
    """
    prepared = [_prepared(session, rules) for session in sessions]
    smiles = iter(fit_smiles([quotes for one in prepared for quotes in one.quotes.values()]))
    fitted = [{expiration: next(smiles) for expiration in one.quotes} for one in prepared]
    return [
        _analysis(one, {expiration: smile for expiration, smile in its_smiles.items() if smile is not None})
        for one, its_smiles in zip(prepared, fitted, strict=True)
    ]


@dataclass(frozen=True)
class _Prepared:
    """Holds a session up to the quotes of its smiles."""

    ticker: str
    session: pd.Timestamp
    clean: pd.DataFrame
    refused: pd.DataFrame
    forwards: pd.DataFrame
    contracts: pd.DataFrame
    quotes: dict[pd.Timestamp, SmileQuotes]
    measures: SessionMeasures


def _prepared(given: SessionChain, rules: CleaningRules | None) -> _Prepared:
    chain, before = given.chain, given.before
    ticker, session = _the_only(chain)
    sifted = clean_chain(chain, before=None if before is None or before.empty else before, rules=rules)
    clean, refused = sifted.kept, sifted.refused
    forwards = implied_forwards(clean, rate=given.rate, minimum_pairs=LEAST_PAIRS)
    contracts = contract_analytics(clean, forwards)
    measures = measure_session(chain, rate=given.rate, cleaned=sifted)
    return _Prepared(ticker, session, clean, refused, forwards, contracts, _smile_quotes(contracts), measures)


def _analysis(prepared: _Prepared, fitted: dict[pd.Timestamp, FittedSmile]) -> SessionAnalysis:
    contracts, measures = prepared.contracts, prepared.measures
    contracts["slice_volatility"] = _slice_volatility(contracts, fitted)
    arbitrage = check_arbitrage(prepared.clean, forwards=prepared.forwards, exercise=terms_of(prepared.ticker).exercise)
    return SessionAnalysis(
        ticker=prepared.ticker,
        session=prepared.session,
        spot=measures.spot,
        contracts=contracts,
        smiles=_smile_rows(
            prepared.forwards, contracts, fitted=fitted, refused=prepared.refused, arbitrage=arbitrage,
            points=measures.smile,
        ),
        fitted=fitted,
        open_contracts=measures.open_contracts,
        exposure=measures.exposure,
        activity=measures.activity,
        refused={str(reason): int(count) for reason, count in prepared.refused["reason"].value_counts().items()},
        arbitrage=arbitrage,
    )  # fmt: skip


def _the_only(chain: pd.DataFrame) -> tuple[str, pd.Timestamp]:
    pairs = chain[["ticker", "quote_date"]].drop_duplicates()
    if len(pairs) != 1:
        raise InsufficientDataError(f"a session's chain holds one ticker and one date, not {len(pairs)} of them")
    return str(pairs["ticker"].iloc[0]), pd.Timestamp(pairs["quote_date"].iloc[0])


def _smile_quotes(contracts: pd.DataFrame) -> dict[pd.Timestamp, SmileQuotes]:
    """Return the fitted volatilities of each expiration that has some, weighted by vega."""
    known = contracts[contracts["fitted_volatility"].notna()]
    expirations, moneyness = (
        known["expiration"].to_numpy(),
        np.log((known["strike"] / known["forward"]).to_numpy(np.float64)),
    )
    volatility, vega, years = (known[name].to_numpy() for name in ("fitted_volatility", "vega", "years"))
    return {
        pd.Timestamp(expiration): SmileQuotes(moneyness[rows], volatility[rows], float(years[rows][0]), vega[rows])
        for expiration in np.unique(expirations)
        for rows in [expirations == expiration]
    }


def _slice_volatility(rows: pd.DataFrame, fitted: dict[pd.Timestamp, FittedSmile]) -> FloatArray:
    """Return the fitted smile at each contract within the range of its quotes; NaN beyond it and where there is
    none.
    """
    volatility = np.full(len(rows), np.nan)
    moneyness = np.log(rows["strike"].to_numpy(np.float64) / rows["forward"].to_numpy(np.float64))
    expirations = rows["expiration"].to_numpy()
    for expiration, smile in fitted.items():
        inside = (
            (expirations == expiration.to_datetime64()) & (moneyness >= smile.lowest) & (moneyness <= smile.highest)
        )
        volatility[inside] = smile.implied_volatility(moneyness[inside])
    return volatility


def _smile_rows(
    forwards: pd.DataFrame,
    contracts: pd.DataFrame,
    *,
    fitted: dict[pd.Timestamp, FittedSmile],
    refused: pd.DataFrame,
    arbitrage: ArbitrageReport,
    points: SmilePoints,
) -> pd.DataFrame:
    """Return rows of ``options.chain_analytics``: every expiration that has a credible quote."""
    smile = smile_summary(contracts).drop(columns=["years", "forward", "dividend_yield"])
    # Without any fitted contract the summary has no rows and so no types.
    rows = forwards.merge(smile.astype(forwards.dtypes[SLICE_KEY].to_dict()), on=SLICE_KEY, how="left")
    expirations = [pd.Timestamp(day) for day in rows["expiration"]]
    smiles = [fitted.get(day) for day in expirations]
    parameters = {
        f"svi_{name}": [np.nan if smile is None else getattr(smile.parameters, name) for smile in smiles]
        for name in ("a", "b", "rho", "m", "s")
    }
    violations = arbitrage.violations
    by_kind = {
        f"{kind}_violations": rows["expiration"].map(
            violations.loc[violations["kind"] == kind, "expiration"].value_counts()
        )
        for kind in ("vertical", "butterfly", "calendar")
    }
    counts = {
        "contracts": contracts["expiration"].value_counts(),
        "fitted_contracts": contracts.loc[contracts["fitted_volatility"].notna(), "expiration"].value_counts(),
        "refused": refused["expiration"].value_counts(),
    }
    wings = {
        name: pd.Series(getattr(points, name), index=points.expirations).reindex(expirations).to_numpy()
        for name in ("put_95_volatility", "call_105_volatility")
    }
    return table_frame(
        CHAIN_ANALYTICS,
        {
            "ticker": rows["ticker"],
            "session": rows["quote_date"],
            "expiration": rows["expiration"],
            "spot": rows["spot"],
            **{name: rows[name] for name in (*_SMILES, *_FORWARDS)},
            **wings,
            **parameters,
            "svi_rmse": [np.nan if smile is None else smile.rmse for smile in smiles],
            "least_durrleman": [np.nan if smile is None else smile.least_durrleman for smile in smiles],
            "calendar_slack": _calendar_slacks(smiles),
            **{name: column.fillna(0).astype("int64") for name, column in by_kind.items()},
            **{name: rows["expiration"].map(count).fillna(0).astype("int64") for name, count in counts.items()},
        },
        rows=len(rows),
    )


def _calendar_slacks(smiles: list[FittedSmile | None]) -> list[float]:
    """Return the least growth of total variance since the previous fitted expiration; NaN for the first and for
    unfitted ones."""
    slacks, nearer = [], None
    for smile in smiles:
        is_later = smile is not None and nearer is not None and smile.years > nearer.years
        slacks.append(
            calendar_slack(nearer, smile) if is_later and nearer is not None and smile is not None else np.nan
        )
        nearer = smile or nearer
    return slacks
