"""What a mutant is: one comparison, sum, bound, constant or condition of one module turned into its neighbour.

It is made in memory and put in place in the running process; which tests look at it is not decided here.
"""

from __future__ import annotations

import ast
import copy
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
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
    """One change: module, place of the node in the order of a walk, lines of its statement, and the change in words."""

    module: str
    node: int
    line: int
    statement: tuple[int, int]
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


def code_nodes(tree: ast.AST, statement: tuple[int, int] = (0, 0)) -> Iterator[tuple[ast.AST, tuple[int, int]]]:
    """Every node of code that runs, with the first and last line of its statement.

    Not: annotations, imports for types only, arguments of decorators.
    """
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list", "type_comment"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _is_for_types(child):
                continue
            lines = _lines_of(child) if isinstance(child, ast.stmt) else statement
            yield child, lines
            yield from code_nodes(child, lines)


def _lines_of(statement: ast.stmt) -> tuple[int, int]:
    """First and last line of a statement; of one that has a body, of its head."""
    body = getattr(statement, "body", None)
    last = max(statement.lineno, body[0].lineno - 1) if body else statement.end_lineno
    return statement.lineno, last or statement.lineno


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def file_of(module: str) -> Path:
    """The source of a module."""
    return ROOT / Path(*module.split(".")).with_suffix(".py")


def _tree_of(module: str) -> ast.Module:
    return ast.parse(file_of(module).read_text(encoding="utf-8"))


def mutants_of(module: str) -> list[Mutant]:
    """Every mutant of a module."""
    found = [(place, node, lines, changed(node)) for place, (node, lines) in enumerate(code_nodes(_tree_of(module)))]
    return [
        Mutant(module, place, getattr(node, "lineno", 0), lines, change[1])
        for place, node, lines, change in found
        if change
    ]


def mutated_code(mutant: Mutant) -> CodeType:
    """The module's code with that one change."""
    tree = _tree_of(mutant.module)
    old = next(node for place, (node, _) in enumerate(code_nodes(tree)) if place == mutant.node)
    new = changed(old)
    assert new is not None
    replacement = ast.copy_location(new[0], old)

    class Swap(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            return replacement if node is old else self.generic_visit(node)

    return compile(ast.fix_missing_locations(Swap().visit(tree)), str(file_of(mutant.module)), "exec")


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


def put_in_place(mutant: Mutant, *, runs_on_import: bool) -> None:
    """Give the function with the change its new code, wherever it is imported already; or import all anew."""
    function = None if runs_on_import else _function_of(mutant)
    if function is not None:
        codes = _codes_in(mutated_code(mutant))
        function.__code__ = codes[function.__code__.co_qualname, function.__code__.co_firstlineno]
        return
    # What a module computes when it is imported, others have copied: they are imported again.
    forget_imports()
    sys.meta_path.insert(0, MutantFinder(mutant))


def forget_imports() -> None:
    """Have the project imported again by whoever wants it."""
    for name in [name for name in sys.modules if name.startswith("trading_dag")]:
        del sys.modules[name]


def _codes_in(code: CodeType) -> dict[tuple[str, int], CodeType]:
    found = {}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found[constant.co_qualname, constant.co_firstlineno] = constant
            found |= _codes_in(constant)
    return found


def _function_of(mutant: Mutant) -> Any:
    """The function or method of the loaded module whose body has the change; None where it is in none."""
    tree = _tree_of(mutant.module)
    changed_node = next(node for place, (node, _) in enumerate(code_nodes(tree)) if place == mutant.node)
    for outer in tree.body:
        owner: Any = sys.modules[mutant.module]
        inner: ast.stmt = outer
        if isinstance(outer, ast.ClassDef):
            owner = getattr(owner, outer.name)
            inner = next((node for node in outer.body if changed_node in ast.walk(node)), outer)
        if isinstance(inner, ast.FunctionDef) and any(changed_node in ast.walk(line) for line in inner.body):
            found = vars(owner)[inner.name]
            for attribute in ("fget", "func", "__func__", "__wrapped__"):
                found = getattr(found, attribute, found)
            return found if hasattr(found, "__code__") else None
    return None
