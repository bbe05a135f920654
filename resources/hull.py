"""The training set of the Hull Tactical market prediction from the user's file: ``train.csv``, or the same as Parquet.

Reading it in the shape of ``raw.hull_market`` and refusing another shape belongs here. Which columns a model may see is
said in ``trading_dag/features/hull_market.py``, what is done about missing values in ``features/missing_values.py``.

References
----------
"Hull Tactical - Market Prediction", Kaggle, 2025. The data come under the competition's rules; none is shipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from resources.raw_frames import table_frame
from trading_dag.errors import SourceFormatError
from trading_dag.schemas import HULL_MARKET

if TYPE_CHECKING:
    import pyarrow as pa

SOURCE: Final = "files"
_KEY: Final = "date_id"


def read_hull_market(path: Path) -> pd.DataFrame:
    """Every day of the file: date_id, 94 anonymous features, three labels. Other columns are left out.

    Parameters
    ----------
    path : ``.csv`` or ``.parquet`` with at least the columns of ``raw.hull_market``.

    Returns
    -------
    pd.DataFrame : columns and types of ``raw.hull_market``, ascending by ``date_id``; missing values stay missing.

    Raises
    ------
    SourceFormatError : for a file that is not there or unreadable, a missing column, text or infinity for a number, a
        repeated day, or no row at all.
    """
    frame = _read(path)
    if frame.empty:
        raise _format_error(path, "the file has no rows")
    days = frame[_KEY]
    if days.isna().any() or (days != days.round()).any() or (days < 0).any():
        raise _format_error(path, f"column {_KEY}: expected whole numbers from 0 on")
    repeated = days[days.duplicated()]
    if len(repeated):
        raise _format_error(path, f"column {_KEY}: {len(repeated)} days come twice, first {repeated.iloc[0]:.0f}")
    infinite = frame.columns[np.isinf(frame.to_numpy()).any(axis=0)]
    if len(infinite):
        raise _format_error(path, f"column {infinite[0]}: holds infinity")
    return table_frame(frame, HULL_MARKET, source=SOURCE)


def _read(path: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.dataset as ds

    names = list(HULL_MARKET.column_names)
    try:
        dataset = ds.dataset(path, format="parquet" if path.suffix == ".parquet" else "csv")
        for name in names:
            if name not in dataset.schema.names:
                raise _format_error(path, f"column {name} is missing")
            if not _is_number(dataset.schema.field(name).type):
                raise _format_error(path, f"column {name}: expected a number, found {dataset.schema.field(name).type}")
        table = dataset.to_table(columns=names)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, OSError) as error:
        raise _format_error(path, f"cannot be read: {error}") from error
    return pd.DataFrame({name: table.column(name).to_pandas().astype("float64") for name in names})


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind))


def _format_error(path: Path, problem: str) -> SourceFormatError:
    return SourceFormatError(
        source=SOURCE,
        request=str(path),
        problem=problem,
        remedy="Give the competition's train.csv as it is published, or the same columns as Parquet.",
    )
