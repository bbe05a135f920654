"""Which sessions of a chain are computed, what is kept on the way, and that no session sees a later one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from trading_dag.options.chains import history as chain_history
from trading_dag.options.chains.history import HistoryProgress, HistoryTables, analyse_history, together
from trading_dag.options.pricing import black_scholes
from trading_dag.quality import empty_frame
from trading_dag.schemas import CHAIN_ANALYTICS, DEALER_EXPOSURE, OPTION_CHAIN

SESSIONS = pd.DatetimeIndex(["2024-11-12", "2024-11-13", "2024-11-14", "2024-11-15", "2024-11-18"]).as_unit("us")
RATES = pd.Series(0.04, index=SESSIONS)
NOTHING = HistoryTables(empty_frame(CHAIN_ANALYTICS), empty_frame(DEALER_EXPOSURE))


def chain_of(session: pd.Timestamp, volatility: float = 0.2) -> pd.DataFrame:
    """European options of one volatility, a cent of half spread."""
    grid = pd.MultiIndex.from_product(
        [[pd.Timestamp("2024-12-20")], np.arange(450.0, 555.0, 5.0), ["C", "P"]],
        names=["expiration", "strike", "option_right"],
    ).to_frame(index=False)
    spot = 500.0 + session.day
    middle = black_scholes.price(
        spot=spot, strike=grid["strike"], years=(grid["expiration"] - session).dt.days / 365, rate=0.04,
        dividend_yield=0.01, volatility=volatility, is_call=grid["option_right"] == "C",
    )  # fmt: skip
    frame = grid.assign(
        ticker="SPY", quote_date=session, underlying_price=spot, bid=middle - 0.01, ask=middle + 0.01, last=middle,
        volume=10.0, open_interest=100.0, implied_volatility=np.nan,
    )  # fmt: skip
    frame[["quote_date", "expiration"]] = frame[["quote_date", "expiration"]].astype("datetime64[us]")
    return frame[list(OPTION_CHAIN.column_names)]


def chains(sessions: pd.DatetimeIndex = SESSIONS, **volatilities: float) -> Iterator[tuple[pd.Timestamp, pd.DataFrame]]:
    for session in sessions:
        yield session, chain_of(session, volatilities.get(f"on_{session.day}", 0.2))


@pytest.fixture(scope="module")
def whole() -> HistoryTables:
    return analyse_history(chains(), rates=RATES, known=NOTHING).tables


def test_every_session_is_there_with_the_volatility_it_was_made_of(whole: HistoryTables) -> None:
    assert whole.smiles["session"].tolist() == whole.exposure["session"].tolist() == list(SESSIONS)
    assert whole.smiles["atm_volatility"].to_numpy() == pytest.approx(np.full(5, 0.2), abs=2e-3)


def test_known_sessions_are_not_computed_again_but_for_the_last_which_is_pictured(whole: HistoryTables) -> None:
    again = analyse_history(chains(), rates=RATES, known=whole)
    assert again.computed == 1
    assert again.latest is not None
    assert again.latest.session == SESSIONS[-1]
    pd.testing.assert_frame_equal(again.tables.smiles, whole.smiles)
    pd.testing.assert_frame_equal(again.tables.exposure, whole.exposure)


def test_a_changed_session_is_computed_again_and_so_is_the_one_after_it(whole: HistoryTables) -> None:
    """The one after it looks for quotes that stood still since."""
    changed = analyse_history(chains(on_13=0.3), rates=RATES, known=whole)
    assert changed.computed == 3  # the 13th, the 14th, and the last
    by_session = changed.tables.smiles.set_index("session")["atm_volatility"]
    assert by_session[SESSIONS[1]] == pytest.approx(0.3, abs=2e-3)
    kept = changed.tables.smiles["session"].isin(SESSIONS[[0, 3, 4]])
    pd.testing.assert_frame_equal(
        changed.tables.smiles[kept].reset_index(drop=True),
        whole.smiles[whole.smiles["session"].isin(SESSIONS[[0, 3, 4]])].reset_index(drop=True),
    )


def test_a_session_that_is_no_longer_stored_leaves_the_tables(whole: HistoryTables) -> None:
    left = analyse_history(chains(SESSIONS[1:]), rates=RATES.iloc[1:], known=whole)
    assert left.tables.exposure["session"].tolist() == list(SESSIONS[1:])
    assert left.computed == 2  # the first has lost the one before it, the last is pictured


def test_no_session_changes_with_what_comes_after_it(whole: HistoryTables) -> None:
    early = analyse_history(chains(SESSIONS[:3]), rates=RATES.iloc[:3], known=NOTHING).tables
    for ours, of_all in ((early.smiles, whole.smiles), (early.exposure, whole.exposure)):
        pd.testing.assert_frame_equal(ours, of_all[of_all["session"].isin(SESSIONS[:3])].reset_index(drop=True))


def test_what_was_kept_before_an_end_is_not_computed_again(
    whole: HistoryTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_history, "KEPT_SESSIONS", 2)
    kept: list[HistoryTables] = []

    def ending() -> Iterator[tuple[pd.Timestamp, pd.DataFrame]]:
        yield from chains(SESSIONS[:3])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        analyse_history(ending(), rates=RATES, known=NOTHING, keep=kept.append)
    (part,) = kept
    assert part.exposure["session"].tolist() == list(SESSIONS[:2])
    resumed = analyse_history(chains(), rates=RATES, known=part)
    assert resumed.computed == 3
    pd.testing.assert_frame_equal(resumed.tables.smiles, whole.smiles)


def test_progress_counts_sessions_and_what_was_computed(whole: HistoryTables) -> None:
    seen: list[HistoryProgress] = []
    first_two = HistoryTables(*(frame[frame["session"].isin(SESSIONS[:2])] for frame in (whole.smiles, whole.exposure)))
    analyse_history(chains(), rates=RATES, known=first_two, progress=seen.append)
    assert [(at.done, at.sessions, at.computed) for at in seen] == [
        (1, 5, 0), (2, 5, 0), (3, 5, 1), (4, 5, 2), (5, 5, 3),
    ]  # fmt: skip


def test_of_two_tables_the_newer_rows_of_a_session_count(whole: HistoryTables) -> None:
    newer = analyse_history(chains(SESSIONS[1:2], on_13=0.3), rates=RATES.iloc[1:2], known=NOTHING).tables
    both = together(whole, newer)
    assert both.exposure["session"].tolist() == list(SESSIONS)
    by_session = both.smiles.set_index("session")["atm_volatility"]
    assert by_session[SESSIONS[1]] == pytest.approx(0.3, abs=2e-3)
    assert by_session.drop(SESSIONS[1]).to_numpy() == pytest.approx(np.full(4, 0.2), abs=2e-3)


def test_no_sessions_give_typed_tables_without_rows() -> None:
    nothing = analyse_history(iter(()), rates=RATES.iloc[:0], known=NOTHING)
    assert (nothing.latest, nothing.computed) == (None, 0)
    assert list(nothing.tables.smiles.columns) == list(CHAIN_ANALYTICS.column_names)
    assert nothing.tables.exposure.empty
