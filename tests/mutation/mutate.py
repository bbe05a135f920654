"""How many small changes of the code the tests notice: ``python -m tests.mutation.mutate --count 300 --results FILE``.

First all tests of the packages run once, and are recorded: which of them executes which line, in how many seconds. Then
each change (a mutant, tests/mutation/mutants.py) is put in place in a fork of a process that has imported everything
already, and the tests that execute its statement run against it until one notices: those that name the module first,
then the others, the quickest first. A statement that no test executes is reported as not covered; nobody noticed it.
Tests that need real data or more than a few seconds are left out (docs/decisions/why-own-mutation-script.md).

The same seed draws the same mutants from the same code. Results are appended, one JSON line a mutant, beside them is
the record; what is in these files is not run again.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import hypothesis
import pytest

from tests.mutation.mutants import ROOT, Mutant, mutants_of, put_in_place
from tests.mutation.recording import Record, record

PACKAGES: Final = ("backtest", "options", "validation", "quality")
NOT_RUN: Final = "files_data or slow or browser"
# Whole files whose set-up alone takes longer than all other tests of their package together.
LEFT_OUT: Final = frozenset({"test_plan_fair_market.py", "test_plan_simulated_market.py"})
KILLED, SURVIVED, TIMED_OUT, NOT_COVERED = "killed", "survived", "timed out", "not covered"
WORDS: Final = (
    "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:pytest_cov", "-m", f"not ({NOT_RUN})",
    "-o", "timeout=0", "-W", "ignore::pytest.PytestAssertRewriteWarning", "--hypothesis-profile", "mutants",
)  # fmt: skip
# The examples of every run; what fails is not made smaller, for nobody reads it.
hypothesis.settings.register_profile(
    "mutants", derandomize=True, deadline=None, phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate]
)


class Chosen:
    """A plugin of pytest that runs these tests only, in the order of their ranks."""

    def __init__(self, ranks: Mapping[str, int], known: Collection[str]) -> None:
        self._ranks, self._known = ranks, known

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out the others; a test that only the mutant has is run."""
        wanted = [item for item in items if item.nodeid in self._ranks or item.nodeid not in self._known]
        items[:] = sorted(wanted, key=lambda item: self._ranks.get(item.nodeid, -1))


def test_files(package: str) -> list[Path]:
    """Files of a package's tests that are not left out."""
    folder = ROOT / "tests" / "trading_dag" / package
    return [path for path in sorted(folder.rglob("test_*.py")) if path.name not in LEFT_OUT]


def names_module(path: Path, module: str) -> bool:
    """Whether a file of tests is one of the module's own."""
    parent, _, stem = module.rpartition(".")
    text = path.read_text(encoding="utf-8")
    return stem in path.name or f"{module} " in text or f"from {parent} import {stem}\n" in text


def steps(mutant: Mutant, found: Record) -> list[list[str]]:
    """The tests that may notice a mutant, best first: those of files that name its module, then the others."""
    package = mutant.module.split(".")[1]
    own = {str(path.relative_to(ROOT)) for path in test_files(package) if names_module(path, mutant.module)}
    of_package = {test for test in found.seconds if test.startswith(f"tests/trading_dag/{package}/")}
    tests = found.tests_at(mutant) & of_package
    if found.runs_on_import(mutant):
        tests = tests | {test for test in of_package if _file(test) in own} or of_package
    cost = Counter[str]()
    for test in tests:
        cost[_file(test)] += found.seconds[test]  # type: ignore[assignment]
    ordered = sorted(tests, key=lambda test: (cost[_file(test)], _file(test), found.seconds[test]))
    return [[test for test in ordered if (_file(test) in own) is near] for near in (True, False)]


def _file(test: str) -> str:
    return test.partition("::")[0]


def judge(mutant: Mutant, found: Record) -> str:
    """Run the tests that may notice it until one does."""
    parts = [tests for tests in steps(mutant, found) if tests]
    for tests in parts:
        said = outcome(mutant, tests, found)
        if said != SURVIVED:
            return said
    return SURVIVED if parts else NOT_COVERED


def outcome(mutant: Mutant, tests: Sequence[str], found: Record) -> str:
    """What these tests say of the mutant, in a process of its own that may use three times their time."""
    child = os.fork()
    if child == 0:
        seconds = 30 + int(3 * sum(found.seconds[test] for test in tests))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        _be_silent()
        put_in_place(mutant, runs_on_import=found.runs_on_import(mutant))
        files = dict.fromkeys(map(_file, tests))
        chosen = Chosen({test: rank for rank, test in enumerate(tests)}, found.seconds)
        os._exit(int(pytest.main([*WORDS, *files], plugins=[chosen])))
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return TIMED_OUT
    # 0: all passed; 5: none was collected. Everything else noticed something.
    return SURVIVED if os.WEXITSTATUS(status) in (0, 5) else KILLED


def _be_silent() -> None:
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)


def preload(modules: Sequence[str]) -> None:
    """Import what tests need and what is to be changed, once for all forks."""
    for name in ("scipy.stats", "hypothesis.extra.numpy", "sklearn.metrics", "typer", "trading_dag.cli"):
        importlib.import_module(name)
    for module in modules:
        importlib.import_module(module)
    importlib.import_module("trading_dag.sessions").all_sessions()
    # A first run of pytest brings in its plugins, and Dagster for the names of its warnings.
    pytest.main([*WORDS, "--collect-only", "-qq", str(Path(__file__).with_name("test_mutate.py"))])
    gc.freeze()  # so that no fork looks through all of this for rubbish


def recorded(modules: Sequence[str], files: Sequence[Path], path: Path) -> Record:
    """The record at a path, made of these tests in a process of its own where it is not there yet."""
    if not path.is_file():
        child = os.fork()
        if child == 0:
            record(modules, files, WORDS).write(path)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status or not path.is_file():
            raise SystemExit("no record of the tests, so no score")
    return Record.read(path)


def modules_of(package: str) -> list[str]:
    """Names of the modules of a package that hold code."""
    paths = sorted((ROOT / "trading_dag" / package).rglob("*.py"))
    return [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths if path.stem != "__init__"]


def print_score(drawn: Sequence[Mutant], known: Mapping[str, str], of: int) -> None:
    """How many were noticed, by package and in all."""
    rows = [(mutant.module.split(".")[1], known[mutant.name]) for mutant in drawn]
    for package in [*dict.fromkeys(package for package, _ in sorted(rows)), "all"]:
        said = Counter(outcome for name, outcome in rows if package in (name, "all"))
        noticed, count = said[KILLED] + said[TIMED_OUT], said.total()
        print(
            f"{package}: {noticed} of {count} noticed ({noticed / max(count, 1):.1%}), {said[TIMED_OUT]} of them by "
            f"their time; {said[SURVIVED]} survived, {said[NOT_COVERED]} not covered"
        )
    print(f"drawn from {of} mutants")


def main() -> int:
    """Draw, run, append, and say the score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument(
        "--modules", nargs="*", help="such as trading_dag.backtest.trades.margin; default: all of the packages"
    )
    parser.add_argument("--results", type=Path, required=True)
    words = parser.parse_args()
    results_path = words.results.resolve()
    os.chdir(ROOT)
    modules = words.modules or [module for package in PACKAGES for module in modules_of(package)]
    every = [mutant for module in modules for mutant in mutants_of(module)]
    drawn = random.Random(words.seed).sample(every, min(words.count, len(every)))
    lines = results_path.read_text(encoding="utf-8").splitlines() if results_path.is_file() else []
    known = {row["name"]: row["outcome"] for row in map(json.loads, lines)}
    preload(modules)
    packages = dict.fromkeys(module.split(".")[1] for module in modules)
    files = [file for package in packages for file in test_files(package)]
    found = recorded(modules, files, results_path.with_suffix(".tests.json"))
    with results_path.open("a", encoding="utf-8") as results:
        for mutant in drawn:
            if mutant.name in known:
                continue
            started = time.monotonic()
            known[mutant.name] = judge(mutant, found)
            row = {**asdict(mutant), "name": mutant.name, "outcome": known[mutant.name],
                   "seconds": round(time.monotonic() - started, 1)}  # fmt: skip
            results.write(json.dumps(row, ensure_ascii=False) + "\n")
            results.flush()
    print_score(drawn, known, len(every))
    return 0


if __name__ == "__main__":
    sys.exit(main())
