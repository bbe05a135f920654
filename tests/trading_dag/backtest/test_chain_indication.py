"""What a structure costs and pays on one stored session: bid where sold, ask where bought."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from resources.sources.simulated import SimulatedSource
from trading_dag.backtest.runs.chain_indication import indicate_on_chain
from trading_dag.errors import InsufficientDataError, OptionPricingError
from trading_dag.options.chains.session import analyse_session
from trading_dag.options.structures.structure import structure_of
from trading_dag.settings import Settings
from trading_dag.simulation.simulation_settings import SimulationSettings

SESSION = pd.Timestamp("2016-03-31")


@pytest.fixture(scope="module")
def chain() -> pd.DataFrame:
    source = SimulatedSource(SimulationSettings(), last_session=lambda: SESSION.as_unit("us"))
    return source.option_chain("SPY", session=SESSION)


def indicated(name: str, chain: pd.DataFrame, settings: Settings | None = None):
    smiles = analyse_session(chain, rate=0.0).smiles
    return indicate_on_chain(
        structure_of(name), chain, smiles=smiles, ticker="SPY", settings=settings or Settings(_env_file=None)
    )


def test_bought_legs_pay_the_ask_of_the_chain_and_sold_legs_receive_its_bid(chain: pd.DataFrame) -> None:
    found = indicated("iron_condor", chain)
    rows = chain[chain["expiration"] == found.expiration].set_index(["option_right", "strike"])
    for leg, strike, price in zip(found.structure.legs, found.strikes, found.leg_prices, strict=True):
        quote = rows.loc[(leg.option_right, strike)]
        assert price == pytest.approx(quote["bid" if leg.side == "sell" else "ask"])
    assert found.quote_source == "chain"
    assert found.spot == chain["underlying_price"].iloc[0]
    assert found.session == SESSION
    paid = sum(p if leg.side == "buy" else -p for leg, p in zip(found.structure.legs, found.leg_prices, strict=True))
    assert found.premium == pytest.approx(paid)


def test_the_record_of_a_straddle_breaks_even_at_its_strike_plus_and_minus_what_it_costs(chain: pd.DataFrame) -> None:
    record = indicated("long_straddle", chain).record()
    strike = record["legs"][0]["strike"]
    cost = record["net_premium_usd"] / 100
    assert record["breakevens"] == pytest.approx([strike - cost, strike + cost], abs=0.01)
    assert 0.2 < record["probability_of_profit"] < 0.6
    assert record["max_profit_usd"] is None


def test_a_chain_without_quotes_near_the_wanted_days_is_refused_with_the_reason(chain: pd.DataFrame) -> None:
    near = chain[chain["expiration"] <= SESSION + pd.Timedelta(days=7)].reset_index(drop=True)
    with pytest.raises(InsufficientDataError, match="stored chain of 2016-03-31: no expiration; --modelled"):
        indicated("long_call", near)


def test_legs_of_two_expirations_have_no_payoff_to_show(chain: pd.DataFrame) -> None:
    with pytest.raises(OptionPricingError, match="different dates"):
        indicated("calendar", chain)


def test_a_chain_of_last_trades_says_so(chain: pd.DataFrame) -> None:
    traded = chain.assign(last=(chain["bid"] + chain["ask"]) / 2, volume=10.0, bid=np.nan, ask=np.nan)
    found = indicated("long_call", traded)
    assert found.quote_source == "last"
