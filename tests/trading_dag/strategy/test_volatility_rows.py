"""Straddles, strangles and butterflies enter where the volatility forecast is worth more than their costs."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from trading_dag.options.structures.structure import STRUCTURES
from trading_dag.options.surfaces.modelled import ModelledSurface
from trading_dag.sessions import sessions_between
from trading_dag.setting_groups import BacktestSettings, SelectorSettings, SurfaceSettings
from trading_dag.strategy.selector import Selection
from trading_dag.strategy.volatility_rows import STRUCTURES_OF, LevelForecast, add_volatility_rows

DAY = sessions_between("2024-02-26", "2024-02-26")
FLAT = SurfaceSettings(atm_ratio=1, term_slope=0, skew=0, curvature=0, risk_free_rate=0.0, dividend_yield=0.0)
BOOK = BacktestSettings()
DEVIATION = 0.2 * math.sqrt(25 / 365)  # to 2024-03-22, the first Friday three weeks on


def chosen(
    change: float, *, probability: float = 0.7, direction: str | None = None, strategy: str = "no_trade",
    settings: SelectorSettings | None = None, book: BacktestSettings = BOOK,
) -> Selection:  # fmt: skip
    """One session, the underlying at 100 and the index at 20, on a flat surface without carry."""
    called = direction or ("EXPANDING" if change > 0 else "CONTRACTING")
    level = LevelForecast(np.array([called], dtype=object), np.array([change]), np.array([probability]))
    before = Selection(
        np.array([strategy], dtype=object), np.array(["NONE"], dtype=object), np.array([0.5]),
        np.array(["direction is uncertain"], dtype=object),
    )  # fmt: skip
    return add_volatility_rows(
        before, level, sessions=DAY, spot=np.array([100.0]), rate=np.array([0.0]),
        surface=ModelledSurface(np.array([20.0]), np.array([0.0]), 0.0, FLAT), is_priced=np.array([True]),
        settings=settings or SelectorSettings(), book=book, dividend_yield=0.0,
    )  # fmt: skip


def hurdle_of_the_straddle(book: BacktestSettings = BOOK) -> float:
    """By hand, C / Σ r ν σ at the money: call and put are worth S (2 N(d/2) − 1), with a vega of S φ(d/2) √T."""
    half = DEVIATION / 2.0
    leg = 100.0 * math.erf(half / math.sqrt(2.0))
    ask = math.ceil(round((leg + max(book.half_spread_fraction * leg, book.half_spread_minimum_usd)) * 100, 6)) / 100
    cost = 2.0 * (2.0 * (ask - leg) + 2 * book.fee_per_leg_contract_usd / book.multiplier)
    density = math.exp(-half * half / 2.0) / math.sqrt(2.0 * math.pi)
    return cost / (2.0 * 100.0 * density * DEVIATION)


def test_a_straddle_enters_from_the_stated_multiple_of_its_hurdle_and_not_below(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(STRUCTURES_OF, "EXPANDING", ("long_straddle",))
    needed = 1.5 * hurdle_of_the_straddle()
    assert chosen(needed * 1.001).strategy.tolist() == ["long_straddle"]
    assert chosen(needed * 0.999).strategy.tolist() == ["no_trade"]
    doubled = SelectorSettings(volatility_cost_multiple=3.0)
    assert chosen(needed * 1.001, settings=doubled).strategy.tolist() == ["no_trade"]
    assert chosen(2.0 * needed * 1.001, settings=doubled).strategy.tolist() == ["long_straddle"]


def test_of_those_that_expansion_favours_one_is_bought_and_of_those_of_contraction_a_butterfly() -> None:
    assert chosen(0.25).strategy[0] in ("long_straddle", "long_strangle")
    assert chosen(-0.6).strategy[0] in ("iron_butterfly", "call_butterfly", "put_butterfly")
    assert chosen(0.25).design_size.tolist() == chosen(-0.6).design_size.tolist() == ["HALF"]
    assert "is forecast to change by +25.0%, beyond the +" in chosen(0.25).reason[0]


def test_the_matrix_has_precedence_and_an_unsure_or_stable_level_selects_nothing() -> None:
    assert chosen(0.5, strategy="iron_condor").strategy.tolist() == ["iron_condor"]
    assert chosen(0.5, probability=0.59).strategy.tolist() == ["no_trade"]
    assert chosen(0.5, direction="STABLE").strategy.tolist() == ["no_trade"]
    assert chosen(float("nan")).strategy.tolist() == ["no_trade"]
    assert chosen(0.5, probability=0.59).reason.tolist() == ["direction is uncertain"]


def test_a_forecast_against_its_own_call_selects_nothing() -> None:
    assert chosen(-0.3, direction="EXPANDING").strategy.tolist() == ["no_trade"]
    assert chosen(0.3, direction="CONTRACTING").strategy.tolist() == ["no_trade"]


def test_dearer_trading_raises_the_hurdle() -> None:
    """At 20 USD a contract and way the straddle costs about 0.8 a share to get in and out, the fees alone."""
    dear = BacktestSettings(fee_per_leg_contract_usd=20.0)
    assert chosen(0.12).strategy[0] != "no_trade"
    assert chosen(0.12, book=dear).strategy.tolist() == ["no_trade"]


def test_every_structure_that_enters_has_a_limit_of_loss() -> None:
    for names in STRUCTURES_OF.values():
        for name in names:
            slope_above = sum(leg.signed_ratio for leg in STRUCTURES[name].legs if leg.option_right == "C")
            assert slope_above >= 0, name


def test_the_level_forecast_is_read_with_the_probability_of_what_it_calls() -> None:
    level = pd.DataFrame({
        "probability_rise": [0.7, 0.2, np.nan], "expected_iv_direction": ["EXPANDING", "CONTRACTING", None],
        "expected_level": [22.0, 15.0, np.nan], "index_level": [20.0, 20.0, np.nan],
    })  # fmt: skip
    read = LevelForecast.of(level)
    assert read.probability.tolist()[:2] == pytest.approx([0.7, 0.8])
    assert read.change.tolist()[:2] == pytest.approx([0.1, -0.25])
    assert read.direction.tolist() == ["EXPANDING", "CONTRACTING", None]
