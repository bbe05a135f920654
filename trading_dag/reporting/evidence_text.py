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


def evidence_in_words(evidence: str) -> list[str]:
    """Return a line for each model, such as ``direction: direction_shrunk eb670e18, gained +0.0012 brier_sign over
    climatology on 6,690 outcomes``.

    Parameters
    ----------
    evidence : JSON of the column of signals.recommendation.
    """
    told: dict[str, Any] = json.loads(evidence)
    lines = [_model(entry) for entry in told.get("forecasts", [])]
    return [*lines, *([told["profit"]] if "profit" in told else [])]


def _model(entry: dict[str, Any]) -> str:
    what = _TASKS.get(entry["task"], entry["task"])
    if "missing" in entry:
        return f"{what}: {entry['model']}: {entry['missing']}"
    named = f"{what}: {entry['model']}" + (f" {entry['version']}" if entry["version"] else "")
    if entry["difference"] is None:
        return f"{named}, no outcome known yet"
    return (
        f"{named}, gained {entry['difference']:+z.4f} {entry['score']} over {entry['baseline'].replace('_', ' ')} on "
        f"{entry['n_outcomes']:,} outcomes"
    )
