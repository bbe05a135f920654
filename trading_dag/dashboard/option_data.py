"""What the page Options shows of a ticker: a stored chain's session, the one before, or the modelled surface.

Chains are analysed by ``options.chains.session``, structures are quoted by ``indicate`` and ``indicate_on_chain``, as
the commands ``chain`` and ``payoff`` do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from resources.chains.store import ChainStore
from resources.storage.parquet_store import SliceKey
from trading_dag.arrays import FloatArray
from trading_dag.backtest.runs.chain_indication import indicate_on_chain
from trading_dag.day_count import DAYS_PER_YEAR
from trading_dag.errors import TradingDagError
from trading_dag.frames import values_at_sessions
from trading_dag.options.chains.dealer_exposure import gamma_by_strike
from trading_dag.options.chains.rates import rates_at_sessions
from trading_dag.options.chains.session import SessionAnalysis, analyse_session
from trading_dag.options.chains.volatilities import with_fitted_volatilities
from trading_dag.options.pricing.greeks import greeks
from trading_dag.options.structures.indication import QUOTE_SOURCE as MODELLED
from trading_dag.options.structures.indication import Indication, indicate
from trading_dag.options.structures.structure import Structure
from trading_dag.options.surfaces.modelled import ModelledSurface
from trading_dag.options.surfaces.svi import SviParameters
from trading_dag.schemas import CHAIN_ANALYTICS, MACRO_TABLE, OPTION_CHAIN, PRICES_DAILY, VOLATILITY_INDEX
from trading_dag.settings import Settings
from trading_dag.strategy.sizing import settings_for_contract

if TYPE_CHECKING:
    from resources.storage.versioned_reader import VersionedReader

QUOTES: Final = (
    "quote_date", "ticker", "underlying_price", "expiration", "strike", "option_right", "bid", "ask", "last", "volume",
    "open_interest", "implied_volatility",
)  # fmt: skip
NEAR_SPOT: Final = 0.12
NEAREST_DAYS: Final = 30.0
MODELLED_DAYS: Final = (7, 14, 30, 60, 90)
_SLICE: Final = ("svi_a", "svi_b", "svi_rho", "svi_m", "svi_s")
_SESSIONS: Final = "SELECT DISTINCT quote_date FROM raw.option_chain WHERE ticker = ? ORDER BY 1"
_CHAIN_COLUMNS: Final = (
    "option_right", "strike", "bid", "ask", "last", "mark", "smile_volatility", "delta", "vega", "volume",
    "open_interest",
)  # fmt: skip
CHAIN_TABLE: Final = (
    "option_right", "strike", "bid", "ask", "last", "mark", "volatility_percent", "delta", "gamma",
    "theta_usd_per_day", "vega_usd_per_point", "volume", "open_interest",
)  # fmt: skip


@dataclass(frozen=True)
class Surface:
    """Holds the modelled surface of one session.

    Attributes
    ----------
    session, spot : of which close; USD.
    index : volatility index, annualised percent points.
    volatilities : one row of arrays that ``ModelledSurface`` gives.
    """

    session: pd.Timestamp
    spot: float
    index: float
    volatilities: ModelledSurface


def chain_sessions(reader: VersionedReader, ticker: str) -> list[pd.Timestamp]:
    """Return the sessions with a stored chain, ascending."""
    return [pd.Timestamp(day) for day in reader.query(_SESSIONS, [ticker])["quote_date"]]


def analysis_of(
    reader: VersionedReader, settings: Settings, ticker: str, session: pd.Timestamp, *, before: pd.Timestamp | None
) -> SessionAnalysis:
    """Return the analysis of one stored session; the session before tells which quotes stood still."""
    chains = ChainStore(settings.home)

    def make() -> SessionAnalysis:
        earlier = None if before is None else chains.read(ticker, first=before, last=before)
        chain = chains.read(ticker, first=session, last=session)
        return analyse_session(chain, rate=_rate(reader, settings, session), before=earlier)

    return reader.kept(("chain", ticker, session, before), make, tables=[OPTION_CHAIN, MACRO_TABLE])


def _rate(reader: VersionedReader, settings: Settings, session: pd.Timestamp) -> float:
    macro = reader.read(MACRO_TABLE, SliceKey())[["session", "treasury_3m"]]
    return float(
        rates_at_sessions(macro, pd.DatetimeIndex([session]), fallback=settings.surface.risk_free_rate)[0]
    )  # fmt: skip


def surface_of(reader: VersionedReader, settings: Settings, ticker: str) -> Surface | None:
    """Return the modelled surface at the last stored close that has a volatility index; None where none has."""
    prices = reader.read(PRICES_DAILY, SliceKey(ticker))
    index = reader.read(VOLATILITY_INDEX, SliceKey(ticker))
    known = prices["session"][prices["session"].isin(index.loc[index["close"].notna(), "session"])]
    if known.empty:
        return None
    at = pd.DatetimeIndex([known.max()]).as_unit("us")
    spot = float(values_at_sessions(prices, at, column="close", table=PRICES_DAILY.qualified_name)[0])
    level = values_at_sessions(index, at, column="close", table=VOLATILITY_INDEX.qualified_name)
    rate = np.array([_rate(reader, settings, at[0])])
    surface = ModelledSurface(level, rate, settings.surface.dividend_yield, settings.surface)
    return Surface(at[0], spot, float(level[0]), surface)


def chain_smiles(
    analysis: SessionAnalysis, smiles: pd.DataFrame | None = None, *, before: pd.Timestamp | None = None
) -> pd.DataFrame:
    """Return expiration, days, strike, log_moneyness, quoted_percent, fitted_percent and before_percent of the
    contracts that have an implied volatility.

    Parameters
    ----------
    smiles : ``options.chain_analytics``: the slices of the session before, read at the moneyness of today's contracts,
        are before_percent; NaN where that session has no slice of the expiration.
    """
    known = analysis.contracts.dropna(subset=["forward", "fitted_volatility"])
    moneyness = np.log((known["strike"] / known["forward"]).to_numpy(dtype="float64"))
    earlier = np.full(len(known), np.nan)
    if smiles is not None and before is not None:
        earlier = _slices_at(smiles[smiles["session"] == before], known["expiration"], moneyness)
    return pd.DataFrame(
        {
            "expiration": known["expiration"],
            "days": (known["years"] * DAYS_PER_YEAR).round().astype("int64"),
            "strike": known["strike"],
            "log_moneyness": moneyness,
            "quoted_percent": known["fitted_volatility"] * 100.0,
            "fitted_percent": known["slice_volatility"] * 100.0,
            "before_percent": earlier * 100.0,
        }
    ).sort_values(["expiration", "strike"], ignore_index=True)


def _slices_at(smiles: pd.DataFrame, expirations: pd.Series, log_moneyness: FloatArray) -> FloatArray:
    """Return the volatility of each contract's expiration by the stored slices of one session, a fraction."""
    volatility = np.full(len(log_moneyness), np.nan)
    known = smiles.dropna(subset=[*_SLICE]).drop_duplicates("expiration")
    for expiration, years, *slice_ in known[["expiration", "years", *_SLICE]].itertuples(index=False):
        at = np.flatnonzero(expirations == expiration)
        volatility[at] = np.sqrt(SviParameters(*slice_).total_variance(log_moneyness[at]) / years)
    return volatility


def modelled_smiles(surface: Surface) -> pd.DataFrame:
    """Return the same columns of the modelled surface, at some numbers of days ahead; nothing of it is quoted."""
    pieces = []
    for days in MODELLED_DAYS:
        years = days / DAYS_PER_YEAR
        strikes = surface.spot * np.linspace(1.0 - NEAR_SPOT, 1.0 + NEAR_SPOT, 49)
        one = surface.volatilities.columns()
        volatility = one.implied_volatility(surface.spot, strikes[np.newaxis], years)[0]
        forward = float(one.forward(surface.spot, years)[0, 0])
        pieces.append(
            pd.DataFrame(
                {
                    "expiration": surface.session + pd.Timedelta(days=days),
                    "days": days,
                    "strike": strikes,
                    "log_moneyness": np.log(strikes / forward),
                    "quoted_percent": np.nan,
                    "fitted_percent": volatility * 100.0,
                }
            )
        )
    return pd.concat(pieces, ignore_index=True)


def term_structure(smiles: pd.DataFrame, session: pd.Timestamp, *, before: pd.Timestamp | None) -> pd.DataFrame:
    """Return session, expiration, days, atm_percent and skew_points of the session and of the one before it.

    Parameters
    ----------
    smiles : rows of ``options.chain_analytics``.
    """
    wanted = [session] if before is None else [before, session]
    rows = smiles[smiles["session"].isin(wanted)].dropna(subset=["atm_volatility"])
    return pd.DataFrame(
        {
            "session": rows["session"],
            "expiration": rows["expiration"],
            "days": rows["years"] * DAYS_PER_YEAR,
            "atm_percent": rows["atm_volatility"] * 100.0,
            "skew_points": rows["skew_25_delta"] * 100.0,
        }
    ).sort_values(["session", "days"], ignore_index=True)


def analytics(reader: VersionedReader, ticker: str) -> pd.DataFrame:
    """Return ``options.chain_analytics`` of a ticker: what each expiration of each session comes down to."""
    return reader.read(CHAIN_ANALYTICS, SliceKey(ticker))


def through_time(smiles: pd.DataFrame, exposure: pd.DataFrame) -> pd.DataFrame:
    """Return, a row a session, the measures of the expiration nearest to 30 days, and the put/call ratios of all.

    Parameters
    ----------
    smiles, exposure : ``options.chain_analytics`` and ``options.dealer_exposure`` of a ticker.
    """
    known = smiles.dropna(subset=["atm_volatility"])
    apart = (known["years"] * DAYS_PER_YEAR - NEAREST_DAYS).abs()
    nearest = known.assign(apart=apart).sort_values(["session", "apart"]).drop_duplicates("session")
    measures = pd.DataFrame(
        {
            "session": nearest["session"],
            "expiration": nearest["expiration"],
            "atm_percent": nearest["atm_volatility"] * 100.0,
            "skew_points": nearest["skew_25_delta"] * 100.0,
        }
    )
    ratios = pd.DataFrame(
        {
            "session": exposure["session"],
            "put_call_volume_ratio": exposure["put_volume"] / exposure["call_volume"].where(lambda traded: traded > 0),
            "put_call_open_interest_ratio": exposure["put_open_interest"]
            / exposure["call_open_interest"].where(lambda held: held > 0),
            "net_gamma_million_usd": exposure["net_gamma"] / 1e6,
        }
    )
    return measures.merge(ratios, on="session", how="outer").sort_values("session", ignore_index=True)


def gamma_data(analysis: SessionAnalysis) -> pd.DataFrame:
    """Return strike and million USD per 1 % move of calls, puts and both, within 12 % of spot."""
    by_strike = gamma_by_strike(analysis.open_contracts, spot=analysis.spot)
    near = np.abs(by_strike.strike / analysis.spot - 1.0) <= NEAR_SPOT
    return pd.DataFrame(
        {
            "strike": by_strike.strike[near],
            "calls_million_usd": by_strike.calls[near] / 1e6,
            "puts_million_usd": by_strike.puts[near] / 1e6,
            "net_million_usd": by_strike.net[near] / 1e6,
        }
    )


def chain_table(analysis: SessionAnalysis, expiration: pd.Timestamp) -> pd.DataFrame:
    """Return the contracts of one expiration within 12 % of spot by strike, calls before puts.

    Quotes in USD, volatility in percent, gamma in delta for each USD, theta in USD a calendar day, vega in USD a
    volatility point, all of one share, and what was traded and is open.
    """
    rows = analysis.contracts[analysis.contracts["expiration"] == expiration]
    rows = rows[(rows["strike"] / analysis.spot - 1.0).abs() <= NEAR_SPOT]
    found = greeks(
        spot=rows["underlying_price"].to_numpy(), strike=rows["strike"].to_numpy(), years=rows["years"].to_numpy(),
        rate=rows["rate"].to_numpy(), dividend_yield=rows["dividend_yield"].to_numpy(),
        volatility=rows["smile_volatility"].to_numpy(), is_call=(rows["option_right"] == "C").to_numpy(),
    )  # fmt: skip
    shown = rows[list(_CHAIN_COLUMNS)].assign(
        gamma=found.gamma, theta_usd_per_day=found.theta / DAYS_PER_YEAR, vega=rows["vega"] / 100.0,
        smile_volatility=rows["smile_volatility"] * 100.0,
    )  # fmt: skip
    named = shown.rename(columns={"smile_volatility": "volatility_percent", "vega": "vega_usd_per_point"})
    return named[list(CHAIN_TABLE)].sort_values(["strike", "option_right"], ignore_index=True)


def indication_of(
    reader: VersionedReader, settings: Settings, structure: Structure, ticker: str, *, session: pd.Timestamp | None
) -> Indication | str:
    """Return what a structure costs at the close of a stored chain's session, or, without one, on the modelled surface
    at the last close; a sentence where it cannot be quoted."""
    try:
        if session is None:
            return _on_surface(reader, settings, structure, ticker)
        return _on_chain(reader, settings, structure, ticker, session)
    except TradingDagError as error:
        return str(error)


def carry_of(reader: VersionedReader, settings: Settings, found: Indication) -> dict[str, float]:
    """Return the rate and the dividend yield to the expiration: those of the chain's forward where it has one, else the
    bill's and that of the settings."""
    smiles = analytics(reader, found.ticker)
    own = smiles[(smiles["session"] == found.session) & (smiles["expiration"] == found.expiration)]
    own = own.dropna(subset=["rate", "dividend_yield"])
    if found.quote_source != MODELLED and len(own):
        return {"rate": float(own["rate"].iloc[0]), "dividend_yield": float(own["dividend_yield"].iloc[0])}
    return {"rate": _rate(reader, settings, found.session), "dividend_yield": settings.surface.dividend_yield}


def _on_chain(
    reader: VersionedReader, settings: Settings, structure: Structure, ticker: str, session: pd.Timestamp
) -> Indication:
    def quotes() -> dict[str, pd.Series]:
        chain = ChainStore(settings.home).read(ticker, columns=QUOTES, first=session, last=session)
        quoted = with_fitted_volatilities(chain, rate=_rate(reader, settings, session))
        return {name: quoted[name] for name in QUOTES}

    kept = reader.kept(("quotes", ticker, session), quotes, tables=[OPTION_CHAIN, MACRO_TABLE])
    smiles = analytics(reader, ticker)
    own = smiles[smiles["session"] == session]
    return indicate_on_chain(structure, kept, smiles=own, ticker=ticker, settings=settings)


def _on_surface(reader: VersionedReader, settings: Settings, structure: Structure, ticker: str) -> Indication:
    surface = surface_of(reader, settings, ticker)
    of_contract = settings_for_contract(ticker, settings)
    return indicate(
        structure,
        reader.read(PRICES_DAILY, SliceKey(ticker)),
        volatility_index=reader.read(VOLATILITY_INDEX, SliceKey(ticker)),
        rates=reader.read(MACRO_TABLE, SliceKey())[["session", "treasury_3m"]],
        ticker=ticker,
        session=None if surface is None else surface.session,
        surface_settings=of_contract.surface,
        backtest=of_contract.backtest,
    )
