"""The commands that put the whole state of a home into one file, and back."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from trading_dag.cli.arguments import AsJson
from trading_dag.cli.context import CommandContext
from trading_dag.cli.exits import WORK_FAILED
from trading_dag.cli.printing import complain, print_json


def backup(
    file: Annotated[Path, typer.Argument(help="The file to write, or a folder, in which it is named after the time.")],
    as_json: AsJson = False,
) -> None:
    """Back up everything that cannot be had again: slices, models, searches, the prediction log, the paper account,
    accepted bars, Dagster's history. Runs and the UI may go on meanwhile. Keys and settings (.env) are not in it."""
    from resources.backup.back_up import back_up

    context = CommandContext()
    done = back_up(context.settings.home, file, now=dt.datetime.now(dt.UTC))
    files, size = len(done.manifest.members), done.file.stat().st_size
    if as_json:
        print_json(
            {
                "file": str(done.file),
                "files": files,
                "bytes": done.manifest.bytes,
                "archive_bytes": size,
                "damaged": done.manifest.damaged,
            }
        )
    else:
        context.console.print(
            f"{files:,} files ({done.manifest.bytes / 1e6:,.1f} MB) are in {done.file} ({size / 1e6:,.1f} MB)"
        )
    for path, problem in done.manifest.damaged.items():
        complain(f"damaged before it was backed up: {path}: {problem}")
    if done.manifest.damaged:
        raise typer.Exit(WORK_FAILED)


def restore(
    file: Annotated[Path, typer.Argument(help="A file that trading-dag backup wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Move the state that is there aside, into a folder of the home.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put a backup in the place of the home's state, all of it or nothing. Each file is compared with its hash first.
    The home must be empty of state, and nothing may work on it."""
    from assets.run.claims import claim
    from resources.backup.restore import restore as put_back
    from resources.runs.process_marks import ProcessMarks
    from trading_dag.errors import SliceBusyError

    context = CommandContext()
    settings = context.settings
    working = ProcessMarks(context.state / "processes").living()
    if working:
        raise SliceBusyError(
            f"{len(working)} processes have the history of {settings.home} open, such as {working[0]}: end trading-dag "
            "ui and every other command on it first"
        )
    with claim(context.state, settings.all_tickers):
        done = put_back(settings.home, file, now=dt.datetime.now(dt.UTC), replace=replace)
    if as_json:
        print_json(
            {
                "made_at": done.manifest.made_at,
                "files": len(done.manifest.members),
                "bytes": done.manifest.bytes,
                "replaced": None if done.replaced is None else str(done.replaced),
                "damaged": done.manifest.damaged,
            }
        )
        return
    context.console.print(
        f"{len(done.manifest.members):,} files ({done.manifest.bytes / 1e6:,.1f} MB) of {done.manifest.made_at} are "
        f"back in {settings.home}, each as it was backed up"
    )
    if done.replaced is not None:
        context.console.print(f"what was there before lies in {done.replaced}: delete it when nothing is missed")
    for path, problem in done.manifest.damaged.items():
        complain(f"damaged before it was backed up: {path}: {problem}")
