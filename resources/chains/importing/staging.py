"""What was read of chain files and is not merged yet: parts by ticker and year, and a word that a file is whole.

A staged file survives the process that read it, so that an import that was ended goes on where it was. Reading files
is ``importing.files``', merging ``chains.store``'s, and when which happens is ``importing.importer``'s.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from resources.chains.importing.files import ChainFile
from resources.chains.importing.pieces import ChainRows
from resources.storage.slices.format import replace_file
from resources.text_files.columns import Remark, merged_remarks
from trading_dag.errors import UnknownTickerError
from trading_dag.options.chains.sifting import REASON, SiftedChain, sift
from trading_dag.sessions import all_sessions, last_closed_session
from trading_dag.slices import validate_ticker

PREFIX: Final = "staging-"
_WHOLE: Final = "staged.json"
LINE: Final = "line"
SliceName = tuple[str, int]


@dataclass(frozen=True)
class StagedFile:
    """Names a file whose rows all lie in the staging folder.

    Attributes
    ----------
    folder : where; below it ``SPY/2015/part-000000.parquet``.
    rows : contract rows read.
    refused : rows that are not staged, by reason.
    left_out : what was left out or assumed, with the place of the first.
    is_left_over : an ended process staged it, and may have merged some of it.
    """

    folder: Path
    rows: int
    refused: dict[str, int]
    left_out: tuple[Remark, ...]
    is_left_over: bool = False

    @property
    def slices(self) -> list[SliceName]:
        """Return ticker and year of every slice that has rows of the file, ascending."""
        return sorted((path.parent.name, int(path.name)) for path in self.folder.glob("*/*") if path.is_dir())

    def rows_of(self, ticker: str, year: int) -> pd.DataFrame:
        """Return the staged rows of one slice, in the order of the file; ``LINE`` says where each stands in it."""
        parts = sorted((self.folder / ticker / str(year)).iterdir())
        return pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True)

    def discard(self) -> None:
        """Delete what is staged."""
        shutil.rmtree(self.folder, ignore_errors=True)


def stage(file: ChainFile, folder: Path, *, read: Callable[[int], None]) -> StagedFile:
    """Write a file's rows by ticker and year; a file that was staged whole before is taken as it is.

    Parameters
    ----------
    folder : for this file alone; whatever an ended process left there is replaced.
    read : told after every piece how many rows it had.

    Raises
    ------
    SourceFormatError : for a file that cannot be read.
    """
    staged = _staged_before(folder)
    if staged is not None:
        read(staged.rows)
        return staged
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    refused: Counter[str] = Counter()
    left_out: tuple[Remark, ...] = ()
    rows = 0
    for number, piece in enumerate(file.batches()):
        refused.update(str(reason) for reason in piece.refused[REASON])
        refused.update(piece.lines_lost)
        dated = _that_can_be_stored(piece.kept)
        refused.update(dated.counts)
        left_out = merged_remarks((*left_out, *piece.left_out, *_remarks(dated, piece)))
        for (ticker, year), part_rows in _by_slice(dated.kept.assign(**{LINE: piece.lines[dated.kept_at]})):
            part = folder / validate_ticker(ticker) / str(year) / f"part-{number:06d}.parquet"
            part.parent.mkdir(parents=True, exist_ok=True)
            replace_file(part, _writer(part_rows))
        more = len(piece.kept) + len(piece.refused) + sum(piece.lines_lost.values())
        rows += more
        read(more)
    word = json.dumps({"rows": rows, "refused": dict(refused), "left_out": [asdict(remark) for remark in left_out]})
    replace_file(folder / _WHOLE, lambda target: target.write_text(word, encoding="utf-8"))
    return StagedFile(folder, rows, dict(refused), left_out)


def sweep(imports: Path, *, also_whole: bool) -> None:
    """Delete what ended processes left: files staged in part, or every staged file."""
    for leftover in imports.glob(f"{PREFIX}*"):
        if also_whole or not (leftover / _WHOLE).is_file():
            shutil.rmtree(leftover, ignore_errors=True)


def _staged_before(folder: Path) -> StagedFile | None:
    try:
        word = json.loads((folder / _WHOLE).read_text(encoding="utf-8"))
        left_out = tuple(Remark(**remark) for remark in word["left_out"])
        return StagedFile(folder, int(word["rows"]), dict(word["refused"]), left_out, is_left_over=True)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # not there, or torn: it is read again


def _writer(rows: pd.DataFrame) -> Callable[[Path], None]:
    return lambda target: rows.to_parquet(target, index=False)


def _that_can_be_stored(rows: pd.DataFrame) -> SiftedChain:
    """Return the chain without quotes of what is no ticker, of days without a session, or of sessions that are not
    over yet.
    """
    days = rows["quote_date"]
    strange = [ticker for ticker in rows["ticker"].unique() if not _is_ticker(str(ticker))]
    column = {"not_a_ticker": "ticker", "future_session": "quote_date", "not_a_session": "quote_date"}
    return sift(
        rows,
        [
            ("not_a_ticker", rows["ticker"].isin(strange).to_numpy()),
            ("future_session", (days > last_closed_session()).to_numpy()),
            ("not_a_session", ~days.isin(all_sessions()).to_numpy()),
        ],
        blame=lambda reason, row: (column[reason], rows[column[reason]].iloc[row]),
    )


def _remarks(sifted: SiftedChain, piece: ChainRows) -> Iterator[Remark]:
    for reason, fault in sifted.faults.items():
        line = int(piece.lines[fault.position])
        yield Remark(reason, sifted.counts[reason], line, fault.value, column=fault.column)


def _is_ticker(text: str) -> bool:
    try:
        validate_ticker(text)
    except UnknownTickerError:
        return False
    return True


def _by_slice(rows: pd.DataFrame) -> Iterator[tuple[SliceName, pd.DataFrame]]:
    years = rows["quote_date"].dt.year
    for year in years.unique():
        of_year = rows[years == year]
        for ticker, part in of_year.groupby("ticker"):
            yield (str(ticker), int(year)), part
