"""Data as words: numbers keep their unit, and texts stay texts."""

from __future__ import annotations

import numpy as np
import pytest

from trading_dag.dashboard.words import in_chart, named, percent, plain, usd


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("[click](javascript:alert(1))", r"\[click\]\(javascript\:alert\(1\)\)"),
        ("<img src=x>", r"\<img src\=x\>"),
        ("$x$ :red[y] :smile:", r"\$x\$ \:red\[y\] \:smile\:"),
        ("a\nb", r"a\\nb"),
    ],
)
def test_markdown_in_a_name_is_text(hostile: str, shown: str) -> None:
    assert plain(hostile) == shown


def test_html_in_a_figure_is_text() -> None:
    assert in_chart('<a href="x">y</a>\x1b') == "&lt;a href=&quot;x&quot;&gt;y&lt;/a&gt;\\x1b"


def test_numbers_carry_their_unit_and_a_missing_one_is_a_dash() -> None:
    assert usd(-1234.4, signed=True) == "-1,234 USD"
    assert usd(np.nan) == usd(None) == percent(None) == named(None) == "–"
    assert percent(0.574) == "57%"
    assert named("bull_put_spread") == "bull put spread"
