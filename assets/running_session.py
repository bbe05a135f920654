"""The session under way beside what is stored: the declared functions run on it, in memory, and nothing is stored.

The functions that make a session's rows make these, on the stored slices with a row of the running session added.
Fetched are its hours and, where the source has one, its chain; models and labels are those that are stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import pandas as pd

from assets import allocation, cross_asset, feature_table, features, predictions, price, regime, signals, spread
from assets import volatility_level as level
from assets.declare.declaration import Declaration, Read, Result, Slice
from assets.declare.materialization import objections, one_refusal
from resources.io_managers.tables import StoredModel
from resources.sources.running_session import QUOTED_AT
from resources.storage.accepted_bars import AcceptedBars
from resources.storage.models.store import ModelStore
from resources.storage.parquet_store import SliceKey
from resources.storage.peers import benchmark_records
from trading_dag.errors import (
    ModelNotFoundError,
    SourceMismatchError,
    SourceOffError,
    StaleSourceError,
)
from trading_dag.features.running_session import (
    KnownFeatures,
    bar_so_far,
    count_known,
    features_of_volume,
    filled_from_last_close,
    last_bar_ended,
    standing,
)
from trading_dag.quality import QualityContext, empty_frame
from trading_dag.quality.acceptance import still_accepted
from trading_dag.schemas import (
    CHAIN_ANALYTICS,
    FEATURE_TABLE,
    IMPLIED_VOLATILITY,
    INTRADAY,
    MACRO_TABLE,
    OPTION_CHAIN,
    OPTION_CHAIN_TABLE,
    PREDICTIONS_PRICE,
    PRICES_DAILY,
    PRICES_HOURLY,
    SENTIMENT,
    TECHNICAL,
    VOLATILITY_INDEX,
    Table,
)

# Not known before the close, or published once a day: the running session keeps the last row.
STANDING: Final = (VOLATILITY_INDEX, MACRO_TABLE, IMPLIED_VOLATILITY, SENTIMENT, OPTION_CHAIN_TABLE, INTRADAY)
_COMPUTED: Final[tuple[Declaration, ...]] = (
    regime.regime, regime.regime_features, features.earnings, features.economic_calendar, cross_asset.cross_asset,
)  # fmt: skip
_FORECASTS: Final[tuple[Declaration, ...]] = (
    predictions.direction, predictions.volatility, level.volatility_level, allocation.allocation, price.price,
    spread.spread,
)  # fmt: skip


@dataclass
class RunningSession:
    """Holds a ticker's tables with the session under way as their last row.

    Parameters
    ----------
    at : the ticker's slice, with its store, source and settings.
    session : the session under way.
    now : the present moment, UTC, by which bars have ended.
    """

    at: Slice
    session: pd.Timestamp
    now: pd.Timestamp
    _frames: dict[tuple[str, str | None], pd.DataFrame] = field(default_factory=dict)

    @property
    def ticker(self) -> str:
        """Return the ticker."""
        return self.at.ticker

    @cached_property
    def hours(self) -> pd.DataFrame:
        """Return the session's hours so far.

        Raises
        ------
        SourceOffError : where the source has none.
        SourceMismatchError : where the stored bars come from another source.
        """
        hours = hours_of(self.at, self.ticker, now=self.now)
        stored = self.at.store.read(PRICES_DAILY, SliceKey(self.ticker)).attrs.get("source")
        if hours.attrs.get("source") != stored:
            raise SourceMismatchError(
                table=PRICES_HOURLY.qualified_name,
                key=f"ticker={self.ticker}",
                rule=f"the hours are of {hours.attrs.get('source')}, the stored bars of {stored}",
            )
        return hours

    @property
    def as_of(self) -> pd.Timestamp:
        """Return when the last bar ended, UTC."""
        return last_bar_ended(self.hours, self.session)

    @cached_property
    def chain(self) -> pd.DataFrame:
        """Return the quotes of the session's chain; no rows, with the reason, where the source has none.

        Raises
        ------
        BadSliceError : for a chain that breaks a rule of its table.
        """
        chain: pd.DataFrame = self.at.source.chain_so_far(self.ticker, now=self.now)
        if len(chain):
            self._require_rules(OPTION_CHAIN, chain, QualityContext(now_session=self.session))
        return chain

    @property
    def chain_as_of(self) -> pd.Timestamp | None:
        """Return when the chain was quoted, UTC; None without one."""
        return pd.Timestamp(self.chain.attrs[QUOTED_AT]) if len(self.chain) else None

    @cached_property
    def features(self) -> tuple[pd.DataFrame, KnownFeatures]:
        """Return ``features.feature_table`` with the running session, and how its features are known."""
        self._put(PRICES_DAILY, None, self._prices())
        for table in STANDING:
            self._put(table, None, standing(self._stored(table, self.at.key.of_table(table)), self.session))
        technical = self._run(features.technical, self.at)
        self._put(TECHNICAL, None, standing(technical, self.session, sorted(features_of_volume())))
        for declaration in _COMPUTED:
            self._run(declaration, self.at)
        computed = self._run(feature_table.feature_table, self.at)
        filled = filled_from_last_close(computed)
        self._put(FEATURE_TABLE, None, filled)
        return filled, count_known(filled, computed)

    def market(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Return prices with the session so far, the volatility index and the macro features at their last close."""
        stood = [standing(self._stored(table, self.at.key.of_table(table)), self.session)
                 for table in (VOLATILITY_INDEX, MACRO_TABLE)]  # fmt: skip
        return self._prices(), stood[0], stood[1]

    def forecast(self, horizon: str) -> dict[str, pd.DataFrame]:
        """Return what recommendation and opportunities read at a horizon, by the names of their inputs.

        Prices of the running session are no outcome: no forecast counts as come true by them.

        Raises
        ------
        ModelNotFoundError : where a model was never fitted.
        """
        _ = self.features
        at = replace(self.at, key=SliceKey(self.ticker, horizon), running=self.session)
        self._put(CHAIN_ANALYTICS, None, self._smiles())
        for declaration in _FORECASTS:
            made = self._run(declaration, at)
            if declaration.tables == (PREDICTIONS_PRICE,):
                self._put(PREDICTIONS_PRICE, horizon, _without_outcomes(made, self.session))
        wanted = {**signals.recommendation.reads}
        del wanted["opportunities"]
        return {name: self._get(read, at) for name, read in wanted.items()}

    def _prices(self) -> pd.DataFrame:
        prices = self._stored(PRICES_DAILY, SliceKey(self.ticker))
        row = bar_so_far(self.hours, prices, session=self.session)
        extended = pd.concat([prices, row], ignore_index=True)
        accepted = still_accepted(AcceptedBars(self.at.store.data).of(self.ticker), extended)
        self._require_rules(PRICES_DAILY, extended, QualityContext(now_session=self.session, accepted=accepted))
        extended.attrs = dict(prices.attrs)
        return extended

    def _require_rules(self, table: Table, frame: pd.DataFrame, context: QualityContext) -> None:
        from resources.expectations import verify

        where = f"{self.ticker}, session under way {self.session:%Y-%m-%d}"
        refused = objections(table.qualified_name, where, verify(table, frame, context=context))
        if refused:
            raise one_refusal(where, refused)

    def _smiles(self) -> pd.DataFrame:
        """Return ``options.chain_analytics`` with the smiles of the session's chain, where it has one."""
        from trading_dag.options.chains.history import HistoryTables, analyse_history
        from trading_dag.options.chains.rates import rates_at_sessions
        from trading_dag.schemas import DEALER_EXPOSURE

        stored = self.at.store.read_or_empty(CHAIN_ANALYTICS, SliceKey(self.ticker))
        if self.chain.empty:
            return stored
        sessions = pd.DatetimeIndex([self.session])
        rates = self._frames[MACRO_TABLE.qualified_name, None]
        rate = rates_at_sessions(rates, sessions, fallback=self.at.settings.surface.risk_free_rate)
        nothing = HistoryTables(empty_frame(CHAIN_ANALYTICS), empty_frame(DEALER_EXPOSURE))
        made = analyse_history([(self.session, self.chain)], rates=pd.Series(rate, index=sessions), known=nothing)
        smiles = pd.concat([part for part in (stored, made.tables.smiles) if len(part)] or [stored], ignore_index=True)
        smiles.attrs = dict(stored.attrs)
        return smiles

    def _run(self, declaration: Declaration, at: Slice) -> pd.DataFrame:
        """Run a declared function on stored inputs and those made here, and keep what it makes."""
        inputs = {name: self._get(read, at) for name, read in declaration.reads.items()}
        for name, read in declaration.reads.items():
            other = read.same_source_as
            if other and read.table and inputs[name].attrs.get("source") != inputs[other].attrs.get("source"):
                inputs[name] = empty_frame(read.table)
        produced = declaration.function(at, **inputs)
        table = declaration.tables[0]
        frame: pd.DataFrame = produced.frames[table.name] if isinstance(produced, Result) else produced
        frame.attrs.setdefault("source", self._frames[PRICES_DAILY.qualified_name, None].attrs.get("source"))
        self._put(table, at.key.horizon, frame)
        return frame

    def _get(self, read: Read, at: Slice) -> Any:
        if read.table is None:
            return self._model(str(read.model), at.key)
        if read.of_benchmarks:
            return self._benchmarks(read)
        horizon = at.key.horizon if read.table.slice == "ticker_horizon" else None
        frame = self._frames.get((read.table.qualified_name, horizon))
        if frame is None:
            frame = self._stored(read.table, at.key.of_table(read.table))
        if not read.columns:
            return frame
        chosen = frame[list(read.columns)]
        chosen.attrs = dict(frame.attrs)
        return chosen

    def _model(self, name: str, key: SliceKey) -> StoredModel:
        models = ModelStore(self.at.settings.home / "models")
        version = models.latest_version(name, ticker=self.ticker, horizon=key.horizon or "")
        if version is None:
            raise ModelNotFoundError(f"models.{name} [{key}] is not fitted yet: fit it first with trading-dag train")
        loaded = models.load(name, ticker=self.ticker, horizon=key.horizon or "", version=version)
        return StoredModel(version, loaded)

    def _benchmarks(self, read: Read) -> pd.DataFrame:
        """Return the benchmarks' bars, each with the session so far where the source has its hours; one whose stored
        bars end earlier stays as it is."""
        named, source = self.at.settings.benchmark_tickers, self.at.settings.source
        parts = []
        for key in benchmark_records(self.at.store, PRICES_DAILY, named, source=source):
            own = self._frames[PRICES_DAILY.qualified_name, None] if key.ticker == self.ticker else None
            parts.append((self._of_benchmark(key) if own is None else own)[list(read.columns)])
        bars = pd.concat(parts, ignore_index=True) if parts else empty_frame(PRICES_DAILY)[list(read.columns)]
        bars.attrs = {"source": source}
        return bars

    def _of_benchmark(self, key: SliceKey) -> pd.DataFrame:
        prices = self._stored(PRICES_DAILY, key)
        try:
            hours = hours_of(self.at, str(key.ticker), now=self.now)
            row = bar_so_far(hours, prices, session=self.session)
        except (SourceOffError, StaleSourceError):
            # Its features then have no value so far and keep those of the last close, which are counted.
            return prices
        return pd.concat([prices, row], ignore_index=True)

    def _stored(self, table: Table, key: SliceKey) -> pd.DataFrame:
        return self.at.store.read(table, key)

    def _put(self, table: Table, horizon: str | None, frame: pd.DataFrame) -> None:
        self._frames[table.qualified_name, horizon if table.slice == "ticker_horizon" else None] = frame


def hours_of(at: Slice, ticker: str, *, now: pd.Timestamp) -> pd.DataFrame:
    """Return the hours of a ticker's session under way.

    Raises
    ------
    SourceOffError : where the source has none, with the reason.
    """
    hours: pd.DataFrame = at.source.hours_so_far(ticker, now=now)
    if hours.empty:
        raise SourceOffError(
            source=at.source.name,
            request=f"hours so far of {ticker}",
            problem=f"there is nothing of the session under way: {hours.attrs.get('source_off')}",
            remedy="Signals come after the close, by trading-dag refresh.",
        )
    return hours


def _without_outcomes(forecasts: pd.DataFrame, session: pd.Timestamp) -> pd.DataFrame:
    """Return forecasts of the price without what came of those that end with the running session: it has not come."""
    has_not_come = forecasts["target_session"] >= session
    kept = forecasts.assign(**{name: forecasts[name].mask(has_not_come) for name in ("y_true", "forward_return")})
    kept.attrs = dict(forecasts.attrs)
    return kept
