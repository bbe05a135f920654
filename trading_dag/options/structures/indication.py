"""What one structure would cost and pay if it were opened at a session's close: legs, premium, risk, breakevens.

Indicative only: nothing is traded. Here on the modelled surface, with the functions from which the recommendation and
the backtests construct their positions; on a stored chain in ``backtest.chain_indication``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.errors import InsufficientDataError, OptionPricingError
from trading_dag.frames import values_at_sessions
from trading_dag.options.structures.payoff import breakevens, probability_of_profit
from trading_dag.options.structures.quotes import construct_positions
from trading_dag.options.structures.structure import Structure
from trading_dag.options.surfaces.modelled import ModelledSurface, continuous_rate
from trading_dag.setting_groups import BacktestSettings, SurfaceSettings

QUOTE_SOURCE: Final = "modelled"


@dataclass(frozen=True)
class Indication:
    """Describes what one structure costs and pays at one close.

    Attributes
    ----------
    structure, ticker, session : what, of which underlying, at which close.
    spot : USD.
    expiration : of every leg.
    strikes, leg_prices, leg_volatilities : (legs,) in the order of the legs; natural prices, USD a share. A volatility
        is NaN where a chain says none.
    premium : USD a share, positive where paid, shares of the underlying included.
    maximum_loss, maximum_profit : USD a share at expiration, fees not counted; infinite where unlimited.
    breakevens : USD, ascending.
    probability_of_profit : risk-neutral, at expiration; NaN where a chain has no fitted smile there.
    multiplier : shares a contract.
    quote_source : ``modelled``, ``chain`` (bid and ask), or ``last`` (some leg is priced at its last trade).
    """

    structure: Structure
    ticker: str
    session: pd.Timestamp
    spot: float
    expiration: pd.Timestamp
    strikes: FloatArray
    leg_prices: FloatArray
    leg_volatilities: FloatArray
    premium: float
    maximum_loss: float
    maximum_profit: float
    breakevens: FloatArray
    probability_of_profit: float
    multiplier: int
    quote_source: str = QUOTE_SOURCE

    def record(self) -> dict[str, Any]:
        """Return the same for JSON, in USD a structure; what is unlimited is None."""
        finite = {
            "net_premium_usd": self.premium * self.multiplier,
            "max_loss_usd": self.maximum_loss * self.multiplier,
            "max_profit_usd": self.maximum_profit * self.multiplier,
        }
        return {
            "ticker": self.ticker,
            "structure": self.structure.name,
            "session": f"{self.session:%Y-%m-%d}",
            "spot": self.spot,
            "shares": self.structure.underlying_ratio * self.multiplier,
            "expiration": f"{self.expiration:%Y-%m-%d}",
            "quote_source": self.quote_source,
            **{name: round(value, 2) if np.isfinite(value) else None for name, value in finite.items()},
            "breakevens": [round(float(point), 2) for point in self.breakevens],
            "probability_of_profit": _rounded(self.probability_of_profit),
            "legs": [
                {
                    "option_right": leg.option_right,
                    "side": leg.side,
                    "ratio": leg.ratio,
                    "strike": float(strike),
                    "price": round(float(price), 4),
                    "implied_volatility": _rounded(float(volatility)),
                }
                for leg, strike, price, volatility in zip(
                    self.structure.legs, self.strikes, self.leg_prices, self.leg_volatilities, strict=True
                )
            ],
        }


def indicate(
    structure: Structure,
    prices: pd.DataFrame,
    *,
    volatility_index: pd.DataFrame,
    rates: pd.DataFrame,
    ticker: str,
    session: pd.Timestamp | None,
    surface_settings: SurfaceSettings,
    backtest: BacktestSettings,
) -> Indication:
    """Construct a structure at a session's close.

    Parameters
    ----------
    prices, volatility_index : raw.prices_daily and raw.volatility_index of the ticker.
    rates : session, treasury_3m in percent or NaN.
    session : None for the last one that has a price.
    surface_settings : shape of the modelled surface, and the rate where there is no bill.
    backtest : with the multiplier of the ticker's contracts (``strategy.sizing.settings_for_contract``).

    Raises
    ------
    InsufficientDataError : where the session has no price, no volatility index or no expiration.
    OptionPricingError : for a structure whose legs expire at different dates.
    """
    require_one_expiration(structure)
    if prices.empty:
        raise InsufficientDataError(f"raw.prices_daily [{ticker}] is empty: run trading-dag refresh first")
    at = pd.DatetimeIndex([prices["session"].max() if session is None else session]).as_unit("us")
    spot = values_at_sessions(prices, at, column="close", table="raw.prices_daily")
    index = values_at_sessions(volatility_index, at, column="close", table="raw.volatility_index")
    bill = values_at_sessions(rates, at, column="treasury_3m", table="features.macro")
    surface = ModelledSurface(
        index,
        continuous_rate(bill, fallback=surface_settings.risk_free_rate),
        surface_settings.dividend_yield,
        surface_settings,
    )
    positions = construct_positions(structure, surface, sessions=at, spot=spot, quoted_at="close", settings=backtest)
    if not positions.is_quoted[0]:
        raise InsufficientDataError(
            f"{structure.name} on {ticker} at {at[0]:%Y-%m-%d} cannot be quoted on the modelled surface: "
            + "; ".join(_what_is_missing(prices, close=float(spot[0]), index=float(index[0])))
        )
    points = breakevens(structure, positions.strikes, premium=positions.premium)[0]
    chance = probability_of_profit(
        structure, positions.strikes, premium=positions.premium, spot=spot, years=positions.years, surface=surface
    )
    return Indication(
        structure=structure,
        ticker=ticker,
        session=at[0],
        spot=float(spot[0]),
        expiration=positions.expirations[0],
        strikes=positions.strikes[0],
        leg_prices=positions.leg_prices[0],
        leg_volatilities=positions.leg_volatilities[0],
        premium=float(positions.premium[0]),
        maximum_loss=float(positions.maximum_loss[0]),
        maximum_profit=float(positions.maximum_profit[0]),
        breakevens=points[np.isfinite(points)],
        probability_of_profit=float(chance[0]),
        multiplier=backtest.multiplier,
    )


def require_one_expiration(structure: Structure) -> None:
    """Refuse a structure without one payoff at expiration.

    Raises
    ------
    OptionPricingError : for legs that expire at different dates.
    """
    if not structure.expires_together:
        raise OptionPricingError(
            f"{structure.name} has legs that expire at different dates: it has no payoff at expiration"
        )


def _what_is_missing(prices: pd.DataFrame, *, close: float, index: float) -> list[str]:
    said = []
    if np.isnan(close):
        first, last = prices["session"].min(), prices["session"].max()
        said.append(f"no close of that session is stored (prices are, from {first:%Y-%m-%d} to {last:%Y-%m-%d})")
    if np.isnan(index):
        said.append("no volatility index of that session is stored")
    return said or ["no expiration, or no strike with a price"]


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 4)
