"""The selector is the table of the contract, boundaries included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.setting_groups import SelectorSettings
from trading_dag.strategy.selector import select

# direction, regime, direction confidence, IV confidence → structure, design_size; worked by hand.
# overall = 0.6 · direction + 0.4 · iv is in the comment.
TABLE = [
    ("UP", "LOW", 0.80, 0.80, "long_call", "FULL"),  # 0.80
    ("UP", "NORMAL", 0.80, 0.80, "bull_call_spread", "FULL"),
    ("UP", "HIGH", 0.80, 0.80, "bull_put_spread", "FULL"),
    ("DOWN", "LOW", 0.80, 0.80, "long_put", "FULL"),
    ("DOWN", "NORMAL", 0.80, 0.80, "bear_put_spread", "FULL"),
    ("DOWN", "HIGH", 0.80, 0.80, "bear_call_spread", "FULL"),
    ("UP", "LOW", 0.70, 0.70, "long_call", "FULL"),  # 0.70, the boundary
    ("UP", "LOW", 0.70, 0.69, "long_call", "HALF"),  # 0.696
    ("UP", "LOW", 0.55, 0.55, "long_call", "HALF"),  # 0.55, the boundary
    ("UP", "LOW", 0.55, 0.54, "no_trade", "NONE"),  # 0.546
    ("UP", "HIGH", 0.55, 0.54, "iron_condor", "HALF"),  # 0.546: the low-confidence row
    ("DOWN", "LOW", 0.52, 0.60, "long_put", "HALF"),  # 0.552, direction on its boundary
    ("DOWN", "LOW", 0.519, 0.90, "no_trade", "NONE"),  # direction below
    ("DOWN", "HIGH", 0.519, 0.90, "iron_condor", "HALF"),
    ("DOWN", "NORMAL", 0.69, 0.35, "bear_put_spread", "HALF"),  # 0.554, iv on its boundary
    ("DOWN", "NORMAL", 0.99, 0.349, "no_trade", "NONE"),  # iv below
    ("DOWN", "HIGH", 0.99, 0.349, "no_trade", "NONE"),  # iv below for the condor as well
    ("UP", "HIGH", 0.45, 0.45, "iron_condor", "HALF"),  # 0.45, the boundary
    ("UP", "HIGH", 0.45, 0.44, "no_trade", "NONE"),  # 0.446
    ("UP", "HIGH", 0.50, 0.99, "iron_condor", "HALF"),  # 0.696; a condor is never FULL
    ("UP", "HIGH", 0.51, 1.00, "iron_condor", "HALF"),  # 0.706: still HALF
    ("AMBIGUOUS", "HIGH", 0.90, 0.90, "no_trade", "NONE"),
    (None, "HIGH", np.nan, 0.90, "no_trade", "NONE"),
    ("UP", None, 0.90, np.nan, "no_trade", "NONE"),
    ("UP", np.nan, 0.90, np.nan, "no_trade", "NONE"),
]


def test_the_selection_is_the_contracts_table_with_inclusive_boundaries():
    direction, regime, sure_direction, sure_iv, strategy, design_size = (
        list(column) for column in zip(*TABLE, strict=True)
    )
    ours = select(direction, regime, sure_direction, sure_iv, settings=SelectorSettings())
    assert ours.strategy.tolist() == strategy
    assert ours.design_size.tolist() == design_size


def test_overall_confidence_is_the_weighted_sum_and_unknown_without_both_forecasts():
    ours = select(["UP", "UP"], ["LOW", None], [0.6, 0.6], [0.8, np.nan], settings=SelectorSettings())
    assert ours.overall_confidence[0] == pytest.approx(0.68)
    assert np.isnan(ours.overall_confidence[1])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((None, "LOW", np.nan, 0.5), "no direction forecast"),
        (("UP", None, 0.9, np.nan), "no volatility forecast"),
        (("UP", "LOW", 0.9, 0.3), "volatility confidence is below 0.35"),
        (("UP", "LOW", 0.5, 0.9), "direction confidence is below 0.52"),
        (("UP", "LOW", 0.53, 0.36), "overall confidence is below 0.55"),
        (("UP", "HIGH", 0.4, 0.4), "overall confidence is below 0.45"),
        (("UP", "HIGH", 0.5, 0.9), "direction is uncertain"),
    ],
)
def test_the_reason_names_what_decided(row, reason):
    ours = select(*([value] for value in row), settings=SelectorSettings())
    assert reason in ours.reason[0]


@settings(deadline=None, max_examples=200)
@given(
    direction=st.sampled_from(["UP", "DOWN"]),
    regime=st.sampled_from(["LOW", "NORMAL", "HIGH"]),
    sure_direction=st.floats(0, 1),
    sure_iv=st.floats(0, 1),
)
def test_every_forecast_gets_exactly_what_the_rules_say_one_by_one(direction, regime, sure_direction, sure_iv):
    ours = select([direction], [regime], [sure_direction], [sure_iv], settings=SelectorSettings())
    overall = round(0.6 * sure_direction + 0.4 * sure_iv, 12)
    if sure_direction >= 0.52 and sure_iv >= 0.35 and overall >= 0.55:
        expected = "FULL" if overall >= 0.70 else "HALF"
    elif regime == "HIGH" and sure_iv >= 0.35 and overall >= 0.45:
        expected = "HALF"
    else:
        expected = "NONE"
    assert ours.design_size[0] == expected
    assert (ours.strategy[0] == "no_trade") == (expected == "NONE")


def test_no_forecasts_select_nothing():
    ours = select([], [], [], [], settings=SelectorSettings())
    assert len(ours.strategy) == len(ours.design_size) == len(ours.overall_confidence) == 0
