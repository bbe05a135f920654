"""The command that refits models: which, since when, on which features. It materializes as ``run`` does."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from trading_dag.cli.arguments import AsJson, Horizons, Source, TickersOrOne
from trading_dag.cli.context import CommandContext
from trading_dag.cli.materialize import materialize
from trading_dag.errors import UnknownModelError
from trading_dag.feature_choice import GROUPS_AND_SETS
from trading_dag.setting_groups import TrainingSettings

FAMILIES = tuple(TrainingSettings.model_fields)
KEPT_BY = (
    "these models were fitted with {options}, which are not the settings: `run` refits them as the settings say. "
    ".env.example shows the settings that keep them"
)


def train(
    tickers: TickersOrOne = "",
    horizons: Horizons = "",
    source: Source = "",
    as_json: AsJson = False,
    models: Annotated[
        str, typer.Option("--model", "--models", help=f"Comma-separated, of {', '.join(FAMILIES)}. Default: all.")
    ] = "",
    since: Annotated[str, typer.Option("--since", help="Learn since: all, 5y, or a date.")] = "",
    features: Annotated[
        str,
        typer.Option(
            "--features",
            help=f"What may be read, comma-separated, of {', '.join(GROUPS_AND_SETS)}, or names of docs/features.md. "
            "Default: all.",
        ),
    ] = "",
    top_features: Annotated[
        int | None, typer.Option("--n-features", min=1, help="How many the direction classifier keeps. Default: 40.")
    ] = None,
    safe_features: Annotated[
        bool | None, typer.Option("--safe-features/--no-safe-features", help="Leave levels out. Default: yes.")
    ] = None,
    optimize_threshold: Annotated[
        bool | None,
        typer.Option(
            "--optimize-threshold/--no-optimize-threshold", help="Tune the decision threshold. Default: yes; else 0.5."
        ),
    ] = None,
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Let the new versions serve, also where they are worse on the same sessions."),
    ] = False,
    follow_up: Annotated[
        bool,
        typer.Option("--follow-up/--no-follow-up", help="Forecasts, scores, signals and backtests of the new models."),
    ] = True,
) -> None:
    """Refit the models of the chosen slices and what follows from them. A new version serves where it is no worse than
    the one that does, on the sessions that the folds of both forecast."""
    named = _families(models)
    given = _settings_of(
        named, since=since, features=features, top_features=top_features, safe_features=safe_features,
        optimize_threshold=optimize_threshold,
    )  # fmt: skip
    given |= {"champion": {"rule": "newest"}} if serve else {}
    context = CommandContext(source, tickers, horizons, given=given)
    from assets.run.execution import Refit

    options = [
        option
        for option, value in (
            ("--since", since), ("--features", features), ("--n-features", top_features),
            ("--safe-features", safe_features), ("--optimize-threshold", optimize_threshold),
        )
        if value not in ("", None)
    ]  # fmt: skip
    notes = (KEPT_BY.format(options=", ".join(options)),) if options else ()
    materialize(context, "train", as_json=as_json, refit=Refit(named, follows=follow_up), notes=notes)


def _families(text: str) -> tuple[str, ...]:
    """The families that are named, all where none is.

    Raises
    ------
    UnknownModelError : for a name that is none of them.
    """
    named = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in named:
        if name not in FAMILIES:
            raise UnknownModelError(f"{name!r} is no model; choose from {', '.join(FAMILIES)}")
    return named


def _settings_of(
    families: tuple[str, ...],
    *,
    since: str,
    features: str,
    top_features: int | None,
    safe_features: bool | None,
    optimize_threshold: bool | None,
) -> dict[str, Any]:
    """The settings that the options stand for; what is not said stays as it is set."""
    walk_forward = {
        "top_features": top_features, "safe_features": safe_features, "optimize_threshold": optimize_threshold
    }  # fmt: skip
    given: dict[str, Any] = {
        "walk_forward": {name: value for name, value in walk_forward.items() if value is not None},
        "training": {name: {"since": since} for name in families or FAMILIES} if since else {},
        "features": features,
    }
    return {name: value for name, value in given.items() if value}
