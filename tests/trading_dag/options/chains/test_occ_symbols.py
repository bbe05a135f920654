"""Names of listed contracts, both ways. Examples are the OCC's own and those that brokers print in their references."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_dag.errors import ContractSymbolError
from trading_dag.options.chains.contracts import INDEX_TERMS
from trading_dag.options.chains.occ_symbols import ListedContract, contract_of, parse_symbol


@pytest.mark.parametrize(
    ("contract", "symbol"),
    [
        (("AAPL", date(2024, 12, 13), "C", Decimal(250)), "AAPL241213C00250000"),
        (("SPY", date(2026, 3, 20), "P", Decimal("452.5")), "SPY260320P00452500"),
        (("F", date(2026, 1, 16), "C", Decimal("0.5")), "F260116C00000500"),
        (("IWM", date(2026, 12, 18), "C", Decimal("199.125")), "IWM261218C00199125"),
    ],
)
def test_a_contract_and_its_name_are_the_same_both_ways(contract: tuple[str, date, str, Decimal], symbol: str) -> None:
    ticker, expiration, right, strike = contract
    made = contract_of(ticker, expiration=expiration, option_right=right, strike=strike)
    assert made.symbol == symbol
    assert parse_symbol(symbol) == made


def test_a_name_padded_to_six_letters_means_the_same() -> None:
    assert parse_symbol("SPY   260320P00452500") == parse_symbol("SPY260320P00452500")


@given(
    root=st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=6).filter(lambda root: root not in INDEX_TERMS),
    expiration=st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    option_right=st.sampled_from(["C", "P"]),
    thousandths=st.integers(1, 99_999_999),
)
def test_every_standard_contract_survives_its_name(
    root: str, expiration: date, option_right: str, thousandths: int
) -> None:
    made = contract_of(root, expiration=expiration, option_right=option_right, strike=Decimal(thousandths) / 1000)
    assert len(made.symbol) == len(root) + 15
    assert parse_symbol(made.symbol) == made


@pytest.mark.parametrize("strike", [450.0, 450.1, 450.005, 0.001, 1234.375])
def test_a_float_strike_counts_as_the_decimal_that_it_prints(strike: float) -> None:
    made = contract_of("SPY", expiration=date(2026, 3, 20), option_right="C", strike=strike)
    assert made.strike == Decimal(str(strike))
    assert parse_symbol(made.symbol).strike == Decimal(str(strike))


@pytest.mark.parametrize(
    ("symbol", "rule"),
    [
        ("SPY1260320C00450000", "adjusted, mini and flexible"),
        ("SPY7260320C00450000", "adjusted, mini and flexible"),
        ("1SPY260320C00450000", "adjusted, mini and flexible"),
        ("SPXW260320C05000000", "cash indices"),
        ("VIX260320C00020000", "cash indices"),
        ("SPY260231C00450000", "no date"),
        ("SPY260320X00450000", "C or P"),
        ("SPY260320C00000000", "strike is positive"),
        ("SPY260320C450", "OCC symbol"),
        ("SPY", "OCC symbol"),
        ("", "OCC symbol"),
        ("ABCDEFG260320C00450000", "one to six"),
    ],
)
def test_a_name_that_means_no_standard_contract_is_refused(symbol: str, rule: str) -> None:
    with pytest.raises(ContractSymbolError, match=rule):
        parse_symbol(symbol)


@pytest.mark.parametrize(
    ("ticker", "right", "strike", "rule"),
    [
        ("SPX", "C", 5000, "cash indices"),
        ("BRK.B", "C", 450, "one to six"),
        ("SPY1", "C", 450, "adjusted"),
        ("SPY", "call", 450, "C or P"),
        ("SPY", "C", 450.0005, "thousandths"),
        ("SPY", "C", 100_000, "at most"),
        ("SPY", "C", -1, "positive"),
        ("SPY", "C", float("nan"), "positive"),
        ("SPY", "C", float("inf"), "positive"),
    ],
)
def test_what_has_no_standard_name_is_refused(ticker: str, right: str, strike: float, rule: str) -> None:
    with pytest.raises(ContractSymbolError, match=rule) as raised:
        contract_of(ticker, expiration=date(2026, 3, 20), option_right=right, strike=strike)
    assert ticker in raised.value.contract


def test_an_expiration_of_another_century_is_refused() -> None:
    with pytest.raises(ContractSymbolError, match="2000 and 2099"):
        contract_of("SPY", expiration=date(1999, 12, 17), option_right="C", strike=100)


def test_contracts_compare_by_what_they_are() -> None:
    assert ListedContract("SPY", date(2026, 3, 20), "C", Decimal(450)) == contract_of(
        "SPY", expiration=date(2026, 3, 20), option_right="C", strike=450.0
    )
