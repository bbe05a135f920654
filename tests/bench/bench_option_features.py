"""How long a session's chain takes from raw rows to its option features, and the 96 real sessions together.

Run ``python -m tests.bench.bench_option_features``. A session of 20,000 contracts (40 expirations, 250 strikes) is
drawn from a smile with spreads; the chain of the session before is there too, so that stale quotes are looked for.
The whole way is timed: cleaning, forwards, volatilities, interpolation, exposures, flip. No fitted slices, which the
features do not read. On a shared machine the least of many rounds says most; the median is given beside it.
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

import numpy as np
import pandas as pd

from trading_dag.features.option_chain import features_of_session
from trading_dag.options.black_scholes import price
from trading_dag.options.chain import normalise_chain
from trading_dag.options.session_measures import measure_session
from trading_dag.schemas import OPTION_CHAIN

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


def measure(*, rounds: int = 40) -> dict[str, float]:
    """Milliseconds a drawn session, least and median of the rounds; seconds of the real sessions where they are."""
    before, chain = drawn_session("2024-11-08", spot=SPOT * 0.99, seed=41), drawn_session()
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        features = features_of_session(measure_session(chain, rate=RATE, before=before))
        taken.append(1_000 * (time.perf_counter() - began))
    if not np.isfinite(list(features.values())).all():
        raise RuntimeError(f"a feature of the drawn session is missing: {features}")
    return {
        "contracts": float(len(chain)),
        "least_milliseconds": min(taken),
        "median_milliseconds": statistics.median(taken),
        **_real_sessions(),
    }


def _real_sessions() -> dict[str, float]:
    """Every real session, each with the one before it; reading the file is left out."""
    folder = Path(os.environ.get("TRADING_DAG_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    path = folder / "option_chain_eod.parquet"
    if not path.is_file():
        return {}
    quotes = normalise_chain(pd.read_parquet(path)).kept
    began, sessions = time.perf_counter(), 0
    for _, of_ticker in quotes.groupby("ticker"):
        before = None
        for _, chain in of_ticker.groupby("quote_date"):
            features_of_session(measure_session(chain, rate=RATE, before=before))
            before, sessions = chain, sessions + 1
    return {"real_sessions": float(sessions), "real_seconds": time.perf_counter() - began}


if __name__ == "__main__":
    for name, value in measure().items():
        print(f"{name:24s}{value:12.2f}")
