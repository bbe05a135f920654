"""The Hull Tactical training set from a user's file, and files that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from resources.sources.files.source import FilesSource
from resources.sources.hull_file import HullFile, read_hull_market
from trading_dag.errors import SourceFormatError, SourceOffError
from trading_dag.features.hull_market import hull_features
from trading_dag.features.missing_values import fill_missing, fit_medians, presence_by_block
from trading_dag.quality.conformance import conform
from trading_dag.schemas import HULL_LABELS, HULL_MARKET


def days() -> pd.DataFrame:
    columns = {name: [1.5, np.nan, 0.5] for name in HULL_MARKET.column_names}
    frame = pd.DataFrame({**columns, "date_id": [2, 0, 1], "D1": [1, 0, 1]})
    return frame.assign(lagged_forward_returns=0.0)


def write(frame: pd.DataFrame, folder: Path, suffix: str) -> Path:
    path = folder / f"train.{suffix}"
    if suffix == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return path


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_days_come_in_order_with_their_holes_and_nothing_else(tmp_path: Path, suffix: str) -> None:
    market = conform(read_hull_market(write(days(), tmp_path, suffix)), HULL_MARKET, slice_key="")
    assert list(market["date_id"]) == [0, 1, 2]
    assert list(market["D1"]) == [0.0, 1.0, 1.0]
    np.testing.assert_array_equal(market["V13"], [np.nan, 0.5, 1.5])
    assert list(market.columns) == list(HULL_MARKET.column_names)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda frame: frame.drop(columns="S12"), "column S12: is missing"),
        (lambda frame: frame.drop(columns="forward_returns"), "column forward_returns: is missing"),
        (lambda frame: frame.assign(E3="many"), "column E3: expected a number"),
        (
            lambda frame: frame.assign(E3=[1.0, np.inf, 2.0]),
            "column E3: (holds infinity|expected a number; 'inf' on line 3)",
        ),
        (lambda frame: frame.assign(date_id=[0, 1, 1]), "1 days come twice, first 1"),
        (lambda frame: frame.assign(date_id=[0.5, 1, 2]), "expected whole numbers"),
        (lambda frame: frame.assign(date_id=[-1, 1, 2]), "expected whole numbers"),
        (lambda frame: frame.iloc[:0], "no rows|expected a number"),
    ],
    ids=["no feature", "no label", "text", "infinity", "twice", "half", "negative", "empty"],
)
def test_another_file_is_refused_with_its_column(tmp_path: Path, change, named: str, suffix: str) -> None:
    path = write(change(days()), tmp_path, suffix)
    with pytest.raises(SourceFormatError, match=named) as caught:
        read_hull_market(path)
    assert caught.value.request == str(path)
    assert "train.csv" in caught.value.remedy


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_is_no_such_file_is_a_format_error(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(SourceFormatError, match="cannot be read"):
        read_hull_market(tmp_path / f"nothing.{suffix}")
    (tmp_path / "train.parquet").write_bytes(b"\x00 neither")
    with pytest.raises(SourceFormatError, match="cannot be read"):
        read_hull_market(tmp_path / "train.parquet")


@pytest.mark.parametrize("name", ["hull_train.parquet", "hull_train.csv", "train.csv"])
def test_a_folder_has_the_file_under_one_of_its_names(tmp_path: Path, name: str) -> None:
    source = FilesSource(tmp_path)
    off = source.hull.market()
    assert len(off) == 0
    assert "train.csv" in off.attrs["source_off"]
    assert source.hull.state().startswith("off: ")
    assert {status.kind: status.state for status in source.describe()}["hull_market"] == "off"
    write(days(), tmp_path, Path(name).suffix[1:]).rename(tmp_path / name)
    market = source.hull.market()
    assert len(market) == 3
    assert market.attrs == {"source": "files"}
    assert name in source.hull.state()
    assert {status.kind: status.state for status in source.describe()}["hull_market"] == "on"


def test_two_files_of_the_kind_in_a_folder_are_refused(tmp_path: Path) -> None:
    write(days(), tmp_path, "csv")
    days().to_parquet(tmp_path / "hull_train.parquet")
    with pytest.raises(SourceFormatError, match="two files of one kind"):
        FilesSource(tmp_path).hull.market()
    with pytest.raises(SourceOffError, match="TRADING_DAG_FILES"):
        FilesSource(None).hull.market()


def test_a_named_file_goes_before_the_folders_and_the_frame_says_so(tmp_path: Path) -> None:
    write(days(), tmp_path, "csv")
    named = tmp_path / "elsewhere.parquet"
    days().iloc[:2].to_parquet(named)
    source = FilesSource(tmp_path, hull_file=named)
    market = source.hull.market()
    assert len(market) == 2
    assert market.attrs == {"source": "hull_file"}
    assert str(named) in source.hull.state()


def test_a_named_file_that_is_not_there_is_missing_and_not_off(tmp_path: Path) -> None:
    file = HullFile(tmp_path / "train.csv", source="sample")
    with pytest.raises(SourceFormatError, match="cannot be read"):
        file.market()
    with pytest.raises(SourceFormatError, match="cannot be read"):
        file.state()
    assert file.describe().state == "missing"


def test_the_state_tells_another_file_without_reading_it(tmp_path: Path) -> None:
    path = write(days(), tmp_path, "csv")
    file = HullFile(path, source="sample")
    before = file.state()
    assert file.state() == before
    path.write_bytes(path.read_bytes() + b"\n")
    assert file.state() != before


@pytest.mark.files_data
def test_the_real_training_set_conforms_and_every_column_has_a_median_after_its_first_values(real_data: Path) -> None:
    market = conform(read_hull_market(real_data / "hull_train.parquet"), HULL_MARKET, slice_key="")
    assert list(market["date_id"]) == list(range(8_000))
    assert market["forward_returns"].iloc[0] == pytest.approx(-0.002421, abs=5e-7)
    assert market["risk_free_rate"].iloc[0] == pytest.approx(0.000301, abs=5e-7)
    assert market[list(HULL_LABELS)].notna().all(axis=None)
    features = hull_features(market)
    fitted = fit_medians(features.iloc[:7_000])
    filled = fill_missing(features, fitted)
    assert fitted.unknown == ()
    assert filled.notna().all(axis=None)
    presence = presence_by_block(features, blocks=8)
    assert presence["D1"].eq(1.0).all()
    assert presence["E7"].iloc[0] == 0.0
