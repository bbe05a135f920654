"""The work behind several ``--structure``: their plans in one account, each trade at the weight of its structure."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from trading_dag.cli.context import CommandContext
from trading_dag.cli.plan_entries import entries_of
from trading_dag.cli.plan_market import traded_market
from trading_dag.cli.plan_request import PlanRequest, changed_settings
from trading_dag.cli.printing import print_json
from trading_dag.errors import ConfigurationError

if TYPE_CHECKING:
    from trading_dag.backtest.results.account_results import AccountResult
    from trading_dag.cli.plan_market import TradedMarket


class WeightedStructure(NamedTuple):
    """Names a structure and the share of the risk budget that a trade of it may take."""

    name: str
    weight: float


def weighted_structures(words: tuple[str, ...]) -> list[WeightedStructure]:
    """Return the structures of words such as ``iron_condor`` or ``iron_condor=0.5``; the weight is 1 unless given.

    Raises
    ------
    ConfigurationError : for a weight that is none, or a structure that is named twice.
    """
    found = []
    for word in words:
        name, separator, number = (part.strip() for part in word.partition("="))
        try:
            weight = float(number) if separator else 1.0
        except ValueError:
            weight = math.nan
        if not 0.0 < weight <= 1.0:
            raise ConfigurationError(f"--structure {word!r}: a weight lies above 0 and at most at 1, as in {name}=0.5")
        found.append(WeightedStructure(name, weight))
    names = [structure.name for structure in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"--structure {name} is given {names.count(name)} times")
    return found


def show_account(
    context: CommandContext,
    ticker: str | None,
    request: PlanRequest,
    structures: list[WeightedStructure],
    *,
    as_json: bool,
) -> None:
    """Run the structures in one account, and print what each and the whole came to.

    Parameters
    ----------
    request : what all of them have in common.
    """
    result, traded, assumed = _run(context, ticker, request, structures)
    record = _record(result, traded, structures=structures, assumed=assumed)
    if as_json:
        print_json(record)
        return
    from trading_dag.reporting.account_tables import account_tables

    if traded.counts is not None:
        context.console.print(traded.counts.in_words())
    for table in account_tables(record):
        context.console.print(table)


def _run(
    context: CommandContext, ticker: str | None, request: PlanRequest, structures: list[WeightedStructure]
) -> tuple[AccountResult, TradedMarket, dict[str, str]]:
    from trading_dag.backtest.plans.structure_plans import account_of, fills_of, settings_for_listed_contract
    from trading_dag.backtest.runs.plan_runs import PlannedEntries, run_account

    book = changed_settings(context.settings.backtest, request.changes)
    requests = [replace(request, structure=structure.name) for structure in structures]
    for each in requests:
        each.plan(context, book=book)  # what cannot be is said before anything is read
    traded = traded_market(context, ticker, request, fills=fills_of(book))
    own_book = settings_for_listed_contract(traded.market.ticker, book)
    planned, assumed = [], {"dividends": traded.dividends.assumption}
    for each, structure in zip(requests, structures, strict=True):
        rule = entries_of(context, traded.market, each)
        assumed[f"entries of {structure.name}"] = rule.in_words
        planned.append(PlannedEntries(each.plan(context, book=own_book), rule.entries, structure.weight))
    result = run_account(
        traded.market, planned, account=account_of(own_book), dividends=traded.dividends.dividends, rate=traded.rate
    )
    return result, traded, assumed


def _record(
    result: AccountResult, traded: TradedMarket, *, structures: list[WeightedStructure], assumed: dict[str, str]
) -> dict[str, Any]:
    """Return the report as JSON holds it: plans, the account, its equity, trades and assumptions."""
    from trading_dag.reporting.account_record import account_record

    record = account_record(
        result, weights=[structure.weight for structure in structures], source=traded.source, assumed=assumed
    )
    return record if traded.counts is None else {**record, "rows": traded.counts.in_words()}
