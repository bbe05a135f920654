"""What a mutant is, and who notices it: on a small module of the project and its own tests."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.mutation.mutants import changed, code_nodes


@pytest.mark.parametrize(
    ("code", "neighbour"),
    [
        ("a < b", "a <= b"), ("a is None", "a is not None"), ("a + b", "a - b"), ("a and b", "a or b"),
        ("not a", "a"), ("-a", "a"), ("True", "False"), ("2.5", "3.5"), ("np.maximum", "np.minimum"), ("all", "any"),
        ("a if b else c", "c if b else a"),
    ],
)  # fmt: skip
def test_a_mutant_is_the_neighbour(code: str, neighbour: str) -> None:
    found = changed(ast.parse(code, mode="eval").body)
    assert found is not None
    assert found[1] == f"{code} → {neighbour}"


@pytest.mark.parametrize("code", ["f'{a}' + b", "'text'", "a", "None", "f(a)"])
def test_text_and_plain_names_have_no_neighbour(code: str) -> None:
    assert changed(ast.parse(code, mode="eval").body) is None


def test_a_node_knows_the_lines_of_its_statement_and_of_no_body() -> None:
    tree = ast.parse("if (\n    a < b\n):\n    c = (1\n         + d)\n")
    lines = {type(node).__name__: lines for node, lines in code_nodes(tree)}
    assert lines["Compare"] == (1, 3)
    assert lines["BinOp"] == (4, 5)


def test_annotations_and_imports_for_types_are_no_mutants() -> None:
    tree = ast.parse("def f(a: X[1]) -> Y[2]: ...\nif TYPE_CHECKING:\n    b = 3\nc = 4\n")
    numbers = [node.value for node, _ in code_nodes(tree) if isinstance(node, ast.Constant)]
    assert [number for number in numbers if number is not ...] == [4]


VERDICTS = """
import dataclasses, json, sys
from pathlib import Path
from tests.mutation.mutants import mutants_of
from tests.mutation.mutate import judge, outcome, preload, recorded

module, folder = "trading_dag.options.pricing.normal_tail", "tests/trading_dag/options/pricing/"
preload([module])
found = recorded([module], [Path(folder + "test_normal_tail.py")], Path(sys.argv[1]))
mutants = {mutant.change: mutant for mutant in mutants_of(module)}
in_function, on_import = mutants["2.0 * _CENTRE → 2.0 / _CENTRE"], mutants["4.0 → 5.0"]
polynomial_test = folder + "test_normal_tail.py::test_a_polynomial_starts_with_its_constant"
print(json.dumps({
    "in a function": judge(in_function, found),
    "on import": judge(on_import, found),
    "runs on import": [found.runs_on_import(in_function), found.runs_on_import(on_import)],
    "by a test of something else": outcome(in_function, [polynomial_test], found),
    "without tests": judge(in_function, dataclasses.replace(found, tests={})),
    "whose line": sorted(test.partition("::")[2] for test in found.tests_at(in_function)),
}))
"""


@pytest.mark.slow
def test_the_tests_that_execute_a_mutant_say_whether_it_is_noticed(tmp_path: Path) -> None:
    """In a process of its own: it imports anew what it mutates."""
    done = subprocess.run(
        [sys.executable, "-c", VERDICTS, str(tmp_path / "record.json")],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "in a function": "killed",
        "on import": "killed",
        "runs on import": [False, True],
        "by a test of something else": "survived",
        "without tests": "not covered",
        "whose line": [
            "test_far_out_the_ratio_is_the_reciprocal_and_at_infinity_nothing",
            "test_the_ratio_is_within_four_units_of_the_last_place_of_fifty_digits",
        ],
    }
