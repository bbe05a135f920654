"""Why an entry became no trade, as one set of words: each is defined here once, for every plan on every market.

Why a trade was left is said in the words of ``exit_rules``. Which word applies is computed where it becomes known.
"""

from __future__ import annotations

from typing import Final

NO_TRADE_RECOMMENDED: Final = "no_trade"
NOT_LISTED_YET: Final = "options_not_listed_yet"
ENTRY_AFTER_DATA: Final = "entry_after_data"
HORIZON_BEFORE_ENTRY: Final = "horizon_before_entry"
NO_QUOTE_NEXT_SESSION: Final = "no_quote_next_session"
FLIPPED_BEFORE_ENTRY: Final = "flipped_before_entry"
NO_UNDERLYING_PRICE: Final = "no_underlying_price"
NO_VOLATILITY_INDEX: Final = "no_volatility_index"
NO_EXPIRATION: Final = "no_expiration"
OUTSIDE_DELTA_RANGE: Final = "outside_delta_range"
MISSING_LEG: Final = "missing_leg"
SPLIT_WHILE_HELD: Final = "split_while_held"
NO_ENTRY_PRICE: Final = "no_entry_price"
NO_POSSIBLE_PROFIT: Final = "no_possible_profit"
COSTS_NOTHING: Final = "costs_nothing"
NO_SETTLEMENT_PRICE: Final = "no_settlement_price"
SETTLES_AT_ENTRY: Final = "settles_at_entry"
EXCEEDS_RISK_BUDGET: Final = "exceeds_risk_budget"
EXCEEDS_VOLUME_SHARE: Final = "exceeds_volume_share"
CAPITAL_LIMIT: Final = "capital_limit"
POSITION_LIMIT: Final = "position_limit"
DELTA_LIMIT: Final = "delta_limit"
VEGA_LIMIT: Final = "vega_limit"
UNKNOWN_GREEKS: Final = "unknown_greeks"

OPEN_AT_END: Final = "open_at_end_of_data"
"""Of a trade that was not left within the data."""

SKIP_MEANINGS: Final[dict[str, str]] = {
    NO_TRADE_RECOMMENDED: "the signal recommends no structure",
    NOT_LISTED_YET: "options on the underlying were not listed yet",
    ENTRY_AFTER_DATA: "the data ends before the entry",
    HORIZON_BEFORE_ENTRY: "the horizon ends at or before the first quote after the signal",
    NO_QUOTE_NEXT_SESSION: "the market has no quote on the exchange's next session",
    FLIPPED_BEFORE_ENTRY: "an opposite signal came before the entry",
    NO_UNDERLYING_PRICE: "the underlying has no price at the entry",
    NO_VOLATILITY_INDEX: "the modelled surface has no index level at the entry",
    NO_EXPIRATION: "no expiration is listed within the bounds",
    OUTSIDE_DELTA_RANGE: "no quoted strike of a leg lies within its bounds of delta",
    MISSING_LEG: "no strike is quoted near the one that was asked",
    SPLIT_WHILE_HELD: "the underlying is split before the last leg expires",
    NO_ENTRY_PRICE: "a leg to be sold has no bid",
    NO_POSSIBLE_PROFIT: "it costs at least what it can ever pay",
    COSTS_NOTHING: "a bought leg outlives a sold one and costs no more than it",
    NO_SETTLEMENT_PRICE: "the data has no session of its last trading day",
    SETTLES_AT_ENTRY: "its last trading day is the entry",
    EXCEEDS_RISK_BUDGET: "one structure needs more than the risk budget",
    EXCEEDS_VOLUME_SHARE: "one structure is more than the share of volume or open interest",
    CAPITAL_LIMIT: "the account's free capital does not carry it",
    POSITION_LIMIT: "as many positions as are allowed are open",
    DELTA_LIMIT: "the account's delta would lie beyond its limit",
    VEGA_LIMIT: "the account's vega would lie beyond its limit",
    UNKNOWN_GREEKS: "a limit on delta or vega is set, and a leg's mark implies no volatility",
}
"""By word, in the order in which they are asked."""
