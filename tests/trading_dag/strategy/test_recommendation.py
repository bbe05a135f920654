"""A recommendation is the selector's choice, priced at the signal's close, sized by edge, and explained."""

from __future__ import annotations

import json
import math
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from trading_dag.errors import SchemaError
from trading_dag.schemas import QUANTILE_COLUMNS, QUANTILE_LEVELS, RECOMMENDATION
from trading_dag.served_models import SERVED_VOLATILITY
from trading_dag.sessions import sessions_between, target_sessions
from trading_dag.setting_groups import BacktestSettings, SelectorSettings, SignalSettings, SurfaceSettings
from trading_dag.settings import Settings
from trading_dag.slices import horizon_of
from trading_dag.strategy.beside import BesideTables
from trading_dag.strategy.recommendation import build_recommendations

DAY = horizon_of("24h")
# One row a case: direction, its confidence, regime, its confidence, edge → structure, design_size, size.
CASES = [
    ("UP", 0.80, "HIGH", 0.80, "skilled", "bull_put_spread", "FULL", 1.0),
    ("DOWN", 0.60, "NORMAL", 0.60, "admissible", "bear_put_spread", "HALF", 0.5),
    ("UP", 0.80, "LOW", 0.80, "no_edge", "long_call", "FULL", 0.0),
    ("DOWN", 0.80, "LOW", 0.80, "insufficient_data", "long_put", "FULL", 0.0),
    ("UP", 0.50, "HIGH", 0.80, "skilled", "iron_condor", "HALF", 0.5),
    ("UP", 0.50, "LOW", 0.80, "skilled", "no_trade", "NONE", 0.0),
]
SESSIONS = sessions_between("2024-02-26", "2024-03-04")


def normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


@pytest.fixture
def flat(settings: Settings) -> Settings:
    """A surface at the index level itself, without carry, so that textbook formulas apply."""
    surface = SurfaceSettings(atm_ratio=1, term_slope=0, skew=0, curvature=0, risk_free_rate=0.0, dividend_yield=0.0)
    return settings.model_copy(update={"surface": surface, "backtest": BacktestSettings()})


@pytest.fixture
def inputs() -> dict[str, pd.DataFrame]:
    """Six sessions, one case each, with the underlying at 100 and the index at 20."""
    n = len(SESSIONS)
    assert n == len(CASES)
    head = {"ticker": "SPY", "horizon": "24h", "session": SESSIONS, "target_session": target_sessions(SESSIONS, DAY)}
    through = SESSIONS - pd.Timedelta(days=7)
    return {
        "direction": pd.DataFrame({
            **head, "model": "direction_shrunk", "fold": 2, "fitted_through": through,
            "y_pred": [case[0] for case in CASES], "confidence": [case[1] for case in CASES],
            "probability_event": "rise",
            "probability_up": [case[1] if case[0] == "UP" else 1.0 - case[1] for case in CASES],
            "model_version": "0123abcd",
        }),
        "volatility": pd.DataFrame({
            **head, "model": SERVED_VOLATILITY, "fold": 3, "fitted_through": through,
            "y_pred": [case[2] for case in CASES], "confidence": [case[3] for case in CASES],
            "model_version": "4567cdef",
        }),
        "prices": pd.DataFrame({"ticker": "SPY", "session": SESSIONS, "close": np.full(n, 100.0), "split_factor": 1.0}),
        "volatility_index": pd.DataFrame({"ticker": "SPY", "session": SESSIONS, "close": np.full(n, 20.0)}),
        "edge": pd.DataFrame({
            "session": SESSIONS, "edge": [case[4] for case in CASES], "direction_difference": 0.01,
            "direction_difference_low": 0.002,
            "volatility_difference": np.nan, "n_outcomes": 250,
        }),
        "rates": pd.DataFrame({"session": SESSIONS, "treasury_3m": 0.0}),
    }  # fmt: skip


def build(inputs: dict[str, pd.DataFrame], settings: Settings) -> pd.DataFrame:
    return build_recommendations(
        inputs["direction"], inputs["volatility"], inputs["prices"], inputs["volatility_index"],
        edge=inputs["edge"], rates=inputs["rates"], horizon=DAY, settings=settings,
    )  # fmt: skip


def build_beside(inputs: dict[str, pd.DataFrame], settings: Settings, **beside: object) -> pd.DataFrame:
    return build_recommendations(**inputs, horizon=DAY, settings=settings, beside=BesideTables(**beside))


def test_rows_are_the_table_in_stored_order_with_what_the_selector_chose(inputs, flat):
    rows = build(inputs, flat)
    assert tuple(rows.columns) == RECOMMENDATION.column_names
    assert rows["strategy"].tolist() == [case[5] for case in CASES]
    assert rows["design_size"].tolist() == [case[6] for case in CASES], "whatever the edge"
    assert rows["position_size"].tolist() == [case[7] for case in CASES]
    assert rows["edge"].tolist() == [case[4] for case in CASES]
    for column in RECOMMENDATION.columns:
        if not column.nullable:
            assert rows[column.name].notna().all(), column.name
        if column.allowed:
            assert set(rows[column.name].dropna()) <= set(column.allowed), column.name
        if column.minimum is not None:
            assert (rows[column.name].dropna() >= column.minimum).all(), column.name
        if column.maximum is not None:
            assert (rows[column.name].dropna() <= column.maximum).all(), column.name


def test_a_bull_put_spread_is_priced_as_by_hand(inputs, flat):
    row = build(inputs, flat).iloc[0]
    # 2024-02-26 + 21 days = 2024-03-18, first Friday from there 2024-03-22: 25 days.
    assert row["expiration"] == pd.Timestamp("2024-03-22")
    deviation = 0.2 * math.sqrt(25 / 365)

    def put(strike: float) -> tuple[float, float]:
        d1 = math.log(100 / strike) / deviation + 0.5 * deviation
        return normal(-d1), strike * normal(deviation - d1) - 100 * normal(-d1)

    grid = np.arange(80.0, 100.5, 0.5)
    sold = min(grid, key=lambda k: abs(put(k)[0] - 0.30))
    bought = min(grid, key=lambda k: abs(put(k)[0] - 0.15))
    # Half a spread is 1 % of the leg and at least a cent.
    bid = math.floor((put(sold)[1] - max(0.01 * put(sold)[1], 0.01)) * 100) / 100
    ask = math.ceil((put(bought)[1] + max(0.01 * put(bought)[1], 0.01)) * 100) / 100
    credit = bid - ask
    assert row["strikes"] == f"{bought:g}/{sold:g}"
    assert row["net_premium_usd"] == pytest.approx(-100 * credit)
    assert row["max_profit_usd"] == pytest.approx(100 * credit)
    assert row["max_loss_usd"] == pytest.approx(100 * (sold - bought - credit))
    assert float(row["breakevens"]) == pytest.approx(sold - credit, abs=0.005)
    assert row["contracts"] == math.floor(2_000 / (row["max_loss_usd"] + 4 * 0.65))
    d2 = math.log(100 / (sold - credit)) / deviation - 0.5 * deviation
    assert row["probability_of_profit"] == pytest.approx(normal(d2), abs=1e-9)
    assert row["profit_target_usd"] == pytest.approx(50 * credit)
    assert row["stop_loss_fraction"] == 0.02
    assert json.loads(row["legs"]) == [
        {"option_right": "P", "side": "sell", "ratio": 1, "strike": sold, "expiration": "2024-03-22"},
        {"option_right": "P", "side": "buy", "ratio": 1, "strike": bought, "expiration": "2024-03-22"},
    ]


def test_a_structure_without_edge_is_shown_with_size_zero_and_says_why(inputs, flat):
    rows = build(inputs, flat)
    assert rows["contracts"].tolist()[2:4] == [0, 0]
    assert rows["legs"].notna().tolist() == [True] * 5 + [False]
    assert "no edge over the baselines" in rows["reasoning"][2]
    assert "too few outcomes are known" in rows["reasoning"][3]
    assert rows["reasoning"][5].startswith(
        "No trade on no clear direction (P(rise) 50%) and LOW implied volatility at 80%: direction"
    )


def test_a_horizon_that_ends_at_its_entry_carries_no_size_and_says_why(inputs, flat):
    """12h ends at the next open, which is the first moment at which the signal could be traded."""
    overnight = horizon_of("12h")
    for name in ("direction", "volatility"):
        targets = target_sessions(pd.DatetimeIndex(inputs[name]["session"]), overnight)
        inputs[name] = inputs[name].assign(horizon="12h", target_session=targets)
    table = build_recommendations(**inputs, horizon=overnight, settings=flat)
    assert (table["position_size"] == 0.0).all()
    assert (table["contracts"] == 0).all()
    traded = table[table["strategy"] != "no_trade"]
    assert len(traded)
    assert traded["reasoning"].str.contains("horizon ends at the open at which it would be entered").all()


def test_an_unlimited_profit_is_null_and_its_target_is_on_the_premium(inputs, flat):
    row = build(inputs, flat).iloc[2]
    assert np.isnan(row["max_profit_usd"])
    assert row["max_loss_usd"] == row["net_premium_usd"] > 0
    assert row["profit_target_usd"] == pytest.approx(0.5 * row["net_premium_usd"])


def test_without_a_volatility_forecast_there_is_no_trade_and_the_reason_says_so(inputs, flat):
    inputs["volatility"] = inputs["volatility"].iloc[:0]
    rows = build(inputs, flat)
    assert set(rows["strategy"]) == {"no_trade"}
    assert rows["reasoning"].str.contains("there is no volatility forecast").all()
    assert rows["iv_regime"].isna().all()
    assert rows["contracts"].tolist() == [0] * len(CASES)


def test_a_session_without_an_index_level_keeps_its_structure_unpriced_at_size_zero(inputs, flat):
    inputs["volatility_index"] = inputs["volatility_index"].iloc[1:].reset_index(drop=True)
    rows = build(inputs, flat)
    assert rows["strategy"][0] == "bull_put_spread"
    assert rows["design_size"][0] == "FULL"
    assert rows["position_size"][0] == 0.0
    assert rows["contracts"][0] == 0
    assert rows.loc[0, ["legs", "expiration", "max_loss_usd", "probability_of_profit"]].isna().all()
    assert "no price or volatility-index level" in rows["reasoning"][0]
    assert rows["position_size"][1] == 0.5


def test_a_session_without_an_edge_row_counts_as_insufficient_data(inputs, flat):
    inputs["edge"] = inputs["edge"].iloc[1:].reset_index(drop=True)
    rows = build(inputs, flat)
    assert rows["edge"][0] == "insufficient_data"
    assert rows["position_size"][0] == 0.0
    assert json.loads(rows["evidence"][0])["n_outcomes"] == 0


def test_a_risk_above_the_budget_trades_nothing_and_says_so(inputs, flat):
    small = flat.model_copy(update={"backtest": BacktestSettings(account_usd=1_000.0)})
    row = build(inputs, small).iloc[0]
    assert row["contracts"] == 0
    assert "more than the risk budget" in row["reasoning"]


def test_the_fees_of_every_leg_both_ways_count_towards_the_risk(inputs, flat):
    dear = flat.model_copy(update={"backtest": BacktestSettings(fee_per_leg_contract_usd=20.0)})
    rows = build(inputs, dear)
    spread, condor = rows.iloc[0], rows.iloc[4]
    assert spread["contracts"] == math.floor(2_000 / (spread["max_loss_usd"] + 2 * 2 * 20))
    assert condor["contracts"] == math.floor(1_000 / (condor["max_loss_usd"] + 2 * 4 * 20))


def test_the_evidence_names_models_folds_and_what_they_had_seen(inputs, flat):
    evidence = json.loads(build(inputs, flat)["evidence"][0])
    assert evidence["direction_fold"] == 2
    assert evidence["volatility_fold"] == 3
    assert evidence["direction_fitted_through"] == "2024-02-19"
    assert evidence["direction_difference"] == 0.01
    assert evidence["volatility_difference"] is None
    assert evidence["n_outcomes"] == 250


def test_a_row_names_the_models_of_both_forecasts_and_none_where_there_was_no_forecast(inputs, flat):
    inputs["volatility"] = inputs["volatility"].iloc[1:]
    rows = build(inputs, flat)
    assert (rows["model_version"] == "0123abcd").all()
    assert rows["volatility_model_version"].isna().tolist() == [True] + [False] * 5
    assert set(rows["volatility_model_version"].dropna()) == {"4567cdef"}


def test_only_the_rows_of_the_two_logistic_models_are_read(inputs, flat):
    expected = build(inputs, flat)
    for name in ("direction", "volatility"):
        other = inputs[name].assign(model="baseline", y_pred="DOWN" if name == "direction" else "LOW", confidence=0.99)
        inputs[name] = pd.concat([other, inputs[name]], ignore_index=True).sample(frac=1.0, random_state=1)
    pd.testing.assert_frame_equal(build(inputs, flat), expected)


def test_the_sentence_holds_the_probability_of_a_rise_against_its_usual_share_and_names_a_size_only_with_an_edge(
    inputs, flat
):
    """A threshold of .30 calls UP at a probability of .33, below what is usual: the word alone misleads."""
    calls = inputs["direction"]
    calls.loc[0, "probability_up"] = 0.33
    prior = calls.assign(model="climatology", probability_up=0.54)
    inputs["direction"] = pd.concat([calls, prior], ignore_index=True)
    sentences = build(inputs, flat)["reasoning"]
    assert sentences[0].startswith(
        "no clear direction (P(rise) 33%, usually 54%) and HIGH implied volatility at 80% selects"
    )
    has_edge = [case[4] in ("skilled", "admissible") and case[5] != "no_trade" for case in CASES]
    assert sentences.str.contains("at (?:FULL|HALF) size").tolist() == has_edge


def test_a_forecast_that_is_the_share_of_rises_itself_is_said_to_be_no_better(inputs, flat):
    calls = inputs["direction"]
    calls.loc[0, "probability_up"] = 0.54
    usual = calls.assign(model="climatology", probability_up=0.54)
    inputs["direction"] = pd.concat([calls, usual], ignore_index=True)
    rows = build(inputs, flat)
    assert "(P(rise) 54%, no better than the share of rising sessions)" in rows["reasoning"][0]
    assert [json.loads(text)["direction_answer"] for text in rows["evidence"][:2]] == ["climatology", "model"]


def test_a_row_does_not_change_when_later_data_does(inputs, flat):
    before = build(inputs, flat).iloc[:3]
    for name, column in (("prices", "close"), ("volatility_index", "close"), ("rates", "treasury_3m")):
        inputs[name].loc[3:, column] = 37.0
    after = build(inputs, flat)
    pd.testing.assert_frame_equal(after.iloc[:3], before)
    assert not after.iloc[3:]["strikes"].equals(before["strikes"])


def test_no_direction_rows_give_a_typed_table_of_zero_rows(inputs, flat):
    inputs["direction"] = inputs["direction"].iloc[:0]
    rows = build(inputs, flat)
    assert len(rows) == 0
    assert tuple(rows.columns) == RECOMMENDATION.column_names
    assert str(rows["session"].dtype) == "datetime64[us]"
    assert str(rows["contracts"].dtype) == "int64"


def test_a_missing_column_or_a_repeated_session_is_a_typed_error(inputs, flat):
    broken = {**inputs, "prices": inputs["prices"].drop(columns="close")}
    with pytest.raises(SchemaError, match=r"raw\.prices_daily"):
        build(broken, flat)
    broken = {**inputs, "direction": pd.concat([inputs["direction"]] * 2, ignore_index=True)}
    with pytest.raises(SchemaError, match=r"predictions\.direction"):
        build(broken, flat)
    broken = {**inputs, "volatility": inputs["volatility"].drop(columns="model")}
    with pytest.raises(SchemaError, match=r"predictions\.volatility"):
        build(broken, flat)


def test_a_session_with_a_chain_is_priced_on_its_slices_and_the_others_on_the_modelled_surface(inputs, flat):
    # Flat slices of 30 % where the index says 20: raw SVI with b = 0 has total variance a at every strike.
    session = SESSIONS[0]
    days = np.array([5, 100])
    smiles = pd.DataFrame({
        "session": session, "years": days / 365, "spot": 100.0, "forward": 100.0, "rate": 0.0,
        "svi_a": 0.09 * days / 365, "svi_b": 0.0, "svi_rho": 0.0, "svi_m": 0.0, "svi_s": 0.1, "least_durrleman": 1.0,
    })  # fmt: skip
    plain = build(inputs, flat)
    index_at_30 = inputs["volatility_index"].assign(close=30.0)
    at_30 = build({**inputs, "volatility_index": index_at_30}, flat)
    rows = build_recommendations(
        inputs["direction"], inputs["volatility"], inputs["prices"], inputs["volatility_index"],
        edge=inputs["edge"], rates=inputs["rates"], horizon=DAY, settings=flat, smiles=smiles,
    )  # fmt: skip
    columns = ["strikes", "net_premium_usd", "max_loss_usd", "breakevens"]
    assert rows[columns].iloc[0].tolist() == at_30[columns].iloc[0].tolist()
    assert rows["probability_of_profit"].iloc[0] == pytest.approx(at_30["probability_of_profit"].iloc[0], rel=1e-12)
    assert rows[columns].iloc[0].tolist() != plain[columns].iloc[0].tolist()
    pd.testing.assert_frame_equal(rows.iloc[1:], plain.iloc[1:])
    assert "fitted to its option chain" in json.loads(rows["evidence"].iloc[0])["quotes"]
    assert "modelled surface" in json.loads(rows["evidence"].iloc[1])["quotes"]
    # Four for one since: the chain of that day stood at 400, what is shown in today's shares is the same.
    split = inputs["prices"].assign(split_factor=[1.0, *[1.0] * (len(SESSIONS) - 2), 4.0])
    of_old_shares = build_recommendations(
        inputs["direction"], inputs["volatility"], split, inputs["volatility_index"],
        edge=inputs["edge"], rates=inputs["rates"], horizon=DAY, settings=flat,
        smiles=smiles.assign(spot=400.0, forward=400.0),
    )  # fmt: skip
    assert of_old_shares[columns].iloc[0].tolist() == rows[columns].iloc[0].tolist()


def test_without_a_gate_sizes_follow_the_design_size_and_say_that_no_edge_is_shown(inputs, flat):
    gated = build(inputs, flat)
    open_to_all = flat.model_copy(update={"signals": SignalSettings(gate="none")})
    rows = build(inputs, open_to_all)
    assert rows["position_size"].tolist() == [1.0, 0.5, 1.0, 1.0, 0.5, 0.0]
    assert (rows["contracts"][2:4] > 0).all()
    assert rows["design_size"].tolist() == gated["design_size"].tolist()
    assert rows["edge"].tolist() == gated["edge"].tolist()
    says = rows["reasoning"].str.contains("no edge shown: ")
    assert says.tolist() == [False, False, True, True, False, False]
    assert rows["reasoning"][2].endswith("no edge shown: past outcomes show no edge over the baselines.")
    pd.testing.assert_frame_equal(rows.iloc[[0, 1, 4, 5]], gated.iloc[[0, 1, 4, 5]])


def test_every_row_is_of_the_rule_matrix_and_served_where_the_settings_serve_it(inputs, flat):
    rows = build(inputs, flat)
    assert set(rows["rule"]) == {"matrix"}
    assert rows["is_served"].all()
    other = flat.model_copy(update={"signals": SignalSettings(rule="expected_value")})
    assert not build(inputs, other)["is_served"].any()


def of_model(inputs: dict[str, pd.DataFrame], model: str, **values: object) -> pd.DataFrame:
    """Rows of one model at every session."""
    head = inputs["direction"][["ticker", "horizon", "session", "target_session", "fitted_through"]]
    return head.assign(model=model, fold=6, model_version="89abcdef", y_true=None, **values)


def test_the_spread_model_is_heard_on_credit_spreads_and_named_where_it_disagrees(inputs, flat):
    spread = of_model(inputs, "spread_lstm", confidence=0.41,
                      y_pred=["CALL_CREDIT", "PUT_CREDIT", "HOLD", "HOLD", "HOLD", "HOLD"])  # fmt: skip
    rows = build_beside(inputs, flat, spread=spread)
    assert rows["spread_opinion"].tolist() == spread["y_pred"].tolist()
    assert rows["reasoning"][0].endswith("; the spread model disagrees, CALL_CREDIT at 41%.")
    assert not rows["reasoning"][1:].str.contains("disagrees").any(), "no other row is a credit spread"
    agreeing = build_beside(inputs, flat, spread=spread.assign(y_pred="PUT_CREDIT"))
    assert not agreeing["reasoning"].str.contains("disagrees").any()


def test_without_torch_the_evidence_says_why_there_is_no_second_opinion(inputs, flat):
    rows = build_beside(inputs, flat, spread_is_off="torch is not installed")
    [told] = [entry for entry in json.loads(rows["evidence"][0])["forecasts"] if entry["task"] == "spread"]
    assert told == {"task": "spread", "model": "spread_lstm", "missing": "torch is not installed"}
    assert rows["spread_opinion"].isna().all()


def test_the_evidence_names_each_model_with_version_and_score(inputs, flat):
    level = of_model(
        inputs, "volatility_har", index_level=20.0, expected_level=21.0, probability_rise=0.55,
        expected_iv_direction="STABLE", y_pred=20.0, **dict.fromkeys(QUANTILE_COLUMNS, 20.0),
    )  # fmt: skip
    walk = level.assign(model="random_walk", model_version=None)
    rows = build_beside(inputs, flat, level=pd.concat([level, walk], ignore_index=True))
    told = {entry["task"]: entry for entry in json.loads(rows["evidence"][0])["forecasts"]}
    assert list(told) == ["direction", "volatility", "volatility_level", "price", "spread", "allocation"]
    assert told["direction"] == {
        "task": "direction", "model": "direction_shrunk", "version": "0123abcd", "fold": 2,
        "fitted_through": "2024-02-19", "score": "brier_sign", "baseline": "climatology", "difference": 0.01,
        "n_outcomes": 250,
    }  # fmt: skip
    assert told["volatility"]["difference"] is None
    assert told["volatility_level"]["version"] == "89abcdef"
    assert (told["volatility_level"]["score"], told["volatility_level"]["baseline"]) == ("pinball", "random_walk")
    assert told["volatility_level"]["n_outcomes"] == 0
    assert told["price"] == {"task": "price", "model": "price_distribution", "missing": "no forecast of this session"}
    assert rows["expected_iv_change"].tolist() == pytest.approx([0.05] * len(CASES))


def test_the_forecast_of_the_price_stands_beside_what_option_prices_imply(inputs, flat):
    """Without drift and as wide as the surface, both are the same lognormal, so both probabilities agree."""
    scores = np.array([NormalDist().inv_cdf(level) for level in QUANTILE_LEVELS])
    expirations = pd.DatetimeIndex(build(inputs, flat)["expiration"].fillna(pd.Timestamp("2024-03-28")))
    years = ((expirations - SESSIONS) / pd.Timedelta(days=365)).to_numpy()
    steps = np.array([len(sessions_between(*pair)) - 1 for pair in zip(SESSIONS, expirations, strict=True)])
    parts = []
    for ahead in (1, 10, 21):
        # The surface's variance to the expiration, spread evenly over the sessions until then.
        spread = (0.2 * np.sqrt(years * ahead / steps))[:, np.newaxis]
        quantiles = 100.0 * np.exp(spread * scores - spread**2 / 2)
        named = {name: quantiles[:, place] for place, name in enumerate(QUANTILE_COLUMNS)}
        parts.append(of_model(inputs, "price_distribution", sessions_ahead=ahead, close=100.0, **named))
    rows = build_beside(inputs, flat, price=pd.concat(parts, ignore_index=True))
    traded = rows[rows["legs"].notna()]
    assert len(traded) == 5
    assert traded["forecast_probability_of_profit"].to_numpy() == pytest.approx(
        traded["probability_of_profit"].to_numpy(), abs=1e-6
    )
    # A fair bet loses what it costs to trade, up to the tails.
    assert (traded["expected_profit_usd"] < 0).all()
    assert (traded["expected_profit_usd"] > -80).all()
    assert rows["forecast_probability_of_profit"][5:].isna().all()


def test_a_position_in_the_underlying_and_the_rank_of_the_chain_stand_beside(inputs, flat):
    allocation = of_model(inputs, "allocation_ensemble", position=1.25, strategy_return=0.0, volatility=0.02,
                          cash_return=0.0)  # fmt: skip
    ranks = pd.DataFrame({"session": SESSIONS[1:], "iv_source": "chain", "own_iv_rank": 40.0, "chain_iv_rank": 40.0})
    rows = build_beside(inputs, flat, allocation=allocation, iv_rank=ranks)
    assert rows["underlying_position"].tolist() == [1.25] * len(CASES)
    assert rows["iv_source"].isna().tolist() == [True] + [False] * 5
    assert rows["chain_iv_rank"].tolist()[1:] == [40.0] * 5


def test_a_straddle_that_volatility_selects_rests_on_the_edge_of_the_level(inputs, flat):
    """The last case is no trade by the matrix; the level has no outcome yet, so the row has no size."""
    level = of_model(
        inputs, "volatility_har", index_level=20.0, expected_level=26.0, probability_rise=0.8,
        expected_iv_direction="EXPANDING", y_pred=26.0, **dict.fromkeys(QUANTILE_COLUMNS, 26.0),
    )  # fmt: skip
    rows = build_beside(inputs, flat, level=level)
    assert rows["strategy"][5] in ("long_straddle", "long_strangle")
    assert (rows["edge"][5], rows["design_size"][5], rows["position_size"][5]) == ("insufficient_data", "HALF", 0.0)
    assert rows["strategy"].tolist()[:5] == [case[5] for case in CASES[:5]]
    off = flat.model_copy(update={"selector": SelectorSettings(volatility_rows=False)})
    assert build_beside(inputs, off, level=level)["strategy"][5] == "no_trade"
    # Prices of another underlying's index are no measure of what volatility costs; the matrix asks for none.
    foreign = {**inputs, "volatility_index": inputs["volatility_index"].assign(symbol="RVX")}
    assert build_beside(foreign, flat, level=level)["strategy"].tolist() == [*rows["strategy"].tolist()[:5], "no_trade"]
