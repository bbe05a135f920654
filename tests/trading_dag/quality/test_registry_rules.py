"""A walk-forward whose training parts do not grow is refused: some fold has seen what it is tested on."""

from __future__ import annotations

import pandas as pd
import pytest

from trading_dag.quality import QualityContext, diagnose
from trading_dag.schemas import REGISTRY

CONTEXT = QualityContext(now_session=pd.Timestamp("2024-12-31"))


def registry(n_train: list[int], fitted_through: list[str | None]) -> pd.DataFrame:
    rows = len(n_train)
    frame = pd.DataFrame({column.name: [None] * rows for column in REGISTRY.columns})
    return frame.assign(
        ticker="SPY",
        horizon="24h",
        model="direction_logistic",
        fold=range(1, rows + 1),
        version="v",
        status="fitted",
        n_features=40,
        n_train=n_train,
        fitted_through=pd.to_datetime(fitted_through).as_unit("us"),
    )


DAYS = ["2020-01-02", "2021-01-04", "2022-01-03"]


@pytest.mark.parametrize(
    ("n_train", "days", "wrong"),
    [
        ([100, 200, 300], DAYS, [False, False, False]),
        ([300, 300, 300], DAYS, [False, True, True]),
        ([100, 90, 300], DAYS, [False, True, False]),
        ([100, 200, 300], [DAYS[0], DAYS[2], DAYS[1]], [False, False, True]),
        ([100, 200, 300], [DAYS[0], DAYS[0], DAYS[2]], [False, True, False]),
        ([0, 0, 0], [None, None, None], [False, False, False]),
        ([100, 0, 300], [DAYS[0], None, DAYS[2]], [False, False, False]),
        ([1, 1, 300], DAYS, [False, True, False]),
    ],
)
def test_training_parts_that_do_not_grow_are_found(
    n_train: list[int], days: list[str | None], wrong: list[bool]
) -> None:
    frame = registry(n_train, days)
    for stored in (frame, frame.astype({"n_train": "Int64"})):
        assert diagnose(REGISTRY, stored, context=CONTEXT)["training_parts_grow"].tolist() == wrong


@pytest.mark.parametrize(
    ("first", "n_train", "days", "wrong"),
    [
        ([*DAYS], [300, 300, 290], ["2023-01-03", "2024-01-02", "2024-12-30"], [False, False, False]),
        ([DAYS[0]] * 3, [300, 300, 290], ["2023-01-03", "2024-01-02", "2024-12-30"], [False, True, True]),
        ([*DAYS], [300, 300, 290], ["2023-01-03", "2024-01-02", "2024-01-02"], [False, False, True]),
        (
            [DAYS[1], DAYS[0], DAYS[2]],
            [300, 290, 300],
            ["2023-01-03", "2024-01-02", "2024-12-30"],
            [False, True, False],
        ),
    ],
)
def test_a_fold_that_learns_from_the_last_years_alone_moves_on_and_need_not_grow(
    first: list[str], n_train: list[int], days: list[str | None], wrong: list[bool]
) -> None:
    frame = registry(n_train, days).assign(train_first_session=pd.to_datetime(first).as_unit("us"))
    assert diagnose(REGISTRY, frame, context=CONTEXT)["training_parts_grow"].tolist() == wrong
