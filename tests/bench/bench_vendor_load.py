"""How 500 chains are fetched from a vendor that allows 5 requests a second and fails every tenth time.

Run ``python -m tests.bench.bench_vendor_load``; it takes about two minutes, because the limit is kept. What
the server saw is counted on its side: requests, and the most of them within any second. Faults are those that pass:
too many requests with and without ``Retry-After``, server errors, connections that break off.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from assets.run.chain_fetch import FETCHING_THREADS
from resources.http.parallel_fetch import fetch_each
from resources.sources.live.chains import LiveChains
from resources.vendors.yahoo.bars import YahooClient
from tests.resources.loopback import server as loopback
from tests.resources.loopback.chain_shapes import POLYGON, chain_settings
from tests.resources.loopback.server import LoopbackVendor
from trading_dag.sessions import session_close
from trading_dag.setting_groups import HttpSettings

LIMIT_PER_SECOND = 5.0
FAULTY_SHARE = 0.1
CONTRACTS = 50


def measure(tickers: int = 500, *, limit_per_second: float = LIMIT_PER_SECOND, seed: int = 5) -> dict[str, float]:
    """What was asked, given, lost and doubled, and the most requests that came within a second."""
    names = [f"T{number}" for number in range(tickers)]
    received: dict[str, list[int]] = {}
    with tempfile.TemporaryDirectory() as home, LoopbackVendor(sessions=30, spare_sessions=5) as vendor:
        vendor.chains.days = (7,)
        faults = _inject(vendor, names, seed=seed)
        session = vendor.chains.session
        now = session_close(session) + np.timedelta64(2, "h")
        # The contract of the benchmark is the limit and the faults, not how long a busy machine takes to answer.
        http = HttpSettings(timeout_seconds=20.0, backoff_seconds=0.1)
        settings = chain_settings(
            vendor.settings(Path(home), http=http),
            vendor.url,
            "polygon",
            requests_per_second=limit_per_second,
            cache_seconds=3_600.0,
        )
        client = LiveChains(settings, YahooClient(settings), clock=lambda: now, source="live")
        started = time.perf_counter()
        failed = fetch_each(
            names,
            lambda ticker: client.option_chain(ticker, session=session),
            workers=FETCHING_THREADS,
            receive=lambda ticker, rows: received.setdefault(ticker, []).append(len(rows)),
        )
        seconds = time.perf_counter() - started
        moments = np.sort([one.at for one in vendor.requests])
    whole = [name for name in names if received.get(name) == [CONTRACTS]]
    return {
        "tickers": float(tickers),
        "requests": float(len(moments)),
        "faults": float(faults),
        "failed": float(len(failed)),
        "lost": float(tickers - len(whole)),
        "doubled": float(sum(len(counts) > 1 for counts in received.values())),
        "limit_per_second": limit_per_second,
        "most_within_a_second": float(max(np.searchsorted(moments, moments + 1.0) - np.arange(len(moments)))),
        "seconds": seconds,
        "least_seconds": len(moments) / limit_per_second,
    }


def _inject(vendor: LoopbackVendor, names: list[str], *, seed: int) -> int:
    """Let the first request of a tenth of the tickers fail, each in its way."""
    kinds = (
        loopback.too_many_requests("1"),
        loopback.too_many_requests(),
        loopback.server_error(500),
        loopback.server_error(503),
        loopback.hang_up(),
    )
    generator = np.random.default_rng(seed)
    chosen = generator.choice(len(names), max(1, round(FAULTY_SHARE * len(names))), replace=False)
    for place, number in enumerate(chosen):
        # The question mark keeps T1 from meaning T10 as well.
        vendor.inject(f"{POLYGON}{names[number]}?", kinds[place % len(kinds)])
    return len(chosen)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickers", type=int, default=500)
    found = measure(parser.parse_args().tickers)
    print(f"{found['tickers']:.0f} chains, {found['faults']:.0f} injected faults")
    for name in ("requests", "failed", "lost", "doubled", "most_within_a_second", "seconds", "least_seconds"):
        print(f"  {name.replace('_', ' '):24s}{found[name]:10.1f}")


if __name__ == "__main__":
    main()
