"""An indication says what the position construction says, in dollars of one structure."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from trading_dag.errors import InsufficientDataError, OptionPricingError
from trading_dag.options.pricing import black_scholes
from trading_dag.options.structures.indication import Indication, indicate
from trading_dag.options.structures.structure import structure_of
from trading_dag.sessions import all_sessions
from trading_dag.setting_groups import BacktestSettings, SurfaceSettings

SESSIONS = all_sessions()[6_000:6_005]
SPOT = 400.0


def frame(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"ticker": "SPY", "session": SESSIONS, **columns})


def indication(name: str, *, session: pd.Timestamp | None = None, index: float = 20.0) -> Indication:
    closes = [SPOT - 4, SPOT - 3, SPOT - 2, SPOT - 1, SPOT]
    return indicate(
        structure_of(name),
        frame(close=closes),
        volatility_index=frame(close=index),
        rates=frame(treasury_3m=np.nan).drop(columns="ticker"),
        ticker="SPY",
        session=session,
        surface_settings=SurfaceSettings(),
        backtest=BacktestSettings(),
    )


def test_without_a_date_the_last_close_is_taken() -> None:
    assert indication("iron_condor").session == SESSIONS[-1]
    assert indication("iron_condor").spot == SPOT
    assert indication("iron_condor", session=SESSIONS[1]).spot == SPOT - 3


def test_a_credit_spread_risks_its_width_less_its_credit() -> None:
    found = indication("bull_put_spread")
    short, wing = found.strikes
    sold, bought = found.leg_prices
    record = found.record()
    assert record["net_premium_usd"] == pytest.approx((bought - sold) * 100, abs=0.01)
    assert record["max_profit_usd"] == pytest.approx((sold - bought) * 100, abs=0.01)
    assert record["max_loss_usd"] == pytest.approx((short - wing - sold + bought) * 100, abs=0.01)
    assert record["breakevens"] == [pytest.approx(short - sold + bought, abs=0.01)]


def test_legs_are_priced_at_the_volatility_that_is_shown_within_the_spread() -> None:
    found = indication("long_call")
    years = (found.expiration - found.session).days / 365
    surface = SurfaceSettings()
    middle = black_scholes.price(
        spot=SPOT, strike=found.strikes[0], years=years, rate=surface.risk_free_rate,
        dividend_yield=surface.dividend_yield, volatility=found.leg_volatilities[0], is_call=True,
    )  # fmt: skip
    assert float(middle) < found.leg_prices[0] <= float(middle) * 1.01 + 0.0101  # bought at the ask, a half spread up


def test_a_covered_call_costs_its_shares_less_the_call() -> None:
    found = indication("covered_call")
    assert found.premium == pytest.approx(SPOT - found.leg_prices[0])
    assert found.maximum_loss == pytest.approx(found.premium)  # all of it, where the shares are worth nothing
    assert found.maximum_profit == pytest.approx(found.strikes[0] - found.premium)
    assert found.record()["shares"] == 100


def test_what_is_unlimited_is_null_in_json() -> None:
    record = json.loads(json.dumps(indication("short_strangle").record(), allow_nan=False))
    assert record["max_loss_usd"] is None
    assert record["max_profit_usd"] > 0


def test_a_day_without_data_is_a_typed_error() -> None:
    holiday = SESSIONS[0] - pd.Timedelta(days=400)
    stored = f"prices are, from {SESSIONS[0]:%Y-%m-%d} to {SESSIONS[-1]:%Y-%m-%d}"
    with pytest.raises(InsufficientDataError, match=f"iron_condor on SPY.*{stored}"):
        indication("iron_condor", session=holiday)
    with pytest.raises(InsufficientDataError, match="no volatility index of that session is stored"):
        indication("iron_condor", index=np.nan)


def test_a_calendar_has_no_payoff_at_expiration() -> None:
    with pytest.raises(OptionPricingError, match="different dates"):
        indication("calendar")


def test_an_empty_table_says_what_to_do() -> None:
    empty = frame(close=1.0).iloc[:0]
    with pytest.raises(InsufficientDataError, match="trading-dag refresh"):
        indicate(
            structure_of("long_call"), empty, volatility_index=empty, rates=empty, ticker="SPY", session=None,
            surface_settings=SurfaceSettings(), backtest=BacktestSettings(),
        )  # fmt: skip
