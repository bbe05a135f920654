"""No feature table of ours depends on what came later, on real data, and the prober would see it if one did."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from trading_dag.features.feature_table import build_feature_table
from trading_dag.features.implied_volatility import build_implied_volatility
from trading_dag.features.macro import build_macro
from trading_dag.features.technical import build_technical
from trading_dag.validation.lookahead import probe_lookahead


def _end_to_end(prices: pd.DataFrame, volatility_index: pd.DataFrame, macro: pd.DataFrame) -> pd.DataFrame:
    technical = build_technical(prices)
    return build_feature_table(technical, build_implied_volatility(volatility_index, technical), build_macro(macro))


TIMES = {"prices": "session", "volatility_index": "session", "macro": "known_on", "technical": "session"}


def _probe(build: Any, *, cuts: int = 3, **inputs: pd.DataFrame) -> list[Any]:
    return probe_lookahead(build, inputs, time_columns=TIMES, table="features.probed", cuts=cuts)


@pytest.mark.files_data
@pytest.mark.parametrize("ticker", ["spy_prices", "qqq_prices"])
def test_technical_features_of_etfs_know_nothing_of_later_sessions(ticker: str, request: pytest.FixtureRequest) -> None:
    assert _probe(build_technical, cuts=5, prices=request.getfixturevalue(ticker)) == []


@pytest.mark.parametrize("ticker", ["spx_prices", "comp_prices"])
def test_technical_features_of_the_sample_know_nothing_of_later_sessions(
    ticker: str, request: pytest.FixtureRequest
) -> None:
    assert _probe(build_technical, cuts=5, prices=request.getfixturevalue(ticker)) == []


@pytest.mark.files_data
def test_implied_volatility_of_spy_knows_nothing_of_later_sessions(
    vix_index: pd.DataFrame, spy_prices: pd.DataFrame
) -> None:
    technical = build_technical(spy_prices)
    assert _probe(build_implied_volatility, cuts=5, volatility_index=vix_index, technical=technical) == []


def test_implied_volatility_of_the_sample_knows_nothing_of_later_sessions(
    sample_vix: pd.DataFrame, spx_prices: pd.DataFrame
) -> None:
    technical = build_technical(spx_prices)
    assert _probe(build_implied_volatility, cuts=5, volatility_index=sample_vix, technical=technical) == []


@pytest.mark.files_data
def test_macro_features_know_nothing_of_later_releases(raw_macro: pd.DataFrame) -> None:
    assert _probe(build_macro, cuts=4, macro=raw_macro) == []


@pytest.mark.files_data
def test_the_feature_table_of_spy_from_raw_data_knows_nothing_of_later_ones(
    spy_prices: pd.DataFrame, vix_index: pd.DataFrame, raw_macro: pd.DataFrame
) -> None:
    assert _probe(_end_to_end, prices=spy_prices, volatility_index=vix_index, macro=raw_macro) == []


@pytest.mark.files_data
def test_macro_joined_on_the_reference_date_is_caught(raw_macro: pd.DataFrame) -> None:
    def leaky(macro: pd.DataFrame) -> pd.DataFrame:
        return build_macro(macro.assign(known_on=macro["observation_date"]))

    caught = {violation.feature for violation in _probe(leaky, macro=raw_macro)}
    assert {"cpi_yoy", "unemployment_rate", "cpi_index"} <= caught
    assert {"gdp_growth_yoy", "gdp_growth_qoq", "consumer_confidence", "consumer_confidence_change_1m"} <= caught


@pytest.mark.files_data
def test_prices_normalised_to_the_last_session_are_caught(spy_prices: pd.DataFrame) -> None:
    def leaky(prices: pd.DataFrame) -> pd.DataFrame:
        factor = prices["adj_close"] / prices["close"]
        base = factor.iloc[-1] / factor.iloc[0]
        adjusted = build_technical(prices)
        return adjusted.assign(sma_20=adjusted["sma_20"] / base)

    caught = {violation.feature for violation in _probe(leaky, prices=spy_prices)}
    assert caught == {"sma_20"}


@pytest.mark.files_data
def test_an_index_filled_from_behind_is_caught(vix_index: pd.DataFrame, spy_prices: pd.DataFrame) -> None:
    sessions = spy_prices["session"]
    holes = vix_index.drop(index=vix_index.index[vix_index["session"].isin(sessions.iloc[4000:4006])])

    def leaky(volatility_index: pd.DataFrame, technical: pd.DataFrame) -> pd.DataFrame:
        filled = volatility_index.set_index("session").reindex(technical["session"]).bfill().reset_index()
        return build_implied_volatility(filled.assign(ticker="SPY"), technical)

    technical = build_technical(spy_prices)
    assert _probe(build_implied_volatility, volatility_index=holes, technical=technical) == []
    caught = {violation.feature for violation in _probe(leaky, volatility_index=holes, technical=technical)}
    assert "vix_close" in caught
