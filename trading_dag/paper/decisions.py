"""Which signals become orders: the newest served row of each slice that has a size above zero; and why others do not.

Whether an order may pass is asked later (``limits``, the kill switch). Each slice's horizon and rule is a plan of its
own in one account.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from trading_dag.paper.account import Account
from trading_dag.paper.events import Said, session
from trading_dag.paper.one_position import Held, TickerView
from trading_dag.paper.orders import Order, OrderLeg, PlanKey
from trading_dag.schemas import HORIZON_KEYS
from trading_dag.schemas.vocabulary import MATRIX
from trading_dag.sessions import session_open, shift_sessions
from trading_dag.setting_groups import PaperSettings
from trading_dag.slices import horizon_of
from trading_dag.strategy.explanation import EDGES_WITH_SIZE, NO_EDGE_SHOWN
from trading_dag.strategy.prediction_log import has_a_future
from trading_dag.strategy.rules import served_rows
from trading_dag.strategy.selector import NO_TRADE

SIGNAL_COLUMNS: Final = (
    "ticker", "horizon", "session", "rule", "is_served", "target_session", "strategy", "design_size", "edge",
    "position_size", "direction", "legs", "contracts", "max_loss_usd", "model_version", "volatility_model_version",
)  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """Says of one slice's newest signal whether it becomes an order.

    Attributes
    ----------
    key : its plan's trade.
    reason : why there is no order; empty where there is one.
    order, said : the order, and what the signal said of itself.
    """

    key: PlanKey
    reason: str
    order: Order | None = None
    said: Said | None = None


class Signals:
    """Shows the served signals of every slice.

    Parameters
    ----------
    recommendations : signals.recommendation of all slices, ``SIGNAL_COLUMNS``.
    source : where they come from.
    """

    def __init__(self, recommendations: pd.DataFrame, *, source: str) -> None:
        served = served_rows(recommendations).sort_values("session", kind="stable")
        self.source = source
        self._of_slice = {
            (str(ticker), str(horizon)): rows for (ticker, horizon), rows in served.groupby(["ticker", "horizon"])
        }

    @property
    def slices(self) -> list[tuple[str, str]]:
        """Return the slices in the order in which they are decided: by ticker, then by length of the horizon."""
        return sorted(self._of_slice, key=lambda key: (key[0], HORIZON_KEYS.index(key[1])))

    def newest(self, ticker: str, horizon: str) -> dict[str, Any]:
        """Return the newest row of a slice."""
        return {str(name): value for name, value in self._of_slice[ticker, horizon].iloc[-1].items()}

    def flip_of(self, held: Held, *, direction: str, rule: str) -> pd.Timestamp | None:
        """Return the first later session whose signal of the same rule points the other way; None for none."""
        rows = self._of_slice.get((held.key.ticker, held.key.horizon))
        other = {"UP": "DOWN", "DOWN": "UP"}.get(direction)
        if rows is None or other is None:
            return None
        is_opposite = (rows["session"] > held.key.session) & (rows["direction"] == other) & (rows["rule"] == rule)
        later = rows.loc[is_opposite.to_numpy(dtype=bool), "session"]
        return None if later.empty else pd.Timestamp(later.iloc[0])


def decide(
    signals: Signals,
    *,
    views: Mapping[str, TickerView],
    account: Account,
    settings: PaperSettings,
    sizes_at_fill: bool,
    now: pd.Timestamp,
) -> list[Verdict]:
    """Return one verdict a slice, in the order in which orders are sent.

    Parameters
    ----------
    sizes_at_fill : whether the broker chooses strikes and sizes at the fill, as the backtest does. Then an order's risk
        is its whole budget.
    now : the present, UTC.
    """
    return [
        _verdict(signals, ticker, horizon, views, account, settings, sizes_at_fill, now)
        for ticker, horizon in signals.slices
    ]


def why_no_order(verdicts: Sequence[Verdict]) -> str:
    """Return one sentence on why nothing is ordered; empty where something is."""
    if any(verdict.order is not None for verdict in verdicts):
        return ""
    if not verdicts:
        return "no order: no signals are stored; `trading-dag run` makes them"
    counts = Counter(verdict.reason.partition(":")[0] for verdict in verdicts)
    said = ", ".join(f"{count} × {reason}" for reason, count in counts.most_common())
    return f"no order: {said}"


def _verdict(
    signals: Signals,
    ticker: str,
    horizon: str,
    views: Mapping[str, TickerView],
    account: Account,
    settings: PaperSettings,
    sizes_at_fill: bool,
    now: pd.Timestamp,
) -> Verdict:
    row = signals.newest(ticker, horizon)
    key = PlanKey(ticker, pd.Timestamp(row["session"]).as_unit("us"), horizon, str(row["rule"]))
    view = views.get(ticker)
    is_early = is_before_entry(key.session, now=now, source=signals.source)
    reason = (
        _no_trade(row, horizon)
        or _not_current(key, view)
        or ("" if is_early is not False or settings.allow_late else _late(key))
        or _already(key, account)
    )
    if reason or view is None:
        return Verdict(key, reason)
    order = _order(row, key, view, account, sizes_at_fill=sizes_at_fill)
    if order.contracts < 1 and not sizes_at_fill:
        return Verdict(key, "one structure needs more than the risk budget")
    said = Said(
        edge=str(row["edge"]),
        direction=_text(row["direction"]),
        model_version=_text(row["model_version"]),
        volatility_model_version=_text(row["volatility_model_version"]),
        source=signals.source,
        is_live=is_early is True,
    )
    return Verdict(key, "", order, said)


def is_before_entry(signal_session: pd.Timestamp, *, now: pd.Timestamp, source: str) -> bool | None:
    """Return whether the session of an entry has not opened yet, by the clock; None where a source has no clock: the
    sample's and simulated sessions lie where they lie."""
    if not has_a_future(source):
        return None
    entry = shift_sessions(pd.DatetimeIndex([signal_session]), 1)[0]
    return bool(now < session_open(entry))


def _no_trade(row: Mapping[str, Any], horizon: str) -> str:
    if row["strategy"] == NO_TRADE:
        return "the signal recommends no trade"
    if not horizon_of(horizon).outlasts_entry:
        return f"{horizon} ends at or before the first quote after the signal"
    if float(row["position_size"]) > 0.0:
        return ""
    if row["edge"] not in EDGES_WITH_SIZE:
        return f"{NO_EDGE_SHOWN}: {row['strategy']} has no size ({row['edge']}; TRADING_DAG_SIGNALS__GATE)"
    return f"no size above zero: {row['strategy']} has none at its close's prices"


def _not_current(key: PlanKey, view: TickerView | None) -> str:
    if view is None or view.newest is None:
        return "no prices are stored"
    last = view.newest.session
    if key.session != last:
        return f"signals end at another session than prices: {key.session:%Y-%m-%d}, not {last:%Y-%m-%d}"
    return ""


def _late(key: PlanKey) -> str:
    entry = shift_sessions(pd.DatetimeIndex([key.session]), 1)[0]
    return (
        f"too late: {entry:%Y-%m-%d}, at whose open the signal of {key.session:%Y-%m-%d} enters, has opened "
        "(TRADING_DAG_PAPER__ALLOW_LATE)"
    )


def _already(key: PlanKey, account: Account) -> str:
    sent = [record for record in account.attempts(key, "open") if record.state not in ("refused", "lapsed")]
    return f"ordered already: {sent[-1].order.order_id} is {sent[-1].state}" if sent else ""


def _order(row: Mapping[str, Any], key: PlanKey, view: TickerView, account: Account, *, sizes_at_fill: bool) -> Order:
    contracts, plan = int(row["contracts"]), view.plans[str(row["strategy"])]
    size = float(row["position_size"])
    loss = contracts * float(row["max_loss_usd"]) if pd.notna(row["max_loss_usd"]) else float("inf")
    if sizes_at_fill:
        loss = plan.account.account_usd * plan.account.risk_fraction * size
    return Order(
        order_id=key.order_id("open", attempt=len(account.attempts(key, "open")) + 1),
        key=key,
        intent="open",
        structure=str(row["strategy"]),
        legs=legs_of(row["legs"]),
        contracts=contracts,
        size=size,
        max_loss_usd=loss,
        names_contracts=key.rule != MATRIX,
        target_session=pd.Timestamp(row["target_session"]).as_unit("us"),
    )


def legs_of(text: object) -> tuple[OrderLeg, ...]:
    """Return the legs that a recommendation names; none where it names none."""
    if not isinstance(text, str):
        return ()
    return tuple(
        OrderLeg(
            leg["side"],
            "call" if leg["option_right"] == "C" else "put",
            float(leg["strike"]),
            session(leg["expiration"]),
            int(leg["ratio"]),
        )
        for leg in json.loads(text)
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
