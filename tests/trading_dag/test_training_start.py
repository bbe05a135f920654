"""Since when is learnt from: the three forms, and which rows of a training part they keep."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest
from pydantic import ValidationError

from trading_dag.setting_groups import FamilyTraining
from trading_dag.training_start import EVERYTHING, TrainingStart, parse_start


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("all", EVERYTHING),
        ("5y", TrainingStart(years=5)),
        (" 12Y ", TrainingStart(years=12)),
        ("2015-01-02", TrainingStart(first=date(2015, 1, 2))),
    ],
)
def test_a_start_is_all_years_or_a_date(text: str, start: TrainingStart) -> None:
    assert parse_start(text) == start
    assert FamilyTraining(since=text).start == start


@pytest.mark.parametrize("text", ["", "0y", "y", "5", "100y", "5 years", "2015-13-01", "yesterday", "-1y"])
def test_another_text_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(ValidationError, match="no start of the training data: all, a number of years such as 5y, or"):
        FamilyTraining(since=text)


def test_years_keep_the_sessions_after_the_same_day_so_many_years_before_the_last() -> None:
    sessions = pd.DatetimeIndex(["2018-12-31", "2019-03-01", "2019-03-04", "2024-02-29", "2024-03-01"])
    assert sessions[TrainingStart(years=5).keeps(sessions)].tolist() == sessions[2:].tolist()
    assert EVERYTHING.keeps(sessions) == slice(None)
    assert TrainingStart(years=5).keeps(sessions[:0]) == slice(None)
