"""Contracts stay within the risk budget."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from trading_dag.strategy.sizing import contracts_for_risk, design_sizes, settings_for_contract


def test_contracts_are_the_budget_over_risk_and_fees_rounded_down():
    # 100,000 · 2 % = 2,000; 195 + 2.60 = 197.60; 2,000 / 197.60 = 10.1. Half: 5.06. None: 0.
    ours = contracts_for_risk(
        account_usd=100_000, risk_fraction=0.02, size=[1.0, 0.5, 0.0], maximum_loss_usd=195.0, round_trip_fees_usd=2.6
    )
    assert ours.tolist() == [10, 5, 0]


@pytest.mark.parametrize("risk", [np.nan, np.inf, 0.0, -5.0, 2_000.0])
def test_without_a_defined_positive_risk_that_fits_nothing_is_traded(risk):
    ours = contracts_for_risk(
        account_usd=100_000, risk_fraction=0.02, size=1.0, maximum_loss_usd=[risk], round_trip_fees_usd=2.6
    )
    assert ours.tolist() == [0]


@hypothesis_settings(deadline=None, max_examples=100)
@given(risk=st.floats(0.01, 5_000), fees=st.floats(0, 50), size=st.sampled_from([0.0, 0.5, 1.0]))
def test_the_budget_is_never_exceeded_and_one_more_would_exceed_it(risk, fees, size):
    count = int(
        contracts_for_risk(
            account_usd=100_000, risk_fraction=0.02, size=size, maximum_loss_usd=risk, round_trip_fees_usd=fees
        )
    )
    assert count * (risk + fees) <= 2_000 * size * (1 + 1e-9)
    assert (count + 1) * (risk + fees) > 2_000 * size * (1 - 1e-9)


def test_a_cash_index_is_traded_in_contracts_on_a_tenth_and_an_etf_in_full_ones(settings):
    assert settings_for_contract("SPX", settings).backtest.multiplier == 10
    assert settings_for_contract("COMP", settings).backtest.multiplier == 10
    assert settings_for_contract("SPY", settings) is settings
    assert settings.backtest.multiplier == 100


def test_the_words_of_design_sizes_have_sizes_and_any_other_word_is_an_error():
    assert design_sizes(["FULL", "NONE", "HALF", "FULL"]).tolist() == [1.0, 0.0, 0.5, 1.0]
    assert design_sizes([]).tolist() == []
    with pytest.raises(KeyError):
        design_sizes(["DOUBLE"])
