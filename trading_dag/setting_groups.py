"""The groups of settings that belong to one part each: frozen, checked, with their defaults and what they mean.

They stand apart from ``settings`` so that a part can name its own group without knowing all of them.
"""

from __future__ import annotations

from datetime import date
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from trading_dag.regime_observations import NAMING_REGIME_INPUTS, REGIME_INPUT_CHOICES, REGIME_INPUTS, RegimeInput
from trading_dag.training_start import ALL, FORMS, TrainingStart, parse_start


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class WalkForwardSettings(_Frozen):
    """Holds the folds and what each fold may see."""

    folds: int = Field(5, ge=2, le=20, description="expanding test folds")
    inner_folds: int = Field(3, ge=2, le=10, description="purged folds inside a training part, for thresholds")
    minimum_presence: float = Field(0.8, gt=0, le=1, description="features below this presence are dropped by a fold")
    presence_sessions: int = Field(
        756, ge=1, description="last sessions of a training part over which presence is judged; three years"
    )
    late_sessions: int = Field(
        252, ge=1, description="a feature that begins within those is judged from its beginning, once it is so old"
    )
    evidence_sessions: int = Field(
        1_260,
        ge=1,
        description="sessions that inner folds have to hold out before a learner of a rise may answer anything but "
        "climatology; five years, so that the skill of one phase of the market is not taken for one that lasts",
    )
    minimum_class_rows: int = Field(30, ge=2, description="rarer classes give insufficient_data")
    top_features: int = Field(40, ge=1, description="features kept by mutual information")
    safe_features: bool = Field(True, description="whether levels of price, volume and the like are left out")
    optimize_threshold: bool = Field(True, description="whether a decision threshold is tuned; otherwise it is 0.5")
    threshold_rule: Literal["balanced_accuracy", "f1"] = Field(
        "balanced_accuracy", description="what a decision threshold maximises on inner out-of-fold predictions"
    )
    seed: int = Field(42, ge=0, lt=2**32, description="of everything that is drawn at random there")


class FamilyTraining(_Frozen):
    """Says what one family of models learns from."""

    since: str = Field(ALL, description=f"since when: {FORMS}")

    @field_validator("since", mode="after")
    @classmethod
    def _is_a_start(cls, value: str) -> str:
        parse_start(value)
        return value.strip().lower()

    @property
    def start(self) -> TrainingStart:
        """Return the start, parsed."""
        return parse_start(self.since)


class TrainingSettings(_Frozen):
    """Says what each family of models learns from."""

    direction_classifier: FamilyTraining = FamilyTraining()
    volatility_forecaster: FamilyTraining = FamilyTraining()
    price_stack: FamilyTraining = FamilyTraining()
    allocation_ensemble: FamilyTraining = FamilyTraining()
    spread_lstm: FamilyTraining = FamilyTraining(since="2020-01-01")


class DeepSettings(_Frozen):
    """Says how the networks of the spread model are trained, and how much work that may be.

    The architecture asks for up to 100 epochs; the default stops earlier, which the held-out rows do anyway.
    """

    enabled: bool = Field(True, description="whether networks are trained at all, where torch is installed")
    epochs: int = Field(5, ge=1, le=1_000, description="most passes over the rows")
    patience: int = Field(2, ge=1, description="epochs without a better loss on the rows held out, then it stops")
    batch: int = Field(32, ge=1, le=65_536, description="rows between two steps of the optimiser")
    learning_rate: float = Field(0.001, gt=0, le=1, description="step of the optimiser")
    weight_decay: float = Field(1e-4, ge=0, le=1, description="L2")
    largest_gradient: float = Field(1.0, gt=0, description="norm at which gradients are clipped")
    held_out_share: float = Field(
        0.15, gt=0, lt=0.9, description="of a training part, the last sessions, which stop the training"
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="cuda needs torch's build for graphics cards")
    seed: int = Field(42, ge=0, lt=2**31, description="of everything that is drawn at random there")


class PriceStackSettings(_Frozen):
    """Sets how much work the price stack does for each training part."""

    trees: int = Field(40, ge=1, le=5_000, description="trees of each forest and each boosting")
    stack_folds: int = Field(
        4, ge=2, le=20, description="purged folds inside a training part whose held-out forecasts the blend learns from"
    )
    minimum_rows: int = Field(250, ge=50, description="fewer training rows give insufficient_data")
    lstm: bool = Field(False, description="whether an LSTM on daily bars is one of the learners; needs torch")
    lstm_steps: int = Field(20, ge=2, le=252, description="sessions of a sequence")
    lstm_epochs: int = Field(3, ge=1, le=100, description="most epochs of a fit")
    lstm_rows: int = Field(2_000, ge=150, description="last rows of a training part that the LSTM learns from")


class TuningSettings(_Frozen):
    """Sets the budget of each search over hyperparameters, where one is asked for: by ``tune``, by the job of that
    name, by its schedule. ``run`` and ``train`` search nothing."""

    trials: int | None = Field(
        25,
        ge=1,
        le=10_000,
        description="trials that each search is to have in all; empty: as many as the minutes allow",
    )
    minutes: float | None = Field(
        None, gt=0, le=10_000, description="after which a search begins no trial; empty: no limit but the trials"
    )
    families: tuple[str, ...] = Field(
        (), description="learners that are tuned; empty: all but published specifications"
    )


class RegimeSettings(_Frozen):
    """Says what the market states observe, and from when on."""

    inputs: tuple[RegimeInput, ...] = Field(
        REGIME_INPUTS,
        description="of log_return_5d, log_return_20d, log_hv_20, price_to_sma_50, log_volume_ratio; the names of the "
        "states need log_return_20d and log_hv_20",
    )
    start: date | None = Field(
        None, description="sessions before are neither learnt from nor given a state; empty: all"
    )

    @field_validator("inputs", mode="after")
    @classmethod
    def _states_can_be_named(cls, value: tuple[RegimeInput, ...]) -> tuple[RegimeInput, ...]:
        missing = [name for name in NAMING_REGIME_INPUTS if name not in value]
        if missing:
            raise ValueError(f"without {', '.join(missing)} the states cannot be named")
        return tuple(name for name in REGIME_INPUT_CHOICES if name in value)


class AugmentationSettings(_Frozen):
    """Histories drawn from blocks of a training part's own sessions, learnt from beside its real rows."""

    paths: int = Field(0, ge=0, le=100, description="histories drawn for each training part; 0 draws none")
    mean_block: int | None = Field(
        None, ge=1, le=10_000, description="expected block length in sessions; empty: Politis and White's"
    )
    weight: float = Field(0.5, gt=0, le=1, description="of an augmented row beside a real one's 1")
    seed: int = Field(42, ge=0, lt=2**32, description="of everything that is drawn at random there")


class AllocationSettings(_Frozen):
    """Says how a forecast becomes a share of the account in the underlying."""

    least_position: float = Field(0.0, ge=0, le=1, description="share of the account, at least")
    greatest_position: float = Field(2.0, ge=1, le=2, description="share of the account, at most")
    smoothing_sessions: int = Field(5, ge=1, le=252, description="span of the mean over a position and those before it")
    volatility_sessions: int = Field(22, ge=5, le=504, description="span over which volatility is measured")
    least_mean_return: float = Field(
        0.00008, gt=0, le=0.01, description="least mean return above cash a session that a forecast is held against"
    )


class BootstrapSettings(_Frozen):
    """Sets the stationary bootstrap of the evaluation."""

    draws: int = Field(1_000, ge=100, description="bootstrap samples of each interval")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="of every interval of a score")
    seed: int = Field(42, ge=0, lt=2**32, description="of everything that is drawn at random there")


class ChampionSettings(_Frozen):
    """Says when a new version of a model takes the place of the one that serves."""

    rule: Literal["no_worse", "newest"] = Field(
        "no_worse", description="no_worse: where it is no worse on the same sessions; newest: always"
    )
    tolerance: float = Field(
        0.001, ge=0, le=1, description="how much worse it may be, as a share of the champion's score"
    )
    minimum_sessions: int = Field(
        250, ge=1, description="common sessions with a known outcome below which the new version serves unasked"
    )
    restated_share: float = Field(
        0.01, ge=0, le=1, description="share of the champion's forecasts that restated data may change unnoticed"
    )


class LiveSettings(_Frozen):
    """Says how the forecasts in the prediction log are scored."""

    minimum_outcomes: int = Field(60, ge=30, description="sessions with a known outcome below which nothing is scored")


class SurfaceSettings(_Frozen):
    """The implied-volatility surface that is used where there is no chain. All are assumptions, printed as such.

    The defaults of the shape are ``research/surface_fit.py`` on chains of SPY, QQQ, IWM and SPX of 2015, 2020,
    2024 and 2026 (docs/surface.md). A backtest of earlier sessions therefore assumes what was not known then.
    """

    atm_ratio: float = Field(0.90, gt=0, le=10, description="30-day ATM volatility over the volatility index")
    term_slope: float = Field(0.036, description="change of ATM volatility, as a share, per unit of ln(days/30)")
    skew: float = Field(-0.146, description="change of volatility, as a share of ATM, per standardised log-moneyness")
    curvature: float = Field(0.030, description="the same, per squared standardised log-moneyness")
    minimum_volatility: float = Field(0.03, gt=0, le=10, description="floor of the surface, a fraction")
    level_shift: float = Field(
        0.0, gt=-0.5, lt=0.5, description="added to every volatility, fraction; for stress tests"
    )
    risk_free_rate: float = Field(
        0.03, ge=-0.5, le=1, description="used where the macro table has no 3-month bill; fraction"
    )
    dividend_yield: float = Field(0.015, ge=0, le=1, description="continuous, fraction")


class BacktestSettings(_Frozen):
    """Says what a backtest assumes.

    Upper bounds lie far beyond any desk; they keep every count of contracts within an integer.
    """

    account_usd: float = Field(100_000.0, gt=0, le=1e12, description="what a backtest begins with")
    risk_fraction: float = Field(0.02, gt=0, le=1, description="account at risk per full-size trade")
    fee_per_leg_contract_usd: float = Field(0.65, ge=0, le=1e6, description="at every opening and closing")
    half_spread_fraction: float = Field(
        0.01, ge=0, le=10, description="half bid-ask spread as a share of the leg's value"
    )
    half_spread_minimum_usd: float = Field(0.01, ge=0, le=1e6, description="least half spread per share")
    price_tick_usd: float = Field(0.01, ge=1e-9, le=1e6, description="bids are rounded down and asks up to this tick")
    slippage_fraction: float = Field(
        0.0, ge=0, lt=1, description="of the price, against the trader, on every fill of every leg, in and out"
    )
    minimum_volume: float = Field(
        0.0, ge=0, le=1e12, description="chains: least volume of the session for a leg to be opened"
    )
    minimum_open_interest: float = Field(
        0.0, ge=0, le=1e12, description="chains: least open interest for a leg to be opened"
    )
    volume_share: float | None = Field(
        None, gt=0, le=1, description="chains: most of a leg's volume of the session that is traded; empty: no limit"
    )
    open_interest_share: float | None = Field(
        None, gt=0, le=1, description="chains: most of a leg's open interest that is traded; empty: no limit"
    )
    spread_share: float = Field(
        1.0,
        ge=0,
        le=1,
        description="chains: of the half spread that a fill of a liquid leg pays; what trades less pays more",
    )
    liquid_volume: float = Field(
        1_000.0, gt=0, le=1e12, description="chains: volume of the session from which on a leg is liquid"
    )
    liquid_open_interest: float = Field(
        5_000.0, gt=0, le=1e12, description="chains: open interest from which on a leg is liquid"
    )
    maximum_open_positions: int | None = Field(
        None, ge=1, le=1_000_000, description="positions at once; empty: as many as the capital carries"
    )
    maximum_delta: float | None = Field(
        None, gt=0, le=1e12, description="most delta of all positions, USD per USD of the underlying; empty: no limit"
    )
    maximum_vega_usd: float | None = Field(
        None, gt=0, le=1e12, description="most vega of all positions, USD a volatility point; empty: no limit"
    )
    interest_rate: float = Field(
        0.0, ge=0, lt=1, description="chains: earned by positive cash, continuously compounded, fraction a year"
    )
    multiplier: int = Field(100, gt=0, le=1_000_000, description="shares of a contract")
    index_multiplier: int = Field(
        10,
        gt=0,
        le=1_000_000,
        description="multiplier of the cash indices SPX and COMP: contracts on a tenth, as XSP is of SPX",
    )
    strike_step_fraction: float = Field(
        0.0025, gt=0, le=1, description="strike grid as a share of spot, rounded to a tick"
    )
    days_to_expiration: int = Field(21, ge=8, le=60, description="target calendar days to expiration at entry")
    long_leg_delta: float = Field(0.45, gt=0, lt=1, description="absolute delta of what is bought")
    short_leg_delta: float = Field(0.30, gt=0, lt=1, description="absolute delta of what is sold")
    wing_delta: float = Field(0.15, gt=0, lt=1, description="absolute delta of what is bought to cap a loss")
    profit_target_fraction: float = Field(
        0.5, gt=0, le=1, description="share of the greatest profit of which opportunities give the probability"
    )
    stop_underlying_fraction: float = Field(
        0.02, gt=0, le=1_000, description="move of the price against it of which opportunities give the probability"
    )
    exits: dict[str, float] = Field(
        default_factory=dict,
        description="signals: exits before the horizon, by word, such as "
        '{"stop_underlying": 0.02, "profit_target": 0.5}; empty: the horizon alone',
    )
    exit_on_signal_flip: bool = Field(False, description="signals: also left at the open after an opposite signal")
    stress_volatility: float = Field(
        0.02, gt=0, lt=0.5, description="a backtest is repeated with the surface so much lower and higher, fraction"
    )
    random_entry_runs: int = Field(
        1_000, ge=100, le=1_000_000, description="backtests on random days that a backtest is held against"
    )
    variants_tried: int = Field(36, ge=1, le=1_000_000_000, description="slices tried, for the deflated Sharpe ratio")
    seed: int = Field(42, ge=0, lt=2**32, description="of everything that is drawn at random there")


class GateSettings(_Frozen):
    """Says what the models of a slice must show before a backtest of it may be called admissible."""

    rule: Literal["skill", "tolerance"] = Field(
        "skill", description="skill: no worse than the baseline; tolerance: price forecasts within the bands in USD"
    )
    minimum_hit_rate: float = Field(
        0.5, gt=0, le=1, description="rule tolerance: least share of out-of-sample price forecasts within the band"
    )


class SelectorSettings(_Frozen):
    """Sets the thresholds of the strategy selector."""

    direction_minimum: float = Field(0.52, description="least probability of the called direction for a trade")
    iv_minimum: float = Field(0.35, description="least probability of the called IV regime for a trade")
    overall_minimum: float = Field(0.55, description="least weighted confidence of both for a trade")
    condor_overall_minimum: float = Field(0.45, description="the same for what sells both sides")
    full_minimum: float = Field(0.70, description="weighted confidence from which the design size is FULL")
    direction_weight: float = Field(0.6, description="of the direction in the weighted confidence")
    iv_weight: float = Field(0.4, description="of the IV regime in the weighted confidence")
    expected_return_minimum: float = Field(
        0.02,
        ge=0,
        le=1_000,
        description="rule expected_value: margin of safety, least expected profit as a share of what is at risk",
    )
    volatility_rows: bool = Field(
        True, description="whether straddles, strangles and butterflies enter where volatility favours them"
    )
    volatility_probability_minimum: float = Field(
        0.6, ge=0.5, le=1, description="least probability that the volatility index rises, or falls, for such a row"
    )
    volatility_cost_multiple: float = Field(
        1.5, ge=1, description="how many times its costs the expected change of volatility must earn on such a row"
    )


class SignalSettings(_Frozen):
    """Says which recommendations are served, and whether a position needs an edge."""

    rule: Literal["matrix", "expected_value"] = Field(
        "matrix", description="the rule whose recommendations are served: matrix, or expected_value"
    )
    gate: Literal["edge", "none"] = Field(
        "edge", description="edge: no size without an edge on known outcomes; none: sizes follow the design size"
    )
    minimum_trades: int = Field(
        60, ge=2, description="rule expected_value: fewer of its own trades that have ended are insufficient_data"
    )


LIVE_CONFIRMATION: Final = "real money may be lost"


class PaperSettings(_Frozen):
    """Says with whom the paper account trades, and what it may never do. Cash, risk and fees are those of backtests."""

    broker: Literal["paper", "alpaca", "none"] = Field(
        "paper", description="who takes the orders: paper (built in), alpaca (its paper API), none (nobody: no orders)"
    )
    allow_late: bool = Field(
        False, description="whether a signal is still traded once the session of its entry has opened"
    )
    trade_limit: float = Field(
        0.05, gt=0, le=100, description="greatest defined risk of one order, share of the account"
    )
    day_limit: float = Field(0.15, gt=0, le=100, description="of all orders of one session, share of the account")
    ticker_limit: float = Field(0.25, gt=0, le=100, description="of all that one ticker has open, share of the account")
    drawdown_limit: float = Field(
        0.2, gt=0, le=1, description="loss since the highest equity from which on nothing is opened, fraction"
    )
    live: bool = Field(
        False, description="first of two settings without which no real money is traded; no broker has it"
    )
    live_confirmation: str = Field("", description=f"the second: the words {LIVE_CONFIRMATION!r}")


class DriftSettings(_Frozen):
    """Says when drift asks for retraining."""

    window_sessions: int = Field(60, ge=20, description="latest sessions that are compared with training")
    bins: int = Field(10, ge=4, description="of the population stability index")
    quantile: float = Field(
        0.95, gt=0.5, lt=1, description="of the same index on blocks of the training window, beyond which is drift"
    )
    breached_share: float = Field(0.2, gt=0, le=1, description="share of safe features beyond their limit")
    consecutive_breaches: int = Field(2, ge=1, description="reports in a row that ask for retraining")
    rest_sessions: int = Field(20, ge=0, description="sessions after a training in which drift asks for none")


class PolygonHistorySettings(_Frozen):
    """Which contracts of earlier sessions Polygon is asked for: one request each, so a strip at the money."""

    minimum_days: int = Field(14, ge=0, le=1_200, description="least calendar days to expiration")
    maximum_days: int = Field(60, ge=0, le=1_200, description="most calendar days to expiration")
    strike_fraction: float = Field(
        0.02, gt=0, le=1, description="strikes within such a share of the session's stored close"
    )
    cache_days: float = Field(
        365.0, ge=1, le=10_000, description="how long answers are kept, so that a fetch that was broken off goes on"
    )

    @model_validator(mode="after")
    def _days_are_a_range(self) -> PolygonHistorySettings:
        if self.minimum_days > self.maximum_days:
            raise ValueError(f"minimum_days {self.minimum_days} are more than maximum_days {self.maximum_days}")
        return self


class HttpSettings(_Frozen):
    """Says how vendors are asked."""

    timeout_seconds: float = Field(60.0, gt=0, description="until all of an answer must have come")
    answer_megabytes: float = Field(32.0, gt=0, le=1000, description="size from which an answer is refused")
    attempts: int = Field(4, ge=1, le=10, description="requests until a vendor counts as not answering")
    backoff_seconds: float = Field(1.0, ge=0, description="first wait, doubled each time, with jitter")
    backoff_maximum_seconds: float = Field(60.0, ge=0, description="longest wait between two attempts")
    requests_per_second: float = Field(2.0, gt=0, description="most that one vendor is asked")
    cache_seconds: float = Field(300.0, ge=0, description="age at which a cached answer is asked again")
    overlap_sessions: int = Field(10, ge=1, description="stored sessions fetched again to catch restatements")
