"""The documentation builds as web pages, every link among them leads somewhere, and nothing is loaded from outside."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from trading_dag.cli.command_docs import command_reference
from trading_dag.cli.commands import app
from trading_dag.reporting.settings_docs import settings_reference


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)],
        cwd=REPOSITORY, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert built.returncode == 0, built.stderr  # strict: a link that leads nowhere ends it
    return folder


def test_every_page_is_built(site: Path) -> None:
    pages = {path.relative_to(REPOSITORY / "docs").with_suffix("") for path in (REPOSITORY / "docs").rglob("*.md")}
    built = {path.relative_to(site).with_suffix("") for path in site.rglob("*.html")}
    renamed = {path.with_name("index") if path.name == "README" else path for path in pages}
    assert renamed - built == set()


def test_no_page_loads_anything_from_outside(site: Path) -> None:
    loads = re.compile(r"""<(?:script|img|link|iframe)[^>]*(?:src|href)=["']?https?://[^"'> ]+""")
    found = {f"{page.name}: {load}" for page in site.rglob("*.html") for load in loads.findall(page.read_text())}
    assert found == set()


def test_the_page_of_settings_is_up_to_date() -> None:
    assert (REPOSITORY / "docs" / "settings.md").read_text(encoding="utf-8") == settings_reference()


def test_the_page_of_commands_is_up_to_date() -> None:
    assert (REPOSITORY / "docs" / "commands.md").read_text(encoding="utf-8") == command_reference()


def test_the_page_of_commands_has_every_command() -> None:
    page = command_reference()
    names = [str(command.name or getattr(command.callback, "__name__", "")) for command in app.registered_commands]
    assert [name for name in names if f"\n## {name.replace('_', '-')}\n" not in page] == []
