"""Colours of every figure, of the plots and of the dashboard, that any colour vision tells apart.

Okabe and Ito (2008), "Color universal design".
"""

from __future__ import annotations

from typing import Final

BLUE: Final = "#0072B2"
VERMILION: Final = "#D55E00"
GREEN: Final = "#009E73"
ORANGE: Final = "#E69F00"
PURPLE: Final = "#CC79A7"
SKY: Final = "#56B4E9"
GREY: Final = "#8A8A8A"  # 3.5:1 against white and against the dashboard's dark background
SERIES: Final = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
