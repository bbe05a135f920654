"""Which files of a folder hold a ticker's prices, and what that means for the universe."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from resources.sources.choose import build_source, tickers_at_hand
from resources.sources.files.folder import FolderFiles, with_tickers_of_folder
from trading_dag.settings import Settings

HEADER = "Date,Open,High,Low,Close,Adj Close,Volume\n2024-11-25,1,1,1,1,1,1\n"
ALL = "ticker,session,open,high,low,close,adj_close,volume\nTLT,2024-11-25,1,1,1,1,1,1\n"


def settings_of(folder: Path, **given: object) -> Settings:
    return Settings(_env_file=None, home=folder, source="files", files=folder, **given)  # type: ignore[arg-type]


def test_files_in_capital_letters_with_a_header_of_prices_are_tickers(tmp_path: Path) -> None:
    for name in ("GLD.csv", "BRK-B.txt", "^GSPC.csv", "^VIX.csv", "VIX3M.csv", "gld2.csv"):
        (tmp_path / name).write_text(HEADER)
    (tmp_path / "README.txt").write_text("Read me, please: Date and Close are columns")
    (tmp_path / "NOTES.csv").write_text("what,when\n")
    (tmp_path / "EMPTY.csv").write_text("")
    pd.read_csv(tmp_path / "GLD.csv").to_parquet(tmp_path / "SLV.parquet")
    (tmp_path / "BROKEN.parquet").write_bytes(b"PAR1 no more")
    (tmp_path / "FOLDER.csv").mkdir()
    assert list(FolderFiles(tmp_path).tickers) == ["BRK-B", "GLD", "SLV", "SPX"]


def test_tickers_with_a_file_join_the_universe_and_are_what_commands_work_on(tmp_path: Path) -> None:
    (tmp_path / "GLD.csv").write_text(HEADER)
    given = with_tickers_of_folder(settings_of(tmp_path))
    assert (given.active_tickers, "GLD" in given.all_tickers) == (("GLD",), True)
    assert tickers_at_hand(given) == ("GLD",)
    asked = with_tickers_of_folder(settings_of(tmp_path, tickers=("SPY",)))
    assert (asked.active_tickers, "GLD" in asked.all_tickers) == (("SPY",), True)


def test_beside_a_file_of_all_prices_the_usual_tickers_stay(tmp_path: Path) -> None:
    (tmp_path / "GLD.csv").write_text(HEADER)
    (tmp_path / "prices_daily.csv").write_text(ALL)
    given = with_tickers_of_folder(settings_of(tmp_path))
    assert given.active_tickers == ("SPY", "QQQ", "IWM", "GLD")
    assert build_source(given).tickers() == {"GLD", "TLT"}  # type: ignore[attr-defined]


def test_an_index_that_the_settings_name_is_no_ticker(tmp_path: Path) -> None:
    for name in ("GLD.csv", "OWNVOL.csv"):
        (tmp_path / name).write_text(HEADER)
    given = settings_of(tmp_path, volatility_indices={"GLD": "OWNVOL"})
    assert with_tickers_of_folder(given).active_tickers == ("GLD",)
    index = build_source(given).volatility_index("GLD")
    assert index["symbol"].tolist() == ["OWNVOL"]


@pytest.mark.parametrize("source", ["sample", "live"])
def test_other_sources_look_into_no_folder(tmp_path: Path, source: str) -> None:
    (tmp_path / "GLD.csv").write_text(HEADER)
    given = Settings(_env_file=None, home=tmp_path, source=source, files=tmp_path)  # type: ignore[arg-type]
    assert with_tickers_of_folder(given) is given
