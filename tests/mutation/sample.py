"""Names of mutants, drawn at random from those that mutmut has made: ``python tests/mutation/sample.py --count 300``.

mutmut has no sampling of its own. It makes every mutant in ``mutants/`` before it runs one, and takes names on its
command line; so the drawing is all that belongs here. The same seed draws the same names from the same code.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def mutants_by_package(folder: Path) -> dict[str, list[str]]:
    """Names of all mutants that were made, by package, sorted."""
    found: dict[str, list[str]] = defaultdict(list)
    for file in sorted(folder.rglob("*.py.meta")):
        found[file.parent.name] += json.loads(file.read_text(encoding="utf-8"))["exit_code_by_key"]
    return {package: sorted(names) for package, names in found.items()}


def drawn(mutants: dict[str, list[str]], *, count: int, seed: int) -> list[str]:
    """So many names, of each package the share that it has of all."""
    generator, total = random.Random(seed), sum(map(len, mutants.values()))
    return [
        name
        for names in mutants.values()
        for name in generator.sample(names, min(round(count * len(names) / total), len(names)))
    ]


def main() -> int:
    """Print the names, one a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--mutants", type=Path, default=ROOT / "mutants")
    words = parser.parse_args()
    mutants = mutants_by_package(words.mutants)
    if not mutants:
        print(f"no mutants in {words.mutants}: mutmut run 'no such mutant' makes them", file=sys.stderr)
        return 2
    print("\n".join(drawn(mutants, count=words.count, seed=words.seed)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
