"""The names of listed contracts as the OCC writes them and brokers expect them: root, date, right, strike.

Only standard contracts of 100 shares have a name here. What a corporate action has adjusted, minis, and options on cash
indices (whose root says how they settle) are refused, because a name alone does not tell what such a contract delivers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final, Literal, get_args

from trading_dag.errors import ContractSymbolError
from trading_dag.options.chains.contracts import INDEX_TERMS

OptionRight = Literal["C", "P"]
THOUSANDTHS: Final = 1_000
LARGEST_STRIKE: Final = Decimal("99999.999")
_SYMBOL: Final = re.compile(r"(?P<root>[A-Z0-9]+) *(?P<day>\d{6})(?P<right>[A-Z])(?P<strike>\d{8})")
_ROOT: Final = re.compile(r"[A-Z]{1,6}")
_CENTURY: Final = 2000


@dataclass(frozen=True)
class ListedContract:
    """Names one standard option contract.

    Attributes
    ----------
    root : the underlying's ticker, which for standard contracts is the option root.
    expiration : the expiration date.
    option_right : C for a call, P for a put.
    strike : USD, exact.
    """

    root: str
    expiration: date
    option_right: OptionRight
    strike: Decimal

    @property
    def symbol(self) -> str:
        """Return the name that the OCC gives the contract, without padding: ``SPY260320C00450000``."""
        day = f"{self.expiration:%y%m%d}"
        return f"{self.root}{day}{self.option_right}{int(self.strike * THOUSANDTHS):08d}"


def contract_of(ticker: str, *, expiration: date, option_right: str, strike: Decimal | float | str) -> ListedContract:
    """Return the contract of an underlying; a strike given as a float counts as its shortest decimal.

    Raises
    ------
    ContractSymbolError : for a ticker whose options have no standard root, a right that is neither C nor P, a date
        outside this century, and a strike that the OCC's eight digits cannot hold.
    """
    asked = f"{ticker} {expiration} {option_right} {strike}"
    _require_standard_root(ticker, asked)
    if option_right not in get_args(OptionRight):
        raise ContractSymbolError(contract=asked, rule="the right is C or P")
    day = expiration.date() if isinstance(expiration, datetime) else expiration
    if day.year // 100 != _CENTURY // 100:
        raise ContractSymbolError(contract=asked, rule="expirations lie between 2000 and 2099")
    exact = strike if isinstance(strike, Decimal) else Decimal(str(strike))
    if not exact.is_finite() or not 0 < exact <= LARGEST_STRIKE or exact * THOUSANDTHS % 1:
        raise ContractSymbolError(
            contract=asked, rule=f"a strike is positive, at most {LARGEST_STRIKE}, in thousandths of a dollar"
        )
    return ListedContract(ticker, day, "C" if option_right == "C" else "P", exact.normalize())


def parse_symbol(symbol: str) -> ListedContract:
    """Return the contract that an OCC name means, padded with blanks or not.

    Raises
    ------
    ContractSymbolError : for text that is no such name, and for an adjusted, mini or index root.
    """
    found = _SYMBOL.fullmatch(symbol)
    if found is None:
        raise ContractSymbolError(contract=repr(symbol), rule="an OCC symbol is ROOT, yymmdd, C or P, and eight digits")
    try:
        day = datetime.strptime(found["day"], "%y%m%d").date().replace(year=_CENTURY + int(found["day"][:2]))
    except ValueError:
        raise ContractSymbolError(contract=symbol, rule=f"{found['day']} is no date") from None
    return contract_of(
        found["root"], expiration=day, option_right=found["right"], strike=Decimal(found["strike"]) / THOUSANDTHS
    )


def _require_standard_root(root: str, asked: str) -> None:
    if root in INDEX_TERMS:
        raise ContractSymbolError(contract=asked, rule="options on cash indices are not sent to this broker")
    if root[-1:].isdigit() or root[:1].isdigit():
        raise ContractSymbolError(contract=asked, rule="adjusted, mini and flexible contracts (a digit) are not traded")
    if not _ROOT.fullmatch(root):
        raise ContractSymbolError(contract=asked, rule="a standard option root is one to six capital letters")
