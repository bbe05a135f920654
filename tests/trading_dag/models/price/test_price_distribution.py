"""The distribution of a price knows what its session knew, follows volatility, and says what it rests on."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest

from tests.trading_dag.models.price.price_inputs import SESSIONS, price_inputs
from trading_dag.errors import SchemaError
from trading_dag.models.price.price_distribution import (
    LEAST_OUTCOMES,
    PRICE_DISTRIBUTION,
    build_price_distribution,
)
from trading_dag.models.price.price_table import price_table
from trading_dag.models.price.volatility_scale import LEAST_MOVES
from trading_dag.quality import QualityContext, conform, examine
from trading_dag.schemas import PREDICTIONS_PRICE, QUANTILE_COLUMNS, QUANTILE_LEVELS
from trading_dag.sessions import shift_sessions
from trading_dag.setting_groups import BootstrapSettings
from trading_dag.slices import HORIZONS, horizon_of
from trading_dag.validation.lookahead import probe_lookahead
from trading_dag.validation.scores.baselines import RANDOM_WALK, ROLLING_QUANTILE
from trading_dag.validation.verdicts.evaluation import evaluate

NOW = QualityContext(now_session=pd.Timestamp("2016-12-30"))


@pytest.fixture(scope="module")
def inputs() -> dict[str, pd.DataFrame]:
    return price_inputs()


@pytest.fixture(scope="module")
def weekly(inputs: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return build_price_distribution(**inputs, horizon=horizon_of("168h"))


def _own(table: pd.DataFrame, model: str = PRICE_DISTRIBUTION, ahead: int | None = None) -> pd.DataFrame:
    rows = table[table["model"] == model]
    ahead = rows["sessions_ahead"].min() if ahead is None else ahead
    return rows[rows["sessions_ahead"] == ahead].set_index("session")


@pytest.mark.parametrize("key", HORIZONS)
def test_the_table_holds_every_rule_of_its_schema(inputs: dict[str, pd.DataFrame], key: str) -> None:
    table = build_price_distribution(**inputs, horizon=horizon_of(key))
    findings = examine(PREDICTIONS_PRICE, table, context=NOW)
    assert {name: finding.detail for name, finding in findings.items() if finding.count} == {}
    assert all(finding.is_examined for finding in findings.values())
    pd.testing.assert_frame_equal(conform(table, PREDICTIONS_PRICE, slice_key=f"{key}|SPY"), table)


def test_the_weekly_slice_holds_forecasts_of_10_and_21_sessions_and_the_others_their_own_alone(
    inputs: dict[str, pd.DataFrame], weekly: pd.DataFrame
) -> None:
    ahead = {(row.model, row.sessions_ahead) for row in weekly.itertuples()}
    models = (PRICE_DISTRIBUTION, RANDOM_WALK, ROLLING_QUANTILE)
    assert ahead == {(model, sessions) for model in models for sessions in (5, 10, 21)}
    for row in weekly.groupby(["model", "sessions_ahead"]).tail(1).itertuples():
        assert row.target_session == shift_sessions(pd.DatetimeIndex([row.session]), row.sessions_ahead)[0]
        assert np.isnan(row.y_true)
    daily = build_price_distribution(**inputs, horizon=horizon_of("24h"))
    assert set(daily["sessions_ahead"]) == {1}


def test_outcomes_are_the_prices_at_the_target(inputs: dict[str, pd.DataFrame], weekly: pd.DataFrame) -> None:
    closes = inputs["prices"].set_index("session")["close"]
    for ahead in (5, 10, 21):
        rows = _own(weekly, ahead=ahead)
        np.testing.assert_array_equal(rows["y_true"], closes.shift(-ahead).reindex(rows.index))
    nightly = _own(build_price_distribution(**inputs, horizon=horizon_of("12h")))
    opens = inputs["prices"].set_index("session")["open"]
    np.testing.assert_array_equal(nightly["y_true"], opens.shift(-1).reindex(nightly.index))


@pytest.mark.parametrize("key", ["12h", "24h", "168h"])
def test_rows_begin_with_the_session_that_knows_enough_outcomes(inputs: dict[str, pd.DataFrame], key: str) -> None:
    horizon = horizon_of(key)
    table = build_price_distribution(**inputs, horizon=horizon)
    # hv_20 begins with the 21st session; the 250th move from there on is the first to be fitted on when it is known,
    # and the 250th ratio from there on the first to be counted, again when it is known
    first_scale = 20 + LEAST_MOVES - 1 + horizon.target_offset
    assert _own(table).index[0] == SESSIONS[first_scale + LEAST_OUTCOMES - 1 + horizon.target_offset]
    for model in (ROLLING_QUANTILE, RANDOM_WALK):
        assert _own(table, model).index[0] == SESSIONS[LEAST_OUTCOMES + horizon.target_offset - 1]


def test_a_history_too_short_gives_a_typed_table_without_rows() -> None:
    table = build_price_distribution(**price_inputs(200), horizon=horizon_of("24h"))
    assert table.empty
    assert tuple(table.columns) == PREDICTIONS_PRICE.column_names


def test_the_last_outcome_used_is_the_one_whose_target_is_the_session_itself(weekly: pd.DataFrame) -> None:
    for model in (PRICE_DISTRIBUTION, ROLLING_QUANTILE, RANDOM_WALK):
        rows = _own(weekly, model)
        assert (rows["fitted_through"].to_numpy() == rows.index.to_numpy()).all()


def test_the_baselines_are_counted_by_hand(inputs: dict[str, pd.DataFrame], weekly: pd.DataFrame) -> None:
    closes = inputs["prices"]["close"].to_numpy()
    moves = np.log(closes[5:] / closes[:-5])
    for place in (400, 900):
        known, session = moves[: place + 1 - 5], SESSIONS[place]
        for model, taken in ((ROLLING_QUANTILE, known[-250:]), (RANDOM_WALK, known)):
            row = _own(weekly, model).loc[session]
            wanted = closes[place] * np.exp(np.quantile(taken, QUANTILE_LEVELS, method="weibull"))
            np.testing.assert_allclose(row[list(QUANTILE_COLUMNS)].astype(float), wanted, rtol=1e-12)
        assert _own(weekly, RANDOM_WALK).loc[session, "y_pred"] == closes[place]
        assert _own(weekly, ROLLING_QUANTILE).loc[session, "y_pred"] == pytest.approx(
            closes[place] * np.exp(np.quantile(known[-250:], 0.5, method="weibull")), rel=1e-12
        )


def test_the_width_follows_a_volatility_that_was_known_and_covers_in_calm_and_in_turmoil() -> None:
    volatility = np.where(np.arange(1_750) // 50 % 2 == 0, 10.0, 30.0)
    table = build_price_distribution(**price_inputs(1_750, volatility=volatility, seed=3), horizon=horizon_of("24h"))
    rows = _own(table).dropna(subset=["y_true"])
    is_calm = volatility[SESSIONS.get_indexer(rows.index)] == 10.0
    width = (rows["interval_high"] - rows["interval_low"]) / rows["close"]
    assert 2.5 < width[~is_calm].mean() / width[is_calm].mean() < 3.5
    covered = rows["y_true"].between(rows["interval_low"], rows["interval_high"])
    for part in (covered[is_calm], covered[~is_calm]):
        assert part.mean() == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / len(part)))
    rolling = _own(table, ROLLING_QUANTILE).loc[rows.index]
    assert rolling["y_true"].between(rolling["interval_low"], rolling["interval_high"])[~is_calm].mean() < 0.86


def test_the_scale_says_what_it_rests_on() -> None:
    for index, source in (("index", "index"), ("proxy_index", "proxy_index"), (None, "realized_volatility")):
        table = build_price_distribution(**price_inputs(700, index=index), horizon=horizon_of("24h"))
        assert set(_own(table)["scale_source"]) == {source}
        assert set(_own(table, RANDOM_WALK)["scale_source"]) == {"unscaled"}


def test_an_index_that_begins_late_or_has_gaps_takes_over_where_it_can() -> None:
    inputs = price_inputs(1_200)
    inputs["implied_volatility"].loc[:599, ["vix_close", "iv_source"]] = np.nan, None
    inputs["implied_volatility"].loc[1_000:1_009, "vix_close"] = np.nan
    rows = _own(build_price_distribution(**inputs, horizon=horizon_of("24h")))
    by_source = rows["scale_source"].groupby(rows["scale_source"]).groups
    assert by_source["index"][0] == SESSIONS[600 + LEAST_MOVES]
    assert set(SESSIONS[1_000:1_010]) <= set(by_source["realized_volatility"])
    assert rows["scale_source"].loc[SESSIONS[1_010]] == "index"


def test_a_session_without_realised_volatility_has_no_distribution_and_the_others_keep_theirs() -> None:
    inputs = price_inputs(900)
    whole = _own(build_price_distribution(**inputs, horizon=horizon_of("24h")))
    inputs["technical"].loc[800, ["hv_5", "hv_20", "hv_60"]] = np.nan
    inputs["technical"].loc[810, "hv_20"] = 0.0
    holed = _own(build_price_distribution(**inputs, horizon=horizon_of("24h")))
    assert set(whole.index) - set(holed.index) == {SESSIONS[800], SESSIONS[810]}
    pd.testing.assert_frame_equal(whole.loc[: SESSIONS[799]], holed.loc[: SESSIONS[799]])


def test_a_missing_bar_leaves_out_its_own_outcomes_and_nothing_else() -> None:
    inputs = price_inputs(900)
    inputs["prices"] = inputs["prices"].drop(index=700).reset_index(drop=True)
    rows = _own(build_price_distribution(**inputs, horizon=horizon_of("48h")))
    assert SESSIONS[700] not in rows.index
    assert np.isnan(rows.loc[SESSIONS[698], "y_true"])
    assert rows.loc[SESSIONS[702], "fitted_through"] == SESSIONS[701]


def test_the_overnight_horizon_reads_the_index_of_the_session_before() -> None:
    inputs = price_inputs(900)
    key, place = "12h", 850
    before = _own(build_price_distribution(**inputs, horizon=horizon_of(key)))
    inputs["implied_volatility"].loc[place, "vix_close"] *= 3
    after = _own(build_price_distribution(**inputs, horizon=horizon_of(key)))
    same = list(QUANTILE_COLUMNS)
    pd.testing.assert_frame_equal(before.loc[: SESSIONS[place], same], after.loc[: SESSIONS[place], same])
    assert (before.loc[SESSIONS[place + 1], same] != after.loc[SESSIONS[place + 1], same]).all()


@pytest.mark.parametrize("key", ["12h", "72h", "168h"])
def test_no_row_depends_on_what_came_later(key: str) -> None:
    inputs = price_inputs(750, seed=5)
    found = probe_lookahead(
        partial(build_price_distribution, horizon=horizon_of(key)),
        inputs,
        time_columns=dict.fromkeys(inputs, "session"),
        table="predictions.price",
        also_by=("model", "sessions_ahead"),
        outcomes=("y_true", "forward_return"),
    )
    assert found == []


def test_the_volatility_of_a_session_is_ranked_in_its_own_past(weekly: pd.DataFrame) -> None:
    index = price_inputs()["implied_volatility"].set_index("session")["vix_close"]
    rows = _own(weekly)
    for session in rows.index[::97]:
        past = index.loc[:session]
        share = (past <= past.iloc[-1]).mean()
        expected = "low" if share <= 1 / 3 else "middle" if share <= 2 / 3 else "high"
        assert rows.loc[session, "volatility_third"] == expected


def test_prices_that_are_none_and_tables_that_lack_a_column_are_refused() -> None:
    inputs = price_inputs(300)
    bad = inputs | {"prices": inputs["prices"].assign(close=lambda frame: frame["close"].where(frame.index != 7, 0.0))}
    with pytest.raises(SchemaError, match="2010-01-13"):
        build_price_distribution(**bad, horizon=horizon_of("24h"))
    with pytest.raises(SchemaError, match="hv_60"):
        build_price_distribution(
            **inputs | {"technical": inputs["technical"].drop(columns="hv_60")}, horizon=horizon_of("24h")
        )


def test_rows_of_other_models_join_the_table_in_the_order_of_its_key(weekly: pd.DataFrame) -> None:
    own = weekly[weekly["sessions_ahead"] == 5]
    points = own[own["model"] == RANDOM_WALK].assign(
        model="price_stack", volatility_third=pd.Series(None, index=own.index, dtype="str")
    )
    together = price_table([points, own])
    expected = together.sort_values(list(PREDICTIONS_PRICE.key), ignore_index=True)
    pd.testing.assert_frame_equal(together, expected)
    thirds = together.pivot(index="session", columns="model", values="volatility_third")
    assert (thirds["price_stack"] == thirds[RANDOM_WALK]).all()


def test_volatilities_in_shuffled_order_give_no_skill_over_the_random_walk() -> None:
    inputs = price_inputs(1_700, seed=11)
    order = np.random.default_rng(11).permutation(1_700)
    for name, columns in (("technical", ["hv_5", "hv_20", "hv_60"]), ("implied_volatility", ["vix_close"])):
        inputs[name][columns] = inputs[name][columns].to_numpy()[order]
    true = build_price_distribution(**price_inputs(1_700, seed=11), horizon=horizon_of("24h"))
    shuffled = build_price_distribution(**inputs, horizon=horizon_of("24h"))
    settings = BootstrapSettings(draws=200)
    gains = {}
    for name, table in (("true", true), ("shuffled", shuffled)):
        scores = evaluate({"price": table}, horizon=horizon_of("24h"), settings=settings)
        key = (scores["metric"] == "winkler_90") & (scores["baseline"] == RANDOM_WALK)
        gains[name] = scores[key].iloc[0]
    assert gains["true"]["verdict"] == "skilled"
    assert gains["shuffled"]["verdict"] != "skilled"


def test_two_computations_are_equal_to_the_last_bit(weekly: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        weekly, build_price_distribution(**price_inputs(), horizon=horizon_of("168h")), check_exact=True
    )
