"""Expected values hold against Monte Carlo from the same quantiles, and under a lognormal against closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from trading_dag.options.structures.structure import STRUCTURES
from trading_dag.settings import Settings
from trading_dag.slices import horizon_of
from trading_dag.strategy.opportunities.build import build_opportunities, outlook_of_session

World = Callable[..., dict[str, Any]]
DAYS_A_YEAR = 365.0


def built(inputs: dict[str, Any], settings: Settings, *, names: tuple[str, ...], horizon: str = "168h") -> pd.DataFrame:
    """The whole grid of the newest session."""
    first = [inputs[name] for name in ("price", "level", "prices", "volatility_index")]
    menu = {name: STRUCTURES[name] for name in names}
    table = build_opportunities(
        *first, rates=inputs["rates"], horizon=horizon_of(horizon), settings=settings, menu=menu
    ).table
    return table[table["session"] == table["session"].max()].reset_index(drop=True)


def call(spot: Any, strike: float, years: float, volatility: Any) -> Any:
    """Black–Scholes without carry, written out again."""
    deviation = volatility * np.sqrt(years)
    upper = np.log(spot / strike) / deviation + deviation / 2.0
    return spot * norm.cdf(upper) - strike * norm.cdf(upper - deviation)


def years_left(row: pd.Series) -> tuple[float, float]:
    """From the entry at the next open, and from the exit, to the front expiration."""
    entry = (row["expiration"] - pd.Timestamp("2024-07-01")).days + 6.5 / 24.0
    return entry / DAYS_A_YEAR, (row["expiration"] - row["exit_session"]).days / DAYS_A_YEAR


def test_a_call_under_a_lognormal_has_the_value_of_black_and_scholes(world: World, free: Settings) -> None:
    # E[call at the exit] is Black–Scholes over both variances; the entry costs Black–Scholes at the index.
    centre, deviation = 0.004, 0.024
    rows = built(world(centre=centre, deviation=deviation), free, names=("long_call",))
    assert len(rows) > 40
    for _, row in rows.iterrows():
        entry, left = years_left(row)
        strike = float(row["strikes"])
        paid = call(100.0, strike, entry, 0.20)
        mean = 100.0 * np.exp(centre + deviation**2 / 2.0)
        total = np.sqrt(deviation**2 + 0.20**2 * left)
        worth = call(mean, strike, 1.0, total)
        assert row["entry_cost_usd"] == pytest.approx(100.0 * paid, abs=0.011)
        assert row["expected_profit_usd"] == pytest.approx(100.0 * (worth - paid), abs=0.02)


def test_where_the_forecast_is_the_markets_own_nothing_is_expected(world: World, free: Settings) -> None:
    # Five sessions end on the Monday after the holiday: from Monday's open 7 days and 6.5 hours.
    years = (7 + 6.5 / 24.0) / DAYS_A_YEAR
    deviation = 0.20 * np.sqrt(years)
    names = tuple(name for name in STRUCTURES if "calendar" not in name)
    rows = built(world(centre=-(deviation**2) / 2.0, deviation=deviation), free, names=names)
    scale = rows["profit_standard_deviation_usd"] + 1.0
    assert (rows["expected_profit_usd"].abs() < 0.002 * scale + 0.02).all()
    assert (rows["market_expected_profit_usd"].abs() < 0.02).all()
    assert (rows["probability_of_profit"] - rows["market_probability_of_profit"]).abs().max() < 0.005


@pytest.mark.parametrize("name", ["bull_put_spread", "iron_condor", "long_straddle", "covered_call", "calendar"])
def test_expected_values_hold_against_monte_carlo_from_the_same_quantiles(
    world: World, settings: Settings, name: str
) -> None:
    inputs = world(centre=0.003, deviation=0.025, level_deviation=0.12, correlation=-0.7)
    # Fat tails and a skew, so that the quantiles are of no textbook's distribution.
    columns = [column for column in inputs["price"].columns if column.startswith("quantile")]
    moves = np.log(inputs["price"][columns] / 100.0)
    inputs["price"][columns] = 100.0 * np.exp(moves + 4.0 * moves**3 * 100.0 - 0.002 * (moves < 0))
    book = settings.backtest.model_copy(update={"price_tick_usd": 1e-9})
    settings = settings.model_copy(update={"backtest": book})
    rows = built(inputs, settings, names=(name,))
    outlook = outlook_of_session(
        {**inputs, "smiles": None}, rows["session"].iloc[0], horizon=horizon_of("168h"), settings=settings
    )
    assert outlook is not None
    simulated = Simulated(inputs, settings, correlation=float(outlook.outlook.errors.correlation[0]))
    for _, row in rows.iloc[:: max(len(rows) // 6, 1)].iterrows():
        profit = simulated.profit(STRUCTURES[name], row)
        error = profit.std() / np.sqrt(len(profit))
        deviation = row["profit_standard_deviation_usd"]
        assert row["expected_profit_usd"] == pytest.approx(profit.mean(), abs=4.0 * error + 0.004 * deviation + 0.02)
        assert deviation == pytest.approx(profit.std(), rel=0.02)
        assert row["probability_of_profit"] == pytest.approx((profit > 0).mean(), abs=0.025)
        worst = np.sort(profit)[: len(profit) // 20].mean()
        assert row["expected_shortfall_usd"] == pytest.approx(-worst, abs=0.08 * deviation)


class Simulated:
    """Draws of price and index at the exit, from the quantiles by lines in their logarithms, and their worth."""

    def __init__(self, inputs: dict[str, Any], settings: Settings, *, correlation: float, draws: int = 200_000) -> None:
        rng = np.random.default_rng(11)
        first, second = rng.standard_normal((2, draws))
        columns = [column for column in inputs["price"].columns if column.startswith("quantile")]
        self.spot = drawn(inputs["price"].iloc[-1][columns], first)
        level = drawn(inputs["level"].iloc[-1][columns], correlation * first + np.sqrt(1 - correlation**2) * second)
        self.level, self.settings = level / 100.0, settings

    def profit(self, structure: Any, row: pd.Series) -> Any:
        book = self.settings.backtest
        worth = structure.underlying_ratio * self.spot
        for leg, strike in zip(structure.legs, row["strikes"].split("/"), strict=True):
            expires = row["expiration"] if leg.expiry_rule == "weekly" else row["back_expiration"]
            middle = self.middle(float(strike), (expires - row["exit_session"]).days / DAYS_A_YEAR, leg.option_right)
            half = np.maximum(book.half_spread_fraction * middle, book.half_spread_minimum_usd)
            side = 1.0 if leg.side == "buy" else -1.0
            worth = worth + side * leg.ratio * np.maximum(middle - side * half, 0.0)
        return worth * book.multiplier - row["entry_cost_usd"] - row["fees_usd"]

    def middle(self, strike: float, years: float, right: str) -> Any:
        shape = self.settings.surface
        carry = shape.dividend_yield
        # The bill in these inputs yields nothing, so that the forward falls by the dividends alone.
        forward = self.spot * np.exp(-carry * years)
        term = 1.0 + shape.term_slope * np.log(max(years * DAYS_A_YEAR, 1.0) / 30.0)
        at_the_money = shape.atm_ratio * self.level * term
        x = np.clip(np.log(strike / forward) / (at_the_money * np.sqrt(years)), -3.0, 3.0)
        volatility = at_the_money * (1.0 + shape.skew * x + shape.curvature * x * x)
        worth = call(forward, strike, years, volatility)
        return worth if right == "C" else worth - forward + strike


def drawn(quantiles: pd.Series, scores: Any) -> Any:
    logs, known = np.log(quantiles.to_numpy(dtype=np.float64)), norm.ppf(np.arange(5, 100, 5) / 100.0)
    inside = np.interp(scores, known, logs)
    slopes = np.diff(logs) / np.diff(known)
    below, above = scores < known[0], scores > known[-1]
    inside[below] = logs[0] + slopes[0] * (scores[below] - known[0])
    inside[above] = logs[-1] + slopes[-1] * (scores[above] - known[-1])
    return np.exp(inside)


def test_a_long_and_a_short_straddle_expect_opposite_amounts_without_costs(world: World, free: Settings) -> None:
    rows = built(
        world(centre=0.002, level_deviation=0.1, correlation=-0.5), free, names=("long_straddle", "short_straddle")
    )
    sides = {name: part.set_index(["expiration", "strikes"]) for name, part in rows.groupby("structure")}
    both = sides["long_straddle"].join(sides["short_straddle"], suffixes=("", "_short"), how="inner")
    assert len(both) > 30
    assert (both["expected_profit_usd"] + both["expected_profit_usd_short"]).abs().max() < 0.03
    assert (both["probability_of_profit"] + both["probability_of_profit_short"] - 1.0).abs().max() < 0.001


def test_a_call_less_a_put_expects_what_the_forward_does(world: World, free: Settings) -> None:
    centre, deviation = 0.01, 0.02
    rows = built(world(centre=centre, deviation=deviation), free, names=("long_call", "long_put"))
    sides = {
        name: part.set_index(["expiration", "strikes"])["expected_profit_usd"]
        for name, part in rows.groupby("structure")
    }
    difference = (sides["long_call"] - sides["long_put"]).dropna()
    assert len(difference) > 10
    mean = 100.0 * np.exp(centre + deviation**2 / 2.0)
    assert difference.to_numpy() == pytest.approx(100.0 * (mean - 100.0), abs=0.05)


def test_a_higher_centre_expects_more_of_a_call_and_a_wider_forecast_more_of_a_straddle(
    world: World, free: Settings
) -> None:
    def expected(name: str, **other: float) -> np.ndarray:
        return built(world(**other), free, names=(name,))["expected_profit_usd"].to_numpy()

    rising = [np.sort(expected("long_call", centre=centre)) for centre in (-0.01, 0.0, 0.01)]
    assert (np.diff(rising, axis=0) > 0).all()
    widening = [np.sort(expected("long_straddle", deviation=deviation)) for deviation in (0.01, 0.02, 0.03)]
    assert (np.diff(widening, axis=0) > 0).all()


def test_spread_and_fees_take_off_what_they_are_said_to(world: World, free: Settings) -> None:
    costly = free.backtest.model_copy(update={"fee_per_leg_contract_usd": 1.0, "half_spread_minimum_usd": 0.05})
    names = ("long_call", "iron_condor")
    without = built(world(), free, names=names).set_index(["structure", "expiration", "strikes"])
    with_costs = built(world(), free.model_copy(update={"backtest": costly}), names=names)
    with_costs = with_costs.set_index(["structure", "expiration", "strikes"])
    taken = (without["expected_profit_usd"] - with_costs["expected_profit_usd"]).dropna()
    # In and out, each leg: a fee of 1 USD and a half spread of 5 USD; a worthless leg cannot be sold below zero.
    legs = taken.index.get_level_values("structure").map({"long_call": 1, "iron_condor": 4}).to_numpy()
    assert taken.to_numpy() == pytest.approx(12.0 * legs, abs=2.1 * legs.max())
    assert taken[legs == 1].to_numpy() == pytest.approx(12.0, abs=0.6)


def test_a_planted_mispricing_is_ranked_first_and_taken(world: World, settings: Settings) -> None:
    # The forecast knows that nothing moves; the market sells at an index of 20.
    rows = built(
        world(deviation=0.001), settings, names=("long_call", "long_put", "iron_butterfly", "bull_call_spread")
    )
    assert rows.loc[rows["rank"] == 1, "structure"].tolist() == ["iron_butterfly"]
    from trading_dag.strategy.opportunities.choice import choose

    assert choose(rows, settings.selector)["structure"].tolist() == ["iron_butterfly"]
    rising = built(world(centre=0.04, deviation=0.005), settings, names=("long_call", "long_put", "iron_butterfly"))
    assert rising.loc[rising["rank"] == 1, "structure"].tolist() == ["long_call"]


def test_the_interval_is_wider_where_earlier_forecasts_missed(world: World, settings: Settings) -> None:
    sure = built(world(sessions=600), settings, names=("long_call",))
    inputs = world(sessions=600)
    # What came lay half a deviation above what was forecast, time and again.
    inputs["price"]["y_true"] *= np.exp(0.5 * 0.02)
    unsure = built(inputs, settings, names=("long_call",))

    def width(rows: pd.DataFrame) -> pd.Series:
        return rows["expected_return_on_risk_high"] - rows["expected_return_on_risk_low"]

    sure, unsure = (rows.sort_values(["expiration", "strikes"], ignore_index=True) for rows in (sure, unsure))
    assert sure["expected_profit_usd"].tolist() == unsure["expected_profit_usd"].tolist()
    assert (width(unsure) > 2.0 * width(sure)).all()
