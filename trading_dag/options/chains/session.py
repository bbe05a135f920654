"""One session's chain from quotes to numbers: cleaning, forwards, volatilities, fitted smiles, arbitrage, exposure.

This is the one way through the chain modules, in order; each step is theirs. A session uses its own quotes and the one
before (for stale quotes), never a later one. Many sessions, and what of them is known already, are
``chains.history``'s.
"""

from __future__ import annotations

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
from trading_dag.options.chains.measures import LEAST_PAIRS, ChainActivity, SmilePoints, measure_session
from trading_dag.options.chains.volatilities import contract_analytics, smile_summary
from trading_dag.options.surfaces.svi import FittedSmile, calendar_slack, fit_smile
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


def analyse_session(
    chain: pd.DataFrame, *, rate: float, before: pd.DataFrame | None = None, rules: CleaningRules | None = None
) -> SessionAnalysis:
    """Analyse the chain of one ticker on one session.

    Parameters
    ----------
    chain : rows of ``raw.option_chain`` of one ticker and quote date.
    rate : continuously compounded, known at the session; flat over the expirations.
    before : the chain of the quote date before, by which quotes that stood still are told; None for none.
    rules : what is asked of a quote.

    Known at the session's close; open interest is that published on its morning.

    Raises
    ------
    InsufficientDataError : for a chain without rows, or of several tickers or dates.
    """
    ticker, session = _the_only(chain)
    both = chain if before is None or before.empty else pd.concat([before, chain], ignore_index=True)
    sifted = clean_chain(both, rules=rules)
    clean, refused = (part[part["quote_date"] == session] for part in (sifted.kept, sifted.refused))
    forwards = implied_forwards(clean, rate=rate, minimum_pairs=LEAST_PAIRS)
    contracts = contract_analytics(clean.reset_index(drop=True), forwards)
    fitted = _fit_smiles(contracts)
    contracts["slice_volatility"] = _slice_volatility(contracts, fitted)
    exercise = terms_of(ticker).exercise
    arbitrage = check_arbitrage(clean, forwards=forwards, exercise=exercise)
    measures = measure_session(chain, rate=rate, before=before, rules=rules)
    return SessionAnalysis(
        ticker=ticker,
        session=session,
        spot=measures.spot,
        contracts=contracts,
        smiles=_smile_rows(
            forwards, contracts, fitted=fitted, refused=refused, arbitrage=arbitrage, points=measures.smile
        ),
        fitted=fitted,
        open_contracts=measures.open_contracts,
        exposure=measures.exposure,
        activity=measures.activity,
        refused={str(reason): int(count) for reason, count in refused["reason"].value_counts().items()},
        arbitrage=arbitrage,
    )


def _the_only(chain: pd.DataFrame) -> tuple[str, pd.Timestamp]:
    pairs = chain[["ticker", "quote_date"]].drop_duplicates()
    if len(pairs) != 1:
        raise InsufficientDataError(f"a session's chain holds one ticker and one date, not {len(pairs)} of them")
    return str(pairs["ticker"].iloc[0]), pd.Timestamp(pairs["quote_date"].iloc[0])


def _fit_smiles(contracts: pd.DataFrame) -> dict[pd.Timestamp, FittedSmile]:
    """Return a slice for each expiration with enough volatilities, weighted by vega; the others have none."""
    known = contracts[contracts["fitted_volatility"].notna()]
    fitted = {}
    for expiration in np.unique(known["expiration"].to_numpy()):
        rows = known[known["expiration"] == expiration]
        moneyness = np.log(rows["strike"].to_numpy() / rows["forward"].to_numpy())
        try:
            fitted[pd.Timestamp(expiration)] = fit_smile(
                moneyness, rows["fitted_volatility"].to_numpy(), years=float(rows["years"].iloc[0]),
                weights=rows["vega"].to_numpy(),
            )  # fmt: skip
        except InsufficientDataError:
            continue  # too few strikes: the row of this expiration says so by a fit that is NULL
    return fitted


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
