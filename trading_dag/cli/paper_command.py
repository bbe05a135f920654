"""``trading-dag paper``: the paper account as its journal has it, its orders, and the switch that stops them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from trading_dag.cli.arguments import AsJson
from trading_dag.cli.context import CommandContext
from trading_dag.cli.exits import WORK_FAILED
from trading_dag.cli.printing import print_json

if TYPE_CHECKING:
    from resources.brokers.kill_switch import KillSwitch
    from trading_dag.paper.account import Account

paper = typer.Typer(
    name="paper",
    help="The paper account: what it holds, its orders, why there is none, and the switch that stops them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@paper.command()
def status(as_json: AsJson = False) -> None:
    """Show cash, equity, open positions and working orders, and whether the kill switch is on."""
    from trading_dag.paper.limits import drawdown_of

    context = CommandContext()
    account, switch = _account(context), _switch(context)
    equity = account.equity_by_session()
    said: dict[str, Any] = {
        "kill_switch": switch.reason or None,
        "is_open": account.is_open,
        "source": account.source or None,
        "broker": account.broker or None,
        "cash_usd": account.cash_usd,
        "equity_usd": None if equity.empty else round(float(equity.iloc[-1]), 2),
        "drawdown": drawdown_of(account),
        "session": None if equity.empty else f"{equity.index[-1]:%Y-%m-%d}",
        "positions": [_position(one) for one in account.open_positions],
        "working_orders": [one.order.order_id for one in account.working],
    }
    if as_json:
        print_json(said)
        return
    console = context.console
    if said["kill_switch"]:
        console.print(f"KILLED: {said['kill_switch']}. Nothing is sent until `trading-dag paper resume`.")
    if not account.is_open:
        console.print(
            "The paper account is not open yet: its first order opens it. `trading-dag paper explain` says why"
        )
        console.print("there is none.")
        return
    console.print(
        f"{said['session']}: equity {said['equity_usd']:,.2f} USD, cash {said['cash_usd']:,.2f}, "
        f"{said['drawdown']:.1%} below the highest; broker {said['broker']}, data {said['source']}"
    )
    for one in said["positions"]:
        console.print(
            f"  {one['position_id']}: {one['contracts']} × {one['structure']}, marked {one['mark_usd']:,.2f} USD, "
            f"until {one['target_session']}{one['note']}"
        )
    for order_id in said["working_orders"]:
        console.print(f"  working: {order_id}")
    if not said["positions"] and not said["working_orders"]:
        console.print("  nothing is held, and no order is working")


@paper.command()
def orders(
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many of the last orders.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the last orders: what each is, its state, and why where it was refused or rejected."""
    context = CommandContext()
    rows = [
        {
            "order_id": record.order.order_id,
            "state": record.state,
            "structure": record.order.structure,
            "contracts": record.order.contracts if (fill := record.happened[-1].fill) is None else fill.contracts,
            "cash_usd": None if fill is None else fill.cash_usd,
            "reason": record.happened[-1].reason or record.order.reason or None,
            "edge": record.said.edge,
        }
        for record in list(_account(context).orders.values())[-limit:]
    ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        cash = "" if row["cash_usd"] is None else f", {row['cash_usd']:+,.2f} USD"
        why = f" ({row['reason']})" if row["reason"] else ""
        what = f"{row['contracts']} × {row['structure']}"
        context.console.print(f"{row['order_id']}: {row['state']}, {what}{cash}{why}; edge: {row['edge']}")
    if not rows:
        context.console.print("No order yet. `trading-dag paper explain` says why.")


@paper.command()
def kill(
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept and shown.")],
    as_json: AsJson = False,
) -> None:
    """Stop every order, opening and closing, at once and for every process, until `paper resume`. Expirations go on."""
    import pandas as pd

    context = CommandContext()
    switch = _switch(context)
    switch.turn_on(reason, at=pd.Timestamp.now("UTC"))
    _say(context, f"killed: {switch.reason}", {"kill_switch": switch.reason}, as_json=as_json)


@paper.command()
def resume(as_json: AsJson = False) -> None:
    """Let orders pass again, from the next refresh on. What was held back is not filled at quotes that have passed."""
    context = CommandContext()
    was = _switch(context).reason
    _switch(context).turn_off()
    said = f"resumed; it was killed: {was}" if was else "the kill switch was not on"
    _say(context, said, {"kill_switch": None, "was": was or None}, as_json=as_json)


@paper.command()
def reconcile(as_json: AsJson = False) -> None:
    """Bring the account forward on the stored quotes and compare it with its broker: cash, contracts, orders. Nothing
    new is ordered. Exit code 1 where the two disagree."""
    from resources.brokers.stored import stored_desk

    context = CommandContext()
    with stored_desk(context.settings) as desk:
        desk.advance()
        items = desk.reconcile()
    wrong = [item for item in items if not item["is_matched"]]
    if as_json:
        print_json(items)
    elif not items:
        context.console.print("The paper account is not open yet, so there is nothing to compare.")
    else:
        for item in wrong:
            context.console.print(item["detail"])
        context.console.print(f"{len(items)} compared, {len(wrong)} differ")
    if wrong:
        raise typer.Exit(WORK_FAILED)


@paper.command()
def explain(as_json: AsJson = False) -> None:
    """Say of each slice whether its newest signal is an order now, and if not, why."""
    from resources.brokers.stored import stored_desk
    from trading_dag.paper.decisions import why_no_order

    context = CommandContext()
    with stored_desk(context.settings) as desk:
        verdicts = desk.verdicts()
    said = why_no_order(verdicts) or f"{sum(one.order is not None for one in verdicts)} orders would be sent"
    rows = [
        {"slice": f"{one.key.ticker} {one.key.horizon}", "session": f"{one.key.session:%Y-%m-%d}", "reason": one.reason}
        for one in verdicts
    ]
    if as_json:
        print_json({"said": said, "slices": rows})
        return
    context.console.print(said)
    for row in rows:
        context.console.print(f"  {row['slice']} ({row['session']}): {row['reason'] or 'an order'}")


def _say(context: CommandContext, said: str, values: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(values)
    else:
        context.console.print(said)


def _account(context: CommandContext) -> Account:
    from resources.brokers.choose import JOURNAL, account_folder
    from resources.brokers.journal import FileJournal
    from trading_dag.paper.account import Account

    return Account(FileJournal(account_folder(context.settings.home) / JOURNAL).events)


def _switch(context: CommandContext) -> KillSwitch:
    from resources.brokers.choose import account_folder
    from resources.brokers.kill_switch import KillSwitch

    return KillSwitch(account_folder(context.settings.home))


def _position(position: Any) -> dict[str, Any]:
    held = position.held
    mark, due = list(position.marks.values())[-1] if position.marks else (None, "")
    return {
        "position_id": held.key.position_id,
        "structure": held.structure,
        "contracts": held.fill.contracts,
        "entry_session": f"{held.fill.quote.session:%Y-%m-%d}",
        "target_session": f"{held.target_session:%Y-%m-%d}",
        "mark_usd": -held.fill.cash_usd if mark is None else mark.value_usd,
        "max_loss_usd": held.fill.max_loss_usd,
        "edge": position.said.edge,
        "note": f"; exit due and not sent: {due}" if due else "",
    }
