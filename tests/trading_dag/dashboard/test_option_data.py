"""What the page Options shows of a chain: Greeks of each contract, and the smile against the session before."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from resources.sources.simulated import SimulatedSource
from trading_dag.dashboard.option_data import chain_smiles, chain_table
from trading_dag.dashboard.option_figures import smile_figure
from trading_dag.options.chains.session import SessionAnalysis, analyse_session
from trading_dag.options.pricing.black_scholes import price
from trading_dag.simulation.simulation_settings import SimulationSettings

SESSION, BEFORE = pd.Timestamp("2016-03-31"), pd.Timestamp("2016-03-30")


@pytest.fixture(scope="module")
def analysis() -> SessionAnalysis:
    source = SimulatedSource(SimulationSettings(), last_session=lambda: SESSION.as_unit("us"))
    chain = source.option_chain("SPY", session=SESSION)
    return analyse_session(chain[chain["expiration"] <= SESSION + pd.Timedelta(days=30)], rate=0.0)


def test_gamma_and_theta_of_a_contract_are_how_its_price_moves(analysis: SessionAnalysis) -> None:
    expiration = pd.Timestamp(np.sort(analysis.contracts["expiration"].unique())[5])
    table = chain_table(analysis, expiration).dropna(subset=["gamma"])
    row = table.iloc[len(table) // 2]
    terms = analysis.contracts[
        (analysis.contracts["expiration"] == expiration) & (analysis.contracts["strike"] == row["strike"])
    ].iloc[0]

    def worth(spot: float, days: float = 0.0) -> float:
        return float(
            price(
                spot=spot, strike=row["strike"], years=terms["years"] - days / 365, rate=terms["rate"],
                dividend_yield=terms["dividend_yield"], volatility=row["volatility_percent"] / 100,
                is_call=row["option_right"] == "C",
            )
        )  # fmt: skip

    spot, step = analysis.spot, 0.05
    bend = (worth(spot + step) - 2 * worth(spot) + worth(spot - step)) / step**2
    assert row["gamma"] == pytest.approx(bend, rel=1e-3)
    assert row["theta_usd_per_day"] == pytest.approx((worth(spot, 0.01) - worth(spot, -0.01)) / 0.02, rel=1e-3)
    assert row["theta_usd_per_day"] < 0


def test_the_smile_before_is_that_of_the_stored_slices_at_the_same_moneyness(analysis: SessionAnalysis) -> None:
    stored = analysis.smiles.assign(session=BEFORE)
    rows = chain_smiles(analysis, stored, before=BEFORE)
    fitted = rows.dropna(subset=["fitted_percent"])
    assert len(fitted) > 100
    np.testing.assert_allclose(fitted["before_percent"], fitted["fitted_percent"], rtol=1e-9)
    drawn = [trace.name for trace in smile_figure(rows).data if trace.name.endswith("before")]
    assert len(drawn) == len({trace.legendgroup for trace in smile_figure(rows).data})


def test_an_expiration_that_was_not_there_before_has_no_smile_before(analysis: SessionAnalysis) -> None:
    gone = analysis.smiles["expiration"].min()
    stored = analysis.smiles[analysis.smiles["expiration"] != gone].assign(session=BEFORE)
    rows = chain_smiles(analysis, stored, before=BEFORE)
    assert rows.loc[rows["expiration"] == gone, "before_percent"].isna().all()
    assert chain_smiles(analysis)["before_percent"].isna().all()
