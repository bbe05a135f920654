"""What the account sees of its tickers: the stored prices and indices as markets, and each structure as a plan.

The market and the plans are those of the backtest of the signals, so that the same order comes to the same trade.
"""

from __future__ import annotations

from typing import Final

import pandas as pd

from trading_dag.backtest.markets.market import build_market
from trading_dag.backtest.markets.modelled_market import ModelledMarket
from trading_dag.backtest.plans.structure_plans import exits_of, plan_on_grid
from trading_dag.errors import ConfigurationError
from trading_dag.options.structures.user_structures import structures_by_name
from trading_dag.paper.one_position import TickerView
from trading_dag.settings import Settings
from trading_dag.strategy.sizing import settings_for_contract

PRICE_COLUMNS: Final = ("ticker", "session", "open", "close", "adj_close", "split_factor", "dividend")
INDEX_COLUMNS: Final = ("ticker", "session", "open", "close")


def modelled_views(
    prices: pd.DataFrame, volatility_indices: pd.DataFrame, *, rates: pd.DataFrame, settings: Settings
) -> dict[str, TickerView]:
    """Return the view of every ticker that has prices, on the modelled surface (``modelled_view``)."""
    indices = dict(list(volatility_indices.groupby("ticker")))
    return {
        str(ticker): modelled_view(
            str(ticker),
            rows.reset_index(drop=True),
            indices.get(ticker, volatility_indices.iloc[:0]).reset_index(drop=True),
            rates=rates,
            settings=settings,
        )
        for ticker, rows in prices.groupby("ticker")
    }


def modelled_view(
    ticker: str, prices: pd.DataFrame, volatility_index: pd.DataFrame, *, rates: pd.DataFrame, settings: Settings
) -> TickerView:
    """Return the view of one ticker on the modelled surface.

    Parameters
    ----------
    prices, volatility_index : raw.prices_daily and raw.volatility_index of the ticker, as far as they are known.
    rates : session, treasury_3m in percent or NaN, as known at the session's close.

    Raises
    ------
    ConfigurationError : where the settings limit delta or vega, which the account does not keep.
    SchemaError : for missing columns, repeated or unsorted sessions, or prices that are not positive.
    """
    settings = settings_for_contract(ticker, settings)
    exits, book = exits_of(settings.backtest), settings.backtest
    if book.maximum_delta is not None or book.maximum_vega_usd is not None:
        raise ConfigurationError(
            "the paper account keeps no limit on delta or vega: unset TRADING_DAG_BACKTEST__MAXIMUM_DELTA and "
            "TRADING_DAG_BACKTEST__MAXIMUM_VEGA_USD, or set TRADING_DAG_PAPER__BROKER=none"
        )
    menu = structures_by_name(settings.structures)
    return TickerView(
        market=ModelledMarket(ticker, build_market(prices, volatility_index, rates=rates, settings=settings)),
        plans={name: plan_on_grid(structure, exits=exits, settings=book) for name, structure in menu.items()},
        splits=pd.Series(prices["split_factor"].to_numpy(dtype="float64"), index=pd.DatetimeIndex(prices["session"])),
    )
