"""``signals.opportunities`` of one ticker and horizon: which sessions can be valued, on which quotes, and the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.day_count import DAYS_PER_YEAR
from trading_dag.frames import require_columns, require_sessions, table_frame, ticker_of, values_at_sessions
from trading_dag.options.chains.quoted_closes import closes_as_quoted
from trading_dag.options.pricing.forecast_distribution import ForecastDistribution
from trading_dag.options.structures.strike_selection import SESSION_HOURS, choose_expirations, years_to_expiration
from trading_dag.options.structures.structure import STRUCTURES, Structure
from trading_dag.options.surfaces.modelled import ModelledSurface, VolatilitySurface, continuous_rate
from trading_dag.options.surfaces.of_chain import fitted_surface
from trading_dag.schemas import OPPORTUNITIES, PREDICTIONS_PRICE, PREDICTIONS_VOLATILITY_LEVEL, QUANTILE_COLUMNS
from trading_dag.served_models import SERVED_PRICE, SERVED_VOLATILITY_LEVEL
from trading_dag.sessions import all_sessions, shift_sessions
from trading_dag.settings import Settings
from trading_dag.slices import Horizon
from trading_dag.strategy.modelled_prices import price_objection
from trading_dag.strategy.opportunities.candidates import costs_of, place
from trading_dag.strategy.opportunities.choice import MODELLED_WITH_OBJECTION
from trading_dag.strategy.opportunities.grid import HISTORY_GRID, WHOLE_GRID, GridSize, candidates_of, days_of
from trading_dag.strategy.opportunities.outlook import (
    ForecastErrors,
    after_the_night,
    errors_known_by,
    night_share,
    normal_scores,
    score_nodes,
    values_at_scores,
)
from trading_dag.strategy.opportunities.rows import rows_of
from trading_dag.strategy.opportunities.valuation import Outlook, value
from trading_dag.strategy.sizing import settings_for_contract

HORIZON_BEFORE_ENTRY: Final = "horizon_before_entry"
NO_PRICE_FORECAST: Final = "no_price_forecast"
NO_LEVEL_FORECAST: Final = "no_level_forecast"
TOO_FEW_OUTCOMES: Final = "too_few_known_outcomes"
NOT_LISTED_YET: Final = "options_not_listed_yet"
NO_CLOSE: Final = "no_close"
NO_SURFACE: Final = "no_volatility_surface"
NO_NEXT_SESSION: Final = "no_next_session"
_LARGEST_SCORE: Final = 8.0


@dataclass(frozen=True)
class Opportunities:
    """Holds ``signals.opportunities``, how many sessions have no row by reason, and what speaks against the modelled
    prices."""

    table: pd.DataFrame
    left_out: Mapping[str, int] = field(default_factory=dict)
    objection: str | None = None


@dataclass(frozen=True)
class _Known:
    """What is known at the sessions that can be valued, one entry each."""

    sessions: pd.DatetimeIndex
    targets: pd.DatetimeIndex
    spot: FloatArray
    price_quantiles: FloatArray
    level: FloatArray
    level_quantiles: FloatArray
    night: FloatArray
    errors: ForecastErrors


def build_opportunities(
    price: pd.DataFrame,
    level: pd.DataFrame,
    prices: pd.DataFrame,
    volatility_index: pd.DataFrame,
    *,
    rates: pd.DataFrame,
    horizon: Horizon,
    settings: Settings,
    menu: Mapping[str, Structure] = STRUCTURES,
    smiles: pd.DataFrame | None = None,
    whole_grid_sessions: int = 1,
    with_earlier: bool = True,
    before: pd.DataFrame | None = None,
) -> Opportunities:
    """Build ``signals.opportunities`` of one ticker and horizon.

    Parameters
    ----------
    price, level : predictions.price and predictions.volatility_level; the served models' rows of the horizon are
        read, which were out of sample when they were made.
    prices, volatility_index : raw.prices_daily and raw.volatility_index of the ticker.
    rates : session, treasury_3m in percent or NaN.
    menu : structures by name.
    smiles : options.chain_analytics of the ticker, by which the sessions that it has are priced; None for none.
    whole_grid_sessions : for how many of the last sessions every candidate of the whole grid is a row. Of those before,
        the best candidate of each structure is.
    with_earlier : whether sessions before those have rows at all.
    before : what was built of the same inputs when they ended at the last session of these rows. The rows before that
        session are taken over; it had the whole grid then, so it is valued again.

    Returns
    -------
    Opportunities : rows ascend by the table's key. ``left_out`` counts the sessions without a row by reason; where
        the horizon ends at the next open, which is the entry, that is all of them.

    Raises
    ------
    SchemaError : for missing columns, more than one ticker, or sessions that repeat or do not ascend.
    """
    made = _prepared(
        price, level, prices, volatility_index, rates=rates, smiles=smiles, horizon=horizon, settings=settings
    )
    if isinstance(made, dict):
        return Opportunities(table_frame(OPPORTUNITIES, {}, rows=0), made)
    known, left_out = made.known, made.left_out
    newest = np.arange(len(known.sessions)) >= len(known.sessions) - whole_grid_sessions
    is_new = np.ones(len(known.sessions), dtype=np.bool_)
    parts = []
    if before is not None and len(before):
        since = before["session"].max()
        is_new = np.asarray(known.sessions >= since)
        parts.append(before[(before["session"] < since).to_numpy(dtype=bool)])
    head = {"ticker": made.ticker, "horizon": horizon.key}
    for surface, is_priced, source in made.surfaces:
        for size, is_wanted in ((HISTORY_GRID, ~newest & with_earlier), (WHOLE_GRID, newest)):
            at = np.flatnonzero(is_priced & is_wanted & is_new)
            if len(at):
                parts.append(
                    _valued(head, known, surface.rows(at), at, rate=made.rate[at], size=size, menu=menu, source=source,
                            settings=made.settings, keeps_all=size is WHOLE_GRID)
                )  # fmt: skip
    table = pd.concat(parts, ignore_index=True) if parts else table_frame(OPPORTUNITIES, {}, rows=0)
    if with_earlier:
        left_out["no_quote"] += len(known.sessions) - left_out[NO_SURFACE] - table["session"].nunique()
    table = table.sort_values(list(OPPORTUNITIES.key), kind="stable", ignore_index=True)
    return Opportunities(table, {reason: count for reason, count in left_out.items() if count}, made.objection)


@dataclass(frozen=True)
class SessionOutlook:
    """Holds the outlook of one session, with the settings of its ticker's contract."""

    outlook: Outlook
    settings: Settings


def outlook_of_session(
    inputs: Mapping[str, pd.DataFrame], session: pd.Timestamp, *, horizon: Horizon, settings: Settings
) -> SessionOutlook | None:
    """Return what is known of the exit at one session; None where it cannot be valued.

    Parameters
    ----------
    inputs : price, level, prices, volatility_index, rates and smiles, as in ``build_opportunities``.
    """
    first = [inputs[name] for name in ("price", "level", "prices", "volatility_index")]
    made = _prepared(*first, rates=inputs["rates"], smiles=inputs["smiles"], horizon=horizon, settings=settings)
    if isinstance(made, dict):
        return None
    at = np.flatnonzero(made.known.sessions == session)
    for surface, is_priced, _ in made.surfaces:
        if len(at) and is_priced[at].all():
            entries = shift_sessions(made.known.sessions[at], 1)
            outlook = _outlook(made.known, surface.rows(at), at, entries=entries, rate=made.rate[at])
            return SessionOutlook(outlook, made.settings)
    return None


@dataclass(frozen=True)
class _Prepared:
    """What can be valued, and on what: surfaces with the sessions that each prices and the source that rows name."""

    ticker: str
    known: _Known
    surfaces: tuple[tuple[VolatilitySurface, BoolArray, str], ...]
    rate: FloatArray
    settings: Settings
    left_out: Counter[str]
    objection: str | None


def _prepared(
    price: pd.DataFrame,
    level: pd.DataFrame,
    prices: pd.DataFrame,
    volatility_index: pd.DataFrame,
    *,
    rates: pd.DataFrame,
    smiles: pd.DataFrame | None,
    horizon: Horizon,
    settings: Settings,
) -> _Prepared | dict[str, int]:
    """Return what is needed of every session that can be valued; where there is none, the sessions left out."""
    forecasts = _served(price, SERVED_PRICE, horizon, table=PREDICTIONS_PRICE.qualified_name)
    levels = _served(level, SERVED_VOLATILITY_LEVEL, None, table=PREDICTIONS_VOLATILITY_LEVEL.qualified_name)
    every = pd.DatetimeIndex(np.union1d(forecasts["session"].to_numpy(), levels["session"].to_numpy())).as_unit("us")
    if not len(every):
        return {}
    if not horizon.outlasts_entry:
        return {HORIZON_BEFORE_ENTRY: len(every)}
    ticker = ticker_of(forecasts) or ticker_of(levels)
    settings = settings_for_contract(ticker, settings)
    left_out: Counter[str] = Counter()
    known = _known(
        every, forecasts, levels, prices, horizon=horizon, ticker=ticker, settings=settings, left_out=left_out
    )
    index = values_at_sessions(volatility_index, known.sessions, column="close", table="raw.volatility_index")
    bills = values_at_sessions(rates, known.sessions, column="treasury_3m", table="features.macro")
    rate = continuous_rate(bills, fallback=settings.surface.risk_free_rate)
    modelled = ModelledSurface(index, rate, settings.surface.dividend_yield, settings.surface)
    of_chain = _of_chain(known.sessions, prices, smiles, settings)
    has_chain = np.zeros(len(known.sessions), dtype=np.bool_) if of_chain is None else of_chain.is_known
    left_out[NO_SURFACE] += int((~has_chain & ~modelled.is_known).sum())
    objection = price_objection(ticker, volatility_index, settings)
    source = "modelled" if objection is None else MODELLED_WITH_OBJECTION
    surfaces: list[tuple[VolatilitySurface, BoolArray, str]] = [(modelled, ~has_chain & modelled.is_known, source)]
    if of_chain is not None:
        surfaces.append((of_chain, has_chain, "smile"))
    return _Prepared(ticker, known, tuple(surfaces), rate, settings, left_out, objection)


def _served(predictions: pd.DataFrame, model: str, horizon: Horizon | None, *, table: str) -> pd.DataFrame:
    """Return the rows of a served model, of the horizon's own sessions ahead where a table has several."""
    wanted = ("session", "target_session", "model", "y_true", *QUANTILE_COLUMNS)
    require_columns(predictions, table, columns=wanted if horizon is None else (*wanted, "sessions_ahead", "close"))
    rows = predictions[(predictions["model"] == model).to_numpy(dtype=bool)]
    if horizon is not None:
        rows = rows[(rows["sessions_ahead"] == horizon.target_offset).to_numpy(dtype=bool)]
    rows = rows[rows[list(QUANTILE_COLUMNS)].notna().all(axis=1)]
    return rows.sort_values("session", kind="stable").reset_index(drop=True)


def _known(
    every: pd.DatetimeIndex,
    forecasts: pd.DataFrame,
    levels: pd.DataFrame,
    prices: pd.DataFrame,
    *,
    horizon: Horizon,
    ticker: str,
    settings: Settings,
    left_out: Counter[str],
) -> _Known:
    """Return what is known at the sessions that can be valued, and count the others by the first reason that holds."""
    price_at = forecasts.set_index(require_sessions(forecasts, (), table=PREDICTIONS_PRICE.qualified_name))
    level_at = levels.set_index(require_sessions(levels, (), table=PREDICTIONS_VOLATILITY_LEVEL.qualified_name))
    price_at, level_at = price_at.reindex(every), level_at.reindex(every)
    names = list(QUANTILE_COLUMNS)
    price_quantiles, level_quantiles = price_at[names].to_numpy(np.float64), level_at[names].to_numpy(np.float64)
    targets = pd.DatetimeIndex(price_at["target_session"].fillna(level_at["target_session"])).as_unit("us")
    errors = errors_known_by(
        every, targets,
        price_scores=normal_scores(price_quantiles, price_at["y_true"].to_numpy(np.float64)),
        level_scores=normal_scores(level_quantiles, level_at["y_true"].to_numpy(np.float64)),
        overlap=horizon.target_offset,
    )  # fmt: skip
    spot = values_at_sessions(prices, every, column="close", table="raw.prices_daily")
    since = settings.options_listed_since().get(ticker)
    listed = np.ones(len(every), dtype=np.bool_) if since is None else np.asarray(every >= pd.Timestamp(since))
    reasons: tuple[tuple[str, BoolArray], ...] = (
        (NO_PRICE_FORECAST, np.isfinite(price_quantiles).all(axis=1)),
        (NO_LEVEL_FORECAST, np.isfinite(level_quantiles).all(axis=1)),
        (NOT_LISTED_YET, listed),
        (NO_CLOSE, np.isfinite(spot)),
        (NO_NEXT_SESSION, np.asarray(every < all_sessions()[-1])),
        (TOO_FEW_OUTCOMES, np.isfinite(errors.centre)),
    )
    remains = np.ones(len(every), dtype=np.bool_)
    for reason, holds in reasons:
        left_out[reason] += int((remains & ~holds).sum())
        remains &= holds
    at = np.flatnonzero(remains)
    opens, closes, positions = _consecutive(prices, every[at])
    night = night_share(opens, closes, positions=positions, sessions_ahead=horizon.target_offset)
    return _Known(
        every[at], targets[at], spot[at], price_quantiles[at], level_at["index_level"].to_numpy(np.float64)[at],
        level_quantiles[at], night, errors.rows(at),
    )  # fmt: skip


def _consecutive(prices: pd.DataFrame, sessions: pd.DatetimeIndex) -> tuple[FloatArray, FloatArray, np.ndarray]:
    """Return opens and closes of consecutive sessions, and where the sessions asked for stand among them."""
    calendar = all_sessions()
    present = require_sessions(prices, ("open", "close"), table="raw.prices_daily")
    calendar = calendar[(calendar >= present[0]) & (calendar <= present[-1])] if len(present) else present
    opens, closes = (
        values_at_sessions(prices, calendar, column=name, table="raw.prices_daily") for name in ("open", "close")
    )
    return opens, closes, calendar.get_indexer(sessions)


def _of_chain(
    sessions: pd.DatetimeIndex, prices: pd.DataFrame, smiles: pd.DataFrame | None, settings: Settings
) -> VolatilitySurface | None:
    if smiles is None or smiles.empty or not len(sessions):
        return None
    nearest = choose_expirations(sessions, days_to_expiration=min(days_of(WHOLE_GRID, settings.backtest)))
    years = years_to_expiration(sessions, nearest, quoted_at="close")
    as_quoted = prices.assign(close=closes_as_quoted(prices))
    quoted_close = values_at_sessions(as_quoted, sessions, column="close", table="raw.prices_daily")
    return fitted_surface(smiles, sessions, quoted_close=quoted_close, years=years)


def _valued(
    head: Mapping[str, str],
    known: _Known,
    surface: VolatilitySurface,
    at: np.ndarray,
    *,
    rate: FloatArray,
    size: GridSize,
    menu: Mapping[str, Structure],
    source: str,
    settings: Settings,
    keeps_all: bool,
) -> pd.DataFrame:
    """Return the rows of some sessions, all priced on one kind of surface."""
    sessions, targets = known.sessions[at], known.targets[at]
    entries = shift_sessions(sessions, 1)
    outlook = _outlook(known, surface, at, entries=entries, rate=rate)
    book = settings.backtest
    candidates, days = candidates_of(menu, size, book), days_of(size, book)
    placed = place(
        candidates, days, surface=surface, spot=outlook.spot, entry_sessions=entries, exit_sessions=targets,
        settings=book,
    )  # fmt: skip
    costs = costs_of(placed, placed.book.entry_quotes(surface, outlook.spot, book), spot=outlook.spot)
    names = {name: number for number, name in enumerate(menu)}
    group = np.array([names[candidate.structure.name] for candidate in candidates])
    means, spread, kept = value(placed, costs, outlook, settings=book, keep=None if keeps_all else group)
    tested = {(c.structure, days_of(HISTORY_GRID, book)[c.expiration]) for c in candidates_of(menu, HISTORY_GRID, book)}
    is_backtested = np.array([(c.structure, days[c.expiration]) in tested for c in candidates])
    return rows_of(
        head, placed, costs, means, spread, kept, outlook=outlook, sessions=sessions, targets=targets, source=source,
        is_backtested=is_backtested, settings=book,
    )  # fmt: skip


def _outlook(
    known: _Known, surface: VolatilitySurface, at: np.ndarray, *, entries: pd.DatetimeIndex, rate: FloatArray
) -> Outlook:
    from scipy.special import ndtri

    scores, _ = score_nodes()
    spot, errors, night = known.spot[at], known.errors.rows(at), known.night[at]
    ends = after_the_night(known.price_quantiles[at], spot, night=night)
    prices = values_at_scores(ends, scores)
    correlation = np.nan_to_num(errors.correlation)[:, np.newaxis]
    across = np.sqrt(1.0 - correlation**2)
    level_scores = np.stack([correlation * scores + across, correlation * scores - across], axis=1)
    level = known.level[at]
    level_ends = after_the_night(known.level_quantiles[at], level, night=night)
    flat = values_at_scores(level_ends, level_scores.reshape(len(at), -1)).reshape(level_scores.shape)
    days = np.asarray((known.targets[at] - entries) / pd.Timedelta(days=1), dtype=np.float64)
    carry_years = (days + SESSION_HOURS / 24.0) / DAYS_PER_YEAR
    above = surface.columns().probability_above(spot[:, np.newaxis], prices, carry_years[:, np.newaxis])
    market = np.clip(ndtri(1.0 - above), -_LARGEST_SCORE, _LARGEST_SCORE)
    return Outlook(
        spot=spot,
        rate=rate,
        carry_years=carry_years,
        surface=surface,
        distribution=ForecastDistribution(ends),
        prices=prices,
        level_ratios=flat / level[:, np.newaxis, np.newaxis],
        # Far out the surface is held flat, and its digital prices need not fall there.
        market_scores=np.maximum.accumulate(market, axis=1),
        errors=errors,
    )
