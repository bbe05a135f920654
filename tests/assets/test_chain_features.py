"""The asset of chain features: the look-ahead prober passes a ticker that was split, and sees a row of tomorrow."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from assets.chain_features import chain_features
from trading_dag.frames import table_frame
from trading_dag.quality import empty_frame
from trading_dag.schemas import CHAIN_ANALYTICS, DEALER_EXPOSURE, IMPLIED_VOLATILITY
from trading_dag.sessions import sessions_between
from trading_dag.validation.lookahead import probe_lookahead

SESSIONS = sessions_between("2024-03-01", "2024-04-30")
SPLIT_AT = 25


def test_a_later_split_is_no_look_ahead_and_a_later_chain_would_be() -> None:
    """400 USD until 4 for 1 takes effect, 100 USD since; closes are restated."""
    rows = len(SESSIONS)
    spot = np.where(np.arange(rows) < SPLIT_AT, 400.0, 100.0)
    split_factor = np.where(np.arange(rows) == SPLIT_AT, 4.0, 1.0)
    prices = pd.DataFrame({"ticker": "SPY", "session": SESSIONS, "close": 100.0, "split_factor": split_factor})
    counts = dict.fromkeys(("call_volume", "put_volume", "call_open_interest", "put_open_interest"), 100.0)
    head = {"ticker": "SPY", "session": SESSIONS, "contracts": 9, "chain_digest": "x", "spot": spot, "net_gamma": spot}
    exposure = table_frame(DEALER_EXPOSURE, {**head, **counts}, rows=rows)
    inputs = {
        "exposure": exposure,
        "analytics": empty_frame(CHAIN_ANALYTICS),
        "implied_volatility": empty_frame(IMPLIED_VOLATILITY),
    }
    assert chain_features.probe is not None
    times = {name: str(column) for name, column in chain_features.probe.times.items()}
    build = partial(chain_features.function, None, prices=prices)
    assert build(**inputs)["net_gamma"].tolist() == spot.tolist()
    assert probe_lookahead(build, inputs, time_columns=times, table="features.option_chain", cuts=6) == []

    def leaky(exposure: pd.DataFrame, **others: pd.DataFrame) -> pd.DataFrame:
        return build(exposure=exposure, **others).assign(net_gamma=lambda frame: frame["net_gamma"].shift(-1))

    found = probe_lookahead(leaky, inputs, time_columns=times, table="features.option_chain", cuts=6)
    assert {violation.feature for violation in found} == {"net_gamma"}
