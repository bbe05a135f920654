"""Rank of a chain's own 30-day volatility, and which volatility an underlying's rank is of.

The level comes from ``features.option_chain``; the volatility index's rank, by the same definition, from
``features.implied_volatility``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, TextArray
from trading_dag.features.implied_volatility import RANK_WINDOW
from trading_dag.schemas.vocabulary import IV_SOURCES

LEAST_SESSIONS: Final = 126
OWN_INDEX, OWN_CHAIN, PROXY_INDEX = IV_SOURCES


def rank_of_level(level: FloatArray) -> dict[str, FloatArray]:
    """Return rank, percentile and number of known levels of the last 252 sessions, t included.

    Parameters
    ----------
    level : (sessions,) 30-day at-the-money volatility, NaN where a session has none.

    Returns
    -------
    ``chain_iv_rank`` and ``chain_iv_percentile``, 0 to 100, by the definitions of iv_rank and iv_percentile over the
    known levels; NaN where t's is not known, fewer than 126 are, and the rank where they are all the same.
    ``chain_iv_sessions`` counts the known ones.
    """
    window = pd.Series(level).rolling(RANK_WINDOW, min_periods=1)
    known = window.count().to_numpy()
    low, high = window.min().to_numpy(), window.max().to_numpy()
    is_ranked = np.isfinite(level) & (known >= LEAST_SESSIONS)
    below = np.zeros(len(level))
    for sessions in range(1, min(RANK_WINDOW, len(level))):
        below[sessions:] += level[:-sessions] < level[sessions:]
    spread = np.where(high > low, high - low, np.nan)
    return {
        "chain_iv_rank": np.where(is_ranked, (level - low) / spread * 100.0, np.nan),
        "chain_iv_percentile": np.where(is_ranked, below / np.maximum(known, 1.0) * 100.0, np.nan),
        "chain_iv_sessions": known,
    }


def own_rank(
    of_index: dict[str, FloatArray], index_source: TextArray, of_chain: dict[str, FloatArray]
) -> dict[str, FloatArray | TextArray]:
    """Return the rank of the ticker's own options and whose it is: its index's, otherwise its chain's.

    Parameters
    ----------
    of_index : ``iv_rank`` and ``iv_percentile`` by session.
    index_source : ``index`` where they are of the ticker's own index, ``proxy_index`` of another's, None of none.
    of_chain : as ``rank_of_level`` returns it.

    Returns
    -------
    ``own_iv_rank`` and ``own_iv_percentile``, NaN where only a proxy speaks, and ``iv_source``: ``index``, ``chain``,
    ``proxy_index`` where neither of its own is known but a proxy is, None where nothing is.
    """
    has_index = (index_source == OWN_INDEX) & np.isfinite(of_index["iv_rank"])
    has_chain = ~has_index & np.isfinite(of_chain["chain_iv_rank"])
    has_proxy = ~has_index & ~has_chain & (index_source == PROXY_INDEX) & np.isfinite(of_index["iv_rank"])
    source = np.full(len(has_index), None, dtype=object)
    for holds, name in ((has_index, OWN_INDEX), (has_chain, OWN_CHAIN), (has_proxy, PROXY_INDEX)):
        source[holds] = name
    return {
        f"own_{name}": np.where(has_index, of_index[name], np.where(has_chain, of_chain[f"chain_{name}"], np.nan))
        for name in ("iv_rank", "iv_percentile")
    } | {"iv_source": source}
