"""What the figures of options show."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from trading_dag.options.chains.dealer_exposure import GammaByStrike
from trading_dag.options.structures.structure import structure_of
from trading_dag.plots import net_gamma_by_strike, payoff_at_expiration, smiles, term_structure, to_png


def words(figure: Figure) -> str:
    """Everything that is written on the figure."""
    figure.canvas.draw()
    texts = [text.get_text() for text in figure.findobj(lambda item: hasattr(item, "get_text"))]
    return "\n".join(texts)


def contracts() -> pd.DataFrame:
    strikes = np.arange(90.0, 111.0, 2.0)
    rows = []
    for days in (7, 30, 90):
        volatility = 0.2 + 0.3 * np.log(strikes / 100.0) ** 2
        rows.append(
            pd.DataFrame(
                {
                    "expiration": pd.Timestamp("2024-01-05") + pd.Timedelta(days=days),
                    "years": days / 365,
                    "strike": strikes,
                    "forward": 100.0,
                    "fitted_volatility": volatility,
                    "slice_volatility": volatility,
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


def test_the_payoff_crosses_zero_at_its_breakevens() -> None:
    figure = payoff_at_expiration(
        structure_of("iron_condor"), [95.0, 90.0, 105.0, 110.0], premium=-2.0, spot=100.0, multiplier=100.0
    )
    drawn = figure.axes[0].get_lines()
    curve = next(line for line in drawn if len(line.get_xdata()) > 100)
    dots = next(line for line in drawn if line.get_marker() == "o")
    assert list(dots.get_xdata()) == pytest.approx([93.0, 107.0])
    prices, profit = np.asarray(curve.get_xdata()), np.asarray(curve.get_ydata())
    assert np.interp([93.0, 107.0], prices, profit) == pytest.approx([0.0, 0.0], abs=5.0)
    assert profit.max() == pytest.approx(200.0)
    assert profit.min() == pytest.approx(-300.0)
    assert "receives 200 USD" in words(figure)


def test_a_structure_without_quotes_is_said_to_have_none() -> None:
    figure = payoff_at_expiration(structure_of("long_call"), [np.nan], premium=1.0, spot=100.0)
    assert "not quoted" in words(figure)


def test_every_smile_shown_has_its_quotes_and_its_slice() -> None:
    figure = smiles(contracts(), "SPY 2024-01-05")
    lines = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) > 2]
    assert [line.get_linestyle() == "None" for line in lines].count(True) == 3
    assert "2024-01-12 (7 d)" in words(figure)
    assert "insufficient data" in words(smiles(contracts().assign(fitted_volatility=np.nan), "SPY"))


def test_the_term_structure_is_in_days_and_points() -> None:
    rows = pd.DataFrame({"years": [30 / 365, 7 / 365], "atm_volatility": [0.15, 0.12], "skew_25_delta": [0.04, 0.03]})
    figure = term_structure(rows, "SPY 2024-01-05")
    upper = figure.axes[0].get_lines()[0]
    assert list(upper.get_xdata()) == pytest.approx([7.0, 30.0])
    assert list(upper.get_ydata()) == pytest.approx([12.0, 15.0])
    assert "12.0% at 7 days, 15.0% at 30 days" in words(figure)
    assert "insufficient data" in words(term_structure(rows.iloc[:1], "SPY"))


def test_gamma_is_drawn_near_spot_and_totalled_everywhere() -> None:
    by_strike = GammaByStrike(
        np.array([50.0, 95.0, 100.0, 105.0]), np.array([1e6, 0.0, 2e6, 5e6]), np.array([0.0, -4e6, -1e6, 0.0])
    )
    figure = net_gamma_by_strike(by_strike, spot=100.0, flip=97.5, title="SPY 2024-01-05")
    bars = [bar for bar in figure.axes[0].patches if bar.get_height() != 0]
    assert sorted(bar.get_height() for bar in bars) == pytest.approx([-4.0, -1.0, 2.0, 5.0])
    assert "net +3 million USD per 1 % move, flip at 97.50" in words(figure)
    assert "no flip" in words(net_gamma_by_strike(by_strike, spot=100.0, flip=float("nan"), title="SPY"))


def test_figures_become_pictures() -> None:
    from PIL import Image

    picture = Image.open(BytesIO(to_png(smiles(contracts(), "SPY 2024-01-05"))))
    assert picture.width > 600
