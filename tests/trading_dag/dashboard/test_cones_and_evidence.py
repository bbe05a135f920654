"""Cones, evidence in words and filters: pure functions from tables to what is seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trading_dag.dashboard.cones import cone_figure, cone_points, moment
from trading_dag.dashboard.evidence import evidence_data, evidence_lines
from trading_dag.dashboard.option_data import term_structure, through_time
from trading_dag.dashboard.option_figures import gamma_figure, history_figure, smile_figure, term_figure
from trading_dag.dashboard.views.opportunities import Filters, calibration_figure, filtered, tenths
from trading_dag.dashboard.views.today import provisional_words
from trading_dag.schemas import QUANTILE_COLUMNS

SESSION = pd.Timestamp("2024-06-03")


def forecasts() -> pd.DataFrame:
    rows = [
        {"horizon": horizon, "session": SESSION, "target_session": pd.Timestamp(target),
         **{name: level + place for place, name in enumerate(QUANTILE_COLUMNS)}}
        for horizon, target, level in (("24h", "2024-06-04", 90.0), ("12h", "2024-06-04", 91.0),
                                       ("168h", "2024-06-10", 80.0))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_cone_begins_at_the_close_and_12h_ends_at_the_next_open() -> None:
    points = cone_points(forecasts(), last=100.0, horizon_ends_at_open=True)
    assert list(points["horizon"]) == ["now", "12h", "24h", "168h"]
    hours = ["2024-06-03 16:00", "2024-06-04 09:30", "2024-06-04 16:00", "2024-06-10 16:00"]
    assert list(points["time"]) == [pd.Timestamp(hour) for hour in hours]
    assert list(points["quantile_05"]) == [100.0, 91.0, 90.0, 80.0]
    assert (points.loc[0, list(QUANTILE_COLUMNS)] == 100.0).all()


def test_of_an_index_that_is_known_at_closes_only_12h_is_the_next_close() -> None:
    points = cone_points(forecasts(), last=20.0, horizon_ends_at_open=False)
    assert list(points["time"].dt.hour) == [16, 16, 16]


def test_a_half_day_closes_early() -> None:
    assert moment(pd.Timestamp("2024-11-29")) == pd.Timestamp("2024-11-29 13:00")


def test_every_quantile_that_is_drawn_is_the_tables() -> None:
    points = cone_points(forecasts(), last=100.0, horizon_ends_at_open=True)
    history = pd.DataFrame({"session": [SESSION], "value": [100.0]})
    figure = cone_figure(history, points, y_title="price (USD)", unit=" USD")
    by_name = {trace.name: trace for trace in figure.data}
    for name, column in (("90 % from", "quantile_05"), ("90 %", "quantile_95"), ("median", "quantile_50")):
        np.testing.assert_array_equal(by_name[name].y, points[column])
    assert list(by_name["median"].customdata) == list(points["horizon"])
    assert list(by_name["close"].y) == [100.0]


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("skilled", "Direction of the price: measurable edge at 48h, against climatology, on 1,200 outcomes."),
        ("admissible", "Direction of the price: no measurable edge at 48h, against climatology, on 1,200 outcomes."),
        ("unskilled", "Direction of the price: worse than the baseline at 48h, against climatology, on 1,200 "
                      "outcomes."),
        ("insufficient_data", "Direction of the price: too few outcomes to judge at 48h, against climatology, on 1,200 "
                              "outcomes."),
    ],
)  # fmt: skip
def test_a_verdict_is_a_sentence_with_its_horizon(verdict: str, words: str) -> None:
    asked = {"task": "direction", "model": "direction_shrunk", "metric": "brier_sign", "baseline": "climatology",
             "verdict": verdict, "difference": 0.001, "difference_ci_low": -0.001, "difference_ci_high": 0.003,
             "n": 1200}  # fmt: skip
    others = [{**asked, "metric": "hit_rate"}, {**asked, "model": "direction_logistic"}]
    found = evidence_data(pd.DataFrame([asked, *others]), horizon="48h")
    assert evidence_lines(found) == [words]
    assert list(found["gain"]) == [0.001]


def opportunities() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "rank": [3, 1, 2, 4],
            "structure": ["iron_condor", "covered_call", "iron_condor", "short_strangle"],
            "max_loss_usd": [400.0, 5_000.0, 300.0, np.nan],
            "probability_of_profit": [0.7, 0.6, 0.4, 0.9],
        }
    )


@pytest.mark.parametrize(
    ("filters", "ranks"),
    [
        (Filters(has_limit=False), [1, 2, 3, 4]),
        (Filters(), [1, 2, 3]),
        (Filters(is_best_of_each=True), [1, 2]),
        (Filters(least_chance=0.5), [1, 3]),
        (Filters(most_risk_usd=400.0), [2, 3]),
        (Filters(structures=("iron_condor",), has_limit=False), [2, 3]),
    ],
)
def test_filters_keep_what_was_asked_for_by_rank(filters: Filters, ranks: list[int]) -> None:
    assert list(filtered(opportunities(), filters)["rank"]) == ranks


def test_calibration_draws_the_tenths_in_percent() -> None:
    table = pd.DataFrame(
        {
            "measure": "probability_of_profit", "subset": ["all", "all", "all", "expected_value"], "bin": [2, 1, 0, 1],
            "n": 50, "expected": [0.6, 0.4, 0.5, 0.1], "realised": [0.5, 0.45, 0.48, 0.2],
            "realised_low": [0.4, 0.35, 0.4, 0.1], "realised_high": [0.65, 0.5, 0.55, 0.3],
        }
    )  # fmt: skip
    rows = tenths(table, "probability_of_profit")
    assert list(rows["expected_percent"]) == pytest.approx([40.0, 60.0])
    points = calibration_figure(rows, x_title="promised", y_title="came").data[1]
    assert list(points.y) == pytest.approx([45.0, 50.0])
    assert list(points.error_y.array) == pytest.approx([5.0, 15.0])
    assert list(points.error_y.arrayminus) == pytest.approx([10.0, 10.0])


def smiles() -> pd.DataFrame:
    rows = [
        {"session": pd.Timestamp(session), "expiration": pd.Timestamp(session) + pd.Timedelta(days=days),
         "years": days / 365, "atm_volatility": volatility, "skew_25_delta": 0.04}
        for session, days, volatility in (("2024-06-03", 10, 0.12), ("2024-06-03", 32, 0.14), ("2024-06-03", 60, 0.15),
                                          ("2024-05-31", 31, 0.13), ("2024-05-30", 31, 0.11))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_term_structure_stands_beside_the_session_before() -> None:
    rows = term_structure(smiles(), SESSION, before=pd.Timestamp("2024-05-31"))
    assert list(rows["atm_percent"]) == pytest.approx([13.0, 12.0, 14.0, 15.0])
    drawn = term_figure(rows)
    assert [trace.name for trace in drawn.data] == [
        "ATM 2024-05-31", "skew 2024-05-31", "ATM 2024-06-03", "skew 2024-06-03",
    ]  # fmt: skip
    assert list(drawn.data[2].y) == pytest.approx([12.0, 14.0, 15.0])


def test_through_time_takes_the_expiration_nearest_to_30_days_and_puts_per_call() -> None:
    exposure = pd.DataFrame(
        {"session": [SESSION, pd.Timestamp("2024-05-31")], "put_volume": [300.0, 10.0], "call_volume": [200.0, 0.0],
         "put_open_interest": [90.0, 80.0], "call_open_interest": [60.0, 40.0], "net_gamma": [2e6, -1e6]}
    )  # fmt: skip
    rows = through_time(smiles(), exposure)
    assert list(rows["session"].dt.day) == [30, 31, 3]
    assert list(rows["atm_percent"]) == pytest.approx([11.0, 13.0, 14.0])
    assert rows["put_call_volume_ratio"].iloc[-1] == 1.5
    assert rows["put_call_volume_ratio"].isna().iloc[1]  # no call was traded: no ratio, not an infinite one
    figure = history_figure(rows, [("skew_points", "skew")], y_title="points", unit="points")
    assert list(figure.data[0].y) == pytest.approx([4.0, 4.0, 4.0])


def test_gamma_and_smiles_draw_what_they_are_given() -> None:
    gamma = pd.DataFrame(
        {"strike": [95.0, 105.0], "calls_million_usd": [1.0, 3.0], "puts_million_usd": [-2.0, -1.0],
         "net_million_usd": [-1.0, 2.0]}
    )  # fmt: skip
    figure = gamma_figure(gamma, spot=100.0, flip=float("nan"), call_wall=105.0, put_wall=50.0)
    assert {trace.name: list(trace.y) for trace in figure.data} == {
        "calls": [1.0, 3.0], "puts": [-2.0, -1.0], "net": [-1.0, 2.0],
    }  # fmt: skip
    assert [shape.x0 for shape in figure.layout.shapes] == [100.0, 105.0]  # no flip, and the put wall is out of sight
    points = pd.DataFrame(
        {"expiration": SESSION, "days": 18, "strike": [95.0, 105.0], "log_moneyness": [-0.05, 0.05],
         "quoted_percent": [20.0, np.nan], "fitted_percent": [19.5, 15.0]}
    )  # fmt: skip
    quoted, fitted = smile_figure(points).data
    assert (list(quoted.y), list(fitted.y)) == ([20.0], [19.5, 15.0])


def test_a_session_under_way_is_told_as_provisional_with_its_age_and_only_while_it_is_newer() -> None:
    rows = pd.DataFrame(
        {
            "horizon": ["24h", "24h", "48h"], "is_served": [True, False, True], "session": pd.Timestamp("2024-06-04"),
            "reasoning": ["No trade.", "Another rule.", "Another horizon."], "delay_minutes": 15.0,
            "as_of": pd.Timestamp("2024-06-04 15:30", tz="UTC"),
        }
    )  # fmt: skip
    told = provisional_words(rows, horizon="24h", session=SESSION)
    assert told is not None
    assert told.startswith(
        "Provisional, the session of 2024-06-04 is under way: No trade. As of 11:30 New York, 15 min"
    )
    assert provisional_words(rows, horizon="24h", session=pd.Timestamp("2024-06-04")) is None
    assert provisional_words(rows.iloc[:0], horizon="24h", session=SESSION) is None
