"""Power and false alarms of the rules on daily bars, on real ones: the tables of docs/price-rules.md.

    TRADING_DAG_TEST_DATA=… .venv/bin/python -m tests.bench.price_rules [places [step]]

Defects are planted at ``places`` random rows (3 by default, seed 7) of every ``step``-th ticker (1 by default), into
histories of 2,500 sessions. False alarms are counted over every ticker's whole history.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from tests.trading_dag.quality.price_defects import PLANTERS, planted
from trading_dag.quality import QualityContext, examine, rules_of
from trading_dag.schemas import PRICES_DAILY

NOW = pd.Timestamp("2024-12-31")
BLOCKING = {rule.name for rule in rules_of(PRICES_DAILY) if rule.is_blocking}


def bars(path: Path) -> dict[str, pd.DataFrame]:
    """Bars by ticker, in the table's columns."""
    frame = pd.read_parquet(path).assign(split_factor=np.nan, dividend=np.nan)
    frame["session"] = pd.to_datetime(frame["session"]).astype("datetime64[us]")
    numbers = ["open", "high", "low", "close", "adj_close", "volume"]
    frame[numbers] = frame[numbers].astype("float64")
    ordered = frame.sort_values(["ticker", "session"])[list(PRICES_DAILY.column_names)]
    return {str(ticker): rows.reset_index(drop=True) for ticker, rows in ordered.groupby("ticker")}


def broken(frame: pd.DataFrame, peers: dict[str, pd.DataFrame]) -> set[str]:
    """The rules that a frame breaks."""
    context = QualityContext(now_session=NOW, peers=peers) if peers else QualityContext(now_session=NOW)
    return {name for name, found in examine(PRICES_DAILY, frame, context=context).items() if found.count}


def false_alarms(frames: dict[str, pd.DataFrame], *, with_peers: bool) -> dict[str, list[str]]:
    """By rule, the tickers whose untouched history breaks it."""
    alarms: dict[str, list[str]] = {}
    for ticker in frames:
        others = [name for name in frames if name != ticker][:6] if with_peers else []
        for rule in broken(frames[ticker], {name: frames[name] for name in others}):
            alarms.setdefault(rule, []).append(ticker)
    return alarms


def power(frames: dict[str, pd.DataFrame], *, places: int, with_peers: bool) -> dict[str, tuple[float, float, str]]:
    """By defect: the share that is refused, the share that is refused or warned of, and the rules that see it most."""
    found = {}
    for name, planter in PLANTERS.items():
        seen = [
            broken(frame, peers if with_peers else {})
            for _, frame, peers in planted(frames, planter, seed=7, places=places)
        ]
        counts = pd.Series([rule for rules in seen for rule in rules], dtype="object").value_counts()
        telling = ", ".join(f"{rule} {count / len(seen):.0%}" for rule, count in counts.head(3).items())
        found[name] = (
            float(np.mean([bool(rules & BLOCKING) for rules in seen])),
            float(np.mean([bool(rules) for rules in seen])),
            telling,
        )
    return found


def main() -> None:
    """Print both tables."""
    data, given = Path(os.environ["TRADING_DAG_TEST_DATA"]), [int(text) for text in sys.argv[1:]]
    places, step = given + [3, 1][len(given) :]
    for title, name in (("six ETFs", "prices_daily.parquet"), ("forty stocks and ETFs", "prices_stocks.parquet")):
        frames = bars(data / name)
        print(f"## {title}: {sum(map(len, frames.values())):,} bars")
        for rule, tickers in sorted(false_alarms(frames, with_peers=True).items()):
            kind = "refuses" if rule in BLOCKING else "warns"
            print(f"| `{rule}` ({kind}) | {len(tickers)} of {len(frames)}: {', '.join(tickers)} |")
        chosen = {ticker: frames[ticker] for ticker in sorted(frames)[::step]}
        for defect, (refused, seen, telling) in power(chosen, places=places, with_peers=True).items():
            print(f"| {defect} | {refused:.0%} | {seen:.0%} | {telling} |", flush=True)


if __name__ == "__main__":
    main()
