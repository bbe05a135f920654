"""Sessions that can be valued have rows, the others are counted; nothing later is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trading_dag.options.structures.structure import STRUCTURES
from trading_dag.quality import QualityContext, examine
from trading_dag.schemas import OPPORTUNITIES
from trading_dag.settings import Settings
from trading_dag.slices import horizon_of
from trading_dag.strategy.opportunities.build import build_opportunities

World = Callable[..., dict[str, Any]]
MENU = {
    name: STRUCTURES[name] for name in ("long_call", "bull_put_spread", "iron_condor", "short_straddle", "calendar")
}


def built(inputs: dict[str, Any], settings: Settings, *, horizon: str = "168h", **other: Any) -> Any:
    first = [inputs[name] for name in ("price", "level", "prices", "volatility_index")]
    wanted = {"menu": MENU, **other}
    return build_opportunities(*first, rates=inputs["rates"], horizon=horizon_of(horizon), settings=settings, **wanted)


def test_earlier_sessions_keep_the_best_of_each_structure_and_the_newest_the_whole_grid(
    world: World, settings: Settings
) -> None:
    found = built(world(), settings)
    table = found.table
    assert tuple(table.columns) == OPPORTUNITIES.column_names
    newest = table[table["session"] == table["session"].max()]
    earlier = table[table["session"] != table["session"].max()]
    assert (earlier.groupby("session")["structure"].nunique() == len(MENU)).all()
    assert not earlier.duplicated(["session", "structure"]).any()
    assert newest.groupby("structure").size().between(20, 50).all()
    findings = examine(OPPORTUNITIES, table, context=QualityContext(now_session=table["session"].max()))
    assert {name: found.detail for name, found in findings.items() if found.count} == {}
    assert (table.groupby("session")["rank"].apply(lambda ranks: sorted(ranks) == list(range(1, len(ranks) + 1)))).all()


def test_later_rows_change_nothing_earlier(world: World, settings: Settings) -> None:
    inputs = world(deviation=0.03, level_deviation=0.1, correlation=-0.7)
    cut = inputs["prices"]["session"].iloc[-10]
    before = built(inputs, settings).table
    for name in ("price", "level"):
        changed = inputs[name].copy()
        late = (changed["session"] > cut).to_numpy()
        changed.loc[late, [c for c in changed.columns if c.startswith("quantile")]] *= 1.5
        # What a target after the cut brought is not known at the cut.
        changed.loc[(changed["target_session"] > cut).to_numpy(), "y_true"] = 1.0
        inputs[name] = changed
    for name in ("prices", "volatility_index"):
        changed = inputs[name].copy()
        changed.loc[(changed["session"] > cut).to_numpy(), ["open", "close"]] *= 2.0
        inputs[name] = changed
    after = built(inputs, settings).table
    early = before["session"] <= cut
    assert early.sum() > 100
    pd.testing.assert_frame_equal(after[after["session"] <= cut], before[early])
    assert not after[after["session"] > cut].equals(before[~early])


def test_new_sessions_beside_what_was_built_before_are_what_everything_built_anew_is(
    world: World, settings: Settings
) -> None:
    inputs = world(deviation=0.03, level_deviation=0.1, correlation=-0.7)
    through = inputs["prices"]["session"].iloc[-4]
    earlier = {
        name: frame[(frame["session"] <= through).to_numpy()].reset_index(drop=True) for name, frame in inputs.items()
    }
    for name in ("price", "level"):
        known = earlier[name]["target_session"] <= through
        earlier[name] = earlier[name].assign(y_true=earlier[name]["y_true"].where(known))
    whole = built(inputs, settings)
    joined = built(inputs, settings, before=built(earlier, settings).table)
    pd.testing.assert_frame_equal(joined.table, whole.table, check_exact=True)
    assert joined.left_out == whole.left_out
    marked = built(earlier, settings).table.assign(spot=-1.0)
    assert (built(inputs, settings, before=marked).table["spot"] == -1.0).sum() == (marked["session"] < through).sum()


def test_sessions_without_a_forecast_or_a_surface_are_counted_by_reason(world: World, settings: Settings) -> None:
    inputs = world()
    days = inputs["prices"]["session"]
    inputs["price"] = inputs["price"].drop(index=range(280, 283)).reset_index(drop=True)
    inputs["level"] = inputs["level"].drop(index=[285]).reset_index(drop=True)
    inputs["volatility_index"].loc[290, "close"] = np.nan
    found = built(inputs, settings)
    assert found.left_out == {
        "no_price_forecast": 3,
        "no_level_forecast": 1,
        "no_volatility_surface": 1,
        "too_few_known_outcomes": 254,
    }
    assert not found.table["session"].isin(days.iloc[[280, 281, 282, 285, 290]]).any()
    assert found.table["session"].nunique() + sum(found.left_out.values()) == len(days)


def test_prices_from_another_underlyings_index_are_named_so(world: World, settings: Settings) -> None:
    inputs = world()
    assert set(built(inputs, settings).table["quote_source"]) == {"modelled"}
    inputs["volatility_index"]["symbol"] = "VXN"
    found = built(inputs, settings)
    assert set(found.table["quote_source"]) == {"modelled_with_objection"}
    assert "SPY are modelled from VXN" in str(found.objection)


def test_where_the_horizon_ends_at_the_entry_there_is_nothing(world: World, settings: Settings) -> None:
    found = built(world(horizon="12h"), settings, horizon="12h")
    assert found.table.empty
    assert found.left_out == {"horizon_before_entry": 300}


@pytest.mark.parametrize("missing", ["price", "level"])
def test_without_any_forecast_the_table_is_empty_and_typed(world: World, settings: Settings, missing: str) -> None:
    inputs = world()
    inputs[missing] = inputs[missing].iloc[:0]
    found = built(inputs, settings)
    assert found.table.empty
    assert tuple(found.table.columns) == OPPORTUNITIES.column_names
    assert found.left_out == {f"no_{missing}_forecast": 300}


def test_a_session_with_a_chain_is_priced_on_its_slices_and_equal_slices_give_equal_rows(
    world: World, free: Settings
) -> None:
    """Flat slices of 20 % beside a flat surface of an index of 20: the same prices, by the other way."""
    inputs = world()
    newest = inputs["prices"]["session"].iloc[-1]
    years = np.array([7.0, 60.0, 120.0]) / 365.0
    slices = pd.DataFrame({
        "session": newest, "years": years, "spot": 100.0, "forward": 100.0, "rate": 0.0, "svi_a": 0.04 * years,
        "svi_b": 0.0, "svi_rho": 0.0, "svi_m": 0.0, "svi_s": 0.1, "least_durrleman": 0.1,
    })  # fmt: skip
    modelled, on_chain = built(inputs, free).table, built(inputs, free, smiles=slices).table
    is_newest = on_chain["session"] == newest
    assert set(on_chain.loc[is_newest, "quote_source"]) == {"smile"}
    assert set(on_chain.loc[~is_newest, "quote_source"]) == {"modelled"}
    compared = ["structure", "strikes", "expiration", "entry_cost_usd", "expected_profit_usd", "probability_of_profit"]
    pd.testing.assert_frame_equal(on_chain[compared], modelled[compared], atol=0.02, rtol=0.0)
