"""What opportunities promised against what came: realised profits by hand, and calibration of known outcomes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from trading_dag.backtest.markets.market import build_market
from trading_dag.backtest.results.opportunity_calibration import calibrate
from trading_dag.backtest.results.opportunity_outcomes import realised_profits
from trading_dag.frames import table_frame
from trading_dag.options.pricing import black_scholes
from trading_dag.options.structures.structure import STRUCTURES
from trading_dag.quality import QualityContext, examine
from trading_dag.schemas import OPPORTUNITIES, OPPORTUNITY_CALIBRATION
from trading_dag.sessions import sessions_between, target_sessions
from trading_dag.setting_groups import BacktestSettings, BootstrapSettings, SurfaceSettings
from trading_dag.settings import Settings
from trading_dag.slices import horizon_of

HORIZON = horizon_of("72h")
DAYS = sessions_between("2023-01-03", "2024-06-28")


@pytest.fixture
def plain(settings: Settings) -> Settings:
    """A surface at the index itself without carry, a fee of 1 USD, a half spread of 5 cents."""
    surface = SurfaceSettings(atm_ratio=1, term_slope=0, skew=0, curvature=0, risk_free_rate=0.0, dividend_yield=0.0)
    book = BacktestSettings(fee_per_leg_contract_usd=1.0, half_spread_fraction=0.0, half_spread_minimum_usd=0.05,
                            price_tick_usd=1e-9)  # fmt: skip
    return settings.model_copy(update={"surface": surface, "backtest": book, "bootstrap": BootstrapSettings(draws=200)})


@pytest.fixture
def market() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(5)
    closes = 100.0 * np.exp(np.cumsum(0.01 * rng.standard_normal(len(DAYS))))
    prices = pd.DataFrame({"ticker": "SPY", "session": DAYS, "open": closes * 1.001, "close": closes,
                           "adj_close": closes})  # fmt: skip
    index = pd.DataFrame({"ticker": "SPY", "session": DAYS, "open": 21.0, "close": 19.0, "symbol": "VIX"})
    return {"prices": prices, "volatility_index": index,
            "rates": pd.DataFrame({"session": DAYS, "treasury_3m": 0.0})}  # fmt: skip


def rows(structure: str = "bull_put_spread", strikes: str = "97/94", **other: Any) -> pd.DataFrame:
    sessions = DAYS[:-3]
    values = {
        "ticker": "SPY", "horizon": "72h", "session": sessions, "target_session": target_sessions(sessions, HORIZON),
        "structure": structure, "held_to": "target", "exit_session": target_sessions(sessions, HORIZON),
        "expiration": sessions + pd.Timedelta(days=30), "strikes": strikes, "quote_source": "modelled", "spot": 100.0,
        "entry_cost_usd": -80.0, "fees_usd": 4.0, "max_loss_usd": 220.0, "max_profit_usd": 80.0,
        "expected_profit_usd": 10.0, "profit_standard_deviation_usd": 50.0, "expected_shortfall_usd": 100.0,
        "probability_of_profit": 0.7, "expected_return_on_risk": 0.05, "expected_return_on_risk_low": 0.01,
        "market_expected_profit_usd": -10.0, "market_probability_of_profit": 0.6, "rank": 1, "is_backtested": True,
        "reason": "said so", **other,
    }  # fmt: skip
    return table_frame(OPPORTUNITIES, values, rows=len(sessions))


def test_the_profit_is_that_of_the_same_contracts_bought_at_the_next_open_and_sold_at_the_targets_close(
    plain: Settings, market: dict[str, pd.DataFrame]
) -> None:
    found = realised_profits(rows(), build_market(**market, settings=plain), menu=STRUCTURES)
    row, day = 40, DAYS[40]
    prices = market["prices"].set_index("session")
    expires = day + pd.Timedelta(days=30)

    def spread(session: pd.Timestamp, spot: float, volatility: float, hours: float) -> list[float]:
        years = ((expires - session).days + hours / 24.0) / 365.0
        return [
            float(black_scholes.price(spot=spot, strike=strike, years=years, rate=0.0, dividend_yield=0.0,
                                      volatility=volatility, is_call=False))
            for strike in (97.0, 94.0)
        ]  # fmt: skip

    entered = spread(DAYS[row + 1], prices.loc[DAYS[row + 1], "open"], 0.21, 6.5)
    left = spread(DAYS[row + 3], prices.loc[DAYS[row + 3], "close"], 0.19, 0.0)
    received = (entered[0] - 0.05) - (entered[1] + 0.05)
    paid = (left[0] + 0.05) - max(left[1] - 0.05, 0.0)
    assert found[row] == pytest.approx(100.0 * (received - paid) - 4.0, abs=1e-4)


def test_without_a_quote_at_entry_or_exit_there_is_no_outcome(plain: Settings, market: dict[str, pd.DataFrame]) -> None:
    gone = market["volatility_index"].copy()
    gone.loc[50, "close"] = np.nan
    found = realised_profits(
        rows(), build_market(**market | {"volatility_index": gone}, settings=plain), menu=STRUCTURES
    )
    assert np.flatnonzero(np.isnan(found)).tolist() == [47]


def test_a_probability_that_is_the_share_that_won_is_called_so_and_one_that_is_not_is_not(
    plain: Settings, market: dict[str, pd.DataFrame]
) -> None:
    profit = realised_profits(rows(), build_market(**market, settings=plain), menu=STRUCTURES)
    share = float((profit > 0).mean())
    for promised, holds in ((share, True), (min(share + 0.25, 1.0), False)):
        table = calibrate(rows(probability_of_profit=promised), **market, horizon=HORIZON, settings=plain)
        findings = examine(OPPORTUNITY_CALIBRATION, table, context=QualityContext(now_session=DAYS[-1]))
        assert {name: found.detail for name, found in findings.items() if found.count} == {}
        told = table[(table["measure"] == "probability_of_profit") & (table["bin"] == 0)].set_index("subset").loc["all"]
        assert told["n"] == told["sessions"] == len(profit)
        assert told["realised"] == pytest.approx(share)
        assert told["realised_low"] < share < told["realised_high"]
        assert (told["difference_low"] <= 0.0 <= told["difference_high"]) == holds
        assert told["realised_profit_usd"] == pytest.approx(profit.mean())


def test_tenths_go_up_and_hold_all_rows(plain: Settings, market: dict[str, pd.DataFrame]) -> None:
    promised = np.linspace(0.2, 0.9, len(DAYS) - 3)[::-1]
    table = calibrate(rows(probability_of_profit=promised), **market, horizon=HORIZON, settings=plain)
    tenths = table[(table["measure"] == "probability_of_profit") & (table["subset"] == "all") & (table["bin"] > 0)]
    assert tenths["bin"].tolist() == list(range(1, 11))
    assert tenths["expected"].is_monotonic_increasing
    assert tenths["n"].sum() == len(DAYS) - 3


def test_only_what_the_rule_chose_is_in_its_group(plain: Settings, market: dict[str, pd.DataFrame]) -> None:
    low = np.where(np.arange(len(DAYS) - 3) % 2, 0.01, -0.01)
    table = calibrate(rows(expected_return_on_risk_low=low), **market, horizon=HORIZON, settings=plain)
    groups = table[table["bin"] == 0].groupby("subset")["n"].first()
    assert groups["expected_value"] == (low > 0).sum()
    assert groups["all"] == groups["best_ranked"] == groups["bull_put_spread"] == len(low)


def test_without_outcomes_there_are_no_rows(plain: Settings, market: dict[str, pd.DataFrame]) -> None:
    table = calibrate(rows().iloc[:0], **market, horizon=HORIZON, settings=plain)
    assert table.empty
    assert tuple(table.columns) == OPPORTUNITY_CALIBRATION.column_names
