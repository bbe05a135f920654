"""``predict``: what was forecast of one session, or what the live model says of features that are given."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trading_dag.cli.arguments import AsJson, Source
from trading_dag.cli.context import CommandContext
from trading_dag.cli.printing import complain, print_json
from trading_dag.errors import ConfigurationError, SourceFormatError

if TYPE_CHECKING:
    import pandas as pd


def predict(
    ticker: Annotated[str, typer.Argument(help="One ticker, such as SPY.")],
    date: Annotated[
        datetime | None,
        typer.Option("--date", formats=["%Y-%m-%d"], help="The session. Default: the last that has a forecast."),
    ] = None,
    horizon: Annotated[str, typer.Option("--horizon", help="One of 12h, 24h, 48h, 72h, 96h, 168h.")] = "168h",
    features: Annotated[
        Path | None,
        typer.Option("--features", help="CSV, JSON or Parquet with a column for each feature of the live model."),
    ] = None,
    source: Source = "",
    as_json: AsJson = False,
) -> None:
    """Show the stored out-of-sample forecast of one session, by the fold that served it, with its IV context and
    structure; or score given features by the live model, marked as such."""
    if "," in ticker or "," in horizon:
        raise ConfigurationError("predict takes one ticker and one --horizon")
    if features is not None and date is not None:
        raise ConfigurationError("give --date or --features, not both: given features are of no session")
    context = CommandContext(source, ticker, horizon)
    if features is None:
        record = _of_session(context, date)
        records = [record]
    else:
        record = _of_given(context, features)
        records = record["predictions"]
    if as_json:
        print_json(record)
        return
    for each in records:
        told = each["prediction"] if features is None else each
        where = f"{ticker} {horizon} {each['date']}" if features is None else f"{ticker} {horizon} row {each['row']}"
        context.console.print(
            f"{where}: P(rise) {told['probability']:.1%} ({_against_usual(told)}), "
            f"{told['direction'] or 'no clear direction'}"
        )
    if features is None:
        at = record["price"]
        if at["median"] is not None:
            context.console.print(
                f"Price at the target: median {at['median']:,.2f}, nine times of ten between {at['interval_low']:,.2f} "
                f"and {at['interval_high']:,.2f} USD (close {at['close']:,.2f})."
            )
        context.console.print(str(record["strategy"]["reason"] or "No structure is stored for this session."))
    else:
        context.console.print(record["note"])


def _against_usual(told: dict[str, Any]) -> str:
    from trading_dag.strategy.explanation import NO_BETTER_THAN_USUAL

    if told["is_no_better_than_usual"]:
        return NO_BETTER_THAN_USUAL
    return "usual share unknown" if told["usual_probability"] is None else f"usually {told['usual_probability']:.1%}"


def _of_session(context: CommandContext, date: datetime | None) -> dict[str, Any]:
    import pandas as pd

    from resources.storage.parquet_store import ParquetStore, SliceKey
    from trading_dag.reporting.session_forecast import session_record
    from trading_dag.schemas import (
        IMPLIED_VOLATILITY,
        PREDICTIONS_DIRECTION,
        PREDICTIONS_PRICE,
        PREDICTIONS_VOLATILITY,
        RECOMMENDATION,
    )

    store, key = ParquetStore(context.settings.home), context.research_slices[0]
    direction = store.read(PREDICTIONS_DIRECTION, key)
    return session_record(
        direction,
        store.read(PREDICTIONS_VOLATILITY, key),
        store.read_or_empty(RECOMMENDATION, key),
        store.read_or_empty(IMPLIED_VOLATILITY, SliceKey(key.ticker)),
        store.read_or_empty(PREDICTIONS_PRICE, key),
        day=None if date is None else pd.Timestamp(date).as_unit("us"),
        ticker=str(key.ticker),
        horizon=str(key.horizon),
        source=direction.attrs.get("source"),
    )


def _of_given(context: CommandContext, path: Path) -> dict[str, Any]:
    from resources.storage.models.store import ModelStore
    from trading_dag.models.direction.given_features import forecasts_of_given, unknown_columns
    from trading_dag.served_models import SERVED_DIRECTION
    from trading_dag.strategy.explanation import called_direction

    key = context.research_slices[0]
    ticker, horizon = str(key.ticker), str(key.horizon)
    fitted = ModelStore(context.settings.home / "models").load("direction_classifier", ticker=ticker, horizon=horizon)
    given = _read(path)
    if given.empty:
        raise ConfigurationError(f"{path} has no rows")
    unknown = unknown_columns(fitted, SERVED_DIRECTION, given)
    if unknown:
        complain(f"{len(unknown)} columns of {path.name} are no features of the live model and are not read: "
                 f"{', '.join(unknown[:12])}")  # fmt: skip
    rows = [
        row
        | {"direction": called_direction(row["direction"], row["probability"]), "threshold_direction": row["direction"]}
        for row in forecasts_of_given(fitted, SERVED_DIRECTION, given)
    ]
    return {
        "ticker": ticker,
        "horizon": horizon,
        "features": str(path),
        "model": {"name": SERVED_DIRECTION, "version": fitted.model_version, "fold": "live"},
        "unknown_columns": unknown,
        "predictions": [{"row": number, **row} for number, row in enumerate(rows, start=1)],
        "note": "By the live model, which has learnt from every label: no out-of-sample forecast of a past session.",
    }


def _read(path: Path) -> pd.DataFrame:
    """The file's columns; of a text file those that are numbers.

    Raises
    ------
    SourceFormatError, ConfigurationError : for a file that is not there or cannot be read.
    """
    import pandas as pd

    if not path.is_file():
        raise ConfigurationError(f"there is no file {path}")
    ending = path.suffix.lower()
    if ending == ".parquet":
        try:
            return pd.read_parquet(path)
        except (ValueError, OSError, NotImplementedError) as error:  # what pyarrow's errors are
            raise _unreadable(path, str(error)) from None
    if ending == ".json":
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise _unreadable(path, str(error)) from None
        rows = told if isinstance(told, list) else [told]
        if not all(isinstance(row, dict) for row in rows):
            raise _unreadable(path, "it is neither an object nor a list of objects")
        return pd.DataFrame(rows)
    from resources.text_files.reader import open_text_file
    from trading_dag.models.direction.given_features import BESIDE_FEATURES

    remedy = "Give a header with the names of the features, and a line for each row."
    file = open_text_file(path, source=path.name, remedy=remedy)
    kinds = {name: "text" if name in BESIDE_FEATURES else "number" for name in file.names}
    found = file.read(kinds)  # type: ignore[arg-type]
    for remark in found.remarks:
        complain(f"{path.name}: {remark}")
    return found.frame


def _unreadable(path: Path, problem: str) -> SourceFormatError:
    return SourceFormatError(
        source="features", request=str(path), problem=" ".join(problem.split()), remedy="Give CSV, JSON or Parquet."
    )
