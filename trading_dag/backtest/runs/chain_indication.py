"""What one structure would cost and pay on the quotes of one stored session of a chain.

The same contracts and prices that ``backtest --structure`` would open there; nothing is traded. On the modelled surface
it is ``options.indication``'s work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.backtest.markets.chain_market import ChainMarket, chain_market
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.structure_plans import fills_of, plan_of, settings_for_listed_contract
from trading_dag.backtest.trades.entries import entries_every_session
from trading_dag.backtest.trades.positions import OpenedPositions, open_positions
from trading_dag.errors import InsufficientDataError
from trading_dag.options.structures.indication import Indication, require_one_expiration
from trading_dag.options.structures.payoff import breakevens, maximum_loss, maximum_profit, probability_of_profit
from trading_dag.options.structures.structure import Structure
from trading_dag.options.surfaces.of_chain import fitted_surface
from trading_dag.sessions import TIME_UNIT
from trading_dag.settings import Settings

FROM_CHAIN: Final = "chain"
FROM_LAST: Final = "last"


def indicate_on_chain(
    structure: Structure, quotes: Mapping[str, Any], *, smiles: pd.DataFrame, ticker: str, settings: Settings
) -> Indication:
    """The structure as the quotes of a session would open it is returned.

    Parameters
    ----------
    quotes : columns of ``raw.option_chain`` of one ticker and one quote date, with a volatility where one is known.
    smiles : rows of ``options.chain_analytics`` of that session, for the probability of a profit, which is NaN where no
        smile was fitted around the expiration.

    Raises
    ------
    InsufficientDataError : where the chain cannot quote every leg, with the reason.
    OptionPricingError : for a structure whose legs expire at different dates.
    ConfigurationError : for a strike rule that no choice among quoted strikes can express.
    """
    require_one_expiration(structure)
    book = settings_for_listed_contract(ticker, settings.backtest)
    market = chain_market(quotes, ticker=ticker, fills=fills_of(book))
    session = pd.Timestamp(market.sessions[0])
    plan = plan_of(structure, exits=ExitRules(), days_to_expiration=book.days_to_expiration, settings=book)
    opened = open_positions(market, plan, entries=entries_every_session(market))
    if opened.skip_reason[0]:
        raise InsufficientDataError(
            f"{structure.name} on {ticker} cannot be opened on the stored chain of {session:%Y-%m-%d}: "
            f"{opened.skip_reason[0].replace('_', ' ')}; --modelled quotes it on the modelled surface"
        )
    strikes, premium = opened.strikes, opened.premium
    expiration = pd.Timestamp(int(opened.expiration_day[0]), unit="D").as_unit(TIME_UNIT)
    points = breakevens(structure, strikes, premium=premium)[0]
    return Indication(
        structure=structure,
        ticker=ticker,
        session=session.as_unit(TIME_UNIT),
        spot=float(opened.entry_spot[0]),
        expiration=expiration,
        strikes=strikes[0],
        leg_prices=opened.leg_prices[0],
        leg_volatilities=_volatilities(market, opened, quotes),
        premium=float(premium[0]),
        maximum_loss=float(maximum_loss(structure, strikes, premium=premium)[0]),
        maximum_profit=float(maximum_profit(structure, strikes, premium=premium)[0]),
        breakevens=points[np.isfinite(points)],
        probability_of_profit=_probability(structure, opened, smiles, expiration=expiration),
        multiplier=book.multiplier,
        quote_source=FROM_LAST if opened.is_last[0] else FROM_CHAIN,
    )


def _volatilities(market: ChainMarket, opened: OpenedPositions, quotes: Mapping[str, Any]) -> FloatArray:
    """Of each leg, (legs,); NaN where the chain says none."""
    structure = opened.plan.structure
    rows = market.rows_of(
        np.zeros(len(structure.legs), dtype=np.int64),
        opened.leg_expiration_day[0],
        is_call=structure.is_call,
        strike=opened.strikes[0],
    )
    said = np.asarray(quotes["implied_volatility"], dtype=np.float64)[rows]
    return np.where(said > 0.0, said, np.nan)


def _probability(
    structure: Structure, opened: OpenedPositions, smiles: pd.DataFrame, *, expiration: pd.Timestamp
) -> float:
    of_leg = smiles[smiles["expiration"] == expiration]
    if of_leg.empty:
        return float("nan")
    sessions = pd.DatetimeIndex(of_leg["session"].iloc[:1])
    years = of_leg["years"].to_numpy(np.float64)[:1]
    surface = fitted_surface(smiles, sessions, quoted_close=opened.entry_spot, years=years)
    if not surface.is_known[0]:
        return float("nan")
    chance = probability_of_profit(
        structure, opened.strikes, premium=opened.premium, spot=opened.entry_spot, years=years, surface=surface
    )
    return float(chance[0])
