"""Whatever data hold, a terminal gets text: no markup, no picture, no control character."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from rich.progress import Progress

from tests.conftest import REPOSITORY, Workspace
from trading_dag.cli.plain_console import PlainConsole, PlainDescription, marked
from trading_dag.reporting.tables import import_table, plain_table
from trading_dag.reporting.visible_text import visible

MARKUP = (
    "[update] new guidance",
    "[/i]",
    "[/]",
    "[red]not red[/red]",
    "[link=http://127.0.0.1:9]x[/link]",
    "[@click=app.quit]x[/]",
    "\\[escaped]",
    "[[nested]]",
    "[",
    "]",
    ":smile: :thumbs_up:",
    "[bold",
    "[not a tag!]",
    "{task.description}",
    "%s %(x)s {0}",
)
CONTROLS = {
    "\x1b[2J\x1b[H": "\\x1b[2J\\x1b[H",
    "\x1b]0;title\x07": "\\x1b]0;title\\x07",
    "\x1b]8;;http://127.0.0.1:9\x1b\\x": "\\x1b]8;;http://127.0.0.1:9\\x1b\\x",
    "\x9b31m": "\\x9b31m",
    "over\rwritten": "over\\rwritten",
    "a\x08b": "a\\x08b",
    "a\x00b": "a\\x00b",
    "a\x7fb": "a\\x7fb",
    "a\tb": "a\\tb",
    "\u202egnp.exe": "\\u202egnp.exe",
    "\u2066x\u2069": "\\u2066x\\u2069",
    "a\u200bb": "a\\u200bb",
    "\ufeffa": "\\ufeffa",
    "\ud800": "\\ud800",
    "a\u2028b": "a\\u2028b",
    "\U000e0041": "\\U000e0041",
}
ALL = {**{text: text for text in MARKUP}, **CONTROLS}


def printed(thing: object) -> str:
    target = io.StringIO()
    PlainConsole(file=target, width=120, highlight=False, force_terminal=False).print(thing)
    return target.getvalue()


@pytest.mark.parametrize(("text", "expected"), ALL.items())
def test_a_string_is_printed_as_it_is_with_control_characters_shown(text: str, expected: str) -> None:
    assert printed(text) == expected + "\n"
    assert printed(marked("done", "green", f" {text}")) == f"done {expected}\n"


@pytest.mark.parametrize(("text", "expected"), [*ALL.items(), ("two\nlines", "two\\nlines"), ("a\r\nb", "a\\r\\nb")])
def test_a_table_shows_cells_and_heads_as_they_are(text: str, expected: str) -> None:
    frame = pd.DataFrame([[text]], columns=pd.Index([text], dtype="object"), dtype="object")
    shown = printed(plain_table(frame, limit=5))
    assert shown.count(expected) == 2
    assert len(shown.splitlines()) == 5


@pytest.mark.parametrize(("text", "expected"), ALL.items())
def test_a_progress_line_shows_what_it_is_at_as_it_is(text: str, expected: str) -> None:
    target = io.StringIO()
    console = PlainConsole(file=target, width=120, force_terminal=False)
    with Progress(PlainDescription(), console=console) as progress:
        progress.add_task(text, total=1, completed=1)
    assert expected in target.getvalue()
    assert "\x1b" not in target.getvalue()


def test_the_name_of_an_imported_file_is_text() -> None:
    record = {
        "path": "/x/[red]evil\x1b[2J\n.csv", "layout": "files", "state": "imported", "refused": {}, "rows": 1,
        "appended": 1, "restated": 0, "unchanged": 0,
    }  # fmt: skip
    assert "[red]evil\\x1b[2J\\n.csv" in printed(import_table([record]))


def test_ordinary_text_of_every_script_stays_as_it_is() -> None:
    for text in ("Δ 25 – “quoted” …", "übergröße", "株価", "narrow\u202fspace", "no\u00a0break"):
        assert visible(text) == text


def test_sql_prints_data_as_text_and_json_as_ascii(tmp_path: Path) -> None:
    place = Workspace(tmp_path)
    query = "SELECT '[update] [/i] ' || chr(27) || '[2J' AS headline"
    shown = place.run("sql", query)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "[update] [/i] \\x1b[2J" in shown.stdout
    told = place.run("sql", query, "--json")
    assert "\x1b" not in told.stdout
    assert json.loads(told.stdout) == [{"headline": "[update] [/i] \x1b[2J"}]
    failed = place.run("sql", "SELECT \x1b[2J [/i]")
    assert failed.returncode == 1
    assert "\x1b" not in failed.stderr
    assert failed.stderr.count("\n") == 1


def test_no_command_writes_markup_into_a_string() -> None:
    tag = re.compile(r"\[/?(?:red|green|yellow|blue|bold|dim)?\]|\[(?:red|green|yellow|bold|dim)\b")
    for path in (REPOSITORY / "trading_dag" / "cli").glob("*.py"):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if "print(" in line and '"' in line]
        assert [line for line in lines if tag.search(line)] == [], path
