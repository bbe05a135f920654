"""Rule expected_value takes the best opportunity, sized only where what it took before has earned, known by then."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from trading_dag.frames import table_frame
from trading_dag.options.structures.structure import STRUCTURES
from trading_dag.schemas import OPPORTUNITIES, RECOMMENDATION
from trading_dag.sessions import sessions_between, target_sessions
from trading_dag.setting_groups import SelectorSettings, SignalSettings
from trading_dag.settings import Settings
from trading_dag.slices import horizon_of
from trading_dag.strategy.expected_value import expected_value_rows, profit_to_date, random_entry_returns
from trading_dag.strategy.opportunities.choice import choose, entered_at_every_session

WEEK = horizon_of("168h")
SESSIONS = sessions_between("2023-01-03", "2024-01-31")
TARGETS = target_sessions(SESSIONS, WEEK)


def test_the_running_profit_is_that_of_a_loop_over_the_trades_that_have_ended() -> None:
    returns = np.random.default_rng(7).normal(0.05, 0.4, len(SESSIONS))
    returns[[3, 40]] = np.nan
    found = profit_to_date(returns, TARGETS, SESSIONS, overlap=5)
    for place in (0, 5, 6, 8, 44, 120, len(SESSIONS) - 1):
        ended = [value for value, end in zip(returns, TARGETS, strict=True)
                 if end <= SESSIONS[place] and not math.isnan(value)]  # fmt: skip
        assert found.trades[place] == len(ended)
        if len(ended) < 2:
            assert np.isnan(found.mean[place])
            continue
        error = np.std(ended, ddof=1) * math.sqrt(5 / len(ended))
        assert found.mean[place] == pytest.approx(np.mean(ended))
        assert found.low[place] == pytest.approx(np.mean(ended) - 1.959963984540054 * error)


@pytest.mark.parametrize("place", [20, 100, 200])
def test_outcomes_after_a_session_change_nothing_at_it(place: int) -> None:
    returns = np.random.default_rng(3).normal(0.0, 0.4, len(SESSIONS))
    later = np.where(SESSIONS[place] < TARGETS, 9.0, returns)
    before, after = (profit_to_date(values, TARGETS, SESSIONS, overlap=5) for values in (returns, later))
    np.testing.assert_array_equal(after.low[: place + 1], before.low[: place + 1])
    np.testing.assert_array_equal(after.trades[: place + 1], before.trades[: place + 1])


def test_a_fair_rule_is_sized_in_few_seeds_and_a_profitable_one_in_nearly_all() -> None:
    """Each trade is the sum of five sessions' results, of which its neighbours share four."""
    sized = {0.0: 0, 0.1: 0}
    for drift in sized:
        for seed in range(200):
            daily = np.random.default_rng(seed).normal(drift, 0.2, len(SESSIONS) + 5)
            returns = np.convolve(daily, np.ones(5), mode="valid")[: len(SESSIONS)]
            sized[drift] += bool(profit_to_date(returns, TARGETS, SESSIONS, overlap=5).low[-1] > 0)
    assert sized[0.0] <= 12, "2.5 % of 200 are 5; 12 lie beyond its 99.5 % bound"
    assert sized[0.1] >= 190


def opportunities(**columns: object) -> pd.DataFrame:
    """A bull put spread at every session that clears the margin."""
    values = {
        "ticker": "SPY", "horizon": "168h", "session": SESSIONS, "target_session": TARGETS,
        "structure": "bull_put_spread", "held_to": "target", "exit_session": TARGETS,
        "expiration": SESSIONS + pd.Timedelta(days=24), "strikes": "395/390", "quote_source": "modelled", "spot": 400.0,
        "entry_cost_usd": -150.0, "fees_usd": 2.6, "max_loss_usd": 350.0, "max_profit_usd": 150.0,
        "expected_profit_usd": 21.0, "profit_standard_deviation_usd": 120.0, "expected_shortfall_usd": 300.0,
        "probability_of_profit": 0.7, "expected_return_on_risk": 0.06, "expected_return_on_risk_low": 0.01,
        "expected_return_on_risk_high": 0.11, "market_expected_profit_usd": -5.0, "market_probability_of_profit": 0.66,
        "rank": 1, "is_backtested": True, "reason": "It is expected to bring 21 USD of 353 at risk.",
    }  # fmt: skip
    return table_frame(OPPORTUNITIES, values | columns, rows=len(SESSIONS))


def matrix() -> pd.DataFrame:
    values = {
        "ticker": "SPY", "horizon": "168h", "session": SESSIONS, "rule": "matrix", "is_served": True,
        "target_session": TARGETS, "strategy": "no_trade", "design_size": "NONE", "edge": "no_edge",
        "position_size": 0.0, "direction": "UP", "overall_confidence": 0.6, "contracts": 0, "reasoning": "No trade.",
        "evidence": '{"forecasts": []}',
    }  # fmt: skip
    return table_frame(RECOMMENDATION, values, rows=len(SESSIONS))


def rows(realised_usd: float, settings: Settings, *, random_entry: float = 0.0, **columns: object) -> pd.DataFrame:
    chosen = choose(opportunities(**columns), SelectorSettings())
    profits = np.full(len(chosen), realised_usd) * np.where(np.arange(len(chosen)) % 2, 1.1, 0.9)
    others = np.full(len(chosen), random_entry)
    return expected_value_rows(matrix(), chosen, profits, others, menu=STRUCTURES, horizon=WEEK, settings=settings)


def test_random_entry_is_the_mean_of_the_structure_at_outcomes_known_when_the_choice_ends() -> None:
    draws = np.random.default_rng(11)
    offered = pd.concat(
        [opportunities(structure=name) for name in ("bull_put_spread", "iron_condor")], ignore_index=True
    )
    returns = draws.normal(0.0, 0.3, len(offered))
    returns[[0, 7, 300]] = np.nan
    chosen = choose(opportunities(structure=np.where(np.arange(len(SESSIONS)) % 3, "iron_condor", "bull_put_spread")),
                    SelectorSettings())  # fmt: skip
    chosen.loc[4, "structure"] = "no_trade"
    found = random_entry_returns(chosen, offered, returns)
    assert np.isnan(found[4])
    for place in (0, 1, 5, 6, 100, len(SESSIONS) - 1):
        name, known = chosen["structure"].iloc[place], []
        for row, value in zip(offered.itertuples(), returns, strict=True):
            if row.structure == name and row.target_session <= TARGETS[place] and not math.isnan(value):
                known.append(value)
        assert found[place] == pytest.approx(np.mean(known) if known else np.nan, nan_ok=True)


def test_random_entry_is_of_the_first_ranked_candidate_of_each_structure_that_may_be_traded() -> None:
    first, second = opportunities(rank=1, strikes="395/390"), opportunities(rank=2, strikes="390/385")
    untested, other = opportunities(rank=1, is_backtested=False), opportunities(rank=3, structure="iron_condor")
    table = pd.concat([second, first, untested, other], ignore_index=True)
    offered = entered_at_every_session(table, structures=["bull_put_spread", "no_trade"])
    assert offered["session"].tolist() == SESSIONS.tolist()
    assert set(offered["strikes"]) == {"395/390"}


def test_a_rule_that_earns_what_random_entry_of_its_structures_earns_is_not_sized(settings: Settings) -> None:
    """20 USD of 352.6 at risk are 5.7 %: well beyond their interval, and what random entry brings too."""
    table = rows(20.0, settings, random_entry=20.0 / 352.6)
    assert (table["edge"][64:] == "no_edge").all()
    assert (table["position_size"] == 0.0).all()
    last = table.iloc[-1]
    assert last["reasoning"].endswith("shows no gain over random entry of the same structures beyond its interval.")
    assert "over random entry of the same structures +0.0%" in json.loads(last["evidence"])["profit"]
    assert (rows(20.0, settings, random_entry=0.02)["edge"][64:] == "admissible").all(), "3.7 points more than random"


def test_the_best_opportunity_is_recommended_with_its_contracts_and_both_probabilities(settings: Settings) -> None:
    table = rows(20.0, settings)
    assert tuple(table.columns) == RECOMMENDATION.column_names
    assert set(table["rule"]) == {"expected_value"}
    assert not table["is_served"].any()
    last = table.iloc[-1]
    assert (last["strategy"], last["design_size"], last["strikes"]) == ("bull_put_spread", "HALF", "390/395")
    assert json.loads(last["legs"])[0]["strike"] == 395.0
    assert (last["forecast_probability_of_profit"], last["probability_of_profit"]) == (0.7, 0.66)
    assert (last["expected_profit_usd"], last["net_premium_usd"], last["profit_target_usd"]) == (21.0, -150.0, 75.0)
    assert last["reasoning"].startswith("Bull put spread 390/395 expiring 2024-02-24: It is expected to bring 21 USD")
    assert last["breakevens"] == "393.50", "395 less the 1.50 received"


def test_a_size_is_given_only_once_enough_trades_have_ended_and_earned_beyond_their_interval(
    settings: Settings,
) -> None:
    earning, losing = rows(20.0, settings), rows(-20.0, settings)
    # The first trade ends after five sessions: the sixtieth at the 65th session.
    assert (earning["edge"][:64] == "insufficient_data").all()
    assert (earning["edge"][64:] == "admissible").all()
    assert (earning["position_size"] == np.where(np.arange(len(SESSIONS)) < 64, 0.0, 0.5)).all()
    assert (earning["contracts"][64:] > 0).all()
    assert (losing["edge"][64:] == "no_edge").all()
    assert (losing["position_size"] == 0.0).all()
    assert (losing["design_size"] == "HALF").all()
    assert (
        losing["reasoning"].iloc[-1].endswith("size 0: what the rule chose before shows no profit beyond its interval.")
    )
    assert "trades have ended" in json.loads(losing["evidence"].iloc[-1])["profit"]


def test_without_a_gate_the_rule_is_followed_and_said_to_show_no_edge(settings: Settings) -> None:
    table = rows(-20.0, settings.model_copy(update={"signals": SignalSettings(gate="none", rule="expected_value")}))
    assert (table["position_size"] == 0.5).all()
    assert table["reasoning"].str.contains("no edge shown").all()
    assert table["is_served"].all()


def test_what_clears_no_margin_is_no_trade_with_the_reason(settings: Settings) -> None:
    table = rows(20.0, settings, expected_return_on_risk=0.001)
    assert set(table["strategy"]) == {"no_trade"}
    assert set(table["design_size"]) == {"NONE"}
    assert table["legs"].isna().all()
    assert table["max_loss_usd"].isna().all()
    assert table["reasoning"].iloc[0].startswith("No trade: the best, bull put spread, is expected to bring +0.1%")


def test_sessions_without_opportunities_are_no_trade(settings: Settings) -> None:
    chosen = choose(opportunities().iloc[10:], SelectorSettings())
    table = expected_value_rows(
        matrix(),
        chosen,
        np.full(len(chosen), 5.0),
        np.zeros(len(chosen)),
        menu=STRUCTURES,
        horizon=WEEK,
        settings=settings,
    )
    assert set(table["reasoning"][:10]) == {"No trade: nothing could be valued."}
    assert (table["strategy"][10:] == "bull_put_spread").all()
    nothing = choose(opportunities().iloc[:0], SelectorSettings())
    empty = expected_value_rows(
        matrix(), nothing, np.empty(0), np.empty(0), menu=STRUCTURES, horizon=WEEK, settings=settings
    )
    assert len(empty) == len(SESSIONS)
    assert set(empty["strategy"]) == {"no_trade"}
