"""Everything a backtest assumed, as it is printed with the result. Words and settings; nothing is computed."""

from __future__ import annotations

import json

import numpy as np

from trading_dag.backtest.markets.market import Market
from trading_dag.backtest.plans.exit_rules import EXIT_ORDER, HORIZON_EXIT, ExitRules, exits_in_words
from trading_dag.backtest.results.random_entry import RandomEntry

_CONVENTIONS = {
    "quotes": "modelled: Black-Scholes-Merton on a surface from the volatility index; no traded option price is used",
    "entry": "open of the session after the signal's; strikes and expiration chosen from that open's quotes",
    "entry_index": "the index's open of the entry session; where it has none, its close at the signal's session",
    "exit": "close of the label's target session, or the first later close with an index level; the exits of this "
    "backtest are in exits, the first quote on which one holds wins, an open or a close: nothing between is invented, "
    "and a gap through a stop fills at the open",
    "contracts": "rule matrix: chosen at the entry by the rules of the legs; rule expected_value: those that its "
    "signal names. Random entry, always trading the same structure, and rolls choose by the rules of the legs",
    "expiration": "first weekly expiration (Friday, or the session before a holiday) at or after days_to_expiration; "
    "weekly expirations and the strike grid are assumed listed in every year",
    "contract": "multiplier of the backtest settings, for the cash indices SPX and COMP already the index_multiplier",
    "settlement": "European, cash, intrinsic value at the expiration's close, without spread",
    "time": "calendar days over 365; an open is 6.5 hours before the close",
    "dividends": "a continuous yield; no early exercise",
    "fills": "bought at the ask, sold at the bid, every leg both ways; not clipped to the defined risk",
    "fees": "a leg and contract, both ways, also at settlement",
    "sizing": "defined risk and fees within account_usd x risk_fraction x design size (FULL 1, HALF 0.5); "
    "profits are not reinvested",
    "capital_limit": "defined risk and fees of open positions within starting cash plus realised profit, and at most "
    "maximum_open_positions at once where that is set",
    "edge": "FULL and HALF signals trade whatever their edge; admissibility is the accuracy gate's verdict",
    "settings_not_read": "minimum_volume, minimum_open_interest, volume_share, open_interest_share and interest_rate "
    "are for chains: a model has no volume, and cash earns nothing here",
    "marks": "middle of the surface at the close, last known index level, within the structure's arbitrage bounds",
    "cash_interest": "none, so no rate is subtracted in the Sharpe ratio of the trades; buy and hold is over the bill",
    "risk_free_rate": "three-month bill as known the session before; where missing, the surface settings' fallback",
    "benchmark": "the underlying bought at the first session's close and held, at the vendor's adjusted close, "
    "no costs: ETFs with their dividends reinvested, the cash indices SPX and COMP without dividends",
    "period": "from the first session with both forecasts to the last exit, also after the capital has run out",
    "always": "the structure that was traded most, entered after every session with both forecasts, at its usual size, "
    "same exits, fees and limits, in an account of its own",
    "deflated_sharpe": "variants_tried trials; variance of their Sharpe ratios taken as 1/(n-1)",
    "random_entry": "same structures, sizes and number of trades, moved in shuffled blocks of 21 sessions on average, "
    "so that they crowd together as the real ones do; sessions drawn without replacement from those with both "
    "forecasts on which each of them could be traded; statistic: summed profit after fees; no capital limit; "
    "where a rule names its contracts, those of the session's own best candidate of the structure",
}


def assumptions_json(market: Market, *, window: slice, luck: RandomEntry, exits: ExitRules) -> str:
    """Conventions, settings, and how often a stand-in was used within the window, as a JSON object."""
    sessions = len(market.sessions[window])

    def share(flags: object) -> float | None:
        return round(float(np.mean(np.asarray(flags)[window])), 4) if sessions else None

    return json.dumps(
        {
            **_CONVENTIONS,
            "exits": exits_in_words(exits, last=HORIZON_EXIT),
            "exit_order": ", ".join(EXIT_ORDER),
            "surface_settings": market.settings.surface.model_dump(),
            "backtest_settings": market.settings.backtest.model_dump(),
            "share_of_sessions": {
                "with_fallback_rate": share(market.is_fallback_rate),
                "without_index_open": share(np.isnan(market.index_open)),
                "without_index_close": share(np.isnan(market.index_close)),
                "without_price": share(np.isnan(market.close)),
            },
            "random_entry_sessions": luck.sessions,
            "random_entry_is_with_replacement": luck.is_with_replacement,
            "random_entry_mean_usd": None if np.isnan(luck.mean_usd) else round(luck.mean_usd, 2),
        }
    )
