"""What random entry and always trading mean for a rule that names its contracts."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from trading_dag.backtest.runs.named_contracts import offered_contracts
from trading_dag.errors import SchemaError
from trading_dag.options.structures.structure import STRUCTURES

SPREAD = STRUCTURES["bull_put_spread"]


def offered(sessions: pd.DatetimeIndex, spots: np.ndarray, *, below: float = 8.0) -> pd.DataFrame:
    """One candidate a session, some dollars below the close and three weeks off, and a worse one beside it."""
    high = np.round(spots - below)
    rows = {
        "session": sessions, "structure": "bull_put_spread", "held_to": "target", "back_expiration": pd.NaT,
        "expiration": (sessions + pd.Timedelta(days=21)).map(lambda day: day + pd.Timedelta(days=4 - day.weekday())),
        "is_backtested": True, "quote_source": "modelled", "expected_return_on_risk": 0.03,
    }  # fmt: skip
    best = pd.DataFrame({**rows, "strikes": [f"{strike:g}/{strike - 5:g}" for strike in high], "rank": 1})
    worse = pd.DataFrame({**rows, "strikes": [f"{strike + 3:g}/{strike - 5:g}" for strike in high], "rank": 2})
    return pd.concat([worse, best], ignore_index=True)


def signals_of(candidates: pd.DataFrame) -> pd.DataFrame:
    best = candidates[candidates["rank"] == 1].reset_index(drop=True)
    legs = [
        json.dumps([
            {"option_right": "P", "side": side, "ratio": 1, "strike": float(strike), "expiration": str(day.date())}
            for side, strike in zip(("sell", "buy"), text.split("/"), strict=True)
        ])
        for text, day in zip(best["strikes"], best["expiration"], strict=True)
    ]  # fmt: skip
    return pd.DataFrame({
        "ticker": "SPY", "session": best["session"], "rule": "expected_value", "strategy": "bull_put_spread",
        "design_size": "HALF", "overall_confidence": 0.6, "legs": legs,
    })  # fmt: skip


def test_a_rule_that_takes_the_best_candidate_of_every_session_is_its_own_comparator(random_frames, flat):
    """Whatever strikes it names: the same strikes on shuffled sessions come to the same total."""
    frames = random_frames(4, sessions=160)
    candidates = offered(pd.DatetimeIndex(frames.prices["session"]), frames.prices["close"].to_numpy(), below=14.0)
    roomy = flat.model_copy(update={"backtest": flat.backtest.model_copy(update={"account_usd": 10_000_000.0})})
    result = frames.changed(signals=signals_of(candidates)).run("48h", roomy, opportunities=candidates)
    summary = result.summary.iloc[0]
    total = result.trades["pnl_usd"].sum()
    assert summary["always_trades"] == summary["trades"] > 100
    assert summary["always_pnl_usd"] == pytest.approx(total)
    luck = result.luck["expected_value"]
    assert luck.mean_usd == pytest.approx(total)
    assert summary["random_entry_p_value"] == 1.0
    # By the structure's own strikes the comparison would be with other trades.
    matrix = frames.changed(signals=signals_of(candidates).assign(rule="matrix")).run("48h", roomy)
    assert matrix.summary["always_pnl_usd"].iloc[0] != pytest.approx(total)


def test_sessions_that_offer_no_candidate_are_none_to_enter_on(random_frames, flat):
    frames = random_frames(4, sessions=120)
    sessions = pd.DatetimeIndex(frames.prices["session"])
    candidates = offered(sessions, frames.prices["close"].to_numpy())
    few = candidates[candidates["session"].isin(sessions[::3])]
    result = frames.changed(signals=signals_of(candidates).iloc[::6]).run("48h", flat, opportunities=few)
    assert result.luck["expected_value"].sessions <= len(sessions[::3])
    assert result.summary["always_trades"].iloc[0] <= len(sessions[::3])


def test_without_opportunities_a_rule_that_names_contracts_has_no_comparator(random_frames, flat):
    frames = random_frames(4, sessions=120)
    candidates = offered(pd.DatetimeIndex(frames.prices["session"]), frames.prices["close"].to_numpy())
    summary = frames.changed(signals=signals_of(candidates)).run("48h", flat).summary.iloc[0]
    assert summary["trades"] > 0
    assert pd.isna(summary["random_entry_p_value"])
    assert pd.isna(summary["always_pnl_usd"])


def test_the_contracts_offered_are_the_best_ranked_of_each_session() -> None:
    sessions = pd.DatetimeIndex(["2024-03-04", "2024-03-05", "2024-03-06"])
    rows = offered(sessions[:2], np.array([100.0, 110.0]))
    rows.loc[(rows["session"] == sessions[1]) & (rows["rank"] == 1), "is_backtested"] = False
    named = offered_contracts(SPREAD, rows, sessions)
    assert named.strikes[:2].tolist() == [[92.0, 87.0], [105.0, 97.0]]
    assert np.isnan(named.strikes[2]).all()
    days = named.expiration_day.astype("datetime64[D]").astype(str).tolist()
    assert days == ["2024-03-29", "2024-03-29", "1970-01-01"]
    with pytest.raises(SchemaError, match="strikes"):
        offered_contracts(SPREAD, rows.drop(columns="strikes"), sessions)
