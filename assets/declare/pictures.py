"""Figures turned into pictures for the Dagster UI."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def picture(figure: Figure) -> dg.MarkdownMetadataValue:
    """Return a figure as Markdown with the PNG inside, which the UI shows without a file to serve."""
    from trading_dag.plots import to_png

    encoded = base64.b64encode(to_png(figure)).decode("ascii")
    return dg.MetadataValue.md(f"![picture](data:image/png;base64,{encoded})")
