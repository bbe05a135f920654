"""Rolling scores against a loop over windows, what they are judged on, and that nothing is known too early."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.trading_dag.drift.forecasts import SESSIONS, forecasts, log_of
from trading_dag.drift.accuracy import accuracy_report, breaches_in_words, newest_of_each
from trading_dag.frames import table_frame
from trading_dag.quality import conform
from trading_dag.schemas import ACCURACY, PREDICTIONS_LOG
from trading_dag.setting_groups import DriftSettings
from trading_dag.slices import horizon_of

SETTINGS = DriftSettings()
ROWS = 420
EMPTY_LOG = table_frame(PREDICTIONS_LOG, {}, rows=0)


def report_of(made: dict[str, pd.DataFrame], log: pd.DataFrame = EMPTY_LOG, *, source: str = "files") -> pd.DataFrame:
    tables = {name: made[name] for name in ("direction", "volatility", "price")}
    return accuracy_report(
        tables, log, made["targets"], source=source, horizon=horizon_of("24h"), settings=SETTINGS
    )  # fmt: skip


@pytest.fixture(scope="module")
def made() -> dict[str, pd.DataFrame]:
    return forecasts(ROWS)


@pytest.fixture(scope="module")
def report(made: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return report_of(made)


def test_the_direction_is_scored_as_a_loop_over_its_windows_scores_it(made, report: pd.DataFrame) -> None:
    own = made["direction"].query("model == 'direction_shrunk'").sort_values("session")
    rises = own["probability_up"].to_numpy()
    rose = (own["forward_return"] > 0).to_numpy().astype(float)
    gains = 0.25 - (rises - rose) ** 2
    rows = report.query("task == 'direction'").reset_index(drop=True)
    assert len(rows) == ROWS - 59
    for place in (0, 239, 240, 300, 360):
        row, window = rows.iloc[place], slice(place, place + 60)
        assert row["value"] == pytest.approx(((rises - rose) ** 2)[window].mean(), rel=1e-12)
        assert row["gain"] == pytest.approx(gains[window].mean(), rel=1e-12)
        assert (row["first_session"], row["last_session"]) == (SESSIONS[place], SESSIONS[place + 59])
        assert row["as_of_session"] == SESSIONS[place + 60]
        # The outcome of session t − 1 is known at session t, when the window's first forecast is made.
        assert row["n_reference"] == place
        if place >= 240:
            means = [gains[end - 60 : end].mean() for end in range(60, place + 1)]
            assert row["band_low"] == pytest.approx(np.quantile(means, 0.05), rel=1e-9)
            assert row["is_breached"] == (row["gain"] < row["band_low"])
        else:
            assert np.isnan(row["band_low"])
            assert not row["is_breached"]


def test_the_regime_is_scored_beside_the_markov_chain_and_the_price_by_what_its_interval_holds(
    made, report: pd.DataFrame
) -> None:
    own = made["volatility"].query("model == 'volatility_blend'").sort_values("session").tail(60)
    cumulated = own[["probability_low", "probability_normal"]].to_numpy().cumsum(axis=1)
    codes = own["y_true"].map({"LOW": 0, "NORMAL": 1, "HIGH": 2}).to_numpy()
    truth = np.stack([codes <= 0, codes <= 1], axis=1)
    rps = ((cumulated - truth) ** 2).sum(axis=1).mean() / 2
    markov = ((np.array([1 / 3, 2 / 3]) - truth) ** 2).sum(axis=1).mean() / 2
    newest = newest_of_each(report).set_index("task")
    assert newest.loc["volatility", "value"] == pytest.approx(rps, rel=1e-9)
    assert newest.loc["volatility", "baseline_value"] == pytest.approx(markov, rel=1e-9)
    inside = made["price"]["y_true"].tail(60).between(98.4, 101.6).mean()
    assert newest.loc["price", "value"] == pytest.approx(inside)
    assert newest.loc["price", "gain"] == pytest.approx(inside - 0.9)
    assert newest["baseline"].to_dict() == {"direction": "climatology", "volatility": "markov", "price": "nominal"}


def test_what_comes_later_changes_no_row(report: pd.DataFrame) -> None:
    earlier = report_of(forecasts(ROWS, known=350))
    known = report[report["as_of_session"] <= SESSIONS[350]]
    order = ["task", "as_of_session"]
    pd.testing.assert_frame_equal(
        earlier.sort_values(order, ignore_index=True), known.sort_values(order, ignore_index=True)
    )


def test_a_model_that_turns_worse_than_it_ever_was_is_breached_and_said_in_words() -> None:
    good, bad = forecasts(ROWS), forecasts(ROWS, skill=-0.05)
    turns = good["direction"]["session"] >= SESSIONS[ROWS - 60]
    turned = pd.concat([good["direction"][~turns], bad["direction"][turns]])
    found = report_of({**good, "direction": turned})
    newest = newest_of_each(found).set_index("task")
    assert newest.loc["direction", "is_breached"]
    assert newest.loc["direction", "gain"] < newest.loc["direction", "band_low"] < newest.loc["direction", "band_high"]
    words = breaches_in_words(found, of_scores=True) or ""
    assert words.startswith("direction brier_sign gain -0.0")
    assert breaches_in_words(report_of(good), of_scores=True) is None


@pytest.mark.parametrize(("half_width", "is_outside"), [(1.2, True), (1.6449, False), (4.0, True)])
def test_an_interval_that_holds_too_few_or_too_many_outcomes_is_outside_its_band(
    half_width: float, is_outside: bool
) -> None:
    made = forecasts(ROWS, seed=5)
    made["price"] = made["price"].assign(interval_low=100.0 - half_width, interval_high=100.0 + half_width)
    newest = newest_of_each(report_of(made)).set_index("task").loc["price"]
    assert newest["is_breached"] == is_outside
    assert (breaches_in_words(report_of(made), of_scores=False) is not None) == is_outside


def test_the_log_is_judged_once_it_has_a_whole_window_of_live_forecasts_and_the_column_says_so(made) -> None:
    log = log_of(made, np.arange(ROWS - 60, ROWS))
    newest = newest_of_each(report_of(made, log)).set_index("task")
    assert newest["judged_on"].to_dict() == {"direction": "log", "volatility": "log", "price": "out_of_sample"}
    rose = (made["targets"]["forward_return"].tail(60) > 0).to_numpy().astype(float)
    assert newest.loc["direction", "value"] == pytest.approx(((0.9 - rose) ** 2).mean(), rel=1e-12)
    assert newest.loc["volatility", "gain"] == pytest.approx(0.0, abs=1e-12)  # it says what the Markov chain says
    assert newest.loc["direction", "band_low"] == report_of(made).query("task == 'direction'")["band_low"].iloc[-1]
    fewer = newest_of_each(report_of(made, log.iloc[1:]))
    assert set(fewer["judged_on"]) == {"out_of_sample"}


def test_rows_that_are_not_live_of_another_source_or_of_other_times_are_not_judged(made) -> None:
    recent = log_of(made, np.arange(ROWS - 60, ROWS))
    for log in (recent.assign(is_live=False), recent.assign(source="live")):
        assert set(report_of(made, log)["judged_on"]) == {"out_of_sample"}
    sparse = log_of(made, np.arange(ROWS - 300, ROWS, 5))
    assert set(report_of(made, sparse)["judged_on"]) == {"out_of_sample"}
    old = report_of(made, log_of(made, np.arange(100, 160)))
    assert set(old.loc[old["judged_on"] == "log", "as_of_session"]) == {SESSIONS[160]}


def test_the_report_is_a_slice_of_the_table_also_where_no_window_is_full(report: pd.DataFrame) -> None:
    stored = report.sort_values(list(ACCURACY.key), ignore_index=True)
    pd.testing.assert_frame_equal(conform(stored, ACCURACY, slice_key="24h|SPY"), stored)
    no_regime = forecasts(400)
    no_regime["volatility"] = no_regime["volatility"].iloc[:0]  # of a ticker without a volatility index
    rest = report_of(no_regime)
    assert set(rest["task"]) == {"direction", "price"}
    assert list(rest.columns) == list(ACCURACY.column_names)
    nothing = report_of(forecasts(59))
    assert nothing.empty
    assert list(nothing.columns) == list(ACCURACY.column_names)
