"""Structures pay at expiration what a hand calculation and a brute-force grid say, a user's own too."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.errors import OptionPricingError, StructureError
from trading_dag.options.structures.payoff import (
    breakevens,
    maximum_loss,
    maximum_profit,
    payoff,
    payoff_bounds,
    probability_of_profit,
)
from trading_dag.options.structures.structure import (
    STRUCTURES,
    AtTheMoneyRule,
    BackExpiryRule,
    DeltaRule,
    Leg,
    OffsetRule,
    SameStrikeRule,
    Structure,
    TargetDeltaRule,
    WidthRule,
    structure_of,
)
from trading_dag.options.structures.user_structures import parse_structures, structures_by_name
from trading_dag.options.surfaces.modelled import ModelledSurface
from trading_dag.setting_groups import SurfaceSettings
from trading_dag.settings import Settings

# structure, strikes in leg order, premium, maximum loss, maximum profit, breakevens: by hand.
BY_HAND = [
    ("long_call", [100.0], 3.0, 3.0, np.inf, [103.0]),
    ("long_put", [100.0], 3.0, 3.0, 97.0, [97.0]),
    ("bull_call_spread", [100.0, 105.0], 2.0, 2.0, 3.0, [102.0]),
    ("bear_put_spread", [100.0, 95.0], 2.0, 2.0, 3.0, [98.0]),
    ("bull_put_spread", [95.0, 90.0], -1.5, 3.5, 1.5, [93.5]),
    ("bear_call_spread", [105.0, 110.0], -1.5, 3.5, 1.5, [106.5]),
    ("iron_condor", [95.0, 90.0, 105.0, 110.0], -2.0, 3.0, 2.0, [93.0, 107.0]),
    ("iron_butterfly", [100.0, 95.0, 100.0, 105.0], -3.0, 2.0, 3.0, [97.0, 103.0]),
    ("long_straddle", [100.0, 100.0], 6.0, 6.0, np.inf, [94.0, 106.0]),
    ("short_straddle", [100.0, 100.0], -6.0, np.inf, 6.0, [94.0, 106.0]),
    ("long_strangle", [95.0, 105.0], 3.0, 3.0, np.inf, [92.0, 108.0]),
    ("short_strangle", [95.0, 105.0], -3.0, np.inf, 3.0, [92.0, 108.0]),
    ("call_butterfly", [100.0, 95.0, 105.0], 1.0, 1.0, 4.0, [96.0, 104.0]),
    ("put_butterfly", [100.0, 95.0, 105.0], 1.0, 1.0, 4.0, [96.0, 104.0]),
    # 100 shares at 100 less a call sold at 2: 98 is lost at zero, 105 - 98 is all there is to gain.
    ("covered_call", [105.0], 98.0, 98.0, 7.0, [98.0]),
    ("cash_secured_put", [95.0], -2.0, 93.0, 2.0, [93.0]),
]
EXPIRE_TOGETHER = sorted(name for name, structure in STRUCTURES.items() if structure.expires_together)
FLAT = SurfaceSettings(atm_ratio=1, term_slope=0, skew=0, curvature=0)


@pytest.mark.parametrize(("name", "strikes", "premium", "loss", "profit", "points"), BY_HAND)
def test_risk_reward_and_breakevens_are_those_of_a_hand_calculation(name, strikes, premium, loss, profit, points):
    structure, k = structure_of(name), np.array([strikes])
    assert maximum_loss(structure, k, premium=premium).tolist() == [loss]
    assert maximum_profit(structure, k, premium=premium).tolist() == [profit]
    found = breakevens(structure, k, premium=premium)[0]
    assert found[np.isfinite(found)].tolist() == pytest.approx(points)


def test_the_condor_pays_by_hand_at_seven_prices():
    structure, strikes = structure_of("iron_condor"), [[95.0, 90.0, 105.0, 110.0]]
    prices = np.array([[80.0, 90.0, 92.0, 100.0, 107.0, 110.0, 130.0]])
    assert payoff(structure, strikes, spot=prices)[0].tolist() == [-5.0, -5.0, -3.0, 0.0, -2.0, -5.0, -5.0]


@settings(deadline=None, max_examples=100)
@given(
    name=st.sampled_from(EXPIRE_TOGETHER),
    steps=st.lists(st.integers(1, 12), min_size=4, max_size=4),
    premium=st.floats(-4.0, 8.0),
)
def test_bounds_and_breakevens_agree_with_a_brute_force_grid(name, steps, premium):
    structure = structure_of(name)
    ascending = 80.0 + np.cumsum(steps)
    order = {
        "bull_call_spread": [0, 1], "bear_call_spread": [0, 1], "bear_put_spread": [1, 0], "bull_put_spread": [1, 0],
        "iron_condor": [1, 0, 2, 3], "iron_butterfly": [1, 0, 1, 2], "long_straddle": [1, 1],
        "short_straddle": [1, 1], "long_strangle": [0, 1], "short_strangle": [0, 1], "call_butterfly": [1, 0, 2],
        "put_butterfly": [1, 0, 2],
    }.get(name, [0])  # fmt: skip
    strikes = ascending[order][np.newaxis, :]
    grid = np.arange(0.0, 400.0, 0.25)[np.newaxis, :]
    paid = payoff(structure, strikes, spot=grid)[0]
    bounds = payoff_bounds(structure, strikes)
    assert paid.min() == bounds.least[0] or (np.isneginf(bounds.least[0]) and paid.min() == paid[-1])
    assert paid.max() == bounds.greatest[0] or (np.isposinf(bounds.greatest[0]) and paid.max() == paid[-1])
    found = breakevens(structure, strikes, premium=premium)[0]
    for point in found[np.isfinite(found)]:
        assert payoff(structure, strikes, spot=np.array([point]))[0] == pytest.approx(premium, abs=1e-9)
    crossings = int((np.diff((paid - premium < 0).astype(int)) != 0).sum())
    inside = found[np.isfinite(found) & (found < grid[0, -1])]
    assert len(inside) == crossings


@pytest.mark.parametrize(("name", "strikes", "premium", "loss", "profit", "points"), BY_HAND)
def test_the_probability_of_profit_is_the_lognormal_mass_where_it_profits(name, strikes, premium, loss, profit, points):
    structure = structure_of(name)
    years, rate, dividend_yield, volatility = 0.1, 0.04, 0.01, 0.25
    surface = ModelledSurface(np.array([25.0]), rate, dividend_yield, FLAT)
    ours = probability_of_profit(
        structure, [strikes], premium=premium, spot=np.array([100.0]), years=np.array([years]), surface=surface
    )
    mean = np.log(100.0) + (rate - dividend_yield - 0.5 * volatility**2) * years
    generator = np.random.default_rng(3)
    drawn = np.exp(mean + volatility * np.sqrt(years) * generator.standard_normal(400_000))
    simulated = float(
        (payoff(structure, np.repeat([strikes], 1, axis=0), spot=drawn[np.newaxis, :])[0] > premium).mean()
    )
    assert float(ours[0]) == pytest.approx(simulated, abs=4 * 0.5 / np.sqrt(400_000))


def test_a_structure_that_always_or_never_profits_has_probability_one_or_zero():
    structure, surface = (
        structure_of("bull_call_spread"),
        ModelledSurface(np.array([20.0, 20.0, np.nan]), 0.0, 0.0, FLAT),
    )
    ours = probability_of_profit(
        structure, [[100.0, 105.0]] * 3, premium=[-1.0, 6.0, np.nan], spot=[100.0] * 3, years=[0.1] * 3, surface=surface
    )
    assert ours[:2].tolist() == [1.0, 0.0]
    assert np.isnan(ours[2])


def test_every_structure_of_the_contract_is_on_the_menu():
    assert set(STRUCTURES) >= {
        "long_call", "long_put", "bull_call_spread", "bear_put_spread", "bull_put_spread", "bear_call_spread",
        "iron_condor", "iron_butterfly", "long_straddle", "short_straddle", "long_strangle", "short_strangle",
        "call_butterfly", "put_butterfly", "calendar", "covered_call", "cash_secured_put",
    }  # fmt: skip


def loses_without_limit(structure: Structure) -> bool:
    strikes = [[100.0 + leg for leg in range(len(structure.legs))]]
    return bool(np.isinf(maximum_loss(structure, strikes, premium=0.0)[0]))


def test_only_naked_calls_have_no_defined_risk():
    naked = {name for name in EXPIRE_TOGETHER if loses_without_limit(STRUCTURES[name])}
    assert naked == {"short_straddle", "short_strangle"}
    assert loses_without_limit(Structure("naked", (Leg("C", "sell", AtTheMoneyRule()),)))
    assert loses_without_limit(Structure("covered", (Leg("C", "sell", AtTheMoneyRule(), ratio=2),), underlying_ratio=1))


def test_a_covered_call_pays_the_shares_until_its_strike():
    prices = np.array([[0.0, 50.0, 100.0, 105.0, 200.0]])
    assert payoff(structure_of("covered_call"), [[105.0]], spot=prices)[0].tolist() == [0.0, 50.0, 100.0, 105.0, 105.0]


def test_a_covered_call_profits_exactly_like_the_put_sold_at_its_strike():
    """Parity: stock − call = strike − put at expiration, at any price."""
    prices = np.linspace(0.0, 300.0, 61)[np.newaxis, :]
    covered = payoff(structure_of("covered_call"), [[105.0]], spot=prices)
    put = payoff(structure_of("cash_secured_put"), [[105.0]], spot=prices)
    assert (covered == put + 105.0).all()


@pytest.mark.parametrize("name", ["calendar", "put_calendar"])
def test_a_payoff_of_legs_that_expire_at_different_dates_is_refused(name):
    structure, strikes = structure_of(name), [[100.0, 100.0]]
    surface = ModelledSurface(np.array([20.0]), 0.0, 0.0, FLAT)
    for refused in (
        lambda: payoff(structure, strikes, spot=100.0),
        lambda: payoff_bounds(structure, strikes),
        lambda: maximum_loss(structure, strikes, premium=1.0),
        lambda: maximum_profit(structure, strikes, premium=1.0),
        lambda: breakevens(structure, strikes, premium=1.0),
        lambda: probability_of_profit(structure, strikes, premium=1.0, spot=[100.0], years=[0.1], surface=surface),
    ):
        with pytest.raises(OptionPricingError, match=f"'{name}' has legs that expire at different dates"):
            refused()


_DELTA = DeltaRule("long_leg")


@pytest.mark.parametrize(
    ("legs", "message"),
    [
        ((), "no legs"),
        ((Leg("C", "buy", _DELTA, ratio=0),), "leg 0: ratio 0 is below 1"),
        ((Leg("X", "buy", _DELTA),), "leg 0: option_right 'X' is neither"),
        ((Leg("C", "hold", _DELTA),), "leg 0: side 'hold' is neither"),
        ((Leg("C", "buy", DeltaRule("body")),), r"leg 0: DeltaRule\(role='body'\) has a role"),
        ((Leg("C", "buy", TargetDeltaRule(1.0)),), r"TargetDeltaRule\(absolute_delta=1.0\) is not between"),
        ((Leg("C", "buy", TargetDeltaRule(float("nan"))),), "is not between 0 and 1"),
        ((Leg("C", "buy", OffsetRule(1, 1)), Leg("C", "sell", _DELTA)), r"leg 0: OffsetRule.*a leg not before it"),
        ((Leg("C", "buy", _DELTA), Leg("C", "sell", SameStrikeRule(1))), r"leg 1: SameStrikeRule.*not before it"),
        ((Leg("C", "buy", _DELTA), Leg("C", "sell", WidthRule(-1, 5.0))), r"leg 1: WidthRule.*not before it"),
        ((Leg("C", "buy", _DELTA, apart_from=0),), "apart_from 0 names a leg not before it"),
        ((Leg("C", "buy", _DELTA), Leg("C", "sell", WidthRule(0, 0.0))), "leg 1: WidthRule.*has no width"),
        ((Leg("C", "buy", _DELTA), Leg("C", "sell", WidthRule(0, 5.0, "points"))), "unit that is none of"),
        ((Leg("C", "buy", _DELTA), Leg("C", "sell", SameStrikeRule(0), apart_from=0)), "contradicts apart_from 0"),
        ((Leg("C", "sell", _DELTA), Leg("C", "buy", _DELTA, expiry_rule=BackExpiryRule(0))), "not after the front"),
        ((Leg("C", "sell", _DELTA, expiry_rule=BackExpiryRule()),), "no leg at the front expiration"),
    ],
)
def test_an_impossible_structure_is_refused_naming_structure_leg_and_rule(legs, message):
    with pytest.raises(StructureError, match=message) as refusal:
        Structure("impossible", legs)
    assert "'impossible'" in str(refusal.value)


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(OptionPricingError, match=r"unknown structure 'iron_albatross'; choose from long_call"):
        structure_of("iron_albatross")


JADE_LIZARD = """
[{"name": "jade_lizard", "legs": [
    {"option_right": "P", "side": "sell", "delta": "short_leg"},
    {"option_right": "C", "side": "sell", "delta": 0.25, "apart_from": 0},
    {"option_right": "C", "side": "buy", "width_usd": 5, "from_leg": 1}
]}]
"""


def test_a_structure_of_the_user_comes_from_ten_lines_of_the_environment(monkeypatch):
    assert len(JADE_LIZARD.strip().splitlines()) <= 10
    monkeypatch.setenv("TRADING_DAG_STRUCTURES", JADE_LIZARD)
    menu = structures_by_name(Settings(_env_file=None).structures)
    assert structure_of("jade_lizard", menu=menu) == Structure(
        "jade_lizard",
        (
            Leg("P", "sell", DeltaRule("short_leg")),
            Leg("C", "sell", TargetDeltaRule(0.25), apart_from=0),
            Leg("C", "buy", WidthRule(1, 5.0, "usd")),
        ),
    )
    assert structure_of("iron_condor", menu=menu) is STRUCTURES["iron_condor"]


def test_a_structure_of_the_user_comes_from_a_file_too(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.json").write_text(JADE_LIZARD, encoding="utf-8-sig")  # as an editor of Windows saves it
    monkeypatch.setenv("TRADING_DAG_STRUCTURES", JADE_LIZARD)
    from_text = Settings(_env_file=None).structures
    for path in ("mine.json", str(tmp_path / "mine.json")):
        monkeypatch.setenv("TRADING_DAG_STRUCTURES", path)
        assert Settings(_env_file=None).structures == from_text


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (None, "No such file or directory"),
        (b"", "is empty; a JSON list of structures is needed"),
        (b"{}", "a JSON list of structures is needed"),
        (b"[{", "no JSON"),
        (b"\xff\xfe", r"is no UTF-8 text \(byte 0\)"),
        (b'[{"name": "x", "legs": [{"option_right": "X", "side": "buy"}]}]', "structure 'x', leg 0: option_right 'X'"),
    ],
)
def test_a_file_of_structures_that_cannot_be_read_is_named_with_the_rule(monkeypatch, tmp_path, content, rule):
    path = tmp_path / "mine.json"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("TRADING_DAG_STRUCTURES", str(path))
    with pytest.raises(StructureError, match=rule) as refusal:
        Settings(_env_file=None)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "field",
    [
        '"ratio": 100000000000000000000, "delta": 0.3',
        '"days_after_front": 99999999999999999999, "delta": 0.3',
        '"width_usd": 1e308, "from_leg": 0',
        '"width_usd": Infinity, "from_leg": 0',
        '"width_spot_fraction": NaN, "from_leg": 0',
        '"steps": 99999999999999999999, "from_leg": 0',
    ],
)
def test_numbers_beyond_any_listed_contract_are_refused_in_one_line(field):
    legs = f'[{{"option_right": "C", "side": "sell", "delta": 0.3}}, {{"option_right": "C", "side": "buy", {field}}}]'
    with pytest.raises(StructureError, match=r"structure 'x', leg 1: ") as refusal:
        parse_structures(f'[{{"name": "x", "legs": {legs}}}]')
    assert "\n" not in str(refusal.value)


def test_every_rule_can_be_written_in_settings():
    [parsed] = parse_structures(
        [
            {
                "name": "everything",
                "underlying_ratio": -1,
                "is_cash_secured": True,
                "legs": [
                    {"option_right": "C", "side": "sell", "at_the_money": True, "ratio": 2},
                    {"option_right": "C", "side": "buy", "same_strike_as": 0, "days_after_front": 35},
                    {"option_right": "P", "side": "buy", "steps": -4, "from_leg": 0},
                    {"option_right": "C", "side": "buy", "width_spot_fraction": 0.02, "from_leg": 2},
                ],
            }
        ]
    )
    assert parsed.structure() == Structure(
        "everything",
        (
            Leg("C", "sell", AtTheMoneyRule(), ratio=2),
            Leg("C", "buy", SameStrikeRule(0), expiry_rule=BackExpiryRule(35)),
            Leg("P", "buy", OffsetRule(0, -4)),
            Leg("C", "buy", WidthRule(2, 0.02, "spot_fraction")),
        ),
        underlying_ratio=-1,
        is_cash_secured=True,
    )


def _one_leg(**leg: object) -> str:
    return json.dumps([{"name": "mine", "legs": [{"option_right": "C", "side": "buy", **leg}]}])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON"),
        ("{}", "a JSON list"),
        ("[3]", "structure 0"),
        ('[{"legs": []}]', "structure 0: name: Field required"),
        ('[{"name": "mine", "legs": []}]', "'mine' has no legs"),
        ('[{"name": "My Own", "legs": []}]', "'My Own': name"),
        (_one_leg(option_right="X", delta=0.3), "'mine', leg 0: option_right 'X'"),
        (_one_leg(delta="middle"), "'mine', leg 0: delta 'middle'"),
        (_one_leg(delta=0.3, ratio=0), "'mine', leg 0: ratio 0 is below 1"),
        (_one_leg(delta=1.5), "'mine', leg 0: TargetDeltaRule"),
        (_one_leg(), "'mine', leg 0: needs exactly one strike rule of .*; given: none"),
        (
            _one_leg(delta=0.3, steps=2),
            r"'mine', leg 0: needs exactly one strike rule of .*; given: \['delta', 'steps'\]",
        ),
        (_one_leg(steps=2), "'mine', leg 0: rule steps needs from_leg"),
        (_one_leg(delta=0.3, from_leg=0), "'mine', leg 0: rule delta takes no from_leg"),
        (_one_leg(steps=2, from_leg=1), "'mine', leg 0: OffsetRule.*not before it"),
        (_one_leg(delta=0.3, strike=100), "'mine', leg 0: strike 100"),
        (_one_leg(delta=0.3).replace("mine", "long_call"), "'long_call' is built in"),
        (json.dumps(json.loads(_one_leg(delta=0.3)) * 2), "'mine' is built in or given twice"),
    ],
)
def test_settings_that_describe_no_structure_are_refused_with_what_is_wrong(text, message, monkeypatch):
    monkeypatch.setenv("TRADING_DAG_STRUCTURES", text)
    with pytest.raises(StructureError, match=message):
        Settings(_env_file=None)
