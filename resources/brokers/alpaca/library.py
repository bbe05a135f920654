"""Whether alpaca-py is installed, which nothing else needs; and its loading, which the rest of the folder relies on."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Final

from trading_dag.errors import ConfigurationError

ADD_ALPACA: Final = "pip install 'trading-dag[alpaca]'"


def require_alpaca() -> None:
    """Load alpaca-py.

    Raises
    ------
    ConfigurationError : where it is not installed; says what adds it.
    """
    if find_spec("alpaca") is None:
        raise ConfigurationError(f"the broker alpaca needs alpaca-py: {ADD_ALPACA}")
    with warnings.catch_warnings():
        # It loads its stream, which is not used here, by a part of websockets that is to go.
        warnings.simplefilter("ignore", DeprecationWarning)
        import alpaca.data.historical.option
        import alpaca.trading.client  # noqa: F401
