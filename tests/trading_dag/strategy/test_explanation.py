"""Texts that are written out for speed are the JSON that the library would write."""

from __future__ import annotations

import json
import math

import pytest

from trading_dag.options.structures.structure import STRUCTURES
from trading_dag.strategy.explanation import evidence_json, legs_json, shared_json


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


def test_evidence_is_json_with_null_for_what_is_missing() -> None:
    before = shared_json(("model", 'the "first"'), ("fold", 6), ("fitted_through", None))
    after = shared_json(("selection", "why"))
    text = evidence_json(before, {"difference": -0.015, "other": math.nan, "n": 12}, after)
    values = {"model": 'the "first"', "fold": 6, "fitted_through": None, "difference": -0.015, "other": None, "n": 12}
    assert text == json.dumps({**values, "selection": "why"})
