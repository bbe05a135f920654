"""What is stored is taken over only where its inputs have got later sessions and are otherwise what they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets import price as asset
from assets.declare.appended import as_known_at, known_inputs, rows_before
from assets.declare.checks import verdicts_of
from assets.declare.declaration import LOOKAHEAD_RULE, Declaration, Read, Result, Slice
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.trading_dag.models.price.price_inputs import price_inputs
from trading_dag.schemas import PREDICTIONS_PRICE
from trading_dag.settings import Settings

NAMES = ("prices", "technical", "implied_volatility")
INPUTS = price_inputs(700)
STORED = 690


class Shelf(ParquetStore):
    """A store whose input slices are frames of this test, whole."""

    frames: dict[str, pd.DataFrame]

    def read(self, table: Any, key: SliceKey, **how: Any) -> pd.DataFrame:
        return self.frames[table.name] if table.name in self.frames else super().read(table, key, **how)


def hashed(frame: pd.DataFrame) -> pd.DataFrame:
    from resources.storage.parquet_store import content_hash

    frame = frame.reset_index(drop=True)
    frame.attrs["content_hash"] = content_hash(frame)
    return frame


def cut(count: int) -> dict[str, pd.DataFrame]:
    return {name: hashed(frame.iloc[:count]) for name, frame in INPUTS.items()}


def with_inputs(at: Slice, inputs: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    of_table = {asset.price.reads[name].table.name: frame for name, frame in inputs.items()}  # type: ignore[union-attr]
    at.store.frames = of_table  # type: ignore[attr-defined]
    return inputs


@pytest.fixture
def at(tmp_path: Path) -> Slice:
    """A slice that was stored when the inputs had ten sessions less."""
    store = Shelf(tmp_path)
    store.frames = {}
    at = Slice(SliceKey("SPY", "72h"), Settings(_env_file=None, home=tmp_path), SimpleNamespace(name="files"), store)
    write(at, asset._distribution(at, **cut(STORED)))
    return at


def write(at: Slice, rows: pd.DataFrame) -> None:
    inputs = {
        ".".join(asset.price.reads[name].asset_key.path): frame.attrs["content_hash"]
        for name, frame in cut(STORED).items()
    }
    at.store.write(PREDICTIONS_PRICE, at.key, rows, inputs=inputs | asset.price.fingerprint(at.settings))


def found(at: Slice, inputs: dict[str, pd.DataFrame], declaration: Declaration = asset.price) -> pd.DataFrame | None:
    return rows_before(declaration, at, with_inputs(at, inputs), names=NAMES)


def test_after_new_sessions_what_was_stored_is_what_was_known(at: Slice) -> None:
    stored = found(at, cut(700))
    assert stored is not None
    assert stored["session"].max() == INPUTS["prices"]["session"].iloc[STORED - 1]


def test_where_nothing_came_everything_is_computed(at: Slice) -> None:
    assert found(at, cut(STORED)) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_revised_row_of_any_input_counts(at: Slice, name: str) -> None:
    inputs = cut(700)
    column = inputs[name].select_dtypes("number").columns[0]
    changed = inputs[name].copy()
    changed.loc[300, column] = np.nextafter(changed.loc[300, column], np.inf)
    assert found(at, inputs | {name: hashed(changed)}) is None
    assert found(at, inputs | {name: hashed(inputs[name].drop(index=300))}) is None


def test_other_code_or_settings_and_force_compute_everything(at: Slice) -> None:
    assert found(at, cut(700), replace(asset.price, code_version="other")) is None
    assert found(at, cut(700), replace(asset.price, uses=("selector",))) is None
    assert found(replace(at, is_forced=True), cut(700)) is None


def test_an_input_that_was_replaced_meanwhile_counts_as_changed(at: Slice) -> None:
    inputs = cut(700)
    with_inputs(at, cut(699))
    narrow = {name: frame[list(asset.price.reads[name].columns)] for name, frame in inputs.items()}
    for name, frame in narrow.items():
        frame.attrs["content_hash"] = inputs[name].attrs["content_hash"]
    assert rows_before(asset.price, at, narrow, names=NAMES) is None


def test_inputs_without_a_session_of_their_own_compute_everything(at: Slice) -> None:
    reads = dict(asset.price.reads)
    reads["prices"] = Read(reads["prices"].table, of_benchmarks=True)
    assert found(at, cut(700), replace(asset.price, reads=reads)) is None


def test_outcomes_are_known_at_their_target_and_other_columns_with_their_session() -> None:
    days = pd.to_datetime(["2024-01-02", "2024-01-03", "2024-01-04"]).as_unit("us")
    ends = pd.to_datetime(["2024-01-03", "2024-01-04", None]).as_unit("us")
    frame = pd.DataFrame({"session": days, "target_session": ends, "y_true": [1.0, 2.0, np.nan], "close": 5.0})
    known = as_known_at(frame, days[1])
    assert known["session"].tolist() == list(days[:2])
    assert known["y_true"].iloc[0] == 1.0
    assert np.isnan(known["y_true"].iloc[1])
    later = frame.assign(y_true=[1.0, 9.0, 9.0])
    assert known_inputs({"a": frame}, days[1]) == known_inputs({"a": later}, days[1])
    assert known_inputs({"a": frame}, days[1]) != known_inputs({"a": frame}, days[2])


def verdict_of_lookahead(at: Slice, declaration: Declaration, rows: pd.DataFrame) -> Any:
    inputs = with_inputs(at, cut(700))
    verdicts = verdicts_of(declaration, PREDICTIONS_PRICE, Result({"price": rows}), at, dict(inputs))
    return next(verdict for verdict in verdicts if verdict.rule == LOOKAHEAD_RULE)


def test_the_lookahead_check_of_new_sessions_recomputes_once_and_still_catches_a_leak(at: Slice) -> None:
    calls: list[int] = []

    def counted(at: Slice, **inputs: pd.DataFrame) -> pd.DataFrame:
        calls.append(len(inputs["prices"]))
        return asset._distribution(at, **inputs)

    assert asset.price.probe is not None
    rows = asset._distribution(at, **cut(700))
    honest = replace(asset.price, probe=replace(asset.price.probe, part=counted))
    verdict = verdict_of_lookahead(at, honest, rows)
    assert (verdict.passed, verdict.is_examined, len(calls)) == (True, True, 1)

    def knows(at: Slice, **inputs: pd.DataFrame) -> pd.DataFrame:
        made = asset._distribution(at, **inputs)
        last = inputs["prices"]["close"].iloc[-1]
        is_newest = (made["session"] >= INPUTS["prices"]["session"].iloc[STORED - 2]).to_numpy(dtype=bool)
        return made.assign(quantile_95=made["quantile_95"].where(~is_newest, made["quantile_95"] + last))

    leaking = replace(asset.price, probe=replace(asset.price.probe, part=knows))
    write(at, knows(at, **cut(STORED)))
    verdict = verdict_of_lookahead(at, leaking, knows(at, **cut(700)))
    assert not verdict.passed
    assert all("quantile_95" in example for example in verdict.examples)
