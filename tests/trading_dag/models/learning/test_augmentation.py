"""Augmented rows come from their training part alone, are what the drawn bars say, and are never judged on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trading_dag.errors import AugmentedTestError
from trading_dag.features.feature_table import build_feature_table
from trading_dag.features.formulas import FORMULAS
from trading_dag.features.implied_volatility import build_implied_volatility
from trading_dag.features.technical import build_technical
from trading_dag.frames import table_frame
from trading_dag.labels import build_targets
from trading_dag.models.direction import direction_classifier
from trading_dag.models.estimators.learners import AugmentedRows, Learner, fit_logistic_pipeline
from trading_dag.models.learning import augmentation as augmentation_module
from trading_dag.models.learning import lessons, training
from trading_dag.models.learning.augmentation import LONGEST_LOOK_BACK, Augmentation, drawing_of, features_and_labels
from trading_dag.models.learning.fitted import FittedFold, FittedModel, fold_spec
from trading_dag.models.learning.rows import LabelledRows, collect_rows
from trading_dag.models.volatility import volatility_forecaster
from trading_dag.quality import conform
from trading_dag.schemas import (
    IMPLIED_VOLATILITY_FEATURES,
    IV_RANK_LAGS,
    MACRO_TABLE,
    PRICES_DAILY,
    REGISTRY,
    SAFE_FEATURES,
    TECHNICAL_FEATURES,
    VOLATILITY_INDEX,
)
from trading_dag.sessions import sessions_between
from trading_dag.setting_groups import AugmentationSettings, WalkForwardSettings
from trading_dag.simulation.bootstrap import IS_AUGMENTED, bootstrap_bars
from trading_dag.slices import Horizon, horizon_of

pytestmark = pytest.mark.usefixtures("few_candidates")

# Long enough for the shortest part that is drawn from, however far the features look back.
SESSIONS = max(1_500, 11 * LONGEST_LOOK_BACK // 2)
FOLDS = WalkForwardSettings(folds=2, inner_folds=2)
DRAWN = AugmentationSettings(paths=2, mean_block=40, seed=7)
# A carried feature that names the session: its number in the real history.
MARKER = "treasury_10y"
RECURSIVE = ("ema", "rsi", "adx", "di_14", "atr", "macd")


@dataclass(frozen=True)
class Market:
    """Real tables of one ticker, and the features and labels that follow from them."""

    prices: pd.DataFrame
    index: pd.DataFrame
    features: pd.DataFrame
    targets: pd.DataFrame
    horizon: Horizon

    def augmentation(self, settings: AugmentationSettings = DRAWN) -> Augmentation:
        return Augmentation(self.prices, self.index, settings)


@cache
def market_at(key: str) -> Market:
    """1,500 sessions of bars, an index that cycles through the regimes, and a macro column that names the session."""
    generator = np.random.default_rng(11)
    sessions = sessions_between("2012-01-03", "2024-12-31")[:SESSIONS]
    close = 100 * np.exp(np.cumsum(generator.normal(0.0003, 0.011, SESSIONS)))
    before = np.concatenate([[100.0], close[:-1]])
    start = before * np.exp(generator.normal(0, 0.004, SESSIONS))
    spread = np.exp(np.abs(generator.normal(0, 0.004, (2, SESSIONS))))
    values: dict[str, Any] = {
        "ticker": "SPY",
        "session": sessions,
        "open": start,
        "high": np.maximum(start, close) * spread[0],
        "low": np.minimum(start, close) / spread[1],
        "close": close,
        "adj_close": close,
        "volume": np.exp(generator.normal(18, 0.3, SESSIONS)),
        "split_factor": 1.0,
        "dividend": 0.0,
    }
    prices = table_frame(PRICES_DAILY, values, rows=SESSIONS)
    level = 18 + 6 * np.sin(np.arange(SESSIONS) / 35) + generator.normal(0, 1.0, SESSIONS)
    values = {"ticker": "SPY", "session": sessions, "symbol": "VIX", "close": level, "vix3m_close": 0.5 * level + 10}
    index = table_frame(VOLATILITY_INDEX, values, rows=SESSIONS)
    values = {"session": sessions, MARKER: np.arange(SESSIONS, dtype="float64")}
    macro = table_frame(MACRO_TABLE, values, rows=SESSIONS)
    technical = build_technical(prices)
    implied = build_implied_volatility(index, technical)
    features = build_feature_table(technical, implied, macro)
    horizon = horizon_of(key)
    targets = build_targets(prices, technical, implied, horizon=horizon)
    return Market(prices, index, features, targets, horizon)


@pytest.fixture(scope="module")
def market() -> Market:
    return market_at("72h")


@dataclass(frozen=True)
class RecordedFit:
    """A model, and the numbers of the first and last session of every history that was drawn while it was fitted."""

    model: FittedModel
    drawn: list[tuple[int, int]]


@pytest.fixture(scope="module")
def recorded_fit(market: Market, few_candidates: None) -> RecordedFit:
    days = market.prices["session"].tolist()
    drawn: list[tuple[int, int]] = []
    real = augmentation_module.bootstrap_bars

    def record(bars: pd.DataFrame, *, through: pd.Timestamp, **others: Any) -> pd.DataFrame:
        found = real(bars, through=through, **others)
        drawn.append((days.index(found["drawn_session"].min()), days.index(found["drawn_session"].max())))
        assert found["drawn_through"].max() == through
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(augmentation_module, "bootstrap_bars", record)
        return RecordedFit(fit_direction(market), drawn)


@pytest.fixture(scope="module")
def augmented_model(recorded_fit: RecordedFit) -> FittedModel:
    return recorded_fit.model


@pytest.fixture(scope="module")
def plain_model(market: Market, few_candidates: None) -> FittedModel:
    return fit_direction(market, settings=None)


def fit_direction(market: Market, *, settings: AugmentationSettings | None = DRAWN, **tables: Any) -> FittedModel:
    given = replace(market, **tables)
    return direction_classifier.fit(
        given.features,
        given.targets,
        horizon=given.horizon,
        settings=FOLDS,
        augmentation=None if settings is None else given.augmentation(settings),
    )


def learnt(fold: FittedFold) -> list[Any]:
    """Everything a fold has learnt, in a form that compares bit by bit."""
    if hasattr(fold.estimator, "save_raw"):
        return [fold_spec(fold), bytes(fold.estimator.save_raw(raw_format="ubj"))]
    held = [vars(step) for _, step in fold.estimator.steps]
    arrays = [values[name] for values in held for name in sorted(values) if isinstance(values[name], np.ndarray)]
    return [fold_spec(fold), *(array.tobytes() for array in arrays if array.dtype.kind in "fiu")]


def rows_between(market: Market, first: pd.Timestamp, through: pd.Timestamp) -> LabelledRows:
    """Augmented rows of the direction classifier from the sessions between two."""
    collect = partial(
        collect_rows, names=SAFE_FEATURES, label="direction", classes=("DOWN", "UP"), horizon=market.horizon
    )
    draw = drawing_of(market.augmentation(), market.features, horizon=market.horizon, collect=collect)
    assert draw is not None
    rows = draw(first, through).rows
    assert rows is not None
    return rows


def drawn_histories(market: Market, *, through: int = 1_200) -> list[pd.DataFrame]:
    bars = bootstrap_bars(market.prices, through=market.prices["session"].iloc[through], paths=2, seed=3, mean_block=40)
    return [path.reset_index(drop=True) for _, path in bars.groupby("path")]


# What the rows are


@pytest.mark.parametrize(("key", "ahead", "field"), [("12h", 1, "open"), ("24h", 1, "close"), ("168h", 5, "close")])
def test_the_labels_are_those_of_the_drawn_bars_one_by_one(key: str, ahead: int, field: str) -> None:
    market = market_at(key)
    band = 0.01 * np.sqrt({"12h": 0.5, "24h": 1, "168h": 5}[key] / 5)
    closes_of_day = market.index["close"].to_numpy()
    day_number = {day: number for number, day in enumerate(market.prices["session"])}
    for path in drawn_histories(market):
        _, targets = features_and_labels(path, market.index, market.features, horizon=market.horizon)
        assert len(targets) == len(path) - ahead
        volatility = [closes_of_day[day_number[day]] for day in path["drawn_session"]]
        seen = set()
        found = targets.to_dict("records")
        for row in range(0, len(found), 7):
            label = found[row]
            price = path[field].iloc[row + ahead]
            move = price / path["close"].iloc[row] - 1
            assert label["session"] == path["session"].iloc[row]
            assert label["target_session"] == path["session"].iloc[row + ahead]
            assert label["target_price"] == pytest.approx(price, rel=1e-12)
            assert label["forward_return"] == pytest.approx(move, abs=1e-12)
            assert label["direction"] == ("UP" if move > band else "DOWN" if move < -band else "AMBIGUOUS")
            if row + ahead < 251:
                assert pd.isna(label["iv_regime"])
                continue
            window = volatility[row + ahead - 251 : row + ahead + 1]
            rank = (window[-1] - min(window)) / (max(window) - min(window)) * 100
            assert label["iv_regime"] == ("LOW" if rank < 30 else "NORMAL" if rank < 60 else "HIGH")
            seen.add((label["direction"], label["iv_regime"]))
        assert {direction for direction, _ in seen} == {"UP", "DOWN", "AMBIGUOUS"}
        assert {regime for _, regime in seen} == {"LOW", "NORMAL", "HIGH"}


def test_features_follow_from_the_drawn_bars_and_index_and_the_others_travel_with_the_day(market: Market) -> None:
    for path in drawn_histories(market):
        frame, _ = features_and_labels(path, market.index, market.features, horizon=market.horizon)
        kept = path.iloc[LONGEST_LOOK_BACK - 1 :].reset_index(drop=True)
        assert (frame["session"] == kept["session"]).all()
        assert frame[IS_AUGMENTED].all()
        real = market.prices["session"].to_numpy()
        assert (real[frame[MARKER].astype(int)] == kept["drawn_session"].to_numpy()).all()
        level = market.index.set_index("session")["close"].reindex(path["drawn_session"]).to_numpy()
        np.testing.assert_array_equal(frame["vix_close"], level[LONGEST_LOOK_BACK - 1 :])
        closes = path["close"].to_numpy()
        returns = np.diff(np.log(closes))
        for row in range(0, len(frame), 97):
            at = row + LONGEST_LOOK_BACK - 1
            assert frame["returns_5d"][row] == pytest.approx(closes[at] / closes[at - 5] - 1, rel=1e-12)
            hv_20 = returns[at - 20 : at].std(ddof=1) * np.sqrt(252) * 100
            assert frame["hv_20"][row] == pytest.approx(hv_20, rel=1e-9)
            assert frame["iv_hv_spread"][row] == pytest.approx(level[at] - hv_20, abs=1e-9)
            window = level[at - 251 : at + 1]
            rank = (window[-1] - window.min()) / (window.max() - window.min()) * 100
            assert frame["iv_rank"][row] == pytest.approx(rank, abs=1e-9)


def test_a_day_without_a_known_index_has_no_features_of_it(market: Market) -> None:
    path = drawn_histories(market)[0]
    early = market.index.iloc[600:].reset_index(drop=True)
    frame, _ = features_and_labels(path, early, market.features, horizon=market.horizon)
    unknown = frame[MARKER] < 600
    assert 0 < unknown.sum() < len(frame)
    assert frame.loc[unknown, [*IMPLIED_VOLATILITY_FEATURES, *IV_RANK_LAGS]].isna().all().all()
    assert frame.loc[~unknown, "vix_close"].notna().all()
    nothing, targets = features_and_labels(path, early.iloc[:0], market.features, horizon=market.horizon)
    assert nothing["iv_rank"].isna().all()
    assert targets["iv_regime"].isna().all()


def test_no_feature_of_the_safe_set_needs_a_bar_before_the_first_kept_row_and_one_needs_them_all(
    market: Market,
) -> None:
    cut, last = LONGEST_LOOK_BACK + 100, LONGEST_LOOK_BACK - 1
    names = [
        name for name in SAFE_FEATURES if name in {*TECHNICAL_FEATURES, *IMPLIED_VOLATILITY_FEATURES, *IV_RANK_LAGS}
    ]
    whole = market.features.iloc[cut:].reset_index(drop=True)
    later, index = market.prices.iloc[cut:].reset_index(drop=True), market.index.iloc[cut:].reset_index(drop=True)
    technical = build_technical(later)
    short = technical.merge(build_implied_volatility(index, technical), on="session")
    longest = {name for name in names if FORMULAS[name].endswith(f"look-back {LONGEST_LOOK_BACK}")}
    assert longest == {name for name in names if np.isnan(short[name][last - 1])} != set()
    for name in names:
        # Wilder's RSI of 28 forgets slowest: (27/28)^(271 − 28) = 1.5e-4 of what was before is left.
        relative, absolute = (2e-4, 1e-6) if any(part in name for part in RECURSIVE) else (1e-9, 1e-9)
        np.testing.assert_allclose(short[name][last:], whole[name][last:], rtol=relative, atol=absolute, err_msg=name)


# What a fold may see


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")  # later folds learn from what is absurd
def test_poisoned_bars_after_a_training_part_change_neither_its_drawn_rows_nor_its_models(
    market: Market, augmented_model: FittedModel
) -> None:
    first = augmented_model.folds_of("direction_logistic")[0]
    assert first.augmentation["rows"] > 0
    after = (market.prices["session"] > first.train_last_session).to_numpy()
    absurd = {"open": 1e5, "high": 2e5, "low": 1.0, "close": 1e5, "adj_close": 3.0, "volume": 1e12}
    prices = market.prices.assign(**{name: market.prices[name].mask(after, value) for name, value in absurd.items()})
    index = market.index.assign(close=market.index["close"].mask(after, 399.0))
    features = market.features.assign(**{MARKER: market.features[MARKER].mask(after, -1e9)})
    dirty_market = replace(market, prices=prices, index=index, features=features)
    ends = market.prices["session"].searchsorted([first.train_first_session, first.train_last_session])
    part, one_later = (
        [market.prices["session"].iloc[place] for place in (ends[0], last)] for last in (ends[1], ends[1] + 1)
    )
    clean_rows, dirty_rows = (rows_between(each, *part) for each in (market, dirty_market))
    np.testing.assert_array_equal(clean_rows.values, dirty_rows.values)
    np.testing.assert_array_equal(clean_rows.codes, dirty_rows.codes)
    assert (np.abs(rows_between(dirty_market, *one_later).values) > 1e4).any()
    assert not (np.abs(dirty_rows.values) > 1e4).any()
    poisoned = fit_direction(dirty_market)
    for model in poisoned.models:
        clean, dirty = (each.folds_of(model) for each in (augmented_model, poisoned))
        assert learnt(clean[0]) == learnt(dirty[0])
    clean, dirty = (each.folds_of("direction_logistic") for each in (augmented_model, poisoned))
    assert learnt(clean[1]) != learnt(dirty[1])  # the others may answer climatology to what is absurd
    # One absurd session that may be drawn is enough to change the first fold.
    within = (market.prices["session"] == market.prices["session"].iloc[300]).to_numpy()
    volume = market.prices.assign(volume=market.prices["volume"].mask(within, 1e12))
    assert (rows_between(replace(market, prices=volume), *part).values != clean_rows.values).any()


def test_every_session_is_drawn_from_the_part_less_the_gap(market: Market, recorded_fit: RecordedFit) -> None:
    """Outer parts and the inner ones that choose a threshold; each drawn session's own label ends inside its part."""
    days = market.prices["session"].tolist()
    model, asked = recorded_fit.model, recorded_fit.drawn
    labelled = SESSIONS - 3
    outer = [fold.train_last_session for fold in model.folds_of("direction_logistic")]
    ends = [days.index(day) for day in outer]
    assert ends[2] == labelled - 1
    # Two inner folds each: their training parts end a gap before the last two thirds and the last third.
    allowed = {end - 3 for end in ends}
    for end in ends:
        third = (end + 1) // 3
        allowed |= {end - 2 * third - 3 - 3, end - third - 3 - 3}
    assert len(asked) > 6
    for earliest, latest in asked:
        assert earliest >= 1
        assert min(limit - latest for limit in allowed if limit >= latest) <= 3
    assert {fold.augmentation["drawn_through"] for fold in model.folds} == {f"{days[end - 3]:%Y-%m-%d}" for end in ends}


@pytest.mark.parametrize("late", [1, 3])
def test_a_part_that_is_drawn_too_far_through_is_refused(
    market: Market, monkeypatch: pytest.MonkeyPatch, late: int
) -> None:
    """Even one session: its label would end in the gap, or with three of them just before the test part."""

    def too_late(part: Any) -> pd.Timestamp:
        return part.rows.sessions[part.train[-1] - part.horizon.gap_sessions + late]

    monkeypatch.setattr(lessons, "_last_drawable", too_late)
    with pytest.raises(AugmentedTestError, match="drawn through"):
        fit_direction(market)


def test_an_inner_part_that_is_drawn_too_far_through_is_refused(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = lessons._last_drawable
    smallest_outer = SESSIONS // 3 - 10

    def wrong_inside(part: Any) -> pd.Timestamp:
        return part.rows.sessions[part.train[-1]] if len(part.train) < smallest_outer else right(part)

    monkeypatch.setattr(lessons, "_last_drawable", wrong_inside)
    with pytest.raises(AugmentedTestError, match="drawn through"):
        fit_direction(market)


def test_a_drawing_that_does_not_stop_where_it_was_told_is_refused(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw_on(bars: pd.DataFrame, *, through: pd.Timestamp, **others: Any) -> pd.DataFrame:
        leaking = bootstrap_bars(market.prices, through=market.prices["session"].iloc[-1], **others)
        return leaking.assign(drawn_through=through)

    monkeypatch.setattr(augmentation_module, "bootstrap_bars", draw_on)
    with pytest.raises(AugmentedTestError, match="drawn through"):
        fit_direction(market)


def test_augmented_rows_that_stand_among_the_real_ones_are_refused(market: Market) -> None:
    flagged = market.features.assign(**{IS_AUGMENTED: np.arange(SESSIONS) >= SESSIONS - 50})
    with pytest.raises(AugmentedTestError, match="judged on real rows"):
        fit_direction(market, settings=None, features=flagged)


# What is judged


class _Recorder:
    """A learner that keeps what it is shown and answers one half."""

    def __init__(self) -> None:
        self.learnt: list[tuple[np.ndarray, np.ndarray | None]] = []
        self.judged: list[np.ndarray] = []
        self.classes_ = np.array([0, 1])

    def learner(self) -> Learner:
        return Learner("recorder", {}, self.fit)

    def fit(self, values: np.ndarray, codes: np.ndarray, augmented: AugmentedRows | None) -> _Recorder:
        assert len(values) == len(codes)
        self.learnt.append((values, None if augmented is None else augmented.values))
        return self

    def predict_proba(self, values: np.ndarray) -> np.ndarray:
        self.judged.append(values)
        return np.full((len(values), 2), 0.5)


def test_through_all_folds_what_is_judged_happened_and_what_was_drawn_is_only_learnt_from(market: Market) -> None:
    collect = partial(
        collect_rows,
        # A moving average of prices is another one on every history: no drawn row is a copy of a real one.
        names=("returns_5d", "hv_20", "iv_rank", "sma_200", MARKER),
        label="direction",
        classes=("DOWN", "UP"),
        horizon=market.horizon,
        required="iv_rank",
    )
    rows = collect(market.features, market.targets)
    number = {values.tobytes(): place for place, values in enumerate(rows.values)}
    recorder = _Recorder()
    recipe = training.Recipe((recorder.learner(),), ("DOWN", "UP"), top_features=None, tunes_threshold=True)
    draw = drawing_of(market.augmentation(), market.features, horizon=market.horizon, collect=collect)
    folds = training.fit_folds(rows, recipe, horizon=market.horizon, settings=FOLDS, draw=draw)

    assert len(recorder.judged) == 2 * len(folds)
    for values in recorder.judged:
        assert all(row.tobytes() in number for row in values)
    assert len(recorder.learnt) == 3 * len(folds)
    drawn_rows = 0
    for real, augmented in recorder.learnt:
        places = [number[row.tobytes()] for row in real]
        assert places == sorted(places)
        if augmented is not None:
            drawn_rows += len(augmented)
            assert not any(row.tobytes() in number for row in augmented)
            # The marker names the drawn session by its number in the whole history.
            newest = market.features[MARKER][market.features["session"] == rows.sessions[places[-1]]].item()
            assert augmented[:, 4].max() <= newest
    assert drawn_rows > sum(fold.augmentation["rows"] for fold in folds) > 0


def test_augmentation_changes_the_forecasts_and_neither_their_sessions_nor_outcomes_nor_baselines(
    market: Market, plain_model: FittedModel, augmented_model: FittedModel
) -> None:
    predict = partial(
        direction_classifier.predict,
        features=market.features,
        targets=market.targets,
        horizon=market.horizon,
        prices=market.prices,
    )
    plain, augmented = predict(plain_model), predict(augmented_model)
    same = ["session", "target_session", "model", "fold", "fitted_through", "y_true", "forward_return"]
    pd.testing.assert_frame_equal(plain[same], augmented[same])
    of_model = ~plain["is_baseline"]
    pd.testing.assert_frame_equal(plain[~of_model], augmented[~of_model])
    of_logistic = plain["model"] == "direction_logistic"  # the others may answer climatology, drawn rows or none
    assert (plain.loc[of_logistic, "probability_up"] != augmented.loc[of_logistic, "probability_up"]).mean() > 0.9


# What is learnt, and what is recorded


def test_selection_counts_and_priors_are_those_of_the_real_rows(
    plain_model: FittedModel, augmented_model: FittedModel
) -> None:
    pd.testing.assert_frame_equal(plain_model.input_table(), augmented_model.input_table())
    for one, other in zip(plain_model.folds, augmented_model.folds, strict=True):
        assert (one.n_train, one.class_counts, one.prior, one.features) == (
            other.n_train, other.class_counts, other.prior, other.features
        )  # fmt: skip
        if one.model == "direction_logistic":
            for name, attribute in (("impute", "statistics_"), ("scale", "scale_")):
                np.testing.assert_array_equal(
                    getattr(one.estimator[name], attribute), getattr(other.estimator[name], attribute)
                )


def test_copies_of_the_real_rows_teach_nothing_and_other_rows_do() -> None:
    """The penalty keeps its strength: the weights of all rows sum to the number of real ones."""
    generator = np.random.default_rng(2)
    values, noise = generator.normal(2.0, 3.0, (300, 4)), generator.normal(size=300)
    codes = (values[:, 0] + 3 * noise > 2.0).astype(np.int64)
    twice = AugmentedRows(np.concatenate([values, values]), np.concatenate([codes, codes]), 0.25)
    opposite = AugmentedRows(values, 1 - codes, 0.25)
    plain, copied, opposed = (
        fit_logistic_pipeline(values, codes, C=0.1, max_iter=1_000, augmented=augmented)[-1].coef_
        for augmented in (None, twice, opposite)
    )
    np.testing.assert_allclose(copied, plain, rtol=1e-3)
    assert abs(opposed[0, 0]) < 0.9 * abs(plain[0, 0])


@pytest.mark.parametrize("fit", [direction_classifier.fit, volatility_forecaster.fit])
def test_no_paths_are_no_augmentation_to_the_last_bit(market: Market, fit: Callable[..., FittedModel]) -> None:
    given = partial(fit, market.features, market.targets, horizon=market.horizon, settings=FOLDS)
    plain, off = given(), given(augmentation=market.augmentation(AugmentationSettings()))
    assert AugmentationSettings().paths == 0
    assert plain.content_hash() == off.content_hash()
    assert "augmentation" not in "".join(off.registry("20240101T000000000000Z-00000000")["hyperparameters"])
    assert not any("augmentation" in fold_spec(fold) for fold in off.folds)


def test_the_same_settings_give_the_same_model_and_any_other_another(market: Market) -> None:
    early = market.features["session"].iloc[700]  # long enough for the last part to be drawn from
    features = market.features[market.features["session"] <= early]
    targets = market.targets[market.targets["target_session"] <= early]
    hashes = {
        volatility_forecaster.fit(
            features,
            targets,
            horizon=market.horizon,
            settings=FOLDS,
            augmentation=market.augmentation(DRAWN.model_copy(update=change)),
        ).content_hash()
        for change in ({}, {}, {"seed": 8}, {"paths": 1}, {"weight": 0.25}, {"mean_block": 41})
    }
    assert len(hashes) == 5


def test_the_registry_says_how_many_rows_were_drawn_and_how(market: Market, augmented_model: FittedModel) -> None:
    registry = augmented_model.registry("20240101T000000000000Z-00000000")
    pd.testing.assert_frame_equal(conform(registry, REGISTRY, slice_key="72h|SPY"), registry)
    days = market.prices["session"]
    for row in registry.itertuples():
        record = json.loads(row.hyperparameters)["augmentation"]
        bars = int((days <= row.train_last_session).sum()) - 3 - 1
        assert {name: record[name] for name in ("paths", "seed", "weight", "mean_block")} == {
            "paths": 2, "seed": 7, "weight": 0.5, "mean_block": 40
        }  # fmt: skip
        # At most every labelled bar after the warm-up, of both histories.
        assert 0 < record["rows"] <= 2 * (bars - (LONGEST_LOOK_BACK - 1) - 3)


def test_the_forecaster_learns_from_drawn_regimes_with_all_its_inputs(market: Market) -> None:
    model = volatility_forecaster.fit(
        market.features,
        market.targets,
        horizon=market.horizon,
        settings=FOLDS,
        augmentation=market.augmentation(),
    )
    plain = volatility_forecaster.fit(market.features, market.targets, horizon=market.horizon, settings=FOLDS)
    of_regression, without_any = (each.folds_of(volatility_forecaster.LOGISTIC) for each in (model, plain))
    for fold, without in zip(of_regression, without_any, strict=True):
        assert len(fold.features) == 27
        # The part begins with the first IV rank; its histories have a label from their own first IV rank lag on.
        sessions = int((market.features["session"] >= fold.train_first_session).sum())
        sessions -= int((market.features["session"] > fold.train_last_session).sum())
        expected = 2 * max(sessions - 3 - 1 - (LONGEST_LOOK_BACK - 1) - 3, 0)
        assert fold.augmentation["rows"] == expected
        assert (fold.estimator[-1].coef_ != without.estimator[-1].coef_).any() == (expected > 0)


def test_a_part_too_short_for_the_look_back_is_learnt_without_and_says_so(market: Market) -> None:
    early = market.features["session"].iloc[700]
    features = market.features[market.features["session"] <= early]
    targets = market.targets[market.targets["target_session"] <= early]
    model = fit_direction(market, features=features, targets=targets)
    rows = [fold.augmentation["rows"] for fold in model.folds_of("direction_logistic")]
    assert rows[0] == 0
    assert rows[2] > 0
    assert model.folds[0].status == "fitted"
    assert (
        learnt(model.folds[0])[1:]
        == learnt(fit_direction(market, settings=None, features=features, targets=targets).folds[0])[1:]
    )
