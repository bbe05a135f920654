"""The asset of price forecasts: its checks, the look-ahead check among them, and what its page shows when."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from assets import price as asset
from assets.declare.checks import verdicts_of
from assets.declare.declaration import LOOKAHEAD_RULE, Declaration, Result, Slice
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.trading_dag.models.price.price_inputs import price_inputs
from trading_dag.schemas import PREDICTIONS_PRICE
from trading_dag.settings import Settings

PICTURE = "forecast prices and what came"
INPUTS = price_inputs(700)


@pytest.fixture
def at(tmp_path: Path) -> Slice:
    settings = Settings(_env_file=None, home=tmp_path)
    return Slice(SliceKey("SPY", "72h"), settings, SimpleNamespace(name="files"), ParquetStore(tmp_path))


def broken(declaration: Declaration, at: Slice) -> dict[str, list[str]]:
    """The rules that the asset's own result breaks, with examples."""
    frame = asset._distribution(at, **INPUTS)
    verdicts = verdicts_of(declaration, PREDICTIONS_PRICE, Result({"price": frame}), at, dict(INPUTS))
    assert LOOKAHEAD_RULE in [verdict.rule for verdict in verdicts if verdict.is_examined]
    return {verdict.rule.name: verdict.examples for verdict in verdicts if not verdict.passed}


def test_forecasts_from_the_past_alone_pass_every_check(at: Slice) -> None:
    assert broken(asset.price, at) == {}


def test_a_quantile_that_knows_the_outcome_fails_the_lookahead_check_by_name(at: Slice) -> None:
    def knows(at: Slice, **inputs: pd.DataFrame) -> pd.DataFrame:
        rows = asset._distribution(at, **inputs)
        is_own = rows["model"] == "price_distribution"
        return rows.assign(quantile_95=rows["quantile_95"].where(~is_own | rows["y_true"].isna(), rows["y_true"]))

    assert asset.price.probe is not None
    leaking = replace(asset.price, probe=replace(asset.price.probe, part=knows))
    found = broken(leaking, at)
    assert list(found) == [LOOKAHEAD_RULE.name]
    assert all("quantile_95 of price_distribution 3 on" in example for example in found[LOOKAHEAD_RULE.name])


def test_the_picture_is_drawn_with_the_first_slice_of_a_month_and_the_words_with_every_one(at: Slice) -> None:
    table = asset._distribution(at, **INPUTS)
    described = asset._described(at, table)
    assert PICTURE in described
    own = table[table["model"] == "price_distribution"]
    assert described["first session with a distribution"] == f"{own['session'].min():%Y-%m-%d}"
    assert described["width follows, in sessions"] == f"index {len(own):,}"
    last = table["session"].max()
    at.store.write(PREDICTIONS_PRICE, at.key, table[table["session"] < last])
    assert last.month == (last - pd.offsets.BDay(1)).month
    assert PICTURE not in asset._described(at, table)
    at.store.write(PREDICTIONS_PRICE, at.key, table[table["session"] < last - np.timedelta64(40, "D")])
    assert PICTURE in asset._described(at, table)


def test_a_history_without_forecasts_says_so_and_draws_nothing(at: Slice) -> None:
    described = asset._described(at, asset._distribution(at, **price_inputs(100)))
    assert described == {"first session with a distribution": "none", "width follows, in sessions": "none"}
