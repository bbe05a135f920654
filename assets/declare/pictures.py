"""Figures turned into pictures for the Dagster UI, at most once a version of what they show."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWS: Final = "pictures show"  # the version that the pictures of a materialization are of
_PICTURE: Final = "![picture](data:image/png;base64,"


def picture(figure: Figure) -> dg.MarkdownMetadataValue:
    """Return a figure as Markdown with the PNG inside, which the UI shows without a file to serve."""
    from trading_dag.plots import to_png

    encoded = base64.b64encode(to_png(figure)).decode("ascii")
    return dg.MetadataValue.md(f"{_PICTURE}{encoded})")


def pictures_of(
    instance: dg.DagsterInstance,
    key: dg.AssetKey,
    partition: str | None,
    *,
    contents: Iterable[str],
    draw: Callable[[], Mapping[str, Figure]],
) -> dict[str, Any]:
    """Return the pictures of a materialization as metadata: those of the one before where it shows the same, else drawn
    anew.

    Parameters
    ----------
    contents : hashes of everything that the pictures may show. The code that draws counts besides.
    draw : draws the figures by name.
    """
    version = hashlib.sha256("\n".join((*contents, _code_of_pictures())).encode()).hexdigest()[:16]
    before = _metadata_of_latest(instance, key, partition)
    if SHOWS in before and before[SHOWS].value == version:
        return {name: value for name, value in before.items() if name == SHOWS or _is_picture(value)}
    return {name: picture(figure) for name, figure in draw().items()} | {SHOWS: version}


def _metadata_of_latest(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str | None) -> Mapping[str, Any]:
    asked = dg.AssetRecordsFilter(asset_key=key, asset_partitions=None if partition is None else [partition])
    for record in instance.fetch_materializations(asked, limit=1).records:
        if record.asset_materialization is not None:
            return record.asset_materialization.metadata
    return {}


def _is_picture(value: Any) -> bool:
    return isinstance(value, dg.MarkdownMetadataValue) and str(value.value).startswith(_PICTURE)


@cache
def _code_of_pictures() -> str:
    """Return a hash of the modules that draw, so that a changed look is seen without a version raised by hand."""
    modules = sorted(
        (module.name, module.read_bytes()) for module in files("trading_dag.plots").iterdir() if module.is_file()
    )
    return hashlib.sha256(b"".join(content for _, content in modules)).hexdigest()
