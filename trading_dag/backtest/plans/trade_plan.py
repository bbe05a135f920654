"""A trade plan as data: structure, strikes, expiration, exits, fills and account. Nothing is computed.

A plan says what would be traded and when it would be left (``exit_rules``); it holds no prices. Entries are apart
from it (``entries``), so that one plan runs on signals, on a calendar rule, or on random sessions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from trading_dag.backtest.plans.exit_rules import LONGEST_DAYS, ExitRules
from trading_dag.errors import ConfigurationError
from trading_dag.options.structures.structure import BackExpiryRule, Structure, WidthUnit

GREATEST_USD: Final = 1e12


@dataclass(frozen=True)
class TargetDelta:
    """Picks the quoted strike whose absolute delta is nearest.

    Attributes
    ----------
    absolute_delta : aimed at.
    tolerance : no strike further away is taken; does not count where there are bounds.
    bounds : least and greatest absolute delta of a strike that is taken; None for none.
    """

    absolute_delta: float
    tolerance: float = 0.10
    bounds: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.absolute_delta < 1.0 or not self.tolerance > 0.0:
            raise ConfigurationError(f"{self}: delta must lie within 0 and 1, the tolerance be positive")
        if self.bounds is not None and not 0.0 <= self.bounds[0] < self.bounds[1] <= 1.0:
            raise ConfigurationError(f"{self}: the bounds must ascend within 0 and 1")


@dataclass(frozen=True)
class Width:
    """Picks the quoted strike nearest to so far further out of the money (negative: in) than an earlier leg's.

    The distance is in USD, or a share of the underlying price at each entry. Out of the money is up for calls
    and down for puts. On that side of the leg and no further from what was asked than half the width; a width
    of 0 is the same strike exactly. Ties: the lower.
    """

    from_leg: int
    distance: float
    unit: WidthUnit = "usd"

    def __post_init__(self) -> None:
        if not math.isfinite(self.distance):
            raise ConfigurationError(f"{self}: a width must be finite")


@dataclass(frozen=True)
class OwnRule:
    """Leaves the strike to the rule of the leg itself, on a strike grid; a chain has none."""


StrikeChoice = TargetDelta | Width | OwnRule


@dataclass(frozen=True)
class ExpirationChoice:
    """Picks the listed expiration whose calendar days are nearest to ``target_days`` within the bounds."""

    target_days: int = 30
    minimum_days: int = 1
    maximum_days: int = 60

    def __post_init__(self) -> None:
        if not 0 < self.minimum_days <= self.target_days <= self.maximum_days <= LONGEST_DAYS:
            raise ConfigurationError(f"{self}: needs 0 < minimum_days <= target_days <= maximum_days <= {LONGEST_DAYS}")


@dataclass(frozen=True)
class FillAssumptions:
    """Says how quotes become fills.

    Attributes
    ----------
    half_spread_fraction, half_spread_minimum_usd : half spread around a last trade, of its value and at least.
    slippage_fraction : of the price, against the trader, on every fill of every leg, in and out.
    spread_share : of the half spread that a fill of a liquid contract pays; 1 is the bid or the ask. What trades less
        pays more, and all of it where nothing trades or nothing is known of it (``spread_share_paid``). Only chains.
    liquid_volume, liquid_open_interest : contracts of the session from which on a contract is liquid.
    price_tick_usd : sold prices are rounded down to it, bought prices up.
    minimum_volume, minimum_open_interest : least contracts of the entry's session for a leg to be opened.
    volume_share, open_interest_share : a leg trades at most this share of the entry session's; None: no limit.
    """

    half_spread_fraction: float = 0.01
    half_spread_minimum_usd: float = 0.01
    slippage_fraction: float = 0.0
    price_tick_usd: float = 0.01
    minimum_volume: float = 0.0
    minimum_open_interest: float = 0.0
    volume_share: float | None = None
    open_interest_share: float | None = None
    spread_share: float = 1.0
    liquid_volume: float = 1_000.0
    liquid_open_interest: float = 5_000.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.spread_share <= 1.0:
            raise ConfigurationError(f"spread_share must lie within 0 and 1, not {self.spread_share}")
        if not (self.liquid_volume > 0.0 and self.liquid_open_interest > 0.0):
            raise ConfigurationError("liquid_volume and liquid_open_interest must be positive")
        if not self.price_tick_usd > 0.0:
            raise ConfigurationError(f"price_tick_usd must be positive, not {self.price_tick_usd}")
        if not (self.half_spread_fraction >= 0.0 and self.half_spread_minimum_usd >= 0.0):
            raise ConfigurationError("a half spread must not be negative")
        if not 0.0 <= self.slippage_fraction < 1.0:
            raise ConfigurationError(f"slippage_fraction must lie in [0, 1), not {self.slippage_fraction}")


@dataclass(frozen=True)
class AccountRules:
    """Holds size, fees and limits.

    Attributes
    ----------
    account_usd : starting cash.
    risk_fraction : of the starting cash at risk a trade; profits are not reinvested.
    fee_per_leg_contract_usd : every leg and contract pays, in and out, also at settlement.
    maximum_open_positions : None for no limit but the capital.
    interest_rate : continuously compounded, on positive cash over calendar days.
    maximum_delta : greatest absolute delta of all positions, USD per USD of the underlying; None for no limit.
    maximum_vega_usd : greatest absolute vega of all positions, USD a volatility point; None for no limit.
    """

    account_usd: float = 100_000.0
    risk_fraction: float = 0.02
    fee_per_leg_contract_usd: float = 0.65
    multiplier: int = 100
    maximum_open_positions: int | None = None
    interest_rate: float = 0.0
    maximum_delta: float | None = None
    maximum_vega_usd: float | None = None

    @property
    def limits_greeks(self) -> bool:
        """Return whether delta or vega is limited."""
        return self.maximum_delta is not None or self.maximum_vega_usd is not None

    def __post_init__(self) -> None:
        for name, limit in (("maximum_delta", self.maximum_delta), ("maximum_vega_usd", self.maximum_vega_usd)):
            if limit is not None and not 0.0 < limit <= GREATEST_USD:
                raise ConfigurationError(f"{name} must be positive and at most {GREATEST_USD:g}, not {limit}")
        if not (0.0 < self.account_usd <= GREATEST_USD and 0.0 < self.risk_fraction <= 1.0 and self.multiplier > 0):
            raise ConfigurationError(
                f"account_usd and multiplier must be positive, account_usd at most {GREATEST_USD:g}, "
                "risk_fraction within (0, 1]"
            )
        if not 0.0 <= self.fee_per_leg_contract_usd <= GREATEST_USD:
            raise ConfigurationError("fee_per_leg_contract_usd must be finite and not negative")
        if not 0.0 <= self.interest_rate < 1.0:
            raise ConfigurationError(f"interest_rate must lie in [0, 1), not {self.interest_rate}")


@dataclass(frozen=True)
class TradePlan:
    """Says what is traded: one choice of strike for each leg of the structure, an expiration, exits, an account.

    The expiration is the front's. Legs that live longer (calendars) have theirs by the rule of the leg, counted from
    the front, and are sold at their quotes no later than the front expires.

    Raises
    ------
    ConfigurationError : not one choice a leg, a width from a leg that is not before its own, a sold leg that
        expires after the front, or a roll with as many days left as are aimed at.
    """

    name: str
    structure: Structure
    strikes: tuple[StrikeChoice, ...]
    expiration: ExpirationChoice = field(default_factory=ExpirationChoice)
    exits: ExitRules = field(default_factory=ExitRules)
    account: AccountRules = field(default_factory=AccountRules)

    def __post_init__(self) -> None:
        if len(self.strikes) != len(self.structure.legs):
            raise ConfigurationError(
                f"trade plan {self.name!r}: {len(self.strikes)} strikes for {len(self.structure.legs)} legs"
            )
        roll_days = self.exits.roll_days_to_expiration
        if roll_days is not None and roll_days >= self.expiration.target_days:
            # Every position would be due to roll on the session after it was opened, and pay for it.
            raise ConfigurationError(
                f"trade plan {self.name!r}: a roll with {roll_days} days left needs more than so many days to "
                f"expiration at entry, not {self.expiration.target_days}"
            )
        for position, choice in enumerate(self.strikes):
            if isinstance(choice, Width) and not 0 <= choice.from_leg < position:
                raise ConfigurationError(f"trade plan {self.name!r}, leg {position}: width from a leg not before it")
        for position, leg in enumerate(self.structure.legs):
            if isinstance(leg.expiry_rule, BackExpiryRule) and leg.side == "sell":
                raise ConfigurationError(
                    f"trade plan {self.name!r}, leg {position}: a sold leg that outlives the front has no bounded loss"
                )

    @property
    def contracts_key(self) -> tuple[object, ...]:
        """Return what the chosen contracts and their gathered paths follow from, whatever else two plans differ in."""
        return self.structure, self.strikes, self.expiration, self.exits.roll_short_delta is not None
