"""The three tables of a backtest of signals, written from the account of a rule. Nothing is traded or decided here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray, IntArray, TextArray
from trading_dag.backtest.markets.market import Market
from trading_dag.backtest.markets.modelled_market import MODELLED, ModelledMarket
from trading_dag.backtest.plans.exit_rules import HORIZON_EXIT, ExitRules, exits_in_words
from trading_dag.backtest.plans.outcomes import OPEN_AT_END
from trading_dag.backtest.results.account_results import AccountResult
from trading_dag.backtest.results.assumptions import assumptions_json
from trading_dag.backtest.results.performance import deflated_sharpe, drawdowns, equity_statistics, excess_returns
from trading_dag.backtest.results.plan_results import PlanResult
from trading_dag.backtest.results.random_entry import RandomEntry
from trading_dag.frames import table_frame
from trading_dag.schemas import EQUITY, SUMMARY, TRADES

_CENT: Final = 0.005
_MARK_NAMES: Final = np.array(["open", "close"], dtype=object)
_NUMBERS: Final = (
    "entry_spot", "exit_spot", "entry_cost_usd", "exit_value_usd", "fees_usd", "pnl_usd", "max_loss_usd",
    "margin_usd", "portfolio_margin_usd",
)  # fmt: skip
_DATES: Final = ("entry_session", "exit_session", "expiration")
_TEXTS: Final = ("quote_source", "legs", "entry_quote", "exit_quote")


@dataclass(frozen=True)
class SignalOutcome:
    """Holds what the signals of one rule came to.

    Attributes
    ----------
    sessions, strategy, design_size : (n,) of the signals.
    reason : (n,) why a signal could not even become an entry; empty where it is one.
    account : the account in which the others were tried; None where there was none.
    """

    sessions: pd.DatetimeIndex
    strategy: TextArray
    design_size: TextArray
    reason: TextArray
    account: AccountResult | None

    @property
    def results(self) -> list[PlanResult]:
        """Return the result of each structure."""
        return [] if self.account is None else self.account.results

    def held_sessions(self, last: int) -> tuple[IntArray, IntArray]:
        """Return first and last session of every trade, positions in the history; ``last`` for one that is open."""
        first, final = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
        for result in self.results:
            taken = result.is_taken
            leave = result.exits.exit[taken]
            first.append(result.paths.positions.entry[taken] // 2)
            final.append(np.where(leave < 0, last, leave // 2))
        return np.concatenate(first), np.concatenate(final)


def trades_frame(head: dict[str, str], outcome: SignalOutcome, market: ModelledMarket) -> pd.DataFrame:
    """Return ``backtests.trades``: one row per signal, and one after it for each roll."""
    blocks = [_unfilled(outcome)] + [_filled(result, outcome, market) for result in outcome.results]
    every = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    # A signal's own row comes before those of its rolls.
    order = np.lexsort((every["roll"], every["row"]))
    columns = {name: values[order] for name, values in every.items()}
    row = columns.pop("row")
    return table_frame(
        TRADES,
        {
            **head,
            **columns,
            "signal_session": outcome.sessions[row],
            "structure": outcome.strategy[row],
            "design_size": outcome.design_size[row],
            "return_on_risk": columns["pnl_usd"] / columns["max_loss_usd"],
        },
        rows=len(row),
    )


def _unfilled(outcome: SignalOutcome) -> dict[str, Any]:
    """Columns of the signals that never became an entry."""
    row = np.flatnonzero(outcome.reason != "")
    return _blank(len(row)) | {"row": row, "exit_reason": outcome.reason[row]}


def _blank(rows: int) -> dict[str, Any]:
    return {
        **{name: np.full(rows, np.nan) for name in _NUMBERS},
        **{name: np.full(rows, np.datetime64("NaT"), dtype="datetime64[us]") for name in _DATES},
        **{name: np.full(rows, None, dtype=object) for name in _TEXTS},
        "row": np.zeros(rows, dtype=np.int64),
        "roll": np.zeros(rows, dtype=np.int64),
        "contracts": np.zeros(rows, dtype=np.int64),
        "status": np.full(rows, "skipped", dtype=object),
        "exit_reason": np.full(rows, "", dtype=object),
    }


def _filled(result: PlanResult, outcome: SignalOutcome, market: ModelledMarket) -> dict[str, Any]:
    """Columns of one structure's entries and rolls, taken or not."""
    positions, exits, taken, closed = result.paths.positions, result.exits, result.is_taken, result.is_closed
    days = outcome.sessions.to_numpy().astype("datetime64[D]")
    columns = _blank(len(taken))
    calendar = market.sessions.astype("datetime64[us]")
    leave = np.maximum(exits.exit, 0)
    usd = result.contracts * float(result.plan.account.multiplier)
    values = {
        "entry_spot": (taken, positions.entry_spot),
        "exit_spot": (closed, exits.spot),
        "entry_cost_usd": (taken, usd * np.where(taken, positions.premium, 0.0)),
        "exit_value_usd": (closed, usd * np.where(closed, exits.value + exits.dividend_received, 0.0)),
        "fees_usd": (taken, result.fees_usd),
        "pnl_usd": (closed, result.profit_usd),
        "max_loss_usd": (taken, result.max_loss_usd),
        "margin_usd": (taken, np.where(result.is_taken, result.contracts * result.margin_usd, np.nan)),
        "portfolio_margin_usd": (taken, result.portfolio_margin_usd),
        "entry_session": (taken, calendar[positions.entry]),
        "exit_session": (closed, calendar[leave]),
        "expiration": (taken, positions.expiration_day.astype("datetime64[D]").astype("datetime64[us]")),
        "entry_quote": (taken, _MARK_NAMES[market.is_close[positions.entry].astype(np.int64)]),
        "exit_quote": (closed, _MARK_NAMES[market.is_close[leave].astype(np.int64)]),
    }
    for name, (where, value) in values.items():
        columns[name][where] = value[where]
    columns["row"] = np.searchsorted(days, positions.entries.signal)
    columns["roll"] = _rolls(result.rolled_from)
    columns["contracts"] = result.contracts
    columns["status"] = np.where(taken, np.where(closed, "closed", "open"), "skipped").astype(object)
    columns["exit_reason"] = np.select(
        [closed, taken], [result.exit_reason.astype(object), OPEN_AT_END], result.skip_reason
    ).astype(object)
    columns["quote_source"][taken] = MODELLED
    columns["legs"][taken] = _legs_json(result, np.flatnonzero(taken))
    return columns


def _rolls(rolled_from: IntArray) -> IntArray:
    """How many rolls lie between each position and its signal; a roll's row follows the one it replaces."""
    rolls = np.zeros(len(rolled_from), dtype=np.int64)
    for row in np.flatnonzero(rolled_from >= 0):
        rolls[row] = rolls[rolled_from[row]] + 1
    return rolls


def with_models_of(recommendations: pd.DataFrame, trades: pd.DataFrame) -> pd.DataFrame:
    """Return the trades with the versions of the models that their signals follow."""
    names = ["model_version", "volatility_model_version"]
    known = [name for name in names if name in recommendations.columns]
    of_signal = recommendations.set_index("session")[known].astype("str")
    followed = of_signal.reindex(pd.DatetimeIndex(trades["signal_session"])).reset_index(drop=True)
    return trades.assign(**{name: followed[name].set_axis(trades.index) for name in known})


def _legs_json(result: PlanResult, taken: IntArray) -> TextArray:
    """JSON list of the legs of each trade with their fills, USD a share; a missing exit is null."""
    positions, legs = result.paths.positions, result.plan.structure.legs
    days = np.datetime_as_string(positions.leg_expiration_day[taken].astype("datetime64[D]"))
    rows = zip(
        positions.strikes[taken].tolist(),
        positions.leg_prices[taken].round(6).tolist(),
        result.exits.leg_prices[taken].round(6).tolist(),
        positions.leg_volatilities[taken].round(6).tolist(),
        days.tolist(),
        strict=True,
    )
    listed = np.empty(len(taken), dtype=object)
    listed[:] = [
        json.dumps(
            [
                {
                    "option_right": leg.option_right,
                    "side": leg.side,
                    "ratio": leg.ratio,
                    "strike": strike,
                    "expiration": expiration,
                    "entry_price": entry,
                    "exit_price": None if leave != leave else leave,
                    "entry_implied_volatility": volatility,
                }
                for leg, strike, entry, leave, volatility, expiration in zip(legs, *row, strict=True)
            ]
        )
        for row in rows
    ]
    return listed


def equity_frame(
    head: dict[str, str], outcome: SignalOutcome, market: ModelledMarket, *, window: slice
) -> pd.DataFrame:
    """Return ``backtests.equity``: one row per session of the window, at its close."""
    history, sessions = market.history, market.history.sessions[window]
    start = history.settings.backtest.account_usd
    cash, marks, held = np.full(len(history), start), np.zeros(len(history)), np.zeros(len(history), dtype=np.int64)
    if outcome.account is not None:
        of_account = outcome.account.history
        cash, marks, held = of_account.cash[1::2], of_account.marks[1::2], of_account.open_positions[1::2]
    equity: FloatArray = (cash + marks)[window]
    return table_frame(
        EQUITY,
        {
            **head,
            "session": sessions,
            "cash_usd": cash[window],
            "marks_usd": marks[window],
            "equity_usd": equity,
            "drawdown": drawdowns(equity),
            "open_positions": held[window],
            "benchmark_usd": history.benchmark(window),
        },
        rows=len(sessions),
    )


@dataclass(frozen=True)
class Always:
    """Holds what entering one structure after every session came to: its closed trades and their profit, USD."""

    structure: str
    trades: int
    profit_usd: float


@dataclass(frozen=True)
class Judgement:
    """Holds what speaks for a backtest and against it.

    Attributes
    ----------
    status : the summary's.
    gate : whether the models pass the accuracy gate, and its verdict in words.
    luck : the result held against random entry.
    stress : the profit with the surface lower, and higher, USD. A profit whose sign depends on it is the surface's, not
        the signals', so the backtest is inadmissible whatever the gate says.
    objection : why the modelled prices are not to be believed; None where nothing speaks against them.
    always : the structure that was traded most, entered after every session.
    """

    status: str
    gate: tuple[bool, str]
    luck: RandomEntry
    stress: tuple[float, float]
    objection: str | None
    always: Always


def summary_frame(
    head: dict[str, str],
    trades: pd.DataFrame,
    equity: pd.DataFrame,
    *,
    judgement: Judgement,
    market: ModelledMarket,
    window: slice,
    outcome: SignalOutcome,
    exits: ExitRules,
) -> pd.DataFrame:
    """Return ``backtests.summary``: one row."""
    history = market.history
    closed = trades[trades["status"] == "closed"]
    total = float(closed["pnl_usd"].to_numpy(dtype=np.float64).sum())
    return table_frame(
        SUMMARY,
        {
            **head,
            "exits": exits_in_words(exits, last=HORIZON_EXIT),
            **_verdict(judgement, total, history),
            **_figures_of_trades(trades, closed),
            **_figures_of_account(equity, history, window),
            "total_pnl_usd": total,
            "exposure": float(_is_exposed(outcome, len(history))[window].mean()) if len(equity) else np.nan,
            "assumptions": assumptions_json(history, window=window, luck=judgement.luck, exits=exits),
        },
        rows=1,
    )


def _is_exposed(outcome: SignalOutcome, sessions: int) -> BoolArray:
    """A position was held at some time of the session."""
    first, final = outcome.held_sessions(sessions - 1)
    change = np.zeros(sessions + 1, dtype=np.int64)
    np.add.at(change, first, 1)
    np.add.at(change, final + 1, -1)
    return np.asarray(np.cumsum(change)[:sessions] > 0, dtype=np.bool_)


def _verdict(judgement: Judgement, total: float, market: Market) -> dict[str, Any]:
    """Whether the backtest may be believed and why, and what else was tried on its total."""
    passes, said = judgement.gate
    is_backtested = judgement.status == "backtested"
    is_robust = all(np.sign(other) == np.sign(total) for other in judgement.stress)
    instability = None if is_robust or not is_backtested else _sign_changes(total, judgement.stress, market)
    reason = "; ".join(text for text in (judgement.objection, said, instability) if text)
    return {
        "status": judgement.status,
        "is_admissible": bool(passes) and is_backtested and is_robust and judgement.objection is None,
        "admissibility_reason": reason if is_backtested else f"{judgement.status}; {reason}",
        "pnl_lower_volatility_usd": judgement.stress[0],
        "pnl_higher_volatility_usd": judgement.stress[1],
        "random_entry_p_value": judgement.luck.p_value,
        "random_entry_mean_usd": judgement.luck.mean_usd,
        "always_structure": judgement.always.structure or None,
        "always_trades": judgement.always.trades,
        "always_pnl_usd": judgement.always.profit_usd,
    }


def _figures_of_trades(trades: pd.DataFrame, closed: pd.DataFrame) -> dict[str, Any]:
    skipped = trades[trades["status"] == "skipped"]
    profit = closed["pnl_usd"].to_numpy(dtype=np.float64)
    gains, losses = float(profit[profit > 0].sum()), -float(profit[profit < 0].sum())
    beyond = profit < -(closed["max_loss_usd"] + closed["fees_usd"]).to_numpy(dtype=np.float64) - _CENT
    reasons = skipped["exit_reason"].value_counts().sort_index()
    return {
        "trades": len(closed),
        "skipped": len(skipped),
        "open_trades": int((trades["status"] == "open").sum()),
        "win_rate": float((profit > 0).mean()) if len(profit) else np.nan,
        "profit_factor": gains / losses if losses > 0 else np.nan,
        "fees_usd": float(trades["fees_usd"].sum()),
        "losses_beyond_defined_risk": int(beyond.sum()),
        "skip_reasons": json.dumps({str(reason): int(count) for reason, count in reasons.items()}),
    }


def _figures_of_account(equity: pd.DataFrame, market: Market, window: slice) -> dict[str, Any]:
    """The account's figures and the benchmark's; NaN and NULL where there are no sessions."""
    sessions = pd.DatetimeIndex(equity["session"])
    rate = market.rate[window]
    # The account earns no interest, so its returns are those of the trades alone: nothing is left to subtract.
    unfunded = np.zeros_like(rate)
    own = equity_statistics(equity["equity_usd"], sessions, rate=unfunded)
    benchmark = equity_statistics(equity["benchmark_usd"], sessions, rate=rate)
    excess = excess_returns(equity["equity_usd"], sessions, rate=unfunded) if len(sessions) else np.empty(0)
    return {
        "first_session": sessions[0] if len(sessions) else None,
        "last_session": sessions[-1] if len(sessions) else None,
        "cagr": own.cagr,
        "sharpe": own.sharpe,
        "sortino": own.sortino,
        "calmar": own.calmar,
        "max_drawdown": own.max_drawdown,
        "deflated_sharpe": deflated_sharpe(excess, trials=market.settings.backtest.variants_tried),
        "benchmark_pnl_usd": _gained(equity["benchmark_usd"]),
        "benchmark_cagr": benchmark.cagr,
        "benchmark_sharpe": benchmark.sharpe,
    }


def _gained(values: pd.Series) -> float:
    """Last value less the first; NaN where there are none."""
    return float(values.iloc[-1] - values.iloc[0]) if len(values) else np.nan


def _sign_changes(total: float, stress: tuple[float, float], market: Market) -> str:
    points = market.settings.backtest.stress_volatility * 100
    return (
        f"the P&L of {total:,.0f} USD changes its sign within {points:g} volatility points "
        f"({stress[0]:,.0f} USD below, {stress[1]:,.0f} USD above)"
    )
