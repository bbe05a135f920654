"""The catalogue of formulas: complete, in the docs and docstrings, and right about look-backs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trading_dag.features.cross_asset import build_cross_asset
from trading_dag.features.earnings import build_earnings
from trading_dag.features.economic_calendar import build_economic_calendar
from trading_dag.features.formulas import FORMULAS, SECTIONS, feature_reference
from trading_dag.features.formulas.implied_volatility import IMPLIED_VOLATILITY_FORMULAS
from trading_dag.features.formulas.technical import TECHNICAL_FORMULAS
from trading_dag.features.implied_volatility import build_implied_volatility
from trading_dag.features.intraday import build_intraday
from trading_dag.features.macro import build_macro
from trading_dag.features.sentiment import build_sentiment
from trading_dag.features.technical import build_technical
from trading_dag.schemas import (
    ALL_FEATURES,
    CROSS_ASSET_FEATURES,
    EARNINGS_FEATURES,
    ECONOMIC_CALENDAR_FEATURES,
    FLAG_FEATURES,
    IMPLIED_VOLATILITY_FEATURES,
    INTRADAY_FEATURES,
    IV_RANK_LAGS,
    MACRO_FEATURES,
    SENTIMENT_FEATURES,
    TECHNICAL_FEATURES,
)

PAGE = Path(__file__).resolve().parents[3] / "docs" / "features.md"


def _look_back(formula: str) -> int:
    found = re.search(r"look-back (\d+)", formula)
    assert found, formula
    return int(found.group(1))


def test_every_feature_has_exactly_one_formula_and_no_formula_is_left_over() -> None:
    assert tuple(name for *_, formulas in SECTIONS for name in formulas) == ALL_FEATURES
    assert set(FORMULAS) == set(ALL_FEATURES)


def test_every_formula_says_what_it_looks_back_on() -> None:
    assert [name for name, formula in FORMULAS.items() if "; look-back " not in formula] == []


def test_no_formula_breaks_the_table_it_stands_in() -> None:
    assert [name for name, formula in FORMULAS.items() if "|" in formula] == []


def test_the_features_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == feature_reference()


def test_the_features_page_names_every_feature_once() -> None:
    named = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert tuple(named) == ALL_FEATURES


@pytest.mark.parametrize(
    ("build", "names"),
    [
        (build_technical, TECHNICAL_FEATURES),
        (build_implied_volatility, (*IMPLIED_VOLATILITY_FEATURES, *IV_RANK_LAGS)),
        (build_macro, MACRO_FEATURES),
        (build_cross_asset, CROSS_ASSET_FEATURES),
        (build_sentiment, SENTIMENT_FEATURES),
        (build_earnings, EARNINGS_FEATURES),
        (build_economic_calendar, ECONOMIC_CALENDAR_FEATURES),
        (build_intraday, INTRADAY_FEATURES),
    ],
)
def test_the_docstring_holds_the_formula_of_every_feature(
    build: Callable[..., pd.DataFrame], names: tuple[str, ...]
) -> None:
    text = build.__doc__ or ""
    assert all(f"{name} : {FORMULAS[name]}" in text for name in names)


def test_flags_are_called_flags_and_nothing_else_is() -> None:
    assert {name for name, formula in FORMULAS.items() if "; flag;" in formula} == FLAG_FEATURES


def test_the_stated_look_back_of_a_technical_feature_is_its_first_row(make_prices: Callable[..., pd.DataFrame]) -> None:
    features = build_technical(make_prices(max(map(_look_back, TECHNICAL_FORMULAS.values())) + 100))
    first = {name: int(features[name].notna().to_numpy().argmax()) + 1 for name in TECHNICAL_FEATURES}
    assert first == {name: _look_back(formula) for name, formula in TECHNICAL_FORMULAS.items()}


def test_the_stated_look_back_of_an_implied_volatility_feature_is_its_first_row(
    make_prices: Callable[..., pd.DataFrame],
) -> None:
    prices = make_prices(max(map(_look_back, IMPLIED_VOLATILITY_FORMULAS.values())) + 100)
    generator = np.random.default_rng(3)
    index = pd.DataFrame(
        {
            "ticker": prices["ticker"],
            "session": prices["session"],
            "close": generator.uniform(10, 40, len(prices)),
            "vix3m_close": generator.uniform(10, 40, len(prices)),
        }
    )
    features = build_implied_volatility(index, build_technical(prices))
    first = {name: int(features[name].notna().to_numpy().argmax()) + 1 for name in IMPLIED_VOLATILITY_FORMULAS}
    assert first == {name: _look_back(formula) for name, formula in IMPLIED_VOLATILITY_FORMULAS.items()}
