"""What the figures show: the points, the labels with their units, and words where there is nothing to show."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from trading_dag.plots import (
    calibration,
    equity_against_benchmark,
    forecast_against_outcome,
    regime_confusion,
    skill_against_baseline,
    to_png,
)
from trading_dag.plots.canvas import BLUE, VERMILION
from trading_dag.plots.volatility_level import fan_of_level
from trading_dag.schemas import IV_REGIMES
from trading_dag.sessions import all_sessions

SESSIONS = all_sessions()[6_000:6_400]


def bars_of(axes: Axes) -> list[tuple[float, object]]:
    """Signed height and colour of each bar that was drawn, from the corners of its rectangle."""
    bars = []
    for drawn in axes.collections:
        if isinstance(drawn, PolyCollection):
            corners = [path.vertices[:, 1] for path in drawn.get_paths()]
            heights = [float(y.max() if y.max() > 0 else y.min()) for y in corners]
            bars += [(height, drawn.get_facecolor()[0]) for height in heights]
    return bars


def direction_predictions(rows: int = 400) -> pd.DataFrame:
    """Two models, a class prior and a hard call; every fifth outcome is ambiguous, the last three are not there yet."""
    generator = np.random.default_rng(11)
    frames = []
    moves = generator.normal(0.0005, 0.015, rows)
    for model, is_baseline in (
        ("direction_xgboost", False),
        ("direction_shrunk", False),
        ("class_prior", True),
        ("previous_direction", True),
    ):
        probability = np.full(rows, 0.56) if model == "class_prior" else generator.beta(6, 5, rows)
        truth = np.where(np.arange(rows) % 5 == 0, "AMBIGUOUS", np.where(moves > 0, "UP", "DOWN")).astype(object)
        returns = moves.copy()
        truth[-3:], returns[-3:] = None, np.nan
        frames.append(
            pd.DataFrame(
                {
                    "ticker": "SPY",
                    "horizon": "24h",
                    "session": SESSIONS[:rows],
                    "model": model,
                    "is_baseline": is_baseline,
                    "y_true": pd.Series(truth, dtype="str"),
                    "forward_return": returns,
                    "y_pred": np.where(probability > 0.5, "UP", "DOWN"),
                    "probability_up": probability,
                    "probability_event": "up_if_clear" if model == "class_prior" else "rise",
                    "uncalibrated_probability_up": probability**2 if model == "direction_shrunk" else np.nan,
                    "threshold": 0.5,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def volatility_predictions() -> pd.DataFrame:
    """Six sessions by hand: the model is right on four, persistence on five; one session has no persistence."""
    truth = ["LOW", "LOW", "LOW", "NORMAL", "NORMAL", "HIGH"]
    calls = {
        "volatility_logistic": ["LOW", "LOW", "NORMAL", "NORMAL", "LOW", "HIGH"],
        "persistence": ["LOW", "LOW", "LOW", "NORMAL", "NORMAL", "NORMAL"],
        "class_prior": ["LOW"] * 6,
    }
    frames = [
        pd.DataFrame(
            {
                "ticker": "SPY",
                "horizon": "168h",
                "session": SESSIONS[:6],
                "model": model,
                "is_baseline": model != "volatility_logistic",
                "y_true": truth,
                "y_pred": called,
            }
        )
        for model, called in calls.items()
    ]
    alone = frames[0].tail(1).assign(session=SESSIONS[6])
    return pd.concat([*frames, alone], ignore_index=True)


def metrics() -> pd.DataFrame:
    rows = []
    for model in ("direction_shrunk", "direction_xgboost"):
        for baseline in ("class_prior", "previous_direction"):
            for metric in ("brier_sign", "hit_rate", "diebold_mariano_p_brier_sign"):
                low = 0.01 if baseline == "previous_direction" else -0.02
                rows.append(("direction", model, metric, baseline, low + 0.03, low, low + 0.05))
        rows.append(("direction", model, "hit_rate", "none", np.nan, np.nan, np.nan))
    rows.append(("volatility", "volatility_logistic", "accuracy", "persistence", -0.04, -0.1, 0.01))
    rows.append(("volatility", "volatility_logistic", "brier", "persistence", np.nan, np.nan, np.nan))
    names = ["task", "model", "metric", "baseline", "difference", "difference_ci_low", "difference_ci_high"]
    return pd.DataFrame(rows, columns=names).assign(ticker="SPY", horizon="24h")


def equity() -> pd.DataFrame:
    values = np.array([100_000.0, 110_000.0, 99_000.0, 120_000.0])
    frame = pd.DataFrame({"session": SESSIONS[:4], "equity_usd": values, "benchmark_usd": values[::-1]})
    return frame.assign(ticker="SPY", horizon="24h")


FIGURES: dict[str, tuple[Callable[[pd.DataFrame], Figure], Callable[[], pd.DataFrame]]] = {
    "calibration": (calibration, direction_predictions),
    "forecast": (forecast_against_outcome, direction_predictions),
    "regime": (regime_confusion, volatility_predictions),
    "skill": (skill_against_baseline, metrics),
    "equity": (lambda frame: equity_against_benchmark(frame, "SPY 24h"), equity),
}


def words(figure: Figure) -> str:
    texts = [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]  # type: ignore[attr-defined]
    return "\n".join(texts)


def line(axes: Any, label: str) -> Any:
    return next(drawn for drawn in axes.get_lines() if str(drawn.get_label()).startswith(label))


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_a_small_png_900_pixels_wide_that_names_its_slice_and_axes(name: str) -> None:
    from PIL import Image

    draw, rows = FIGURES[name]
    figure = draw(rows())
    png = to_png(figure)
    assert len(png) < 60_000
    assert Image.open(BytesIO(png)).size[0] == 900
    assert "SPY" in words(figure)
    assert "24h" in words(figure) or "168h" in words(figure)
    assert all(axes.get_xlabel() or axes.get_ylabel() for axes in figure.axes)
    assert to_png(draw(rows())) == png


@pytest.mark.parametrize("name", FIGURES)
def test_an_empty_table_gives_a_figure_that_says_so(name: str) -> None:
    draw, rows = FIGURES[name]
    figure = draw(rows()[:0])
    assert "insufficient data" in words(figure)
    assert figure.axes == []
    assert len(to_png(figure)) < 20_000


def test_forecasts_without_outcomes_say_so() -> None:
    assert "insufficient data" in words(calibration(direction_predictions().assign(y_true=None, forward_return=np.nan)))
    assert "insufficient data" in words(regime_confusion(volatility_predictions().assign(y_true=None)))
    pending = direction_predictions().assign(y_true=None, forward_return=np.nan)
    assert "none known yet" in words(forecast_against_outcome(pending))


def test_a_calibration_point_is_the_mean_forecast_and_the_share_that_rose() -> None:
    predictions = direction_predictions()
    curve, counts = calibration(predictions).axes
    drawn = line(curve, "direction shrunk")
    known = predictions[predictions["forward_return"].notna()]
    rows = known[known["model"] == "direction_shrunk"]
    by_hand = []
    for low in range(10):
        part = rows[(rows["probability_up"] >= low / 10) & (rows["probability_up"] < (low + 1) / 10)]
        if len(part):
            by_hand.append((part["probability_up"].mean(), (part["forward_return"] > 0).mean()))
    np.testing.assert_allclose(np.column_stack(drawn.get_data()), by_hand, rtol=1e-12)
    clear = known[(known["model"] == "class_prior") & known["y_true"].isin(["UP", "DOWN"])]
    assert sum(height for height, _ in bars_of(counts)) == 2 * len(rows) + len(clear), "each on its own outcomes"


def test_calibration_shows_models_and_prior_with_brier_scores_but_no_hard_calls() -> None:
    predictions = direction_predictions()
    figure = calibration(predictions)
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert [label.split(" (")[0] for label in labels] == [
        "perfect calibration",
        "direction shrunk",
        "before calibration",
        "direction xgboost",
        "class prior",
    ]
    clear = predictions[predictions["y_true"].isin(["UP", "DOWN"]) & (predictions["model"] == "class_prior")]
    brier = ((clear["y_true"] == "UP") - 0.56).pow(2).mean()
    assert f"class prior {brier:.3f}" in words(figure)


def test_the_wilson_interval_of_seven_in_ten_is_that_of_the_book() -> None:
    """Newcombe (1998): 7 of 10 has the 95 % score interval 0.397 to 0.892."""
    rows = direction_predictions()[:10].assign(probability_up=0.55, forward_return=[0.01] * 7 + [-0.01] * 3)
    intervals = calibration(rows).axes[0].collections[0]
    heights = intervals.get_segments()[0][:, 1]
    np.testing.assert_allclose(sorted(heights), [0.397, 0.892], atol=1e-3)


def test_the_forecast_figure_shows_the_latest_sessions_of_one_model_and_marks_clear_outcomes() -> None:
    predictions = direction_predictions()
    upper, lower = forecast_against_outcome(predictions, sessions=100).axes
    shown = predictions[predictions["model"] == "direction_shrunk"].tail(100)
    np.testing.assert_allclose(line(upper, "P(rise)").get_ydata(), shown["probability_up"])
    np.testing.assert_allclose(line(upper, "threshold").get_ydata(), 0.5)
    marks = {drawn.get_label(): len(drawn.get_xdata()) for drawn in upper.get_lines()[2:]}
    called, came = shown["y_pred"], shown["y_true"]
    assert marks == {
        "UP, called right": ((came == "UP") & (called == "UP")).sum(),
        "UP, called wrong": ((came == "UP") & (called == "DOWN")).sum(),
        "DOWN, called right": ((came == "DOWN") & (called == "DOWN")).sum(),
        "DOWN, called wrong": ((came == "DOWN") & (called == "UP")).sum(),
    }
    assert len(bars_of(lower)) == 97


def test_a_bar_is_blue_where_the_call_was_right_and_vermilion_where_it_was_wrong() -> None:
    rows = direction_predictions()
    rows = rows[rows["model"] == "direction_shrunk"].tail(5).head(2)
    rows = rows.assign(forward_return=[0.01, -0.02], y_pred="UP", y_true=["UP", "DOWN"])
    figure = forecast_against_outcome(rows)
    heights = {round(height, 6): colour for height, colour in bars_of(figure.axes[1])}
    assert same_color(heights[1.0], BLUE)
    assert same_color(heights[-2.0], VERMILION)
    assert "1 of 2 known outcomes" in words(figure)


def test_the_confusion_counts_sessions_that_model_and_persistence_both_forecast() -> None:
    figure = regime_confusion(volatility_predictions())
    left, right = figure.axes
    assert (left.get_title(loc="left"), right.get_title(loc="left")) == (
        "volatility logistic: accuracy 0.667",
        "persistence: accuracy 0.833",
    )
    cells = [text.get_text() for text in left.texts]
    assert cells == [
        "2\n(67%)", "1\n(33%)", "0\n(0%)",
        "1\n(50%)", "1\n(50%)", "0\n(0%)",
        "0\n(0%)", "0\n(0%)", "1\n(100%)",
    ]  # fmt: skip
    assert [tick.get_text() for tick in left.get_xticklabels()] == list(IV_REGIMES)


def test_drawdown_is_measured_from_the_highest_equity_so_far() -> None:
    figure = equity_against_benchmark(equity(), "SPY 24h")
    upper, lower = figure.axes
    assert upper.get_ylabel() == "equity (thousand USD)"
    np.testing.assert_allclose(line(upper, "account").get_ydata(), [100, 110, 99, 120])
    np.testing.assert_allclose(lower.get_lines()[0].get_ydata(), [0, 0, -10, 0], atol=1e-9)
    assert "account +20.0%, deepest drawdown 10.0%" in words(figure)


def test_skill_has_a_panel_per_task_and_baseline_and_fills_only_what_is_skilled() -> None:
    figure = skill_against_baseline(metrics())
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["class prior", "previous direction", "persistence"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["direction: gain over …", "gain", "volatility: gain over …"]
    prior, previous, persistence = figure.axes
    marks = {axes: [drawn for drawn in axes.get_lines() if drawn.get_marker() == "o"] for axes in figure.axes}
    assert [sum(len(mark.get_xdata()) for mark in marks[axes]) for axes in figure.axes] == [4, 4, 1]
    assert all(mark.get_markerfacecolor() == "white" for mark in marks[prior])
    assert all(mark.get_markerfacecolor() != "white" for mark in marks[previous])
    assert len(marks[persistence]) == 1
    names = {text.get_position()[1]: text.get_text() for text in prior.texts}
    assert names == {0: "brier sign", 1: "hit rate"}
    heights = np.concatenate([mark.get_ydata() for mark in marks[prior]])
    assert sorted(np.round(heights)) == [0, 0, 1, 1]
    assert "mariano" not in words(figure)


def test_importing_the_figures_imports_no_plotting_library() -> None:
    code = "import sys, trading_dag.plots; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_drawing_leaves_the_global_state_of_the_library_alone() -> None:
    code = """
import sys, matplotlib, pandas as pd
from trading_dag.plots import equity_against_benchmark, to_png

def state():  # asking for the backend would choose one
    return {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}

before = state()
frame = pd.DataFrame({"session": pd.date_range("2024", periods=3), "equity_usd": [1.0, 2.0, 3.0]})
to_png(equity_against_benchmark(frame.assign(benchmark_usd=1.0), "SPY"))
assert state() == before
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_of_many_models_the_confusion_shows_the_served_one_beside_persistence() -> None:
    rows = volatility_predictions()
    own = rows[rows["model"] == "volatility_logistic"]
    others = [own.assign(model=name) for name in ("volatility_blend", "volatility_har")]
    titles = [axes.get_title(loc="left") for axes in regime_confusion(pd.concat([rows, *others])).axes]
    assert titles == ["volatility blend: accuracy 0.667", "persistence: accuracy 0.833"]


def level_predictions() -> pd.DataFrame:
    """Forty sessions: the index stays at 20; two outcomes leave the band of 15 to 25, three are not known."""
    outcome = np.full(40, 20.0)
    outcome[[3, 9]], outcome[37:] = (30.0, 10.0), np.nan
    rows = pd.DataFrame(
        {
            "ticker": "SPY",
            "horizon": "72h",
            "session": SESSIONS[:40],
            "target_session": SESSIONS[3:43],
            "y_true": outcome,
            "y_pred": 20.0,
            "quantile_05": 15.0,
            "quantile_25": 18.0,
            "quantile_75": 22.0,
            "quantile_95": 25.0,
        }
    )
    walk = rows.assign(model="random_walk", is_baseline=True, y_pred=99.0)
    return pd.concat([rows.assign(model="volatility_har", is_baseline=False), walk], ignore_index=True)


def test_the_fan_of_the_index_shows_the_model_alone_and_counts_what_it_covered() -> None:
    figure = fan_of_level(level_predictions())
    assert "35 of 37 outcomes inside the 90 % band" in words(figure)
    median, inside, missed = figure.axes[0].get_lines()[:3]
    assert set(median.get_ydata()) == {20.0}
    assert len(inside.get_ydata()) == 35
    assert sorted(missed.get_ydata()) == [10.0, 30.0]
    assert to_png(figure) == to_png(fan_of_level(level_predictions()))
    assert "insufficient data" in words(fan_of_level(level_predictions().iloc[:0]))
