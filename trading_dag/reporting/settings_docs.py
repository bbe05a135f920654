"""The page docs/settings.md: every setting with its meaning and default, from the fields themselves.

``python -m trading_dag.reporting.settings_docs`` writes it to standard output.
"""

from __future__ import annotations

import sys
from itertools import groupby
from typing import Final

from trading_dag.reporting.explanations import Explanation, explanations

_HEAD: Final = """\
# Settings

Written from `trading_dag/settings.py` by `make docs`; do not edit by hand.

A setting comes from the environment or from `.env` in the current directory; the file `.env.example` has them to copy.
Nested ones have two underscores. A slice that depends on a changed setting is computed again by the next `run`, no
other is. `trading-dag explain NAME` shows one.
"""


def settings_reference() -> str:
    """Return the text of docs/settings.md."""
    settings = [one for one in explanations() if one.kind == "setting"]
    sections = [
        f"## {title}\n\n| setting | meaning | default |\n|---|---|---|\n" + "\n".join(_row(one) for one in group)
        for title, group in groupby(sorted(settings, key=_place), key=_group)
    ]
    return _HEAD + "\n" + "\n\n".join(sections) + "\n"


def _group(one: Explanation) -> str:
    """Return the title of the section that a setting stands in."""
    group, separator, _ = one.name.partition("__")
    if not one.name.startswith("TRADING_DAG_"):
        return "Keys"
    return group.removeprefix("TRADING_DAG_").replace("_", " ").capitalize() if separator else "General"


def _place(one: Explanation) -> tuple[int, str]:
    """Return where a setting's section comes: general ones first, then keys, then the others by name."""
    title = _group(one)
    return {"General": 0, "Keys": 1}.get(title, 2), title


def _row(one: Explanation) -> str:
    default = one.details.get("default", "")
    return f"| `{one.name}` | {one.meaning.replace('|', chr(92) + '|')} | {f'`{default}`' if default else ''} |"


if __name__ == "__main__":
    sys.stdout.write(settings_reference())
