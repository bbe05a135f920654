"""What every structure of the menu is worth under the forecast's distribution, and how such words came true."""

from __future__ import annotations

from typing import Final

from trading_dag.schemas.table import HORIZON, SESSION, TICKER, Column, Table, number, text

HELD_TO: Final = ("target", "expiration")
OPPORTUNITY_QUOTES: Final = ("smile", "modelled", "modelled_with_objection")

# What names the contracts of a candidate, and whether they may be traded by rule.
OFFERED_CONTRACTS: Final = (
    "session", "structure", "held_to", "expiration", "back_expiration", "strikes", "quote_source",
    "expected_return_on_risk", "rank", "is_backtested",
)  # fmt: skip


def _chance(name: str, description: str) -> Column:
    return number(name, description, minimum=0.0, maximum=1.0)


OPPORTUNITIES: Final = Table(
    "signals", "opportunities", "ticker_horizon",
    ("ticker", "horizon", "session", "structure", "held_to", "expiration", "strikes"),
    (
        TICKER, HORIZON, SESSION,
        Column("target_session", "date", "session at whose close the horizon ends", nullable=False),
        text("structure", "name of the structure", nullable=False),
        text("held_to", "what is valued: target, left at the target's close; rows that are held to the front "
             "expiration are not made yet", nullable=False, allowed=HELD_TO),
        Column("exit_session", "date", "session at whose close it is left or settles", nullable=False),
        Column("expiration", "date", "expiration of the front legs", nullable=False),
        Column("back_expiration", "date", "expiration of the later legs; NULL where all expire together"),
        text("strikes", "strikes in the order of the structure's legs, as text: 560/550", nullable=False),
        text("quote_source", "smile: the slices fitted to the session's stored chain; modelled: the surface of the "
             "volatility index; modelled_with_objection: of another underlying's index, or of options that are not "
             "known to be listed, which rule expected_value never trades", nullable=False, allowed=OPPORTUNITY_QUOTES),
        number("spot", "close of the session, split-adjusted, USD", minimum=0.0, nullable=False),
        number("entry_cost_usd", "expected to be paid for one structure at the next open's bid and ask, as quoted at "
               "the close, without fees; negative where received", nullable=False),
        number("fees_usd", "of one structure, in and, where it is left before expiration, out", minimum=0.0,
               nullable=False),
        number("max_loss_usd", "greatest loss at expiration without fees; NULL where it has no limit", minimum=0.0),
        number("max_profit_usd", "greatest profit at expiration without fees; NULL where it has no limit",
               minimum=0.0),
        number("expected_profit_usd", "mean profit of one structure under the forecast, after spread and fees",
               nullable=False),
        number("profit_standard_deviation_usd", "standard deviation of that profit", minimum=0.0, nullable=False),
        number("expected_shortfall_usd", "mean loss in the worst 5 % of outcomes of the forecast; a loss is positive",
               nullable=False),
        _chance("probability_of_profit", "P(profit above 0 after costs) under the forecast"),
        _chance("probability_of_touch", "P(the price reaches a sold strike before the exit) under the forecast; NULL "
                "where none is sold"),
        _chance("probability_of_stop", "P(the price moves against the structure by stop_underlying_fraction of the "
                "settings before the exit) under the forecast"),
        _chance("probability_of_target", "P(profit at the exit reaches profit_target_fraction of the greatest, of a "
                "bought option's of its price) under the forecast; a price may have reached it earlier and come back"),
        number("expected_return_on_risk", "expected profit over greatest loss and fees; NULL where the loss has no "
               "limit"),
        number("expected_return_on_risk_low", "lower end of its 90 % interval: by how far outcomes known by then "
               "missed the forecast's centre, width and volatility; NULL where the loss has no limit"),
        number("expected_return_on_risk_high", "upper end of that interval"),
        number("market_expected_profit_usd", "the same mean under the market's own distribution: the costs of trading, "
               "and interest"),
        _chance("market_probability_of_profit", "P(profit above 0 after costs) under the market's own distribution"),
        Column("rank", "int64", "place among the rows of the session, by expected_return_on_risk_low; what has no "
               "limit of loss comes last, by expected profit over expected shortfall", nullable=False, minimum=1),
        Column("is_backtested", "bool", "whether earlier sessions are searched for this candidate too: rule "
               "expected_value chooses among these alone", nullable=False),
        text("reason", "one sentence: what is expected, of what risk, and where forecast and market differ",
             nullable=False),
    ),
    "Structures valued under the forecast's distribution of price and volatility, net of costs, beside the market's: "
    "of each earlier session the best candidate of each structure, of the newest the whole grid.",
    may_be_empty=True,
)  # fmt: skip

OPPORTUNITY_CALIBRATION: Final = Table(
    "evaluation", "opportunity_calibration", "ticker_horizon", ("ticker", "horizon", "measure", "subset", "bin"),
    (
        TICKER, HORIZON,
        text("measure", "probability_of_profit, or expected_return_on_risk", nullable=False,
             allowed=("probability_of_profit", "expected_return_on_risk")),
        text("subset", "which rows: all candidates, one structure's, what rule expected_value chose, or the best "
             "ranked of each session", nullable=False),
        Column("bin", "int64", "tenth of the rows by what was expected, from the lowest; 0 for all of them",
               nullable=False, minimum=0, maximum=10),
        Column("n", "int64", "rows with an outcome", nullable=False, minimum=0),
        Column("sessions", "int64", "different sessions among them", nullable=False, minimum=0),
        number("expected", "mean of what was expected: a probability, or profit over risk", nullable=False),
        number("realised", "mean of what came: the share that won, or profit over risk", nullable=False),
        number("realised_low", "lower end of its interval, by the stationary bootstrap over sessions, of the "
               "confidence of the settings"),
        number("realised_high", "upper end of that interval"),
        number("difference", "realised − expected", nullable=False),
        number("difference_low", "lower end of its interval"),
        number("difference_high", "upper end of that interval"),
        number("expected_profit_usd", "mean expected profit of one structure"),
        number("realised_profit_usd", "mean profit of one structure, entered at the next open and left at the target"),
        number("market_expected", "mean of what the market's own distribution expected"),
    ),
    "What opportunities promised against what the same contracts brought, by tenths, with bootstrap intervals.",
    session_column=None,
    may_be_empty=True,
)  # fmt: skip
