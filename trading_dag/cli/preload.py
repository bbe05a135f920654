"""What the workers' server imports before it forks the first worker: what every slice needs, nothing that starts
threads.

Libraries that only some slices need (models, pictures) are imported by the workers where they are used.
"""

import os

from assets.run.workers import THREAD_VARIABLES

os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # read when the libraries below are loaded

import pandas as pd
import psutil  # noqa: F401
import pyarrow.parquet  # noqa: F401
import typer  # noqa: F401

import assets.run.execution  # noqa: F401
import resources.io_managers.chains
import resources.io_managers.tables
import resources.merging.event_history
import resources.runs.history  # noqa: F401
import trading_dag.definitions  # noqa: F401
from resources.expectations import verify
from trading_dag.quality import QualityContext, empty_frame
from trading_dag.schemas import MACRO_TABLE
from trading_dag.sessions import all_sessions

# The first verdict imports Great Expectations and the exchange calendar; here it is paid for once.
verify(MACRO_TABLE, empty_frame(MACRO_TABLE), context=QualityContext(pd.Timestamp(all_sessions()[-1])))
