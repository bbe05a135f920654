"""Which tests execute which line, and how long they take: measured once with coverage.py, asked for every mutant."""

from __future__ import annotations

import functools
import gc
import importlib
import json
from collections import defaultdict
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage

from tests.mutation.mutants import ROOT, Mutant, file_of, forget_imports

ON_IMPORT = "on import"


@dataclass(frozen=True)
class Record:
    """The tests that execute each line of each module, lines that run on import, and seconds of each test."""

    tests: dict[str, dict[str, list[str]]]
    on_import: dict[str, list[int]]
    seconds: dict[str, float]

    @classmethod
    def read(cls, path: Path) -> Record:
        """The record that `write` left."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def write(self, path: Path) -> None:
        """Keep it, for a run that goes on where it was stopped."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    def runs_on_import(self, mutant: Mutant) -> bool:
        """Whether the statement runs when the module is imported."""
        first, last = mutant.statement
        return any(first <= line <= last for line in self.on_import.get(mutant.module, []))

    def tests_at(self, mutant: Mutant) -> set[str]:
        """The tests that execute the mutant's statement; of one that runs on import, any line of its module."""
        first, last = (1, 1 << 30) if self.runs_on_import(mutant) else mutant.statement
        lines = self.tests.get(mutant.module, {})
        return {test for line, tests in lines.items() if first <= int(line) <= last for test in tests}


class Recorder:
    """A plugin of pytest that tells coverage.py whose lines these are.

    What a fixture of more than one test, or the import of a file of tests, executes belongs to all tests that use it.
    """

    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage
        self._context = ON_IMPORT
        self._caches: list[Any] = []
        self._files: set[Path] = set()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.users: defaultdict[str, set[str]] = defaultdict(set)

    def _switch(self, context: str) -> str:
        before, self._context = self._context, context
        self._coverage.switch_context(context)
        return before

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, Any, Any]:
        """Lines that the import of a file executes, such as a table of cases."""
        before = self._switch(f"import {collector.nodeid}")
        report = yield
        self._switch(before)
        return report

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Who uses which fixture, and which file."""
        for item in session.items:
            self.users[f"import {item.nodeid.partition('::')[0]}"].add(item.nodeid)
            for name in getattr(item, "fixturenames", ()):
                self.users[f"fixture {name}"].add(item.nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Lines of one test, as if it were the only one: what others left in a cache it computes itself."""
        if item.path not in self._files:
            self._files.add(item.path)
            self._caches = [found for found in gc.get_objects() if _is_cache(found)]
        for cache in self._caches:
            cache.cache_clear()
        before = self._switch(item.nodeid)
        result = yield
        self._switch(before)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, Any, Any]:
        """Lines of what several tests share."""
        before = self._context if fixturedef.scope == "function" else self._switch(f"fixture {fixturedef.argname}")
        result = yield
        if self._context != before:
            self._switch(before)
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """How long a test took."""
        self.seconds[report.nodeid] += report.duration


def _is_cache(found: Any) -> bool:
    # The calendar of all sessions takes a second, and is the same whatever is mutated.
    return type(found) is functools._lru_cache_wrapper and (
        found.__module__.startswith(("tests.", "trading_dag.")) and found.__module__ != "trading_dag.sessions"
    )


def record(modules: Sequence[str], files: Sequence[Path], words: Sequence[str]) -> Record:
    """Run all these tests once, and say what each executes of the modules. They must pass.

    Raises
    ------
    SystemExit
        Where a test fails without any change: it would notice every mutant.
    """
    coverage = Coverage(data_file=None, config_file=False, include=[str(ROOT / "trading_dag" / "*")])
    coverage.set_option("run:disable_warnings", ["module-not-measured", "already-imported", "no-data-collected"])
    recorder = Recorder(coverage)
    forget_imports()
    coverage.start()
    coverage.switch_context(ON_IMPORT)
    for module in modules:
        importlib.import_module(module)
    result = pytest.main([*words, *map(str, files)], plugins=[recorder])
    coverage.stop()
    if result != 0:
        raise SystemExit(f"the tests fail without any change (pytest says {result!r}): a run of theirs says which")
    return _as_record(coverage, recorder, modules)


def _as_record(coverage: Coverage, recorder: Recorder, modules: Sequence[str]) -> Record:
    tests: dict[str, dict[str, list[str]]] = {}
    on_import: dict[str, list[int]] = {}
    for module in modules:
        contexts = coverage.get_data().contexts_by_lineno(str(file_of(module)))
        on_import[module] = sorted(line for line, names in contexts.items() if ON_IMPORT in names)
        tests[module] = {
            str(line): sorted(
                set().union(*(recorder.users.get(name, {name}) for name in names)) & set(recorder.seconds)
            )
            for line, names in contexts.items()
        }
    return Record(tests, on_import, dict(recorder.seconds))
