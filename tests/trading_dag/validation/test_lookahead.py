"""The prober catches every kind of planted leak, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import pytest

from trading_dag.errors import ConfigurationError
from trading_dag.sessions import sessions_between
from trading_dag.validation.lookahead import LookaheadViolation, probe_lookahead

N = 300
SESSIONS = sessions_between("2020-01-02", "2024-12-31")[:N]


def _prices() -> pd.DataFrame:
    generator = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "ticker": "SPY",
            "session": SESSIONS,
            "close": 100 * np.exp(np.cumsum(generator.normal(0, 0.01, N))),
            "volume": generator.integers(1_000, 9_000, N),
        }
    )


def _table(prices: pd.DataFrame, **features: object) -> pd.DataFrame:
    return pd.DataFrame({"session": prices["session"], **features})


def _probe(
    build: Callable[..., pd.DataFrame], *, cuts: int = 3, seed: int = 42, **inputs: pd.DataFrame
) -> list[LookaheadViolation]:
    frames = inputs or {"prices": _prices()}
    return probe_lookahead(
        build, frames, time_columns=dict.fromkeys(frames, "session"), table="features.x", cuts=cuts, seed=seed
    )


def _honest(prices: pd.DataFrame) -> pd.DataFrame:
    close = prices["close"]
    return _table(
        prices,
        mean=close.rolling(20).mean(),
        deviation=close.rolling(60).std(),
        smooth=close.ewm(span=12).mean(),
        highest=close.cummax(),
        since_first=close / close.iloc[0] if len(close) else close,
        filled=close.where(close > 100).ffill(),
        volume=prices["volume"].astype("float64"),
        word=close.gt(100).map({True: "high", False: "low"}),
    )


@pytest.mark.parametrize("cuts", [1, 2, 3, 6])
def test_honest_builders_pass(cuts: int) -> None:
    assert _probe(_honest, cuts=cuts) == []


LEAKS: dict[str, Callable[[pd.Series], pd.Series]] = {
    "centred rolling mean": lambda close: close.rolling(5, center=True).mean(),
    "full-sample z-score": lambda close: (close - close.mean()) / close.std(),
    "global min-max": lambda close: (close - close.min()) / (close.max() - close.min()),
    "tomorrow's close": lambda close: close.shift(-1),
    "the close five sessions on": lambda close: close.shift(-5),
    "rank among all sessions": lambda close: close.rank(pct=True),
    "normalised to the last session": lambda close: close / close.iloc[-1],
    "warm-up filled from behind": lambda close: close.rolling(20).mean().bfill(),
    "one-session warm-up filled from behind": lambda close: close.pct_change().bfill(),
    "interpolated gaps": lambda close: close.where(close.index % 7 != 3).interpolate(),
    "reversed cumulative maximum": lambda close: close[::-1].cummax()[::-1],
    "quantile bins of the whole sample": lambda close: pd.qcut(close, 4, labels=False).astype("float64"),
}


@pytest.mark.parametrize("name", list(LEAKS))
def test_a_planted_leak_is_caught_and_only_the_leaking_feature_is_named(name: str) -> None:
    def build(prices: pd.DataFrame) -> pd.DataFrame:
        close = prices["close"].reset_index(drop=True)
        leak = LEAKS[name](close) if len(close) > 3 else close * np.nan
        return _table(prices, honest=close.rolling(10).mean(), leak=leak)

    violations = _probe(build)
    assert violations
    assert {violation.feature for violation in violations} == {"leak"}


def test_a_leak_of_the_last_session_alone_is_caught() -> None:
    def build(prices: pd.DataFrame) -> pd.DataFrame:
        last = float(prices["close"].iloc[-1]) if len(prices) else np.nan
        return _table(prices, leak=np.where(prices["close"] > last, 1.0, 0.0))

    assert {violation.feature for violation in _probe(build)} == {"leak"}


def test_a_leak_that_only_truncation_shows_is_caught() -> None:
    def build(prices: pd.DataFrame) -> pd.DataFrame:
        return _table(prices, leak=prices["close"].index.to_numpy() * 0.0 + len(prices))

    assert "truncated" in {violation.kind for violation in _probe(build)}


def test_a_leak_that_only_perturbation_shows_is_caught() -> None:
    def build(prices: pd.DataFrame) -> pd.DataFrame:
        crash_follows = prices["close"].shift(-1) < 0.8 * prices["close"]
        return _table(prices, leak=crash_follows.astype("float64"))

    assert (build(_prices())["leak"] == 0).all()
    violations = _probe(build, cuts=8)
    assert {(violation.feature, violation.kind) for violation in violations} == {("leak", "perturbed")}


def test_a_gap_filled_from_behind_is_caught_wherever_it_is() -> None:
    for gap in (40, 150, 260):
        prices = _prices()
        prices.loc[gap : gap + 2, "close"] = np.nan

        def build(prices: pd.DataFrame) -> pd.DataFrame:
            return _table(prices, leak=prices["close"].bfill(), honest=prices["close"].ffill())

        assert {violation.feature for violation in _probe(build, cuts=6, prices=prices)} == {"leak"}, gap


def test_a_row_missing_from_a_second_input_and_filled_from_behind_is_caught() -> None:
    index = _prices().drop(columns="volume").drop(index=range(140, 146)).reset_index(drop=True)

    def build(prices: pd.DataFrame, index: pd.DataFrame, method: str = "bfill") -> pd.DataFrame:
        on_sessions = index.set_index("session")["close"].reindex(pd.DatetimeIndex(prices["session"]))
        filled = on_sessions.bfill() if method == "bfill" else on_sessions.ffill()
        return _table(prices, vix=filled.to_numpy())

    assert {violation.feature for violation in _probe(build, prices=_prices(), index=index)} == {"vix"}

    def honest(prices: pd.DataFrame, index: pd.DataFrame) -> pd.DataFrame:
        return build(prices, index, method="ffill")

    assert _probe(honest, prices=_prices(), index=index) == []


def _releases() -> pd.DataFrame:
    """A monthly series: reference date the first of the month, known 40 days later."""
    months = pd.date_range("2020-01-01", periods=14, freq="MS").as_unit("us")
    return pd.DataFrame({"observed": months, "known": months + pd.Timedelta(days=40), "value": np.arange(14.0)})


@pytest.mark.parametrize(("column", "leaks"), [("known", False), ("observed", True)])
def test_a_join_on_the_reference_date_is_caught_and_one_on_the_release_date_is_not(column: str, leaks: bool) -> None:
    def build(prices: pd.DataFrame, releases: pd.DataFrame) -> pd.DataFrame:
        joined = pd.merge_asof(
            prices[["session"]], releases.sort_values(column)[[column, "value"]], left_on="session", right_on=column
        )
        return _table(prices, cpi=joined["value"])

    violations = probe_lookahead(
        build,
        {"prices": _prices(), "releases": _releases()},
        time_columns={"prices": "session", "releases": "known"},
        table="features.macro",
    )
    assert bool(violations) is leaks


def test_times_with_a_timezone_are_compared_with_the_close_of_the_session() -> None:
    news = pd.DataFrame(
        {
            # 20:59 and 21:01 UTC around a close at 16:00 New York in winter
            "known_at": pd.to_datetime(["2020-01-02 20:59", "2020-01-02 21:01", "2020-01-03 15:00"], utc=True),
            "score": [1.0, 2.0, 3.0],
        }
    )

    def build(prices: pd.DataFrame, news: pd.DataFrame, utc_hour: int) -> pd.DataFrame:
        closes = prices["session"].dt.tz_localize("UTC") + pd.Timedelta(hours=utc_hour)
        counts = [float(news.loc[news["known_at"] <= close, "score"].sum()) for close in closes]
        return _table(prices, news=counts)

    def probe(utc_hour: int) -> list[LookaheadViolation]:
        return probe_lookahead(
            lambda prices, news: build(prices, news, utc_hour),
            {"prices": _prices(), "news": news},
            time_columns={"prices": "session", "news": "known_at"},
            table="features.sentiment",
        )

    assert probe(21) == []
    assert {violation.feature for violation in probe(23)} == {"news"}


def test_rows_that_appear_or_vanish_with_later_data_are_reported_as_rows() -> None:
    def vanishing(prices: pd.DataFrame) -> pd.DataFrame:
        return _table(prices, x=1.0)[prices["close"].to_numpy() < prices["close"].mean()]

    rows = [violation for violation in _probe(vanishing) if violation.feature == "session"]
    assert rows
    assert all((violation.expected is None) != (violation.got is None) for violation in rows)


def test_a_builder_whose_rows_end_with_its_inputs_need_not_invent_rows() -> None:
    def build(releases: pd.DataFrame) -> pd.DataFrame:
        days = sessions_between(releases["known"].min(), releases["known"].max())
        joined = pd.merge_asof(
            pd.DataFrame({"session": days}), releases[["known", "value"]], left_on="session", right_on="known"
        )
        return joined[["session", "value"]]

    violations = probe_lookahead(
        build, {"releases": _releases()}, time_columns={"releases": "known"}, table="m", cuts=7
    )
    assert violations == []


def test_a_report_says_what_where_and_how() -> None:
    def build(prices: pd.DataFrame) -> pd.DataFrame:
        return _table(prices, leak=prices["close"].shift(-1))

    violations = _probe(build, cuts=1)
    truncated = next(violation for violation in violations if violation.kind == "truncated")
    cut = SESSIONS[N - 2]
    assert (truncated.table, truncated.feature, truncated.session) == ("features.x", "leak", cut)
    assert truncated.expected == _prices()["close"].iloc[-1]
    assert truncated.got is not None
    assert np.isnan(truncated.got)


def test_numbers_within_the_tolerance_are_the_same_and_beyond_it_are_not() -> None:
    def drifting(size: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
        return lambda prices: _table(prices, x=prices["close"] * (1 + size * len(prices) / N))

    assert _probe(drifting(1e-11)) == []
    assert _probe(drifting(1e-7))


def test_words_are_compared_too() -> None:
    def build(prices: pd.DataFrame) -> pd.DataFrame:
        above = prices["close"] > prices["close"].mean()
        return _table(prices, word=above.map({True: "rich", False: "cheap"}))

    violations = _probe(build)
    assert {violation.feature for violation in violations} == {"word"}
    assert {violation.expected for violation in violations} <= {"rich", "cheap"}


def test_a_probe_is_reproducible_and_leaves_its_inputs_alone() -> None:
    prices = _prices()
    before = prices.copy(deep=True)

    def build(prices: pd.DataFrame) -> pd.DataFrame:
        return _table(prices, leak=prices["close"] / prices["close"].mean())

    assert _probe(build, prices=prices) == _probe(build, prices=prices)
    assert _probe(build, prices=prices, seed=1) != _probe(build, prices=prices, seed=2)
    pd.testing.assert_frame_equal(prices, before)


def test_each_cut_costs_two_recomputations() -> None:
    calls = []

    def build(prices: pd.DataFrame) -> pd.DataFrame:
        calls.append(len(prices))
        return _honest(prices)

    _probe(build, cuts=4)
    assert len(calls) == 1 + 2 * 4


def test_an_empty_table_has_nothing_to_probe() -> None:
    assert _probe(_honest, prices=_prices().iloc[:0]) == []
    assert _probe(_honest, prices=_prices().iloc[:1]) == []


@pytest.mark.parametrize(
    ("times", "cuts", "message"),
    [
        ({}, 3, "no time column"),
        ({"prices": "known_on"}, 3, "no column 'known_on'"),
        ({"prices": "session"}, 0, "at least one cut"),
    ],
)
def test_a_probe_that_cannot_be_made_is_an_error(times: dict[str, str], cuts: int, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        probe_lookahead(_honest, {"prices": _prices()}, time_columns=times, table="x", cuts=cuts)


def test_a_result_without_unique_rows_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="several rows"):
        _probe(lambda prices: pd.concat([_honest(prices), _honest(prices)]))
    with pytest.raises(ConfigurationError, match="no column 'session'"):
        _probe(lambda prices: _honest(prices).drop(columns="session"))


def announcements() -> pd.DataFrame:
    """Thirty announcements whose days are known twenty sessions ahead, and whose figures on the day."""
    sessions = sessions_between("2024-01-02", "2024-12-31")
    days = sessions[20:230:7]
    known = sessions[np.arange(20, 230, 7) - 20]
    return pd.DataFrame({"known_on": known, "figures_on": days, "figure": np.arange(len(days)) + 1.0})


def latest_figure(events: pd.DataFrame, *, by: str) -> pd.DataFrame:
    """The figure of the latest event, by one of its days; none where it is missing."""
    sessions = sessions_between("2024-01-02", "2024-12-31")
    ordered = events.dropna(subset=["figure"]).sort_values(by)
    latest = np.searchsorted(ordered[by].to_numpy(), sessions.to_numpy(), side="right") - 1
    figures = np.append(ordered["figure"].to_numpy(), np.nan)
    return pd.DataFrame({"session": sessions, "figure": figures[latest]})


@pytest.mark.parametrize(("by", "leaks"), [("known_on", True), ("figures_on", False)])
def test_a_figure_that_is_shown_when_only_its_day_was_known_is_caught(by: str, leaks: bool) -> None:
    events = announcements()
    times = {"events": "known_on"}
    build = partial(latest_figure, by=by)
    # The row is known: without being told that its figure is not, the probe sees nothing.
    blind = probe_lookahead(build, {"events": events}, time_columns=times, table="t")
    assert blind == []
    found = probe_lookahead(
        build, {"events": events}, time_columns=times, table="t", late_columns={"events": {"figure": "figures_on"}}
    )
    assert bool(found) == leaks
    if leaks:
        assert {violation.kind for violation in found} == {"truncated", "perturbed"}


def test_a_late_column_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="has no column 'figures_at'"):
        probe_lookahead(
            partial(latest_figure, by="known_on"),
            {"events": announcements()},
            time_columns={"events": "known_on"},
            table="t",
            late_columns={"events": {"figure": "figures_at"}},
        )


def _of_two_models(prices: pd.DataFrame, *, leaks: bool) -> pd.DataFrame:
    close = prices["close"]
    later = close.shift(-1)
    one = _table(prices, model="one", forecast=close.rolling(5).mean(), outcome=later)
    other = _table(prices, model="other", forecast=later.ffill() if leaks else close, outcome=later)
    return pd.concat([one, other], ignore_index=True)


def test_rows_of_several_models_are_compared_each_with_its_own_and_outcomes_are_not() -> None:
    probe = partial(
        probe_lookahead, inputs={"prices": _prices()}, time_columns={"prices": "session"}, table="predictions.x",
        also_by=("model",), outcomes=("outcome",),
    )  # fmt: skip
    assert probe(partial(_of_two_models, leaks=False)) == []
    found = probe(partial(_of_two_models, leaks=True))
    assert {violation.feature for violation in found} == {"forecast of other"}


def test_an_outcome_that_is_compared_is_found_and_a_model_that_disappears_too() -> None:
    probe = partial(
        probe_lookahead, inputs={"prices": _prices()}, time_columns={"prices": "session"}, table="predictions.x",
        also_by=("model",),
    )  # fmt: skip
    assert {v.feature for v in probe(partial(_of_two_models, leaks=False))} == {"outcome of one", "outcome of other"}

    def only_with_the_last(prices: pd.DataFrame) -> pd.DataFrame:
        both = _of_two_models(prices, leaks=False).drop(columns="outcome")
        return both if len(prices) == N else both[both["model"] == "one"]

    assert {v.feature for v in probe(only_with_the_last)} == {"forecast of other"}


def test_rows_that_share_a_session_and_a_model_are_refused() -> None:
    def doubled(prices: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([_table(prices, model="one", forecast=prices["close"])] * 2)

    with pytest.raises(ConfigurationError, match="several rows of one session, model"):
        probe_lookahead(
            doubled, {"prices": _prices()}, time_columns={"prices": "session"}, table="x", also_by=("model",)
        )


def _probe_of_the_last_session(build: Callable[..., pd.DataFrame]) -> list[LookaheadViolation]:
    """The probe that an asset makes of a session that has come to a stored slice."""
    prices = _prices()
    return probe_lookahead(
        build, {"prices": prices}, time_columns={"prices": "session"}, table="features.x",
        made=build(prices), before=build(prices.iloc[:-1]),
    )  # fmt: skip


def test_an_honest_session_that_was_added_passes_and_costs_one_recomputation() -> None:
    calls = 0

    def build(prices: pd.DataFrame) -> pd.DataFrame:
        nonlocal calls
        calls += 1
        return _honest(prices)

    assert _probe_of_the_last_session(build) == []
    assert calls == 3  # two of them are what was stored and what is to be


@pytest.mark.parametrize(
    ("leak", "kinds"),
    [
        (lambda prices: prices["close"].shift(-1), {"truncated", "perturbed"}),
        (lambda prices: prices["close"] - prices["close"].mean(), {"truncated", "perturbed"}),
        (lambda prices: prices["close"].where(prices.index < N - 2, prices["close"].iloc[-1]), {"perturbed"}),
        (lambda prices: prices["close"] * (len(prices) < N), {"truncated"}),
    ],
)  # fmt: skip
def test_a_leak_into_what_was_stored_before_a_session_came_is_caught(
    leak: Callable[[pd.DataFrame], pd.Series], kinds: set[str]
) -> None:
    found = _probe_of_the_last_session(lambda prices: _table(prices, honest=prices["close"], leak=leak(prices)))
    assert {violation.feature for violation in found} == {"leak"}
    assert {violation.kind for violation in found} >= kinds
    assert all(violation.session <= SESSIONS[-2] for violation in found)


def test_a_row_that_a_new_session_takes_away_is_caught() -> None:
    found = _probe_of_the_last_session(lambda prices: _table(prices, close=prices["close"]).iloc[len(prices) - N + 1 :])
    assert ("session", SESSIONS[0]) in {(violation.feature, violation.session) for violation in found}
