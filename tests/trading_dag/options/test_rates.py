"""The rate of a session is the bill as it was known then, and the setting where there is none."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from trading_dag.errors import SchemaError
from trading_dag.options.rates import rates_at_sessions

SESSIONS = pd.DatetimeIndex(["2024-11-14", "2024-11-15", "2024-11-18"]).as_unit("us")


def test_a_bill_of_4_60_percent_is_ln_1_046_and_missing_ones_are_the_fallback() -> None:
    macro = pd.DataFrame({"session": SESSIONS[:2], "treasury_3m": [4.60, float("nan")]})
    found = rates_at_sessions(macro, SESSIONS, fallback=0.03)
    assert found == pytest.approx([math.log(1.046), 0.03, 0.03], abs=1e-15)


def test_macro_data_without_bills_is_refused() -> None:
    with pytest.raises(SchemaError, match="treasury_3m"):
        rates_at_sessions(pd.DataFrame({"session": SESSIONS}), SESSIONS, fallback=0.03)
