"""The one description of every table: columns, types, units, keys, bounds.

Checks, warehouse views, Dagster metadata and ``docs/tables.md`` are generated from here.
Feature names are listed in the order of the contract; what each one means stands in the
docstring of the module that computes it. No pandas here, so that reading a schema costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

ColumnType = Literal["string", "date", "timestamp", "float64", "int64", "bool"]
SliceKind = Literal["none", "ticker", "ticker_horizon", "ticker_year"]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name, type : the column's name and its Arrow-like type (``timestamp`` is UTC, microseconds).
    description : what it means, with its unit.
    nullable : whether NULL is allowed.
    minimum, maximum : inclusive bounds, None for none.
    allowed : the closed set of values of a string column, empty for any.
    """

    name: str
    type: ColumnType
    description: str
    nullable: bool = True
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table, which is one asset.

    Attributes
    ----------
    group, name : schema in the warehouse (= asset group) and table name.
    slice : what one stored file holds.
    key : columns that identify a row.
    columns : every column, in stored order.
    description : one sentence for the UI and the docs.
    session_column : the column that says which session a row belongs to, None if there is none.
    """

    group: str
    name: str
    slice: SliceKind
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    description: str
    session_column: str | None = "session"
    _by_name: dict[str, Column] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {column.name: column for column in self.columns})

    @property
    def qualified_name(self) -> str:
        """``group.name``, as it is written in SQL."""
        return f"{self.group}.{self.name}"

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in stored order."""
        return tuple(self._by_name)

    @property
    def slice_columns(self) -> tuple[str, ...]:
        """Columns that have one value in every row of a slice."""
        return {"none": (), "ticker": ("ticker",), "ticker_year": ("ticker",), "ticker_horizon": ("ticker", "horizon")}[
            self.slice
        ]

    def column(self, name: str) -> Column:
        """The column of that name (KeyError if there is none)."""
        return self._by_name[name]


# --------------------------------------------------------------------------- building blocks

DIRECTIONS: Final = ("UP", "DOWN", "AMBIGUOUS")
IV_REGIMES: Final = ("LOW", "NORMAL", "HIGH")
SPREAD_CLASSES: Final = ("PUT_CREDIT", "CALL_CREDIT", "HOLD")
VERDICTS: Final = ("skilled", "admissible", "unskilled", "insufficient_data")
MACRO_SERIES: Final = (
    "DFF", "DGS2", "DGS10", "DGS3MO", "VIXCLS", "T10Y2Y", "T10YIE", "DFII10",
    "UNRATE", "CPIAUCSL", "GDP", "UMCSENT",
)  # fmt: skip
HORIZON_KEYS: Final = ("12h", "24h", "48h", "72h", "96h", "168h")

TICKER: Final = Column("ticker", "string", "underlying", nullable=False)
HORIZON: Final = Column("horizon", "string", "forecast horizon", nullable=False, allowed=HORIZON_KEYS)
SESSION: Final = Column(
    "session", "date", "exchange session; the row holds what was known at its close", nullable=False
)


def _number(
    name: str,
    description: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    nullable: bool = True,
) -> Column:
    return Column(name, "float64", description, nullable=nullable, minimum=minimum, maximum=maximum)


def _text(name: str, description: str, *, allowed: tuple[str, ...] = (), nullable: bool = True) -> Column:
    return Column(name, "string", description, nullable=nullable, allowed=allowed)


def _price(name: str, description: str, *, nullable: bool = False) -> Column:
    return _number(name, f"{description}, USD", minimum=1e-6, nullable=nullable)


# --------------------------------------------------------------------------- feature names

TECHNICAL_FEATURES: Final = tuple(
    """
    sma_20 sma_50 sma_200 ema_12 ema_26 price_to_sma_20 price_to_sma_50 price_to_sma_200 price_to_ema_12
    price_to_ema_26 sma_20_above_50 sma_50_above_200 ema_12_above_26 golden_cross death_cross
    sma_20_slope_5 sma_50_slope_10 adx_14 plus_di_14 minus_di_14
    rsi_14 rsi_28 rsi_14_overbought rsi_14_oversold macd macd_signal macd_histogram macd_histogram_change_1d
    stoch_k stoch_d stoch_kd_spread roc_5 roc_10 roc_20 mfi_14 williams_r_14 cci_20
    hv_5 hv_10 hv_20 hv_60 hv_120 hv_ratio_5_20 hv_ratio_20_60 hv_trend bb_upper bb_middle bb_lower bb_width
    bb_position atr_14 atr_pct parkinson_hv_20 garman_klass_hv_20 hv_20_percentile_252
    volume_sma_10 volume_sma_20 volume_ratio obv obv_slope_20 volume_surge volume_zscore_20 dollar_volume_20
    high_52w low_52w distance_from_high_52w distance_from_low_52w near_high_52w near_low_52w position_52w
    returns_1d returns_5d returns_10d returns_20d returns_60d returns_252d log_return_1d log_return_5d
    log_return_20d overnight_return intraday_return return_skew_20 return_kurtosis_20
    """.split()
)
IMPLIED_VOLATILITY_FEATURES: Final = tuple(
    """
    iv_rank iv_percentile iv_hv_spread iv_premium vix_close vix_sma_10 vix_sma_20 vix_change_1d vix_change_5d
    vix_zscore vix_trend vix_term_slope vix_term_ratio vix_contango
    iv_regime_low iv_regime_normal iv_regime_elevated iv_regime_high
    """.split()
)
IV_RANK_LAGS: Final = ("iv_rank_lag_5", "iv_rank_lag_10", "iv_rank_lag_20", "iv_rank_change_5d", "iv_rank_change_10d")
MACRO_FEATURES: Final = tuple(
    """
    fed_funds_effective treasury_2y treasury_10y treasury_3m vix_fred yield_spread_10y_2y breakeven_inflation_10y
    real_rate_10y unemployment_rate cpi_index
    yield_spread_10y_3m curve_inverted_10y_2y curve_inverted_10y_3m curve_slope_change_20d
    treasury_10y_change_5d treasury_10y_change_20d treasury_10y_change_60d
    treasury_2y_change_5d treasury_2y_change_20d treasury_2y_change_60d
    fed_funds_change_20d fed_funds_change_60d real_rate_change_20d real_rate_change_60d
    breakeven_change_20d breakeven_change_60d vix_fred_change_5d vix_fred_change_20d vix_fred_high
    cpi_yoy real_fed_funds unemployment_change_12m fed_pivot_cut fed_pivot_hike
    """.split()
)
VOLATILITY_FORECASTER_FEATURES: Final = (
    "iv_rank", "iv_percentile", "iv_hv_spread", "iv_premium", "vix_close", "vix_zscore", "vix_trend",
    "vix_change_1d", "vix_change_5d", *IV_RANK_LAGS, "vix_term_slope", "vix_term_ratio", "vix_contango",
    "hv_5", "hv_10", "hv_20", "hv_60", "hv_120", "hv_ratio_5_20", "hv_ratio_20_60", "hv_trend",
    "parkinson_hv_20", "returns_5d",
)  # fmt: skip

# Levels of price, volume and the CPI have no stationary scale; the safe set leaves them out. Rates stay in.
LEVEL_FEATURES: Final = frozenset(
    """
    sma_20 sma_50 sma_200 ema_12 ema_26 macd macd_signal macd_histogram macd_histogram_change_1d
    bb_upper bb_middle bb_lower atr_14 volume_sma_10 volume_sma_20 obv dollar_volume_20 high_52w low_52w
    cpi_index
    """.split()
)
FLAG_FEATURES: Final = frozenset(
    """
    sma_20_above_50 sma_50_above_200 ema_12_above_26 golden_cross death_cross rsi_14_overbought rsi_14_oversold
    volume_surge near_high_52w near_low_52w iv_premium vix_contango iv_regime_low iv_regime_normal
    iv_regime_elevated iv_regime_high curve_inverted_10y_2y curve_inverted_10y_3m vix_fred_high
    fed_pivot_cut fed_pivot_hike
    """.split()
)
_PERCENT_FEATURES: Final = frozenset(
    """
    adx_14 plus_di_14 minus_di_14 rsi_14 rsi_28 stoch_k stoch_d mfi_14 hv_20_percentile_252 iv_rank iv_percentile
    iv_rank_lag_5 iv_rank_lag_10 iv_rank_lag_20
    """.split()
)
_NON_NEGATIVE_FEATURES: Final = frozenset(
    """
    hv_5 hv_10 hv_20 hv_60 hv_120 hv_ratio_5_20 hv_ratio_20_60 bb_width atr_14 atr_pct parkinson_hv_20
    volume_sma_10 volume_sma_20 volume_ratio dollar_volume_20 vix_close vix_sma_10 vix_sma_20
    """.split()
)
_FEATURE_TOLERANCE: Final = 1e-6
ALL_FEATURES: Final = (*TECHNICAL_FEATURES, *IMPLIED_VOLATILITY_FEATURES, *IV_RANK_LAGS, *MACRO_FEATURES)
SAFE_FEATURES: Final = tuple(name for name in ALL_FEATURES if name not in LEVEL_FEATURES)


def feature_column(name: str) -> Column:
    """The column of a feature: ``float64``, NULL during warm-up, bounded where its formula bounds it."""
    if name in FLAG_FEATURES:
        return _number(name, "flag, 0 or 1", minimum=0.0, maximum=1.0)
    if name in _PERCENT_FEATURES:
        return _number(name, "0 to 100", minimum=-_FEATURE_TOLERANCE, maximum=100.0 + _FEATURE_TOLERANCE)
    if name == "williams_r_14":
        return _number(name, "−100 to 0", minimum=-100.0 - _FEATURE_TOLERANCE, maximum=_FEATURE_TOLERANCE)
    if name in _NON_NEGATIVE_FEATURES:
        return _number(name, "not negative", minimum=0.0)
    return _number(name, "see docs/features.md")


def _features(names: Iterable[str]) -> tuple[Column, ...]:
    return tuple(feature_column(name) for name in names)


# --------------------------------------------------------------------------- tables

PRICES_DAILY: Final = Table(
    "raw", "prices_daily", "ticker", ("ticker", "session"),
    (
        TICKER, SESSION,
        _price("open", "first trade, split-adjusted"),
        _price("high", "highest trade, split-adjusted"),
        _price("low", "lowest trade, split-adjusted"),
        _price("close", "last trade, split-adjusted"),
        _price("adj_close", "close adjusted for splits and dividends, on the vendor's current base"),
        _number("volume", "shares traded", minimum=0.0),
        _number("split_factor", "new shares per old share where a split takes effect, 1 otherwise", minimum=1e-6),
        _number("dividend", "cash dividend whose ex-date is this session, USD per share", minimum=0.0),
    ),
    "Daily bars of the underlying: split-adjusted prices, dividend-adjusted close, volume.",
)  # fmt: skip

VOLATILITY_INDEX: Final = Table(
    "raw", "volatility_index", "ticker", ("ticker", "session"),
    (
        TICKER, SESSION,
        _text("symbol", "the index used for this ticker: VIX, VXN or RVX", nullable=False),
        _number("open", "first value, volatility points", minimum=1.0, maximum=400.0),
        _number("high", "highest value, volatility points", minimum=1.0, maximum=400.0),
        _number("low", "lowest value, volatility points", minimum=1.0, maximum=400.0),
        _number("close", "last value, volatility points", minimum=1.0, maximum=400.0, nullable=False),
        _number("vix3m_close", "three-month VIX at the close, volatility points", minimum=1.0, maximum=400.0),
    ),
    "The implied-volatility index that belongs to the underlying, as the exchange published it.",
)  # fmt: skip

MACRO: Final = Table(
    "raw", "macro", "none", ("series_id", "observation_date"),
    (
        _text("series_id", "FRED series", nullable=False, allowed=MACRO_SERIES),
        Column("observation_date", "date", "reference date of the value", nullable=False),
        Column("known_on", "date", "first session at whose close the value was public", nullable=False),
        _number("value", "in the units of the series", nullable=False),
        _text("vintage", "first_release, or latest_vintage where revisions stay in", nullable=False,
              allowed=("first_release", "latest_vintage")),
    ),
    "Macroeconomic series from FRED with the session on which each value became known.",
    session_column=None,
)  # fmt: skip

TECHNICAL: Final = Table(
    "features", "technical", "ticker", ("ticker", "session"),
    (TICKER, SESSION, *_features(TECHNICAL_FEATURES)),
    "83 indicators of price and volume, from data up to the session's close.",
)  # fmt: skip

IMPLIED_VOLATILITY: Final = Table(
    "features", "implied_volatility", "ticker", ("ticker", "session"),
    (
        TICKER, SESSION, *_features(IMPLIED_VOLATILITY_FEATURES), *_features(IV_RANK_LAGS),
        _number("vix_filled_sessions", "sessions since the index was last published, 0 on a published one",
                minimum=0.0, maximum=10.0),
    ),
    "Level, rank, premium and term structure of implied volatility, with the forecaster's lags.",
)  # fmt: skip

MACRO_TABLE: Final = Table(
    "features", "macro", "none", ("session",),
    (SESSION, *_features(MACRO_FEATURES)),
    "34 macroeconomic features as they were known at each session's close.",
)  # fmt: skip

FEATURE_TABLE: Final = Table(
    "features", "feature_table", "ticker", ("ticker", "session"),
    (TICKER, SESSION, *_features(ALL_FEATURES)),
    "Every feature of one underlying joined on the session: what the models read.",
)  # fmt: skip

TARGETS: Final = Table(
    "labels", "targets", "ticker_horizon", ("ticker", "horizon", "session"),
    (
        TICKER, HORIZON, SESSION,
        Column("target_session", "date", "session at which the horizon ends", nullable=False),
        _price("target_price", "split-adjusted open (12h) or close (others) of the target session"),
        _number("forward_return", "target price over the close of the session, minus 1", minimum=-0.95, maximum=10.0,
                nullable=False),
        _text("direction", "UP, DOWN, or AMBIGUOUS within the dead band", allowed=DIRECTIONS, nullable=False),
        _text("iv_regime", "band of iv_rank at the target session's close; NULL without an index", allowed=IV_REGIMES),
        _text("spread_class", "which credit spread the move would have paid", allowed=SPREAD_CLASSES),
    ),
    "What happened after each session. Absent where the future is not there yet.",
)  # fmt: skip

FEATURE_SELECTION: Final = Table(
    "models", "feature_selection", "ticker_horizon", ("ticker", "horizon", "model", "fold", "feature"),
    (
        TICKER, HORIZON,
        _text("model", "model name", nullable=False),
        Column("fold", "int64", "walk-forward fold, 1 to 5; 6 is the live model fitted on everything", nullable=False,
               minimum=1),
        _text("feature", "feature name", nullable=False),
        Column("selected", "bool", "whether the fold used it", nullable=False),
        _text("reason", "selected, below_top_k, below_presence or constant", nullable=False,
              allowed=("selected", "below_top_k", "below_presence", "constant")),
        _number("score", "mutual information with the label in the fold's training part, nats", minimum=0.0),
        _number("presence_fraction", "share of training rows where it is present", minimum=0.0, maximum=1.0),
    ),
    "Which features each fold chose, from what, and why the others were left out.",
    session_column=None,
)  # fmt: skip

REGISTRY: Final = Table(
    "models", "registry", "ticker_horizon", ("ticker", "horizon", "model", "fold"),
    (
        TICKER, HORIZON,
        _text("model", "model name", nullable=False),
        Column("fold", "int64", "walk-forward fold, 1 to 5; 6 is the live model", nullable=False, minimum=1),
        _text("version", "immutable version in the model store", nullable=False),
        _text("status", "fitted, or insufficient_data", nullable=False, allowed=("fitted", "insufficient_data")),
        _text("reason", "why a fold could not be fitted"),
        Column("train_first_session", "date", "first training session"),
        Column("train_last_session", "date", "last training session"),
        Column("fitted_through", "date", "last target session the fit has seen"),
        Column("n_train", "int64", "training rows", nullable=False, minimum=0),
        Column("n_features", "int64", "features used", nullable=False, minimum=0),
        _number("threshold", "decision threshold of a binary model", minimum=0.0, maximum=1.0),
        _text("hyperparameters", "JSON"),
        _text("class_counts", "JSON: training rows per class"),
        _text("libraries", "JSON: library versions at fit time"),
        _text("inputs", "JSON: content hash of each input slice"),
    ),
    "Every fitted model and fold: data window, size, threshold, versions.",
    session_column=None,
)  # fmt: skip

_PREDICTION_HEAD: Final = (
    TICKER, HORIZON, SESSION,
    Column("target_session", "date", "session at which the horizon ends", nullable=False),
    _text("model", "model or baseline name", nullable=False),
    Column("fold", "int64", "fold whose model made the forecast; 6 is the live model", nullable=False, minimum=1),
    Column("fitted_through", "date", "last target session the forecasting model had seen; not after session",
           nullable=False),
)  # fmt: skip
_PREDICTION_TAIL: Final = (
    Column("is_baseline", "bool", "whether the row belongs to a naive baseline", nullable=False),
    Column("is_out_of_sample", "bool", "True by construction: fitted_through is not after session", nullable=False),
)
_PREDICTION_KEY: Final = ("ticker", "horizon", "session", "model")

PREDICTIONS_DIRECTION: Final = Table(
    "predictions", "direction", "ticker_horizon", _PREDICTION_KEY,
    (
        *_PREDICTION_HEAD,
        _text("y_true", "UP, DOWN or AMBIGUOUS; NULL while the future is not there", allowed=DIRECTIONS),
        _number("forward_return", "return to the target; NULL while the future is not there"),
        _text("y_pred", "UP or DOWN", allowed=("UP", "DOWN"), nullable=False),
        _number("probability_up", "P(UP | clear move)", minimum=0.0, maximum=1.0, nullable=False),
        _number("threshold", "probability above which UP is called", minimum=0.0, maximum=1.0, nullable=False),
        _number("confidence", "probability of the called direction", minimum=0.0, maximum=1.0, nullable=False),
        *_PREDICTION_TAIL,
    ),
    "Out-of-sample direction forecasts of the models and their baselines.",
)  # fmt: skip

PREDICTIONS_VOLATILITY: Final = Table(
    "predictions", "volatility", "ticker_horizon", _PREDICTION_KEY,
    (
        *_PREDICTION_HEAD,
        _text("y_true", "IV regime at the target; NULL while the future is not there", allowed=IV_REGIMES),
        _text("current_regime", "IV regime at the session itself", allowed=IV_REGIMES, nullable=False),
        _text("y_pred", "forecast regime", allowed=IV_REGIMES, nullable=False),
        *(
            _number(f"probability_{name.lower()}", f"P({name})", minimum=0.0, maximum=1.0, nullable=False)
            for name in IV_REGIMES
        ),
        _number("confidence", "probability of the forecast regime", minimum=0.0, maximum=1.0, nullable=False),
        _text("expected_change", "forecast regime against the current one", nullable=False,
              allowed=("EXPANDING", "CONTRACTING", "STABLE")),
        *_PREDICTION_TAIL,
    ),
    "Out-of-sample IV-regime forecasts of the models and their baselines.",
)  # fmt: skip

METRICS: Final = Table(
    "evaluation", "metrics", "ticker_horizon", ("ticker", "horizon", "task", "model", "metric", "baseline"),
    (
        TICKER, HORIZON,
        _text("task", "direction or volatility", nullable=False, allowed=("direction", "volatility")),
        _text("model", "model or baseline that is scored", nullable=False),
        _text("metric", "metric name; _conditional means: on clear rows only", nullable=False),
        _number("value", "pooled over the test folds; NULL where insufficient"),
        _number("ci_low", "lower end of the 95 % stationary-bootstrap interval"),
        _number("ci_high", "upper end"),
        _text("baseline", "baseline it is held against; 'none' for a baseline's own row", nullable=False),
        _number("baseline_value", "the baseline's value on the same rows"),
        _number("difference", "model against baseline, positive = better"),
        _number("difference_ci_low", "lower end of the paired interval"),
        _number("difference_ci_high", "upper end"),
        _text("verdict", "skilled, admissible, unskilled or insufficient_data", allowed=VERDICTS, nullable=False),
        Column("n", "int64", "rows scored", nullable=False, minimum=0),
        Column("n_ambiguous", "int64", "rows within the dead band among the candidates", nullable=False, minimum=0),
        _text("reason", "why data is insufficient"),
    ),
    "Every score beside its naive baseline, with a block-bootstrap interval and a verdict.",
    session_column=None,
)  # fmt: skip

RECOMMENDATION: Final = Table(
    "signals", "recommendation", "ticker_horizon", ("ticker", "horizon", "session"),
    (
        TICKER, HORIZON, SESSION,
        Column("target_session", "date", "session at which the horizon ends", nullable=False),
        _text("strategy", "structure name, or no_trade", nullable=False),
        _text("conviction", "FULL, HALF or NONE by confidence alone", nullable=False, allowed=("FULL", "HALF", "NONE")),
        _text("edge", "verdict of the models on outcomes known by this session", nullable=False,
              allowed=("skilled", "admissible", "no_edge", "insufficient_data")),
        _number("position_size", "1 FULL, 0.5 HALF, 0 where there is no conviction or no edge", minimum=0.0,
                maximum=1.0, nullable=False),
        _text("direction", "forecast direction", allowed=("UP", "DOWN")),
        _text("iv_regime", "forecast IV regime", allowed=IV_REGIMES),
        _number("direction_confidence", "probability of the forecast direction", minimum=0.0, maximum=1.0),
        _number("iv_confidence", "probability of the forecast regime", minimum=0.0, maximum=1.0),
        _number("overall_confidence", "0.6 direction + 0.4 IV", minimum=0.0, maximum=1.0),
        _text("legs", "JSON list of legs: option_right, side, ratio, strike, expiration"),
        _text("strikes", "strikes as text, low to high"),
        Column("expiration", "date", "expiration of the legs"),
        Column("contracts", "int64", "structures to trade at the account size of the settings", minimum=0),
        _number("net_premium_usd", "per structure at the modelled surface; positive is paid"),
        _number("max_loss_usd", "defined risk per structure, positive", minimum=0.0),
        _number("max_profit_usd", "per structure; NULL where unlimited", minimum=0.0),
        _text("breakevens", "underlying prices at expiration without profit or loss, as text"),
        _number("probability_of_profit", "risk-neutral, at expiration, on the modelled surface", minimum=0.0,
                maximum=1.0),
        _number("profit_target_usd", "per structure", minimum=0.0),
        _number("stop_loss_fraction", "adverse move of the underlying that closes the trade", minimum=0.0),
        _text("reasoning", "one sentence", nullable=False),
        _text("evidence", "JSON: model versions and their difference against the baseline", nullable=False),
    ),
    "The structure that the forecasts select at each session, sized, priced and explained.",
)  # fmt: skip

_TRADE_STATUS: Final = ("closed", "open", "skipped")
TRADES: Final = Table(
    "backtests", "trades", "ticker_horizon", ("ticker", "horizon", "signal_session"),
    (
        TICKER, HORIZON,
        Column("signal_session", "date", "session whose close produced the signal", nullable=False),
        _text("structure", "structure name", nullable=False),
        _text("status", "closed, open at the end of data, or skipped", nullable=False, allowed=_TRADE_STATUS),
        _text("exit_reason", "horizon, or why the trade was skipped", nullable=False),
        Column("entry_session", "date", "session of the entry quote, after the signal's session"),
        Column("exit_session", "date", "session of the exit quote"),
        _text("quote_source", "chain, last or modelled", allowed=("chain", "last", "modelled")),
        _number("entry_spot", "underlying at entry, USD", minimum=0.0),
        _number("exit_spot", "underlying at exit, USD", minimum=0.0),
        _text("legs", "JSON list of legs with fills"),
        Column("expiration", "date", "expiration of the legs"),
        Column("contracts", "int64", "structures traded", minimum=0),
        _number("entry_cost_usd", "signed cash paid at entry for all contracts, without fees"),
        _number("exit_value_usd", "signed cash received at exit for all contracts, without fees"),
        _number("fees_usd", "all legs, entry and exit", minimum=0.0),
        _number("pnl_usd", "exit value − entry cost − fees"),
        _number("max_loss_usd", "defined risk of all contracts", minimum=0.0),
        _number("return_on_risk", "pnl over defined risk"),
        _text("conviction", "FULL or HALF", allowed=("FULL", "HALF", "NONE")),
    ),
    "One row a signal: the trade it caused, or why it caused none.",
    session_column="signal_session",
)  # fmt: skip

EQUITY: Final = Table(
    "backtests", "equity", "ticker_horizon", ("ticker", "horizon", "session"),
    (
        TICKER, HORIZON, SESSION,
        _number("cash_usd", "cash after all fills of the session", nullable=False),
        _number("marks_usd", "value of open positions at the session's close on the modelled surface", nullable=False),
        _number("equity_usd", "cash + marks", nullable=False),
        _number("drawdown", "fraction below the highest equity so far", minimum=0.0, nullable=False),
        Column("open_positions", "int64", "positions held over the close", minimum=0, nullable=False),
        _number("benchmark_usd", "buy and hold of the underlying with the same starting cash", nullable=False),
    ),
    "Daily mark-to-market equity beside buy and hold of the underlying.",
)  # fmt: skip

SUMMARY: Final = Table(
    "backtests", "summary", "ticker_horizon", ("ticker", "horizon"),
    (
        TICKER, HORIZON,
        _text("status", "backtested, or why there is none", nullable=False,
              allowed=("backtested", "horizon_before_entry", "no_trades", "insufficient_data")),
        Column("is_admissible", "bool", "whether the models pass the gate and the P&L keeps its sign at ±2 points",
               nullable=False),
        _text("admissibility_reason", "the gate's verdict in words", nullable=False),
        Column("first_session", "date", "first session of the backtest"),
        Column("last_session", "date", "last session of the backtest"),
        Column("trades", "int64", "closed trades", minimum=0, nullable=False),
        Column("skipped", "int64", "signals without a trade", minimum=0, nullable=False),
        _number("win_rate", "closed trades with positive P&L", minimum=0.0, maximum=1.0),
        _number("profit_factor", "gross profit over gross loss", minimum=0.0),
        _number("total_pnl_usd", "sum over closed trades, after fees"),
        _number("pnl_lower_volatility_usd", "the same with every modelled volatility 2 points lower"),
        _number("pnl_higher_volatility_usd", "the same with every modelled volatility 2 points higher"),
        _number("cagr", "compound annual growth of equity"),
        _number("sharpe", "annualised, daily equity returns; cash earns nothing, so no rate is subtracted"),
        _number("sortino", "annualised, downside deviation"),
        _number("calmar", "CAGR over maximum drawdown"),
        _number("max_drawdown", "fraction", minimum=0.0),
        _number("exposure", "share of sessions with an open position", minimum=0.0, maximum=1.0),
        _number("fees_usd", "sum of fees", minimum=0.0),
        _number("deflated_sharpe", "probability that the Sharpe ratio exceeds the best of the variants tried by luck",
                minimum=0.0, maximum=1.0),
        _number("random_entry_p_value", "(1 + runs at least as good) / (1 + 1,000 random-entry runs)", minimum=0.0,
                maximum=1.0),
        _number("benchmark_cagr", "buy and hold"),
        _number("benchmark_sharpe", "buy and hold, over the three-month bill"),
        Column("open_trades", "int64", "positions open at the end of data, not in the trade statistics", minimum=0,
               nullable=False),
        Column("losses_beyond_defined_risk", "int64", "early closes whose loss exceeded defined risk and fees",
               minimum=0, nullable=False),
        _text("skip_reasons", "JSON: signals without a trade, by reason", nullable=False),
        _text("assumptions", "JSON: everything the backtest assumed", nullable=False),
    ),
    "What the backtest earned, against what, under which assumptions, and whether it may be believed.",
    session_column=None,
)  # fmt: skip

DRIFT: Final = Table(
    "monitoring", "drift", "ticker_horizon", ("ticker", "horizon", "as_of_session", "feature"),
    (
        TICKER, HORIZON,
        Column("as_of_session", "date", "last session of the recent window", nullable=False),
        _text("feature", "feature name", nullable=False),
        _number("psi", "population stability index of the recent window against the training window", minimum=0.0),
        _number("psi_limit", "95 % quantile of the same statistic on blocks of the training window", minimum=0.0),
        Column("is_breached", "bool", "psi above its limit", nullable=False),
        Column("n_recent", "int64", "sessions in the recent window", nullable=False, minimum=0),
        Column("n_reference", "int64", "sessions in the training window", nullable=False, minimum=0),
    ),
    "How far each safe feature has moved from the window the model was trained on.",
    session_column="as_of_session",
)  # fmt: skip

OPTION_CHAIN: Final = Table(
    "raw", "option_chain", "ticker_year", ("quote_date", "ticker", "expiration", "option_right", "strike"),
    (
        Column("quote_date", "date", "session of the end-of-day quote", nullable=False),
        TICKER,
        _price("underlying_price", "underlying at the quote; NULL where the source does not say", nullable=True),
        Column("expiration", "date", "expiration as the exchange dated it, which was a Saturday until 2015",
               nullable=False),
        _price("strike", "strike"),
        _text("option_right", "C for a call, P for a put", allowed=("C", "P"), nullable=False),
        _number("bid", "best bid, USD a share", minimum=0.0),
        _number("ask", "best offer, USD a share", minimum=0.0),
        _number("last", "last trade, perhaps of an earlier session, USD a share", minimum=0.0),
        _number("volume", "contracts traded in the session", minimum=0.0),
        _number("open_interest", "contracts open, published on the morning of the quote date", minimum=0.0),
        _number("implied_volatility", "the vendor's, as a fraction; NULL where the vendor has none", minimum=0.0),
    ),
    "End-of-day quotes of listed options, as found: one row a contract and session.",
    session_column="quote_date",
)  # fmt: skip

CHAIN_ANALYTICS: Final = Table(
    "options", "chain_analytics", "ticker", ("ticker", "session", "expiration"),
    (
        TICKER,
        SESSION,
        Column("expiration", "date", "expiration as the exchange dated it", nullable=False),
        _price("spot", "underlying at the quotes", nullable=True),
        _number("years", "calendar time from the close to settlement, years of 365 days"),
        _number("rate", "continuously compounded, fraction"),
        _price("forward", "median of put-call parity within 2 % of spot", nullable=True),
        _number("forward_deviation", "median distance of the strikes from it, USD", minimum=0.0),
        _number("dividend_yield", "what the forward leaves over: rate − ln(forward/spot)/years, fraction"),
        _number("atm_volatility", "implied volatility at the forward, fraction", minimum=0.0),
        _number("put_25_delta_volatility", "of the 25-delta put, fraction", minimum=0.0),
        _number("call_25_delta_volatility", "of the 25-delta call, fraction", minimum=0.0),
        _number("skew_25_delta", "25-delta put less 25-delta call, fraction"),
        _number("svi_a", "raw SVI slice, level of total variance"),
        _number("svi_b", "raw SVI slice, slope of the wings", minimum=0.0),
        _number("svi_rho", "raw SVI slice, tilt", minimum=-1.0, maximum=1.0),
        _number("svi_m", "raw SVI slice, centre in log-moneyness"),
        _number("svi_s", "raw SVI slice, curvature", minimum=0.0),
        _number("svi_rmse", "root mean square error of the fitted volatilities, by vega, fraction", minimum=0.0),
        _number("least_durrleman", "least density function g of the slice; below zero is a butterfly arbitrage"),
        _number("calendar_slack", "least growth of total variance since the expiration before; arbitrage below zero"),
        Column("pairs", "int64", "strikes whose parity made the forward", minimum=0),
        Column("contracts", "int64", "clean quotes", nullable=False, minimum=0),
        Column("fitted_contracts", "int64", "of these with an implied volatility", nullable=False, minimum=0),
        Column("refused", "int64", "quotes left out", nullable=False, minimum=0),
        Column("vertical_violations", "int64", "vertical spreads with a free profit", nullable=False, minimum=0),
        Column("butterfly_violations", "int64", "butterflies with a free profit", nullable=False, minimum=0),
        Column("calendar_violations", "int64", "calendars with a free profit", nullable=False, minimum=0),
    ),
    "What each expiration of a session's chain comes down to: forward, smile, fitted slice, arbitrage.",
)  # fmt: skip
DEALER_EXPOSURE: Final = Table(
    "options", "dealer_exposure", "ticker", ("ticker", "session"),
    (
        TICKER,
        SESSION,
        _price("spot", "underlying at the quotes", nullable=True),
        _number("net_delta", "dealers long calls and short puts, shares"),
        _number("net_gamma", "gamma exposure, USD of delta per 1 % move"),
        _number("net_vega", "USD per volatility point"),
        _number("net_theta", "USD per calendar day"),
        _number("net_vanna", "shares per volatility point"),
        _number("net_charm", "shares per calendar day"),
        _price("gamma_flip", "nearest spot at which net_gamma is zero; NULL for none within 15 %", nullable=True),
        _number("distance_to_gamma_flip", "(spot − gamma_flip)/spot, fraction"),
        _price("call_wall_strike", "strike with the greatest gamma exposure of calls", nullable=True),
        _price("put_wall_strike", "strike with the greatest gamma exposure of puts", nullable=True),
        Column("contracts", "int64", "contracts that count", nullable=False, minimum=0),
        _text("chain_digest", "of the quotes, rate and method that the session was computed from", nullable=False),
    ),
    "What dealers would hold against the open interest, under a stated convention.",
)  # fmt: skip

COMPARISON: Final = Table(
    "backtests", "comparison", "ticker", ("ticker", "structure", "exits"),
    (
        TICKER,
        _text("structure", "what was traded", nullable=False),
        _text("exits", "when it was left", nullable=False),
        Column("first_session", "date", "first quote date of the chain", nullable=False),
        Column("last_session", "date", "last quote date of the chain", nullable=False),
        Column("sessions", "int64", "quote dates of the chain", nullable=False, minimum=0),
        Column("programs_tried", "int64", "rows of this table, which the deflated Sharpe ratio counts", nullable=False,
               minimum=1),
        Column("trades", "int64", "closed trades", nullable=False, minimum=0),
        Column("open", "int64", "positions open at the end of the chain", nullable=False, minimum=0),
        Column("skipped", "int64", "entries without a trade", nullable=False, minimum=0),
        _number("win_rate", "closed trades with positive P&L", minimum=0.0, maximum=1.0),
        _number("profit_factor", "gross profit over gross loss", minimum=0.0),
        _number("total_pnl_usd", "sum over closed trades, after fees"),
        _number("fees_usd", "sum of fees", minimum=0.0),
        _number("sharpe", "annualised, daily equity returns"),
        _number("max_drawdown", "fraction", minimum=0.0),
        _number("deflated_sharpe", "probability that the Sharpe ratio exceeds the best of all programs tried by luck",
                minimum=0.0, maximum=1.0),
        Column("losses_beyond_defined_risk", "int64", "early closes that lost more than defined risk and fees",
               nullable=False, minimum=0),
    ),
    "Every structure under every set of exits on the stored chains of a ticker; the best of many tries is no advice.",
    session_column=None,
)  # fmt: skip

TABLES: Final[dict[str, Table]] = {
    table.qualified_name: table
    for table in (
        PRICES_DAILY, VOLATILITY_INDEX, MACRO, OPTION_CHAIN, CHAIN_ANALYTICS, DEALER_EXPOSURE,
        TECHNICAL, IMPLIED_VOLATILITY, MACRO_TABLE, FEATURE_TABLE,
        TARGETS, FEATURE_SELECTION, REGISTRY, PREDICTIONS_DIRECTION, PREDICTIONS_VOLATILITY,
        METRICS, RECOMMENDATION, TRADES, EQUITY, SUMMARY, COMPARISON, DRIFT,
    )
}  # fmt: skip


def table_of(qualified_name: str) -> Table:
    """The table of a qualified name such as ``raw.prices_daily`` (KeyError if there is none)."""
    return TABLES[qualified_name]
