"""What would be said if the session under way closed now: replaced each time, never a session's row."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pandas as pd

from assets.declare.declaration import Declaration, Result, Slice, table_asset
from assets.running_session import RunningSession
from assets.signals import recommendation
from resources.left_out import LEFT_OUT
from resources.storage.parquet_store import SliceKey
from trading_dag.errors import ModelNotFoundError, SourceOffError
from trading_dag.schemas import (
    FEATURE_TABLE,
    OPPORTUNITIES,
    PRICES_DAILY,
    PROVISIONAL,
    PROVISIONAL_OPPORTUNITIES,
    RECOMMENDATION,
)
from trading_dag.sessions import running_session


def present() -> pd.Timestamp:
    """Return the present moment, UTC."""
    return pd.Timestamp.now("UTC")


@table_asset(
    PROVISIONAL,
    PROVISIONAL_OPPORTUNITIES,
    reads={"prices": PRICES_DAILY, "features": FEATURE_TABLE},
    code_version="1",
    during_session=True,
    uses=("horizons",),
)
def provisional(at: Slice, prices: pd.DataFrame, features: pd.DataFrame) -> Result:
    """The session's hours so far are read as if it closed now, and the stored models forecast from them. What is not
    known during a session keeps the value of the last close, and is counted. Nothing learns from these rows: the log
    of what was said, scores and labels do not see them."""
    from trading_dag.strategy.provisional import provisional_opportunities, provisional_rows

    now = present()
    session = running_session(now)
    if session is None:
        raise SourceOffError(
            source=at.source.name,
            request=f"session under way of {at.ticker}",
            problem="the exchange is closed",
            remedy="Signals come after the close, by trading-dag refresh.",
        )
    running = RunningSession(at, session, now)
    _, known = running.features
    heads, rows, opportunities = {"session": session, "as_of": running.as_of, "computed_at": now}, [], []
    horizons = [name for name in at.settings.horizons if at.store.exists(RECOMMENDATION, SliceKey(at.ticker, name))]
    if not horizons:
        raise ModelNotFoundError(f"no signal of {at.ticker} is stored yet: run trading-dag run first")
    for horizon in horizons:
        inputs = running.forecast(horizon)
        slice_at = replace(at, key=SliceKey(at.ticker, horizon), running=session)
        offered = _opportunities(slice_at, inputs)
        stored = at.store.read_or_empty(OPPORTUNITIES, slice_at.key)
        every = pd.concat([part for part in (stored, offered) if len(part)] or [stored], ignore_index=True)
        said = recommendation.function(slice_at, **inputs, opportunities=every).frames["recommendation"]
        rows.append(
            provisional_rows(
                said, inputs["direction"], inputs["price"], head=heads, hours=running.hours, known=known,
                chain_as_of=running.chain_as_of,
            )
        )  # fmt: skip
        opportunities.append(provisional_opportunities(offered, head=heads))
    frames = {
        PROVISIONAL.name: pd.concat(rows, ignore_index=True),
        PROVISIONAL_OPPORTUNITIES.name: pd.concat(opportunities, ignore_index=True),
    }
    without = [name for name in at.settings.horizons if name not in horizons]
    left_out = {LEFT_OUT: f"{at.ticker}: no signal is stored at {', '.join(without)}"} if without else {}
    return Result(frames, _told(running, known, frames[PROVISIONAL.name]) | left_out)


def _opportunities(at: Slice, inputs: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return every structure valued at the running session alone."""
    from trading_dag.options.structures.user_structures import structures_by_name
    from trading_dag.strategy.opportunities.build import build_opportunities

    found = build_opportunities(
        inputs["price"],
        inputs["level"],
        inputs["prices"],
        inputs["volatility_index"],
        rates=inputs["rates"],
        horizon=at.horizon,
        settings=at.settings,
        menu=structures_by_name(at.settings.structures),
        smiles=inputs["smiles"],
        with_earlier=False,
    )
    return found.table[found.table["session"] == at.running].reset_index(drop=True)


def _told(running: RunningSession, known: object, rows: pd.DataFrame) -> dict[str, object]:
    """Return what the UI shows: that it is provisional, of when, and how many features stand at the last close."""
    delay = rows["delay_minutes"].iloc[0] if len(rows) else float("nan")
    counts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in vars(known).items())
    return {
        "provisional": f"the session of {running.session:%Y-%m-%d} is under way",
        "as of": f"{running.as_of:%Y-%m-%d %H:%M} UTC",
        "delay in minutes": float(delay),
        "features": counts,
        "chain": "of the session" if running.chain_as_of is not None else str(running.chain.attrs.get("source_off")),
    }


DECLARATIONS: Final[tuple[Declaration, ...]] = (provisional,)
