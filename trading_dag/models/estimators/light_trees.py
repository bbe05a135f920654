"""Boosted trees of LightGBM as the text of the library's own format: what is hashed and stored is what forecasts."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from trading_dag.arrays import FloatArray
from trading_dag.errors import StorageError


class LightTrees:
    """Is a LightGBM model as text, parsed when it is first asked.

    Attributes
    ----------
    text : what ``Booster.model_to_string`` gave.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def forecast(self, values: FloatArray) -> FloatArray:
        """Return the forecast of each row, (rows,); ``values`` are rows × columns, NaN where not known."""
        forecasts: FloatArray = np.asarray(self._booster.predict(values, num_threads=1), dtype=np.float64)
        return forecasts

    @cached_property
    def _booster(self) -> Any:
        import lightgbm

        try:
            return lightgbm.Booster(model_str=self.text)
        except lightgbm.basic.LightGBMError as problem:
            raise StorageError(f"LightGBM cannot read a stored model: {problem}") from problem
