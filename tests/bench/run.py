"""``make bench``: every figure the project promises, into docs/benchmarks.md; what is compared runs side by side.

Each measure is kept in docs/benchmarks.json as soon as it is done, with its day and commit, and the page is made of
what is kept: a run that is stopped loses one measure, and ``make bench ONLY=plans,quotes`` measures those anew. Whole
jobs run as processes of their own. Jobs on real data need its folder (see tests/conftest.py) and
are left out with a note where it is absent. Times on a shared machine are noisy: read the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import psutil

from tests.bench import (
    bench_features,
    bench_networks,
    bench_option_features,
    bench_options,
    bench_quotes,
    bench_technical,
    bench_universe,
    bench_vendor_load,
    bench_vollib,
    concurrent_writers,
)
from tests.bench import bench_plans as bench_plans
from trading_dag.models.deep.torch_library import why_deep_models_are_off

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "benchmarks.md"
KEPT = PAGE.with_suffix(".json")
JOB = ("-m", "trading_dag.cli")
MEGABYTE = 2**20


@dataclass(frozen=True)
class Line:
    """One row of the table."""

    what: str
    figure: str
    bound: str
    is_met: bool | None


@dataclass(frozen=True)
class Timed:
    """A finished command: wall seconds, and the largest sum of its processes' private memory, MB."""

    seconds: float
    peak_megabytes: float


def environment(home: Path, **settings: str) -> dict[str, str]:
    """The caller's environment without settings of the project, then these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRADING_DAG_", "DAGSTER_"))}
    return {**kept, "TRADING_DAG_HOME": str(home), "COLUMNS": "160", **settings}


def timed(*arguments: str, env: dict[str, str], watches_memory: bool = False) -> Timed:
    """Run Python with these arguments to its end; fail loudly where it fails.

    Adding up private memory reads every page table of every process, which slows them by several percent, so it is
    done only where memory is the question.
    """
    started = time.perf_counter()
    process = psutil.Popen([sys.executable, *arguments], cwd=REPOSITORY, env=env, stdout=subprocess.DEVNULL)
    peak = 0.0
    while watches_memory and process.poll() is None:
        peak = max(peak, _private_megabytes(process))
        time.sleep(0.25)
    process.wait()
    seconds = time.perf_counter() - started
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}")
    return Timed(seconds, peak)


def _private_megabytes(process: psutil.Process) -> float:
    total = 0
    try:
        for member in [process, *process.children(recursive=True)]:
            total += member.memory_full_info().pss
    except psutil.NoSuchProcess:
        return 0.0
    return total / MEGABYTE


def sample_job(work: Path) -> list[Line]:
    """The main job on the sample source from an empty home."""
    job = timed(*JOB, "run", env=environment(work / "sample"), watches_memory=True)
    return [
        Line("sample main job, 2 × 6 slices", f"{job.seconds:.0f} s", "≤ 300 s", job.seconds <= 300),
        Line("its peak memory, all processes", f"{job.peak_megabytes:.0f} MB", "< 2,048 MB", job.peak_megabytes < 2048),
    ]


def files_jobs(work: Path, data: Path) -> list[Line]:
    """The main job on real data, the same as a plain script, and what a refresh costs."""
    older = _without_last_session(data, work / "older")
    home = work / "files"
    env = environment(home, TRADING_DAG_SOURCE="files", TRADING_DAG_FILES=str(older))
    full = timed(*JOB, "run", env=env)
    plain = timed("-m", "tests.bench.plain_job", "--out", str(work / "plain"), env=env)
    unchecked = timed("-m", "tests.bench.plain_job", "--no-checks", "--out", str(work / "unchecked"), env=env)
    idle = timed(*JOB, "refresh", env=env)
    models_before = _model_versions(home)
    news = timed(*JOB, "refresh", env={**env, "TRADING_DAG_FILES": str(data)})
    refitted = _model_versions(home) - models_before
    return [
        Line("files main job, 3 × 6 slices", f"{full.seconds:.0f} s", "≤ 600 s", full.seconds <= 600),
        Line("the same as a plain script", f"{plain.seconds:.0f} s", "", None),
        _tax(
            full.seconds / plain.seconds,
            lacking=_tables_of_job(home) - {path.name for path in (work / "plain").iterdir()},
        ),
        Line(
            "job over a plain script that checks nothing",
            f"{full.seconds / unchecked.seconds:.2f}×",
            "for comparison",
            None,
        ),
        _ratio("refresh, nothing new, over a full run", idle.seconds / full.seconds, 0.075),
        _ratio("refresh, one new session, over a full run", news.seconds / full.seconds, 0.20),
        Line("models refitted by that refresh", f"{len(refitted)}", "0", not refitted),
    ]


def _tax(ratio: float, *, lacking: set[str]) -> Line:
    """The job over the plain script, which is no verdict where the script makes fewer tables than the job."""
    if not lacking:
        return _ratio("DAG tax: job over plain script", ratio, 1.25)
    bound = f"no verdict: the script lacks {len(lacking)} of the job's tables"
    return Line("job over plain script", f"{ratio:.2f}×", bound, None)


def _tables_of_job(home: Path) -> set[str]:
    """The tables with rows that the job stored."""
    from resources.storage.parquet_store import ParquetStore
    from trading_dag.schemas import TABLES

    store = ParquetStore(home)
    return {name for name, table in TABLES.items() if any(store.slices(table))}


def slice_shares(data: Path) -> list[Line]:
    """Where the processor time of one research slice goes, measured in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.bench_slice"],
        cwd=REPOSITORY, env={**os.environ, "TRADING_DAG_TEST_DATA": str(data)}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    lines = [Line("one research slice of SPY, processor time", f"{found['seconds']:.1f} s", "", None)]
    return lines + [Line(f"of it: {part}", f"{share:.0%}", "", None) for part, share in found["shares"].items()]


def _without_last_session(data: Path, target: Path) -> Path:
    """A folder with the same files, those that a session is news in without the last one."""
    target.mkdir(parents=True)
    dated = {"prices_daily": "session", "volatility_index": "session", "macro": "observation_date"}
    for name, column in dated.items():
        frame = pd.read_parquet(data / f"{name}.parquet")
        frame[frame[column] < frame[column].max()].to_parquet(target / f"{name}.parquet", index=False)
    for path in data.iterdir():
        if path.is_file() and path.stem not in dated:
            (target / path.name).symlink_to(path.resolve())
    return target


def _model_versions(home: Path) -> set[Path]:
    return {path.relative_to(home) for path in (home / "models").glob("*/*/*/*/spec.json")}


def definitions_load(runs: int = 7) -> list[Line]:
    """A fresh interpreter that loads the definitions against one that imports Dagster, in turn."""
    codes = {"dagster": "import dagster", "ours": "import trading_dag.definitions as d; d.defs.get_repository_def()"}
    seconds: dict[str, list[float]] = {name: [] for name in codes}
    with tempfile.TemporaryDirectory() as home:
        env = environment(Path(home))
        for _ in range(runs):
            for name, code in codes.items():
                started = time.perf_counter()
                subprocess.run([sys.executable, "-c", code], env=env, cwd=REPOSITORY, check=True)
                seconds[name].append(time.perf_counter() - started)
    ratios = [ours / theirs for ours, theirs in zip(seconds["ours"], seconds["dagster"], strict=True)]
    return [_ratio("loading the definitions over `import dagster`", statistics.median(ratios), 1.8)]


def technical_features() -> list[Line]:
    """The technical features on 8,000 sessions against pandas-ta-classic."""
    from trading_dag.schemas import TECHNICAL_FEATURES

    measured = bench_technical.measure()
    speedup = measured["ratio"]
    return [
        Line(
            f"features.technical, {len(TECHNICAL_FEATURES)} columns × 8,000 sessions",
            f"{measured['ours_seconds'] * 1e3:.1f} ms",
            "",
            None,
        ),
        Line("how much faster than pandas-ta-classic", f"{speedup:.1f}×", "≥ 5×", speedup >= 5),
    ]


def networks() -> list[Line]:
    """The spread LSTM's training beside a plain PyTorch loop of the same network; nothing where torch is absent."""
    if why_deep_models_are_off() is not None:
        return []
    found = bench_networks.measure()
    rate, ratio = found["ours_per_second"], found["ratio"]
    return [
        Line("spread LSTM, 60 sessions × 42 inputs, training on one core", f"{rate:,.0f} sequences/s", "", None),
        Line("its throughput over a plain PyTorch loop of the same network", f"{ratio:.2f}×", "≥ 1.0×", ratio >= 1.0),
    ]


def all_features(data: Path | None) -> list[Line]:
    """Every feature table, on real data in full and for a new session, and on a growing simulated universe."""
    found = bench_features.measure(data)
    lines = []
    if "real" in found:
        whole, one = found["real"]["all_seconds"], found["real"]["one_ticker_seconds"]
        lines += [
            Line("all features, 3 tickers × full history", f"{whole:.2f} s", "≤ 2 s", whole <= 2),
            Line("one ticker's new session (all its rows again)", f"{one:.2f} s", "≤ 0.2 s", one <= 0.2),
        ]
    largest = found["simulated"][-1]
    peak, exponent = largest["peak_megabytes"], found["exponent_in_time"]
    count = largest["tickers"]
    return [
        *lines,
        Line(f"{count} simulated tickers × 10 years, raw and features", f"{largest['seconds']:.0f} s", "", None),
        Line("exponent of its time in tickers", f"{exponent:.2f}", "≤ 1.05", exponent <= 1.05),
        Line("exponent of its peak memory", f"{found['exponent_in_memory']:.2f}", "constant", None),
        Line("its peak memory", f"{peak:.0f} MB", "≤ 3,072 MB", peak <= 3_072),
    ]


def universe(work: Path) -> list[Line]:
    """Raw tables, a session's chain and features of a growing simulated universe, through Dagster."""
    found: dict[int, dict[str, float]] = {}
    for count in bench_universe.SIZES:
        home = work / f"universe_{count}"
        home.mkdir()
        env = environment(home, TRADING_DAG_SOURCE="simulated", TRADING_DAG_SIMULATION__UNDERLYINGS=str(count))
        written = home / "figures.json"
        whole = timed("-m", "tests.bench.bench_universe", str(written), env=env, watches_memory=True)
        found[count] = {**json.loads(written.read_text()), "peak_megabytes": whole.peak_megabytes}
    growth = bench_universe.growth_of(found)
    most = max(found)
    peak, exponent = found[most]["peak_megabytes"], growth.exponent
    return [
        Line(f"{most} simulated tickers through Dagster, each further one", f"{growth.seconds:.1f} s", "", None),
        Line("its processor time", f"{growth.processor_seconds:.1f} s", "", None),
        Line("exponent of processor time in further tickers", f"{exponent:.2f}", "≤ 1.05", exponent <= 1.05),
        Line("tickers that a blocking rule refused", f"{found[most]['refused']:.0f}", "", None),
        Line("peak memory of all processes", f"{peak:.0f} MB", "≤ 3,072 MB", peak <= 3_072),
        Line("exponent of peak memory", f"{growth.memory_exponent:.2f}", "constant", None),
    ]  # fmt: skip


def option_prices() -> list[Line]:
    """Implied volatilities and Greeks from process start to result, beside QuantLib in a loop."""
    found = bench_options.measure()
    lines = []
    for name, what, bound in (
        ("implied_volatility", "implied volatility, whole domain", 4e6),
        ("greeks", "price and 8 Greeks", 12e6),
    ):
        rate, ratio = found[f"{name}_per_second"], found[f"{name}_ratio"]
        figure = f"{rate / 1e6:.1f} million/s"
        lines += [
            Line(f"{what}, process start included", figure, f"≥ {bound / 1e6:.0f} million/s", rate >= bound),
            Line("how much faster than QuantLib in a loop", f"{ratio:.0f}×", "for comparison", None),
        ]
    return lines


def options_beside_vollib() -> list[Line]:
    """Greeks and implied volatilities beside the strongest peer, where it is there."""
    found = bench_vollib.measure()
    if not found:
        return []
    return [
        _at_least("Greeks: how much faster than fast-vollib by numba", found["greeks_ratio"], 1.5),
        _at_least("implied volatility: how much faster than its jackel", found["volatilities_ratio"], 4.0),
    ]


def _at_least(what: str, ratio: float, bound: float) -> Line:
    return Line(what, f"{ratio:.2f}×", f"≥ {bound:g}×", ratio >= bound)


def option_features() -> list[Line]:
    """From a session's raw chain to its features."""
    found = bench_option_features.measure()
    least, median = found["least_milliseconds"], found["median_milliseconds"]
    lines = [
        Line(
            f"option features of a session of {found['contracts']:,.0f} contracts, median (least)",
            f"{median:.0f} ms ({least:.0f} ms)", "≤ 150 ms", median <= 150,
        )
    ]  # fmt: skip
    if "real_seconds" in found:
        seconds = found["real_seconds"]
        lines.append(Line("of 32 real sessions × 3 tickers", f"{seconds:.1f} s", "≤ 10 s", seconds <= 10))
    return lines


def vendor_load() -> list[Line]:
    """500 tickers from a loopback vendor with a limit and faults."""
    found = bench_vendor_load.measure()
    asked, peak = found["requests"], found["most_within_a_second"]
    is_whole = not (found["lost"] or found["doubled"])
    return [
        Line("500 tickers of chains, 10 % faults: requests", f"{asked:.0f}", "", None),
        Line("lost, doubled", f"{found['lost']:.0f}, {found['doubled']:.0f}", "0, 0", is_whole),
        Line("most requests in any second", f"{peak:.0f}", "≤ 5", peak <= 5),
    ]


def option_plans() -> list[Line]:
    """Backtests on chains from process start to result, and how their cost grows."""
    found = bench_plans.measure()
    lines = []
    for name, what, seconds, megabytes in (
        ("put_spreads", f"put-spread plan on a file of {bench_plans.ROWS / 1e6:.1f} million quotes", 1.5, 600),
        ("condors", "450 iron-condor rule sets, file of an SPY chain", 0.5, 1024),
        ("random_entries", "1,000 random-entry runs", 1.0, 1024),
    ):
        if name in found:
            took, peak = found[name]["seconds"], found[name]["peak_megabytes"]
            lines += [
                Line(what, f"{took:.2f} s", f"≤ {seconds:g} s", took <= seconds),
                Line("its peak memory", f"{peak:.0f} MB", f"≤ {megabytes:,} MB", peak <= megabytes),
            ]
    for name, what in (("growth_in_rows", "rows"), ("growth_in_trades", "trades")):
        lines.append(Line(f"exponent of its cost in {what}", f"{found[name]['exponent']:.2f}", "linear", None))
    return lines


def quotes_of_a_file() -> list[Line]:
    """A backtest straight from a file, by the command line and beside optopsy."""
    found = bench_quotes.measure()
    lines = []
    if "command" in found:
        took, rows = found["command"]["seconds"], found["command"]["quotes"]
        what = f"backtest --quotes: {rows:,.0f} quotes of SPY, from process start to the printed result"
        lines.append(Line(what, f"{took:.2f} s", "≤ 1.2 s", took <= 1.2))
    if "peer" in found:
        peer = found["peer"]
        worst, ratio = peer["worst_difference"], peer["ratio"]
        trades = f"{peer['trades']:.0f}, {peer['other_strikes']:.0f}"
        lines += [
            Line("put spread beside optopsy: trades with its strikes, with others", trades, "", None),
            Line("largest difference of their profits, USD a share", f"{worst:.1e}", "≤ 1e-14", worst <= 1e-14),
            Line("how much faster than optopsy, process start to trades", f"{ratio:.2f}×", "≥ 1.0×", ratio >= 1.0),
        ]
    return lines


def writers(seconds: float) -> list[Line]:
    """Eight writers and four readers: our own, bare DuckDB on our views, and all of them on one DuckDB file."""
    ours = concurrent_writers.measure(seconds)
    bare = concurrent_writers.measure(seconds, kind="duckdb")
    peer = concurrent_writers.measure(min(seconds, 15.0), kind="shared_file")
    errors = ours["write errors"] + ours["read errors"]
    peer_errors = peer["write errors"] + peer["read errors"]
    return [
        Line(f"8 writers, 4 readers, {seconds:.0f} s: writes, reads", f"{ours['writes']}, {ours['reads']}", "", None),
        Line("errors", f"{errors}", "0", errors == 0),
        Line("torn reads", f"{ours['torn reads']}", "0", ours["torn reads"] == 0),
        Line(
            f"bare DuckDB on the same views, {seconds:.0f} s: reads, errors, torn",
            f"{bare['reads']}, {bare['read errors']}, {bare['torn reads']}",
            "for comparison",
            None,
        ),
        Line(
            "the same on one shared DuckDB file, 15 s: done, errors",
            f"{peer['writes'] + peer['reads']}, {peer_errors}",
            "for comparison",
            None,
        ),
    ]


def _ratio(what: str, ratio: float, bound: float) -> Line:
    return Line(what, f"{ratio:.3f}×", f"≤ {bound:.2f}×", ratio <= bound)


def commit_measured() -> str:
    """The commit of the working copy, which the page that is being written makes dirty."""
    return subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.strip()


def keep(name: str, lines: list[Line], order: list[str], *, commit: str) -> None:
    """Put a measure in the place of what was kept of it; measures that are no more go."""
    kept = json.loads(KEPT.read_text()) if KEPT.is_file() else {}
    kept[name] = {"day": time.strftime("%Y-%m-%d"), "commit": commit, "lines": [asdict(line) for line in lines]}
    KEPT.write_text(json.dumps({name: kept[name] for name in order if name in kept}, indent=1) + "\n")


def write_page() -> None:
    """The table of all that is kept, with what it was measured on."""
    marks = {True: "met", False: "**missed**", None: ""}
    rows = []
    for measure in json.loads(KEPT.read_text()).values():
        for line in (Line(**fields) for fields in measure["lines"]):
            of = f"{measure['day']}, {measure['commit']}"
            rows.append(f"| {line.what} | {line.figure} | {line.bound} | {marks[line.is_met]} | {of} |")
    machine = (
        f"{psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, Python {sys.version.split()[0]}"
    )
    page = [
        "# Benchmarks",
        "",
        f"Written by `make bench` ({machine}). What a ratio compares was run side by side. Times on a shared machine",
        "are noisy; the ratios are what to compare. `make bench ONLY=plans,quotes` measures some anew; each row names",
        "the day and the commit it is of.",
        "",
        "| what | figure | bound | | of |",
        "|---|---|---|---|---|",
        *rows,
        "",
        "Trade plans on a file read its columns straight (`tests/chain_quotes.py`): that is the engine and the least",
        "reading can cost. The commands read the stored chains and fit volatilities, which takes longer.",
        "",
        "The plain script (`tests/bench/plain_job.py`) computes, judges every table by its rules, probes the features",
        "for look-ahead, draws and stores, in as many processes; it has no Dagster, no Great Expectations, no",
        "provenance and no recovery. A refresh goes from the source to the signals; scores and backtests follow when",
        "somebody asks for them.",
        "",
        "Readers of the writers' test go through the project's own reader (`trading-dag sql`, the reports), which",
        "runs a statement again where a slice was written meanwhile. DuckDB opens each Parquet file twice, for its",
        "footer and for its pages; a bare reader that meets a file replaced in between gets an error, not a wrong",
        "row. Without the external file cache, without prefetching, and with a list of files in the place of the",
        "pattern it is the same.",
        "",
    ]
    PAGE.write_text("\n".join(page))


def main() -> None:
    """Measure, print, write the page; exit 1 where a bound is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the writers' test")
    parser.add_argument("--only", default="", help="names of measures, comma-separated")
    chosen = parser.parse_args()
    data = Path(os.environ.get("TRADING_DAG_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name in ("sample", "files"):
            (work / name).mkdir()
        measures: dict[str, Callable[[], list[Line]]] = {
            "definitions": definitions_load,
            "technical": technical_features,
            "features": lambda: all_features(data if (data / "prices_daily.parquet").is_file() else None),
            "universe": lambda: universe(work),
            "networks": networks,
            "prices": option_prices,
            "vollib": options_beside_vollib,
            "plans": option_plans,
            "quotes": quotes_of_a_file,
            "option_features": option_features,
            "vendor_load": vendor_load,
            "sample": lambda: sample_job(work),
            "files": lambda: files_jobs(work, data),
            "slice": lambda: slice_shares(data),
            "writers": lambda: writers(chosen.seconds),
        }
        order = list(measures)
        if not (data / "prices_daily.parquet").is_file():
            print(f"no real data at {data}: the files jobs are left out")
            del measures["files"], measures["slice"]
        wanted = [name for name in chosen.only.split(",") if name] or list(measures)
        if unknown := set(wanted) - set(measures):
            parser.error(f"no measure is called {', '.join(sorted(unknown))}; there are {', '.join(measures)}")
        is_missed, commit = False, commit_measured()
        for name in wanted:
            lines = measures[name]()
            for line in lines:
                print(f"{line.what}: {line.figure}  {line.bound}  {line.is_met if line.is_met is not None else ''}")
            is_missed |= any(line.is_met is False for line in lines)
            keep(name, lines, order, commit=commit)
            write_page()
    sys.exit(is_missed)


if __name__ == "__main__":
    main()
