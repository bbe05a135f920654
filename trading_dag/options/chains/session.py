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
from numpy.typing import NDArray

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.errors import InsufficientDataError
from trading_dag.frames import table_frame
from trading_dag.options.chains.arbitrage import KINDS, ArbitrageReport, check_arbitrage
from trading_dag.options.chains.cleaning import CleaningRules, clean_chain
from trading_dag.options.chains.contracts import terms_of
from trading_dag.options.chains.dealer_exposure import DealerExposure, OpenContracts
from trading_dag.options.chains.forward import implied_forwards
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

_SMILES: Final = ("atm_volatility", "put_25_delta_volatility", "call_25_delta_volatility", "skew_25_delta")
_FROM_FORWARDS: Final = {
    "session": "quote_date",
    **{
        name: name
        for name in (
            "ticker", "expiration", "spot", "years", "forward", "dividend_yield", "rate", "pairs", "forward_deviation",
        )
    },
}  # fmt: skip


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
    expirations = forwards["expiration"].to_numpy()
    summary = smile_summary(contracts)
    place = np.searchsorted(expirations, summary["expiration"].to_numpy(dtype=expirations.dtype))
    read = {name: _placed(summary[name].to_numpy(np.float64), place, len(forwards)) for name in _SMILES}
    smiles = [fitted.get(day) for day in pd.DatetimeIndex(expirations)]
    parameters = {
        f"svi_{name}": [np.nan if smile is None else getattr(smile.parameters, name) for smile in smiles]
        for name in ("a", "b", "rho", "m", "s")
    }
    violations = arbitrage.violations
    kinds, violated = violations["kind"].to_numpy(dtype=object), violations["expiration"].to_numpy()
    by_kind = {f"{kind}_violations": _count(violated[kinds == kind], expirations) for kind in KINDS}
    listed = contracts["expiration"].to_numpy()
    counts = {
        "contracts": listed,
        "fitted_contracts": listed[contracts["fitted_volatility"].notna().to_numpy()],
        "refused": refused["expiration"].to_numpy(),
    }
    known = np.searchsorted(expirations, points.expirations.to_numpy())
    is_known = _are_among(points.expirations.to_numpy(), expirations, known)
    wings = {
        name: _placed(getattr(points, name)[is_known], known[is_known], len(forwards))
        for name in ("put_95_volatility", "call_105_volatility")
    }
    return table_frame(
        CHAIN_ANALYTICS,
        {
            **{column: forwards[name] for column, name in _FROM_FORWARDS.items()},
            **read,
            **wings,
            **parameters,
            "svi_rmse": [np.nan if smile is None else smile.rmse for smile in smiles],
            "least_durrleman": [np.nan if smile is None else smile.least_durrleman for smile in smiles],
            "calendar_slack": _calendar_slacks(smiles),
            **by_kind,
            **{name: _count(values, expirations) for name, values in counts.items()},
        },
        rows=len(forwards),
    )


def _are_among(days: NDArray[np.datetime64], expirations: NDArray[np.datetime64], place: IntArray) -> BoolArray:
    """Return which days are expirations, (n,); ``place`` is where they would stand among them."""
    inside = np.minimum(place, max(len(expirations) - 1, 0))
    among: BoolArray = (expirations[inside] == days) if len(expirations) else np.zeros(len(days), dtype=np.bool_)
    return among


def _count(days: NDArray[np.datetime64], expirations: NDArray[np.datetime64]) -> IntArray:
    """Return how many of the days each expiration is, (expirations,), which ascend."""
    place = np.searchsorted(expirations, days)
    return np.bincount(place[_are_among(days, expirations, place)], minlength=len(expirations))


def _placed(values: FloatArray, place: IntArray, rows: int) -> FloatArray:
    """Return the values at their places, NaN elsewhere, (rows,)."""
    whole = np.full(rows, np.nan)
    whole[place] = values
    return whole


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
