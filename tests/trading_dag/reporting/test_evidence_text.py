"""The evidence of a recommendation reads as sentences: model, version, and how much better than what."""

from __future__ import annotations

import json

from trading_dag.reporting.evidence_text import evidence_in_words

MODEL = {"task": "direction", "model": "direction_shrunk", "version": "eb670e18", "score": "brier_sign",
         "baseline": "previous_direction", "difference": 0.00123, "n_outcomes": 6690}  # fmt: skip


def test_a_model_is_named_with_version_and_how_much_better_it_was() -> None:
    assert evidence_in_words(json.dumps({"forecasts": [MODEL]})) == [
        "direction: direction_shrunk eb670e18, Brier score 0.0012 better than previous direction on 6,690 outcomes"
    ]


def test_what_is_worse_or_level_is_not_called_better() -> None:
    lines = evidence_in_words(json.dumps({"forecasts": [MODEL | {"difference": gain} for gain in (-0.00123, 0.00001)]}))
    assert "Brier score 0.0012 worse than previous direction" in lines[0]
    assert "Brier score as good as previous direction" in lines[1]


def test_a_model_without_forecast_or_outcome_says_so() -> None:
    missing = {"task": "spread", "model": "spread_lstm", "missing": "torch is not installed"}
    unknown = MODEL | {"difference": None, "n_outcomes": 0, "version": None}
    assert evidence_in_words(json.dumps({"forecasts": [missing, unknown]})) == [
        "credit spread: spread_lstm: torch is not installed",
        "direction: direction_shrunk, no outcome known yet",
    ]


def test_a_rule_that_is_judged_by_its_trades_tells_what_they_earned() -> None:
    evidence = json.dumps({"forecasts": [MODEL], "profit": "539 of its trades have ended"})
    assert evidence_in_words(evidence) == ["539 of its trades have ended"]
    assert evidence_in_words("{}") == []
