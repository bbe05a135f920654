"""Jobs: the four that make everything, and those that schedules and sensors start. A name says of what its run is.

One job cannot hold two partition definitions, so the way from raw data to backtest is split between what belongs to
no ticker, to a ticker, to a ticker and a horizon, and what reads all of those.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import dagster as dg

from assets import hyperparameters, option_chain
from assets.catalog import DECLARATIONS
from assets.declare.declaration import TUNING_TAG, Stage
from assets.option_chain import OPTION_CHAIN_KEY
from trading_dag.schemas import MACRO_TABLE

MACRO_JOB: Final = "run_macro"
MARKET_JOB: Final = "run_one_ticker_1_data_and_features"
RESEARCH_JOB: Final = "run_one_ticker_2_forecasts_and_backtests"
ALL_SLICES_JOB: Final = "run_what_needs_all_tickers"
REFRESH_RAW_JOB: Final = "fetch_one_ticker"
REFRESH_MACRO_JOB: Final = "fetch_macro"
RETRAIN_JOB: Final = "retrain_one_ticker_and_horizon"
TUNE_JOB: Final = "tune_one_ticker_and_horizon"
OPTION_CHAIN_JOB: Final = "fetch_option_chain_of_one_session"
OPTIONS_JOB: Final = "analyse_option_chains_of_one_ticker"
DURING_SESSION_JOB: Final = "forecast_one_ticker_during_session"
MACRO_FEATURES_KEY: Final = dg.AssetKey([MACRO_TABLE.group, MACRO_TABLE.name])
HOUR_SECONDS: Final = 3600
# The tag by which the run queue of dagster.yaml keeps runs without a partition apart.
UNPARTITIONED: Final = {"trading_dag/unpartitioned": "yes"}


def keys_of_stage(stage: Stage) -> list[dg.AssetKey]:
    """Return the asset keys of every declaration that is worked on together."""
    return [key for declaration in DECLARATIONS if declaration.stage == stage for key in declaration.asset_keys]


def build_jobs() -> list[dg.UnresolvedAssetJobDefinition]:
    """Return every job of the project."""
    fetched = {kind: _fetched(kind) for kind in ("none", "ticker")}
    research = keys_of_stage("ticker_horizon")
    labels = [key for key in research if key.path[0] == "labels"]
    options = [key for declaration in option_chain.DECLARATIONS for key in declaration.asset_keys]
    return [
        _job(
            MACRO_JOB,
            keys_of_stage("none"),
            "Macro series and their features, which every ticker reads.",
            tags=UNPARTITIONED,
        ),
        _job(
            MARKET_JOB,
            keys_of_stage("ticker"),
            f"Raw data and features of one ticker: choose it as the partition. Then: {RESEARCH_JOB}.",
        ),
        _job(
            RESEARCH_JOB,
            research,
            "Labels, models, forecasts, signals and backtests of one ticker and horizon: choose both as the partition, "
            f"or all horizons of a ticker for a run of each. Before: {MARKET_JOB}.",
        ),
        _job(
            ALL_SLICES_JOB,
            keys_of_stage("all_slices"),
            "What is said of all tickers and horizons together.",
            tags=UNPARTITIONED,
        ),
        _job(REFRESH_RAW_JOB, fetched["ticker"], "New raw data of one ticker."),
        _job(
            REFRESH_MACRO_JOB,
            [*fetched["none"], MACRO_FEATURES_KEY],
            "New macro observations and their features, in one run: every ticker's features wait for it.",
            tags=UNPARTITIONED,
        ),
        _job(OPTION_CHAIN_JOB, [OPTION_CHAIN_KEY], "The option chain of one session and ticker, from the source."),
        _job(OPTIONS_JOB, options, "Analytics of the stored option chains of one ticker."),
        _job(
            DURING_SESSION_JOB,
            keys_of_stage("during_session"),
            "Provisional forecasts and opportunities of one ticker, while its session is under way.",
        ),
        _job(
            TUNE_JOB,
            list(hyperparameters.hyperparameters.asset_keys),
            "Search the hyperparameters of one ticker and horizon up to the budget of the settings.",
            tags=TUNING_TAG,
        ),
        _job(
            RETRAIN_JOB,
            [key for key in research if key not in labels],
            "Refit the models of one ticker and horizon and everything that follows from them.",
        ),
    ]


def _fetched(kind: str) -> list[dg.AssetKey]:
    return [
        key
        for declaration in DECLARATIONS
        if declaration.slice == kind and declaration.is_fetched
        for key in declaration.asset_keys
    ]


def _job(
    name: str, keys: list[dg.AssetKey], description: str, *, tags: Mapping[str, str] | None = None
) -> dg.UnresolvedAssetJobDefinition:
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*keys),
        description=description,
        tags={"dagster/max_runtime": str(HOUR_SECONDS), **(tags or {})},
    )
