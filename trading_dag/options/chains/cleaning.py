"""Which quotes of a chain are credible, and for every other one the rule that says why it is not.

Rules look at one row, at its copies, at the strikes beside it, and at the same contract on the quote date before; never
at a later date. What the rows of a file mean is decided in ``chains.rows``, which quotes are in line with their
neighbours in ``chains.out_of_line``. Arbitrage between credible quotes is reported by ``arbitrage``, not removed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray
from trading_dag.frames import require_columns
from trading_dag.options.chains.contracts import is_adjusted_root, is_morning_settled, years_to_settlement
from trading_dag.options.chains.out_of_line import out_of_line
from trading_dag.options.chains.rows import CHAIN_TABLE, combined_codes, repeated_rows
from trading_dag.options.chains.sifting import SiftedChain, sift
from trading_dag.schemas import OPTION_CHAIN

_CONTRACT: Final = ("ticker", "expiration", "option_right", "strike")
REASONS: Final = (
    "duplicate", "conflicting_duplicate", "adjusted_contract", "expired", "no_underlying", "crossed", "zero", "stale",
    "no_volume", "below_intrinsic", "missing_volatility", "out_of_line",
)  # fmt: skip


@dataclass(frozen=True)
class CleaningRules:
    """Sets what is required of a quote beyond what every chain needs.

    Attributes
    ----------
    refuse_zero_bid : whether a bid of zero is refused; if not, the contract stays and can be bought at its ask.
    require_volatility : whether rows without the vendor's implied volatility are refused; ours is fitted, so off.
    stale_move_fraction : an unchanged quote is stale if the underlying moved at least this much since the date before.
    stale_price_fraction : least middle, as a fraction of spot, that can be stale: cheap options may well stand still.
    line_slack_fraction : quotes of two strikes must contradict each other by more than this fraction of spot before
        the one that is out of line is refused. Smaller contradictions stay, for ``arbitrage`` to report.
    """

    refuse_zero_bid: bool = True
    require_volatility: bool = False
    stale_move_fraction: float = 0.001
    stale_price_fraction: float = 0.01
    line_slack_fraction: float = 0.001


def clean_chain(
    chain: pd.DataFrame, *, before: pd.DataFrame | None = None, rules: CleaningRules | None = None
) -> SiftedChain:
    """Split a chain into credible quotes and refused quotes, each of the latter with its reason.

    Parameters
    ----------
    chain : rows of ``raw.option_chain``, of any number of tickers and dates, in any order.
    before : rows of an earlier quote date, by which quotes that stood still are told; they are not judged themselves.

    Returns
    -------
    SiftedChain : of several rules that hit a row, the first of ``REASONS`` is given.
        ``duplicate``: an equal row came before. ``conflicting_duplicate``: another row of the same key says something
        else, so neither counts. ``adjusted_contract``: its root ends in a digit. ``expired``: it had settled by the
        close of the quote date. ``no_underlying``: no price of the underlying. With a bid or an ask: ``crossed``,
        bid above ask; ``zero``, one of the two is missing or (see the rules) not positive; ``stale``, bid and ask
        are those of the quote date before though the underlying moved. With a last trade only: ``zero``, none or not
        positive; ``no_volume``, nothing traded that day, so it is older; ``below_intrinsic``, it is worth less than
        exercise. ``missing_volatility``: only where the rules require one. Of the two-sided quotes that are left,
        ``out_of_line``: not among the most quotes of one expiration and right of which no bid is above the ask of a
        strike that is worth more, and no two differ by more than their strikes. So a quote is found that has stood
        still for weeks, in a chain whose earlier dates nobody has.

    Raises
    ------
    SchemaError : for a missing column.
    """
    require_columns(chain, CHAIN_TABLE, columns=OPTION_CHAIN.column_names)
    asked = CleaningRules() if rules is None else rules
    copies, conflicts = repeated_rows(chain)
    bid, ask, last, spot, strike, volume = (
        chain[name].to_numpy(dtype=np.float64)
        for name in ("bid", "ask", "last", "underlying_price", "strike", "volume")
    )
    years = years_to_settlement(
        chain["quote_date"],
        chain["expiration"],
        is_morning=is_morning_settled(chain["ticker"], chain["expiration"]),
    )
    is_quoted = np.isfinite(bid) | np.isfinite(ask)
    intrinsic = np.maximum(np.where(chain["option_right"] == "C", spot - strike, strike - spot), 0.0)
    with np.errstate(invalid="ignore"):
        no_bid = ~(bid > 0.0) if asked.refuse_zero_bid else ~(bid >= 0.0)
        hits: dict[str, BoolArray] = {
            "duplicate": copies,
            "conflicting_duplicate": conflicts,
            "adjusted_contract": is_adjusted_root(chain["ticker"]).to_numpy(),
            "expired": ~(years >= 0.0),
            "no_underlying": ~(spot > 0.0),
            "crossed": bid > ask,
            "zero": np.where(is_quoted, no_bid | ~(ask > 0.0), ~(last > 0.0)),
            "stale": _stale(chain, before, asked),
            "no_volume": ~is_quoted & ~(volume > 0.0),
            "below_intrinsic": ~is_quoted & (last < intrinsic),
            "missing_volatility": asked.require_volatility & ~(chain["implied_volatility"] > 0.0).to_numpy(),
        }
    believed = ~np.logical_or.reduce(list(hits.values())) & np.isfinite(bid) & np.isfinite(ask)
    hits["out_of_line"] = np.zeros(len(chain), dtype=np.bool_)
    hits["out_of_line"][believed] = out_of_line(chain[believed], slack_fraction=asked.line_slack_fraction)
    return sift(chain, [(reason, hits[reason]) for reason in REASONS])


def _stale(chain: pd.DataFrame, before: pd.DataFrame | None, rules: CleaningRules) -> BoolArray:
    """Return which two-sided quotes did not change since the contract's last quote date although the underlying
    moved."""
    needed = [*_CONTRACT, "quote_date", "underlying_price", "bid", "ask"]
    known = chain[needed] if before is None else pd.concat([before[needed], chain[needed]], ignore_index=True)
    bid, ask, spot = (known[name].to_numpy(dtype=np.float64) for name in ("bid", "ask", "underlying_price"))
    stale = np.zeros(len(known), dtype=np.bool_)
    rows = np.flatnonzero(np.isfinite(bid) & np.isfinite(ask))
    # A date of the chain on which the contract is absent is no gap that could hide a move.
    date, dates = pd.factorize(known["quote_date"].to_numpy(), sort=True)
    if len(rows) and len(dates) > 1:
        contract = combined_codes([known[name] for name in _CONTRACT])
        rows = rows[np.lexsort((date[rows], contract[rows]))]
        then, now = rows[:-1], rows[1:]
        is_next = (contract[now] == contract[then]) & (date[now] - date[then] == 1)
        is_same = is_next & (bid[now] == bid[then]) & (ask[now] == ask[then])
        with np.errstate(divide="ignore", invalid="ignore"):
            has_moved = np.abs(spot[now] / spot[then] - 1.0) >= rules.stale_move_fraction
        is_dear = 0.5 * (bid[now] + ask[now]) >= rules.stale_price_fraction * spot[now]
        stale[now[is_same & has_moved & is_dear]] = True
    return stale[len(known) - len(chain) :]
