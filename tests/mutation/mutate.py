"""How many small changes of the code the tests notice: ``python tests/mutation/mutate.py --count 300 --results FILE``.

A change (a mutant) turns one comparison, sum, bound, constant or condition of one module into its neighbour. It is made
in memory, in a fork of a process that has imported everything already, and the tests of the module's package run
against it: those that import the module first, the others only where these notice nothing. Tests that need real data or
more than a few seconds are left out, so that a mutant costs seconds (docs/decisions/why-own-mutation-script.md).

The same seed draws the same mutants from the same code. Results are appended, one JSON line a mutant, and what is in
the file already is not run again.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("backtest", "options", "validation", "quality")
CPU_SECONDS: Final = 240
NOT_RUN: Final = "files_data or slow or browser"
# Whole files whose set-up alone takes longer than all other tests of their package together.
LEFT_OUT: Final = frozenset({"test_program_fair_market.py", "test_program_simulated_market.py"})
KILLED, SURVIVED, TIMED_OUT = "killed", "survived", "timed out"
_COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_OPERATORS: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Pow: ast.Mult,
}  # fmt: skip
_NAMES: Final = {
    "max": "min", "min": "max", "maximum": "minimum", "minimum": "maximum", "any": "all", "all": "any",
    "fmax": "fmin", "fmin": "fmax", "floor": "ceil", "ceil": "floor", "cumsum": "cumprod", "first": "last",
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: module, place of the node in the order of a walk, and what it says in words."""

    module: str
    node: int
    line: int
    change: str

    @property
    def name(self) -> str:
        """What identifies it in the results."""
        return f"{self.module}:{self.line}:{self.node}"


def changed(node: ast.AST) -> tuple[ast.AST, str] | None:
    """The node as its neighbour, and the change in words; None where it has none."""
    new: Any = copy.deepcopy(node)
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARISONS:
        new.ops[0] = _COMPARISONS[type(node.ops[0])]()
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS and not _is_of_text(node):
        new.op = _OPERATORS[type(node.op)]()
    elif isinstance(node, ast.BoolOp):
        new.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
        new = new.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        new.value = not node.value
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        new.value = node.value + 1
    elif isinstance(node, ast.Attribute) and node.attr in _NAMES:
        new.attr = _NAMES[node.attr]
    elif isinstance(node, ast.Name) and node.id in _NAMES:
        new.id = _NAMES[node.id]
    elif isinstance(node, ast.IfExp):
        new.body, new.orelse = new.orelse, new.body
    else:
        return None
    return new, f"{ast.unparse(node)} → {ast.unparse(new)}"


def _is_of_text(node: ast.BinOp) -> bool:
    sides = (node.left, node.right)
    return any(isinstance(side, ast.JoinedStr | ast.Constant) and not _is_number(side) for side in sides)


def _is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float)


def code_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node of code that runs: no annotations, no imports for types only, no arguments of decorators."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list", "type_comment"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _is_for_types(child):
                continue
            yield child
            yield from code_nodes(child)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def file_of(module: str) -> Path:
    """The source of a module."""
    return ROOT / Path(*module.split(".")).with_suffix(".py")


def mutants_of(module: str) -> list[Mutant]:
    """Every mutant of a module."""
    tree = ast.parse(file_of(module).read_text(encoding="utf-8"))
    found = [(place, node, changed(node)) for place, node in enumerate(code_nodes(tree))]
    return [Mutant(module, place, getattr(node, "lineno", 0), change[1]) for place, node, change in found if change]


def mutated_code(mutant: Mutant) -> CodeType:
    """The module's code with that one change."""
    path = file_of(mutant.module)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    old = next(node for place, node in enumerate(code_nodes(tree)) if place == mutant.node)
    new = changed(old)
    assert new is not None
    replacement = ast.copy_location(new[0], old)

    class Swap(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            return replacement if node is old else self.generic_visit(node)

    return compile(ast.fix_missing_locations(Swap().visit(tree)), str(path), "exec")


class MutantFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module as its mutant, all others as ever."""

    def __init__(self, mutant: Mutant) -> None:
        self._name, self._code = mutant.module, mutated_code(mutant)

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """A spec for that module only."""
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(fullname, file_of(fullname), loader=self)

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutant's code in the new module."""
        exec(self._code, module.__dict__)


def put_in_place(mutant: Mutant) -> None:
    """Give the function with the change its new code, wherever it is imported already; or import all anew."""
    function = _function_of(mutant)
    if function is not None:
        codes = _codes_in(mutated_code(mutant))
        function.__code__ = codes[function.__code__.co_qualname, function.__code__.co_firstlineno]
        return
    # What a module computes when it is imported, others have copied: they are imported again.
    for name in [name for name in sys.modules if name.startswith("trading_dag")]:
        del sys.modules[name]
    sys.meta_path.insert(0, MutantFinder(mutant))


def _codes_in(code: CodeType) -> dict[tuple[str, int], CodeType]:
    found = {}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found[constant.co_qualname, constant.co_firstlineno] = constant
            found |= _codes_in(constant)
    return found


def _function_of(mutant: Mutant) -> Any:
    """The function or method of the loaded module whose body has the change; None where it is in none."""
    tree = ast.parse(file_of(mutant.module).read_text(encoding="utf-8"))
    changed_node = next(node for place, node in enumerate(code_nodes(tree)) if place == mutant.node)
    for outer in tree.body:
        owner: Any = sys.modules[mutant.module]
        inner = outer
        if isinstance(outer, ast.ClassDef):
            owner = getattr(owner, outer.name)
            inner = next((node for node in outer.body if changed_node in ast.walk(node)), outer)
        if isinstance(inner, ast.FunctionDef) and any(changed_node in ast.walk(line) for line in inner.body):
            found = vars(owner)[inner.name]
            for attribute in ("fget", "func", "__func__", "__wrapped__"):
                found = getattr(found, attribute, found)
            return found if hasattr(found, "__code__") else None
    return None


def tests_of(module: str) -> tuple[list[Path], list[Path]]:
    """Test files of the module's package: those that name the module, then the others."""
    package, stem = module.split(".")[1:3]
    files = [path for path in sorted((ROOT / "tests" / "trading_dag" / package).glob("test_*.py"))
             if path.name not in LEFT_OUT]  # fmt: skip
    near = [path for path in files if stem in path.name or f"{package}.{stem} " in path.read_text(encoding="utf-8")]
    return near, [path for path in files if path not in near]


def outcome(mutant: Mutant | None, files: Sequence[Path]) -> str:
    """What these tests say of the mutant, or of the code as it is, in a process of its own."""
    child = os.fork()
    if child == 0:
        os._exit(_run_tests(mutant, files))
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return TIMED_OUT
    # 0: all passed; 5: none was collected. Everything else noticed something.
    return SURVIVED if os.WEXITSTATUS(status) in (0, 5) else KILLED


def _run_tests(mutant: Mutant | None, files: Sequence[Path]) -> int:
    import pytest

    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    if mutant is not None:
        put_in_place(mutant)
    words = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", f"not ({NOT_RUN})", "-o", "timeout=0",
             "-W", "ignore::pytest.PytestAssertRewriteWarning"]  # fmt: skip
    return int(pytest.main([*words, *map(str, files)]))


def judge(mutant: Mutant) -> str:
    """Run the near tests, and the others of the package where these notice nothing."""
    near, others = tests_of(mutant.module)
    found = outcome(mutant, near) if near else SURVIVED
    return outcome(mutant, others) if found == SURVIVED and others else found


def preload(modules: Sequence[str]) -> None:
    """Import what tests need and what is to be changed, once for all forks."""
    for name in ("scipy.stats", "hypothesis.extra.numpy", "pytest", "sklearn.metrics", "typer", "trading_dag.cli"):
        importlib.import_module(name)
    for module in modules:
        importlib.import_module(module)
    importlib.import_module("trading_dag.sessions").all_sessions()


def require_passing_tests(packages: Sequence[str]) -> None:
    """The tests pass on the code as it is: one that fails anyway would notice every mutant."""
    for package in packages:
        near, others = tests_of(f"trading_dag.{package}.none")
        if outcome(None, [*near, *others]) != SURVIVED:
            raise SystemExit(f"the tests of {package} fail, or take too long, without any change")


def main() -> int:
    """Draw, run, append, and say the score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument(
        "--modules", nargs="*", help="such as trading_dag.backtest.margin; default: all of the packages"
    )
    parser.add_argument("--results", type=Path, required=True)
    words = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    modules = words.modules or [
        f"trading_dag.{package}.{path.stem}"
        for package in PACKAGES
        for path in sorted((ROOT / "trading_dag" / package).glob("*.py"))
        if path.stem != "__init__"
    ]
    every = [mutant for module in modules for mutant in mutants_of(module)]
    drawn = random.Random(words.seed).sample(every, min(words.count, len(every)))
    lines = words.results.read_text(encoding="utf-8").splitlines() if words.results.is_file() else []
    known = {row["name"]: row["outcome"] for row in map(json.loads, lines)}
    preload(modules)
    require_passing_tests(list(dict.fromkeys(module.split(".")[1] for module in modules)))
    with words.results.open("a", encoding="utf-8") as results:
        for mutant in drawn:
            if mutant.name in known:
                continue
            started = time.monotonic()
            known[mutant.name] = judge(mutant)
            row = {**asdict(mutant), "name": mutant.name, "outcome": known[mutant.name],
                   "seconds": round(time.monotonic() - started, 1)}  # fmt: skip
            results.write(json.dumps(row, ensure_ascii=False) + "\n")
            results.flush()
    count = Counter((mutant.module.split(".")[1], known[mutant.name] == SURVIVED) for mutant in drawn)
    for package in dict.fromkeys(mutant.module.split(".")[1] for mutant in drawn):
        noticed, missed = count[package, False], count[package, True]
        print(f"{package}: {noticed} of {noticed + missed} noticed")
    missed = sum(known[mutant.name] == SURVIVED for mutant in drawn)
    print(f"all: {len(drawn) - missed} of {len(drawn)} of {len(every)} noticed, {1 - missed / max(len(drawn), 1):.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
