"""Market states of one ticker: the yearly fits, the filtered probabilities, and the feature made of them."""

from __future__ import annotations

from typing import Final

import pandas as pd

from assets.declare.declaration import Declaration, Probe, Read, Result, Slice, table_asset
from assets.declare.pictures import picture
from trading_dag.schemas import PREDICTIONS_REGIME, REGIME, REGIME_HMM, TECHNICAL

_CODE_VERSION: Final = "1"
_OBSERVED: Final = Read(
    TECHNICAL,
    columns=("ticker", "session", "log_return_5d", "log_return_20d", "hv_20", "price_to_sma_50", "volume_ratio"),
)


def _inputs(at: Slice, technical: pd.DataFrame) -> pd.DataFrame:
    from trading_dag.features.regime_inputs import build_regime_inputs

    return build_regime_inputs(technical, names=at.settings.regime.inputs, start=at.settings.regime.start)


@table_asset(
    REGIME_HMM,
    reads={"technical": _OBSERVED},
    code_version=_CODE_VERSION,
    kinds={"hmmlearn", "parquet"},
    uses=("regime",),
)
def regime_hmm(at: Slice, technical: pd.DataFrame) -> Result:
    """One model is fitted per year, and only for years that have none: a stored fit stays unless the code, the source
    or the observed columns changed. The picture is drawn when a year was fitted."""
    from trading_dag.models.volatility.regime_hmm import fit_missing_years, observes, predict
    from trading_dag.plots.regime import market_states

    recorded = at.store.provenance(REGIME_HMM, at.key)
    is_frozen = (
        recorded is not None
        and recorded.code_version == _CODE_VERSION
        and recorded.source == technical.attrs.get("source")
    )
    stored = at.store.read(REGIME_HMM, at.key) if is_frozen else None
    inputs = _inputs(at, technical)
    if stored is not None and not observes(stored, inputs):
        stored = None
    models = fit_missing_years(inputs, ticker=at.ticker, stored=stored)
    if stored is not None and len(models) == len(stored):
        return Result({REGIME_HMM.name: models})
    figure = market_states(predict(inputs, models, ticker=at.ticker))
    return Result({REGIME_HMM.name: models}, {"market states": picture(figure)})


@table_asset(
    PREDICTIONS_REGIME,
    reads={"technical": _OBSERVED, "models": REGIME_HMM},
    code_version="1",
    probe=Probe({"technical": "session"}),
    uses=("regime",),
)
def regime(at: Slice, technical: pd.DataFrame, models: pd.DataFrame) -> pd.DataFrame:
    """Every session that a fit covers gets the probabilities of its states, from observations up to its close."""
    from trading_dag.models.volatility.regime_hmm import predict

    return predict(_inputs(at, technical), models, ticker=at.ticker)


@table_asset(REGIME, reads={"states": PREDICTIONS_REGIME}, code_version="1", probe=Probe({"states": "session"}))
def regime_features(at: Slice, states: pd.DataFrame) -> pd.DataFrame:
    """The state's number and the five probabilities are laid out for models to read."""
    from trading_dag.features.regime_inputs import build_regime

    return build_regime(states)


DECLARATIONS: Final[tuple[Declaration, ...]] = (regime_hmm, regime, regime_features)
