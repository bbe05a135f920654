"""What the UI says of an asset before it is made: who answers for it, what it is, and where its code stands."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import dagster as dg

from assets.declare.declaration import Declaration

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FunctionType

# Who is asked when an asset looks wrong. A team of one has several hats.
_OWNERS: Final = {
    "raw": "team:market-data",
    "features": "team:features",
    "labels": "team:features",
    "models": "team:models",
    "predictions": "team:models",
    "evaluation": "team:models",
    "options": "team:options",
    "signals": "team:trading",
    "backtests": "team:trading",
    "paper": "team:trading",
    "monitoring": "team:operations",
}
_CHECKOUT: Final = Path(__file__).resolve().parents[2]


def owners_of(group: str) -> list[str]:
    """Return who answers for the assets of a group."""
    return [_OWNERS.get(group, "team:research")]


def tags_of(declaration: Declaration) -> dict[str, str]:
    """Return what a reader of the graph filters by: where rows come from, what is never altered, what has a probe
    against look-ahead, and how the asset is sliced."""
    made = "fetched" if declaration.is_fetched else "fitted" if declaration.is_model else "computed"
    told = {"made": made, "slice": declaration.slice.replace("_", "-")}
    if any(table.is_append_only for table in declaration.tables):
        told["append-only"] = "yes"
    if declaration.probe is not None:
        told["probed-for-look-ahead"] = "yes"
    if declaration.forecasts is not None:
        told["champion-and-challenger"] = "yes"
    return told


def code_references(function: Callable[..., Any]) -> dict[str, Any]:
    """Return where a function stands, as metadata by which the UI opens it in an editor."""
    code = cast("FunctionType", inspect.unwrap(function)).__code__
    file, line = Path(code.co_filename), code.co_firstlineno
    inside = file.relative_to(_CHECKOUT) if file.is_relative_to(_CHECKOUT) else file
    reference = dg.LocalFileCodeReference(file_path=str(file), line_number=line, label=f"{inside}:{line}")
    return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[reference])}
