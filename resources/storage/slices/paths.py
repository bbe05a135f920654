"""Which files below ``data`` are slices: decided by the names of their folders, and by nothing else.

Store, views and ``doctor`` share this definition, so that a copied folder is ignored by the first two and reported by
the third. What a slice holds is checked by ``slice_check``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from trading_dag.schemas import HORIZON_KEYS, SliceKind, Table
from trading_dag.slices import TICKER_PATTERN

ACCEPTED_BARS_NAME: Final = "accepted_bars.json"
FILE_NAME: Final = "data.parquet"
SCHEMA_FILE_NAME: Final = "schema.parquet"
ASIDE: Final = ".set-aside-"
LEVELS: Final[dict[SliceKind, tuple[str, ...]]] = {
    "none": (),
    "ticker": ("ticker",),
    "ticker_horizon": ("ticker", "horizon"),
    "ticker_year": ("ticker", "year"),
}
_VALUES: Final = {"ticker": TICKER_PATTERN, "horizon": "|".join(HORIZON_KEYS), "year": "[0-9]{4}"}


@dataclass(frozen=True)
class Stranger:
    """Names something below ``data`` that is no slice.

    Attributes
    ----------
    path : its topmost folder or file.
    was_set_aside : whether a repair left it there.
    """

    path: Path
    was_set_aside: bool


def wildcard(table: Table) -> str:
    """Return the glob of a table's slices below its folder; it matches more than the slices themselves."""
    return "/".join([*(f"{level}=*" for level in LEVELS[table.slice]), FILE_NAME])


def pattern(table: Table) -> str:
    """Return the regular expression for the end of a slice's path, with a group for each level; RE2 can read it too."""
    levels = [f"{level}=({_VALUES[level]})" for level in LEVELS[table.slice]]
    return "".join(f"/{part}" for part in [*levels, re.escape(FILE_NAME)]) + "$"


def slice_parts(table: Table, folder: Path) -> Iterator[dict[str, str]]:
    """Yield the values of the levels of every stored slice of a table, such as ``{"ticker": "SPY"}``, in no order."""
    named = _compiled(pattern(table))
    for path in folder.glob(wildcard(table)):
        match = named.fullmatch("/" + path.relative_to(folder).as_posix())
        if match:
            yield dict(zip(LEVELS[table.slice], match.groups(), strict=True))


def path_of(table: Table, folder: Path, parts: dict[str, str]) -> Path:
    """Return the file of the slice with these values of the levels."""
    return folder.joinpath(*(f"{level}={parts[level]}" for level in LEVELS[table.slice]), FILE_NAME)


def strangers(data: Path, tables: Iterable[Table]) -> list[Stranger]:
    """Return everything below ``data`` that belongs to no slice, sorted by path; names that begin with a dot are
    ignored.

    The list of accepted bars lies beside the slices on purpose.
    """
    by_folder = {data / table.group / table.name: table for table in tables}
    groups = {folder.parent for folder in by_folder}
    paths: list[Path] = []
    for entry in _visible(data):
        if entry.name == ACCEPTED_BARS_NAME and entry.is_file():
            continue
        if entry not in groups:
            paths.append(entry)
            continue
        for folder in _visible(entry):
            if folder in by_folder and folder.is_dir():
                paths += _strangers_within(folder, by_folder[folder])
            else:
                paths.append(folder)
    return sorted((Stranger(path, ASIDE in path.name) for path in paths), key=lambda stranger: stranger.path)


def _strangers_within(folder: Path, table: Table) -> Iterator[Path]:
    """Yield what lies in a table's folder and does not belong to a slice."""
    levels = LEVELS[table.slice]

    def look(at: Path, depth: int) -> Iterator[Path]:
        for entry in _visible(at):
            if depth == len(levels):
                if not (entry.name == FILE_NAME and entry.is_file()) and not (
                    depth == 0 and entry.name == SCHEMA_FILE_NAME
                ):
                    yield entry
            elif depth == 0 and entry.name == SCHEMA_FILE_NAME:
                continue
            elif entry.is_dir() and _compiled(f"{levels[depth]}=(?:{_VALUES[levels[depth]]})").fullmatch(entry.name):
                yield from look(entry, depth + 1)
            else:
                yield entry

    return look(folder, 0)


def _visible(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []


@cache
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression)
