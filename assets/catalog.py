"""Every declared asset, from raw data to backtests."""

from __future__ import annotations

from typing import Final

from assets import (
    allocation,
    backtests,
    chain_features,
    cross_asset,
    evaluation,
    feature_table,
    features,
    hull_allocation,
    hull_market,
    hyperparameters,
    labels,
    models,
    monitoring,
    multiplicity,
    opportunities,
    option_chain,
    paper,
    prediction_log,
    predictions,
    price,
    price_stack,
    provisional,
    raw,
    regime,
    signals,
    spread,
    volatility_level,
)
from assets.declare.declaration import Declaration

DECLARATIONS: Final[tuple[Declaration, ...]] = (
    *raw.DECLARATIONS,
    *features.DECLARATIONS,
    *option_chain.DECLARATIONS,
    *chain_features.DECLARATIONS,
    *regime.DECLARATIONS,
    *cross_asset.DECLARATIONS,
    *feature_table.DECLARATIONS,
    *hull_market.DECLARATIONS,
    *hull_allocation.DECLARATIONS,
    *labels.DECLARATIONS,
    *hyperparameters.DECLARATIONS,
    *spread.DECLARATIONS,  # the registry of the models reads it
    *models.DECLARATIONS,
    *price_stack.DECLARATIONS,
    *predictions.DECLARATIONS,
    *volatility_level.DECLARATIONS,
    *allocation.DECLARATIONS,
    *price.DECLARATIONS,
    *evaluation.DECLARATIONS,
    *multiplicity.DECLARATIONS,
    *opportunities.DECLARATIONS,
    *signals.DECLARATIONS,
    *provisional.DECLARATIONS,
    *prediction_log.DECLARATIONS,
    *paper.DECLARATIONS,
    *backtests.DECLARATIONS,
    *monitoring.DECLARATIONS,
)
