"""The rate of a session is the bill as it was known then, and the setting where there is none."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from trading_dag.errors import SchemaError
from trading_dag.options.chains.rates import rates_at_sessions, rates_of_quotes

SESSIONS = pd.DatetimeIndex(["2024-11-14", "2024-11-15", "2024-11-18"]).as_unit("us")


def test_a_bill_of_4_60_percent_is_ln_1_046_and_missing_ones_are_the_fallback() -> None:
    macro = pd.DataFrame({"session": SESSIONS[:2], "treasury_3m": [4.60, float("nan")]})
    found = rates_at_sessions(macro, SESSIONS, fallback=0.03)
    assert found == pytest.approx([math.log(1.046), 0.03, 0.03], abs=1e-15)


def test_macro_data_without_bills_is_refused() -> None:
    with pytest.raises(SchemaError, match="treasury_3m"):
        rates_at_sessions(pd.DataFrame({"session": SESSIONS}), SESSIONS, fallback=0.03)


def test_the_rate_of_a_quote_is_that_of_its_date_in_any_order_and_for_any_maturity() -> None:
    macro = pd.DataFrame({"session": SESSIONS[:2], "treasury_3m": [4.60, 1.0]})
    dates = pd.Series(SESSIONS[[2, 0, 1, 0]])
    found = rates_of_quotes(macro, fallback=0.03)(dates, np.array([0.1, 0.2, 0.3, 9.0]))
    assert found == pytest.approx([0.03, math.log(1.046), math.log(1.01), math.log(1.046)], abs=1e-15)
