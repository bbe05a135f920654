"""The three tables of a backtest, written from books and ledger. Nothing is traded or decided here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import IntArray, TextArray
from trading_dag.backtest.markets.market import Market
from trading_dag.backtest.results.assumptions import assumptions_json
from trading_dag.backtest.results.performance import deflated_sharpe, drawdowns, equity_statistics, excess_returns
from trading_dag.backtest.results.random_entry import RandomEntry
from trading_dag.backtest.trades.ledger import Book, Ledger
from trading_dag.frames import table_frame
from trading_dag.schemas import EQUITY, SUMMARY, TRADES

OPEN_AT_END: Final = "open_at_end_of_data"
MODELLED: Final = "modelled"
_CENT: Final = 0.005


def trades_frame(
    head: dict[str, str],
    sessions: pd.DatetimeIndex,
    *,
    strategy: TextArray,
    design_size: TextArray,
    reason: TextArray,
    books: list[Book],
    market: Market,
) -> pd.DataFrame:
    """Return ``backtests.trades``: one row per signal."""
    book_settings = market.settings.backtest
    rows = len(sessions)
    number = {
        name: np.full(rows, np.nan)
        for name in (
            "entry_spot", "exit_spot", "entry_cost_usd", "exit_value_usd", "fees_usd", "pnl_usd", "max_loss_usd",
        )
    }  # fmt: skip
    day = {
        name: np.full(rows, np.datetime64("NaT"), dtype="datetime64[us]")
        for name in ("entry_session", "exit_session", "expiration")
    }
    contracts = np.zeros(rows, dtype=np.int64)
    status = np.full(rows, "skipped", dtype=object)
    why, legs, source = reason.copy(), np.full(rows, None, dtype=object), np.full(rows, None, dtype=object)
    calendar = market.sessions.to_numpy()
    for book in books:
        traded = np.flatnonzero(book.contracts > 0)
        trips, into, count = book.trips, book.rows[traded], book.contracts[traded]
        is_closed = trips.exit[traded] >= 0
        fees = trips.fees_one_way_usd(book_settings) * count
        contracts[into] = count
        status[into] = np.where(is_closed, "closed", "open")
        why[into] = np.where(is_closed, trips.exit_reason[traded], OPEN_AT_END)
        source[into] = MODELLED
        day["entry_session"][into] = calendar[trips.entry[traded]]
        day["exit_session"][into[is_closed]] = calendar[trips.exit[traded][is_closed]]
        day["expiration"][into] = trips.positions.expirations.to_numpy()[traded]
        number["entry_spot"][into] = trips.entry_spot[traded]
        number["exit_spot"][into] = trips.exit_spot[traded]
        number["entry_cost_usd"][into] = trips.positions.premium[traded] * book_settings.multiplier * count
        number["exit_value_usd"][into] = trips.exit_premium[traded] * book_settings.multiplier * count
        number["fees_usd"][into] = np.where(is_closed, 2.0 * fees, fees)
        number["max_loss_usd"][into] = trips.maximum_loss_usd(book_settings)[traded] * count
        legs[into] = _legs_json(book, traded)
    number["pnl_usd"] = number["exit_value_usd"] - number["entry_cost_usd"] - number["fees_usd"]
    return table_frame(
        TRADES,
        {
            **head,
            **day,
            **number,
            "signal_session": sessions,
            "structure": strategy,
            "status": status,
            "exit_reason": why,
            "quote_source": source,
            "legs": legs,
            "contracts": contracts,
            "return_on_risk": number["pnl_usd"] / number["max_loss_usd"],
            "design_size": design_size,
        },
        rows=rows,
    )


def with_models_of(recommendations: pd.DataFrame, trades: pd.DataFrame) -> pd.DataFrame:
    """Return the trades with the versions of the models that their signals follow; both frames have the same rows in
    order."""
    names = ("model_version", "volatility_model_version")
    known = {name: recommendations[name].to_numpy() for name in names if name in recommendations.columns}
    return trades.assign(**{name: pd.Series(value, index=trades.index, dtype="str") for name, value in known.items()})


def _legs_json(book: Book, traded: IntArray) -> TextArray:
    """JSON list of the legs of each trade with their fills, USD a share; a missing exit is null."""
    positions, legs = book.trips.positions, book.trips.structure.legs
    days = np.datetime_as_string(positions.expirations.to_numpy()[traded].astype("datetime64[D]"))
    rows = zip(
        positions.strikes[traded].tolist(),
        positions.leg_prices[traded].round(6).tolist(),
        book.trips.exit_leg_prices[traded].round(6).tolist(),
        positions.leg_volatilities[traded].round(6).tolist(),
        days.tolist(),
        strict=True,
    )
    return np.array(
        [
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
                    for leg, strike, entry, leave, volatility in zip(
                        legs, strikes, entries, exits, volatilities, strict=True
                    )
                ]
            )
            for strikes, entries, exits, volatilities, expiration in rows
        ],
        dtype=object,
    )


def equity_frame(head: dict[str, str], ledger: Ledger, market: Market, *, window: slice) -> pd.DataFrame:
    """Return ``backtests.equity``: one row per session of the window."""
    sessions = market.sessions[window]
    equity = ledger.equity[window]
    return table_frame(
        EQUITY,
        {
            **head,
            "session": sessions,
            "cash_usd": ledger.cash[window],
            "marks_usd": ledger.marks[window],
            "equity_usd": equity,
            "drawdown": drawdowns(equity),
            "open_positions": ledger.open_positions[window],
            "benchmark_usd": market.benchmark(window),
        },
        rows=len(sessions),
    )


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
    """

    status: str
    gate: tuple[bool, str]
    luck: RandomEntry
    stress: tuple[float, float]
    objection: str | None


def summary_frame(
    head: dict[str, str],
    trades: pd.DataFrame,
    equity: pd.DataFrame,
    *,
    judgement: Judgement,
    market: Market,
    window: slice,
    ledger: Ledger,
) -> pd.DataFrame:
    """Return ``backtests.summary``: one row."""
    closed = trades[trades["status"] == "closed"]
    total = float(closed["pnl_usd"].to_numpy(dtype=np.float64).sum())
    return table_frame(
        SUMMARY,
        {
            **head,
            **_verdict(judgement, total, market),
            **_figures_of_trades(trades, closed),
            **_figures_of_account(equity, market, window),
            "total_pnl_usd": total,
            "exposure": float(ledger.is_exposed[window].mean()) if len(equity) else np.nan,
            "assumptions": assumptions_json(market, window=window, luck=judgement.luck),
        },
        rows=1,
    )


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
