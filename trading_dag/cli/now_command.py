"""``refresh --now``: provisional forecasts and opportunities of the session under way. Nothing that it makes is a
session's row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import typer

from trading_dag.cli.context import CommandContext
from trading_dag.cli.dagster_instance import opened_instance
from trading_dag.cli.exits import WORK_FAILED
from trading_dag.cli.printing import print_json, print_notes, print_notice, progress_bar

if TYPE_CHECKING:
    import pandas as pd

    from assets.run.in_process import RunOutcome

_BEST: Final = 3


def refresh_now(context: CommandContext, *, as_json: bool) -> None:
    """Make the provisional rows of the chosen tickers and show them; exit code 1 where the source has nothing of a
    session under way, or a ticker failed."""
    import pandas as pd

    from resources.sources.choose import build_source
    from trading_dag.reporting.tables import records

    source = build_source(context.settings)
    now = pd.Timestamp.now("UTC")
    reasons = {ticker: _why_nothing(source.hours_so_far(ticker, now=now)) for ticker in context.tickers}
    if all(reasons.values()):
        _say_nothing(context, str(next(iter(reasons.values()))), source=source.name, as_json=as_json)
        raise typer.Exit(WORK_FAILED)
    outcomes = _made(context, [ticker for ticker, reason in reasons.items() if not reason], quiet=as_json)
    failures = {ticker: reason for ticker, reason in reasons.items() if reason}
    failures |= {ticker: "; ".join(outcome.errors) for ticker, outcome in outcomes.items() if outcome.errors}
    done = [ticker for ticker in outcomes if ticker not in failures]
    notes = list(dict.fromkeys(note for outcome in outcomes.values() for note in outcome.notes))
    said, offered = _stored(context, done)
    positions = _watched(context, done, now=now)
    if as_json:
        print_json(
            {
                "provisional": True,
                **_header(said),
                "source": source.name,
                "signals": records(said),
                "opportunities": records(offered),
                "positions": positions,
                "failures": failures,
                "notes": notes,
            }
        )
    else:
        _show(context, said, offered, source=source.name)
        for line in positions:
            context.console.print(_in_words(line))
        print_notes(context, notes)
        for ticker, reason in failures.items():
            context.failure_console.print(f"{ticker}: {reason}")
    if failures:
        raise typer.Exit(WORK_FAILED)


def _why_nothing(hours: pd.DataFrame) -> str | None:
    return str(hours.attrs.get("source_off")) if hours.empty else None


def _say_nothing(context: CommandContext, reason: str, *, source: str, as_json: bool) -> None:
    if as_json:
        print_json({"provisional": True, "source": source, "signals": [], "opportunities": [], "reason": reason})
    else:
        context.failure_console.print(f"Source {source} has nothing of a session under way: {reason}.")


def _made(context: CommandContext, tickers: list[str], *, quiet: bool) -> dict[str, RunOutcome]:
    """Run the job of each ticker, one after the other."""
    from assets.jobs import DURING_SESSION_JOB
    from assets.run.claims import bury_dead_runs, claim, refuse_if_busy
    from assets.run.in_process import run_job
    from resources.storage.parquet_store import SliceKey
    from trading_dag.definitions import build_for_command

    settings = context.settings.model_copy(update={"horizons": context.horizons})
    outcomes = {}
    with claim(context.state, tuple(tickers)), opened_instance(context) as instance:
        bury_dead_runs(instance)
        refuse_if_busy(instance, [SliceKey(ticker) for ticker in tickers])
        context.warehouse.ensure()
        job = build_for_command(settings).resolve_job_def(DURING_SESSION_JOB)
        with progress_bar(context, quiet=quiet) as progress:
            task = progress.add_task("session under way", total=len(tickers))
            for ticker in tickers:
                outcomes[ticker] = run_job(job, instance, partition=ticker, mode="now")
                progress.update(task, advance=1)
    return outcomes


def _stored(context: CommandContext, tickers: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what the runs have just stored, of the chosen horizons."""
    import pandas as pd

    from resources.storage.parquet_store import ParquetStore, SliceKey
    from trading_dag.quality import empty_frame
    from trading_dag.schemas import PROVISIONAL, PROVISIONAL_OPPORTUNITIES

    store = ParquetStore(context.settings.home)
    frames = []
    for table in (PROVISIONAL, PROVISIONAL_OPPORTUNITIES):
        rows = [store.read(table, SliceKey(ticker)) for ticker in tickers] or [empty_frame(table)]
        every = pd.concat(rows, ignore_index=True)
        frames.append(every[every["horizon"].isin(context.horizons)].reset_index(drop=True))
    return frames[0], frames[1]


def _watched(context: CommandContext, tickers: list[str], *, now: pd.Timestamp) -> list[dict[str, Any]]:
    """Return how open positions of the paper account stand on the prices so far. Nothing is sent, nothing recorded."""
    from assets.declare.declaration import Slice
    from assets.running_session import RunningSession
    from resources.brokers.choose import JOURNAL, account_folder
    from resources.brokers.journal import FileJournal
    from resources.sources.choose import build_source
    from resources.storage.parquet_store import ParquetStore, SliceKey
    from trading_dag.paper.account import Account
    from trading_dag.paper.views import modelled_view
    from trading_dag.paper.watching import watch
    from trading_dag.sessions import running_session

    settings, session = context.settings, running_session(now)
    account = Account(FileJournal(account_folder(settings.home) / JOURNAL).events)
    told: list[dict[str, Any]] = []
    for ticker in tickers if session is not None else []:
        held = [position for position in account.open_positions if position.held.key.ticker == ticker]
        if not held or session is None:
            continue
        at = Slice(SliceKey(ticker), settings, build_source(settings), ParquetStore(settings.home))
        prices, index, rates = RunningSession(at, session, now).market()
        view = modelled_view(ticker, prices, index, rates=rates, settings=settings)
        told += [{"provisional": True, **vars(one)} for one in watch(view, held, session=session)]
    return told


def _in_words(position: dict[str, Any]) -> str:
    exit_reason = str(position["exit_reason"]).replace("_", " ")
    holds = f"; exit {exit_reason} holds now, and is sent if it holds at the close" if exit_reason else ""
    return (
        f"{position['position_id']} (provisional): {position['structure'].replace('_', ' ')}, worth "
        f"{position['value_usd']:+,.2f} USD, {position['profit_usd']:+,.2f} USD since the entry{holds}"
    )


def _header(said: pd.DataFrame) -> dict[str, Any]:
    """Return of when the rows are: the session, the oldest moment that any of them rests on, and how old that is."""
    if said.empty:
        return {"session": None, "as_of": None, "delay_minutes": None}
    return {
        "session": f"{said['session'].iloc[0]:%Y-%m-%d}",
        "as_of": said["as_of"].min().isoformat(),
        "delay_minutes": round(float(said["delay_minutes"].max()), 1),
    }


def _show(context: CommandContext, said: pd.DataFrame, offered: pd.DataFrame, *, source: str) -> None:
    from trading_dag.reporting.provisional_report import provisional_opportunity_table, provisional_report

    if said.empty:
        return
    context.console.print(provisional_report(said))
    for _, rows in offered[offered["rank"] <= _BEST].groupby(["ticker", "horizon"], sort=False):
        context.console.print(provisional_opportunity_table(rows.sort_values("rank")))
    print_notice(context, [(ticker, source) for ticker in said["ticker"].unique()])
