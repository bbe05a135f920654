"""What the chains come down to."""

from __future__ import annotations

from typing import Final

from trading_dag.schemas.table import SESSION, TICKER, Column, Table, number, price, text

CHAIN_ANALYTICS: Final = Table(
    "options", "chain_analytics", "ticker", ("ticker", "session", "expiration"),
    (
        TICKER,
        SESSION,
        Column("expiration", "date", "expiration as the exchange dated it", nullable=False),
        price("spot", "underlying at the quotes", nullable=True),
        number("years", "calendar time from the close to settlement, years of 365 days"),
        number("rate", "continuously compounded, fraction"),
        price("forward", "median of put-call parity within 2 % of spot", nullable=True),
        number("forward_deviation", "median distance of the strikes from it, USD", minimum=0.0),
        number("dividend_yield", "what the forward leaves over: rate − ln(forward/spot)/years, fraction"),
        number("atm_volatility", "implied volatility at the forward, fraction", minimum=0.0),
        number("put_25_delta_volatility", "of the 25-delta put, fraction", minimum=0.0),
        number("call_25_delta_volatility", "of the 25-delta call, fraction", minimum=0.0),
        number("skew_25_delta", "25-delta put less 25-delta call, fraction"),
        number("put_95_volatility", "of the put at 95 % of spot, fraction", minimum=0.0),
        number("call_105_volatility", "of the call at 105 % of spot, fraction", minimum=0.0),
        number("svi_a", "raw SVI slice, level of total variance"),
        number("svi_b", "raw SVI slice, slope of the wings", minimum=0.0),
        number("svi_rho", "raw SVI slice, tilt", minimum=-1.0, maximum=1.0),
        number("svi_m", "raw SVI slice, centre in log-moneyness"),
        number("svi_s", "raw SVI slice, curvature", minimum=0.0),
        number("svi_rmse", "root mean square error of the fitted volatilities, by vega, fraction", minimum=0.0),
        number("least_durrleman", "least density function g of the slice; below zero is a butterfly arbitrage"),
        number("calendar_slack", "least growth of total variance since the expiration before; arbitrage below zero"),
        Column("pairs", "int64", "strikes whose parity made the forward", minimum=0),
        Column("contracts", "int64", "clean quotes", nullable=False, minimum=0),
        Column("fitted_contracts", "int64", "of these with an implied volatility", nullable=False, minimum=0),
        Column("refused", "int64", "quotes left out", nullable=False, minimum=0),
        Column("vertical_violations", "int64", "vertical spreads with a free profit", nullable=False, minimum=0),
        Column("butterfly_violations", "int64", "butterflies with a free profit", nullable=False, minimum=0),
        Column("calendar_violations", "int64", "calendars with a free profit", nullable=False, minimum=0),
    ),
    "What each expiration of a session's chain comes down to: forward, smile, fitted slice, arbitrage.",
)  # fmt: skip

DEALER_EXPOSURE: Final = Table(
    "options", "dealer_exposure", "ticker", ("ticker", "session"),
    (
        TICKER,
        SESSION,
        price("spot", "underlying at the quotes", nullable=True),
        number("net_delta", "dealers long calls and short puts, shares"),
        number("net_gamma", "gamma exposure, USD of delta per 1 % move"),
        number("net_vega", "USD per volatility point"),
        number("net_theta", "USD per calendar day"),
        number("net_vanna", "shares per volatility point"),
        number("net_charm", "shares per calendar day"),
        price("gamma_flip", "nearest spot at which net_gamma is zero; NULL for none within 15 %", nullable=True),
        number("distance_to_gamma_flip", "(spot − gamma_flip)/spot, fraction"),
        price("call_wall_strike", "strike with the greatest gamma exposure of calls", nullable=True),
        price("put_wall_strike", "strike with the greatest gamma exposure of puts", nullable=True),
        Column("contracts", "int64", "contracts that count", nullable=False, minimum=0),
        number("call_volume", "calls traded during the session, contracts of all expirations", minimum=0.0),
        number("put_volume", "puts traded during the session, contracts of all expirations", minimum=0.0),
        number("call_open_interest", "calls open on the session's morning, contracts", minimum=0.0),
        number("put_open_interest", "puts open on the session's morning, contracts", minimum=0.0),
        text("chain_digest", "of the quotes, rate and method that the session was computed from", nullable=False),
    ),
    "What was traded and open in a session's chain, and what dealers would hold of it under a stated convention.",
)  # fmt: skip
