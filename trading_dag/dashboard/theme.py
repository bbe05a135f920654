"""How the dashboard looks: colours that any colour vision tells apart, on light and on dark, and plain figures.

Figures have no colours of their own for text, grid and background: the browser gives those of light or dark.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from trading_dag.palette import BLUE as BLUE
from trading_dag.palette import GREEN as GREEN
from trading_dag.palette import GREY as GREY
from trading_dag.palette import ORANGE as ORANGE
from trading_dag.palette import PURPLE as PURPLE
from trading_dag.palette import SERIES as SERIES
from trading_dag.palette import SKY as SKY
from trading_dag.palette import VERMILION as VERMILION

if TYPE_CHECKING:
    import plotly.graph_objects as go

# One of each pair is seen on the dark background, where plain blue is dim.
LINE: Final = "#2E8BC9"
GAIN: Final = GREEN
LOSS: Final = VERMILION
SEQUENCE: Final = ((0.0, "#F7FBFF"), (0.5, SKY), (1.0, "#08306B"))
DIVERGING: Final = ((0.0, VERMILION), (0.5, "#F0F0F0"), (1.0, BLUE))

_DARK: Final = {"backgroundColor": "#0E1117", "secondaryBackgroundColor": "#1B202B", "textColor": "#F2F4F8"}
_LIGHT: Final = {"backgroundColor": "#FFFFFF", "secondaryBackgroundColor": "#F2F4F8", "textColor": "#1A1D23"}
MODE_BAR: Final = {
    "displaylogo": False,
    "responsive": True,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
    "toImageButtonOptions": {"format": "png", "scale": 2},
    "showEditInChartStudio": False,
    "plotlyServerURL": "",
}


def streamlit_theme() -> dict[str, Any]:
    """Return Streamlit's options of the theme, for light and for dark."""
    options: dict[str, Any] = {}
    for name, colours, primary in (("light", _LIGHT, "#005A8C"), ("dark", _DARK, SKY)):
        options |= {f"theme.{name}.{key}": value for key, value in colours.items()}
        options[f"theme.{name}.primaryColor"] = primary
        options[f"theme.{name}.linkColor"] = primary
        options[f"theme.{name}.chartCategoricalColors"] = list(SERIES)
    return options


def tinted(colour: str, opacity: float) -> str:
    """Return the colour as ``rgba`` with an opacity between 0 and 1."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def new_figure(
    *, x_title: str = "", y_title: str = "", height: int = 360, layout: Mapping[str, Any] | None = None
) -> go.Figure:
    """Return an empty figure with labelled axes, a legend above it and one hover for all that stands at a place.

    Parameters
    ----------
    x_title, y_title : with the unit.
    height : pixels.
    layout : more of plotly's layout.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 36, "b": 8},
        hovermode="x unified",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "title": {"text": ""}},
        colorway=list(SERIES),
        font={"size": 13},
        dragmode=False,  # a finger that scrolls the page must not draw a frame
        **(layout or {}),
    )
    figure.update_xaxes(title_text=x_title, automargin=True)
    figure.update_yaxes(title_text=y_title, automargin=True)
    return figure


def mark_x(figure: go.Figure, at: float, text: str, *, colour: str = GREY, dash: str = "dash", **position: Any) -> None:
    """Draw a vertical line with its name at the top."""
    figure.add_vline(
        x=at, line={"color": colour, "width": 1.5, "dash": dash}, annotation_text=text,
        annotation_font_size=12, **position,
    )  # fmt: skip
