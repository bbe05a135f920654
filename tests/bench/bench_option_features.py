"""How long a session's chain takes from raw rows to its option features, and the 96 real sessions together.

Run ``python -m tests.bench.bench_option_features``. A session of 20,000 contracts (40 expirations, 250 strikes) is
drawn from a smile with spreads; the chain of the session before is there too, so that stale quotes are looked for.
What is timed is what ``options.chain_analytics`` and ``features.option_chain`` do for a new session
(``analyse_history``, which production runs): cleaning, forwards, volatilities, fitted smiles, arbitrage checks,
exposures, flip, the tables, and the features read off them. Reading and storing are left out. On a shared machine the
least of the rounds says most; the median is given beside it.
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

import numpy as np
import pandas as pd

from trading_dag.features.option_chain import agreeing_sessions, build_option_chain
from trading_dag.frames import table_frame
from trading_dag.options.chains.history import ChainHistory, HistoryTables, analyse_history
from trading_dag.options.chains.rows import normalise_chain
from trading_dag.options.pricing.black_scholes import price
from trading_dag.schemas import CHAIN_ANALYTICS, DEALER_EXPOSURE, OPTION_CHAIN, OPTION_CHAIN_FEATURES

REPOSITORY = Path(__file__).resolve().parents[2]
SPOT = 600.0
RATE = 0.045
EXPIRATIONS = 40
STRIKES = 250


def drawn_session(day: str = "2024-11-11", *, spot: float = SPOT, seed: int = 42) -> pd.DataFrame:
    """One session of 20,000 contracts, with a smile, spreads of a few cents and seeded open interest."""
    generator = np.random.default_rng(seed)
    nearby = np.unique(np.round(np.geomspace(1, 400, EXPIRATIONS * 2)))
    days = np.sort(generator.choice(nearby, EXPIRATIONS, replace=False))
    grid = pd.MultiIndex.from_product(
        [days, SPOT * np.linspace(0.6, 1.35, STRIKES).round(3), ["C", "P"]], names=["days", "strike", "option_right"]
    ).to_frame(index=False)
    years = grid["days"].to_numpy() / 365
    depth = np.log(grid["strike"].to_numpy() / spot) / np.sqrt(years)
    volatility = 0.15 - 0.05 * np.tanh(2 * depth) + 0.03 * np.sqrt(1 + depth**2)
    is_call = (grid["option_right"] == "C").to_numpy()
    middle = price(
        spot=spot, strike=grid["strike"], years=years, rate=RATE, dividend_yield=0.012, volatility=volatility,
        is_call=is_call,
    )  # fmt: skip
    half_spread = 0.01 * generator.integers(1, 4, len(grid))
    # Customers hold puts below the spot and calls above it.
    weight = np.where(is_call == (grid["strike"] > spot), 2.0, 0.7)
    frame = grid.assign(
        quote_date=pd.Timestamp(day), ticker="SPY", underlying_price=spot, bid=np.maximum(middle - half_spread, 0.0),
        expiration=pd.Timestamp(day) + pd.to_timedelta(grid["days"], unit="D"), ask=middle + half_spread, last=middle,
        volume=generator.integers(0, 500, len(grid)).astype(float), implied_volatility=volatility,
        open_interest=np.round(weight * generator.gamma(2.0, 500.0, len(grid))),
    )  # fmt: skip
    frame[["quote_date", "expiration"]] = frame[["quote_date", "expiration"]].astype("datetime64[us]")
    frame[["ticker", "option_right"]] = frame[["ticker", "option_right"]].astype("str")
    return frame[list(OPTION_CHAIN.column_names)]


def nothing_known() -> HistoryTables:
    """The stored tables of a ticker whose chains were never analysed."""
    return HistoryTables(*(table_frame(table, {}, rows=0) for table in (CHAIN_ANALYTICS, DEALER_EXPOSURE)))


def analysed(chains: list[pd.DataFrame], known: HistoryTables) -> ChainHistory:
    """What ``options.chain_analytics`` does with a ticker's chains, ascending."""
    sessions = pd.DatetimeIndex([chain["quote_date"].iloc[0] for chain in chains])
    return analyse_history(zip(sessions, chains, strict=True), rates=pd.Series(RATE, index=sessions), known=known)


def features_of(tables: HistoryTables, prices: pd.DataFrame) -> pd.DataFrame:
    """What ``features.option_chain`` does with the stored tables."""
    exposure, analytics = agreeing_sessions(tables.exposure, tables.smiles, prices=prices)
    return build_option_chain(prices, exposure, analytics=analytics)


def closes_of(chains: list[pd.DataFrame]) -> pd.DataFrame:
    """``raw.prices_daily`` of the sessions, as far as the features read it: the spot of each chain is its close."""
    first = [chain.iloc[0] for chain in chains]
    return pd.DataFrame(
        {
            "ticker": pd.Series([row["ticker"] for row in first], dtype="str"),
            "session": pd.DatetimeIndex([row["quote_date"] for row in first]).as_unit("us"),
            "close": [float(row["underlying_price"]) for row in first],
            "split_factor": 1.0,
        }
    )


def measure(*, rounds: int = 10) -> dict[str, float]:
    """Milliseconds a new drawn session, least and median of the rounds, the session before being known; seconds of the
    real sessions, none of them known, where they are."""
    chains = [drawn_session("2024-11-08", spot=SPOT * 0.99, seed=41), drawn_session()]
    prices = closes_of(chains)
    known = analysed(chains[:1], nothing_known()).tables
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        history = analysed(chains, known)
        features = features_of(history.tables, prices)
        taken.append(1_000 * (time.perf_counter() - began))
    if history.computed != 1:
        raise RuntimeError(f"{history.computed} sessions were computed where one is new")
    # A ratio of 20 sessions, and ranks within a year of them, two sessions do not have.
    last = (
        features[list(OPTION_CHAIN_FEATURES)]
        .iloc[-1]
        .drop(["option_volume_ratio", "chain_iv_rank", "chain_iv_percentile"])
    )
    if not np.isfinite(last.astype(float)).all():
        raise RuntimeError(f"a feature of the drawn session is missing: {last.to_dict()}")
    return {
        "contracts": float(len(chains[-1])),
        "least_milliseconds": min(taken),
        "median_milliseconds": statistics.median(taken),
        **_real_sessions(),
    }


def _real_sessions() -> dict[str, float]:
    """Every session of the real chains from quotes to features; reading the file is left out."""
    folder = Path(os.environ.get("TRADING_DAG_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    path = folder / "option_chain_eod.parquet"
    if not path.is_file():
        return {}
    quotes = normalise_chain(pd.read_parquet(path)).kept
    began, sessions = time.perf_counter(), 0
    for _, of_ticker in quotes.groupby("ticker"):
        chains = [chain for _, chain in of_ticker.groupby("quote_date")]
        features_of(analysed(chains, nothing_known()).tables, closes_of(chains))
        sessions += len(chains)
    return {"real_sessions": float(sessions), "real_seconds": time.perf_counter() - began}


if __name__ == "__main__":
    for name, value in measure().items():
        print(f"{name:24s}{value:12.2f}")
