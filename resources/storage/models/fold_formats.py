"""The files that hold the estimator of one fold, each in the format of its library. Nothing in them is run.

What is a scikit-learn pipeline has no file of its own: ``files`` stores those of all folds together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from resources.storage.models.networks import read_network, write_network
from trading_dag.errors import StorageError
from trading_dag.models.deep.network_estimator import NetworkEstimator
from trading_dag.models.estimators.light_trees import LightTrees


@dataclass(frozen=True)
class FoldFormat:
    """One format.

    Attributes
    ----------
    ending : of the file's name.
    holds : whether an estimator is stored in it.
    write, read : estimator → content, and (content, where it lies) → estimator.
    """

    ending: str
    holds: Callable[[Any], bool]
    write: Callable[[Any], bytes]
    read: Callable[[bytes, str], Any]


def _is_xgboost(estimator: Any) -> bool:
    return hasattr(estimator, "save_raw")


def _write_xgboost(booster: Any) -> bytes:
    return bytes(booster.save_raw(raw_format="ubj"))


def _read_xgboost(content: bytes, where: str) -> Any:
    import xgboost

    try:
        booster = xgboost.Booster(model_file=bytearray(content))
    except xgboost.core.XGBoostError as problem:
        raise StorageError(f"xgboost cannot read {where}: {problem}") from problem
    booster.set_param({"nthread": 1})
    return booster


def _is_lightgbm(estimator: Any) -> bool:
    return isinstance(estimator, LightTrees)


def _write_lightgbm(trees: LightTrees) -> bytes:
    return trees.text.encode()


def _read_lightgbm(content: bytes, where: str) -> LightTrees:
    try:
        return LightTrees(content.decode())
    except UnicodeDecodeError as problem:
        raise StorageError(f"{where} is no text of LightGBM: {problem}") from problem


def _is_network(estimator: Any) -> bool:
    return isinstance(estimator, NetworkEstimator)


FOLD_FORMATS: Final = (
    FoldFormat("ubj", _is_xgboost, _write_xgboost, _read_xgboost),
    FoldFormat("lgb", _is_lightgbm, _write_lightgbm, _read_lightgbm),
    FoldFormat("pt", _is_network, write_network, read_network),
)


def format_of(estimator: Any) -> FoldFormat | None:
    """Return the format in which an estimator has a file of its own; None for a scikit-learn pipeline."""
    return next((known for known in FOLD_FORMATS if known.holds(estimator)), None)
