"""The files of one model version: JSON specs, scikit-learn by skops, xgboost and torch in their own formats. No pickle.

How a ``FittedModel`` is written to a folder and read back belongs here. Which folder,
and when it counts, stands in ``models.store``. Files::

    spec.json                  windows, features, thresholds, hyperparameters, libraries, inputs, inner scores,
                               and the SHA-256 of every other file
    selection.json             what each fold chose, from what, and why the rest was left out
    direction_logistic.skops   pipelines of the fitted folds of one model, in fold order
    direction_xgboost-1.ubj    estimator of one fold in the format of its library (``fold_formats``)

What comes back is checked: each file against its digest, everything together against the content
hash, and each skops file against the types that ``models.estimators.learners`` lists before anything in it is built.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
import pandas as pd

from resources.storage.models.fold_formats import FOLD_FORMATS, format_of
from trading_dag.errors import StorageError, UntrustedModelError
from trading_dag.features.selection import SELECTION_COLUMNS
from trading_dag.models.estimators.learners import ESTIMATOR_TYPES, MOVED_MODULES
from trading_dag.models.learning.fitted import FittedFold, FittedModel, canonical_json, fold_spec
from trading_dag.sessions import TIME_UNIT

SPEC_FILE: Final = "spec.json"
SELECTION_FILE: Final = "selection.json"
_FORMAT: Final = 1
_MODEL_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_DAYS: Final = ("train_first_session", "train_last_session", "fitted_through", "serves_from")

_SCHEMA: Final = "schema.json"

# The kinds of node in which skops keeps those types.
_ALLOWED_LOADERS: Final = frozenset(
    {"DTypeNode", "DictNode", "JsonNode", "ListNode", "NdArrayNode", "ObjectNode", "TupleNode", "TypeNode"}
)


def write_model(fitted: FittedModel, folder: Path) -> None:
    """Write a model into an empty folder, each file flushed to disk, ``spec.json`` last."""
    files = {SELECTION_FILE: _selection_json(fitted), **_estimator_files(fitted)}
    spec = {
        "format": _FORMAT,
        "name": fitted.name,
        "ticker": fitted.ticker,
        "horizon": fitted.horizon,
        "minimum_presence": fitted.minimum_presence,
        "libraries": fitted.libraries,
        "inputs": fitted.inputs,
        "training": fitted.training,
        "content_hash": fitted.content_hash(),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "folds": [fold_spec(fold) for fold in fitted.folds],
    }
    files[SPEC_FILE] = json.dumps(spec, indent=2, ensure_ascii=False, allow_nan=False).encode()
    for name, content in files.items():
        with (folder / name).open("wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())


def read_model(folder: Path) -> FittedModel:
    """Return the model that was written into a folder.

    Raises
    ------
    UntrustedModelError : where a file differs from the spec, or holds a type that is not allowed.
    StorageError : where a file is missing or unreadable.
    """
    spec = _read_spec(folder)
    try:
        fitted = _restore(folder, spec)
    except (KeyError, TypeError, ValueError, IndexError) as problem:
        raise StorageError(f"{folder} is not a complete model: {type(problem).__name__}: {problem}") from problem
    if fitted.content_hash() != spec.get("content_hash"):
        raise UntrustedModelError(f"{folder}: the content differs from the hash in {SPEC_FILE}")
    return fitted


def read_inputs(folder: Path) -> dict[str, str]:
    """Return the content hash of each input of the model in a folder, without loading the model."""
    inputs = _read_spec(folder).get("inputs")
    if not isinstance(inputs, dict):
        raise StorageError(f"{folder / SPEC_FILE} names no inputs")
    return {str(name): str(digest) for name, digest in inputs.items()}


def read_description(folder: Path) -> dict[str, Any]:
    """Return what is told of the model in a folder without loading it: data window of its live model, what was chosen
    to be learnt from, libraries.

    Raises
    ------
    StorageError : where the spec is unreadable.
    """
    spec = _read_spec(folder)
    try:
        live = max(spec["folds"], key=lambda fold: int(fold["fold"])) if spec["folds"] else {}
        days = {name: live.get(name) for name in ("train_first_session", "train_last_session", "fitted_through")}
        return {**days, "training": dict(spec.get("training", {})), "libraries": dict(spec["libraries"])}
    except (KeyError, TypeError, ValueError) as problem:
        told = f"{type(problem).__name__}: {problem}"
        raise StorageError(f"{folder / SPEC_FILE} is no complete spec: {told}") from problem


def _read_spec(folder: Path) -> dict[str, Any]:
    path = folder / SPEC_FILE
    try:
        spec = json.loads(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise StorageError(f"{path} is unreadable: {problem}") from problem
    if not isinstance(spec, dict) or spec.get("format") != _FORMAT:
        raise StorageError(f"{path} is not a model spec of format {_FORMAT}")
    return spec


def _restore(folder: Path, spec: dict[str, Any]) -> FittedModel:
    selections = json.loads(_checked_bytes(folder, SELECTION_FILE, spec))
    pipelines: dict[str, Iterator[Any]] = {}
    folds = []
    for entry in spec["folds"]:
        model, number = str(entry["model"]), int(entry["fold"])
        if not _MODEL_NAME.fullmatch(model):
            raise StorageError(f"{folder / SPEC_FILE}: {model!r} is no model name")
        estimator = None
        if entry["status"] == "fitted":
            own = next((form for form in FOLD_FORMATS if f"{model}-{number}.{form.ending}" in spec["files"]), None)
            if own is not None:
                name = f"{model}-{number}.{own.ending}"
                estimator = own.read(_checked_bytes(folder, name, spec), str(folder / name))
            else:
                if model not in pipelines:
                    content = _checked_bytes(folder, f"{model}.skops", spec)
                    pipelines[model] = iter(_pipelines(content, folder / f"{model}.skops"))
                estimator = next(pipelines[model], None)
                if estimator is None:
                    raise StorageError(f"{folder / model}.skops holds fewer pipelines than the spec has fitted folds")
        folds.append(_fold(entry, estimator, selections[f"{model}-{number}"]))
    return FittedModel(
        name=spec["name"],
        ticker=spec["ticker"],
        horizon=spec["horizon"],
        folds=tuple(folds),
        minimum_presence=spec["minimum_presence"],
        libraries=spec["libraries"],
        inputs=spec["inputs"],
        training=spec.get("training", {}),
    )


def _fold(entry: dict[str, Any], estimator: Any, selection: dict[str, list[Any]]) -> FittedFold:
    given = dict(entry)
    for name in _DAYS:
        given[name] = None if given[name] is None else pd.Timestamp(given[name]).as_unit(TIME_UNIT)
    given["features"], given["classes"] = tuple(given["features"]), tuple(given["classes"])
    given["prior"] = {name: float("nan") if share is None else share for name, share in given["prior"].items()}
    given["indicators"] = {name: tuple(columns) for name, columns in given.get("indicators", {}).items()}
    return FittedFold(**given, estimator=estimator, selection=_selection_frame(selection))


def _selection_frame(columns: dict[str, list[Any]]) -> pd.DataFrame:
    # Models that were stored before features were judged by their last years tell neither of the two.
    rows = len(columns["feature"])
    columns = {"known_fraction": columns["presence_fraction"], "begins_late": [False] * rows} | columns
    measured = ("score", "presence_fraction", "known_fraction")
    numbers = {name: np.array(columns[name], dtype="float64") for name in measured}
    frame = {
        "feature": pd.array(columns["feature"], dtype="str"),
        "selected": np.array(columns["selected"], dtype="bool"),
        "reason": pd.array(columns["reason"], dtype="str"),
        **numbers,
        "begins_late": np.array(columns["begins_late"], dtype="bool"),
    }
    return pd.DataFrame(frame, columns=list(SELECTION_COLUMNS))


def _selection_json(fitted: FittedModel) -> bytes:
    columns = {}
    for fold in fitted.folds:
        chosen = fold.selection[list(SELECTION_COLUMNS)].astype(object)
        columns[f"{fold.model}-{fold.fold}"] = chosen.where(chosen.notna(), None).to_dict(orient="list")
    return canonical_json(columns).encode()


def _estimator_files(fitted: FittedModel) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for model in fitted.models:
        estimators = [(fold.fold, fold.estimator) for fold in fitted.folds_of(model) if fold.status == "fitted"]
        pipelines = []
        for number, estimator in estimators:
            own = format_of(estimator)
            if own is None:
                pipelines.append(estimator)
            else:
                files[f"{model}-{number}.{own.ending}"] = own.write(estimator)
        if pipelines:
            buffer = io.BytesIO()
            _skops().dump(pipelines, buffer)
            content = buffer.getvalue()
            _audit(_schema_of(content, f"{model}.skops"), f"{model}.skops")
            files[f"{model}.skops"] = content
    return files


def _checked_bytes(folder: Path, name: str, spec: dict[str, Any]) -> bytes:
    """Return the content of a file whose digest is the one in the spec."""
    expected = spec["files"].get(name)
    try:
        content = (folder / name).read_bytes()
    except OSError as problem:
        raise StorageError(f"{folder / name} is unreadable: {problem}") from problem
    if hashlib.sha256(content).hexdigest() != expected:
        raise UntrustedModelError(f"{folder / name} is not the file that was saved")
    return content


def _no_types(name: str) -> list[str]:
    """Return the list of trusted types of a name: none. Whoever asks a module for its file or its like gets no list."""
    if name.startswith("__"):
        raise AttributeError(name)
    return []


def _skops() -> ModuleType:
    """Return skops.io without its own list of trusted types.

    On import it searches all of scikit-learn, SciPy and NumPy for types to trust. That costs every process that opens a
    model two seconds, and trusts more than ``ESTIMATOR_TYPES``, which is passed by name instead.
    """
    trusts_nothing = ModuleType("skops.io._trusted_types")
    vars(trusts_nothing)["__getattr__"] = _no_types
    sys.modules.setdefault(trusts_nothing.__name__, trusts_nothing)
    import skops.io

    module: ModuleType = skops.io
    return module


def _pipelines(content: bytes, path: Path) -> list[Any]:
    skops = _skops()
    from skops.io.exceptions import UntrustedTypesFoundException

    content, schema = _with_moved_modules(content, str(path))
    _audit(schema, str(path))
    try:
        pipelines = skops.loads(content, trusted=sorted(ESTIMATOR_TYPES))
    except UntrustedTypesFoundException as problem:
        raise UntrustedModelError(f"{path}: {problem}") from problem
    if not isinstance(pipelines, list):
        raise StorageError(f"{path} does not hold a list of pipelines")
    return pipelines


def _with_moved_modules(content: bytes, where: str) -> tuple[bytes, Any]:
    """Return a skops file in which modules of our own types have the names that they have today, and its schema."""
    schema = _schema_of(content, where)
    if not _rename_modules(schema):
        return content, schema
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(buffer, "w") as archive:
        for name in dict.fromkeys(before.namelist()):
            archive.writestr(name, json.dumps(schema) if name == _SCHEMA else before.read(name))
    return buffer.getvalue(), schema


def _rename_modules(node: Any) -> int:
    """Put today's name in the place of every module that moved, and return how many there were."""
    renamed = 0
    if isinstance(node, dict):
        if node.get("__module__") in MOVED_MODULES:
            node["__module__"], renamed = MOVED_MODULES[node["__module__"]], 1
        return renamed + sum(_rename_modules(value) for value in node.values())
    return sum(_rename_modules(value) for value in node) if isinstance(node, list) else 0


def _schema_of(content: bytes, where: str) -> Any:
    """Return what a skops file says of its own parts."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return json.loads(archive.read(_SCHEMA))
    except (zipfile.BadZipFile, KeyError, ValueError) as problem:
        raise StorageError(f"{where} is not a skops file: {problem}") from problem


def _audit(schema: Any, where: str) -> None:
    """Refuse a skops file with any type or loader that is not on the list, before it is loaded."""
    strangers = sorted(
        {
            f"{type_name} ({loader})"
            for type_name, loader in _types_in(schema)
            if type_name not in ESTIMATOR_TYPES or loader not in _ALLOWED_LOADERS
        }
    )
    if strangers:
        raise UntrustedModelError(
            f"{where} holds {', '.join(strangers)}, which is not allowed in a stored model: no learner of "
            "trading_dag/models/estimators/learners.py consists of it (ESTIMATOR_TYPES)"
        )


def _types_in(node: Any) -> Iterator[tuple[str, str]]:
    """Yield the type and the loader of every node in a skops schema."""
    if isinstance(node, dict):
        if "__class__" in node or "__loader__" in node:
            yield f"{node.get('__module__')}.{node.get('__class__')}", str(node.get("__loader__"))
        for value in node.values():
            yield from _types_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from _types_in(value)
