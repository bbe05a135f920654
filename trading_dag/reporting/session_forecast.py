"""What was forecast of one session, as a record: direction, implied volatility, structure, and which fold said so."""

from __future__ import annotations

from typing import Any

import pandas as pd

from trading_dag.errors import ConfigurationError, InsufficientDataError
from trading_dag.schemas import IV_REGIMES
from trading_dag.served_models import SERVED_DIRECTION, SERVED_PRICE, SERVED_VOLATILITY
from trading_dag.sessions import all_sessions, last_closed_session
from trading_dag.strategy.explanation import EDGES_WITH_SIZE, called_direction, says_no_more_than_usual
from trading_dag.strategy.rules import served_rows
from trading_dag.validation.scores.baselines import CLIMATOLOGY

_IV_COLUMNS = ("iv_rank", "iv_percentile", "iv_hv_spread", "vix_close")


def wanted_session(day: pd.Timestamp | None, forecast: pd.DatetimeIndex, *, what: str) -> pd.Timestamp:
    """Return the session that is asked for: the day, or the last that has a forecast.

    Parameters
    ----------
    forecast : sessions that have a forecast, ascending.
    what : whose forecasts they are, for messages.

    Raises
    ------
    ConfigurationError : for a day that is no session, or lies in the future, with the nearest that would do.
    InsufficientDataError : for a session without a forecast, with those that have one.
    """
    if not len(forecast):
        raise InsufficientDataError(f"{what} has no out-of-sample forecast yet: trading-dag run makes them")
    if day is None:
        return forecast[-1]
    span = f"forecasts are stored from {forecast[0]:%Y-%m-%d} to {forecast[-1]:%Y-%m-%d}"
    if day > last_closed_session():
        raise ConfigurationError(
            f"{day:%Y-%m-%d} has not closed yet; {what}: {span}. Take --date {forecast[-1]:%Y-%m-%d}"
        )
    calendar = all_sessions()
    if day not in calendar:
        place = int(calendar.searchsorted(day))
        near = [f"{session:%Y-%m-%d}" for session in calendar[max(place - 1, 0) : place + 1]]
        raise ConfigurationError(f"{day:%Y-%m-%d} is no session of the exchange; the nearest: {' and '.join(near)}")
    if day not in forecast:
        nearest = forecast[forecast.get_indexer(pd.DatetimeIndex([day]), method="nearest")[0]]
        raise InsufficientDataError(
            f"{what} has no out-of-sample forecast of {day:%Y-%m-%d}: {span}. The nearest: --date {nearest:%Y-%m-%d}"
        )
    return day


def session_record(
    direction: pd.DataFrame,
    volatility: pd.DataFrame,
    recommendation: pd.DataFrame,
    implied_volatility: pd.DataFrame,
    price: pd.DataFrame | None = None,
    *,
    day: pd.Timestamp | None,
    ticker: str,
    horizon: str,
    source: str | None,
) -> dict[str, Any]:
    """Return what the fold that served a session had forecast of it, in JSON types.

    Parameters
    ----------
    direction, volatility, recommendation, implied_volatility, price : the stored tables of the slice; without
        forecasts of the price theirs are None.
    day : the session; None for the last that has a forecast.

    Raises
    ------
    ConfigurationError, InsufficientDataError : see ``wanted_session``.
    """
    own = direction[direction["model"] == SERVED_DIRECTION]
    session = wanted_session(day, pd.DatetimeIndex(own["session"]), what=f"{ticker} {horizon}")
    call = _row(own, session)
    usual = _row(direction[direction["model"] == CLIMATOLOGY], session)
    regime = _row(volatility[volatility["model"] == SERVED_VOLATILITY], session)
    level = _row(implied_volatility, session)
    said = _row(served_rows(recommendation), session)
    distribution = _row(pd.DataFrame({"session": []}) if price is None else _at_the_horizon(price), session)
    return {
        "ticker": ticker,
        "date": f"{session:%Y-%m-%d}",
        "horizon": horizon,
        "target_session": f"{call['target_session']:%Y-%m-%d}",
        "prediction": {
            "direction": called_direction(call["y_pred"], call["probability_up"]),
            "threshold_direction": call["y_pred"],
            "probability": call["probability_up"],
            "confidence": call["confidence"],
            "threshold_used": call["threshold"],
            "probability_of": call["probability_event"],
            "usual_probability": usual.get("probability_up"),
            "is_no_better_than_usual": says_no_more_than_usual(call["probability_up"], usual.get("probability_up")),
        },
        "iv_context": {
            **{name: level.get(name) for name in _IV_COLUMNS},
            "current_regime": regime.get("current_regime"),
            "forecast_regime": regime.get("y_pred"),
            "confidence": regime.get("confidence"),
            "probabilities": {name: regime.get(f"probability_{name.lower()}") for name in IV_REGIMES},
        },
        "price": {
            "close": distribution.get("close"),
            "median": distribution.get("y_pred"),
            "interval_low": distribution.get("interval_low"),
            "interval_high": distribution.get("interval_high"),
            "width_follows": distribution.get("scale_source"),
        },
        "strategy": {
            "suggestion": said.get("strategy"),
            "rule": said.get("rule"),
            "design_size": said.get("design_size"),
            "edge": said.get("edge"),
            "position_size": said.get("position_size"),
            "shows_no_edge": bool(said) and said["position_size"] > 0 and said["edge"] not in EDGES_WITH_SIZE,
            "probability_of_profit": said.get("probability_of_profit"),
            "forecast_probability_of_profit": said.get("forecast_probability_of_profit"),
            "expected_profit_usd": said.get("expected_profit_usd"),
            "spread_opinion": said.get("spread_opinion"),
            "underlying_position": said.get("underlying_position"),
            "reason": said.get("reasoning"),
        },
        "model": {
            "name": SERVED_DIRECTION,
            "version": call["model_version"],
            "fold": int(call["fold"]),
            "fitted_through": f"{call['fitted_through']:%Y-%m-%d}",
        },
        "outcome": {"direction": call["y_true"], "forward_return": call["forward_return"]},
        "source": source,
    }


def _at_the_horizon(price: pd.DataFrame) -> pd.DataFrame:
    """Return the served forecasts that end where the slice's horizon does, not those further ahead."""
    own = price[price["model"] == SERVED_PRICE]
    nearest: pd.DataFrame = own[own["sessions_ahead"] == own["sessions_ahead"].min()]
    return nearest


def _row(frame: pd.DataFrame, session: pd.Timestamp) -> dict[str, Any]:
    """Return the row of a session, None for what is missing; empty where there is no such row."""
    found = frame[frame["session"] == session]
    if found.empty:
        return {}
    values = found.iloc[0].to_dict()
    return {str(name): None if pd.isna(value) else value for name, value in values.items()}
