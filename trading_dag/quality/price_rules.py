"""Rules for daily bars of an underlying: the catalogue, and the simple ones among them.

What is impossible is refused; what is improbable, and may be true, is kept and warned of. Power and false alarms of
each rule, measured on real bars, are in ``docs/price-rules.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray
from trading_dag.quality.adjustment_rules import impossible_adjustments, remarkable_adjustments
from trading_dag.quality.copied_bars import copied_bars, opens_of_the_next_session
from trading_dag.quality.peer_rules import market_went_with_it, no_foreign_bars
from trading_dag.quality.rules import Check, Examine, Examined, Finding, Rule
from trading_dag.quality.sequences import SoundBars, frozen_tail, missing_sessions, sound_bars
from trading_dag.quality.spikes_and_flash_crashes import lone_prices
from trading_dag.quality.split_rules import spliced_sessions, split_like_jumps, unusual_gaps
from trading_dag.sessions import sessions_between

_OHLC: Final = ("open", "high", "low", "close")
_ROUNDING: Final = 1e-3
_FROZEN_SESSIONS: Final = 5
_OUTAGE_SESSIONS: Final = 3
_MOSTLY: Final = 0.5
_BARS: Final = ("session", *_OHLC)


def price_checks() -> tuple[Check, ...]:
    """Return the checks of ``raw.prices_daily`` beyond its schema."""
    return (
        Check(
            Rule("no_missing_sessions", "Has a bar for every exchange session between its first and its last."),
            _no_missing_sessions,
            needs=("session", "close"),
        ),
        Check(
            Rule("high_low_consistent", "High and low enclose open and close, up to 0.1 % of rounding."),
            _high_low_consistent,
            needs=_BARS,
        ),
        _refusal(
            "no_unadjusted_split",
            "No overnight jump that no trading made, of a split or of anything else, is left in the prices.",
            _no_unadjusted_split,
            needs=(*_BARS, "adj_close", "volume", "split_factor", "dividend"),
        ),
        _refusal(
            "no_reverting_spikes",
            "No price of a session of ordinary turnover stands alone and is taken back by the next session.",
            _no_reverting_spikes,
            needs=(*_BARS, "volume"),
        ),
        _refusal(
            "no_copied_bars",
            "No bar repeats an earlier one with its volume, and no three in a row repeat earlier prices.",
            _of_bars(copied_bars, "the bar is a copy of an earlier one", least=2),
            needs=(*_BARS, "volume"),
        ),
        _refusal(
            "no_spliced_bars",
            "No stretch of up to 25 sessions is set off by two opposite gaps that cancel.",
            _of_bars(spliced_sessions, "bars on another level, between two gaps that cancel", least=3),
            needs=(*_BARS, "volume"),
        ),
        _refusal(
            "opens_are_of_their_session",
            "Over 126 sessions opens do not go with closes, as those of the next session would.",
            _of_bars(opens_of_the_next_session, "opens go with closes, as the next session's do", least=84),
            needs=_BARS,
        ),
        _refusal(
            "adjustment_only_rises",
            "adj_close / close never falls, and rises by no more than the dividends.",
            _adjustment(impossible_adjustments, "adj_close / close falls, or rises by what no dividend explains"),
            needs=(*_BARS, "adj_close", "volume", "split_factor", "dividend"),
        ),
        _refusal(
            "volume_has_no_outage",
            "No three sessions in a row have a price range but no volume, where the instrument trades.",
            _of_volume(_outages, "a price range, but no volume"),
            needs=(*_BARS, "volume"),
        ),
        _refusal("no_foreign_bars", "No two bars in a row are those of another ticker.", no_foreign_bars, needs=_BARS),
        _refusal(
            "market_went_with_it",
            "No close moves alone and comes back while a related ticker does neither, in a session of usual turnover.",
            market_went_with_it,
            needs=(*_BARS, "volume"),
        ),
        Check(
            Rule("no_frozen_tail", "The last five closes are not all the same."),
            _no_frozen_tail,
            needs=("session", "close"),
        ),
        *_warnings(),
    )


def _warnings() -> tuple[Check, ...]:
    """Return the checks of what may be true but should be looked at."""
    return (
        _warning(
            "no_unusual_bars",
            "No price stands alone and no gap is beyond 16 %, however busy the session.",
            _no_unusual_bars,
            needs=(*_BARS, "adj_close", "volume", "split_factor", "dividend"),
        ),
        _warning(
            "adjustment_is_usual",
            "adj_close / close rises as the recorded dividends say, or by no more than an ordinary dividend.",
            _adjustment(remarkable_adjustments, "adj_close / close rises by more than the dividends that are known"),
            needs=(*_BARS, "adj_close", "volume", "split_factor", "dividend"),
        ),
        _warning(
            "volume_is_there",
            "No session with a price range is without volume, where the instrument trades.",
            _of_volume(_single_silences, "a price range, but no volume: features take it for a session without trade"),
            needs=(*_BARS, "volume"),
        ),
        _warning(
            "tail_is_fresh",
            "The last bar is that of the session the source should have.",
            tail_is_fresh,
            needs=("session",),
        ),
    )


def _refusal(name: str, description: str, examine: Examine, *, needs: tuple[str, ...]) -> Check:
    """Return a rule that refuses a slice, unless a user has accepted the bar."""
    return Check(Rule(name, description, can_be_accepted=True), examine, needs)


def _warning(name: str, description: str, examine: Examine, *, needs: tuple[str, ...]) -> Check:
    return Check(
        Rule(name, description, severity="warn", is_blocking=False, can_be_accepted=name != "tail_is_fresh"),
        examine,
        needs,
    )


def _price_bars(examined: Examined) -> SoundBars:
    return sound_bars(examined, positive=_OHLC)


def _splits(examined: Examined) -> BoolArray:
    return split_like_jumps(examined.shared(_price_bars))


def _lone(examined: Examined) -> tuple[BoolArray, BoolArray]:
    return lone_prices(examined.shared(_price_bars))


def _of_bars(flags_of: Callable[[SoundBars], BoolArray], detail: str, *, least: int) -> Examine:
    """Return a rule that reads the sound bars alone; ``least`` is how many it needs to say anything."""

    def examine(examined: Examined) -> Finding:
        bars = examined.shared(_price_bars)
        if len(bars.rows) < least:
            return _too_few(examined, bars, least)
        return bars.finding(flags_of(bars), detail)

    return examine


def _too_few(examined: Examined, bars: SoundBars, least: int) -> Finding:
    return examined.not_examined(f"{len(bars.rows)} sound bars, at least {least} are needed")


def tail_is_fresh(examined: Examined) -> Finding:
    """Find out whether the last session is the expected one."""
    expected = examined.context.expected_last_session
    if expected is None:
        return examined.not_examined("no session is expected of this source")
    last = examined.frame["session"].max()
    if pd.isna(last):
        return Finding(np.ones(len(examined.frame), dtype=bool), count=1, detail="no session at all")
    if last >= expected:
        return examined.nothing()
    behind = len(sessions_between(last, expected)) - 1
    mask = (examined.frame["session"] == last).to_numpy()
    detail = f"last session {last:%Y-%m-%d}, expected {expected:%Y-%m-%d}: {behind} behind"
    return Finding(mask, count=behind, detail=detail)


def _no_missing_sessions(examined: Examined) -> Finding:
    bars = _held(examined)
    missing, after_hole = missing_sessions(bars)
    finding = bars.finding(after_hole, f"{len(missing)} missing")
    days = tuple(f"session={day:%Y-%m-%d}" for day in missing)
    return Finding(finding.mask, count=len(missing), detail=finding.detail, examples=days)


def _held(examined: Examined) -> SoundBars:
    """Return the bars whatever their prices: a bar with a bad price is no missing session."""
    return sound_bars(examined, positive=())


def _high_low_consistent(examined: Examined) -> Finding:
    values = examined.frame[list(_OHLC)].to_numpy(dtype="float64")
    sound = (np.isfinite(values) & (values > 0)).all(axis=1)
    opened, high, low, close = values.T
    with np.errstate(invalid="ignore"):
        too_low_high = high < np.maximum(opened, close) * (1 - _ROUNDING)
        too_high_low = low > np.minimum(opened, close) * (1 + _ROUNDING)
    return Finding.of_rows(sound & (too_low_high | too_high_low), "high below, or low above, open or close")


def _no_unadjusted_split(examined: Examined) -> Finding:
    bars = examined.shared(_price_bars)
    if len(bars.rows) < 2:
        return _too_few(examined, bars, 2)
    flags = examined.shared(_splits)
    ratios = (bars.rows["open"] / bars.rows["close"].shift(1))[flags].head(3)
    jumps = ", ".join(f"×{ratio:.4g}" for ratio in ratios)
    return bars.finding(flags, f"the price jumps overnight and stays there: {jumps}")


def _no_reverting_spikes(examined: Examined) -> Finding:
    bars = examined.shared(_price_bars)
    if len(bars.rows) < 3:
        return _too_few(examined, bars, 3)
    return bars.finding(examined.shared(_lone)[0], "a price far from both its neighbours")


def _no_unusual_bars(examined: Examined) -> Finding:
    """Find prices that would be refused in a session of ordinary turnover."""
    bars = examined.shared(_price_bars)
    if len(bars.rows) < 3:
        return _too_few(examined, bars, 3)
    refused, unusual = examined.shared(_lone)
    refused = refused | examined.shared(_splits) | spliced_sessions(bars)
    # The gap back from a refused bar is no other oddity.
    is_after = np.append(False, refused[:-1])
    flags = (unusual & ~refused) | (unusual_gaps(bars) & ~refused & ~is_after)
    return bars.finding(flags, "a price far from its neighbours in a busy session: true, or a bad print")


def _adjustment(flags_of: Callable[[pd.DataFrame], BoolArray], detail: str) -> Examine:
    """Return a rule on adj_close / close. A split that only one of them knows is ``no_unadjusted_split``'s."""

    def examine(examined: Examined) -> Finding:
        bars = examined.shared(_price_bars)
        if (bars.rows["adj_close"] > 0).sum() < 2:
            return examined.not_examined("fewer than two bars have an adjusted close")
        return bars.finding(flags_of(bars.rows) & ~examined.shared(_splits), detail)

    return examine


def _silent(examined: Examined) -> tuple[BoolArray, BoolArray]:
    """Return sessions with a price range but no volume, of an instrument that trades: all of them, and those of
    outages.

    An outage is three such sessions in a row. An instrument without volume in most sessions is not flagged.
    """
    rows = examined.shared(_price_bars).rows
    is_silent = ((rows["volume"] == 0) & (rows["high"] > rows["low"])).to_numpy(dtype=bool)
    if is_silent.mean() > _MOSTLY:
        return is_silent & False, is_silent & False
    starts = np.flatnonzero(np.diff(is_silent, prepend=~is_silent[:1]))
    lengths = np.diff(np.append(starts, len(is_silent)))
    return is_silent, np.repeat(lengths >= _OUTAGE_SESSIONS, lengths) & is_silent


def _of_volume(flags_of: Callable[[Examined], BoolArray], detail: str) -> Examine:
    def examine(examined: Examined) -> Finding:
        bars = examined.shared(_price_bars)
        if not (bars.rows["volume"] > 0).any():
            return examined.not_examined("no session has a volume")
        return bars.finding(flags_of(examined), detail)

    return examine


def _outages(examined: Examined) -> BoolArray:
    return examined.shared(_silent)[1]


def _single_silences(examined: Examined) -> BoolArray:
    silent, outages = examined.shared(_silent)
    return silent & ~outages


def _no_frozen_tail(examined: Examined) -> Finding:
    bars = sound_bars(examined, positive=("close",))
    if len(bars.rows) < _FROZEN_SESSIONS:
        return _too_few(examined, bars, _FROZEN_SESSIONS)
    return bars.finding(frozen_tail(bars.rows["close"], _FROZEN_SESSIONS), "the feed repeats its last close")
