"""The rank of a chain's own volatility: by definition, over known levels, and never of two sources at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading_dag.features.test_option_chain import analytics_of, exposure_of, prices_of
from trading_dag.features.chain_rank import LEAST_SESSIONS, own_rank, rank_of_level
from trading_dag.features.implied_volatility import RANK_WINDOW
from trading_dag.features.option_chain import build_option_chain
from trading_dag.sessions import sessions_between
from trading_dag.validation.lookahead import probe_lookahead

SESSIONS = sessions_between("2022-01-03", "2024-12-31")


def levels(count: int, *, holes: float = 0.0, seed: int = 5) -> np.ndarray:
    generator = np.random.default_rng(seed)
    made = generator.uniform(10.0, 40.0, count)
    made[generator.random(count) < holes] = np.nan
    return made


@pytest.mark.parametrize("holes", [0.0, 0.3])
def test_rank_and_percentile_are_those_of_the_known_levels_of_252_sessions(holes: float) -> None:
    level = levels(600, holes=holes)
    found = rank_of_level(level)
    for t in (125, 126, 251, 252, 400, 599):
        window = level[max(t - RANK_WINDOW + 1, 0) : t + 1]
        known = window[~np.isnan(window)]
        assert found["chain_iv_sessions"][t] == len(known)
        if np.isnan(level[t]) or len(known) < LEAST_SESSIONS:
            assert np.isnan(found["chain_iv_rank"][t])
            assert np.isnan(found["chain_iv_percentile"][t])
            continue
        rank = (level[t] - known.min()) / (known.max() - known.min()) * 100
        assert found["chain_iv_rank"][t] == pytest.approx(rank, rel=1e-12)
        percentile = sum(value < level[t] for value in known) / len(known) * 100
        assert found["chain_iv_percentile"][t] == pytest.approx(percentile, rel=1e-12)


def test_125_known_sessions_give_no_rank_and_126_do() -> None:
    level = np.full(300, np.nan)
    level[100:225] = levels(125)
    level[226] = 25.0
    found = rank_of_level(level)
    assert np.isnan(found["chain_iv_rank"][224])
    assert found["chain_iv_sessions"][224] == 125
    assert np.isfinite(found["chain_iv_rank"][226])
    assert np.isnan(found["chain_iv_rank"][225])  # today's level is not known


def test_levels_that_do_not_vary_have_no_rank_and_a_percentile_of_0() -> None:
    found = rank_of_level(np.full(200, 20.0))
    assert np.isnan(found["chain_iv_rank"]).all()
    assert found["chain_iv_percentile"][-1] == 0.0


@given(st.lists(st.floats(5, 80) | st.just(float("nan")), min_size=130, max_size=280), st.integers(0, 120))
def test_ranks_are_bounded_and_know_nothing_of_later_levels(values: list[float], cut: int) -> None:
    level = np.array(values)
    found, earlier = rank_of_level(level), rank_of_level(level[: len(level) - cut])
    for name, column in earlier.items():
        np.testing.assert_array_equal(found[name][: len(column)], column)
    known = found["chain_iv_rank"][np.isfinite(found["chain_iv_rank"])]
    assert ((known >= 0) & (known <= 100)).all()


def _own(source: str | None, index_rank: float, chain_rank: float) -> tuple[object, float]:
    of_index = {"iv_rank": np.array([index_rank]), "iv_percentile": np.array([index_rank])}
    of_chain = {"chain_iv_rank": np.array([chain_rank]), "chain_iv_percentile": np.array([chain_rank])}
    found = own_rank(of_index, np.array([source], dtype=object), of_chain)
    return found["iv_source"][0], float(found["own_iv_rank"][0])


@pytest.mark.parametrize(
    ("source", "index_rank", "chain_rank", "expected"),
    [
        ("index", 40.0, 70.0, ("index", 40.0)),
        ("proxy_index", 40.0, 70.0, ("chain", 70.0)),
        ("proxy_index", 40.0, np.nan, ("proxy_index", np.nan)),
        ("proxy_index", np.nan, np.nan, (None, np.nan)),
        ("index", np.nan, 70.0, ("chain", 70.0)),
        (None, np.nan, 70.0, ("chain", 70.0)),
        (None, 40.0, np.nan, (None, np.nan)),
    ],
)
def test_a_ticker_is_ranked_by_its_own_options_and_never_by_anothers(
    source: str | None, index_rank: float, chain_rank: float, expected: tuple[object, float]
) -> None:
    name, rank = _own(source, index_rank, chain_rank)
    assert name == expected[0]
    assert rank == pytest.approx(expected[1], nan_ok=True)


def _of_index(sessions: pd.DatetimeIndex, source: str) -> pd.DataFrame:
    values = {"iv_rank": 33.0, "iv_percentile": 44.0, "iv_source": source}
    return pd.DataFrame({"ticker": "SPY", "session": sessions, **values})


@pytest.fixture(scope="module")
def analytics() -> pd.DataFrame:
    """200 sessions of chains with expirations of 20 and 40 days, at levels that vary."""
    sessions = SESSIONS[:200]
    made = analytics_of(sessions, {20: 0.2, 40: 0.25})
    level = 1.0 + 0.3 * np.sin(np.arange(200) / 7.0)
    return made.assign(atm_volatility=made["atm_volatility"] * np.repeat(level, 2))


def test_the_table_ranks_the_chain_once_126_sessions_have_one_and_says_what_it_reads(analytics: pd.DataFrame) -> None:
    sessions = SESSIONS[:200]
    for source, expected in (("proxy_index", ["proxy_index"] * 125 + ["chain"] * 75), ("index", ["index"] * 200)):
        built = build_option_chain(
            prices_of(sessions),
            exposure_of(sessions),
            analytics=analytics,
            implied_volatility=_of_index(sessions, source),
        )
        assert built["iv_source"].tolist() == expected
        chain = built["chain_iv_rank"]
        assert chain.notna().tolist() == [False] * 125 + [True] * 75
        level = built["atm_iv_30d"]
        last = (level.iloc[-1] - level.min()) / (level.max() - level.min()) * 100
        assert chain.iloc[-1] == pytest.approx(last, rel=1e-12)
        own = chain if source == "proxy_index" else pd.Series(33.0, index=chain.index)
        pd.testing.assert_series_equal(built["own_iv_rank"], own, check_names=False)


def test_without_an_index_nothing_but_the_chain_speaks(analytics: pd.DataFrame) -> None:
    sessions = SESSIONS[:200]
    built = build_option_chain(prices_of(sessions), exposure_of(sessions), analytics=analytics)
    assert built["iv_source"].iloc[:125].isna().all()
    assert set(built["iv_source"].iloc[125:]) == {"chain"}


def test_no_rank_of_the_chain_depends_on_later_sessions(analytics: pd.DataFrame) -> None:
    sessions = SESSIONS[:200]

    def build(analytics: pd.DataFrame, implied_volatility: pd.DataFrame) -> pd.DataFrame:
        return build_option_chain(
            prices_of(sessions), exposure_of(sessions), analytics=analytics, implied_volatility=implied_volatility
        )

    inputs = {"analytics": analytics, "implied_volatility": _of_index(sessions, "proxy_index")}
    times = dict.fromkeys(inputs, "session")
    assert probe_lookahead(build, inputs, time_columns=times, table="features.option_chain", cuts=5) == []
