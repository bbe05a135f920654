"""No backtest of recommendations holds more positions at once than the settings allow."""

from __future__ import annotations

import pandas as pd
import pytest

from trading_dag.setting_groups import BacktestSettings


def most_at_once(trades: pd.DataFrame) -> int:
    """Greatest number of trades between entry (its session counts) and exit (its session counts too)."""
    held = trades[trades["status"] != "skipped"]
    ends = held["exit_session"].fillna(pd.Timestamp("2100-01-01"))
    return max(int(((held["entry_session"] <= day) & (ends >= day)).sum()) for day in held["entry_session"])


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_limit_on_positions_is_kept_and_counted(random_frames, flat, most: int) -> None:
    frames = random_frames(seed=7, sessions=60)
    free = frames.run("168h", flat, gate=(True, "")).trades
    assert most_at_once(free) > 3
    book = BacktestSettings(half_spread_fraction=0.02, maximum_open_positions=most)
    limited = frames.run("168h", flat.model_copy(update={"backtest": book}), gate=(True, "")).trades
    assert most_at_once(limited) == most
    refused = limited[limited["exit_reason"] == "position_limit"]
    assert len(refused) > 0
    # Each was refused while so many others were held, and would otherwise have been a trade.
    assert (refused["status"] == "skipped").all()
    traded = free[free["status"] != "skipped"]["signal_session"]
    assert refused["signal_session"].isin(traded).all()
