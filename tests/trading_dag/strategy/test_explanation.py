"""Texts that are written out for speed are the JSON that the library would write."""

from __future__ import annotations

import json
import math

import pytest

from trading_dag.options.structures.structure import STRUCTURES
from trading_dag.strategy.explanation import called_direction, legs_json, size_text


@pytest.mark.parametrize("name", sorted(STRUCTURES))
def test_legs_are_json_of_the_structure(name: str) -> None:
    structure = STRUCTURES[name]
    strikes = [560.0 + 2.5 * position for position in range(len(structure.legs))]
    expected = [
        {
            "option_right": leg.option_right,
            "side": leg.side,
            "ratio": leg.ratio,
            "strike": strike,
            "expiration": "2024-12-20",
        }
        for leg, strike in zip(structure.legs, strikes, strict=True)
    ]
    assert legs_json(structure, strikes, expiration="2024-12-20") == json.dumps(expected)


@pytest.mark.parametrize(
    ("direction", "probability", "said"),
    [("UP", 0.33, None), ("UP", 0.5, None), ("UP", 0.51, "UP"), ("DOWN", 0.51, None), ("DOWN", 0.4, "DOWN"),
     (None, 0.7, None), ("UP", math.nan, None)],
)  # fmt: skip
def test_a_direction_is_named_only_where_its_own_probability_is_above_a_half(direction, probability, said) -> None:
    assert called_direction(direction, probability) == said


def test_a_size_without_an_edge_is_said_to_show_none() -> None:
    assert size_text(0.5, "no_edge") == "0.5 (no edge shown)"
    assert size_text(1.0, "insufficient_data") == "1 (no edge shown)"
    assert size_text(1.0, "admissible") == "1"
    assert size_text(0.0, "no_edge") == "0"
