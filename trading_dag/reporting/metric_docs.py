"""The page docs/metrics.md: every metric and baseline of ``evaluation.metrics``, from its one definition.

``python -m trading_dag.reporting.metric_docs`` writes it to standard output.
"""

from __future__ import annotations

import sys
from typing import Final

from trading_dag.validation.scores.metric_meaning import lower_is_better, nominal_coverage, says_nothing_alone
from trading_dag.validation.scores.metric_names import BASELINES, METRICS, PREFIXES, SUFFIXES

_HEAD: Final = """\
# Metrics

Written from `trading_dag/validation/scores/metric_names.py` by `make docs`; do not edit by hand.

The rows of `evaluation.metrics`. A score alone says little: read `difference`, which is positive where the model is
better than the baseline, with its interval. Which intervals, and what a verdict says:
[methodology.md](methodology.md#intervals-and-verdicts).

| metric | what it is | unit | better |
|---|---|---|---|
"""


def metric_reference() -> str:
    """Return the text of docs/metrics.md."""
    metrics = "\n".join(
        f"| `{name}` | {metric.meaning}{f' ({metric.reference})' if metric.reference else ''} | {metric.unit} | "
        f"{better(name)} |"
        for name, metric in METRICS.items()
    )
    parts = "\n".join(
        [f"| `{prefix}…` | {text} metric |" for prefix, text in PREFIXES.items()]
        + [f"| `…{suffix}` | {text} |" for suffix, text in SUFFIXES.items()]
        + ["| `…_up`, `…_low`, … | precision, recall and F1 of that class |"]
    )
    baselines = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in BASELINES.items())
    return (
        f"{_HEAD}{metrics}\n\nParts around these names:\n\n| part | meaning |\n|---|---|\n{parts}\n\n"
        f"## Baselines\n\n| baseline | what it forecasts |\n|---|---|\n{baselines}\n"
    )


def better(name: str) -> str:
    """Return which way a metric is better, in a word or two."""
    if says_nothing_alone(name) or name == "probability_of_overfitting":
        return "lower" if name == "probability_of_overfitting" else "no verdict"
    nominal = nominal_coverage(name)
    if nominal is not None:
        return f"near {nominal:.2f}"
    return "lower" if lower_is_better(name) else "higher"


if __name__ == "__main__":
    sys.stdout.write(metric_reference())
