"""A close that was filled in for one session is no feed that turned late; a feed that turned late is seen."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trading_dag.quality.index_timing import late_since_a_repeated_close

AT = 200


def relatives() -> tuple[pd.Series, pd.Series]:
    """A relative of VIXCLS, and VIXCLS itself, which jumps by a fifth in one session and hardly moves in the next."""
    generator = np.random.default_rng(5)
    moves = generator.normal(0.0, 0.06, 400)
    moves[AT : AT + 12] = [0.2, *generator.normal(0.0, 0.01, 11)]
    own = 0.85 * moves + generator.normal(0.0, 0.015, 400)
    return pd.Series(20 * np.exp(np.cumsum(own))), pd.Series(18 * np.exp(np.cumsum(moves)))


def test_a_close_filled_in_on_the_day_of_a_jump_is_no_late_feed() -> None:
    index, vixcls = relatives()
    index.iloc[AT] = index.iloc[AT - 1]
    flags = late_since_a_repeated_close(index, vixcls)
    assert flags is not None
    assert not flags.any()


def test_an_index_that_repeats_a_close_and_is_a_session_late_from_then_on_is_seen() -> None:
    index, vixcls = relatives()
    late = index.where(index.index < 250, index.shift(1))
    flags = late_since_a_repeated_close(late, vixcls)
    assert flags is not None
    assert flags.iloc[250:255].all()
