"""What drives an underlying: variance, jumps, market exposure, dividends and earnings, drawn once per ticker.

Numbers only. Paths are in ``paths``, option prices in ``transform_pricing``; both take them from here, so that what
is simulated is what is priced. Rates are annual, variances are of log returns a year of 252 sessions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from trading_dag.simulation.simulation_settings import share_name
from trading_dag.simulation.streams import stream

EQUITY_PREMIUM: Final = 0.05


@dataclass(frozen=True)
class VarianceProcess:
    """Describes a square-root process of variance, dv = κ(θ − v)dt + ξ√v dW, correlated with the price.

    Attributes
    ----------
    reversion, level, volatility, correlation : κ, θ, ξ and ρ.
    priced_reversion : κ under the pricing measure, where κθ is the same; equal to κ on a fair market.
    """

    reversion: float
    level: float
    volatility: float
    correlation: float
    priced_reversion: float

    @property
    def priced_level(self) -> float:
        """Return θ under the pricing measure."""
        return self.reversion * self.level / self.priced_reversion


@dataclass(frozen=True)
class JumpProcess:
    """Describes normal jumps of the log price at a constant rate.

    Attributes
    ----------
    rate : jumps a year.
    mean, deviation : mean and deviation of one jump, log.
    priced_rate, priced_mean : under the pricing measure.
    """

    rate: float
    mean: float
    deviation: float
    priced_rate: float
    priced_mean: float


@dataclass(frozen=True)
class Underlying:
    """Describes one underlying: β times the market and a part of its own.

    Attributes
    ----------
    ticker : its name, which with the seed decides everything else.
    beta : exposure to the market's diffusion and jumps.
    variance, jumps : the part of its own; None where there is none.
    first_price : price before the first session, USD.
    daily_volume : usual shares a session.
    dividend_yield : a year, paid in quarters.
    dividend_month : 0, 1 or 2: months 3, 6, 9, 12, or one or two later.
    pays_earnings : whether it is a company that reports.
    earnings_deviation : of the log price at an announcement.
    split_fraction, split_ratio : when in ten years a split takes effect, and new shares per old; ratio 1 for none.
    is_fund : fund or index: expirations on every weekday of two weeks, strikes USD 1 apart.
    holdings : companies whose earnings matter to a fund.
    """

    ticker: str
    beta: float
    variance: VarianceProcess | None
    jumps: JumpProcess | None
    first_price: float
    daily_volume: float
    dividend_yield: float
    dividend_month: int
    pays_earnings: bool
    earnings_deviation: float
    split_fraction: float
    split_ratio: float
    is_fund: bool
    holdings: tuple[str, ...]

    @property
    def quarterly_yield(self) -> float:
        """Return the dividend of a quarter over the price before it."""
        return self.dividend_yield / 4.0


@dataclass(frozen=True)
class _Fund:
    beta: float
    own_level: float
    first_price: float
    daily_volume: float
    dividend_yield: float


# SPX and SPY are the market itself; COMP and QQQ share their part of their own only in kind, not in their numbers.
_FUNDS: Final[dict[str, _Fund]] = {
    "SPY": _Fund(1.0, 0.0, 200.0, 8e7, 0.014),
    "SPX": _Fund(1.0, 0.0, 2000.0, 3e9, 0.0),
    "QQQ": _Fund(1.15, 0.004, 100.0, 4e7, 0.006),
    "COMP": _Fund(1.15, 0.004, 4700.0, 2e9, 0.0),
    "IWM": _Fund(1.1, 0.008, 120.0, 3e7, 0.012),
}
MARKET: Final = "SPY"
HOLDINGS: Final = tuple(share_name(number) for number in range(4))
_SPLIT_PROBABILITY: Final = 0.25
_SPLIT_RATIOS: Final = (2.0, 2.0, 3.0, 4.0)


def market_variance(*, fair: bool) -> VarianceProcess:
    """Return the variance of the market factor: 16.7 % a year at its level, 2κθ well above ξ², so that it stays above
    zero."""
    return _variance(reversion=5.0, level=0.028, volatility=0.42, correlation=-0.75, premium=0.0 if fair else 1.0)


def market_jumps(*, fair: bool) -> JumpProcess:
    """Return the jumps of the market factor: two or three a year, down more often than up."""
    return JumpProcess(
        rate=2.5, mean=-0.015, deviation=0.02, priced_rate=2.5 if fair else 4.0, priced_mean=-0.015 if fair else -0.025
    )


def underlying_of(seed: int, ticker: str, *, fair: bool) -> Underlying:
    """Return the underlying of a name: a known fund or index, otherwise a company drawn from seed and name."""
    if ticker in _FUNDS:
        return _fund(ticker, _FUNDS[ticker])
    draw = stream(seed, ticker, "parameters").random(12).tolist()
    level = 0.03 + 0.07 * draw[0]
    return Underlying(
        ticker=ticker,
        beta=0.6 + 0.9 * draw[1],
        variance=_variance(reversion=4.0, level=level, volatility=0.6 * math.sqrt(8.0 * level), correlation=-0.3,
                           premium=0.0 if fair else 0.4),
        jumps=JumpProcess(rate=1.5, mean=0.0, deviation=0.03, priced_rate=1.5, priced_mean=0.0),
        first_price=round(math.exp(math.log(20.0) + math.log(15.0) * draw[2]), 2),
        daily_volume=round(10.0 ** (5.7 + 1.8 * draw[3])),
        dividend_yield=0.005 + 0.025 * draw[4] if draw[5] < 0.6 else 0.0,
        dividend_month=int(3.0 * draw[6]),
        pays_earnings=True,
        earnings_deviation=0.015 + 0.02 * draw[7],
        split_fraction=draw[8],
        split_ratio=_SPLIT_RATIOS[int(4.0 * draw[10])] if draw[9] < _SPLIT_PROBABILITY else 1.0,
        is_fund=False,
        holdings=(ticker,),
    )  # fmt: skip


def _fund(ticker: str, fund: _Fund) -> Underlying:
    level = fund.own_level
    return Underlying(
        ticker=ticker,
        beta=fund.beta,
        variance=None if level == 0.0 else _variance(
            reversion=4.0, level=level, volatility=0.6 * math.sqrt(8.0 * level), correlation=-0.3, premium=0.0
        ),
        jumps=None,
        first_price=fund.first_price,
        daily_volume=fund.daily_volume,
        dividend_yield=fund.dividend_yield,
        dividend_month=0,
        pays_earnings=False,
        earnings_deviation=0.0,
        split_fraction=0.0,
        split_ratio=1.0,
        is_fund=True,
        holdings=HOLDINGS,
    )  # fmt: skip


def _variance(
    *, reversion: float, level: float, volatility: float, correlation: float, premium: float
) -> VarianceProcess:
    return VarianceProcess(reversion, level, volatility, correlation, reversion - premium)
