"""What each feature of ``features.option_chain``, ``features.intraday``, ``features.regime`` and
``features.cross_asset`` is."""

from __future__ import annotations

from typing import Final

from trading_dag.schemas import MARKET_STATES

_NET: Final = "sum over contracts as dealers hold them (long calls, short puts) of"
OPTION_CHAIN_FORMULAS: Final[dict[str, str]] = {
    "put_call_volume_ratio": "puts / calls traded, contracts of all expirations; ratio; look-back 1",
    "put_call_oi_ratio": "puts / calls open on the morning of t, contracts of all expirations; ratio; look-back 1",
    "option_volume_ratio": "contracts traded / their mean over the 20 sessions that end with t, of which 15 must be "
    "known; ratio; look-back 20",
    "atm_iv_30d": "implied volatility at the forward at 30 calendar days, linear in total variance between the "
    "expirations on either side, which lie between a quarter of the maturity and twice it; annualised percent, NULL if "
    "not so; look-back 1",
    "iv_skew_25d": "implied volatility of the 25 Δ put − of the 25 Δ call at 30 days; percent points; look-back 1",
    "iv_skew_otm": "implied volatility of the put at 95 % of S − of the call at 105 % of S at 30 days; percent points; "
    "look-back 1",
    "term_structure_30_90": "at-the-money implied volatility at 90 days − at 30 days; percent points; look-back 1",
    "chain_iv_rank": "(v − low252(v)) / (high252(v) − low252(v)) · 100, v atm_iv_30d where it is known; 0 to 100, NULL "
    "where fewer than 126 of the 252 are; look-back 126",
    "chain_iv_percentile": "share of the known v of the last 252 sessions, t included, strictly below v · 100; 0 to "
    "100, NULL where fewer than 126 are known; look-back 126",
    "net_delta": f"{_NET} delta · open interest · 100; shares; look-back 1",
    "net_gamma": f"{_NET} gamma · open interest · 100 · S² · 0.01; USD of delta per 1 % move; look-back 1",
    "net_vega": f"{_NET} vega · open interest · 100; USD per volatility point; look-back 1",
    "net_theta": f"{_NET} theta · open interest · 100; USD per calendar day; look-back 1",
    "net_vanna": f"{_NET} vanna · open interest · 100; shares per volatility point; look-back 1",
    "net_charm": f"{_NET} charm · open interest · 100; shares per calendar day; look-back 1",
    "gamma_flip": "spot nearest S at which net_gamma, repriced at fixed implied volatilities, is zero; USD, NULL if "
    "none within 15 %; look-back 1",
    "distance_to_gamma_flip": "(S − gamma_flip) / S; fraction, above zero where S lies above the flip; look-back 1",
    "call_wall_strike": "strike with the greatest gamma exposure of calls; USD; look-back 1",
    "put_wall_strike": "strike with the greatest gamma exposure of puts; USD; look-back 1",
}

INTRADAY_FORMULAS: Final[dict[str, str]] = {
    **{
        f"hourly_mean_return_{n}": f"mean of r over the last {n} bars; fraction per bar; look-back {n} bars"
        for n in (6, 30)
    },
    **{
        f"hourly_volatility_{n}": f"standard deviation (ddof 1) of r over the last {n} bars / √(their mean "
        f"length, hours) · √(252 · 6.5) · 100; annualised percent of the exchange's hours; look-back {n} bars"
        for n in (6, 30)
    },
    "first_hour_return": "price an hour after the open / open − 1; fraction, NULL where no bar ends then (bars by the "
    "clock); look-back 1",
    "last_hour_return": "close / price an hour before the close − 1; fraction, NULL where no bar begins then (bars "
    "from 09:30 on); look-back 1",
    "hourly_rsi_14": "Wilder's relative strength index of P over 14 bars; 0 to 100; look-back 15 bars",
    "hourly_macd_histogram": "histogram of P's MACD (12, 26, 9 bars) / P · 100; percent; look-back 34 bars",
}

REGIME_FORMULAS: Final[dict[str, str]] = {
    "regime_state": "number of the most probable state, 0 to 4 in the order of the probabilities below, from filtered "
    "probabilities; category; look-back as fitted",
    **{
        f"regime_probability_{state}": f"filtered probability of the state {state.replace('_', ' ')} of a hidden "
        "Markov model fitted on earlier sessions; 0 to 1; look-back as fitted"
        for state in MARKET_STATES
    },
}

_TO_MARKET: Final = "the market, the first named benchmark"
_TO_PEERS: Final = "the named benchmarks other than the ticker"
_NULL_FOR_MARKET: Final = "NULL for the market itself"
CROSS_ASSET_FORMULAS: Final[dict[str, str]] = {
    **{
        f"correlation_{n}_to_market": f"correlation of log_return_1d with that of {_TO_MARKET}, over {n} sessions; "
        f"−1 to 1, {_NULL_FOR_MARKET}; look-back {n + 1}"
        for n in (20, 60)
    },
    "beta_60_to_market": f"covariance of log_return_1d with that of {_TO_MARKET} / its variance, over 60 sessions; "
    f"ratio, {_NULL_FOR_MARKET}; look-back 61",
    **{
        f"relative_strength_{n}_to_market": f"log return over {n} sessions − that of {_TO_MARKET}; fraction, "
        f"{_NULL_FOR_MARKET}; look-back {n + 1}"
        for n in (20, 60)
    },
    **{
        f"correlation_{n}_to_peers": f"mean of the correlations of log_return_1d with that of each of {_TO_PEERS}, "
        f"over {n} sessions; −1 to 1; look-back {n + 1}"
        for n in (20, 60)
    },
    **{
        f"relative_strength_{n}_to_peers": f"log return over {n} sessions − the mean of those of {_TO_PEERS}; "
        f"fraction; look-back {n + 1}"
        for n in (20, 60)
    },
    "correlation_60_of_benchmarks": "mean of the correlations of daily log returns of each pair of named benchmarks "
    "over 60 sessions, the same for every ticker; −1 to 1; look-back 61",
}
