"""The evidence of a recommendation in words that a trader reads: each model, its version, and what it has gained."""

from __future__ import annotations

import json
from typing import Any, Final

_TASKS: Final = {
    "direction": "direction",
    "volatility": "IV regime",
    "volatility_level": "IV level",
    "price": "price",
    "spread": "credit spread",
    "allocation": "position",
}

_SCORES: Final = {
    "brier_sign": "Brier score",
    "brier": "Brier score",
    "rps": "ranked probability score",
    "pinball": "pinball loss in percent",
    "winkler_90": "score of the 90 % interval",
    "lost_growth": "growth lost",
}


def evidence_in_words(evidence: str) -> list[str]:
    """Return a line for each model, such as ``direction: direction_shrunk eb670e18, Brier score 0.0012 better than
    climatology on 6,690 outcomes``; of rule expected_value what its own trades have earned.

    Parameters
    ----------
    evidence : JSON of the column of signals.recommendation.
    """
    told: dict[str, Any] = json.loads(evidence)
    # The models are those of the matrix' row beside it; what rule expected_value rests on is what it has earned.
    return [told["profit"]] if "profit" in told else [_model(entry) for entry in told.get("forecasts", [])]


def _model(entry: dict[str, Any]) -> str:
    what = _TASKS.get(entry["task"], entry["task"])
    if "missing" in entry:
        return f"{what}: {entry['model']}: {entry['missing']}"
    named = f"{what}: {entry['model']}" + (f" {entry['version']}" if entry["version"] else "")
    if entry["difference"] is None:
        return f"{named}, no outcome known yet"
    gain = round(entry["difference"], 4)
    against = "as good as" if gain == 0 else f"{abs(gain):.4f} {'better' if gain > 0 else 'worse'} than"
    return (
        f"{named}, {_SCORES.get(entry['score'], entry['score'])} {against} {entry['baseline'].replace('_', ' ')} "
        f"on {entry['n_outcomes']:,} outcomes"
    )
